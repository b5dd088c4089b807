// A server that has enough to do leaves the requests of a plain TCP connection unread. Its client
// must be heard all the same when it has something to say about the calls, or is gone.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include <doctest/doctest.h>

#include <rpch/dcerpc/bind_pdu.hpp>
#include <rpch/dcerpc/call_pdu.hpp>

#include <asio/error.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/stack.hpp"

namespace {

namespace dcerpc = rpch::dcerpc;
using rpch::errc;
using test::bytes;
using test::probe;
using namespace std::chrono_literals;

constexpr std::uint8_t whole = dcerpc::pfc::first_frag | dcerpc::pfc::last_frag;

bytes bind_of_probe() {
    dcerpc::bind p;
    p.header = {.flags = whole | dcerpc::pfc::concurrent_multiplexing, .call_id = 1};
    p.max_xmit_frag = p.max_recv_frag = 5840;
    p.contexts.push_back({0, probe::id, {dcerpc::ndr20}});
    bytes out(encoded_size(p));
    out.resize(encode_bind(p, out));
    return out;
}

bytes request(std::uint32_t call_id, std::uint16_t opnum, std::size_t stub_bytes) {
    const bytes stub(stub_bytes);
    dcerpc::request p;
    p.header = {.flags = whole, .call_id = call_id};
    p.opnum = opnum;
    p.stub = stub;
    bytes out(encoded_size(p));
    out.resize(encode_request(p, out));
    return out;
}

bytes cancel_of(std::uint32_t call_id) {
    dcerpc::call_notice p;
    p.header = {.flags = whole, .call_id = call_id};
    bytes out(encoded_size(p));
    out.resize(encode_call_notice(p, dcerpc::pdu_type::co_cancel, out));
    return out;
}

constexpr std::size_t pending_max = 4000;

test::stack_options soon_full(std::chrono::milliseconds blocked_wait = 15min) {
    test::stack_options out;
    out.adjust_server = [blocked_wait](rpch::server_settings& s) {
        s.pending_bytes_max = pending_max;
        s.blocked_wait = blocked_wait;
    };
    return out;
}

/// A client whose first call keeps the server busy.
struct busy_client {
    explicit busy_client(test::stack& on) : all(on), peer(on.io, on.tcp_port) {
        peer.send(bind_of_probe());
        peer.send(request(2, probe::hold, pending_max + 1));
        REQUIRE(all.run_until([&] { return all.held.size() == 1; }));
    }
    /// Requests that are left unread, and the PDUs behind them.
    void send_more(std::size_t n) {
        for (std::size_t i = 0; i < n; ++i)
            peer.send(request(static_cast<std::uint32_t>(10 + i), probe::echo, 100));
        all.run_ready();
    }
    test::stack& all;
    test::raw_peer peer;
};

} // namespace

TEST_CASE("A client that ends behind requests that are not read is noticed, its calls cancelled") {
    enum class end { closes, half_closes, resets };
    for (const end how : {end::closes, end::half_closes, end::resets})
        for (const std::size_t unread : {std::size_t{1}, std::size_t{500}}) {
            CAPTURE(static_cast<int>(how));
            CAPTURE(unread);
            test::stack all(soon_full());
            busy_client client(all);
            client.send_more(unread);
            CHECK_FALSE(all.held[0].call.is_cancelled());
            if (how == end::closes)
                client.peer.close();
            else if (how == end::half_closes)
                client.peer.shut_send();
            else
                client.peer.reset();
            CHECK(all.run_until([&] { return all.held[0].call.is_cancelled(); }, 10s));
            all.held.clear();
            CHECK(all.run_until([&] { return all.server->connections() == 0; }, 10s));
        }
}

TEST_CASE("A co_cancel right behind the call that keeps a server busy is heard") {
    test::stack all(soon_full());
    busy_client client(all);
    client.peer.send(cancel_of(2));
    CHECK(all.run_until([&] { return all.held[0].call.is_cancelled(); }, 10s));
    all.held[0].answer.fault(rpch::rpc_status::nca_fault_cancel);
    client.send_more(3); // and reading goes on
    CHECK(all.run_until([&] { return client.peer.heard().size() >= 3 * 124; }, 10s));
}

TEST_CASE("A connection that is left unread and makes no progress ends after blocked_wait") {
    test::stack all(soon_full(300ms));
    busy_client client(all);
    client.send_more(5);
    client.peer.send(cancel_of(2)); // in vain
    CHECK(all.run_until([&] { return all.held[0].call.is_cancelled(); }, 10s));
    CHECK(all.run_until([&] { return client.peer.ended(); }, 10s));
    CHECK(all.server_said(make_error_code(errc::flow_control_stalled).message()));
    CHECK(all.run_until([&] { return all.server->connections() == 0; }, 10s));
    all.held[0].answer.respond({}); // too late, and harmless
    all.run_ready();
}

