#include <rpch/transport/listener.hpp>

#include <utility>
#include <vector>

#include <asio/io_context.hpp>
#include <doctest/doctest.h>

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

} // namespace

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
