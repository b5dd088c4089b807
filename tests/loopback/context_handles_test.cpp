// Context handles over real connections: who may use them, and when they are run down.
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <rpch/dcerpc/client_association.hpp>

#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/stack.hpp"
#include "tests/support/toy_security.hpp"

namespace {

using rpch::errc;
using rpch::rpc_status;
using rpch::ndr::context_handle;
using namespace std::chrono_literals;

/// What stands behind the handles here; counted.
struct drawer {
    explicit drawer(std::uint32_t n) : content(n) { ++alive, ++made; }
    drawer(const drawer&) = delete;
    drawer& operator=(const drawer&) = delete;
    ~drawer() { --alive; }
    std::uint32_t content;
    static inline int alive = 0, made = 0;
};
struct shelf {};

struct vault {
    static constexpr rpch::interface_id id{"6f2c5c1a-0b0e-4a3c-9a56-7b1f5d2c9e01", 1, 0};
    using open = rpch::operation<0, context_handle(std::uint32_t)>;
    using read = rpch::operation<1, std::uint32_t(context_handle)>;
    using close = rpch::operation<2, context_handle(context_handle)>;
    using read_shelf = rpch::operation<3, std::uint32_t(context_handle)>;
    /// Holds the drawer for an hour, or until the call is cancelled and a little longer.
    using hold = rpch::operation<4, std::uint32_t(context_handle)>;
    /// Makes a handle a little later, maybe too late.
    using open_late = rpch::operation<5, context_handle(std::uint32_t)>;
};
struct annex {
    static constexpr rpch::interface_id id{"6f2c5c1a-0b0e-4a3c-9a56-7b1f5d2c9e02", 1, 0};
    using read = rpch::operation<0, std::uint32_t(context_handle)>;
};

asio::awaitable<std::uint32_t> hold(rpch::call_context& call, context_handle h) {
    const auto held = call.handle<drawer>(h);
    asio::steady_timer hour(call.get_executor(), 1h);
    std::error_code ec;
    co_await hour.async_wait(asio::redirect_error(asio::use_awaitable, ec));
    co_return held->content;
}

asio::awaitable<context_handle> open_late(rpch::call_context& call, std::uint32_t n) {
    asio::steady_timer soon(call.get_executor(), 1ms);
    std::error_code ec; // a handler that does not heed a cancel
    co_await soon.async_wait(asio::redirect_error(asio::use_awaitable, ec));
    co_return call.make_handle<drawer>(n);
}

void offer(rpch::server& server) {
    using rpch::call_context;
    const auto read = [](call_context& call, context_handle h) {
        return call.handle<drawer>(h)->content;
    };
    server.handle<vault, vault::open>(
        [](call_context& call, std::uint32_t n) { return call.make_handle<drawer>(n); });
    server.handle<vault, vault::read>(read);
    server.handle<vault, vault::close>(
        [](call_context& call, context_handle h) { return call.close_handle<drawer>(h); });
    server.handle<vault, vault::read_shelf>([](call_context& call, context_handle h) {
        static_cast<void>(call.handle<shelf>(h));
        return std::uint32_t{0};
    });
    server.handle<vault, vault::hold>(&hold);
    server.handle<vault, vault::open_late>(&open_late);
    server.handle<annex, annex::read>(read);
}

/// @return what a call of `Operation` returned, or the error.
template <class Operation, class... Args>
rpch::result<typename Operation::result_type> ask(test::caller& by, Args... args) {
    const auto done = by.call(Operation::opnum, Operation::encode_request(args...).value());
    CHECK(done->done == 1);
    if (done->why) return rpch::fail(done->why.code);
    return Operation::decode_response(done->stub, rpch::core::byte_order::little);
}

enum class way { tcp, http, front };
std::string binding_of(const test::stack& all, way by) {
    if (by == way::front) return all.front_binding();
    return by == way::tcp ? all.tcp_binding() : all.binding();
}

rpch::client_options joining(test::stack& all, test::caller& other) {
    auto out = all.options();
    out.association_group = other.connection().association_group();
    CHECK(out.association_group.id != 0);
    return out;
}

} // namespace

