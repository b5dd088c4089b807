// Opens many virtual connections, leaves them idle, and then makes a call on each.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include <rpch/client/client.hpp>
#include <rpch/services/rpcecho.hpp>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

namespace {

using std::chrono::steady_clock;

/// Connections that are being opened at the same time.
constexpr std::size_t opening_max = 64;

class holder {
  public:
    holder(asio::io_context& io, std::string binding, std::size_t wanted, std::chrono::seconds idle)
        : io_(io), binding_(std::move(binding)), wanted_(wanted), idle_(idle), timer_(io) {}

    int run() {
        for (std::size_t i = 0; i < std::min(wanted_, opening_max); ++i) open();
        io_.run();
        return failed_ ? 1 : 0;
    }

  private:
    struct connection {
        rpch::client client;
        std::uint16_t context = 0;
    };

    void open() {
        if (failed_ || connections_.size() == wanted_) return;
        rpch::client_options options;
        options.executor = io_.get_executor();
        rpch::failure why;
        auto started = rpch::client::start(binding_, std::move(options), why);
        if (!started) return fail(why);
        connection& made = connections_.emplace_back();
        made.client = std::move(*started);
        made.client.async_bind<rpch::failure>(
            rpch::services::rpcecho::id,
            [this, &made](const rpch::failure& bad, std::uint16_t context) {
                if (bad) return fail(bad);
                made.context = context;
                if (++open_ == wanted_)
                    rest();
                else
                    open();
            });
    }
    /// Says when the idle time begins and ends; whoever started this looks at the others meanwhile.
    void rest() {
        std::printf("open\n");
        std::fflush(stdout);
        timer_.expires_after(idle_);
        timer_.async_wait([this](std::error_code ec) {
            if (ec || failed_) return;
            std::printf("idle time is over\n");
            std::fflush(stdout);
            call();
        });
    }
    /// One call after the other, AddOne on each connection.
    void call() {
        if (latencies_.size() == connections_.size()) return finish();
        connection& on = connections_[latencies_.size()];
        const auto start = steady_clock::now();
        on.client.async_call_raw<rpch::failure>(
            on.context, 0, std::vector<std::byte>{std::byte{41}, {}, {}, {}},
            [this, start](const rpch::failure& bad, const rpch::raw_response& answer) {
                if (bad) return fail(bad);
                if (answer.stub.size() != 4 || answer.stub[0] != std::byte{42}) {
                    rpch::failure wrong;
                    wrong.detail = "AddOne(41) is something else";
                    wrong.code = rpch::errc::call_fault;
                    return fail(wrong);
                }
                latencies_.push_back(steady_clock::now() - start);
                call();
            });
    }
    void finish() {
        std::sort(latencies_.begin(), latencies_.end());
        const auto us = [this](std::size_t percent) {
            return std::chrono::duration<double, std::micro>(
                       latencies_[(latencies_.size() - 1) * percent / 100])
                .count();
        };
        std::printf("{\"connections\": %zu, \"p50_us\": %.0f, \"p99_us\": %.0f}\n",
                    latencies_.size(), us(50), us(99));
        connections_.clear();
    }
    void fail(const rpch::failure& why) {
        if (std::exchange(failed_, true)) return;
        std::fprintf(stderr, "soak_idle: connection %zu of %zu: %s\n", open_, wanted_,
                     why.to_string().c_str());
        timer_.cancel();
        connections_.clear();
    }

    asio::io_context& io_;
    std::string binding_;
    std::size_t wanted_;
    std::chrono::seconds idle_;
    asio::steady_timer timer_;
    std::deque<connection> connections_;
    std::vector<steady_clock::duration> latencies_;
    std::size_t open_ = 0;
    bool failed_ = false;
};

} // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "usage: soak_idle BINDING CONNECTIONS SECONDS\n");
        return 2;
    }
    asio::io_context io(1);
    holder all(io, argv[1], std::strtoul(argv[2], nullptr, 10),
               std::chrono::seconds(std::strtol(argv[3], nullptr, 10)));
    return all.run();
}
