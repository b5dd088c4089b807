// A client and a server association wired together in memory: seeded runs with mixed order,
// cancels, pauses and all fragment sizes.
#include <rpch/dcerpc/client_association.hpp>
#include <rpch/dcerpc/server_association.hpp>

#include <deque>
#include <map>
#include <random>

#include <doctest/doctest.h>

#include "tests/unit/dcerpc/pdus.hpp"

using namespace rpch;
using namespace rpch::dcerpc;

namespace {

const interface_id second_interface{"12345778-1234-abcd-ef00-0123456789ac", 1, 0};

// PDUs on their way, in order.
using wire = std::deque<test::bytes>;

struct world {
    std::mt19937 random;
    std::vector<offered_interface> offered{{test::rpcecho, {}}, {second_interface, {}}};
    association_groups groups;
    client_association client;
    server_association server;
    client_event_list told_client;
    server_event_list told_server;
    wire to_server, to_client;
    std::vector<call_received> executing;

    struct expectation {
        test::bytes answer;
        bool may_fail = false;
    };
    std::map<std::uint32_t, expectation> pending;
    std::size_t completed = 0, failed = 0, orphans = 0;

    world(unsigned seed, std::uint16_t client_fragment, std::uint16_t server_fragment)
        : random(seed),
          client(client_settings(client_fragment)),
          server(offered, groups, server_settings(server_fragment)) {}

    static client_association_options client_settings(std::uint16_t fragment) {
        client_association_options o;
        o.limits.fragment_bytes = fragment;
        return o;
    }
    static server_association_options server_settings(std::uint16_t fragment) {
        server_association_options o;
        o.limits.fragment_bytes = fragment;
        return o;
    }

    std::size_t up_to(std::size_t n) { return random() % (n + 1); }

    // The answer says which call, operation and object it belongs to.
    static test::bytes answer_for(const test::bytes& stub, std::uint16_t opnum, bool has_object) {
        test::bytes out = stub;
        std::reverse(out.begin(), out.end());
        out.push_back(static_cast<std::byte>(opnum));
        out.push_back(static_cast<std::byte>(has_object));
        return out;
    }

    void begin(std::size_t stub_bytes) {
        call_options o;
        o.context = static_cast<std::uint16_t>(up_to(1));
        o.opnum = static_cast<std::uint16_t>(random() % 200);
        if (random() % 3 == 0) o.object = second_interface.id;
        const auto stub = test::pattern(stub_bytes, static_cast<unsigned>(random() % 100));
        const auto id = client.begin_call(o, stub);
        if (!id) {
            REQUIRE(id.error() == errc::too_many);
            return;
        }
        REQUIRE_FALSE(pending.contains(*id));
        pending[*id] = {answer_for(stub, o.opnum, o.object.has_value()), false};
    }

    void move_one() {
        switch (random() % 6) {
        case 0:
            if (client.has_output()) to_server.push_back(test::next_output(client));
            break;
        case 1:
            if (server.has_output()) to_client.push_back(test::next_output(server));
            break;
        case 2:
            if (to_server.empty()) break;
            REQUIRE_FALSE(server.on_pdu(to_server.front(), told_server));
            to_server.pop_front();
            break;
        case 3:
            if (to_client.empty()) break;
            REQUIRE_FALSE(client.on_pdu(to_client.front(), told_client));
            to_client.pop_front();
            break;
        case 4: answer_one(); break;
        default: read_events();
        }
    }
    void answer_one() {
        if (executing.empty()) return;
        std::swap(executing[up_to(executing.size() - 1)], executing.back());
        auto& call = executing.back();
        if (random() % 16 == 0 && pending.contains(call.call_id) && pending[call.call_id].may_fail)
            REQUIRE_FALSE(server.fault(call.call_id, rpc_status::nca_fault_cancel));
        else
            REQUIRE_FALSE(server.respond(
                call.call_id, answer_for(call.stub, call.opnum, call.object.has_value())));
        executing.pop_back();
    }
    void read_events() {
        for (auto& e : told_server) {
            if (auto* call = std::get_if<call_received>(&e)) executing.push_back(std::move(*call));
            if (std::holds_alternative<call_orphaned>(e)) ++orphans;
        }
        told_server.clear();
        for (auto& e : told_client) {
            if (auto* done = std::get_if<call_completed>(&e)) {
                REQUIRE(pending.contains(done->call_id));
                REQUIRE(pending[done->call_id].answer == done->stub);
                pending.erase(done->call_id);
                ++completed;
            } else if (auto* lost = std::get_if<call_failed>(&e)) {
                REQUIRE(pending.contains(lost->call_id));
                REQUIRE(pending[lost->call_id].may_fail);
                pending.erase(lost->call_id);
                ++failed;
            } else {
                REQUIRE_FALSE(std::get<context_ready>(e).error);
            }
        }
        told_client.clear();
    }
    void disturb() {
        if (pending.empty()) return;
        auto victim = pending.begin();
        std::advance(victim, static_cast<std::ptrdiff_t>(up_to(pending.size() - 1)));
        victim->second.may_fail = true;
        const auto id = victim->first;
        if (random() % 2 == 0)
            client.cancel(id, told_client);
        else
            client.abandon(id, told_client);
        read_events();
    }
    void settle() {
        for (std::size_t idle = 0; idle < 200;) {
            const bool busy = client.has_output() || server.has_output() || !to_server.empty() ||
                              !to_client.empty() || !executing.empty() || !told_client.empty() ||
                              !told_server.empty();
            idle = busy ? 0 : idle + 1;
            move_one();
        }
    }
};

} // namespace

