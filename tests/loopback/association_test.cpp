// Clients that open further connections under load: one association group, every call answered
// once.
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/support/relay.hpp"
#include "tests/support/stack.hpp"
#include "tests/support/toy_security.hpp"

namespace {

using rpch::errc;
using test::probe;
using namespace std::chrono_literals;

enum class way { tcp, http };

/// A stack whose clients come through a relay, which can break any of their connections.
struct world {
    explicit world(way by_, test::stack_options with = {})
        : all(std::move(with)),
          between(all.io, by_ == way::tcp ? all.tcp_port : all.proxy_port),
          by(by_) {}

    [[nodiscard]] std::string binding() const {
        const std::string port = std::to_string(between.port());
        if (by == way::tcp) return "ncacn_ip_tcp:127.0.0.1[" + port + "]";
        return "ncacn_http:127.0.0.1[" + std::to_string(all.server_port) +
               ",RpcProxy=127.0.0.1:" + port + ",HttpUseTls=false]";
    }
    [[nodiscard]] rpch::client_options options(std::size_t connections = 4) {
        auto out = all.options();
        out.connections_max = connections;
        out.calls_per_connection = 8;
        return out;
    }
    /// Begins calls that the server holds, with some room for what they cause in between.
    std::vector<std::shared_ptr<test::outcome>> begin(test::caller& by_caller, unsigned n) {
        std::vector<std::shared_ptr<test::outcome>> out;
        for (unsigned i = 0; i < n; ++i) {
            out.push_back(by_caller.begin(probe::hold, test::pattern(100 + i, i)));
            all.run_ready();
        }
        return out;
    }
    /// @return the calls that wait in the server, by connection.
    [[nodiscard]] std::map<const rpch::connection_info*, std::size_t> spread() const {
        std::map<const rpch::connection_info*, std::size_t> out;
        for (const auto& each : all.held) ++out[&each.call.connection()];
        return out;
    }
    /// Answers what is held, in any order.
    void answer() {
        std::mt19937 random(9);
        while (!all.held.empty()) {
            const auto at = static_cast<std::ptrdiff_t>(random() % all.held.size());
            const auto which = all.held.begin() + at;
            which->answer.respond(std::move(which->stub));
            std::vector<test::held_call> rest;
            for (auto each = all.held.begin(); each != all.held.end(); ++each)
                if (each != which) rest.push_back(std::move(*each));
            all.held.swap(rest);
        }
    }
    bool wait_for(const std::vector<std::shared_ptr<test::outcome>>& calls) {
        return all.run_until([&] {
            return std::all_of(calls.begin(), calls.end(),
                               [](const auto& call) { return call->done != 0; });
        });
    }

    test::stack all;
    test::relay between;
    way by;
};

} // namespace

TEST_CASE("200 calls at once spread over several connections of one group, all answered once") {
    for (const way by : {way::tcp, way::http}) {
        world w(by);
        test::caller caller(w.all, w.binding(), w.options());
        REQUIRE(caller.open());
        CHECK(caller.connection().connections() == 1);
        const auto calls = w.begin(caller, 200);
        REQUIRE(w.all.run_until([&] { return w.all.held.size() == 200; }));
        CHECK(caller.connection().connections() == 4);
        CHECK(w.between.connections() == (by == way::tcp ? 4U : 8U));
        CHECK(w.all.server->association_groups() == 1);
        const auto spread = w.spread();
        CHECK(spread.size() == 4);
        for (const auto& [connection, n] : spread) {
            CHECK(connection->association_group == caller.connection().association_group().id);
            CHECK(n >= 40);
        }
        // An interface that is bound now is good on all of them.
        auto second = std::make_shared<int>(-1);
        caller.connection().async_bind(
            rpch::interface_id{"00000000-1111-2222-3333-444444444444", 1, 0},
            [second](std::error_code ec, std::uint16_t) { *second = ec ? 1 : 0; });
        REQUIRE(w.all.run_until([&] { return *second != -1; }));
        CHECK(*second == 1); // the server lacks it, which harms nobody

        w.answer();
        REQUIRE(w.wait_for(calls));
        for (unsigned i = 0; i < calls.size(); ++i) {
            CHECK(calls[i]->done == 1);
            CHECK_FALSE(calls[i]->why);
            CHECK(calls[i]->stub == test::pattern(100 + i, i));
        }
        CHECK(caller.connection().connections() == 4);
        caller.close();
        REQUIRE(w.all.run_until([&] { return w.all.server->association_groups() == 0; }));
        for (const auto& call : calls) CHECK(call->done == 1);
    }
}

