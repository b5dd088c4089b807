// The connections of a server: virtual connections behind RPC proxies, plain TCP, and newcomers.
#ifndef RPCH_SERVER_SESSIONS_HPP
#define RPCH_SERVER_SESSIONS_HPP

#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <rpch/channel/server.hpp>
#include <rpch/server/served_calls.hpp>
#include <rpch/server/server_settings.hpp>
#include <rpch/transport/channel_driver.hpp>
#include <rpch/transport/link.hpp>

namespace rpch::inline RPCH_ABI::detail {

class virtual_connection;

/// @return the address of the peer, for logs.
RPCH_DECL std::string address_text(const transport::tcp::socket& socket);

/// Anything a closing server must end.
class closable {
  public:
    virtual ~closable() = default;
    virtual void end() = 0;
};

/// What the connections of one server share. Lives as long as the last of them.
struct server_shared {
    explicit server_shared(const transport::executor& on, std::uint32_t first_group,
                           std::uint64_t hash_seed)
        : context(std::make_shared<transport::strand_context>(on)),
          interfaces(std::make_shared<served_interfaces>(first_group)),
          table(16, rts::cookie_hash{hash_seed}) {}

    std::shared_ptr<transport::strand_context> context;
    std::shared_ptr<served_interfaces> interfaces;
    server_settings settings;
    std::size_t tcp_connections = 0;
    std::unordered_set<closable*> live;
    /// The virtual connections by cookie, [MS-RPCH] 3.2.1.1.2.
    std::unordered_map<rts::cookie, virtual_connection*, rts::cookie_hash> table;

    void log(const std::string& line) const {
        if (settings.log) settings.log(line);
    }
};

/// Counts one TCP connection of a server as long as it lives.
class connection_count {
  public:
    explicit connection_count(std::shared_ptr<server_shared> shared) : shared_(std::move(shared)) {
        ++shared_->tcp_connections;
    }
    connection_count(const connection_count&) = delete;
    connection_count& operator=(const connection_count&) = delete;
    ~connection_count() { --shared_->tcp_connections; }

  private:
    std::shared_ptr<server_shared> shared_;
};

/// A TCP connection on an `ncacn_http` port until its first PDU tells where it belongs: sends the
/// banner, reads one PDU, hands the link over. [MS-RPCH] 3.2.5.5.1.
class newcomer final : public transport::link_owner,
                       public closable,
                       public std::enable_shared_from_this<newcomer> {
  public:
    explicit newcomer(std::shared_ptr<server_shared> shared);
    ~newcomer() override;
    void start(transport::tcp::socket socket);
    void end() override;

    void on_secured(transport::link&) override {}
    void on_input(transport::link& from) override;
    void on_writable(transport::link& from) override { from.flush(); }
    void on_closed(transport::link& from, std::error_code why) override;
    std::shared_ptr<transport::link_owner> keep_alive() override { return shared_from_this(); }

  private:
    void refuse(std::error_code why);

    void log(std::error_code why) const;

    std::shared_ptr<server_shared> shared_;
    std::shared_ptr<transport::link> link_;
    transport::timer timer_;
    std::string address_;     // of the peer, for logs
    bool has_spoken_ = false; // who only looks whether the port is open is not worth a line
};

/// The server's end of a virtual connection: both halves, the machine, the calls.
class virtual_connection final : public transport::channel_driver<channel::server>,
                                 public call_sink,
                                 public closable {
  public:
    virtual_connection(std::shared_ptr<server_shared> shared, const rts::cookie& cookie);
    ~virtual_connection() override;
    void start();
    /// Gives the connection one of its halves with the PDU still in its input.
    void adopt(channel::leg half, std::shared_ptr<transport::link> from);
    void end() override;

    void respond(std::uint32_t call_id, std::vector<std::byte> stub) override;
    void fault(std::uint32_t call_id, rpc_status status) override;

  protected:
    void open_leg(channel::leg) override {}
    bool past_preamble(channel::leg, transport::link&) override { return true; }
    void deliver(const core::split_view& pdu) override;
    void opened() override;
    void produce() override;
    void failed(std::error_code why, channel::leg where, const std::string& detail) override;

  private:
    std::shared_ptr<virtual_connection> self() {
        return std::static_pointer_cast<virtual_connection>(shared_from_this());
    }

    std::shared_ptr<server_shared> shared_;
    rts::cookie cookie_;
    served_calls calls_;
    std::error_code association_ended_;
};

/// A client on `ncacn_ip_tcp`.
class tcp_connection final : public transport::link_owner,
                             public call_sink,
                             public closable,
                             public std::enable_shared_from_this<tcp_connection> {
  public:
    tcp_connection(std::shared_ptr<server_shared> shared, std::string client_address);
    ~tcp_connection() override;
    void start(transport::tcp::socket socket);
    void end() override;

    void on_secured(transport::link&) override {}
    void on_input(transport::link& from) override;
    void on_writable(transport::link&) override { send(); }
    void on_closed(transport::link& from, std::error_code why) override;
    std::shared_ptr<transport::link_owner> keep_alive() override { return shared_from_this(); }

    void respond(std::uint32_t call_id, std::vector<std::byte> stub) override;
    void fault(std::uint32_t call_id, rpc_status status) override;

  private:
    void send();
    void finish(std::error_code why);
    void log(std::error_code why) const;

    std::shared_ptr<server_shared> shared_;
    served_calls calls_;
    std::shared_ptr<transport::link> link_;
    transport::timer timer_;
    connection_count count_;
    bool busy_ = false;
    bool within_pdu_ = false; // some of a PDU has come, not all
};

} // namespace rpch::inline RPCH_ABI::detail

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/server/impl/sessions.ipp>
#endif

#endif
