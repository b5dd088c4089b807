// Targets that are plain DCE/RPC servers: RPC over HTTP ends in the proxy, the stream goes on by
// TCP.
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <rpch/transport/link.hpp>

#include <asio/co_spawn.hpp>
#include <asio/use_future.hpp>

#include "tests/support/channel.hpp"
#include "tests/support/raw_peer.hpp"
#include "tests/support/relay.hpp"
#include "tests/support/stack.hpp"

namespace {

using rpch::errc;
using rpch::origin;
using test::probe;
using namespace std::chrono_literals;

/// What must happen without any wait is there within this.
constexpr auto soon = 1s;
/// And this where the other end, a raw one, does not end its own side.
constexpr auto after_linger = rpch::transport::link::linger_wait + soon;

/// A proxy beside that of the stack, which ends RPC over HTTP in front of a TCP port.
struct backend_proxy {
    backend_proxy(test::stack& all, std::uint16_t address, std::optional<std::uint32_t> window = {},
                  std::optional<std::uint32_t> lifetime = {}, std::uint64_t replace_out_below = 0) {
        rpch::proxy_settings settings;
        settings.valid_ports = "files.example:6001;other.example:6001";
        settings.tcp_backends.push_back({{"Files.Example", 6001}, {"127.0.0.1", address}});
        settings.allow_anonymous = settings.allow_plain = true;
        settings.log = [this](const std::string& line) { log.push_back(line); };
        if (lifetime) settings.channel_lifetime = *lifetime;
        settings.replace_out_below = replace_out_below;
        if (window) settings.in_receive_window = settings.out_receive_window = *window;
        proxy.emplace(rpch::proxy::make(all.io.get_executor(), settings).value());
        port = proxy->listen({"127.0.0.1", 0}, nullptr).value();
    }
    [[nodiscard]] std::string binding(const std::string& target = "FILES.example[6001") const {
        return "ncacn_http:" + target + ",RpcProxy=127.0.0.1:" + std::to_string(port) +
               ",HttpUseTls=false]";
    }
    [[nodiscard]] std::ptrdiff_t count(std::string_view a, std::string_view b) const {
        return std::count_if(log.begin(), log.end(), [&](const std::string& line) {
            return line.find(a) != std::string::npos && line.find(b) != std::string::npos;
        });
    }
    [[nodiscard]] bool said(std::string_view a, std::string_view b = {}) const {
        return count(a, b) != 0;
    }

    std::vector<std::string> log;
    std::optional<rpch::proxy> proxy;
    std::uint16_t port = 0;
};

/// A TCP server that says what a test wants.
struct raw_server {
    explicit raw_server(asio::io_context& io)
        : acceptor(io, {asio::ip::make_address("127.0.0.1"), 0}) {
        acceptor.async_accept([this](std::error_code ec, asio::ip::tcp::socket socket) {
            if (!ec) peer.emplace(std::move(socket));
        });
    }
    [[nodiscard]] std::uint16_t port() const { return acceptor.local_endpoint().port(); }

    asio::ip::tcp::acceptor acceptor;
    std::optional<test::raw_peer> peer;
};

bool all_gone(test::stack& all, const backend_proxy& by, std::chrono::milliseconds limit = soon) {
    return all.run_until(
        [&] { return by.proxy->connections() == 0 && all.server->connections() == 0; }, limit);
}

asio::awaitable<std::uint32_t> add_up(std::string binding, rpch::client_options options) {
    auto service = co_await rpch::connect<probe>(binding, options);
    const std::uint32_t one = co_await service.call<probe::add_one>(40U);
    co_return co_await service.call<probe::add_two>(one);
}

/// Calls that the server holds.
std::vector<std::shared_ptr<test::outcome>> hold_calls(test::stack& all, test::caller& caller) {
    std::vector<std::shared_ptr<test::outcome>> out;
    const std::size_t before = all.held.size();
    for (unsigned i = 0; i < 5; ++i)
        out.push_back(caller.begin(probe::hold, test::pattern(100, i)));
    REQUIRE(all.run_until([&] { return all.held.size() == before + 5; }));
    return out;
}

/// Waits until each has ended with this error, and no second time.
void check_each_failed_once(test::stack& all,
                            const std::vector<std::shared_ptr<test::outcome>>& calls, errc why) {
    CHECK(all.run_until(
        [&] {
            return std::all_of(calls.begin(), calls.end(),
                               [](const auto& each) { return each->done != 0; });
        },
        soon));
    all.run_ready();
    for (const auto& each : calls) {
        CHECK(each->done == 1);
        CHECK(each->why.code == why);
        if (why != errc::connection_lost) continue;
        CHECK(each->why.where.find(" channel to 127.0.0.1:") != std::string::npos);
        CHECK(each->why.detail == "calls that were not answered: 5");
    }
}

} // namespace