TEST_CASE("Connections of one group share a handle, which lasts until the last of them ends") {
    for (const way by : {way::tcp, way::http, way::front}) {
        test::stack all({.front_door = by == way::front, .prepare_server = &offer});
        const std::string where = binding_of(all, by);
        test::caller first(all, where, all.options(), vault::id);
        REQUIRE(first.open());
        const auto handle = ask<vault::open>(first, 42U);
        REQUIRE(handle);
        test::caller second(all, where, joining(all, first), vault::id);
        REQUIRE(second.open());
        CHECK(ask<vault::read>(second, *handle) == 42U);
        CHECK(all.server->association_groups() == 1);

        const std::size_t before = all.server->connections();
        first.close();
        REQUIRE(all.run_until([&] { return all.server->connections() < before; }));
        CHECK(ask<vault::read>(second, *handle) == 42U);
        const auto another = ask<vault::open>(second, 43U);
        REQUIRE(another);
        CHECK(all.server->context_handles() == 2);
        CHECK(ask<vault::close>(second, *another)->is_null());
        CHECK(drawer::alive == 1);
        CHECK(ask<vault::read>(second, *another).error() == rpc_status::nca_fault_context_mismatch);

        rpch::client_options late = joining(all, second);
        second.close();
        REQUIRE(all.run_until([&] { return all.server->association_groups() == 0; }));
        CHECK(all.server->context_handles() == 0);
        CHECK(drawer::alive == 0);
        test::caller third(all, where, late, vault::id);
        CHECK_FALSE(third.open());
        CHECK(third.why().code == errc::bind_refused);
    }
}

TEST_CASE("A group is joined from where it was begun, and from nowhere else") {
    test::stack all({.prepare_server = &offer});
    test::caller tcp(all, all.tcp_binding(), all.options(), vault::id);
    test::caller http(all, all.binding(), all.options(), vault::id);
    REQUIRE(tcp.open());
    REQUIRE(http.open());
    const auto joins = [&](const std::string& where, const rpch::client_options& with) {
        test::caller caller(all, where, with, vault::id);
        const bool is_open = caller.open();
        if (!is_open) CHECK(caller.why().code == errc::bind_refused);
        return is_open;
    };
    CHECK(joins(all.tcp_binding(), joining(all, tcp)));
    CHECK(joins(all.binding(), joining(all, http)));
    CHECK_FALSE(joins(all.binding(), joining(all, tcp)));
    CHECK_FALSE(joins(all.tcp_binding(), joining(all, http)));
    // Samba's client has another AssociationGroupId for each virtual connection.
    auto other_cookie = joining(all, http);
    other_cookie.association_group.cookie[7] ^= std::byte{1};
    CHECK(joins(all.binding(), other_cookie));
    CHECK(all.server->association_groups() == 2);
}

TEST_CASE("A handle is refused to other groups, interfaces and types, and so is the null handle") {
    test::stack all({.prepare_server = &offer});
    test::caller mine(all, all.tcp_binding(), all.options(), vault::id);
    test::caller other(all, all.tcp_binding(), all.options(), vault::id);
    REQUIRE(mine.open());
    REQUIRE(other.open());
    test::caller next_door(all, all.tcp_binding(), joining(all, mine), annex::id);
    REQUIRE(next_door.open());
    const auto handle = ask<vault::open>(mine, 1U);
    REQUIRE(handle);
    const auto refused = rpc_status::nca_fault_context_mismatch;
    CHECK(ask<vault::read>(other, *handle).error() == refused);
    CHECK(ask<vault::close>(other, *handle).error() == refused);
    CHECK(ask<annex::read>(next_door, *handle).error() == refused);
    CHECK(ask<vault::read_shelf>(mine, *handle).error() == refused);
    CHECK(ask<vault::read>(mine, context_handle{}).error() == refused);
    CHECK(ask<vault::read>(mine, *handle) == 1U);
}

