#include "tests/sim/plan.hpp"

#include <algorithm>

#include <rpch/limits.hpp>

#include "tests/sim/random.hpp"

namespace sim {

namespace {

namespace limits = rpch::limits;

std::uint32_t draw_window(random& r) {
    const std::uint32_t usual[] = {8192, 8192, 16384, 65536, 262144};
    return r.once_in(3) ? static_cast<std::uint32_t>(r.between(8192, 40'000)) : r.pick(usual);
}

std::uint32_t draw_lifetime(random& r) {
    return r.once_in(3) ? static_cast<std::uint32_t>(r.between(131'072, 300'000)) : 131'072;
}

/// Mostly so early that few KiB lead to the next replacement.
std::uint64_t draw_threshold(random& r, std::uint32_t lifetime) {
    if (r.once_in(12)) return 0;
    if (r.once_in(8)) return r.between(1, 8192); // as late as can be
    if (r.once_in(6)) return r.between(4096, lifetime - 4096);
    return lifetime - r.between(1500, 12'000);
}

void draw_network(random& r, plan& p) {
    switch (r.below(5)) {
    case 0: // one machine
        p.quick = {.delay_us = 5, .more_us = 20, .cut = 65536, .room = 65536};
        p.slow = {.delay_us = 20, .more_us = 300, .cut = 1000, .room = 4096};
        p.is_quick = true;
        break;
    case 1: // one site
        p.quick = {.delay_us = 100, .more_us = 400, .cut = 1460, .room = 16384};
        p.slow = {.delay_us = 500, .more_us = 4000, .cut = 8192, .room = 2048};
        p.is_quick = true;
        break;
    case 2: // all kinds
        p.quick = {.delay_us = 100, .more_us = 1000, .cut = 4096, .room = 32768};
        p.slow = {.delay_us = 20'000, .more_us = 80'000, .cut = 2000, .room = 1000};
        break;
    case 3: // one way in a few takes a hundred times longer than the others
        p.quick = {.delay_us = 20, .more_us = 100, .cut = 8192, .room = 32768};
        p.slow = {.delay_us = 2000, .more_us = 400'000, .cut = 20'000, .room = 40'000};
        break;
    default: // now and then something hangs
        p.quick = {.delay_us = 50, .more_us = 500, .cut = 8192, .room = 16384};
        p.slow = {.delay_us = 1000,
                  .more_us = 10'000,
                  .cut = 300,
                  .room = 700,
                  .stall_once_in = 40,
                  .stall_ms = 3000};
        break;
    }
}

} // namespace

std::string_view name(fault f) noexcept {
    switch (f) {
    case fault::reset: return "reset";
    case fault::half_open: return "half-open";
    case fault::dead: return "dead";
    case fault::proxy_dies: return "proxy dies";
    case fault::proxy_vanishes: return "proxy vanishes";
    case fault::proxy_drains: return "proxy drains";
    case fault::proxy_refuses: return "proxy refuses";
    case fault::server_unreachable: return "server unreachable";
    case fault::server_dies: return "server dies";
    case fault::server_closes: return "server closes";
    case fault::client_closes: return "client closes";
    case fault::stall: return "stall";
    case fault::client_stalls: return "client stalls";
    }
    return "unknown";
}

namespace {

plan draw_usual(random& r) {
    plan p;
    draw_network(r, p);
    const balance ways[] = {balance::always_same, balance::always_other, balance::any,
                            balance::any};
    p.in_balance = r.pick(ways);
    p.out_balance = r.pick(ways);
    p.proxies.resize(r.between(1, 4));
    std::uint32_t in_most = 65'528;
    std::uint32_t out_most = 65'528;
    for (proxy_plan& each : p.proxies) {
        each.in.receive_window = draw_window(r);
        each.in.strict_windows = true;
        each.out.receive_window = draw_window(r);
        each.out.strict_windows = true;
        each.out.channel_lifetime = draw_lifetime(r);
        in_most = std::min(in_most, each.in.receive_window);
        out_most = std::min(out_most, each.out.receive_window);
    }
    const std::uint32_t shortest =
        std::min_element(p.proxies.begin(), p.proxies.end(), [](const auto& a, const auto& b) {
            return a.out.channel_lifetime < b.out.channel_lifetime;
        })->out.channel_lifetime;
    p.server.receive_window = draw_window(r);
    p.server.strict_windows = true;
    p.server.replace_out_below = draw_threshold(r, shortest);
    in_most = std::min(in_most, p.server.receive_window);
    const std::uint32_t late[] = {0, 0, 0, 0, 50, 50, 2000, 2000, 100'000, 3'000'000};
    p.server_take_us = r.pick(late);
    p.answer_us = r.pick(late);
    p.clients.resize(r.once_in(4) ? r.between(2, 3) : 1);
    for (client_plan& each : p.clients) {
        each.machine.receive_window = draw_window(r);
        each.machine.strict_windows = true;
        each.machine.in_lifetime = draw_lifetime(r);
        each.machine.replace_in_below = draw_threshold(r, each.machine.in_lifetime);
        if (r.once_in(5)) each.machine.client_keepalive = std::chrono::minutes{2};
        const auto fragment = [&](std::uint32_t most) {
            const std::uint32_t usual = std::min<std::uint32_t>(most, 5840);
            return r.once_in(3) ? static_cast<std::uint32_t>(r.between(1432, most)) : usual;
        };
        each.in_fragment = fragment(in_most);
        each.out_fragment = fragment(std::min(out_most, each.machine.receive_window / 2));
        each.at_once = static_cast<std::uint32_t>(r.between(1, 6));
        const std::uint32_t sizes[] = {200, 4000, 20'000, 60'000};
        each.request_bytes = r.pick(sizes);
        each.answer_bytes = r.pick(sizes);
        const std::uint32_t pauses[] = {0, 0, 1, 20};
        each.pause_ms = r.pick(pauses);
        if (r.once_in(10)) each.long_pause_once_in = 60;
        each.take_us = r.pick(late);
    }
    // A part of the seeds sees faults; some of them only what must harm nobody.
    const bool faulty = r.once_in(3);
    const bool gentle = r.once_in(4);
    if (!faulty && !gentle) return p;
    constexpr auto usual_kinds = static_cast<std::uint64_t>(fault::client_stalls);
    const std::uint64_t count = faulty && r.once_in(2) ? r.between(2, 5) : 1;
    for (std::uint64_t i = 0; i < count; ++i) {
        // Often early, sometimes late.
        const std::uint64_t about = std::uint64_t{1} << r.between(4, 15);
        auto what = static_cast<fault>(r.below(usual_kinds));
        const fault harmless[] = {fault::proxy_drains, fault::proxy_refuses, fault::stall};
        if (!faulty) what = r.pick(harmless);
        p.faults.push_back({r.between(about / 2, about), what});
    }
    std::sort(p.faults.begin(), p.faults.end(),
              [](const auto& a, const auto& b) { return a.at_step < b.at_step; });
    return p;
}

/// The inbound proxy's window is larger than a channel lives long, and the server slow: a client
/// needs no acknowledgement to use up one IN channel after the other at the same proxy, which has
/// to keep a third one back while it holds the first.
void make_slow_to_drain(random& r, plan& p) {
    constexpr std::uint32_t shortest = 131'072;
    p.in_balance = balance::always_same;
    p.server.receive_window = 8192;
    p.server_take_us = static_cast<std::uint32_t>(r.between(100'000, 1'000'000));
    for (proxy_plan& each : p.proxies)
        each.in.receive_window = static_cast<std::uint32_t>(r.between(shortest + 8192, 170'000));
    for (client_plan& each : p.clients) {
        each.machine.in_lifetime = shortest;
        each.machine.replace_in_below = 1;
        each.in_fragment = std::min(each.in_fragment, 8192U);
        each.request_bytes = 60'000;
        each.answer_bytes = 100;
        each.at_once = static_cast<std::uint32_t>(r.between(10, 30));
        each.pause_ms = 0;
    }
    // At another proxy each time it is the server that has to keep the third one back: IN_R1/A2
    // names a channel that becomes the server's own only with B1, behind all the first one holds.
    if (!r.once_in(2)) return;
    p.in_balance = balance::always_other;
    while (p.proxies.size() < 3) p.proxies.push_back(p.proxies.front());
}

/// A server that ends OUT-T as soon as OUT_R1/A9 is out, as nothing comes behind it. No
/// acknowledgement reaches the predecessor then, so that only what the client has room for may be
/// left there; it is the sockets that make it wait.
void make_hasty(random& r, plan& p) {
    p.server_is_hasty = true;
    p.out_balance = balance::always_other;
    if (p.proxies.size() < 2) p.proxies.push_back(p.proxies.front());
    for (proxy_plan& each : p.proxies) {
        each.out.receive_window = 8192;
        each.out.channel_lifetime = 131'072;
    }
    p.slow = {.delay_us = 1000, .more_us = 20'000, .cut = 300, .room = 700};
    p.is_quick = false;
    p.server.replace_out_below = 131'072 - r.between(20'000, 40'000);
    for (client_plan& each : p.clients) {
        each.machine.receive_window = limits::receive_window_max;
        each.machine.in_lifetime = 1U << 30U;
        each.machine.replace_in_below = 1;
        each.out_fragment = std::min(each.out_fragment, 8192U);
        each.request_bytes = 100;
        each.answer_bytes = 60'000;
        each.take_us = 0;
    }
}

/// The channels run out of lifetime before their successors are there: small PDUs with many
/// acknowledgements, which nothing but the lifetime bounds, and a long way to a successor.
void make_lopsided(random& r, plan& p) {
    constexpr std::uint32_t shortest = 131'072;
    const bool answers = !r.once_in(3); // one way, the other, or both
    const bool requests = !answers || r.once_in(4);
    const auto small = [&] {
        const std::uint32_t usual[] = {8192, 8192, 12'000, 16'384};
        return r.pick(usual);
    };
    const auto any = [&] {
        const std::uint32_t usual[] = {8192, 16'384, 65'536, 262'144};
        return r.pick(usual);
    };
    const auto late = [&]() -> std::uint64_t {
        if (r.once_in(3)) return 0;
        return r.once_in(4) ? shortest - r.between(1500, 60'000) : r.between(1, 8192);
    };
    const std::uint32_t connects[] = {200'000, 2'000'000, 10'000'000, 30'000'000, 120'000'000};
    p.successor_us = r.pick(connects);
    if (r.once_in(3)) {
        p.slow = {.delay_us = 5000, .more_us = 1'000'000, .cut = 4000, .room = 8192};
        p.is_quick = false;
    }
    // A proxy or server that expects a PDU as large as its window confirms every one.
    const bool confirms_all = answers && r.once_in(6);
    // Acknowledgements for an OUT channel that lasts use up one IN channel after the other.
    const bool lasts = answers && r.once_in(6);
    p.server.receive_window = requests ? any() : small();
    p.server.replace_out_below = late();
    std::uint32_t in_most = p.server.receive_window;
    std::uint32_t out_most = 65'528;
    for (proxy_plan& each : p.proxies) {
        each.in.receive_window = small();
        each.out.receive_window = r.once_in(3) ? any() : 65'536;
        each.out.channel_lifetime = lasts ? 1U << 30U : shortest;
        in_most = std::min(in_most, each.in.receive_window);
        out_most = std::min(out_most, each.out.receive_window);
    }
    const std::uint32_t takes[] = {0, 0, 50, 2000, 100'000, 1'000'000, 3'000'000};
    p.server_take_us = r.pick(takes);
    for (client_plan& each : p.clients) {
        each.machine.receive_window = small();
        each.machine.in_lifetime = shortest;
        each.machine.replace_in_below = late();
        out_most = std::min(out_most, each.machine.receive_window / 2);
        const auto fragment = [&](std::uint32_t most) {
            const std::uint32_t usual[] = {most, most, std::min(most, 5840U), 1432U};
            return r.pick(usual);
        };
        each.in_fragment = confirms_all ? in_most : fragment(in_most);
        each.out_fragment = confirms_all ? out_most : fragment(out_most);
        const auto piece = [&] {
            const std::uint32_t usual[] = {48, 120, 300, 1000, 0};
            return r.pick(usual);
        };
        if (answers) each.out_piece = piece();
        if (requests) each.in_piece = piece();
        each.request_bytes = requests ? 20'000 : 100;
        each.answer_bytes = answers ? 20'000 : 100;
        each.at_once = static_cast<std::uint32_t>(r.between(1, 30));
        each.pause_ms = 0;
        each.take_us = r.pick(takes);
    }
}

/// A client stops while a predecessor of OUT-H still writes: only a deadline ends that one, since
/// the server has let go of it and a full socket is no failure.
void make_client_stop(random& r, plan& p) {
    make_hasty(r, p);
    p.clients.resize(1);
    p.faults = {{r.between(100, 3000), fault::client_stalls}};
}

/// More answers are open than the reserve of an IN channel has acknowledgements for, an OUT channel
/// that lasts lets them come, and the IN channel's successor is long in coming: nothing is left of
/// the predecessor but the room of IN_R*/A5.
void make_hungry(random& r, plan& p) {
    constexpr std::uint32_t shortest = 131'072;
    constexpr std::uint64_t enough = 6; // each takes megabytes of answers
    p.recycles = std::min(p.recycles, enough);
    p.successor_us = 20'000'000;
    p.answer_us = 0;
    for (proxy_plan& each : p.proxies) {
        each.out.receive_window = 65'536;
        each.out.channel_lifetime = 1U << 30U;
    }
    for (client_plan& each : p.clients) {
        each.machine.receive_window = limits::receive_window_min;
        each.machine.in_lifetime = shortest;
        each.machine.replace_in_below = 1;
        each.out_fragment = limits::receive_window_min / 2;
        each.request_bytes = 1000;
        each.answer_bytes = 60'000;
        each.at_once = static_cast<std::uint32_t>(r.between(60, 150));
        each.pause_ms = 0;
        each.long_pause_once_in = 0;
        each.take_us = 0;
    }
}

} // namespace

plan draw_plan(std::uint64_t seed, std::uint64_t recycles) {
    random usual(seed * 2 + 1);
    plan p = draw_usual(usual);
    p.seed = seed;
    p.recycles = recycles;
    random more(mix(seed) * 2);
    p.sends_when_told = more.once_in(3);
    if (more.once_in(4)) make_lopsided(more, p);
    random rare(mix(seed) * 2 + 1);
    if (rare.once_in(24))
        make_slow_to_drain(rare, p);
    else if (rare.once_in(24))
        make_hasty(rare, p);
    else if (rare.once_in(24))
        make_hungry(rare, p);
    else if (rare.once_in(24))
        make_client_stop(rare, p);
    return p;
}

} // namespace sim
