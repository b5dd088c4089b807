#include <rpch/transport/listener.hpp>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <asio/io_context.hpp>
#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

using namespace rpch;
using transport::tcp;

namespace {

/// A listener that has not run yet, and three clients whose connections the system has made.
struct waiting_clients {
    asio::io_context io;
    transport::strand on = transport::make_strand(io.get_executor());
    std::vector<tcp::socket> accepted;
    std::shared_ptr<transport::listener> listener;
    std::vector<asio::ip::tcp::socket> clients;

    waiting_clients() {
        auto opened = transport::listener::open(on, {"127.0.0.1", 0}, [this](tcp::socket socket) {
            accepted.push_back(std::move(socket));
        });
        REQUIRE(opened);
        listener = std::move(*opened);
        listener->start();
        for (int i = 0; i < 3; ++i) REQUIRE_FALSE(connect());
    }
    std::error_code connect() {
        std::error_code ec;
        if (where.port() == 0) where = listener->endpoint();
        clients.emplace_back(io).connect(where, ec);
        return ec;
    }
    tcp::endpoint where;
};

/// Leaves the process not one descriptor, until it goes.
class no_descriptors {
  public:
    no_descriptors() {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        ::close(next);
        rlimit none = before_;
        none.rlim_cur = static_cast<rlim_t>(next);
        ::setrlimit(RLIMIT_NOFILE, &none);
    }
    no_descriptors(const no_descriptors&) = delete;
    no_descriptors& operator=(const no_descriptors&) = delete;
    ~no_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

  private:
    rlimit before_{};
};

} // namespace

TEST_CASE(
    "listener: without descriptors it waits, says why once, and goes on when there are some") {
    asio::io_context io;
    const auto on = transport::make_strand(io.get_executor());
    std::vector<tcp::socket> accepted;
    std::vector<std::string> log;
    auto opened = transport::listener::open(
        on, {"127.0.0.1", 0}, [&](tcp::socket socket) { accepted.push_back(std::move(socket)); },
        [&](const std::string& line) { log.push_back(line); });
    REQUIRE(opened);
    asio::ip::tcp::socket client(io);
    client.connect((*opened)->endpoint());
    {
        const no_descriptors left;
        (*opened)->start();
        const std::size_t steps = io.run_for(std::chrono::milliseconds(350));
        CHECK(steps < 12); // a try each 100 ms, no spinning
    }
    CHECK(accepted.empty());
    REQUIRE(log.size() == 1);
    CHECK(log[0].find("limit of open files") != std::string::npos);
    CHECK(log[0].find(std::to_string((*opened)->endpoint().port())) != std::string::npos);
    while (accepted.empty() && io.run_one_for(std::chrono::seconds(5)) != 0) {
    }
    CHECK(accepted.size() == 1);
    CHECK(log.size() == 1);
    (*opened)->close();
}

TEST_CASE("listener: who was connected when it stops is handed over, who comes later is refused") {
    waiting_clients lab;
    lab.listener->stop();
    lab.io.run();
    CHECK(lab.accepted.size() == 3);
    CHECK(lab.connect() == asio::error::connection_refused);
}

TEST_CASE("listener: when it is closed nobody is handed over any more") {
    waiting_clients lab;
    lab.listener->close();
    lab.io.run();
    CHECK(lab.accepted.empty());
    CHECK(lab.connect() == asio::error::connection_refused);
}

TEST_CASE("listener: a connection that was accepted but not handed over yet is not lost by stop") {
    waiting_clients lab;
    lab.io.poll_one(); // the wait for one connection is over, its handler may be queued
    lab.listener->stop();
    lab.listener->stop();
    lab.io.run();
    CHECK(lab.accepted.size() == 3);
}

TEST_CASE("listener: a handler may close it in the middle of stop") {
    waiting_clients lab;
    lab.listener->close();
    std::size_t handed_over = 0;
    auto opened = transport::listener::open(lab.on, {"127.0.0.1", 0}, [&](tcp::socket) {
        ++handed_over;
        lab.listener->close();
        lab.listener.reset();
    });
    REQUIRE(opened);
    lab.listener = std::move(*opened);
    lab.listener->start();
    lab.where = {};
    for (int i = 0; i < 3; ++i) REQUIRE_FALSE(lab.connect());
    lab.listener->stop();
    lab.io.run();
    CHECK(handed_over == 1);
}
