#include <rpch/channel/client.hpp>

#include <algorithm>
#include <limits>
#include <utility>

#include <rpch/dcerpc/common_header.hpp>
#include <rpch/rts/rules.hpp>

#include <gsl/assert>

namespace rpch::inline RPCH_ABI::channel {

RPCH_DECL std::span<const client::row> client::table() noexcept {
    using enum state;
    using enum leg;
    using enum rts::shape;
    using me = client;
    // clang-format off
    static constexpr row rows[] = {
        // from,    on,       PDU,                               effect,            to
        {wait_a3w,  out_http, conn_a3,                           &me::keep_timeout, wait_c2,  "3.2.2.5.3", "CONN/A3: take the timeout"},
        {wait_c2,   out_http, conn_c2,                           &me::open_up,      opened,   "3.2.2.5.4", "CONN/C2: take timeout and window; open"},
        {opened,    out_http, flow_control_ack_with_destination, &me::acknowledged, opened,   "3.2.1.5.1.2", "FlowControlAckWithDestination: recompute the window of IN"},
        {wait_a3w,  out_http, ping,                              &me::ignore,       wait_a3w, "2.2.4.49", "Ping"},
        {wait_c2,   out_http, ping,                              &me::ignore,       wait_c2,  "2.2.4.49", "Ping"},
        {opened,    out_http, ping,                              &me::ignore,       opened,   "2.2.4.49", "Ping"},
    };
    // clang-format on
    return rows;
}

RPCH_DECL std::span<const client::in_row> client::in_table() noexcept {
    using enum in_state;
    using enum leg;
    using enum rts::shape;
    using me = client;
    // clang-format off
    static constexpr in_row rows[] = {
        {opened_a4w, out_http, in_r1_a4, &me::switch_in_r1, opened, "3.2.2.5.5", "IN_R1/A4: A5 on the predecessor; switch; take timeout and window"},
        {opened_a4w, out_http, in_r2_a4, &me::switch_in_r2, opened, "3.2.2.5.5", "IN_R2/A4: A5 on the predecessor; switch"},
    };
    // clang-format on
    return rows;
}

RPCH_DECL std::span<const client::out_row> client::out_table() noexcept {
    using enum out_state;
    using enum leg;
    using enum rts::shape;
    using me = client;
    // clang-format off
    static constexpr out_row rows[] = {
        {opened,      out_http, out_r1_a2,  &me::open_out_successor, opened_a6w,  "3.2.2.5.6",  "OUT_R1/A2, OUT_R2/A2: open a successor; A3 on it"},
        {opened_a6w,  out_http, out_r1_a6,  &me::agree_to_r1,        opened_a10w, "3.2.2.5.7",  "OUT_R1/A6: A7 on IN"},
        {opened_a6w,  out_http, out_r2_a6,  &me::agree_to_r2,        b3w,         "3.2.2.5.9",  "OUT_R2/A6: A7 on IN; C1 on the successor"},
        {opened_a10w, out_http, out_r1_a10, &me::switch_out_r1,      opened,      "3.2.2.5.8",  "OUT_R1/A10: switch; A11 on the successor"},
        {b3w,         out_http, out_r2_b3,  &me::switch_out_r2,      opened,      "3.2.2.5.10", "OUT_R2/B3: switch"},
    };
    // clang-format on
    return rows;
}

RPCH_DECL client::client(const client_settings& settings)
    : settings_(settings),
      in_channel_(settings.in_channel),
      lifetime_(rts::clamp_channel_lifetime(settings.in_lifetime)),
      out_channel_(settings.out_channel),
      received_(settings.receive_window, settings.receive_window / 2) {}

RPCH_DECL std::error_code client::start(time_point now, action_list& out) {
    if (ending_ || state_ != state::start) return ending_.why();
    state_ = state::out_channel_wait;
    deadlines_.set(wait::open, now + settings_.open_wait);
    out.push_back(action::open{leg::in_http});
    out.push_back(action::open{leg::out_http});
    return {};
}

RPCH_DECL std::error_code client::on_connected(leg which, time_point now, action_list& out) {
    if (ending_) return ending_.why();
    // 3.2.2.4.1.2 pairs A1 with the IN request and B1 with the OUT request; each PDU follows the
    // head of its own request, the only place where it can be read.
    if (which == leg::out_http) {
        out.push_back(action::send{
            which, rts::encode(rts::conn_a1{.virtual_connection = settings_.virtual_connection,
                                            .out_channel = settings_.out_channel,
                                            .receive_window_size = received_.size()})});
        return {};
    }
    if (which != leg::in_http) return {};
    in_connected_ = true;
    const rts::conn_b1 b1{.virtual_connection = settings_.virtual_connection,
                          .in_channel = settings_.in_channel,
                          .channel_lifetime = rts::clamp_channel_lifetime(settings_.in_lifetime),
                          .client_keepalive = wire_keepalive(settings_.client_keepalive),
                          .association_group = settings_.association_group};
    if (const auto failure = send_on_in(rts::conn_b1::kind, rts::encode(b1), now, out))
        return end(failure, which, out);
    return {};
}

RPCH_DECL std::error_code client::on_successor_connected(leg which, const rts::cookie& fresh,
                                                         time_point, action_list& out) {
    if (ending_) return ending_.why();
    if (which == leg::successor_in_http && in_ == in_state::opened_a4w && !in_successor_) {
        in_successor_ = fresh;
        in_successor_lifetime_ =
            channel::lifetime(rts::clamp_channel_lifetime(settings_.in_lifetime));
        const rts::wire a1 =
            rts::encode(rts::in_r1_a1{.virtual_connection = settings_.virtual_connection,
                                      .predecessor_channel = in_channel_,
                                      .successor_channel = fresh});
        in_successor_lifetime_.spend(a1.size());
        out.push_back(action::send{which, a1});
    } else if (which == leg::successor_out_http && out_ == out_state::opened_a6w &&
               !out_successor_) {
        out_successor_ = fresh;
        out.push_back(action::send{
            which, rts::encode(rts::out_r1_a3{.virtual_connection = settings_.virtual_connection,
                                              .predecessor_channel = out_channel_,
                                              .successor_channel = fresh,
                                              .receive_window_size = received_.size()})});
    }
    return {};
}

RPCH_DECL std::error_code client::on_response(leg from, int status,
                                              std::optional<rpc_status> number, time_point,
                                              action_list& out) {
    if (ending_) return ending_.why();
    constexpr int success = 200;
    if (status != success)
        return end(number ? make_error_code(*number) : http_failure(status), from, out);
    if (from == leg::in_http || from == leg::successor_in_http) return {};
    // 3.2.2.5.2 lists one response only; each replacement ends with another: behind OUT_R1/A11, and
    // in OUT_R2 on a connection of its own, before or after B3.
    bool& came = from == leg::out_http ? out_response_came_ : out_successor_response_came_;
    const bool expected = from == leg::out_http
                              ? state_ == state::out_channel_wait || state_ == state::opened
                              : out_ == out_state::b3w;
    if (!expected || came) return end(errc::http_unexpected_response, from, out);
    came = true;
    if (state_ == state::out_channel_wait) state_ = state::wait_a3w;
    return {};
}

RPCH_DECL std::error_code client::on_pdu(leg from, const core::split_view& pdu, time_point now,
                                         action_list& out) {
    if (ending_) return ending_.why();
    if (pdu.first.size() < dcerpc::common_header_bytes) return end(errc::truncated, from, out);
    return dcerpc::peek_type(pdu.first) == dcerpc::pdu_type::rts ? on_rts(from, pdu, now, out)
                                                                 : on_rpc(from, pdu, out);
}

RPCH_DECL std::error_code client::on_rpc(leg from, const core::split_view& pdu, action_list& out) {
    if (from != leg::out_http || state_ != state::opened)
        return end(errc::unexpected_pdu, from, out);
    if (settings_.strict_windows && !received_.has_room(pdu.size()))
        return end(errc::window_exceeded, from, out);
    received_.expect_fragment(announced_fragment(pdu));
    received_.on_received(pdu.size());
    out.push_back(action::deliver{});
    return {};
}

RPCH_DECL std::error_code client::on_rts(leg from, const core::split_view& pdu, time_point now,
                                         action_list& out) {
    const auto in = rts::decode(pdu.first);
    if (!in) return end(in.error(), from, out);
    // A client forwards nothing: what is meant for another role has gone astray.
    const bool astray =
        in->has_destination() && in->forward_destination() != rts::destination::client;
    if (astray) return end(errc::unexpected_pdu, from, out);
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

RPCH_DECL std::error_code client::on_written(leg, std::size_t, time_point, action_list&) {
    return ending_.why(); // RPC PDUs are counted when they are sent
}

RPCH_DECL std::error_code client::on_closed(leg which, std::error_code why, time_point now,
                                            action_list& out) {
    if (ending_) return ending_.why();
    if (which == leg::successor_in_http || which == leg::successor_out_http)
        return on_successor_lost(which, why, now, out);
    return end(closing_reason(why), which, out); // 3.2.2.5.11
}

/// Before its first PDU nobody knows of a successor: it is tried again, since a proxy that goes
/// away for a moment must not end what still has lifetime. Later the proxies and the server have
/// taken steps that only the end undoes.
RPCH_DECL std::error_code client::on_successor_lost(leg which, std::error_code why, time_point now,
                                                    action_list& out) {
    const bool in = which == leg::successor_in_http;
    const bool unknown_to_others = in ? in_ == in_state::opened_a4w && !in_successor_
                                      : out_ == out_state::opened_a6w && !out_successor_;
    int& tries = in ? in_tries_ : out_tries_;
    if (!unknown_to_others || ++tries >= limits::successor_tries_max)
        return end(closing_reason(why), which, out);
    deadlines_.set(in ? wait::retry_in : wait::retry_out,
                   now + limits::successor_retry_wait * (1 << (tries - 1)));
    return {};
}

RPCH_DECL std::error_code client::on_deadline(time_point now, action_list& out) {
    if (ending_) return ending_.why();
    if (deadlines_.is_due(wait::open, now)) return end(errc::setup_timeout, leg::out_http, out);
    if (deadlines_.is_due(wait::blocked, now))
        return end(errc::flow_control_stalled, leg::in_http, out);
    if (const auto failure = check_replacement(wait::in_replacement, now))
        return end(failure, leg::successor_in_http, out);
    if (const auto failure = check_replacement(wait::out_replacement, now))
        return end(failure, leg::successor_out_http, out);
    if (deadlines_.take_due(wait::retry_in, now))
        out.push_back(action::open{leg::successor_in_http});
    if (deadlines_.take_due(wait::retry_out, now))
        out.push_back(action::open{leg::successor_out_http});
    // The timer starts with A3 (3.2.2.5.3), which may come before the IN channel carries B1.
    if (silence_.take_due(now) && in_connected_)
        if (const auto failure = send_on_in(rts::ping::kind, rts::encode(rts::ping{}), now, out))
            return end(failure, leg::in_http, out);
    return {};
}

/// A replacement that takes its time does no harm while the predecessor still carries data, and a
/// peer that cannot replace at all is served to the end of the channel.
RPCH_DECL std::error_code client::check_replacement(wait guard, time_point now) {
    if (!deadlines_.is_due(guard, now)) return {};
    const bool in = guard == wait::in_replacement;
    const bool harmless = in && held_.empty() && !in_successor_ && !rpc_waits_ &&
                          lifetime_.left_beyond(in_lifetime_reserve_bytes) != 0;
    if (!harmless) return errc::replacement_timeout;
    deadlines_.set(guard, now + settings_.replacement_wait);
    return {};
}

RPCH_DECL std::optional<time_point> client::next_deadline() const noexcept {
    return earlier(deadlines_.nearest(), silence_.deadline());
}

RPCH_DECL bool client::wants_input(leg from) const noexcept {
    if (ending_) return false;
    if (from == leg::out_http) return !received_.overrun();
    // What comes on the successor before B3 came on its predecessor has to wait (OUT_R2: two TCP
    // connections, and nothing orders them).
    return from != leg::successor_out_http || out_ != out_state::b3w;
}

RPCH_DECL std::size_t client::send_credit() const noexcept {
    if (state_ != state::opened) return 0;
    return static_cast<std::size_t>(std::min<std::uint64_t>(
        sending_.available(), lifetime_.left_beyond(in_lifetime_reserve_bytes)));
}

RPCH_DECL std::error_code client::on_rpc_sent(std::size_t bytes, time_point now, action_list& out) {
    if (ending_) return ending_.why();
    Expects(bytes <= send_credit());
    sending_.on_sent(bytes);
    lifetime_.spend(bytes);
    silence_.on_sent(now);
    rpc_waits_ = false;
    deadlines_.clear(wait::blocked);
    replace_in_if_due(now, out);
    return {};
}

RPCH_DECL std::error_code client::on_rpc_waiting(std::size_t bytes, time_point now,
                                                 action_list& out) {
    if (ending_ || state_ != state::opened) return ending_.why();
    if (bytes > sending_.peer_window()) return end(errc::too_large, leg::in_http, out);
    if (!sending_.fits(bytes)) deadlines_.set_once(wait::blocked, now + settings_.blocked_wait);
    // 3.2.2.5.12 has an error for the upper layer when nothing fits any more; it waits here.
    rpc_waits_ = bytes > lifetime_.left_beyond(in_lifetime_reserve_bytes);
    if (rpc_waits_) replace_in(now, out);
    return {};
}

RPCH_DECL std::error_code client::on_consumed(std::size_t bytes, time_point now, action_list& out) {
    if (ending_) return ending_.why();
    const std::size_t old = std::min(bytes, predecessor_held_);
    predecessor_held_ -= old;
    bytes -= old;
    if (predecessor_held_ == 0 && std::exchange(out_request_waits_, false))
        out.push_back(action::open{leg::successor_out_http});
    if (bytes == 0 || !received_.on_released(bytes)) return {};
    // Bytes that are taken little by little must not use up what A7 has left for the predecessor.
    // The release that empties the window always confirms enough.
    const std::uint32_t confirmed = received_.available() - received_.advertised();
    if (out_drains() && confirmed < confirmed_at_once(received_.size())) return {};
    const acknowledgement ack = received_.acknowledge();
    const rts::flow_control_ack_with_destination pdu{
        .destination = rts::destination::outbound_proxy,
        .ack = {.bytes_received = ack.bytes_received,
                .available_window = ack.available_window,
                .channel_cookie = out_channel_}};
    if (const auto failure = send_on_in(pdu.kind, rts::encode(pdu), now, out))
        return end(failure, leg::in_http, out);
    return {};
}

RPCH_DECL std::error_code client::set_client_keepalive(std::chrono::milliseconds interval,
                                                       time_point now, action_list& out) {
    if (ending_) return ending_.why();
    settings_.client_keepalive = interval;
    if (!in_connected_) return {};
    const rts::keep_alive pdu{.client_keepalive = wire_keepalive(interval)};
    if (const auto failure = send_on_in(pdu.kind, rts::encode(pdu), now, out))
        return end(failure, leg::in_http, out);
    return {};
}

RPCH_DECL std::error_code client::close(time_point, action_list& out) {
    if (ending_) return ending_.why();
    out.push_back(action::close{leg::in_http});
    out.push_back(action::close{leg::out_http});
    return end(errc::operation_aborted, leg::in_http, out);
}

RPCH_DECL std::error_code client::send_on_in(rts::shape kind, const rts::wire& pdu, time_point now,
                                             action_list& out, std::uint64_t reserve) {
    if (out_drains() && kind != rts::shape::flow_control_ack_with_destination)
        reserve = std::max(reserve, draining_reserve());
    if (!lifetime_.take_beyond(reserve, pdu.size())) { // 2.1.2.1.7
        if (state_ != state::opened) return errc::lifetime_exceeded;
        replace_in(now, out);
        return kind == rts::shape::ping ? std::error_code{} : held_.hold(kind, pdu);
    }
    silence_.on_sent(now);
    out.push_back(action::send{leg::in_http, pdu});
    replace_in_if_due(now, out);
    return {};
}

/// From A7 on, IN_R*/A4 may wait in the successor of OUT-H, which is plugged until the predecessor
/// has drained; and that may need acknowledgements, which then must not wait for the successor of
/// IN-H.
RPCH_DECL std::uint64_t client::draining_reserve() const noexcept {
    return in_handover_bytes + draining_acknowledgements(received_.size()) * acknowledgement_bytes;
}

/// The early begin, with data still flowing on the predecessor. It waits for an acknowledgement of
/// the present channel, which shows that the server has taken it over: only an open IN channel can
/// be replaced there (3.2.5.5.5), and IN_R1/A5 says nothing of when it is.
RPCH_DECL void client::replace_in_if_due(time_point now, action_list& out) {
    const std::uint64_t threshold = replacement_threshold(
        settings_.replace_in_below, rts::clamp_channel_lifetime(settings_.in_lifetime),
        in_lifetime_reserve_bytes);
    if (in_confirmed_ && lifetime_.left() < threshold) replace_in(now, out);
}

RPCH_DECL void client::replace_in(time_point now, action_list& out) {
    if (state_ != state::opened || in_ != in_state::opened) return;
    in_ = in_state::opened_a4w; // 3.2.2.5.12
    in_tries_ = 0;
    deadlines_.set(wait::in_replacement, now + settings_.replacement_wait);
    out.push_back(action::open{leg::successor_in_http});
}

RPCH_DECL void client::set_timeout(std::uint32_t milliseconds, time_point now) noexcept {
    auto timeout = rts::clamp_connection_timeout(milliseconds);
    if (settings_.connection_timeout) timeout = std::min(timeout, *settings_.connection_timeout);
    if (settings_.keep_alive.count() > 0) timeout = std::min(timeout, settings_.keep_alive);
    silence_.start(timeout / 2, now);
}

RPCH_DECL std::error_code client::end(std::error_code why, leg where, action_list& out) {
    state_ = state::finished;
    deadlines_.clear_all();
    silence_.stop();
    return ending_.end(why, where, out);
}

RPCH_DECL std::error_code client::keep_timeout(const rts::pdu& in, time_point now, action_list&) {
    set_timeout(rts::get<rts::conn_a3>(in).connection_timeout, now);
    return {};
}

RPCH_DECL std::error_code client::open_up(const rts::pdu& in, time_point now, action_list& out) {
    const auto c2 = rts::get<rts::conn_c2>(in);
    if (const auto window = rts::check_receive_window(c2.receive_window_size); !window)
        return window.error();
    set_timeout(c2.connection_timeout, now);
    sending_ = send_window(c2.receive_window_size);
    deadlines_.clear(wait::open);
    out.push_back(action::opened{});
    return {};
}

RPCH_DECL std::error_code client::acknowledged(const rts::pdu& in, time_point now,
                                               action_list& out) {
    const auto ack = acknowledgment_in(in);
    // Foreign cookies are dropped, 3.2.1.5.1.2; so is what was still on its way for a predecessor.
    if (ack.channel_cookie != in_channel_) return {};
    const std::uint32_t before = sending_.available();
    if (const auto failure = sending_.on_acknowledged({ack.bytes_received, ack.available_window}))
        return failure;
    in_confirmed_ = true;
    // Not only when the credit has grown: what is left of the lifetime may have become too little
    // meanwhile for the PDU that waits, and on_rpc_waiting has to be told of that.
    if (sending_.available() > before) {
        deadlines_.clear(wait::blocked);
        out.push_back(action::sendable{});
    }
    replace_in_if_due(now, out);
    return {};
}

RPCH_DECL std::error_code client::switch_in_r1(const rts::pdu& in, time_point now,
                                               action_list& out) {
    const auto a4 = rts::get<rts::in_r1_a4>(in);
    if (const auto window = rts::check_receive_window(a4.receive_window_size); !window)
        return window.error();
    set_timeout(a4.connection_timeout, now);
    return switch_in(a4.receive_window_size, true, now, out);
}

RPCH_DECL std::error_code client::switch_in_r2(const rts::pdu&, time_point now, action_list& out) {
    return switch_in(sending_.peer_window(), false, now, out); // A4 of IN_R2 carries neither
}

RPCH_DECL std::error_code client::switch_in(std::uint32_t window, bool tell_keepalive,
                                            time_point now, action_list& out) {
    if (!in_successor_) return errc::unexpected_pdu; // nobody can know of it yet
    // A5 is the last thing on the predecessor; the driver writes what was sent before it first.
    out.push_back(action::send{leg::in_http,
                               rts::encode(rts::in_r1_a5{.successor_channel = *in_successor_})});
    out.push_back(action::promote{leg::in_http});
    in_channel_ = *in_successor_;
    lifetime_ = in_successor_lifetime_;
    sending_ = send_window(window);
    in_successor_.reset();
    in_confirmed_ = false;
    rpc_waits_ = false;
    ++in_replaced_;
    deadlines_.clear(wait::in_replacement);
    deadlines_.clear(wait::blocked);
    silence_.on_sent(now);
    // No PDU of IN_R1 carries the interval to the new proxy.
    constexpr auto usual = std::chrono::milliseconds{limits::client_keepalive_default_ms};
    if (tell_keepalive && settings_.client_keepalive != usual) {
        const rts::keep_alive pdu{.client_keepalive = wire_keepalive(settings_.client_keepalive)};
        if (const auto failure = send_on_in(pdu.kind, rts::encode(pdu), now, out)) return failure;
    }
    for (const held_rts::entry& each : held_.take())
        if (const auto failure = send_on_in(each.kind, each.pdu, now, out)) return failure;
    out.push_back(action::sendable{});
    return {};
}

RPCH_DECL std::error_code client::open_out_successor(const rts::pdu&, time_point now,
                                                     action_list& out) {
    deadlines_.set(wait::out_replacement, now + settings_.replacement_wait);
    out_tries_ = 0;
    // A fresh channel has a fresh window: with nothing held of the last predecessor, two windows
    // bound what is held.
    out_request_waits_ = predecessor_held_ != 0;
    if (!out_request_waits_) out.push_back(action::open{leg::successor_out_http});
    return {};
}

RPCH_DECL std::error_code client::agree_to_r1(const rts::pdu&, time_point now, action_list& out) {
    if (!out_successor_) return errc::unexpected_pdu;
    const rts::out_r1_a7 a7{.successor_channel = *out_successor_};
    return send_on_in(a7.kind, rts::encode(a7), now, out, draining_reserve() + draining_ping_bytes);
}

RPCH_DECL std::error_code client::agree_to_r2(const rts::pdu&, time_point now, action_list& out) {
    if (!out_successor_) return errc::unexpected_pdu;
    const rts::out_r2_a7 a7{.successor_channel = *out_successor_};
    if (const auto failure = send_on_in(a7.kind, rts::encode(a7), now, out,
                                        draining_reserve() + draining_ping_bytes))
        return failure;
    out.push_back(action::send{leg::successor_out_http, rts::encode(rts::out_r2_c1{})});
    return {};
}

RPCH_DECL std::error_code client::switch_out_r1(const rts::pdu&, time_point, action_list& out) {
    switch_out(out);
    out.push_back(action::send{leg::out_http, rts::encode(rts::out_r1_a11{})});
    return {};
}

RPCH_DECL std::error_code client::switch_out_r2(const rts::pdu&, time_point, action_list& out) {
    switch_out(out);
    return {};
}

RPCH_DECL void client::switch_out(action_list& out) {
    out.push_back(action::promote{leg::out_http});
    out_channel_ = *out_successor_;
    out_successor_.reset();
    out_response_came_ = std::exchange(out_successor_response_came_, false);
    predecessor_held_ += received_.renew();
    ++out_replaced_;
    deadlines_.clear(wait::out_replacement);
}

RPCH_DECL std::error_code client::ignore(const rts::pdu&, time_point, action_list&) { return {}; }

RPCH_DECL std::uint32_t client::wire_keepalive(std::chrono::milliseconds interval) noexcept {
    const auto most = std::chrono::milliseconds{std::numeric_limits<std::uint32_t>::max()};
    const auto known = std::clamp(interval, std::chrono::milliseconds{0}, most);
    return static_cast<std::uint32_t>(
        rts::effective_client_keepalive(static_cast<std::uint32_t>(known.count())).count());
}

RPCH_DECL std::error_code client::http_failure(int status) noexcept {
    constexpr int unauthorized = 401;
    if (status == unauthorized) return errc::http_auth_required;
    return make_error_code(static_cast<http_status>(status));
}

RPCH_DECL std::string_view name(client::state s) noexcept {
    using enum client::state;
    switch (s) {
    case start: return "start";
    case out_channel_wait: return "OUT Channel Wait";
    case wait_a3w: return "Wait_A3W";
    case wait_c2: return "Wait_C2";
    case opened: return "Opened";
    case finished: return "Finished";
    }
    return "unknown state";
}

RPCH_DECL std::string_view name(client::in_state s) noexcept {
    switch (s) {
    case client::in_state::opened: return "Opened";
    case client::in_state::opened_a4w: return "Opened_A4W";
    }
    return "unknown state";
}

RPCH_DECL std::string_view name(client::out_state s) noexcept {
    using enum client::out_state;
    switch (s) {
    case opened: return "Opened";
    case opened_a6w: return "Opened_A6W";
    case opened_a10w: return "Opened_A10W";
    case b3w: return "B3W";
    }
    return "unknown state";
}

} // namespace rpch::inline RPCH_ABI::channel
