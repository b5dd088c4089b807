#include <rpch/channel/ping_timer.hpp>

#include <doctest/doctest.h>

#include <rpch/channel/lifetime.hpp>

#include "tests/support/channel.hpp"

using namespace rpch;
using namespace rpch::channel;
using namespace std::chrono_literals;
using test::t0;

TEST_CASE("ping timer: silence never lasts longer than its limit, and traffic moves no deadline") {
    ping_timer timer;
    CHECK(!timer.deadline());
    CHECK(!timer.take_due(t0 + 1h));
    timer.start(60s, t0);
    for (auto at = t0; at < t0 + 60s; at += 1s) timer.on_sent(at);
    CHECK(timer.deadline() == t0 + 60s);
    CHECK(!timer.take_due(t0 + 60s)); // the last PDU left at 59 s
    CHECK(timer.deadline() == t0 + 119s);
    CHECK(!timer.take_due(t0 + 118s));
    CHECK(timer.take_due(t0 + 119s));
    CHECK(!timer.take_due(t0 + 119s));
    CHECK(timer.deadline() == t0 + 179s);
    timer.start(10s, t0 + 120s);
    CHECK(timer.deadline() == t0 + 130s);
    timer.stop();
    CHECK(!timer.deadline());
    CHECK(!timer.take_due(t0 + 1h));
}

TEST_CASE("ping budget: counts within four minutes, without overflow") {
    ping_budget budget;
    CHECK(budget.take(8192, t0));
    CHECK(!budget.take(1, t0 + 239s));
    CHECK(budget.take(8192, t0 + 240s));
    CHECK(!budget.take(0xFFFF'FFFF, t0 + 241s));
    CHECK(!budget.take(0xFFFF'FFFF, t0 + 242s));
    CHECK(budget.take(0, t0 + 481s));
}

TEST_CASE("lifetime: takes whole PDUs to the last byte, above 2 GiB as well") {
    lifetime life(0x8000'0000);
    CHECK(life.take(0x7FFF'FFFF));
    CHECK(!life.take(2));
    CHECK(life.left() == 1);
    CHECK(life.left_beyond(0) == 1);
    CHECK(life.left_beyond(1) == 0);
    CHECK(life.left_beyond(2) == 0);
    CHECK(life.take(1));
    CHECK(life.take(0));
    life.spend(5);
    CHECK(life.left() == 0);
}
