// Connections without an endpoint, the endpoint mapper and mgmt, over real sockets.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <rpch/client/endpoint_list.hpp>

#include <doctest/doctest.h>

#include <asio/co_spawn.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/use_future.hpp>

#include "tests/support/stack.hpp"
#include "tests/support/toy_security.hpp"

namespace {

using rpch::errc;
using rpch::origin;
using rpch::rpc_status;
using rpch::auth::authentication_level;
using rpch::services::endpoint;
using rpch::services::endpoint_map;
using rpch::services::endpoint_mapper;
using rpch::services::if_registered;
using rpch::services::mgmt;
using rpch::services::mgmt_operation;
using rpch::services::tower_protocol;
using test::probe;
namespace ept_status = rpch::services::ept_status;

/// A server that is its own endpoint mapper, behind a proxy.
struct host {
    explicit host(test::stack_options options = {}, rpch::services::map_change_rule allowed = {},
                  rpch::mgmt_settings management = {})
        : all(with_services(std::move(options), std::move(allowed), std::move(management))) {
        all.run_ready(); // the server publishes on its strand
    }

    test::stack_options with_services(test::stack_options options,
                                      rpch::services::map_change_rule allowed,
                                      rpch::mgmt_settings management) {
        const auto before = options.prepare_server;
        options.prepare_server = [=, this](rpch::server& server) {
            if (before) before(server);
            server.serve_endpoint_mapper(map, allowed);
            server.publish_endpoints(map, {.annotation = "the probe"});
            server.serve_mgmt(management);
        };
        return options;
    }
    rpch::client_options options(bool http = false) {
        auto out = all.options();
        out.endpoint_mapper_port = http ? all.server_port : all.tcp_port;
        return out;
    }
    [[nodiscard]] std::string http_binding() const {
        std::string out = all.binding();
        const std::string port = std::to_string(all.server_port);
        return out.erase(out.find(port), port.size());
    }

    std::shared_ptr<endpoint_map> map = std::make_shared<endpoint_map>();
    test::stack all;
};

const std::string tcp_binding = "ncacn_ip_tcp:127.0.0.1[]";

/// Runs a coroutine to its end. @return its value; what it throws is thrown.
template <class T>
T run(test::stack& all, asio::awaitable<T> work) {
    auto done = asio::co_spawn(all.io, std::move(work), asio::use_future);
    REQUIRE(all.run_until(
        [&] { return done.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }));
    return done.get();
}

asio::awaitable<std::uint32_t> add_one(std::string binding, rpch::client_options options) {
    auto service = co_await rpch::connect<probe>(std::move(binding), std::move(options));
    co_return co_await service.call<probe::add_one>(41U);
}

/// @return how a connection for an interface went.
rpch::failure failure_of(test::stack& all, const std::string& binding, rpch::client_options options,
                         const rpch::interface_id& id = probe::id) {
    test::caller caller(all, binding, std::move(options), id);
    CHECK_FALSE(caller.open());
    CHECK(caller.binds_done() == 1);
    return caller.why();
}

template <class Operation, class... Args>
typename Operation::result_type ask_as(test::stack& all, const std::string& binding,
                                       rpch::client_options as, Args... args) {
    using service_type =
        std::conditional_t<std::is_same_v<Operation, mgmt::inq_if_ids> ||
                               std::is_same_v<Operation, mgmt::inq_stats> ||
                               std::is_same_v<Operation, mgmt::inq_princ_name> ||
                               std::is_same_v<Operation, mgmt::is_server_listening> ||
                               std::is_same_v<Operation, mgmt::stop_server_listening>,
                           mgmt, endpoint_mapper>;
    const auto work = [](std::string where, rpch::client_options options,
                         Args... each) -> asio::awaitable<typename Operation::result_type> {
        auto service = co_await rpch::connect<service_type>(std::move(where), std::move(options));
        co_return co_await service.template call<Operation>(std::move(each)...);
    };
    return run(all, work(binding, std::move(as), std::move(args)...));
}
template <class Operation, class... Args>
typename Operation::result_type ask(test::stack& all, const std::string& binding, Args... args) {
    return ask_as<Operation>(all, binding, all.options(), std::move(args)...);
}

/// A stack whose server takes `user` for whoever proves to know the password.
test::stack_options secured(std::string user = "alice") {
    test::stack_options out;
    out.adjust_server = [user = std::move(user)](rpch::server_settings& settings) {
        test::toy_rules rules;
        rules.user = user;
        settings.rpc_security.push_back(std::make_shared<test::toy_acceptor>(rules));
    };
    return out;
}
rpch::client_options with_security(rpch::client_options out, authentication_level level) {
    out.rpc_security = std::make_shared<test::toy_initiator>();
    out.rpc_level = level;
    return out;
}

endpoint probe_at(std::uint16_t port, tower_protocol protocol = tower_protocol::tcp) {
    return {{.interface = probe::id, .protocol = protocol, .port = port}, {}, {}};
}
endpoint_mapper::given_entries entry_of(const endpoint& what) {
    endpoint_mapper::twr tower;
    tower.tower_octet_string.items = rpch::services::encode_tower(what.where);
    tower.tower_length = static_cast<std::uint32_t>(tower.tower_octet_string.items.size());
    endpoint_mapper::given_entries out;
    out.items.push_back({what.object, std::move(tower), {what.annotation}});
    return out;
}

} // namespace