TEST_CASE("A connection that is killed takes its own calls with it, each once, and no others") {
    for (const way by : {way::tcp, way::http})
        for (const bool the_first : {true, false}) {
            world w(by);
            test::caller caller(w.all, w.binding(), w.options(3));
            REQUIRE(caller.open());
            const auto calls = w.begin(caller, 200);
            REQUIRE(w.all.run_until([&] { return w.all.held.size() == 200; }));
            REQUIRE(w.spread().size() == 3);
            w.between.reset(the_first ? 0 : by == way::tcp ? 1 : 2);
            REQUIRE(w.all.run_until([&] { return caller.connection().connections() == 2; }));
            CHECK(w.all.server->association_groups() == 1);
            w.all.run_ready();
            w.answer();
            REQUIRE(w.wait_for(calls));
            std::size_t failed = 0;
            for (unsigned i = 0; i < calls.size(); ++i) {
                CHECK(calls[i]->done == 1);
                if (calls[i]->why)
                    ++failed;
                else
                    CHECK(calls[i]->stub == test::pattern(100 + i, i));
            }
            CHECK(failed >= 40);
            CHECK(failed <= 100);
            CHECK_FALSE(caller.call(probe::echo, test::pattern(50))->why);
            // Another takes its place under load, and new interfaces are bound on those there are.
            auto bound = std::make_shared<std::pair<int, std::uint16_t>>(-1, std::uint16_t{0});
            caller.connection().async_bind(probe::id,
                                           [bound](std::error_code ec, std::uint16_t context) {
                                               *bound = {ec ? 1 : 0, context};
                                           });
            REQUIRE(w.all.run_until([&] { return bound->first != -1; }));
            CHECK(bound->first == 0);
            CHECK(bound->second == caller.context() + 1);
            const auto more = w.begin(caller, 60);
            REQUIRE(w.all.run_until([&] { return w.all.held.size() == 60; }));
            CHECK(caller.connection().connections() == 3);
            w.answer();
            REQUIRE(w.wait_for(more));
            for (const auto& call : more) CHECK_FALSE(call->why);
            CHECK(w.all.server->association_groups() == 1);
        }
}

TEST_CASE("Once all connections are gone, calls fail with the reason of the last") {
    world w(way::tcp);
    test::caller caller(w.all, w.binding(), w.options(2));
    REQUIRE(caller.open());
    const auto calls = w.begin(caller, 40);
    REQUIRE(w.all.run_until([&] { return w.all.held.size() == 40; }));
    REQUIRE(w.spread().size() == 2);
    w.between.reset(0);
    w.between.reset(1);
    REQUIRE(w.wait_for(calls));
    for (const auto& call : calls) CHECK(call->why);
    const auto late = caller.call(probe::echo);
    CHECK(late->done == 1);
    CHECK(late->why);
    CHECK(late->why.did_not_execute);
    CHECK(caller.connection().connections() == 0);
    REQUIRE(w.all.run_until([&] { return w.all.server->association_groups() == 0; }));
}

