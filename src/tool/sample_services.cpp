#include "sample_services.hpp"

#include <chrono>
#include <cstdint>
#include <utility>

#include <rpch/services/endpoint_mapper.hpp>
#include <rpch/services/mgmt.hpp>
#include <rpch/services/rpcecho.hpp>

#include <asio/awaitable.hpp>
#include <asio/ip/address.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

namespace tool {

using rpch::services::rpcecho;
using rpch::services::rpcecho_service;

namespace {

/// TestSleep must not keep the others waiting: it is a coroutine with a timer.
asio::awaitable<std::uint32_t> sleep_handler(rpch::call_context& call, std::uint32_t seconds) {
    asio::steady_timer timer(call.get_executor(), std::chrono::seconds(seconds));
    co_await timer.async_wait(asio::use_awaitable);
    co_return seconds;
}

} // namespace

rpch::interface_id rpcecho_id() { return rpcecho::id; }

void offer_rpcecho(rpch::server& server) {
    using service = rpcecho_service;
    server.handle<rpcecho, rpcecho::add_one>(&service::add_one);
    server.handle<rpcecho, rpcecho::echo_data>(&service::echo_data);
    server.handle<rpcecho, rpcecho::sink_data>(&service::sink_data);
    server.handle<rpcecho, rpcecho::source_data>(&service::source_data);
    server.handle<rpcecho, rpcecho::test_call>(&service::test_call);
    server.handle<rpcecho, rpcecho::test_call2>(&service::test_call2);
    server.handle<rpcecho, rpcecho::test_sleep>(&sleep_handler);
    server.handle<rpcecho, rpcecho::test_enum>(&service::test_enum);
    server.handle<rpcecho, rpcecho::test_surrounding>(&service::test_surrounding);
    server.handle<rpcecho, rpcecho::test_double_pointer>(&service::test_double_pointer);
}

rpch::interface_id endpoint_mapper_id() { return rpch::services::endpoint_mapper::id; }

void offer_mgmt(rpch::server& server, std::vector<rpch::interface_id> interfaces) {
    using rpch::services::mgmt;
    using service = rpch::services::mgmt_service;
    auto facts = std::make_shared<rpch::services::server_facts>();
    facts->interfaces = std::move(interfaces);
    facts->interfaces.push_back(mgmt::id);
    server.handle<mgmt, mgmt::inq_if_ids>([facts] { return service::inq_if_ids(*facts); });
    server.handle<mgmt, mgmt::inq_stats>(
        [facts](std::uint32_t room) { return service::inq_stats(*facts, room); });
    server.handle<mgmt, mgmt::is_server_listening>(
        [facts] { return service::is_server_listening(*facts); });
    server.handle<mgmt, mgmt::stop_server_listening>(
        [] { return service::stop_server_listening(rpch::services::mgmt_status::access_denied); });
    server.handle<mgmt, mgmt::inq_princ_name>([facts](std::uint32_t authn, std::uint32_t size) {
        return service::inq_princ_name(*facts, authn, size);
    });
}

void offer_endpoint_mapper(rpch::server& server, std::shared_ptr<known_endpoints> endpoints) {
    using mapper = rpch::services::endpoint_mapper;
    using rpch::services::caller;
    auto service = std::make_shared<rpch::services::endpoint_mapper_service>(std::move(endpoints));
    server.handle<mapper, mapper::insert>([service](std::uint32_t count,
                                                    const mapper::given_entries& entries,
                                                    std::uint32_t replace) {
        return service->insert(caller{}, count, entries, replace);
    });
    server.handle<mapper, mapper::remove>(
        [service](std::uint32_t count, const mapper::given_entries& entries) {
            return service->remove(caller{}, count, entries);
        });
    server.handle<mapper, mapper::lookup>(
        [service](rpch::ndr::enum32<mapper::inquiry> inquiry,
                  const rpch::ndr::unique<rpch::uuid>& object,
                  const rpch::ndr::unique<rpch::interface_id>& interface,
                  rpch::ndr::enum32<mapper::version_match> versions,
                  const rpch::ndr::context_handle& handle, mapper::room room) {
            return service->lookup(caller{}, inquiry.value, object, interface, versions.value,
                                   handle, room.value);
        });
    server.handle<mapper, mapper::map>(
        [service](const rpch::ndr::unique<rpch::uuid>& object, const mapper::twr_pointer& tower,
                  const rpch::ndr::context_handle& handle, mapper::room room) {
            return service->map(caller{}, object, tower, handle, room.value);
        });
    server.handle<mapper, mapper::lookup_handle_free>(
        &rpch::services::endpoint_mapper_service::lookup_handle_free);
}

void add_endpoint(known_endpoints& known, bool http, const std::string& host, std::uint16_t port,
                  rpch::interface_id interface, const std::string& annotation) {
    rpch::services::endpoint entry;
    entry.where.interface = interface;
    entry.where.protocol =
        http ? rpch::services::tower_protocol::http : rpch::services::tower_protocol::tcp;
    entry.where.port = port;
    std::error_code ec;
    const auto address = asio::ip::make_address(host, ec);
    if (!ec && address.is_v4()) // an IPv6 listener has no place in the tower: "the host asked"
        entry.where.address = address.to_v4().to_bytes();
    entry.annotation = annotation;
    static_cast<void>(known.insert(entry, rpch::services::if_registered::add));
}

} // namespace tool
