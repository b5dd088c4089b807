// Relaying allocates and copies nothing per PDU, and an idle virtual connection holds little:
// counted in the proxy's own thread.
#include <rpch/client/client.hpp>
#include <rpch/proxy/proxy.hpp>
#include <rpch/server/server.hpp>
#include <rpch/transport/link.hpp>

#include <doctest/doctest.h>

#include <asio/io_context.hpp>

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <future>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace {

thread_local bool counting_here = false;
std::atomic<std::uint64_t> allocations{0};
std::atomic<std::uint64_t> operations{0}; // that Asio could not make of the memory of older ones
std::atomic<std::int64_t> held{0};        // bytes, the allocator's rounding included

std::int64_t bytes_of(void* p) { return static_cast<std::int64_t>(malloc_usable_size(p)); }

void note(void* p, std::atomic<std::uint64_t>& kind) noexcept {
    if (!counting_here || p == nullptr) return;
    kind.fetch_add(1, std::memory_order_relaxed);
    held.fetch_add(bytes_of(p), std::memory_order_relaxed);
}

void* counted(std::size_t size) {
    void* p = std::malloc(size != 0 ? size : 1);
    if (p == nullptr) throw std::bad_alloc();
    note(p, allocations);
    return p;
}

} // namespace

// Asio takes the memory of its operations from aligned_alloc; the linker leads both here (--wrap).
extern "C" {
void* __real_aligned_alloc(std::size_t alignment, std::size_t size);
void __real_free(void* p);
void* __wrap_aligned_alloc(std::size_t alignment, std::size_t size) {
    void* p = __real_aligned_alloc(alignment, size);
    note(p, operations);
    return p;
}
void __wrap_free(void* p) {
    if (counting_here && p != nullptr) held.fetch_sub(bytes_of(p), std::memory_order_relaxed);
    __real_free(p);
}
}

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void* operator new(std::size_t size, std::align_val_t) { return counted(size); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

namespace {

constexpr rpch::interface_id echo_id{"f3a1c7d2-5a0e-4c2b-9d57-1f2e3a4b5c6d", 1, 0};

/// A proxy with a thread of its own, whose allocations are counted.
struct counted_proxy {
    asio::io_context io{1};
    std::optional<rpch::proxy> proxy;
    std::uint16_t port = 0;
    std::thread thread;

    counted_proxy() {
        rpch::proxy_settings settings;
        settings.valid_ports = "127.0.0.1:1-65535";
        settings.allow_anonymous = true;
        settings.allow_plain = true;
        proxy.emplace(rpch::proxy::make(io.get_executor(), std::move(settings)).value());
        port = proxy->listen({"127.0.0.1", 0}, nullptr).value();
        thread = std::thread([this] {
            counting_here = true;
            io.run();
            counting_here = false;
        });
    }
    std::uint64_t copied() {
        std::promise<std::uint64_t> out;
        asio::post(io, [&] { out.set_value(proxy->copied_bytes()); });
        return out.get_future().get();
    }
    /// @return what is held once `connections` are open and everything that was ready is done.
    std::int64_t held_with(std::size_t connections) {
        std::promise<std::int64_t> out;
        asio::post(io, [&] { tell_when_open(connections, out); });
        return out.get_future().get();
    }
    void tell_when_open(std::size_t connections, std::promise<std::int64_t>& out) {
        if (proxy->connections() == connections) return out.set_value(held.load());
        asio::post(io, [this, connections, &out] { tell_when_open(connections, out); });
    }
    ~counted_proxy() {
        proxy->close();
        asio::post(io, [this] { io.stop(); });
        thread.join();
    }
};

/// Makes calls one after the other, or several at once, and waits for all.
struct caller {
    asio::io_context io{1};
    rpch::server server{io.get_executor()};
    rpch::client client;
    std::uint16_t context = 0;
    std::size_t left = 0;
    std::size_t waiting = 0;
    bool all_right = true;

    explicit caller(std::uint16_t proxy_port) {
        server.handle_raw(echo_id, 0,
                          [](rpch::call_context&, std::vector<std::byte> stub,
                             rpch::core::byte_order,
                             rpch::responder answer) { answer.respond(std::move(stub)); });
        const auto port = server.listen("ncacn_http:127.0.0.1").value();
        rpch::client_options options;
        options.executor = io.get_executor();
        rpch::failure why;
        client = rpch::client::start("ncacn_http:127.0.0.1[" + std::to_string(port) +
                                         ",RpcProxy=127.0.0.1:" + std::to_string(proxy_port) +
                                         ",HttpUseTls=false]",
                                     std::move(options), why)
                     .value();
        bool bound = false;
        client.async_bind(echo_id, [&](std::error_code ec, std::uint16_t c) {
            all_right = !ec;
            context = c;
            bound = true;
        });
        while (!bound) io.run_one();
    }
    void run(std::size_t calls, std::size_t at_once, std::size_t bytes) {
        left = waiting = calls;
        for (std::size_t i = 0; i < at_once; ++i) issue(bytes);
        while (waiting != 0) io.run_one();
    }
    void issue(std::size_t bytes) {
        if (left == 0) return;
        --left;
        client.async_call_raw(context, 0, std::vector<std::byte>(bytes, std::byte{0x5a}),
                              [this, bytes](std::error_code ec, const rpch::raw_response& r) {
                                  --waiting;
                                  all_right = all_right && !ec && r.stub.size() == bytes;
                                  issue(bytes);
                              });
    }
};

void check_steady_state(std::size_t calls, std::size_t at_once, std::size_t bytes) {
    counted_proxy relay;
    caller through(relay.port);
    through.run(200, at_once, bytes); // grows what there is to grow
    const std::uint64_t copied = relay.copied();
    const std::uint64_t before = allocations.load();
    const std::uint64_t operations_before = operations.load();
    through.run(calls, at_once, bytes);
    const std::uint64_t made = allocations.load() - before;
    CHECK(through.all_right);
    CHECK(made == 0);
    CHECK(operations.load() - operations_before <= 1); // the memory of copied()'s is not Asio's own
    CHECK(relay.copied() == copied);
    through.client = {};
}

} // namespace

TEST_CASE("relay: small calls one by one allocate and copy nothing in the proxy") {
    check_steady_state(2000, 1, 32);
}

TEST_CASE("relay: 64 small calls at once allocate and copy nothing in the proxy") {
    check_steady_state(5000, 64, 32);
}

TEST_CASE("relay: large calls one by one allocate and copy nothing in the proxy") {
    check_steady_state(300, 1, 65536);
}

namespace {

/// Passes what comes to the other link of the same hop, or counts it.
struct hop_owner : rpch::transport::link_owner, std::enable_shared_from_this<hop_owner> {
    std::shared_ptr<rpch::transport::link> to;
    std::size_t got = 0;

    void on_secured(rpch::transport::link&) override {}
    void on_input(rpch::transport::link& from) override {
        while (true) {
            const auto pdu = from.next_pdu(1U << 30);
            if (!pdu || !*pdu) break;
            const std::size_t size = (*pdu)->view.size();
            if (to) to->forward(**pdu, size);
            got += size;
            from.consume(size);
        }
        if (to) to->flush();
    }
    void on_writable(rpch::transport::link& from) override { from.flush(); }
    void on_closed(rpch::transport::link&, std::error_code) override {}
    std::shared_ptr<link_owner> keep_alive() override { return shared_from_this(); }
};

} // namespace

TEST_CASE("relay: links in memory allocate and copy nothing") {
    asio::io_context io{1};
    const rpch::transport::strand on(io.get_executor());
    const auto pool = std::make_shared<rpch::transport::buffer_pool>();
    const auto source = std::make_shared<hop_owner>();
    const auto middle = std::make_shared<hop_owner>();
    const auto sink = std::make_shared<hop_owner>();
    auto [a, b] = rpch::transport::make_link_pair(on, pool, *source, *middle);
    auto [c, d] = rpch::transport::make_link_pair(on, pool, *middle, *sink);
    middle->to = c;
    for (const auto& each : {a, b, c, d}) {
        each->expect_pdus();
        each->start();
    }
    std::vector<std::byte> pdu(5840);
    const auto push = [&](int pdus, int at_once) {
        for (int i = 0; i < pdus; i += at_once) {
            for (int k = 0; k < at_once; ++k) {
                const auto space = a->reserve(pdu.size());
                rpch::dcerpc::encode_common_header(
                    {.flags = 3, .frag_length = static_cast<std::uint16_t>(pdu.size())},
                    std::span<std::byte, 16>(space.data(), 16));
                a->commit(pdu.size(), pdu.size());
            }
            a->flush();
            io.restart();
            io.poll();
        }
    };
    counting_here = true;
    push(1000, 100); // grows what there is to grow
    const std::uint64_t before = allocations.load();
    push(1000, 1);
    push(10'000, 100);
    const std::uint64_t made = allocations.load() - before;
    counting_here = false;
    CHECK(sink->got == 12'000 * pdu.size());
    CHECK(made == 0);
    CHECK(pool->copied() == 0);
    CHECK(pool->lent() == 0);
    middle->to.reset();
}

TEST_CASE("relay: an idle virtual connection holds at most 6 KiB in the proxy") {
    // Connections that have been used, and then are left alone: no buffer, no list, no queue of
    // theirs may stay. The kernel's memory of four sockets comes on top.
    constexpr std::size_t clients = 100;
    counted_proxy relay;
    const std::int64_t empty = relay.held_with(0);
    std::vector<std::unique_ptr<caller>> idle;
    const auto open_more = [&](std::size_t until) {
        while (idle.size() < until) {
            idle.push_back(std::make_unique<caller>(relay.port));
            idle.back()->run(20, 4, 32);
            CHECK(idle.back()->all_right);
        }
    };
    open_more(1); // grows what the connections share
    const std::int64_t first = relay.held_with(2);
    open_more(1 + clients);
    const std::int64_t each =
        (relay.held_with(2 * (1 + clients)) - first) / static_cast<std::int64_t>(clients);
    CHECK(first > empty);
    INFO("bytes of heap for each: ", each);
    CHECK(each > 0);
    CHECK(each <= 6 * 1024);
    for (const auto& one : idle) one->client = {};
}
