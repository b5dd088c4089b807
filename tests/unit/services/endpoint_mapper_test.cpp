#include <rpch/services/endpoint_mapper.hpp>

#include <doctest/doctest.h>

#include "tests/unit/services/services_support.hpp"

using namespace rpch;
using services::endpoint;
using services::endpoint_mapper;
using services::endpoint_mapper_service;
using services::tower_protocol;
using test::call;
using test::fault_of;
using test::tight;
namespace ept_status = services::ept_status;

namespace {
constexpr interface_id echo_id{"60a15ec5-4de8-11d7-a637-005056a20182", 1, 2};
constexpr interface_id other_id{"12345678-1234-abcd-ef00-0123456789ab", 2, 0};
constexpr uuid some_object{"01020304-0506-0708-090a-0b0c0d0e0f10"};

std::vector<endpoint> four_endpoints() {
    return {
        {{.interface = echo_id, .protocol = tower_protocol::tcp, .port = 6002}, {}, "rpcecho"},
        {{.interface = echo_id, .protocol = tower_protocol::http, .port = 6001}, {}, "rpcecho"},
        {{.interface = echo_id, .protocol = tower_protocol::tcp, .port = 6003}, some_object, ""},
        {{.interface = other_id, .protocol = tower_protocol::tcp, .port = 6004}, {}, "other"}};
}

/// The ports of a map's answer.
std::vector<std::uint16_t> ports(const endpoint_mapper_service::map_answer& answer) {
    std::vector<std::uint16_t> out;
    for (const auto& each : std::get<2>(answer).items)
        out.push_back(services::decode_tower(each->tower_octet_string.items)->port);
    return out;
}
endpoint_mapper::twr_pointer asking(interface_id id, tower_protocol protocol) {
    endpoint_mapper::twr out;
    out.tower_octet_string.items = services::encode_tower({.interface = id, .protocol = protocol});
    out.tower_length = static_cast<std::uint32_t>(out.tower_octet_string.items.size());
    return out;
}
endpoint_mapper_service::map_answer map(const ndr::unique<uuid>& object, interface_id id,
                                        tower_protocol protocol, std::uint32_t room = 10,
                                        ndr::context_handle handle = {}) {
    return *endpoint_mapper_service::map(four_endpoints(), object, asking(id, protocol), handle,
                                         room);
}
/// The ports of a lookup's answer, and its status.
std::pair<std::vector<std::uint16_t>, std::uint32_t>
lookup(endpoint_mapper::inquiry inquiry, const ndr::unique<uuid>& object,
       const ndr::unique<interface_id>& interface,
       endpoint_mapper::version_match versions = endpoint_mapper::version_match::all) {
    const auto answer = endpoint_mapper_service::lookup(four_endpoints(), inquiry, object,
                                                        interface, versions, {}, 500);
    std::vector<std::uint16_t> out;
    for (const auto& each : std::get<2>(*answer).items)
        out.push_back(services::decode_tower(each.tower->tower_octet_string.items)->port);
    return {out, std::get<3>(*answer)};
}
using list = std::vector<std::uint16_t>;
} // namespace

TEST_CASE("endpoint mapper: ept_map, octet by octet") {
    const auto serve = [](auto&&... each) {
        return endpoint_mapper_service::map(four_endpoints(), each...);
    };
    const std::string floors = "1300 0d c55ea160e84dd711a637005056a20182 0100 0200 0200 "
                               "1300 0d 045d888aeb1cc9119fe808002b104860 0200 0200 0000 "
                               "0100 0b 0200 0000 ";
    const std::string request = "01000000 00000000000000000000000000000000 " // object
                                "02000000 4b000000 4b000000 0500 " +
                                floors +
                                "0100 1f 0200 0000 0100 09 0400 00000000 00 " // tower, gap
                                "00000000 00000000000000000000000000000000 "  // handle
                                "04000000";
    CHECK(call<endpoint_mapper::map>(serve, request) ==
          tight("00000000 00000000000000000000000000000000 "
                "01000000 04000000 00000000 01000000 00000200 "
                "4b000000 4b000000 0500 " +
                floors + "0100 1f 0200 1771 0100 09 0400 00000000 00 00000000"));
    CHECK(fault_of<endpoint_mapper::map>(serve, request.substr(0, request.size() - 8) +
                                                    "f5010000") == errc::ndr_range);
}

TEST_CASE("endpoint mapper: ept_lookup, octet by octet") {
    const auto serve = [](auto&&... each) {
        return endpoint_mapper_service::lookup(four_endpoints(), each...);
    };
    CHECK(call<endpoint_mapper::lookup>(
              serve, "01000000 00000000 01000000 78563412 3412 cdab ef000123456789ab 0200 0000 "
                     "01000000 00000000 00000000000000000000000000000000 f4010000") ==
          tight("00000000 00000000000000000000000000000000 01000000 "
                "f4010000 00000000 01000000 "
                "00000000000000000000000000000000 00000200 00000000 06000000 6f7468657200 0000 "
                "4b000000 4b000000 0500 "
                "1300 0d 785634123412cdabef000123456789ab 0200 0200 0000 "
                "1300 0d 045d888aeb1cc9119fe808002b104860 0200 0200 0000 "
                "0100 0b 0200 0000 0100 07 0200 1774 0100 09 0400 00000000 00 00000000"));
}

