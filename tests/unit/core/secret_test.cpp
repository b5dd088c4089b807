#include <rpch/core/secret.hpp>

#include <doctest/doctest.h>

#include <algorithm>

using namespace rpch;
using namespace rpch::core;

namespace {
bool all_zero(const char* data, std::size_t size) {
    return std::all_of(data, data + size, [](char c) { return c == 0; });
}
} // namespace

TEST_CASE("secret: wiping a string clears its whole buffer") {
    std::string text = "a password that does not fit a small string";
    const char* data = text.data();
    const std::size_t size = text.size();
    wipe(text);
    CHECK(text.empty());
    CHECK(text.data() == data); // the buffer is still the string's, so it may be looked at
    CHECK(all_zero(data, size));
}

TEST_CASE("secret: moving leaves nothing behind, copies are made by clone only") {
    secret a{std::string_view("hunter2")};
    secret b = std::move(a);
    CHECK(a.empty()); // NOLINT(bugprone-use-after-move): that is the point
    CHECK(b.view() == "hunter2");
    const secret c = b.clone();
    b.clear();
    CHECK(b.empty());
    CHECK(c.view() == "hunter2");
    b = c.clone();
    CHECK(b.view() == "hunter2");
    static_assert(!std::is_copy_constructible_v<secret> && !std::is_copy_assignable_v<secret>);
}

TEST_CASE("secret: comparison in constant time tells equal from different") {
    CHECK(equal_constant_time(as_bytes("abc"), as_bytes("abc")));
    CHECK_FALSE(equal_constant_time(as_bytes("abc"), as_bytes("abd")));
    CHECK_FALSE(equal_constant_time(as_bytes("abc"), as_bytes("abcd")));
    CHECK(equal_constant_time({}, {}));
}
