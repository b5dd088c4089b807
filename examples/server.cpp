// Serves the interface of greeter.hpp on ncacn_http (behind a proxy) and on plain TCP.
// usage: example_server     (ends with Ctrl-C)
#include <cstdio>

#include <rpch/server/server.hpp>

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include "greeter.hpp"

// A handler is a function of the operation's parameters. It runs on the server's strand and must
// not block.
std::int32_t add(std::int32_t a, std::int32_t b) { return a + b; }

// A handler that has to wait is a coroutine: the server goes on with other calls meanwhile. The
// call_context in front of the parameters is optional.
asio::awaitable<rpch::ndr::unique<std::u16string>> greet(rpch::call_context& call,
                                                         std::u16string who) {
    asio::steady_timer thinking(call.get_executor(), std::chrono::milliseconds(5));
    co_await thinking.async_wait(asio::use_awaitable);
    // Any exception becomes a fault; rpc_fault chooses which one the caller sees.
    if (who.empty()) throw rpch::rpc_fault(rpch::rpc_status::nca_fault_invalid_bound);
    co_return u"hello, " + who;
}

int main() {
    asio::io_context io;
    rpch::server server(io.get_executor());
    server.handle<greeter, greeter::add>(&add);
    server.handle<greeter, greeter::greet>(&greet);

    // Without a port the system chooses one.
    const auto http = server.listen("ncacn_http:127.0.0.1");
    const auto tcp = server.listen("ncacn_ip_tcp:127.0.0.1");
    if (!http || !tcp) {
        std::fprintf(stderr, "%s\n", (http ? tcp : http).error().message().c_str());
        return 1;
    }
    std::printf("ncacn_http %u\nncacn_ip_tcp %u\n", *http, *tcp);
    std::fflush(stdout);

    asio::signal_set stop(io, SIGINT, SIGTERM);
    stop.async_wait([&](std::error_code, int) { server.close(); });
    io.run(); // until everything is closed
}
