#include <rpch/services/endpoint_map.hpp>

#include <set>

#include <doctest/doctest.h>

using namespace rpch;
using services::endpoint;
using services::endpoint_map;
using services::if_registered;
using services::tower_protocol;

namespace {
constexpr interface_id echo_id{"60a15ec5-4de8-11d7-a637-005056a20182", 1, 2};
constexpr uuid some_object{"01020304-0506-0708-090a-0b0c0d0e0f10"};

endpoint echo_at(std::uint16_t port, std::string annotation = {}) {
    return {{.interface = echo_id, .port = port}, {}, std::move(annotation)};
}
bool any(const endpoint&) { return true; }
std::vector<std::uint16_t> ports_from(const endpoint_map& map, std::uint64_t& place,
                                      std::size_t room) {
    const auto page = map.find(any, place, room);
    REQUIRE(page);
    std::vector<std::uint16_t> out;
    for (const auto& each : page->endpoints) out.push_back(each.where.port);
    place = page->next;
    return out;
}
std::vector<std::uint16_t> ports(const endpoint_map& map) {
    std::uint64_t place = 0;
    return ports_from(map, place, 1000);
}
using list = std::vector<std::uint16_t>;
} // namespace

TEST_CASE("endpoint map: a new endpoint takes the place of those it matches, if it says so") {
    endpoint_map map;
    CHECK_FALSE(map.insert(echo_at(1), if_registered::add));
    CHECK_FALSE(map.insert(echo_at(2), if_registered::add));
    CHECK(ports(map) == list{1, 2});
    CHECK_FALSE(map.insert(echo_at(3), if_registered::replace));
    CHECK(ports(map) == list{3});
}

