// Listening while the context runs on another thread.
#include <optional>
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include <asio/connect.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>

#include <rpch/rpch.hpp>

namespace {

void connect_to(std::uint16_t port) {
    asio::io_context io;
    asio::ip::tcp::socket socket(io);
    std::error_code ec;
    socket.connect({asio::ip::make_address("127.0.0.1"), port}, ec);
    CHECK_FALSE(ec);
}

} // namespace

TEST_CASE("A proxy and a server open ports while their context runs on another thread") {
    asio::io_context io;
    auto busy = asio::make_work_guard(io);
    rpch::proxy_settings settings;
    settings.allow_anonymous = settings.allow_plain = true;
    std::optional<rpch::proxy> proxy(rpch::proxy::make(io.get_executor(), settings).value());
    std::optional<rpch::server> server(std::in_place, io.get_executor());
    std::thread runs([&] { io.run(); });
    for (int i = 0; i < 20; ++i) {
        connect_to(proxy->listen({"127.0.0.1", 0}, nullptr).value());
        connect_to(server->listen("ncacn_ip_tcp:127.0.0.1").value());
        if (i % 7 == 6) proxy->stop_listening();
    }
    proxy.reset();
    server.reset();
    busy.reset();
    runs.join();
}
