// TCP keep-alive of one socket, [MS-RPCH] 3.2.3.2.1.
#ifndef RPCH_TRANSPORT_TCP_KEEP_ALIVE_HPP
#define RPCH_TRANSPORT_TCP_KEEP_ALIVE_HPP

#include <chrono>

#include <rpch/transport/executor.hpp>

namespace rpch::inline RPCH_ABI::transport {

/// Switches TCP keep-alive on; the first probe comes after `interval`, rounded up to what the stack
/// can (seconds; M16). A stack without per-socket settings keeps its own interval.
RPCH_DECL void set_tcp_keep_alive(tcp::socket& socket, std::chrono::milliseconds interval);

} // namespace rpch::inline RPCH_ABI::transport

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/impl/tcp_keep_alive.ipp>
#endif

#endif
