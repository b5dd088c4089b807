#ifndef RPCH_BENCH_SUPPORT_PLACED_HPP
#define RPCH_BENCH_SUPPORT_PLACED_HPP

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <csignal>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {

/// Where a server of a benchmark runs: the same choice for our rows and for their baselines.
enum class placement { processes, threads };

/// What a set-up function hands back: the ports it listens on, and whatever has to live as long as
/// the event loop runs.
struct started {
    std::vector<std::uint16_t> ports;
    std::shared_ptr<void> keep;
};

/// A server with an event loop of its own, in a child process or in a thread.
///
/// Child processes start by fork(): make every `placed` before the first thread and the first
/// connection of the program. The child keeps no descriptor of its parent but the standard three,
/// and ends with the parent's death or with this object, whichever comes first.
class placed {
  public:
    /// Starts `set_up` with a fresh io_context, in the given place, and waits for its ports.
    /// @throws std::runtime_error if the set-up fails.
    placed(placement where, std::function<started(asio::io_context&)> set_up) {
        if (where == placement::processes)
            start_process(set_up);
        else
            start_thread(std::move(set_up));
    }
    placed(const placed&) = delete;
    placed& operator=(const placed&) = delete;
    ~placed() {
        if (process_ > 0) {
            ::kill(process_, SIGTERM);
            ::waitpid(process_, nullptr, 0);
        }
        if (loop_) loop_->stop();
        if (thread_.joinable()) thread_.join();
    }

    [[nodiscard]] std::uint16_t port(std::size_t index = 0) const { return ports_.at(index); }

    /// The child's process id, for its CPU time; 0 when it is a thread of this process, whose time
    /// counts as this process's own.
    [[nodiscard]] pid_t process() const noexcept { return process_; }

  private:
    void start_process(const std::function<started(asio::io_context&)>& set_up) {
        int ends[2];
        if (::pipe(ends) != 0) throw std::runtime_error("pipe");
        process_ = ::fork();
        if (process_ < 0) throw std::runtime_error("fork");
        if (process_ == 0) run_child(set_up, ends[1]);
        ::close(ends[1]);
        std::uint16_t count = 0;
        bool good = read_whole(ends[0], &count, sizeof count);
        ports_.resize(count);
        good = good && read_whole(ends[0], ports_.data(), count * sizeof ports_[0]);
        ::close(ends[0]);
        if (good) return;
        ::waitpid(process_, nullptr, 0);
        throw std::runtime_error("a server of the benchmark did not start");
    }

    [[noreturn]] static void run_child(const std::function<started(asio::io_context&)>& set_up,
                                       int report) {
        ::dup2(report, 3);
        ::close_range(4, ~0U, 0);
        std::signal(SIGTERM, SIG_DFL);
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        try {
            asio::io_context loop{1};
            const started here = set_up(loop);
            const auto count = static_cast<std::uint16_t>(here.ports.size());
            if (::write(3, &count, sizeof count) < 0) ::_exit(1);
            if (::write(3, here.ports.data(), count * sizeof here.ports[0]) < 0) ::_exit(1);
            ::close(3);
            loop.run();
        } catch (...) {
            ::_exit(1);
        }
        ::_exit(0);
    }

    static bool read_whole(int from, void* to, std::size_t bytes) {
        auto* at = static_cast<char*>(to);
        while (bytes != 0) {
            const auto got = ::read(from, at, bytes);
            if (got <= 0) return false;
            at += got;
            bytes -= static_cast<std::size_t>(got);
        }
        return true;
    }

    void start_thread(std::function<started(asio::io_context&)> set_up) {
        loop_ = std::make_unique<asio::io_context>(1);
        here_ = set_up(*loop_);
        ports_ = here_.ports;
        work_.emplace(loop_->get_executor());
        thread_ = std::thread{[loop = loop_.get()] { loop->run(); }};
    }

    std::vector<std::uint16_t> ports_;
    pid_t process_ = 0;
    std::unique_ptr<asio::io_context> loop_; // outlives what waits on it
    started here_;
    std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_;
    std::thread thread_;
};

} // namespace bench

#endif
