// What tells RTS PDUs apart: flags and command types, [MS-RPCH] 2.2.4.1.
#ifndef RPCH_RTS_SHAPE_HPP
#define RPCH_RTS_SHAPE_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include <rpch/result.hpp>
#include <rpch/rts/command.hpp>

namespace rpch::inline RPCH_ABI::rts {

/// The RTS PDUs of [MS-RPCH] 2.2.4. An RTS PDU has no name on the wire, and some have the same
/// flags and commands: their enumerators have the same value, and the state of the receiver tells
/// which is meant.
// clang-format off
enum class shape : std::uint8_t {
    conn_a1, conn_a2, conn_a3, conn_b1, conn_b2, conn_b3, conn_c1,
    in_r1_a1, in_r1_a2, in_r1_a3, in_r1_a5, in_r1_b1, in_r1_b2,
    in_r2_a3,
    out_r1_a1, out_r1_a3, out_r1_a4, out_r1_a5, out_r1_a7, out_r1_a9,
    out_r2_a5, out_r2_a7, out_r2_b2, out_r2_b3, out_r2_c1,
    keep_alive, ping_traffic_sent_notify, echo, ping,
    flow_control_ack, flow_control_ack_with_destination,

    conn_c2 = conn_c1,
    in_r1_a4 = in_r1_a3,
    in_r1_a6 = in_r1_a5,
    in_r2_a1 = in_r1_a1,
    in_r2_a2 = in_r1_a5,
    in_r2_a4 = in_r2_a3,
    in_r2_a5 = in_r1_a5,
    out_r1_a2 = out_r1_a1,
    out_r1_a6 = out_r1_a5,
    out_r1_a8 = out_r1_a7,
    out_r1_a10 = out_r1_a9,
    out_r1_a11 = out_r1_a9,
    out_r2_a1 = out_r1_a1,
    out_r2_a2 = out_r1_a1,
    out_r2_a3 = out_r1_a3,
    out_r2_a4 = in_r1_a5,
    out_r2_a6 = out_r2_a5,
    out_r2_a8 = out_r1_a7,
    out_r2_b1 = out_r1_a9,
};
// clang-format on

/// A row of [MS-RPCH] 2.2.4: what a PDU looks like on the wire.
struct shape_definition {
    shape kind;
    std::string_view names; ///< The specification's, all look-alikes: "CONN/C1, CONN/C2".
    std::uint16_t flags;
    std::uint8_t count;
    std::array<command_type, 7> types; ///< The first `count`, in order.

