#include <rpch/transport/tcp_keep_alive.hpp>

#include <algorithm>
#include <system_error>

#include <asio/socket_base.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>

namespace rpch::inline RPCH_ABI::transport {

RPCH_DECL void set_tcp_keep_alive(tcp::socket& socket, std::chrono::milliseconds interval) {
    std::error_code ignored; // keep-alive is a safety net: without it the connection still works
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
#if defined(TCP_KEEPIDLE) && defined(TCP_KEEPINTVL)
    using idle = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>;
    using between = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>;
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(interval).count();
    // The kernel's upper bound is 32767 s.
    const int value = static_cast<int>(std::clamp<long long>(seconds, 1, 32767));
    socket.set_option(idle(value), ignored);
    socket.set_option(between(std::max(1, value / 8)), ignored);
#endif
}

} // namespace rpch::inline RPCH_ABI::transport
