// rpch-sim: runs seeds, replays one.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/sim/idle.hpp"
#include "tests/sim/world.hpp"

namespace {

struct options {
    std::uint64_t from = 1;
    std::uint64_t seeds = 1000;
    std::uint64_t recycles = 50;
    std::uint64_t failures_max = 10;
    bool trace = false;
    bool idle = false;
};

int usage() {
    std::puts(
        "rpch-sim --seed N [--trace]\n"
        "rpch-sim --seeds N [--from M] [--recycles-at-least R of a seed] [--failures-at-most F]\n"
        "rpch-sim --idle [--trace]");
    return 2;
}

void print(const sim::statistics& all, double seconds) {
    const auto n = [](std::uint64_t x) { return static_cast<unsigned long long>(x); };
    std::printf("seeds %llu, steps %llu, seconds %.1f\n", n(all.worlds), n(all.steps), seconds);
    std::printf("recycles %llu: IN_R1 %llu, IN_R2 %llu, OUT_R1 %llu, OUT_R2 %llu; IN and OUT at "
                "once %llu, successors that waited %llu\n",
                n(all.all_recycles()), n(all.recycles[0]), n(all.recycles[1]), n(all.recycles[2]),
                n(all.recycles[3]), n(all.both_at_once), n(all.waited));
    std::printf("virtual connections %llu, calls %llu, failed with their connection %llu, bytes "
                "%llu\n",
                n(all.opened), n(all.calls), n(all.calls_failed), n(all.bytes));
    std::printf("faults:");
    for (std::size_t i = 0; i < sim::fault_kinds; ++i)
        std::printf("%s %s %llu", i == 0 ? "" : ",",
                    std::string(sim::name(static_cast<sim::fault>(i))).c_str(), n(all.faults[i]));
    std::printf("\nmost bytes in a proxy's queue %llu\nfailures %llu\n", n(all.most_queued),
                n(all.failures));
}

} // namespace

int main(int argc, char** argv) {
    options o;
    for (int i = 1; i < argc; ++i) {
        const std::string_view what = argv[i];
        const auto number = [&]() -> std::uint64_t {
            if (i + 1 == argc) std::exit(usage());
            return std::strtoull(argv[++i], nullptr, 10);
        };
        if (what == "--seed") {
            o.from = number();
            o.seeds = 1;
        } else if (what == "--seeds")
            o.seeds = number();
        else if (what == "--from")
            o.from = number();
        else if (what == "--recycles-at-least")
            o.recycles = number();
        else if (what == "--failures-at-most")
            o.failures_max = number();
        else if (what == "--trace")
            o.trace = true;
        else if (what == "--idle")
            o.idle = true;
        else
            return usage();
    }
    if (o.idle) {
        const std::string wrong = sim::run_idle(o.trace);
        std::puts(wrong.empty() ? "24 idle hours: as the timers imply" : wrong.c_str());
        return wrong.empty() ? 0 : 1;
    }
    const auto begin = std::chrono::steady_clock::now();
    sim::statistics all;
    for (std::uint64_t seed = o.from; seed < o.from + o.seeds; ++seed) {
        const sim::plan plan = sim::draw_plan(seed, o.recycles);
        sim::world world(plan, o.trace);
        const std::string wrong = world.run();
        all.add(world.seen());
        if (!wrong.empty()) {
            std::printf("%s\n", wrong.c_str());
            std::fflush(stdout);
            if (all.failures >= o.failures_max) break;
        }
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    print(all, took.count());
    return all.failures == 0 ? 0 : 1;
}
