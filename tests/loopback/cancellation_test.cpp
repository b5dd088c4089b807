// Calls that are cancelled, late, unanswered or too many, and what client and server make of them.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <vector>

#if defined(__GLIBC__)
    #include <malloc.h>
#endif

#include <doctest/doctest.h>

#include <rpch/dcerpc/bind_pdu.hpp>
#include <rpch/dcerpc/call_pdu.hpp>
#include <rpch/dcerpc/common_header.hpp>

#include <asio/cancellation_signal.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/relay.hpp"
#include "tests/support/stack.hpp"

namespace {

namespace dcerpc = rpch::dcerpc;
using rpch::errc;
using rpch::rpc_status;
using test::probe;
using namespace std::chrono_literals;

enum class way { tcp, http };
std::string binding_of(const test::stack& all, way by) {
    return by == way::tcp ? all.tcp_binding() : all.binding();
}

} // namespace

TEST_CASE("A cancelled call stops the coroutine that serves it, and gets its fault") {
    for (const way by : {way::tcp, way::http}) {
        test::stack all;
        test::caller caller(all, binding_of(all, by));
        REQUIRE(caller.open());
        asio::cancellation_signal stop;
        const auto call = caller.begin(probe::sleep::opnum, {}, {}, stop.slot());
        all.run_until([] { return false; }, 50ms);
        CHECK(call->done == 0);
        stop.emit(asio::cancellation_type::terminal);
        REQUIRE(all.run_until([&] { return call->done != 0; }));
        CHECK(call->done == 1);
        CHECK(call->why.code == rpc_status::nca_fault_cancel);
        CHECK(all.slept == 1);
        // The connection is as good as before.
        CHECK_FALSE(caller.call(probe::echo, test::pattern(100))->why);
    }
}

TEST_CASE("A call that was cancelled before it was sent does not reach the server") {
    test::stack all;
    test::caller caller(all, all.tcp_binding());
    asio::cancellation_signal stop;
    // The connection is not open yet.
    const auto call = caller.begin(probe::hold, {}, {}, stop.slot());
    stop.emit(asio::cancellation_type::terminal);
    REQUIRE(all.run_until([&] { return call->done != 0; }));
    CHECK(call->why.code == errc::call_cancelled);
    CHECK(call->why.did_not_execute);
    REQUIRE(caller.open());
    CHECK_FALSE(caller.call(probe::echo, {})->why);
    CHECK(all.held.empty());
}