TEST_CASE("A handle is for the user who made it, whatever connection of the group it comes by") {
    for (const way by : {way::tcp, way::http}) {
        test::stack all({.adjust_server =
                             [](rpch::server_settings& s) {
                                 s.rpc_security = {std::make_shared<test::toy_acceptor>(
                                     test::toy_rules{.users = {{"open", "bob"}}})};
                             },
                         .prepare_server = &offer});
        const auto as = [&](rpch::client_options options, std::string password) {
            options.rpc_security = std::make_shared<test::toy_initiator>(
                test::toy_rules{.password = std::move(password)});
            return options;
        };
        const std::string where = binding_of(all, by);
        test::caller alice(all, where, as(all.options(), "sesame"), vault::id);
        REQUIRE(alice.open());
        const auto handle = ask<vault::open>(alice, 5U);
        REQUIRE(handle);
        // The group itself asks nobody who he is.
        test::caller bob(all, where, as(joining(all, alice), "open"), vault::id);
        test::caller nobody(all, where, joining(all, alice), vault::id);
        test::caller again(all, where, as(joining(all, alice), "sesame"), vault::id);
        REQUIRE(bob.open());
        REQUIRE(nobody.open());
        REQUIRE(again.open());
        CHECK(ask<vault::read>(bob, *handle).error() == rpc_status::nca_fault_context_mismatch);
        CHECK(ask<vault::close>(bob, *handle).error() == rpc_status::nca_fault_context_mismatch);
        CHECK(ask<vault::read>(nobody, *handle).error() == rpc_status::nca_fault_context_mismatch);
        CHECK(ask<vault::read>(again, *handle) == 5U);
    }
    CHECK(drawer::alive == 0);
}

TEST_CASE("There are as many handles as the settings allow") {
    test::stack all({.adjust_server =
                         [](rpch::server_settings& s) {
                             s.context_handles_per_group_max = 2;
                             s.context_handles_max = 3;
                         },
                     .prepare_server = &offer});
    test::caller one(all, all.tcp_binding(), all.options(), vault::id);
    test::caller two(all, all.tcp_binding(), all.options(), vault::id);
    REQUIRE(one.open());
    REQUIRE(two.open());
    CHECK(ask<vault::open>(one, 1U));
    CHECK(ask<vault::open>(one, 2U));
    CHECK(ask<vault::open>(one, 3U).error() == rpc_status::nca_fault_remote_no_memory);
    CHECK(ask<vault::open>(two, 4U));
    CHECK(ask<vault::open>(two, 5U).error() == rpc_status::nca_fault_remote_no_memory);
}

TEST_CASE("A call that still runs keeps what is behind its handle, and no longer") {
    for (const way by : {way::tcp, way::http}) {
        test::stack all({.prepare_server = &offer});
        test::caller only(all, binding_of(all, by), all.options(), vault::id);
        REQUIRE(only.open());
        const auto handle = ask<vault::open>(only, 9U);
        REQUIRE(handle);
        const auto busy =
            only.begin(vault::hold::opnum, vault::hold::encode_request(*handle).value());
        all.run_until([] { return false; }, 50ms);
        CHECK(ask<vault::close>(only, *handle)->is_null());
        CHECK(drawer::alive == 1);
        only.close();
        REQUIRE(all.run_until([&] { return all.server->association_groups() == 0; }));
        REQUIRE(all.run_until([&] { return drawer::alive == 0; }));
        CHECK(busy->done == 1);
    }
}