TEST_CASE(
    "A server that does not know the group, or is not there, leaves a client with what it has") {
    // Behind one name there are two servers.
    test::stack all, other;
    test::relay balancer(all.io, {all.tcp_port, other.tcp_port});
    for (const bool is_there : {true, false}) {
        const std::size_t before = balancer.connections();
        auto options = all.options();
        options.connections_max = 5;
        options.calls_per_connection = 4;
        test::caller caller(all, "ncacn_ip_tcp:127.0.0.1[" + std::to_string(balancer.port()) + "]",
                            options);
        REQUIRE(caller.open());
        if (!is_there) balancer.stop_accepting();
        std::vector<std::shared_ptr<test::outcome>> calls;
        for (int round = 0; round < 10; ++round) {
            for (int i = 0; i < 5; ++i)
                calls.push_back(caller.begin(probe::hold, test::pattern(9)));
            for (int turn = 0; turn < 10; ++turn) {
                all.run_ready();
                other.run_ready();
            }
        }
        REQUIRE(all.run_until([&] { return all.held.size() == 50; }));
        CHECK(caller.connection().connections() == 1);
        CHECK(balancer.connections() == before + (is_there ? 2U : 1U)); // one attempt
        CHECK(caller.connection().last_failure().code ==
              (is_there ? errc::bind_refused : errc::connect_failed));
        for (auto& each : all.held) each.answer.respond({});
        all.held.clear();
        REQUIRE(all.run_until([&] {
            return std::all_of(calls.begin(), calls.end(),
                               [](const auto& call) { return call->done != 0; });
        }));
        for (const auto& call : calls) CHECK_FALSE(call->why);
        if (!is_there) balancer.accept_again();
    }
    CHECK(other.server->association_groups() == 0);
}

TEST_CASE("Each connection proves the client for itself") {
    for (const way by : {way::tcp, way::http}) {
        world w(by, {.adjust_server = [](rpch::server_settings& s) {
                    s.rpc_security = {std::make_shared<test::toy_acceptor>()};
                    s.minimum_level = rpch::auth::authentication_level::privacy;
                }});
        auto options = w.options(3);
        options.rpc_security = std::make_shared<test::toy_initiator>();
        test::caller caller(w.all, w.binding(), options);
        REQUIRE(caller.open());
        const auto calls = w.begin(caller, 60);
        REQUIRE(w.all.run_until([&] { return w.all.held.size() == 60; }));
        CHECK(w.spread().size() == 3);
        for (const auto& each : w.all.held) {
            REQUIRE(each.call.caller() != nullptr);
            CHECK(each.call.caller()->user == "alice");
            CHECK(each.call.level() == rpch::auth::authentication_level::privacy);
        }
        w.answer();
        REQUIRE(w.wait_for(calls));
        for (const auto& call : calls) CHECK_FALSE(call->why);
    }
}

TEST_CASE("The secondary address is used when told to, and ignored otherwise") {
    for (const bool told : {true, false}) {
        world w(way::tcp);
        auto options = w.options(2);
        options.use_secondary_address = told;
        test::caller caller(w.all, w.binding(), options);
        REQUIRE(caller.open());
        const auto calls = w.begin(caller, 30);
        REQUIRE(w.all.run_until([&] { return w.all.held.size() == 30; }));
        CHECK(caller.connection().connections() == 2);
        CHECK(w.between.connections() == (told ? 1U : 2U)); // past the relay, or through it
        w.answer();
        REQUIRE(w.wait_for(calls));
    }
}

TEST_CASE("Closing a client ends all its connections, those that open as well") {
    for (const way by : {way::tcp, way::http})
        for (int turns = 0; turns < 12; ++turns) {
            world w(by);
            test::caller caller(w.all, w.binding(), w.options(4));
            REQUIRE(caller.open());
            std::vector<std::shared_ptr<test::outcome>> calls;
            for (int i = 0; i < 30; ++i) calls.push_back(caller.begin(probe::hold));
            w.all.io.restart();
            for (int turn = 0; turn < turns * 8; ++turn) w.all.io.poll_one();
            caller.connection().close();
            REQUIRE(w.wait_for(calls));
            for (const auto& call : calls) {
                CHECK(call->done == 1);
                CHECK(call->why.code == errc::operation_aborted);
            }
            REQUIRE(w.all.run_until([&] { return w.all.server->association_groups() == 0; }));
            CHECK(caller.connection().connections() == 0);
        }
}

