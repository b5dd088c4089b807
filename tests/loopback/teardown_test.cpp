// However a connection ends: every call that waits fails exactly once, and nothing stays behind.
#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
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
            calls.push_back(caller.begin(test::probe::hold, test::pattern(5000, i)));
        REQUIRE(all.run_until([&] { return all.held.size() == 5; }));
    }
    [[nodiscard]] bool have_ended() const {
        return std::all_of(calls.begin(), calls.end(),
                           [](const auto& each) { return each->done != 0; });
    }
    /// Waits until each has ended. @return whether each did, with an error, in time.
    bool all_fail(test::stack& all) {
        return all.run_until([&] { return have_ended(); }, soon);
    }
    void check_ended_once(errc why = errc::connection_lost) const {
        for (const auto& each : calls) {
            CHECK(each->done == 1);
            CHECK(each->why.code == why);
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

enum hop { in_http, out_http, in_tcp, out_tcp };
using end = test::relay::end;
using manner = test::relay::manner;

/// A way on which each of the four connections can be ended from outside.
struct four_hops {
    explicit four_hops(bool with_tls)
        : tls(with_tls),
          all({.tls = tls,
               .adjust_proxy =
                   [](rpch::proxy_settings& s) { s.valid_ports = "127.0.0.1:1-65535"; }}),
          to_proxy(all.io, all.proxy_port),
          to_server(all.io, all.server_port) {}
    [[nodiscard]] std::string binding() const {
        return "ncacn_http:127.0.0.1[" + std::to_string(to_server.port()) +
               ",RpcProxy=127.0.0.1:" + std::to_string(to_proxy.port()) +
               (tls ? "]" : ",HttpUseTls=false]");
    }
    void cut(hop which, end told, manner how) {
        test::relay& by = which == in_http || which == out_http ? to_proxy : to_server;
        REQUIRE(by.connections() == 2);
        // Which is made first is not fixed. The IN channel has brought the requests.
        const std::size_t in = by.bytes_from(0) > by.bytes_from(1) ? 0 : 1;
        REQUIRE(by.bytes_from(in) > 25'000);
        REQUIRE(by.bytes_from(1 - in) < 10'000);
        by.cut(which == in_http || which == in_tcp ? in : 1 - in, told, how);
    }
    [[nodiscard]] bool is_over() const {
        return to_proxy.is_over(0) && to_proxy.is_over(1) && to_server.is_over(0) &&
               to_server.is_over(1);
    }
    bool tls;
    test::stack all;
    test::relay to_proxy;
    test::relay to_server;
};

/// @return the lines of a log that tell of an end.
std::vector<std::string> ends_in(const std::vector<std::string>& log) {
    std::vector<std::string> out;
    std::copy_if(log.begin(), log.end(), std::back_inserter(out), [](const std::string& line) {
        return line.find(" closed by ") != std::string::npos ||
               line.find(" lost ") != std::string::npos ||
               line.find(" ended ") != std::string::npos;
    });
    return out;
}

bool holds(const std::string& text, std::string_view what) {
    return text.find(what) != std::string::npos;
}

/// What client, proxies and server say of a hop that ended. Who is told of it names it; everyone
/// else names the connection by which the news came, from one party to the next.
void check_told_of(hop which, end told, manner how, pending_calls& waiting, four_hops& way) {
    const bool http = which == in_http || which == out_http;
    const bool in = which == in_http || which == in_tcp;
    const bool reset = how == manner::rst;
    const bool client_told = http && told != end::far;
    const bool server_told = !http && told != end::near;
    const bool proxy_told = http ? told != end::near : told != end::far;

    for (const auto& each : waiting.calls) {
        const rpch::failure& why = each->why;
        CAPTURE(why.to_string());
        CHECK(why.code == errc::connection_lost);
        CHECK(why.code == rpch::error_kind::network);
        CHECK(why.code == rpch::error_kind::retry_on_new_connection);
        CHECK(why.said_by == rpch::origin::tcp);
        CHECK_FALSE(why.did_not_execute);
        if (client_told || told != end::both) {
            const bool by_in = in == (told != end::far);
            CHECK(why.where == std::string(by_in ? "IN" : "OUT") +
                                   " channel to 127.0.0.1:" + std::to_string(way.to_proxy.port()));
        }
        if (client_told && reset)
            CHECK(holds(why.detail, "reset by peer"));
        else
            CHECK(why.detail == "calls that were not answered: 6");
    }
    CHECK(waiting.caller.connection().connections() == 0);

    // Each of the two proxies tells of its channel once.
    const auto of_proxies = ends_in(way.all.proxy_log);
    CHECK(of_proxies.size() == 2);
    for (const bool of_in : {true, false})
        CHECK(std::count_if(of_proxies.begin(), of_proxies.end(), [&](const auto& line) {
                  return line.rfind(of_in ? "IN channel" : "OUT channel", 0) == 0;
              }) == 1);
    const std::string peer = http ? "client" : "server";
    for (const std::string& line : of_proxies) {
        CAPTURE(line);
        if (proxy_told && reset && line.rfind(in ? "IN" : "OUT", 0) == 0) {
            CHECK(holds(line, " lost on the connection with the " + peer));
            CHECK(holds(line, "reset by peer"));
        } else if (proxy_told && line.rfind(in ? "IN" : "OUT", 0) == 0)
            CHECK(holds(line, " closed by the " + peer));
        else
            CHECK(holds(line, " closed by the "));
    }

    const auto of_server = ends_in(way.all.server_log);
    REQUIRE(of_server.size() == 1);
    CAPTURE(of_server[0]);
    CHECK(holds(of_server[0], "virtual connection"));
    if (server_told || told != end::both) {
        const bool by_in = in == (told != end::near);
        CHECK(holds(of_server[0], std::string(" lost on the connection with the ") +
                                      (by_in ? "inbound" : "outbound") + " proxy"));
    }
    if (server_told && reset)
        CHECK(holds(of_server[0], "reset by peer"));
    else
        CHECK(holds(of_server[0], "calls that were not finished: 6"));
    // And those who serve the calls get to know.
    CHECK(way.all.slept == 1);
    for (const auto& each : way.all.held) CHECK(each.call.is_cancelled());
}

bool is_gone(const test::stack& all) {
    return all.proxy->connections() == 0 && all.server->connections() == 0;
}

bool all_gone(test::stack& all) {
    return all.run_until([&] { return is_gone(all); }, soon);
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
        waiting.check_ended_once(errc::operation_aborted);
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
    waiting.check_ended_once(errc::operation_aborted);
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

TEST_CASE("The end of any of the four hops, in order or by a reset, ends the whole virtual "
          "connection within a second, and each call fails once and says why") {
    for (const bool tls : {false, true})
        for (const hop which : {in_http, out_http, in_tcp, out_tcp})
            for (const end told : {end::near, end::far, end::both})
                for (const manner how : {manner::fin, manner::rst}) {
                    CAPTURE(tls);
                    CAPTURE(which);
                    CAPTURE(told);
                    CAPTURE(how);
                    four_hops way(tls);
                    test::stack& all = way.all;
                    pending_calls waiting(all, way.binding());
                    waiting.calls.push_back(waiting.caller.begin(test::probe::sleep::opnum));
                    all.run_ready();
                    way.cut(which, told, how);
                    CHECK(all.run_until(
                        [&] { return waiting.have_ended() && way.is_over() && is_gone(all); },
                        soon));
                    check_told_of(which, told, how, waiting, way);
                    // Nothing comes after it, not even of the server's answers.
                    for (auto& each : all.held) each.answer.respond({});
                    all.run_ready();
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
