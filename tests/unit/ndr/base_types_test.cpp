#include <rpch/ndr/codec.hpp>

#include <limits>

#include "tests/unit/ndr/ndr_support.hpp"

using namespace rpch;
using namespace test;

namespace {
enum class colour : std::uint16_t { red = 1, blue = 0x1234 };
enum class tiny : std::uint8_t { one = 1 };
enum class wide : std::uint32_t { one = 1, huge = 0x12345678 };
} // namespace

TEST_CASE("base types: integers of every width, [C706] 14.2.5") {
    both_ways(std::uint8_t{0xA1}, "a1", "a1");
    both_ways(std::int8_t{-2}, "fe", "fe");
    both_ways(std::uint16_t{0x1234}, "3412", "1234");
    both_ways(std::int16_t{-2}, "feff", "fffe");
    both_ways(std::uint32_t{0x12345678}, "78563412", "12345678");
    both_ways(std::int32_t{-2}, "feffffff", "fffffffe");
    both_ways(std::uint64_t{0x1122334455667788}, "8877665544332211", "1122334455667788");
    both_ways(std::int64_t{-2}, "feffffffffffffff", "fffffffffffffffe");
    both_ways(std::byte{7}, "07", "07");
}

TEST_CASE("base types: IEEE floating point, [C706] 14.2.7") {
    both_ways(1.0f, "0000803f", "3f800000");
    both_ways(-2.0, "00000000000000c0", "c000000000000000");
}

TEST_CASE("base types: characters and booleans, [C706] 14.2.3 and 14.2.4") {
    both_ways('A', "41", "41");
    both_ways(u'\u20ac', "ac20", "20ac");
    both_ways(true, "01", "01");
    both_ways(false, "00", "00");
    CHECK(decoded<bool>(hex("fe")) == true);
}

TEST_CASE("enums: 16 bits, or 32 with [v1_enum]; unknown enumerators are kept, [C706] 14.2.6") {
    both_ways(colour::blue, "3412", "1234");
    CHECK(decoded<colour>(hex("4c00")) == static_cast<colour>(76));
    both_ways(tiny::one, "0100", "0001");
    CHECK(decode_error<tiny>("0001") == errc::ndr_range);
    both_ways(wide::one, "0100", "0001");
    CHECK(encode_error(wide::huge) == errc::ndr_range);
    both_ways(ndr::enum32<wide>{wide::huge}, "78563412", "12345678");
    CHECK(decode_error<ndr::enum32<colour>>("00000100") == errc::ndr_range);
}

TEST_CASE("range: refuses what is outside on both ways") {
    using percent = ndr::range<std::uint32_t, 1, 100>;
    both_ways(percent{100}, "64000000", "00000064");
    CHECK(decode_error<percent>("65000000") == errc::ndr_range);
    CHECK(decode_error<percent>("00000000") == errc::ndr_range);
    CHECK(encode_error(percent{101}) == errc::ndr_range);
    using offset = ndr::range<std::int16_t, -3, 3>;
    both_ways(offset{-3}, "fdff", "fffd");
    CHECK(decode_error<offset>("fcff") == errc::ndr_range);
}

TEST_CASE("identifiers: UUIDs, interface identifiers and context handles turn field by field") {
    const uuid id{"60a15ec5-4de8-11d7-a637-005056a20182"};
    both_ways(id, "c55ea160 e84d d711 a637005056a20182", "60a15ec5 4de8 11d7 a637005056a20182");
    both_ways(interface_id{id, 1, 2}, "c55ea160 e84d d711 a637005056a20182 0100 0200",
              "60a15ec5 4de8 11d7 a637005056a20182 0001 0002");
    both_ways(ndr::context_handle{5, id}, "05000000 c55ea160 e84d d711 a637005056a20182",
              "00000005 60a15ec5 4de8 11d7 a637005056a20182");
    CHECK(ndr::context_handle{}.is_null());
    CHECK_FALSE(ndr::context_handle{0, id}.is_null());
}

TEST_CASE("encoder: alignment counts from where the stub starts, not from where the vector does") {
    bytes reused = hex("ff");
    ndr::encoder out(reused);
    CHECK(ndr::put_whole(out, std::uint8_t{1}));
    CHECK(ndr::put_whole(out, std::uint32_t{2}));
    CHECK(core::to_hex(reused) == tight("ff 01 000000 02000000"));
    CHECK(out.size() == 8);
}

TEST_CASE("decoder: the first failure is the one that is named") {
    ndr::decoder in(byte_view{});
    CHECK_FALSE(in.fail(errc::ndr_bad_array));
    std::uint32_t value = 0;
    CHECK_FALSE(in.get(value));
    CHECK(in.error() == errc::ndr_bad_array);
    CHECK(ndr::finish(in) == errc::ndr_bad_array);
}
