// What the logs of all roles, and a client, are told of a connection that ends: in order, or lost.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/relay.hpp"
#include "tests/support/stack.hpp"

namespace {

using rpch::errc;
using test::probe;
using namespace std::chrono_literals;

std::ptrdiff_t lines_with(const std::vector<std::string>& log, std::string_view what) {
    return std::count_if(log.begin(), log.end(), [what](const std::string& line) {
        return line.find(what) != std::string::npos;
    });
}

bool all_gone(test::stack& all) {
    return all.run_until(
        [&] { return all.proxy->connections() == 0 && all.server->connections() == 0; }, 10s);
}

/// A client that has made a call, and has `pending` others that the server does not answer.
struct used_connection {
    used_connection(test::stack& all, const std::string& binding, std::size_t pending)
        : caller(all, binding) {
        REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
        REQUIRE_FALSE(caller.call(probe::echo, test::pattern(100))->why);
        for (std::size_t i = 0; i < pending; ++i) calls.push_back(caller.begin(probe::hold));
        REQUIRE(all.run_until([&] { return all.held.size() == pending; }));
    }
    test::caller caller;
    std::vector<std::shared_ptr<test::outcome>> calls;
};

} // namespace

TEST_CASE("A client that has what it wanted ends in order, and no log speaks of a loss") {
    for (const bool tls : {false, true}) {
        test::stack all({.tls = tls});
        used_connection used(all, all.binding(), 0);
        used.caller.close();
        REQUIRE(all_gone(all));
        CHECK(all.proxy_said("IN channel", "closed by the client"));
        CHECK(lines_with(all.proxy_log, " closed by the ") == 2);
        CHECK(all.server_said(" closed by the ", "bound proxy"));
        for (const auto* log : {&all.proxy_log, &all.server_log}) {
            CHECK(lines_with(*log, "lost") == 0);
            CHECK(lines_with(*log, "ended") == 0);
        }
    }
    test::stack all;
    used_connection used(all, all.tcp_binding(), 0);
    used.caller.close();
    REQUIRE(all_gone(all));
    CHECK(all.server_log.empty());
}

TEST_CASE("A client that leaves calls behind is a loss to the server, which tells how many") {
    for (const bool tcp : {false, true}) {
        test::stack all;
        used_connection used(all, tcp ? all.tcp_binding() : all.binding(), 3);
        used.caller.close();
        REQUIRE(all_gone(all));
        CHECK(all.server_said(tcp ? "connection from 127.0.0.1" : "virtual connection", " lost"));
        CHECK(all.server_said(" lost", "(calls that were not finished: 3)"));
    }
}

TEST_CASE("A server that ends fails what waits as lost; a client at rest is told of no loss") {
    for (const bool tcp : {false, true})
        for (const std::size_t pending : {std::size_t{0}, std::size_t{2}}) {
            CAPTURE(tcp);
            CAPTURE(pending);
            test::stack all;
            used_connection used(all, tcp ? all.tcp_binding() : all.binding(), pending);
            all.server->close();
            REQUIRE(all.run_until([&] { return used.caller.connection().connections() == 0; }));
            for (const auto& each : used.calls) {
                CHECK(each->done == 1);
                CHECK(each->why.code == errc::connection_lost);
                CHECK(each->why.detail == "calls that were not answered: 2");
            }
            const auto late = used.caller.call(probe::echo);
            CHECK(late->why.code == (pending == 0 ? errc::channel_closed : errc::connection_lost));
            CHECK(late->why.code == rpch::error_kind::retry_on_new_connection);
            REQUIRE(all_gone(all));
            if (!tcp) CHECK(all.proxy_said(" closed by the server"));
        }
}

TEST_CASE(
    "A reset is a loss even at rest, and the log says on which hop and what the system said") {
    for (std::size_t hop = 0; hop < 4; ++hop) {
        CAPTURE(hop);
        test::stack all(
            {.adjust_proxy = [](rpch::proxy_settings& s) { s.valid_ports = "127.0.0.1:1-65535"; }});
        test::relay to_proxy(all.io, all.proxy_port);
        test::relay to_server(all.io, all.server_port);
        used_connection used(all,
                             "ncacn_http:127.0.0.1[" + std::to_string(to_server.port()) +
                                 ",RpcProxy=127.0.0.1:" + std::to_string(to_proxy.port()) +
                                 ",HttpUseTls=false]",
                             0);
        (hop < 2 ? to_proxy : to_server).reset(hop % 2);
        REQUIRE(all_gone(all));
        const std::string who = hop < 2 ? "client" : "server";
        CHECK(all.proxy_said(" lost on the connection with the " + who, "reset by peer"));
        CHECK(lines_with(all.proxy_log, " lost ") == 1);
        if (hop >= 2) CHECK(all.server_said(" lost on the connection with the ", "reset by peer"));
    }
}

