// The 15 RTS commands and the flags of an RTS PDU, [MS-RPCH] 2.2.3.
#ifndef RPCH_RTS_COMMAND_HPP
#define RPCH_RTS_COMMAND_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <rpch/config.hpp>
#include <rpch/rts/cookie.hpp>

namespace rpch::inline RPCH_ABI::rts {

/// The common header and the RTS header behind it, [MS-RPCH] 2.2.3.6.1, bytes.
inline constexpr std::size_t header_bytes = 20;

/// Types of RTS commands, [MS-RPCH] 2.2.3.5. On the wire a u32 in front of the command's fields.
enum class command_type : std::uint8_t {
    receive_window_size = 0,
    flow_control_ack = 1,
    connection_timeout = 2,
    cookie = 3,
    channel_lifetime = 4,
    client_keepalive = 5,
    version = 6,
    empty = 7,
    padding = 8,
    negative_ance = 9,
    ance = 10,
    client_address = 11,
    association_group_id = 12,
    destination = 13,
    ping_traffic_sent_notify = 14,
};

/// Flags of the RTS header, [MS-RPCH] 2.2.3.6.1. Every PDU has one fixed value.
namespace flag {
inline constexpr std::uint16_t none = 0x0000;
inline constexpr std::uint16_t ping = 0x0001;
inline constexpr std::uint16_t other_cmd = 0x0002;
inline constexpr std::uint16_t recycle_channel = 0x0004;
inline constexpr std::uint16_t in_channel = 0x0008;
inline constexpr std::uint16_t out_channel = 0x0010;
inline constexpr std::uint16_t eof = 0x0020;
inline constexpr std::uint16_t echo = 0x0040;
inline constexpr std::uint16_t undefined = 0xFF80; ///< Never sent, refused on receipt.
} // namespace flag

/// Forward destinations, [MS-RPCH] 2.2.3.3: FDClient, FDInProxy, FDServer, FDOutProxy.
enum class destination : std::uint8_t {
    client = 0,
    inbound_proxy = 1,
    server = 2,
    outbound_proxy = 3
};

/// The acknowledgment structure, [MS-RPCH] 2.2.3.4. Whether its numbers can be true is the flow
/// control's to judge, not the decoder's.
struct flow_control_acknowledgment {
    std::uint32_t bytes_received = 0;   ///< Of the channel instance, until the PDU was sent.
    std::uint32_t available_window = 0; ///< Bytes that the receiver can take at that moment.
    cookie channel_cookie{};

    constexpr bool operator==(const flow_control_acknowledgment&) const noexcept = default;
};

/// How a command lies on the wire: `type`, then `numbers` u32 fields, then raw bytes.
struct command_form {
    std::string_view name;
    std::uint8_t bytes;   ///< With the type; the least for Padding and ClientAddress, which vary.
    std::uint8_t numbers; ///< Leading fields that follow the byte order of the PDU.
};

// clang-format off
/// Indexed by command_type. Padding adds ConformanceCount bytes, an IPv6 ClientAddress 12.
inline constexpr std::array<command_form, 15> command_forms{{
    {"ReceiveWindowSize",      8, 1},  // 2.2.3.5.1
    {"FlowControlAck",        28, 2},  // 2.2.3.5.2
    {"ConnectionTimeout",      8, 1},  // 2.2.3.5.3
    {"Cookie",                20, 0},  // 2.2.3.5.4
    {"ChannelLifetime",        8, 1},  // 2.2.3.5.5
    {"ClientKeepalive",        8, 1},  // 2.2.3.5.6
    {"Version",                8, 1},  // 2.2.3.5.7
    {"Empty",                  4, 0},  // 2.2.3.5.8
    {"Padding",                8, 1},  // 2.2.3.5.9
    {"NegativeANCE",           4, 0},  // 2.2.3.5.10
    {"ANCE",                   4, 0},  // 2.2.3.5.11
    {"ClientAddress",         24, 1},  // 2.2.3.5.12
    {"AssociationGroupId",    20, 0},  // 2.2.3.5.13
    {"Destination",            8, 1},  // 2.2.3.5.14
    {"PingTrafficSentNotify",  8, 1},  // 2.2.3.5.15
}};
// clang-format on

/// @return the form of a command.
[[nodiscard]] constexpr const command_form& form_of(command_type type) noexcept {
    return command_forms[static_cast<std::size_t>(type)];
}

} // namespace rpch::inline RPCH_ABI::rts

#endif