TEST_CASE("Closing the server, or the loss of its io_context, runs all handles down") {
    for (const bool politely : {true, false}) {
        auto all = std::make_unique<test::stack>(test::stack_options{.prepare_server = &offer});
        test::caller tcp(*all, all->tcp_binding(), all->options(), vault::id);
        test::caller http(*all, all->binding(), all->options(), vault::id);
        REQUIRE(tcp.open());
        REQUIRE(http.open());
        CHECK(ask<vault::open>(tcp, 1U));
        CHECK(ask<vault::open>(http, 2U));
        CHECK(drawer::alive == 2);
        if (politely) {
            all->server->close();
            REQUIRE(all->run_until([&] { return all->server->association_groups() == 0; }));
            CHECK(drawer::alive == 0);
        }
        tcp.close();
        http.close();
        all.reset();
        CHECK(drawer::alive == 0);
    }
}

namespace {

/// @return a bind, some opened handles and one that comes late, as a client sends them.
test::bytes scripted_exchange() {
    using namespace rpch::dcerpc;
    association_groups groups;
    const std::vector<offered_interface> offered{{.id = vault::id}};
    server_association server(offered, groups);
    client_association client;
    const auto context = client.add_context(vault::id).value();
    for (const std::uint16_t opnum :
         {vault::open::opnum, vault::open_late::opnum, vault::open::opnum, vault::open::opnum})
        static_cast<void>(client
                              .begin_call({.context = context, .opnum = opnum},
                                          vault::open::encode_request(1).value())
                              .value());
    test::bytes out;
    client_event_list client_events;
    server_event_list server_events;
    while (client.has_output()) {
        test::bytes pdu(client.next_output_size());
        client.write_output(pdu);
        out.insert(out.end(), pdu.begin(), pdu.end());
        CHECK_FALSE(server.on_pdu(pdu, server_events));
        while (server.has_output()) {
            test::bytes answer(server.next_output_size());
            server.write_output(answer);
            CHECK_FALSE(client.on_pdu(answer, client_events));
        }
    }
    CHECK(server_events.size() == 4);
    return out;
}

} // namespace

TEST_CASE("Context handle leaks: none after 10 000 connections closed at random points") {
    constexpr std::size_t group_at = 20; // assoc_group_id of bind and bind_ack, [C706] 12.6.4.3
    test::stack all({.prepare_server = &offer});
    const test::bytes script = scripted_exchange();
    std::mt19937 random(706);
    const auto up_to = [&](std::size_t n) {
        return std::uniform_int_distribution<std::size_t>(0, n)(random);
    };
    std::vector<std::unique_ptr<test::raw_peer>> live;
    std::string known(4, '\0'); // a group that existed a moment ago
    drawer::made = 0;
    const auto begun = std::chrono::steady_clock::now();
    std::size_t most = 0;
    for (int i = 0; i < 10'000; ++i) {
        test::bytes said = script;
        if (up_to(1) == 0)
            for (std::size_t at = 0; at < 4; ++at)
                said[group_at + at] = static_cast<std::byte>(known[at]);
        said.resize(up_to(said.size()));
        live.push_back(std::make_unique<test::raw_peer>(all.io, all.tcp_port));
        live.back()->send(said);
        all.io.restart();
        for (std::size_t turns = up_to(40); turns != 0; --turns)
            if (all.io.poll_one() == 0) break;
        for (const auto& each : live)
            if (each->heard().size() >= group_at + 4) known = each->heard().substr(group_at, 4);
        while (live.size() > up_to(16)) {
            std::swap(live[up_to(live.size() - 1)], live.back());
            const std::size_t how = up_to(3);
            if (how == 0)
                live.back()->close();
            else
                live.back()->reset();
            live.pop_back();
        }
        most = std::max(most, all.server->context_handles());
    }
    live.clear();
    const bool is_empty = all.run_until([&] {
        return all.server->connections() == 0 && all.server->association_groups() == 0 &&
               drawer::alive == 0;
    });
    CHECK(is_empty);
    CHECK(all.server->connections() == 0);
    CHECK(all.server->association_groups() == 0);
    CHECK(all.server->context_handles() == 0);
    CHECK(drawer::alive == 0);
    MESSAGE(drawer::made << " made, " << most << " at once");
    CHECK(drawer::made > 1000);
    CHECK(std::chrono::steady_clock::now() - begun < test::patience);
}
