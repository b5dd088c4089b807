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

const rts::cookie out_2 = test::cookie_of(0x23);
const rts::cookie nobody = test::cookie_of(0x77);
// Names on the wire, with all look-alikes.
const std::string cookie_pdu = "IN_R1/A5, IN_R1/A6, IN_R2/A2, IN_R2/A5, OUT_R2/A4";
const std::string ance = "OUT_R1/A9, OUT_R1/A10, OUT_R1/A11, OUT_R2/B1";
const std::string head = "respond out_http 1073741824";

outbound_proxy_settings settings() {
    outbound_proxy_settings s;
    s.receive_window = 65536;
    return s;
}
rts::conn_a1 conn_a1(std::uint32_t window = 65536) {
    return {.virtual_connection = test::vc_cookie,
            .out_channel = test::out_cookie,
            .receive_window_size = window};
}
rts::out_r1_a3 a3(rts::cookie predecessor = test::out_cookie, rts::cookie successor = out_2) {
    return {.virtual_connection = test::vc_cookie,
            .predecessor_channel = predecessor,
            .successor_channel = successor,
            .receive_window_size = 40'000};
}
proxy in_open_start(const outbound_proxy_settings& s = settings()) { return proxy(s); }
proxy in_c1w(const outbound_proxy_settings& s = settings(), std::uint32_t window = 65536) {
    proxy p(s);
    p.rts(leg::out_http, conn_a1(window));
    p.connected(leg::out_tcp);
    return p;
}
proxy in_opened(const outbound_proxy_settings& s = settings(), std::uint32_t window = 65536) {
    proxy p = in_c1w(s, window);
    p.rts(leg::out_tcp, rts::conn_c1{.receive_window_size = 10'000, .connection_timeout = 130'000});
    return p;
}
/// OUT_R1, the successor.
proxy in_connecting_r1(const outbound_proxy_settings& s = settings()) {
    proxy p(s);
    p.rts(leg::out_http, a3());
    return p;
}
proxy in_a11w(const outbound_proxy_settings& s = settings()) {
    proxy p = in_connecting_r1(s);
    p.connected(leg::out_tcp);
    return p;
}
proxy in_opened_r1(const outbound_proxy_settings& s = settings()) {
    proxy p = in_a11w(s);
    p.rts(leg::out_http, rts::out_r1_a11{});
    return p;
}
/// Open; 4000 and 300 bytes wait for the client's window of 8192.
proxy with_queue(const outbound_proxy_settings& s = settings()) {
    proxy p = in_opened(s, 8192);
    p.pdu(leg::out_tcp, test::rpc_pdu(8000));
    p.pdu(leg::out_tcp, test::rpc_pdu(4000));
    p.pdu(leg::out_tcp, test::rpc_pdu(300));
    return p;
}
/// OUT_R1, the predecessor.
proxy in_draining_r1(const outbound_proxy_settings& s = settings()) {
    proxy p = with_queue(s);
    p.rts(leg::out_tcp, rts::out_r1_a9{});
    return p;
}
/// OUT_R2.
proxy in_b1_or_c1w(proxy p = in_opened()) {
    p.rts(leg::successor_out_http, a3());
    return p;
}
proxy in_b1w(proxy p = in_opened()) {
    p = in_b1_or_c1w(std::move(p));
    p.rts(leg::successor_out_http, rts::out_r2_c1{});
    return p;
}
proxy in_draining_c1w(proxy p = with_queue()) {
    p = in_b1_or_c1w(std::move(p));
    p.rts(leg::out_tcp, rts::out_r2_b1{});
    return p;
}
proxy in_draining(proxy p = with_queue()) {
    p = in_b1w(std::move(p));
    p.rts(leg::out_tcp, rts::out_r2_b1{});
    return p;
}
proxy in_r2_c1w(proxy p = in_opened()) {
    p = in_b1_or_c1w(std::move(p));
    p.rts(leg::out_tcp, rts::out_r2_b1{});
    return p;
}
proxy in_opened_r2(proxy p = in_opened()) {
    p = in_b1w(std::move(p));
    p.rts(leg::out_tcp, rts::out_r2_b1{});
    return p;
}
rts::flow_control_ack_with_destination ack_of(std::uint32_t received, std::uint32_t available,
                                              rts::cookie channel = test::out_cookie) {
    return {.destination = rts::destination::outbound_proxy, .ack = {received, available, channel}};
}
rts::flow_control_ack_with_destination client_ack(std::uint32_t received = 1) {
    return {.destination = rts::destination::client, .ack = {received, 2, test::in_cookie}};
}

} // namespace

