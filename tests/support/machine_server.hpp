// A TCP server that is the server machine of dcerpc and nothing more: it asks for a shutdown, keeps
// silent, or writes whatever a test wants, as no facade does.
#ifndef RPCH_TESTS_SUPPORT_MACHINE_SERVER_HPP
#define RPCH_TESTS_SUPPORT_MACHINE_SERVER_HPP

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <rpch/dcerpc/server_association.hpp>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>

#include "tests/support/bytes.hpp"

namespace test {

class machine_server {
  public:
    /// One connection; kept when it has ended.
    struct connection {
        connection(asio::ip::tcp::socket s, machine_server& of)
            : socket(std::move(s)), machine(of.offered_, of.groups_, of.options_) {}

        /// Answers the calls that wait, each with its own stub.
        void answer();
        /// Sends what the machine has.
        void flush();
        void send(const bytes& pdu);

        asio::ip::tcp::socket socket;
        rpch::dcerpc::server_association machine;
        std::vector<rpch::dcerpc::call_received> held;
        std::size_t calls = 0; ///< Received so far.
        bool ended = false;    ///< By the client.
        bytes unread;
        bytes fresh = bytes(65536); ///< Being read.
    };

    /// @param offered  the interfaces.
    machine_server(asio::io_context& io, std::vector<rpch::interface_id> offered,
                   rpch::dcerpc::server_association_options options = {});
    machine_server(const machine_server&) = delete;
    machine_server& operator=(const machine_server&) = delete;
    ~machine_server();

    [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
    [[nodiscard]] std::string binding() const {
        return "ncacn_ip_tcp:127.0.0.1[" + std::to_string(port()) + "]";
    }
    /// @return all connections that were accepted, in order.
    [[nodiscard]] const std::vector<std::shared_ptr<connection>>& connections() const {
        return connections_;
    }
    [[nodiscard]] std::size_t groups() const { return groups_.size(); }
    void stop_accepting() { acceptor_.close(); }

    /// Lets what comes from now on wait, or takes what has waited.
    void pause(bool wanted);

    bool answers = true; ///< Calls at once; else they are held.
    /// What is sent in place of the machine's answer to a PDU, which then does not reach it; an
    /// empty one is not sent. Nothing: the machine takes the PDU.
    std::function<std::optional<bytes>(rpch::byte_view pdu)> instead = [](auto) {
        return std::nullopt;
    };
    /// As `instead`: leaves PDUs of this type unanswered.
    void ignore(rpch::dcerpc::pdu_type type) {
        instead = [type](rpch::byte_view pdu) {
            return rpch::dcerpc::peek_type(pdu) == type ? std::optional<bytes>(bytes{})
                                                        : std::nullopt;
        };
    }

  private:
    void accept();
    void read(const std::shared_ptr<connection>& c);
    void take(connection& c);

    std::vector<rpch::dcerpc::offered_interface> offered_;
    rpch::dcerpc::association_groups groups_{7};
    rpch::dcerpc::server_association_options options_;
    asio::ip::tcp::acceptor acceptor_;
    std::vector<std::shared_ptr<connection>> connections_;
    bool paused_ = false;
};

} // namespace test

#endif
