// However a connection ends: every call that waits fails exactly once, and nothing stays behind.
#include <chrono>
#include <memory>
#include <vector>

#include <doctest/doctest.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/relay.hpp"
#include "tests/support/stack.hpp"

namespace {

using rpch::errc;
using namespace std::chrono_literals;

/// Half of what ends must be gone within this.
constexpr auto soon = 1s;

/// A connection with calls that the server holds.
struct pending_calls {
    explicit pending_calls(test::stack& all, const std::string& binding) : caller(all, binding) {
        REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
        for (unsigned i = 0; i < 5; ++i)
            calls.push_back(caller.begin(test::probe::hold, test::pattern(100, i)));
        REQUIRE(all.run_until([&] { return all.held.size() == 5; }));
    }
    /// Waits until each has ended. @return whether each did, with an error, in time.
    bool all_fail(test::stack& all) {
        return all.run_until(
            [&] {
                for (const auto& each : calls)
                    if (each->done == 0) return false;
                return true;
            },
            soon);
    }
    void check_ended_once() const {
        for (const auto& each : calls) {
            CHECK(each->done == 1);
            CHECK(each->why.code);
        }
    }
    test::caller caller;
    std::vector<std::shared_ptr<test::outcome>> calls;
};

/// Makes a call that waits, with a handler that owns its client.
void hold_on(const rpch::client& owner, std::uint16_t context) {
    rpch::client copy = owner;
    copy.async_call_raw(context, test::probe::hold, test::pattern(10),
                        [owner](std::error_code, const rpch::raw_response&) {});
}

bool all_gone(test::stack& all) {
    return all.run_until(
        [&] { return all.proxy->connections() == 0 && all.server->connections() == 0; }, soon);
}

} // namespace

TEST_CASE("A client that is closed fails its calls with operation_aborted, each exactly once") {
    for (const bool tls : {false, true}) {
        CAPTURE(tls);
        test::stack all({.tls = tls});
        pending_calls waiting(all, all.binding());
        waiting.caller.connection().close();
        CHECK(waiting.all_fail(all));
        CHECK(all_gone(all));
        for (auto& each : all.held) each.answer.respond({}); // nobody is there any more
        all.run_ready();
        waiting.check_ended_once();
        for (const auto& each : waiting.calls) CHECK(each->why.code == errc::operation_aborted);
        const auto late = waiting.caller.call(test::probe::echo);
        CHECK(late->why.code == errc::operation_aborted);
        CHECK(late->why.did_not_execute);
    }
}

TEST_CASE("A client over TCP that is closed fails its calls, each exactly once") {
    test::stack all;
    pending_calls waiting(all, all.tcp_binding());
    waiting.caller.connection().close();
    CHECK(waiting.all_fail(all));
    CHECK(all_gone(all));
    waiting.check_ended_once();
}

TEST_CASE("A client whose last handle goes closes its connection") {
    test::stack all;
    auto caller = std::make_unique<test::caller>(all, all.binding());
    REQUIRE(caller->open());
    caller.reset();
    CHECK(all_gone(all));
}

TEST_CASE("A client that is closed while it connects ends its bind, once") {
    test::stack all({.tls = true});
    for (int steps = 0; steps < 30; ++steps) { // wherever it stands then
        CAPTURE(steps);
        test::caller caller(all, all.binding());
        for (int i = 0; i < steps; ++i) all.io.run_one_for(1ms);
        caller.connection().close();
        CHECK(all.run_until([&] { return caller.binds_done() != 0; }, soon));
        CHECK(caller.binds_done() == 1);
        CHECK(all_gone(all));
    }
}

TEST_CASE("A proxy that is closed fails the calls through it") {
    test::stack all;
    pending_calls waiting(all, all.binding());
    all.proxy->close();
    CHECK(waiting.all_fail(all));
    CHECK(all_gone(all));
    waiting.check_ended_once();
}

TEST_CASE("A server that is closed fails its calls on every way") {
    test::stack all;
    pending_calls waiting(all, all.binding());
    all.server->close();
    CHECK(waiting.all_fail(all));
    CHECK(all_gone(all));
    waiting.check_ended_once();
}

TEST_CASE("A server over TCP that is closed fails its calls") {
    test::stack all;
    pending_calls waiting(all, all.tcp_binding());
    all.server->close();
    CHECK(waiting.all_fail(all));
    CHECK(all_gone(all));
    waiting.check_ended_once();
}

