// rpch-sim: runs seeds, replays one.
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>

#include "tests/sim/cases.hpp"
#include "tests/sim/idle.hpp"
#include "tests/sim/world.hpp"

namespace {

struct options {
    std::uint64_t from = 1;
    std::uint64_t seeds = 1000;
    std::uint64_t recycles = 50;
    std::uint64_t failures_max = 10;
    std::uint64_t of_each_kind = 0; ///< Replacements a run must have at least.
    bool trace = false;
    bool idle = false;
    bool cases = false;
    std::string part; ///< Of the names of cases.
};

int usage() {
    std::puts(
        "rpch-sim --seed N [--trace]\n"
        "rpch-sim --seeds N [--from M] [--recycles-at-least R of a seed] [--failures-at-most F]\n"
        "         [--replacements-of-each K]\n"
        "rpch-sim --idle [--trace]\n"
        "rpch-sim --cases [--trace]\n"
        "rpch-sim --case PART [--trace]");
    return 2;
}

/// @return the number; ends the program with 2 if it is none.
std::uint64_t number_or_exit(std::string_view option, std::string_view text) {
    std::uint64_t out = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (failure == std::errc{} && end == text.data() + text.size()) return out;
    std::fprintf(stderr, "rpch-sim: %s takes a number, not \"%s\"\n", std::string(option).c_str(),
                 std::string(text).c_str());
    std::exit(2);
}

/// The seed that runs, for assertions.
std::uint64_t running = 0;

[[noreturn]] void on_assertion() {
    std::printf("seed %llu: an assertion does not hold\n",
                static_cast<unsigned long long>(running));
    std::fflush(stdout);
    std::abort();
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
            return number_or_exit(what, argv[++i]);
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
        else if (what == "--replacements-of-each")
            o.of_each_kind = number();
        else if (what == "--trace")
            o.trace = true;
        else if (what == "--idle")
            o.idle = true;
        else if (what == "--cases")
            o.cases = true;
        else if (what == "--case" && i + 1 < argc) {
            o.cases = true;
            o.part = argv[++i];
        } else
            return usage();
    }
    if (!o.idle && !o.cases && o.seeds == 0) {
        std::fputs("rpch-sim: no seed to run\n", stderr);
        return 2;
    }
    std::set_terminate(on_assertion);
    if (o.idle) {
        const std::string wrong = sim::run_idle(o.trace);
        std::puts(wrong.empty() ? "24 idle hours: as the timers imply" : wrong.c_str());
        return wrong.empty() ? 0 : 1;
    }
    if (o.cases) {
        const std::size_t count = sim::count_cases(o.part);
        if (count == 0) {
            std::fputs("rpch-sim: no case has such a name\n", stderr);
            return 2;
        }
        const std::string wrong = sim::run_cases(o.part, o.trace);
        std::printf(wrong.empty() ? "%s%zu cases: as they must end\n" : "%sof %zu cases\n",
                    wrong.c_str(), count);
        return wrong.empty() ? 0 : 1;
    }
    const auto begin = std::chrono::steady_clock::now();
    sim::statistics all;
    for (std::uint64_t seed = o.from; seed < o.from + o.seeds; ++seed) {
        running = seed;
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
    if (all.failures != 0) return 1;
    // A run that replaces nothing checks nothing.
    constexpr std::array kinds{"IN_R1", "IN_R2", "OUT_R1", "OUT_R2"};
    bool enough = true;
    for (std::size_t i = 0; i < kinds.size(); ++i)
        if (all.recycles[i] < o.of_each_kind) {
            std::printf("too few replacements: %s %llu\n", kinds[i],
                        static_cast<unsigned long long>(all.recycles[i]));
            enough = false;
        }
    return enough ? 0 : 1;
}
