#include <rpch/channel/outbound_proxy.hpp>

#include <algorithm>

#include <rpch/dcerpc/common_header.hpp>
#include <rpch/rts/forwarding.hpp>
#include <rpch/rts/rules.hpp>

namespace rpch::inline RPCH_ABI::channel {

RPCH_DECL std::span<const outbound_proxy::row> outbound_proxy::table() noexcept {
    using enum state;
    using enum leg;
    using enum rts::shape;
    using me = outbound_proxy;
    // clang-format off
    static constexpr row rows[] = {
        // from,      on,       PDU,                               effect,            to
        {open_start,  out_http, conn_a1,                           &me::connect,      connecting, "3.2.4.5.3"},
        {c1w,         out_tcp,  conn_c1,                           &me::pass_c2,      opened,     "3.2.4.5.4"},
        {c1w,         out_tcp,  flow_control_ack_with_destination, &me::ignore,       c1w,        "3.2.1.5.1.2"},
        {opened,      out_tcp,  flow_control_ack_with_destination, &me::acknowledged, opened,     "3.2.1.5.1.2"},
        // Replacing the channel (3.2.4.5.6, 3.2.4.5.8 to 3.2.4.5.12): out_r1_a3, out_r1_a9, out_r1_a11,
        // out_r2_b1, out_r2_b2 and out_r2_c1 have no rows yet. PDUs for the client are not listed: they
        // are forwarded before the table is asked (3.2.1.5.2).
    };
    // clang-format on
    return rows;
}

RPCH_DECL outbound_proxy::outbound_proxy(const outbound_proxy_settings& settings)
    : settings_(settings),
      received_(settings.receive_window),
      sending_(leg::out_http, rts::clamp_channel_lifetime(settings.channel_lifetime)) {}

RPCH_DECL std::error_code outbound_proxy::start(time_point now, action_list&) {
    if (!ending_) deadline_ = now + settings_.first_pdu_wait;
    return ending_.why();
}

RPCH_DECL std::error_code outbound_proxy::on_connected(leg which, time_point now,
                                                       action_list& out) {
    if (ending_ || which != leg::out_tcp || state_ != state::connecting) return ending_.why();
    state_ = state::c1w;
    deadline_ = now + settings_.pairing_wait;
    const std::uint32_t lifetime = rts::clamp_channel_lifetime(settings_.channel_lifetime);
    const std::chrono::milliseconds timeout = clamp_timeout(settings_.connection_timeout);
    out.push_back(action::send{
        leg::out_tcp,
        rts::encode(rts::conn_a2{.version = std::min(hello_.version, rts::protocol_version),
                                 .virtual_connection = hello_.virtual_connection,
                                 .out_channel = hello_.out_channel,
                                 .channel_lifetime = lifetime,
                                 .receive_window_size = received_.size()})});
    out.push_back(action::respond{leg::out_http, lifetime});
    silence_.start(timeout / 2, now);
    const rts::conn_a3 a3{.connection_timeout = static_cast<std::uint32_t>(timeout.count())};
    if (const auto failure = send_to_client(rts::encode(a3), now, out))
        return end(failure, leg::out_http, out);
    return {};
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
    // A server sends nothing before it has joined the halves and sent C1.
    if (state_ != state::opened) return end(errc::unexpected_pdu, from, out);
    if (settings_.strict_windows && !received_.has_room(pdu.size()))
        return end(errc::window_exceeded, from, out);
    received_.expect_fragment(announced_fragment(pdu));
    received_.on_received(pdu.size());
    if (const auto failure = sending_.send(pdu, out)) return end(failure, leg::out_http, out);
    if (sending_.queued_bytes() == 0) silence_.on_sent(now);
    return {};
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
    const bool ready = state_ == state::c1w || state_ == state::opened;
    const bool towards_client =
        rts::forward_next_hop(rts::role::outbound_proxy, in.forward_destination()) ==
        rts::role::client;
    if (!ready || from != leg::out_tcp || !towards_client)
        return end(errc::unexpected_pdu, from, out); // else it would go back to where it came from
    if (const auto failure = pass(in, now, out)) return end(failure, leg::out_http, out);
    return {};
}

RPCH_DECL std::error_code outbound_proxy::on_written(leg to, std::size_t rpc_bytes, time_point,
                                                     action_list& out) {
    if (ending_) return ending_.why();
    if (to == leg::out_http && rpc_bytes != 0 && received_.on_released(rpc_bytes)) {
        const acknowledgement ack = received_.acknowledge();
        out.push_back(action::send{
            leg::out_tcp,
            rts::encode(rts::flow_control_ack{.ack = {.bytes_received = ack.bytes_received,
                                                      .available_window = ack.available_window,
                                                      .channel_cookie = hello_.out_channel}})});
    }
    return {};
}

RPCH_DECL std::error_code outbound_proxy::on_closed(leg which, std::error_code why, time_point,
                                                    action_list& out) {
    if (ending_) return ending_.why();
    why = closing_reason(why);
    if (which == leg::out_tcp && state_ == state::connecting) {
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
    if (deadline_ && now >= *deadline_) {
        if (state_ == state::connecting)
            out.push_back(action::refuse{leg::out_http, rpc_status::server_unavailable});
        const leg waited_for = state_ == state::open_start ? leg::out_http : leg::out_tcp;
        return end(errc::setup_timeout, waited_for, out);
    }
    if (silence_.take_due(now))
        if (const auto failure = ping(now, out)) return end(failure, leg::out_http, out);
    return {};
}

RPCH_DECL std::optional<time_point> outbound_proxy::next_deadline() const noexcept {
    return earlier(deadline_, silence_.deadline());
}

RPCH_DECL bool outbound_proxy::wants_input(leg from) const noexcept {
    return !ending_ && (from != leg::out_tcp || !received_.overrun());
}

RPCH_DECL std::error_code outbound_proxy::end(std::error_code why, leg where, action_list& out) {
    state_ = state::finished;
    deadline_.reset();
    silence_.stop();
    return ending_.end(why, where, out);
}

RPCH_DECL std::error_code outbound_proxy::send_to_client(const rts::wire& pdu, time_point now,
                                                         action_list& out) {
    if (const auto failure = sending_.send_rts(pdu.size())) return failure;
    silence_.on_sent(now);
    out.push_back(action::send{leg::out_http, pdu});
    return {};
}

RPCH_DECL std::error_code outbound_proxy::pass(const rts::pdu& in, time_point now,
                                               action_list& out) {
    if (const auto failure = sending_.send_rts(in.bytes().size())) return failure;
    silence_.on_sent(now);
    out.push_back(action::forward{leg::out_http});
    return {};
}

RPCH_DECL std::error_code outbound_proxy::ping(time_point now, action_list& out) {
    // 3.2.4.6 and B50: the server cannot see pings, and counts the lifetime of OUT-H.
    const rts::wire pdu = rts::encode(rts::ping{});
    if (const auto failure = send_to_client(pdu, now, out)) return failure;
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
    if (const auto window = rts::check_receive_window(hello_.receive_window_size); !window)
        return window.error();
    sending_.set_peer_window(hello_.receive_window_size);
    deadline_ = now + settings_.connect_wait;
    out.push_back(action::open{leg::out_tcp});
    return {};
}

RPCH_DECL std::error_code outbound_proxy::pass_c2(const rts::pdu& in, time_point now,
                                                  action_list& out) {
    // 2.2.4.9 gives C2 the values of C1; the steps of 3.2.4.5.4 would overwrite two of them with
    // this proxy's own, which say nothing of the IN channel. The PDU goes on as it is.
    deadline_.reset();
    if (const auto failure = pass(in, now, out)) return failure;
    out.push_back(action::opened{});
    return sending_.unplug(out);
}

RPCH_DECL std::error_code outbound_proxy::acknowledged(const rts::pdu& in, time_point now,
                                                       action_list& out) {
    const auto ack = acknowledgment_in(in);
    if (ack.channel_cookie != hello_.out_channel) return {}; // foreign: dropped, 3.2.1.5.1.2
    const std::uint32_t sent_before = sending_.window().sent();
    if (const auto failure =
            sending_.on_acknowledged({ack.bytes_received, ack.available_window}, out))
        return failure;
    if (sending_.window().sent() != sent_before) silence_.on_sent(now);
    return {};
}

RPCH_DECL std::error_code outbound_proxy::ignore(const rts::pdu&, time_point, action_list&) {
    return {};
}

RPCH_DECL std::string_view name(outbound_proxy::state s) noexcept {
    using enum outbound_proxy::state;
    switch (s) {
    case open_start: return "Open_Start";
    case connecting: return "connecting";
    case c1w: return "C1W";
    case opened: return "Opened";
    case a11w: return "A11W";
    case b1_or_c1w: return "B1OrC1W";
    case b1w: return "B1W";
    case r2_c1w: return "R2C1W";
    case finished: return "Finished";
    }
    return "unknown state";
}

} // namespace rpch::inline RPCH_ABI::channel