TEST_CASE("A client with further connections goes with its io_context, and settings are checked") {
    for (const way by : {way::tcp, way::http}) {
        auto w = std::make_unique<world>(by);
        auto caller = std::make_unique<test::caller>(w->all, w->binding(), w->options(4));
        REQUIRE(caller->open());
        const auto calls = w->begin(*caller, 50);
        caller.reset();
        w.reset();
        for (const auto& call : calls) CHECK(call->done <= 1);
    }
    test::stack all;
    for (const std::size_t n : {std::size_t{0}, std::size_t{65}}) {
        auto options = all.options();
        options.connections_max = n;
        rpch::failure why;
        CHECK(rpch::client::start(all.tcp_binding(), options, why).error() == errc::bad_setting);
    }
    auto options = all.options();
    options.calls_per_connection = 0;
    rpch::failure why;
    CHECK(rpch::client::start(all.tcp_binding(), options, why).error() == errc::bad_setting);
}

TEST_CASE("An idempotent call whose connection is lost is made once more on another one") {
    rpch::call_parameters again;
    again.idempotent = true;
    for (const way by : {way::tcp, way::http}) {
        world w(by);
        test::caller caller(w.all, w.binding(), w.options(3));
        REQUIRE(caller.open());
        std::vector<std::shared_ptr<test::outcome>> idempotent, others;
        for (unsigned i = 0; i < 60; ++i) {
            idempotent.push_back(caller.begin(probe::hold, test::pattern(10 + i, i), again, {}));
            others.push_back(caller.begin(probe::hold, test::pattern(5)));
            w.all.run_ready();
        }
        REQUIRE(w.all.run_until([&] { return w.all.held.size() == 120; }));
        REQUIRE(w.spread().size() == 3);
        w.between.reset(by == way::tcp ? 1 : 2);
        // The server has those of the lost connection twice: as they were, and made again.
        std::size_t lost = 0;
        REQUIRE(w.all.run_until([&] {
            lost = static_cast<std::size_t>(std::count_if(
                others.begin(), others.end(), [](const auto& call) { return call->done != 0; }));
            return lost != 0 && w.all.held.size() > 120;
        }));
        w.all.run_ready();
        CHECK(caller.connection().connections() == 2);
        w.answer();
        REQUIRE(w.wait_for(idempotent));
        REQUIRE(w.wait_for(others));
        for (unsigned i = 0; i < idempotent.size(); ++i) {
            CHECK(idempotent[i]->done == 1);
            CHECK_FALSE(idempotent[i]->why);
            CHECK(idempotent[i]->stub == test::pattern(10 + i, i));
        }
        for (const auto& call : others) CHECK(call->done == 1);
        CHECK(lost >= 10);
    }
}

