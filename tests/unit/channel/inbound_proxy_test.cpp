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

const rts::conn_b1 b1{.virtual_connection = test::vc_cookie,
                      .in_channel = test::in_cookie,
                      .channel_lifetime = 0x40000000,
                      .client_keepalive = 90'000,
                      .association_group = test::group_cookie};

inbound_proxy_settings settings() {
    inbound_proxy_settings s;
    s.receive_window = 65536;
    s.client.octets = {std::byte{192}, std::byte{0}, std::byte{2}, std::byte{7}};
    return s;
}
proxy in_open_start(const inbound_proxy_settings& s = settings()) { return proxy(s); }
proxy in_connecting(const inbound_proxy_settings& s = settings()) {
    proxy p(s);
    p.rts(leg::in_http, b1);
    return p;
}
proxy in_b3w(const inbound_proxy_settings& s = settings()) {
    proxy p = in_connecting(s);
    p.connected(leg::in_tcp);
    return p;
}
proxy in_opened(const inbound_proxy_settings& s = settings(), std::uint32_t server_window = 65536) {
    proxy p = in_b3w(s);
    p.rts(leg::in_tcp, rts::conn_b3{.receive_window_size = server_window});
    return p;
}
rts::flow_control_ack ack_of(std::uint32_t received, std::uint32_t available,
                             rts::cookie channel = test::in_cookie) {
    return {.ack = {received, available, channel}};
}

} // namespace

TEST_CASE("inbound proxy: CONN/B1 connects, the connection sends CONN/B2, CONN/B3 opens") {
    proxy p = in_open_start();
    CHECK(p.machine.current() == state::open_start);
    CHECK(!p.rts(leg::in_http, b1));
    CHECK(p.said() == list{"open in_tcp"});
    CHECK(p.machine.current() == state::connecting);
    CHECK(p.machine.virtual_connection() == test::vc_cookie);

    CHECK(!p.connected(leg::in_tcp));
    CHECK(p.said() == list{"keep_alive in_tcp 90000", "send in_tcp CONN/B2"});
    CHECK(p.machine.current() == state::b3w);
    const auto b2 = test::last_sent<rts::conn_b2>(p.out);
    CHECK(b2.version == 1);
    CHECK(b2.virtual_connection == test::vc_cookie);
    CHECK(b2.in_channel == test::in_cookie);
    CHECK(b2.receive_window_size == 65536);
    CHECK(b2.connection_timeout == 120'000);
    CHECK(b2.association_group == test::group_cookie);
    CHECK(b2.client_address.octets[3] == std::byte{7});

    CHECK(!p.rts(leg::in_tcp, rts::conn_b3{.receive_window_size = 32768}));
    CHECK(p.said() == list{"opened"});
    CHECK(p.machine.current() == state::opened);
    CHECK(p.machine.sending().window().peer_window() == 32768);
    CHECK(!p.machine.next_deadline());
}

TEST_CASE("inbound proxy: tells values that the commands can carry, and the lower version") {
    auto s = settings();
    s.connection_timeout = 30s;
    proxy p(s);
    auto old = b1;
    old.version = 0;
    old.client_keepalive = 0;
    p.rts(leg::in_http, old);
    p.connected(leg::in_tcp);
    CHECK(p.said().front() == "keep_alive in_tcp 300000");
    CHECK(test::last_sent<rts::conn_b2>(p.out).connection_timeout == 120'000);
    CHECK(test::last_sent<rts::conn_b2>(p.out).version == 0);

    s.connection_timeout = 5h;
    proxy q(s);
    old.version = 7;
    old.client_keepalive = 1;
    q.rts(leg::in_http, old);
    q.connected(leg::in_tcp);
    CHECK(q.said().front() == "keep_alive in_tcp 60000");
    CHECK(test::last_sent<rts::conn_b2>(q.out).connection_timeout == 14'400'000);
    CHECK(test::last_sent<rts::conn_b2>(q.out).version == 1);
}

TEST_CASE("inbound proxy: RPC PDUs that come before CONN/B3 wait behind the plug, in order") {
    proxy p = in_b3w();
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(100)));
    CHECK(p.said() == list{});
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(200)));
    CHECK(p.machine.sending().queued_bytes() == 300);
    CHECK(!p.rts(leg::in_tcp, rts::conn_b3{.receive_window_size = 8192}));
    CHECK(p.said() == list{"opened", "send_rpc in_tcp 100", "send_rpc in_tcp 200"});
    CHECK(p.machine.sending().window().available() == 8192 - 300);
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(50)));
    CHECK(p.said() == list{"forward in_tcp"});
}

