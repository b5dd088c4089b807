#include <rpch/channel/server.hpp>

#include <doctest/doctest.h>

#include "tests/support/channel.hpp"

using namespace rpch;
using namespace rpch::channel;
using test::list;
using namespace std::chrono_literals;
using state = server::state;

namespace {

using driven = test::driven<server>;

rts::conn_a2 a2(std::uint32_t window = 65536, std::uint32_t lifetime = 0x40000000) {
    return {.virtual_connection = test::vc_cookie,
            .out_channel = test::out_cookie,
            .channel_lifetime = lifetime,
            .receive_window_size = window};
}
rts::conn_b2 b2() {
    return {
        .virtual_connection = test::vc_cookie,
        .in_channel = test::in_cookie,
        .receive_window_size = 50'000,
        .connection_timeout = 130'000,
        .association_group = test::group_cookie,
        .client_address = {.octets = {std::byte{192}, std::byte{0}, std::byte{2}, std::byte{9}}}};
}
server_settings settings() { return {.receive_window = 65536}; }
driven in_start(const server_settings& s = settings()) { return driven(s); }
driven in_b2w(const server_settings& s = settings(), const rts::conn_a2& first = a2()) {
    driven m(s);
    m.rts(leg::out_tcp, first);
    return m;
}
driven in_a2w(const server_settings& s = settings()) {
    driven m(s);
    m.rts(leg::in_tcp, b2());
    return m;
}
driven in_opened(const server_settings& s = settings(), const rts::conn_a2& first = a2()) {
    driven m = in_b2w(s, first);
    m.rts(leg::in_tcp, b2());
    return m;
}
std::error_code sent(driven& m, std::size_t n) {
    m.clear();
    return m.machine.on_rpc_sent(n, m.now, m.out);
}
std::error_code waiting(driven& m, std::size_t n) {
    m.clear();
    return m.machine.on_rpc_waiting(n, m.now, m.out);
}
std::error_code consumed(driven& m, std::size_t n) {
    m.clear();
    return m.machine.on_consumed(n, m.now, m.out);
}
bool expects(driven& m, leg half) {
    return !m.machine.admits(
        {.virtual_connection = test::vc_cookie,
         .half = half,
         .kind = half == leg::in_tcp ? rts::shape::conn_b2 : rts::shape::conn_a2});
}
rts::flow_control_ack ack_of(std::uint32_t received, std::uint32_t available,
                             rts::cookie channel = test::out_cookie) {
    return {.ack = {received, available, channel}};
}
const list opening{"send out_tcp CONN/C1, CONN/C2", "send in_tcp CONN/B3", "opened"};

} // namespace

TEST_CASE("server: CONN/A2 then CONN/B2 joins the halves") {
    driven m = in_start();
    CHECK(expects(m, leg::out_tcp));
    CHECK(expects(m, leg::in_tcp));
    CHECK(!m.rts(leg::out_tcp, a2()));
    CHECK(m.said() == list{});
    CHECK(m.machine.current() == state::b2w);
    CHECK(!expects(m, leg::out_tcp));
    CHECK(expects(m, leg::in_tcp));
    CHECK(!m.rts(leg::in_tcp, b2()));
    CHECK(m.said() == opening);
    CHECK(m.machine.current() == state::opened);
    CHECK(!expects(m, leg::in_tcp));
    CHECK(!expects(m, leg::out_tcp));
    CHECK(test::last_sent<rts::conn_c1>(m.out) ==
          rts::conn_c1{.receive_window_size = 50'000, .connection_timeout = 130'000});
    CHECK(test::last_sent<rts::conn_b3>(m.out) == rts::conn_b3{.receive_window_size = 65536});
    CHECK(m.machine.virtual_connection() == test::vc_cookie);
    CHECK(m.machine.association_group() == test::group_cookie);
    CHECK(m.machine.client().octets[3] == std::byte{9});
    CHECK(!m.machine.next_deadline());
}

TEST_CASE("server: CONN/B2 then CONN/A2 joins them as well") {
    driven m = in_start();
    CHECK(!m.rts(leg::in_tcp, b2()));
    CHECK(m.said() == list{});
    CHECK(m.machine.current() == state::a2w);
    CHECK(expects(m, leg::out_tcp));
    CHECK(!expects(m, leg::in_tcp));
    CHECK(!m.rts(leg::out_tcp, a2(8192)));
    CHECK(m.said() == opening);
    CHECK(m.machine.send_credit() == 8192);
    CHECK(m.machine.largest_pdu() == 8192);
}

