#include <rpch/channel/client.hpp>

#include <algorithm>

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
        {wait_a3w,  out_http, conn_a3,                           &me::keep_timeout, wait_c2,  "3.2.2.5.3"},
        {wait_c2,   out_http, conn_c2,                           &me::open_up,      opened,   "3.2.2.5.4"},
        {opened,    out_http, flow_control_ack_with_destination, &me::acknowledged, opened,   "3.2.1.5.1.2"},
        {wait_a3w,  out_http, ping,                              &me::ignore,       wait_a3w, "2.2.4.49"},
        {wait_c2,   out_http, ping,                              &me::ignore,       wait_c2,  "2.2.4.49"},
        {opened,    out_http, ping,                              &me::ignore,       opened,   "2.2.4.49"},
        // Replacing the channels (3.2.2.5.5 to 3.2.2.5.10): in_r1_a4, in_r2_a4, out_r1_a2, out_r1_a6,
        // out_r2_a6, out_r1_a10 and out_r2_b3 have no rows yet.
    };
    // clang-format on
    return rows;
}

RPCH_DECL client::client(const client_settings& settings)
    : settings_(settings),
      received_(settings.receive_window),
      lifetime_(rts::clamp_channel_lifetime(settings.in_lifetime)) {}

RPCH_DECL std::error_code client::start(time_point now, action_list& out) {
    if (ending_ || state_ != state::start) return ending_.why();
    state_ = state::out_channel_wait;
    deadline_ = now + settings_.open_wait;
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
    if (const auto failure = send_on_in(rts::encode(b1), now, out)) return end(failure, which, out);
    return {};
}

RPCH_DECL std::error_code client::on_response(leg from, int status,
                                              std::optional<rpc_status> number, time_point,
                                              action_list& out) {
    if (ending_) return ending_.why();
    constexpr int success = 200;
    if (status != success)
        return end(number ? make_error_code(*number) : http_failure(status), from, out);
    if (from == leg::in_http) return {};
    if (from != leg::out_http || state_ != state::out_channel_wait)
        return end(errc::http_unexpected_response, from, out); // 3.2.2.5.2
    state_ = state::wait_a3w;
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
    const row* found = astray ? nullptr : find_transition(table(), state_, from, in->kind());
    if (found == nullptr) return end(errc::unexpected_pdu, from, out);
    state_ = found->to;
    if (const auto failure = (this->*found->effect)(*in, now, out)) return end(failure, from, out);
    return {};
}

RPCH_DECL std::error_code client::on_written(leg, std::size_t, time_point, action_list&) {
    return ending_.why(); // RPC PDUs are counted when they are sent
}

RPCH_DECL std::error_code client::on_closed(leg which, std::error_code why, time_point,
                                            action_list& out) {
    if (ending_) return ending_.why();
    return end(closing_reason(why), which, out); // 3.2.2.5.11
}

RPCH_DECL std::error_code client::on_deadline(time_point now, action_list& out) {
    if (ending_) return ending_.why();
    if (deadline_ && now >= *deadline_) return end(errc::setup_timeout, leg::out_http, out);
    // The timer starts with A3 (3.2.2.5.3), which may come before the IN channel carries B1.
    if (silence_.take_due(now) && in_connected_)
        if (const auto failure = send_on_in(rts::encode(rts::ping{}), now, out))
            return end(failure, leg::in_http, out);
    return {};
}

RPCH_DECL std::optional<time_point> client::next_deadline() const noexcept {
    return earlier(deadline_, silence_.deadline());
}

RPCH_DECL bool client::wants_input(leg from) const noexcept {
    return !ending_ && (from != leg::out_http || !received_.overrun());
}

RPCH_DECL std::size_t client::send_credit() const noexcept {
    if (state_ != state::opened) return 0;
    return static_cast<std::size_t>(std::min<std::uint64_t>(
        sending_.available(), lifetime_.left_beyond(in_lifetime_reserve_bytes)));
}

