#include <rpch/channel/inbound_proxy.hpp>

#include <doctest/doctest.h>

#include "tests/support/channel.hpp"

using namespace rpch;
using namespace rpch::channel;
using test::list;
using namespace std::chrono_literals;
using state = inbound_proxy::state;

namespace {

using proxy = test::driven<inbound_proxy>;

const rts::cookie in_2 = test::cookie_of(0x12);
const rts::cookie in_3 = test::cookie_of(0x13);
const rts::cookie nobody = test::cookie_of(0x77);
const std::string cookie_pdu = "IN_R1/A5, IN_R1/A6, IN_R2/A2, IN_R2/A5, OUT_R2/A4";

inbound_proxy_settings settings() {
    inbound_proxy_settings s;
    s.receive_window = 65536;
    return s;
}
rts::conn_b1 b1() {
    return {.virtual_connection = test::vc_cookie,
            .in_channel = test::in_cookie,
            .channel_lifetime = 0x40000000,
            .client_keepalive = 90'000,
            .association_group = test::group_cookie};
}
rts::in_r1_a1 a1(rts::cookie predecessor = test::in_cookie, rts::cookie successor = in_2) {
    return {.virtual_connection = test::vc_cookie,
            .predecessor_channel = predecessor,
            .successor_channel = successor};
}
proxy in_open_start(const inbound_proxy_settings& s = settings()) { return proxy(s); }
proxy in_opened(const inbound_proxy_settings& s = settings(), std::uint32_t server_window = 65536) {
    proxy p(s);
    p.rts(leg::in_http, b1());
    p.connected(leg::in_tcp);
    p.rts(leg::in_tcp, rts::conn_b3{.receive_window_size = server_window});
    return p;
}
/// IN_R1, the successor.
proxy in_connecting_r1(const inbound_proxy_settings& s = settings()) {
    proxy p(s);
    p.rts(leg::in_http, a1());
    return p;
}
proxy in_wait_b2(const inbound_proxy_settings& s = settings()) {
    proxy p = in_connecting_r1(s);
    p.connected(leg::in_tcp);
    return p;
}
proxy in_opened_r1(const inbound_proxy_settings& s = settings()) {
    proxy p = in_wait_b2(s);
    p.rts(leg::in_tcp, rts::in_r1_b2{.receive_window_size = 65536});
    return p;
}
/// IN_R1, the predecessor: 4000 and 300 bytes wait for the server's window of 8192.
proxy in_draining(const inbound_proxy_settings& s = settings()) {
    proxy p = in_opened(s, 8192);
    p.pdu(leg::in_http, test::rpc_pdu(8000));
    p.pdu(leg::in_http, test::rpc_pdu(4000));
    p.pdu(leg::in_http, test::rpc_pdu(300));
    p.rts(leg::in_http, rts::in_r1_a5{.successor_channel = in_2});
    return p;
}
/// IN_R2.
proxy in_a5w(const inbound_proxy_settings& s = settings(), std::uint32_t server_window = 65536) {
    proxy p = in_opened(s, server_window);
    p.rts(leg::successor_in_http, a1());
    return p;
}
proxy in_opened_r2(const inbound_proxy_settings& s = settings()) {
    proxy p = in_a5w(s);
    p.rts(leg::in_http, rts::in_r2_a5{.successor_channel = in_2});
    return p;
}
rts::flow_control_ack ack_of(std::uint32_t received, std::uint32_t available,
                             rts::cookie channel = test::in_cookie) {
    return {.ack = {received, available, channel}};
}
rts::flow_control_ack_with_destination far_ack_of(std::uint32_t received, std::uint32_t available) {
    return {.destination = rts::destination::inbound_proxy,
            .ack = {received, available, test::in_cookie}};
}

} // namespace

