#include "tests/sim/idle.hpp"

#include <chrono>

#include <rpch/limits.hpp>

#include "tests/sim/world.hpp"

namespace sim {

namespace {

using namespace std::chrono_literals;

constexpr auto day = std::chrono::seconds{24h};
/// Half the smallest ConnectionTimeout.
constexpr auto ping_every = 60s;
constexpr std::uint64_t pings = day / ping_every;
/// Every 52nd ping exceeds what the outbound proxy keeps to itself, 1031 bytes (B50).
constexpr std::uint64_t pings_told_at_once = 52;

plan idle_plan() {
    plan p;
    p.proxies.resize(1);
    p.clients.resize(1);
    p.quick = p.slow = {.delay_us = 100, .more_us = 400, .cut = 1460, .room = 16384};
    p.idle = true;
    p.idle_for = day + ping_every / 2; // the last ping has gone out
    return p;
}

std::string differ(const char* what, std::uint64_t is, std::uint64_t should) {
    return is == should ? ""
                        : std::string(what) + " " + std::to_string(is) + " instead of " +
                              std::to_string(should) + "\n";
}

} // namespace

std::string run_idle(bool trace) {
    const plan quiet = idle_plan();
    world a(quiet, trace);
    std::string wrong = a.run();
    wrong += differ("pings on IN", a.seen().pings_in, pings);
    wrong += differ("pings on OUT", a.seen().pings_out, pings);
    wrong += differ("notices", a.seen().ping_notices, pings / pings_told_at_once);
    wrong += differ("recycles", a.seen().all_recycles(), 0);
    wrong += differ("connections", a.net.made(), 4);
    wrong += differ("bytes queued", a.seen().most_queued, 0);
    // IN: from C2 on. OUT: C2 itself was the last PDU before, a moment earlier.
    if (a.seen().last_ping_in != a.seen().opened_at + day) wrong += "pings on IN drift\n";
    const auto before = a.seen().opened_at + day - a.seen().last_ping_out;
    if (before < 0s || before > 1ms) wrong += "pings on OUT drift\n";
    if (a.seen().most_events > 32) wrong += "events pile up\n";

    // After five notices, 5200 bytes, and what opened the connection.
    plan used_up = idle_plan();
    constexpr std::uint64_t spent_at_most = 5000;
    constexpr std::uint64_t notices = 5;
    used_up.proxies[0].out.channel_lifetime = rpch::limits::channel_lifetime_min;
    used_up.server.replace_out_below = rpch::limits::channel_lifetime_min - spent_at_most;
    world b(used_up, trace);
    wrong += b.run();
    wrong += differ("pings on IN, OUT replaced", b.seen().pings_in, pings);
    wrong += differ("pings on OUT, OUT replaced", b.seen().pings_out, pings);
    wrong += differ("replacements of OUT", b.seen().recycles[out_r2],
                    pings / (pings_told_at_once * notices));
    wrong += differ("recycles", b.seen().all_recycles(), b.seen().recycles[out_r2]);
    wrong += differ("connections, OUT replaced", b.net.made(), 4 + b.seen().recycles[out_r2]);
    wrong += differ("bytes queued, OUT replaced", b.seen().most_queued, 0);
    return wrong;
}

} // namespace sim
