#include <rpch/ndr/operation.hpp>

#include <doctest/doctest.h>

#include "tests/support/bytes.hpp"

using namespace rpch;
using core::byte_order;

namespace {
struct info {
    std::uint8_t small = 0;
    std::uint64_t big = 0;
    bool operator==(const info&) const = default;
};
struct calculator {
    static constexpr interface_id id{"60a15ec5-4de8-11d7-a637-005056a20182", 1, 0};
    using add_one = operation<0, std::uint32_t(std::uint32_t)>;
    using echo = operation<1, std::vector<std::uint8_t>(std::uint32_t, std::vector<std::uint8_t>)>;
    using sink = operation<2, void(std::uint32_t, std::vector<std::uint8_t>)>;
    using both =
        operation<3, std::tuple<std::string, std::uint32_t>(info, ndr::ref<std::uint16_t>)>;
};
} // namespace

TEST_CASE("operation: one integer there and back") {
    CHECK(calculator::id.to_string() == "60a15ec5-4de8-11d7-a637-005056a20182@1.0");
    static_assert(calculator::add_one::opnum == 0);
    const auto stub = calculator::add_one::encode_request(41);
    REQUIRE(stub);
    CHECK(core::to_hex(*stub) == "29000000");
    const auto args = calculator::add_one::decode_request(*stub, byte_order::little);
    REQUIRE(args);
    CHECK(std::get<0>(*args) == 41);
    CHECK(calculator::add_one::decode_response(test::hex("0000002a"), byte_order::big) == 42u);
}

TEST_CASE("operation: parameters stand one behind the other, each at its alignment") {
    CHECK(core::to_hex(*calculator::echo::encode_request(2, {7, 8})) == "02000000"
                                                                        "02000000"
                                                                        "0708");
    const auto args =
        calculator::echo::decode_request(test::hex("02000000 02000000 0708"), byte_order::little);
    REQUIRE(args);
    CHECK(std::get<1>(*args) == std::vector<std::uint8_t>{7, 8});
}

TEST_CASE("operation: a reference pointer is its pointee when it is a parameter, [C706] 14.3.11") {
    const auto stub = calculator::both::encode_request({1, 2}, {3});
    REQUIRE(stub);
    CHECK(core::to_hex(*stub) == "01000000000000000200000000000000"
                                 "0300");
    const auto args = calculator::both::decode_request(*stub, byte_order::little);
    REQUIRE(args);
    CHECK(std::get<0>(*args) == info{1, 2});
    CHECK(std::get<1>(*args).value == 3);
}

TEST_CASE("operation: several results are a tuple, no result is no octet") {
    const auto stub = calculator::both::encode_response({"a", 5});
    REQUIRE(stub);
    CHECK(core::to_hex(*stub) == "02000000"
                                 "00000000"
                                 "02000000"
                                 "6100"
                                 "0000"
                                 "05000000");
    const auto back = calculator::both::decode_response(*stub, byte_order::little);
    REQUIRE(back);
    CHECK(*back == std::tuple<std::string, std::uint32_t>{"a", 5});
    CHECK(calculator::sink::encode_response()->empty());
    CHECK(calculator::sink::decode_response({}, byte_order::little));
}

TEST_CASE("operation: the forms that append keep what the vector held") {
    auto stub = test::hex("ff");
    CHECK_FALSE(calculator::add_one::encode_request_to(stub, 1));
    CHECK_FALSE(calculator::add_one::encode_response_to(stub, 2));
    CHECK(core::to_hex(stub) == "ff"
                                "01000000"
                                "02000000");
}

TEST_CASE("operation: a stub may be padded to eight octets or end in a verification trailer") {
    const auto decode = [](std::string_view text) {
        const auto r = calculator::add_one::decode_request(test::hex(text), byte_order::little);
        return r ? std::error_code{} : r.error();
    };
    CHECK_FALSE(decode("29000000 00000000 000000"));
    CHECK(decode("29000000 00000000 00000000") == errc::trailing_bytes);
    CHECK_FALSE(decode("29000000 8ae3137102f43671 0200 1400"));
    CHECK(decode("29000000 8ae3137102f43672 0200 1400") == errc::trailing_bytes);
    CHECK(decode("290000") == errc::truncated);
    // The trailer starts at a multiple of 4, the octets before it are padding. [MS-RPCE] 2.2.2.13
    CHECK(calculator::sink::decode_request(
        test::hex("01000000 01000000 07 000000 8ae3137102f43671"), byte_order::little));
}