TEST_CASE("A typed call reaches a TCP backend through the proxy") {
    test::stack all;
    backend_proxy by(all, all.tcp_port);
    auto done = asio::co_spawn(all.io, add_up(by.binding(), all.options()), asio::use_future);
    REQUIRE(all.run_until([&] { return done.wait_for(0s) == std::future_status::ready; }));
    CHECK(done.get() == 43);
    CHECK(by.said("open to TCP backend 127.0.0.1:" + std::to_string(all.tcp_port)));
    CHECK(all_gone(all, by));
}

TEST_CASE("Several virtual connections to a TCP backend have a TCP connection each") {
    test::stack all;
    backend_proxy by(all, all.tcp_port);
    std::vector<std::unique_ptr<test::caller>> callers;
    for (unsigned i = 0; i < 6; ++i)
        callers.push_back(std::make_unique<test::caller>(all, by.binding(), all.options()));
    for (unsigned i = 0; i < 6; ++i) {
        REQUIRE_MESSAGE(callers[i]->open(), callers[i]->why().to_string());
        CHECK(
            (callers[i]->call(probe::echo, test::pattern(999, i))->stub == test::pattern(999, i)));
    }
    CHECK(all.server->connections() == 6);
    callers[2]->close();
    CHECK(all.run_until([&] { return all.server->connections() == 5; }, soon));
    CHECK_FALSE(callers[3]->call(probe::echo)->why);
}

TEST_CASE("Many large calls at once pass to a TCP backend and back, byte for byte") {
    for (const std::uint32_t window : {8192U, 65536U, 262144U}) {
        CAPTURE(window);
        test::stack all({.window = window});
        backend_proxy by(all, all.tcp_port, window);
        test::caller caller(all, by.binding(), all.options());
        REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
        std::vector<std::shared_ptr<test::outcome>> calls;
        for (unsigned i = 0; i < 64; ++i)
            calls.push_back(caller.begin(
                probe::echo, test::pattern(i % 16 == 0 ? std::size_t{1} << 20 : 40 * i, i)));
        for (unsigned i = 0; i < 64; ++i) {
            REQUIRE(all.run_until([&] { return calls[i]->done != 0; }));
            CHECK_MESSAGE(!calls[i]->why, calls[i]->why.to_string());
            CHECK(
                (calls[i]->stub == test::pattern(i % 16 == 0 ? std::size_t{1} << 20 : 40 * i, i)));
        }
    }
}

