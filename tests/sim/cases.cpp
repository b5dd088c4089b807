#include "tests/sim/cases.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <vector>

#include <rpch/limits.hpp>

#include "tests/sim/driver.hpp"
#include "tests/sim/world.hpp"

namespace sim {

namespace {

namespace limits = rpch::limits;
using namespace std::chrono_literals;
using rpch::rts::role;
using rpch::rts::shape;
using seconds = std::chrono::seconds;
using way = tampering::way;

/// A plan and what comes of it.
struct directed {
    const char* name;
    std::function<void(plan&)> make;
    std::vector<std::string> notes; ///< In the order of time.
    std::function<std::string(const world&)> also{};
    bool ignores_notes = false;
};

std::string ends(role who, std::error_code why, leg where, seconds after) {
    return ending_in_words(who, why, where) + ", after " + std::to_string(after.count()) + " s";
}
std::string keeps_alive(std::chrono::milliseconds interval) {
    return "inbound proxy: keep-alive " + std::to_string(interval.count()) + " ms";
}

constexpr seconds late{50 * 60}; ///< Later than all the others.
constexpr std::chrono::milliseconds usual_keepalive{limits::client_keepalive_default_ms};
constexpr std::uint32_t shortest = limits::channel_lifetime_min;

plan usual() {
    plan p;
    p.directed = p.is_quick = true;
    p.quick = p.slow = {.delay_us = 100, .more_us = 400, .cut = 1460, .room = 16384};
    p.proxies.resize(1);
    p.clients.resize(1);
    p.clients[0].at_once = 2;
    p.clients[0].pause_ms = 5000;
    p.server.strict_windows = true;
    p.proxies[0].in.strict_windows = p.proxies[0].out.strict_windows = true;
    p.clients[0].machine.strict_windows = true;
    p.recycles = 3;
    p.calls_max = 1000;
    return p;
}
void lose(plan& p, role who, shape kind, leg on, bool forwarded = false) {
    p.tamperings.push_back({who, kind, on, way::lost, forwarded});
}
void mark(plan& p, role who, shape kind, leg on) {
    p.tamperings.push_back({who, kind, on, way::marked});
}
/// IN is replaced after some KiB; at one proxy it is IN_R2, at two IN_R1.
void replaces_in(plan& p, std::size_t proxies) {
    p.proxies.resize(proxies, p.proxies[0]);
    p.in_balance = balance::always_other;
    p.clients[0].machine.in_lifetime = shortest;
    p.clients[0].machine.replace_in_below = shortest - 4000;
}
void replaces_out(plan& p, std::size_t proxies) {
    p.proxies.resize(proxies, p.proxies[0]);
    p.out_balance = balance::always_other;
    for (proxy_plan& each : p.proxies) each.out.channel_lifetime = shortest;
    p.server.replace_out_below = shortest - 4000;
}
void small_windows(plan& p) {
    for (proxy_plan& each : p.proxies)
        each.in.receive_window = each.out.receive_window = limits::receive_window_min;
    p.server.receive_window = p.clients[0].machine.receive_window = limits::receive_window_min;
    p.clients[0].in_fragment = p.clients[0].out_fragment = limits::receive_window_min / 2;
    p.clients[0].request_bytes = p.clients[0].answer_bytes = 20'000;
    p.clients[0].pause_ms = 10;
    p.calls_max = 20'000;
}
void idles(plan& p, seconds how_long) {
    p.idle = true;
    p.idle_for = how_long;
}
std::string recycled(const world& w, recycle kind) {
    return w.seen().recycles[kind] != 0 ? "" : "nothing is replaced";
}
std::string never_recycled(const world& w) {
    return w.seen().all_recycles() == 0 ? "" : "something is replaced";
}
std::string has_pings(const world& w, std::uint64_t in, std::uint64_t out) {
    if (w.seen().pings_in == in && w.seen().pings_out == out) return "";
    return "pings " + std::to_string(w.seen().pings_in) + ", " + std::to_string(w.seen().pings_out);
}

using enum leg;
constexpr auto client = role::client;
constexpr auto inbound = role::inbound_proxy;
constexpr auto outbound = role::outbound_proxy;
constexpr auto server = role::server;
const auto setup = make_error_code(errc::setup_timeout);
const auto replacement = make_error_code(errc::replacement_timeout);
const auto stalled = make_error_code(errc::flow_control_stalled);
const std::error_code unavailable = make_error_code(rpch::rpc_status::server_unavailable);
constexpr auto r_wait = seconds(limits::replacement_wait);
constexpr auto b_wait = seconds(limits::blocked_wait);

std::vector<directed> all_cases() {
    const std::string usual_alive = keeps_alive(usual_keepalive);
    return {
        // Opening.
        {"nothing is wrong", [](plan&) {}, {usual_alive}},
        {"CONN/B1 never comes",
         [](plan& p) { lose(p, client, shape::conn_b1, in_http); },
         {ends(inbound, setup, in_http, limits::first_pdu_wait)}},
        {"CONN/A1 never comes",
         [](plan& p) { lose(p, client, shape::conn_a1, out_http); },
         {usual_alive, ends(outbound, setup, out_http, limits::first_pdu_wait)}},
        {"the server does not answer the inbound proxy",
         [](plan& p) {
             p.slow_connections = {{in_tcp, false, {}}};
         },
         {ends(inbound, setup, in_tcp, limits::connect_wait),
          ends(client, unavailable, in_http, limits::connect_wait)}},
        {"the server does not answer the outbound proxy",
         [](plan& p) {
             p.slow_connections = {{out_tcp, false, {}}};
         },
         {usual_alive, ends(outbound, setup, out_tcp, limits::connect_wait),
          ends(client, unavailable, out_http, limits::connect_wait)}},
        {"the server refuses the outbound proxy",
         [](plan& p) {
             p.slow_connections = {{in_tcp, false, 5s}};
             p.faults = {{1, fault::server_unreachable}};
         },
         {ends(outbound, errc::connect_failed, out_tcp, 0s),
          ends(client, unavailable, out_http, 0s)}},
        {"the server refuses the inbound proxy",
         [](plan& p) {
             p.slow_connections = {{out_tcp, false, 5s}};
             p.faults = {{1, fault::server_unreachable}};
         },
         {ends(inbound, errc::connect_failed, in_tcp, 0s), ends(client, unavailable, in_http, 0s)}},
        {"CONN/B3 never comes",
         [](plan& p) { lose(p, server, shape::conn_b3, in_tcp); },
         {usual_alive, ends(inbound, setup, in_tcp, limits::pairing_wait)}},
        {"CONN/B3 never comes, and the client is idle",
         [](plan& p) {
             lose(p, server, shape::conn_b3, in_tcp);
             p.clients[0].machine.keep_alive = 20s;
             p.keepalive_then = 90s;
             idles(p, 10min);
         },
         {usual_alive, keeps_alive(90s), ends(inbound, setup, in_tcp, limits::pairing_wait)}},
        {"CONN/C1 never comes",
         [](plan& p) { lose(p, server, shape::conn_c1, out_tcp); },
         {usual_alive, ends(outbound, setup, out_tcp, limits::pairing_wait)}},
        {"CONN/C1 never comes, and the proxies have patience",
         [](plan& p) {
             lose(p, server, shape::conn_c1, out_tcp);
             p.proxies[0].out.pairing_wait = late;
         },
         {usual_alive, ends(client, setup, out_http, limits::open_wait)},
         [](const world& w) { return has_pings(w, 1, 1); }},
        {"CONN/A3 and C1 never come, and the proxies have patience",
         [](plan& p) {
             lose(p, outbound, shape::conn_a3, out_http);
             lose(p, server, shape::conn_c1, out_tcp);
             p.proxies[0].out.pairing_wait = late;
         },
         {usual_alive, ends(client, setup, out_http, limits::open_wait)},
         [](const world& w) { return has_pings(w, 0, 1); }},
        {"CONN/C2 never comes",
         [](plan& p) { lose(p, outbound, shape::conn_c2, out_http, true); },
         {usual_alive, ends(client, setup, out_http, limits::open_wait)}},
        {"an acknowledgement before CONN/C1",
         [](plan& p) {
             p.tamperings = {{server, shape::conn_c1, out_tcp, way::after_an_acknowledgement}};
         },
         {usual_alive}},
        {"CONN/A2 never comes, and the proxies have patience",
         [](plan& p) {
             p.slow_connections = {{out_tcp, false, {}}};
             p.proxies[0].out.connect_wait = p.proxies[0].in.pairing_wait = late;
         },
         {usual_alive, ends(server, setup, out_tcp, limits::pairing_wait)}},
        {"CONN/B2 never comes, and the proxies have patience",
         [](plan& p) {
             p.slow_connections = {{in_tcp, false, {}}};
             p.proxies[0].in.connect_wait = p.proxies[0].out.pairing_wait = late;
         },
         {ends(server, setup, in_tcp, limits::pairing_wait)}},
        {"CONN/B2 is so late that pings are told before",
         [](plan& p) {
             p.slow_connections = {{in_tcp, false, {}}};
             p.proxies[0].in.connect_wait = p.proxies[0].out.pairing_wait = 3600s;
             p.clients[0].machine.open_wait = 3600s;
             p.server.pairing_wait = 3300s;
         },
         {ends(server, setup, in_tcp, 3300s)},
         [](const world& w) {
             return w.seen().ping_notices == 1 ? "" : "the server is not told of pings";
         }},
        {"the client pings before the server has answered",
         [](plan& p) {
             p.slow_connections = {{in_tcp, false, 25s}};
             p.clients[0].machine.keep_alive = 20s;
             p.keepalive_then = 90s;
             p.keepalive_early = true;
             idles(p, 5s);
         },
         {keeps_alive(90s)},
         [](const world& w) { return has_pings(w, 2, 0); }},
        // Pings.
        {"CONN/C2 has another timeout than CONN/A3",
         [](plan& p) {
             p.proxies[0].in.connection_timeout = 240s;
             idles(p, 605s);
         },
         {usual_alive},
         [](const world& w) { return has_pings(w, 5, 10); }},
        {"IN_R1/A4 has another timeout than CONN/C2",
         [](plan& p) {
             replaces_in(p, 2);
             p.clients[0].machine.replace_in_below = shortest;
             p.proxies[0].in.connection_timeout = 480s;
             idles(p, 1805s);
         },
         {usual_alive, usual_alive},
         [](const world& w) { return has_pings(w, 8, 30); }},
        {"pings use OUT up",
         [](plan& p) {
             replaces_out(p, 1);
             p.server.replace_out_below = shortest;
             p.server.replacement_wait = seconds{10 * 24h};
             lose(p, server, shape::out_r1_a1, out_tcp);
             idles(p, 5 * 24h);
         },
         {usual_alive},
         never_recycled},
        // Keep-Alive.
        {"Keep-Alive of CONN/B1",
         [](plan& p) { p.clients[0].machine.client_keepalive = 90s; },
         {keeps_alive(90s)}},
        {"Keep-Alive while it is open",
         [](plan& p) { p.keepalive_then = 90s; },
         {usual_alive, keeps_alive(90s)}},
        {"Keep-Alive reaches the proxy of an IN_R1 successor",
         [](plan& p) {
             replaces_in(p, 2);
             p.recycles = 0;
             p.keepalive_then = 90s;
         },
         {usual_alive, keeps_alive(90s), usual_alive, keeps_alive(90s)}},
        {"Keep-Alive while an IN_R2 successor waits",
         [](plan& p) {
             replaces_in(p, 1);
             lose(p, server, shape::in_r2_a3, out_tcp);
             p.tamperings.push_back({client, shape::ping, in_http, way::before_a_keep_alive});
             p.clients[0].machine.replace_in_below = shortest;
             p.clients[0].machine.keep_alive = 20s;
             p.clients[0].at_once = 1;
             p.clients[0].pause_ms = 60'000;
         },
         {},
         [](const world& w) {
             const auto n = std::count(w.notes().begin(), w.notes().end(), keeps_alive(90s));
             return n > 10 ? "" : std::to_string(n) + " keep-alives";
         },
         true},
        {"Keep-Alive before an IN_R1 successor is connected",
         [](plan& p) {
             replaces_in(p, 2);
             p.recycles = 0;
             p.slow_connections = {{in_tcp, true, 5s}};
             p.tamperings = {
                 {client, shape::in_r1_a1, successor_in_http, way::before_a_keep_alive}};
         },
         {usual_alive, keeps_alive(90s)},
         [](const world& w) { return recycled(w, in_r1); }},
        // Replacements of IN.
        {"IN_R2/A2 never comes",
         [](plan& p) {
             replaces_in(p, 1);
             lose(p, inbound, shape::in_r2_a2, in_tcp);
         },
         {usual_alive, ends(client, replacement, successor_in_http, r_wait)}},
        {"IN_R2/A2 never comes, and the client has patience",
         [](plan& p) {
             replaces_in(p, 1);
             lose(p, inbound, shape::in_r2_a2, in_tcp);
             p.clients[0].machine.replacement_wait = late;
         },
         {usual_alive, ends(inbound, replacement, in_http, r_wait)}},
        {"IN_R2/A3 never comes",
         [](plan& p) {
             replaces_in(p, 1);
             lose(p, server, shape::in_r2_a3, out_tcp);
         },
         {usual_alive, ends(client, replacement, successor_in_http, r_wait)}},
        {"the IN successor cannot be opened",
         [](plan& p) {
             replaces_in(p, 1);
             p.slow_connections = {{successor_in_http, true, {}}};
             p.calls_max = 100;
             p.clients[0].pause_ms = 60'000;
             p.clients[0].at_once = 1;
         },
         {usual_alive},
         never_recycled},
        {"the IN successor cannot be opened, and the channel is used up",
         [](plan& p) {
             replaces_in(p, 1);
             p.slow_connections = {{successor_in_http, true, {}}};
             p.calls_max = 2000;
             p.clients[0].request_bytes = 20'000;
         },
         {usual_alive, ends(client, replacement, successor_in_http, r_wait)},
         never_recycled},
        {"IN_R2/A5 names another channel",
         [](plan& p) {
             replaces_in(p, 1);
             p.tamperings = {{client, shape::in_r2_a5, in_http, way::other_cookie}};
         },
         {usual_alive},
         never_recycled},
        {"IN_R2/A5 never comes",
         [](plan& p) {
             replaces_in(p, 1);
             p.keeps_predecessors = true;
             lose(p, client, shape::in_r2_a5, in_http);
         },
         {usual_alive, ends(inbound, replacement, in_http, r_wait)}},
        {"IN_R1/A5 never comes",
         [](plan& p) {
             replaces_in(p, 2);
             p.keeps_predecessors = true;
             lose(p, client, shape::in_r1_a5, in_http);
         },
         {usual_alive, usual_alive, ends(inbound, setup, in_tcp, r_wait),
          ends(server, replacement, in_tcp, r_wait)}},
        {"IN_R1/A5 never comes, and the proxies have patience",
         [](plan& p) {
             replaces_in(p, 2);
             p.keeps_predecessors = true;
             lose(p, client, shape::in_r1_a5, in_http);
             for (proxy_plan& each : p.proxies) each.in.replacement_wait = late;
         },
         {usual_alive, usual_alive, ends(server, replacement, in_tcp, r_wait)}},
        {"IN_R1/A6 names another channel",
         [](plan& p) {
             replaces_in(p, 2);
             p.tamperings = {{client, shape::in_r1_a5, in_http, way::other_cookie}};
         },
         {usual_alive, usual_alive, ends(server, errc::cookie_mismatch, in_tcp, 0s)}},
        {"the server confirms nothing while IN_R1 drains",
         [](plan& p) {
             small_windows(p);
             replaces_in(p, 2);
             mark(p, client, shape::in_r1_a5, in_http);
             lose(p, server, shape::flow_control_ack, in_tcp);
             for (proxy_plan& each : p.proxies) each.in.blocked_wait = late;
             p.proxies[1].in.replacement_wait = late;
             p.clients[0].machine.blocked_wait = late;
         },
         {usual_alive, usual_alive, usual_alive, ends(inbound, replacement, in_tcp, r_wait),
          ends(server, replacement, in_tcp, r_wait)}},
        {"the server confirms nothing while IN_R1 drains, and the proxies have patience",
         [](plan& p) {
             small_windows(p);
             replaces_in(p, 2);
             mark(p, client, shape::in_r1_a5, in_http);
             lose(p, server, shape::flow_control_ack, in_tcp);
             for (proxy_plan& each : p.proxies)
                 each.in.blocked_wait = each.in.replacement_wait = late;
             p.clients[0].machine.blocked_wait = late;
         },
         {usual_alive, usual_alive, usual_alive, ends(server, replacement, in_tcp, r_wait)}},
        // Replacements of OUT.
        {"OUT_R2/A4 never comes",
         [](plan& p) {
             replaces_out(p, 1);
             lose(p, outbound, shape::out_r2_a4, out_tcp);
         },
         {usual_alive, ends(client, replacement, successor_out_http, r_wait)}},
        {"OUT_R2/A4 never comes, and the client has patience",
         [](plan& p) {
             replaces_out(p, 1);
             lose(p, outbound, shape::out_r2_a4, out_tcp);
             p.clients[0].machine.replacement_wait = late;
         },
         {usual_alive, ends(outbound, replacement, out_http, r_wait)}},
        {"OUT_R2/A7 never comes",
         [](plan& p) {
             replaces_out(p, 1);
             lose(p, client, shape::out_r2_a7, in_http);
         },
         {usual_alive, ends(server, replacement, out_tcp, r_wait)}},
        {"OUT_R2/A7 never comes, and the server has patience",
         [](plan& p) {
             replaces_out(p, 1);
             lose(p, client, shape::out_r2_a7, in_http);
             p.server.replacement_wait = late;
         },
         {usual_alive, ends(client, replacement, successor_out_http, r_wait)}},
        {"OUT_R2/A7 never comes, and the others have patience",
         [](plan& p) {
             replaces_out(p, 1);
             lose(p, client, shape::out_r2_a7, in_http);
             p.server.replacement_wait = p.clients[0].machine.replacement_wait = late;
         },
         {usual_alive, ends(outbound, replacement, out_http, r_wait)}},
        {"OUT_R2/A7 names another channel",
         [](plan& p) {
             replaces_out(p, 1);
             p.tamperings = {{client, shape::out_r2_a7, in_http, way::other_cookie}};
         },
         {usual_alive},
         never_recycled},
        {"OUT_R2/A7 names another channel, and C1 never comes",
         [](plan& p) {
             replaces_out(p, 1);
             p.tamperings = {{client, shape::out_r2_a7, in_http, way::other_cookie}};
             lose(p, client, shape::out_r2_c1, successor_out_http);
         },
         {usual_alive},
         never_recycled},
        {"OUT_R1/A7 names another channel",
         [](plan& p) {
             replaces_out(p, 2);
             p.tamperings = {{client, shape::out_r1_a7, in_http, way::other_cookie}};
         },
         {usual_alive, ends(server, errc::cookie_mismatch, in_tcp, 0s)}},
        {"OUT_R2/B3 never comes",
         [](plan& p) {
             replaces_out(p, 1);
             p.keeps_predecessors = true;
             lose(p, outbound, shape::out_r2_b3, out_http);
         },
         {usual_alive, ends(client, replacement, successor_out_http, r_wait)}},
        {"OUT_R2/C1 never comes",
         [](plan& p) {
             replaces_out(p, 1);
             lose(p, client, shape::out_r2_c1, successor_out_http);
         },
         {usual_alive, ends(outbound, replacement, out_http, r_wait)}},
        {"OUT_R2/A8 as 2.2.4.41 has it",
         [](plan& p) {
             replaces_out(p, 1);
             p.tamperings = {{inbound, shape::out_r2_a7, in_tcp, way::rewritten, true}};
         },
         {usual_alive},
         [](const world& w) { return recycled(w, out_r2); }},
        {"OUT_R1/A1 never comes, and the channel is used up",
         [](plan& p) {
             replaces_out(p, 2);
             lose(p, server, shape::out_r1_a1, out_tcp);
             p.calls_max = 2000;
             p.clients[0].answer_bytes = 20'000;
         },
         {usual_alive, ends(server, replacement, out_tcp, r_wait)}},
        {"OUT_R1/A1 never comes",
         [](plan& p) {
             replaces_out(p, 2);
             lose(p, server, shape::out_r1_a1, out_tcp);
             p.calls_max = 100;
             p.clients[0].pause_ms = 60'000;
             p.clients[0].at_once = 1;
         },
         {usual_alive},
         never_recycled},
        {"the OUT successor cannot be opened",
         [](plan& p) {
             replaces_out(p, 2);
             p.slow_connections = {{successor_out_http, true, {}}};
         },
         {usual_alive, ends(client, replacement, successor_out_http, r_wait)}},
        {"OUT_R1/A7 never comes",
         [](plan& p) {
             replaces_out(p, 2);
             lose(p, client, shape::out_r1_a7, in_http);
         },
         {usual_alive, ends(server, replacement, out_tcp, r_wait)}},
        {"OUT_R1/A9 never comes, and the client has patience",
         [](plan& p) {
             replaces_out(p, 2);
             lose(p, server, shape::out_r1_a9, out_tcp);
             p.clients[0].machine.replacement_wait = late;
             p.server.replacement_wait = late;
         },
         {usual_alive, ends(outbound, setup, out_tcp, r_wait)}},
        {"OUT_R1/A10 never comes",
         [](plan& p) {
             replaces_out(p, 2);
             lose(p, outbound, shape::out_r1_a10, out_http);
         },
         {usual_alive}},
        {"OUT_R1/A11 never comes",
         [](plan& p) {
             replaces_out(p, 2);
             lose(p, client, shape::out_r1_a11, out_http);
         },
         {usual_alive, ends(outbound, setup, out_tcp, r_wait)}},
        {"the client confirms nothing while OUT_R1 drains, and the proxies have patience",
         [](plan& p) {
             small_windows(p);
             replaces_out(p, 2);
             mark(p, server, shape::out_r1_a9, out_tcp);
             lose(p, client, shape::flow_control_ack_with_destination, in_http);
             for (proxy_plan& each : p.proxies) {
                 each.out.receive_window = 65'536;
                 each.out.blocked_wait = each.out.replacement_wait = late;
             }
             p.clients[0].machine.blocked_wait = p.clients[0].machine.replacement_wait = late;
             p.server.blocked_wait = late;
         },
         {usual_alive, "server: closes predecessor_out_tcp, after 900 s",
          ends(outbound, stalled, out_http, late)}},
        {"the client confirms nothing while OUT_R1 drains, and all have patience",
         [](plan& p) {
             small_windows(p);
             replaces_out(p, 2);
             mark(p, server, shape::out_r1_a9, out_tcp);
             lose(p, client, shape::flow_control_ack_with_destination, in_http);
             for (proxy_plan& each : p.proxies) {
                 each.out.receive_window = 65'536;
                 each.out.blocked_wait = 58min;
                 each.out.replacement_wait = 58min;
             }
             p.proxies[0].out.replacement_wait = 54min; // of the predecessor
             p.server.blocked_wait = p.server.replacement_wait = 58min;
             p.clients[0].machine.blocked_wait = 56min;
             p.clients[0].machine.replacement_wait = 56min;
         },
         {usual_alive, ends(outbound, replacement, out_http, 54min)},
         [](const world& w) {
             return w.seen().ping_notices != 0 ? "" : "nothing is told of pings";
         }},
        // Acknowledgements.
        {"the server confirms nothing",
         [](plan& p) {
             small_windows(p);
             p.clients[0].machine.blocked_wait = late;
             lose(p, server, shape::flow_control_ack, in_tcp);
         },
         {usual_alive, ends(inbound, stalled, in_tcp, b_wait)}},
        {"the inbound proxy confirms nothing",
         [](plan& p) {
             small_windows(p);
             lose(p, inbound, shape::flow_control_ack_with_destination, in_tcp);
         },
         {usual_alive, ends(client, stalled, in_http, b_wait)}},
        {"the client confirms nothing",
         [](plan& p) {
             small_windows(p);
             p.server.blocked_wait = late;
             lose(p, client, shape::flow_control_ack_with_destination, in_http);
         },
         {usual_alive, ends(outbound, stalled, out_http, b_wait)}},
        {"the outbound proxy confirms nothing",
         [](plan& p) {
             small_windows(p);
             lose(p, outbound, shape::flow_control_ack, out_tcp);
         },
         {usual_alive, ends(server, stalled, out_tcp, b_wait)}},
        {"the server takes its time",
         [](plan& p) {
             small_windows(p);
             p.proxies[0].in.receive_window = limits::receive_window_max;
             p.server_take_us = 200'000'000;
             p.clients[0].request_bytes = 60'000;
             p.clients[0].at_once = 6;
             p.calls_max = 60;
         },
         {usual_alive}},
        {"the client takes its time",
         [](plan& p) {
             small_windows(p);
             p.proxies[0].out.receive_window = limits::receive_window_max;
             p.clients[0].take_us = 200'000'000;
             p.clients[0].answer_bytes = 60'000;
             p.clients[0].at_once = 6;
             p.calls_max = 60;
         },
         {usual_alive}},
        {"acknowledgements with a destination",
         [](plan& p) {
             small_windows(p);
             replaces_in(p, 1);
             replaces_out(p, 2);
             p.recycles = 1000;
             p.calls_max = 20'000;
             p.tamperings = {{server, shape::flow_control_ack, in_tcp, way::rewritten},
                             {outbound, shape::flow_control_ack, out_tcp, way::rewritten},
                             {inbound, shape::out_r2_a7, in_tcp, way::rewritten, true}};
             p.in_balance = p.out_balance = balance::any;
         },
         {},
         [](const world& w) {
             return recycled(w, in_r1) + recycled(w, in_r2) + recycled(w, out_r1) +
                    recycled(w, out_r2);
         },
         true},
    };
}

std::string run_case(const directed& one, bool trace) {
    plan p = usual();
    one.make(p);
    world w(p, trace);
    std::string wrong = w.run();
    if (!wrong.empty()) wrong += "\n";
    if (!one.ignores_notes && w.notes() != one.notes) {
        wrong += "what was noted:\n";
        for (const std::string& each : w.notes()) wrong += "  " + each + "\n";
        wrong += "instead of:\n";
        for (const std::string& each : one.notes) wrong += "  " + each + "\n";
    }
    if (one.also)
        if (const std::string more = one.also(w); !more.empty()) wrong += more + "\n";
    return wrong.empty() ? "" : "case \"" + std::string(one.name) + "\": " + wrong;
}

} // namespace

std::size_t count_cases(std::string_view part) {
    const std::vector<directed> all = all_cases();
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const auto& each) {
        return std::string_view(each.name).find(part) != std::string_view::npos;
    }));
}

std::string run_cases(std::string_view part, bool trace) {
    std::string wrong;
    for (const directed& each : all_cases()) {
        if (std::string_view(each.name).find(part) == std::string_view::npos) continue;
        if (trace) std::printf("== %s\n", each.name);
        wrong += run_case(each, trace);
    }
    return wrong;
}

} // namespace sim
