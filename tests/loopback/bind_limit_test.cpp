// A server that takes connections and does not answer binds, or the legs of a handshake.
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include <doctest/doctest.h>

#include "tests/support/machine_world.hpp"
#include "tests/support/toy_security.hpp"

namespace {

using rpch::errc;
using rpch::dcerpc::pdu_type;
using test::probe;
using test::way;
using namespace std::chrono_literals;

struct world : test::machine_world {
    explicit world(way by_, int legs = 0) : machine_world(by_, security_of(legs)), legs_(legs) {}
    static rpch::dcerpc::server_association_options security_of(int legs) {
        rpch::dcerpc::server_association_options out;
        if (legs != 0)
            out.security = {std::make_shared<test::toy_acceptor>(test::toy_rules{.legs = legs})};
        return out;
    }
    [[nodiscard]] rpch::client_options options() {
        auto out = all.options();
        out.open_wait = 400ms;
        if (legs_ != 0)
            out.rpc_security =
                std::make_shared<test::toy_initiator>(test::toy_rules{.legs = legs_});
        return out;
    }

  private:
    int legs_;
};

} // namespace

TEST_CASE("A bind or a leg that is not answered within open_wait fails once, by a timeout") {
    for (const way by : {way::tcp, way::http})
        for (const pdu_type unanswered : {pdu_type::bind, pdu_type::alter_context}) {
            world w(by, unanswered == pdu_type::bind ? 0 : 4);
            w.there.ignore(unanswered);
            test::caller caller(w.all, w.binding(), w.options());
            REQUIRE(w.all.run_until([&] { return caller.binds_done() != 0; }, 10s));
            CHECK(caller.why().code == errc::setup_timeout);
            CHECK(caller.why().said_by == rpch::origin::local);
            CHECK(caller.why().detail == "the server did not answer the bind");
            REQUIRE(w.all.run_until([&] { return w.there.connections()[0]->ended; }, 10s));
            caller.close();
            w.all.run_ready();
            CHECK(caller.binds_done() == 1);
        }
}

TEST_CASE("A later bind that is not answered ends the connection, and its calls, each once") {
    for (const way by : {way::tcp, way::http}) {
        world w(by);
        test::caller caller(w.all, w.binding(), w.options());
        REQUIRE(caller.open());
        // What was answered has no limit any more.
        w.all.run_until([] { return false; }, 500ms);
        CHECK_FALSE(caller.call(probe::echo, test::pattern(40))->why);

        w.there.answers = false;
        w.there.ignore(pdu_type::alter_context);
        const auto call = caller.begin(probe::hold);
        auto bound = std::make_shared<test::outcome>();
        caller.connection().async_bind<rpch::failure>(
            w.other_id, [bound](const rpch::failure& why, std::uint16_t) {
                ++bound->done;
                bound->why = why;
            });
        REQUIRE(w.all.run_until([&] { return bound->done != 0 && call->done != 0; }, 10s));
        CHECK(bound->why.code == errc::setup_timeout);
        CHECK(call->why.code == errc::setup_timeout);
        CHECK_FALSE(call->why.did_not_execute);
        CHECK(caller.connection().connections() == 0);
        caller.close();
        w.all.run_ready();
        CHECK(bound->done == 1);
        CHECK(call->done == 1);
    }
}
