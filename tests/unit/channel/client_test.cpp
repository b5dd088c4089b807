#include <rpch/channel/client.hpp>

#include <doctest/doctest.h>

#include "tests/support/channel.hpp"

using namespace rpch;
using namespace rpch::channel;
using test::list;
using namespace std::chrono_literals;
using state = client::state;

namespace {

using driven = test::driven<client>;

client_settings settings() {
    client_settings s;
    s.virtual_connection = test::vc_cookie;
    s.in_channel = test::in_cookie;
    s.out_channel = test::out_cookie;
    s.association_group = test::group_cookie;
    s.receive_window = 65536;
    return s;
}
driven in_out_channel_wait(const client_settings& s = settings()) {
    driven c(s);
    c.connected(leg::in_http);
    c.connected(leg::out_http);
    return c;
}
std::error_code respond(driven& c, leg l, int status, std::optional<rpc_status> number = {}) {
    c.clear();
    return c.machine.on_response(l, status, number, c.now, c.out);
}
driven in_wait_a3w(const client_settings& s = settings()) {
    driven c = in_out_channel_wait(s);
    respond(c, leg::out_http, 200);
    return c;
}
driven in_wait_c2(const client_settings& s = settings()) {
    driven c = in_wait_a3w(s);
    c.rts(leg::out_http, rts::conn_a3{.connection_timeout = 120'000});
    return c;
}
driven in_opened(const client_settings& s = settings(), std::uint32_t window = 65536) {
    driven c = in_wait_c2(s);
    c.rts(leg::out_http,
          rts::conn_c2{.receive_window_size = window, .connection_timeout = 120'000});
    return c;
}
std::error_code sent(driven& c, std::size_t n) {
    c.clear();
    return c.machine.on_rpc_sent(n, c.now, c.out);
}
std::error_code waiting(driven& c, std::size_t n) {
    c.clear();
    return c.machine.on_rpc_waiting(n, c.now, c.out);
}
std::error_code consumed(driven& c, std::size_t n) {
    c.clear();
    return c.machine.on_consumed(n, c.now, c.out);
}
rts::flow_control_ack_with_destination ack_of(std::uint32_t received, std::uint32_t available,
                                              rts::cookie channel = test::in_cookie) {
    return {.destination = rts::destination::client, .ack = {received, available, channel}};
}

} // namespace

TEST_CASE(
    "client: opens both channels and sends each one's first PDU behind its own request head") {
    driven c(settings());
    CHECK(c.said() == list{"open in_http", "open out_http"});
    CHECK(c.machine.current() == state::out_channel_wait);
    CHECK(!c.connected(leg::out_http));
    CHECK(c.said() == list{"send out_http CONN/A1"});
    CHECK(test::last_sent<rts::conn_a1>(c.out) ==
          rts::conn_a1{.virtual_connection = test::vc_cookie,
                       .out_channel = test::out_cookie,
                       .receive_window_size = 65536});
    CHECK(!c.connected(leg::in_http));
    CHECK(c.said() == list{"send in_http CONN/B1"});
    CHECK(test::last_sent<rts::conn_b1>(c.out) ==
          rts::conn_b1{.virtual_connection = test::vc_cookie,
                       .in_channel = test::in_cookie,
                       .channel_lifetime = 0x40000000,
                       .client_keepalive = 300'000,
                       .association_group = test::group_cookie});
    CHECK(c.machine.lifetime().left() == 0x40000000 - 104);
}

TEST_CASE("client: response head, CONN/A3 and CONN/C2 open the virtual connection") {
    driven c = in_out_channel_wait();
    CHECK(c.machine.send_credit() == 0);
    CHECK(!respond(c, leg::out_http, 200));
    CHECK(c.machine.current() == state::wait_a3w);
    CHECK(!c.rts(leg::out_http, rts::conn_a3{.connection_timeout = 120'000}));
    CHECK(c.machine.current() == state::wait_c2);
    CHECK(c.said() == list{});
    CHECK(!c.rts(leg::out_http,
                 rts::conn_c2{.receive_window_size = 30'000, .connection_timeout = 120'000}));
    CHECK(c.said() == list{"opened"});
    CHECK(c.machine.current() == state::opened);
    CHECK(c.machine.send_credit() == 30'000);
    CHECK(c.machine.largest_pdu() == 30'000);
}

TEST_CASE("client: an early 200 on the IN channel is no error, any other response there is") {
    for (const auto make : {+[] { return in_out_channel_wait(); }, +[] { return in_wait_a3w(); },
                            +[] { return in_wait_c2(); }, +[] { return in_opened(); }}) {
        driven c = make();
        const auto before = c.machine.current();
        CHECK(!respond(c, leg::in_http, 200));
        CHECK(c.machine.current() == before);
        CHECK(respond(c, leg::in_http, 503, rpc_status::server_unavailable) ==
              rpc_status::server_unavailable);
        CHECK(c.said() == list{"failed in_http"});
        CHECK(test::is_silent(c));
    }
}

TEST_CASE("client: a failure response on OUT is reported with its number, or by its HTTP status") {
    driven numbered = in_out_channel_wait();
    CHECK(respond(numbered, leg::out_http, 503, static_cast<rpc_status>(0x6C1)) ==
          rpc_status::proxy_access_denied);
    driven plain = in_out_channel_wait();
    CHECK(respond(plain, leg::out_http, 404) == static_cast<http_status>(404));
    driven forbidden = in_out_channel_wait();
    CHECK(respond(forbidden, leg::out_http, 403) == error_kind::refused);
    driven unauthorized = in_out_channel_wait();
    CHECK(respond(unauthorized, leg::out_http, 401) == errc::http_auth_required);
    CHECK(unauthorized.said() == list{"failed out_http"});
}

TEST_CASE("client: a second success head on OUT breaks the protocol") {
    for (driven c : {in_wait_a3w(), in_wait_c2(), in_opened()}) {
        CHECK(respond(c, leg::out_http, 200) == errc::http_unexpected_response);
        CHECK(test::is_silent(c));
    }
}

TEST_CASE("client: refuses every PDU its table leaves out") {
    const auto me = rts::destination::client;
    CHECK(test::accepted_though_not_listed([] { return in_out_channel_wait(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_wait_a3w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_wait_c2(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_opened(); }, me) == list{});
}

TEST_CASE("client: PDUs for other roles have gone astray") {
    for (const auto to : {rts::destination::inbound_proxy, rts::destination::server,
                          rts::destination::outbound_proxy}) {
        driven c = in_opened();
        auto ack = ack_of(0, 65536);
        ack.destination = to;
        CHECK(c.rts(leg::out_http, ack) == errc::unexpected_pdu);
        CHECK(c.said() == list{"failed out_http"});
    }
}

TEST_CASE("client: RPC PDUs are delivered when open and refused before") {
    driven c = in_opened();
    CHECK(!c.pdu(leg::out_http, test::rpc_pdu(64, dcerpc::pdu_type::response)));
    CHECK(c.said() == list{"deliver"});
    for (driven early : {in_out_channel_wait(), in_wait_a3w(), in_wait_c2()})
        CHECK(early.pdu(leg::out_http, test::rpc_pdu(64)) == errc::unexpected_pdu);
    driven odd = in_opened();
    CHECK(odd.pdu(leg::in_http, test::rpc_pdu(64)) == errc::unexpected_pdu);
}

TEST_CASE("client: malformed PDUs close with the codec's error") {
    const auto whole = test::wire_of(rts::conn_a3{.connection_timeout = 120'000});
    for (std::size_t n = 0; n < whole.size(); ++n) {
        driven c = in_wait_a3w();
        CHECK(c.pdu(leg::out_http,
                    test::bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n))));
        CHECK(test::is_silent(c));
    }
    driven c = in_wait_c2();
    CHECK(c.rts(leg::out_http, rts::conn_c2{.receive_window_size = 0}) == errc::bad_value);
    CHECK(test::is_silent(c));
}

TEST_CASE("client: sends within the window of CONN/C2 and says when there is more") {
    driven c = in_opened(settings(), 8192);
    CHECK(!sent(c, 8000));
    CHECK(c.machine.send_credit() == 192);
    CHECK(!waiting(c, 200));
    CHECK(c.said() == list{});
    CHECK(!c.rts(leg::out_http, ack_of(8000, 8192, test::out_cookie))); // another channel: dropped
    CHECK(c.said() == list{});
    CHECK(!c.rts(leg::out_http, ack_of(8000, 192))); // nothing new
    CHECK(c.said() == list{});
    CHECK(!c.rts(leg::out_http, ack_of(8000, 8192)));
    CHECK(c.said() == list{"sendable"});
    CHECK(c.machine.send_credit() == 8192);
    CHECK(c.rts(leg::out_http, ack_of(8001, 8192)) == errc::bad_acknowledgement);
    CHECK(test::is_silent(c));
    CHECK(c.machine.send_credit() == 0);
}

TEST_CASE("client: acknowledges to the outbound proxy what the upper layer has taken") {
    auto s = settings();
    s.receive_window = 8192;
    driven c = in_opened(s);
    const auto left = c.machine.lifetime().left();
    c.pdu(leg::out_http, test::rpc_pdu(1000));
    CHECK(!consumed(c, 1000));
    CHECK(c.said() == list{});
    c.pdu(leg::out_http, test::rpc_pdu(4000));
    CHECK(!consumed(c, 1500));
    CHECK(c.said() == list{"send in_http FlowControlAckWithDestination"});
    CHECK(test::last_sent<rts::flow_control_ack_with_destination>(c.out) ==
          rts::flow_control_ack_with_destination{.destination = rts::destination::outbound_proxy,
                                                 .ack = {5000, 8192 - 2500, test::out_cookie}});
    CHECK(c.machine.lifetime().left() == left - 56);
}

TEST_CASE(
    "client: an outbound proxy that overruns the window is read no further until it fits again") {
    auto s = settings();
    s.receive_window = 8192;
    driven c = in_opened(s);
    c.pdu(leg::out_http, test::rpc_pdu(8192));
    CHECK(c.machine.wants_input(leg::out_http));
    c.pdu(leg::out_http, test::rpc_pdu(24));
    CHECK(!c.machine.wants_input(leg::out_http));
    CHECK(c.machine.wants_input(leg::in_http));
    consumed(c, 24);
    CHECK(c.machine.wants_input(leg::out_http));
    s.strict_windows = true;
    driven strict = in_opened(s);
    strict.pdu(leg::out_http, test::rpc_pdu(8192));
    CHECK(strict.pdu(leg::out_http, test::rpc_pdu(24)) == errc::window_exceeded);
}

TEST_CASE(
    "client: pings when nothing was sent for half the timeout, and not on a silent OUT channel") {
    driven c = in_opened();
    const auto left = c.machine.lifetime().left();
    CHECK(c.machine.next_deadline() == test::t0 + 60s);
    CHECK(!c.after(59s));
    CHECK(c.said() == list{});
    CHECK(!c.after(1s));
    CHECK(c.said() == list{"send in_http Ping"});
    CHECK(c.machine.lifetime().left() == left - 20);
    c.now += 30s;
    sent(c, 100);
    CHECK(!c.after(59s));
    CHECK(c.said() == list{});
    CHECK(!c.after(1s));
    CHECK(c.said() == list{"send in_http Ping"});
}

TEST_CASE(
    "client: CONN/C2 replaces the timeout of CONN/A3; an own one and a keep-alive may lower it") {
    driven told = in_wait_c2();
    told.rts(leg::out_http,
             rts::conn_c2{.receive_window_size = 8192, .connection_timeout = 400'000});
    CHECK(told.machine.next_deadline() == told.now + 200s);
    auto s = settings();
    s.connection_timeout = 90s;
    CHECK(in_opened(s).machine.next_deadline() == test::t0 + 45s);
    s.connection_timeout = 900s;
    CHECK(in_opened(s).machine.next_deadline() == test::t0 + 60s);
    s.keep_alive = 10s;
    CHECK(in_opened(s).machine.next_deadline() == test::t0 + 5s);
    driven odd = in_wait_c2();
    odd.rts(leg::out_http, rts::conn_c2{.receive_window_size = 8192, .connection_timeout = 0});
    CHECK(odd.machine.next_deadline() == odd.now + 60s);
}

TEST_CASE("client: no ping comes before the IN channel has carried CONN/B1") {
    auto s = settings();
    s.open_wait = 10min;
    driven c(s);
    c.connected(leg::out_http);
    respond(c, leg::out_http, 200);
    c.rts(leg::out_http, rts::conn_a3{.connection_timeout = 120'000});
    CHECK(!c.after(60s));
    CHECK(c.said() == list{});
    c.connected(leg::in_http);
    CHECK(c.said() == list{"send in_http CONN/B1"});
    CHECK(!c.after(60s));
    CHECK(c.said() == list{"send in_http Ping"});
}

TEST_CASE("client: pings of the outbound proxy are ignored in every state that can meet one") {
    for (driven c : {in_wait_a3w(), in_wait_c2(), in_opened()}) {
        const auto before = c.machine.current();
        CHECK(!c.rts(leg::out_http, rts::ping{}));
        CHECK(c.said() == list{});
        CHECK(c.machine.current() == before);
    }
}

TEST_CASE("client: asks for another keep-alive interval, never for 0") {
    driven c = in_opened();
    c.clear();
    CHECK(!c.machine.set_client_keepalive(0ms, c.now, c.out));
    CHECK(c.said() == list{"send in_http Keep-Alive"});
    CHECK(test::last_sent<rts::keep_alive>(c.out).client_keepalive == 300'000);
    driven early(settings());
    early.clear();
    CHECK(!early.machine.set_client_keepalive(70s, early.now, early.out));
    CHECK(early.said() == list{});
    early.connected(leg::in_http);
    CHECK(test::last_sent<rts::conn_b1>(early.out).client_keepalive == 70'000);
}

TEST_CASE(
    "client: keeps room for RTS PDUs in the IN channel's lifetime, and ends when data needs it") {
    auto s = settings();
    s.in_lifetime = 128 * 1024;
    driven c = in_opened(s);
    std::uint32_t total = 0;
    while (c.machine.send_credit() >= 5000) {
        REQUIRE(!sent(c, 5000));
        total += 5000;
        REQUIRE(!c.rts(leg::out_http, ack_of(total, 65536)));
    }
    const auto credit = c.machine.send_credit();
    CHECK(credit == 128 * 1024 - 104 - 4096 - total);
    CHECK(c.machine.lifetime().left() == 4096 + credit);
    CHECK(!waiting(c, credit));
    CHECK(!c.after(60s)); // a ping still has its place
    CHECK(c.said() == list{"send in_http Ping"});
    CHECK(c.machine.current_in() == client::in_state::opened_a4w); // since a quarter was left
    CHECK(!waiting(c, credit + 1));
    CHECK(c.said() == list{});
}

TEST_CASE("client: RTS PDUs alone may use up the lifetime to the last byte, and no further") {
    auto s = settings();
    s.in_lifetime = 128 * 1024;
    driven c = in_opened(s);
    int pings = 0;
    while (!c.after(60s) && pings < 10'000)
        if (c.said() == list{"send in_http Ping"}) ++pings;
    CHECK(c.machine.ended_with() == errc::replacement_timeout); // nobody opens the successor
    CHECK(c.machine.lifetime().left() >= 40);                   // IN_R*/A5 would have had its place
    CHECK(c.machine.lifetime().left() < 4096 + 20);
}

TEST_CASE("client: a PDU that waits for more lifetime waits only so long") {
    auto s = settings();
    s.in_lifetime = 128 * 1024;
    s.replace_in_below = 1;
    driven c = in_opened(s, 262'144);
    CHECK(!sent(c, c.machine.send_credit() - 100));
    CHECK(!waiting(c, 101));
    CHECK(c.said() == list{"open successor_in_http"});
    CHECK(c.after(15min) == errc::replacement_timeout);
    CHECK(test::is_silent(c));
}

TEST_CASE("client: a PDU larger than the whole window of the inbound proxy ends it") {
    driven c = in_opened(settings(), 8192);
    CHECK(!waiting(c, 8192));
    CHECK(waiting(c, 8193) == errc::too_large);
    CHECK(test::is_silent(c));
}

TEST_CASE("client: gives up when opening takes too long, and only then") {
    for (const auto make : {+[] { return in_out_channel_wait(); }, +[] { return in_wait_a3w(); }}) {
        driven c = make();
        CHECK(c.machine.next_deadline() == test::t0 + 120s);
        CHECK(c.after(120s) == errc::setup_timeout);
        CHECK(c.said() == list{"failed out_http"});
        CHECK(test::is_silent(c));
    }
    driven open = in_opened();
    CHECK(!open.after(10min));
}

TEST_CASE("client: the end of either channel ends the virtual connection, by its own reason") {
    for (const leg l : {leg::in_http, leg::out_http}) {
        for (driven c : {in_out_channel_wait(), in_wait_a3w(), in_wait_c2(), in_opened()}) {
            driven d = c;
            CHECK(c.closed(l) == errc::channel_closed);
            CHECK(c.said() == list{"failed " + std::string(name(l))});
            CHECK(test::is_silent(c));
            CHECK(d.closed(l, errc::tls_untrusted) == errc::tls_untrusted);
        }
    }
}

TEST_CASE("client: closing lets what was sent go out first") {
    driven c = in_opened();
    c.clear();
    CHECK(c.machine.close(c.now, c.out) == errc::operation_aborted);
    CHECK(c.said() == list{"close in_http", "close out_http", "failed in_http"});
    CHECK(test::is_silent(c));
    c.clear();
    CHECK(c.machine.close(c.now, c.out) == errc::operation_aborted);
    CHECK(c.out.empty());
    CHECK(sent(c, 0) == errc::operation_aborted);
    CHECK(waiting(c, 1) == errc::operation_aborted);
    CHECK(consumed(c, 0) == errc::operation_aborted);
    CHECK(respond(c, leg::out_http, 200) == errc::operation_aborted);
    CHECK(c.out.empty());
}

TEST_CASE("client: every state has a name of its own") {
    list names;
    for (const auto s : {state::start, state::out_channel_wait, state::wait_a3w, state::wait_c2,
                         state::opened, state::finished}) {
        names.emplace_back(name(s));
        CHECK(std::count(names.begin(), names.end(), names.back()) == 1);
    }
}
