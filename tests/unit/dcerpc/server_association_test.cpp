#include <rpch/dcerpc/server_association.hpp>

#include <memory>
#include <set>

#include <rpch/limits.hpp>

#include <doctest/doctest.h>

#include "tests/unit/dcerpc/pdus.hpp"

using namespace rpch;
using namespace rpch::dcerpc;
using core::to_hex;

namespace {

const interface_id samr{"12345778-1234-abcd-ef00-0123456789ac", 1, 2};
const interface_id ndr64{"71710533-beba-4937-8319-b5dbef9ccc36", 1, 0};

struct fresh_server {
    std::vector<offered_interface> offered{{test::rpcecho, {}}, {samr, {}}};
    association_groups groups{0x1000};
    server_association machine;
    server_event_list events{};

    explicit fresh_server(const server_association_options& o = {.secondary_address = "6001"})
        : machine(offered, groups, o) {}
    std::error_code take(const test::bytes& pdu) { return machine.on_pdu(pdu, events); }
    test::bytes output() { return test::next_output(machine); }
};

struct bound_server : fresh_server {
    explicit bound_server(const server_association_options& o = {}) : fresh_server(o) {
        REQUIRE_FALSE(take(test::vector_file("dcerpc/impacket_bind.hex")));
        REQUIRE(peek_type(output()) == pdu_type::bind_ack);
        REQUIRE_FALSE(machine.has_output());
    }
    const call_received& received(std::size_t i = 0) {
        return std::get<call_received>(events.at(i));
    }
};

test::bytes request_for(std::uint32_t id, const test::bytes& stub = {},
                        std::uint8_t flags = test::whole, std::uint16_t opnum = 0,
                        std::uint16_t context = 0) {
    request r;
    r.header.call_id = id;
    r.header.flags = flags;
    r.context_id = context;
    r.opnum = opnum;
    r.stub = stub;
    return test::encoded(r);
}

struct parsed_fault {
    std::uint32_t call_id;
    rpc_status status;
    bool did_not_execute;
};
parsed_fault as_fault(const test::bytes& pdu) {
    const auto f = decode_fault(pdu);
    REQUIRE(f);
    CHECK(f->alloc_hint == 32);
    return {f->header.call_id, f->status, (f->header.flags & pfc::did_not_execute) != 0};
}

bind bind_for(std::vector<presentation_context> contexts) {
    bind b;
    b.header = {.flags = test::whole, .call_id = 1};
    b.max_xmit_frag = 5840;
    b.max_recv_frag = 5840;
    b.contexts = std::move(contexts);
    return b;
}

} // namespace

TEST_CASE("server association: answers Samba's bind and its features, byte for byte") {
    fresh_server s;
    REQUIRE_FALSE(s.take(test::vector_file("dcerpc/samba_bind.hex")));
    REQUIRE(s.machine.has_output());
    CHECK(s.machine.next_output_size() == 84);
    CHECK(to_hex(s.output()) ==
          to_hex(test::hex("05000c03 10000000 5400 0000 01000000 d016 d016 00100000"
                           "0500 3630303100 00 02000000"
                           "0000 0000 045d888aeb1cc9119fe808002b104860 02000000"
                           "0300 0300 00000000000000000000000000000000 00000000")));
    CHECK_FALSE(s.machine.has_output());
    CHECK(s.machine.is_bound());
    CHECK(s.machine.assoc_group_id() == 0x1000);
}

TEST_CASE("server association: impacket's bind gets impacket's fragment size") {
    fresh_server s({.secondary_address = "49152"});
    REQUIRE_FALSE(s.take(test::vector_file("dcerpc/impacket_bind.hex")));
    const auto pdu = s.output();
    const auto a = decode_bind_ack(pdu);
    REQUIRE(a);
    CHECK(a->max_xmit_frag == 4280);
    CHECK(a->max_recv_frag == 4280);
    CHECK(a->secondary_address == "49152");
    CHECK(a->results == std::vector{context_result{context_answer::acceptance, 0, ndr20}});
}

TEST_CASE("server association: fragment sizes are the least proposal, rounded, and never below the "
          "floor") {
    const auto negotiated = [](std::uint16_t xmit, std::uint16_t recv) {
        fresh_server s;
        auto b = bind_for({{0, test::rpcecho, {ndr20}}});
        b.max_xmit_frag = xmit;
        b.max_recv_frag = recv;
        REQUIRE_FALSE(s.take(test::encoded(b)));
        CHECK(decode_bind_ack(s.output())->max_recv_frag == s.machine.fragment_bytes());
        return s.machine.fragment_bytes();
    };
    CHECK(negotiated(0xFFFF, 0xFFFF) == 5840);
    CHECK(negotiated(0xFFFF, 3199) == 3192);
    CHECK(negotiated(3199, 0xFFFF) == 3192);
    CHECK(negotiated(0, 0) == 2048);
    CHECK(negotiated(1439, 1500) == 1432);
}

