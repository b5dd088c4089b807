#include "service_loop.hpp"

#include <chrono>
#include <cstdio>
#include <ctime>

#include <asio/ip/address.hpp>
#include <asio/steady_timer.hpp>

#include <sys/resource.h>

#include "options.hpp"

namespace tool {

namespace {

constexpr std::chrono::milliseconds drain_step{20};

/// Waits for the end of all connections, then closes what is left.
class drain {
  public:
    drain(asio::io_context& io, const service& what) : io_(io), what_(what), timer_(io) {}

    void start() {
        until_ = std::chrono::steady_clock::now() + what_.drain_wait;
        log_line("stopping; connections open: " + std::to_string(what_.connections()) +
                 ", seconds for them to end: " + std::to_string(what_.drain_wait.count()));
        step();
    }

  private:
    void step() {
        const std::size_t open = what_.connections();
        if (open == 0 || std::chrono::steady_clock::now() >= until_) {
            if (open != 0) log_line("closing connections that are open: " + std::to_string(open));
            what_.close();
            timer_.expires_after(drain_step); // lets the last bytes out
            timer_.async_wait([this](std::error_code) { io_.stop(); });
            return;
        }
        timer_.expires_after(drain_step);
        timer_.async_wait([this](std::error_code) { step(); });
    }

    asio::io_context& io_;
    const service& what_;
    asio::steady_timer timer_;
    std::chrono::steady_clock::time_point until_{};
};

} // namespace

void log_line(const std::string& line) {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    char stamp[32] = {};
    std::strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &parts);
    std::fprintf(stderr, "%s %s\n", stamp, line.c_str());
}

void raise_open_files() {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    const rlim_t before = files.rlim_cur;
    files.rlim_cur = files.rlim_max;
    if (before != files.rlim_max && ::setrlimit(RLIMIT_NOFILE, &files) != 0)
        files.rlim_cur = before;
    log_line("limit of open files: " +
             (files.rlim_cur == RLIM_INFINITY ? "none" : std::to_string(files.rlim_cur)));
}

std::optional<rpch::transport::host_port> parse_listen(const std::string& option,
                                                       const std::string& text, std::string& why) {
    const auto where = rpch::transport::parse_host_port(text);
    std::error_code bad;
    if (where) asio::ip::make_address(where->host, bad);
    if (where && !bad) return *where;
    why = option + " wants ADDRESS:PORT, as 127.0.0.1:6001, 0.0.0.0:6001 or [::1]:6001, not '" +
          text + "'";
    if (where) why += ": '" + where->host + "' is no IP address, and names are not resolved here";
    return std::nullopt;
}

void announce(const std::string& host, std::uint16_t port) {
    const bool literal6 = host.find(':') != std::string::npos;
    std::printf(literal6 ? "listening on [%s]:%u\n" : "listening on %s:%u\n", host.c_str(), port);
    std::fflush(stdout);
}

int run_service(asio::io_context& io, service_signals& signals, const service& what) {
    drain draining(io, what);
    signals.stop.async_wait([&](std::error_code ec, int) {
        if (ec) return;
        what.stop_listening();
        draining.start();
        signals.stop.async_wait([&](std::error_code again, int) { // a second signal does not wait
            if (again) return;
            log_line("a second signal: closing connections that are open: " +
                     std::to_string(what.connections()));
            io.stop();
        });
    });
    std::function<void(std::error_code, int)> on_reload = [&](std::error_code ec, int) {
        if (ec) return;
        if (what.reload) what.reload();
        signals.reload.async_wait(on_reload);
    };
    signals.reload.async_wait(on_reload);
    io.run();
    return succeeded;
}

} // namespace tool
