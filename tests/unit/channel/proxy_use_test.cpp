#include <rpch/channel/proxy_use.hpp>

#include <doctest/doctest.h>

#include "tests/support/channel.hpp"

using namespace rpch::channel;
using namespace std::chrono_literals;
using test::t0;
using state = proxy_use::state;
using way = proxy_use::way;

namespace {

proxy_use begin() { return proxy_use(t0, 30s); }

} // namespace

TEST_CASE("proxy use: the direct way wins when it answers first") {
    proxy_use use = begin();
    CHECK(use.current() == state::wait);
    CHECK(use.next_deadline() == t0 + 30s);
    use.on_answer(way::direct, t0 + 10ms);
    CHECK(use.current() == state::direct);
    CHECK(!use.next_deadline());
    use.on_answer(way::through_proxy, t0 + 11ms); // too late: nothing changes any more
    use.on_failed(way::direct);
    use.on_deadline(t0 + 1h);
    CHECK(use.current() == state::direct);
}

TEST_CASE("proxy use: the direct way may answer 200 ms after the other one") {
    proxy_use use = begin();
    use.on_answer(way::through_proxy, t0 + 10s);
    CHECK(use.current() == state::wait_direct);
    CHECK(use.next_deadline() == t0 + 10s + 200ms);
    use.on_answer(way::through_proxy, t0 + 10s + 100ms); // does not start the timer again
    CHECK(use.next_deadline() == t0 + 10s + 200ms);
    SUBCASE("it does") {
        use.on_answer(way::direct, t0 + 10s + 199ms);
        CHECK(use.current() == state::direct);
    }
    SUBCASE("it does not") {
        use.on_deadline(t0 + 10s + 199ms);
        CHECK(use.current() == state::wait_direct);
        use.on_deadline(t0 + 10s + 200ms);
        CHECK(use.current() == state::indirect);
    }
    SUBCASE("it fails: there is nothing to wait for") {
        use.on_failed(way::direct);
        CHECK(use.current() == state::indirect);
    }
    SUBCASE("the other way fails after its answer") {
        use.on_failed(way::through_proxy);
        CHECK(use.current() == state::wait_direct);
    }
}

TEST_CASE("proxy use: one way has failed") {
    proxy_use use = begin();
    SUBCASE("directly: the answer of the other one is good at once") {
        use.on_failed(way::direct);
        CHECK(use.current() == state::wait);
        use.on_answer(way::through_proxy, t0 + 1s);
        CHECK(use.current() == state::indirect);
    }
    SUBCASE("through the proxy") {
        use.on_failed(way::through_proxy);
        CHECK(use.current() == state::wait);
        use.on_answer(way::direct, t0 + 1s);
        CHECK(use.current() == state::direct);
    }
    SUBCASE("both, in either order") {
        use.on_failed(way::through_proxy);
        use.on_failed(way::through_proxy);
        CHECK(use.current() == state::wait);
        use.on_failed(way::direct);
        CHECK(use.current() == state::failed);
    }
    SUBCASE("nobody answers") {
        use.on_deadline(t0 + 30s - 1ms);
        CHECK(use.current() == state::wait);
        use.on_deadline(t0 + 30s);
        CHECK(use.current() == state::failed);
    }
}