TEST_CASE("A server that does not heed a cancel is left to itself after cancel_wait") {
    for (const way by : {way::tcp, way::http}) {
        test::stack all;
        auto options = all.options();
        options.cancel_wait = 50ms;
        test::caller caller(all, binding_of(all, by), options);
        REQUIRE(caller.open());
        asio::cancellation_signal stop;
        const auto call = caller.begin(probe::hold, test::pattern(40'000), {}, stop.slot());
        REQUIRE(all.run_until([&] { return all.held.size() == 1; }));
        int told = 0;
        all.held[0].call.on_cancel([&] { ++told; });
        CHECK_FALSE(all.held[0].call.is_cancelled());
        stop.emit(asio::cancellation_type::partial);
        REQUIRE(all.run_until([&] { return call->done != 0; }));
        CHECK(call->why.code == errc::call_cancelled);
        CHECK_FALSE(call->why.did_not_execute);
        REQUIRE(all.run_until([&] { return told != 0; }));
        CHECK(all.held[0].call.is_cancelled());
        // What it answers all the same goes nowhere, and disturbs nobody.
        all.held[0].answer.respond(test::pattern(30'000));
        CHECK_FALSE(caller.call(probe::echo, test::pattern(20'000))->why);
        CHECK(told == 1);
        CHECK(call->done == 1);
    }
}

namespace {

/// What passes between client and server, read on the way; notices can be lost there.
struct read_on_the_way {
    read_on_the_way(test::stack& all, way which)
        : by(which),
          between(all.io, by == way::tcp ? all.tcp_port : all.server_port),
          proxy_port(all.proxy_port) {
        between.leave_out([this](bool from_client, rpch::byte_view pdu) {
            const auto h = dcerpc::decode_common_header(pdu);
            if (!h || h->type == dcerpc::pdu_type::rts) return false;
            const bool is_lost =
                from_client &&
                (lost.count(h->type) != 0 ||
                 (lost_after_first && h->type == dcerpc::pdu_type::request && !h->is_first()));
            seen.push_back({from_client, is_lost, h->type, h->call_id, clock::now()});
            return is_lost;
        });
    }
    [[nodiscard]] std::string binding() const {
        const std::string port = std::to_string(between.port());
        return by == way::tcp
                   ? "ncacn_ip_tcp:127.0.0.1[" + port + "]"
                   : "ncacn_http:127.0.0.1[" + port +
                         ",RpcProxy=127.0.0.1:" + std::to_string(proxy_port) + ",HttpUseTls=false]";
    }
    using clock = std::chrono::steady_clock;
    struct entry {
        bool from_client;
        bool is_lost;
        dcerpc::pdu_type type;
        std::uint32_t call_id;
        clock::time_point at;
    };
    /// @return the PDUs of one type.
    [[nodiscard]] std::vector<entry> of(dcerpc::pdu_type type) const {
        std::vector<entry> out;
        std::copy_if(seen.begin(), seen.end(), std::back_inserter(out),
                     [type](const entry& each) { return each.type == type; });
        return out;
    }

    way by;
    std::set<dcerpc::pdu_type> lost;
    bool lost_after_first = false; ///< Requests, but for their first fragments.
    std::vector<entry> seen;
    test::relay between;
    std::uint16_t proxy_port;
};

} // namespace

// [C706] 9.5.4 and 12.6.4.8: who does not wait for the answer to a cancel gives the call up.
TEST_CASE("A call that is given up after cancel_wait is orphaned, which its server gets to know") {
    using dcerpc::pdu_type;
    constexpr auto cancel_wait = 150ms;
    enum class loses { nothing, the_cancel, all_notices };
    for (const way by : {way::tcp, way::http})
        for (const loses what : {loses::nothing, loses::the_cancel, loses::all_notices}) {
            CAPTURE(static_cast<int>(by));
            CAPTURE(static_cast<int>(what));
            test::stack all({.adjust_proxy = [](rpch::proxy_settings& s) {
                s.valid_ports = "127.0.0.1:1-65535";
            }});
            read_on_the_way road(all, by);
            if (what != loses::nothing) road.lost.insert(pdu_type::co_cancel);
            if (what == loses::all_notices) road.lost.insert(pdu_type::orphaned);
            auto options = all.options();
            options.cancel_wait = cancel_wait;
            test::caller caller(all, road.binding(), options);
            REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
            const auto other = caller.begin(probe::hold, test::pattern(10));
            REQUIRE(all.run_until([&] { return all.held.size() == 1; }));
            asio::cancellation_signal stop;
            const auto call = caller.begin(probe::hold, test::pattern(20), {}, stop.slot());
            REQUIRE(all.run_until([&] { return all.held.size() == 2; }));
            const std::uint32_t id = road.of(pdu_type::request).back().call_id;
            int told = 0;
            all.held[1].call.on_cancel([&] { ++told; });

            stop.emit(asio::cancellation_type::terminal);
            REQUIRE(all.run_until([&] { return road.of(pdu_type::co_cancel).size() == 1; }));
            // Before the limit nothing but the cancel is told, and the call goes on.
            CHECK_FALSE(all.run_until(
                [&] { return call->done != 0 || !road.of(pdu_type::orphaned).empty(); },
                cancel_wait / 2));
            CHECK(told == (what == loses::nothing ? 1 : 0));
            REQUIRE(all.run_until([&] { return call->done != 0; }));
            CHECK(call->why.code == errc::call_cancelled);
            CHECK_FALSE(call->why.did_not_execute);
            REQUIRE(all.run_until([&] { return road.of(pdu_type::orphaned).size() == 1; }));
            const auto orphaned = road.of(pdu_type::orphaned).front();
            CHECK(orphaned.from_client);
            CHECK(orphaned.call_id == id);
            CHECK(orphaned.at - road.of(pdu_type::co_cancel).front().at >= cancel_wait - 1ms);
            CHECK_FALSE(caller.call(probe::echo, test::pattern(100))->why); // behind the orphaned
            CHECK(told == (what == loses::all_notices ? 0 : 1));
            CHECK(all.held[1].call.is_cancelled() == (what != loses::all_notices));

            // Its answer is dropped: by the server, or by the client if the server does not know.
            all.held[1].answer.respond(test::pattern(30'000));
            CHECK((caller.call(probe::echo, test::pattern(20'000))->stub == test::pattern(20'000)));
            all.held[0].answer.respond(test::pattern(50));
            REQUIRE(all.run_until([&] { return other->done != 0; }));
            CHECK_FALSE(other->why);
            CHECK((other->stub == test::pattern(50)));
            const auto answers = road.of(pdu_type::response);
            const auto late = std::count_if(answers.begin(), answers.end(),
                                            [id](const auto& each) { return each.call_id == id; });
            CHECK((late != 0) == (what == loses::all_notices));
            CHECK(road.of(pdu_type::fault).empty());
            CHECK(call->done == 1);
            CHECK(call->stub.empty());
            CHECK(road.of(pdu_type::orphaned).size() == 1);
            CHECK(caller.connection().connections() == 1);
        }
}

TEST_CASE("A deadline gives a call up: of the call, or of all calls of a client") {
    for (const bool of_call : {true, false}) {
        test::stack all;
        auto options = all.options();
        if (!of_call) options.call_deadline = 50ms;
        test::caller caller(all, all.tcp_binding(), options);
        REQUIRE(caller.open());
        asio::cancellation_signal unused;
        const auto begun = std::chrono::steady_clock::now();
        rpch::call_parameters own;
        if (of_call) own.deadline = 50ms;
        std::vector<std::shared_ptr<test::outcome>> calls;
        for (int i = 0; i < 5; ++i) calls.push_back(caller.begin(probe::hold, {}, own, {}));
        // One that has the time it needs.
        rpch::call_parameters patient;
        patient.deadline = 30s;
        const auto other = caller.begin(probe::hold, {}, patient, {});
        for (const auto& call : calls) {
            REQUIRE(all.run_until([&] { return call->done != 0; }));
            CHECK(call->why.code == errc::call_timeout);
            CHECK(call->at - begun >= 50ms);
        }
        CHECK(other->done == 0);
        REQUIRE(all.run_until([&] { return all.held.size() == 6; }));
        REQUIRE(all.run_until([&] { return all.held[0].call.is_cancelled(); }));
        all.held[5].answer.respond({});
        REQUIRE(all.run_until([&] { return other->done != 0; }));
        CHECK_FALSE(other->why);
    }
}

TEST_CASE("A maybe call completes at once and is executed all the same") {
    test::stack all;
    test::caller caller(all, all.binding());
    REQUIRE(caller.open());
    rpch::call_parameters maybe;
    maybe.maybe = true;
    const auto call = caller.begin(probe::hold, test::pattern(10), maybe, {});
    REQUIRE(all.run_until([&] { return call->done != 0; }));
    CHECK_FALSE(call->why);
    CHECK(call->stub.empty());
    REQUIRE(all.run_until([&] { return all.held.size() == 1; }));
    all.held[0].answer.respond(test::pattern(100)); // dropped
    CHECK_FALSE(caller.call(probe::echo, {})->why);
    CHECK(call->done == 1);
}

TEST_CASE("Handlers learn that the client of their call is gone") {
    for (const way by : {way::tcp, way::http}) {
        test::stack all;
        auto caller = std::make_unique<test::caller>(all, binding_of(all, by));
        REQUIRE(caller->open());
        const auto held = caller->begin(probe::hold, {});
        const auto asleep = caller->begin(probe::sleep::opnum, {});
        REQUIRE(all.run_until([&] { return all.held.size() == 1; }));
        caller->close();
        REQUIRE(all.run_until([&] { return all.held[0].call.is_cancelled() && all.slept == 1; }));
        CHECK(held->done == 1);
        CHECK(held->why.code == errc::operation_aborted);
    }
}

TEST_CASE("Calls above the limits of their interface are refused unexecuted, then let in again") {
    test::stack all(
        {.prepare_server = [](rpch::server& server) { server.limit_calls(probe::id, 3, 1000); }});
    test::caller one(all, all.tcp_binding()), two(all, all.binding());
    REQUIRE(one.open());
    REQUIRE(two.open());
    std::vector<std::shared_ptr<test::outcome>> calls;
    for (int i = 0; i < 3; ++i) calls.push_back(one.begin(probe::hold, {}));
    REQUIRE(all.run_until([&] { return all.held.size() == 3; }));
    const auto refused = two.call(probe::echo, {}); // another connection's count as well
    CHECK(refused->why.code == rpc_status::nca_server_too_busy);
    CHECK(refused->why.did_not_execute);
    all.held.clear(); // the responders are dropped, which answers
    for (const auto& call : calls) REQUIRE(all.run_until([&] { return call->done != 0; }));
    CHECK_FALSE(two.call(probe::echo, test::pattern(1000))->why);
    CHECK(two.call(probe::echo, test::pattern(1001))->why.code == rpc_status::nca_server_too_busy);
    // A call of a connection that is gone is counted until its handler lets go of it.
    auto gone = std::make_unique<test::caller>(all, all.tcp_binding());
    REQUIRE(gone->open());
    for (int i = 0; i < 3; ++i) calls.push_back(gone->begin(probe::hold, {}));
    REQUIRE(all.run_until([&] { return all.held.size() == 3; }));
    gone->close();
    REQUIRE(all.run_until([&] { return all.held[2].call.is_cancelled(); }));
    CHECK(one.call(probe::echo, {})->why.code == rpc_status::nca_server_too_busy);
    all.held.clear();
    CHECK_FALSE(one.call(probe::echo, {})->why);
}

namespace {

/// What a client says that makes its PDUs itself.
test::bytes bind_of_probe() {
    dcerpc::bind b;
    b.header = {.flags = dcerpc::pfc::first_frag | dcerpc::pfc::last_frag, .call_id = 1};
    b.max_xmit_frag = b.max_recv_frag = 5840;
    b.contexts.push_back({0, probe::id, {dcerpc::ndr20}});
    test::bytes pdu(encoded_size(b));
    pdu.resize(encode_bind(b, pdu));
    return pdu;
}
test::bytes fragment_of_echo(std::uint32_t call_id, std::uint8_t flags, std::size_t size) {
    const test::bytes stub = test::pattern(size);
    dcerpc::request r;
    r.header = {.flags = flags, .call_id = call_id};
    r.opnum = probe::echo;
    r.stub = stub;
    test::bytes pdu(encoded_size(r));
    pdu.resize(encode_request(r, pdu));
    return pdu;
}

} // namespace

TEST_CASE("What a handler gives on_cancel may hold the call: it goes when the call is answered") {
    constexpr std::uint16_t careful = 40, late = 41;
    std::vector<std::weak_ptr<rpch::call_state>> begun;
    test::stack all({.prepare_server = [&](rpch::server& server) {
        server.limit_calls(probe::id, 1);
        server.handle_raw(probe::id, careful,
                          [&](rpch::call_context& call, std::vector<std::byte> stub,
                              rpch::core::byte_order, rpch::responder answer) {
                              begun.push_back(call.state());
                              call.on_cancel([call] { static_cast<void>(call.call_id()); });
                              all.held.push_back({std::move(stub), std::move(answer), call});
                          });
        server.handle_raw(probe::id, late,
                          [&](rpch::call_context& call, std::vector<std::byte> stub,
                              rpch::core::byte_order, rpch::responder answer) {
                              begun.push_back(call.state());
                              answer.respond(std::move(stub));
                              call.on_cancel([call] { static_cast<void>(call.call_id()); });
                          });
    }});
    for (const way by : {way::tcp, way::http}) {
        test::caller caller(all, binding_of(all, by));
        REQUIRE(caller.open());
        for (const bool by_fault : {false, true}) {
            const auto call = caller.begin(careful);
            REQUIRE(all.run_until([&] { return all.held.size() == 1; }));
            if (by_fault)
                all.held[0].answer.fault(rpc_status::access_denied);
            else
                all.held[0].answer.respond({});
            all.held.clear();
            REQUIRE(all.run_until([&] { return call->done != 0; }));
            CHECK(begun.back().expired());
        }
        CHECK_FALSE(caller.call(late)->why);
        CHECK(begun.back().expired());
        CHECK_FALSE(caller.call(probe::echo)->why); // there is room for it
    }
}

TEST_CASE(
    "Requests that are not whole count for the limit of their interface, until they are gone") {
    test::stack all(
        {.prepare_server = [](rpch::server& server) { server.limit_calls(probe::id, 3, 1000); }});
    test::caller caller(all, all.binding());
    REQUIRE(caller.open());
    const auto echo_is = [&](std::error_code expected) {
        return caller.call(probe::echo, test::pattern(500))->why.code == expected;
    };
    CHECK(echo_is({}));
    test::raw_peer slow(all.io, all.tcp_port); // never sends the rest
    slow.send(bind_of_probe());
    slow.send(fragment_of_echo(2, dcerpc::pfc::first_frag, 600));
    const auto becomes = [&](std::error_code expected) {
        for (int i = 0; i < 1000; ++i)
            if (echo_is(expected)) return true;
        return false;
    };
    CHECK(becomes(rpc_status::nca_server_too_busy));
    CHECK(echo_is(rpc_status::nca_server_too_busy));
    slow.close();
    CHECK(becomes({}));
    CHECK(echo_is({}));
}

TEST_CASE("A request that is begun and not ended costs the client its connection, in time") {
    using dcerpc::pdu_type;
    constexpr auto blocked_wait = 600ms;
    constexpr std::size_t room = 8000;
    const auto prepared = [=] {
        test::stack_options out;
        out.adjust_proxy = [](rpch::proxy_settings& s) { s.valid_ports = "127.0.0.1:1-65535"; };
        out.adjust_server = [=](rpch::server_settings& s) { s.blocked_wait = blocked_wait; };
        out.prepare_server = [=](rpch::server& s) { s.limit_calls(probe::id, 10, room); };
        return out;
    };
    for (const way by : {way::tcp, way::http}) {
        CAPTURE(static_cast<int>(by));
        test::stack all(prepared());
        read_on_the_way road(all, by);
        test::caller slow(all, road.binding());
        REQUIRE_MESSAGE(slow.open(), slow.why().to_string());
        test::caller other(all, all.tcp_binding());
        REQUIRE(other.open());
        const auto echo = [&] { return other.call(probe::echo, test::pattern(room))->why.code; };
        CHECK_FALSE(slow.call(probe::echo, test::pattern(room))->why); // whole ones are no matter
        all.run_until([] { return false; }, blocked_wait * 3 / 2);
        CHECK_FALSE(echo());
        const auto begun = std::chrono::steady_clock::now();
        road.lost_after_first = true;
        const auto call = slow.begin(probe::echo, test::pattern(room));
        all.run_until([] { return false; }, blocked_wait / 4);
        CHECK(echo() == rpc_status::nca_server_too_busy);
        REQUIRE(all.run_until([&] { return call->done != 0; }, 10s));
        CHECK(std::chrono::steady_clock::now() - begun >= blocked_wait);
        CHECK(call->why.code == errc::connection_lost);
        CHECK(all.server_said(make_error_code(errc::idle_timeout).message(),
                              "the client did not end its request"));
        CHECK_FALSE(echo());
    }
    // One that comes slowly is waited for.
    test::stack all(prepared());
    test::raw_peer peer(all.io, all.tcp_port);
    peer.send(bind_of_probe());
    for (int i = 0; i < 12; ++i) {
        const std::uint8_t flags = i == 0    ? dcerpc::pfc::first_frag
                                   : i == 11 ? dcerpc::pfc::last_frag
                                             : std::uint8_t{0};
        peer.send(fragment_of_echo(2, flags, 100));
        all.run_until([] { return false; }, blocked_wait / 6);
    }
    CHECK(all.run_until([&] { return peer.heard().size() > 1200; }, 10s));
    CHECK_FALSE(peer.ended());
}

TEST_CASE("A server that has enough to do reads no more, and the client waits") {
    for (const way by : {way::tcp, way::http}) {
        constexpr std::size_t size = 64 * 1024;
        constexpr std::size_t calls = 40;
        test::stack all({.window = 16 * 1024, .adjust_server = [](rpch::server_settings& s) {
                             s.pending_bytes_max = 4 * size;
                         }});
        test::caller caller(all, binding_of(all, by));
        REQUIRE(caller.open());
        std::vector<std::shared_ptr<test::outcome>> begun;
        for (std::size_t i = 0; i < calls; ++i)
            begun.push_back(caller.begin(probe::hold, test::pattern(size, unsigned(i))));
        REQUIRE(all.run_until([&] { return all.held.size() >= 5; }));
        all.run_until([] { return false; }, 300ms);
        // One call more than the limit, and what was in the window or the socket buffers before.
        CHECK(all.held.size() >= 5);
        CHECK(all.held.size() <= 12);
        std::size_t answered = 0;
        REQUIRE(all.run_until([&] {
            for (; answered < all.held.size(); ++answered) {
                auto stub = std::move(all.held[answered].stub);
                all.held[answered].answer.respond(std::move(stub));
            }
            std::size_t done = 0;
            for (const auto& each : begun) done += static_cast<std::size_t>(each->done);
            return done == calls;
        }));
        for (std::size_t i = 0; i < calls; ++i) {
            CHECK_FALSE(begun[i]->why);
            CHECK(begun[i]->stub == test::pattern(size, unsigned(i)));
        }
    }
}

TEST_CASE("A deadline or wait that the clock does not hold is a long one") {
    static constexpr auto forever = std::chrono::milliseconds::max();
    const auto set = [](auto&... waits) { ((waits = forever), ...); };
    for (const way by : {way::tcp, way::http}) {
        test::stack all({.adjust_proxy =
                             [&](rpch::proxy_settings& s) {
                                 set(s.connect_wait, s.first_pdu_wait, s.pairing_wait,
                                     s.replacement_wait, s.blocked_wait);
                             },
                         .adjust_server =
                             [&](rpch::server_settings& s) {
                                 set(s.first_pdu_wait, s.pairing_wait, s.replacement_wait,
                                     s.blocked_wait);
                             }});
        auto options = all.options();
        set(options.connect_wait, options.open_wait, options.call_deadline, options.cancel_wait,
            options.replacement_wait, options.blocked_wait);
        test::caller caller(all, binding_of(all, by), options);
        REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
        rpch::call_parameters of_its_own, again, soon;
        of_its_own.deadline = forever;
        again.deadline = forever;
        again.idempotent = true;
        soon.deadline = 20ms;
        asio::cancellation_signal stop;
        const std::vector<std::shared_ptr<test::outcome>> calls{
            caller.begin(probe::hold), caller.begin(probe::hold, {}, of_its_own, {}),
            caller.begin(probe::hold, {}, again, {}),
            caller.begin(probe::hold, {}, {}, stop.slot())};
        REQUIRE(all.run_until([&] { return all.held.size() == calls.size(); }));
        stop.emit(asio::cancellation_type::terminal);
        // The timer is one for all, and goes on to the others.
        const auto late = caller.begin(probe::hold, {}, soon, {});
        REQUIRE(all.run_until([&] { return late->done != 0; }));
        CHECK(late->why.code == errc::call_timeout);
        all.run_until([] { return false; }, 50ms);
        for (const auto& call : calls) CHECK_MESSAGE(call->done == 0, call->why.to_string());
        for (auto& held : all.held) held.answer.respond({});
        REQUIRE(all.run_until([&] {
            return std::all_of(calls.begin(), calls.end(),
                               [](const auto& call) { return call->done == 1; });
        }));
        for (const auto& call : calls) CHECK_MESSAGE(!call->why, call->why.to_string());
    }
}

#if defined(__GLIBC__)
TEST_CASE("A call that was answered leaves nothing behind until its deadline") {
    test::stack all;
    test::caller caller(all, all.tcp_binding());
    REQUIRE(caller.open());
    rpch::call_parameters late;
    late.deadline = 1h;
    const auto make_calls = [&](int n) {
        for (int i = 0; i < n; ++i) {
            const auto call = caller.begin(probe::echo, {}, late, {});
            REQUIRE(all.run_until([&] { return call->done != 0; }));
            REQUIRE_FALSE(call->why);
        }
    };
    constexpr int calls = 2000;
    make_calls(calls / 10); // what is kept for reuse
    const std::size_t before = ::mallinfo2().uordblks;
    make_calls(calls);
    CHECK(::mallinfo2().uordblks < before + 16 * calls); // an entry has 48 bytes and more
}
#endif
