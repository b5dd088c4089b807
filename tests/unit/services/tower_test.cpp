#include <rpch/services/tower.hpp>

#include <doctest/doctest.h>

#include "tests/support/bytes.hpp"

using namespace rpch;
using services::decode_tower;
using services::encode_tower;
using services::tower;
using services::tower_protocol;
using services::tower_rpc;

namespace {
// [C706] appendix L: number of floors; then for each the lengths and octets of both sides.
constexpr auto echo_over_http = "0500 "
                                "1300 0d c55ea160e84dd711a637005056a20182 0100 0200 0000 "
                                "1300 0d 045d888aeb1cc9119fe808002b104860 0200 0200 0000 "
                                "0100 0b 0200 0000 "
                                "0100 1f 0200 1771 "
                                "0100 09 0400 7f000001";

tower echo_tower() {
    return {.interface = {"60a15ec5-4de8-11d7-a637-005056a20182", 1, 0},
            .protocol = tower_protocol::http,
            .port = 6001,
            .address = {127, 0, 0, 1}};
}
std::error_code error_of(std::string_view text) {
    const auto t = decode_tower(test::hex(text));
    return t ? std::error_code{} : t.error();
}
} // namespace

TEST_CASE("tower: ncacn_http is protocol 1F with the port in network order") {
    const auto octets = test::hex(echo_over_http);
    CHECK(core::to_hex(encode_tower(echo_tower())) == core::to_hex(octets));
    const auto back = decode_tower(octets);
    REQUIRE(back);
    CHECK(*back == echo_tower());
}

TEST_CASE("tower: ncacn_ip_tcp is protocol 07") {
    auto t = echo_tower();
    t.protocol = tower_protocol::tcp;
    t.interface.minor = 7;
    const auto octets = encode_tower(t);
    CHECK(octets[61] == std::byte{0x07});
    CHECK(decode_tower(octets) == t);
}

TEST_CASE("tower: cut short anywhere is truncated, one octet more is too many") {
    auto octets = test::hex(echo_over_http);
    for (std::size_t n = 0; n < octets.size(); ++n) {
        CAPTURE(n);
        const auto t = decode_tower(byte_view(octets).first(n));
        REQUIRE_FALSE(t);
        CHECK(t.error() == errc::truncated);
    }
    octets.push_back(std::byte{0});
    CHECK(decode_tower(octets).error() == errc::trailing_bytes);
}

TEST_CASE("tower: protocols without a name here are read as far as they are alike") {
    // ncacn_np: floor 4 is a pipe, floor 5 a NetBIOS name.
    const auto t = decode_tower(test::hex("0500 "
                                          "1300 0d c55ea160e84dd711a637005056a20182 0100 0200 0000 "
                                          "1300 0d 045d888aeb1cc9119fe808002b104860 0200 0200 0000 "
                                          "0100 0b 0200 0000 "
                                          "0100 0f 0300 5c6100 "
                                          "0100 11 0200 6100"));
    REQUIRE(t);
    CHECK(t->protocol == static_cast<tower_protocol>(0x0F));
    CHECK(t->port == 0);
    const auto local =
        decode_tower(test::hex("0300 "
                               "1300 0d c55ea160e84dd711a637005056a20182 0100 0200 0000 "
                               "1300 0d 045d888aeb1cc9119fe808002b104860 0200 0200 0000 "
                               "0100 0a 0200 0000"));
    REQUIRE(local);
    CHECK(local->rpc == tower_rpc::connectionless);
}

TEST_CASE("tower: what is malformed is refused by name") {
    CHECK(error_of("0200") == errc::bad_value);
    CHECK(error_of("1100") == errc::too_many);
    CHECK(decode_tower(std::vector<std::byte>(services::tower_bytes_max + 1)).error() ==
          errc::too_large);
    const std::string whole = echo_over_http;
    const auto with = [&](std::size_t at, std::string_view text) {
        std::string changed = whole;
        changed.replace(at, text.size(), text);
        return error_of(changed);
    };
    CHECK(with(whole.find("0d"), "0e") == errc::bad_value); // floor 1 is no UUID
    const auto port = whole.find("0200 1771");
    CHECK(error_of(whole.substr(0, port) + "0300 177100" + whole.substr(port + 9)) ==
          errc::bad_value);
    const auto address = whole.find("0400 7f000001");
    CHECK(error_of(whole.substr(0, address) + "0200 7f00") == errc::bad_value);
    CHECK(error_of(whole.substr(0, whole.find("0100 1f")) + "0000 0000 0100 09 0400 7f000001") ==
          errc::bad_value); // floor 4 without an identifier
}
