#include <rpch/channel/inbound_proxy.hpp>

#include <algorithm>
#include <limits>
#include <utility>

#include <rpch/dcerpc/common_header.hpp>
#include <rpch/rts/forwarding.hpp>
#include <rpch/rts/rules.hpp>

namespace rpch::inline RPCH_ABI::channel {

RPCH_DECL std::span<const inbound_proxy::row> inbound_proxy::table() noexcept {
    using enum state;
    using enum leg;
    using enum rts::shape;
    using me = inbound_proxy;
    // clang-format off
    static constexpr row rows[] = {
        // from,        on,                PDU,                               effect,                to
        {open_start,    in_http,           conn_b1,                           &me::connect,           connecting,    "3.2.3.5.3", "CONN/B1: connect to the server; then B2, plug IN-T, B3W"},
        {open_start,    in_http,           in_r1_a1,                          &me::connect_successor, connecting_r1, "3.2.3.5.5.2", "IN_R1/A1: connect to the server; then A2, plug IN-T, Wait_B2"},
        {b3w,           in_tcp,            conn_b3,                           &me::unplug,            opened,        "3.2.3.5.4", "CONN/B3: take the window, unplug IN-T"},
        {wait_b2,       in_tcp,            in_r1_b2,                          &me::unplug_successor,  opened,        "3.2.3.5.7", "IN_R1/B2: take the window, unplug IN-T"},
        {opened,        successor_in_http, in_r2_a1,                          &me::begin_r2,          opened_a5w,    "3.2.3.5.5.1", "IN_R2/A1: A2 to the server; hold the successor back"},
        {opened_a5w,    in_http,           in_r2_a5,                          &me::switch_r2,         opened,        "3.2.3.5.8", "IN_R2/A5: switch; if the cookie is another, close the successor"},
        {opened,        in_http,           in_r1_a5,                          &me::hand_over,         draining,      "3.2.3.5.6", "IN_R1/A5: A6 to the server; what is queued; B1; Finished"},
        {wait_b2,       in_http,           in_r1_a5,                          &me::hand_over,         draining,      "3.2.3.5.6", "IN_R1/A5 that has overtaken B2: the same; what is queued waits for B2"},
        {draining,      in_tcp,            in_r1_b2,                          &me::unplug_draining,   draining,      "3.2.3.5.7", "IN_R1/B2: take the window, unplug IN-T; B1 when the queue is empty"},
        {opened,        in_tcp,            flow_control_ack,                  &me::acknowledged,      opened,        "3.2.1.5.1.2", "FlowControlAck: recompute the window of IN-T"},
        {opened_a5w,    in_tcp,            flow_control_ack,                  &me::acknowledged,      opened_a5w,    "3.2.1.5.1.2", "FlowControlAck: the same"},
        {draining,      in_tcp,            flow_control_ack,                  &me::acknowledged,      draining,      "3.2.1.5.1.2", "FlowControlAck: the same; B1 when the queue is empty"},
        {opened,        in_tcp,            flow_control_ack_with_destination, &me::acknowledged,      opened,        "3.2.1.5.1.2", "FlowControlAckWithDestination: the same"},
        {opened_a5w,    in_tcp,            flow_control_ack_with_destination, &me::acknowledged,      opened_a5w,    "3.2.1.5.1.2", "FlowControlAckWithDestination: the same"},
        {draining,      in_tcp,            flow_control_ack_with_destination, &me::acknowledged,      draining,      "3.2.1.5.1.2", "FlowControlAckWithDestination: the same"},
        {connecting,    in_http,           ping,                              &me::ignore,            connecting,    "2.2.4.49", "Ping"},
        {connecting_r1, in_http,           ping,                              &me::ignore,            connecting_r1, "2.2.4.49", "Ping"},
        {b3w,           in_http,           ping,                              &me::ignore,            b3w,           "2.2.4.49", "Ping"},
        {opened,        in_http,           ping,                              &me::ignore,            opened,        "2.2.4.49", "Ping"},
        {opened_a5w,    in_http,           ping,                              &me::ignore,            opened_a5w,    "2.2.4.49", "Ping"},
        {wait_b2,       in_http,           ping,                              &me::ignore,            wait_b2,       "2.2.4.49", "Ping"},
        {connecting,    in_http,           keep_alive,                        &me::apply_keep_alive,  connecting,    "2.2.4.46", "Keep-Alive: set the interval of IN-T"},
        {connecting_r1, in_http,           keep_alive,                        &me::apply_keep_alive,  connecting_r1, "2.2.4.46", "Keep-Alive: the same"},
        {b3w,           in_http,           keep_alive,                        &me::apply_keep_alive,  b3w,           "2.2.4.46", "Keep-Alive: the same"},
        {opened,        in_http,           keep_alive,                        &me::apply_keep_alive,  opened,        "2.2.4.46", "Keep-Alive: the same"},
        {opened_a5w,    in_http,           keep_alive,                        &me::apply_keep_alive,  opened_a5w,    "2.2.4.46", "Keep-Alive: the same"},
        {wait_b2,       in_http,           keep_alive,                        &me::apply_keep_alive,  wait_b2,       "2.2.4.46", "Keep-Alive: the same"},
    };
    // clang-format on
    return rows;
}

RPCH_DECL inbound_proxy::inbound_proxy(const inbound_proxy_settings& settings)
    : settings_(settings),
      body_left_(settings.content_length),
      received_(settings.receive_window) {}

RPCH_DECL std::error_code inbound_proxy::start(time_point now, action_list&) {
    if (!ending_) deadlines_.set(wait::setup, now + settings_.first_pdu_wait);
    return ending_.why();
}

RPCH_DECL std::error_code inbound_proxy::on_connected(leg which, time_point now, action_list& out) {
    const bool successor = state_ == state::connecting_r1;
    if (ending_ || which != leg::in_tcp || (!successor && state_ != state::connecting))
        return ending_.why();
    deadlines_.set(wait::setup, now + settings_.pairing_wait);
    const auto timeout =
        static_cast<std::uint32_t>(clamp_timeout(settings_.connection_timeout).count());
    out.push_back(
        action::keep_alive{leg::in_tcp, rts::effective_client_keepalive(client_keepalive_)});
    if (successor) {
        state_ = state::wait_b2;
        // The server joins only after the predecessor has drained, which may take long.
        deadlines_.set(wait::setup, now + settings_.replacement_wait);
        out.push_back(action::send{
            leg::in_tcp,
            rts::encode(rts::in_r1_a2{.version = std::min(takeover_.version, rts::protocol_version),
                                      .virtual_connection = virtual_connection_,
                                      .predecessor_channel = takeover_.predecessor_channel,
                                      .successor_channel = in_channel_,
                                      .receive_window_size = received_.size(),
                                      .connection_timeout = timeout})});
        return {};
    }
    state_ = state::b3w;
    out.push_back(action::send{
        leg::in_tcp,
        rts::encode(rts::conn_b2{.version = std::min(hello_.version, rts::protocol_version),
                                 .virtual_connection = virtual_connection_,
                                 .in_channel = in_channel_,
                                 .receive_window_size = received_.size(),
                                 .connection_timeout = timeout,
                                 .association_group = hello_.association_group,
                                 .client_address = settings_.client})});
    return {};
}

RPCH_DECL std::error_code inbound_proxy::admits(const rts::in_r2_a1& first) const noexcept {
    if (ending_) return ending_.why();
    if (first.virtual_connection != virtual_connection_) return errc::cookie_mismatch;
    // C is open again as soon as it has sent A5: its next A1 comes on a TCP connection of its own,
    // and may be here before A5 is.
    if (state_ == state::opened_a5w && first.predecessor_channel == other_channel_)
        return errc::replacement_pending;
    // The same after IN_R1: A5, which hands this channel over, is still on its way, and A1 already
    // names its successor at another proxy. The text has a protocol error for every other cookie;
    // the server refuses one that is false, and that harms nobody else.
    if (state_ != state::opened || first.predecessor_channel != in_channel_)
        return errc::unexpected_pdu;
    // Each instance has a window of its own; with nothing held of the last predecessor, two windows
    // bound what is held.
    if (predecessor_held_ != 0) return errc::replacement_pending;
    return {};
}

RPCH_DECL std::error_code inbound_proxy::on_pdu(leg from, const core::split_view& pdu,
                                                time_point now, action_list& out) {
    if (ending_) return ending_.why();
    if (pdu.first.size() < dcerpc::common_header_bytes) return end(errc::truncated, from, out);
    if (from == leg::in_http) {
        // 2.1.2.1.7: no PDU may reach beyond the Content-Length.
        if (pdu.size() > body_left_) return end(errc::lifetime_exceeded, from, out);
        body_left_ -= pdu.size();
    }
    return dcerpc::peek_type(pdu.first) == dcerpc::pdu_type::rts ? on_rts(from, pdu, now, out)
                                                                 : on_rpc(from, pdu, now, out);
}

RPCH_DECL std::error_code inbound_proxy::on_rpc(leg from, const core::split_view& pdu,
                                                time_point now, action_list& out) {
    if (from == leg::in_tcp) return end(errc::wrong_direction, from, out); // 3.2.3.5.2
    const bool ready = state_ == state::b3w || state_ == state::opened ||
                       state_ == state::opened_a5w || state_ == state::wait_b2;
    // Of a successor nothing is read before it is the default (`wants_input`).
    if (from != leg::in_http || !ready) return end(errc::unexpected_pdu, from, out);
    if (settings_.strict_windows && !received_.has_room(pdu.size()))
        return end(errc::window_exceeded, from, out);
    received_.expect_fragment(announced_fragment(pdu));
    received_.on_received(pdu.size());
    if (const auto failure = sending_.send(pdu, out)) return end(failure, leg::in_tcp, out);
    watch_queue(now);
    return {};
}

/// Queued RPC PDUs have a deadline until the next acknowledgement that lets one of them go.
RPCH_DECL void inbound_proxy::watch_queue(time_point now) noexcept {
    if (sending_.is_blocked())
        deadlines_.set_once(wait::blocked, now + settings_.blocked_wait);
    else
        deadlines_.clear(wait::blocked);
}

RPCH_DECL std::error_code inbound_proxy::on_rts(leg from, const core::split_view& pdu,
                                                time_point now, action_list& out) {
    const auto in = rts::decode(pdu.first);
    if (!in) return end(in.error(), from, out);
    if (in->has_destination() && in->forward_destination() != rts::destination::inbound_proxy)
        return forward(in->forward_destination(), from, out);
    const row* found = find_transition(table(), state_, from, in->kind());
    if (found == nullptr) return end(errc::unexpected_pdu, from, out);
    state_ = found->to;
    if (const auto failure = (this->*found->effect)(*in, now, out)) return end(failure, from, out);
    return {};
}

RPCH_DECL std::error_code inbound_proxy::forward(rts::destination to, leg from, action_list& out) {
    // A plug does not hold RTS PDUs of the client back: an acknowledgement among them may be what
    // the server waits for before it lets go of the plug.
    const bool ready = state_ == state::b3w || state_ == state::opened ||
                       state_ == state::opened_a5w || state_ == state::wait_b2;
    const bool towards_server =
        rts::forward_next_hop(rts::role::inbound_proxy, to) == rts::role::server;
    if (!ready || from != leg::in_http || !towards_server)
        return end(errc::unexpected_pdu, from, out); // else it would go back to where it came from
    out.push_back(action::forward{leg::in_tcp});
    return {};
}

RPCH_DECL std::error_code inbound_proxy::on_written(leg to, std::size_t rpc_bytes, time_point,
                                                    action_list& out) {
    if (ending_ || to != leg::in_tcp) return ending_.why();
    sending_.on_written(rpc_bytes);
    // Nobody waits for acknowledgements of a predecessor any more.
    const std::size_t old = std::min(rpc_bytes, predecessor_held_);
    predecessor_held_ -= old;
    rpc_bytes -= old;
    if (rpc_bytes == 0 || !received_.on_released(rpc_bytes) || state_ == state::draining) return {};
    const acknowledgement ack = received_.acknowledge();
    out.push_back(action::send{leg::in_tcp, rts::encode(rts::flow_control_ack_with_destination{
                                                .destination = rts::destination::client,
                                                .ack = {.bytes_received = ack.bytes_received,
                                                        .available_window = ack.available_window,
                                                        .channel_cookie = in_channel_}})});
    return {};
}

RPCH_DECL std::error_code inbound_proxy::on_closed(leg which, std::error_code why, time_point,
                                                   action_list& out) {
    if (ending_) return ending_.why();
    // After A5 a client needs its request no more.
    if (which == leg::in_http && state_ == state::draining) return {};
    why = closing_reason(why);
    const bool connecting = state_ == state::connecting || state_ == state::connecting_r1;
    if (which == leg::in_tcp && connecting) {
        out.push_back(action::refuse{leg::in_http, rpc_status::server_unavailable}); // 3.2.3.5.11
        return end(why, which, out);
    }
    // 3.2.3.5.10: the other hop goes, too; what was sent on it before an orderly end is still
    // written.
    if (why == errc::channel_closed)
        out.push_back(action::close{which == leg::in_tcp ? leg::in_http : leg::in_tcp});
    return end(why, which, out);
}

RPCH_DECL std::error_code inbound_proxy::on_deadline(time_point now, action_list& out) {
    if (ending_) return ending_.why();
    if (deadlines_.is_due(wait::setup, now)) {
        if (state_ == state::connecting || state_ == state::connecting_r1)
            out.push_back(action::refuse{leg::in_http, rpc_status::server_unavailable});
        return end(errc::setup_timeout, state_ == state::open_start ? leg::in_http : leg::in_tcp,
                   out);
    }
    if (deadlines_.is_due(wait::replacement, now))
        return end(errc::replacement_timeout,
                   state_ == state::draining ? leg::in_tcp : leg::in_http, out);
    if (deadlines_.is_due(wait::blocked, now))
        return end(errc::flow_control_stalled, leg::in_tcp, out);
    return {};
}

RPCH_DECL std::optional<time_point> inbound_proxy::next_deadline() const noexcept {
    return deadlines_.nearest();
}

RPCH_DECL bool inbound_proxy::wants_input(leg from) const noexcept {
    if (ending_) return false;
    if (from == leg::in_http) return !received_.overrun();
    // All bytes of the predecessor go first, and A5 is the last of them.
    return from != leg::successor_in_http || state_ == state::opened;
}

RPCH_DECL std::error_code inbound_proxy::end(std::error_code why, leg where, action_list& out) {
    state_ = state::finished;
    deadlines_.clear_all();
    return ending_.end(why, where, out);
}

RPCH_DECL std::error_code inbound_proxy::connect(const rts::pdu& in, time_point now,
                                                 action_list& out) {
    hello_ = rts::get<rts::conn_b1>(in);
    virtual_connection_ = hello_.virtual_connection;
    in_channel_ = other_channel_ = hello_.in_channel;
    client_keepalive_ = hello_.client_keepalive;
    deadlines_.set(wait::setup, now + settings_.connect_wait);
    out.push_back(action::open{leg::in_tcp});
    return {};
}

RPCH_DECL std::error_code inbound_proxy::connect_successor(const rts::pdu& in, time_point now,
                                                           action_list& out) {
    is_successor_ = true;
    takeover_ = rts::get<rts::in_r1_a1>(in);
    received_.expect_fragment(limits::fragment_bytes_max); // bind and bind_ack are long gone
    virtual_connection_ = takeover_.virtual_connection;
    in_channel_ = other_channel_ = takeover_.successor_channel;
    deadlines_.set(wait::setup, now + settings_.connect_wait);
    out.push_back(action::open{leg::in_tcp});
    return {};
}

RPCH_DECL std::error_code inbound_proxy::unplug(const rts::pdu& in, time_point, action_list& out) {
    return unplug_with(rts::get<rts::conn_b3>(in).receive_window_size, out);
}

RPCH_DECL std::error_code inbound_proxy::unplug_successor(const rts::pdu& in, time_point,
                                                          action_list& out) {
    return unplug_with(rts::get<rts::in_r1_b2>(in).receive_window_size, out);
}

/// The client has replaced this channel, too, before B2 came: the server sends B2 and admits the
/// next successor at the same time, and A4 and A5 may come faster than B2.
RPCH_DECL std::error_code inbound_proxy::unplug_draining(const rts::pdu& in, time_point now,
                                                         action_list& out) {
    if (!sending_.plugged()) return errc::unexpected_pdu;
    const auto bytes = rts::get<rts::in_r1_b2>(in).receive_window_size;
    if (const auto window = rts::check_receive_window(bytes); !window) return window.error();
    sending_.set_peer_window(bytes);
    if (const auto failure = sending_.unplug(out)) return failure;
    watch_queue(now);
    return end_if_drained(out);
}

RPCH_DECL std::error_code inbound_proxy::unplug_with(std::uint32_t bytes, action_list& out) {
    if (const auto window = rts::check_receive_window(bytes); !window) return window.error();
    deadlines_.clear(wait::setup);
    sending_.set_peer_window(bytes);
    out.push_back(action::opened{});
    return sending_.unplug(out);
}

RPCH_DECL std::error_code inbound_proxy::begin_r2(const rts::pdu& in, time_point now,
                                                  action_list& out) {
    const auto a1 = rts::get<rts::in_r2_a1>(in);
    if (a1.virtual_connection != virtual_connection_ || a1.predecessor_channel != in_channel_)
        return errc::cookie_mismatch;
    other_channel_ = a1.successor_channel;
    deadlines_.set(wait::replacement, now + settings_.replacement_wait);
    // The figure of 3.2.1.5.3.3 has A2 here; the steps of 3.2.3.5.5.1 leave it out.
    out.push_back(action::send{
        leg::in_tcp, rts::encode(rts::in_r2_a2{.successor_channel = a1.successor_channel})});
    return {};
}

RPCH_DECL std::error_code inbound_proxy::switch_r2(const rts::pdu& in, time_point,
                                                   action_list& out) {
    deadlines_.clear(wait::replacement);
    if (rts::get<rts::in_r2_a5>(in).successor_channel != other_channel_) {
        out.push_back(action::close{leg::successor_in_http}); // and go on with the predecessor
        return {};
    }
    out.push_back(action::promote{leg::in_http});
    std::swap(in_channel_, other_channel_);
    predecessor_held_ += received_.renew();
    body_left_ = std::numeric_limits<std::uint64_t>::max(); // the driver counts the new body
    ++replaced_;
    return {};
}

RPCH_DECL std::error_code inbound_proxy::hand_over(const rts::pdu& in, time_point now,
                                                   action_list& out) {
    const auto successor = rts::get<rts::in_r1_a5>(in).successor_channel;
    out.push_back(
        action::send{leg::in_tcp, rts::encode(rts::in_r1_a6{.successor_channel = successor})});
    deadlines_.clear(wait::setup);
    deadlines_.set(wait::replacement, now + settings_.replacement_wait);
    return end_if_drained(out);
}

/// 3.2.3.5.6: B1 is the last PDU, behind all that was queued under the server's window.
RPCH_DECL std::error_code inbound_proxy::end_if_drained(action_list& out) {
    if (sending_.queued_bytes() != 0) return {};
    out.push_back(action::send{leg::in_tcp, rts::encode(rts::in_r1_b1{})});
    out.push_back(action::close{leg::in_tcp});
    out.push_back(action::close{leg::in_http});
    return errc::channel_replaced;
}

RPCH_DECL std::error_code inbound_proxy::apply_keep_alive(const rts::pdu& in, time_point,
                                                          action_list& out) {
    client_keepalive_ = rts::get<rts::keep_alive>(in).client_keepalive;
    const bool connected = state_ != state::connecting && state_ != state::connecting_r1;
    if (connected) // else on_connected sets it
        out.push_back(
            action::keep_alive{leg::in_tcp, rts::effective_client_keepalive(client_keepalive_)});
    return {};
}

RPCH_DECL std::error_code inbound_proxy::acknowledged(const rts::pdu& in, time_point now,
                                                      action_list& out) {
    const auto ack = acknowledgment_in(in);
    // Foreign cookies are dropped, 3.2.1.5.1.2. IN-T goes on when IN-H is replaced here (IN_R2),
    // and no PDU of a replacement comes back on it: acknowledgements may be late by any number of
    // channels. Whatever they name, it was one of these.
    const bool only_one = other_channel_ == in_channel_;
    if (only_one && ack.channel_cookie != in_channel_) return {};
    const std::size_t queued = sending_.queued_bytes();
    if (const auto failure =
            sending_.on_acknowledged({ack.bytes_received, ack.available_window}, out))
        return failure;
    if (sending_.queued_bytes() != queued) deadlines_.clear(wait::blocked);
    watch_queue(now);
    return state_ == state::draining ? end_if_drained(out) : std::error_code{};
}

RPCH_DECL std::error_code inbound_proxy::ignore(const rts::pdu&, time_point, action_list&) {
    return {};
}

RPCH_DECL std::string_view name(inbound_proxy::state s) noexcept {
    using enum inbound_proxy::state;
    switch (s) {
    case open_start: return "Open_Start";
    case connecting: return "connecting";
    case connecting_r1: return "connecting (IN_R1)";
    case b3w: return "B3W";
    case opened: return "Opened";
    case opened_a5w: return "Opened_A5W";
    case wait_b2: return "Wait_B2";
    case draining: return "draining";
    case finished: return "Finished";
    }
    return "unknown state";
}

} // namespace rpch::inline RPCH_ABI::channel
