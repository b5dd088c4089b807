#ifndef RPCH_BENCH_SUPPORT_PEER_ROW_HPP
#define RPCH_BENCH_SUPPORT_PEER_ROW_HPP

#include "bench/support/rounds.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace bench {

/// A program that a benchmark started: its standard input and output are pipes of ours. It ends by
/// SIGTERM with this object, or with the death of this process.
class child {
  public:
    /// @throws std::runtime_error if it cannot be started.
    explicit child(const std::vector<std::string>& words);
    child(const child&) = delete;
    child& operator=(const child&) = delete;
    ~child();

    [[nodiscard]] pid_t process() const noexcept { return process_; }
    /// @throws std::runtime_error if the program is gone.
    void write(const void* from, std::size_t bytes) const;
    void read(void* to, std::size_t bytes) const;
    /// The next line, without its end.
    [[nodiscard]] std::string line() const;

  private:
    pid_t process_ = 0;
    int input_ = -1, output_ = -1;
};

/// @return the calling side of a program that is a main around answer_windows, as row::run; the
///         child outlives it.
[[nodiscard]] std::function<void(std::size_t calls, latencies& out)>
windows_of(const child& caller);

/// A peer that is measured beside us: `PROGRAM serve` prints "listening on 127.0.0.1:PORT" as its
/// first line, `PROGRAM call PORT BYTES OUTSTANDING` is a main around answer_windows. The CPU time
/// of both counts, ours does not. Make it before the first thread of the program.
class peer_row {
  public:
    peer_row(const std::string& program, std::size_t payload_bytes, std::size_t outstanding);

    /// As a row of the harness; this object outlives the row.
    [[nodiscard]] row as_row(std::string name);

  private:
    std::size_t payload_bytes_;
    child server_;
    child caller_;
};

/// The calling side of a peer: reads the number of calls of a window (64 bits, this machine's byte
/// order) from standard input, makes them, and writes as many latencies to standard output; until
/// the end of input.
void answer_windows(const std::function<void(std::size_t calls, latencies& out)>& run);

} // namespace bench

#endif