TEST_CASE("association pair: thousands of calls, answered out of order, each once and rightly") {
    for (unsigned seed = 1; seed <= 12; ++seed) {
        CAPTURE(seed);
        const std::uint16_t sizes[] = {1432, 2000, 4280, 5840};
        world w(seed, sizes[seed % 4], sizes[seed / 4 % 4]);
        REQUIRE(w.client.add_context(test::rpcecho));
        REQUIRE(w.client.add_context(second_interface));
        for (int step = 0; step < 20'000; ++step) {
            if (w.random() % 20 == 0) w.begin(w.random() % 8 == 0 ? w.up_to(30'000) : w.up_to(100));
            w.move_one();
        }
        w.settle();
        CHECK(w.pending.empty());
        CHECK(w.completed > 700);
        CHECK(w.failed == 0);
        CHECK(w.client.calls() == 0);
        CHECK(w.server.calls() == 0);
    }
}

TEST_CASE("association pair: cancels and orphans lose no other call, and none fails twice") {
    for (unsigned seed = 1; seed <= 12; ++seed) {
        CAPTURE(seed);
        world w(seed, 1432, 1432);
        REQUIRE(w.client.add_context(test::rpcecho));
        REQUIRE(w.client.add_context(second_interface));
        for (int step = 0; step < 15'000; ++step) {
            if (w.random() % 20 == 0) w.begin(w.up_to(5'000));
            if (w.random() % 60 == 0) w.disturb();
            w.move_one();
        }
        w.settle();
        CHECK(w.pending.empty());
        CHECK(w.failed > 50);
        CHECK(w.orphans > 0);
        CHECK(w.client.calls() == 0);
        CHECK(w.server.calls() == 0);
    }
}

TEST_CASE("association pair: 16 MiB both ways, byte for byte") {
    world w(1, 5840, 5840);
    REQUIRE(w.client.add_context(test::rpcecho));
    REQUIRE(w.client.add_context(second_interface));
    w.begin(std::size_t{16} << 20);
    w.settle();
    CHECK(w.completed == 1);
}

TEST_CASE("association pair: a connection that breaks fails every call exactly once") {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        world w(seed, 1432, 1432);
        REQUIRE(w.client.add_context(test::rpcecho));
        REQUIRE(w.client.add_context(second_interface));
        for (int step = 0; step < 2000; ++step) {
            if (w.random() % 10 == 0) w.begin(w.up_to(4000));
            w.move_one();
        }
        w.read_events();
        for (auto& [id, p] : w.pending) p.may_fail = true;
        const auto waiting = w.pending.size();
        w.client.close(errc::connection_lost, w.told_client);
        w.client.close(errc::connection_lost, w.told_client);
        CHECK(w.told_client.size() == waiting);
        w.read_events();
        CHECK(w.pending.empty());
    }
}
