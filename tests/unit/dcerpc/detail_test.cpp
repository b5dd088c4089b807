#include <rpch/dcerpc/detail/call_table.hpp>
#include <rpch/dcerpc/detail/control_queue.hpp>
#include <rpch/dcerpc/detail/fifo.hpp>
#include <rpch/dcerpc/detail/fragment_size.hpp>
#include <rpch/dcerpc/detail/reassembly.hpp>

#include <map>
#include <random>

#include <rpch/dcerpc/association_groups.hpp>
#include <rpch/error.hpp>

#include <doctest/doctest.h>

#include "tests/unit/dcerpc/pdus.hpp"

using namespace rpch;
using namespace rpch::dcerpc;
using namespace rpch::dcerpc::detail;

namespace {
struct item {
    std::uint32_t id = 0;
    int value = 0;
};
} // namespace

TEST_CASE(
    "call table: agrees with a map through random additions and removals, colliding ids too") {
    for (const std::uint32_t spread : {1U, 7U, 1U << 12, 1U << 25}) {
        std::mt19937 random(spread);
        call_table<item> table;
        std::map<std::uint32_t, int> model;
        for (int step = 0; step < 20'000; ++step) {
            const auto id = static_cast<std::uint32_t>(random() % 300 * spread);
            if (random() % 2 == 0 && !model.contains(id)) {
                item& made = table.insert(id);
                REQUIRE(made.value == 0);
                model[id] = made.value = step + 1;
            } else {
                table.erase(id);
                model.erase(id);
            }
            REQUIRE(table.size() == model.size());
            const auto other = static_cast<std::uint32_t>(random() % 300 * spread);
            const item* found = table.find(other);
            REQUIRE((found != nullptr) == model.contains(other));
            if (found != nullptr) REQUIRE(found->value == model[other]);
        }
        std::map<std::uint32_t, int> seen;
        table.for_each([&](const item& i) { seen[i.id] = i.value; });
        CHECK(seen == model);
    }
}

TEST_CASE("call table: references last while others come and go") {
    call_table<item> table;
    item& first = table.insert(1);
    for (std::uint32_t id = 2; id < 1000; ++id) table.insert(id);
    for (std::uint32_t id = 2; id < 1000; ++id) table.erase(id);
    CHECK(&first == table.find(1));
}

TEST_CASE("fifo: first in, first out, with removals in the middle") {
    id_fifo q;
    std::uint32_t in = 0, out = 0;
    for (int round = 0; round < 100; ++round) {
        for (int i = 0; i < 7; ++i) q.push(in++);
        for (int i = 0; i < 6; ++i) {
            REQUIRE(q.front() == out++);
            q.pop();
        }
    }
    q.remove(out + 1);
    q.remove(9999);
    CHECK(q.front() == out);
    q.pop();
    CHECK(q.front() == out + 2);
    q.clear();
    CHECK(q.empty());
}

TEST_CASE("control queue: gives back whole PDUs in order, and nothing into too little space") {
    control_queue q;
    CHECK(q.front_size() == 0);
    for (std::uint32_t id = 1; id <= 50; ++id) {
        const auto pdu = test::encoded(call_notice{{.call_id = id}, {}}, pdu_type::co_cancel);
        const auto space = q.append(pdu.size());
        std::copy(pdu.begin(), pdu.end(), space.begin());
    }
    CHECK(q.size() == 50 * 16);
    std::array<std::byte, 16> out{};
    for (std::uint32_t id = 1; id <= 50; ++id) {
        REQUIRE(q.front_size() == 16);
        CHECK(q.pop(byte_span(out).first(15)) == 0);
        REQUIRE(q.pop(out) == 16);
        CHECK(decode_common_header(out)->call_id == id);
    }
    CHECK(q.empty());
    CHECK(q.pop(out) == 0);
}

TEST_CASE("fragment sizes: nobody goes below what all must receive, all are multiples of 8") {
    static_assert(usable_fragment(0) == 1432);
    static_assert(usable_fragment(1433) == 1432);
    static_assert(proposed_fragment(0) == 2048);
    static_assert(proposed_fragment(1431) == 2048);
    static_assert(proposed_fragment(1432) == 1432);
    static_assert(usable_fragment(5840) == 5840);
    static_assert(usable_fragment(0xFFFF) == 0xFFF8);
    static_assert(stub_share(5816, 5840, 24) == 5816);
    static_assert(stub_share(5817, 5840, 24) == 5816);
    static_assert(stub_share(5, 5840, 24) == 5);
    static_assert(stub_share(100, 100, 24) == 72);
    CHECK(true);
}

