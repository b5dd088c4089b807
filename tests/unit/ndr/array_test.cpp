#include <rpch/ndr/array.hpp>

#include "tests/unit/ndr/ndr_support.hpp"

using namespace rpch;
using namespace test;

namespace {
enum class colour : std::uint16_t { red = 1, green };
struct big {
    std::array<std::uint64_t, 512> words{};
    bool operator==(const big&) const = default;
};
struct between {
    std::uint8_t a = 0;
    ndr::varying<std::uint64_t, 4> items;
    std::uint8_t b = 0;
    bool operator==(const between&) const = default;
};
} // namespace

TEST_CASE("arrays: conformant ones carry their maximum count, [C706] 14.3.3.2") {
    both_ways(std::vector<std::uint8_t>{1, 2, 3}, "03000000 010203", "00000003 010203");
    both_ways(std::vector<std::uint16_t>{1, 2}, "02000000 0100 0200", "00000002 0001 0002");
    both_ways(std::vector<std::uint64_t>{1}, "01000000 00000000 0100000000000000",
              "00000001 00000000 0000000000000001");
    both_ways(std::vector<double>{1.0}, "01000000 00000000 000000000000f03f",
              "00000001 00000000 3ff0000000000000");
    both_ways(std::vector<colour>{colour::green}, "01000000 0200", "00000001 0002");
    both_ways(std::vector<std::byte>{}, "00000000", "00000000");
    // No element, no gap: alignment belongs to what is there.
    both_ways(std::vector<std::uint64_t>{}, "00000000", "00000000");
}

TEST_CASE("arrays: a maximum of the type's own, on both ways") {
    using three = ndr::conformant<std::uint8_t, 3>;
    both_ways(three{{1, 2, 3}}, "03000000 010203", "00000003 010203");
    CHECK(decode_error<three>("04000000 01020304") == errc::too_large);
    CHECK(encode_error(three{{1, 2, 3, 4}}) == errc::too_large);
}

TEST_CASE("arrays: varying ones carry offset and actual count, [C706] 14.3.3.3") {
    using some = ndr::varying<std::uint16_t, 5>;
    both_ways(some{{7, 8}, 3}, "03000000 02000000 0700 0800", "00000003 00000002 0007 0008");
    both_ways(some{}, "00000000 00000000", "00000000 00000000");
    CHECK(decode_error<some>("04000000 02000000 0700 0800") == errc::ndr_bad_array);
    CHECK(decode_error<some>("ffffffff 02000000 0700 0800") == errc::ndr_bad_array);
    CHECK(decode_error<some>("00000000 06000000") == errc::ndr_bad_array);
    CHECK(encode_error(some{{7, 8}, 4}) == errc::too_large);
    both_ways(between{1, {{2}, 0}, 3}, "01 000000 00000000 01000000 00000000 0200000000000000 03",
              "01 000000 00000000 00000001 00000000 0000000000000002 03");
}

TEST_CASE("arrays: conformant and varying ones carry all three, [C706] 14.3.3.4") {
    using window = ndr::conformant_varying<std::uint16_t, 10>;
    both_ways(window{{7}, 2, 10}, "0a000000 02000000 01000000 0700",
              "0000000a 00000002 00000001 0007");
    CHECK(encoded(window{{7}, 0, 0}) == tight("01000000 00000000 01000000 0700"));
    CHECK(decode_error<window>("02000000 01000000 02000000 0700 0800") == errc::ndr_bad_array);
    CHECK(decode_error<window>("0b000000 00000000 01000000 0700") == errc::too_large);
    CHECK(encode_error(window{{7}, 10, 0}) == errc::too_large);
}

TEST_CASE("arrays: a count that the stub cannot hold is refused before anything is allocated") {
    CHECK(decode_error<std::vector<std::uint8_t>>("ffffffff 01") == errc::too_large);
    CHECK(decode_error<std::vector<std::uint8_t>>("00000008 01") == errc::truncated);
    CHECK(decode_error<std::vector<std::uint64_t>>("01000000 00000000") == errc::truncated);
    CHECK(decode_error<ndr::conformant_varying<std::uint32_t>>(
              "00000001 00000000 00000001 01000000") == errc::truncated);
}

TEST_CASE("arrays: memory is bounded by the stub even if each element is huge and optional") {
    // Every four octets ask for 4096 bytes; 64 KiB and 32 bytes for each octet are allowed.
    bytes stub = hex("00010000");
    for (int i = 0; i < 256; ++i) {
        const auto id = hex("01000000");
        stub.insert(stub.end(), id.begin(), id.end());
    }
    const auto value = decoded<std::vector<ndr::unique<big>>>(stub);
    REQUIRE_FALSE(value);
    CHECK(value.error() == errc::too_large);
}
