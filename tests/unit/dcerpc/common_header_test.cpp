#include <rpch/dcerpc/common_header.hpp>

#include <doctest/doctest.h>

#include "tests/support/bytes.hpp"

using namespace rpch;
using namespace rpch::dcerpc;

TEST_CASE("common header: both byte orders decode, encode gives the bytes back") {
    for (const auto* text :
         {"05000b03 10000000 4800 0000 02000000", "05000b03 00000000 0048 0000 00000002"}) {
        const auto wire = test::hex(text);
        const auto h = decode_common_header(wire);
        REQUIRE(h);
        CHECK(h->type == pdu_type::bind);
        CHECK(h->frag_length == 0x48);
        CHECK(h->call_id == 2);
        std::array<std::byte, 16> out{};
        encode_common_header(*h, out);
        CHECK(core::to_hex(out) == core::to_hex(wire));
    }
}

TEST_CASE("common header: the length is known from ten bytes on") {
    const auto wire = test::hex("05000003 10000000 1800");
    for (std::size_t n = 0; n < 10; ++n)
        CHECK(*peek_frag_length(byte_view(wire).first(n)) == std::nullopt);
    CHECK(**peek_frag_length(wire) == 0x18);
    CHECK(decode_common_header(wire).error() == errc::truncated);
}

TEST_CASE("common header: what is malformed is refused by name") {
    CHECK(decode_common_header(test::hex("04000b03 10000000 4800 0000 02000000")).error() ==
          errc::bad_version);
    CHECK(decode_common_header(test::hex("05020b03 10000000 4800 0000 02000000")).error() ==
          errc::bad_version);
    CHECK(decode_common_header(test::hex("05000b03 20000000 4800 0000 02000000")).error() ==
          errc::bad_data_representation);
    CHECK(decode_common_header(test::hex("05000b03 10000000 0f00 0000 02000000")).error() ==
          errc::bad_frag_length);
    CHECK(decode_common_header(test::hex("05000103 10000000 4800 0000 02000000")).error() ==
          errc::bad_pdu_type);
    CHECK(decode_common_header(test::hex("05001503 10000000 4800 0000 02000000")).error() ==
          errc::bad_pdu_type);
}
