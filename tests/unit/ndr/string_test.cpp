#include <rpch/ndr/string.hpp>

#include "tests/unit/ndr/ndr_support.hpp"

using namespace rpch;
using namespace test;
using namespace std::string_literals;

TEST_CASE("strings: maximum count, offset, actual count, text, terminator, [C706] 14.3.4.2") {
    both_ways("abc"s, "04000000 00000000 04000000 61626300", "00000004 00000000 00000004 61626300");
    both_ways(""s, "01000000 00000000 01000000 00", "00000001 00000000 00000001 00");
    both_ways(u"a\u20ac"s, "03000000 00000000 03000000 6100 ac20 0000",
              "00000003 00000000 00000003 0061 20ac 0000");
}

TEST_CASE("strings: the maximum count may be larger than the text") {
    CHECK(decoded<std::string>(hex("10000000 00000000 02000000 6100")) == "a"s);
    CHECK(decode_error<std::string>("01000000 00000000 02000000 6100") == errc::ndr_bad_string);
}

TEST_CASE("strings: what a receiver in C would read differently is refused") {
    CHECK(decode_error<std::string>("02000000 00000000 02000000 6162") == errc::ndr_bad_string);
    CHECK(decode_error<std::string>("03000000 00000000 03000000 610000") == errc::ndr_bad_string);
    CHECK(decode_error<std::string>("00000000 00000000 00000000") == errc::ndr_bad_string);
    CHECK(decode_error<std::string>("03000000 01000000 02000000 6100") == errc::ndr_bad_string);
    CHECK(decode_error<std::u16string>("02000000 00000000 02000000 6100 0001") ==
          errc::ndr_bad_string);
    CHECK(encode_error("a\0b"s) == errc::ndr_bad_string);
    CHECK(encode_error(u"a\0"s) == errc::ndr_bad_string);
}

TEST_CASE("strings: hostile counts") {
    CHECK(decode_error<std::string>("ffffffff 00000000 ffffffff 00") == errc::too_large);
    CHECK(decode_error<std::string>("00000001 00000000 00000001 00") == errc::truncated);
    CHECK(decode_error<std::u16string>("02000000 00000000 02000000 6100") == errc::truncated);
}

TEST_CASE("strings: a maximum counts the terminator") {
    both_ways(ndr::string<3>{"ab"}, "03000000 00000000 03000000 616200",
              "00000003 00000000 00000003 616200");
    CHECK(encode_error(ndr::string<3>{"abc"}) == errc::too_large);
    CHECK(decode_error<ndr::string<3>>("04000000 00000000 04000000 61626300") == errc::too_large);
    CHECK(encode_error(ndr::u16string<1>{u"a"}) == errc::too_large);
}

TEST_CASE("strings: in an array of fixed bound they are varying, [C706] 14.3.4.1") {
    both_ways(ndr::varying_string<8>{"ab"}, "00000000 03000000 616200", "00000000 00000003 616200");
    both_ways(ndr::u16varying_string<8>{u"a"}, "00000000 02000000 6100 0000",
              "00000000 00000002 0061 0000");
    CHECK(decode_error<ndr::varying_string<2>>("00000000 03000000 616200") == errc::ndr_bad_string);
    CHECK(encode_error(ndr::varying_string<2>{"ab"}) == errc::too_large);
}