TEST_CASE("A binding without endpoint finds it over ncacn_ip_tcp") {
    host h;
    CHECK(run(h.all, add_one(tcp_binding, h.options())) == 42);
    CHECK(run(h.all, add_one("ncacn_ip_tcp:127.0.0.1", h.options())) == 42);
}

TEST_CASE("A binding without endpoint finds it through the proxy") {
    host h;
    CHECK(run(h.all, add_one(h.http_binding(), h.options(true))) == 42);
}

TEST_CASE("The mapper is asked with the HTTP credentials and the TLS settings of the connection") {
    host h({.tls = true, .basic = true});
    CHECK(run(h.all, add_one(h.http_binding(), h.options(true))) == 42);
    auto wrong = h.options(true);
    wrong.http_password = "other";
    const auto why = failure_of(h.all, h.http_binding(), wrong);
    CHECK(why.code == errc::http_auth_required);
    CHECK(why.said_by == origin::http);
    CHECK(why.where.find("endpoint mapper at 127.0.0.1:") == 0);
}

TEST_CASE("The mapper is asked without the security of the calls") {
    auto secure = secured();
    const auto offer = secure.adjust_server;
    secure.adjust_server = [offer](rpch::server_settings& settings) {
        offer(settings);
        settings.minimum_level = authentication_level::privacy;
    };
    const auto secret = [](rpch::client_options options) {
        options.require_header_signing = true;
        return with_security(std::move(options), authentication_level::privacy);
    };
    SUBCASE("and lets everybody ask") {
        secure.prepare_server = [](rpch::server& server) {
            server.require_level(endpoint_mapper::id, authentication_level::none);
        };
        host h(std::move(secure));
        CHECK(run(h.all, add_one(tcp_binding, secret(h.options()))) == 42);
        CHECK(run(h.all, add_one(h.http_binding(), secret(h.options(true)))) == 42);
        CHECK_THROWS_AS(run(h.all, add_one(tcp_binding, h.options())), rpch::rpc_error);
    }
    SUBCASE("or demands as much as the rest of the server") {
        host h(std::move(secure));
        const auto why = failure_of(h.all, tcp_binding, secret(h.options()));
        CHECK(why.code == rpc_status::access_denied);
        CHECK(why.where.find("endpoint mapper at 127.0.0.1:") == 0);
    }
}

TEST_CASE("What the mapper does not know is told as it says it") {
    host h;
    const rpch::interface_id newer{probe::id.id, probe::id.major, 9};
    for (const bool http : {false, true}) {
        const auto why =
            failure_of(h.all, http ? h.http_binding() : tcp_binding, h.options(http), newer);
        CHECK(why.code == rpc_status::ept_not_registered);
        CHECK(why.said_by == origin::endpoint_mapper);
        CHECK(why.did_not_execute);
        CHECK(why.detail.find(probe::id.id.to_string() + " version 1.9 over") != std::string::npos);
        CHECK(why.next_step.find("registers its endpoints") != std::string::npos);
    }
}