TEST_CASE("server: tells the lowest version and values that the commands can carry") {
    driven m = in_start();
    auto out_half = a2();
    out_half.version = 5;
    auto in_half = b2();
    in_half.version = 0;
    in_half.receive_window_size = 1 << 20;
    in_half.connection_timeout = 1;
    m.rts(leg::out_tcp, out_half);
    CHECK(!m.rts(leg::in_tcp, in_half));
    CHECK(test::last_sent<rts::conn_c1>(m.out) == rts::conn_c1{.version = 0,
                                                               .receive_window_size = 262'144,
                                                               .connection_timeout = 120'000});
    CHECK(test::last_sent<rts::conn_b3>(m.out).version == 0);
}

TEST_CASE("server: halves of different virtual connections are not joined") {
    for (const bool out_first : {true, false}) {
        driven m = out_first ? in_b2w() : in_a2w();
        auto in_half = b2();
        auto out_half = a2();
        in_half.virtual_connection = out_half.virtual_connection = test::cookie_of(0x55);
        CHECK((out_first ? m.rts(leg::in_tcp, in_half) : m.rts(leg::out_tcp, out_half)) ==
              errc::cookie_mismatch);
        CHECK(test::is_silent(m));
    }
}

TEST_CASE("server: windows too small for a fragment are refused") {
    driven out_half = in_start();
    CHECK(out_half.rts(leg::out_tcp, a2(8191)) == errc::bad_value);
    driven in_half = in_start();
    auto pdu = b2();
    pdu.receive_window_size = 0;
    CHECK(in_half.rts(leg::in_tcp, pdu) == errc::bad_value);
    CHECK(test::is_silent(in_half));
}

TEST_CASE("server: refuses every PDU its table leaves out") {
    const auto me = rts::destination::server;
    CHECK(test::accepted_though_not_listed([] { return in_start(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_a2w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_b2w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_opened(); }, me) == list{});
}

TEST_CASE(
    "server: RPC PDUs from the inbound proxy are delivered when open; from elsewhere they close") {
    driven m = in_opened();
    CHECK(!m.pdu(leg::in_tcp, test::rpc_pdu(64)));
    CHECK(m.said() == list{"deliver"});
    CHECK(m.pdu(leg::out_tcp, test::rpc_pdu(64)) == errc::wrong_direction);
    CHECK(test::is_silent(m));
    driven half = in_a2w();
    CHECK(half.pdu(leg::in_tcp, test::rpc_pdu(64)) == errc::unexpected_pdu);
}

TEST_CASE(
    "server: forwards between the proxies, never back, and drops what has nowhere to go yet") {
    const auto pdu_to = [](rts::destination to) { return rts::in_r2_a3{.destination = to}; };
    for (const auto to : {rts::destination::client, rts::destination::outbound_proxy}) {
        driven m = in_opened();
        const auto left = m.machine.lifetime().left();
        CHECK(!m.rts(leg::in_tcp, pdu_to(to)));
        CHECK(m.said() == list{"forward out_tcp"});
        // What ends at the outbound proxy takes nothing of OUT-H.
        CHECK(m.machine.lifetime().left() == left - (to == rts::destination::client ? 28 : 0));
        CHECK(m.rts(leg::out_tcp, pdu_to(to)) == errc::unexpected_pdu);
        driven half = in_a2w();
        CHECK(!half.rts(leg::in_tcp, pdu_to(to)));
        CHECK(half.said() == list{});
        driven fresh = in_start();
        CHECK(fresh.rts(leg::in_tcp, pdu_to(to)) == errc::unexpected_pdu);
    }
    driven m = in_opened();
    CHECK(!m.rts(leg::out_tcp, pdu_to(rts::destination::inbound_proxy)));
    CHECK(m.said() == list{"forward in_tcp"});
    CHECK(m.rts(leg::in_tcp, pdu_to(rts::destination::inbound_proxy)) == errc::unexpected_pdu);
    driven half = in_b2w();
    CHECK(!half.rts(leg::out_tcp, pdu_to(rts::destination::inbound_proxy)));
    CHECK(half.said() == list{});
}

TEST_CASE("server: sends within the window of CONN/A2 and says when there is more") {
    driven m = in_opened(settings(), a2(8192));
    CHECK(!sent(m, 8192));
    CHECK(m.machine.send_credit() == 0);
    CHECK(!waiting(m, 24));
    CHECK(!m.rts(leg::out_tcp, ack_of(8192, 8192, test::in_cookie))); // another channel: dropped
    CHECK(m.said() == list{});
    CHECK(!m.rts(leg::out_tcp, ack_of(8192, 5000)));
    CHECK(m.said() == list{"sendable"});
    CHECK(m.machine.send_credit() == 5000);
    CHECK(!m.rts(leg::out_tcp,
                 rts::flow_control_ack_with_destination{.destination = rts::destination::server,
                                                        .ack = {8192, 8192, test::out_cookie}}));
    CHECK(m.said() == list{"sendable"});
    CHECK(m.rts(leg::out_tcp, ack_of(8192, 8193)) == errc::bad_acknowledgement);
    CHECK(test::is_silent(m));
}

TEST_CASE("server: acknowledgements with a cookie of zeros are another channel's") {
    driven m = in_opened();
    CHECK(!m.rts(leg::out_tcp, ack_of(0, 1, rts::cookie{})));
    CHECK(m.machine.send_credit() == 65536);
}

TEST_CASE("server: acknowledges to the inbound proxy what the upper layer has taken") {
    driven m = in_opened({.receive_window = 8192});
    m.pdu(leg::in_tcp, test::rpc_pdu(2400));
    CHECK(!consumed(m, 2000));
    CHECK(m.said() == list{"send in_tcp FlowControlAck"});
    CHECK(test::last_sent<rts::flow_control_ack>(m.out).ack ==
          rts::flow_control_acknowledgment{2400, 8192 - 400, test::in_cookie});
}

TEST_CASE(
    "server: an inbound proxy that overruns the window is read no further until it fits again") {
    driven m = in_opened({.receive_window = 8192});
    m.pdu(leg::in_tcp, test::rpc_pdu(8192));
    CHECK(m.machine.wants_input(leg::in_tcp));
    m.pdu(leg::in_tcp, test::rpc_pdu(24));
    CHECK(!m.machine.wants_input(leg::in_tcp));
    CHECK(m.machine.wants_input(leg::out_tcp));
    consumed(m, 100);
    CHECK(m.machine.wants_input(leg::in_tcp));
    driven strict = in_opened({.receive_window = 8192, .strict_windows = true});
    strict.pdu(leg::in_tcp, test::rpc_pdu(8192));
    CHECK(strict.pdu(leg::in_tcp, test::rpc_pdu(24)) == errc::window_exceeded);
}

TEST_CASE("server: keeps room for RTS PDUs and pings in the OUT channel's lifetime") {
    driven m = in_opened(settings(), a2(262'144, 128 * 1024));
    CHECK(m.machine.lifetime().left() == 128 * 1024 - 44);
    const auto credit = m.machine.send_credit();
    CHECK(credit == 128 * 1024 - 44 - 8192);
    CHECK(!m.rts(leg::out_tcp, rts::ping_traffic_sent_notify{.ping_traffic_sent = 1040}));
    CHECK(m.machine.send_credit() == credit - 1040);
    CHECK(!waiting(m, credit - 1040 - 60'000));
    CHECK(m.said() == list{});
    CHECK(!waiting(m, credit));
    CHECK(m.said() == list{"send out_tcp OUT_R1/A1, OUT_R1/A2, OUT_R2/A1, OUT_R2/A2"});
    CHECK(!waiting(m, credit));
    CHECK(m.said() == list{}); // once is enough
    driven big = in_opened(settings(), a2(8192));
    CHECK(waiting(big, 8193) == errc::too_large);
}

TEST_CASE("server: a PDU that waits for more lifetime waits only so long") {
    driven m = in_opened({.replace_out_below = 1}, a2(262'144, 128 * 1024));
    CHECK(!sent(m, m.machine.send_credit() - 100));
    CHECK(!waiting(m, 101));
    CHECK(m.after(15min) == errc::replacement_timeout);
    CHECK(test::is_silent(m));
}

TEST_CASE("server: a lifetime below the text's minimum is taken at its word") {
    driven m = in_opened(settings(), a2(8192, 1000));
    CHECK(m.machine.send_credit() == 0);
    CHECK(m.machine.lifetime().left() == 1000 - 44);
    CHECK(waiting(m, 24) == errc::lifetime_exceeded);
    driven none = in_b2w(settings(), a2(8192, 43));
    CHECK(none.rts(leg::in_tcp, b2()) == errc::lifetime_exceeded);
}

TEST_CASE("server: 8 KiB of ping traffic in 4 minutes are borne, one byte more is not") {
    for (const auto make :
         {+[] { return in_b2w({.pairing_wait = 1h}); }, +[] { return in_opened(); }}) {
        driven m = make();
        const rts::ping_traffic_sent_notify half{.ping_traffic_sent = 4096};
        CHECK(!m.rts(leg::out_tcp, half));
        CHECK(!m.rts(leg::out_tcp, half));
        driven later = m;
        CHECK(m.rts(leg::out_tcp, rts::ping_traffic_sent_notify{.ping_traffic_sent = 1}) ==
              errc::ping_traffic_exceeded);
        CHECK(test::is_silent(m));
        later.now += 4min;
        CHECK(!later.rts(leg::out_tcp, half));
    }
}

TEST_CASE("server: the second half has to come in time") {
    for (const auto make : {+[] { return in_a2w(); }, +[] { return in_b2w(); }}) {
        driven m = make();
        CHECK(m.machine.next_deadline() == test::t0 + 60s);
        CHECK(!m.after(59s));
        CHECK(m.after(1s) == errc::setup_timeout);
        CHECK(test::is_silent(m));
    }
    driven open = in_opened();
    CHECK(!open.after(24h));
    CHECK(open.said() == list{});
}

TEST_CASE("server: the end of either half ends the virtual connection") {
    for (const leg l : {leg::in_tcp, leg::out_tcp}) {
        driven m = in_opened();
        CHECK(m.closed(l) == errc::channel_closed);
        CHECK(m.said() == list{"failed " + std::string(name(l))});
        CHECK(test::is_silent(m));
        driven lost = l == leg::in_tcp ? in_a2w() : in_b2w();
        CHECK(lost.closed(l, errc::connection_lost) == errc::connection_lost);
        CHECK(test::is_silent(lost));
    }
}

TEST_CASE("server: closing lets what was sent go out first") {
    driven m = in_opened();
    m.clear();
    CHECK(m.machine.close(m.now, m.out) == errc::operation_aborted);
    CHECK(m.said() == list{"close out_tcp", "close in_tcp", "failed out_tcp"});
    CHECK(test::is_silent(m));
    CHECK(m.machine.send_credit() == 0);
    CHECK(!expects(m, leg::in_tcp));
    CHECK(sent(m, 0) == errc::operation_aborted);
    CHECK(waiting(m, 1) == errc::operation_aborted);
    CHECK(consumed(m, 0) == errc::operation_aborted);
    CHECK(m.out.empty());
}

TEST_CASE("first PDU: tells half and cookie, or why the connection is not for us") {
    const auto out_half = classify_first_pdu(test::wire_of(a2()));
    REQUIRE(out_half);
    CHECK(out_half->half == leg::out_tcp);
    CHECK(out_half->virtual_connection == test::vc_cookie);
    CHECK(out_half->kind == rts::shape::conn_a2);
    const auto in_half = classify_first_pdu(test::wire_of(b2()));
    REQUIRE(in_half);
    CHECK(in_half->half == leg::in_tcp);
    CHECK(in_half->kind == rts::shape::conn_b2);
    CHECK(classify_first_pdu(test::rpc_pdu(72, dcerpc::pdu_type::bind)).error() ==
          errc::v1_not_supported);
    for (const auto kind : rts::all_shapes) {
        if (kind == rts::shape::conn_a2 || kind == rts::shape::conn_b2) continue;
        CAPTURE(rts::name(kind));
        const auto first = classify_first_pdu(test::sample(kind, rts::destination::server));
        if (kind == rts::shape::in_r1_a2)
            CHECK(first->half == leg::successor_in_tcp);
        else if (kind == rts::shape::out_r1_a4)
            CHECK(first->half == leg::successor_out_tcp);
        else
            CHECK(first.error() == errc::unexpected_pdu);
    }
    for (const auto& whole : {test::wire_of(a2()), test::wire_of(b2())})
        for (std::size_t n = 0; n < whole.size(); ++n)
            CHECK(!classify_first_pdu(byte_view(whole).first(n)));
    auto garbage = test::rpc_pdu(72);
    garbage[0] = std::byte{'G'};
    CHECK(classify_first_pdu(garbage).error() == errc::bad_version);
}

TEST_CASE("server: every state has a name of its own") {
    list names;
    for (const auto s : {state::start, state::a2w, state::b2w, state::opened, state::finished}) {
        names.emplace_back(name(s));
        CHECK(std::count(names.begin(), names.end(), names.back()) == 1);
    }
}
