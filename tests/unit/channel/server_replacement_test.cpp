#include <rpch/channel/server.hpp>

#include <doctest/doctest.h>

#include "tests/support/channel.hpp"

using namespace rpch;
using namespace rpch::channel;
using test::list;
using namespace std::chrono_literals;
using state = server::state;
using in_state = server::in_state;
using out_state = server::out_state;

namespace {

using driven = test::driven<server>;

const rts::cookie in_2 = test::cookie_of(0x12);
const rts::cookie in_3 = test::cookie_of(0x13);
const rts::cookie out_2 = test::cookie_of(0x23);
const rts::cookie out_3 = test::cookie_of(0x24);
const rts::cookie nobody = test::cookie_of(0x77);
constexpr std::uint32_t lifetime_bytes = 0x4000'0000;
constexpr std::size_t trigger_bytes = 200; // the first PDU of so many bytes begins to replace OUT
// Names on the wire, with all look-alikes.
const std::string out_a1 = "OUT_R1/A1, OUT_R1/A2, OUT_R2/A1, OUT_R2/A2";
const std::string out_a5 = "OUT_R1/A5, OUT_R1/A6";
const std::string ance = "OUT_R1/A9, OUT_R1/A10, OUT_R1/A11, OUT_R2/B1";

server_settings settings() {
    return {.receive_window = 65536, .replace_out_below = lifetime_bytes - trigger_bytes + 1};
}
rts::conn_a2 conn_a2(std::uint32_t window = 65536, std::uint32_t lifetime = lifetime_bytes) {
    return {.virtual_connection = test::vc_cookie,
            .out_channel = test::out_cookie,
            .channel_lifetime = lifetime,
            .receive_window_size = window};
}
rts::conn_b2 conn_b2() {
    return {.virtual_connection = test::vc_cookie,
            .in_channel = test::in_cookie,
            .receive_window_size = 50'000,
            .connection_timeout = 130'000,
            .association_group = test::group_cookie};
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
driven in_opened(const server_settings& s = settings(), const rts::conn_a2& first = conn_a2()) {
    driven m(s);
    m.rts(leg::out_tcp, first);
    m.rts(leg::in_tcp, conn_b2());
    return m;
}
rts::in_r1_a2 in_a2(rts::cookie predecessor = test::in_cookie, rts::cookie successor = in_2) {
    return {.virtual_connection = test::vc_cookie,
            .predecessor_channel = predecessor,
            .successor_channel = successor,
            .receive_window_size = 40'000,
            .connection_timeout = 150'000};
}
rts::out_r1_a4 out_a4(rts::cookie predecessor = test::out_cookie, rts::cookie successor = out_2) {
    return {.virtual_connection = test::vc_cookie,
            .predecessor_channel = predecessor,
            .successor_channel = successor,
            .channel_lifetime = lifetime_bytes,
            .receive_window_size = 30'000,
            .connection_timeout = 140'000};
}
rts::out_r1_a8 out_a8(rts::cookie successor = out_2) {
    return {.destination = rts::destination::server, .successor_channel = successor};
}
driven in_a6w(driven m = in_opened()) {
    m.rts(leg::successor_in_tcp, in_a2());
    return m;
}
driven in_b1w(driven m = in_opened()) {
    m = in_a6w(std::move(m));
    m.rts(leg::in_tcp, rts::in_r1_a6{.successor_channel = in_2});
    return m;
}
driven after_in_r1(driven m = in_opened()) {
    m = in_b1w(std::move(m));
    m.rts(leg::in_tcp, rts::in_r1_b1{});
    return m;
}
driven in_a4w(driven m = in_opened()) {
    sent(m, trigger_bytes);
    return m;
}
driven in_a8w(driven m = in_opened()) {
    m = in_a4w(std::move(m));
    m.rts(leg::successor_out_tcp, out_a4());
    return m;
}
driven after_out_r1(driven m = in_opened()) {
    m = in_a8w(std::move(m));
    m.rts(leg::in_tcp, out_a8());
    return m;
}
driven in_r2a8w(driven m = in_opened()) {
    m = in_a4w(std::move(m));
    m.rts(leg::out_tcp, rts::out_r2_a4{.successor_channel = out_2});
    return m;
}
driven after_out_r2(driven m = in_opened()) {
    m = in_r2a8w(std::move(m));
    m.rts(leg::in_tcp, out_a8());
    return m;
}
rts::flow_control_ack ack_of(std::uint32_t received, std::uint32_t available,
                             rts::cookie channel = test::out_cookie) {
    return {.ack = {received, available, channel}};
}
rts::flow_control_ack_with_destination far_ack(rts::destination to, rts::cookie channel,
                                               std::uint32_t received = 1) {
    return {.destination = to, .ack = {received, 2, channel}};
}
/// Sends until exactly `left` bytes may still be sent on the OUT channel; nothing was sent so far.
void use_up_out(driven& m, std::uint64_t left) {
    std::uint32_t total = 0;
    const auto send = [&](std::uint64_t n) {
        REQUIRE(!sent(m, static_cast<std::size_t>(n)));
        total += static_cast<std::uint32_t>(n);
        REQUIRE(!m.rts(leg::out_tcp, ack_of(total, 65536)));
    };
    const auto rest = [&] {
        return m.machine.lifetime().left_beyond(out_lifetime_reserve_bytes) - left;
    };
    while (rest() > 50'000) send(50'000);
    send(rest());
}
const rts::conn_a2 short_lived = conn_a2(65536, 128 * 1024);
server_settings late() { // begins to replace when nothing else fits
    auto s = settings();
    s.replace_out_below = 1;
    return s;
}
/// An open server whose OUT channel has room for the last PDUs of a replacement and nothing else.
driven without_room() {
    driven m = in_opened(late(), short_lived);
    use_up_out(m, 0);
    m.rts(leg::out_tcp, rts::ping_traffic_sent_notify{.ping_traffic_sent = 6100});
    return m;
}

} // namespace

TEST_CASE("server replacement: every row of its tables asks for exactly what its section says") {
    test::table_walk<server> walk;
    const list opening{"send out_tcp CONN/C1, CONN/C2", "send in_tcp CONN/B3", "opened"};
    const rts::ping_traffic_sent_notify pings{.ping_traffic_sent = 40};
    const auto me = rts::destination::server;

    driven b_first(settings());
    CHECK(walk.step(b_first, leg::in_tcp, conn_b2(), {}) == list{});
    CHECK(walk.step(b_first, leg::out_tcp, conn_a2(), opening) == list{});
    driven m(settings());
    CHECK(walk.step(m, leg::out_tcp, conn_a2(), {}) == list{});
    CHECK(walk.step(m, leg::out_tcp, pings, {}) == list{});
    CHECK(walk.step(m, leg::in_tcp, conn_b2(), opening) == list{});
    CHECK(walk.step(m, leg::out_tcp, pings, {}) == list{});
    sent(m, 60);
    CHECK(walk.step(m, leg::out_tcp, ack_of(60, 65536), {"sendable"}) == list{});
    CHECK(walk.step(m, leg::out_tcp,
                    rts::flow_control_ack_with_destination{.destination = me,
                                                           .ack = {60, 65536, test::out_cookie}},
                    {}) == list{});

    driven in_r1 = in_opened();
    CHECK(walk.step(in_r1, leg::successor_in_tcp, in_a2(), {"send out_tcp IN_R1/A3, IN_R1/A4"}) ==
          list{});
    CHECK(walk.step(in_r1, leg::in_tcp, rts::in_r1_a6{.successor_channel = in_2}, {}) == list{});
    CHECK(walk.step(in_r1, leg::in_tcp, rts::in_r1_b1{},
                    {"promote in_tcp", "send in_tcp IN_R1/B2"}) == list{});
    driven in_r2 = in_opened();
    CHECK(walk.step(in_r2, leg::in_tcp, rts::in_r2_a2{.successor_channel = in_2},
                    {"send out_tcp IN_R2/A3, IN_R2/A4"}) == list{});

    const list switch_r1{"send out_tcp " + ance, "promote out_tcp and set aside", "sendable"};
    driven out_r1 = in_a4w();
    CHECK(out_r1.said() == list{"send out_tcp " + out_a1});
    CHECK(walk.step(out_r1, leg::successor_out_tcp, out_a4(), {"send out_tcp " + out_a5}) ==
          list{});
    CHECK(walk.step(out_r1, leg::in_tcp, out_a8(), switch_r1) == list{});
    CHECK(walk.step(out_r1, leg::predecessor_out_tcp, ack_of(1, 1), {}) == list{});
    CHECK(walk.step(out_r1, leg::predecessor_out_tcp, far_ack(me, test::out_cookie), {}) == list{});
    CHECK(walk.step(out_r1, leg::predecessor_out_tcp, pings, {}) == list{});
    driven crossed = in_a6w(in_a8w());
    CHECK(walk.step(crossed, leg::successor_in_tcp, out_a8(), switch_r1) == list{});

    driven out_r2 = in_a4w();
    CHECK(walk.step(out_r2, leg::out_tcp, rts::out_r2_a4{.successor_channel = out_2},
                    {"send out_tcp OUT_R2/A5, OUT_R2/A6"}) == list{});
    driven as_it_is = out_r2;
    const list switch_r2{"send out_tcp " + ance, "sendable"};
    const rts::out_r2_a7 a7{.destination = me, .successor_channel = out_2};
    CHECK(walk.step(out_r2, leg::in_tcp, out_a8(), switch_r2) == list{});
    CHECK(walk.step(as_it_is, leg::in_tcp, a7, switch_r2) == list{});
    driven crossed_r2 = in_a6w(in_r2a8w());
    driven crossed_as_it_is = crossed_r2;
    CHECK(walk.step(crossed_r2, leg::successor_in_tcp, out_a8(), switch_r2) == list{});
    CHECK(walk.step(crossed_as_it_is, leg::successor_in_tcp, a7, switch_r2) == list{});
    CHECK(walk.left() == list{});
}

TEST_CASE("server replacement: refuses every PDU its tables leave out, whatever is replaced") {
    const auto me = rts::destination::server;
    CHECK(test::accepted_though_not_listed([] { return in_a6w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_b1w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return after_in_r1(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_a4w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_a8w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return in_r2a8w(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return after_out_r1(); }, me) == list{});
    CHECK(test::accepted_though_not_listed([] { return after_out_r2(); }, me) == list{});
    for (const auto out : {+[](driven m) { return in_a4w(std::move(m)); },
                           +[](driven m) { return in_a8w(std::move(m)); },
                           +[](driven m) { return in_r2a8w(std::move(m)); }}) {
        CHECK(test::accepted_though_not_listed([out] { return out(in_a6w()); }, me) == list{});
        CHECK(test::accepted_though_not_listed([out] { return out(in_b1w()); }, me) == list{});
    }
}

TEST_CASE("server replacement: IN_R1, step by step") {
    driven m = in_opened();
    const first_pdu newcomer{.virtual_connection = test::vc_cookie,
                             .half = leg::successor_in_tcp,
                             .kind = rts::shape::in_r1_a2,
                             .predecessor = test::in_cookie};
    CHECK(!m.machine.admits(newcomer));
    const auto left = m.machine.lifetime().left();
    CHECK(!m.rts(leg::successor_in_tcp, in_a2()));
    CHECK(m.machine.current_in() == in_state::a6w);
    CHECK(test::last_sent<rts::in_r1_a3>(m.out) ==
          rts::in_r1_a3{.destination = rts::destination::client,
                        .version = 1,
                        .receive_window_size = 40'000,
                        .connection_timeout = 150'000});
    CHECK(m.machine.lifetime().left() == left - 52); // it goes on on OUT-H
    CHECK(!m.pdu(leg::in_tcp, test::rpc_pdu(40'000)));
    CHECK(m.said() == list{"deliver"});
    CHECK(!m.rts(leg::in_tcp, rts::in_r1_a6{.successor_channel = in_2}));
    CHECK(m.machine.current_in() == in_state::opened_b1w);
    CHECK(!m.pdu(leg::in_tcp, test::rpc_pdu(20'000))); // what the predecessor had queued
    CHECK(!consumed(m, 50'000));                       // it needs acknowledgements for that
    CHECK(test::last_sent<rts::flow_control_ack>(m.out).ack ==
          rts::flow_control_acknowledgment{60'000, 65536 - 10'000, test::in_cookie});
    CHECK(!m.rts(leg::in_tcp, rts::in_r1_b1{}));
    CHECK(test::last_sent<rts::in_r1_b2>(m.out).receive_window_size == 65536);
    CHECK(m.machine.current_in() == in_state::opened);
    CHECK(m.machine.in_replaced() == 1);
    CHECK(!m.machine.next_deadline());
    CHECK(m.machine.held_of_predecessor() == 10'000);
    CHECK(m.machine.received().received() == 0);
    CHECK(!m.pdu(leg::in_tcp, test::rpc_pdu(34'000)));
    CHECK(!consumed(m, 10'000)); // the predecessor's
    CHECK(m.said() == list{});
    CHECK(!consumed(m, 34'000));
    CHECK(test::last_sent<rts::flow_control_ack>(m.out).ack ==
          rts::flow_control_acknowledgment{34'000, 65536, in_2});
}

TEST_CASE("server replacement: IN_R1/A3 tells values that the commands can carry") {
    driven m = in_opened();
    auto odd = in_a2();
    odd.version = 9;
    odd.receive_window_size = 1 << 20;
    odd.connection_timeout = 1;
    CHECK(!m.rts(leg::successor_in_tcp, odd));
    CHECK(test::last_sent<rts::in_r1_a3>(m.out) == rts::in_r1_a3{.version = 1,
                                                                 .receive_window_size = 262'144,
                                                                 .connection_timeout = 120'000});
    driven small = in_opened();
    odd.receive_window_size = 8191;
    CHECK(small.rts(leg::successor_in_tcp, odd) == errc::bad_value);
    CHECK(test::is_silent(small));
}

TEST_CASE("server replacement: IN_R2 changes the cookie and nothing else") {
    driven m = in_opened();
    m.pdu(leg::in_tcp, test::rpc_pdu(20'000));
    CHECK(!m.rts(leg::in_tcp, rts::in_r2_a2{.successor_channel = in_2}));
    CHECK(test::last_sent<rts::in_r2_a3>(m.out).destination == rts::destination::client);
    CHECK(m.machine.current_in() == in_state::opened);
    CHECK(m.machine.in_replaced() == 1);
    CHECK(!m.machine.next_deadline());
    CHECK(m.machine.held_of_predecessor() == 0);
    // The TCP connection goes on, and so do its counters.
    m.pdu(leg::in_tcp, test::rpc_pdu(20'000));
    CHECK(!consumed(m, 40'000));
    CHECK(test::last_sent<rts::flow_control_ack>(m.out).ack ==
          rts::flow_control_acknowledgment{40'000, 65536, in_2});
    CHECK(!m.rts(leg::successor_in_tcp, in_a2(in_2, in_3))); // the next one names it
}

TEST_CASE("server replacement: IN_R1/A2 and A6 with other cookies close") {
    auto strange = in_a2();
    strange.virtual_connection = nobody;
    driven connection = in_opened();
    CHECK(connection.rts(leg::successor_in_tcp, strange) == errc::cookie_mismatch);
    CHECK(connection.said() == list{"failed successor_in_tcp"});
    driven predecessor = in_opened();
    CHECK(predecessor.rts(leg::successor_in_tcp, in_a2(nobody)) == errc::cookie_mismatch);
    CHECK(test::is_silent(predecessor));
    driven a6 = in_a6w();
    CHECK(a6.rts(leg::in_tcp, rts::in_r1_a6{.successor_channel = nobody}) == errc::cookie_mismatch);
    CHECK(a6.said() == list{"failed in_tcp"});
    CHECK(test::is_silent(a6));
}

TEST_CASE("server replacement: OUT_R1, step by step") {
    driven m = in_opened();
    CHECK(!sent(m, trigger_bytes - 44 - 1));
    CHECK(m.said() == list{}); // as many bytes are left as the threshold says
    CHECK(!sent(m, 45));
    CHECK(m.said() == list{"send out_tcp " + out_a1});
    CHECK(test::last_sent<rts::out_r1_a1>(m.out).destination == rts::destination::client);
    CHECK(m.machine.current_out() == out_state::opened_a4w);
    CHECK(!sent(m, 1000)); // the predecessor goes on, and once is enough
    CHECK(m.said() == list{});
    const auto left = m.machine.lifetime().left();
    CHECK(left == lifetime_bytes - 44 - trigger_bytes - 28 - 1000);

    CHECK(!m.rts(leg::successor_out_tcp, out_a4()));
    CHECK(m.machine.current_out() == out_state::opened_a8w);
    CHECK(test::last_sent<rts::out_r1_a5>(m.out) ==
          rts::out_r1_a5{.destination = rts::destination::client,
                         .version = 1,
                         .connection_timeout = 140'000});
    CHECK(m.machine.lifetime().left() == left - 44);
    CHECK(m.machine.send_credit() == 65536 - trigger_bytes - 1000);
    CHECK(!m.rts(leg::in_tcp, out_a8()));
    CHECK(m.machine.current_out() == out_state::opened);
    CHECK(m.machine.out_replaced() == 1);
    // A fresh connection: the window and the lifetime of A4.
    CHECK(m.machine.send_credit() == 30'000);
    CHECK(m.machine.sending().sent() == 0);
    CHECK(m.machine.lifetime().left() == lifetime_bytes);
    CHECK(!m.rts(leg::out_tcp, ack_of(1, 30'000))); // of the predecessor: dropped
    CHECK(m.said() == list{});
    CHECK(!sent(m, 100));
    CHECK(!m.rts(leg::out_tcp, ack_of(100, 30'000, out_2)));
    CHECK(m.said() == list{"sendable"});
}

TEST_CASE("server replacement: OUT_R2, step by step") {
    driven m = in_a4w();
    const auto left = m.machine.lifetime().left();
    CHECK(!m.rts(leg::out_tcp, rts::out_r2_a4{.successor_channel = out_2}));
    CHECK(m.machine.current_out() == out_state::opened_r2a8w);
    CHECK(test::last_sent<rts::out_r2_a5>(m.out).destination == rts::destination::client);
    CHECK(m.machine.lifetime().left() == left - 32);
    // The proxy may name either channel from now on.
    CHECK(!m.rts(leg::out_tcp, ack_of(trigger_bytes, 65'000, out_2)));
    CHECK(m.machine.send_credit() == 65'000);
    CHECK(!m.rts(leg::out_tcp, ack_of(trigger_bytes, 65'100)));
    CHECK(m.machine.send_credit() == 65'100);
    CHECK(!m.rts(leg::in_tcp, out_a8()));
    CHECK(m.machine.current_out() == out_state::opened);
    CHECK(m.machine.out_replaced() == 1);
    CHECK(!m.machine.next_deadline());
    // The TCP connection goes on, and so do its counters; no PDU tells another lifetime.
    CHECK(m.machine.send_credit() == 65'100);
    CHECK(m.machine.sending().sent() == trigger_bytes);
    CHECK(m.machine.lifetime().left() == lifetime_bytes);
    CHECK(!m.rts(leg::out_tcp, ack_of(trigger_bytes, 65'200)));
    CHECK(m.machine.send_credit() == 65'200);
    CHECK(!m.rts(leg::out_tcp, ack_of(trigger_bytes, 65'300, out_2)));
    CHECK(m.machine.send_credit() == 65'300);
    CHECK(!m.rts(leg::out_tcp, ack_of(trigger_bytes, 1, nobody)));
    CHECK(m.machine.send_credit() == 65'300);
}

TEST_CASE("server replacement: before a replacement there is one cookie, and none is an alias") {
    driven m = in_opened();
    CHECK(!m.rts(leg::out_tcp, ack_of(0, 1, rts::cookie{})));
    CHECK(m.machine.send_credit() == 65536);
    driven r1 = after_out_r1();
    r1.closed(leg::predecessor_out_tcp);
    CHECK(!r1.rts(leg::out_tcp, ack_of(0, 1))); // another connection's
    CHECK(r1.machine.send_credit() == 30'000);
}

TEST_CASE("server replacement: OUT_R1/A4 and A8 with other cookies close") {
    auto strange = out_a4();
    strange.virtual_connection = nobody;
    driven connection = in_a4w();
    CHECK(connection.rts(leg::successor_out_tcp, strange) == errc::cookie_mismatch);
    driven predecessor = in_a4w();
    CHECK(predecessor.rts(leg::successor_out_tcp, out_a4(nobody)) == errc::cookie_mismatch);
    CHECK(predecessor.said() == list{"failed successor_out_tcp"});
    CHECK(test::is_silent(predecessor));
    driven small = in_a4w();
    auto window = out_a4();
    window.receive_window_size = 8191;
    CHECK(small.rts(leg::successor_out_tcp, window) == errc::bad_value);
    driven a8 = in_a8w();
    CHECK(a8.rts(leg::in_tcp, out_a8(nobody)) == errc::cookie_mismatch);
    CHECK(a8.said() == list{"failed in_tcp"});
    CHECK(test::is_silent(a8));
}

TEST_CASE(
    "server replacement: OUT_R2/A8 with another cookie is answered by B2, and the predecessor "
    "goes on") {
    for (const bool as_it_is : {true, false}) {
        driven m = in_r2a8w();
        const auto left = m.machine.lifetime().left();
        if (as_it_is)
            CHECK(!m.rts(leg::in_tcp, rts::out_r2_a7{.destination = rts::destination::server,
                                                     .successor_channel = nobody}));
        else
            CHECK(!m.rts(leg::in_tcp, out_a8(nobody)));
        CHECK(m.said() == list{"send out_tcp OUT_R2/B2"});
        CHECK(m.machine.current_out() == out_state::opened);
        CHECK(m.machine.out_replaced() == 0);
        CHECK(m.machine.lifetime().left() == left);
        CHECK(!m.machine.next_deadline());
        CHECK(!m.rts(leg::out_tcp, ack_of(trigger_bytes, 65'000)));
        CHECK(m.machine.send_credit() == 65'000);
        CHECK(!sent(m, 100)); // and the next attempt begins
        CHECK(m.said() == list{"send out_tcp " + out_a1});
    }
}

TEST_CASE("server replacement: look-alikes are told apart by state and leg") {
    // {Cookie}: OUT_R2/A4 on OUT-T; IN_R2/A2 or IN_R1/A6 on IN-T.
    driven m = in_a6w(in_a4w());
    CHECK(!m.rts(leg::out_tcp, rts::out_r2_a4{.successor_channel = out_2}));
    CHECK(m.machine.current_out() == out_state::opened_r2a8w);
    CHECK(m.machine.current_in() == in_state::a6w);
    CHECK(!m.rts(leg::in_tcp, rts::in_r1_a6{.successor_channel = in_2}));
    CHECK(m.machine.current_in() == in_state::opened_b1w);
    driven r2 = in_opened();
    CHECK(!r2.rts(leg::in_tcp, rts::in_r2_a2{.successor_channel = in_2}));
    CHECK(r2.machine.current_in() == in_state::opened);
    // {Destination, Cookie}: OUT_R1/A8 or OUT_R2/A8; with a version it is A7 of OUT_R2 alone.
    driven r1 = in_a8w();
    CHECK(r1.rts(leg::in_tcp, rts::out_r2_a7{.destination = rts::destination::server,
                                             .successor_channel = out_2}) == errc::unexpected_pdu);
}

TEST_CASE("server replacement: OUT_R*/A8 may come on either instance of a virtual IN channel") {
    for (const bool by_r1 : {true, false}) {
        const auto make = [by_r1](driven m) {
            return by_r1 ? in_a8w(std::move(m)) : in_r2a8w(std::move(m));
        };
        driven before = make(in_a6w()); // A7 went before A5, on the predecessor
        CHECK(!before.rts(leg::in_tcp, out_a8()));
        CHECK(before.machine.out_replaced() == 1);
        CHECK(!before.rts(leg::in_tcp, rts::in_r1_a6{.successor_channel = in_2}));
        CHECK(!before.rts(leg::in_tcp, rts::in_r1_b1{}));
        driven after = make(in_b1w()); // behind it, on the successor, whose plug lets it pass
        CHECK(!after.rts(leg::successor_in_tcp, out_a8()));
        CHECK(after.machine.out_replaced() == 1);
        CHECK(after.machine.current_in() == in_state::opened_b1w);
        CHECK(!after.rts(leg::in_tcp, rts::in_r1_b1{}));
        CHECK(after.machine.in_replaced() == 1);
        driven last = make(after_in_r1()); // the successor is the default
        CHECK(!last.rts(leg::in_tcp, out_a8()));
        CHECK(last.machine.out_replaced() == 1);
    }
}

TEST_CASE("server replacement: IN_R*/A3 goes on the OUT-T that is the default when it is sent") {
    driven before = in_a8w();
    CHECK(!before.rts(leg::successor_in_tcp, in_a2()));
    CHECK(before.said() == list{"send out_tcp IN_R1/A3, IN_R1/A4"});
    CHECK(!before.rts(leg::in_tcp, out_a8()));
    CHECK(before.machine.lifetime().left() == lifetime_bytes);
    driven after = after_out_r1();
    CHECK(!after.rts(leg::successor_in_tcp, in_a2()));
    CHECK(after.said() == list{"send out_tcp IN_R1/A3, IN_R1/A4"});
    CHECK(after.machine.lifetime().left() == lifetime_bytes - 52);
}

TEST_CASE("server replacement: acknowledgements for the client's OUT channel go to the proxy that "
          "sends on it") {
    const auto to = rts::destination::outbound_proxy;
    driven m = after_out_r1();
    CHECK(!m.rts(leg::in_tcp, far_ack(to, test::out_cookie)));
    CHECK(m.said() == list{"forward predecessor_out_tcp"}); // it still drains
    CHECK(!m.rts(leg::in_tcp, far_ack(to, out_2)));
    CHECK(m.said() == list{"forward out_tcp"});
    CHECK(!m.rts(leg::predecessor_out_tcp, far_ack(rts::destination::inbound_proxy, in_2)));
    CHECK(m.said() == list{"forward in_tcp"});
    CHECK(!m.closed(leg::predecessor_out_tcp)); // it has sent what it had
    CHECK(m.said() == list{});
    CHECK(!m.machine.next_deadline());
    CHECK(!m.rts(leg::in_tcp, far_ack(to, test::out_cookie)));
    CHECK(m.said() == list{"forward out_tcp"});
    driven r2 = after_out_r2();
    CHECK(!r2.rts(leg::in_tcp, far_ack(to, test::out_cookie)));
    CHECK(r2.said() == list{"forward out_tcp"});
}

TEST_CASE("server replacement: a predecessor left aside says nothing that counts, and closes") {
    driven m = after_out_r1();
    const auto left = m.machine.lifetime().left();
    CHECK(!m.rts(leg::predecessor_out_tcp,
                 rts::ping_traffic_sent_notify{.ping_traffic_sent = 9000})); // no 8 KiB count
    CHECK(m.machine.lifetime().left() == left);
    CHECK(!m.rts(leg::predecessor_out_tcp, ack_of(7, 7)));
    CHECK(m.machine.send_credit() == 30'000);
    CHECK(m.machine.wants_input(leg::predecessor_out_tcp));
    driven rpc = m;
    CHECK(rpc.pdu(leg::predecessor_out_tcp, test::rpc_pdu(64)) == errc::wrong_direction);
    driven lost = m;
    CHECK(!lost.closed(leg::predecessor_out_tcp, errc::connection_lost));
    CHECK(!lost.after(24h));
    CHECK(lost.said() == list{});
    CHECK(!m.after(15min - 1s));
    CHECK(m.said() == list{});
    CHECK(!m.after(1s));
    CHECK(m.said() == list{"close predecessor_out_tcp"});
    CHECK(!m.machine.next_deadline());
}

TEST_CASE("server replacement: the next replacement closes a predecessor that is still there") {
    driven r1 = in_a4w(after_out_r1());
    r1.rts(leg::successor_out_tcp, out_a4(out_2, out_3));
    CHECK(!r1.rts(leg::in_tcp, out_a8(out_3)));
    CHECK(r1.said() == list{"send out_tcp " + ance, "close predecessor_out_tcp",
                            "promote out_tcp and set aside", "sendable"});
    driven r2 = in_a4w(after_out_r1());
    r2.rts(leg::out_tcp, rts::out_r2_a4{.successor_channel = out_3});
    CHECK(!r2.rts(leg::in_tcp, out_a8(out_3)));
    CHECK(r2.said() == list{"send out_tcp " + ance, "close predecessor_out_tcp", "sendable"});
    CHECK(!r2.machine.next_deadline());
    CHECK(!r2.rts(leg::in_tcp, far_ack(rts::destination::outbound_proxy, out_2)));
    CHECK(r2.said() == list{"forward out_tcp"});
}

TEST_CASE("server replacement: RTS PDUs for the client without room wait for the successor") {
    for (const bool by_r1 : {true, false}) {
        driven m = without_room();
        CHECK(m.said() == list{"send out_tcp " + out_a1});
        const auto left = m.machine.lifetime().left();
        CHECK(left >= out_handover_bytes);
        for (std::uint32_t received = 1; received <= 40; ++received) {
            CHECK(
                !m.rts(leg::in_tcp, far_ack(rts::destination::client, test::in_cookie, received)));
            CHECK(m.said() == list{});
        }
        // What ends at the outbound proxy takes nothing of OUT-H.
        CHECK(!m.rts(leg::in_tcp, far_ack(rts::destination::outbound_proxy, test::out_cookie)));
        CHECK(m.said() == list{"forward out_tcp"});
        CHECK(!m.rts(leg::successor_in_tcp, in_a2()));
        // OUT_R*/A7 may wait in the client for the successor of IN-H, and OUT-H be replaced after.
        CHECK(m.said() == list{"send out_tcp IN_R1/A3, IN_R1/A4"});
        CHECK(m.machine.lifetime().left() == left - 52);
        auto a4 = out_a4();
        a4.channel_lifetime = 128 * 1024;
        if (by_r1)
            CHECK(!m.rts(leg::successor_out_tcp, a4));
        else
            CHECK(!m.rts(leg::out_tcp, rts::out_r2_a4{.successor_channel = out_2}));
        CHECK(m.machine.lifetime().left() == left - 52 - (by_r1 ? 44 : 32));
        CHECK(!m.rts(leg::in_tcp, out_a8()));
        list expected{"send out_tcp " + ance};
        if (by_r1) expected.push_back("promote out_tcp and set aside");
        for (const char* each : {"send out_tcp FlowControlAckWithDestination", "sendable"})
            expected.push_back(each);
        CHECK(m.said() == expected);
        CHECK(test::last_sent<rts::flow_control_ack_with_destination>(m.out).ack.bytes_received ==
              40);
        CHECK(m.machine.lifetime().left() == 128 * 1024 - 56);
    }
}

TEST_CASE("server replacement: who waits for the window is told of it even if the lifetime has no "
          "room") {
    driven m = in_opened(late(), short_lived);
    use_up_out(m, 100);
    const auto total = m.machine.sending().sent();
    REQUIRE(!sent(m, 40));
    REQUIRE(m.machine.send_credit() == 60);
    CHECK(!m.rts(leg::out_tcp, ack_of(total + 40, m.machine.sending().peer_window())));
    CHECK(m.said() == list{"sendable"}); // the window has grown, the credit has not
    CHECK(m.machine.send_credit() == 60);
}

TEST_CASE("server replacement: IN_R*/A3 has room of its own in OUT-H, so much and no more") {
    driven m = without_room();
    const auto left = m.machine.lifetime().left();
    REQUIRE(left >= out_handover_bytes);
    REQUIRE(left < out_handover_bytes + 52);
    std::uint64_t told = 0;
    for (unsigned i = 1; i <= 8; ++i) {
        CHECK(!m.rts(leg::in_tcp, rts::in_r2_a2{.successor_channel = test::cookie_of(0x30 + i)}));
        if (!m.said().empty()) ++told;
    }
    CHECK(told >= 2);
    CHECK(told < 8);
    CHECK(m.machine.lifetime().left() >= out_handover_bytes - out_in_replacement_bytes);
}

TEST_CASE("server replacement: begins below the threshold, and never later than at the reserve") {
    const auto begins_at = [](std::uint64_t wanted) {
        auto s = settings();
        s.replace_out_below = wanted;
        driven m = in_opened(s, short_lived);
        std::uint32_t total = 0;
        while (m.machine.current_out() == out_state::opened && m.machine.send_credit() >= 24) {
            REQUIRE(!sent(m, 24));
            REQUIRE(!m.rts(leg::out_tcp, ack_of(total += 24, 65536)));
        }
        REQUIRE(!waiting(m, 24));
        CHECK(m.machine.current_out() == out_state::opened_a4w);
        return m.machine.lifetime().left() + 28; // A1
    };
    CHECK(begins_at(0) < 32 * 1024); // a quarter
    CHECK(begins_at(0) >= 32 * 1024 - 24);
    CHECK(begins_at(50'000) < 50'000);
    CHECK(begins_at(50'000) >= 50'000 - 24);
    CHECK(begins_at(1) >= 8192); // when the next PDU does not fit beside the reserve
    CHECK(begins_at(1) < 8192 + 24);
    CHECK(begins_at(1 << 20) == 128 * 1024 - 44 - 24); // above the lifetime: with the first PDU
    CHECK(replacement_threshold(0, 0x8000'0000, out_lifetime_reserve_bytes) == 64 << 20);
}

TEST_CASE("server replacement: a threshold above the lifetime replaces without end, one after the "
          "other") {
    auto s = settings();
    s.replace_out_below = lifetime_bytes + 1;
    driven m = in_opened(s);
    CHECK(!sent(m, 24));
    rts::cookie channel = test::out_cookie;
    for (unsigned round = 1; round <= 3; ++round) {
        CHECK(m.said().back() == "send out_tcp " + out_a1);
        const rts::cookie next = test::cookie_of(round);
        if (round == 2)
            CHECK(!m.rts(leg::successor_out_tcp, out_a4(channel, next)));
        else
            CHECK(!m.rts(leg::out_tcp, rts::out_r2_a4{.successor_channel = next}));
        CHECK(!m.rts(leg::in_tcp, out_a8(next)));
        channel = next;
        CHECK(m.machine.out_replaced() == round);
    }
}

TEST_CASE("server replacement: a PDU that waits begins it, and fails if no successor can help") {
    driven m = in_opened(late(), short_lived);
    use_up_out(m, 100);
    CHECK(!waiting(m, 100));
    CHECK(m.said() == list{});
    CHECK(!waiting(m, 101));
    CHECK(m.said() == list{"send out_tcp " + out_a1});
    CHECK(!waiting(m, 101));
    CHECK(m.said() == list{});
    driven none = in_opened(late(), conn_a2(65536, 10'000));
    CHECK(waiting(none, 2000) == errc::lifetime_exceeded);
    CHECK(none.said() == list{"failed out_tcp"});
}

TEST_CASE("server replacement: ping traffic begins it as well") {
    driven m = in_opened();
    CHECK(!m.rts(leg::out_tcp,
                 rts::ping_traffic_sent_notify{.ping_traffic_sent = trigger_bytes - 44 - 1}));
    CHECK(m.said() == list{});
    CHECK(!m.rts(leg::out_tcp, rts::ping_traffic_sent_notify{.ping_traffic_sent = 1}));
    CHECK(m.said() == list{"send out_tcp " + out_a1});
    for (driven other : {in_a4w(), in_a8w(), in_r2a8w()}) {
        const auto left = other.machine.lifetime().left();
        CHECK(!other.rts(leg::out_tcp, rts::ping_traffic_sent_notify{.ping_traffic_sent = 1040}));
        CHECK(other.said() == list{});
        CHECK(other.machine.lifetime().left() == left - 1040);
    }
    // So does what is forwarded to the client.
    driven forwards = in_opened();
    for (int i = 0; i < 2; ++i)
        CHECK(!forwards.rts(leg::in_tcp, far_ack(rts::destination::client, test::in_cookie)));
    CHECK(forwards.said() == list{"forward out_tcp"});
    CHECK(!forwards.rts(leg::in_tcp, far_ack(rts::destination::client, test::in_cookie)));
    CHECK(forwards.said() == list{"forward out_tcp", "send out_tcp " + out_a1});
}

TEST_CASE("server replacement: admits refuses newcomers, or lets them wait, and harms nobody") {
    const auto in_successor = [](rts::cookie predecessor, rts::cookie vc = test::vc_cookie) {
        return first_pdu{vc, leg::successor_in_tcp, rts::shape::in_r1_a2, predecessor};
    };
    const auto out_successor = [](rts::cookie predecessor, rts::cookie vc = test::vc_cookie) {
        return first_pdu{vc, leg::successor_out_tcp, rts::shape::out_r1_a4, predecessor};
    };
    driven fresh(settings());
    CHECK(fresh.machine.admits(in_successor(test::in_cookie)) == errc::unexpected_pdu);
    CHECK(fresh.machine.admits(out_successor(test::out_cookie)) == errc::unexpected_pdu);
    fresh.rts(leg::out_tcp, conn_a2());
    CHECK(fresh.machine.admits(in_successor(test::in_cookie)) == errc::unexpected_pdu);
    CHECK(fresh.machine.admits(out_successor(test::out_cookie)) == errc::unexpected_pdu);

    const driven opened = in_opened();
    CHECK(!opened.machine.admits(in_successor(test::in_cookie)));
    CHECK(opened.machine.admits(in_successor(nobody)) == errc::cookie_mismatch);
    CHECK(opened.machine.admits(in_successor(test::in_cookie, nobody)) == errc::cookie_mismatch);
    CHECK(opened.machine.admits(out_successor(test::out_cookie)) == errc::unexpected_pdu);
    // The next IN replacement may be here before A6 and B1 of this one.
    for (const driven& m : {in_a6w(), in_b1w()}) {
        CHECK(m.machine.admits(in_successor(in_2)) == errc::replacement_pending);
        CHECK(m.machine.admits(in_successor(test::in_cookie)) == errc::cookie_mismatch);
    }
    const driven a4w = in_a4w();
    CHECK(!a4w.machine.admits(out_successor(test::out_cookie)));
    CHECK(a4w.machine.admits(out_successor(nobody)) == errc::cookie_mismatch);
    CHECK(a4w.machine.admits(out_successor(test::out_cookie, nobody)) == errc::cookie_mismatch);
    for (const driven& m : {in_a8w(), in_r2a8w(), after_out_r1(), after_out_r2()})
        for (const auto predecessor : {test::out_cookie, out_2})
            CHECK(m.machine.admits(out_successor(predecessor)) == errc::unexpected_pdu);
    driven ended = in_opened();
    ended.closed(leg::in_tcp, errc::connection_lost);
    CHECK(ended.machine.admits(in_successor(test::in_cookie)) == errc::connection_lost);
}

TEST_CASE("server replacement: a further IN replacement waits until the predecessor's bytes are "
          "taken") {
    driven m = in_b1w();
    m.pdu(leg::in_tcp, test::rpc_pdu(3000));
    m.rts(leg::in_tcp, rts::in_r1_b1{});
    const first_pdu next{.virtual_connection = test::vc_cookie,
                         .half = leg::successor_in_tcp,
                         .kind = rts::shape::in_r1_a2,
                         .predecessor = in_2};
    CHECK(m.machine.admits(next) == errc::replacement_pending);
    CHECK(!consumed(m, 2999));
    CHECK(m.machine.admits(next) == errc::replacement_pending);
    CHECK(!consumed(m, 1));
    CHECK(!m.machine.admits(next));
}

TEST_CASE("server replacement: the end of any leg but a predecessor's ends the virtual "
          "connection") {
    for (const leg l : {leg::in_tcp, leg::out_tcp})
        for (driven m : {in_a6w(), in_b1w(), after_in_r1(), in_a4w(), in_a8w(), in_r2a8w(),
                         after_out_r1(), after_out_r2()}) {
            CHECK(m.closed(l) == errc::channel_closed);
            CHECK(m.said() == list{"failed " + std::string(name(l))});
            CHECK(test::is_silent(m));
        }
    for (driven m : {in_a6w(), in_b1w()}) {
        CHECK(m.closed(leg::successor_in_tcp) == errc::channel_closed);
        CHECK(test::is_silent(m));
    }
    driven m = in_a8w();
    CHECK(m.closed(leg::successor_out_tcp, errc::connection_lost) == errc::connection_lost);
    CHECK(m.said() == list{"failed successor_out_tcp"});
}

TEST_CASE("server replacement: RPC PDUs of a successor that has not taken over, or on OUT-T, "
          "close") {
    for (driven m : {in_a6w(), in_b1w()})
        CHECK(m.pdu(leg::successor_in_tcp, test::rpc_pdu(64)) == errc::unexpected_pdu);
    for (driven m : {in_a8w(), in_r2a8w()})
        CHECK(m.pdu(leg::out_tcp, test::rpc_pdu(64)) == errc::wrong_direction);
    driven m = in_a8w();
    CHECK(m.pdu(leg::successor_out_tcp, test::rpc_pdu(64)) == errc::wrong_direction);
}

TEST_CASE("server replacement: waits for each next PDU only so long") {
    auto s = settings();
    s.replacement_wait = 5min;
    const driven open = in_opened(s);
    for (driven m : {in_a6w(open), in_b1w(open)}) {
        CHECK(!m.after(5min - 1s));
        CHECK(m.after(1s) == errc::replacement_timeout);
        CHECK(m.said() == list{"failed in_tcp"});
        CHECK(test::is_silent(m));
    }
    driven later = in_a6w(open);
    later.now += 4min;
    later.rts(leg::in_tcp, rts::in_r1_a6{.successor_channel = in_2}); // from here on anew
    CHECK(!later.after(5min - 1s));
    CHECK(later.after(1s) == errc::replacement_timeout);
    for (driven m : {in_a8w(open), in_r2a8w(open)}) {
        CHECK(!m.after(5min - 1s));
        CHECK(m.after(1s) == errc::replacement_timeout);
        CHECK(m.said() == list{"failed out_tcp"});
        CHECK(test::is_silent(m));
    }
    for (driven m : {after_in_r1(open), after_out_r1(open), after_out_r2(open)})
        CHECK(!m.after(24h));
}

TEST_CASE("server replacement: a client that does not answer A1 is served until something waits") {
    driven m = in_a4w();
    CHECK(!m.after(15min));
    CHECK(!m.after(15min));
    CHECK(m.said() == list{});
    CHECK(!sent(m, 5000));
    CHECK(!m.rts(leg::successor_out_tcp, out_a4())); // late is good enough
    driven full = in_opened(late(), short_lived);
    use_up_out(full, 100);
    CHECK(!waiting(full, 101));
    CHECK(full.after(15min) == errc::replacement_timeout);
    CHECK(full.said() == list{"failed out_tcp"});
    driven held = without_room();
    CHECK(!held.rts(leg::in_tcp, far_ack(rts::destination::client, test::in_cookie)));
    CHECK(held.after(15min) == errc::replacement_timeout);
}

TEST_CASE("server replacement: RPC PDUs wait for an acknowledgement only so long") {
    auto s = settings();
    s.blocked_wait = 5min;
    driven m = in_opened(s, conn_a2(8192));
    CHECK(!sent(m, 100));
    CHECK(!waiting(m, 8100));
    driven helped = m;
    driven r1 = m;
    CHECK(!m.after(4min));
    CHECK(!waiting(m, 8100)); // asking again moves nothing
    CHECK(m.after(1min) == errc::flow_control_stalled);
    CHECK(m.said() == list{"failed out_tcp"});
    CHECK(test::is_silent(m));
    CHECK(!helped.rts(leg::out_tcp, ack_of(100, 8192)));
    CHECK(!helped.after(10min));
    r1 = after_out_r1(std::move(r1)); // a fresh connection has a fresh window
    CHECK(!r1.after(10min));
}

TEST_CASE("server replacement: lifetimes of 2 GiB; counters of OUT-T wrap over OUT_R2") {
    auto s = settings();
    s.replace_out_below = 0;
    driven m = in_opened(s, conn_a2(262'144, 0x8000'0000));
    std::uint64_t total = 0;
    rts::cookie channel = test::out_cookie;
    for (unsigned round = 1; round <= 3; ++round) {
        while (m.machine.current_out() == out_state::opened) {
            for (int i = 0; i < 3 && m.machine.current_out() == out_state::opened; ++i) {
                REQUIRE(!sent(m, 65'528));
                total += 65'528;
            }
            REQUIRE(
                !m.rts(leg::out_tcp, ack_of(static_cast<std::uint32_t>(total), 262'144, channel)));
        }
        CHECK(m.machine.lifetime().left() < 64 << 20);
        CHECK(m.machine.lifetime().left() > (64 << 20) - 70'000);
        const rts::cookie next = test::cookie_of(round);
        CHECK(!m.rts(leg::out_tcp, rts::out_r2_a4{.successor_channel = next}));
        CHECK(!m.rts(leg::in_tcp, out_a8(next)));
        CHECK(m.machine.lifetime().left() == 0x8000'0000);
        channel = next;
    }
    CHECK(m.machine.out_replaced() == 3);
    CHECK(total > 0x1'0000'0000);
    // IN-T as well, over IN_R2.
    for (unsigned i = 0; i < 70'000; ++i) {
        REQUIRE(!m.pdu(leg::in_tcp, test::rpc_pdu(24)));
        REQUIRE(!consumed(m, 24));
        if (i % 20'000 == 0)
            REQUIRE(!m.rts(leg::in_tcp, rts::in_r2_a2{.successor_channel = test::cookie_of(i)}));
    }
    CHECK(m.machine.received().available() == 65536);
}

TEST_CASE("server replacement: closing ends it whatever is replaced") {
    for (driven m : {in_a6w(), in_b1w(), in_a4w(), in_a8w(), in_r2a8w(), after_out_r1()}) {
        m.clear();
        CHECK(m.machine.close(m.now, m.out) == errc::operation_aborted);
        CHECK(m.said() == list{"close out_tcp", "close in_tcp", "failed out_tcp"});
        CHECK(test::is_silent(m));
    }
}

TEST_CASE("server replacement: every state of a channel has a name of its own") {
    list names;
    for (const auto s : {in_state::opened, in_state::a6w, in_state::opened_b1w}) {
        names.emplace_back(name(s));
        CHECK(std::count(names.begin(), names.end(), names.back()) == 1);
    }
    names.clear();
    for (const auto s : {out_state::opened, out_state::opened_a4w, out_state::opened_a8w,
                         out_state::opened_r2a8w}) {
        names.emplace_back(name(s));
        CHECK(std::count(names.begin(), names.end(), names.back()) == 1);
    }
}