TEST_CASE("An answer that leads nowhere is no endpoint") {
    host h;
    for (const auto& each : {probe_at(h.all.tcp_port), probe_at(h.all.server_port)}) {
        auto old = each;
        old.where.address = {127, 0, 0, 1};
        old.where.protocol =
            each.where.port == h.all.tcp_port ? tower_protocol::tcp : tower_protocol::http;
        h.map->erase(old);
    }
    CHECK(failure_of(h.all, tcp_binding, h.options()).code == rpc_status::ept_not_registered);
    SUBCASE("the port of the answer is used, its address is not") {
        auto elsewhere = probe_at(h.all.tcp_port);
        elsewhere.where.address = {192, 0, 2, 1};
        REQUIRE_FALSE(h.map->insert(elsewhere));
        CHECK(run(h.all, add_one(tcp_binding, h.options())) == 42);
    }
}

TEST_CASE("A mapper that is not there, or is none, is told with the way out") {
    test::stack all;
    auto options = all.options();
    SUBCASE("nothing listens") {
        options.endpoint_mapper_port = std::uint16_t{1};
        const auto why = failure_of(all, tcp_binding, options);
        CHECK(why.code == errc::connect_failed);
        CHECK(why.where.find("endpoint mapper at 127.0.0.1:1, ") == 0);
        CHECK(why.next_step.find("or put the server's port into the binding") != std::string::npos);
    }
    SUBCASE("another server listens") {
        options.endpoint_mapper_port = all.tcp_port;
        const auto why = failure_of(all, tcp_binding, options);
        CHECK(why.code == errc::context_refused);
        CHECK(why.said_by == origin::bind);
        CHECK(why.next_step.find("no endpoint mapper listens there") != std::string::npos);
    }
}

TEST_CASE("A mapper that does not answer has open_wait, and may be left before") {
    test::stack all;
    asio::ip::tcp::acceptor mute(all.io, {asio::ip::make_address("127.0.0.1"), 0});
    auto options = all.options();
    options.endpoint_mapper_port = mute.local_endpoint().port();
    SUBCASE("it is late") {
        options.open_wait = std::chrono::milliseconds(50);
        const auto why = failure_of(all, tcp_binding, options);
        CHECK(why.code == errc::setup_timeout);
        CHECK(why.said_by == origin::local);
    }
    SUBCASE("the client is closed") {
        test::caller caller(all, tcp_binding, options);
        all.run_ready();
        caller.close();
        CHECK_FALSE(caller.open());
        CHECK(caller.binds_done() == 1);
        CHECK(caller.why().code == errc::operation_aborted);
    }
    SUBCASE("the client of a proxy is closed") {
        const std::string binding = "ncacn_http:127.0.0.1[RpcProxy=127.0.0.1:" +
                                    std::to_string(mute.local_endpoint().port()) +
                                    ",HttpUseTls=false]";
        test::caller caller(all, binding, options);
        all.run_ready();
        caller.close();
        CHECK_FALSE(caller.open());
        CHECK(caller.binds_done() == 1);
        CHECK(caller.why().code == errc::operation_aborted);
    }
}

TEST_CASE("The io_context may end while the mapper is asked") {
    auto io = std::make_unique<asio::io_context>(1);
    asio::ip::tcp::acceptor mute(*io, {asio::ip::make_address("127.0.0.1"), 0});
    rpch::client_options options;
    options.executor = io->get_executor();
    options.endpoint_mapper_port = mute.local_endpoint().port();
    bool done = false;
    rpch::async_connect<probe>(tcp_binding, options,
                               [&](std::error_code, const rpch::service<probe>&) { done = true; });
    io->poll();
    mute.close();
    io.reset(); // a leak here is the sanitizer's to find
    CHECK_FALSE(done);
}

TEST_CASE("A second interface goes where the first one was found") {
    host h;
    test::caller caller(h.all, tcp_binding, h.options());
    int done = 0;
    rpch::failure second;
    caller.connection().async_bind<rpch::failure>(mgmt::id,
                                                  [&](const rpch::failure& why, std::uint16_t) {
                                                      ++done;
                                                      second = why;
                                                  });
    CHECK(caller.open());
    CHECK(h.all.run_until([&] { return done != 0; }));
    CHECK_FALSE(second);
    CHECK(caller.call(probe::echo, test::pattern(20))->stub == test::pattern(20));
}