TEST_CASE(
    "A client that takes no answers is ended after blocked_wait, and what they held is free") {
    constexpr auto blocked_wait = 400ms;
    constexpr std::size_t room = 1000;
    test::stack all(
        {.adjust_server =
             [blocked_wait](rpch::server_settings& s) {
                 s.pending_bytes_max = std::size_t{64} << 20; // requests are read
                 s.blocked_wait = blocked_wait;
             },
         .prepare_server = [](rpch::server& s) { s.limit_calls(probe::id, 10, room); }});
    test::caller other(all, all.tcp_binding());
    REQUIRE(other.open());
    const auto echo = [&] { return other.call(probe::echo, test::pattern(room))->why.code; };
    asio::ip::tcp::socket client(all.io); // that never reads
    client.open(asio::ip::tcp::v4());
    client.set_option(asio::socket_base::receive_buffer_size(4096));
    client.connect({asio::ip::address_v4::loopback(), all.tcp_port});
    const auto send = [&](const bytes& pdu) { asio::write(client, asio::buffer(pdu)); };
    send(bind_of_probe());
    send(request(2, probe::hold, 0));
    send(request(3, probe::hold, 0));
    REQUIRE(all.run_until([&] { return all.held.size() == 2; }));
    CHECK_FALSE(echo());
    // More than the system's buffers take.
    all.held[0].answer.respond(bytes(std::size_t{32} << 20));
    const auto begun = std::chrono::steady_clock::now();
    CHECK(echo() == rpch::rpc_status::nca_server_too_busy);
    const auto has_stalled = [&] {
        return all.server_said(make_error_code(errc::flow_control_stalled).message());
    };
    CHECK_FALSE(all.run_until(has_stalled, blocked_wait / 2));
    all.held[1].answer.respond({}); // no progress
    CHECK(all.run_until(has_stalled, 10s));
    all.held.clear();
    CHECK(std::chrono::steady_clock::now() - begun >= blocked_wait);
    CHECK_FALSE(echo());
}

TEST_CASE("A client that takes its answers slowly keeps its connection") {
    constexpr auto blocked_wait = 600ms;
    constexpr std::size_t size = std::size_t{64} << 20; // much more than the buffers take
    constexpr std::size_t at_a_time = std::size_t{4} << 20;
    test::stack all(soon_full(blocked_wait));
    asio::ip::tcp::socket client(all.io);
    client.connect({asio::ip::address_v4::loopback(), all.tcp_port});
    asio::write(client, asio::buffer(bind_of_probe()));
    asio::write(client, asio::buffer(request(2, probe::hold, 0)));
    REQUIRE(all.run_until([&] { return all.held.size() == 1; }));
    all.held[0].answer.respond(bytes(size));
    all.held.clear();
    client.non_blocking(true);
    bytes taken(at_a_time);
    std::size_t heard = 0;
    const auto begun = std::chrono::steady_clock::now();
    while (heard < size) {
        all.run_until([] { return false; }, blocked_wait / 6);
        for (std::size_t now = 0; now < at_a_time && heard < size;) {
            std::error_code ec;
            const std::size_t n = client.read_some(asio::buffer(taken), ec);
            if (ec && ec != asio::error::would_block) FAIL("the connection was ended");
            now += n;
            heard += n;
            if (n == 0) all.run_until([&] { return client.available() != 0; }, 1ms);
        }
    }
    CHECK(std::chrono::steady_clock::now() - begun >= blocked_wait);
    all.run_until([] { return false; }, blocked_wait * 3 / 2); // nothing waits any more
    CHECK(all.server->connections() == 1);
}

TEST_CASE("Requests that waited are taken one after the other, not one within the other") {
    constexpr std::uint16_t measure = 40;
    constexpr unsigned calls = 4000;
    std::uintptr_t low = UINTPTR_MAX;
    std::uintptr_t high = 0;
    unsigned done = 0;
    auto options = soon_full();
    options.prepare_server = [&](rpch::server& s) {
        s.handle_raw(probe::id, measure,
                     [&](rpch::call_context&, bytes, rpch::core::byte_order, rpch::responder a) {
                         // Not a local's address, which ASan may have moved to its heap.
                         const auto at =
                             reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
                         low = std::min(low, at);
                         high = std::max(high, at);
                         ++done;
                         a.respond(bytes(pending_max + 1)); // full until it is sent
                     });
    };
    test::stack all(options);
    test::raw_peer peer(all.io, all.tcp_port);
    peer.send(bind_of_probe());
    bytes many;
    for (std::uint32_t i = 0; i < calls; ++i) {
        const bytes one = request(10 + i, measure, 1);
        many.insert(many.end(), one.begin(), one.end());
    }
    peer.send(many);
    CHECK(all.run_until([&] { return done == calls; }));
    CHECK(high - low < 16 * 1024);
}