TEST_CASE("Channels to a TCP backend are replaced while calls are under way, and none is lost") {
    constexpr std::uint32_t short_lifetime = 128 * 1024;
    for (const std::uint32_t window : {8192U, 65536U}) {
        CAPTURE(window);
        test::stack all({.window = window});
        backend_proxy by(all, all.tcp_port, window, short_lifetime);
        auto options = all.options();
        options.channel_lifetime = short_lifetime;
        test::caller caller(all, by.binding(), options);
        REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
        std::vector<std::shared_ptr<test::outcome>> calls;
        for (unsigned i = 0; i < 200; ++i)
            calls.push_back(caller.begin(probe::echo, test::pattern(20'000 + i, i)));
        for (unsigned i = 0; i < 200; ++i) {
            REQUIRE(all.run_until([&] { return calls[i]->done != 0; }));
            REQUIRE_MESSAGE(!calls[i]->why, calls[i]->why.to_string());
            CHECK((calls[i]->stub == test::pattern(20'000 + i, i)));
        }
        CHECK(by.count("IN channel", "replaced at this proxy") >= 20);
        CHECK(by.count("OUT channel", "replaced at this proxy") >= 20);
        CHECK(all.server->connections() == 1);
    }
}

TEST_CASE("How early an OUT channel in front of a TCP backend is replaced is a setting") {
    constexpr std::uint32_t lifetime = 1024 * 1024;
    for (const bool early : {false, true}) {
        test::stack all;
        backend_proxy by(all, all.tcp_port, 65536, lifetime, early ? lifetime - 65536 : 0);
        test::caller caller(all, by.binding(), all.options());
        REQUIRE(caller.open());
        for (int i = 0; i < 20; ++i)
            CHECK_FALSE(caller.call(probe::echo, test::pattern(20'000))->why);
        CHECK((by.count("OUT channel", "replaced at this proxy") > 0) == early);
    }
}

TEST_CASE("A successor for a virtual connection that this process does not have is refused, and "
          "makes no TCP connection") {
    test::stack all;
    backend_proxy by(all, all.tcp_port);
    test::raw_peer in(all.io, by.port);
    in.send("RPC_IN_DATA /rpc/rpcproxy.dll?files.example:6001 HTTP/1.1\r\nHost: x\r\n"
            "Content-Length: 1073741824\r\n\r\n");
    in.send(test::wire_of(rpch::rts::in_r1_a1{1, test::cookie_of(0x81), test::cookie_of(0x82),
                                              test::cookie_of(0x83)}));
    CHECK(all.run_until([&] { return in.ended(); }, soon));
    CHECK(in.heard("503 RPC Error: 6ba"));
    CHECK(by.said("not at this process"));
    all.run_ready();
    CHECK(all.server->connections() == 0);
    CHECK(all_gone(all, by, after_linger));
}

TEST_CASE("A TCP backend that does not read holds the client back, within the window") {
    test::stack all;
    test::relay slow(all.io, all.tcp_port);
    backend_proxy by(all, slow.port(), 65536);
    auto options = all.options();
    options.receive_window = 65536;
    test::caller caller(all, by.binding(), options);
    REQUIRE(caller.open());
    slow.pause(true);
    const test::bytes sent = test::pattern(std::size_t{24} << 20); // more than sockets hold
    const auto call = caller.begin(probe::echo, sent);
    CHECK_FALSE(all.run_until([&] { return call->done != 0; }, 500ms));
    // A window for each of the two hops, and what is being read.
    CHECK(by.proxy->buffers() <= 8);
    slow.pause(false);
    REQUIRE(all.run_until([&] { return call->done != 0; }));
    CHECK_MESSAGE(!call->why, call->why.to_string());
    CHECK((call->stub == sent));
}

TEST_CASE("What passes to a TCP backend and back is not changed, and arrives before an end") {
    test::stack all;
    raw_server server(all.io);
    backend_proxy by(all, server.port());
    test::raw_peer out(all.io, by.port);
    test::raw_peer in(all.io, by.port);
    const auto vc = test::cookie_of(0x71);
    out.send("RPC_OUT_DATA /rpc/rpcproxy.dll?files.example:6001 HTTP/1.1\r\nHost: x\r\n"
             "Content-Length: 76\r\n\r\n");
    out.send(test::wire_of(rpch::rts::conn_a1{1, vc, test::cookie_of(0x72), 65536}));
    in.send("RPC_IN_DATA /rpc/rpcproxy.dll?files.example:6001 HTTP/1.1\r\nHost: x\r\n"
            "Content-Length: 1073741824\r\n\r\n");
    in.send(test::wire_of(
        rpch::rts::conn_b1{1, vc, test::cookie_of(0x73), 1 << 30, 300'000, test::cookie_of(0x74)}));
    REQUIRE(all.run_until([&] { return by.said("open to TCP backend"); }, soon));
    REQUIRE(all.run_until([&] { return server.peer.has_value(); }, soon));
    const test::bytes request =
        test::hex("05000003100000001c00000000000000040000000000040001020304");
    const std::string sent(reinterpret_cast<const char*>(request.data()), request.size());
    const std::string answer("\x05\x06\x07\x08");
    SUBCASE("of the server") {
        in.send(request);
        CHECK(all.run_until([&] { return server.peer->heard() == sent; }, soon));
        server.peer->send(test::hex("05000203100000001c00000000000000040000000000000005060708"));
        server.peer->close();
        CHECK(all.run_until([&] { return out.ended(); }, soon));
        CHECK(out.heard(answer));
    }
    SUBCASE("of the client") {
        in.send(request);
        in.close();
        CHECK(all.run_until([&] { return server.peer->ended(); }, soon));
        CHECK(server.peer->heard() == sent);
    }
}

TEST_CASE("What a TCP backend says last before it closes at once is what the client is told") {
    test::stack all;
    for (int i = 0; i < 40; ++i) {
        raw_server server(all.io);
        backend_proxy by(all, server.port());
        test::caller caller(all, by.binding(), all.options());
        REQUIRE(
            all.run_until([&] { return server.peer && server.peer->heard().size() >= 16; }, soon));
        test::bytes nak = test::hex("05000d031000000015000000000000000000010500");
        for (std::size_t n = 12; n < 16; ++n) // call_id
            nak[n] = static_cast<std::byte>(server.peer->heard()[n]);
        server.peer->send(nak);
        server.peer->close();
        CHECK_FALSE(caller.open());
        REQUIRE_MESSAGE(caller.why().code == errc::bind_refused, caller.why().to_string());
        REQUIRE(all_gone(all, by));
    }
}

/// The two channels of a virtual connection, by hand.
struct raw_client {
    raw_client(asio::io_context& io, std::uint16_t proxy, const std::string& target,
               std::uint32_t window)
        : out(io, proxy), in(io, proxy) {
        const auto vc = test::cookie_of(0x71);
        out.send("RPC_OUT_DATA /rpc/rpcproxy.dll?" + target +
                 " HTTP/1.1\r\nHost: x\r\nContent-Length: 76\r\n\r\n");
        out.send(test::wire_of(rpch::rts::conn_a1{1, vc, test::cookie_of(0x72), window}));
        in.send("RPC_IN_DATA /rpc/rpcproxy.dll?" + target +
                " HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n");
        in.send(test::wire_of(rpch::rts::conn_b1{1, vc, test::cookie_of(0x73), 1 << 30, 300'000,
                                                 test::cookie_of(0x74)}));
    }
    test::raw_peer out;
    test::raw_peer in;
};

TEST_CASE("The OUT channel brings what a server says last, and ends before the IN channel does") {
    test::stack all;
    SUBCASE("behind a TCP backend") {
        raw_server server(all.io);
        backend_proxy by(all, server.port());
        raw_client client(all.io, by.port, "files.example:6001", 65536);
        REQUIRE(all.run_until([&] { return by.said("open to TCP backend"); }, soon));
        REQUIRE(all.run_until([&] { return server.peer.has_value(); }, soon));
        server.peer->send(test::hex("05000203100000001c00000000000000040000000000000005060708"));
        server.peer->close();
        CHECK(all.run_until([&] { return client.out.ended(); }, soon));
        CHECK(client.out.heard("\x05\x06\x07\x08"));
        CHECK_FALSE(client.in.ended());
        CHECK(all.run_until([&] { return client.in.ended(); }, after_linger));
        CHECK(all_gone(all, by, after_linger));
    }
    SUBCASE("of the server role, which refuses a bind") {
        raw_client client(all.io, all.proxy_port, "127.0.0.1:" + std::to_string(all.server_port),
                          65536);
        REQUIRE(all.run_until([&] { return all.server_said("open, client"); }, soon));
        // It names an association group that the server does not have.
        client.in.send(test::hex("05000b03100000004800000001000000001000107856341201000000"
                                 "000001004b9f6fc49c4f4b0a8c1d2e3f4051627301000000"
                                 "045d888aeb1cc9119fe808002b10486002000000"));
        CHECK(all.run_until([&] { return client.out.ended(); }, soon));
        CHECK(client.out.heard(std::string_view("\x05\x00\x0d\x03", 4)));
        CHECK_FALSE(client.in.ended());
        CHECK(all.run_until([&] { return client.in.ended(); }, after_linger));
    }
}

TEST_CASE("A TCP backend that breaks its connection while it is not read is noticed at once") {
    test::stack all;
    raw_server server(all.io);
    backend_proxy by(all, server.port(), 8192);
    raw_client client(all.io, by.port, "files.example:6001", 8192); // acknowledges nothing
    REQUIRE(all.run_until([&] { return by.said("open to TCP backend"); }, soon));
    REQUIRE(all.run_until([&] { return server.peer.has_value(); }, soon));
    for (int i = 0; i < 8; ++i) {
        test::bytes pdu(4096);
        const test::bytes head = test::hex("05000203100000000010000001000000");
        std::copy(head.begin(), head.end(), pdu.begin());
        server.peer->send(pdu);
    }
    CHECK_FALSE(all.run_until([&] { return by.said("ended"); }, 200ms)); // it is paused now
    server.peer->reset();
    CHECK(all.run_until([&] { return by.said("lost on", "with the TCP backend"); }, 1s));
}

TEST_CASE("A TCP backend that is not there is told as a failure response with 6BA") {
    test::stack all;
    std::uint16_t nobody = 0;
    { nobody = raw_server(all.io).port(); }
    backend_proxy by(all, nobody);
    test::caller caller(all, by.binding(), all.options());
    CHECK_FALSE(caller.open());
    CHECK(caller.binds_done() == 1);
    CHECK(caller.why().code == rpch::rpc_status::server_unavailable);
    CHECK(caller.why().said_by == origin::rpc_proxy);
    CHECK(by.said("TCP backend", "127.0.0.1:" + std::to_string(nobody)));
    CHECK(all_gone(all, by));
}

TEST_CASE("A TCP backend that closes mid-call fails each pending call once") {
    test::stack all;
    SUBCASE("orderly") {
        backend_proxy by(all, all.tcp_port);
        test::caller caller(all, by.binding(), all.options());
        REQUIRE(caller.open());
        const auto calls = hold_calls(all, caller);
        all.server->close();
        check_each_failed_once(all, calls, errc::connection_lost);
        CHECK(by.said("closed by the TCP backend"));
        CHECK(all_gone(all, by));
    }
    SUBCASE("by a reset") {
        test::relay between(all.io, all.tcp_port);
        backend_proxy by(all, between.port());
        test::caller caller(all, by.binding(), all.options());
        REQUIRE(caller.open());
        const auto calls = hold_calls(all, caller);
        between.reset(0);
        check_each_failed_once(all, calls, errc::connection_lost);
        CHECK(by.said("lost on the connection with the TCP backend", "reset by peer"));
        CHECK(all_gone(all, by));
    }
}

TEST_CASE("A client that closes ends the TCP connection to the backend") {
    test::stack all;
    backend_proxy by(all, all.tcp_port);
    test::caller caller(all, by.binding(), all.options());
    REQUIRE(caller.open());
    const auto calls = hold_calls(all, caller);
    caller.connection().close();
    CHECK(all_gone(all, by));
    check_each_failed_once(all, calls, errc::operation_aborted);
}

TEST_CASE("A client that closes while it connects to a TCP backend leaves nothing behind") {
    test::stack all;
    backend_proxy by(all, all.tcp_port);
    for (int steps = 0; steps < 40; ++steps) {
        CAPTURE(steps);
        test::caller caller(all, by.binding(), all.options());
        for (int i = 0; i < steps; ++i) all.io.run_one_for(1ms);
        caller.connection().close();
        CHECK(all.run_until([&] { return caller.binds_done() != 0; }, soon));
        CHECK(caller.binds_done() == 1);
        CHECK(all_gone(all, by));
    }
}

TEST_CASE("A proxy that closes ends the TCP connections to its backends") {
    test::stack all;
    backend_proxy by(all, all.tcp_port);
    test::caller caller(all, by.binding(), all.options());
    REQUIRE(caller.open());
    const auto calls = hold_calls(all, caller);
    by.proxy->close();
    check_each_failed_once(all, calls, errc::connection_lost);
    CHECK(all_gone(all, by));
}

TEST_CASE("An io_context that goes while a TCP backend is in use takes everything along") {
    for (const int steps : {0, 5, 10, 15, 20, 25, 30, 40, 60, 80, 160}) {
        CAPTURE(steps);
        auto all = std::make_unique<test::stack>();
        backend_proxy by(*all, all->tcp_port);
        rpch::failure why;
        auto client = rpch::client::start(by.binding(), all->options(), why).value();
        client.async_bind(probe::id, [owner = client](std::error_code, std::uint16_t) {});
        client = {};
        for (int i = 0; i < steps; ++i) all->io.run_one_for(1ms);
        by.proxy.reset();
        all.reset();
    }
}

TEST_CASE("What a TCP backend may not send ends the virtual connection with a name") {
    test::stack all;
    raw_server server(all.io);
    backend_proxy by(all, server.port());
    test::caller caller(all, by.binding(), all.options());
    REQUIRE(all.run_until([&] { return server.peer && !server.peer->heard().empty(); }, soon));
    SUBCASE("an RTS PDU") {
        server.peer->send(test::wire_of(rpch::rts::ping{}));
        CHECK_FALSE(caller.open());
        CHECK(by.said("ended", "RTS PDU"));
    }
    SUBCASE("what is no PDU") {
        server.peer->send("HTTP/1.1 400 Bad Request\r\n\r\n");
        CHECK_FALSE(caller.open());
        CHECK(by.said("ended", "no DCE/RPC"));
    }
    CHECK(caller.binds_done() == 1);
    CHECK(all.run_until([&] { return server.peer->ended(); }, soon));
    CHECK(all_gone(all, by, after_linger));
}

TEST_CASE("A port for ncacn_http behind a TCP backend is told as such") {
    test::stack all;
    backend_proxy by(all, all.server_port);
    test::caller caller(all, by.binding(), all.options());
    CHECK_FALSE(caller.open());
    CHECK_MESSAGE(caller.why().next_step.find("the RPC proxy's log may tell more") !=
                      std::string::npos,
                  caller.why().to_string());
    CHECK(by.said("ended", "it greets by ncacn_http/1.0: a port for ncacn_http"));
    CHECK(all_gone(all, by));
}

TEST_CASE("A PDU of a TCP backend that the client's window can never take is a named error") {
    test::stack all({.window = 8192});
    raw_server server(all.io);
    backend_proxy by(all, server.port(), 8192);
    test::caller caller(all, by.binding(), all.options());
    REQUIRE(all.run_until([&] { return server.peer && !server.peer->heard().empty(); }, soon));
    test::bytes large(9000);
    const test::bytes head = test::hex("05000203100000002823000001000000");
    std::copy(head.begin(), head.end(), large.begin());
    server.peer->send(large);
    CHECK_FALSE(caller.open());
    CHECK(by.said("ended", make_error_code(errc::too_large).message()));
    CHECK(all_gone(all, by, after_linger));
}

TEST_CASE("Targets beside the TCP backends are refused, or reached as ever") {
    test::stack all;
    backend_proxy by(all, all.tcp_port);
    {
        test::caller caller(all, by.binding("files.example[6002"), all.options());
        CHECK_FALSE(caller.open());
        CHECK(caller.why().code == rpch::rpc_status::proxy_access_denied);
        CHECK(by.said("ValidPorts does not name files.example:6002"));
    }
    // One of the proxy's ordinary targets is none of the backend's.
    rpch::proxy_settings settings;
    settings.valid_ports = "files.example:6001;127.0.0.1:" + std::to_string(all.server_port);
    settings.tcp_backends.push_back({{"files.example", 6001}, {"127.0.0.1", all.tcp_port}});
    settings.allow_anonymous = settings.allow_plain = true;
    auto both = rpch::proxy::make(all.io.get_executor(), settings).value();
    const auto port = both.listen({"127.0.0.1", 0}, nullptr).value();
    for (const std::string& target :
         {std::string("files.example[6001"), "127.0.0.1[" + std::to_string(all.server_port)}) {
        test::caller caller(all,
                            "ncacn_http:" + target + ",RpcProxy=127.0.0.1:" + std::to_string(port) +
                                ",HttpUseTls=false]",
                            all.options());
        REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
        CHECK((caller.call(probe::echo, test::pattern(64))->stub == test::pattern(64)));
    }
}

TEST_CASE("Settings of TCP backends that cannot work are refused with a sentence") {
    for (const char* bad : {"", "a:1", "a:1=", "=b:2", "a:1=b", "a=b:2", "a:0=b:2", "a:1=b:0",
                            "a:1=b:65536", ":1=b:2"})
        CHECK_MESSAGE(!rpch::parse_tcp_backend(bad), bad);
    const auto good = rpch::parse_tcp_backend("files.example:6001 = [::1]:135");
    REQUIRE(good);
    CHECK(good->target.host == "files.example");
    CHECK(good->target.port == 6001);
    CHECK(good->address.host == "::1");
    CHECK(good->address.port == 135);
    CHECK(good->serves({"FILES.EXAMPLE", 6001}));
    CHECK_FALSE(good->serves({"FILES.EXAMPLE", 6002}));

    asio::io_context io;
    rpch::proxy_settings settings;
    settings.allow_anonymous = true;
    settings.valid_ports = "files.example:6001";
    settings.tcp_backends = {*good};
    CHECK(rpch::proxy::make(io.get_executor(), settings));
    std::string why;
    SUBCASE("ValidPorts does not name it") {
        settings.valid_ports = "files.example:6002";
        CHECK(rpch::proxy::make(io.get_executor(), settings, &why).error() == errc::bad_setting);
        CHECK(why.find("files.example:6001") != std::string::npos);
    }
    SUBCASE("twice") {
        settings.tcp_backends.push_back({{"Files.Example", 6001}, {"x", 1}});
        CHECK(rpch::proxy::make(io.get_executor(), settings, &why).error() == errc::bad_setting);
        CHECK(why.find("Files.Example:6001") != std::string::npos);
    }
    SUBCASE("no host") {
        settings.tcp_backends[0].address.host.clear();
        CHECK(rpch::proxy::make(io.get_executor(), settings, &why).error() == errc::bad_setting);
        CHECK_FALSE(why.empty());
    }
}
