#include <rpch/core/reader.hpp>

#include <rpch/core/writer.hpp>

#include <doctest/doctest.h>

#include "tests/support/bytes.hpp"

using namespace rpch::core;

TEST_CASE("reader: a read that does not fit moves nothing") {
    const auto bytes = test::hex("01 02 03");
    reader in{bytes};
    CHECK_FALSE(in.take_u32());
    CHECK(in.position() == 0);
    CHECK(in.take_u16() == 0x0201);
    CHECK_FALSE(in.take<2>());
    CHECK(in.take(1)->size() == 1);
    CHECK(in.remaining() == 0);
    CHECK_FALSE(in.take_u8());
}

TEST_CASE("reader: big-endian integers, and alignment from the start of the input") {
    const auto bytes = test::hex("01 02 03 04 05 06 07 08");
    reader in{bytes, byte_order::big};
    CHECK(in.take_u8() == 1);
    CHECK(in.align(4));
    CHECK(in.position() == 4);
    CHECK(in.take_u32() == 0x05060708);
    CHECK(in.align(8));
    reader odd{rpch::byte_view(bytes).first(5)};
    CHECK(odd.take(5));
    CHECK_FALSE(odd.align(4));
    CHECK(odd.position() == 5);
}

TEST_CASE("writer: overflow is remembered and writes nothing more") {
    std::array<std::byte, 6> space{};
    writer out{space};
    out.put_u8(1);
    out.align(4);
    out.put_u32(2);
    CHECK_FALSE(out.ok());
    CHECK(out.size() == 4);
    out.put_u8(3);
    CHECK(out.size() == 4);
}