RPCH_DECL std::error_code client::on_rpc_sent(std::size_t bytes, time_point now, action_list&) {
    if (ending_) return ending_.why();
    Expects(bytes <= send_credit());
    sending_.on_sent(bytes);
    lifetime_.spend(bytes);
    silence_.on_sent(now);
    return {};
}

RPCH_DECL std::error_code client::on_rpc_waiting(std::size_t bytes, time_point, action_list& out) {
    if (ending_ || state_ != state::opened) return ending_.why();
    if (bytes > sending_.peer_window()) return end(errc::too_large, leg::in_http, out);
    // Replacing the IN channel is what helps here (3.2.2.5.12); until then the connection ends.
    if (bytes > lifetime_.left_beyond(in_lifetime_reserve_bytes))
        return end(errc::lifetime_exceeded, leg::in_http, out);
    return {};
}

RPCH_DECL std::error_code client::on_consumed(std::size_t bytes, time_point now, action_list& out) {
    if (ending_) return ending_.why();
    if (bytes == 0 || !received_.on_released(bytes)) return {};
    const acknowledgement ack = received_.acknowledge();
    const rts::flow_control_ack_with_destination pdu{
        .destination = rts::destination::outbound_proxy,
        .ack = {.bytes_received = ack.bytes_received,
                .available_window = ack.available_window,
                .channel_cookie = settings_.out_channel}};
    if (const auto failure = send_on_in(rts::encode(pdu), now, out))
        return end(failure, leg::in_http, out);
    return {};
}

RPCH_DECL std::error_code client::set_client_keepalive(std::chrono::milliseconds interval,
                                                       time_point now, action_list& out) {
    if (ending_) return ending_.why();
    settings_.client_keepalive = interval;
    if (!in_connected_) return {};
    const rts::keep_alive pdu{.client_keepalive = wire_keepalive(interval)};
    if (const auto failure = send_on_in(rts::encode(pdu), now, out))
        return end(failure, leg::in_http, out);
    return {};
}

RPCH_DECL std::error_code client::close(time_point, action_list& out) {
    if (ending_) return ending_.why();
    out.push_back(action::close{leg::in_http});
    out.push_back(action::close{leg::out_http});
    return end(errc::operation_aborted, leg::in_http, out);
}

RPCH_DECL std::error_code client::send_on_in(const rts::wire& pdu, time_point now,
                                             action_list& out) {
    if (!lifetime_.take(pdu.size())) return errc::lifetime_exceeded; // 2.1.2.1.7
    silence_.on_sent(now);
    out.push_back(action::send{leg::in_http, pdu});
    return {};
}

RPCH_DECL void client::set_timeout(std::uint32_t milliseconds, time_point now) noexcept {
    auto timeout = rts::clamp_connection_timeout(milliseconds);
    if (settings_.connection_timeout) timeout = std::min(timeout, *settings_.connection_timeout);
    if (settings_.keep_alive.count() > 0) timeout = std::min(timeout, settings_.keep_alive);
    silence_.start(timeout / 2, now);
}

RPCH_DECL std::error_code client::end(std::error_code why, leg where, action_list& out) {
    state_ = state::finished;
    deadline_.reset();
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
    deadline_.reset();
    out.push_back(action::opened{});
    return {};
}

RPCH_DECL std::error_code client::acknowledged(const rts::pdu& in, time_point, action_list& out) {
    const auto ack = acknowledgment_in(in);
    if (ack.channel_cookie != settings_.in_channel) return {}; // foreign: dropped, 3.2.1.5.1.2
    const std::size_t credit = send_credit();
    if (const auto failure = sending_.on_acknowledged({ack.bytes_received, ack.available_window}))
        return failure;
    if (send_credit() > credit) out.push_back(action::sendable{});
    return {};
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

} // namespace rpch::inline RPCH_ABI::channel
