#include <rpch/core/base64.hpp>

#include <doctest/doctest.h>

#include "tests/support/bytes.hpp"

using namespace rpch;
using namespace rpch::core;

namespace {
std::string decoded(std::string_view text) {
    const auto out = base64_decode(text, 1024);
    REQUIRE(out);
    return std::string(as_text(*out));
}
} // namespace

TEST_CASE("base64: the examples of RFC 4648 section 10, both ways") {
    const std::pair<const char*, const char*> examples[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (const auto& [plain, coded] : examples) {
        CHECK(base64_encode(as_bytes(plain)) == coded);
        CHECK(base64_size(std::string_view(plain).size()) == std::string_view(coded).size());
        CHECK(decoded(coded) == plain);
    }
    CHECK(base64_encode(test::hex("fbefbe ffffff")) == "++++////");
}

TEST_CASE("base64: one value has one text, anything else is refused") {
    for (const char* text : {"Zg", "Zg=", "Z===", "====", "Zh==", "Zm9=", "Zm9v=", "Zg==Zg==",
                             "Zm 9", "Zm9\n", "Zm-_", "Z\x80mm", "=Zg=", "Zg=v"}) {
        CAPTURE(text);
        CHECK(base64_decode(text, 1024).error() == errc::bad_value);
    }
}

TEST_CASE("base64: sizes are judged before anything is allocated or written") {
    std::array<std::byte, 2> small{};
    CHECK(base64_decode("Zm9v", byte_span(small)).error() == errc::too_large);
    CHECK(base64_decode("Zm8=", byte_span(small)).value() == 2);
    CHECK(base64_decode("Zm9v", 2).error() == errc::too_large);
    CHECK(base64_decode("Zm9v", 3).has_value());
    CHECK(base64_decode(std::string(4096, 'A'), 1024).error() == errc::too_large);
}
