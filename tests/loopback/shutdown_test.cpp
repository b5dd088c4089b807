// A server that asks a client to close a connection, [C706] 12.6.4.11: the connection takes no
// further calls, those it has are answered, and the client goes on with others.
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/support/machine_world.hpp"

namespace {

using rpch::errc;
using test::probe;
using test::way;
using namespace std::chrono_literals;

struct world : test::machine_world {
    explicit world(way by_) : machine_world(by_) { there.answers = false; }
    [[nodiscard]] rpch::client_options options(std::size_t connections) {
        auto out = all.options();
        out.connections_max = connections;
        out.calls_per_connection = 1;
        return out;
    }
    /// Begins a call and waits until the server has it, on any connection.
    std::shared_ptr<test::outcome> begin(test::caller& by_caller) {
        const std::size_t before = held();
        auto out = by_caller.begin(probe::hold, test::pattern(40));
        REQUIRE(all.run_until([&] { return held() != before || out->done != 0; }));
        return out;
    }
    [[nodiscard]] std::size_t held() const {
        std::size_t n = 0;
        for (const auto& each : there.connections()) n += each->held.size();
        return n;
    }
    void ask_to_close(std::size_t which) {
        there.connections()[which]->machine.request_shutdown();
        there.connections()[which]->flush();
    }
    void answer() {
        for (const auto& each : there.connections()) each->answer();
    }
    [[nodiscard]] bool ends(std::size_t which) {
        return all.run_until([&] { return there.connections()[which]->ended; });
    }
    [[nodiscard]] bool is_right(const std::shared_ptr<test::outcome>& call) {
        if (!all.run_until([&] { return call->done != 0; })) return false;
        CAPTURE(call->why.to_string());
        CHECK_FALSE(call->why);
        return call->done == 1 && call->stub == test::pattern(40);
    }
};

} // namespace

TEST_CASE("Of several connections, one that is asked to close gets no further calls and ends") {
    for (const way by : {way::tcp, way::http}) {
        world w(by);
        test::caller caller(w.all, w.binding(), w.options(3));
        REQUIRE(caller.open());
        std::vector<std::shared_ptr<test::outcome>> calls;
        for (int i = 0; i < 20 && w.there.connections().size() < 3; ++i)
            calls.push_back(w.begin(caller));
        const auto first = w.there.connections()[0];
        const std::size_t of_first = first->calls;
        REQUIRE(of_first != 0);

        w.ask_to_close(0);
        w.all.run_ready();
        CHECK_FALSE(first->ended); // its calls have not been answered
        CHECK(caller.connection().connections() == 3);
        for (int i = 0; i < 20 && w.there.connections().size() < 4; ++i) // in its place
            calls.push_back(w.begin(caller));
        first->answer();
        REQUIRE(w.ends(0));
        CHECK(w.is_right(calls[0]));

        for (int i = 0; i < 10; ++i) calls.push_back(w.begin(caller));
        CHECK(first->calls == of_first);
        CHECK(caller.connection().connections() == 3);
        CHECK(w.there.connections().size() == 4);
        CHECK(w.there.groups() == 1);
        w.answer();
        for (const auto& call : calls) CHECK(w.is_right(call));
    }
}

TEST_CASE("When the only connection is asked to close, the next call opens another in its group") {
    for (const way by : {way::tcp, way::http})
        for (const std::size_t connections : {std::size_t{1}, std::size_t{4}}) {
            world w(by);
            test::caller caller(w.all, w.binding(), w.options(connections));
            REQUIRE(caller.open());
            const auto old = w.begin(caller);
            w.ask_to_close(0);
            w.all.run_ready();
            const auto fresh = w.begin(caller);
            REQUIRE(w.there.connections().size() == 2);
            CHECK(w.there.connections()[0]->held.size() == 1);
            CHECK(w.there.connections()[1]->held.size() == 1);
            CHECK(w.there.groups() == 1);
            w.answer();
            CHECK(w.is_right(old));
            CHECK(w.is_right(fresh));
            REQUIRE(w.ends(0));
            const auto later = w.begin(caller);
            w.answer();
            CHECK(w.is_right(later));
            CHECK(w.there.connections().size() == 2);
            CHECK(caller.connection().connections() == 1);
        }
}

TEST_CASE("An idle connection that is asked to close ends at once; calls and binds open another") {
    for (const way by : {way::tcp, way::http})
        for (const bool binds : {false, true}) {
            world w(by);
            w.there.answers = true;
            test::caller caller(w.all, w.binding(), w.options(1));
            REQUIRE(caller.open());
            w.ask_to_close(0);
            REQUIRE(w.ends(0));
            REQUIRE(w.all.run_until([&] { return w.there.groups() == 0; }));
            CHECK(caller.connection().connections() == 0);
            CHECK(caller.connection().last_failure().code == errc::association_closed);
            if (binds) {
                auto bound = std::make_shared<test::outcome>();
                caller.connection().async_bind<rpch::failure>(
                    w.other_id, [bound](const rpch::failure& why, std::uint16_t) {
                        ++bound->done;
                        bound->why = why;
                    });
                REQUIRE(w.all.run_until([&] { return bound->done != 0; }));
                CHECK_FALSE(bound->why);
            }
            for (int i = 0; i < 3; ++i)
                CHECK(w.is_right(caller.begin(probe::echo, test::pattern(40))));
            CHECK(w.there.connections().size() == 2);
            CHECK(w.there.groups() == 1);
        }
}

TEST_CASE("A connection that is asked to close holds its group until another has joined it") {
    world w(way::tcp);
    test::caller caller(w.all, w.binding(), w.options(2));
    REQUIRE(caller.open());
    const auto first = w.begin(caller);
    const auto second = caller.begin(probe::hold, test::pattern(40)); // opens the other
    REQUIRE(w.all.run_until([&] { return w.there.connections()[0]->calls == 2; }));
    REQUIRE(w.all.run_until([&] { return w.there.connections().size() == 2; }));
    w.there.pause(true); // before the other has said anything
    w.ask_to_close(0);
    w.there.connections()[0]->answer();
    CHECK(w.is_right(first));
    CHECK(w.is_right(second));
    w.all.run_ready();
    CHECK_FALSE(w.there.connections()[0]->ended);
    const auto third = caller.begin(probe::hold, test::pattern(40));
    w.all.run_ready();
    CHECK(third->done == 0); // waits for the other
    w.there.answers = true;
    w.there.pause(false);
    CHECK(w.is_right(third));
    REQUIRE(w.ends(0));
    CHECK(w.there.connections().size() == 2);
    CHECK(w.there.groups() == 1);
}

TEST_CASE("Where no other connection can be opened, calls fail with the reason, and once") {
    world w(way::tcp);
    test::caller caller(w.all, w.binding(), w.options(1));
    REQUIRE(caller.open());
    const auto old = w.begin(caller);
    w.ask_to_close(0);
    w.all.run_ready();
    w.there.stop_accepting();
    const auto fresh = caller.begin(probe::hold, test::pattern(40));
    REQUIRE(w.all.run_until([&] { return fresh->done != 0; }));
    CHECK(fresh->why.code == errc::connect_failed);
    CHECK(fresh->why.did_not_execute);
    w.answer();
    CHECK(w.is_right(old));
    caller.close();
    w.all.run_ready();
    CHECK(fresh->done == 1);
    CHECK(old->done == 1);
}
