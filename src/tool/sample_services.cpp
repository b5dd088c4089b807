#include "sample_services.hpp"

#include <chrono>
#include <cstdint>

#include <rpch/services/rpcecho.hpp>

#include <asio/awaitable.hpp>
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

} // namespace tool
