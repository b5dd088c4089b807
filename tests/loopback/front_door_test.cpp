// A server that lets RPC over HTTP clients in by itself: the proxy roles and the server role in one
// process, joined in memory.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <asio/co_spawn.hpp>
#include <asio/use_future.hpp>

#include <rpch/auth/users_file.hpp>
#include <rpch/transport/link.hpp>
#include <rpch/transport/password_hash.hpp>

#include "tests/support/certificates.hpp"
#include "tests/support/channel.hpp"
#include "tests/support/raw_peer.hpp"
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

asio::awaitable<std::uint32_t> add_up(std::string binding, rpch::client_options options) {
    auto service = co_await rpch::connect<probe>(binding, options);
    const std::uint32_t one = co_await service.call<probe::add_one>(40U);
    co_return co_await service.call<probe::add_two>(one);
}

rpch::failure refusal(test::stack& all, const std::string& binding, rpch::client_options options) {
    test::caller caller(all, binding, std::move(options));
    CHECK_FALSE(caller.open());
    CHECK(caller.binds_done() == 1);
    return caller.why();
}

bool none_left(test::stack& all, std::chrono::milliseconds limit = soon) {
    return all.run_until([&] { return all.server->connections() == 0; }, limit);
}

/// Waits until each call has ended as a loss, and no second time.
void check_each_failed_once(test::stack& all,
                            const std::vector<std::shared_ptr<test::outcome>>& calls) {
    CHECK(all.run_until(
        [&] {
            return std::all_of(calls.begin(), calls.end(),
                               [](const auto& each) { return each->done != 0; });
        },
        soon));
    all.run_ready();
    for (const auto& each : calls) {
        CHECK(each->done == 1);
        CHECK(each->why.code == errc::connection_lost);
        CHECK(each->why.where.find(" channel to 127.0.0.1:") != std::string::npos);
        CHECK(each->why.detail == "calls that were not answered: 5");
    }
}

} // namespace

TEST_CASE("A typed call reaches a server by its own HTTPS, verified and with Basic") {
    test::stack all({.tls = true, .basic = true, .front_door = true});
    auto done =
        asio::co_spawn(all.io, add_up(all.front_binding(), all.options()), asio::use_future);
    REQUIRE(all.run_until([&] { return done.wait_for(0s) == std::future_status::ready; }));
    CHECK(done.get() == 43);
    CHECK(all.server_said("open", "(tester) to any.example:6001"));
    CHECK(all.server_said("open, client 127.0.0.1"));
    CHECK(none_left(all));
    CHECK(all.proxy_log.empty());
}

TEST_CASE("A server's front door takes every target, unless its ValidPorts says less") {
    SUBCASE("every target") {
        test::stack all({.front_door = true});
        for (const char* target : {"127.0.0.1[1", "server.example[65535", "x[443"}) {
            test::caller caller(all, all.front_binding(target), all.options());
            CHECK_MESSAGE(caller.open(), caller.why().to_string());
        }
    }
    SUBCASE("less") {
        test::stack all({.front_door = true, .adjust_server = [](rpch::server_settings& s) {
                             s.front_door.valid_ports = "server.example:6001";
                         }});
        test::caller caller(all, all.front_binding("SERVER.example[6001"), all.options());
        CHECK_MESSAGE(caller.open(), caller.why().to_string());
        const auto why = refusal(all, all.front_binding("server.example[6002"), all.options());
        CHECK(why.code == rpch::rpc_status::proxy_access_denied);
        CHECK(all.server_said("ValidPorts does not name server.example:6002"));
    }
}

TEST_CASE("A server's front door refuses who may not come in") {
    test::stack all({.tls = true, .basic = true, .front_door = true});
    auto options = all.options();
    SUBCASE("a wrong password") {
        options.http_password = "guess";
        const auto why = refusal(all, all.front_binding(), options);
        CHECK(why.code == errc::http_auth_required);
        CHECK(all.server_said("wrong password", "tester"));
        CHECK_FALSE(all.server_said("guess"));
    }
    SUBCASE("nobody") {
        options.http_auth = rpch::http_authentication::none;
        CHECK(refusal(all, all.front_binding(), options).code == errc::http_auth_required);
    }
    SUBCASE("who does not trust the certificate") {
        options.tls.ca_pem = test::other_authority().certificate_pem();
        CHECK(refusal(all, all.front_binding(), options).code == errc::tls_untrusted);
    }
    CHECK(none_left(all));
    // The others do not notice.
    test::caller caller(all, all.front_binding(), all.options());
    CHECK_MESSAGE(caller.open(), caller.why().to_string());
}

