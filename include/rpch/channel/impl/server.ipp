#include <rpch/channel/server.hpp>

#include <algorithm>

#include <rpch/dcerpc/common_header.hpp>
#include <rpch/rts/forwarding.hpp>
#include <rpch/rts/rules.hpp>

#include <gsl/assert>

namespace rpch::inline RPCH_ABI::channel {

RPCH_DECL result<first_pdu> classify_first_pdu(byte_view pdu) noexcept {
    if (pdu.size() < dcerpc::common_header_bytes) return fail(errc::truncated);
    if (dcerpc::peek_type(pdu) != dcerpc::pdu_type::rts) {
        const auto header = dcerpc::decode_common_header(pdu);
        return fail(header ? make_error_code(errc::v1_not_supported) : header.error());
    }
    const auto in = rts::decode(pdu);
    if (!in) return fail(in.error());
    const rts::shape kind = in->kind();
    if (kind == rts::shape::conn_a2)
        return first_pdu{rts::get<rts::conn_a2>(*in).virtual_connection, leg::out_tcp, kind, {}};
    if (kind == rts::shape::conn_b2)
        return first_pdu{rts::get<rts::conn_b2>(*in).virtual_connection, leg::in_tcp, kind, {}};
    if (kind == rts::shape::in_r1_a2) {
        const auto a2 = rts::get<rts::in_r1_a2>(*in);
        return first_pdu{a2.virtual_connection, leg::successor_in_tcp, kind,
                         a2.predecessor_channel};
    }
    if (kind == rts::shape::out_r1_a4) {
        const auto a4 = rts::get<rts::out_r1_a4>(*in);
        return first_pdu{a4.virtual_connection, leg::successor_out_tcp, kind,
                         a4.predecessor_channel};
    }
    return fail(errc::unexpected_pdu);
}

RPCH_DECL std::span<const server::row> server::table() noexcept {
    using enum state;
    using enum leg;
    using enum rts::shape;
    using me = server;
    // clang-format off
    static constexpr row rows[] = {
        // from,  on,      PDU,                               effect,            to
        {start,   out_tcp, conn_a2,                           &me::keep_a2,      b2w,    "3.2.5.5.3.1", "CONN/A2: a new virtual connection; wait for B2"},
        {start,   in_tcp,  conn_b2,                           &me::keep_b2,      a2w,    "3.2.5.5.4.1", "CONN/B2: a new virtual connection; wait for A2"},
        {a2w,     out_tcp, conn_a2,                           &me::join_a2,      opened, "3.2.5.5.3.2", "CONN/A2: C1 to the outbound, B3 to the inbound proxy"},
        {b2w,     in_tcp,  conn_b2,                           &me::join_b2,      opened, "3.2.5.5.4.2", "CONN/B2: C1 to the outbound, B3 to the inbound proxy"},
        {opened,  out_tcp, flow_control_ack,                  &me::acknowledged, opened, "3.2.1.5.1.2", "FlowControlAck: recompute the window of OUT-T"},
        {opened,  out_tcp, flow_control_ack_with_destination, &me::acknowledged, opened, "3.2.1.5.1.2", "FlowControlAckWithDestination: the same"},
        {b2w,     out_tcp, ping_traffic_sent_notify,          &me::count_pings,  b2w,    "3.2.5.5.14", "PingTrafficSentNotify: count it"},
        {opened,  out_tcp, ping_traffic_sent_notify,          &me::count_pings,  opened, "3.2.5.5.14", "PingTrafficSentNotify: count it; maybe OUT_R*/A1"},
        {opened,  predecessor_out_tcp, flow_control_ack,      &me::ignore,       opened, "3.2.1.5.1.2", "FlowControlAck of a predecessor: ignore"},
        {opened,  predecessor_out_tcp, flow_control_ack_with_destination, &me::ignore, opened, "3.2.1.5.1.2", "FlowControlAckWithDestination of a predecessor: ignore"},
        {opened,  predecessor_out_tcp, ping_traffic_sent_notify, &me::ignore,    opened, "3.2.5.5.14", "PingTrafficSentNotify of a predecessor: ignore"},
    };
    // clang-format on
    return rows;
}

RPCH_DECL std::span<const server::in_row> server::in_table() noexcept {
    using enum in_state;
    using enum leg;
    using enum rts::shape;
    using me = server;
    // clang-format off
    static constexpr in_row rows[] = {
        {opened,     successor_in_tcp, in_r1_a2, &me::begin_in_r1,  a6w,        "3.2.5.5.5", "IN_R1/A2: A3 to the client"},
        {a6w,        in_tcp,           in_r1_a6, &me::check_a6,     opened_b1w, "3.2.5.5.6", "IN_R1/A6: check the cookie"},
        {opened_b1w, in_tcp,           in_r1_b1, &me::switch_in_r1, opened,     "3.2.5.5.7", "IN_R1/B1: switch; B2 to the successor"},
        {opened,     in_tcp,           in_r2_a2, &me::switch_in_r2, opened,     "3.2.5.5.8", "IN_R2/A2: take the cookie; A3 to the client"},
    };
    // clang-format on
    return rows;
}

RPCH_DECL std::span<const server::out_row> server::out_table() noexcept {
    using enum out_state;
    using enum leg;
    using enum rts::shape;
    using me = server;
    // clang-format off
    static constexpr out_row rows[] = {
        {opened_a4w,   successor_out_tcp, out_r1_a4, &me::begin_out_r1,  opened_a8w,   "3.2.5.5.9", "OUT_R1/A4: A5 to the client"},
        {opened_a8w,   in_tcp,            out_r1_a8, &me::switch_out_r1, opened,       "3.2.5.5.10", "OUT_R1/A8: A9 to the predecessor; switch"},
        {opened_a8w,   successor_in_tcp,  out_r1_a8, &me::switch_out_r1, opened,       "3.2.5.5.10", "OUT_R1/A8: the same"},
        {opened_a4w,   out_tcp,           out_r2_a4, &me::begin_out_r2,  opened_r2a8w, "3.2.5.5.11", "OUT_R2/A4: A5 to the client"},
        {opened_r2a8w, in_tcp,            out_r2_a8, &me::switch_out_r2, opened,       "3.2.5.5.12", "OUT_R2/A8: B1; if the cookie is another, B2"},
        {opened_r2a8w, successor_in_tcp,  out_r2_a8, &me::switch_out_r2, opened,       "3.2.5.5.12", "OUT_R2/A8: the same"},
        {opened_r2a8w, in_tcp,            out_r2_a7, &me::switch_out_r2, opened,       "2.2.4.40", "OUT_R2/A7 forwarded as it is: the same"},
        {opened_r2a8w, successor_in_tcp,  out_r2_a7, &me::switch_out_r2, opened,       "2.2.4.40", "OUT_R2/A7 forwarded as it is: the same"},
    };
    // clang-format on
    return rows;
}

RPCH_DECL server::server(const server_settings& settings)
    : settings_(settings), received_(settings.receive_window) {}

RPCH_DECL std::error_code server::start(time_point now, action_list&) {
    if (!ending_ && state_ != state::opened)
        deadlines_.set(wait::setup, now + settings_.pairing_wait);
    return ending_.why();
}

RPCH_DECL std::error_code server::on_connected(leg, time_point, action_list&) {
    return ending_.why(); // it opens no legs: they come with their first PDU
}

RPCH_DECL std::error_code server::on_pdu(leg from, const core::split_view& pdu, time_point now,
                                         action_list& out) {
    if (ending_) return ending_.why();
    if (pdu.first.size() < dcerpc::common_header_bytes) return end(errc::truncated, from, out);
    return dcerpc::peek_type(pdu.first) == dcerpc::pdu_type::rts ? on_rts(from, pdu, now, out)
                                                                 : on_rpc(from, pdu, out);
}

RPCH_DECL std::error_code server::on_rpc(leg from, const core::split_view& pdu, action_list& out) {
    if (from == leg::successor_in_tcp) return end(errc::unexpected_pdu, from, out); // it is plugged
    if (from != leg::in_tcp) return end(errc::wrong_direction, from, out);          // 3.2.5.5.2
    if (state_ != state::opened) return end(errc::unexpected_pdu, from, out);
    if (settings_.strict_windows && !received_.has_room(pdu.size()))
        return end(errc::window_exceeded, from, out);
    received_.expect_fragment(announced_fragment(pdu));
    received_.on_received(pdu.size());
    out.push_back(action::deliver{});
    return {};
}

RPCH_DECL std::error_code server::on_rts(leg from, const core::split_view& pdu, time_point now,
                                         action_list& out) {
    const auto in = rts::decode(pdu.first);
    if (!in) return end(in.error(), from, out);
    if (in->has_destination() && in->forward_destination() != rts::destination::server)
        return forward(*in, from, now, out);
    std::error_code failure = errc::unexpected_pdu;
    const bool open = state_ == state::opened;
    if (const row* any = find_transition(table(), state_, from, in->kind())) {
        state_ = any->to;
        failure = (this->*any->effect)(*in, now, out);
    } else if (const in_row* i =
                   open ? find_transition(in_table(), in_, from, in->kind()) : nullptr) {
        in_ = i->to;
        failure = (this->*i->effect)(*in, now, out);
    } else if (const out_row* o =
                   open ? find_transition(out_table(), out_, from, in->kind()) : nullptr) {
        out_ = o->to;
        failure = (this->*o->effect)(*in, now, out);
    }
    if (failure) return end(failure, from, out);
    return {};
}

RPCH_DECL std::error_code server::forward(const rts::pdu& in, leg from, time_point now,
                                          action_list& out) {
    const auto outward = [](leg l) {
        return l == leg::out_tcp || l == leg::successor_out_tcp || l == leg::predecessor_out_tcp;
    };
    const rts::destination to = in.forward_destination();
    const bool to_inbound =
        rts::forward_next_hop(rts::role::server, to) == rts::role::inbound_proxy;
    // A PDU that would go back to where it came from breaks 3.2.1.5.2; nor is one the first PDU.
    if (to_inbound != outward(from) || state_ == state::start)
        return end(errc::unexpected_pdu, from, out);
    if (state_ != state::opened) return {}; // the other half is not there yet: dropped
    if (to_inbound) {
        out.push_back(action::forward{leg::in_tcp});
        return {};
    }
    if (to == rts::destination::outbound_proxy) {
        // The predecessor of OUT_R1 goes on sending what it has, under the client's window.
        const bool old = predecessor_is_there_ &&
                         in.kind() == rts::shape::flow_control_ack_with_destination &&
                         acknowledgment_in(in).channel_cookie == out_predecessor_;
        out.push_back(action::forward{old ? leg::predecessor_out_tcp : leg::out_tcp});
        return {};
    }
    if (lifetime_.take_beyond(out_handover_bytes, in.bytes().size())) {
        out.push_back(action::forward{leg::out_tcp});
        if (const auto failure = replace_out_if_due(now, out))
            return end(failure, leg::out_tcp, out);
        return {};
    }
    const auto copy = rts::wire::copy_of(in.bytes());
    const auto failure = copy ? send_on_out(in.kind(), *copy, now, out) : copy.error();
    if (failure) return end(failure, leg::out_tcp, out);
    return {};
}

RPCH_DECL std::error_code server::send_on_out(rts::shape kind, const rts::wire& pdu, time_point now,
                                              action_list& out) {
    const bool replaces_in = kind == rts::in_r1_a3::kind || kind == rts::in_r2_a3::kind;
    const std::uint64_t reserve = out_handover_bytes - (replaces_in ? out_in_replacement_bytes : 0);
    if (!lifetime_.take_beyond(reserve, pdu.size())) {
        if (const auto failure = replace_out(now, out)) return failure;
        return held_.hold(kind, pdu);
    }
    out.push_back(action::send{leg::out_tcp, pdu});
    return replace_out_if_due(now, out);
}

RPCH_DECL std::error_code server::replace_out_if_due(time_point now, action_list& out) {
    const std::uint64_t threshold = replacement_threshold(
        settings_.replace_out_below, fresh_lifetime_, out_lifetime_reserve_bytes);
    return lifetime_.left() < threshold ? replace_out(now, out) : std::error_code{};
}

RPCH_DECL std::error_code server::replace_out(time_point now, action_list& out) {
    if (state_ != state::opened || out_ != out_state::opened) return {};
    const rts::wire a1 = rts::encode(rts::out_r1_a1{});
    if (!lifetime_.take(a1.size())) return errc::lifetime_exceeded;
    out_ = out_state::opened_a4w; // 3.2.5.5.15
    deadlines_.set(wait::out_replacement, now + settings_.replacement_wait);
    out.push_back(action::send{leg::out_tcp, a1});
    return {};
}

RPCH_DECL std::error_code server::on_written(leg, std::size_t, time_point, action_list&) {
    return ending_.why(); // RPC PDUs are counted when they are sent
}

RPCH_DECL std::error_code server::on_closed(leg which, std::error_code why, time_point,
                                            action_list& out) {
    if (ending_) return ending_.why();
    if (which == leg::predecessor_out_tcp) { // it has sent what it had
        predecessor_is_there_ = false;
        deadlines_.clear(wait::predecessor);
        return {};
    }
    return end(closing_reason(why), which, out); // 3.2.5.5.13
}

RPCH_DECL std::error_code server::on_deadline(time_point now, action_list& out) {
    if (ending_) return ending_.why();
    if (deadlines_.is_due(wait::setup, now))
        return end(errc::setup_timeout, state_ == state::a2w ? leg::out_tcp : leg::in_tcp, out);
    if (deadlines_.is_due(wait::in_replacement, now))
        return end(errc::replacement_timeout, leg::in_tcp, out);
    if (deadlines_.is_due(wait::blocked, now))
        return end(errc::flow_control_stalled, leg::out_tcp, out);
    if (deadlines_.is_due(wait::out_replacement, now)) {
        // A client that cannot replace channels is served to the end of this one.
        const bool harmless = out_ == out_state::opened_a4w && held_.empty() && !rpc_waits_ &&
                              lifetime_.left_beyond(out_lifetime_reserve_bytes) != 0;
        if (!harmless) return end(errc::replacement_timeout, leg::out_tcp, out);
        deadlines_.set(wait::out_replacement, now + settings_.replacement_wait);
    }
    if (deadlines_.take_due(wait::predecessor, now)) {
        predecessor_is_there_ = false;
        out.push_back(action::close{leg::predecessor_out_tcp});
    }
    return {};
}

RPCH_DECL std::optional<time_point> server::next_deadline() const noexcept {
    return deadlines_.nearest();
}

RPCH_DECL bool server::wants_input(leg from) const noexcept {
    return !ending_ && (from != leg::in_tcp || !received_.overrun());
}

RPCH_DECL std::error_code server::admits(const first_pdu& first) const noexcept {
    if (ending_) return ending_.why();
    if (state_ == state::start) // it is made for this one
        return first.half == leg::in_tcp || first.half == leg::out_tcp
                   ? std::error_code{}
                   : make_error_code(errc::unexpected_pdu);
    if (first.virtual_connection != cookie_) return errc::cookie_mismatch;
    if (first.half == leg::in_tcp || first.half == leg::out_tcp) {
        const state expected = first.half == leg::in_tcp ? state::b2w : state::a2w;
        return state_ == expected ? std::error_code{} : make_error_code(errc::cookie_in_use);
    }
    if (state_ != state::opened) return errc::unexpected_pdu;
    if (first.half == leg::successor_in_tcp) {
        // A client is open again as soon as it has sent A5; its next A1 may lead here before A6 and
        // B1 of the last replacement have come.
        if (in_ != in_state::opened)
            return first.predecessor == in_successor_ ? errc::replacement_pending
                                                      : errc::cookie_mismatch;
        if (first.predecessor != in_channel_) return errc::cookie_mismatch;
        // With nothing held of the last predecessor, two windows bound what is held.
        return predecessor_held_ != 0 ? make_error_code(errc::replacement_pending)
                                      : std::error_code{};
    }
    if (out_ != out_state::opened_a4w) return errc::unexpected_pdu;
    return first.predecessor == out_channel_ ? std::error_code{}
                                             : make_error_code(errc::cookie_mismatch);
}

RPCH_DECL std::size_t server::send_credit() const noexcept {
    if (state_ != state::opened) return 0;
    return static_cast<std::size_t>(std::min<std::uint64_t>(
        sending_.available(), lifetime_.left_beyond(out_lifetime_reserve_bytes)));
}

RPCH_DECL std::error_code server::on_rpc_sent(std::size_t bytes, time_point now, action_list& out) {
    if (ending_) return ending_.why();
    Expects(bytes <= send_credit());
    sending_.on_sent(bytes);
    lifetime_.spend(bytes);
    rpc_waits_ = false;
    deadlines_.clear(wait::blocked);
    if (const auto failure = replace_out_if_due(now, out)) return end(failure, leg::out_tcp, out);
    return {};
}

RPCH_DECL std::error_code server::on_rpc_waiting(std::size_t bytes, time_point now,
                                                 action_list& out) {
    if (ending_ || state_ != state::opened) return ending_.why();
    if (bytes > sending_.peer_window()) return end(errc::too_large, leg::out_tcp, out);
    if (bytes + out_lifetime_reserve_bytes > fresh_lifetime_) // no successor helps
        return end(errc::lifetime_exceeded, leg::out_tcp, out);
    if (!sending_.fits(bytes)) deadlines_.set_once(wait::blocked, now + settings_.blocked_wait);
    // 3.2.5.5.15 has an error for the upper layer when nothing fits any more; it waits here.
    rpc_waits_ = bytes > lifetime_.left_beyond(out_lifetime_reserve_bytes);
    if (rpc_waits_)
        if (const auto failure = replace_out(now, out)) return end(failure, leg::out_tcp, out);
    return {};
}

RPCH_DECL std::error_code server::on_consumed(std::size_t bytes, time_point, action_list& out) {
    if (ending_) return ending_.why();
    const std::size_t old = std::min(bytes, predecessor_held_);
    predecessor_held_ -= old;
    bytes -= old;
    if (bytes == 0 || !received_.on_released(bytes)) return {};
    const acknowledgement ack = received_.acknowledge();
    out.push_back(action::send{leg::in_tcp, rts::encode(rts::flow_control_ack{
                                                .ack = {.bytes_received = ack.bytes_received,
                                                        .available_window = ack.available_window,
                                                        .channel_cookie = in_channel_}})});
    return {};
}

RPCH_DECL std::error_code server::close(time_point, action_list& out) {
    if (ending_) return ending_.why();
    out.push_back(action::close{leg::out_tcp});
    out.push_back(action::close{leg::in_tcp});
    return end(errc::operation_aborted, leg::out_tcp, out);
}

RPCH_DECL std::error_code server::end(std::error_code why, leg where, action_list& out) {
    state_ = state::finished;
    deadlines_.clear_all();
    return ending_.end(why, where, out);
}

RPCH_DECL std::error_code server::keep_a2(const rts::pdu& in, time_point, action_list&) {
    out_half_ = rts::get<rts::conn_a2>(in);
    if (const auto window = rts::check_receive_window(out_half_.receive_window_size); !window)
        return window.error();
    cookie_ = out_half_.virtual_connection;
    out_channel_ = out_half_.out_channel;
    sending_ = send_window(out_half_.receive_window_size);
    // Raising a lifetime that is too short, as 3.5 of the value rules would, only overruns the
    // proxy.
    fresh_lifetime_ = std::min(out_half_.channel_lifetime, limits::channel_lifetime_max);
    lifetime_ = channel::lifetime(fresh_lifetime_);
    return {};
}

RPCH_DECL std::error_code server::keep_b2(const rts::pdu& in, time_point, action_list&) {
    in_half_ = rts::get<rts::conn_b2>(in);
    if (const auto window = rts::check_receive_window(in_half_.receive_window_size); !window)
        return window.error();
    cookie_ = in_half_.virtual_connection;
    in_channel_ = in_half_.in_channel;
    return {};
}

RPCH_DECL std::error_code server::join_a2(const rts::pdu& in, time_point now, action_list& out) {
    if (const auto failure = keep_a2(in, now, out)) return failure;
    return open_up(out);
}

RPCH_DECL std::error_code server::join_b2(const rts::pdu& in, time_point now, action_list& out) {
    if (const auto failure = keep_b2(in, now, out)) return failure;
    return open_up(out);
}

RPCH_DECL std::error_code server::open_up(action_list& out) {
    // 3.2.5.5.3.2 and 3.2.5.5.4.2. The text's minimum of garbled names is the lowest of A2's, B2's
    // and the server's version, which 2.2.4.7 and 2.2.4.8 say plainly.
    if (in_half_.virtual_connection != out_half_.virtual_connection) return errc::cookie_mismatch;
    deadlines_.clear(wait::setup);
    const std::uint32_t version =
        std::min({out_half_.version, in_half_.version, rts::protocol_version});
    const rts::wire c1 = rts::encode(rts::conn_c1{
        .version = version,
        .receive_window_size = std::min(in_half_.receive_window_size, limits::receive_window_max),
        .connection_timeout = static_cast<std::uint32_t>(
            rts::clamp_connection_timeout(in_half_.connection_timeout).count())});
    if (!lifetime_.take(c1.size())) return errc::lifetime_exceeded;
    out.push_back(action::send{leg::out_tcp, c1});
    out.push_back(action::send{
        leg::in_tcp,
        rts::encode(rts::conn_b3{.receive_window_size = received_.size(), .version = version})});
    out.push_back(action::opened{});
    return {};
}

RPCH_DECL std::error_code server::acknowledged(const rts::pdu& in, time_point, action_list& out) {
    const auto ack = acknowledgment_in(in);
    // Foreign cookies are dropped, 3.2.1.5.1.2. OUT-T goes on when OUT-H is replaced at the same
    // proxy (OUT_R2), and that may name either channel for some time.
    const bool alias = predecessor_is_alias_ && ack.channel_cookie == out_predecessor_;
    const bool next = out_ == out_state::opened_r2a8w && ack.channel_cookie == out_successor_;
    if (ack.channel_cookie != out_channel_ && !alias && !next) return {};
    const std::uint32_t before = sending_.available();
    if (const auto failure = sending_.on_acknowledged({ack.bytes_received, ack.available_window}))
        return failure;
    // Not only when the credit has grown: what is left of the lifetime may have become too little
    // meanwhile for the PDU that waits, and on_rpc_waiting has to be told of that.
    if (sending_.available() > before) {
        deadlines_.clear(wait::blocked);
        out.push_back(action::sendable{});
    }
    return {};
}

RPCH_DECL std::error_code server::count_pings(const rts::pdu& in, time_point now,
                                              action_list& out) {
    const auto bytes = rts::get<rts::ping_traffic_sent_notify>(in).ping_traffic_sent;
    if (!pings_.take(bytes, now)) return errc::ping_traffic_exceeded; // B17
    lifetime_.spend(bytes);
    return replace_out_if_due(now, out);
}

RPCH_DECL std::error_code server::ignore(const rts::pdu&, time_point, action_list&) { return {}; }

RPCH_DECL std::error_code server::begin_in_r1(const rts::pdu& in, time_point now,
                                              action_list& out) {
    const auto a2 = rts::get<rts::in_r1_a2>(in);
    if (a2.virtual_connection != cookie_ || a2.predecessor_channel != in_channel_)
        return errc::cookie_mismatch;
    if (const auto window = rts::check_receive_window(a2.receive_window_size); !window)
        return window.error();
    in_successor_ = a2.successor_channel;
    deadlines_.set(wait::in_replacement, now + settings_.replacement_wait);
    const rts::in_r1_a3 a3{.version = std::min(a2.version, rts::protocol_version),
                           .receive_window_size =
                               std::min(a2.receive_window_size, limits::receive_window_max),
                           .connection_timeout = static_cast<std::uint32_t>(
                               rts::clamp_connection_timeout(a2.connection_timeout).count())};
    return send_on_out(a3.kind, rts::encode(a3), now, out);
}

RPCH_DECL std::error_code server::check_a6(const rts::pdu& in, time_point now, action_list&) {
    if (rts::get<rts::in_r1_a6>(in).successor_channel != in_successor_)
        return errc::cookie_mismatch;
    // The text cancels the timer here; what the predecessor has queued may not take for ever
    // either.
    deadlines_.set(wait::in_replacement, now + settings_.replacement_wait);
    return {};
}

RPCH_DECL std::error_code server::switch_in_r1(const rts::pdu&, time_point, action_list& out) {
    deadlines_.clear(wait::in_replacement);
    out.push_back(action::promote{leg::in_tcp});
    in_channel_ = in_successor_;
    predecessor_held_ += received_.renew();
    ++in_replaced_;
    out.push_back(action::send{
        leg::in_tcp, rts::encode(rts::in_r1_b2{.receive_window_size = received_.size()})});
    return {};
}

RPCH_DECL std::error_code server::switch_in_r2(const rts::pdu& in, time_point now,
                                               action_list& out) {
    in_channel_ = rts::get<rts::in_r2_a2>(in).successor_channel;
    ++in_replaced_;
    const rts::in_r2_a3 a3{};
    return send_on_out(a3.kind, rts::encode(a3), now, out);
}

RPCH_DECL std::error_code server::begin_out_r1(const rts::pdu& in, time_point, action_list& out) {
    const auto a4 = rts::get<rts::out_r1_a4>(in);
    if (a4.virtual_connection != cookie_ || a4.predecessor_channel != out_channel_)
        return errc::cookie_mismatch;
    if (const auto window = rts::check_receive_window(a4.receive_window_size); !window)
        return window.error();
    out_successor_ = a4.successor_channel;
    successor_sending_ = send_window(a4.receive_window_size);
    successor_lifetime_ = std::min(a4.channel_lifetime, limits::channel_lifetime_max);
    const rts::wire a5 = rts::encode(
        rts::out_r1_a5{.connection_timeout = static_cast<std::uint32_t>(
                           rts::clamp_connection_timeout(a4.connection_timeout).count())});
    if (!lifetime_.take(a5.size())) return errc::lifetime_exceeded;
    out.push_back(action::send{leg::out_tcp, a5});
    return {};
}

RPCH_DECL std::error_code server::begin_out_r2(const rts::pdu& in, time_point, action_list& out) {
    out_successor_ = rts::get<rts::out_r2_a4>(in).successor_channel;
    const rts::wire a5 = rts::encode(rts::out_r2_a5{});
    if (!lifetime_.take(a5.size())) return errc::lifetime_exceeded;
    out.push_back(action::send{leg::out_tcp, a5});
    return {};
}

RPCH_DECL std::error_code server::switch_out_r1(const rts::pdu& in, time_point now,
                                                action_list& out) {
    if (rts::get<rts::out_r1_a8>(in).successor_channel != out_successor_)
        return errc::cookie_mismatch;
    out.push_back(action::send{leg::out_tcp, rts::encode(rts::out_r1_a9{})});
    if (predecessor_is_there_) out.push_back(action::close{leg::predecessor_out_tcp});
    // The predecessor goes on sending what it has queued, and needs the client's acknowledgements.
    out.push_back(action::promote{leg::out_tcp, true});
    predecessor_is_there_ = true;
    predecessor_is_alias_ = false;
    deadlines_.set(wait::predecessor, now + settings_.replacement_wait);
    sending_ = successor_sending_;
    fresh_lifetime_ = successor_lifetime_;
    return after_out_switch(now, out);
}

RPCH_DECL std::error_code server::switch_out_r2(const rts::pdu& in, time_point now,
                                                action_list& out) {
    const auto named = in.kind() == rts::shape::out_r2_a7
                           ? rts::get<rts::out_r2_a7>(in).successor_channel
                           : rts::get<rts::out_r2_a8>(in).successor_channel;
    if (named != out_successor_) {
        // 3.2.5.5.12 wants B2 and, in the same breath, a protocol error, which would close the
        // connection under B2. The outbound proxy goes on with the predecessor (3.2.4.5.12), and so
        // does the server.
        deadlines_.clear(wait::out_replacement);
        out.push_back(action::send{leg::out_tcp, rts::encode(rts::out_r2_b2{})});
        return {};
    }
    out.push_back(action::send{leg::out_tcp, rts::encode(rts::out_r2_b1{})});
    predecessor_is_alias_ = true;
    if (predecessor_is_there_) {
        predecessor_is_there_ = false;
        deadlines_.clear(wait::predecessor);
        out.push_back(action::close{leg::predecessor_out_tcp});
    }
    return after_out_switch(now, out); // the lifetime is told in no PDU: it is that of before
}

RPCH_DECL std::error_code server::after_out_switch(time_point now, action_list& out) {
    out_predecessor_ = out_channel_;
    out_channel_ = out_successor_;
    lifetime_ = channel::lifetime(fresh_lifetime_);
    ++out_replaced_;
    rpc_waits_ = false;
    deadlines_.clear(wait::out_replacement);
    deadlines_.clear(wait::blocked);
    for (const held_rts::entry& each : held_.take())
        if (const auto failure = send_on_out(each.kind, each.pdu, now, out)) return failure;
    out.push_back(action::sendable{});
    return replace_out_if_due(now, out);
}

RPCH_DECL std::string_view name(server::state s) noexcept {
    using enum server::state;
    switch (s) {
    case start: return "start";
    case a2w: return "A2W";
    case b2w: return "B2W";
    case opened: return "Opened";
    case finished: return "Finished";
    }
    return "unknown state";
}

RPCH_DECL std::string_view name(server::in_state s) noexcept {
    switch (s) {
    case server::in_state::opened: return "Opened";
    case server::in_state::a6w: return "A6W";
    case server::in_state::opened_b1w: return "Opened_B1W";
    }
    return "unknown state";
}

RPCH_DECL std::string_view name(server::out_state s) noexcept {
    using enum server::out_state;
    switch (s) {
    case opened: return "Opened";
    case opened_a4w: return "Opened_A4W";
    case opened_a8w: return "Opened_A8W";
    case opened_r2a8w: return "Opened_R2A8W";
    }
    return "unknown state";
}

} // namespace rpch::inline RPCH_ABI::channel
