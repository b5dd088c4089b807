#include <rpch/core/uuid.hpp>

#include <doctest/doctest.h>

#include "tests/support/bytes.hpp"

using rpch::uuid;
using rpch::core::byte_order;

TEST_CASE("uuid: text, wire form in both byte orders, and back") {
    constexpr uuid echo{"60a15ec5-4de8-11d7-a637-005056a20182"};
    CHECK(echo.to_string() == "60a15ec5-4de8-11d7-a637-005056a20182");
    std::array<std::byte, 16> wire{};
    echo.encode(wire, byte_order::little);
    CHECK(rpch::core::to_hex(wire) == "c55ea160e84dd711a637005056a20182");
    CHECK(uuid::decode(wire, byte_order::little) == echo);
    echo.encode(wire, byte_order::big);
    CHECK(rpch::core::to_hex(wire) == "60a15ec54de811d7a637005056a20182");
    CHECK(uuid::decode(wire, byte_order::big) == echo);
}

TEST_CASE("uuid: braces and upper case are accepted, anything else is refused") {
    CHECK(uuid::parse("{60A15EC5-4DE8-11D7-A637-005056A20182}") ==
          uuid{"60a15ec5-4de8-11d7-a637-005056a20182"});
    CHECK_FALSE(uuid::parse(""));
    CHECK_FALSE(uuid::parse("60a15ec5-4de8-11d7-a637-005056a2018"));
    CHECK_FALSE(uuid::parse("60a15ec5-4de8-11d7-a637-005056a2018g"));
    CHECK_FALSE(uuid::parse("60a15ec5+4de8-11d7-a637-005056a20182"));
    CHECK_FALSE(uuid::parse("{60a15ec5-4de8-11d7-a637-005056a20182"));
}
