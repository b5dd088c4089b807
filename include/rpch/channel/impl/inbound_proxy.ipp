#include <rpch/channel/inbound_proxy.hpp>

#include <algorithm>

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
        // from,      on,      PDU,                               effect,                to
        {open_start,  in_http, conn_b1,                           &me::connect,          connecting, "3.2.3.5.3"},
        {b3w,         in_tcp,  conn_b3,                           &me::unplug,           opened,     "3.2.3.5.4"},
        {opened,      in_tcp,  flow_control_ack,                  &me::acknowledged,     opened,     "3.2.1.5.1.2"},
        {opened,      in_tcp,  flow_control_ack_with_destination, &me::acknowledged,     opened,     "3.2.1.5.1.2"},
        {connecting,  in_http, ping,                              &me::ignore,           connecting, "2.2.4.49"},
        {b3w,         in_http, ping,                              &me::ignore,           b3w,        "2.2.4.49"},
        {opened,      in_http, ping,                              &me::ignore,           opened,     "2.2.4.49"},
        {connecting,  in_http, keep_alive,                        &me::apply_keep_alive, connecting, "2.2.4.46"},
        {b3w,         in_http, keep_alive,                        &me::apply_keep_alive, b3w,        "2.2.4.46"},
        {opened,      in_http, keep_alive,                        &me::apply_keep_alive, opened,     "2.2.4.46"},
        // Replacing the channel (3.2.3.5.5 to 3.2.3.5.8): in_r1_a1, in_r1_a5, in_r1_b2 and in_r2_a5
        // have no rows yet.
    };
    // clang-format on
    return rows;
}

RPCH_DECL inbound_proxy::inbound_proxy(const inbound_proxy_settings& settings)
    : settings_(settings),
      body_left_(settings.content_length),
      received_(settings.receive_window) {}

RPCH_DECL std::error_code inbound_proxy::start(time_point now, action_list&) {
    if (!ending_) deadline_ = now + settings_.first_pdu_wait;
    return ending_.why();
}

RPCH_DECL std::error_code inbound_proxy::on_connected(leg which, time_point now, action_list& out) {
    if (ending_ || which != leg::in_tcp || state_ != state::connecting) return ending_.why();
    state_ = state::b3w;
    deadline_ = now + settings_.pairing_wait;
    const std::chrono::milliseconds timeout = clamp_timeout(settings_.connection_timeout);
    out.push_back(
        action::keep_alive{leg::in_tcp, rts::effective_client_keepalive(hello_.client_keepalive)});
    out.push_back(action::send{
        leg::in_tcp,
        rts::encode(rts::conn_b2{.version = std::min(hello_.version, rts::protocol_version),
                                 .virtual_connection = hello_.virtual_connection,
                                 .in_channel = hello_.in_channel,
                                 .receive_window_size = received_.size(),
                                 .connection_timeout = static_cast<std::uint32_t>(timeout.count()),
                                 .association_group = hello_.association_group,
                                 .client_address = settings_.client})});
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
                                                                 : on_rpc(from, pdu, out);
}

RPCH_DECL std::error_code inbound_proxy::on_rpc(leg from, const core::split_view& pdu,
                                                action_list& out) {
    if (from != leg::in_http) return end(errc::wrong_direction, from, out); // 3.2.3.5.2
    if (state_ != state::b3w && state_ != state::opened)
        return end(errc::unexpected_pdu, from, out);
    if (settings_.strict_windows && !received_.has_room(pdu.size()))
        return end(errc::window_exceeded, from, out);
    received_.expect_fragment(announced_fragment(pdu));
    received_.on_received(pdu.size());
    if (const auto failure = sending_.send(pdu, out)) return end(failure, leg::in_tcp, out);
    return {};
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
    const bool ready = state_ == state::b3w || state_ == state::opened;
    const bool towards_server =
        rts::forward_next_hop(rts::role::inbound_proxy, to) == rts::role::server;
    if (!ready || from != leg::in_http || !towards_server)
        return end(errc::unexpected_pdu, from, out); // else it would go back to where it came from
    out.push_back(action::forward{leg::in_tcp});
    return {};
}