TEST_CASE("All endpoints of a host are listed, page by page") {
    host h;
    const std::size_t own = h.map->size();
    CHECK(own == 4); // probe and rpcecho, each over HTTP and TCP
    for (std::uint16_t port = 1; port <= 250; ++port)
        REQUIRE_FALSE(h.map->insert(probe_at(port), if_registered::add));
    const auto found = run(h.all, rpch::list_endpoints(tcp_binding, h.options()));
    REQUIRE(found.size() == own + 250);
    CHECK(found[0].annotation == "the probe");
    CHECK(found.back().where.port == 250);
    // The same by way of the proxy, whose server does not know what the client reached.
    const auto by_http = run(h.all, rpch::list_endpoints(h.http_binding(), h.options(true)));
    REQUIRE(by_http.size() == found.size());
    CHECK(found.back().where.address == std::array<std::uint8_t, 4>{127, 0, 0, 1});
    CHECK(by_http.back().where.address == std::array<std::uint8_t, 4>{});
    CHECK(by_http[0].where.address == std::array<std::uint8_t, 4>{127, 0, 0, 1});
}

TEST_CASE("Nobody registers endpoints by a call, unless a rule lets callers of this machine") {
    const auto entries = entry_of(probe_at(7777));
    const auto insert = [&](host& h, const std::string& binding) {
        return ask<endpoint_mapper::insert>(h.all, binding, std::uint32_t{1}, entries,
                                            std::uint32_t{0});
    };
    const auto refused = [&](host& h, const std::string& binding) {
        try {
            insert(h, binding);
        } catch (const rpch::rpc_error& e) {
            return e.code() == rpc_status::access_denied;
        }
        return false;
    };
    SUBCASE("no rule") {
        host h;
        CHECK(refused(h, h.all.tcp_binding()));
    }
    SUBCASE("the rule") {
        host h({}, rpch::services::allow_local_changes);
        CHECK(insert(h, h.all.tcp_binding()) == ept_status::ok);
        CHECK(refused(h, h.all.binding())); // a proxy says where that client is
        CHECK(h.map->size() == 5);
        CHECK(ask<endpoint_mapper::remove>(h.all, h.all.tcp_binding(), std::uint32_t{1}, entries) ==
              ept_status::ok);
        CHECK(h.map->size() == 4);
    }
}

TEST_CASE("Rules decide by what the caller's security context proved") {
    const auto insert = [](host& h, const std::string& binding, rpch::client_options as) {
        try {
            return ask_as<endpoint_mapper::insert>(h.all, binding, std::move(as), std::uint32_t{1},
                                                   entry_of(probe_at(7777)),
                                                   std::uint32_t{0}) == ept_status::ok;
        } catch (const rpch::rpc_error& e) {
            CHECK(e.code() == rpc_status::access_denied);
            return false;
        }
    };
    std::vector<rpch::services::caller> seen;
    const auto only_alice = [&seen](const rpch::services::caller& who, rpch::services::map_change) {
        seen.push_back(who);
        return who.user == "alice" && who.domain == "TOY" &&
               who.level >= authentication_level::integrity;
    };
    SUBCASE("an authenticated user may") {
        host h(secured(), only_alice);
        const auto as = with_security(h.all.options(), authentication_level::privacy);
        SUBCASE("over ncacn_ip_tcp") { CHECK(insert(h, h.all.tcp_binding(), as)); }
        SUBCASE("through the proxy") { CHECK(insert(h, h.all.binding(), as)); }
        CHECK(h.map->size() == 5);
        REQUIRE(seen.size() == 1);
        CHECK(seen[0].level == authentication_level::privacy);
    }
    SUBCASE("a caller without security may not") {
        host h(secured(), only_alice);
        CHECK_FALSE(insert(h, h.all.tcp_binding(), h.all.options()));
        REQUIRE(seen.size() == 1);
        CHECK(seen[0].user.empty());
        CHECK(seen[0].domain.empty());
        CHECK(seen[0].level == authentication_level::none);
        CHECK(h.map->size() == 4);
    }
    SUBCASE("nor the user at a lower level") {
        host h(secured(), only_alice);
        CHECK_FALSE(insert(h, h.all.tcp_binding(),
                           with_security(h.all.options(), authentication_level::connect)));
        REQUIRE(seen.size() == 1);
        CHECK(seen[0].user == "alice");
        CHECK(seen[0].level == authentication_level::connect);
    }
    SUBCASE("nor another user") {
        host h(secured("mallory"), only_alice);
        CHECK_FALSE(insert(h, h.all.tcp_binding(),
                           with_security(h.all.options(), authentication_level::privacy)));
        REQUIRE(seen.size() == 1);
        CHECK(seen[0].user == "mallory");
    }
    SUBCASE("nor somebody anonymous, who has no name and no domain") {
        host h(secured(""), only_alice);
        CHECK_FALSE(insert(h, h.all.tcp_binding(),
                           with_security(h.all.options(), authentication_level::privacy)));
        REQUIRE(seen.size() == 1);
        CHECK(seen[0].user.empty());
        CHECK(seen[0].domain.empty());
        CHECK(seen[0].level == authentication_level::privacy);
    }
    SUBCASE("mgmt asks its rule in the same way") {
        host h(secured(), {},
               {.allowed = [](const rpch::services::caller& who, mgmt_operation, std::uint32_t&) {
                   return who.user == "alice";
               }});
        CHECK(ask<mgmt::stop_server_listening>(h.all, h.all.tcp_binding()) == 5);
        CHECK(h.map->size() == 4);
        CHECK(ask_as<mgmt::stop_server_listening>(
                  h.all, h.all.tcp_binding(),
                  with_security(h.all.options(), authentication_level::integrity)) == 0);
        CHECK(h.map->size() == 0);
    }
}

