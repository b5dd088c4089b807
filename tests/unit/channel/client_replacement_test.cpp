#include <rpch/channel/client.hpp>

#include <doctest/doctest.h>

#include "tests/support/channel.hpp"

using namespace rpch;
using namespace rpch::channel;
using test::list;
using namespace std::chrono_literals;
using in_state = client::in_state;
using out_state = client::out_state;

namespace {

using driven = test::driven<client>;

const rts::cookie in_2 = test::cookie_of(0x12);
const rts::cookie out_2 = test::cookie_of(0x23);
constexpr std::uint32_t lifetime_bytes = 0x4000'0000;
constexpr std::size_t trigger_bytes = 200; // the first PDU of so many bytes begins to replace IN

client_settings settings() {
    client_settings s;
    s.virtual_connection = test::vc_cookie;
    s.in_channel = test::in_cookie;
    s.out_channel = test::out_cookie;
    s.receive_window = 65536;
    s.in_lifetime = lifetime_bytes;
    s.replace_in_below = lifetime_bytes - trigger_bytes;
    return s;
}
std::error_code respond(driven& c, leg l, int status, std::optional<rpc_status> number = {}) {
    c.clear();
    return c.machine.on_response(l, status, number, c.now, c.out);
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
std::error_code keep_alive(driven& c, std::chrono::milliseconds interval) {
    c.clear();
    return c.machine.set_client_keepalive(interval, c.now, c.out);
}
std::error_code successor(driven& c, leg l, const rts::cookie& fresh) {
    c.clear();
    return c.machine.on_successor_connected(l, fresh, c.now, c.out);
}
driven in_opened(const client_settings& s = settings(), std::uint32_t window = 65536) {
    driven c(s);
    c.connected(leg::in_http);
    c.connected(leg::out_http);
    respond(c, leg::out_http, 200);
    c.rts(leg::out_http, rts::conn_a3{.connection_timeout = 120'000});
    c.rts(leg::out_http,
          rts::conn_c2{.receive_window_size = window, .connection_timeout = 120'000});
    return c;
}
/// The IN channel is being replaced; nobody knows of it yet.
driven in_opening_in(const client_settings& s = settings()) {
    driven c = in_opened(s);
    sent(c, trigger_bytes);
    return c;
}
/// A1 was sent.
driven in_a4w(const client_settings& s = settings()) {
    driven c = in_opening_in(s);
    successor(c, leg::successor_in_http, in_2);
    return c;
}
/// The OUT channel is being replaced; A3 was not sent yet.
driven in_opening_out(driven c = in_opened()) {
    c.rts(leg::out_http, rts::out_r1_a2{});
    return c;
}
driven in_a6w(driven c = in_opened()) {
    c = in_opening_out(std::move(c));
    successor(c, leg::successor_out_http, out_2);
    return c;
}
driven in_a10w(driven c = in_opened()) {
    c = in_a6w(std::move(c));
    c.rts(leg::out_http, rts::out_r1_a6{.connection_timeout = 120'000});
    return c;
}
driven in_b3w(driven c = in_opened()) {
    c = in_a6w(std::move(c));
    c.rts(leg::out_http, rts::out_r2_a6{});
    return c;
}
rts::in_r1_a4 in_a4(std::uint32_t window = 50'000, std::uint32_t timeout = 300'000) {
    return {.receive_window_size = window, .connection_timeout = timeout};
}
rts::flow_control_ack_with_destination ack_of(std::uint32_t received, std::uint32_t available,
                                              rts::cookie channel = test::in_cookie) {
    return {.destination = rts::destination::client, .ack = {received, available, channel}};
}
/// Sends until less than `left` bytes may still be sent on the IN channel, with acknowledgements;
/// `c` must have sent nothing on this instance so far.
void use_up_in(driven& c, std::uint64_t left, rts::cookie channel = test::in_cookie) {
    std::uint32_t total = 0;
    while (c.machine.lifetime().left_beyond(in_lifetime_reserve_bytes) >= left + 50'000) {
        REQUIRE(!sent(c, 50'000));
        total += 50'000;
        REQUIRE(!c.rts(leg::out_http, ack_of(total, 65536, channel)));
    }
    const auto rest = c.machine.lifetime().left_beyond(in_lifetime_reserve_bytes) - left;
    REQUIRE(!sent(c, static_cast<std::size_t>(rest)));
    total += static_cast<std::uint32_t>(rest);
    REQUIRE(!c.rts(leg::out_http, ack_of(total, 65536, channel)));
}
/// Small enough to be used up in a test; begins to replace when nothing else fits.
client_settings short_lived() {
    client_settings s = settings();
    s.in_lifetime = 128 * 1024;
    s.replace_in_below = 1;
    return s;
}
/// An open client whose IN channel has room for IN_R*/A5 and nothing else; it is being replaced.
driven without_room() {
    driven c = in_opened(short_lived());
    use_up_in(c, 0);
    while (c.machine.lifetime().left() >= in_handover_bytes + 56) {
        REQUIRE(!c.pdu(leg::out_http, test::rpc_pdu(40'000)));
        REQUIRE(!consumed(c, 40'000));
    }
    while (c.machine.lifetime().left() >= in_handover_bytes + 20) REQUIRE(!c.after(60s));
    return c;
}

} // namespace

TEST_CASE("client replacement: every row of its tables asks for exactly what its section says") {
    test::table_walk<client> walk;
    driven c(settings());
    c.connected(leg::in_http);
    c.connected(leg::out_http);
    respond(c, leg::out_http, 200);
    CHECK(walk.step(c, leg::out_http, rts::ping{}, {}) == list{});
    CHECK(walk.step(c, leg::out_http, rts::conn_a3{.connection_timeout = 120'000}, {}) == list{});
    CHECK(walk.step(c, leg::out_http, rts::ping{}, {}) == list{});
    CHECK(walk.step(c, leg::out_http, rts::conn_c2{.receive_window_size = 65536}, {"opened"}) ==
          list{});
    CHECK(walk.step(c, leg::out_http, rts::ping{}, {}) == list{});
    CHECK(!sent(c, 1000));
    CHECK(c.said() == list{"open successor_in_http"});
    CHECK(walk.step(c, leg::out_http, ack_of(1000, 65536), {"sendable"}) == list{});

    driven in_r1 = in_a4w();
    CHECK(walk.step(in_r1, leg::out_http, in_a4(),
                    {"send in_http IN_R1/A5, IN_R1/A6, IN_R2/A2, IN_R2/A5, OUT_R2/A4",
                     "promote in_http", "sendable"}) == list{});
    driven in_r2 = in_a4w();
    CHECK(walk.step(in_r2, leg::out_http, rts::in_r2_a4{},
                    {"send in_http IN_R1/A5, IN_R1/A6, IN_R2/A2, IN_R2/A5, OUT_R2/A4",
                     "promote in_http", "sendable"}) == list{});

    driven out_r1 = in_opened();
    CHECK(walk.step(out_r1, leg::out_http, rts::out_r1_a2{}, {"open successor_out_http"}) ==
          list{});
    successor(out_r1, leg::successor_out_http, out_2);
    driven out_r2 = out_r1;
    CHECK(walk.step(out_r1, leg::out_http, rts::out_r1_a6{.connection_timeout = 120'000},
                    {"send in_http OUT_R1/A7, OUT_R1/A8, OUT_R2/A8"}) == list{});
    CHECK(walk.step(out_r1, leg::out_http, rts::out_r1_a10{},
                    {"promote out_http",
                     "send out_http OUT_R1/A9, OUT_R1/A10, OUT_R1/A11, OUT_R2/B1"}) == list{});
    CHECK(walk.step(out_r2, leg::out_http, rts::out_r2_a6{},
                    {"send in_http OUT_R2/A7", "send successor_out_http OUT_R2/C1"}) == list{});
    CHECK(walk.step(out_r2, leg::out_http, rts::out_r2_b3{}, {"promote out_http"}) == list{});
    CHECK(walk.left() == list{});
}

TEST_CASE("client replacement: refuses every PDU its tables leave out, whatever is replaced") {
    const auto me = rts::destination::client;
    const auto after_in = [] {
        driven c = in_a4w();
        c.rts(leg::out_http, in_a4());
        return c;
    };
    const auto after_out = [] {
        driven c = in_b3w();
        c.rts(leg::out_http, rts::out_r2_b3{});
        return c;
    };
    CHECK(test::accepted_though_not_listed([] { return in_opening_in(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_a4w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed(after_in, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_opening_out(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_a6w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_a10w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_b3w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed(after_out, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_a6w(in_a4w()); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_a10w(in_a4w()); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_b3w(in_a4w()); }, me) == list{});
}

TEST_CASE("client replacement: IN_R1, step by step") {
    driven c = in_opened();
    CHECK(!sent(c, trigger_bytes - 104));
    CHECK(c.said() == list{}); // as many bytes are left as the threshold says
    CHECK(!sent(c, 104));
    CHECK(c.said() == list{"open successor_in_http"});
    CHECK(c.machine.current_in() == in_state::opened_a4w);
    CHECK(!sent(c, 1000)); // the predecessor goes on, and once is enough
    CHECK(c.said() == list{});

    CHECK(!successor(c, leg::successor_in_http, in_2));
    CHECK(c.said() == list{"send successor_in_http IN_R1/A1, IN_R2/A1"});
    CHECK(test::last_sent<rts::in_r1_a1>(c.out) ==
          rts::in_r1_a1{.virtual_connection = test::vc_cookie,
                        .predecessor_channel = test::in_cookie,
                        .successor_channel = in_2});
    CHECK(!sent(c, 1000));
    CHECK(c.machine.send_credit() == 65536 - 2000 - trigger_bytes);
    c.now += 10s;
    CHECK(!c.rts(leg::out_http, in_a4(50'000, 300'000)));
    CHECK(test::last_sent<rts::in_r1_a5>(c.out).successor_channel == in_2);
    CHECK(c.machine.current_in() == in_state::opened);
    CHECK(c.machine.in_replaced() == 1);
    // A fresh instance: the window of A4, nothing sent, and a body that A1 has begun.
    CHECK(c.machine.send_credit() == 50'000);
    CHECK(c.machine.largest_pdu() == 50'000);
    CHECK(c.machine.sending().sent() == 0);
    CHECK(c.machine.lifetime().left() == lifetime_bytes - 88);
    CHECK(c.machine.next_deadline() == c.now + 150s); // pings, by the timeout of A4
    CHECK(!c.rts(leg::out_http, ack_of(1, 50'000)));  // of the predecessor: dropped
    CHECK(c.said() == list{});
    CHECK(!sent(c, 1000));
    CHECK(!c.rts(leg::out_http, ack_of(1000, 50'000, in_2)));
    CHECK(c.said() == list{"sendable", "open successor_in_http"});
}

TEST_CASE("client replacement: IN_R2 keeps window and timeout, for its A4 carries neither") {
    driven c = in_a4w();
    c.now += 10s;
    CHECK(!c.rts(leg::out_http, rts::in_r2_a4{}));
    CHECK(test::last_sent<rts::in_r2_a5>(c.out).successor_channel == in_2);
    CHECK(c.machine.current_in() == in_state::opened);
    CHECK(c.machine.send_credit() == 65536);
    CHECK(c.machine.sending().sent() == 0);
    CHECK(c.machine.lifetime().left() == lifetime_bytes - 88);
    // Pings look where they looked before; A5 was a PDU.
    CHECK(c.machine.next_deadline() == test::t0 + 60s);
    CHECK(!c.after(50s));
    CHECK(c.said() == list{});
    CHECK(c.machine.next_deadline() == test::t0 + 70s);
}

TEST_CASE("client replacement: an IN_R*/A4 for a successor that nobody can know of is refused") {
    driven r1 = in_opening_in();
    CHECK(r1.rts(leg::out_http, in_a4()) == errc::unexpected_pdu);
    CHECK(r1.said() == list{"failed out_http"});
    driven r2 = in_opening_in();
    CHECK(r2.rts(leg::out_http, rts::in_r2_a4{}) == errc::unexpected_pdu);
    CHECK(test::is_silent(r2));
    driven small = in_a4w();
    CHECK(small.rts(leg::out_http, in_a4(8191)) == errc::bad_value);
    CHECK(small.said() == list{"failed out_http"});
    CHECK(test::is_silent(small));
}

TEST_CASE("client replacement: OUT_R1, step by step") {
    driven c = in_opened();
    CHECK(!c.rts(leg::out_http, rts::out_r1_a2{}));
    CHECK(c.machine.current_out() == out_state::opened_a6w);
    CHECK(!successor(c, leg::successor_out_http, out_2));
    CHECK(c.said() == list{"send successor_out_http OUT_R1/A3, OUT_R2/A3"});
    CHECK(test::last_sent<rts::out_r1_a3>(c.out) ==
          rts::out_r1_a3{.virtual_connection = test::vc_cookie,
                         .predecessor_channel = test::out_cookie,
                         .successor_channel = out_2,
                         .receive_window_size = 65536});
    CHECK(!c.rts(leg::out_http, rts::out_r1_a6{.connection_timeout = 120'000}));
    CHECK(test::last_sent<rts::out_r1_a7>(c.out) ==
          rts::out_r1_a7{.destination = rts::destination::server, .successor_channel = out_2});
    CHECK(c.machine.current_out() == out_state::opened_a10w);
    CHECK(!c.pdu(leg::out_http, test::rpc_pdu(3000))); // what the predecessor still has
    CHECK(c.said() == list{"deliver"});
    CHECK(!consumed(c, 1000));
    CHECK(!c.rts(leg::out_http, rts::out_r1_a10{}));
    CHECK(c.machine.current_out() == out_state::opened);
    CHECK(c.machine.out_replaced() == 1);
    CHECK(c.machine.received().received() == 0);
    CHECK(c.machine.received().available() == 65536);
    CHECK(c.machine.held_of_predecessor() == 2000);
    // The response head answers A11; CONN/A3 and C2 do not come again.
    CHECK(!respond(c, leg::out_http, 200));
    CHECK(!c.pdu(leg::out_http, test::rpc_pdu(64)));
    CHECK(c.said() == list{"deliver"});
    CHECK(c.rts(leg::out_http, rts::conn_a3{.connection_timeout = 120'000}) ==
          errc::unexpected_pdu);
}

TEST_CASE("client replacement: OUT_R2, step by step; head and B3 come in either order") {
    for (const bool head_first : {true, false}) {
        driven c = in_b3w();
        CHECK(test::last_sent<rts::out_r2_a7>(c.out) ==
              rts::out_r2_a7{.destination = rts::destination::server, .successor_channel = out_2});
        CHECK(c.machine.current_out() == out_state::b3w);
        // Two connections, and nothing orders them: PDUs of the successor wait for B3.
        CHECK(!c.machine.wants_input(leg::successor_out_http));
        CHECK(c.machine.wants_input(leg::out_http));
        if (head_first) CHECK(!respond(c, leg::successor_out_http, 200));
        CHECK(!c.pdu(leg::out_http, test::rpc_pdu(3000)));
        CHECK(!c.rts(leg::out_http, rts::out_r2_b3{}));
        CHECK(c.said() == list{"promote out_http"});
        CHECK(c.machine.current_out() == out_state::opened);
        CHECK(c.machine.out_replaced() == 1);
        CHECK(c.machine.held_of_predecessor() == 3000);
        if (!head_first) CHECK(!respond(c, leg::out_http, 200));
        CHECK(!c.pdu(leg::out_http, test::rpc_pdu(64)));
        CHECK(respond(c, leg::out_http, 200) == errc::http_unexpected_response);
        CHECK(test::is_silent(c));
    }
}

TEST_CASE("client replacement: acknowledgements name the OUT channel that has taken over") {
    auto s = settings();
    s.receive_window = 8192;
    driven c = in_b3w(in_opened(s));
    c.pdu(leg::out_http, test::rpc_pdu(3000));
    c.rts(leg::out_http, rts::out_r2_b3{});
    c.pdu(leg::out_http, test::rpc_pdu(4100));
    CHECK(!consumed(c, 3000)); // the predecessor's: nobody waits for their acknowledgement
    CHECK(c.said() == list{});
    CHECK(c.machine.held_of_predecessor() == 0);
    CHECK(!consumed(c, 4100));
    CHECK(test::last_sent<rts::flow_control_ack_with_destination>(c.out) ==
          rts::flow_control_ack_with_destination{.destination = rts::destination::outbound_proxy,
                                                 .ack = {4100, 8192, out_2}});
}

TEST_CASE("client replacement: an OUT_R*/A6 before A3 was sent is refused") {
    driven r1 = in_opening_out();
    CHECK(r1.rts(leg::out_http, rts::out_r1_a6{.connection_timeout = 120'000}) ==
          errc::unexpected_pdu);
    CHECK(r1.said() == list{"failed out_http"});
    driven r2 = in_opening_out();
    CHECK(r2.rts(leg::out_http, rts::out_r2_a6{}) == errc::unexpected_pdu);
    CHECK(test::is_silent(r2));
}

TEST_CASE("client replacement: look-alikes are told apart by the state") {
    // {Destination} with and without flags: IN_R2/A4 and OUT_R*/A2.
    driven both = in_a4w();
    CHECK(!both.rts(leg::out_http, rts::out_r2_a2{}));
    CHECK(both.said() == list{"open successor_out_http"});
    CHECK(!both.rts(leg::out_http, rts::in_r2_a4{}));
    CHECK(both.machine.current_in() == in_state::opened);
    CHECK(both.machine.current_out() == out_state::opened_a6w);
    // {ANCE} with and without the flag: OUT_R1/A10 and OUT_R2/B3.
    driven a10w = in_a10w();
    CHECK(a10w.rts(leg::out_http, rts::out_r2_b3{}) == errc::unexpected_pdu);
    driven b3w = in_b3w();
    CHECK(b3w.rts(leg::out_http, rts::out_r1_a10{}) == errc::unexpected_pdu);
}

TEST_CASE("client replacement: OUT_R*/A7 goes before IN_R*/A5 on the predecessor, or on the "
          "successor behind it") {
    driven before = in_a6w(in_a4w());
    CHECK(!before.rts(leg::out_http, rts::out_r1_a6{.connection_timeout = 120'000}));
    CHECK(before.said() == list{"send in_http OUT_R1/A7, OUT_R1/A8, OUT_R2/A8"});
    CHECK(!before.rts(leg::out_http, rts::in_r2_a4{}));
    CHECK(before.said() == list{"send in_http IN_R1/A5, IN_R1/A6, IN_R2/A2, IN_R2/A5, OUT_R2/A4",
                                "promote in_http", "sendable"});
    CHECK(!before.rts(leg::out_http, rts::out_r1_a10{}));
    CHECK(before.machine.current_out() == out_state::opened);

    driven after = in_a6w(in_a4w());
    const auto left = lifetime_bytes - 88;
    CHECK(!after.rts(leg::out_http, in_a4()));
    CHECK(after.machine.lifetime().left() == left);
    CHECK(!after.rts(leg::out_http, rts::out_r2_a6{}));
    CHECK(after.said() == list{"send in_http OUT_R2/A7", "send successor_out_http OUT_R2/C1"});
    CHECK(after.machine.lifetime().left() == left - 56); // the successor's
}

TEST_CASE("client replacement: IN_R*/A4 may come behind the response head of a fresh OUT channel") {
    // The outbound proxy held it back in its plugged successor.
    driven c = in_a10w(in_a4w());
    CHECK(!c.rts(leg::out_http, rts::out_r1_a10{}));
    CHECK(!respond(c, leg::out_http, 200));
    CHECK(!c.rts(leg::out_http, in_a4()));
    CHECK(c.machine.current_in() == in_state::opened);
    CHECK(c.machine.in_replaced() == 1);
    CHECK(c.machine.out_replaced() == 1);
}

TEST_CASE("client replacement: a further OUT replacement waits until the predecessor's bytes are "
          "taken") {
    driven c = in_b3w();
    c.pdu(leg::out_http, test::rpc_pdu(3000));
    c.rts(leg::out_http, rts::out_r2_b3{});
    respond(c, leg::out_http, 200);
    c.pdu(leg::out_http, test::rpc_pdu(1000));
    CHECK(!c.rts(leg::out_http, rts::out_r1_a2{}));
    CHECK(c.said() == list{});
    CHECK(c.machine.current_out() == out_state::opened_a6w);
    CHECK(!consumed(c, 2999));
    CHECK(c.said() == list{});
    driven slow = c;
    CHECK(!consumed(c, 1));
    CHECK(c.said() == list{"open successor_out_http"});
    CHECK(!consumed(c, 1000));
    CHECK(c.said() == list{}); // once
    CHECK(slow.after(15min) == errc::replacement_timeout);
}

TEST_CASE("client replacement: RTS PDUs without room wait for the successor; acknowledgements and "
          "intervals by their newest") {
    driven c = without_room();
    CHECK(c.machine.current_in() == in_state::opened_a4w);
    CHECK(c.machine.send_credit() == 0);
    const auto left = c.machine.lifetime().left();
    CHECK(left >= in_handover_bytes);
    for (int i = 0; i < 3; ++i) {
        c.pdu(leg::out_http, test::rpc_pdu(40'000));
        CHECK(!consumed(c, 40'000));
        CHECK(c.said() == list{});
    }
    CHECK(!keep_alive(c, 90s));
    CHECK(!keep_alive(c, 70s));
    CHECK(c.said() == list{});
    c = in_a6w(std::move(c));
    CHECK(!c.rts(leg::out_http, rts::out_r2_a6{}));
    CHECK(c.said() == list{"send successor_out_http OUT_R2/C1"}); // A7 waits
    CHECK(!c.after(60s));
    CHECK(c.said() == list{}); // a ping is not worth waiting for
    CHECK(!successor(c, leg::successor_in_http, in_2));
    CHECK(!c.rts(leg::out_http, rts::in_r2_a4{}));
    CHECK(c.said() == list{"send in_http IN_R1/A5, IN_R1/A6, IN_R2/A2, IN_R2/A5, OUT_R2/A4",
                           "promote in_http", "send in_http FlowControlAckWithDestination",
                           "send in_http Keep-Alive", "send in_http OUT_R2/A7", "sendable"});
    CHECK(
        test::last_sent<rts::flow_control_ack_with_destination>(c.out).ack ==
        rts::flow_control_acknowledgment{c.machine.received().received(), 65536, test::out_cookie});
    CHECK(test::last_sent<rts::keep_alive>(c.out).client_keepalive == 70'000);
    CHECK(c.machine.lifetime().left() == 128 * 1024 - 88 - 56 - 28 - 56);
}

TEST_CASE("client replacement: A7 leaves the IN channel room for what the OUT predecessor needs to "
          "drain, or waits") {
    // Else neither channel could go on: IN_R*/A4 waits in the plugged OUT successor, the OUT
    // predecessor for acknowledgements, and these for A4.
    driven c = in_opened(short_lived());
    use_up_in(c, 0);
    int gone = 0;
    int waited = 0;
    while (c.machine.lifetime().left() >= in_handover_bytes + 56) {
        for (const bool by_r1 : {true, false}) {
            driven d = in_a6w(c);
            CHECK(!(by_r1 ? d.rts(leg::out_http, rts::out_r1_a6{.connection_timeout = 120'000})
                          : d.rts(leg::out_http, rts::out_r2_a6{})));
            const std::string a7 =
                by_r1 ? "send in_http OUT_R1/A7, OUT_R1/A8, OUT_R2/A8" : "send in_http OUT_R2/A7";
            const auto has_a7 = [&] {
                for (const auto& each : d.said())
                    if (each == a7) return true;
                return false;
            };
            if (has_a7()) {
                ++gone;
                std::size_t untold = 0;
                for (std::size_t n = 65536 + limits::receive_window_max; n >= 5840; n -= 5840) {
                    d.pdu(leg::out_http, test::rpc_pdu(5840));
                    untold += 5840;
                    CHECK(!consumed(d, 5840));
                    if (!d.said().empty()) untold = 0;
                }
                CHECK(untold <= 32768); // the window stays open
                CHECK(d.machine.lifetime().left() >= in_handover_bytes);
            } else {
                ++waited;
                CHECK(d.machine.current_in() == in_state::opened_a4w);
                successor(d, leg::successor_in_http, in_2);
                CHECK(!d.rts(leg::out_http, rts::in_r2_a4{}));
                CHECK(has_a7());
            }
        }
        REQUIRE(!c.pdu(leg::out_http, test::rpc_pdu(40'000)));
        REQUIRE(!consumed(c, 40'000));
    }
    CHECK(gone >= 2 * 50);
    CHECK(waited >= 2 * 5);
}

TEST_CASE("client replacement: while the OUT predecessor drains, bytes taken little by little do "
          "not use up what A7 has left for it") {
    auto s = settings();
    s.receive_window = 8192; // an acknowledgement confirms at least half of it
    for (const bool by_r1 : {true, false}) {
        driven c = by_r1 ? in_a10w(in_opened(s)) : in_b3w(in_opened(s));
        std::size_t acknowledgements = 0;
        for (int i = 0; i < 10; ++i) {
            REQUIRE(!c.pdu(leg::out_http, test::rpc_pdu(4096)));
            for (int part = 0; part < 128; ++part) {
                REQUIRE(!consumed(c, 32));
                acknowledgements += c.said().size();
            }
            CHECK(c.machine.received().advertised() >= 4096); // nobody is left waiting
        }
        CHECK(acknowledgements >= 5);
        CHECK(acknowledgements <= 10);
    }
}

TEST_CASE(
    "client replacement: with the smallest window, and whatever fragments were announced, the "
    "reserve lasts until the OUT predecessor has drained") {
    auto s = short_lived();
    s.receive_window = 8192;
    for (const std::size_t size : {24U, 48U, 1432U, 4096U, 8192U}) {
        CAPTURE(size);
        driven c = in_opened(s);
        use_up_in(c, 0);
        REQUIRE(c.machine.lifetime().left() <= in_lifetime_reserve_bytes);
        c = in_a6w(c);
        REQUIRE(!c.rts(leg::out_http, rts::out_r2_a6{}));
        REQUIRE(c.machine.current_out() == out_state::b3w);
        REQUIRE(!c.pdu(leg::out_http, test::bind_pdu(dcerpc::pdu_type::bind_ack, 8192, 8192)));
        REQUIRE(!consumed(c, 72));
        std::uint32_t least = 8192;
        for (std::size_t n = s.receive_window + limits::receive_window_max; n >= size; n -= size) {
            REQUIRE(!c.pdu(leg::out_http, test::rpc_pdu(size)));
            REQUIRE(!consumed(c, size));
            least = std::min(least, c.machine.received().advertised());
            for (int ping = 0; ping < 3; ++ping) // an upper layer that keeps alive all too often
                REQUIRE(!keep_alive(c, 70s + std::chrono::milliseconds(n)));
        }
        CHECK(least >= 4096);
        CHECK(c.machine.lifetime().left() >= in_handover_bytes);
    }
}

TEST_CASE("client replacement: who waits for the window is told of it even if the lifetime has no "
          "room") {
    driven c = in_opened(short_lived());
    use_up_in(c, 100);
    const auto total = c.machine.sending().sent();
    REQUIRE(!sent(c, 40));
    REQUIRE(c.machine.send_credit() == 60);
    CHECK(!c.rts(leg::out_http, ack_of(total + 40, 65536)));
    CHECK(c.said() == list{"sendable"}); // the window has grown, the credit has not
    CHECK(c.machine.send_credit() == 60);
    CHECK(!waiting(c, 120));
    CHECK(c.said() == list{"open successor_in_http"});
}

TEST_CASE("client replacement: begins below the threshold, and never later than at the reserve") {
    const auto begins_at = [](std::uint64_t wanted) {
        auto s = settings();
        s.in_lifetime = 128 * 1024;
        s.replace_in_below = wanted;
        driven c = in_opened(s);
        std::uint32_t total = 0;
        while (c.machine.current_in() == in_state::opened && c.machine.send_credit() >= 24) {
            REQUIRE(!sent(c, 24));
            REQUIRE(!c.rts(leg::out_http, ack_of(total += 24, 65536)));
        }
        REQUIRE(!waiting(c, 24));
        CHECK(c.machine.current_in() == in_state::opened_a4w);
        return c.machine.lifetime().left();
    };
    CHECK(begins_at(0) < 32 * 1024); // a quarter
    CHECK(begins_at(0) >= 32 * 1024 - 24);
    CHECK(begins_at(50'000) < 50'000);
    CHECK(begins_at(50'000) >= 50'000 - 24);
    CHECK(begins_at(1) >= 4096); // when the next PDU does not fit beside the reserve
    CHECK(begins_at(1) < 4096 + 24);
    CHECK(begins_at(1 << 20) == 128 * 1024 - 104 - 24); // above the lifetime: with the first PDU
    CHECK(replacement_threshold(0, 0x4000'0000, in_lifetime_reserve_bytes) == 64 << 20);
    CHECK(replacement_threshold(0, 0x8000'0000, in_lifetime_reserve_bytes) == 64 << 20);
}

TEST_CASE("client replacement: no second one before an acknowledgement has confirmed the first") {
    auto s = settings();
    s.in_lifetime = 128 * 1024;
    s.replace_in_below = 128 * 1024; // as often as possible
    driven c = in_opened(s, 262'144);
    sent(c, 24);
    successor(c, leg::successor_in_http, in_2);
    c.rts(leg::out_http, in_a4(262'144));
    CHECK(!sent(c, 24));
    CHECK(c.said() == list{});
    CHECK(!c.rts(leg::out_http, ack_of(24, 262'144))); // of the predecessor
    CHECK(c.machine.current_in() == in_state::opened);
    driven forced = c;
    CHECK(!c.rts(leg::out_http, ack_of(24, 262'144, in_2)));
    CHECK(c.said() == list{"sendable", "open successor_in_http"});
    // When nothing fits any more there is no choice; the server may hold the successor back.
    CHECK(!sent(forced, forced.machine.send_credit() - 23));
    CHECK(forced.said() == list{});
    CHECK(!waiting(forced, 24));
    CHECK(forced.said() == list{"open successor_in_http"});
}

TEST_CASE("client replacement: a successor that does not come up is tried six times, with pauses "
          "that double") {
    struct kind {
        driven (*make)();
        leg which;
    };
    for (const kind k : {kind{+[] { return in_opening_in(); }, leg::successor_in_http},
                         kind{+[] { return in_opening_out(); }, leg::successor_out_http}}) {
        driven c = k.make();
        for (const auto pause : {1s, 2s, 4s, 8s, 16s}) {
            CHECK(!c.closed(k.which, errc::connect_failed));
            CHECK(c.said() == list{});
            CHECK(!c.after(pause - 1ms));
            CHECK(c.said() == list{});
            CHECK(!c.after(1ms));
            CHECK(c.said() == list{"open " + std::string(name(k.which))});
            CHECK(!c.after(0ms));
            CHECK(c.said() == list{});
        }
        driven lucky = c;
        CHECK(c.closed(k.which, errc::connect_failed) == errc::connect_failed);
        CHECK(c.said() == list{"failed " + std::string(name(k.which))});
        CHECK(test::is_silent(c));
        // The next replacement begins to count afresh.
        successor(lucky, k.which, k.which == leg::successor_in_http ? in_2 : out_2);
        if (k.which == leg::successor_in_http) {
            lucky.rts(leg::out_http, rts::in_r2_a4{});
            sent(lucky, 1000);
            lucky.rts(leg::out_http, ack_of(1000, 65536, in_2));
        } else {
            lucky.rts(leg::out_http, rts::out_r2_a6{});
            lucky.rts(leg::out_http, rts::out_r2_b3{});
            lucky.rts(leg::out_http, rts::out_r1_a2{});
        }
        CHECK(lucky.said().back() == "open " + std::string(name(k.which)));
        CHECK(!lucky.closed(k.which, errc::connect_failed));
    }
}

TEST_CASE(
    "client replacement: a successor that others know of takes the virtual connection along") {
    for (driven c : {in_a4w(), in_a6w(in_a4w())}) {
        CHECK(c.closed(leg::successor_in_http) == errc::channel_closed);
        CHECK(c.said() == list{"failed successor_in_http"});
        CHECK(test::is_silent(c));
    }
    for (driven c : {in_a6w(), in_a10w(), in_b3w()}) {
        CHECK(c.closed(leg::successor_out_http, errc::connection_lost) == errc::connection_lost);
        CHECK(c.said() == list{"failed successor_out_http"});
        CHECK(test::is_silent(c));
    }
}

TEST_CASE("client replacement: the end of a default channel ends the virtual connection meanwhile, "
          "too") {
    for (const leg l : {leg::in_http, leg::out_http})
        for (driven c : {in_opening_in(), in_a4w(), in_opening_out(), in_a6w(), in_a10w(), in_b3w(),
                         in_b3w(in_a4w())}) {
            CHECK(c.closed(l) == errc::channel_closed);
            CHECK(c.said() == list{"failed " + std::string(name(l))});
            CHECK(test::is_silent(c));
        }
}

TEST_CASE("client replacement: waits for each next PDU only so long") {
    auto s = settings();
    s.replacement_wait = 5min;
    driven a4w = in_a4w(s);
    CHECK(!a4w.after(5min - 1s));
    CHECK(a4w.after(1s) == errc::replacement_timeout);
    CHECK(a4w.said() == list{"failed successor_in_http"});
    CHECK(test::is_silent(a4w));
    for (const auto make : {+[](driven c) { return in_opening_out(std::move(c)); },
                            +[](driven c) { return in_a6w(std::move(c)); },
                            +[](driven c) { return in_a10w(std::move(c)); },
                            +[](driven c) { return in_b3w(std::move(c)); }}) {
        driven c = make(in_opened(s));
        CHECK(!c.after(5min - 1s));
        CHECK(c.after(1s) == errc::replacement_timeout);
        CHECK(c.said() == list{"failed successor_out_http"});
        CHECK(test::is_silent(c));
    }
    // One that is done leaves no deadline but that of pings.
    driven in_done = in_a4w(s);
    in_done.rts(leg::out_http, rts::in_r2_a4{});
    CHECK(!in_done.after(1h));
    driven out_done = in_b3w(in_opened(s));
    out_done.rts(leg::out_http, rts::out_r2_b3{});
    CHECK(!out_done.after(1h));
}

TEST_CASE("client replacement: a successor that takes its time does no harm while the predecessor "
          "carries what there is") {
    driven early = in_opening_in();
    CHECK(!early.after(15min));
    CHECK(!early.after(15min));
    CHECK(!sent(early, 5000));
    CHECK(!successor(early, leg::successor_in_http, in_2));
    CHECK(!early.rts(leg::out_http, in_a4()));
    // It does when an RPC PDU or an RTS PDU waits for it.
    driven full = in_opened(short_lived());
    use_up_in(full, 100);
    CHECK(!waiting(full, 101));
    CHECK(full.said() == list{"open successor_in_http"});
    CHECK(full.after(15min) == errc::replacement_timeout);
    driven held = without_room();
    CHECK(!keep_alive(held, 70s));
    CHECK(held.after(15min) == errc::replacement_timeout);
}

TEST_CASE("client replacement: RPC PDUs wait for an acknowledgement only so long") {
    auto s = settings();
    s.blocked_wait = 5min;
    driven c = in_opened(s, 8192);
    CHECK(!sent(c, 96)); // nothing is replaced yet
    CHECK(!waiting(c, 8100));
    driven helped = c;
    driven replaced = c;
    CHECK(!c.after(4min));
    CHECK(!waiting(c, 8100)); // asking again moves nothing
    CHECK(c.after(1min) == errc::flow_control_stalled);
    CHECK(c.said() == list{"failed in_http"});
    CHECK(test::is_silent(c));
    CHECK(!helped.rts(leg::out_http, ack_of(96, 8192)));
    CHECK(!helped.after(10min));
    // A fresh instance has a fresh window.
    CHECK(!sent(replaced, 8000));
    CHECK(replaced.said() == list{"open successor_in_http"});
    CHECK(!waiting(replaced, 8100));
    CHECK(!successor(replaced, leg::successor_in_http, in_2));
    CHECK(!replaced.rts(leg::out_http, rts::in_r2_a4{}));
    CHECK(replaced.said().back() == "sendable");
    CHECK(!replaced.after(10min));
}

TEST_CASE("client replacement: a new inbound proxy is told of an unusual keep-alive interval") {
    auto s = settings();
    s.client_keepalive = 70s;
    driven r1 = in_a4w(s);
    CHECK(!r1.rts(leg::out_http, in_a4()));
    CHECK(r1.said() == list{"send in_http IN_R1/A5, IN_R1/A6, IN_R2/A2, IN_R2/A5, OUT_R2/A4",
                            "promote in_http", "send in_http Keep-Alive", "sendable"});
    CHECK(test::last_sent<rts::keep_alive>(r1.out).client_keepalive == 70'000);
    driven r2 = in_a4w(s); // the same proxy knows
    CHECK(!r2.rts(leg::out_http, rts::in_r2_a4{}));
    CHECK(r2.said().size() == 3);
    driven usual = in_a4w();
    CHECK(!usual.rts(leg::out_http, in_a4()));
    CHECK(usual.said().size() == 3);
}

TEST_CASE("client replacement: response heads of successors") {
    driven early = in_a4w();
    CHECK(!respond(early, leg::successor_in_http, 200)); // some proxies do
    CHECK(early.said() == list{});
    CHECK(!early.rts(leg::out_http, in_a4()));
    for (const leg l : {leg::successor_in_http, leg::successor_out_http}) {
        driven numbered = in_b3w(in_a4w());
        CHECK(respond(numbered, l, 503, rpc_status::server_unavailable) ==
              rpc_status::server_unavailable);
        CHECK(numbered.said() == list{"failed " + std::string(name(l))});
        CHECK(test::is_silent(numbered));
        driven plain = in_b3w(in_a4w());
        CHECK(respond(plain, l, 404) == static_cast<http_status>(404));
        driven unauthorized = in_b3w(in_a4w());
        CHECK(respond(unauthorized, l, 401) == errc::http_auth_required);
    }
    // Only OUT_R2 has a head on a successor, and one.
    for (driven c : {in_opened(), in_opening_out(), in_a6w(), in_a10w()}) {
        CHECK(respond(c, leg::successor_out_http, 200) == errc::http_unexpected_response);
        CHECK(test::is_silent(c));
    }
    driven twice = in_b3w();
    CHECK(!respond(twice, leg::successor_out_http, 200));
    CHECK(respond(twice, leg::successor_out_http, 200) == errc::http_unexpected_response);
    // The predecessor had its own.
    for (driven c : {in_a6w(), in_a10w(), in_b3w()})
        CHECK(respond(c, leg::out_http, 200) == errc::http_unexpected_response);
}

TEST_CASE("client replacement: RPC PDUs of a successor that has not taken over are refused") {
    for (driven c : {in_a6w(), in_a10w(), in_b3w()}) {
        CHECK(c.pdu(leg::successor_out_http, test::rpc_pdu(64)) == errc::unexpected_pdu);
        CHECK(c.said() == list{"failed successor_out_http"});
    }
}

TEST_CASE("client replacement: a connection of a successor that nobody asked for changes nothing") {
    driven c = in_opened();
    CHECK(!successor(c, leg::successor_in_http, in_2));
    CHECK(c.said() == list{});
    CHECK(!successor(c, leg::successor_out_http, out_2));
    CHECK(c.said() == list{});
    driven twice = in_a6w(in_a4w());
    CHECK(!successor(twice, leg::successor_in_http, test::cookie_of(0x77)));
    CHECK(!successor(twice, leg::successor_out_http, test::cookie_of(0x77)));
    CHECK(twice.said() == list{});
    CHECK(!twice.rts(leg::out_http, rts::in_r2_a4{}));
    CHECK(test::last_sent<rts::in_r2_a5>(twice.out).successor_channel == in_2);
}

TEST_CASE("client replacement: lifetimes of 2 GiB, replaced again and again") {
    auto s = settings();
    s.in_lifetime = 0x8000'0000;
    s.replace_in_below = 0;
    driven c = in_opened(s, 262'144);
    std::uint64_t total = 0;
    rts::cookie channel = test::in_cookie;
    for (unsigned round = 1; round <= 3; ++round) {
        std::uint32_t on_instance = 0;
        while (c.machine.current_in() == in_state::opened) {
            for (int i = 0; i < 3 && c.machine.current_in() == in_state::opened; ++i) {
                REQUIRE(!sent(c, 65'528));
                on_instance += 65'528;
            }
            if (c.machine.current_in() == in_state::opened)
                REQUIRE(!c.rts(leg::out_http, ack_of(on_instance, 262'144, channel)));
        }
        total += on_instance;
        CHECK(c.machine.lifetime().left() < 64 << 20);
        CHECK(c.machine.lifetime().left() > (64 << 20) - 70'000);
        channel = test::cookie_of(round);
        CHECK(!successor(c, leg::successor_in_http, channel));
        CHECK(!c.rts(leg::out_http, rts::in_r2_a4{}));
        CHECK(c.machine.lifetime().left() == 0x8000'0000 - 88);
    }
    CHECK(c.machine.in_replaced() == 3);
    CHECK(total > 0x1'0000'0000);
}

TEST_CASE("client replacement: closing ends it whatever is replaced") {
    for (driven c : {in_opening_in(), in_a4w(), in_opening_out(), in_a6w(), in_a10w(), in_b3w()}) {
        c.clear();
        CHECK(c.machine.close(c.now, c.out) == errc::operation_aborted);
        CHECK(c.said() == list{"close in_http", "close out_http", "failed in_http"});
        CHECK(test::is_silent(c));
    }
}

TEST_CASE("client replacement: every state of a channel has a name of its own") {
    list names;
    for (const auto s :
         {out_state::opened, out_state::opened_a6w, out_state::opened_a10w, out_state::b3w}) {
        names.emplace_back(name(s));
        CHECK(std::count(names.begin(), names.end(), names.back()) == 1);
    }
    CHECK(name(in_state::opened) == "Opened");
    CHECK(name(in_state::opened_a4w) == "Opened_A4W");
}
