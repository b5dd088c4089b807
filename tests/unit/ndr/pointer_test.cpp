#include <rpch/ndr/pointer.hpp>

#include "tests/unit/ndr/ndr_support.hpp"

using namespace rpch;
using namespace test;

namespace {
struct node {
    std::uint16_t value = 0;
    ndr::unique<node> left;
    ndr::unique<node> right;
    bool operator==(const node&) const = default;
};
struct list {
    ndr::unique<list> next;
    bool operator==(const list&) const = default;
};
struct mixed {
    ndr::unique<std::string> name;
    ndr::ref<std::uint16_t> number;
    std::uint8_t plain = 0;
    ndr::unique<ndr::unique<std::uint8_t>> twice;
    bool operator==(const mixed&) const = default;
};
struct pair {
    ndr::full<std::uint16_t> a;
    ndr::full<std::uint16_t> b;
    bool operator==(const pair&) const = default;
};
struct loop {
    ndr::full<loop> next;
    bool operator==(const loop&) const = default;
};
struct two_types {
    ndr::full<std::uint16_t> a;
    ndr::full<std::uint32_t> b;
    bool operator==(const two_types&) const = default;
};
struct holder {
    ndr::full<pair> inside;
    ndr::full<std::uint16_t> later;
    bool operator==(const holder&) const = default;
};

/// A list with `n` pointers from its head to its end.
std::string chain(std::size_t n) {
    std::string text;
    for (std::size_t i = 0; i < n; ++i) text += "00000200";
    return text + "00000000";
}
} // namespace

TEST_CASE("unique pointers: null, or an identifier and the pointee, [C706] 14.3.10") {
    both_ways(ndr::unique<std::uint16_t>{}, "00000000", "00000000");
    both_ways(ndr::unique<std::uint16_t>{7}, "00000200 0700", "00020000 0007");
    // The identifier only says "not null"; what a peer chooses does not matter.
    CHECK(decoded<ndr::unique<std::uint16_t>>(hex("01000000 0700")) ==
          ndr::unique<std::uint16_t>{7});
}

TEST_CASE("pointers to pointers: each pointee is where its pointer ends") {
    using three = ndr::unique<ndr::unique<ndr::unique<std::uint16_t>>>;
    both_ways(three{ndr::unique<ndr::unique<std::uint16_t>>{ndr::unique<std::uint16_t>{12}}},
              "00000200 04000200 08000200 0c00", "00020000 00020004 00020008 000c");
    both_ways(three{ndr::unique<ndr::unique<std::uint16_t>>{}}, "00000200 00000000",
              "00020000 00000000");
}

TEST_CASE("pointers in a structure: pointees follow it in the order of the pointers, 14.3.12.3") {
    mixed value;
    value.name.emplace("ab");
    value.number.value = 9;
    value.plain = 5;
    value.twice.emplace(ndr::unique<std::uint8_t>{6});
    both_ways(value,
              "00000200 04000200 05 000000 08000200 " // name, number, plain, twice
              "03000000 00000000 03000000 616200 00 " // *name, gap
              "0900 0000 "                            // *number, gap
              "0c000200 06",                          // *twice, **twice
              "00020000 00020004 05 000000 00020008 "
              "00000003 00000000 00000003 616200 00 "
              "0009 0000 "
              "0002000c 06");
    CHECK(decode_error<mixed>("00000000 00000000 05 000000 00000000") == errc::ndr_bad_pointer);
}

TEST_CASE(
    "deferral: a pointee's own pointees come before the next pointer's, depth first, 14.3.12.3") {
    node root{1, {}, {}};
    root.left.emplace(2);
    root.right.emplace(3);
    root.left->left.emplace(4);
    root.left->right.emplace(5);
    both_ways(root,
              "0100 0000 00000200 04000200 " // root
              "0200 0000 08000200 0c000200 " // root.left
              "0400 0000 00000000 00000000 " // root.left.left
              "0500 0000 00000000 00000000 " // root.left.right
              "0300 0000 00000000 00000000", // root.right
              "0001 0000 00020000 00020004 "
              "0002 0000 00020008 0002000c "
              "0004 0000 00000000 00000000 "
              "0005 0000 00000000 00000000 "
              "0003 0000 00000000 00000000");
}

