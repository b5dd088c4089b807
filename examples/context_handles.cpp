// State that a server keeps for a client between calls: a counter behind a context handle, shared
// by two connections of one association group, and gone with the last of them. Both ends in one
// program. usage: example_context_handles
#include <atomic>
#include <cstdio>
#include <string>

#include <rpch/client/client.hpp>
#include <rpch/server/server.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

using rpch::ndr::context_handle;

struct counting {
    static constexpr rpch::interface_id id{"0d5c1a52-93f5-4a0f-8b1e-6a3fd1f3a6c7", 1, 0};
    using open = rpch::operation<0, context_handle(std::uint32_t)>;
    using next = rpch::operation<1, std::uint32_t(context_handle)>;
    using close = rpch::operation<2, context_handle(context_handle)>;
};

// What stands behind a handle is any type. Calls may share one, so mind threads if handlers do.
struct counter {
    explicit counter(std::uint32_t first) : value(first) {}
    ~counter() { std::printf("a counter is gone\n"); } // closed, or run down
    counter(const counter&) = delete;
    counter& operator=(const counter&) = delete;
    std::atomic<std::uint32_t> value;
};

// The handle is a random number; only this client, this user and this interface can use it.
context_handle open_counter(rpch::call_context& call, std::uint32_t first) {
    return call.make_handle<counter>(first);
}
// A handle that is not good is a fault, nca_s_fault_context_mismatch, without further ado.
std::uint32_t next_value(rpch::call_context& call, context_handle h) {
    return call.handle<counter>(h)->value++;
}
context_handle close_counter(rpch::call_context& call, context_handle h) {
    return call.close_handle<counter>(h); // the null handle, which the client gets back
}

asio::awaitable<void> talk(std::string binding, rpch::server& server) {
    rpch::client_options options;
    auto first = co_await rpch::connect<counting>(binding, options);
    const auto handle = co_await first.call<counting::open>(40U);
    const auto closed = co_await first.call<counting::open>(0U);
    static_cast<void>(co_await first.call<counting::close>(closed));

    // A connection that joins the group may use the handle as well. Clients do it by themselves
    // under load, up to options.connections_max.
    options.association_group = first.connection().association_group();
    auto second = co_await rpch::connect<counting>(binding, options);
    first = {}; // the handle outlives the connection that made it
    std::printf("%u", co_await second.call<counting::next>(handle));
    std::printf(" %u\n", co_await second.call<counting::next>(handle));

    second = {}; // the last of its group
    asio::steady_timer soon(co_await asio::this_coro::executor);
    while (server.context_handles() != 0) {
        soon.expires_after(std::chrono::milliseconds(5));
        co_await soon.async_wait(asio::use_awaitable);
    }
    server.close();
}

int main() {
    asio::io_context io;
    rpch::server server(io.get_executor());
    server.handle<counting, counting::open>(&open_counter);
    server.handle<counting, counting::next>(&next_value);
    server.handle<counting, counting::close>(&close_counter);
    const auto port = server.listen("ncacn_ip_tcp:127.0.0.1");
    if (!port) return 1;
    int result = 0;
    asio::co_spawn(io, talk("ncacn_ip_tcp:127.0.0.1[" + std::to_string(*port) + "]", server),
                   [&](const std::exception_ptr& failed) {
                       try {
                           if (failed) std::rethrow_exception(failed);
                       } catch (const std::exception& e) {
                           std::fprintf(stderr, "%s\n", e.what());
                           result = 1;
                           server.close();
                       }
                   });
    io.run();
    return result;
}
