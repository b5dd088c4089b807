#ifndef RPCH_BENCH_SUPPORT_ROUNDS_HPP
#define RPCH_BENCH_SUPPORT_ROUNDS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace bench {

/// The time of each call of a window, in nanoseconds; a row appends one entry per call.
using latencies = std::vector<std::uint32_t>;

/// One line of the table: something that makes calls and is measured window by window.
struct row {
    std::string name; ///< unique; comparisons refer to it
    /// Makes exactly `calls` calls, waits for their answers, proves them right, and appends the
    /// time of each. Throws to fail the whole run. It keeps its connections from window to window.
    std::function<void(std::size_t calls, latencies& out)> run;
    /// Processes whose CPU time belongs to the calls, beside (own_cpu) this one.
    std::vector<pid_t> processes = {};
    bool own_cpu = true;
    std::size_t bytes_per_call = 0; ///< payload in both directions together, for MB/s; 0: not shown
    std::size_t calls_per_window = 0; ///< 0: found so that a window takes options.window
};

enum class metric { calls_per_second, p50, p99, cpu_per_call };

/// A goal: the median over the rounds of (ours / theirs) against a limit.
struct comparison {
    std::string title; ///< such as "row 5: calls/s"
    std::string ours, theirs;
    metric what = metric::calls_per_second;
    double goal = 1.0; ///< calls_per_second: at least this ratio; the others: at most
};

struct options {
    int rounds = 21;
    std::chrono::milliseconds window{200};
    double stolen_max = 0.10; ///< a window with a larger share of stolen time is dropped
    int windows_min = 7;      ///< with fewer windows left there is no verdict
    std::string json;         ///< file for the figures; empty: none
};

/// What one window of one row gave.
struct window {
    double calls_per_second = 0;
    double p50_us = 0;
    double p99_us = 0;
    double cpu_us_per_call = 0;
    double stolen = 0; ///< share of the machine's time, 0 to 1
    bool kept = false;
};

enum class verdict { reached, missed, none };

struct ratio {
    comparison of;
    double median = 0, min = 0, max = 0;
    std::size_t windows = 0; ///< rounds in which both sides were kept
    verdict said = verdict::none;
};

struct report {
    std::vector<std::string> names;
    std::vector<std::size_t> bytes_per_call;
    std::vector<std::vector<window>> windows; ///< [row][round]
    std::vector<ratio> ratios;
};

/// Measures all rows in turn, round after round, so that a slow minute of the machine falls on
/// every row alike; each round starts with another row. Windows in which the machine's other
/// tenants took more than options.stolen_max are dropped, and a ratio is taken only within a round.
/// @throws std::invalid_argument for a comparison with an unknown row, and whatever a row throws.
report run_rounds(const std::vector<row>& rows, const std::vector<comparison>& comparisons,
                  const options& with);

/// Prints the machine, the rows (median, and min to max) and the ratios.
void print(const report& what, std::ostream& out);

/// Writes the same as JSON, with every window.
void print_json(const report& what, std::ostream& out);

/// run_rounds, print to stdout, and the JSON file if one is asked for.
/// @return 0 if every comparison was reached or has no verdict, else 1.
int run_and_print(const std::vector<row>& rows, const std::vector<comparison>& comparisons,
                  const options& with);

/// Reads --rounds N, --window MILLISECONDS and --json FILE, and leaves other words to the caller.
/// @throws std::invalid_argument for a number that is none.
options read_options(std::vector<std::string>& words);

} // namespace bench

#endif
