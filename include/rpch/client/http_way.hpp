// The way of a client to the RPC proxy: directly, or through an HTTP proxy.
#ifndef RPCH_CLIENT_HTTP_WAY_HPP
#define RPCH_CLIENT_HTTP_WAY_HPP

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <rpch/channel/proxy_use.hpp>
#include <rpch/http/head.hpp>
#include <rpch/transport/channel_driver.hpp>
#include <rpch/transport/connector.hpp>
#include <rpch/transport/tls_context.hpp>

namespace rpch::inline RPCH_ABI::detail {

/// An HTTP proxy (`HttpProxy=` in a binding), and whether it has to be used. Connections of one
/// client share it: the first one that opens finds out for all.
struct http_way {
    transport::host_port proxy;
    /// Nothing until it was determined; true from the beginning with
    /// `HttpConnectionOption=UseHttpProxy`.
    std::optional<bool> must_use;

    [[nodiscard]] bool through_proxy() const noexcept { return must_use.value_or(false); }
};

/// @return the value of the Host header for a server: brackets around an IPv6 address, no port
/// where it is the usual one.
[[nodiscard]] RPCH_DECL std::string host_header(const transport::host_port& server, bool tls);

/// @return a connector to the RPC proxy. Through an HTTP proxy it asks for a tunnel if TLS follows;
///         plain requests go to the HTTP proxy and name the RPC proxy (`origin_for_http_proxy`).
/// @param http_proxy  null for the direct way.
/// @param limit       for all of it.
[[nodiscard]] RPCH_DECL std::shared_ptr<transport::connector>
connect_by(const transport::strand& on, const transport::host_port* http_proxy,
           const transport::host_port& rpc_proxy, bool tls, std::chrono::milliseconds limit,
           transport::connector::handler done);

/// @return what stands before the path of a request that an HTTP proxy reads, RFC 9112 3.2.2; empty
///         over TLS, where it reads none.
[[nodiscard]] RPCH_DECL std::string origin_for_http_proxy(const transport::host_port& rpc_proxy,
                                                          bool tls);

/// Proxy-use determination, [MS-RPCH] 3.2.2.4.1.1: an echo request on both ways at once, and
/// `channel::proxy_use` decides. On one strand; its own operations keep it.
class way_finder : public std::enable_shared_from_this<way_finder> {
  public:
    struct question {
        transport::host_port rpc_proxy;
        transport::host_port server; ///< Stands in the query of the request.
        transport::host_port http_proxy;
        std::shared_ptr<transport::tls_context> tls; ///< Null for plain HTTP.
        std::chrono::milliseconds limit;             ///< For the first answer.
    };
    /// @param through_proxy  the decision; with an error, nothing.
    /// @param ec      of the way that came furthest, if both failed.
    /// @param detail  why both ways failed, for people.
    using handler =
        std::function<void(std::error_code ec, bool through_proxy, const std::string& detail)>;

    way_finder(std::shared_ptr<transport::strand_context> context, question what, handler done);
    ~way_finder();
    /// The handler runs once, never from within this, unless `cancel` comes before.
    void start();
    void cancel();

  private:
    using way = channel::proxy_use::way;
    class attempt;

    void on_answer(way on);
    void on_failed(way on, std::error_code ec, const std::string& why);
    void arm_timer();
    void tell_if_decided();
    void end_attempts();

    std::shared_ptr<transport::strand_context> context_;
    question what_;
    handler done_;
    std::optional<channel::proxy_use> machine_;
    transport::timer timer_;
    std::array<std::shared_ptr<attempt>, 2> attempts_; // by `way`
    struct failed_way {
        std::error_code code;
        std::string detail;
    };
    std::array<failed_way, 2> failures_;
};

} // namespace rpch::inline RPCH_ABI::detail

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/client/impl/http_way.ipp>
#endif

#endif
