// Settings of a client that only its proxy sees.
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/support/channel.hpp"
#include "tests/support/raw_peer.hpp"
#include "tests/support/stack.hpp"

namespace {

using namespace std::chrono_literals;

/// A proxy that says what a test wants, to all who come.
struct raw_proxy {
    explicit raw_proxy(asio::io_context& io)
        : acceptor(io, {asio::ip::make_address("127.0.0.1"), 0}) {
        accept();
    }
    [[nodiscard]] std::string binding() const {
        return "ncacn_http:server.example[6001,RpcProxy=127.0.0.1:" +
               std::to_string(acceptor.local_endpoint().port()) + ",HttpUseTls=false]";
    }
    /// @return the connection whose request has this method; null before it came.
    [[nodiscard]] test::raw_peer* find(std::string_view method) const {
        for (const auto& each : peers)
            if (each->heard().starts_with(method)) return each.get();
        return nullptr;
    }
    void accept() {
        acceptor.async_accept([this](std::error_code ec, asio::ip::tcp::socket socket) {
            if (ec) return;
            peers.push_back(std::make_unique<test::raw_peer>(std::move(socket)));
            accept();
        });
    }

    asio::ip::tcp::acceptor acceptor;
    std::vector<std::unique_ptr<test::raw_peer>> peers;
};

} // namespace

TEST_CASE("A client tells its proxy the keep-alive that it wants towards the server") {
    test::stack all;
    raw_proxy proxy(all.io);
    auto options = all.options();
    options.client_keepalive = 90s;
    test::caller caller(all, proxy.binding(), options);
    // The command of CONN/B1, [MS-RPCH] 2.2.3.5.6: its number, then milliseconds.
    const std::string wanted("\x05\x00\x00\x00\x90\x5f\x01\x00", 8);
    CHECK(all.run_until(
        [&] {
            const auto* in = proxy.find("RPC_IN_DATA");
            return in != nullptr && in->heard(wanted);
        },
        5s));
}

TEST_CASE("A client pings at half of the KeepAlive interval of its application") {
    test::stack all;
    raw_proxy proxy(all.io);
    auto options = all.options();
    options.keep_alive = 1s;
    test::caller caller(all, proxy.binding(), options);
    REQUIRE(all.run_until(
        [&] {
            return proxy.find("RPC_OUT_DATA") != nullptr && proxy.find("RPC_IN_DATA") != nullptr;
        },
        5s));
    test::raw_peer& out = *proxy.find("RPC_OUT_DATA");
    out.send("HTTP/1.1 200 Success\r\nContent-Type: application/rpc\r\n"
             "Content-Length: 1073741824\r\n\r\n");
    out.send(test::wire_of(rpch::rts::conn_a3{.connection_timeout = 120'000}));
    const test::bytes ping = test::wire_of(rpch::rts::ping{});
    const std::string text(reinterpret_cast<const char*>(ping.data()), ping.size());
    CHECK(all.run_until([&] { return proxy.find("RPC_IN_DATA")->heard(text + text); }, 5s));
}
