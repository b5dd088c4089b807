// A server that takes connections and does not answer binds, or the legs of a handshake.
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include <doctest/doctest.h>

#include "tests/support/machine_server.hpp"
#include "tests/support/stack.hpp"
#include "tests/support/toy_security.hpp"

namespace {

using rpch::errc;
using rpch::dcerpc::pdu_type;
using test::probe;
using namespace std::chrono_literals;

constexpr rpch::interface_id other_id{"00000000-1111-2222-3333-444444444444", 1, 0};

enum class way { tcp, http };

struct world {
    explicit world(way by_, int legs = 0)
        : by(by_), there(all.io, {probe::id, other_id}, security_of(legs)), legs_(legs) {
        if (by == way::tcp) return;
        rpch::proxy_settings settings;
        settings.valid_ports = "files.example:6001";
        settings.tcp_backends.push_back({{"files.example", 6001}, {"127.0.0.1", there.port()}});
        settings.allow_anonymous = settings.allow_plain = true;
        proxy.emplace(rpch::proxy::make(all.io.get_executor(), settings).value());
        proxy_port = proxy->listen({"127.0.0.1", 0}, nullptr).value();
    }
    static rpch::dcerpc::server_association_options security_of(int legs) {
        rpch::dcerpc::server_association_options out;
        if (legs != 0)
            out.security = {std::make_shared<test::toy_acceptor>(test::toy_rules{.legs = legs})};
        return out;
    }
    [[nodiscard]] std::string binding() const {
        if (by == way::tcp) return there.binding();
        return "ncacn_http:files.example[6001,RpcProxy=127.0.0.1:" + std::to_string(proxy_port) +
               ",HttpUseTls=false]";
    }
    [[nodiscard]] rpch::client_options options() {
        auto out = all.options();
        out.open_wait = 400ms;
        if (legs_ != 0)
            out.rpc_security =
                std::make_shared<test::toy_initiator>(test::toy_rules{.legs = legs_});
        return out;
    }

    way by;
    test::stack all;
    test::machine_server there;
    std::optional<rpch::proxy> proxy;
    std::uint16_t proxy_port = 0;

  private:
    int legs_;
};

} // namespace

TEST_CASE("A bind or a leg that is not answered within open_wait fails once, by a timeout") {
    for (const way by : {way::tcp, way::http})
        for (const pdu_type unanswered : {pdu_type::bind, pdu_type::alter_context}) {
            world w(by, unanswered == pdu_type::bind ? 0 : 4);
            w.there.ignores = [unanswered](pdu_type type) { return type == unanswered; };
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
        w.there.ignores = [](pdu_type type) { return type == pdu_type::alter_context; };
        const auto call = caller.begin(probe::hold);
        auto bound = std::make_shared<test::outcome>();
        caller.connection().async_bind<rpch::failure>(
            other_id, [bound](const rpch::failure& why, std::uint16_t) {
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
