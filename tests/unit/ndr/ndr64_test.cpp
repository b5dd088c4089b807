// NDR64, [MS-RPCE] 2.2.5: what differs from NDR 2.0, byte for byte, and both syntaxes on the same
// types.
#include <rpch/ndr/ndr.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <rpch/core/text.hpp>
#include <rpch/services/rpcecho.hpp>

#include "tests/support/bytes.hpp"

using namespace rpch;
using core::byte_order;
using core::to_hex;
using ndr::transfer_syntax;
using services::rpcecho;

namespace {

template <class T>
std::string wire(const T& value, byte_order order = byte_order::little,
                 transfer_syntax syntax = transfer_syntax::ndr64) {
    std::vector<std::byte> out;
    ndr::encoder to(out, order, syntax);
    REQUIRE(ndr::put_whole(to, value));
    return to_hex(out);
}
std::string hex(std::string_view text) { return to_hex(test::hex(text)); }

// Decodes what was encoded; every shorter stub is refused, none reads beyond its end.
template <class T>
void returns(const T& value) {
    for (const auto syntax : {transfer_syntax::ndr20, transfer_syntax::ndr64})
        for (const auto order : {byte_order::little, byte_order::big}) {
            std::vector<std::byte> out;
            ndr::encoder to(out, order, syntax);
            REQUIRE(ndr::put_whole(to, value));
            ndr::decoder from(out, order, syntax);
            T back{};
            REQUIRE(ndr::get_whole(from, back));
            CHECK(back == value);
            CHECK(from.remaining() == 0);
            std::size_t accepted = 0;
            for (std::size_t n = 0; n < out.size(); ++n) {
                const std::vector<std::byte> cut(out.begin(),
                                                 out.begin() + static_cast<std::ptrdiff_t>(n));
                ndr::decoder short_one(cut, order, syntax);
                T partial{};
                accepted += ndr::get_whole(short_one, partial) ? 1U : 0U;
            }
            // Only what fills a structure at the end of the stub may be missing.
            CHECK(accepted <= (syntax == transfer_syntax::ndr64 ? 7U : 0U));
        }
}

enum class color : std::uint16_t { red = 1, green = 2 };

struct padded {
    std::uint32_t a = 0;
    std::uint8_t b = 0;
    bool operator==(const padded&) const = default;
};
struct with_pointer {
    std::uint8_t flag = 0;
    ndr::unique<std::uint32_t> where;
    std::uint16_t last = 0;
    bool operator==(const with_pointer&) const = default;
};
struct counted {
    std::uint32_t n = 0;
    std::vector<std::uint16_t> items;
    bool operator==(const counted&) const = default;
};
using choice = ndr::union_<std::uint16_t, ndr::arm<std::uint8_t, 1>, ndr::arm<std::uint64_t, 2>,
                           ndr::arm<void, 3>>;
struct holder {
    std::uint8_t head = 0;
    choice value;
    std::uint32_t tail = 0;
    bool operator==(const holder&) const = default;
};

} // namespace

TEST_CASE("NDR64: enumerated types are 32 bits wide, 2.2.5.2") {
    CHECK(wire(color::green) == hex("02000000"));
    CHECK(wire(color::green, byte_order::little, transfer_syntax::ndr20) == hex("0200"));
    CHECK(wire(color::green, byte_order::big) == hex("00000002"));
    returns(color::red);
    const auto above = test::hex("00000100");
    ndr::decoder big(above, byte_order::little, transfer_syntax::ndr64);
    color out{};
    CHECK_FALSE(ndr::get_whole(big, out)); // 65536 is no value of the type
    CHECK(big.error() == errc::ndr_range);
}

TEST_CASE("NDR64: counts, offsets and referents are 64 bits wide, 2.2.5.3") {
    CHECK(wire(std::vector<std::uint16_t>{1, 2}) == hex("0200000000000000 0100 0200"));
    CHECK(wire(std::u16string(u"ab")) ==
          hex("0300000000000000 0000000000000000 0300000000000000 6100 6200 0000"));
    CHECK(wire(ndr::conformant_varying<std::byte, 10>{{std::byte{7}}, 2, 5}) ==
          hex("0500000000000000 0200000000000000 0100000000000000 07"));
    CHECK(wire(ndr::unique<std::uint8_t>(9)) == hex("0000020000000000 09"));
    CHECK(wire(ndr::unique<std::uint8_t>()) == hex("0000000000000000"));
    returns(std::vector<std::uint32_t>{1, 2, 3});
    returns(std::u16string(u"ab"));
    returns(ndr::unique<std::u16string>(std::u16string(u"x")));
    returns(ndr::conformant_varying<std::byte, 10>{{std::byte{7}}, 2, 5});
}