TEST_CASE("deferral: all elements of an array come before what they point to") {
    using strings = std::vector<ndr::unique<std::string>>;
    both_ways(strings{std::string{"a"}, nullptr, std::string{"b"}},
              "03000000 00000200 00000000 04000200 "
              "02000000 00000000 02000000 6100 0000 "
              "02000000 00000000 02000000 6200",
              "00000003 00020000 00000000 00020004 "
              "00000002 00000000 00000002 6100 0000 "
              "00000002 00000000 00000002 6200");
    std::array<ndr::unique<std::uint8_t>, 2> fixed{ndr::unique<std::uint8_t>{1},
                                                   ndr::unique<std::uint8_t>{2}};
    both_ways(fixed, "00000200 04000200 01 02", "00020000 00020004 01 02");
    both_ways(ndr::varying<ndr::unique<std::uint8_t>, 2>{{ndr::unique<std::uint8_t>{1}}, 1},
              "01000000 01000000 00000200 01", "00000001 00000001 00020000 01");
}

TEST_CASE("depth: a list may be as long as the limit and no longer, on both ways") {
    CHECK(decoded<list>(hex(chain(limits::ndr_depth_max))));
    CHECK(decode_error<list>(chain(limits::ndr_depth_max + 1)) == errc::too_large);
    list head;
    list* end = &head;
    for (std::size_t i = 0; i < limits::ndr_depth_max; ++i) end = &end->next.emplace();
    CHECK(encode_error(head) == std::error_code{});
    end->next.emplace();
    CHECK(encode_error(head) == errc::too_large);
}

TEST_CASE("unique pointers: copies are deep") {
    ndr::unique<std::string> a{std::string("x")};
    ndr::unique<std::string> b = a;
    *b = "y";
    CHECK(*a == "x");
    a = b;
    CHECK(*a == "y");
    a = nullptr;
    CHECK_FALSE(a);
    CHECK_FALSE(a == b);
}

TEST_CASE(
    "full pointers: the same identifier is the same object, its pointee is sent once, 14.3.10") {
    pair value;
    value.a.emplace(std::uint16_t{7});
    value.b = value.a;
    both_ways(value, "00000200 00000200 0700", "00020000 00020000 0007");
    const auto back = decoded<pair>(hex("05000000 05000000 0700"));
    REQUIRE(back);
    CHECK(back->a.shared() == back->b.shared());

    pair apart;
    apart.a.emplace(std::uint16_t{7});
    apart.b.emplace(std::uint16_t{7});
    both_ways(apart, "00000200 04000200 0700 0700", "00020000 00020004 0007 0007");
    both_ways(pair{}, "00000000 00000000", "00000000 00000000");
}

TEST_CASE(
    "full pointers: a shared pointee stands where its identifier first comes up depth first") {
    holder value;
    value.inside.emplace();
    value.inside->b.emplace(std::uint16_t{9});
    value.later = value.inside->b;
    both_ways(value, "00000200 04000200 00000000 04000200 0900",
              "00020000 00020004 00000000 00020004 0009");
}

TEST_CASE("full pointers: cycles and identifiers that change their type are refused") {
    CHECK(decode_error<ndr::full<loop>>("01000000 01000000") == errc::ndr_bad_pointer);
    CHECK(decode_error<ndr::full<loop>>("01000000 02000000 01000000") == errc::ndr_bad_pointer);
    CHECK(decode_error<two_types>("01000000 01000000 0700 0000 07000000") == errc::ndr_bad_pointer);
    const auto self = std::make_shared<loop>();
    self->next = ndr::full<loop>(self);
    CHECK(encode_error(ndr::full<loop>(self)) == errc::ndr_bad_pointer);
    self->next = nullptr;
}
