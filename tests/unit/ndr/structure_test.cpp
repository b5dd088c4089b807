#include <rpch/ndr/structure.hpp>

#include "tests/unit/ndr/ndr_support.hpp"

using namespace rpch;
using namespace test;

namespace {
struct mixed {
    std::uint8_t a = 0;
    std::uint16_t b = 0;
    std::uint8_t c = 0;
    std::uint32_t d = 0;
    std::uint8_t e = 0;
    std::uint64_t f = 0;
    bool operator==(const mixed&) const = default;
};
struct inner {
    std::uint8_t v1 = 0;
    std::uint64_t v2 = 0;
    bool operator==(const inner&) const = default;
};
struct outer {
    std::uint8_t before = 0;
    inner in;
    std::uint8_t after = 0;
    bool operator==(const outer&) const = default;
};
struct surrounding {
    std::uint8_t x = 0;
    std::vector<std::uint16_t> items;
    bool operator==(const surrounding&) const = default;
};
struct nested_surrounding {
    std::uint16_t first = 0;
    surrounding last;
    bool operator==(const nested_surrounding&) const = default;
};
struct wide_surrounding {
    std::uint8_t x = 0;
    std::vector<std::uint64_t> items;
    bool operator==(const wide_surrounding&) const = default;
};
struct with_string {
    std::uint8_t x = 0;
    std::string text;
    bool operator==(const with_string&) const = default;
};
/// Names its members, in another order than it declares them, and leaves one out.
class named {
  public:
    named() = default;
    named(std::uint8_t a, std::uint32_t b) : a_(a), b_(b) {}
    bool operator==(const named&) const = default;

  private:
    std::uint8_t a_ = 0;
    std::uint32_t b_ = 0;
    int not_sent_ = 0;

  public:
    static constexpr auto ndr_members = std::make_tuple(&named::b_, &named::a_);
};
struct counted {
    std::uint32_t count = 0;
    std::vector<std::uint8_t> items;
    std::error_code ndr_check() const noexcept {
        return count == items.size() ? std::error_code{} : make_error_code(errc::ndr_bad_array);
    }
    bool operator==(const counted&) const = default;
};
struct with_arrays {
    std::array<std::uint16_t, 2> pair{};
    std::array<std::array<std::uint8_t, 3>, 2> grid{};
    std::uint8_t end = 0;
    bool operator==(const with_arrays&) const = default;
};
struct of_24 {
    std::uint8_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9, j = 10, k = 11,
                 l = 12, m = 13, n = 14, o = 15, p = 16, q = 17, r = 18, s = 19, t = 20, u = 21,
                 v = 22, w = 23, x = 24;
    bool operator==(const of_24&) const = default;
};
} // namespace

TEST_CASE("structures: every member at its own alignment, [C706] 14.3.6") {
    // a, gap, b, c, gap of 3, d, e, gap of 3, f
    both_ways(mixed{1, 2, 3, 4, 5, 6}, "01 00 0200 03 000000 04000000 05 000000 0600000000000000",
              "01 00 0002 03 000000 00000004 05 000000 0000000000000006");
}

TEST_CASE(
    "structures: an embedded one starts at its own alignment and ends without padding, 14.2.2") {
    both_ways(outer{1, {2, 3}, 4}, "01 00000000000000 02 00000000000000 0300000000000000 04",
              "01 00000000000000 02 00000000000000 0000000000000003 04");
}

TEST_CASE("structures: fixed arrays lie inside, in row-major order, 14.3.3.1 and 14.3.3.5") {
    both_ways(with_arrays{{1, 2}, {{{3, 4, 5}, {6, 7, 8}}}, 9}, "0100 0200 030405 060708 09",
              "0001 0002 030405 060708 09");
}

TEST_CASE("structures: 24 members without any help") {
    both_ways(of_24{}, "0102030405060708090a0b0c0d0e0f101112131415161718",
              "0102030405060708090a0b0c0d0e0f101112131415161718");
}

TEST_CASE("structures: named members go in the order of the list") {
    both_ways(named{1, 2}, "02000000 01", "00000002 01");
}

TEST_CASE(
    "structures: the maximum count of the last member stands before the structure, 14.3.7.1") {
    both_ways(surrounding{1, {2, 3}}, "02000000 01 00 0200 0300", "00000002 01 00 0002 0003");
    both_ways(nested_surrounding{7, {1, {2, 3}}}, "02000000 0700 01 00 0200 0300",
              "00000002 0007 01 00 0002 0003");
    both_ways(surrounding{1, {}}, "00000000 01", "00000000 01");
    // The structure is aligned to its elements, so a gap parts it from the count.
    both_ways(wide_surrounding{1, {2}}, "01000000 00000000 01 00000000000000 0200000000000000",
              "00000001 00000000 01 00000000000000 0000000000000002");
}

TEST_CASE("structures: offset and actual count of a string at the end stay inside, 14.3.7.2") {
    both_ways(with_string{1, "ab"}, "03000000 01 000000 00000000 03000000 616200",
              "00000003 01 000000 00000000 00000003 616200");
}

TEST_CASE("structures: alignment inside arrays, no padding behind the last element") {
    both_ways(std::vector<inner>{{1, 2}, {3, 4}},
              "02000000 00000000 01 00000000000000 0200000000000000 "
              "03 00000000000000 0400000000000000",
              "00000002 00000000 01 00000000000000 0000000000000002 "
              "03 00000000000000 0000000000000004");
}

TEST_CASE("structures: a structure may judge itself") {
    both_ways(counted{2, {8, 9}}, "02000000 02000000 0809", "00000002 00000002 0809");
    CHECK(decode_error<counted>("02000000 03000000 0809") == errc::ndr_bad_array);
    CHECK(encode_error(counted{1, {}}) == errc::ndr_bad_array);
}
