#include <rpch/channel/outbound_proxy.hpp>

#include <algorithm>
#include <utility>

#include <rpch/dcerpc/common_header.hpp>
#include <rpch/rts/forwarding.hpp>
#include <rpch/rts/rules.hpp>

namespace rpch::inline RPCH_ABI::channel {

/// OUT_R1/A10 or OUT_R2/B3.
inline constexpr std::size_t last_pdu_bytes = 24;

RPCH_DECL std::span<const outbound_proxy::row> outbound_proxy::table() noexcept {
    using enum state;
    using enum leg;
    using enum rts::shape;
    using me = outbound_proxy;
    // clang-format off
    // PDUs for the client are not listed: they are forwarded before the table is asked (3.2.1.5.2).
    static constexpr row rows[] = {
        // from,      on,                 PDU,                               effect,                 to
        {open_start,   out_http,           conn_a1,                           &me::connect,            connecting,    "3.2.4.5.3", "CONN/A1: connect to the server; then A2, the response head, A3, C1W"},
        {open_start,   out_http,           out_r1_a3,                         &me::connect_successor,  connecting_r1, "3.2.4.5.6.2", "OUT_R1/A3: connect to the server; then A4, plug OUT-H, A11W"},
        {c1w,          out_tcp,            conn_c1,                           &me::pass_c2,            opened,        "3.2.4.5.4", "CONN/C1: C2 to the client"},
        {a11w,         out_http,           out_r1_a11,                        &me::take_over,          opened,        "3.2.4.5.9", "OUT_R1/A11: the response head, unplug OUT-H"},
        {opened,       successor_out_http, out_r2_a3,                         &me::begin_r2,           b1_or_c1w,     "3.2.4.5.6.1", "OUT_R2/A3: A4 to the server, plug the successor"},
        {opened,       out_tcp,            out_r1_a9,                         &me::drain,              draining_r1,   "3.2.4.5.8", "OUT_R1/A9: what is queued; A10; Finished"},
        {b1_or_c1w,    successor_out_http, out_r2_c1,                         &me::ignore,             b1w,           "3.2.4.5.11", "OUT_R2/C1"},
        {b1_or_c1w,    out_tcp,            out_r2_b1,                         &me::drain,              draining_c1w,  "3.2.4.5.10", "OUT_R2/B1: what is queued; B3; switch; R2C1W"},
        {b1w,          out_tcp,            out_r2_b1,                         &me::drain,              draining,      "3.2.4.5.10", "OUT_R2/B1: what is queued; B3; switch; the response head, unplug the successor; Opened"},
        {draining_c1w, successor_out_http, out_r2_c1,                         &me::ignore,             draining,      "3.2.4.5.11", "OUT_R2/C1"},
        {r2_c1w,       out_http,           out_r2_c1,                         &me::answer_successor,   opened,        "3.2.4.5.11", "OUT_R2/C1: the response head, unplug OUT-H"},
        {b1_or_c1w,    out_tcp,            out_r2_b2,                         &me::drop_successor,     opened,        "3.2.4.5.12", "OUT_R2/B2: close the successor"},
        {b1w,          out_tcp,            out_r2_b2,                         &me::drop_successor,     opened,        "3.2.4.5.12", "OUT_R2/B2: close the successor"},
        {c1w,          out_tcp,            flow_control_ack_with_destination, &me::ignore,             c1w,           "3.2.1.5.1.2", "FlowControlAckWithDestination"},
        {opened,       out_tcp,            flow_control_ack_with_destination, &me::acknowledged,       opened,        "3.2.1.5.1.2", "FlowControlAckWithDestination: recompute the window of OUT-H"},
        {a11w,         out_tcp,            flow_control_ack_with_destination, &me::acknowledged,       a11w,          "3.2.1.5.1.2", "FlowControlAckWithDestination: recompute the window of OUT-H"},
        {b1_or_c1w,    out_tcp,            flow_control_ack_with_destination, &me::acknowledged,       b1_or_c1w,     "3.2.1.5.1.2", "FlowControlAckWithDestination: recompute the window of OUT-H"},
        {b1w,          out_tcp,            flow_control_ack_with_destination, &me::acknowledged,       b1w,           "3.2.1.5.1.2", "FlowControlAckWithDestination: recompute the window of OUT-H"},
        {draining_r1,  out_tcp,            flow_control_ack_with_destination, &me::acknowledged,       draining_r1,   "3.2.1.5.1.2", "FlowControlAckWithDestination: recompute the window of OUT-H; go on draining"},
        {draining_c1w, out_tcp,            flow_control_ack_with_destination, &me::acknowledged,       draining_c1w,  "3.2.1.5.1.2", "FlowControlAckWithDestination: recompute the window of OUT-H; go on draining"},
        {draining,     out_tcp,            flow_control_ack_with_destination, &me::acknowledged,       draining,      "3.2.1.5.1.2", "FlowControlAckWithDestination: recompute the window of OUT-H; go on draining"},
        {r2_c1w,       out_tcp,            flow_control_ack_with_destination, &me::acknowledged,       r2_c1w,        "3.2.1.5.1.2", "FlowControlAckWithDestination: recompute the window of OUT-H"},
    };
    // clang-format on
    return rows;
}

RPCH_DECL outbound_proxy::outbound_proxy(const outbound_proxy_settings& settings)
    : settings_(settings),
      received_(settings.receive_window),
      sending_(leg::out_http, rts::clamp_channel_lifetime(settings.channel_lifetime)),
      next_(leg::successor_out_http) {}

RPCH_DECL std::error_code outbound_proxy::start(time_point now, action_list&) {
    if (!ending_) deadlines_.set(wait::setup, now + settings_.first_pdu_wait);
    return ending_.why();
}

RPCH_DECL std::error_code outbound_proxy::on_connected(leg which, time_point now,
                                                       action_list& out) {
    const bool successor = state_ == state::connecting_r1;
    if (ending_ || which != leg::out_tcp || (!successor && state_ != state::connecting))
        return ending_.why();
    const std::uint32_t lifetime = rts::clamp_channel_lifetime(settings_.channel_lifetime);
    if (successor) {
        state_ = state::a11w;
        deadlines_.set(wait::setup, now + settings_.replacement_wait);
        out.push_back(action::send{
            leg::out_tcp, rts::encode(rts::out_r1_a4{
                              .version = std::min(takeover_.version, rts::protocol_version),
                              .virtual_connection = virtual_connection_,
                              .predecessor_channel = takeover_.predecessor_channel,
                              .successor_channel = out_channel_,
                              .channel_lifetime = lifetime,
                              .receive_window_size = received_.size(),
                              .connection_timeout = timeout_ms()})});
        return {}; // no response head before A11
    }
    state_ = state::c1w;
    deadlines_.set(wait::setup, now + settings_.pairing_wait);
    out.push_back(action::send{
        leg::out_tcp,
        rts::encode(rts::conn_a2{.version = std::min(hello_.version, rts::protocol_version),
                                 .virtual_connection = virtual_connection_,
                                 .out_channel = out_channel_,
                                 .channel_lifetime = lifetime,
                                 .receive_window_size = received_.size()})});
    if (auto failure = respond(now, out)) return end(failure, leg::out_http, out);
    const rts::conn_a3 a3{.connection_timeout = timeout_ms()};
    if (const auto failure = send_to_client(a3.kind, rts::encode(a3), now, out))
        return end(failure, leg::out_http, out);
    return {};
}

/// What waited for the head goes out behind it, RTS PDUs first.
RPCH_DECL std::error_code outbound_proxy::respond(time_point now, action_list& out) {
    out.push_back(
        action::respond{leg::out_http, rts::clamp_channel_lifetime(settings_.channel_lifetime)});
    silence_.start(std::chrono::milliseconds{timeout_ms()} / 2, now);
    return sending_.unplug(out);
}

RPCH_DECL std::uint32_t outbound_proxy::timeout_ms() const noexcept {
    return static_cast<std::uint32_t>(clamp_timeout(settings_.connection_timeout).count());
}

RPCH_DECL std::error_code outbound_proxy::admits(const rts::out_r2_a3& first) const noexcept {
    if (ending_) return ending_.why();
    if (first.virtual_connection != virtual_connection_) return errc::cookie_mismatch;
    if (state_ != state::opened) return errc::unexpected_pdu;
    if (first.predecessor_channel != out_channel_) return errc::cookie_mismatch;
    const auto window = rts::check_receive_window(first.receive_window_size);
    return window ? std::error_code{} : window.error();
}

RPCH_DECL std::error_code outbound_proxy::on_pdu(leg from, const core::split_view& pdu,
                                                 time_point now, action_list& out) {
    if (ending_) return ending_.why();
    if (pdu.first.size() < dcerpc::common_header_bytes) return end(errc::truncated, from, out);
    return dcerpc::peek_type(pdu.first) == dcerpc::pdu_type::rts ? on_rts(from, pdu, now, out)
                                                                 : on_rpc(from, pdu, now, out);
}

RPCH_DECL std::error_code outbound_proxy::on_rpc(leg from, const core::split_view& pdu,
                                                 time_point now, action_list& out) {
    if (from != leg::out_tcp) return end(errc::wrong_direction, from, out); // 3.2.4.5.2
    // A server sends nothing before it has joined the halves and sent C1, nor after A9.
    if (state_ < state::opened || state_ == state::draining_r1)
        return end(errc::unexpected_pdu, from, out);
    if (settings_.strict_windows && !received_.has_room(pdu.size()))
        return end(errc::window_exceeded, from, out);
    received_.expect_fragment(announced_fragment(pdu));
    received_.on_received(pdu.size());
    sending_channel& channel = channel_of_new_pdus();
    if (const auto failure = channel.send(pdu, out)) return end(failure, leg::out_http, out);
    if (channel.queued_bytes() == 0) silence_.on_sent(now);
    watch_queue(now);
    return {};
}

/// From OUT_R2/B1 on everything is for the successor, 3.2.4.5.10.
RPCH_DECL sending_channel& outbound_proxy::channel_of_new_pdus() noexcept {
    return state_ == state::draining || state_ == state::draining_c1w ? next_ : sending_;
}

RPCH_DECL bool outbound_proxy::is_draining() const noexcept {
    return state_ == state::draining_r1 || state_ == state::draining_c1w ||
           state_ == state::draining;
}

/// Queued RPC PDUs have a deadline until the next acknowledgement that lets one of them go.
RPCH_DECL void outbound_proxy::watch_queue(time_point now) noexcept {
    if (sending_.is_blocked())
        deadlines_.set_once(wait::blocked, now + settings_.blocked_wait);
    else
        deadlines_.clear(wait::blocked);
}

RPCH_DECL std::error_code outbound_proxy::on_rts(leg from, const core::split_view& pdu,
                                                 time_point now, action_list& out) {
    const auto in = rts::decode(pdu.first);
    if (!in) return end(in.error(), from, out);
    if (in->has_destination() && in->forward_destination() != rts::destination::outbound_proxy)
        return forward(*in, from, now, out);
    const row* found = find_transition(table(), state_, from, in->kind());
    if (found == nullptr) return end(errc::unexpected_pdu, from, out);
    state_ = found->to;
    if (const auto failure = (this->*found->effect)(*in, now, out)) return end(failure, from, out);
    return {};
}

RPCH_DECL std::error_code outbound_proxy::forward(const rts::pdu& in, leg from, time_point now,
                                                  action_list& out) {
    const bool ready = state_ >= state::c1w;
    const bool towards_client =
        rts::forward_next_hop(rts::role::outbound_proxy, in.forward_destination()) ==
        rts::role::client;
    if (!ready || from != leg::out_tcp || !towards_client)
        return end(errc::unexpected_pdu, from, out); // else it would go back to where it came from
    if (const auto failure = pass(in, now, out)) return end(failure, leg::out_http, out);
    return {};
}

RPCH_DECL std::error_code outbound_proxy::on_written(leg to, std::size_t rpc_bytes, time_point now,
                                                     action_list& out) {
    if (ending_ || to != leg::out_http) return ending_.why();
    sending_.on_written(rpc_bytes);
    if (rpc_bytes != 0 && received_.on_released(rpc_bytes)) acknowledge(out);
    if (const auto failure = end_if_drained(now, out)) return end(failure, leg::out_http, out);
    return {};
}

RPCH_DECL void outbound_proxy::acknowledge(action_list& out) {
    const acknowledgement ack = received_.acknowledge();
    out.push_back(action::send{leg::out_tcp, rts::encode(rts::flow_control_ack{
                                                 .ack = {.bytes_received = ack.bytes_received,
                                                         .available_window = ack.available_window,
                                                         .channel_cookie = out_channel_}})});
}

RPCH_DECL std::error_code outbound_proxy::on_closed(leg which, std::error_code why, time_point,
                                                    action_list& out) {
    if (ending_) return ending_.why();
    // Behind A9 nothing more comes from the server; what is queued still goes to the client.
    if (which == leg::out_tcp && state_ == state::draining_r1) return {};
    why = closing_reason(why);
    const bool connecting = state_ == state::connecting || state_ == state::connecting_r1;
    if (which == leg::out_tcp && connecting) {
        out.push_back(action::refuse{leg::out_http, rpc_status::server_unavailable}); // 3.2.4.5.3
        return end(why, which, out);
    }
    // 3.2.4.5.14: the other hop goes, too; what was sent on it before an orderly end is still
    // written.
    if (why == errc::channel_closed)
        out.push_back(action::close{which == leg::out_tcp ? leg::out_http : leg::out_tcp});
    return end(why, which, out);
}

RPCH_DECL std::error_code outbound_proxy::on_deadline(time_point now, action_list& out) {
    if (ending_) return ending_.why();
    if (deadlines_.is_due(wait::setup, now)) {
        if (state_ == state::connecting || state_ == state::connecting_r1)
            out.push_back(action::refuse{leg::out_http, rpc_status::server_unavailable});
        const leg waited_for = state_ == state::open_start ? leg::out_http : leg::out_tcp;
        return end(errc::setup_timeout, waited_for, out);
    }
    if (deadlines_.is_due(wait::replacement, now))
        return end(errc::replacement_timeout, leg::out_http, out);
    if (deadlines_.is_due(wait::blocked, now))
        return end(errc::flow_control_stalled, leg::out_http, out);
    if (silence_.take_due(now))
        if (const auto failure = ping(now, out)) return end(failure, leg::out_http, out);
    return {};
}

RPCH_DECL std::optional<time_point> outbound_proxy::next_deadline() const noexcept {
    return earlier(deadlines_.nearest(), silence_.deadline());
}

RPCH_DECL bool outbound_proxy::wants_input(leg from) const noexcept {
    return !ending_ && (from != leg::out_tcp || !received_.overrun());
}

RPCH_DECL std::error_code outbound_proxy::end(std::error_code why, leg where, action_list& out) {
    state_ = state::finished;
    deadlines_.clear_all();
    silence_.stop();
    return ending_.end(why, where, out);
}

RPCH_DECL std::error_code outbound_proxy::send_to_client(rts::shape kind, const rts::wire& pdu,
                                                         time_point now, action_list& out) {
    silence_.on_sent(now);
    return sending_.send_rts(kind, pdu, out);
}

RPCH_DECL std::error_code outbound_proxy::pass(const rts::pdu& in, time_point now,
                                               action_list& out) {
    silence_.on_sent(now);
    return channel_of_new_pdus().forward_rts(in, out);
}

RPCH_DECL std::error_code outbound_proxy::ping(time_point now, action_list& out) {
    // A channel that is about to be replaced keeps room for its last PDU, OUT_R1/A10 or OUT_R2/B3.
    const rts::wire pdu = rts::encode(rts::ping{});
    if (sending_.plugged() || sending_.lifetime().left() < pdu.size() + last_pdu_bytes) return {};
    if (const auto failure = send_to_client(rts::ping::kind, pdu, now, out)) return failure;
    // 3.2.4.6 and B50: the server cannot see pings, and counts the lifetime of OUT-H.
    pings_not_told_ += static_cast<std::uint32_t>(pdu.size());
    if (pings_not_told_ <= ping_bytes_kept_back) return {};
    const rts::ping_traffic_sent_notify notify{.ping_traffic_sent = pings_not_told_};
    out.push_back(action::send{leg::out_tcp, rts::encode(notify)});
    pings_not_told_ = 0;
    return {};
}

RPCH_DECL std::error_code outbound_proxy::connect(const rts::pdu& in, time_point now,
                                                  action_list& out) {
    hello_ = rts::get<rts::conn_a1>(in);
    virtual_connection_ = hello_.virtual_connection;
    out_channel_ = hello_.out_channel;
    return connect_with(hello_.receive_window_size, now, out);
}

RPCH_DECL std::error_code outbound_proxy::connect_successor(const rts::pdu& in, time_point now,
                                                            action_list& out) {
    is_successor_ = true;
    takeover_ = rts::get<rts::out_r1_a3>(in);
    received_.expect_fragment(limits::fragment_bytes_max); // bind and bind_ack are long gone
    virtual_connection_ = takeover_.virtual_connection;
    out_channel_ = takeover_.successor_channel;
    return connect_with(takeover_.receive_window_size, now, out);
}

RPCH_DECL std::error_code outbound_proxy::connect_with(std::uint32_t bytes, time_point now,
                                                       action_list& out) {
    if (const auto window = rts::check_receive_window(bytes); !window) return window.error();
    sending_.set_peer_window(bytes);
    deadlines_.set(wait::setup, now + settings_.connect_wait);
    out.push_back(action::open{leg::out_tcp});
    return {};
}

RPCH_DECL std::error_code outbound_proxy::pass_c2(const rts::pdu& in, time_point now,
                                                  action_list& out) {
    // 2.2.4.9 gives C2 the values of C1; the steps of 3.2.4.5.4 would overwrite two of them with
    // this proxy's own, which say nothing of the IN channel. The PDU goes on as it is.
    deadlines_.clear(wait::setup);
    if (const auto failure = pass(in, now, out)) return failure;
    out.push_back(action::opened{});
    return {};
}

RPCH_DECL std::error_code outbound_proxy::take_over(const rts::pdu&, time_point now,
                                                    action_list& out) {
    deadlines_.clear(wait::setup);
    out.push_back(action::opened{});
    const auto failure = respond(now, out);
    watch_queue(now);
    return failure;
}

RPCH_DECL std::error_code outbound_proxy::begin_r2(const rts::pdu& in, time_point now,
                                                   action_list& out) {
    const auto a3 = rts::get<rts::out_r2_a3>(in);
    if (a3.virtual_connection != virtual_connection_ || a3.predecessor_channel != out_channel_)
        return errc::cookie_mismatch;
    if (const auto window = rts::check_receive_window(a3.receive_window_size); !window)
        return window.error();
    successor_ = a3.successor_channel;
    next_ = sending_channel(leg::successor_out_http,
                            rts::clamp_channel_lifetime(settings_.channel_lifetime));
    next_.set_peer_window(a3.receive_window_size);
    deadlines_.set(wait::replacement, now + settings_.replacement_wait);
    out.push_back(
        action::send{leg::out_tcp, rts::encode(rts::out_r2_a4{.successor_channel = successor_})});
    return {};
}

RPCH_DECL std::error_code outbound_proxy::drain(const rts::pdu&, time_point now, action_list& out) {
    deadlines_.set(wait::replacement, now + settings_.replacement_wait);
    return end_if_drained(now, out);
}

/// 3.2.4.5.8, 3.2.4.5.10: the last PDU of the predecessor goes behind all that was queued under the
/// client's window. The socket has taken that: nothing is told of a predecessor's later, and a
/// client that reads none of them could have one replaced after the other.
RPCH_DECL std::error_code outbound_proxy::end_if_drained(time_point now, action_list& out) {
    if (!is_draining() || sending_.queued_bytes() != 0 || sending_.unwritten() != 0) return {};
    const bool elsewhere = state_ == state::draining_r1;
    const rts::wire last =
        elsewhere ? rts::encode(rts::out_r1_a10{}) : rts::encode(rts::out_r2_b3{});
    const rts::shape kind = elsewhere ? rts::out_r1_a10::kind : rts::out_r2_b3::kind;
    if (const auto failure = send_to_client(kind, last, now, out)) return failure;
    if (elsewhere) {
        out.push_back(action::close{leg::out_http});
        out.push_back(action::close{leg::out_tcp});
        return errc::channel_replaced;
    }
    out.push_back(action::promote{leg::out_http});
    sending_ = std::exchange(next_, sending_channel(leg::successor_out_http));
    sending_.set_leg(leg::out_http);
    out_channel_ = successor_;
    ++replaced_;
    const bool has_c1 = state_ == state::draining;
    state_ = has_c1 ? state::opened : state::r2_c1w;
    return has_c1 ? finish_r2(now, out) : std::error_code{};
}

RPCH_DECL std::error_code outbound_proxy::answer_successor(const rts::pdu&, time_point now,
                                                           action_list& out) {
    return finish_r2(now, out);
}

/// The head goes first: what was plugged is its body (3.2.4.5.10 names the steps the other way
/// round).
RPCH_DECL std::error_code outbound_proxy::finish_r2(time_point now, action_list& out) {
    deadlines_.clear(wait::replacement);
    const auto failure = respond(now, out);
    watch_queue(now);
    return failure;
}

RPCH_DECL std::error_code outbound_proxy::drop_successor(const rts::pdu&, time_point,
                                                         action_list& out) {
    deadlines_.clear(wait::replacement);
    out.push_back(action::close{leg::successor_out_http});
    return {};
}

RPCH_DECL std::error_code outbound_proxy::acknowledged(const rts::pdu& in, time_point now,
                                                       action_list& out) {
    const auto ack = acknowledgment_in(in);
    if (ack.channel_cookie != out_channel_) return {}; // foreign: dropped, 3.2.1.5.1.2
    const std::size_t queued = sending_.queued_bytes();
    if (const auto failure =
            sending_.on_acknowledged({ack.bytes_received, ack.available_window}, out))
        return failure;
    if (sending_.queued_bytes() != queued) {
        silence_.on_sent(now);
        deadlines_.clear(wait::blocked);
    }
    watch_queue(now);
    return end_if_drained(now, out);
}

RPCH_DECL std::error_code outbound_proxy::ignore(const rts::pdu&, time_point, action_list&) {
    return {};
}

RPCH_DECL std::string_view name(outbound_proxy::state s) noexcept {
    using enum outbound_proxy::state;
    switch (s) {
    case open_start: return "Open_Start";
    case connecting: return "connecting";
    case connecting_r1: return "connecting (OUT_R1)";
    case c1w: return "C1W";
    case opened: return "Opened";
    case a11w: return "A11W";
    case b1_or_c1w: return "B1OrC1W";
    case b1w: return "B1W";
    case draining_r1: return "draining (OUT_R1)";
    case draining_c1w: return "draining, C1W";
    case draining: return "draining";
    case r2_c1w: return "R2C1W";
    case finished: return "Finished";
    }
    return "unknown state";
}

} // namespace rpch::inline RPCH_ABI::channel