TEST_CASE("server association: multiplexing is agreed to where it was asked for") {
    for (const bool asked : {false, true}) {
        fresh_server s;
        auto b = bind_for({{0, test::rpcecho, {ndr20}}});
        if (asked) b.header.flags |= pfc::concurrent_multiplexing;
        REQUIRE_FALSE(s.take(test::encoded(b)));
        const auto flags = std::to_integer<unsigned>(s.output()[3]);
        CHECK(flags == (test::whole | (asked ? pfc::concurrent_multiplexing : 0U)));
    }
}

TEST_CASE("server association: interfaces match by major version, and minor up to the server's") {
    const auto answer = [](const interface_id& wanted,
                           std::vector<interface_id> syntaxes = {ndr20}) {
        fresh_server s;
        REQUIRE_FALSE(s.take(test::encoded(bind_for({{0, wanted, std::move(syntaxes)}}))));
        const auto pdu = s.output();
        return decode_bind_ack(pdu)->results.at(0);
    };
    const auto rejected = [](provider_reason r) {
        return context_result{
            context_answer::provider_rejection, static_cast<std::uint16_t>(r), {}};
    };
    const context_result accepted{context_answer::acceptance, 0, ndr20};
    for (std::uint16_t minor = 0; minor < 3; ++minor)
        CHECK(answer({samr.id, 1, minor}) == accepted);
    CHECK(answer({samr.id, 1, 3}) == rejected(provider_reason::abstract_syntax_not_supported));
    CHECK(answer({samr.id, 2, 0}) == rejected(provider_reason::abstract_syntax_not_supported));
    CHECK(answer({samr.id, 0, 0}) == rejected(provider_reason::abstract_syntax_not_supported));
    CHECK(answer(ndr20) == rejected(provider_reason::abstract_syntax_not_supported));
    CHECK(answer(samr, {ndr64, ndr20}) == accepted);
    CHECK(answer(samr, {ndr64}) == rejected(provider_reason::transfer_syntaxes_not_supported));
}

TEST_CASE("server association: of several transfer syntaxes the server's preference wins") {
    const std::vector<offered_interface> offered{{samr, {ndr64, ndr20}}};
    association_groups groups;
    server_event_list events;
    for (const auto& [asked, wins] :
         {std::pair{std::vector{ndr20, ndr64}, ndr64}, std::pair{std::vector{ndr20}, ndr20}}) {
        server_association m(offered, groups);
        REQUIRE_FALSE(m.on_pdu(test::encoded(bind_for({{0, samr, asked}})), events));
        const auto pdu = test::next_output(m);
        CHECK(decode_bind_ack(pdu)->results.at(0).transfer_syntax == wins);
    }
}

TEST_CASE("server association: alter_context adds contexts, and tells no address") {
    bound_server s({.secondary_address = "6001"});
    auto b = bind_for({{7, samr, {ndr20}}, {8, ndr20, {ndr20}}});
    b.assoc_group_id = 0xFFFF; // not looked at any more
    b.max_recv_frag = 1432;
    REQUIRE_FALSE(s.take(test::encoded(b, pdu_type::alter_context)));
    const auto pdu = s.output();
    const auto a = decode_bind_ack(pdu, pdu_type::alter_context_resp);
    REQUIRE(a);
    CHECK(a->secondary_address.empty());
    CHECK(a->max_recv_frag == 4280);
    CHECK(a->results.at(0).answer == context_answer::acceptance);
    CHECK(a->results.at(1).answer == context_answer::provider_rejection);
    REQUIRE_FALSE(s.take(request_for(5, {}, test::whole, 3, 7)));
    CHECK(s.received().interface == 1);
    CHECK(s.received().opnum == 3);
    REQUIRE_FALSE(s.take(request_for(6, {}, test::whole, 3, 8)));
    CHECK(as_fault(s.output()).status == rpc_status::nca_unk_if);
}