TEST_CASE("An end in the middle of a PDU is a loss") {
    test::stack all;
    test::raw_peer peer(all.io, all.tcp_port);
    peer.send(test::bytes{std::byte{5}, std::byte{0}, std::byte{11}});
    peer.shut_send();
    REQUIRE(all.run_until([&] { return peer.ended(); }));
    CHECK(all.server_said("connection from 127.0.0.1", "lost: "));
    CHECK(all.server_said("in the middle of a PDU"));
}

TEST_CASE("A client that is closed in the middle of a TLS handshake leaves nothing to wait for") {
    asio::io_context io;
    asio::ip::tcp::acceptor listener(io, {asio::ip::address_v4::loopback(), 0});
    std::vector<asio::ip::tcp::socket> silent; // takes what comes, and says nothing
    bool has_begun = false;
    std::byte first{};
    listener.async_accept([&](std::error_code ec, asio::ip::tcp::socket one) {
        REQUIRE_FALSE(ec);
        silent.push_back(std::move(one));
        silent.back().async_read_some(asio::buffer(&first, 1),
                                      [&](std::error_code, std::size_t) { has_begun = true; });
    });
    rpch::client_options options;
    options.executor = io.get_executor();
    options.tls.verify = false;
    rpch::failure why;
    auto client = rpch::client::start("ncacn_http:127.0.0.1[6001,RpcProxy=127.0.0.1:" +
                                          std::to_string(listener.local_endpoint().port()) + "]",
                                      options, why);
    REQUIRE_MESSAGE(client, why.to_string());
    rpch::failure told;
    client->async_bind<rpch::failure>(probe::id,
                                      [&](const rpch::failure& how, std::uint16_t) { told = how; });
    const auto give_up = std::chrono::steady_clock::now() + test::patience;
    while (!has_begun && std::chrono::steady_clock::now() < give_up) io.run_one_for(100ms);
    REQUIRE(has_begun);
    client->close();
    listener.close();
    io.run_for(options.connect_wait / 2);
    CHECK(io.stopped()); // out of work
    CHECK(told.code == errc::operation_aborted);
}

TEST_CASE("A client that has ended keeps its context at work for no deadline of its calls") {
    // Handlers of its calls end it, or cancel others while they hear of the end.
    for (const bool http : {false, true})
        for (const bool cancels : {false, true}) {
            CAPTURE(http);
            CAPTURE(cancels);
            test::stack all;
            asio::io_context own{1};
            const auto run_until = [&](const std::function<bool()>& done) {
                const auto give_up = std::chrono::steady_clock::now() + 10s;
                while (!done() && std::chrono::steady_clock::now() < give_up) {
                    all.run_ready();
                    own.restart();
                    own.run_for(2ms);
                }
                return done();
            };
            auto options = all.options();
            options.executor = own.get_executor();
            options.call_deadline = 2h;
            options.cancel_wait = 1h;
            rpch::failure why;
            auto client =
                *rpch::client::start(http ? all.binding() : all.tcp_binding(), options, why);
            std::optional<std::uint16_t> context;
            client.async_bind(probe::id,
                              [&](std::error_code, std::uint16_t number) { context = number; });
            REQUIRE(run_until([&] { return context.has_value(); }));
            rpch::call_parameters soon;
            soon.deadline = 30ms;
            int done = 0;
            std::array<asio::cancellation_signal, 2> stop;
            for (std::size_t i = 0; i < 2; ++i)
                client.async_call_raw(
                    *context, probe::hold, {}, i == 0 && !cancels ? soon : rpch::call_parameters{},
                    asio::bind_cancellation_slot(
                        stop[i].slot(), [&, i](std::error_code, rpch::raw_response) {
                            ++done;
                            if (cancels)
                                stop[1 - i].emit(asio::cancellation_type::terminal);
                            else
                                client.close();
                        }));
            if (cancels) {
                REQUIRE(run_until([&] { return all.held.size() == 2; }));
                client.close();
            }
            REQUIRE(run_until([&] { return done == 2; }));
            CHECK(run_until([&] { return own.stopped(); }));
            CHECK(done == 2);
        }
}