TEST_CASE("inbound proxy: RTS PDUs for other roles pass a plug and an empty window") {
    const rts::flow_control_ack_with_destination ack{
        .destination = rts::destination::outbound_proxy, .ack = {1, 2, test::out_cookie}};
    proxy plugged = in_b3w();
    plugged.pdu(leg::in_http, test::rpc_pdu(100));
    CHECK(!plugged.rts(leg::in_http, ack));
    CHECK(plugged.said() == list{"forward in_tcp"});
    proxy full = in_opened(settings(), 8192);
    full.pdu(leg::in_http, test::rpc_pdu(8192));
    full.pdu(leg::in_http, test::rpc_pdu(24));
    CHECK(full.said() == list{});
    CHECK(!full.rts(leg::in_http, ack));
    CHECK(full.said() == list{"forward in_tcp"});
}

TEST_CASE("inbound proxy: forwards for nobody before it has a connection, and nothing back") {
    for (const auto to :
         {rts::destination::client, rts::destination::server, rts::destination::outbound_proxy}) {
        const rts::in_r2_a3 pdu{.destination = to};
        for (proxy p : {in_open_start(), in_connecting()}) {
            CHECK(p.rts(leg::in_http, pdu) == errc::unexpected_pdu);
            CHECK(p.said() == list{"failed in_http"});
        }
        proxy p = in_opened();
        CHECK(p.rts(leg::in_tcp, pdu) == errc::unexpected_pdu); // it would go back to the server
        CHECK(p.said() == list{"failed in_tcp"});
        proxy q = in_opened();
        CHECK(!q.rts(leg::in_http, pdu));
        CHECK(q.said() == list{"forward in_tcp"});
    }
}

TEST_CASE(
    "inbound proxy: what the window of the server does not take waits for its acknowledgement") {
    proxy p = in_opened(settings(), 8192);
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(5000)));
    CHECK(p.said() == list{"forward in_tcp"});
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(4000)));
    CHECK(p.said() == list{});
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(30))); // would fit, but must not overtake
    CHECK(p.said() == list{});
    CHECK(!p.rts(leg::in_tcp, ack_of(5000, 3192, test::cookie_of(0x77)))); // foreign: dropped
    CHECK(p.said() == list{});
    CHECK(!p.rts(leg::in_tcp, ack_of(5000, 4010)));
    CHECK(p.said() == list{"send_rpc in_tcp 4000"});
    CHECK(!p.rts(leg::in_tcp, rts::flow_control_ack_with_destination{
                                  .destination = rts::destination::inbound_proxy,
                                  .ack = {9000, 8192, test::in_cookie}}));
    CHECK(p.said() == list{"send_rpc in_tcp 30"});
    CHECK(p.rts(leg::in_tcp, ack_of(9031, 8192)) == errc::bad_acknowledgement);
    CHECK(p.said() == list{"failed in_tcp"});
}

TEST_CASE("inbound proxy: acknowledgements with a cookie of zeros are another channel's") {
    proxy p = in_opened();
    CHECK(!p.rts(leg::in_tcp, ack_of(0, 1, rts::cookie{})));
    CHECK(p.machine.sending().window().available() == 65536);
}

