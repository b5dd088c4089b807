#include "bench/support/rounds.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace bench {
namespace {

using clock = std::chrono::steady_clock;

double seconds(const timespec& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

/// CPU time of another process so far; its clock is finer than the ticks of /proc/PID/stat.
double cpu_of(pid_t process) {
    clockid_t id{};
    timespec t{};
    if (::clock_getcpuclockid(process, &id) != 0 || ::clock_gettime(id, &t) != 0)
        throw std::runtime_error("a process of the benchmark is gone");
    return seconds(t);
}

double own_cpu() {
    timespec t{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return seconds(t);
}

double cpu_of(const row& r) {
    double sum = r.own_cpu ? own_cpu() : 0.0;
    for (const pid_t process : r.processes)
        if (process > 0) sum += cpu_of(process);
    return sum;
}

/// The machine's ticks since boot: all of them, and those taken by other guests of the host.
struct ticks {
    double all = 0, stolen = 0;
};

ticks machine_ticks() {
    std::ifstream in{"/proc/stat"};
    std::string word;
    in >> word; // "cpu": user nice system idle iowait irq softirq steal; guest times are in user
    ticks t;
    for (int field = 0; field < 8; ++field) {
        double value = 0;
        if (!(in >> value)) break;
        t.all += value;
        if (field == 7) t.stolen = value;
    }
    return t;
}

double percentile(latencies& of, double share) {
    const auto last = static_cast<double>(of.size() - 1);
    const auto at = of.begin() + static_cast<std::ptrdiff_t>(std::llround(last * share));
    std::nth_element(of.begin(), at, of.end());
    return *at / 1e3;
}

window measure(const row& r, std::size_t calls, const options& with, latencies& scratch) {
    scratch.clear();
    const ticks before = machine_ticks();
    const double cpu = cpu_of(r);
    const auto start = clock::now();
    r.run(calls, scratch);
    const std::chrono::duration<double> wall = clock::now() - start;
    const double cpu_used = cpu_of(r) - cpu;
    const ticks after = machine_ticks();
    if (scratch.size() != calls) throw std::logic_error(r.name + ": not every call was timed");
    window w;
    w.calls_per_second = static_cast<double>(calls) / wall.count();
    w.p50_us = percentile(scratch, 0.50);
    w.p99_us = percentile(scratch, 0.99);
    w.cpu_us_per_call = cpu_used * 1e6 / static_cast<double>(calls);
    w.stolen =
        after.all > before.all ? (after.stolen - before.stolen) / (after.all - before.all) : 0;
    w.kept = w.stolen <= with.stolen_max;
    return w;
}

/// So many calls that they take about one window; also warms the row up.
std::size_t calls_for_a_window(const row& r, const options& with, latencies& scratch) {
    std::size_t calls = 64;
    for (;;) {
        scratch.clear();
        const auto start = clock::now();
        r.run(calls, scratch);
        const std::chrono::duration<double> wall = clock::now() - start;
        const std::chrono::duration<double> wanted = with.window;
        if (wall >= wanted / 4) {
            const double scaled = static_cast<double>(calls) * (wanted / wall);
            return std::max<std::size_t>(64, static_cast<std::size_t>(scaled));
        }
        calls *= 4;
    }
}

double value(const window& w, metric what) {
    switch (what) {
    case metric::calls_per_second: return w.calls_per_second;
    case metric::p50: return w.p50_us;
    case metric::p99: return w.p99_us;
    case metric::cpu_per_call: return w.cpu_us_per_call;
    }
    return 0;
}

struct spread {
    double median = 0, min = 0, max = 0;
};

spread spread_of(std::vector<double> values) {
    if (values.empty()) return {};
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    const double median =
        values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
    return {median, values.front(), values.back()};
}

spread spread_of(const std::vector<window>& windows, metric what) {
    std::vector<double> values;
    for (const window& w : windows)
        if (w.kept) values.push_back(value(w, what));
    return spread_of(std::move(values));
}

std::size_t index_of(const std::vector<row>& rows, const std::string& name) {
    const auto found =
        std::find_if(rows.begin(), rows.end(), [&](const row& r) { return r.name == name; });
    if (found == rows.end()) throw std::invalid_argument("no row is named " + name);
    return static_cast<std::size_t>(found - rows.begin());
}

ratio compare(const comparison& c, const std::vector<window>& ours,
              const std::vector<window>& theirs, const options& with) {
    std::vector<double> ratios;
    for (std::size_t round = 0; round < ours.size(); ++round) {
        const double below = value(theirs[round], c.what);
        if (ours[round].kept && theirs[round].kept && below > 0)
            ratios.push_back(value(ours[round], c.what) / below);
    }
    const spread s = spread_of(ratios);
    ratio out{.of = c, .median = s.median, .min = s.min, .max = s.max, .windows = ratios.size()};
    if (ratios.size() < static_cast<std::size_t>(std::max(1, with.windows_min))) return out;
    const bool more_is_better = c.what == metric::calls_per_second;
    const bool good = more_is_better ? s.median >= c.goal : s.median <= c.goal;
    out.said = good ? verdict::reached : verdict::missed;
    return out;
}

std::string number(double v) {
    std::ostringstream out;
    out << std::fixed << std::setprecision(v < 10 ? 2 : v < 100 ? 1 : 0) << v;
    return out.str();
}

std::string ranged(const spread& s) {
    return number(s.median) + " (" + number(s.min) + ".." + number(s.max) + ")";
}

const char* word(verdict v) {
    switch (v) {
    case verdict::reached: return "reached";
    case verdict::missed: return "missed";
    case verdict::none: return "no verdict";
    }
    return "";
}

std::string machine() {
    utsname name{};
    ::uname(&name);
    std::string cpu = "unknown processor";
    std::ifstream in{"/proc/cpuinfo"};
    for (std::string line; std::getline(in, line);)
        if (line.starts_with("model name")) {
            cpu = line.substr(line.find(':') + 2);
            break;
        }
    std::ostringstream out;
    out << cpu << ", " << std::thread::hardware_concurrency() << " cores, " << name.sysname << ' '
        << name.release << ", compiler " << __VERSION__;
#if !defined(__OPTIMIZE__)
    out << ", NOT OPTIMIZED: the figures mean nothing";
#endif
    return out.str();
}

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

} // namespace

report run_rounds(const std::vector<row>& rows, const std::vector<comparison>& comparisons,
                  const options& with) {
    for (const comparison& c : comparisons) { // a misspelt name fails before the long run
        index_of(rows, c.ours);
        index_of(rows, c.theirs);
    }
    latencies scratch;
    std::vector<std::size_t> calls;
    report out;
    for (const row& r : rows) {
        calls.push_back(r.calls_per_window != 0 ? r.calls_per_window
                                                : calls_for_a_window(r, with, scratch));
        out.names.push_back(r.name);
        out.bytes_per_call.push_back(r.bytes_per_call);
    }
    out.windows.resize(rows.size());
    for (int round = 0; round < with.rounds; ++round)
        for (std::size_t step = 0; step < rows.size(); ++step) {
            const std::size_t at = (static_cast<std::size_t>(round) + step) % rows.size();
            out.windows[at].push_back(measure(rows[at], calls[at], with, scratch));
        }
    for (const comparison& c : comparisons)
        out.ratios.push_back(compare(c, out.windows[index_of(rows, c.ours)],
                                     out.windows[index_of(rows, c.theirs)], with));
    return out;
}

void print(const report& what, std::ostream& out) {
    out << "machine: " << machine() << "\n\n"
        << "| row | calls/s | p50 us | p99 us | CPU us/call | MB/s | windows kept |\n"
        << "| --- | --- | --- | --- | --- | --- | --- |\n";
    for (std::size_t at = 0; at < what.names.size(); ++at) {
        const std::vector<window>& windows = what.windows[at];
        const auto kept =
            std::count_if(windows.begin(), windows.end(), [](const window& w) { return w.kept; });
        const spread calls = spread_of(windows, metric::calls_per_second);
        out << "| " << what.names[at] << " | " << ranged(calls) << " | "
            << ranged(spread_of(windows, metric::p50)) << " | "
            << ranged(spread_of(windows, metric::p99)) << " | "
            << ranged(spread_of(windows, metric::cpu_per_call)) << " | ";
        if (what.bytes_per_call[at] != 0)
            out << number(calls.median * static_cast<double>(what.bytes_per_call[at]) / 1e6);
        out << " | " << kept << " of " << windows.size() << " |\n";
    }
    if (what.ratios.empty()) return;
    out << "\n| goal | ours | against | ratio | min..max | wanted | verdict |\n"
        << "| --- | --- | --- | --- | --- | --- | --- |\n";
    for (const ratio& r : what.ratios) {
        const char* sign = r.of.what == metric::calls_per_second ? ">= " : "<= ";
        out << "| " << r.of.title << " | " << r.of.ours << " | " << r.of.theirs << " | "
            << number(r.median) << " | " << number(r.min) << ".." << number(r.max) << " | " << sign
            << number(r.of.goal) << " | " << word(r.said) << " (" << r.windows << " rounds) |\n";
    }
}

void print_json(const report& what, std::ostream& out) {
    out << "{\"machine\": " << quoted(machine()) << ",\n \"rows\": [";
    for (std::size_t at = 0; at < what.names.size(); ++at) {
        out << (at == 0 ? "\n" : ",\n") << "  {\"name\": " << quoted(what.names[at])
            << ", \"bytes_per_call\": " << what.bytes_per_call[at] << ", \"windows\": [";
        const char* between = "";
        for (const window& w : what.windows[at]) {
            out << between << "\n   {\"calls_per_second\": " << w.calls_per_second
                << ", \"p50_us\": " << w.p50_us << ", \"p99_us\": " << w.p99_us
                << ", \"cpu_us_per_call\": " << w.cpu_us_per_call << ", \"stolen\": " << w.stolen
                << ", \"kept\": " << (w.kept ? "true" : "false") << '}';
            between = ",";
        }
        out << "]}";
    }
    out << "],\n \"ratios\": [";
    const char* between = "\n";
    for (const ratio& r : what.ratios) {
        out << between << "  {\"title\": " << quoted(r.of.title)
            << ", \"ours\": " << quoted(r.of.ours) << ", \"theirs\": " << quoted(r.of.theirs)
            << ", \"median\": " << r.median << ", \"min\": " << r.min << ", \"max\": " << r.max
            << ", \"goal\": " << r.of.goal << ", \"rounds\": " << r.windows
            << ", \"verdict\": " << quoted(word(r.said)) << '}';
        between = ",\n";
    }
    out << "]}\n";
}

int run_and_print(const std::vector<row>& rows, const std::vector<comparison>& comparisons,
                  const options& with) {
    const report result = run_rounds(rows, comparisons, with);
    print(result, std::cout);
    if (!with.json.empty()) {
        std::ofstream file{with.json};
        print_json(result, file);
        if (!file.flush()) throw std::runtime_error("cannot write " + with.json);
    }
    return std::any_of(result.ratios.begin(), result.ratios.end(),
                       [](const ratio& r) { return r.said == verdict::missed; })
               ? 1
               : 0;
}

options read_options(std::vector<std::string>& words) {
    options with;
    std::vector<std::string> others;
    const auto value_of = [&](std::size_t at) -> const std::string& {
        if (at + 1 == words.size()) throw std::invalid_argument(words[at] + " needs a value");
        return words[at + 1];
    };
    const auto number_of = [&](std::size_t at) {
        const std::string& text = value_of(at);
        int number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error != std::errc{} || end != text.data() + text.size() || number < 1)
            throw std::invalid_argument(words[at] + " needs a number, not " + text);
        return number;
    };
    for (std::size_t at = 0; at < words.size(); ++at) {
        if (words[at] == "--rounds")
            with.rounds = number_of(at++);
        else if (words[at] == "--window")
            with.window = std::chrono::milliseconds{number_of(at++)};
        else if (words[at] == "--json")
            with.json = value_of(at++);
        else
            others.push_back(words[at]);
    }
    words = std::move(others);
    return with;
}

} // namespace bench
