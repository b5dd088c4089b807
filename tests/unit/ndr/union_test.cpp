#include <rpch/ndr/union.hpp>

#include "tests/unit/ndr/ndr_support.hpp"

using namespace rpch;
using namespace test;

namespace {
struct hyper_pair {
    std::uint8_t a = 0;
    std::uint64_t b = 0;
    bool operator==(const hyper_pair&) const = default;
};
enum class level : std::uint16_t { one = 1, two = 2 };

using plain =
    ndr::union_<std::uint16_t, ndr::arm<std::uint8_t, 1>, ndr::arm<std::uint32_t, 2, 3>,
                ndr::arm<hyper_pair, 4>, ndr::arm<void, 5>, ndr::arm<ndr::unique<std::string>, 6>>;
using aligned = ndr::ms_union<std::uint16_t, ndr::arm<std::uint8_t, 1>, ndr::arm<std::uint64_t, 2>,
                              ndr::arm<void, 3>>;
using with_default =
    ndr::union_<ndr::enum32<level>, ndr::arm<std::uint8_t, level::one>, ndr::default_arm<void>>;

struct in_structure {
    std::uint8_t before = 0;
    plain choice;
    std::uint8_t after = 0;
    bool operator==(const in_structure&) const = default;
};
} // namespace

TEST_CASE("unions: the discriminant, then the arm at its own alignment, [C706] 14.3.8") {
    both_ways(plain::of<1>(std::uint8_t{9}), "0100 09", "0001 09");
    both_ways(plain::of<2>(9u), "0200 0000 09000000", "0002 0000 00000009");
    both_ways(plain::with<1>(3, 9u), "0300 0000 09000000", "0003 0000 00000009");
    both_ways(plain::of<4>(hyper_pair{1, 2}),
              "0400 000000000000 01 00000000000000 0200000000000000",
              "0004 000000000000 01 00000000000000 0000000000000002");
    both_ways(plain::of<5>(), "0500", "0005");
}

TEST_CASE("unions: pointees of an arm are deferred behind the structure around the union") {
    in_structure value{1, plain::of<6>(ndr::unique<std::string>{std::string{"x"}}), 2};
    // The structure is aligned to 8 because an arm is; its discriminant stands at its own
    // alignment.
    both_ways(value, "01 00 0600 00000200 02 000000 02000000 00000000 02000000 7800",
              "01 00 0006 00020000 02 000000 00000002 00000000 00000002 7800");
}

TEST_CASE(
    "unions: with ms_union every arm stands where the most aligned one would, [MS-RPCE] 2.2.4.5") {
    both_ways(aligned::of<1>(std::uint8_t{9}), "0100 000000000000 09", "0001 000000000000 09");
    both_ways(aligned::of<2>(std::uint64_t{9}), "0200 000000000000 0900000000000000",
              "0002 000000000000 0000000000000009");
}

TEST_CASE("unions: a discriminant without an arm is refused unless there is a default") {
    CHECK(decode_error<plain>("0700 09") == errc::ndr_bad_union);
    both_ways(with_default::of<level::one>(std::uint8_t{9}), "01000000 09", "00000001 09");
    both_ways(with_default::of<level::two>(), "02000000", "00000002");
}

TEST_CASE("unions: an arm that the discriminant does not select is not sent") {
    auto value = plain::of<1>(std::uint8_t{9});
    value.tag = 2;
    CHECK(encode_error(value) == errc::ndr_bad_union);
    value.tag = 99;
    CHECK(encode_error(value) == errc::ndr_bad_union);
}

TEST_CASE("unions: the selected arm is found by its case") {
    auto value = plain::of<2>(9u);
    REQUIRE(value.get_if<2>() != nullptr);
    CHECK(*value.get_if<3>() == 9);
    CHECK(value.get_if<1>() == nullptr);
    CHECK(plain{}.tag == 1);
}
