#include <rpch/rts/client_address.hpp>

#include <algorithm>

#include <doctest/doctest.h>

#include <rpch/core/uuid.hpp>

#include "tests/support/bytes.hpp"

using namespace rpch;
using namespace rpch::rts;

namespace {

client_address address_from(address_family family, std::string_view octets) {
    client_address out{.family = family};
    std::ranges::copy(test::hex(octets), out.octets.begin());
    return out;
}

std::string written(const client_address& from, address_layout layout) {
    test::bytes out(client_address_bytes(from.family), std::byte{0xEE});
    write_client_address(from, layout, out);
    return core::to_hex(out);
}

const auto v4 = address_from(address_family::ipv4, "c000020a");
const auto v6 = address_from(address_family::ipv6, "20010db8000000000000000000000010");

} // namespace

TEST_CASE("client address: the text's layout is reversed and padded with zeros") {
    CHECK(written(v4, address_layout::text) == "0a0200c0000000000000000000000000");
    CHECK(written(v6, address_layout::text) ==
          "100000000000000000000000b80d0120000000000000000000000000");
}

TEST_CASE("client address: Windows' layout is a socket address without family and port") {
    CHECK(written(v4, address_layout::windows) == "00000000c000020a0000000000000000");
    CHECK(written(v6, address_layout::windows) ==
          "000000000000000020010db800000000000000000000001000000000");
}

TEST_CASE("client address: both layouts read back") {
    const auto loopback = address_from(address_family::ipv6, "00000000000000000000000000000001");
    const auto mapped = address_from(address_family::ipv6, "00000000000000000000ffffc000020a");
    for (const auto& address : {v4, v6, loopback, mapped, client_address{}}) {
        for (const auto layout : {address_layout::text, address_layout::windows}) {
            CAPTURE(core::to_hex(address.octets));
            CHECK(read_client_address(address.family, test::hex(written(address, layout))) ==
                  address);
        }
    }
}

TEST_CASE("client address: padding that is not zero does not hide the text's layout") {
    CHECK(read_client_address(address_family::ipv4,
                              test::hex("0a0200c0ffffffffffffffffffffffff")) == v4);
}

TEST_CASE("client address: an IPv6 network without host part is read as Windows writes it") {
    const auto network = address_from(address_family::ipv6, "20010db8000000010000000000000000");
    CHECK(read_client_address(address_family::ipv6,
                              test::hex(written(network, address_layout::windows))) == network);
    CHECK(read_client_address(address_family::ipv6,
                              test::hex(written(network, address_layout::text))) != network);
}
