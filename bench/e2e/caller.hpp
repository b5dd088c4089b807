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

/// Echoes octets through one connection, so many calls at a time.
class echo_caller {
  public:
    struct settings {
        std::string binding;
        rpch::client_options options;
        std::size_t payload_bytes = 32;
        std::size_t outstanding = 1;
    };

    explicit echo_caller(settings with) : with_(std::move(with)), payload_(with_.payload_bytes) {
        for (std::size_t i = 0; i < payload_.size(); ++i)
            payload_[i] = static_cast<std::byte>(i * 7);
    }

    /// Makes `calls` calls; see row::run. Connects when called for the first time.
    void run(std::size_t calls, latencies& out) {
        // A channel carries 1 GiB; a window stays far below the half of it.
        if (client_ && carried_ > (std::size_t{512} << 20)) client_.reset();
        if (!client_) connect();
        carried_ += calls * with_.payload_bytes;
        out_ = &out;
        unsent_ = unanswered_ = calls;
        for (std::size_t i = 0; i < with_.outstanding && unsent_ != 0; ++i) issue();
        io_.restart();
        while (unanswered_ != 0 && io_.run_one() != 0) {
        }
        if (!error_.empty()) throw std::runtime_error("rpch: " + error_);
    }

  private:
    using clock = std::chrono::steady_clock;

    void connect() {
        carried_ = 0;
        with_.options.executor = io_.get_executor();
        rpch::failure why;
        auto started = rpch::client::start(with_.binding, with_.options, why);
        if (!started) throw std::runtime_error(why.to_string());
        client_ = std::move(*started);
        const rpch::interface_id id{"f3a1c7d2-5a0e-4c2b-9d57-1f2e3a4b5c6d", 1, 0};
        bool bound = false;
        client_->async_bind<rpch::failure>(id, [&](const rpch::failure& f, std::uint16_t context) {
            if (f) error_ = f.to_string();
            context_ = context;
            bound = true;
        });
        while (!bound && io_.run_one() != 0) {
        }
        if (!error_.empty()) throw std::runtime_error("rpch: " + error_);
    }

    void issue() {
        --unsent_;
        const auto start = clock::now();
        client_->async_call_raw<rpch::failure>(
            context_, 0, payload_,
            [this, start](const rpch::failure& f, const rpch::raw_response& r) {
                --unanswered_;
                if (f || r.stub != payload_) {
                    error_ = f ? f.to_string() : "the answer is not the payload";
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
    std::vector<std::byte> payload_;
    std::string error_;
    latencies* out_ = nullptr;
    std::size_t carried_ = 0; // bytes each way on this connection
    std::size_t unsent_ = 0;
    std::size_t unanswered_ = 0;
    std::uint16_t context_ = 0;
};

} // namespace bench

#endif
