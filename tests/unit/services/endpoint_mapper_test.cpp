#include <rpch/services/endpoint_mapper.hpp>

#include <set>

#include <doctest/doctest.h>

#include "tests/unit/services/services_support.hpp"

using namespace rpch;
using services::caller;
using services::endpoint;
using services::endpoint_map;
using services::endpoint_mapper;
using services::endpoint_mapper_service;
using services::if_registered;
using services::map_change;
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

std::shared_ptr<endpoint_map> known(const std::vector<endpoint>& what = four_endpoints()) {
    auto map = std::make_shared<endpoint_map>();
    REQUIRE_FALSE(map->insert(what, if_registered::add));
    return map;
}
endpoint_mapper_service service() { return endpoint_mapper_service(known()); }

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
    return *service().map({}, object, asking(id, protocol), handle, room);
}
/// The ports of a lookup's answer, and its status.
std::pair<std::vector<std::uint16_t>, std::uint32_t>
lookup(endpoint_mapper::inquiry inquiry, const ndr::unique<uuid>& object,
       const ndr::unique<interface_id>& interface,
       endpoint_mapper::version_match versions = endpoint_mapper::version_match::all) {
    const auto answer = service().lookup({}, inquiry, object, interface, versions, {}, 500);
    std::vector<std::uint16_t> out;
    for (const auto& each : std::get<2>(*answer).items)
        out.push_back(services::decode_tower(each.tower->tower_octet_string.items)->port);
    return {out, std::get<3>(*answer)};
}
using list = std::vector<std::uint16_t>;
} // namespace

TEST_CASE("endpoint mapper: ept_map, octet by octet") {
    const auto serve = [](auto&&... each) { return service().map({}, each...); };
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
    const auto serve = [](auto&&... each) { return service().lookup({}, each...); };
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
    CHECK(ports(map({}, {echo_id.id, 1, 0}, tower_protocol::tcp)) == list{6002});
    for (const auto& id : {interface_id{echo_id.id, 1, 3}, interface_id{echo_id.id, 2, 0}}) {
        const auto answer = map({}, id, tower_protocol::tcp);
        CHECK(ports(answer).empty());
        CHECK(std::get<3>(answer) == ept_status::not_registered);
    }
}

TEST_CASE("endpoint mapper: an object's own endpoints come first, then those for any object") {
    CHECK(ports(map(some_object, echo_id, tower_protocol::tcp)) == list{6003, 6002});
    CHECK(ports(map(some_object, echo_id, tower_protocol::http)) == list{6001});
    CHECK(ports(map(other_id.id, echo_id, tower_protocol::tcp)) == list{6002});
    CHECK(ports(map(uuid{}, echo_id, tower_protocol::tcp)) == list{6002});
    CHECK(ports(map({}, echo_id, tower_protocol::tcp)) == list{6002});
}

TEST_CASE("endpoint mapper: map goes on where the handle says, until the handle is null") {
    auto endpoints = four_endpoints();
    for (const std::size_t i : {0U, 2U}) { // two more for any object, two more for this one
        auto more = endpoints[i];
        for (const int step : {10, 20}) {
            more.where.port = static_cast<std::uint16_t>(endpoints[i].where.port + step);
            endpoints.push_back(more);
        }
    }
    const endpoint_mapper_service mapper(known(endpoints));
    const auto asked = asking(echo_id, tower_protocol::tcp);
    const list all{6003, 6013, 6023, 6002, 6012, 6022};
    for (std::uint32_t room = 1; room <= 7; ++room) {
        CAPTURE(room);
        list found;
        ndr::context_handle handle;
        std::size_t calls = 0;
        do {
            const auto answer = *mapper.map({}, some_object, asked, handle, room);
            CHECK(std::get<3>(answer) == ept_status::ok);
            CHECK(std::get<1>(answer) <= room);
            for (const auto port : ports(answer)) found.push_back(port);
            handle = std::get<0>(answer);
            REQUIRE(++calls <= all.size());
        } while (!handle.is_null());
        CHECK(found == all);
        CHECK(calls == (all.size() + room - 1) / room);
    }
}