TEST_CASE("endpoint mapper: map tells protocols, interfaces, versions and objects apart") {
    CHECK(ports(map({}, echo_id, tower_protocol::tcp)) == list{6002});
    CHECK(ports(map({}, echo_id, tower_protocol::http)) == list{6001});
    CHECK(ports(map(some_object, echo_id, tower_protocol::tcp)) == list{6002, 6003});
    CHECK(ports(map({}, {echo_id.id, 1, 0}, tower_protocol::tcp)) == list{6002});
    for (const auto& id : {interface_id{echo_id.id, 1, 3}, interface_id{echo_id.id, 2, 0}}) {
        const auto answer = map({}, id, tower_protocol::tcp);
        CHECK(ports(answer).empty());
        CHECK(std::get<3>(answer) == ept_status::not_registered);
    }
}

TEST_CASE("endpoint mapper: map goes on where the handle says, until the handle is null") {
    const auto first = map(some_object, echo_id, tower_protocol::tcp, 1);
    CHECK(ports(first) == list{6002});
    CHECK(std::get<3>(first) == ept_status::ok);
    CHECK_FALSE(std::get<0>(first).is_null());
    const auto second = map(some_object, echo_id, tower_protocol::tcp, 1, std::get<0>(first));
    CHECK(ports(second) == list{6003});
    CHECK(std::get<0>(second).is_null());
}

TEST_CASE("endpoint mapper: a handle that nobody gave is an invalid context") {
    const auto good = std::get<0>(map(some_object, echo_id, tower_protocol::tcp, 1));
    for (const auto& handle : {ndr::context_handle{0, some_object}, ndr::context_handle{1, good.id},
                               ndr::context_handle{1, {}}}) {
        const auto answer = map({}, echo_id, tower_protocol::tcp, 1, handle);
        CHECK(std::get<3>(answer) == ept_status::invalid_context);
        CHECK(std::get<0>(answer).is_null());
        CHECK(std::get<1>(answer) == 0);
    }
    const auto freed = endpoint_mapper_service::lookup_handle_free(good);
    CHECK(std::get<0>(*freed).is_null());
}

TEST_CASE("endpoint mapper: a tower that is none is an invalid entry") {
    const auto no_tower = endpoint_mapper_service::map(four_endpoints(), {}, {}, {}, 1);
    CHECK(std::get<3>(*no_tower) == ept_status::invalid_entry);
    endpoint_mapper::twr bad;
    bad.tower_length = 1;
    bad.tower_octet_string.items = {std::byte{9}};
    const auto bad_tower = endpoint_mapper_service::map(four_endpoints(), {}, bad, {}, 1);
    CHECK(std::get<3>(*bad_tower) == ept_status::invalid_entry);
    const auto no_room = map({}, echo_id, tower_protocol::tcp, 0);
    CHECK(std::get<3>(no_room) == ept_status::cannot_perform);
}

TEST_CASE("endpoint mapper: lookup selects by interface, object and version") {
    using enum endpoint_mapper::inquiry;
    using match = endpoint_mapper::version_match;
    CHECK(lookup(all, {}, {}).first == list{6002, 6001, 6003, 6004});
    CHECK(lookup(by_object, some_object, {}).first == list{6003});
    CHECK(lookup(by_interface, {}, other_id).first == list{6004});
    CHECK(lookup(by_both, some_object, echo_id).first == list{6003});
    CHECK(lookup(by_both, some_object, other_id).second == ept_status::not_registered);
    CHECK(lookup(by_interface, {}, {}).second == ept_status::invalid_entry);
    CHECK(lookup(by_object, {}, {}).second == ept_status::invalid_entry);
    CHECK(lookup(static_cast<endpoint_mapper::inquiry>(4), {}, {}).second ==
          ept_status::invalid_entry);
    const auto found = [](std::uint16_t major, std::uint16_t minor, match versions) {
        return !lookup(by_interface, {}, interface_id{echo_id.id, major, minor}, versions)
                    .first.empty();
    };
    CHECK(found(9, 9, match::all));
    CHECK(found(1, 1, match::compatible));
    CHECK_FALSE(found(1, 3, match::compatible));
    CHECK_FALSE(found(1, 1, match::exact));
    CHECK(found(1, 2, match::exact));
    CHECK(found(1, 9, match::major_only));
    CHECK_FALSE(found(2, 2, match::major_only));
    CHECK(found(2, 0, match::up_to));
    CHECK_FALSE(found(1, 1, match::up_to));
    CHECK_FALSE(found(1, 2, static_cast<match>(6)));
}

TEST_CASE("endpoint mapper: a caller walks through all entries, three at a time") {
    const auto all = four_endpoints();
    ndr::context_handle handle;
    std::size_t seen = 0;
    std::size_t calls = 0;
    do {
        const auto answer =
            endpoint_mapper_service::lookup(all, endpoint_mapper::inquiry::all, {}, {},
                                            endpoint_mapper::version_match::all, handle, 3);
        const auto stub = endpoint_mapper::lookup::encode_response(*answer);
        REQUIRE(stub);
        const auto back = endpoint_mapper::lookup::decode_response(*stub, core::byte_order::little);
        REQUIRE(back);
        handle = std::get<0>(*back);
        seen += std::get<1>(*back);
        REQUIRE(++calls < 5);
    } while (!handle.is_null());
    CHECK(seen == all.size());
    CHECK(calls == 2);
}

TEST_CASE("endpoint mapper: nobody registers endpoints from afar") {
    CHECK(fault_of<endpoint_mapper::insert>(endpoint_mapper_service::insert,
                                            "00000000 00000000 00000000") ==
          rpc_status::access_denied);
    CHECK(fault_of<endpoint_mapper::remove>(endpoint_mapper_service::remove, "00000000 00000000") ==
          rpc_status::access_denied);
}
