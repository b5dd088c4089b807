#include <rpch/dcerpc/verification_trailer.hpp>

#include <rpch/core/text.hpp>
#include <rpch/dcerpc/bind_pdu.hpp>

#include <doctest/doctest.h>

#include "tests/unit/dcerpc/pdus.hpp"

using namespace rpch;
using namespace rpch::dcerpc;
using core::to_hex;

namespace {

verification_trailer full() {
    verification_trailer t;
    t.supports_header_signing = true;
    t.context = verification_trailer::pcontext{test::rpcecho, ndr20};
    t.header = verification_trailer::header2{core::byte_order::little, 0x01020304, 5, 6};
    return t;
}

} // namespace

// [MS-RPCE] 2.2.2.13 and its commands.
TEST_CASE("verification trailer: written byte for byte, behind zeros up to a multiple of four") {
    auto stub = test::hex("aabbccddee");
    append(stub, full());
    CHECK(to_hex(stub) == to_hex(test::hex("aabbccddee 000000"
                                           "8ae3137102f43671"
                                           "0100 0400 01000000"
                                           "0200 2800 c55ea160e84dd711a637005056a20182 01000000"
                                           "045d888aeb1cc9119fe808002b104860 02000000"
                                           "0340 1000 00000000 10000000 04030201 0500 0600")));
    const auto found = find_verification_trailer(stub);
    REQUIRE(found);
    CHECK(found->stub_bytes == 8);
    CHECK(found->content.supports_header_signing == true);
    CHECK(found->content.context == full().context);
    CHECK(found->content.header == full().header);
    CHECK_FALSE(found->content.must_process_unknown);
}

TEST_CASE("verification trailer: each command alone comes back, and none at all is none") {
    for (int which = 0; which < 4; ++which) {
        verification_trailer t = full();
        if (which != 0) t.supports_header_signing.reset();
        if (which != 1) t.context.reset();
        if (which != 2) t.header.reset();
        test::bytes stub;
        append(stub, t);
        const auto found = find_verification_trailer(stub);
        REQUIRE(found);
        CHECK(found->stub_bytes == 0);
        CHECK(found->content.supports_header_signing == t.supports_header_signing);
        CHECK(found->content.context == t.context);
        CHECK(found->content.header == t.header);
    }
}

TEST_CASE("verification trailer: unknown commands are read over unless they must be processed") {
    auto stub = test::hex("8ae3137102f43671 0900 0200 ffff 0140 0400 00000000");
    auto found = find_verification_trailer(stub);
    REQUIRE(found);
    CHECK(found->content.supports_header_signing == false);
    CHECK_FALSE(found->content.must_process_unknown);
    stub[9] = std::byte{0x80};
    found = find_verification_trailer(stub);
    REQUIRE(found);
    CHECK(found->content.must_process_unknown);
}

// [MS-RPCE] 2.2.2.13.2.
TEST_CASE("verification trailer: of the bitmask one bit counts, and the others are ignored") {
    const auto signing = [](std::string_view bits) {
        auto stub = test::hex("8ae3137102f43671 0140 0400");
        const auto value = test::hex(bits);
        stub.insert(stub.end(), value.begin(), value.end());
        const auto found = find_verification_trailer(stub);
        REQUIRE(found);
        CHECK(found->stub_bytes == 0);
        CHECK_FALSE(found->content.must_process_unknown);
        return found->content.supports_header_signing;
    };
    CHECK(signing("00000000") == false);
    CHECK(signing("01000000") == true);
    CHECK(signing("feffffff") == false); // 0xFFFFFFFE
    CHECK(signing("ffffffff") == true);
    CHECK(signing("00000001") == false); // the bit of the last byte is another
}

TEST_CASE("verification trailer: what does not end the stub data, or is cut, is application data") {
    auto whole = test::pattern(16);
    append(whole, full());
    REQUIRE(find_verification_trailer(whole));
    auto longer = whole;
    longer.resize(longer.size() + 4);
    CHECK_FALSE(find_verification_trailer(longer));
    for (std::size_t n = 0; n < whole.size(); ++n) {
        CAPTURE(n);
        CHECK_FALSE(find_verification_trailer(byte_view(whole).first(n)));
    }
    auto shifted = test::bytes{std::byte{1}}; // a trailer stands at a multiple of four
    shifted.insert(shifted.end(), whole.begin() + 16, whole.end());
    CHECK_FALSE(find_verification_trailer(shifted));
    // Two of them: the last one counts, the first is data.
    auto twice = whole;
    append(twice, full());
    CHECK(find_verification_trailer(twice)->stub_bytes == whole.size());
}

TEST_CASE("verification trailer: a wrong length or PTYPE makes it data") {
    auto good = test::bytes{};
    append(good, full());
    for (const std::size_t at : {std::size_t{10}, std::size_t{18}, std::size_t{62}}) {
        auto bad = good;
        bad[at] = std::byte{0x05};
        CAPTURE(at);
        CHECK_FALSE(find_verification_trailer(bad));
    }
}
