// What replacements make of the order of PDUs: connections overtake each other, and a proxy that
// takes over has not seen what came before.
#include <rpch/channel/inbound_proxy.hpp>
#include <rpch/channel/outbound_proxy.hpp>

#include <doctest/doctest.h>

#include "tests/support/channel.hpp"

using namespace rpch;
using namespace rpch::channel;
using test::list;

namespace {

rts::in_r1_a1 a1_of(unsigned predecessor, unsigned successor) {
    return {.virtual_connection = test::vc_cookie,
            .predecessor_channel = test::cookie_of(predecessor),
            .successor_channel = test::cookie_of(successor)};
}
rts::flow_control_ack ack_of(std::uint32_t received, std::uint32_t available, unsigned channel) {
    return {.ack = {received, available, test::cookie_of(channel)}};
}

/// Wait_B2, as the successor of channel 0x11 with cookie 0x12.
test::driven<inbound_proxy> taking_over(const inbound_proxy_settings& settings = {}) {
    test::driven<inbound_proxy> p(settings);
    p.rts(leg::in_http, a1_of(0x11, 0x12));
    p.connected(leg::in_tcp);
    return p;
}
/// The same, opened by B2.
test::driven<inbound_proxy> taken_over(const inbound_proxy_settings& settings = {}) {
    auto p = taking_over(settings);
    p.rts(leg::in_tcp, rts::in_r1_b2{.receive_window_size = 65536});
    return p;
}
/// IN_R2 at this proxy.
void replace(test::driven<inbound_proxy>& p, unsigned predecessor, unsigned successor) {
    p.rts(leg::successor_in_http, a1_of(predecessor, successor));
    p.rts(leg::in_http, rts::in_r2_a5{.successor_channel = test::cookie_of(successor)});
}

} // namespace

TEST_CASE("inbound proxy: in place of another one it expects the largest fragments") {
    // bind went through the predecessor. Half the window is advertised still, and yet a client with
    // larger fragments would wait for ever.
    auto p = taken_over({.receive_window = 16384});
    p.pdu(leg::in_http, test::rpc_pdu(7000));
    p.written(leg::in_tcp, 7000);
    CHECK(p.said() == list{"send in_tcp FlowControlAckWithDestination"});
}

TEST_CASE("outbound proxy: in place of another one it expects the largest fragments") {
    test::driven<outbound_proxy> p(outbound_proxy_settings{.receive_window = 16384});
    p.rts(leg::out_http, rts::out_r1_a3{.virtual_connection = test::vc_cookie,
                                        .predecessor_channel = test::out_cookie,
                                        .successor_channel = test::cookie_of(0x23),
                                        .receive_window_size = 65536});
    p.connected(leg::out_tcp);
    p.rts(leg::out_http, rts::out_r1_a11{});
    p.pdu(leg::out_tcp, test::rpc_pdu(7000));
    p.written(leg::out_http, 7000);
    CHECK(p.said() == list{"send out_tcp FlowControlAck"});
}

TEST_CASE("inbound proxy: after IN_R2 an acknowledgement may name any channel before") {
    // IN-T goes on, and nothing of a replacement comes back on it: the server's acknowledgement for
    // channel 0x12 may arrive when 0x14 is the default.
    auto p = taken_over();
    p.pdu(leg::in_http, test::rpc_pdu(5000));
    p.written(leg::in_tcp, 5000);
    replace(p, 0x12, 0x13);
    replace(p, 0x13, 0x14);
    CHECK(p.machine.replaced() == 2);
    CHECK(p.machine.sending().window().available() == 60536);
    CHECK(!p.rts(leg::in_tcp, ack_of(5000, 65536, 0x12)));
    CHECK(p.machine.sending().window().available() == 65536);
}