TEST_CASE("inbound proxy: acknowledges to the client what the server's connection has taken") {
    auto s = settings();
    s.receive_window = 8192;
    proxy p = in_opened(s);
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(1000)));
    CHECK(!p.written(leg::in_tcp, 1000));
    CHECK(p.said() == list{}); // 7192 are advertised, more than a fragment of 5840
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(2000)));
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(500)));
    CHECK(!p.written(leg::in_tcp, 2000));
    CHECK(p.said() == list{"send in_tcp FlowControlAckWithDestination"});
    const auto sent = test::last_sent<rts::flow_control_ack_with_destination>(p.out);
    CHECK(sent.destination == rts::destination::client);
    CHECK(sent.ack.bytes_received == 3500);
    CHECK(sent.ack.available_window == 8192 - 500);
    CHECK(sent.ack.channel_cookie == test::in_cookie);
}

TEST_CASE("inbound proxy: a bind tells the fragments to expect") {
    auto s = settings();
    s.receive_window = 16384;
    proxy p = in_opened(s);
    p.pdu(leg::in_http, test::bind_pdu(dcerpc::pdu_type::bind, 12'000, 4280));
    CHECK(p.machine.received().threshold() == 12'000);
}

TEST_CASE("inbound proxy: pings change nothing, Keep-Alive sets the interval at any time") {
    for (proxy p : {in_connecting(), in_b3w(), in_opened()}) {
        const auto before = p.machine.current();
        CHECK(!p.rts(leg::in_http, rts::ping{}));
        CHECK(p.said() == list{});
        CHECK(p.machine.current() == before);
    }
    proxy early = in_connecting();
    CHECK(!early.rts(leg::in_http, rts::keep_alive{.client_keepalive = 61'000}));
    CHECK(early.said() == list{});
    early.connected(leg::in_tcp);
    CHECK(early.said().front() == "keep_alive in_tcp 61000");
    for (proxy p : {in_b3w(), in_opened()}) {
        CHECK(!p.rts(leg::in_http, rts::keep_alive{.client_keepalive = 0}));
        CHECK(p.said() == list{"keep_alive in_tcp 300000"});
    }
}

TEST_CASE("inbound proxy: refuses every PDU its table leaves out") {
    const auto me = rts::destination::inbound_proxy;
    CHECK(test::accepted_though_not_listed([] { return in_open_start(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_connecting(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_b3w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_opened(); }, me) == list{});
}

TEST_CASE("inbound proxy: RPC PDUs from the server, or before there is a connection, close") {
    for (proxy p : {in_b3w(), in_opened()}) {
        CHECK(p.pdu(leg::in_tcp, test::rpc_pdu(64)) == errc::wrong_direction);
        CHECK(p.said() == list{"failed in_tcp"});
    }
    for (proxy p : {in_open_start(), in_connecting()}) {
        CHECK(p.pdu(leg::in_http, test::rpc_pdu(64)) == errc::unexpected_pdu);
        CHECK(p.said() == list{"failed in_http"});
    }
}

TEST_CASE("inbound proxy: malformed PDUs close with the codec's error") {
    const auto whole = test::wire_of(b1);
    for (std::size_t n = 0; n < whole.size(); ++n) {
        proxy p = in_open_start();
        CHECK(p.pdu(leg::in_http,
                    test::bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n))));
        CHECK(p.said() == list{"failed in_http"});
        CHECK(test::is_silent(p));
    }
    proxy p = in_b3w();
    CHECK(p.rts(leg::in_tcp, rts::conn_b3{.receive_window_size = 8191}) == errc::bad_value);
    CHECK(test::is_silent(p));
}

TEST_CASE("inbound proxy: a connection that fails is told to the client as 6BA") {
    proxy p = in_connecting();
    CHECK(p.closed(leg::in_tcp, errc::connect_failed) == errc::connect_failed);
    CHECK(p.said() == list{"refuse in_http 1722", "failed in_tcp"});
    CHECK(test::is_silent(p));
    proxy q = in_connecting();
    CHECK(!q.after(29'999ms));
    CHECK(q.after(1ms) == errc::setup_timeout);
    CHECK(q.said() == list{"refuse in_http 1722", "failed in_tcp"});
}

TEST_CASE("inbound proxy: the end of either hop ends the other; what was sent before an orderly "
          "end stays") {
    for (const auto make : {+[] { return in_b3w(); }, +[] { return in_opened(); }}) {
        proxy p = make();
        CHECK(p.closed(leg::in_http) == errc::channel_closed);
        CHECK(p.said() == list{"close in_tcp", "failed in_http"});
        CHECK(test::is_silent(p));
        proxy q = make();
        CHECK(q.closed(leg::in_tcp) == errc::channel_closed);
        CHECK(q.said() == list{"close in_http", "failed in_tcp"});
        proxy r = make();
        CHECK(r.closed(leg::in_tcp, errc::connection_lost) == errc::connection_lost);
        CHECK(r.said() == list{"failed in_tcp"});
        CHECK(test::is_silent(r));
    }
    proxy p = in_connecting();
    CHECK(p.closed(leg::in_http, errc::connection_lost) == errc::connection_lost);
    CHECK(p.said() == list{"failed in_http"});
    CHECK(p.connected(leg::in_tcp) == errc::connection_lost); // too late
    CHECK(p.said() == list{});
}

TEST_CASE("inbound proxy: waits for the first PDU and for CONN/B3 only so long") {
    proxy first = in_open_start();
    CHECK(first.machine.next_deadline() == test::t0 + 30s);
    CHECK(!first.after(29s));
    CHECK(first.after(1s) == errc::setup_timeout);
    CHECK(first.said() == list{"failed in_http"});
    proxy pairing = in_b3w();
    CHECK(pairing.machine.next_deadline() == test::t0 + 60s);
    CHECK(pairing.after(60s) == errc::setup_timeout);
    CHECK(pairing.said() == list{"failed in_tcp"});
    proxy open = in_opened();
    CHECK(!open.after(24h));
    CHECK(open.said() == list{});
}

TEST_CASE("inbound proxy: no PDU may reach beyond the Content-Length; RTS PDUs count") {
    auto s = settings();
    s.content_length = 104 + 20 + 1000;
    proxy p = in_opened(s);
    CHECK(!p.rts(leg::in_http, rts::ping{}));
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(976)));
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(24)));
    CHECK(p.rts(leg::in_http, rts::ping{}) == errc::lifetime_exceeded);
    CHECK(p.said() == list{"failed in_http"});
}

TEST_CASE(
    "inbound proxy: a client that overruns its window is read no further until it fits again") {
    auto s = settings();
    s.receive_window = 8192;
    proxy p = in_opened(s, 8192);
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(8192)));
    CHECK(p.machine.wants_input(leg::in_http)); // full, not overrun
    CHECK(!p.pdu(leg::in_http, test::rpc_pdu(4000)));
    CHECK(!p.machine.wants_input(leg::in_http));
    CHECK(p.machine.wants_input(leg::in_tcp));
    CHECK(!p.written(leg::in_tcp, 8192));
    CHECK(p.machine.wants_input(leg::in_http));
    CHECK(p.said() == list{"send in_tcp FlowControlAckWithDestination"});
    s.strict_windows = true;
    proxy q = in_opened(s, 8192);
    CHECK(!q.pdu(leg::in_http, test::rpc_pdu(8192)));
    CHECK(q.pdu(leg::in_http, test::rpc_pdu(24)) == errc::window_exceeded);
    CHECK(q.said() == list{"failed in_http"});
}

TEST_CASE("inbound proxy: a PDU larger than the server's whole window can never go on") {
    proxy p = in_opened(settings(), 8192);
    CHECK(p.pdu(leg::in_http, test::rpc_pdu(8193)) == errc::too_large);
    CHECK(p.said() == list{"failed in_tcp"});
    proxy plugged = in_b3w();
    CHECK(!plugged.pdu(leg::in_http, test::rpc_pdu(8193)));
    CHECK(plugged.rts(leg::in_tcp, rts::conn_b3{.receive_window_size = 8192}) == errc::too_large);
    CHECK(test::is_silent(plugged));
}

TEST_CASE("inbound proxy: every state has a name of its own") {
    list names;
    for (const auto s : {state::open_start, state::connecting, state::b3w, state::opened,
                         state::opened_a5w, state::wait_b2, state::finished}) {
        names.emplace_back(name(s));
        CHECK(std::count(names.begin(), names.end(), names.back()) == 1);
    }
}