TEST_CASE("reassembly: fragments in order make the stub, whatever their sizes") {
    const auto stub = test::pattern(10'000);
    for (const std::size_t share : {1U, 8U, 999U, 9'999U, 10'000U}) {
        reassembly_budget budget{100'000, 100'000, 0};
        reassembly r;
        for (std::size_t at = 0; at < stub.size(); at += share) {
            common_header h;
            if (at == 0) h.flags |= pfc::first_frag;
            const auto part = byte_view(stub).subspan(at, std::min(share, stub.size() - at));
            if (at + share >= stub.size()) h.flags |= pfc::last_frag;
            REQUIRE_FALSE(r.add(h, 3, 0, part, budget));
            REQUIRE(budget.held == at + part.size());
        }
        CHECK(r.take(budget) == stub);
        CHECK(budget.held == 0);
    }
}

TEST_CASE("reassembly: what does not belong together is refused") {
    const auto part = test::pattern(8);
    reassembly_budget budget{100, 100, 0};
    const common_header first{.flags = pfc::first_frag};
    const common_header middle{};
    const common_header turned{.order = core::byte_order::big};
    reassembly r;
    CHECK(r.add(middle, 0, 0, part, budget) == errc::fragment_order);
    CHECK_FALSE(r.add(first, 0, 0, part, budget));
    CHECK(r.add(first, 0, 0, part, budget) == errc::fragment_order);
    CHECK(r.add(middle, 1, 0, part, budget) == errc::fragment_order);
    CHECK(r.add(turned, 0, 0, part, budget) == errc::fragment_order);
    CHECK_FALSE(r.add(middle, 0, 0, part, budget));
}

TEST_CASE("reassembly: both budgets hold to the byte") {
    const auto stub = test::pattern(101);
    const common_header first{.flags = pfc::first_frag};
    const common_header middle{};
    for (const bool total : {false, true}) {
        reassembly_budget budget{total ? 1000U : 100U, total ? 100U : 1000U, 0};
        reassembly r;
        CHECK_FALSE(r.add(first, 0, 0, byte_view(stub).first(60), budget));
        CHECK(r.add(middle, 0, 0, byte_view(stub).first(41), budget) == errc::too_large);
        CHECK_FALSE(r.add(middle, 0, 0, byte_view(stub).first(40), budget));
        CHECK(r.add(middle, 0, 0, byte_view(stub).first(1), budget) == errc::too_large);
        CHECK_FALSE(r.add(middle, 0, 0, {}, budget));
    }
}

TEST_CASE("reassembly: a lying alloc_hint reserves no more than four times what came") {
    const auto part = test::pattern(100);
    reassembly_budget budget{std::size_t{1} << 30, std::size_t{1} << 30, 0};
    reassembly r;
    REQUIRE_FALSE(r.add({.flags = pfc::first_frag}, 0, 0xFFFF'FFFF, part, budget));
    CHECK(r.take(budget).capacity() <= 400);
    reassembly honest;
    REQUIRE_FALSE(honest.add({.flags = pfc::first_frag}, 0, 350, part, budget));
    CHECK(honest.take(budget).capacity() == 350);
    reassembly bounded;
    reassembly_budget small{150, 1000, 0};
    REQUIRE_FALSE(bounded.add({.flags = pfc::first_frag}, 0, 0xFFFF'FFFF, part, small));
    CHECK(bounded.take(small).capacity() <= 150);
}

TEST_CASE("association groups: joined from where they were begun alone") {
    association_groups groups;
    const auto here = groups.join(0, "192.0.2.1"), unknown = groups.join(0);
    CHECK(groups.join(here, "192.0.2.1") == here);
    CHECK(groups.join(here, "192.0.2.2") == 0);
    CHECK(groups.join(here) == 0);
    CHECK(groups.join(unknown, "192.0.2.1") == 0);
    groups.leave(here);
    CHECK(groups.contains(here));
    groups.leave(here);
    CHECK_FALSE(groups.contains(here));
    CHECK(groups.join(here, "192.0.2.1") == 0);
    CHECK(groups.size() == 1);
}

TEST_CASE("association groups: joined by id, counted, and gone with the last connection") {
    association_groups groups{0xFFFF'FFFF};
    const auto a = groups.join(0);
    const auto b = groups.join(0);
    CHECK(a == 0xFFFF'FFFF);
    CHECK(b == 1); // 0 is no id
    CHECK(groups.join(a) == a);
    CHECK(groups.join(77) == 0);
    CHECK(groups.size() == 2);
    groups.leave(a);
    CHECK(groups.join(a) == a);
    groups.leave(a);
    groups.leave(a);
    CHECK(groups.join(a) == 0);
    groups.leave(a);
    groups.leave(0);
    CHECK(groups.size() == 1);
}
