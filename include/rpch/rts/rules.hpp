// What a receiver makes of odd values. The decoder judges form; these judge numbers.
#ifndef RPCH_RTS_RULES_HPP
#define RPCH_RTS_RULES_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>

#include <rpch/limits.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::rts {

/// Judges a peer's ReceiveWindowSize, bytes, [MS-RPCH] 2.2.3.5.1. Windows may be configured above
/// the text's maximum, and known clients send exactly the maximum: a larger one is used as the
/// maximum.
/// @return the window to use, 8 KiB to 256 KiB.
/// @errors errc::bad_value below 8 KiB, where fragments could not pass.
[[nodiscard]] inline result<std::uint32_t> check_receive_window(std::uint32_t bytes) noexcept {
    if (bytes < limits::receive_window_min) return fail(errc::bad_value);
    return std::min(bytes, limits::receive_window_max);
}

/// Brings a peer's ConnectionTimeout, milliseconds, into the range of the command, 2 min to 4 h,
/// [MS-RPCH] 2.2.3.5.3. (3.2.1.1.6.1 gives other ranges that the command cannot carry.)
[[nodiscard]] constexpr std::chrono::milliseconds
clamp_connection_timeout(std::uint32_t milliseconds) noexcept {
    return std::chrono::milliseconds{std::clamp(milliseconds, limits::connection_timeout_min_ms,
                                                limits::connection_timeout_max_ms)};
}

/// Brings a peer's ChannelLifetime, bytes, into the range of the command, 128 KiB to 2 GiB,
/// [MS-RPCH] 2.2.3.5.5.
[[nodiscard]] constexpr std::uint32_t clamp_channel_lifetime(std::uint32_t bytes) noexcept {
    return std::clamp(bytes, limits::channel_lifetime_min, limits::channel_lifetime_max);
}

/// @return what a ClientKeepalive, milliseconds, asks for, [MS-RPCH] 2.2.3.5.6: 0 means 5 min, and
/// what is
///         shorter than the text allows is raised to 1 min.
[[nodiscard]] constexpr std::chrono::milliseconds
effective_client_keepalive(std::uint32_t milliseconds) noexcept {
    if (milliseconds == 0) milliseconds = limits::client_keepalive_default_ms;
    return std::chrono::milliseconds{std::max(milliseconds, limits::client_keepalive_min_ms)};
}

} // namespace rpch::inline RPCH_ABI::rts

#endif
