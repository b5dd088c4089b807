// What every channel machine offers to its driver, and what the four of them share.
#ifndef RPCH_CHANNEL_MACHINE_HPP
#define RPCH_CHANNEL_MACHINE_HPP

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <system_error>

#include <rpch/channel/actions.hpp>
#include <rpch/channel/legs.hpp>
#include <rpch/core/split_view.hpp>
#include <rpch/limits.hpp>
#include <rpch/rts/codec.hpp>

namespace rpch::inline RPCH_ABI::channel {

/// A channel machine: events in, actions out, no I/O. Each event function appends to `out` and
/// returns the error that closed the machine, or none while it lives. A closed machine answers
/// every event with that error and appends nothing. `action::failed` is appended exactly once, by
/// the event that closes. Events:
///
/// `start(now, out)`: the first event; arms the deadlines, a client opens its channels.
/// `on_connected(leg, now, out)`: an `action::open` is done (client: the request head is written
/// too; a successor's, with its cookie: `on_successor_connected`). `on_pdu(leg, pdu, now, out)`:
/// one whole PDU was read; `pdu.first` holds at least its first 24
///   bytes, and the whole of an RTS PDU. Borrowed until the actions are performed (`forward`,
///   `deliver`).
/// `on_written(leg, rpc_bytes, now, out)`: RPC bytes forwarded or sent on that leg, always whole
/// PDUs,
///   have reached the socket.
/// `on_closed(leg, why, now, out)`: the leg ended. No error, or errc::channel_closed, is an orderly
///   end; every other value is reported unchanged.
/// `on_deadline(now, out)`: call it at `next_deadline()` or later; calling it early does no harm.
/// `legs`: the hops that the role has, in the order in which they are flushed.
/// `wants_input(leg)`: whether to go on reading that leg. False only after the peer has overrun its
///   receive window; PDUs already read may still be handed in, at the price of the memory they
///   take.
template <class T>
concept machine = requires(T m, const T& c, leg l, const core::split_view& pdu, std::size_t bytes,
                           std::error_code why, time_point now, action_list& out) {
    { m.start(now, out) } -> std::same_as<std::error_code>;
    { m.on_connected(l, now, out) } -> std::same_as<std::error_code>;
    { m.on_pdu(l, pdu, now, out) } -> std::same_as<std::error_code>;
    { m.on_written(l, bytes, now, out) } -> std::same_as<std::error_code>;
    { m.on_closed(l, why, now, out) } -> std::same_as<std::error_code>;
    { m.on_deadline(now, out) } -> std::same_as<std::error_code>;
    { c.next_deadline() } -> std::same_as<std::optional<time_point>>;
    { c.wants_input(l) } -> std::same_as<bool>;
    { c.ended_with() } -> std::same_as<std::error_code>;
    { T::legs.front() } -> std::convertible_to<leg>;
};

/// A machine at an end of the virtual connection, with an upper layer above it.
///
/// `send_credit()`: bytes of whole RPC PDUs that may be sent now; 0 while closed.
/// `on_rpc_sent(bytes, now, out)`: one whole RPC PDU of so many bytes, within the credit, was given
/// to
///   the sending leg.
/// `on_rpc_waiting(bytes, now, out)`: the upper layer has a PDU of so many bytes that the credit
/// does
///   not cover. Nothing happens if an acknowledgement can help; the machine fails if none can
///   (errc::lifetime_exceeded, errc::too_large).
/// `on_consumed(bytes, now, out)`: the upper layer has taken so many delivered RPC bytes.
/// `close(now, out)`: the upper layer closes the virtual connection.
template <class T>
concept endpoint = machine<T> &&
    requires(T m, const T& c, std::size_t bytes, time_point now, action_list& out) {
    { c.send_credit() } -> std::same_as<std::size_t>;
    { m.on_rpc_sent(bytes, now, out) } -> std::same_as<std::error_code>;
    { m.on_rpc_waiting(bytes, now, out) } -> std::same_as<std::error_code>;
    { m.on_consumed(bytes, now, out) } -> std::same_as<std::error_code>;
    { m.close(now, out) } -> std::same_as<std::error_code>;
};

/// One transition of a state table: in `from`, the RTS PDU `on` read from `where` runs `effect` and
/// leads to `to`. What no row lists is errc::unexpected_pdu.
template <class Machine, class State>
struct transition {
    using effect_type = std::error_code (Machine::*)(const rts::pdu&, time_point, action_list&);
    State from;
    leg where;
    rts::shape on;
    effect_type effect;
    State to;
    const char* section; ///< Of [MS-RPCH].
    const char* what;    ///< The PDU's name here, and what follows from it.
};

/// @return the row for this state, leg and shape; null if the table has none.
template <class Row, class State>
[[nodiscard]] const Row* find_transition(std::span<const Row> table, State from, leg where,
                                         rts::shape on) noexcept {
    for (const Row& row : table)
        if (row.from == from && row.where == where && row.on == on) return &row;
    return nullptr;
}

/// How a machine ended.
class ending {
  public:
    /// Notes the end and tells the driver,
    /// [MS-RPCH] 3.2.2.5.11, 3.2.3.5.10, 3.2.4.5.14, 3.2.5.5.13.
    /// @return `why`, for the event function to return.
    std::error_code end(std::error_code why, leg where, action_list& out) {
        why_ = why;
        out.push_back(action::failed{why, where});
        return why;
    }
    [[nodiscard]] std::error_code why() const noexcept { return why_; }
    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(why_); }

  private:
    std::error_code why_;
};

/// @return what an acknowledgement of either form says, [MS-RPCH] 2.2.4.50 and 2.2.4.51; `in` must
/// be one.
[[nodiscard]] inline rts::flow_control_acknowledgment
acknowledgment_in(const rts::pdu& in) noexcept {
    return in.kind() == rts::shape::flow_control_ack
               ? rts::get<rts::flow_control_ack>(in).ack
               : rts::get<rts::flow_control_ack_with_destination>(in).ack;
}

/// @return a ConnectionTimeout of ours brought into the command's range, 2.2.3.5.3: 3.2.1.1.6.1
/// starts with
///         30 s, which no PDU can carry.
[[nodiscard]] constexpr std::chrono::milliseconds
clamp_timeout(std::chrono::milliseconds timeout) noexcept {
    return std::clamp(timeout, std::chrono::milliseconds{limits::connection_timeout_min_ms},
                      std::chrono::milliseconds{limits::connection_timeout_max_ms});
}

/// @return the error to report for a leg that ended with `why`: an orderly end has a name, too.
[[nodiscard]] inline std::error_code closing_reason(std::error_code why) noexcept {
    return why ? why : make_error_code(errc::channel_closed);
}

/// @return the earlier of two deadlines that may not be set.
[[nodiscard]] inline std::optional<time_point> earlier(std::optional<time_point> a,
                                                       std::optional<time_point> b) noexcept {
    if (!a) return b;
    if (!b) return a;
    return *a < *b ? a : b;
}

} // namespace rpch::inline RPCH_ABI::channel

#endif