TEST_CASE("A front door without TLS, or that lets nobody in, is refused unless it is allowed") {
    asio::io_context io;
    rpch::server_settings settings;
    std::string why;
    const auto listen = [&] {
        rpch::server server(io.get_executor(), settings);
        why.clear();
        const auto port = server.listen_https({"127.0.0.1", 0}, nullptr, &why);
        return port ? std::error_code{} : port.error();
    };
    CHECK(listen() == errc::bad_setting);
    CHECK(why.find("nobody could log on") != std::string::npos);
    settings.front_door.allow_anonymous = true;
    CHECK(listen() == errc::bad_setting);
    CHECK(why.find("allow_plain") != std::string::npos);
    settings.front_door.allow_plain = true;
    CHECK_FALSE(listen());
    settings.front_door.allow_basic = true;
    CHECK(listen() == errc::bad_setting);
    CHECK(why.find("users file") != std::string::npos);
    settings.front_door.allow_basic = false;
    settings.front_door.tcp_backends.push_back({{"a", 1}, {"b", 2}});
    CHECK(listen() == errc::bad_setting);
    CHECK_FALSE(why.empty());
}

TEST_CASE("The same service answers by its front door, behind a proxy and over TCP at once") {
    test::stack all({.tls = true, .front_door = true});
    test::caller by_door(all, all.front_binding(), all.options());
    test::caller by_proxy(all, all.binding(), all.options());
    test::caller by_tcp(all, all.tcp_binding(), all.options());
    for (test::caller* each : {&by_door, &by_proxy, &by_tcp}) {
        REQUIRE_MESSAGE(each->open(), each->why().to_string());
        CHECK((each->call(probe::echo, test::pattern(5000))->stub == test::pattern(5000)));
    }
}

TEST_CASE("Many calls at once, small and large, pass a server's front door byte for byte") {
    for (const std::uint32_t window : {8192U, 262144U})
        for (const bool tls : {false, true}) {
            CAPTURE(window);
            CAPTURE(tls);
            test::stack all({.tls = tls, .window = window, .front_door = true});
            test::caller caller(all, all.front_binding(), all.options());
            REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
            const auto size = [](unsigned i) {
                return i % 16 == 0 ? std::size_t{1} << 20 : std::size_t{40} * i;
            };
            std::vector<std::shared_ptr<test::outcome>> calls;
            for (unsigned i = 0; i < 64; ++i)
                calls.push_back(caller.begin(probe::echo, test::pattern(size(i), i)));
            for (unsigned i = 0; i < 64; ++i) {
                REQUIRE(all.run_until([&] { return calls[i]->done != 0; }));
                CHECK_MESSAGE(!calls[i]->why, calls[i]->why.to_string());
                CHECK((calls[i]->stub == test::pattern(size(i), i)));
            }
        }
}

