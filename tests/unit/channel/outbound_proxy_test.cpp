#include <rpch/channel/outbound_proxy.hpp>

#include <doctest/doctest.h>

#include "tests/support/channel.hpp"

using namespace rpch;
using namespace rpch::channel;
using test::list;
using namespace std::chrono_literals;
using state = outbound_proxy::state;

namespace {

using proxy = test::driven<outbound_proxy>;

rts::conn_a1 a1(std::uint32_t window = 65536) {
    return {.virtual_connection = test::vc_cookie,
            .out_channel = test::out_cookie,
            .receive_window_size = window};
}
outbound_proxy_settings settings() {
    outbound_proxy_settings s;
    s.receive_window = 65536;
    return s;
}
proxy in_open_start(const outbound_proxy_settings& s = settings()) { return proxy(s); }
proxy in_connecting(const outbound_proxy_settings& s = settings(), std::uint32_t window = 65536) {
    proxy p(s);
    p.rts(leg::out_http, a1(window));
    return p;
}
proxy in_c1w(const outbound_proxy_settings& s = settings(), std::uint32_t window = 65536) {
    proxy p = in_connecting(s, window);
    p.connected(leg::out_tcp);
    return p;
}
const rts::conn_c1 c1{.receive_window_size = 10'000, .connection_timeout = 130'000};
proxy in_opened(const outbound_proxy_settings& s = settings(), std::uint32_t window = 65536) {
    proxy p = in_c1w(s, window);
    p.rts(leg::out_tcp, c1);
    return p;
}
rts::flow_control_ack_with_destination ack_of(std::uint32_t received, std::uint32_t available,
                                              rts::cookie channel = test::out_cookie) {
    return {.destination = rts::destination::outbound_proxy, .ack = {received, available, channel}};
}

} // namespace

