#include <rpch/services/mgmt.hpp>

#include <doctest/doctest.h>

#include "tests/unit/services/services_support.hpp"

using namespace rpch;
using services::mgmt;
using services::mgmt_operation;
using services::mgmt_refusal;
using services::mgmt_service;
using services::server_facts;
using test::call;
using test::fault_of;
using test::tight;
namespace mgmt_status = services::mgmt_status;

namespace {
server_facts two_interfaces() {
    server_facts facts;
    facts.interfaces = {{"60a15ec5-4de8-11d7-a637-005056a20182", 1, 0}, mgmt::id};
    facts.calls_in = 1;
    facts.calls_out = 2;
    facts.packets_in = 3;
    facts.packets_out = 4;
    return facts;
}
} // namespace

TEST_CASE("mgmt: the interfaces of a server, each behind a pointer of the array") {
    const auto serve = [] { return mgmt_service::inq_if_ids(two_interfaces()); };
    CHECK(call<mgmt::inq_if_ids>(serve, "") ==
          tight("00000200 02000000 02000000 04000200 08000200 "
                "c55ea160 e84d d711 a637005056a20182 0100 0000 "
                "80bda8af 8a7d c911 bef408002b102989 0100 0000 "
                "00000000"));
    const auto none = [] { return mgmt_service::inq_if_ids({}); };
    CHECK(call<mgmt::inq_if_ids>(none, "") == tight("00000200 00000000 00000000 00000000"));
}

TEST_CASE("mgmt: as many statistics as the caller has room for") {
    const auto serve = [](std::uint32_t room) {
        return mgmt_service::inq_stats(two_interfaces(), room);
    };
    CHECK(call<mgmt::inq_stats>(serve, "04000000") ==
          tight("04000000 04000000 01000000 02000000 03000000 04000000 00000000"));
    CHECK(call<mgmt::inq_stats>(serve, "02000000") ==
          tight("02000000 02000000 01000000 02000000 00000000"));
    CHECK(call<mgmt::inq_stats>(serve, "ffffffff").substr(0, 8) == "04000000");
    CHECK(call<mgmt::inq_stats>(serve, "00000000") == tight("00000000 00000000 00000000"));
    // Samba's client sends a second number, which [C706] does not know.
    CHECK(call<mgmt::inq_stats>(serve, "02000000 00000000").substr(0, 8) == "02000000");
}

TEST_CASE("mgmt: a server tells whether it listens") {
    server_facts facts;
    const auto serve = [&] { return mgmt_service::is_server_listening(facts); };
    CHECK(call<mgmt::is_server_listening>(serve, "") == tight("00000000 01000000"));
    facts.listening = false;
    CHECK(call<mgmt::is_server_listening>(serve, "") == tight("00000000 00000000"));
}

TEST_CASE("mgmt: the principal name stands in an array of the size asked for") {
    server_facts facts;
    const auto serve = [&](std::uint32_t service, std::uint32_t size) {
        return mgmt_service::inq_princ_name(facts, service, size);
    };
    CHECK(call<mgmt::inq_princ_name>(serve, "0a000000 00010000") ==
          tight("00010000 00000000 01000000 00 000000 d3060000"));
    facts.principals = {{16, "host/server"}, {10, "host"}};
    CHECK(call<mgmt::inq_princ_name>(serve, "0a000000 05000000") ==
          tight("05000000 00000000 05000000 686f737400 000000 00000000"));
    CHECK(fault_of<mgmt::inq_princ_name>(serve, "0a000000 04000000") ==
          rpc_status::nca_fault_invalid_bound);
    CHECK(fault_of<mgmt::inq_princ_name>(serve, "0a000000 ffffffff") ==
          rpc_status::nca_fault_invalid_bound);
    CHECK(fault_of<mgmt::inq_princ_name>(serve, "0a000000 00000000") ==
          rpc_status::nca_fault_invalid_bound);
}

TEST_CASE("mgmt: each authentication service has its own name, or none") {
    server_facts facts;
    facts.principals = {{16, "host/server"}, {10, "host"}};
    const auto name = [&](std::uint32_t service) {
        const auto answer = mgmt_service::inq_princ_name(facts, service, 64);
        const auto& items = std::get<0>(*answer).items;
        return std::pair(std::string(items.begin(), items.end() - 1), std::get<1>(*answer));
    };
    CHECK(name(16) == std::pair(std::string("host/server"), mgmt_status::ok));
    CHECK(name(10) == std::pair(std::string("host"), mgmt_status::ok));
    CHECK(name(9) == std::pair(std::string(), mgmt_status::unknown_authn_service));
}

TEST_CASE("mgmt: without a rule, all but stopping the server is allowed") {
    using enum mgmt_operation;
    for (const auto each : {inq_if_ids, inq_princ_name, inq_stats, is_server_listening})
        CHECK(mgmt_refusal({}, {}, each) == 0);
    CHECK(mgmt_refusal({}, {.local = true}, stop_server_listening) == mgmt_status::access_denied);
}

TEST_CASE("mgmt: a rule sees the caller and the operation, and chooses the status") {
    const services::mgmt_rule rule = [](const services::caller& who, mgmt_operation what,
                                        std::uint32_t& status) {
        if (what == mgmt_operation::inq_stats) status = 1234;
        return who.local && what == mgmt_operation::stop_server_listening;
    };
    CHECK(mgmt_refusal(rule, {.local = true}, mgmt_operation::stop_server_listening) == 0);
    CHECK(mgmt_refusal(rule, {}, mgmt_operation::stop_server_listening) ==
          mgmt_status::access_denied);
    CHECK(mgmt_refusal(rule, {.local = true}, mgmt_operation::inq_stats) == 1234);
}

TEST_CASE("mgmt: who is refused learns the status and nothing else") {
    auto facts = two_interfaces();
    facts.principals = {{10, "host"}};
    const auto stop = [] { return mgmt_service::stop_server_listening(5); };
    const auto ids = [&] { return mgmt_service::inq_if_ids(facts, 5); };
    const auto stats = [&](std::uint32_t room) { return mgmt_service::inq_stats(facts, room, 5); };
    const auto listens = [&] { return mgmt_service::is_server_listening(facts, 5); };
    const auto name = [&](std::uint32_t service, std::uint32_t size) {
        return mgmt_service::inq_princ_name(facts, service, size, 5);
    };
    CHECK(call<mgmt::stop_server_listening>(stop, "") == "05000000");
    CHECK(call<mgmt::inq_if_ids>(ids, "") == tight("00000000 05000000"));
    CHECK(call<mgmt::inq_stats>(stats, "04000000") == tight("00000000 00000000 05000000"));
    CHECK(call<mgmt::is_server_listening>(listens, "") == tight("05000000 00000000"));
    CHECK(call<mgmt::inq_princ_name>(name, "0a000000 08000000") ==
          tight("08000000 00000000 01000000 00 000000 05000000"));
}

TEST_CASE("mgmt: a caller reads what a server sends") {
    const auto facts = two_interfaces();
    const auto stub = mgmt::inq_if_ids::encode_response(*mgmt_service::inq_if_ids(facts));
    REQUIRE(stub);
    const auto back = mgmt::inq_if_ids::decode_response(*stub, core::byte_order::little);
    REQUIRE(back);
    const auto& list = std::get<0>(*back);
    REQUIRE(list);
    REQUIRE(list->if_id.items.size() == 2);
    CHECK(*list->if_id.items[1] == mgmt::id);
}
