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
        return first_pdu{rts::get<rts::conn_a2>(*in).virtual_connection, leg::out_tcp, kind};
    if (kind == rts::shape::conn_b2)
        return first_pdu{rts::get<rts::conn_b2>(*in).virtual_connection, leg::in_tcp, kind};
    const bool replacement = kind == rts::shape::in_r1_a2 || kind == rts::shape::out_r1_a4;
    return fail(replacement ? errc::not_supported : errc::unexpected_pdu);
}

RPCH_DECL std::span<const server::row> server::table() noexcept {
    using enum state;
    using enum leg;
    using enum rts::shape;
    using me = server;
    // clang-format off
    static constexpr row rows[] = {
        // from,  on,      PDU,                               effect,            to
        {start,   out_tcp, conn_a2,                           &me::keep_a2,      b2w,    "3.2.5.5.3.1"},
        {start,   in_tcp,  conn_b2,                           &me::keep_b2,      a2w,    "3.2.5.5.4.1"},
        {a2w,     out_tcp, conn_a2,                           &me::join_a2,      opened, "3.2.5.5.3.2"},
        {b2w,     in_tcp,  conn_b2,                           &me::join_b2,      opened, "3.2.5.5.4.2"},
        {opened,  out_tcp, flow_control_ack,                  &me::acknowledged, opened, "3.2.1.5.1.2"},
        {opened,  out_tcp, flow_control_ack_with_destination, &me::acknowledged, opened, "3.2.1.5.1.2"},
        {b2w,     out_tcp, ping_traffic_sent_notify,          &me::count_pings,  b2w,    "3.2.5.5.14"},
        {opened,  out_tcp, ping_traffic_sent_notify,          &me::count_pings,  opened, "3.2.5.5.14"},
        // Replacing the channels (3.2.5.5.5 to 3.2.5.5.12): in_r1_a2, in_r1_a6, in_r1_b1, in_r2_a2,
        // out_r1_a4, out_r1_a8, out_r2_a4 and out_r2_a8 have no rows yet.
    };
    // clang-format on
    return rows;
}

RPCH_DECL server::server(const server_settings& settings)
    : settings_(settings), received_(settings.receive_window) {}

RPCH_DECL std::error_code server::start(time_point now, action_list&) {
    if (!ending_ && state_ != state::opened) deadline_ = now + settings_.pairing_wait;
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
    if (from != leg::in_tcp) return end(errc::wrong_direction, from, out); // 3.2.5.5.2
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
        return forward(*in, from, out);
    const row* found = find_transition(table(), state_, from, in->kind());
    if (found == nullptr) return end(errc::unexpected_pdu, from, out);
    state_ = found->to;
    if (const auto failure = (this->*found->effect)(*in, now, out)) return end(failure, from, out);
    return {};
}

RPCH_DECL std::error_code server::forward(const rts::pdu& in, leg from, action_list& out) {
    const leg to = rts::forward_next_hop(rts::role::server, in.forward_destination()) ==
                           rts::role::inbound_proxy
                       ? leg::in_tcp
                       : leg::out_tcp;
    // A PDU that would go back to where it came from breaks 3.2.1.5.2; nor is one the first PDU.
    if (to == from || state_ == state::start) return end(errc::unexpected_pdu, from, out);
    if (state_ != state::opened) return {}; // the other half is not there yet: dropped
    if (to == leg::out_tcp && !lifetime_.take(in.bytes().size()))
        return end(errc::lifetime_exceeded, to, out);
    out.push_back(action::forward{to});
    return {};
}

RPCH_DECL std::error_code server::on_written(leg, std::size_t, time_point, action_list&) {
    return ending_.why(); // RPC PDUs are counted when they are sent
}

RPCH_DECL std::error_code server::on_closed(leg which, std::error_code why, time_point,
                                            action_list& out) {
    if (ending_) return ending_.why();
    return end(closing_reason(why), which, out); // 3.2.5.5.13
}

RPCH_DECL std::error_code server::on_deadline(time_point now, action_list& out) {
    if (ending_ || !deadline_ || now < *deadline_) return ending_.why();
    return end(errc::setup_timeout, state_ == state::a2w ? leg::out_tcp : leg::in_tcp, out);
}

RPCH_DECL std::optional<time_point> server::next_deadline() const noexcept { return deadline_; }

