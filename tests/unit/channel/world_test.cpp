// The four roles together, in every order of events that a seed can draw.
#include <rpch/channel/machine.hpp>

#include <algorithm>
#include <random>

#include <doctest/doctest.h>

#include "tests/support/channel_world.hpp"

using namespace rpch;
using namespace rpch::channel;
using test::party;

namespace {

/// Draws windows and fragments; every third world has the smallest windows there are.
test::world_settings drawn(unsigned seed) {
    std::mt19937 random(seed);
    const auto window = [&]() -> std::uint32_t {
        if (seed % 3 == 0) return limits::receive_window_min;
        return limits::receive_window_min + static_cast<std::uint32_t>(random() % 60'000);
    };
    test::world_settings s{.seed = seed};
    s.client_window = window();
    s.inbound_window = window();
    s.outbound_window = window();
    s.server_window = window();
    const auto fragment = [&](std::uint32_t a, std::uint32_t b) -> std::size_t {
        const std::size_t most = std::min<std::size_t>({a, b, 65'535});
        return seed % 4 == 0 ? most : 72 + random() % (most - 71);
    };
    s.in_fragment = fragment(s.inbound_window, s.server_window);
    s.out_fragment = fragment(s.outbound_window, s.client_window / 2); // a client allows no more
    s.in_bytes = random() % 150'000;
    s.out_bytes = random() % 150'000;
    s.wire_bytes = 1 + random() % 40'000;
    return s;
}

} // namespace

TEST_CASE(
    "four roles: every byte gets across in both directions, whatever the windows and the order") {
    for (unsigned seed = 0; seed < 3000; ++seed) {
        CAPTURE(seed);
        test::channel_world world(drawn(seed));
        REQUIRE(world.run() == "");
        REQUIRE(world.all_open());
        REQUIRE(world.complete());
    }
}

TEST_CASE("four roles: pings and their notices disturb nothing while time passes") {
    std::size_t pings = 0;
    for (unsigned seed = 0; seed < 1000; ++seed) {
        CAPTURE(seed);
        auto settings = drawn(seed);
        settings.time_passes = true;
        test::channel_world world(settings);
        REQUIRE(world.run() == "");
        REQUIRE(world.complete());
        pings += world.pings();
    }
    CHECK(pings > 1000);
}

TEST_CASE("four roles: a lost connection ends all of them, at whatever moment") {
    for (unsigned seed = 0; seed < 3000; ++seed) {
        CAPTURE(seed);
        auto settings = drawn(seed);
        settings.break_after = 3 + seed % 400;
        test::channel_world world(settings);
        REQUIRE(world.run() == "");
        if (world.complete() && !world.ended_with(party::client)) continue; // it was over before
        if (!world.all_ended()) REQUIRE(world.expire() == "");
        REQUIRE(world.all_ended());
        REQUIRE(world.ended_with(party::client));
    }
}

TEST_CASE("four roles: an orderly close at either end reaches the other one") {
    for (unsigned seed = 0; seed < 1000; ++seed) {
        CAPTURE(seed);
        test::channel_world world(drawn(seed));
        for (unsigned steps = seed % 7 == 0 ? 1'000'000 : seed; steps != 0 && world.step();
             --steps) {
        }
        const bool by_client = seed % 2 == 0 || !world.all_open();
        if (by_client)
            world.close_client();
        else
            world.close_server();
        REQUIRE(world.run() == "");
        if (!world.all_ended()) REQUIRE(world.expire() == "");
        REQUIRE(world.all_ended());
        CHECK(world.ended_with(by_client ? party::client : party::server) ==
              errc::operation_aborted);
    }
}

TEST_CASE("four roles: a server that cannot be reached is told to the client as 6BA") {
    for (unsigned seed = 0; seed < 200; ++seed) {
        CAPTURE(seed);
        auto settings = drawn(seed);
        settings.server_reachable = false;
        test::channel_world world(settings);
        REQUIRE(world.run() == "");
        REQUIRE(world.all_ended());
        CHECK(world.ended_with(party::client) == rpc_status::server_unavailable);
    }
}