TEST_CASE("server association: a context id keeps its meaning") {
    bound_server s;
    REQUIRE_FALSE(
        s.take(test::encoded(bind_for({{0, test::rpcecho, {ndr20}}}), pdu_type::alter_context)));
    auto pdu = s.output();
    CHECK(decode_bind_ack(pdu, pdu_type::alter_context_resp)->results.at(0).answer ==
          context_answer::acceptance);
    REQUIRE_FALSE(s.take(test::encoded(bind_for({{0, samr, {ndr20}}}), pdu_type::alter_context)));
    pdu = s.output();
    CHECK(decode_bind_ack(pdu, pdu_type::alter_context_resp)->results.at(0).answer ==
          context_answer::provider_rejection);
    REQUIRE_FALSE(s.take(request_for(1)));
    CHECK(s.received().interface == 0);
}

TEST_CASE("server association: contexts are limited") {
    server_association_options o;
    o.limits.contexts_per_interface_max = 1; // there are two interfaces
    fresh_server s(o);
    const auto altered = [&](const std::vector<presentation_context>& contexts) {
        REQUIRE_FALSE(s.take(test::encoded(bind_for(contexts), pdu_type::alter_context)));
        return s.output();
    };
    REQUIRE_FALSE(
        s.take(test::encoded(bind_for({{0, samr, {ndr20}}, {1, test::rpcecho, {ndr20}}}))));
    s.output();
    CHECK(decode_bind_nak(altered({{2, samr, {ndr20}}}))->reason ==
          bind_reject_reason::local_limit_exceeded);
    // What makes no further context is answered as ever, and calls go on.
    const auto same = altered({{0, samr, {ndr20}}, {7, interface_id{}, {ndr20}}});
    CHECK(decode_bind_ack(same, pdu_type::alter_context_resp)->results.at(0).answer ==
          context_answer::acceptance);
    REQUIRE_FALSE(s.take(request_for(1)));
    CHECK(std::get<call_received>(s.events.at(0)).interface == 1); // samr
}

TEST_CASE("server association: a bind with more contexts than the server keeps is refused") {
    server_association_options o;
    o.limits.contexts_per_interface_max = 0;
    fresh_server s(o);
    CHECK(s.take(test::encoded(bind_for({{0, samr, {ndr20}}}))) == errc::too_many);
    CHECK(decode_bind_nak(s.output())->reason == bind_reject_reason::local_limit_exceeded);
}

TEST_CASE("server association: association groups are joined, and left with the machine") {
    const std::vector<offered_interface> offered{{test::rpcecho, {}}};
    association_groups groups{5};
    server_event_list events;
    {
        server_association first(offered, groups), second(offered, groups),
            stranger(offered, groups);
        auto b = bind_for({{0, test::rpcecho, {ndr20}}});
        REQUIRE_FALSE(first.on_pdu(test::encoded(b), events));
        b.assoc_group_id = first.assoc_group_id();
        REQUIRE_FALSE(second.on_pdu(test::encoded(b), events));
        CHECK(second.assoc_group_id() == first.assoc_group_id());
        b.assoc_group_id = 99;
        CHECK(stranger.on_pdu(test::encoded(b), events) == errc::bad_value);
        CHECK(decode_bind_nak(test::next_output(stranger))->reason ==
              bind_reject_reason::not_specified);
        CHECK(groups.size() == 1);
        first.close(errc::connection_lost);
        CHECK(groups.size() == 1);
    }
    CHECK(groups.size() == 0);
}

TEST_CASE(
    "server association: what impacket and Samba call arrives, the answer is theirs to read") {
    bound_server s;
    REQUIRE_FALSE(s.take(test::vector_file("dcerpc/impacket_request_1.hex")));
    REQUIRE(s.events.size() == 1);
    CHECK(s.received().call_id == 1);
    CHECK(s.received().interface == 0);
    CHECK(s.received().opnum == 0);
    CHECK_FALSE(s.received().object);
    CHECK(to_hex(s.received().stub) == "29000000");
    CHECK_FALSE(s.machine.respond(1, test::hex("2a000000")));
    CHECK(to_hex(s.output()) ==
          to_hex(test::hex("05000203 10000000 1c00 0000 01000000 04000000 0000 00 00 2a000000")));
    CHECK(s.machine.calls() == 0);
    CHECK(s.machine.respond(1, {}) == errc::bad_call_id);
    CHECK(s.machine.fault(1, rpc_status::access_denied) == errc::bad_call_id);
}

TEST_CASE("server association: byte order and object of a request are told") {
    bound_server s;
    request r;
    r.header = {.flags = test::whole, .order = core::byte_order::big, .call_id = 3};
    r.object = uuid{"01234567-89ab-cdef-0123-456789abcdef"};
    REQUIRE_FALSE(s.take(test::encoded(r)));
    CHECK(s.received().order == core::byte_order::big);
    CHECK(s.received().object == r.object);
}