TEST_CASE("endpoint mapper: a handle that nobody gave is an invalid context") {
    const auto mapper = service();
    const auto good = std::get<0>(*mapper.lookup({}, endpoint_mapper::inquiry::all, {}, {},
                                                 endpoint_mapper::version_match::all, {}, 3));
    REQUIRE_FALSE(good.is_null());
    const uuid never_given{"72706368-6570-7468-0000-000000000012"};
    for (const auto& handle : {ndr::context_handle{0, some_object}, ndr::context_handle{1, good.id},
                               ndr::context_handle{1, {}}, ndr::context_handle{0, never_given}}) {
        const auto answer = map({}, echo_id, tower_protocol::tcp, 1, handle);
        CHECK(std::get<3>(answer) == ept_status::invalid_context);
        CHECK(std::get<0>(answer).is_null());
        CHECK(std::get<1>(answer) == 0);
    }
    const auto freed = endpoint_mapper_service::lookup_handle_free(good);
    CHECK(std::get<0>(*freed).is_null());
    CHECK(std::get<1>(*freed) == ept_status::ok);
}

TEST_CASE("endpoint mapper: a tower that is none is an invalid entry") {
    const auto no_tower = service().map({}, {}, {}, {}, 1);
    CHECK(std::get<3>(*no_tower) == ept_status::invalid_entry);
    endpoint_mapper::twr bad;
    bad.tower_length = 1;
    bad.tower_octet_string.items = {std::byte{9}};
    const auto bad_tower = service().map({}, {}, bad, {}, 1);
    CHECK(std::get<3>(*bad_tower) == ept_status::invalid_entry);
    const auto no_room = map({}, echo_id, tower_protocol::tcp, 0);
    CHECK(std::get<3>(no_room) == ept_status::cannot_perform);
    const auto nothing = map({}, {echo_id.id, 9, 0}, tower_protocol::tcp, 0);
    CHECK(std::get<3>(nothing) == ept_status::not_registered);
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

TEST_CASE("endpoint mapper: every inquiry type with every version option") {
    using enum endpoint_mapper::inquiry;
    using match = endpoint_mapper::version_match;
    const std::vector<match> options{match::all, match::compatible, match::exact, match::major_only,
                                     match::up_to};
    // What is registered is 1.2 of echo, at 6002, 6001 and, for an object, 6003.
    struct row {
        std::uint16_t major, minor;
        std::set<match> found;
    };
    const row rows[]{
        {1, 2, {match::all, match::compatible, match::exact, match::major_only, match::up_to}},
        {1, 1, {match::all, match::compatible, match::major_only}},
        {1, 3, {match::all, match::major_only, match::up_to}},
        {2, 0, {match::all, match::up_to}},
        {0, 9, {match::all}}};
    for (const row& each : rows)
        for (const match option : options) {
            CAPTURE(each.major);
            CAPTURE(each.minor);
            CAPTURE(static_cast<int>(option));
            const interface_id asked{echo_id.id, each.major, each.minor};
            const bool there = each.found.count(option) != 0;
            const auto status = there ? ept_status::ok : ept_status::not_registered;
            const auto by_id = lookup(by_interface, {}, asked, option);
            CHECK(by_id.first == (there ? list{6002, 6001, 6003} : list{}));
            CHECK(by_id.second == status);
            const auto both = lookup(by_both, some_object, asked, option);
            CHECK(both.first == (there ? list{6003} : list{}));
            CHECK(both.second == status);
            // These two do not look at an interface.
            CHECK(lookup(all, {}, asked, option).first == list{6002, 6001, 6003, 6004});
            CHECK(lookup(by_object, some_object, asked, option).first == list{6003});
        }
}

TEST_CASE("endpoint mapper: a caller walks through all entries, three at a time") {
    const auto mapper = service();
    ndr::context_handle handle;
    std::size_t seen = 0;
    std::size_t calls = 0;
    do {
        const auto answer = mapper.lookup({}, endpoint_mapper::inquiry::all, {}, {},
                                          endpoint_mapper::version_match::all, handle, 3);
        const auto stub = endpoint_mapper::lookup::encode_response(*answer);
        REQUIRE(stub);
        const auto back = endpoint_mapper::lookup::decode_response(*stub, core::byte_order::little);
        REQUIRE(back);
        handle = std::get<0>(*back);
        seen += std::get<1>(*back);
        REQUIRE(++calls < 5);
    } while (!handle.is_null());
    CHECK(seen == 4);
    CHECK(calls == 2);
}

TEST_CASE("endpoint mapper: a walk goes on although the map has changed") {
    const auto endpoints = known();
    const endpoint_mapper_service mapper(endpoints);
    const auto next = [&](const ndr::context_handle& handle) {
        return *mapper.lookup({}, endpoint_mapper::inquiry::all, {}, {},
                              endpoint_mapper::version_match::all, handle, 2);
    };
    const auto first = next({});
    CHECK(std::get<1>(first) == 2);
    for (const endpoint& each : four_endpoints()) CHECK(endpoints->erase(each));
    const auto nothing = next(std::get<0>(first)); // there was more when the handle was given
    CHECK(std::get<0>(nothing).is_null());
    CHECK(std::get<1>(nothing) == 0);
    CHECK(std::get<3>(nothing) == ept_status::not_registered);
    CHECK_FALSE(endpoints->insert(four_endpoints(), if_registered::add));
    CHECK(std::get<1>(next(std::get<0>(first))) == 2);
}

TEST_CASE("endpoint mapper: an address that is not known is the one the caller reached") {
    auto endpoints = four_endpoints();
    endpoints[1].where.address = {10, 0, 0, 1};
    const endpoint_mapper_service mapper(known(endpoints));
    const caller who{.reached = {192, 0, 2, 7}};
    const auto address = [&](tower_protocol protocol) {
        const auto answer = mapper.map(who, {}, asking(echo_id, protocol), {}, 1);
        REQUIRE(std::get<1>(*answer) == 1);
        const auto& tower = std::get<2>(*answer).items[0];
        return services::decode_tower(tower->tower_octet_string.items)->address;
    };
    CHECK(address(tower_protocol::tcp) == std::array<std::uint8_t, 4>{192, 0, 2, 7});
    CHECK(address(tower_protocol::http) == std::array<std::uint8_t, 4>{10, 0, 0, 1});
}

namespace {
endpoint_mapper::given_entries entries(const std::vector<endpoint>& what) {
    endpoint_mapper::given_entries out;
    for (const endpoint& each : what) {
        endpoint_mapper::twr tower;
        tower.tower_octet_string.items = services::encode_tower(each.where);
        tower.tower_length = static_cast<std::uint32_t>(tower.tower_octet_string.items.size());
        out.items.push_back({each.object, std::move(tower), {each.annotation}});
    }
    return out;
}
const caller local{.local = true};
} // namespace

TEST_CASE("endpoint mapper: nobody changes the map from afar, unless a rule says so") {
    auto mapper = service();
    const auto insert = [&](auto&&... each) { return mapper.insert(local, each...); };
    const auto remove = [&](auto&&... each) { return mapper.remove(local, each...); };
    const auto mgmt_delete = [&](auto&&... each) { return mapper.mgmt_delete(local, each...); };
    CHECK(fault_of<endpoint_mapper::insert>(insert, "00000000 00000000 00000000") ==
          rpc_status::access_denied);
    CHECK(fault_of<endpoint_mapper::remove>(remove, "00000000 00000000") ==
          rpc_status::access_denied);
    CHECK(fault_of<endpoint_mapper::mgmt_delete>(mgmt_delete, "00000000 00000000 00000000") ==
          rpc_status::access_denied);
}

TEST_CASE("endpoint mapper: a rule decides by caller and operation") {
    std::vector<map_change> asked;
    endpoint_mapper_service mapper(known(), [&](const caller& who, map_change what) {
        asked.push_back(what);
        return services::allow_local_changes(who, what);
    });
    CHECK(mapper.insert({}, 0, {}, 0).error() == rpc_status::access_denied);
    CHECK(mapper.remove({}, 0, {}).error() == rpc_status::access_denied);
    CHECK(mapper.mgmt_delete({}, 0, {}, {}).error() == rpc_status::access_denied);
    CHECK(asked == std::vector{map_change::insert, map_change::remove, map_change::mgmt_delete});
    CHECK(mapper.insert(local, 0, {}, 0) == ept_status::ok);
}

TEST_CASE("endpoint mapper: entries are inserted, replaced and deleted as they are asked to be") {
    const auto map = std::make_shared<endpoint_map>(3);
    endpoint_mapper_service mapper(map, services::allow_local_changes);
    const endpoint tcp{{.interface = echo_id, .port = 1}, {}, "echo"};
    endpoint moved = tcp;
    moved.where.port = 2;
    const auto insert = [&](const std::vector<endpoint>& what, std::uint32_t replace) {
        return *mapper.insert(local, static_cast<std::uint32_t>(what.size()), entries(what),
                              replace);
    };
    CHECK(insert({tcp}, 0) == ept_status::ok);
    CHECK(insert({moved}, 0) == ept_status::ok);
    CHECK(map->size() == 2);
    CHECK(insert({tcp}, 1) == ept_status::ok);
    CHECK(map->size() == 1);
    CHECK(*mapper.remove(local, 2, entries({moved, tcp})) == ept_status::not_registered);
    CHECK(map->size() == 0);
    CHECK(insert(four_endpoints(), 0) == ept_status::no_memory);
    CHECK(map->size() == 0);
    CHECK(insert({tcp, moved}, 0) == ept_status::ok);
    const auto like = asking(echo_id, tower_protocol::http);
    CHECK(*mapper.mgmt_delete(local, 1, some_object, like) == ept_status::not_registered);
    CHECK(*mapper.mgmt_delete(local, 1, {}, like) == ept_status::invalid_entry);
    CHECK(*mapper.mgmt_delete(local, 0, some_object, {}) == ept_status::invalid_entry);
    CHECK(*mapper.mgmt_delete(local, 0, some_object, like) == ept_status::ok);
    CHECK(map->size() == 0);
}

TEST_CASE("endpoint mapper: entries that are none are refused") {
    endpoint_mapper_service mapper(known(), services::allow_local_changes);
    const auto four = entries(four_endpoints());
    CHECK(mapper.insert(local, 5, four, 0).error() == rpc_status::nca_fault_invalid_bound);
    CHECK(mapper.remove(local, 3, four).error() == rpc_status::nca_fault_invalid_bound);
    auto no_tower = four;
    no_tower.items[3].tower = {};
    CHECK(*mapper.insert(local, 4, no_tower, 0) == ept_status::invalid_entry);
    CHECK(*mapper.remove(local, 4, no_tower) == ept_status::invalid_entry);
    CHECK(*mapper.insert(local, 1, entries({{{.interface = echo_id}, {}, {}}}), 0) ==
          ept_status::cannot_perform);
    std::vector<endpoint> many(limits::endpoint_entries_max + 1, four_endpoints()[0]);
    const auto stub = endpoint_mapper::insert::encode_request(257, entries(many), 0);
    if (stub) CHECK_FALSE(endpoint_mapper::insert::decode_request(*stub, core::byte_order::little));
}

TEST_CASE("endpoint mapper: the map tells its object") {
    const auto map = std::make_shared<endpoint_map>(1, some_object);
    const endpoint_mapper_service mapper(map);
    const auto serve = [&] { return mapper.inq_object(); };
    CHECK(call<endpoint_mapper::inq_object>(serve, "") ==
          tight("04030201 0605 0807 090a0b0c0d0e0f10 00000000"));
}