TEST_CASE("outbound proxy: CONN/A1 connects; CONN/A2, the head and CONN/A3 follow; CONN/C1 goes on "
          "as C2") {
    proxy p = in_open_start();
    CHECK(!p.rts(leg::out_http, a1(40'000)));
    CHECK(p.said() == list{"open out_tcp"});
    CHECK(p.machine.current() == state::connecting);
    CHECK(!p.connected(leg::out_tcp));
    CHECK(p.said() ==
          list{"send out_tcp CONN/A2", "respond out_http 1073741824", "send out_http CONN/A3"});
    CHECK(p.machine.current() == state::c1w);
    const auto a2 = test::last_sent<rts::conn_a2>(p.out);
    CHECK(a2.version == 1);
    CHECK(a2.virtual_connection == test::vc_cookie);
    CHECK(a2.out_channel == test::out_cookie);
    CHECK(a2.channel_lifetime == 1073741824);
    CHECK(a2.receive_window_size == 65536);
    CHECK(test::last_sent<rts::conn_a3>(p.out).connection_timeout == 120'000);
    CHECK(!p.rts(leg::out_tcp, c1));
    CHECK(p.said() == list{"forward out_http", "opened"});
    CHECK(p.machine.current() == state::opened);
    CHECK(p.machine.sending().window().peer_window() == 40'000);
    CHECK(p.machine.sending().lifetime().left() == 1073741824 - 28 - 44);
}

TEST_CASE("outbound proxy: tells only values that the commands can carry") {
    auto s = settings();
    s.connection_timeout = 30s;
    s.channel_lifetime = 1;
    proxy p = in_connecting(s);
    p.connected(leg::out_tcp);
    CHECK(test::last_sent<rts::conn_a2>(p.out).channel_lifetime == 128 * 1024);
    CHECK(test::last_sent<rts::conn_a3>(p.out).connection_timeout == 120'000);
    CHECK(p.said()[1] == "respond out_http 131072");
    proxy q = in_open_start();
    CHECK(q.rts(leg::out_http, a1(8191)) == errc::bad_value);
    CHECK(test::is_silent(q));
}

TEST_CASE("outbound proxy: RPC PDUs go on within the client's window, the others wait in order") {
    proxy p = in_opened(settings(), 8192);
    CHECK(!p.pdu(leg::out_tcp, test::rpc_pdu(8000)));
    CHECK(p.said() == list{"forward out_http"});
    CHECK(!p.pdu(leg::out_tcp, test::rpc_pdu(300)));
    CHECK(!p.pdu(leg::out_tcp, test::rpc_pdu(24)));
    CHECK(p.said() == list{});
    CHECK(!p.rts(leg::out_tcp, ack_of(8000, 250, test::in_cookie))); // not ours: dropped
    CHECK(p.said() == list{});
    CHECK(!p.rts(leg::out_tcp, ack_of(8000, 310)));
    CHECK(p.said() == list{"send_rpc out_http 300"});
    CHECK(!p.rts(leg::out_tcp, ack_of(8300, 8192)));
    CHECK(p.said() == list{"send_rpc out_http 24"});
    CHECK(p.rts(leg::out_tcp, ack_of(1'000'000, 8000)) == errc::bad_acknowledgement);
    CHECK(test::is_silent(p));
}

TEST_CASE("outbound proxy: acknowledges to the server what the client's connection has taken") {
    auto s = settings();
    s.receive_window = 8192;
    proxy p = in_opened(s);
    p.pdu(leg::out_tcp, test::rpc_pdu(3000));
    CHECK(!p.written(leg::out_http, 3000));
    CHECK(p.said() == list{"send out_tcp FlowControlAck"});
    const auto sent = test::last_sent<rts::flow_control_ack>(p.out).ack;
    CHECK(sent == rts::flow_control_acknowledgment{3000, 8192, test::out_cookie});
}

TEST_CASE(
    "outbound proxy: RTS PDUs for the client pass in C1W and when open, whatever the window") {
    const rts::flow_control_ack_with_destination ack{.destination = rts::destination::client,
                                                     .ack = {1, 2, test::in_cookie}};
    for (proxy p : {in_c1w(), in_opened()}) {
        CHECK(!p.rts(leg::out_tcp, ack));
        CHECK(p.said() == list{"forward out_http"});
    }
    proxy full = in_opened(settings(), 8192);
    full.pdu(leg::out_tcp, test::rpc_pdu(8192));
    full.pdu(leg::out_tcp, test::rpc_pdu(24));
    CHECK(!full.rts(leg::out_tcp, ack));
    CHECK(full.said() == list{"forward out_http"});
    for (const auto to : {rts::destination::server, rts::destination::inbound_proxy}) {
        proxy p = in_opened(); // it would go back to the server
        CHECK(p.rts(leg::out_tcp, rts::in_r2_a3{.destination = to}) == errc::unexpected_pdu);
    }
    proxy q = in_opened(); // nothing follows A1 on the request
    CHECK(q.rts(leg::out_http, ack) == errc::unexpected_pdu);
}

TEST_CASE("outbound proxy: an acknowledgement that comes before CONN/C1 is dropped") {
    proxy p = in_c1w();
    CHECK(!p.rts(leg::out_tcp, ack_of(5, 5)));
    CHECK(p.said() == list{});
    CHECK(p.machine.current() == state::c1w);
}

TEST_CASE("outbound proxy: refuses every PDU its table leaves out") {
    const auto me = rts::destination::outbound_proxy;
    CHECK(test::accepted_though_not_listed([] { return in_open_start(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_connecting(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_c1w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_opened(); }, me) == list{});
}

TEST_CASE("outbound proxy: RPC PDUs from the client, or before CONN/C1, close") {
    for (proxy p : {in_open_start(), in_connecting(), in_c1w(), in_opened()})
        CHECK(p.pdu(leg::out_http, test::rpc_pdu(64)) == errc::wrong_direction);
    proxy p = in_c1w();
    CHECK(p.pdu(leg::out_tcp, test::rpc_pdu(64)) == errc::unexpected_pdu);
}

TEST_CASE("outbound proxy: malformed PDUs close with the codec's error") {
    const auto whole = test::wire_of(a1());
    for (std::size_t n = 0; n < whole.size(); ++n) {
        proxy p = in_open_start();
        CHECK(p.pdu(leg::out_http,
                    test::bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n))));
        CHECK(test::is_silent(p));
    }
}

TEST_CASE("outbound proxy: a connection that fails is told to the client as 6BA") {
    proxy p = in_connecting();
    CHECK(p.closed(leg::out_tcp, errc::connect_failed) == errc::connect_failed);
    CHECK(p.said() == list{"refuse out_http 1722", "failed out_tcp"});
    CHECK(test::is_silent(p));
    proxy q = in_connecting();
    CHECK(q.after(30s) == errc::setup_timeout);
    CHECK(q.said() == list{"refuse out_http 1722", "failed out_tcp"});
}

TEST_CASE("outbound proxy: the end of either hop ends the other") {
    for (const auto make : {+[] { return in_c1w(); }, +[] { return in_opened(); }}) {
        proxy p = make();
        CHECK(p.closed(leg::out_tcp) == errc::channel_closed);
        CHECK(p.said() == list{"close out_http", "failed out_tcp"});
        CHECK(test::is_silent(p));
        proxy q = make();
        CHECK(q.closed(leg::out_http, errc::connection_lost) == errc::connection_lost);
        CHECK(q.said() == list{"failed out_http"});
        CHECK(test::is_silent(q));
    }
}

TEST_CASE("outbound proxy: waits for the first PDU and for CONN/C1 only so long") {
    proxy first = in_open_start();
    CHECK(first.after(30s) == errc::setup_timeout);
    CHECK(first.said() == list{"failed out_http"});
    proxy pairing = in_c1w();
    CHECK(pairing.after(60s) == errc::setup_timeout);
    CHECK(pairing.said() == list{"failed out_tcp"});
}

TEST_CASE("outbound proxy: pings when half the timeout passes without a PDU for the client") {
    proxy p = in_opened();
    CHECK(p.machine.next_deadline() == test::t0 + 60s);
    CHECK(!p.after(59'999ms));
    CHECK(p.said() == list{});
    CHECK(!p.after(1ms));
    CHECK(p.said() == list{"send out_http Ping"});
    CHECK(p.machine.sending().lifetime().left() == 1073741824 - 28 - 44 - 20);
    p.now += 50s;
    p.pdu(leg::out_tcp, test::rpc_pdu(100)); // forwarded at 50 s: a ping is due 60 s later
    CHECK(!p.after(10s));
    CHECK(p.said() == list{});
    CHECK(!p.after(49'999ms));
    CHECK(p.said() == list{});
    CHECK(!p.after(1ms));
    CHECK(p.said() == list{"send out_http Ping"});
}

TEST_CASE("outbound proxy: an own timeout or MinConnTimeout sets the pace of pings") {
    auto s = settings();
    s.connection_timeout = 900s;
    proxy p = in_opened(s);
    CHECK(!p.after(449s));
    CHECK(p.said() == list{});
    CHECK(!p.after(1s));
    CHECK(p.said() == list{"send out_http Ping"});
}

TEST_CASE("outbound proxy: a PDU that waits in the queue is no sign of life for the client") {
    proxy p = in_opened(settings(), 8192);
    p.pdu(leg::out_tcp, test::rpc_pdu(8192));
    p.now += 30s;
    p.pdu(leg::out_tcp, test::rpc_pdu(24));
    CHECK(!p.after(30s));
    CHECK(p.said() == list{"send out_http Ping"});
}

TEST_CASE("outbound proxy: tells the server of 1040 ping bytes with every 52nd ping") {
    proxy p = in_opened();
    for (int round = 0; round < 3; ++round) {
        for (int i = 1; i < 52; ++i) {
            CHECK(!p.after(60s));
            CHECK(p.said() == list{"send out_http Ping"});
        }
        CHECK(!p.after(60s));
        CHECK(p.said() == list{"send out_http Ping", "send out_tcp PingTrafficSentNotify"});
        CHECK(test::last_sent<rts::ping_traffic_sent_notify>(p.out).ping_traffic_sent == 1040);
    }
}

TEST_CASE("outbound proxy: nothing goes beyond the Content-Length it has declared") {
    auto s = settings();
    s.channel_lifetime = 128 * 1024;
    proxy p = in_opened(s, 262144);
    std::uint64_t left = 128 * 1024 - 28 - 44;
    while (left >= 5000) {
        REQUIRE(!p.pdu(leg::out_tcp, test::rpc_pdu(5000)));
        p.written(leg::out_http, 5000);
        left -= 5000;
        REQUIRE(p.machine.sending().lifetime().left() == left);
    }
    proxy q = p;
    CHECK(p.pdu(leg::out_tcp, test::rpc_pdu(5000)) == errc::lifetime_exceeded);
    CHECK(p.said() == list{"failed out_http"});
    CHECK(!q.pdu(leg::out_tcp, test::rpc_pdu(left))); // to the last byte
    CHECK(q.rts(leg::out_tcp, rts::flow_control_ack_with_destination{
                                  .destination = rts::destination::client,
                                  .ack = {0, 0, test::in_cookie}}) == errc::lifetime_exceeded);
}

TEST_CASE(
    "outbound proxy: a server that overruns the window is read no further until it fits again") {
    auto s = settings();
    s.receive_window = 8192;
    proxy p = in_opened(s, 8192);
    p.pdu(leg::out_tcp, test::rpc_pdu(8192));
    CHECK(p.machine.wants_input(leg::out_tcp));
    p.pdu(leg::out_tcp, test::rpc_pdu(100));
    CHECK(!p.machine.wants_input(leg::out_tcp));
    CHECK(p.machine.wants_input(leg::out_http));
    p.written(leg::out_http, 8192);
    CHECK(p.machine.wants_input(leg::out_tcp));
    s.strict_windows = true;
    proxy q = in_opened(s, 8192);
    q.pdu(leg::out_tcp, test::rpc_pdu(8192));
    CHECK(q.pdu(leg::out_tcp, test::rpc_pdu(100)) == errc::window_exceeded);
    CHECK(test::is_silent(q));
}

TEST_CASE("outbound proxy: a PDU larger than the client's whole window can never go on") {
    proxy p = in_opened(settings(), 8192);
    CHECK(p.pdu(leg::out_tcp, test::rpc_pdu(8193)) == errc::too_large);
    CHECK(p.said() == list{"failed out_http"});
}

TEST_CASE("outbound proxy: every state has a name of its own") {
    list names;
    for (const auto s :
         {state::open_start, state::connecting, state::c1w, state::opened, state::a11w,
          state::b1_or_c1w, state::b1w, state::r2_c1w, state::finished}) {
        names.emplace_back(name(s));
        CHECK(std::count(names.begin(), names.end(), names.back()) == 1);
    }
}
