// A server that takes connections and does not answer binds, or the legs of a handshake.
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include <doctest/doctest.h>

#include <asio/ip/tcp.hpp>

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

TEST_CASE("A TLS handshake that nobody answers ends with connect_wait, and the failure says so") {
    asio::io_context io;
    asio::ip::tcp::acceptor silent(io,
                                   {asio::ip::address_v4::loopback(), 0}); // the backlog takes it
    for (const bool slow_to_open : {false, true}) {
        test::stack all({.tls = true});
        auto options = all.options();
        options.connect_wait = 300ms;
        if (!slow_to_open) options.open_wait = 5s;
        const auto begun = std::chrono::steady_clock::now();
        test::caller caller(all,
                            "ncacn_http:files.example[6001,RpcProxy=127.0.0.1:" +
                                std::to_string(silent.local_endpoint().port()) + "]",
                            options);
        REQUIRE(all.run_until([&] { return caller.binds_done() != 0; }, 10s));
        CHECK(std::chrono::steady_clock::now() - begun < 3s);
        CHECK(caller.why().code == errc::setup_timeout);
        CHECK(caller.why().detail == "the TLS handshake was not answered in time");
        CHECK(caller.why().where.find(" channel to 127.0.0.1:") != std::string::npos);
    }
}

TEST_CASE("A connection that is made has no limit of connect_wait any more") {
    test::stack all({.tls = true});
    auto options = all.options();
    options.connect_wait = 500ms;
    test::caller caller(all, all.binding(), options);
    REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
    all.run_until([] { return false; }, 700ms);
    CHECK_FALSE(caller.call(probe::echo, test::pattern(40))->why);
}