TEST_CASE("mgmt tells what a server offers and what came and went") {
    host h({}, {}, {.principals = {{10, "tester"}}});
    const auto ids = ask<mgmt::inq_if_ids>(h.all, h.all.tcp_binding());
    CHECK(std::get<0>(ids)->count == 4); // probe, rpcecho, the mapper, mgmt
    const auto stats = [&](const std::string& binding) {
        const auto answer = ask<mgmt::inq_stats>(h.all, binding, std::uint32_t{4});
        return std::get<1>(answer).items;
    };
    // Each question is a bind and a call; its own answer is not out when it counts.
    const auto first = stats(h.all.tcp_binding());
    const auto second = stats(h.all.binding());
    CHECK(first == std::vector<std::uint32_t>{2, 0, 4, 3});
    CHECK(second == std::vector<std::uint32_t>{3, 0, 6, 5});
    const auto name = ask<mgmt::inq_princ_name>(h.all, h.all.tcp_binding(), std::uint32_t{10},
                                                std::uint32_t{100});
    CHECK(std::get<0>(name).items.size() == 7);
    CHECK(std::get<1>(name) == 0);
}

TEST_CASE("mgmt stops a server only for whom a rule allows it") {
    SUBCASE("no rule") {
        host h;
        CHECK(ask<mgmt::stop_server_listening>(h.all, h.all.tcp_binding()) == 5);
        CHECK(ask<mgmt::is_server_listening>(h.all, h.all.tcp_binding()) ==
              std::tuple<std::uint32_t, std::uint32_t>(0, 1));
    }
    SUBCASE("a rule") {
        host h(
            {}, {},
            {.allowed = [](const rpch::services::caller& who, mgmt_operation what, std::uint32_t&) {
                return who.local || what == mgmt_operation::is_server_listening;
            }});
        test::caller before(h.all, h.all.tcp_binding(), h.all.options(), mgmt::id);
        CHECK(before.open());
        CHECK(ask<mgmt::stop_server_listening>(h.all, h.all.binding()) == 5); // not local
        CHECK(ask<mgmt::stop_server_listening>(h.all, h.all.tcp_binding()) == 0);
        CHECK(h.all.server_said("stops the server"));
        CHECK(h.map->size() == 0);
        const auto listening = before.call(mgmt::is_server_listening::opnum);
        CHECK(listening->stub == test::hex("00000000 00000000"));
        const auto why = failure_of(h.all, h.all.tcp_binding(), h.all.options());
        CHECK(why.code == errc::connect_failed);
    }
}