TEST_CASE("An idempotent call opens a connection if none is left, and is made twice at most") {
    rpch::call_parameters again;
    again.idempotent = true;
    for (const way by : {way::tcp, way::http}) {
        world w(by);
        test::caller caller(w.all, w.binding(), w.options(1));
        REQUIRE(caller.open());
        const std::size_t per_way = by == way::tcp ? 1 : 2;

        const auto saved = caller.begin(probe::hold, test::pattern(9), again, {});
        const auto lost = caller.begin(probe::hold);
        REQUIRE(w.all.run_until([&] { return w.all.held.size() == 2; }));
        w.between.reset(0);
        REQUIRE(w.all.run_until([&] { return w.all.held.size() == 3; }));
        CHECK(lost->done == 1);
        CHECK(lost->why);
        CHECK(saved->done == 0);
        CHECK(w.between.connections() == 2 * per_way);
        w.answer();
        REQUIRE(w.wait_for({saved}));
        CHECK_FALSE(saved->why);
        CHECK(saved->stub == test::pattern(9));

        // Lost twice: it fails, and may have been executed.
        const auto unlucky = caller.begin(probe::hold, {}, again, {});
        REQUIRE(w.all.run_until([&] { return w.all.held.size() == 1; }));
        w.between.reset(per_way);
        REQUIRE(w.all.run_until([&] { return w.all.held.size() == 2; }));
        w.between.stop_accepting();
        w.between.reset(2 * per_way);
        REQUIRE(w.wait_for({unlucky}));
        CHECK(unlucky->done == 1);
        CHECK(unlucky->why);
        CHECK_FALSE(unlucky->why.did_not_execute);
        w.all.held.clear();

        // Of a client that has ended only idempotent calls open a connection.
        CHECK(caller.call(probe::echo)->why);
        CHECK(caller.connection().connections() == 0);
    }
}

TEST_CASE("An idempotent call that finds its connection lost opens another one") {
    rpch::call_parameters again;
    again.idempotent = true;
    for (const way by : {way::tcp, way::http}) {
        for (const std::size_t most : {1U, 3U}) {
            world w(by);
            test::caller caller(w.all, w.binding(), w.options(most));
            REQUIRE(caller.open());
            CHECK_FALSE(caller.call(probe::echo)->why);
            w.between.stop_accepting();
            w.between.reset(0);
            REQUIRE(w.all.run_until([&] { return caller.connection().connections() == 0; }));
            // While nobody listens it fails, and was tried; afterwards it does not.
            for (int i = 0; i < 2; ++i) {
                const auto in_vain = caller.begin(probe::echo, test::pattern(7), again, {});
                REQUIRE(w.wait_for({in_vain}));
                CHECK(in_vain->why.code == errc::connect_failed);
                CHECK(in_vain->why.did_not_execute);
            }
            w.between.accept_again();
            const auto other = caller.call(probe::echo);
            CHECK(other->why);
            CHECK(other->why.did_not_execute);
            const auto saved = caller.begin(probe::echo, test::pattern(7), again, {});
            REQUIRE(w.wait_for({saved}));
            CHECK_MESSAGE(!saved->why, saved->why.to_string());
            CHECK(saved->stub == test::pattern(7));
            CHECK(caller.connection().connections() == 1);
            CHECK_FALSE(caller.call(probe::echo)->why); // on that one
            caller.connection().close();
            w.all.run_ready();
            const auto closed = caller.begin(probe::echo, {}, again, {});
            REQUIRE(w.wait_for({closed}));
            CHECK(closed->why.code == errc::operation_aborted);
        }
    }
}

TEST_CASE("An idempotent call of a user whom the server refuses tries no second logon") {
    rpch::call_parameters again;
    again.idempotent = true;
    for (const way by : {way::tcp, way::http}) {
        world w(by, {.adjust_server = [](rpch::server_settings& s) {
                    s.rpc_security = {std::make_shared<test::toy_acceptor>()};
                }});
        auto options = w.options(1);
        options.rpc_security =
            std::make_shared<test::toy_initiator>(test::toy_rules{.password = "wrong"});
        test::caller caller(w.all, w.binding(), options);
        caller.open(); // the last leg has no answer
        const std::size_t before = w.between.connections();
        for (int i = 0; i < 3; ++i) {
            const auto refused = caller.begin(probe::echo, {}, again, {});
            REQUIRE(w.wait_for({refused}));
            CHECK(refused->why);
            w.between.reset(0);
            REQUIRE(w.all.run_until([&] { return caller.connection().connections() == 0; }));
        }
        CHECK(w.between.connections() == before);
    }
}

