#include <rpch/auth/ntlm_text.hpp>

#include <doctest/doctest.h>

#include "tests/support/bytes.hpp"

using namespace rpch;
using namespace rpch::auth;

namespace {

std::string upper(std::string_view text) {
    const auto wide = ntlm_to_utf16(text, true);
    REQUIRE(wide);
    return ntlm_from_utf16(wide->bytes()).value();
}

} // namespace

TEST_CASE("ntlm text: UTF-8 to UTF-16LE and back, from one byte to a surrogate pair") {
    const auto wide = ntlm_to_utf16("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80");
    REQUIRE(wide);
    const auto bytes = wide->bytes();
    CHECK(test::bytes(bytes.begin(), bytes.end()) == test::hex("6100 e400 ac20 3dd8 00de"));
    CHECK(ntlm_from_utf16(bytes).value() == "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80");
    CHECK(ntlm_to_utf16("")->empty());
}

TEST_CASE("ntlm text: what is not text is refused") {
    for (const auto* bad : {"\x80", "\xC3", "\xC0\x80", "\xED\xA0\x80", "\xF5\x80\x80\x80"})
        CHECK(ntlm_to_utf16(bad).error() == errc::bad_value);
    for (const auto* bad : {"61", "3dd8", "3dd86100", "00de", "61000000"})
        CHECK(ntlm_from_utf16(test::hex(bad)).error() == errc::bad_value);
}

TEST_CASE("ntlm text: upper case of Latin, Greek and Cyrillic letters") {
    CHECK(upper("user-09_z") == "USER-09_Z");
    CHECK(upper("\u00e0\u00f6\u00f8\u00fe\u00ff\u00f7\u00df") ==
          "\u00c0\u00d6\u00d8\u00de\u0178\u00f7\u00df");
    CHECK(upper("\u0105\u0142\u017c\u0151\u0137\u0148") == "\u0104\u0141\u017b\u0150\u0136\u0147");
    CHECK(upper("\u0131\u0138\u00b5\u0149") == "\u0131\u0138\u00b5\u0149");
    CHECK(upper("\u03b1\u03c9\u03ac\u03ad\u03af\u03cc\u03ce\u03c2\u03c3\u03cb") ==
          "\u0391\u03a9\u0386\u0388\u038a\u038c\u038f\u03a3\u03a3\u03ab");
    CHECK(upper("\u0436\u044f\u0451\u0457\u0491\u04d9") == "\u0416\u042f\u0401\u0407\u0490\u04d8");
    CHECK(upper("\u1ea3\u1ef9") == "\u1ea2\u1ef8");
    CHECK(upper("\u0410\u0100\u0391\U00010428") == "\u0410\u0100\u0391\U00010428");
}

TEST_CASE("ntlm text: names are compared without case") {
    CHECK(ntlm_equal_nocase("J\u00fcrgen", "J\u00dcRGEN"));
    CHECK(ntlm_equal_nocase("", ""));
    CHECK_FALSE(ntlm_equal_nocase("user", "users"));
    CHECK_FALSE(ntlm_equal_nocase("users", "user"));
    CHECK_FALSE(ntlm_equal_nocase("\xFF", "\xFF"));
}