RPCH_DECL bool server::wants_input(leg from) const noexcept {
    return !ending_ && (from != leg::in_tcp || !received_.overrun());
}

RPCH_DECL bool server::expects(leg half) const noexcept {
    return (half == leg::out_tcp && (state_ == state::start || state_ == state::a2w)) ||
           (half == leg::in_tcp && (state_ == state::start || state_ == state::b2w));
}

RPCH_DECL std::size_t server::send_credit() const noexcept {
    if (state_ != state::opened) return 0;
    return static_cast<std::size_t>(std::min<std::uint64_t>(
        sending_.available(), lifetime_.left_beyond(out_lifetime_reserve_bytes)));
}

RPCH_DECL std::error_code server::on_rpc_sent(std::size_t bytes, time_point, action_list&) {
    if (ending_) return ending_.why();
    Expects(bytes <= send_credit());
    sending_.on_sent(bytes);
    lifetime_.spend(bytes);
    return {};
}

RPCH_DECL std::error_code server::on_rpc_waiting(std::size_t bytes, time_point, action_list& out) {
    if (ending_ || state_ != state::opened) return ending_.why();
    if (bytes > sending_.peer_window()) return end(errc::too_large, leg::out_tcp, out);
    // Replacing the OUT channel is what helps here (3.2.5.5.15); until then the connection ends.
    if (bytes > lifetime_.left_beyond(out_lifetime_reserve_bytes))
        return end(errc::lifetime_exceeded, leg::out_tcp, out);
    return {};
}

RPCH_DECL std::error_code server::on_consumed(std::size_t bytes, time_point, action_list& out) {
    if (ending_) return ending_.why();
    if (bytes == 0 || !received_.on_released(bytes)) return {};
    const acknowledgement ack = received_.acknowledge();
    out.push_back(action::send{leg::in_tcp, rts::encode(rts::flow_control_ack{
                                                .ack = {.bytes_received = ack.bytes_received,
                                                        .available_window = ack.available_window,
                                                        .channel_cookie = in_.in_channel}})});
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
    deadline_.reset();
    return ending_.end(why, where, out);
}

RPCH_DECL std::error_code server::keep_a2(const rts::pdu& in, time_point, action_list&) {
    out_ = rts::get<rts::conn_a2>(in);
    if (const auto window = rts::check_receive_window(out_.receive_window_size); !window)
        return window.error();
    cookie_ = out_.virtual_connection;
    sending_ = send_window(out_.receive_window_size);
    // Raising a lifetime that is too short, as 3.5 of the value rules would, only overruns the
    // proxy.
    lifetime_ = channel::lifetime(std::min(out_.channel_lifetime, limits::channel_lifetime_max));
    return {};
}

RPCH_DECL std::error_code server::keep_b2(const rts::pdu& in, time_point, action_list&) {
    in_ = rts::get<rts::conn_b2>(in);
    if (const auto window = rts::check_receive_window(in_.receive_window_size); !window)
        return window.error();
    cookie_ = in_.virtual_connection;
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
    if (in_.virtual_connection != out_.virtual_connection) return errc::cookie_mismatch;
    deadline_.reset();
    const std::uint32_t version = std::min({out_.version, in_.version, rts::protocol_version});
    const rts::wire c1 = rts::encode(rts::conn_c1{
        .version = version,
        .receive_window_size = std::min(in_.receive_window_size, limits::receive_window_max),
        .connection_timeout = static_cast<std::uint32_t>(
            rts::clamp_connection_timeout(in_.connection_timeout).count())});
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
    if (ack.channel_cookie != out_.out_channel) return {}; // foreign: dropped, 3.2.1.5.1.2
    const std::size_t credit = send_credit();
    if (const auto failure = sending_.on_acknowledged({ack.bytes_received, ack.available_window}))
        return failure;
    if (send_credit() > credit) out.push_back(action::sendable{});
    return {};
}

RPCH_DECL std::error_code server::count_pings(const rts::pdu& in, time_point now, action_list&) {
    const auto bytes = rts::get<rts::ping_traffic_sent_notify>(in).ping_traffic_sent;
    if (!pings_.take(bytes, now)) return errc::ping_traffic_exceeded; // B17
    lifetime_.spend(bytes);
    return {};
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

} // namespace rpch::inline RPCH_ABI::channel