RPCH_DECL std::error_code inbound_proxy::on_written(leg to, std::size_t rpc_bytes, time_point,
                                                    action_list& out) {
    if (ending_) return ending_.why();
    if (to == leg::in_tcp && rpc_bytes != 0 && received_.on_released(rpc_bytes)) {
        const acknowledgement ack = received_.acknowledge();
        out.push_back(
            action::send{leg::in_tcp, rts::encode(rts::flow_control_ack_with_destination{
                                          .destination = rts::destination::client,
                                          .ack = {.bytes_received = ack.bytes_received,
                                                  .available_window = ack.available_window,
                                                  .channel_cookie = hello_.in_channel}})});
    }
    return {};
}

RPCH_DECL std::error_code inbound_proxy::on_closed(leg which, std::error_code why, time_point,
                                                   action_list& out) {
    if (ending_) return ending_.why();
    why = closing_reason(why);
    if (which == leg::in_tcp && state_ == state::connecting) {
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
    if (ending_ || !deadline_ || now < *deadline_) return ending_.why();
    if (state_ == state::connecting)
        out.push_back(action::refuse{leg::in_http, rpc_status::server_unavailable});
    return end(errc::setup_timeout, state_ == state::open_start ? leg::in_http : leg::in_tcp, out);
}

RPCH_DECL std::optional<time_point> inbound_proxy::next_deadline() const noexcept {
    return deadline_;
}

RPCH_DECL bool inbound_proxy::wants_input(leg from) const noexcept {
    return !ending_ && (from != leg::in_http || !received_.overrun());
}

RPCH_DECL std::error_code inbound_proxy::end(std::error_code why, leg where, action_list& out) {
    state_ = state::finished;
    deadline_.reset();
    return ending_.end(why, where, out);
}

RPCH_DECL std::error_code inbound_proxy::connect(const rts::pdu& in, time_point now,
                                                 action_list& out) {
    hello_ = rts::get<rts::conn_b1>(in);
    deadline_ = now + settings_.connect_wait;
    out.push_back(action::open{leg::in_tcp});
    return {};
}

RPCH_DECL std::error_code inbound_proxy::unplug(const rts::pdu& in, time_point, action_list& out) {
    const auto b3 = rts::get<rts::conn_b3>(in);
    if (const auto window = rts::check_receive_window(b3.receive_window_size); !window)
        return window.error();
    deadline_.reset();
    sending_.set_peer_window(b3.receive_window_size);
    out.push_back(action::opened{});
    return sending_.unplug(out);
}

RPCH_DECL std::error_code inbound_proxy::apply_keep_alive(const rts::pdu& in, time_point,
                                                          action_list& out) {
    hello_.client_keepalive = rts::get<rts::keep_alive>(in).client_keepalive;
    if (state_ != state::connecting) // there is no connection yet; on_connected sets it
        out.push_back(action::keep_alive{leg::in_tcp,
                                         rts::effective_client_keepalive(hello_.client_keepalive)});
    return {};
}

RPCH_DECL std::error_code inbound_proxy::acknowledged(const rts::pdu& in, time_point,
                                                      action_list& out) {
    const auto ack = acknowledgment_in(in);
    if (ack.channel_cookie != hello_.in_channel) return {}; // foreign: dropped, 3.2.1.5.1.2
    return sending_.on_acknowledged({ack.bytes_received, ack.available_window}, out);
}

RPCH_DECL std::error_code inbound_proxy::ignore(const rts::pdu&, time_point, action_list&) {
    return {};
}

RPCH_DECL std::string_view name(inbound_proxy::state s) noexcept {
    using enum inbound_proxy::state;
    switch (s) {
    case open_start: return "Open_Start";
    case connecting: return "connecting";
    case b3w: return "B3W";
    case opened: return "Opened";
    case opened_a5w: return "Opened_A5W";
    case wait_b2: return "Wait_B2";
    case finished: return "Finished";
    }
    return "unknown state";
}

} // namespace rpch::inline RPCH_ABI::channel