TEST_CASE("An idempotent call goes to a new group when the one that was joined has ended") {
    rpch::call_parameters again;
    again.idempotent = true;
    for (const way by : {way::tcp, way::http})
        for (const bool is_gone : {true, false}) {
            CAPTURE(is_gone);
            world w(by);
            std::optional<test::caller> other(std::in_place, w.all, w.binding(), w.options(1));
            REQUIRE(other->open());
            const std::size_t per_way = by == way::tcp ? 1 : 2;
            auto options = w.options(1);
            options.association_group = other->connection().association_group();
            test::caller caller(w.all, w.binding(), options);
            REQUIRE(caller.open());
            if (is_gone) {
                other.reset();
                REQUIRE(w.all.run_until([&] { return w.all.server->connections() == per_way; }));
            }
            const auto saved = caller.begin(probe::hold, test::pattern(9), again, {});
            REQUIRE(w.all.run_until([&] { return w.all.held.size() == 1; }));
            w.between.reset(per_way);
            REQUIRE(w.all.run_until([&] { return w.all.held.size() == 2 || saved->done != 0; }));
            w.answer();
            REQUIRE(w.wait_for({saved}));
            CHECK_MESSAGE(!saved->why, saved->why.to_string());
            CHECK(saved->done == 1);
            CHECK(saved->stub == test::pattern(9));
            const auto group = caller.connection().association_group().id;
            CHECK((group == options.association_group.id) == !is_gone);
            CHECK(w.all.server->association_groups() == 1);
            // In that one it stays.
            CHECK_FALSE(caller.call(probe::echo)->why);
        }
}

TEST_CASE("An idempotent call is not made again when it was cancelled, late, answered or closed") {
    rpch::call_parameters again;
    again.idempotent = true;
    {
        world w(way::tcp); // a fault is an answer
        test::caller caller(w.all, w.binding(), w.options(1));
        REQUIRE(caller.open());
        const auto refused = caller.begin(probe::missing, {}, again, {});
        REQUIRE(w.wait_for({refused}));
        CHECK(refused->why.code == rpch::rpc_status::nca_op_rng_error);
        const auto closed = caller.begin(probe::hold, {}, again, {});
        REQUIRE(w.all.run_until([&] { return w.all.held.size() == 1; }));
        caller.connection().close();
        REQUIRE(w.wait_for({closed}));
        CHECK(closed->why.code == errc::operation_aborted);
        CHECK(w.between.connections() == 1);
    }
    {
        world w(way::tcp); // cancelled, and the server does not heed it
        test::caller caller(w.all, w.binding(), w.options(1));
        REQUIRE(caller.open());
        asio::cancellation_signal stop;
        const auto cancelled = caller.begin(probe::hold, {}, again, stop.slot());
        REQUIRE(w.all.run_until([&] { return w.all.held.size() == 1; }));
        stop.emit(asio::cancellation_type::terminal);
        w.all.run_ready();
        w.between.reset(0);
        REQUIRE(w.wait_for({cancelled}));
        CHECK(cancelled->done == 1);
        CHECK(cancelled->why);
        w.all.run_ready();
        CHECK(w.between.connections() == 1);
    }
    {
        world w(way::tcp); // the time that is left is that of both attempts
        test::caller caller(w.all, w.binding(), w.options(1));
        REQUIRE(caller.open());
        rpch::call_parameters quick = again;
        quick.deadline = 3s;
        const auto begun = std::chrono::steady_clock::now();
        const auto late = caller.begin(probe::hold, {}, quick, {});
        REQUIRE(w.all.run_until([&] { return w.all.held.size() == 1; }));
        w.all.run_until([] { return false; }, 2s);
        w.between.reset(0);
        REQUIRE(w.wait_for({late}));
        CHECK(late->done == 1);
        CHECK(late->why.code == errc::call_timeout);
        CHECK(w.between.connections() == 2);
        CHECK(late->at - begun >= 3s);
        CHECK(late->at - begun < 4800ms); // two whole deadlines would be five seconds
    }
}
