// Opens TCP connections: name resolution, every address in turn, one limit for all of it.
#ifndef RPCH_TRANSPORT_CONNECTOR_HPP
#define RPCH_TRANSPORT_CONNECTOR_HPP

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <rpch/http/head.hpp>
#include <rpch/limits.hpp>
#include <rpch/result.hpp>
#include <rpch/transport/executor.hpp>

namespace rpch::inline RPCH_ABI::transport {

/// Whom to connect to; a name or an address literal (IPv6 with or without brackets).
struct host_port {
    std::string host;
    std::uint16_t port = 0;

    /// @return `host:port`, for people.
    [[nodiscard]] std::string to_string() const { return host + ":" + std::to_string(port); }
};

/// Reads `host:port`; the last colon separates, an IPv6 host may stand in brackets.
/// @errors errc::bad_setting, also for a host that is neither address nor name: one with a port of
///         its own, a separator or a blank.
RPCH_DECL result<host_port> parse_host_port(std::string_view text);

/// One attempt to connect. The handler runs once, on the strand, never before `start` returned;
/// after `cancel` it is not run at all.
class connector : public std::enable_shared_from_this<connector> {
  public:
    /// @param ec      errc::name_not_found, errc::connect_failed or errc::setup_timeout.
    /// @param detail  for people: what was tried and what the system said.
    using handler =
        std::function<void(std::error_code ec, tcp::socket socket, const std::string& detail)>;

    connector(strand on, host_port peer, std::chrono::milliseconds limit, handler done);
    ~connector();
    /// Has the peer, which is an HTTP proxy then, open a tunnel (CONNECT, RFC 9110 9.3.6): the
    /// socket that the handler gets leads to `to`, which must not speak first. Before `start`. The
    /// limit holds for this, too; errc::http_proxy_refused if the proxy does not.
    void ask_for_tunnel(host_port to);
    void start();
    void cancel();

  private:
    void on_resolved(std::error_code ec, std::vector<tcp::endpoint> found);
    void try_next();
    [[nodiscard]] std::string unanswered() const;
    void send_tunnel_request();
    void read_tunnel_answer();
    void judge_tunnel_answer();
    void judge_tunnel_answer(const http::response_head& head, std::size_t behind);
    void tunnel_failed(const std::string& why);
    void finish(std::error_code ec, const std::string& detail);

    strand strand_;
    host_port peer_;
    std::chrono::milliseconds limit_;
    handler done_;
    tcp::resolver resolver_;
    tcp::socket socket_;
    timer timer_;
    std::vector<tcp::endpoint> endpoints_;
    std::size_t next_ = 0;
    std::string tried_;
    struct tunnel;
    std::unique_ptr<tunnel> tunnel_;
};

} // namespace rpch::inline RPCH_ABI::transport

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/impl/connector.ipp>
#endif

#endif