TEST_CASE("outbound proxy replacement: every row of its table asks for exactly what its section "
          "says") {
    test::table_walk<outbound_proxy> walk;
    const rts::conn_c1 c1{.receive_window_size = 10'000, .connection_timeout = 130'000};

    proxy p = in_open_start();
    CHECK(walk.step(p, leg::out_http, conn_a1(8192), {"open out_tcp"}) == list{});
    p.connected(leg::out_tcp);
    CHECK(walk.step(p, leg::out_tcp, ack_of(0, 1), {}) == list{});
    CHECK(walk.step(p, leg::out_tcp, c1, {"forward out_http", "opened"}) == list{});
    p.pdu(leg::out_tcp, test::rpc_pdu(8000));
    p.pdu(leg::out_tcp, test::rpc_pdu(300));
    CHECK(walk.step(p, leg::out_tcp, ack_of(8000, 300), {"send_rpc out_http 300"}) == list{});

    proxy r1 = p;
    r1.pdu(leg::out_tcp, test::rpc_pdu(400));
    r1.pdu(leg::out_tcp, test::rpc_pdu(500));
    CHECK(walk.step(r1, leg::out_tcp, rts::out_r1_a9{}, {}) == list{});
    CHECK(walk.step(r1, leg::out_tcp, ack_of(8300, 400), {"send_rpc out_http 400"}) == list{});
    CHECK(walk.step(r1, leg::out_tcp, ack_of(8700, 8192), {"send_rpc out_http 500"}) == list{});
    CHECK(r1.written(leg::out_http, 9200) == errc::channel_replaced);
    CHECK(r1.said() ==
          list{"send out_http " + ance, "close out_http", "close out_tcp", "failed out_http"});

    proxy other = in_open_start();
    CHECK(walk.step(other, leg::out_http, a3(), {"open out_tcp"}) == list{});
    other.connected(leg::out_tcp);
    CHECK(walk.step(other, leg::out_tcp, ack_of(0, 40'000, out_2), {}) == list{});
    CHECK(walk.step(other, leg::out_http, rts::out_r1_a11{}, {"opened", head}) == list{});

    proxy r2 = in_opened();
    CHECK(walk.step(r2, leg::successor_out_http, a3(), {"send out_tcp " + cookie_pdu}) == list{});
    CHECK(walk.step(r2, leg::out_tcp, ack_of(0, 60'000), {}) == list{});
    proxy head_waits = r2;
    proxy refused_early = r2;
    CHECK(walk.step(r2, leg::successor_out_http, rts::out_r2_c1{}, {}) == list{});
    CHECK(walk.step(r2, leg::out_tcp, ack_of(0, 60'000), {}) == list{});
    proxy refused = r2;
    // Nothing is queued: the row's state is left at once.
    r2.pdu(leg::out_tcp, test::rpc_pdu(60'000));
    r2.pdu(leg::out_tcp, test::rpc_pdu(100));
    CHECK(walk.step(r2, leg::out_tcp, rts::out_r2_b1{}, {}) == list{});
    CHECK(walk.step(r2, leg::out_tcp, ack_of(60'000, 99), {}) == list{});
    CHECK(!r2.rts(leg::out_tcp, ack_of(60'000, 100)));
    CHECK(r2.said() == list{"send_rpc out_http 100"});
    CHECK(!r2.written(leg::out_http, 60'100));
    CHECK(r2.said() ==
          list{"send out_tcp FlowControlAck", "send out_http OUT_R2/B3", "promote out_http", head});
    head_waits.pdu(leg::out_tcp, test::rpc_pdu(60'000));
    head_waits.pdu(leg::out_tcp, test::rpc_pdu(100));
    CHECK(walk.step(head_waits, leg::out_tcp, rts::out_r2_b1{}, {}) == list{});
    CHECK(walk.step(head_waits, leg::out_tcp, ack_of(60'000, 99), {}) == list{});
    CHECK(walk.step(head_waits, leg::successor_out_http, rts::out_r2_c1{}, {}) == list{});
    proxy head_last = in_r2_c1w();
    CHECK(walk.step(head_last, leg::out_tcp, ack_of(0, 40'000, out_2), {}) == list{});
    CHECK(walk.step(head_last, leg::out_http, rts::out_r2_c1{}, {head}) == list{});
    CHECK(walk.step(refused, leg::out_tcp, rts::out_r2_b2{}, {"close successor_out_http"}) ==
          list{});
    CHECK(walk.step(refused_early, leg::out_tcp, rts::out_r2_b2{}, {"close successor_out_http"}) ==
          list{});
    CHECK(walk.left() == list{});
}

TEST_CASE("outbound proxy replacement: refuses every PDU its table leaves out, in every state") {
    const auto me = rts::destination::outbound_proxy;
    CHECK(test::accepted_though_not_listed([] { return in_connecting_r1(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_a11w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_opened_r1(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_draining_r1(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_b1_or_c1w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_b1w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_draining_c1w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_draining(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_r2_c1w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_opened_r2(); }, me) == list{});
}

TEST_CASE("outbound proxy replacement: OUT_R1 at the successor, step by step") {
    auto s = settings();
    s.receive_window = 50'000;
    s.connection_timeout = 300s;
    proxy p(s);
    auto fresh = a3();
    fresh.version = 7;
    CHECK(!p.rts(leg::out_http, fresh));
    CHECK(p.said() == list{"open out_tcp"});
    CHECK(p.machine.current() == state::connecting_r1);
    CHECK(p.machine.is_successor());
    CHECK(p.machine.virtual_connection() == test::vc_cookie);
    CHECK(p.machine.next_deadline() == test::t0 + 30s); // to connect

    CHECK(!p.connected(leg::out_tcp));
    CHECK(p.said() == list{"send out_tcp OUT_R1/A4"}); // no head before A11
    CHECK(p.machine.current() == state::a11w);
    CHECK(test::last_sent<rts::out_r1_a4>(p.out) ==
          rts::out_r1_a4{.version = 1,
                         .virtual_connection = test::vc_cookie,
                         .predecessor_channel = test::out_cookie,
                         .successor_channel = out_2,
                         .channel_lifetime = 1073741824,
                         .receive_window_size = 50'000,
                         .connection_timeout = 300'000});
    CHECK(p.machine.next_deadline() == test::t0 + 15min); // the predecessor drains first
    // Everything waits behind the plug, but what is for this proxy.
    CHECK(!p.pdu(leg::out_tcp, test::rpc_pdu(30'000)));
    CHECK(!p.rts(leg::out_tcp, client_ack(1)));
    CHECK(!p.rts(leg::out_tcp, client_ack(2)));
    CHECK(!p.rts(leg::out_tcp, rts::in_r2_a3{}));
    CHECK(!p.pdu(leg::out_tcp, test::rpc_pdu(8000)));
    CHECK(!p.pdu(leg::out_tcp, test::rpc_pdu(3000)));
    CHECK(!p.rts(leg::out_tcp, ack_of(5, 5))); // the predecessor's: dropped
    CHECK(p.said() == list{});

    CHECK(!p.rts(leg::out_http, rts::out_r1_a11{}));
    CHECK(p.said() == list{"opened", head, "send out_http FlowControlAckWithDestination",
                           "send out_http IN_R2/A3, IN_R2/A4", "send_rpc out_http 30000",
                           "send_rpc out_http 8000"});
    CHECK(test::last_sent<rts::flow_control_ack_with_destination>(p.out).ack.bytes_received == 2);
    CHECK(p.machine.current() == state::opened);
    CHECK(p.machine.sending().lifetime().left() == 1073741824 - 38'000 - 56 - 28);
    CHECK(p.machine.sending().queued_bytes() == 3000); // for the window of A3
    CHECK(!p.rts(leg::out_tcp, ack_of(38'000, 40'000, out_2)));
    CHECK(p.said() == list{"send_rpc out_http 3000"});
    CHECK(!p.written(leg::out_http, 41'000));
    CHECK(test::last_sent<rts::flow_control_ack>(p.out).ack ==
          rts::flow_control_acknowledgment{41'000, 50'000, out_2});
    CHECK(!p.after(150s)); // pings, by its own timeout
    CHECK(p.said() == list{"send out_http Ping"});
}

TEST_CASE(
    "outbound proxy replacement: OUT_R1 at the predecessor: what is queued under the client's "
    "window, A10") {
    proxy p = in_draining_r1();
    CHECK(p.said() == list{});
    CHECK(p.machine.current() == state::draining_r1);
    CHECK(!p.rts(leg::out_tcp, ack_of(8000, 4100)));
    CHECK(p.said() == list{"send_rpc out_http 4000"});
    CHECK(!p.rts(leg::out_tcp, ack_of(12'000, 299)));
    CHECK(p.said() == list{});
    CHECK(!p.rts(leg::out_tcp, ack_of(12'000, 8192, out_2))); // the successor's
    CHECK(p.said() == list{});
    proxy served = p;
    CHECK(!p.rts(leg::out_tcp, ack_of(12'000, 300)));
    CHECK(p.said() == list{"send_rpc out_http 300"});
    CHECK(!p.written(leg::out_http, 12'000)); // A10 waits for the socket
    CHECK(p.said() == list{});
    CHECK(p.written(leg::out_http, 300) == errc::channel_replaced);
    CHECK(p.said() ==
          list{"send out_http " + ance, "close out_http", "close out_tcp", "failed out_http"});
    CHECK(test::is_silent(p));

    CHECK(served.pdu(leg::out_tcp, test::rpc_pdu(64)) == errc::unexpected_pdu); // behind A9
    proxy empty = in_opened();
    CHECK(empty.rts(leg::out_tcp, rts::out_r1_a9{}) == errc::channel_replaced);
    CHECK(empty.said() ==
          list{"send out_http " + ance, "close out_http", "close out_tcp", "failed out_tcp"});
}

TEST_CASE("outbound proxy replacement: while the predecessor of OUT_R1 drains, the end of the "
          "client's leg ends it, that of the server does not") {
    proxy p = in_draining_r1();
    CHECK(!p.closed(leg::out_tcp));
    CHECK(p.said() == list{});
    CHECK(p.closed(leg::out_http) == errc::channel_closed);
    CHECK(test::is_silent(p));
    proxy bad = in_draining_r1();
    CHECK(bad.rts(leg::out_tcp, ack_of(8001, 8192)) == errc::bad_acknowledgement);
    CHECK(test::is_silent(bad));
}

TEST_CASE("outbound proxy replacement: OUT_R2, C1 before B1") {
    proxy p = with_queue();
    CHECK(!p.machine.admits(a3()));
    CHECK(!p.rts(leg::successor_out_http, a3()));
    CHECK(p.said() == list{"send out_tcp " + cookie_pdu});
    CHECK(test::last_sent<rts::out_r2_a4>(p.out).successor_channel == out_2);
    CHECK(p.machine.current() == state::b1_or_c1w);
    // Until B1 everything is for the predecessor.
    CHECK(!p.rts(leg::out_tcp, rts::out_r2_a5{}));
    CHECK(p.said() == list{"forward out_http"});
    CHECK(!p.pdu(leg::out_tcp, test::rpc_pdu(100)));
    CHECK(!p.rts(leg::successor_out_http, rts::out_r2_c1{}));
    CHECK(p.machine.current() == state::b1w);
    CHECK(!p.rts(leg::out_tcp, rts::out_r2_a5{}));
    CHECK(p.said() == list{"forward out_http"});

    // From B1 on everything is for the successor.
    CHECK(!p.rts(leg::out_tcp, rts::out_r2_b1{}));
    CHECK(p.said() == list{});
    CHECK(p.machine.current() == state::draining);
    CHECK(!p.pdu(leg::out_tcp, test::rpc_pdu(24)));
    CHECK(!p.rts(leg::out_tcp, client_ack()));
    CHECK(!p.rts(leg::out_tcp, rts::in_r1_a3{}));
    CHECK(p.said() == list{});
    CHECK(!p.rts(leg::out_tcp, ack_of(8000, 4299)));
    CHECK(p.said() == list{"send_rpc out_http 4000"});
    CHECK(!p.rts(leg::out_tcp, ack_of(12'000, 300)));
    CHECK(p.said() == list{"send_rpc out_http 300"});
    CHECK(!p.written(leg::out_http, 12'300));
    CHECK(!p.rts(leg::out_tcp, ack_of(12'300, 8192)));
    CHECK(p.said() == list{"send_rpc out_http 100"});
    CHECK(!p.written(leg::out_http, 100));
    // The last bytes, B3, and the successor: its head first, what waited as its body.
    CHECK(p.said() == list{"send out_http OUT_R2/B3", "promote out_http", head,
                           "send out_http FlowControlAckWithDestination",
                           "send out_http IN_R1/A3, IN_R1/A4", "send_rpc out_http 24"});
    CHECK(p.machine.current() == state::opened);
    CHECK(p.machine.replaced() == 1);
    CHECK(p.machine.next_deadline() == test::t0 + 60s); // pings only
    CHECK(p.machine.sending().lifetime().left() == 1073741824 - 56 - 52 - 24);
    CHECK(p.machine.sending().window().available() == 40'000 - 24);
    CHECK(!p.rts(leg::out_tcp, ack_of(12'400, 1))); // the predecessor's: dropped
    CHECK(p.machine.sending().window().available() == 40'000 - 24);
    CHECK(!p.rts(leg::out_tcp, ack_of(24, 40'000, out_2)));
    CHECK(p.machine.sending().window().available() == 40'000);
    // OUT-T goes on, and so do its counters, under the new name.
    CHECK(!p.pdu(leg::out_tcp, test::rpc_pdu(35'000)));
    CHECK(p.said() == list{"forward out_http"});
    CHECK(!p.written(leg::out_http, 35'024));
    CHECK(test::last_sent<rts::flow_control_ack>(p.out).ack ==
          rts::flow_control_acknowledgment{12'400 + 35'024, 65536, out_2});
}

TEST_CASE("outbound proxy replacement: OUT_R2, B1 before C1: the head waits for C1") {
    proxy p = in_b1_or_c1w();
    CHECK(!p.rts(leg::out_tcp, rts::out_r2_b1{}));
    CHECK(p.said() == list{"send out_http OUT_R2/B3", "promote out_http"});
    CHECK(p.machine.current() == state::r2_c1w);
    CHECK(p.machine.replaced() == 1);
    CHECK(!p.pdu(leg::out_tcp, test::rpc_pdu(100)));
    CHECK(!p.rts(leg::out_tcp, client_ack()));
    CHECK(p.said() == list{});
    CHECK(!p.rts(leg::out_http, rts::out_r2_c1{}));
    CHECK(p.said() ==
          list{head, "send out_http FlowControlAckWithDestination", "send_rpc out_http 100"});
    CHECK(p.machine.current() == state::opened);
    // C1 may come while the predecessor drains.
    proxy q = in_draining_c1w();
    CHECK(q.machine.current() == state::draining_c1w);
    CHECK(!q.pdu(leg::out_tcp, test::rpc_pdu(24))); // behind B1: the successor's
    CHECK(!q.rts(leg::out_tcp, client_ack()));
    CHECK(q.said() == list{});
    proxy late = q;
    CHECK(!q.rts(leg::successor_out_http, rts::out_r2_c1{}));
    CHECK(q.machine.current() == state::draining);
    CHECK(!q.rts(leg::out_tcp, ack_of(8000, 4300)));
    CHECK(q.said() == list{"send_rpc out_http 4000", "send_rpc out_http 300"});
    CHECK(!q.written(leg::out_http, 12'300));
    CHECK(q.said() == list{"send out_http OUT_R2/B3", "promote out_http", head,
                           "send out_http FlowControlAckWithDestination", "send_rpc out_http 24"});
    CHECK(!late.rts(leg::out_tcp, ack_of(8000, 4300)));
    CHECK(late.said() == list{"send_rpc out_http 4000", "send_rpc out_http 300"});
    CHECK(!late.written(leg::out_http, 12'300));
    CHECK(late.said() == list{"send out_http OUT_R2/B3", "promote out_http"});
    CHECK(late.machine.current() == state::r2_c1w);
    CHECK(!late.rts(leg::out_http, rts::out_r2_c1{}));
    CHECK(late.said() ==
          list{head, "send out_http FlowControlAckWithDestination", "send_rpc out_http 24"});
}

TEST_CASE(
    "outbound proxy replacement: the switch waits until the old socket has taken all: a client "
    "that reads nothing has no predecessors that hold more") {
    auto s = settings();
    s.receive_window = 8192;
    proxy p = in_b1w(in_opened(s));
    CHECK(!p.pdu(leg::out_tcp, test::rpc_pdu(3000)));
    CHECK(!p.pdu(leg::out_tcp, test::rpc_pdu(1000)));
    CHECK(p.machine.sending().unwritten() == 4000);
    CHECK(!p.written(leg::out_http, 1000)); // one acknowledgement
    CHECK(p.said() == list{"send out_tcp FlowControlAck"});
    proxy none = p;
    CHECK(!p.pdu(leg::out_tcp, test::rpc_pdu(2500)));
    CHECK(!p.rts(leg::out_tcp, rts::out_r2_b1{}));
    CHECK(p.said() == list{});
    CHECK(p.machine.received().held() == 5500);
    proxy stuck = p;
    CHECK(stuck.after(15min) == errc::replacement_timeout);
    CHECK(!p.written(leg::out_http, 5500));
    CHECK(p.said() ==
          list{"send out_tcp FlowControlAck", "send out_http OUT_R2/B3", "promote out_http", head});
    CHECK(test::last_sent<rts::flow_control_ack>(p.out).ack ==
          rts::flow_control_acknowledgment{6500, 8192, test::out_cookie});
    CHECK(p.machine.received().held() == 0);
    CHECK(p.machine.sending().unwritten() == 0);
    CHECK(!none.written(leg::out_http, 3000));
    CHECK(!none.rts(leg::out_tcp, rts::out_r2_b1{}));
    CHECK(none.said() == list{"send out_http OUT_R2/B3", "promote out_http", head});
}

TEST_CASE("outbound proxy replacement: after OUT_R2/B2 the predecessor goes on") {
    for (proxy p : {in_b1_or_c1w(), in_b1w()}) {
        CHECK(!p.rts(leg::out_tcp, rts::out_r2_b2{}));
        CHECK(p.said() == list{"close successor_out_http"});
        CHECK(p.machine.current() == state::opened);
        CHECK(p.machine.replaced() == 0);
        CHECK(!p.pdu(leg::out_tcp, test::rpc_pdu(100)));
        CHECK(p.said() == list{"forward out_http"});
        CHECK(!p.rts(leg::out_tcp, ack_of(100, 65536)));
        CHECK(p.machine.sending().window().available() == 65536);
        CHECK(!p.machine.admits(a3()));
        CHECK(p.machine.next_deadline() == test::t0 + 60s); // pings only
        CHECK(!p.rts(leg::successor_out_http, a3(test::out_cookie, test::cookie_of(0x25))));
    }
}

TEST_CASE("outbound proxy replacement: look-alikes are told apart by state and leg") {
    // {ANCE}: OUT_R1/A9 and OUT_R2/B1 from the server, OUT_R1/A11 from the client.
    proxy a9 = in_opened();
    CHECK(a9.rts(leg::out_tcp, rts::out_r1_a9{}) == errc::channel_replaced);
    proxy b1 = in_b1w();
    CHECK(!b1.rts(leg::out_tcp, rts::out_r2_b1{}));
    CHECK(b1.machine.replaced() == 1);
    proxy a11 = in_a11w();
    CHECK(!a11.rts(leg::out_http, rts::out_r1_a11{}));
    proxy wrong_side = in_a11w();
    CHECK(wrong_side.rts(leg::out_tcp, rts::out_r1_a9{}) == errc::unexpected_pdu);
    proxy in_r2 = in_b1w();
    CHECK(in_r2.rts(leg::successor_out_http, rts::out_r1_a11{}) == errc::unexpected_pdu);
    // OUT_R2/B3 goes to the client only; it has a flag of its own.
    proxy b3 = in_b1w();
    CHECK(b3.rts(leg::out_tcp, rts::out_r2_b3{}) == errc::unexpected_pdu);
    // A3 on the first request, and on one of a virtual connection that is known.
    proxy fresh = in_open_start();
    CHECK(!fresh.rts(leg::out_http, a3()));
    CHECK(fresh.machine.current() == state::connecting_r1);
    proxy known = in_opened();
    CHECK(!known.rts(leg::successor_out_http, a3()));
    CHECK(known.machine.current() == state::b1_or_c1w);
}

TEST_CASE("outbound proxy replacement: admits refuses newcomers and harms nobody") {
    auto strange = a3();
    strange.virtual_connection = nobody;
    auto small = a3();
    small.receive_window_size = 8191;
    const proxy opened = in_opened();
    CHECK(!opened.machine.admits(a3()));
    CHECK(opened.machine.admits(strange) == errc::cookie_mismatch);
    CHECK(opened.machine.admits(a3(nobody)) == errc::cookie_mismatch);
    CHECK(opened.machine.admits(small) == errc::bad_value);
    CHECK(!in_opened_r1().machine.admits(a3(out_2)));
    CHECK(!in_opened_r2().machine.admits(a3(out_2)));
    CHECK(in_opened_r2().machine.admits(a3()) == errc::cookie_mismatch);
    for (const proxy& p : {in_c1w(), in_a11w(), in_draining_r1(), in_b1_or_c1w(), in_b1w(),
                           in_draining_c1w(), in_draining(), in_r2_c1w()})
        CHECK(p.machine.admits(a3()) == errc::unexpected_pdu);
    proxy ended = in_opened();
    ended.closed(leg::out_tcp, errc::connection_lost);
    CHECK(ended.machine.admits(a3()) == errc::connection_lost);
}

TEST_CASE("outbound proxy replacement: OUT_R*/A3 with values that admits would refuse closes") {
    auto strange = a3();
    strange.virtual_connection = nobody;
    auto small = a3();
    small.receive_window_size = 8191;
    proxy connection = in_opened();
    CHECK(connection.rts(leg::successor_out_http, strange) == errc::cookie_mismatch);
    CHECK(connection.said() == list{"failed successor_out_http"});
    CHECK(test::is_silent(connection));
    proxy predecessor = in_opened();
    CHECK(predecessor.rts(leg::successor_out_http, a3(nobody)) == errc::cookie_mismatch);
    proxy window = in_opened();
    CHECK(window.rts(leg::successor_out_http, small) == errc::bad_value);
    proxy r1 = in_open_start();
    CHECK(r1.rts(leg::out_http, small) == errc::bad_value);
    CHECK(test::is_silent(r1));
}

TEST_CASE("outbound proxy replacement: RTS PDUs behind a plug are few, or it closes") {
    for (proxy p : {in_a11w(), in_draining(), in_r2_c1w()}) {
        for (std::size_t i = 0; i < limits::held_rts_max; ++i)
            REQUIRE(!p.rts(leg::out_tcp, rts::in_r2_a3{}));
        for (std::uint32_t i = 0; i < 3; ++i) // a flood of one kind is one
            CHECK(p.rts(leg::out_tcp, rts::in_r2_a3{}) == errc::too_many);
        CHECK(test::is_silent(p));
    }
    proxy acks = in_a11w();
    for (std::uint32_t i = 0; i < 1000; ++i) REQUIRE(!acks.rts(leg::out_tcp, client_ack(i)));
}

TEST_CASE(
    "outbound proxy replacement: pings go on the predecessor, keep room for its last PDU, and "
    "wait for the head") {
    for (proxy p : {in_b1_or_c1w(), in_b1w(), in_draining_r1(), in_draining()}) {
        CHECK(!p.after(60s));
        CHECK(p.said() == list{"send out_http Ping"});
    }
    for (proxy p : {in_a11w(), in_r2_c1w()}) {
        CHECK(!p.after(60s));
        CHECK(p.said() == list{});
    }
    auto s = settings();
    s.channel_lifetime = 128 * 1024;
    proxy full = in_b1w(in_opened(s, 262'144));
    full.pdu(leg::out_tcp, test::rpc_pdu(65'000));
    full.pdu(leg::out_tcp, test::rpc_pdu(65'000));
    full.pdu(leg::out_tcp, test::rpc_pdu(128 * 1024 - 28 - 44 - 130'000 - 43));
    CHECK(full.machine.sending().lifetime().left() == 43);
    CHECK(!full.after(60s));
    CHECK(full.said() == list{});
    CHECK(!full.written(leg::out_http, full.machine.sending().unwritten()));
    CHECK(!full.rts(leg::out_tcp, rts::out_r2_b1{}));
    CHECK(full.machine.current() == state::opened);
    CHECK(!full.after(60s));
    CHECK(full.said() == list{"send out_http Ping"});
}

TEST_CASE("outbound proxy replacement: a predecessor without room for its last PDU closes") {
    auto s = settings();
    s.channel_lifetime = 128 * 1024;
    proxy p = in_b1w(in_opened(s, 262'144));
    p.pdu(leg::out_tcp, test::rpc_pdu(65'000));
    p.pdu(leg::out_tcp, test::rpc_pdu(65'000));
    p.pdu(leg::out_tcp, test::rpc_pdu(128 * 1024 - 28 - 44 - 130'000 - 23));
    CHECK(!p.written(leg::out_http, p.machine.sending().unwritten()));
    CHECK(p.rts(leg::out_tcp, rts::out_r2_b1{}) == errc::lifetime_exceeded);
    CHECK(test::is_silent(p));
}

TEST_CASE("outbound proxy replacement: a successor that cannot reach the server says so to the "
          "client") {
    proxy p = in_connecting_r1();
    CHECK(p.closed(leg::out_tcp, errc::connect_failed) == errc::connect_failed);
    CHECK(p.said() == list{"refuse out_http 1722", "failed out_tcp"});
    CHECK(test::is_silent(p));
    proxy slow = in_connecting_r1();
    CHECK(!slow.after(29'999ms));
    CHECK(slow.after(1ms) == errc::setup_timeout);
    CHECK(slow.said() == list{"refuse out_http 1722", "failed out_tcp"});
}

TEST_CASE("outbound proxy replacement: the end of a leg ends the others meanwhile, too") {
    for (const auto make : {+[] { return in_a11w(); }, +[] { return in_b1_or_c1w(); },
                            +[] { return in_b1w(); }, +[] { return in_draining_c1w(); },
                            +[] { return in_draining(); }, +[] { return in_r2_c1w(); },
                            +[] { return in_opened_r1(); }, +[] { return in_opened_r2(); }}) {
        proxy p = make();
        CHECK(p.closed(leg::out_tcp) == errc::channel_closed);
        CHECK(p.said() == list{"close out_http", "failed out_tcp"});
        CHECK(test::is_silent(p));
        proxy q = make();
        CHECK(q.closed(leg::out_http) == errc::channel_closed);
        CHECK(q.said() == list{"close out_tcp", "failed out_http"});
        CHECK(test::is_silent(q));
    }
    for (proxy p : {in_b1_or_c1w(), in_b1w(), in_draining_c1w(), in_draining()}) {
        CHECK(p.closed(leg::successor_out_http, errc::connection_lost) == errc::connection_lost);
        CHECK(p.said() == list{"failed successor_out_http"});
        CHECK(test::is_silent(p));
    }
}

TEST_CASE("outbound proxy replacement: RPC PDUs from the client, or before the server is there, "
          "close") {
    for (proxy p : {in_connecting_r1(), in_a11w(), in_b1w(), in_r2_c1w()})
        CHECK(p.pdu(leg::out_http, test::rpc_pdu(64)) == errc::wrong_direction);
    for (proxy p : {in_b1_or_c1w(), in_draining()})
        CHECK(p.pdu(leg::successor_out_http, test::rpc_pdu(64)) == errc::wrong_direction);
    proxy early = in_connecting_r1();
    CHECK(early.pdu(leg::out_tcp, test::rpc_pdu(64)) == errc::unexpected_pdu);
}

TEST_CASE("outbound proxy replacement: waits for each next PDU only so long") {
    auto s = settings();
    s.replacement_wait = 5min;
    s.connection_timeout = 1h; // no pings meanwhile
    proxy a11 = in_a11w(s);
    CHECK(!a11.after(5min - 1s));
    CHECK(a11.after(1s) == errc::setup_timeout);
    CHECK(a11.said() == list{"failed out_tcp"});
    for (proxy p :
         {in_b1_or_c1w(in_opened(s)), in_b1w(in_opened(s)), in_draining_c1w(with_queue(s)),
          in_draining(with_queue(s)), in_draining_r1(s), in_r2_c1w(in_opened(s))}) {
        CHECK(!p.after(5min - 1s));
        CHECK(p.after(1s) == errc::replacement_timeout);
        CHECK(p.said() == list{"failed out_http"});
        CHECK(test::is_silent(p));
    }
    proxy later = in_b1w(with_queue(s));
    later.now += 4min;
    later.rts(leg::out_tcp, rts::out_r2_b1{}); // from here on anew
    CHECK(!later.after(5min - 1s));
    CHECK(later.after(1s) == errc::replacement_timeout);
    for (proxy done : {in_opened_r1(s), in_opened_r2(in_opened(s))}) CHECK(!done.after(24h));
    // A first PDU that has to wait for its turn has as much time.
    proxy newcomer = in_open_start(s);
    newcomer.machine.on_first_pdu_waiting(newcomer.now);
    CHECK(newcomer.machine.next_deadline() == test::t0 + 5min);
    CHECK(newcomer.after(5min) == errc::setup_timeout);
    proxy placed = in_connecting_r1(s);
    placed.machine.on_first_pdu_waiting(placed.now);
    CHECK(placed.machine.next_deadline() == test::t0 + 30s);
}

TEST_CASE("outbound proxy replacement: RPC PDUs wait for the client's acknowledgement only so "
          "long") {
    auto s = settings();
    s.blocked_wait = 5min;
    s.connection_timeout = 1h;
    for (proxy p :
         {with_queue(s), in_b1w(with_queue(s)), in_draining(with_queue(s)), in_draining_r1(s)}) {
        proxy helped = p;
        CHECK(!p.after(5min - 1s));
        CHECK(p.after(1s) == errc::flow_control_stalled);
        CHECK(p.said() == list{"failed out_http"});
        CHECK(test::is_silent(p));
        helped.now += 4min;
        CHECK(!helped.rts(leg::out_tcp, ack_of(8000, 4000))); // one goes, the other waits afresh
        CHECK(!helped.after(5min - 1s));
        CHECK(helped.after(1s) == errc::flow_control_stalled);
    }
    proxy plugged = in_a11w(s); // this wait has its own end
    plugged.pdu(leg::out_tcp, test::rpc_pdu(4000));
    CHECK(!plugged.after(6min));
    proxy behind = in_r2_c1w(in_opened(s));
    behind.pdu(leg::out_tcp, test::rpc_pdu(50'000)); // more than the window of A3
    CHECK(behind.rts(leg::out_http, rts::out_r2_c1{}) == errc::too_large);
    proxy fresh = in_b1w(in_opened(s));
    fresh.rts(leg::out_tcp, rts::out_r2_b1{});
    fresh.pdu(leg::out_tcp, test::rpc_pdu(40'000));
    fresh.pdu(leg::out_tcp, test::rpc_pdu(24));
    CHECK(fresh.after(5min) == errc::flow_control_stalled);
}

TEST_CASE("outbound proxy replacement: a server that overruns the window is read no further while "
          "the successor is plugged") {
    auto s = settings();
    s.receive_window = 8192;
    proxy p = in_a11w(s);
    p.pdu(leg::out_tcp, test::rpc_pdu(8192));
    CHECK(p.machine.wants_input(leg::out_tcp));
    p.pdu(leg::out_tcp, test::rpc_pdu(24));
    CHECK(!p.machine.wants_input(leg::out_tcp));
    CHECK(p.machine.wants_input(leg::out_http)); // A11 ends it
    p.rts(leg::out_http, rts::out_r1_a11{});
    p.written(leg::out_http, 8192);
    CHECK(p.machine.wants_input(leg::out_tcp));
}

TEST_CASE("outbound proxy replacement: counters of the server's connection wrap over channels of "
          "2 GiB") {
    auto s = settings();
    s.receive_window = 262'144;
    s.channel_lifetime = 0x8000'0000;
    proxy p = in_opened(s, 262'144);
    const auto pdu = test::rpc_pdu(65'528);
    std::uint64_t total = 0;
    std::uint32_t acknowledged = 0;
    rts::cookie channel = test::out_cookie;
    for (unsigned round = 1; round <= 3; ++round) {
        std::uint32_t on_instance = 0;
        for (std::uint64_t left = 0x8000'0000 - 8192; left >= pdu.size(); left -= pdu.size()) {
            REQUIRE(!p.pdu(leg::out_tcp, pdu));
            REQUIRE(p.said() == list{"forward out_http"});
            REQUIRE(!p.written(leg::out_http, pdu.size()));
            total += pdu.size();
            on_instance += static_cast<std::uint32_t>(pdu.size());
            if (!p.out.empty())
                acknowledged = test::last_sent<rts::flow_control_ack>(p.out).ack.bytes_received;
            REQUIRE(!p.rts(leg::out_tcp, ack_of(on_instance, 262'144, channel)));
        }
        CHECK(static_cast<std::uint32_t>(total) - acknowledged < 262'144);
        const rts::cookie next = test::cookie_of(round);
        auto fresh = a3(channel, next);
        fresh.receive_window_size = 262'144;
        REQUIRE(!p.rts(leg::successor_out_http, fresh));
        REQUIRE(!p.rts(leg::successor_out_http, rts::out_r2_c1{}));
        REQUIRE(!p.rts(leg::out_tcp, rts::out_r2_b1{}));
        channel = next;
        CHECK(p.machine.sending().window().sent() == 0);
        CHECK(p.machine.sending().lifetime().left() == 0x8000'0000);
    }
    CHECK(total > 0x1'0000'0000);
    CHECK(p.machine.replaced() == 3);
    CHECK(p.machine.received().received() == static_cast<std::uint32_t>(total));
}

TEST_CASE("outbound proxy replacement: every state has a name of its own") {
    list names;
    for (const auto s :
         {state::open_start, state::connecting, state::connecting_r1, state::c1w, state::opened,
          state::a11w, state::b1_or_c1w, state::b1w, state::draining_r1, state::draining_c1w,
          state::draining, state::r2_c1w, state::finished}) {
        names.emplace_back(name(s));
        CHECK(std::count(names.begin(), names.end(), names.back()) == 1);
    }
}
