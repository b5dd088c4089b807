// Who hands an RTS PDU with a Destination command to whom, [MS-RPCH] 3.2.1.5.2.
#ifndef RPCH_RTS_FORWARDING_HPP
#define RPCH_RTS_FORWARDING_HPP

#include <array>
#include <cstddef>
#include <cstdint>

#include <rpch/rts/command.hpp>

namespace rpch::inline RPCH_ABI::rts {

/// The four roles of a virtual connection, [MS-RPCH] 1.3.2, numbered like `destination`.
enum class role : std::uint8_t { client = 0, inbound_proxy = 1, server = 2, outbound_proxy = 3 };

/// Finds the neighbour to hand a PDU to, [MS-RPCH] 3.2.1.5.2. The same answer serves the originator
/// and every forwarder; a forwarder changes nothing in the PDU.
/// @param me  the role that has the PDU.
/// @param to  what its Destination command says.
/// @return the next role on the way: `to` itself where a direct way exists (an originator uses it
/// and
///         must not forward); `me` if the PDU has arrived.
[[nodiscard]] constexpr role forward_next_hop(role me, destination to) noexcept {
    using enum role;
    // clang-format off
    constexpr std::array<std::array<role, 4>, 4> next{{
        //            to client       inbound proxy  server         outbound proxy
        /* client  */ {client,         inbound_proxy, inbound_proxy, inbound_proxy},
        /* inbound */ {server,         inbound_proxy, server,        server},
        /* server  */ {outbound_proxy, inbound_proxy, server,        outbound_proxy},
        /* outbound*/ {client,         server,        server,        outbound_proxy},
    }};
    // clang-format on
    return next[static_cast<std::size_t>(me)][static_cast<std::size_t>(to)];
}

} // namespace rpch::inline RPCH_ABI::rts

#endif
