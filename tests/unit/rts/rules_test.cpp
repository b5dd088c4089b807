#include <rpch/rts/rules.hpp>

#include <algorithm>

#include <doctest/doctest.h>

#include <rpch/rts/codec.hpp>

#include "vectors.hpp"

using namespace rpch;
using namespace rpch::rts;
using namespace std::chrono_literals;

TEST_CASE(
    "RTS rules: a receive window below 8 KiB is refused, one above 256 KiB is used as 256 KiB") {
    CHECK(check_receive_window(0).error() == errc::bad_value);
    CHECK(check_receive_window(8191).error() == errc::bad_value);
    CHECK(check_receive_window(8192) == 8192u);
    CHECK(check_receive_window(65536) == 65536u);
    CHECK(check_receive_window(262144) == 262144u);
    CHECK(check_receive_window(262145) == 262144u);
    CHECK(check_receive_window(0xFFFFFFFF) == 262144u);
}

TEST_CASE("RTS rules: timeouts are brought into 2 min to 4 h") {
    CHECK(clamp_connection_timeout(0) == 2min);
    CHECK(clamp_connection_timeout(119'999) == 2min);
    CHECK(clamp_connection_timeout(120'001) == 120'001ms);
    CHECK(clamp_connection_timeout(14'400'001) == 4h);
    CHECK(clamp_connection_timeout(0xFFFFFFFF) == 4h);
}

TEST_CASE("RTS rules: lifetimes are brought into 128 KiB to 2 GiB") {
    CHECK(clamp_channel_lifetime(0) == 0x20000);
    CHECK(clamp_channel_lifetime(0x1FFFF) == 0x20000);
    CHECK(clamp_channel_lifetime(0x40000000) == 0x40000000);
    CHECK(clamp_channel_lifetime(0x80000001) == 0x80000000);
}

TEST_CASE("RTS rules: a keep-alive of 0 means 5 min, and below 1 min it is raised") {
    CHECK(effective_client_keepalive(0) == 5min);
    CHECK(effective_client_keepalive(1) == 1min);
    CHECK(effective_client_keepalive(59'999) == 1min);
    CHECK(effective_client_keepalive(60'001) == 60'001ms);
    CHECK(effective_client_keepalive(0xFFFFFFFF) == std::chrono::milliseconds{0xFFFFFFFF});
}

TEST_CASE("RTS rules: each vector of class range meets its rule") {
    std::size_t seen = 0;
    for (const auto& row : test::rts_vectors("malformed.tsv")) {
        if (row[1] != "range") continue;
        CAPTURE(row[0]);
        const auto wire = test::hex(row[3]);
        const auto list = decode_commands(wire);
        REQUIRE(list);
        const std::uint32_t value = list->commands()[0].number();
        if (row[0] == "window 0x1FFF")
            CHECK(check_receive_window(value).error() == errc::bad_value);
        else if (row[0] == "window 0x40001")
            CHECK(check_receive_window(value) == 0x40000u);
        else if (row[0] == "timeout 119999")
            CHECK(clamp_connection_timeout(value) == 120s);
        else if (row[0] == "timeout 14400001")
            CHECK(clamp_connection_timeout(value) == 14'400s);
        else if (row[0] == "lifetime 0x1FFFF")
            CHECK(clamp_channel_lifetime(value) == 0x20000);
        else if (row[0] == "lifetime 0x80000001")
            CHECK(clamp_channel_lifetime(value) == 0x80000000);
        else if (row[0] == "keep-alive 59999")
            CHECK(effective_client_keepalive(value) == 60s);
        else
            FAIL("a vector without a rule");
        ++seen;
    }
    CHECK(seen == 7);
}