TEST_CASE("inbound proxy replacement: every row of its table asks for exactly what its section "
          "says") {
    test::table_walk<inbound_proxy> walk;
    const rts::keep_alive interval{.client_keepalive = 61'000};
    const list set{"keep_alive in_tcp 61000"};

    proxy first = in_open_start();
    CHECK(walk.step(first, leg::in_http, b1(), {"open in_tcp"}) == list{});
    CHECK(walk.step(first, leg::in_http, rts::ping{}, {}) == list{});
    CHECK(walk.step(first, leg::in_http, interval, {}) == list{});
    first.connected(leg::in_tcp);
    CHECK(walk.step(first, leg::in_http, rts::ping{}, {}) == list{});
    CHECK(walk.step(first, leg::in_http, interval, set) == list{});
    CHECK(walk.step(first, leg::in_tcp, rts::conn_b3{.receive_window_size = 8192}, {"opened"}) ==
          list{});
    CHECK(walk.step(first, leg::in_http, rts::ping{}, {}) == list{});
    CHECK(walk.step(first, leg::in_http, interval, set) == list{});
    first.pdu(leg::in_http, test::rpc_pdu(8192));
    first.pdu(leg::in_http, test::rpc_pdu(100));
    first.pdu(leg::in_http, test::rpc_pdu(200));
    CHECK(walk.step(first, leg::in_tcp, ack_of(8192, 100), {"send_rpc in_tcp 100"}) == list{});
    CHECK(walk.step(first, leg::in_tcp, far_ack_of(8292, 8192), {"send_rpc in_tcp 200"}) == list{});

    proxy r2 = first;
    CHECK(walk.step(r2, leg::successor_in_http, a1(), {"send in_tcp " + cookie_pdu}) == list{});
    CHECK(walk.step(r2, leg::in_http, rts::ping{}, {}) == list{});
    CHECK(walk.step(r2, leg::in_http, interval, set) == list{});
    CHECK(walk.step(r2, leg::in_tcp, ack_of(8492, 8192), {}) == list{});
    CHECK(walk.step(r2, leg::in_tcp, far_ack_of(8492, 8192), {}) == list{});
    CHECK(walk.step(r2, leg::in_http, rts::in_r2_a5{.successor_channel = in_2},
                    {"promote in_http"}) == list{});

    proxy r1 = in_opened(settings(), 8192);
    r1.pdu(leg::in_http, test::rpc_pdu(8192));
    r1.pdu(leg::in_http, test::rpc_pdu(100));
    r1.pdu(leg::in_http, test::rpc_pdu(200));
    CHECK(walk.step(r1, leg::in_http, rts::in_r1_a5{.successor_channel = in_2},
                    {"send in_tcp " + cookie_pdu}) == list{});
    CHECK(walk.step(r1, leg::in_tcp, far_ack_of(8192, 100), {"send_rpc in_tcp 100"}) == list{});
    CHECK(walk.step(r1, leg::in_tcp, ack_of(8292, 200),
                    {"send_rpc in_tcp 200", "send in_tcp IN_R1/B1", "close in_tcp", "close in_http",
                     "failed in_tcp"}) == list{});

    proxy other = in_open_start();
    CHECK(walk.step(other, leg::in_http, a1(), {"open in_tcp"}) == list{});
    CHECK(walk.step(other, leg::in_http, rts::ping{}, {}) == list{});
    CHECK(walk.step(other, leg::in_http, interval, {}) == list{});
    other.connected(leg::in_tcp);
    CHECK(walk.step(other, leg::in_http, rts::ping{}, {}) == list{});
    CHECK(walk.step(other, leg::in_http, interval, set) == list{});
    proxy overtaken = other;
    CHECK(walk.step(other, leg::in_tcp, rts::in_r1_b2{.receive_window_size = 8192}, {"opened"}) ==
          list{});
    overtaken.pdu(leg::in_http, test::rpc_pdu(8000));
    overtaken.pdu(leg::in_http, test::rpc_pdu(400));
    CHECK(walk.step(overtaken, leg::in_http, rts::in_r1_a5{.successor_channel = in_3},
                    {"send in_tcp " + cookie_pdu}) == list{});
    CHECK(walk.step(overtaken, leg::in_tcp, rts::in_r1_b2{.receive_window_size = 8192},
                    {"send_rpc in_tcp 8000"}) == list{});
    CHECK(walk.left() == list{});
}

TEST_CASE("inbound proxy replacement: refuses every PDU its table leaves out, in every state") {
    const auto me = rts::destination::inbound_proxy;
    CHECK(test::accepted_though_not_listed([] { return in_connecting_r1(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_wait_b2(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_opened_r1(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_draining(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_a5w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_opened_r2(); }, me) == list{});
}

TEST_CASE("inbound proxy replacement: IN_R1 at the successor, step by step") {
    auto s = settings();
    s.receive_window = 40'000;
    s.connection_timeout = 300s;
    proxy p(s);
    auto fresh = a1();
    fresh.version = 7;
    CHECK(!p.rts(leg::in_http, fresh));
    CHECK(p.said() == list{"open in_tcp"});
    CHECK(p.machine.current() == state::connecting_r1);
    CHECK(p.machine.is_successor());
    CHECK(p.machine.virtual_connection() == test::vc_cookie);
    CHECK(p.machine.next_deadline() == test::t0 + 30s); // to connect

    CHECK(!p.connected(leg::in_tcp));
    CHECK(p.machine.current() == state::wait_b2);
    CHECK(p.said() == list{"keep_alive in_tcp 300000", "send in_tcp IN_R1/A2"});
    CHECK(test::last_sent<rts::in_r1_a2>(p.out) ==
          rts::in_r1_a2{.version = 1,
                        .virtual_connection = test::vc_cookie,
                        .predecessor_channel = test::in_cookie,
                        .successor_channel = in_2,
                        .receive_window_size = 40'000,
                        .connection_timeout = 300'000});
    // The predecessor drains first, so the plug may stay for long.
    CHECK(p.machine.next_deadline() == test::t0 + 15min);
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(100)));
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(200)));
    CHECK(p.said() == list{});
    // An acknowledgement for the OUT channel passes the plug: the server may wait for it.
    CHECK(!p.rts(leg::in_http, rts::flow_control_ack_with_destination{
                                   .destination = rts::destination::outbound_proxy,
                                   .ack = {1, 2, test::out_cookie}}));
    CHECK(p.said() == list{"forward in_tcp"});

    CHECK(!p.rts(leg::in_tcp, rts::in_r1_b2{.receive_window_size = 8192}));
    CHECK(p.said() == list{"opened", "send_rpc in_tcp 100", "send_rpc in_tcp 200"});
    CHECK(p.machine.current() == state::opened);
    CHECK(p.machine.sending().window().available() == 8192 - 300);
    CHECK(!p.machine.next_deadline());
    CHECK(!p.written(leg::in_tcp, 300));
    // It is like any other proxy now, and acknowledges under its own cookie.
    for (int i = 0; i < 4; ++i) CHECK(!p.pdu(leg::in_http, test::rpc_pdu(6000)));
    CHECK(!p.rts(leg::in_tcp, ack_of(6300, 8192, in_2)));
    CHECK(p.said() == list{"send_rpc in_tcp 6000"});
    CHECK(!p.written(leg::in_tcp, 12'000));
    CHECK(test::last_sent<rts::flow_control_ack_with_destination>(p.out).ack ==
          rts::flow_control_acknowledgment{24'300, 40'000 - 12'000, in_2});
}

TEST_CASE("inbound proxy replacement: IN_R1 at the predecessor: A6, what is queued under the "
          "server's window, B1") {
    auto s = settings();
    s.receive_window = 20'000;
    proxy p = in_draining(s);
    CHECK(p.said() == list{"send in_tcp " + cookie_pdu});
    CHECK(test::last_sent<rts::in_r1_a6>(p.out).successor_channel == in_2);
    CHECK(p.machine.current() == state::draining);
    CHECK(!p.rts(leg::in_tcp, ack_of(8000, 4100)));
    CHECK(p.said() == list{"send_rpc in_tcp 4000"});
    CHECK(!p.rts(leg::in_tcp, ack_of(8000, 4100)));
    CHECK(!p.rts(leg::in_tcp, ack_of(12'000, 299)));
    CHECK(p.said() == list{});
    CHECK(!p.written(leg::in_tcp, 12'000));
    CHECK(p.said() == list{}); // nobody waits for acknowledgements of this channel any more
    CHECK(p.rts(leg::in_tcp, ack_of(12'000, 300)) == errc::channel_replaced);
    CHECK(p.said() == list{"send_rpc in_tcp 300", "send in_tcp IN_R1/B1", "close in_tcp",
                           "close in_http", "failed in_tcp"});
    CHECK(test::is_silent(p));

    proxy empty = in_opened();
    CHECK(empty.rts(leg::in_http, rts::in_r1_a5{.successor_channel = in_2}) ==
          errc::channel_replaced);
    CHECK(empty.said() == list{"send in_tcp " + cookie_pdu, "send in_tcp IN_R1/B1", "close in_tcp",
                               "close in_http", "failed in_http"});
    CHECK(test::is_silent(empty));
}

TEST_CASE("inbound proxy replacement: while it drains, the end of its request does no harm, that "
          "of the server does") {
    proxy p = in_draining();
    CHECK(!p.closed(leg::in_http, errc::connection_lost));
    CHECK(p.said() == list{});
    proxy q = p;
    CHECK(!p.rts(leg::in_tcp, ack_of(8000, 4000)));
    CHECK(p.rts(leg::in_tcp, ack_of(12'000, 8192)) == errc::channel_replaced);
    CHECK(q.closed(leg::in_tcp) == errc::channel_closed);
    CHECK(test::is_silent(q));
    proxy bad = in_draining();
    CHECK(bad.rts(leg::in_tcp, ack_of(8001, 8192)) == errc::bad_acknowledgement);
    CHECK(test::is_silent(bad));
    // A5 was the last PDU of this channel.
    proxy late = in_draining();
    CHECK(late.pdu(leg::in_http, test::rpc_pdu(64)) == errc::unexpected_pdu);
    proxy astray = in_draining();
    CHECK(astray.rts(leg::in_http, rts::out_r1_a7{.destination = rts::destination::server}) ==
          errc::unexpected_pdu);
}

TEST_CASE("inbound proxy replacement: IN_R2, step by step") {
    proxy p = in_opened();
    CHECK(!p.machine.admits(a1()));
    CHECK(!p.rts(leg::successor_in_http, a1()));
    CHECK(p.said() == list{"send in_tcp " + cookie_pdu});
    CHECK(test::last_sent<rts::in_r2_a2>(p.out).successor_channel == in_2);
    CHECK(p.machine.current() == state::opened_a5w);
    // Every byte of the predecessor goes before any of the successor's.
    CHECK(!p.machine.wants_input(leg::successor_in_http));
    CHECK(p.machine.wants_input(leg::in_http));
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(30'000)));
    CHECK(p.said() == list{"forward in_tcp"});
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(10'000)));
    CHECK(!p.written(leg::in_tcp, 30'000)); // acknowledged as the predecessor, which it still is
    CHECK(test::last_sent<rts::flow_control_ack_with_destination>(p.out).ack ==
          rts::flow_control_acknowledgment{40'000, 65536 - 10'000, test::in_cookie});
    // The server may name either channel; its window goes on where it was.
    CHECK(!p.rts(leg::in_tcp, ack_of(30'000, 65536 - 5000, in_2)));
    CHECK(p.machine.sending().window().available() == 65536 - 5000 - 10'000);
    CHECK(!p.rts(leg::in_tcp, ack_of(40'000, 65536 - 5000)));
    CHECK(p.machine.sending().window().available() == 65536 - 5000);

    CHECK(!p.rts(leg::in_http, rts::in_r2_a5{.successor_channel = in_2}));
    CHECK(p.said() == list{"promote in_http"});
    CHECK(p.machine.current() == state::opened);
    CHECK(p.machine.replaced() == 1);
    CHECK(!p.machine.next_deadline());
    CHECK(p.machine.held_of_predecessor() == 10'000);
    CHECK(p.machine.received().available() == 65536);
    CHECK(p.machine.wants_input(leg::in_http));
    CHECK(p.machine.sending().window().sent() == 40'000);

    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(35'000)));
    CHECK(!p.written(leg::in_tcp, 10'000)); // the predecessor's
    CHECK(p.said() == list{});
    CHECK(!p.written(leg::in_tcp, 35'000));
    CHECK(test::last_sent<rts::flow_control_ack_with_destination>(p.out).ack ==
          rts::flow_control_acknowledgment{35'000, 65536, in_2});
    CHECK(!p.rts(leg::in_tcp, ack_of(75'000, 65536))); // still either name
    CHECK(p.machine.sending().window().available() == 65536);
}

TEST_CASE(
    "inbound proxy replacement: before one, acknowledgements with another cookie are dropped, "
    "whatever it is") {
    for (proxy p : {in_opened(), in_opened_r1()}) {
        CHECK(!p.rts(leg::in_tcp, ack_of(0, 1, rts::cookie{})));
        CHECK(p.machine.sending().window().available() == 65536);
    }
}

TEST_CASE("inbound proxy replacement: with IN_R2/A5 for another cookie it goes on with the "
          "predecessor") {
    proxy p = in_a5w();
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(40'000)));
    CHECK(!p.rts(leg::in_http, rts::in_r2_a5{.successor_channel = nobody}));
    CHECK(p.said() == list{"close successor_in_http"});
    CHECK(p.machine.current() == state::opened);
    CHECK(p.machine.replaced() == 0);
    CHECK(!p.machine.next_deadline());
    CHECK(p.machine.received().held() == 40'000);
    CHECK(!p.written(leg::in_tcp, 40'000));
    CHECK(test::last_sent<rts::flow_control_ack_with_destination>(p.out).ack.channel_cookie ==
          test::in_cookie);
    // The server has taken the cookie of A2 and names it; both are known.
    CHECK(!p.rts(leg::in_tcp, ack_of(40'000, 65536, in_2)));
    CHECK(p.machine.sending().window().available() == 65536);
    CHECK(!p.machine.admits(a1()));
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(64)));
    CHECK(p.said() == list{"forward in_tcp"});
}

TEST_CASE("inbound proxy replacement: admits refuses newcomers, or lets them wait, and harms "
          "nobody") {
    auto strange = a1();
    strange.virtual_connection = nobody;
    const proxy opened = in_opened();
    CHECK(!opened.machine.admits(a1()));
    CHECK(opened.machine.admits(strange) == errc::cookie_mismatch);
    // One for a channel that is not here is one of IN_R1, whose A5 may still be on its way.
    CHECK(opened.machine.admits(a1(nobody)) == errc::unexpected_pdu);
    // The next replacement may be here before A5 of this one.
    const proxy a5w = in_a5w();
    CHECK(a5w.machine.admits(a1(in_2, in_3)) == errc::replacement_pending);
    CHECK(a5w.machine.admits(a1()) == errc::unexpected_pdu);
    CHECK(a5w.machine.admits(strange) == errc::cookie_mismatch);
    const proxy r2 = in_opened_r2();
    CHECK(!r2.machine.admits(a1(in_2, in_3)));
    CHECK(r2.machine.admits(a1()) == errc::unexpected_pdu);
    CHECK(!in_opened_r1().machine.admits(a1(in_2, in_3)));
    // For these the newcomer is like one at another proxy (IN_R1).
    for (const proxy& p : {in_wait_b2(), in_draining()})
        CHECK(p.machine.admits(a1(in_2, in_3)) == errc::unexpected_pdu);
    proxy ended = in_opened();
    ended.closed(leg::in_http, errc::connection_lost);
    CHECK(ended.machine.admits(a1()) == errc::connection_lost);
}

TEST_CASE("inbound proxy replacement: a further one waits until the server has taken the "
          "predecessor's bytes") {
    proxy p = in_a5w();
    p.pdu(leg::in_http, test::rpc_pdu(3000));
    p.rts(leg::in_http, rts::in_r2_a5{.successor_channel = in_2});
    CHECK(p.machine.admits(a1(in_2, in_3)) == errc::replacement_pending);
    CHECK(!p.written(leg::in_tcp, 2999));
    CHECK(p.machine.admits(a1(in_2, in_3)) == errc::replacement_pending);
    CHECK(!p.written(leg::in_tcp, 1));
    CHECK(!p.machine.admits(a1(in_2, in_3)));
    CHECK(!p.rts(leg::successor_in_http, a1(in_2, in_3)));
    CHECK(!p.rts(leg::in_http, rts::in_r2_a5{.successor_channel = in_3}));
    CHECK(p.machine.replaced() == 2);
}

TEST_CASE("inbound proxy replacement: IN_R2/A1 with cookies that admits would refuse closes") {
    proxy predecessor = in_opened();
    CHECK(predecessor.rts(leg::successor_in_http, a1(nobody)) == errc::cookie_mismatch);
    CHECK(predecessor.said() == list{"failed successor_in_http"});
    CHECK(test::is_silent(predecessor));
    proxy connection = in_opened();
    auto strange = a1();
    strange.virtual_connection = nobody;
    CHECK(connection.rts(leg::successor_in_http, strange) == errc::cookie_mismatch);
}

TEST_CASE("inbound proxy replacement: look-alikes are told apart by state and leg") {
    // {Cookie} on IN-H.
    proxy r1 = in_opened();
    CHECK(r1.rts(leg::in_http, rts::in_r1_a5{.successor_channel = in_2}) == errc::channel_replaced);
    proxy r2 = in_a5w();
    CHECK(!r2.rts(leg::in_http, rts::in_r2_a5{.successor_channel = in_2}));
    proxy from_successor = in_a5w();
    CHECK(from_successor.rts(leg::successor_in_http, rts::in_r2_a5{.successor_channel = in_2}) ==
          errc::unexpected_pdu);
    // A1 on the first request, and on one of a virtual connection that is known.
    proxy fresh = in_open_start();
    CHECK(!fresh.rts(leg::in_http, a1()));
    CHECK(fresh.machine.current() == state::connecting_r1);
    proxy known = in_opened();
    CHECK(!known.rts(leg::successor_in_http, a1()));
    CHECK(known.machine.current() == state::opened_a5w);
    proxy on_default = in_opened();
    CHECK(on_default.rts(leg::in_http, a1()) == errc::unexpected_pdu);
}

TEST_CASE("inbound proxy replacement: OUT_R*/A7 passes in every state in which C may send it") {
    const rts::out_r1_a7 a7{.destination = rts::destination::server};
    const rts::out_r2_a7 r2_a7{.destination = rts::destination::server};
    for (proxy p : {in_opened(), in_a5w(), in_wait_b2(), in_opened_r1(), in_opened_r2()}) {
        CHECK(!p.rts(leg::in_http, a7));
        CHECK(p.said() == list{"forward in_tcp"});
        CHECK(!p.rts(leg::in_http, r2_a7));
        CHECK(p.said() == list{"forward in_tcp"});
    }
    proxy early = in_connecting_r1();
    CHECK(early.rts(leg::in_http, a7) == errc::unexpected_pdu);
}

TEST_CASE("inbound proxy replacement: RPC PDUs of a successor before A5, or from the server, "
          "close") {
    proxy p = in_a5w();
    CHECK(p.pdu(leg::successor_in_http, test::rpc_pdu(64)) == errc::unexpected_pdu);
    CHECK(p.said() == list{"failed successor_in_http"});
    for (proxy q : {in_a5w(), in_wait_b2(), in_draining()}) {
        CHECK(q.pdu(leg::in_tcp, test::rpc_pdu(64)) == errc::wrong_direction);
        CHECK(test::is_silent(q));
    }
    proxy early = in_connecting_r1();
    CHECK(early.pdu(leg::in_http, test::rpc_pdu(64)) == errc::unexpected_pdu);
}

TEST_CASE("inbound proxy replacement: the successor's plug and window obey the same limits") {
    proxy small = in_wait_b2();
    CHECK(small.rts(leg::in_tcp, rts::in_r1_b2{.receive_window_size = 8191}) == errc::bad_value);
    CHECK(test::is_silent(small));
    proxy large = in_wait_b2();
    large.pdu(leg::in_http, test::rpc_pdu(8193));
    CHECK(large.rts(leg::in_tcp, rts::in_r1_b2{.receive_window_size = 8192}) == errc::too_large);
    auto s = settings();
    s.receive_window = 8192;
    proxy full = in_wait_b2(s);
    full.pdu(leg::in_http, test::rpc_pdu(8192));
    CHECK(full.machine.wants_input(leg::in_http));
    full.pdu(leg::in_http, test::rpc_pdu(24));
    CHECK(!full.machine.wants_input(leg::in_http));
}

TEST_CASE("inbound proxy replacement: the Content-Length of the first request counts until the "
          "switch") {
    auto s = settings();
    s.content_length = 104 + 1000 + 40;
    proxy p = in_a5w(s);
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(1000)));
    proxy over = p;
    CHECK(over.pdu(leg::in_http, test::rpc_pdu(41)) == errc::lifetime_exceeded);
    CHECK(!p.rts(leg::in_http, rts::in_r2_a5{.successor_channel = in_2}));
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(60'000))); // another body, which the driver counts
    s.content_length = 88 + 100;
    proxy r1 = in_opened_r1(s);
    CHECK(!r1.pdu(leg::in_http, test::rpc_pdu(100)));
    CHECK(r1.pdu(leg::in_http, test::rpc_pdu(24)) == errc::lifetime_exceeded);
}

TEST_CASE("inbound proxy replacement: Keep-Alive reaches the server's connection in either form") {
    proxy early = in_connecting_r1();
    CHECK(!early.rts(leg::in_http, rts::keep_alive{.client_keepalive = 70'000}));
    CHECK(early.said() == list{});
    CHECK(!early.connected(leg::in_tcp));
    CHECK(early.said().front() == "keep_alive in_tcp 70000");
    for (proxy p : {in_wait_b2(), in_a5w(), in_opened_r1(), in_opened_r2()}) {
        CHECK(!p.rts(leg::in_http, rts::keep_alive{.client_keepalive = 70'000}));
        CHECK(p.said() == list{"keep_alive in_tcp 70000"});
    }
}

TEST_CASE("inbound proxy replacement: a successor that cannot reach the server says so to the "
          "client") {
    proxy p = in_connecting_r1();
    CHECK(p.closed(leg::in_tcp, errc::connect_failed) == errc::connect_failed);
    CHECK(p.said() == list{"refuse in_http 1722", "failed in_tcp"});
    CHECK(test::is_silent(p));
    proxy slow = in_connecting_r1();
    CHECK(!slow.after(29'999ms));
    CHECK(slow.after(1ms) == errc::setup_timeout);
    CHECK(slow.said() == list{"refuse in_http 1722", "failed in_tcp"});
}

TEST_CASE("inbound proxy replacement: the end of a leg ends the others meanwhile, too") {
    for (const auto make :
         {+[] { return in_wait_b2(); }, +[] { return in_a5w(); }, +[] { return in_opened_r2(); }}) {
        proxy p = make();
        CHECK(p.closed(leg::in_http) == errc::channel_closed);
        CHECK(p.said() == list{"close in_tcp", "failed in_http"});
        CHECK(test::is_silent(p));
        proxy q = make();
        CHECK(q.closed(leg::in_tcp) == errc::channel_closed);
        CHECK(q.said() == list{"close in_http", "failed in_tcp"});
        CHECK(test::is_silent(q));
    }
    proxy p = in_a5w();
    CHECK(p.closed(leg::successor_in_http) == errc::channel_closed);
    CHECK(p.said() == list{"close in_tcp", "failed successor_in_http"});
    CHECK(test::is_silent(p));
}

TEST_CASE("inbound proxy replacement: waits for each next PDU only so long") {
    auto s = settings();
    s.replacement_wait = 5min;
    proxy b2 = in_wait_b2(s);
    CHECK(!b2.after(5min - 1s));
    CHECK(b2.after(1s) == errc::setup_timeout);
    CHECK(b2.said() == list{"failed in_tcp"});
    proxy a5 = in_a5w(s);
    CHECK(!a5.after(5min - 1s));
    CHECK(a5.after(1s) == errc::replacement_timeout);
    CHECK(a5.said() == list{"failed in_http"});
    CHECK(test::is_silent(a5));
    proxy queue = in_draining(s);
    CHECK(queue.after(5min) == errc::replacement_timeout);
    CHECK(queue.said() == list{"failed in_tcp"});
    CHECK(test::is_silent(queue));
    // A first PDU that has to wait for its turn has as much time.
    proxy newcomer = in_open_start(s);
    newcomer.machine.on_first_pdu_waiting(newcomer.now);
    CHECK(newcomer.machine.next_deadline() == test::t0 + 5min);
    CHECK(newcomer.after(5min) == errc::setup_timeout);
    proxy placed = in_connecting_r1(s);
    placed.machine.on_first_pdu_waiting(placed.now);
    CHECK(placed.machine.next_deadline() == test::t0 + 30s);
    for (proxy done : {in_opened_r1(s), in_opened_r2(s)}) CHECK(!done.after(24h));
}

TEST_CASE("inbound proxy replacement: RPC PDUs wait for the server's acknowledgement only so "
          "long") {
    auto s = settings();
    s.blocked_wait = 5min;
    for (const auto make :
         {+[](const inbound_proxy_settings& with) { return in_opened(with, 8192); },
          +[](const inbound_proxy_settings& with) { return in_a5w(with, 8192); }}) {
        proxy p = make(s);
        p.pdu(leg::in_http, test::rpc_pdu(8000));
        p.pdu(leg::in_http, test::rpc_pdu(4000));
        p.now += 4min;
        p.pdu(leg::in_http, test::rpc_pdu(4000));
        proxy helped = p;
        CHECK(p.after(1min) == errc::flow_control_stalled);
        CHECK(p.said() == list{"failed in_tcp"});
        CHECK(test::is_silent(p));
        CHECK(!helped.rts(leg::in_tcp, ack_of(8000, 4000))); // one goes, the other waits afresh
        CHECK(!helped.after(5min - 1s));
        CHECK(helped.after(1s) == errc::flow_control_stalled);
    }
    proxy drains = in_draining(s);
    CHECK(drains.after(5min) == errc::flow_control_stalled);
    proxy plugged = in_wait_b2(s); // this wait has its own end
    plugged.pdu(leg::in_http, test::rpc_pdu(4000));
    CHECK(!plugged.after(6min));
}

TEST_CASE("inbound proxy replacement: counters of the server's connection wrap over channels of "
          "2 GiB") {
    auto s = settings();
    s.receive_window = 262'144;
    s.content_length = 0x8000'0000;
    proxy p = in_opened(s, 262'144);
    const auto pdu = test::rpc_pdu(65'528);
    std::uint64_t total = 0;
    rts::cookie channel = test::in_cookie;
    for (unsigned round = 1; round <= 3; ++round) {
        for (std::uint64_t left = 0x8000'0000 - 104 - 40; left >= pdu.size(); left -= pdu.size()) {
            REQUIRE(!p.pdu(leg::in_http, pdu));
            REQUIRE(p.said() == list{"forward in_tcp"});
            REQUIRE(!p.written(leg::in_tcp, pdu.size()));
            total += pdu.size();
            REQUIRE(
                !p.rts(leg::in_tcp, ack_of(static_cast<std::uint32_t>(total), 262'144, channel)));
        }
        const rts::cookie next = test::cookie_of(round);
        REQUIRE(!p.rts(leg::successor_in_http, a1(channel, next)));
        REQUIRE(!p.rts(leg::in_http, rts::in_r2_a5{.successor_channel = next}));
        channel = next;
        CHECK(p.machine.received().received() == 0);
    }
    CHECK(total > 0x1'0000'0000);
    CHECK(p.machine.replaced() == 3);
    CHECK(p.machine.sending().window().available() == 262'144);
}

TEST_CASE("inbound proxy replacement: every state has a name of its own") {
    list names;
    for (const auto s :
         {state::open_start, state::connecting, state::connecting_r1, state::b3w, state::opened,
          state::opened_a5w, state::wait_b2, state::draining, state::finished}) {
        names.emplace_back(name(s));
        CHECK(std::count(names.begin(), names.end(), names.back()) == 1);
    }
}