TEST_CASE("Channels by a server's front door are replaced while calls are under way, and none is "
          "lost") {
    constexpr std::uint32_t short_lifetime = 128 * 1024;
    for (const bool tls : {false, true}) {
        CAPTURE(tls);
        test::stack all(
            {.tls = tls, .front_door = true, .adjust_server = [](rpch::server_settings& s) {
                 s.front_door.channel_lifetime = short_lifetime;
             }});
        auto options = all.options();
        options.channel_lifetime = short_lifetime;
        test::caller caller(all, all.front_binding(), options);
        REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
        std::vector<std::shared_ptr<test::outcome>> calls;
        for (unsigned i = 0; i < 200; ++i)
            calls.push_back(caller.begin(probe::echo, test::pattern(20'000 + i, i)));
        for (unsigned i = 0; i < 200; ++i) {
            REQUIRE(all.run_until([&] { return calls[i]->done != 0; }));
            REQUIRE_MESSAGE(!calls[i]->why, calls[i]->why.to_string());
            CHECK((calls[i]->stub == test::pattern(20'000 + i, i)));
        }
        const auto replaced = [&](std::string_view channel) {
            return std::count_if(all.server_log.begin(), all.server_log.end(),
                                 [&](const std::string& line) {
                                     return line.find(channel) != std::string::npos &&
                                            line.find("replaced at") != std::string::npos;
                                 });
        };
        CHECK(replaced("IN channel") >= 20);
        CHECK(replaced("OUT channel") >= 20);
    }
}

TEST_CASE("Many clients come in by a server's front door, and leave nothing behind") {
    test::stack all({.front_door = true});
    std::vector<std::unique_ptr<test::caller>> callers;
    for (unsigned i = 0; i < 40; ++i)
        callers.push_back(std::make_unique<test::caller>(all, all.front_binding(), all.options()));
    for (const auto& each : callers) {
        REQUIRE_MESSAGE(each->open(), each->why().to_string());
        CHECK_FALSE(each->call(probe::echo)->why);
    }
    CHECK(all.server->connections() == 160); // two channels of two connections each
    callers.clear();
    CHECK(none_left(all));
}

TEST_CASE("A server that closes fails the calls through its front door, each once") {
    test::stack all({.tls = true, .front_door = true});
    test::caller caller(all, all.front_binding(), all.options());
    REQUIRE(caller.open());
    std::vector<std::shared_ptr<test::outcome>> calls;
    for (unsigned i = 0; i < 5; ++i)
        calls.push_back(caller.begin(probe::hold, test::pattern(100, i)));
    REQUIRE(all.run_until([&] { return all.held.size() == 5; }));
    all.server->close();
    check_each_failed_once(all, calls);
    CHECK(none_left(all));
    CHECK(refusal(all, all.front_binding(), all.options()).code == errc::connect_failed);
}

TEST_CASE(
    "A client that closes at any moment leaves nothing behind in a server with a front door") {
    test::stack all({.front_door = true});
    for (int steps = 0; steps < 40; ++steps) {
        CAPTURE(steps);
        test::caller caller(all, all.front_binding(), all.options());
        for (int i = 0; i < steps; ++i) all.io.run_one_for(1ms);
        caller.connection().close();
        CHECK(all.run_until([&] { return caller.binds_done() != 0; }, soon));
        CHECK(caller.binds_done() == 1);
        CHECK(none_left(all));
    }
}

TEST_CASE("A half that comes alone by a server's front door ends when its time is over") {
    test::stack all({.front_door = true,
                     .adjust_server = [](rpch::server_settings& s) { s.pairing_wait = 100ms; }});
    test::raw_peer out(all.io, all.front_port);
    out.send(test::out_head(6001));
    out.send(
        test::wire_of(rpch::rts::conn_a1{1, test::cookie_of(0x61), test::cookie_of(0x62), 65536}));
    CHECK(all.run_until([&] { return out.ended(); }, soon));
    CHECK(all.server_said("virtual connection",
                          rpch::make_error_code(errc::setup_timeout).message()));
    CHECK(none_left(all, after_linger));
}

TEST_CASE("stop_listening closes a server's front door for those who come later") {
    test::stack all({.front_door = true});
    test::caller caller(all, all.front_binding(), all.options());
    REQUIRE(caller.open());
    all.server->stop_listening();
    all.run_ready();
    CHECK_FALSE(caller.call(probe::echo)->why);
    CHECK(refusal(all, all.front_binding(), all.options()).code == errc::connect_failed);
    CHECK_FALSE(caller.call(probe::echo)->why);
}

TEST_CASE("The users file of a server's front door can be read again") {
    test::stack all({.basic = true, .front_door = true});
    auto options = all.options();
    options.http_user = "second";
    CHECK(refusal(all, all.front_binding(), options).code == errc::http_auth_required);
    rpch::auth::users_file users;
    static_cast<void>(
        users.set("second", rpch::transport::make_password_hash("correct horse", 1000).value()));
    std::ofstream(all.users_path) << users.format();
    CHECK_FALSE(all.server->reload_users());
    test::caller caller(all, all.front_binding(), options);
    CHECK_MESSAGE(caller.open(), caller.why().to_string());
    std::ofstream(all.users_path) << "no users file\n";
    std::string why;
    CHECK(all.server->reload_users(&why) == errc::bad_setting);
    CHECK_FALSE(why.empty());
    test::stack without;
    CHECK(without.server->reload_users() == errc::not_open);
}

TEST_CASE("An io_context that goes while a front door is in use takes everything along") {
    for (const bool tls : {false, true})
        for (const int steps : {0, 2, 5, 10, 15, 20, 25, 30, 40, 80, 160}) {
            CAPTURE(tls);
            CAPTURE(steps);
            auto all = std::make_unique<test::stack>(
                test::stack_options{.tls = tls, .basic = tls, .front_door = true});
            rpch::failure why;
            auto client = rpch::client::start(all->front_binding(), all->options(), why).value();
            client.async_bind(probe::id, [owner = client](std::error_code, std::uint16_t) {});
            client = {};
            for (int i = 0; i < steps; ++i) all->io.run_one_for(1ms);
            all.reset();
        }
}
