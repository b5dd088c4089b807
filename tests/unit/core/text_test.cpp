#include <rpch/core/text.hpp>

#include <doctest/doctest.h>

using namespace rpch::core;

TEST_CASE("text: case is ignored for ASCII letters only") {
    CHECK(equal_nocase("RpcProxy.DLL", "rpcproxy.dll"));
    CHECK_FALSE(equal_nocase("abc", "abcd"));
    CHECK_FALSE(equal_nocase("\xC4", "\xE4"));
    CHECK_FALSE(equal_nocase("@", "`")); // 0x40 and 0x60: not letters
    CHECK(starts_with_nocase("HTTP://x", "http://"));
    CHECK_FALSE(starts_with_nocase("htt", "http"));
}

TEST_CASE("text: decimal numbers are digits that fit 64 bits") {
    CHECK(parse_decimal("0") == 0);
    CHECK(parse_decimal("000076") == 76);
    CHECK(parse_decimal("18446744073709551615") == UINT64_MAX);
    for (const char* text : {"", "-1", "+1", " 1", "1 ", "0x10", "1e3", "18446744073709551616",
                             "99999999999999999999"})
        CHECK_FALSE(parse_decimal(text));
}

TEST_CASE("text: lists are cut at separators, blanks trimmed") {
    std::string_view rest = " a ,b,, \tc";
    CHECK(next_item(rest, ',') == "a");
    CHECK(next_item(rest, ',') == "b");
    CHECK(next_item(rest, ',') == "");
    CHECK(next_item(rest, ',') == "c");
    CHECK(rest.empty());
}

TEST_CASE("text: tokens of HTTP have no blanks, controls or delimiters") {
    CHECK(is_token("Content-Length"));
    for (const char* text : {"", "a b", "a:", "a\t", "a(b", "\xC4", "a\x7f", "\"a\""})
        CHECK_FALSE(is_token(text));
}
