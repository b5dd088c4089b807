#include <rpch/rts/cookie.hpp>

#include <set>
#include <unordered_map>

#include <doctest/doctest.h>

#include "tests/support/bytes.hpp"

using namespace rpch;
using namespace rpch::rts;

TEST_CASE("cookie: compared and shown as raw bytes") {
    cookie a;
    CHECK(a == cookie{});
    CHECK(a.to_hex() == "00000000000000000000000000000000");
    a.bytes[15] = std::byte{0xAB};
    CHECK(a != cookie{});
    CHECK(a > cookie{});
    CHECK(a.to_hex() == "000000000000000000000000000000ab");
}

TEST_CASE("cookie: every bit takes part in the hash, and the seed changes it") {
    std::set<std::size_t> seen{cookie_hash{}(cookie{})};
    for (std::size_t bit = 0; bit < 128; ++bit) {
        cookie c;
        c.bytes[bit / 8] = std::byte{1} << static_cast<int>(bit % 8);
        seen.insert(cookie_hash{}(c));
    }
    CHECK(seen.size() == 129);
    CHECK(cookie_hash{1}(cookie{}) != cookie_hash{2}(cookie{}));
}

TEST_CASE("cookie: keys an unordered table") {
    std::unordered_map<cookie, int, cookie_hash> table(8, cookie_hash{42});
    cookie other;
    other.bytes[0] = std::byte{1};
    table[cookie{}] = 1;
    table[other] = 2;
    CHECK(table.at(cookie{}) == 1);
    CHECK(table.at(other) == 2);
}
