// A target of a proxy that is a plain DCE/RPC server.
#ifndef RPCH_PROXY_TCP_BACKEND_HPP
#define RPCH_PROXY_TCP_BACKEND_HPP

#include <string_view>

#include <rpch/result.hpp>
#include <rpch/transport/connector.hpp>

namespace rpch::inline RPCH_ABI {

/// A target that is not reached by RPC over HTTP: the proxy ends [MS-RPCH] itself, as its server
/// role, and passes the DCE/RPC stream on to a server on `ncacn_ip_tcp`, unchanged.
struct tcp_backend {
    transport::host_port target;  ///< What clients write: server name and port of their binding.
    transport::host_port address; ///< Where the server listens.

    /// @param asked  of a request, IPv6 literals without brackets; compared as `valid_ports` does:
    ///               as text, case aside.
    [[nodiscard]] RPCH_DECL bool serves(const transport::host_port& asked) const noexcept;
};

/// Reads `host:port=host:port`, target and address.
/// @errors errc::bad_setting.
[[nodiscard]] RPCH_DECL result<tcp_backend> parse_tcp_backend(std::string_view text);

} // namespace rpch::inline RPCH_ABI

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/proxy/impl/tcp_backend.ipp>
#endif

#endif