TEST_CASE("NDR64: structures are filled up to a multiple of their alignment, 2.2.5.3.4.1") {
    CHECK(wire(padded{1, 2}) == hex("01000000 02 000000"));
    CHECK(wire(padded{1, 2}, byte_order::little, transfer_syntax::ndr20) == hex("01000000 02"));
    CHECK(wire(std::vector<padded>{{1, 2}, {3, 4}}) ==
          hex("0200000000000000 01000000 02000000 03000000 04000000"));
    CHECK(wire(with_pointer{1, ndr::unique<std::uint32_t>(5), 3}) ==
          hex("01 00000000000000 0000020000000000 0300 000000000000 05000000"));
    returns(padded{1, 2});
    returns(with_pointer{1, ndr::unique<std::uint32_t>(5), 3});
    returns(std::vector<padded>{{1, 2}, {3, 4}, {5, 6}});
}

TEST_CASE("NDR64: the size of a conformant structure stands in front, 2.2.5.3.4.2") {
    // As Samba 4.17 packs rpcecho's echo_Surrounding.
    CHECK(wire(counted{3, {1, 2, 3}}) == hex("0300000000000000 03000000 0100 0200 0300 0000"));
    returns(counted{3, {1, 2, 3}});
}

TEST_CASE("NDR64: unions align themselves and every arm to the most aligned arm") {
    CHECK(wire(choice::of<1>(std::uint8_t{7})) == hex("0100 000000000000 07"));
    CHECK(wire(choice::of<2>(std::uint64_t{7})) == hex("0200 000000000000 0700000000000000"));
    CHECK(wire(holder{1, choice::of<1>(std::uint8_t{7}), 9}) ==
          hex("01 00000000000000 0100 000000000000 07 000000 09000000"));
    returns(choice::of<1>(std::uint8_t{7}));
    returns(holder{1, choice::of<2>(std::uint64_t{7}), 9});
    returns(holder{1, choice::of<3>(), 9});
}

// As Samba 4.17 packs the answers of rpcecho's TestCall2 with ndr64.
TEST_CASE("NDR64: rpcecho's levels are what Samba makes of them") {
    const auto answer = [](std::uint16_t level) {
        auto filled = services::rpcecho_service::test_call2(level);
        REQUIRE(filled);
        const auto stub = rpcecho::test_call2::encode_response(*filled, transfer_syntax::ndr64);
        REQUIRE(stub);
        auto back =
            rpcecho::test_call2::decode_response(*stub, byte_order::little, transfer_syntax::ndr64);
        REQUIRE(back);
        CHECK(*back == *filled);
        return stub->size();
    };
    // Tag at 0, arm at 8, and the status behind it.
    CHECK(answer(1) == 16);
    CHECK(answer(2) == 16);
    CHECK(answer(3) == 16);
    CHECK(answer(4) == 20);
    CHECK(answer(5) == 28);
    CHECK(answer(6) == 16);
    CHECK(answer(7) == 28);
}

TEST_CASE("NDR64: a request in one syntax is not one in the other") {
    const rpcecho::octets data(3, 5);
    const auto old = rpcecho::echo_data::encode_request(3U, data);
    const auto wide = rpcecho::echo_data::encode_request(transfer_syntax::ndr64, 3U, data);
    REQUIRE(old);
    REQUIRE(wide);
    CHECK(to_hex(*wide) == hex("03000000 00000000 0300000000000000 050505"));
    CHECK(rpcecho::echo_data::decode_request(*wide, byte_order::little, transfer_syntax::ndr64));
    CHECK_FALSE(rpcecho::echo_data::decode_request(*wide, byte_order::little));
    CHECK_FALSE(
        rpcecho::echo_data::decode_request(*old, byte_order::little, transfer_syntax::ndr64));
}

TEST_CASE("NDR64: a count above what the stub can hold is refused before memory is taken") {
    const auto stub = test::hex("ffffffffffffffff 00");
    ndr::decoder in(stub, byte_order::little, transfer_syntax::ndr64);
    std::vector<std::uint64_t> out;
    CHECK_FALSE(ndr::get_whole(in, out));
    CHECK(in.error() == errc::too_large);
    const auto less = test::hex("0000010000000000 00");
    ndr::decoder again(less, byte_order::little, transfer_syntax::ndr64);
    CHECK_FALSE(ndr::get_whole(again, out));
    CHECK(again.error() == errc::truncated);
}
