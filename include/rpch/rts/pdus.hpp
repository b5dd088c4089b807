// One struct for every RTS PDU of [MS-RPCH] 2.2.4, its fields in the order of its commands.
//
// Look-alikes (same flags and commands) are one type with several names. Receive windows and
// channel lifetimes are bytes, timeouts and keep-alive intervals milliseconds, as on the wire;
// rules.hpp turns what a peer sent into what may be used. Integers of any value decode.
#ifndef RPCH_RTS_PDUS_HPP
#define RPCH_RTS_PDUS_HPP

#include <cstdint>

#include <rpch/rts/client_address.hpp>
#include <rpch/rts/command.hpp>
#include <rpch/rts/cookie.hpp>
#include <rpch/rts/shape.hpp>

namespace rpch::inline RPCH_ABI::rts {

/// The only version there is, [MS-RPCH] 2.2.3.5.7. On receipt any value is taken; where a PDU
/// carries "the lower version", that is the lower of the number received and this one.
inline constexpr std::uint32_t protocol_version = 1;

// Opening a virtual connection.

/// CONN/A1, 2.2.4.2: client to outbound proxy, first PDU of an OUT request.
struct conn_a1 {
    static constexpr shape kind = shape::conn_a1;
    std::uint32_t version = protocol_version;
    cookie virtual_connection{};
    cookie out_channel{};
    std::uint32_t receive_window_size = 0; ///< The client's, for the OUT channel.
    bool operator==(const conn_a1&) const = default;
};

/// CONN/A2, 2.2.4.3: outbound proxy to server.
struct conn_a2 {
    static constexpr shape kind = shape::conn_a2;
    std::uint32_t version = protocol_version; ///< The lower of A1's and the proxy's.
    cookie virtual_connection{};
    cookie out_channel{};
    std::uint32_t channel_lifetime = 0;    ///< Of the OUT channel between proxy and client.
    std::uint32_t receive_window_size = 0; ///< The outbound proxy's.
    bool operator==(const conn_a2&) const = default;
};

/// CONN/A3, 2.2.4.4: outbound proxy to client.
struct conn_a3 {
    static constexpr shape kind = shape::conn_a3;
    std::uint32_t connection_timeout = 0; ///< Of the OUT channel between proxy and client.
    bool operator==(const conn_a3&) const = default;
};

/// CONN/B1, 2.2.4.5: client to inbound proxy, first PDU of an IN request.
struct conn_b1 {
    static constexpr shape kind = shape::conn_b1;
    std::uint32_t version = protocol_version;
    cookie virtual_connection{};
    cookie in_channel{};
    std::uint32_t channel_lifetime = 0; ///< Information only; the Content-Length counts.
    std::uint32_t client_keepalive = 0; ///< Wanted between inbound proxy and server.
    cookie association_group{};
    bool operator==(const conn_b1&) const = default;
};

/// CONN/B2, 2.2.4.6: inbound proxy to server.
struct conn_b2 {
    static constexpr shape kind = shape::conn_b2;
    std::uint32_t version = protocol_version; ///< The lower of B1's and the proxy's.
    cookie virtual_connection{};
    cookie in_channel{};
    std::uint32_t receive_window_size = 0; ///< The inbound proxy's.
    std::uint32_t connection_timeout = 0;  ///< Of the IN channel between client and proxy.
    cookie association_group{};
    rts::client_address client_address{}; ///< The client as the inbound proxy sees it.
    bool operator==(const conn_b2&) const = default;
};

/// CONN/B3, 2.2.4.7: server to inbound proxy.
struct conn_b3 {
    static constexpr shape kind = shape::conn_b3;
    std::uint32_t receive_window_size = 0;    ///< The server's, for the IN channel.
    std::uint32_t version = protocol_version; ///< The lowest of A2's, B2's and the server's.
    bool operator==(const conn_b3&) const = default;
};

/// CONN/C1, 2.2.4.8: server to outbound proxy. CONN/C2, 2.2.4.9: outbound proxy to client.
struct conn_c1 {
    static constexpr shape kind = shape::conn_c1;
    std::uint32_t version = protocol_version;
    std::uint32_t receive_window_size = 0; ///< The inbound proxy's, from B2.
    std::uint32_t connection_timeout = 0;  ///< The inbound proxy's, from B2.
    bool operator==(const conn_c1&) const = default;
};
using conn_c2 = conn_c1;

// Replacing the IN channel.

/// IN_R1/A1, 2.2.4.10, and IN_R2/A1, 2.2.4.18: client to (successor) inbound proxy.
struct in_r1_a1 {
    static constexpr shape kind = shape::in_r1_a1;
    std::uint32_t version = protocol_version;
    cookie virtual_connection{};
    cookie predecessor_channel{};
    cookie successor_channel{};
    bool operator==(const in_r1_a1&) const = default;
};
using in_r2_a1 = in_r1_a1;

/// IN_R1/A2, 2.2.4.11: successor inbound proxy to server.
struct in_r1_a2 {
    static constexpr shape kind = shape::in_r1_a2;
    std::uint32_t version = protocol_version; ///< The lower of A1's and the proxy's.
    cookie virtual_connection{};
    cookie predecessor_channel{};
    cookie successor_channel{};
    std::uint32_t receive_window_size = 0; ///< The successor proxy's.
    std::uint32_t connection_timeout = 0;  ///< The successor proxy's.
    bool operator==(const in_r1_a2&) const = default;
};

/// IN_R1/A3, 2.2.4.12: server to outbound proxy; IN_R1/A4, 2.2.4.13: the same, forwarded to the
/// client.
struct in_r1_a3 {
    static constexpr shape kind = shape::in_r1_a3;
    rts::destination destination = rts::destination::client;
    std::uint32_t version = protocol_version;
    std::uint32_t receive_window_size = 0; ///< The successor proxy's, from A2.
    std::uint32_t connection_timeout = 0;  ///< The successor proxy's, from A2.
    bool operator==(const in_r1_a3&) const = default;
};
using in_r1_a4 = in_r1_a3;

/// IN_R1/A5, 2.2.4.14, and IN_R2/A5, 2.2.4.22: client to (predecessor) inbound proxy.
/// IN_R1/A6, 2.2.4.15, and IN_R2/A2, 2.2.4.19: inbound proxy to server. OUT_R2/A4, 2.2.4.37:
/// outbound proxy to server.
struct in_r1_a5 {
    static constexpr shape kind = shape::in_r1_a5;
    cookie successor_channel{};
    bool operator==(const in_r1_a5&) const = default;
};
using in_r1_a6 = in_r1_a5;
using in_r2_a2 = in_r1_a5;
using in_r2_a5 = in_r1_a5;
using out_r2_a4 = in_r1_a5;

/// IN_R1/B1, 2.2.4.16: predecessor inbound proxy to server; its last PDU. An Empty command.
struct in_r1_b1 {
    static constexpr shape kind = shape::in_r1_b1;
    bool operator==(const in_r1_b1&) const = default;
};

/// IN_R1/B2, 2.2.4.17: server to successor inbound proxy.
struct in_r1_b2 {
    static constexpr shape kind = shape::in_r1_b2;
    std::uint32_t receive_window_size = 0; ///< The server's.
    bool operator==(const in_r1_b2&) const = default;
};

/// IN_R2/A3, 2.2.4.20: server to outbound proxy; IN_R2/A4, 2.2.4.21: the same, forwarded to the
/// client.
struct in_r2_a3 {
    static constexpr shape kind = shape::in_r2_a3;
    rts::destination destination = rts::destination::client;
    bool operator==(const in_r2_a3&) const = default;
};
using in_r2_a4 = in_r2_a3;

// Replacing the OUT channel.

/// OUT_R1/A1, 2.2.4.23, and OUT_R2/A1, 2.2.4.34: server to outbound proxy; OUT_R1/A2, 2.2.4.24, and
/// OUT_R2/A2, 2.2.4.35: the same, forwarded to the client.
struct out_r1_a1 {
    static constexpr shape kind = shape::out_r1_a1;
    rts::destination destination = rts::destination::client;
    bool operator==(const out_r1_a1&) const = default;
};
using out_r1_a2 = out_r1_a1;
using out_r2_a1 = out_r1_a1;
using out_r2_a2 = out_r1_a1;

/// OUT_R1/A3, 2.2.4.25, and OUT_R2/A3, 2.2.4.36: client to (successor) outbound proxy.
struct out_r1_a3 {
    static constexpr shape kind = shape::out_r1_a3;
    std::uint32_t version = protocol_version;
    cookie virtual_connection{};
    cookie predecessor_channel{};
    cookie successor_channel{};
    std::uint32_t receive_window_size = 0; ///< The client's, for the OUT channel.
    bool operator==(const out_r1_a3&) const = default;
};
using out_r2_a3 = out_r1_a3;

/// OUT_R1/A4, 2.2.4.26: successor outbound proxy to server.
struct out_r1_a4 {
    static constexpr shape kind = shape::out_r1_a4;
    std::uint32_t version = protocol_version; ///< The lower of A3's and the proxy's.
    cookie virtual_connection{};
    cookie predecessor_channel{};
    cookie successor_channel{};
    std::uint32_t channel_lifetime = 0;    ///< Of the successor between proxy and client.
    std::uint32_t receive_window_size = 0; ///< The successor proxy's.
    std::uint32_t connection_timeout = 0;  ///< The successor proxy's; information only.
    bool operator==(const out_r1_a4&) const = default;
};

/// OUT_R1/A5, 2.2.4.27: server to predecessor outbound proxy; OUT_R1/A6, 2.2.4.28: the same,
/// forwarded to the client.
struct out_r1_a5 {
    static constexpr shape kind = shape::out_r1_a5;
    rts::destination destination = rts::destination::client;
    std::uint32_t version = protocol_version;
    std::uint32_t connection_timeout = 0; ///< The successor proxy's.
    bool operator==(const out_r1_a5&) const = default;
};
using out_r1_a6 = out_r1_a5;

/// OUT_R1/A7, 2.2.4.29: client to inbound proxy; OUT_R1/A8, 2.2.4.30: the same, forwarded to the
/// server. OUT_R2/A8, 2.2.4.41: inbound proxy to server.
struct out_r1_a7 {
    static constexpr shape kind = shape::out_r1_a7;
    rts::destination destination = rts::destination::server;
    cookie successor_channel{};
    bool operator==(const out_r1_a7&) const = default;
};
using out_r1_a8 = out_r1_a7;
using out_r2_a8 = out_r1_a7;

/// OUT_R1/A9, 2.2.4.31, and OUT_R2/B1, 2.2.4.42: server to outbound proxy. OUT_R1/A10, 2.2.4.32:
/// predecessor outbound proxy to client. OUT_R1/A11, 2.2.4.33: client to successor outbound proxy.
/// An ANCE command.
struct out_r1_a9 {
    static constexpr shape kind = shape::out_r1_a9;
    bool operator==(const out_r1_a9&) const = default;
};
using out_r1_a10 = out_r1_a9;
using out_r1_a11 = out_r1_a9;
using out_r2_b1 = out_r1_a9;

/// OUT_R2/A5, 2.2.4.38: server to outbound proxy; OUT_R2/A6, 2.2.4.39: the same, forwarded to the
/// client.
struct out_r2_a5 {
    static constexpr shape kind = shape::out_r2_a5;
    rts::destination destination = rts::destination::client;
    bool operator==(const out_r2_a5&) const = default;
};
using out_r2_a6 = out_r2_a5;

/// OUT_R2/A7, 2.2.4.40: client to inbound proxy. The text gives the forwarded copy, A8, one command
/// less and yet forbids forwarders to change anything: a server takes both shapes for A8.
struct out_r2_a7 {
    static constexpr shape kind = shape::out_r2_a7;
    rts::destination destination = rts::destination::server;
    cookie successor_channel{};
    std::uint32_t version = protocol_version;
    bool operator==(const out_r2_a7&) const = default;
};

/// OUT_R2/B2, 2.2.4.43: server to outbound proxy. A NegativeANCE command: the successor is refused.
struct out_r2_b2 {
    static constexpr shape kind = shape::out_r2_b2;
    bool operator==(const out_r2_b2&) const = default;
};

/// OUT_R2/B3, 2.2.4.44: outbound proxy to client; the last PDU of the predecessor.
struct out_r2_b3 {
    static constexpr shape kind = shape::out_r2_b3;
    bool operator==(const out_r2_b3&) const = default;
};

/// OUT_R2/C1, 2.2.4.45: client to outbound proxy. Written with Empty: only that gives the size of
/// OUT_R1/A11, which the Content-Length of the request already counts. Read with Padding as well.
struct out_r2_c1 {
    static constexpr shape kind = shape::out_r2_c1;
    bool operator==(const out_r2_c1&) const = default;
};

// At any time.

/// Keep-Alive, 2.2.4.46: client to inbound proxy.
struct keep_alive {
    static constexpr shape kind = shape::keep_alive;
    std::uint32_t client_keepalive = 0; ///< The new interval between inbound proxy and server.
    bool operator==(const keep_alive&) const = default;
};

/// PingTrafficSentNotify, 2.2.4.47: outbound proxy to server.
struct ping_traffic_sent_notify {
    static constexpr shape kind = shape::ping_traffic_sent_notify;
    std::uint32_t ping_traffic_sent = 0; ///< Bytes of pings since the last notice.
    bool operator==(const ping_traffic_sent_notify&) const = default;
};

/// Echo, 2.2.4.48: the body of a proxy's echo response.
struct echo {
    static constexpr shape kind = shape::echo;
    bool operator==(const echo&) const = default;
};

/// Ping, 2.2.4.49: client to inbound proxy, outbound proxy to client.
struct ping {
    static constexpr shape kind = shape::ping;
    bool operator==(const ping&) const = default;
};

/// FlowControlAck, 2.2.4.50: between a proxy and the server, where a direct way exists.
struct flow_control_ack {
    static constexpr shape kind = shape::flow_control_ack;
    flow_control_acknowledgment ack{};
    bool operator==(const flow_control_ack&) const = default;
};

/// FlowControlAckWithDestination, 2.2.4.51: between client and a proxy, by forwarding.
struct flow_control_ack_with_destination {
    static constexpr shape kind = shape::flow_control_ack_with_destination;
    rts::destination destination = rts::destination::client;
    flow_control_acknowledgment ack{};
    bool operator==(const flow_control_ack_with_destination&) const = default;
};

} // namespace rpch::inline RPCH_ABI::rts

#endif
