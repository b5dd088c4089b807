#ifndef RPCH_BENCH_E2E_CALLER_HPP
#define RPCH_BENCH_E2E_CALLER_HPP

#include "bench/support/rounds.hpp"

#include <rpch/client/client.hpp>

#include <asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace bench {

/// Octets that are not all alike.
inline std::vector<std::byte> pattern(std::size_t bytes) {
    std::vector<std::byte> out(bytes);
    for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<std::byte>(i * 7);
    return out;
}

/// Calls one operation through one connection, so many calls at a time.
class caller {
  public:
    struct settings {
        std::string binding;
        rpch::client_options options{};
        rpch::interface_id interface { "f3a1c7d2-5a0e-4c2b-9d57-1f2e3a4b5c6d", 1, 0 };
        std::uint16_t opnum = 0;
        std::vector<std::byte> request{}; ///< stub data
        std::vector<std::byte> answer{};  ///< what the server has to say to it
        std::size_t outstanding = 1;
    };

    explicit caller(settings with) : with_(std::move(with)) {}

    /// Makes `calls` calls; see row::run. Connects when called for the first time.
    void run(std::size_t calls, latencies& out) {
        if (!client_) connect();
        out_ = &out;
        unsent_ = unanswered_ = calls;
        for (std::size_t i = 0; i < with_.outstanding && unsent_ != 0; ++i) issue();
        io_.restart();
        while (unanswered_ != 0 && io_.run_one() != 0) {
        }
        if (!error_.empty()) throw std::runtime_error(with_.binding + ": " + error_);
    }

    /// As a row of the harness; this object outlives the row.
    /// @param processes  those whose CPU time belongs to the calls, beside this one.
    [[nodiscard]] row as_row(std::string name, std::vector<pid_t> processes,
                             std::size_t bytes_per_call) {
        return {.name = std::move(name),
                .run = [this](std::size_t calls, latencies& out) { run(calls, out); },
                .processes = std::move(processes),
                .bytes_per_call = bytes_per_call};
    }

  private:
    using clock = std::chrono::steady_clock;

    void connect() {
        with_.options.executor = io_.get_executor();
        rpch::failure why;
        auto started = rpch::client::start(with_.binding, with_.options, why);
        if (!started) throw std::runtime_error(why.to_string());
        client_ = std::move(*started);
        bool bound = false;
        client_->async_bind<rpch::failure>(with_.interface,
                                           [&](const rpch::failure& f, std::uint16_t context) {
                                               if (f) error_ = f.to_string();
                                               context_ = context;
                                               bound = true;
                                           });
        while (!bound && io_.run_one() != 0) {
        }
        if (!error_.empty()) throw std::runtime_error(with_.binding + ": " + error_);
    }

    void issue() {
        --unsent_;
        const auto start = clock::now();
        client_->async_call_raw<rpch::failure>(
            context_, with_.opnum, with_.request,
            [this, start](const rpch::failure& f, const rpch::raw_response& r) {
                --unanswered_;
                if (f || r.stub != with_.answer) {
                    error_ = f ? f.to_string() : "not the answer that was expected";
                    unanswered_ = unsent_ = 0;
                    return;
                }
                const auto took = clock::now() - start;
                out_->push_back(static_cast<std::uint32_t>(
                    std::chrono::duration_cast<std::chrono::nanoseconds>(took).count()));
                if (unsent_ != 0) issue();
            });
    }

    settings with_;
    asio::io_context io_{1};
    std::optional<rpch::client> client_;
    std::string error_;
    latencies* out_ = nullptr;
    std::size_t unsent_ = 0;
    std::size_t unanswered_ = 0;
    std::uint16_t context_ = 0;
};

} // namespace bench

#endif