TEST_CASE("server association: responses around the maximum fragment") {
    const std::size_t full = 4280 - 24; // 4256 is a multiple of 8
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, full - 1, full, full + 1,
                                   2 * full, 2 * full + 1, std::size_t{100'000}}) {
        CAPTURE(size);
        bound_server s;
        REQUIRE_FALSE(s.take(request_for(1)));
        const auto stub = test::pattern(size);
        REQUIRE_FALSE(s.machine.respond(1, stub));
        test::bytes joined;
        while (s.machine.has_output()) {
            const auto expected = s.machine.next_output_size();
            const auto pdu = s.output();
            const auto r = decode_response(pdu);
            REQUIRE(r);
            CHECK(pdu.size() == expected);
            CHECK(pdu.size() <= 4280);
            CHECK(r->header.is_first() == joined.empty());
            CHECK(r->alloc_hint == size - joined.size());
            joined.insert(joined.end(), r->stub.begin(), r->stub.end());
            CHECK(r->header.is_last() == (joined.size() == size));
            if (!r->header.is_last()) CHECK(r->stub.size() % 8 == 0);
        }
        CHECK(joined == stub);
    }
}

TEST_CASE("server association: requests arrive in fragments and are answered in any order") {
    bound_server s;
    const auto part = test::pattern(8);
    REQUIRE_FALSE(s.take(request_for(2, part, pfc::first_frag)));
    REQUIRE_FALSE(s.take(request_for(2, part, pfc::last_frag)));
    REQUIRE_FALSE(s.take(request_for(1, part, pfc::first_frag)));
    REQUIRE_FALSE(s.take(request_for(1, part, 0)));
    REQUIRE_FALSE(s.take(request_for(1, part, pfc::last_frag)));
    CHECK(s.received(0).call_id == 2);
    CHECK(s.received(0).stub.size() == 16);
    CHECK(s.received(1).call_id == 1);
    CHECK(s.received(1).stub.size() == 24);
    REQUIRE_FALSE(s.machine.respond(1, test::pattern(5000)));
    REQUIRE_FALSE(s.machine.respond(2, {}));
    std::vector<std::uint32_t> order;
    while (s.machine.has_output()) order.push_back(decode_response(s.output())->header.call_id);
    CHECK(order == std::vector<std::uint32_t>{1, 1, 2});
}

TEST_CASE("server association: a fault overtakes data, between its fragments") {
    bound_server s;
    REQUIRE_FALSE(s.take(request_for(1)));
    REQUIRE_FALSE(s.take(request_for(2)));
    REQUIRE_FALSE(s.machine.respond(1, test::pattern(9000)));
    CHECK(peek_type(s.output()) == pdu_type::response);
    REQUIRE_FALSE(s.machine.fault(2, rpc_status::nca_op_rng_error, true));
    const auto f = as_fault(s.output());
    CHECK(f.call_id == 2);
    CHECK(f.status == rpc_status::nca_op_rng_error);
    CHECK(f.did_not_execute);
    CHECK(peek_type(s.output()) == pdu_type::response);
}

