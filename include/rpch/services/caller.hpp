// Who calls, as far as a service must know to allow it something.
#ifndef RPCH_SERVICES_CALLER_HPP
#define RPCH_SERVICES_CALLER_HPP

#include <array>
#include <cstdint>
#include <string>

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
};

} // namespace rpch::inline RPCH_ABI::services

#endif
