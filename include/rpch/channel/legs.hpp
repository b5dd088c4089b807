// The hops of a virtual connection as a machine names them to its driver.
#ifndef RPCH_CHANNEL_LEGS_HPP
#define RPCH_CHANNEL_LEGS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <rpch/config.hpp>

namespace rpch::inline RPCH_ABI::channel {

/// The clock by which the driver tells time. Machines are told the time; they never read it.
using time_point = std::chrono::steady_clock::time_point;

/// One hop of a virtual connection as seen by one role, [MS-RPCH] 3.2.1.1.1. The client has the two
/// HTTP hops, the server the two TCP hops, each proxy one of both kinds. A successor is the
/// instance that is about to replace the default one of the same hop. A predecessor is one that was
/// replaced and is still needed: the server passes acknowledgements on to the outbound proxy that
/// still sends what it has (OUT_R1).
enum class leg : std::uint8_t {
    in_http,
    in_tcp,
    out_http,
    out_tcp,
    successor_in_http,
    successor_in_tcp,
    successor_out_http,
    successor_out_tcp,
    predecessor_out_tcp,
};

/// How many legs there are; for arrays indexed by `leg`.
inline constexpr std::size_t leg_count = 9;

/// @return the enumerator's name, for messages and traces.
[[nodiscard]] constexpr std::string_view name(leg l) noexcept {
    switch (l) {
    case leg::in_http: return "in_http";
    case leg::in_tcp: return "in_tcp";
    case leg::out_http: return "out_http";
    case leg::out_tcp: return "out_tcp";
    case leg::successor_in_http: return "successor_in_http";
    case leg::successor_in_tcp: return "successor_in_tcp";
    case leg::successor_out_http: return "successor_out_http";
    case leg::successor_out_tcp: return "successor_out_tcp";
    case leg::predecessor_out_tcp: return "predecessor_out_tcp";
    }
    return "unknown leg";
}

/// @return the leg of the successor of a default leg.
[[nodiscard]] constexpr leg successor_of(leg l) noexcept {
    return static_cast<leg>(static_cast<unsigned>(l) | 4U);
}

} // namespace rpch::inline RPCH_ABI::channel

#endif