    [[nodiscard]] constexpr std::span<const command_type> commands() const noexcept {
        return std::span(types).first(count);
    }
};

namespace detail {
consteval shape_definition define(shape kind, std::string_view names, std::uint16_t flags,
                                  std::initializer_list<command_type> types) {
    shape_definition out{kind, names, flags, static_cast<std::uint8_t>(types.size()), {}};
    std::ranges::copy(types, out.types.begin());
    return out;
}

consteval std::array<shape_definition, 31> make_shape_definitions() {
    using enum command_type;
    constexpr std::uint16_t none = flag::none;
    constexpr std::uint16_t recycle = flag::recycle_channel;
    constexpr std::uint16_t in = flag::in_channel;
    constexpr std::uint16_t out = flag::out_channel;
    constexpr std::uint16_t other = flag::other_cmd;
    constexpr command_type window = receive_window_size;
    constexpr command_type timeout = connection_timeout;
    constexpr command_type lifetime = channel_lifetime;
    constexpr command_type group = association_group_id;
    // clang-format off
    return {{
        define(shape::conn_a1,   "CONN/A1",                none, {version, cookie, cookie, window}),
        define(shape::conn_a2,   "CONN/A2",                out,  {version, cookie, cookie, lifetime, window}),
        define(shape::conn_a3,   "CONN/A3",                none, {timeout}),
        define(shape::conn_b1,   "CONN/B1",                none, {version, cookie, cookie, lifetime, client_keepalive, group}),
        define(shape::conn_b2,   "CONN/B2",                in,   {version, cookie, cookie, window, timeout, group, client_address}),
        define(shape::conn_b3,   "CONN/B3",                none, {window, version}),
        define(shape::conn_c1,   "CONN/C1, CONN/C2",       none, {version, window, timeout}),
        define(shape::in_r1_a1,  "IN_R1/A1, IN_R2/A1",     recycle, {version, cookie, cookie, cookie}),
        define(shape::in_r1_a2,  "IN_R1/A2",               recycle | in, {version, cookie, cookie, cookie, window, timeout}),
        define(shape::in_r1_a3,  "IN_R1/A3, IN_R1/A4",     none, {destination, version, window, timeout}),
        define(shape::in_r1_a5,  "IN_R1/A5, IN_R1/A6, IN_R2/A2, IN_R2/A5, OUT_R2/A4", none, {cookie}),
        define(shape::in_r1_b1,  "IN_R1/B1",               none, {empty}),
        define(shape::in_r1_b2,  "IN_R1/B2",               none, {window}),
        define(shape::in_r2_a3,  "IN_R2/A3, IN_R2/A4",     none, {destination}),
        define(shape::out_r1_a1, "OUT_R1/A1, OUT_R1/A2, OUT_R2/A1, OUT_R2/A2", recycle, {destination}),
        define(shape::out_r1_a3, "OUT_R1/A3, OUT_R2/A3",   recycle, {version, cookie, cookie, cookie, window}),
        define(shape::out_r1_a4, "OUT_R1/A4",              recycle | out, {version, cookie, cookie, cookie, lifetime, window, timeout}),
        define(shape::out_r1_a5, "OUT_R1/A5, OUT_R1/A6",   out,  {destination, version, timeout}),
        define(shape::out_r1_a7, "OUT_R1/A7, OUT_R1/A8, OUT_R2/A8", out, {destination, cookie}),
        define(shape::out_r1_a9, "OUT_R1/A9, OUT_R1/A10, OUT_R1/A11, OUT_R2/B1", none, {ance}),
        define(shape::out_r2_a5, "OUT_R2/A5, OUT_R2/A6",   none, {destination, ance}),
        define(shape::out_r2_a7, "OUT_R2/A7",              out,  {destination, cookie, version}),
        define(shape::out_r2_b2, "OUT_R2/B2",              none, {negative_ance}),
        define(shape::out_r2_b3, "OUT_R2/B3",              flag::eof, {ance}),
        define(shape::out_r2_c1, "OUT_R2/C1",              flag::ping, {empty}),
        define(shape::keep_alive, "Keep-Alive",            other, {client_keepalive}),
        define(shape::ping_traffic_sent_notify, "PingTrafficSentNotify", other, {ping_traffic_sent_notify}),
        define(shape::echo,      "Echo",                   flag::echo, {}),
        define(shape::ping,      "Ping",                   flag::ping, {}),
        define(shape::flow_control_ack, "FlowControlAck",  other, {flow_control_ack}),
        define(shape::flow_control_ack_with_destination, "FlowControlAckWithDestination", other, {destination, flow_control_ack}),
    }};
    // clang-format on
}
} // namespace detail

/// Every shape with its flags and commands, [MS-RPCH] 2.2.4.2 to 2.2.4.51; indexed by `shape`.
/// OUT_R2/C1 stands here with the Empty command; a peer may send Padding in its place (2.2.4.45),
/// and `find_shape` knows that.
inline constexpr auto shape_definitions = detail::make_shape_definitions();

/// Every distinct shape once.
inline constexpr auto all_shapes = [] {
    std::array<shape, shape_definitions.size()> out{};
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<shape>(i);
    return out;
}();

/// @return flags and commands of a shape.
[[nodiscard]] constexpr const shape_definition& definition_of(shape kind) noexcept {
    return shape_definitions[static_cast<std::size_t>(kind)];
}

/// @return the specification's names of a shape, all look-alikes: "CONN/C1, CONN/C2".
[[nodiscard]] constexpr std::string_view name(shape kind) noexcept {
    return definition_of(kind).names;
}

/// Finds the shape of flags and command types, [MS-RPCH] 2.2.4.1. Nothing is passed over: a Padding
/// command changes the shape, except that it may stand for Empty in OUT_R2/C1.
/// @errors errc::unknown_shape if no row of 2.2.4 has them.
RPCH_DECL result<shape> find_shape(std::uint16_t flags,
                                   std::span<const command_type> types) noexcept;

} // namespace rpch::inline RPCH_ABI::rts

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/rts/impl/shape.ipp>
#endif

#endif