TEST_CASE("A TCP reset of any of the four hops ends the whole virtual connection") {
    for (const int hop : {0, 1, 2, 3}) {
        CAPTURE(hop);
        test::stack all(
            {.adjust_proxy = [](rpch::proxy_settings& s) { s.valid_ports = "127.0.0.1:1-65535"; }});
        // Relays in front of proxy and server, so that hops can be broken from outside. The order
        // of their connections is not fixed: each is broken in some run.
        test::relay to_proxy(all.io, all.proxy_port);
        test::relay to_server(all.io, all.server_port);
        pending_calls waiting(all, "ncacn_http:127.0.0.1[" + std::to_string(to_server.port()) +
                                       ",RpcProxy=127.0.0.1:" + std::to_string(to_proxy.port()) +
                                       ",HttpUseTls=false]");
        (hop < 2 ? to_proxy : to_server).reset(static_cast<std::size_t>(hop % 2));
        CHECK(waiting.all_fail(all));
        CHECK(all_gone(all));
        waiting.check_ended_once();
    }
}

TEST_CASE("A TLS record that was altered on the way ends everything at once") {
    for (const bool towards_client : {true, false}) {
        test::stack_options options;
        options.tls = true;
        test::stack all(std::move(options));
        test::relay altering(all.io, all.proxy_port);
        test::caller caller(all, "ncacn_http:127.0.0.1[" + std::to_string(all.server_port) +
                                     ",RpcProxy=127.0.0.1:" + std::to_string(altering.port()) +
                                     "]");
        REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
        const auto call = caller.begin(test::probe::hold);
        REQUIRE(all.run_until([&] { return all.held.size() == 1; }));
        altering.alter_next(towards_client);
        all.held[0].answer.respond(test::pattern(100));
        const auto next = caller.begin(test::probe::echo, test::pattern(100));
        REQUIRE(
            all.run_until([&] { return call->done + next->done == 2; }, std::chrono::seconds(10)));
        if (towards_client) CHECK(call->why.code == rpch::errc::tls_failed);
        CHECK(next->why);
        CHECK(all.run_until([&] { return all.proxy->connections() == 0; }));
    }
}

TEST_CASE("stop_listening lets connections go on; close ends them") {
    test::stack all;
    test::bystander other(all);
    REQUIRE(other.goes_on());
    all.server->stop_listening();
    all.proxy->stop_listening();
    all.run_ready();
    CHECK(other.goes_on(5));
    test::caller late(all, all.binding());
    CHECK_FALSE(late.open());
    CHECK(late.why().code == errc::connect_failed);
    CHECK(other.goes_on(5));
    all.proxy->close();
    CHECK(all_gone(all));
}

// Leaks are what the address sanitizer says at the end of the program.
TEST_CASE("An io_context that goes while everything is open takes everything along") {
    const auto make = [](bool tls, bool through_proxy) {
        auto all = std::make_unique<test::stack>(test::stack_options{.tls = tls, .basic = tls});
        // The handler owns the client, and with it the connection that keeps the handler.
        rpch::failure why;
        auto started = rpch::client::start(through_proxy ? all->binding() : all->tcp_binding(),
                                           all->options(), why);
        REQUIRE(started);
        return std::pair(std::move(all), std::move(*started));
    };
    for (const bool through_proxy : {false, true})
        for (const bool tls : {false, true})
            for (const int steps : {0, 1, 2, 5, 10, 20, 40, 80, 160}) {
                CAPTURE(through_proxy);
                CAPTURE(tls);
                CAPTURE(steps);
                auto [all, client] = make(tls, through_proxy);
                int ran = 0;
                client.async_bind(test::probe::id,
                                  [owner = client, &ran](std::error_code, std::uint16_t context) {
                                      ++ran;
                                      hold_on(owner, context);
                                  });
                client = {};
                for (int i = 0; i < steps; ++i) all->io.run_one_for(1ms);
                all.reset();
                CHECK(ran <= 1);
            }
}

TEST_CASE("An io_context that goes while coroutines wait for answers takes them along") {
    struct marker {
        explicit marker(int& count) : count_(count) { ++count_; }
        marker(const marker&) = delete;
        marker& operator=(const marker&) = delete;
        ~marker() { --count_; }
        int& count_;
    };
    int alive = 0;
    {
        test::stack all;
        for (int i = 0; i < 3; ++i)
            asio::co_spawn(
                all.io,
                [](test::stack& in, int& count) -> asio::awaitable<void> {
                    const marker here(count);
                    auto probe = co_await rpch::connect<test::probe>(in.binding(), in.options());
                    co_await probe.connection().async_call_raw(probe.context(), test::probe::hold,
                                                               {}, asio::use_awaitable);
                }(all, alive),
                asio::detached);
        REQUIRE(all.run_until([&] { return all.held.size() == 3; }));
        CHECK(alive == 3);
    }
    CHECK(alive == 0);
}
