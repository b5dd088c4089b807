// Who calls, as far as a service must know to allow it something.
#ifndef RPCH_SERVICES_CALLER_HPP
#define RPCH_SERVICES_CALLER_HPP

#include <array>
#include <cstdint>
#include <string>

#include <rpch/auth/security_context.hpp>
#include <rpch/config.hpp>

namespace rpch::inline RPCH_ABI::services {

/// The caller of an operation, filled by whoever received the call.
struct caller {
    /// The call came by ncacn_ip_tcp from this machine. Never set for ncacn_http, where a proxy
    /// says where a client is.
    bool local = false;
    /// The address of the peer; for ncacn_http what the proxy claims, for logs only.
    std::string address{};
    /// The IPv4 address of ours that the caller reached; 0.0.0.0 if it is not known.
    std::array<std::uint8_t, 4> reached{};
    /// Who calls, UTF-8, if a security context of the RPC level proved it; empty for calls without
    /// one and for anonymous callers. A name says nothing without its domain.
    std::string user{};
    /// NetBIOS domain or Kerberos realm of `user`, as the mechanism tells it.
    std::string domain{};
    /// How the call was protected on its way. Below `packet` nothing shows that it comes from
    /// `user` as it stands: somebody between may have changed it.
    auth::authentication_level level = auth::authentication_level::none;
};

} // namespace rpch::inline RPCH_ABI::services

#endif