TEST_CASE("inbound proxy: IN_R*/A1 for a successor elsewhere may come before IN_R1/A5") {
    // C has replaced this channel at another proxy, and replaces that one already; A5, which tells
    // of the first replacement, is still on its way here. It is one more IN_R1.
    auto p = taken_over();
    CHECK(p.machine.admits(a1_of(0x13, 0x14)) == errc::unexpected_pdu);
    CHECK(!p.machine.admits(a1_of(0x12, 0x14)));
    // The same while a successor at this proxy waits for its A5.
    p.rts(leg::successor_in_http, a1_of(0x12, 0x13));
    CHECK(p.machine.admits(a1_of(0x13, 0x14)) == errc::replacement_pending);
    CHECK(p.machine.admits(a1_of(0x14, 0x15)) == errc::unexpected_pdu);
}

TEST_CASE("inbound proxy: IN_R1/A5 may come before IN_R1/B2; what is queued waits for B2") {
    auto p = taking_over();
    p.pdu(leg::in_http, test::rpc_pdu(5000));
    CHECK(p.said() == list{});
    CHECK(!p.rts(leg::in_http, rts::in_r1_a5{.successor_channel = test::cookie_of(0x13)}));
    CHECK(p.said().size() == 1);
    CHECK(test::last_sent<rts::in_r1_a6>(p.out).successor_channel == test::cookie_of(0x13));
    CHECK(p.machine.current() == inbound_proxy::state::draining);
    CHECK(p.rts(leg::in_tcp, rts::in_r1_b2{.receive_window_size = 65536}) ==
          errc::channel_replaced);
    CHECK(p.said() == list{"send_rpc in_tcp 5000", "send in_tcp IN_R1/B1", "close in_tcp",
                           "close in_http", "failed in_tcp"});
}

TEST_CASE("inbound proxy: IN_R1/A5 before IN_R1/B2 with nothing queued; one B2 at most") {
    auto p = taking_over();
    CHECK(p.rts(leg::in_http, rts::in_r1_a5{.successor_channel = test::cookie_of(0x13)}) ==
          errc::channel_replaced);
    CHECK(p.said().size() == 5); // A6, B1, close, close, failed

    auto q = taking_over();
    q.pdu(leg::in_http, test::rpc_pdu(5000));
    q.pdu(leg::in_http, test::rpc_pdu(5000));
    q.rts(leg::in_http, rts::in_r1_a5{.successor_channel = test::cookie_of(0x13)});
    CHECK(!q.rts(leg::in_tcp, rts::in_r1_b2{.receive_window_size = 8192}));
    CHECK(q.said() == list{"send_rpc in_tcp 5000"});
    CHECK(q.rts(leg::in_tcp, rts::in_r1_b2{.receive_window_size = 8192}) == errc::unexpected_pdu);
}

TEST_CASE("outbound proxy: the successor's channel is empty once it has taken over") {
    test::driven<outbound_proxy> p(outbound_proxy_settings{});
    p.rts(leg::out_http, rts::conn_a1{.virtual_connection = test::vc_cookie,
                                      .out_channel = test::out_cookie,
                                      .receive_window_size = 8192});
    p.connected(leg::out_tcp);
    p.rts(leg::out_tcp, rts::conn_c1{.receive_window_size = 65536, .connection_timeout = 120'000});
    p.pdu(leg::out_tcp, test::rpc_pdu(8000));
    p.pdu(leg::out_tcp, test::rpc_pdu(8000)); // waits for the client's window
    p.rts(leg::successor_out_http, rts::out_r2_a3{.virtual_connection = test::vc_cookie,
                                                  .predecessor_channel = test::out_cookie,
                                                  .successor_channel = test::cookie_of(0x23),
                                                  .receive_window_size = 8192});
    p.rts(leg::successor_out_http, rts::out_r2_c1{});
    p.rts(leg::out_tcp, rts::out_r2_b1{});
    p.pdu(leg::out_tcp, test::rpc_pdu(3000)); // is for the successor
    CHECK(p.machine.sending_next().queued_bytes() == 3000);
    p.rts(leg::out_tcp,
          rts::flow_control_ack_with_destination{.destination = rts::destination::outbound_proxy,
                                                 .ack = {8000, 8192, test::out_cookie}});
    p.written(leg::out_http, 16'000);
    CHECK(p.machine.replaced() == 1);
    CHECK(p.machine.sending().queued_bytes() == 0);
    CHECK(p.machine.sending_next().queued_bytes() == 0);
}
