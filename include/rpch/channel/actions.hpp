// What a channel machine asks of its driver.
#ifndef RPCH_CHANNEL_ACTIONS_HPP
#define RPCH_CHANNEL_ACTIONS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <system_error>
#include <variant>
#include <vector>

#include <rpch/channel/legs.hpp>
#include <rpch/error.hpp>
#include <rpch/rts/codec.hpp>

namespace rpch::inline RPCH_ABI::channel {

/// The actions, performed in the order of the list. What is sent on one leg leaves in that order.
namespace action {

/// Open a leg: a proxy connects to the server by TCP; a client sets up TCP, TLS and authentication
/// to the proxy and writes the request head. Answered by `on_connected` or `on_closed`.
struct open {
    leg which;
    bool operator==(const open&) const = default;
};
/// Send an RTS PDU that the machine made.
struct send {
    leg to;
    rts::wire pdu;
};
/// Send an RPC PDU that had to wait in the machine's queue; ownership moves to the driver, which
/// reports its bytes by `on_written` like those of a forwarded one.
struct send_rpc {
    leg to;
    std::vector<std::byte> pdu;
};
/// Send the PDU now being handled (RTS or RPC) unchanged. Its bytes stay the driver's: no copy.
struct forward {
    leg to;
    bool operator==(const forward&) const = default;
};
/// Hand the RPC PDU now being handled to the upper layer (client, server).
struct deliver {
    bool operator==(const deliver&) const = default;
};
/// Write the head of the successful OUT response; what is sent afterwards is its body.
struct respond {
    leg to;
    std::uint32_t content_length; ///< Bytes of the body: the channel's lifetime.
    bool operator==(const respond&) const = default;
};
/// Write a failure response with this status, [MS-RPCH] 2.1.2.1.3, then close the leg.
struct refuse {
    leg to;
    rpc_status status;
    bool operator==(const refuse&) const = default;
};
/// Set the TCP keep-alive interval of a leg, [MS-RPCH] 3.2.3.2.1.
struct keep_alive {
    leg on;
    std::chrono::milliseconds interval;
    bool operator==(const keep_alive&) const = default;
};
/// Close a leg once everything sent on it before has been written; it brings nothing any more.
struct close {
    leg which;
    bool operator==(const close&) const = default;
};
/// The successor of a leg becomes its default. The predecessor goes: what was sent on it before is
/// still written, and what it still brings is ignored ([MS-RPCH] 3.2.2.5.8, 3.2.2.5.10). Nothing is
/// told of it any more, bytes that reach its socket later included.
struct promote {
    leg which;              ///< in_http, in_tcp, out_http or out_tcp.
    bool set_aside = false; ///< The predecessor becomes predecessor_out_tcp (out_tcp only).
    bool operator==(const promote&) const = default;
};
/// The virtual connection is open; for a successor, it has taken over.
struct opened {
    bool operator==(const opened&) const = default;
};
/// The machine is finished; the driver closes every leg that an earlier `close` or `refuse` does
/// not already close in its own way. The last action of a machine, and the only one of its kind.
struct failed {
    std::error_code why;
    leg where; ///< The leg on which it was noticed.
    bool operator==(const failed&) const = default;
};
/// More RPC bytes may be sent: pull PDUs from the upper layer (client, server).
struct sendable {
    bool operator==(const sendable&) const = default;
};

using any = std::variant<open, send, send_rpc, forward, deliver, respond, refuse, keep_alive, close,
                         promote, opened, failed, sendable>;

} // namespace action

/// Actions in order. The caller owns the list, clears it between events and reuses it.
using action_list = std::vector<action::any>;

} // namespace rpch::inline RPCH_ABI::channel

#endif