// [MS-RPCE] 3.3.3.5.1, the whole table
TEST_CASE("server association: a fault carries neither success nor an exception of the processor") {
    const auto told = [](std::uint32_t status) {
        bound_server s;
        REQUIRE_FALSE(s.take(request_for(1)));
        REQUIRE_FALSE(s.machine.fault(1, static_cast<rpc_status>(status)));
        return static_cast<std::uint32_t>(as_fault(s.output()).status);
    };
    const auto unspecified = static_cast<std::uint32_t>(rpc_status::nca_fault_unspec);
    for (const std::uint32_t forbidden :
         {0x0000'0000U, 0x8000'0001U, 0x8000'0002U, 0x8000'0003U, 0xC000'0005U, 0xC000'0006U,
          0xC000'001DU, 0xC000'0096U, 0xC000'00AAU, 0xC000'00FDU, 0xC000'0194U, 0xC000'0235U,
          0xC000'0409U, 0xC000'0420U}) {
        CAPTURE(forbidden);
        CHECK(told(forbidden) == unspecified);
        // Whatever is not in the table is the application's own business.
        for (const std::uint32_t other : {forbidden + 0x1000, forbidden ^ 0x2000'0000})
            CHECK(told(other) == other);
    }
    CHECK(told(1) == 1);
}

TEST_CASE("server association: an unknown context faults the call and the connection lives") {
    bound_server s;
    REQUIRE_FALSE(s.take(request_for(9, {}, test::whole, 0, 12345)));
    CHECK(to_hex(s.output()) ==
          to_hex(test::hex(
              "05000323 10000000 2000 0000 09000000 20000000 0000 00 00 0300011c 00000000")));
    REQUIRE_FALSE(s.take(request_for(10, {}, pfc::first_frag, 0, 12345)));
    CHECK(as_fault(s.output()).status == rpc_status::nca_unk_if);
    REQUIRE_FALSE(s.take(request_for(10, {}, 0, 0, 12345)));
    REQUIRE_FALSE(s.take(request_for(10, {}, pfc::last_frag, 0, 12345)));
    CHECK_FALSE(s.machine.has_output()); // one fault a call
    REQUIRE_FALSE(
        s.take(request_for(11, {}, pfc::first_frag | pfc::maybe | pfc::last_frag, 0, 12345)));
    CHECK_FALSE(s.machine.has_output()); // none for a call that wants no answer
    REQUIRE_FALSE(s.take(request_for(10)));
    CHECK(s.received().call_id == 10);
}

TEST_CASE("server association: more calls than the limit are told to come later") {
    server_association_options o;
    o.limits.calls_max = 2;
    bound_server s(o);
    for (std::uint32_t id = 1; id <= 3; ++id) REQUIRE_FALSE(s.take(request_for(id)));
    CHECK(s.events.size() == 2);
    const auto f = as_fault(s.output());
    CHECK(f.call_id == 3);
    CHECK(f.status == rpc_status::nca_server_too_busy);
    CHECK(f.did_not_execute);
    REQUIRE_FALSE(s.machine.respond(1, {}));
    s.output();
    REQUIRE_FALSE(s.take(request_for(4)));
    CHECK(s.events.size() == 3);
}

TEST_CASE("server association: a client that makes faults and reads none is closed") {
    server_association_options o;
    o.limits.control_bytes_max = 100;
    bound_server s(o);
    for (std::uint32_t id = 1; id <= 4; ++id)
        REQUIRE_FALSE(s.take(request_for(id, {}, test::whole, 0, 9)));
    CHECK(s.take(request_for(5, {}, test::whole, 0, 9)) == errc::too_large);
}

TEST_CASE("server association: cancels are told once, after the call they belong to") {
    bound_server s;
    REQUIRE_FALSE(
        s.take(test::notice(pdu_type::co_cancel, 1))); // no such call: it crossed the answer
    REQUIRE_FALSE(s.take(request_for(1, {}, pfc::first_frag)));
    REQUIRE_FALSE(s.take(test::notice(pdu_type::co_cancel, 1)));
    CHECK(s.events.empty());
    REQUIRE_FALSE(s.take(request_for(1, {}, pfc::last_frag)));
    REQUIRE(s.events.size() == 2);
    CHECK(std::get<call_cancelled>(s.events[1]).call_id == 1);
    REQUIRE_FALSE(s.take(test::notice(pdu_type::co_cancel, 1)));
    CHECK(s.events.size() == 2);
    REQUIRE_FALSE(s.machine.respond(1, {}));
    CHECK(decode_response(s.output())->cancel_count == 1); // of the whole request

    REQUIRE_FALSE(s.take(request_for(2, {}, pfc::first_frag)));
    REQUIRE_FALSE(s.take(request_for(2, {}, pfc::last_frag | pfc::pending_cancel)));
    REQUIRE(s.events.size() == 4);
    CHECK(std::get<call_cancelled>(s.events[3]).call_id == 2);
    REQUIRE_FALSE(s.take(request_for(3)));
    REQUIRE_FALSE(s.take(test::notice(pdu_type::co_cancel, 3)));
    CHECK(std::get<call_cancelled>(s.events.at(5)).call_id == 3);
}

TEST_CASE("server association: orphaned drops a call wherever it is, if that was agreed") {
    fresh_server s;
    REQUIRE_FALSE(s.take(test::encoded(bind_for(
        {{0, test::rpcecho, {ndr20}},
         {1, test::rpcecho, {feature_syntax(bind_feature::keep_connection_on_orphan)}}}))));
    s.output();
    REQUIRE_FALSE(s.take(test::notice(pdu_type::orphaned, 77)));
    REQUIRE_FALSE(s.take(request_for(1, test::pattern(8), pfc::first_frag))); // arriving
    REQUIRE_FALSE(s.take(test::notice(pdu_type::orphaned, 1)));
    CHECK(s.machine.calls() == 0);
    CHECK(s.events.empty());

    REQUIRE_FALSE(s.take(request_for(2))); // executing
    REQUIRE_FALSE(s.take(test::notice(pdu_type::orphaned, 2)));
    REQUIRE_FALSE(s.take(test::notice(pdu_type::orphaned, 2)));
    REQUIRE(s.events.size() == 2);
    CHECK(std::get<call_orphaned>(s.events[1]).call_id == 2);
    CHECK(s.machine.calls() == 1);
    CHECK_FALSE(s.machine.respond(2, test::pattern(8)));
    CHECK_FALSE(s.machine.has_output());
    CHECK(s.machine.calls() == 0);

    REQUIRE_FALSE(s.take(request_for(3))); // answering
    REQUIRE_FALSE(s.take(request_for(4)));
    REQUIRE_FALSE(s.machine.respond(3, test::pattern(9000)));
    REQUIRE_FALSE(s.machine.respond(4, {}));
    s.output();
    REQUIRE_FALSE(s.take(test::notice(pdu_type::orphaned, 3)));
    CHECK(decode_response(s.output())->header.call_id == 4);
    CHECK_FALSE(s.machine.has_output());

    REQUIRE_FALSE(s.take(request_for(5)));
    REQUIRE_FALSE(s.take(test::notice(pdu_type::orphaned, 5)));
    CHECK_FALSE(s.machine.fault(5, rpc_status::nca_fault_cancel));
    CHECK_FALSE(s.machine.has_output());
}

TEST_CASE("server association: a maybe call is delivered and never answered") {
    bound_server s;
    REQUIRE_FALSE(s.take(request_for(1, {}, test::whole | pfc::maybe)));
    CHECK(s.received().maybe);
    CHECK_FALSE(s.machine.respond(1, test::pattern(8)));
    CHECK_FALSE(s.machine.has_output());
    CHECK(s.machine.calls() == 0);
}

TEST_CASE("server association: broken fragments get a fault as last word and end the connection") {
    const auto ends = [](std::vector<test::bytes> pdus, std::error_code why, rpc_status status) {
        server_association_options o;
        o.limits.call_bytes_max = 100;
        o.limits.reassembly_bytes_max = 150;
        bound_server s(o);
        for (std::size_t i = 0; i + 1 < pdus.size(); ++i) REQUIRE_FALSE(s.take(pdus[i]));
        s.events.clear();
        CHECK(s.take(pdus.back()) == why);
        CHECK(s.events.empty());
        CHECK(s.machine.closed_with() == why);
        CHECK(s.machine.has_output());
        CHECK(as_fault(s.output()).status == status);
        CHECK_FALSE(s.machine.has_output());
        CHECK(s.take(request_for(99)) == why);
        CHECK(s.machine.respond(1, {}) == why);
        CHECK(s.machine.calls() == 0);
        CHECK(s.groups.size() == 0);
    };
    const auto proto = rpc_status::nca_proto_error;
    const auto part = test::pattern(60);
    const auto first = request_for(1, part, pfc::first_frag);
    ends({first, first}, errc::fragment_order, proto);
    ends({request_for(1, part, 0)}, errc::fragment_order, proto);
    ends({request_for(1, part, pfc::last_frag)}, errc::fragment_order, proto);
    ends({request_for(1), request_for(1)}, errc::fragment_order, proto); // the id is in use
    ends({request_for(1), request_for(1, {}, 0)}, errc::fragment_order, proto);
    ends({first, request_for(1, part, 0)}, errc::too_large, rpc_status::access_denied);
    ends({first, request_for(2, part, pfc::first_frag)}, errc::fragment_order, proto);
    ends({test::with_length(request_for(1), 5841)}, errc::bad_frag_length, proto);
    ends({test::hex("05000003 10000000 1700 0000 01000000 00000000 000000")}, errc::truncated,
         proto);
    auto no_syntax = test::encoded(bind_for({{0, samr, {}}}), pdu_type::alter_context);
    no_syntax.resize(28 + 44);
    ends({test::with_length(no_syntax, 28 + 44)}, errc::bad_value, proto);

    request turned;
    turned.header = {.flags = pfc::last_frag, .order = core::byte_order::big, .call_id = 1};
    ends({first, test::encoded(turned)}, errc::fragment_order, proto);
    request object;
    object.header = {.flags = pfc::last_frag, .call_id = 1};
    object.object = uuid{"01234567-89ab-cdef-0123-456789abcdef"};
    ends({first, test::encoded(object)}, errc::fragment_order, proto);
}

// Windows Server 2012 R2 does so, as Samba's tests of raw PDUs found.
TEST_CASE("server association: only the first fragment says context and operation") {
    bound_server s;
    REQUIRE_FALSE(s.take(request_for(1, test::pattern(8), pfc::first_frag, 3)));
    REQUIRE_FALSE(s.take(request_for(1, test::pattern(8), pfc::last_frag, 111, 111)));
    CHECK(s.received().opnum == 3);
}

TEST_CASE("server association: without security providers each PDU is refused in its own way") {
    fresh_server s;
    CHECK(s.take(test::vector_file("dcerpc/samba_ntlm_bind.hex")) == errc::security_not_supported);
    CHECK(to_hex(s.output()) ==
          to_hex(test::hex("05000d03 10000000 1800 0000 01000000 0800 01 0500 000000")));
    CHECK_FALSE(s.machine.has_output());

    fresh_server kerberos;
    CHECK(kerberos.take(test::vector_file("dcerpc/samba_krb5_bind.hex")) ==
          errc::security_not_supported);
    bound_server request;
    CHECK(request.take(test::vector_file("dcerpc/samba_ntlm_request_1.hex")) ==
          errc::security_downgrade);
    CHECK(as_fault(request.output()).status == rpc_status::access_denied);
    bound_server third;
    CHECK(third.take(test::vector_file("dcerpc/samba_ntlm_auth3.hex")) == errc::bad_security_token);
    CHECK(as_fault(third.output()).status == rpc_status::nca_proto_error);
    bound_server alter;
    auto pdu = test::vector_file("dcerpc/samba_ntlm_bind.hex");
    pdu[2] = std::byte{14};
    CHECK(alter.take(pdu) == errc::security_not_supported);
    CHECK(as_fault(alter.output()).status == rpc_status::access_denied);
}

TEST_CASE("server association: before bind only a bind is taken, afterwards none") {
    for (const auto& pdu :
         {request_for(1), test::encoded(bind_for({{0, samr, {ndr20}}}), pdu_type::alter_context)}) {
        fresh_server s;
        CHECK(s.take(pdu) == errc::unexpected_pdu);
        CHECK(as_fault(s.output()).status == rpc_status::nca_proto_error);
    }
    bound_server again;
    CHECK(again.take(test::vector_file("dcerpc/samba_bind.hex")) == errc::unexpected_pdu);
    CHECK(peek_type(again.output()) == pdu_type::bind_nak);
    for (const auto type : {2, 3, 12, 13, 15, 17, 20}) {
        bound_server s;
        auto pdu = test::hex("05000003 10000000 1000 0000 01000000");
        pdu[2] = static_cast<std::byte>(type);
        CHECK(s.take(pdu) == errc::unexpected_pdu);
        CHECK_FALSE(s.machine.has_output());
    }
}

TEST_CASE("server association: a bind of another protocol version is told which one is spoken") {
    fresh_server s;
    auto pdu = test::vector_file("dcerpc/samba_bind.hex");
    pdu[0] = std::byte{6};
    CHECK(s.take(pdu) == errc::bad_version);
    CHECK(decode_bind_nak(s.output())->reason ==
          bind_reject_reason::protocol_version_not_supported);
    fresh_server malformed;
    CHECK(malformed.take(test::with_length(test::vector_file("dcerpc/samba_bind.hex"), 100)) ==
          errc::truncated);
    CHECK(decode_bind_nak(malformed.output())->reason == bind_reject_reason::not_specified);
}

TEST_CASE("server association: shutdown is asked for, close drops everything") {
    bound_server s;
    s.machine.request_shutdown();
    CHECK(peek_type(s.output()) == pdu_type::shutdown);
    REQUIRE_FALSE(s.take(request_for(1)));
    REQUIRE_FALSE(s.machine.respond(1, test::pattern(100)));
    s.machine.close(errc::operation_aborted);
    CHECK_FALSE(s.machine.has_output());
    CHECK(s.machine.next_output_size() == 0);
    CHECK(s.machine.calls() == 0);
    CHECK(s.take(request_for(2)) == errc::operation_aborted);
}

TEST_CASE("server association: a response above the limit becomes a fault") {
    server_association_options o;
    o.limits.call_bytes_max = 100;
    bound_server s(o);
    REQUIRE_FALSE(s.take(request_for(1)));
    CHECK(s.machine.respond(1, test::pattern(101)) == errc::too_large);
    CHECK(as_fault(s.output()).status == rpc_status::nca_out_args_too_big);
}

namespace {

/// Two connections that share what an interface may hold.
struct limited_servers {
    std::shared_ptr<stub_budget> budget = std::make_shared<stub_budget>();
    std::vector<offered_interface> offered{{test::rpcecho, {}, {}, budget}, {samr, {}}};
    association_groups groups{0x1000};
    server_association one{offered, groups};
    server_association two{offered, groups};
    server_event_list events{};

    explicit limited_servers(std::size_t bytes_max) {
        budget->bytes_max = bytes_max;
        for (server_association* each : {&one, &two}) {
            REQUIRE_FALSE(each->on_pdu(test::vector_file("dcerpc/impacket_bind.hex"), events));
            REQUIRE(peek_type(test::next_output(*each)) == pdu_type::bind_ack);
        }
    }
    void take(server_association& by, const test::bytes& pdu) {
        REQUIRE_FALSE(by.on_pdu(pdu, events));
    }
};

} // namespace

TEST_CASE("server association: what an interface may hold is judged as fragments arrive, on all "
          "connections together") {
    limited_servers s(1000);
    const test::bytes part = test::pattern(400);
    s.take(s.one, request_for(1, part, pfc::first_frag));
    s.take(s.two, request_for(1, part, pfc::first_frag));
    CHECK(s.budget->held == 800);
    s.take(s.one, request_for(1, part, 0)); // not before the last fragment, and no byte is kept
    CHECK(s.budget->held == 400);
    CHECK(s.one.calls() == 0);
    const auto f = as_fault(test::next_output(s.one));
    CHECK(f.call_id == 1);
    CHECK(f.status == rpc_status::nca_server_too_busy);
    CHECK(f.did_not_execute);
    // What else comes of it is dropped, and the connection goes on.
    s.take(s.one, request_for(1, part, 0));
    s.take(s.one, request_for(1, part, pfc::last_frag));
    CHECK(s.events.empty());
    CHECK_FALSE(s.one.has_output());
    s.take(s.two, request_for(1, part, pfc::last_frag));
    REQUIRE(s.events.size() == 1);
    CHECK(std::get<call_received>(s.events[0]).stub.size() == 800);
    CHECK(s.budget->held == 0); // who has the stub counts it from here on
    s.take(s.one, request_for(2, part));
    CHECK(s.events.size() == 2);
}

TEST_CASE("server association: answers count for their interface until they are sent") {
    limited_servers s(1000);
    s.take(s.one, request_for(1));
    s.take(s.one, request_for(2));
    REQUIRE_FALSE(s.one.respond(1, test::pattern(5000))); // nothing refuses an answer
    REQUIRE_FALSE(s.one.respond(2, test::pattern(10)));
    CHECK(s.budget->held == 5010);
    s.take(s.two, request_for(3, test::pattern(1)));
    CHECK(as_fault(test::next_output(s.two)).status == rpc_status::nca_server_too_busy);
    REQUIRE(test::next_output(s.one).size() > 4000); // the first of two fragments
    CHECK(s.budget->held == 5010);                   // the bytes are there as long as the answer
    while (s.one.has_output()) test::next_output(s.one);
    CHECK(s.budget->held == 0);
    s.take(s.two, request_for(4, test::pattern(1000)));
    CHECK(s.events.size() == 3);
}

TEST_CASE("server association: whatever ends a call gives back what its interface held for it") {
    const test::bytes part = test::pattern(400);
    {
        limited_servers s(1000);
        s.take(s.one, request_for(1, part, pfc::first_frag));
        s.one.close(errc::operation_aborted);
        CHECK(s.budget->held == 0);
    }
    {
        limited_servers s(1000);
        s.take(s.one, request_for(1));
        REQUIRE_FALSE(s.one.respond(1, part));
        CHECK(s.budget->held == 400);
        s.take(s.one, test::notice(pdu_type::orphaned, 1));
        CHECK(s.budget->held == 0);
    }
    limited_servers s(1000);
    s.take(s.one, request_for(1, part, pfc::first_frag));
    CHECK(s.one.on_pdu(request_for(2, part, pfc::first_frag), s.events) == errc::fragment_order);
    CHECK(s.budget->held == 0);
}

TEST_CASE("server association: other interfaces do not feel the limit of one") {
    limited_servers s(0);
    s.take(s.one, request_for(1, test::pattern(1)));
    CHECK(as_fault(test::next_output(s.one)).status == rpc_status::nca_server_too_busy);
    s.take(s.one, test::encoded(bind_for({{1, samr, {ndr20}}}), pdu_type::alter_context));
    REQUIRE(peek_type(test::next_output(s.one)) == pdu_type::alter_context_resp);
    s.take(s.one, request_for(2, test::pattern(1000), test::whole, 0, 1));
    CHECK(s.events.size() == 1);
}