TEST_CASE("endpoint map: interface, version, object, protocol and address tell endpoints apart") {
    endpoint_map map;
    auto other_interface = echo_at(2);
    other_interface.where.interface.id = some_object;
    auto other_version = echo_at(3);
    other_version.where.interface.minor = 3;
    auto other_object = echo_at(4);
    other_object.object = some_object;
    auto other_protocol = echo_at(5);
    other_protocol.where.protocol = tower_protocol::http;
    auto other_address = echo_at(6);
    other_address.where.address = {127, 0, 0, 1};
    auto other_syntax = echo_at(7);
    other_syntax.where.transfer_syntax.major = 3;
    for (const auto& each : {echo_at(1), other_interface, other_version, other_object,
                             other_protocol, other_address, other_syntax})
        CHECK_FALSE(map.insert(each, if_registered::replace));
    CHECK(ports(map) == list{1, 2, 3, 4, 5, 6, 7});
    CHECK_FALSE(map.insert(echo_at(8, "its annotation does not"), if_registered::replace));
    CHECK(ports(map) == list{8, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("endpoint map: one endpoint is never there twice; its annotation is the latest") {
    endpoint_map map;
    for (const auto how : {if_registered::add, if_registered::replace}) {
        CHECK_FALSE(map.insert(echo_at(1, "old"), how));
        CHECK_FALSE(map.insert(echo_at(1, "new"), how));
        REQUIRE(map.size() == 1);
        CHECK(map.find(any, 0, 10)->endpoints[0].annotation == "new");
    }
}

TEST_CASE("endpoint map: annotations end at a zero or after 63 characters") {
    endpoint_map map;
    using namespace std::string_literals;
    CHECK_FALSE(map.insert(echo_at(1, "a\0b"s), if_registered::add));
    CHECK_FALSE(map.insert(echo_at(2, std::string(80, 'x')), if_registered::add));
    const auto page = map.find(any, 0, 10);
    CHECK(page->endpoints[0].annotation == "a");
    CHECK(page->endpoints[1].annotation == std::string(63, 'x'));
}

TEST_CASE("endpoint map: its maximum holds, and what does not fit as a whole is not taken") {
    endpoint_map map(3);
    CHECK_FALSE(map.insert(std::vector{echo_at(1), echo_at(2)}, if_registered::add));
    CHECK(map.insert(std::vector{echo_at(3), echo_at(4)}, if_registered::add) == errc::too_many);
    CHECK(ports(map) == list{1, 2});
    CHECK_FALSE(map.insert(echo_at(3), if_registered::add));
    CHECK(map.insert(echo_at(4), if_registered::add) == errc::too_many);
    CHECK_FALSE(map.insert(echo_at(4), if_registered::replace)); // makes room itself
    CHECK(ports(map) == list{4});
}

TEST_CASE("endpoint map: an endpoint needs a port, and a protocol that has ports") {
    endpoint_map map;
    CHECK(map.insert(echo_at(0)) == errc::bad_value);
    auto pipe = echo_at(1);
    pipe.where.protocol = static_cast<tower_protocol>(0x0F);
    CHECK(map.insert(pipe) == errc::bad_value);
    CHECK(map.insert(std::vector{echo_at(1), pipe}, if_registered::add) == errc::bad_value);
    CHECK(map.size() == 0);
}

TEST_CASE("endpoint map: erasing asks for all but the annotation") {
    endpoint_map map;
    CHECK_FALSE(map.insert(echo_at(1, "text"), if_registered::add));
    auto other = echo_at(1);
    other.object = some_object;
    CHECK_FALSE(map.erase(other));
    CHECK_FALSE(map.erase(echo_at(2)));
    CHECK(map.erase(echo_at(1)));
    CHECK_FALSE(map.erase(echo_at(1)));
    CHECK(map.size() == 0);
}

TEST_CASE("endpoint map: erasing all asks for interface, version and address, or an object, too") {
    endpoint_map map;
    auto with_object = echo_at(2);
    with_object.object = some_object;
    auto elsewhere = echo_at(3);
    elsewhere.where.address = {10, 0, 0, 1};
    auto over_http = echo_at(4);
    over_http.where.protocol = tower_protocol::http;
    const std::vector all{echo_at(1), with_object, elsewhere, over_http};
    CHECK_FALSE(map.insert(all, if_registered::add));
    CHECK(map.erase_all(echo_at(9).where, some_object) == 1);
    CHECK(ports(map) == list{1, 3, 4});
    CHECK(map.erase_all(echo_at(9).where, {}) == 2);
    CHECK(ports(map) == list{3});
    auto newer = echo_at(9).where;
    newer.interface.minor = 9;
    newer.address = {10, 0, 0, 1};
    CHECK(map.erase_all(newer, {}) == 0);
}

TEST_CASE("endpoint map: a walk sees what stays once, whatever changes in between") {
    endpoint_map map;
    for (std::uint16_t port = 1; port <= 6; ++port)
        CHECK_FALSE(map.insert(echo_at(port), if_registered::add));
    std::uint64_t place = 0;
    CHECK(ports_from(map, place, 2) == list{1, 2});
    SUBCASE("the last one seen and the next one go") {
        CHECK(map.erase(echo_at(2)));
        CHECK(map.erase(echo_at(3)));
        CHECK(ports_from(map, place, 10) == list{4, 5, 6});
        CHECK(place == 0);
    }
    SUBCASE("new ones come behind") {
        CHECK(map.erase(echo_at(1)));
        CHECK_FALSE(map.insert(echo_at(1), if_registered::add));
        CHECK_FALSE(map.insert(echo_at(2), if_registered::add)); // again, at its old place
        CHECK(ports_from(map, place, 10) == list{3, 4, 5, 6, 1});
    }
    SUBCASE("all are replaced by the one seen last") {
        CHECK_FALSE(map.insert(echo_at(2), if_registered::replace));
        CHECK(ports_from(map, place, 10).empty());
    }
    SUBCASE("all are replaced by one that was not seen yet") {
        CHECK_FALSE(map.insert(echo_at(5), if_registered::replace));
        CHECK(ports_from(map, place, 10) == list{5});
    }
    SUBCASE("all go") {
        for (std::uint16_t port = 1; port <= 6; ++port) CHECK(map.erase(echo_at(port)));
        CHECK(ports_from(map, place, 10).empty());
        CHECK(place == 0);
    }
}

TEST_CASE("endpoint map: a page that ends with the last endpoint says so") {
    endpoint_map map;
    for (std::uint16_t port = 1; port <= 4; ++port)
        CHECK_FALSE(map.insert(echo_at(port), if_registered::add));
    std::uint64_t place = 0;
    CHECK(ports_from(map, place, 2) == list{1, 2});
    CHECK(place != 0);
    CHECK(ports_from(map, place, 2) == list{3, 4});
    CHECK(place == 0);
}

TEST_CASE("endpoint map: a place that was never given is refused") {
    endpoint_map map;
    CHECK_FALSE(map.find(any, 1, 10));
    CHECK_FALSE(map.insert(echo_at(1)));
    CHECK(map.find(any, 1, 10));
    CHECK(map.find(any, 2, 10).error() == errc::bad_value);
    CHECK(map.find(any, UINT64_MAX, 10).error() == errc::bad_value);
}
