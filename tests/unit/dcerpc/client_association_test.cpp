#include <rpch/dcerpc/client_association.hpp>

#include <algorithm>
#include <set>

#include <rpch/limits.hpp>

#include <doctest/doctest.h>

#include "tests/unit/dcerpc/pdus.hpp"

using namespace rpch;
using namespace rpch::dcerpc;
using core::to_hex;

namespace {

struct ack_options {
    std::uint16_t max_recv_frag = 5840;
    bool multiplexed = true;
    std::uint8_t features = bind_feature::keep_connection_on_orphan;
    std::size_t refused = 0; ///< How many contexts, from the front.
};

// What a server answers to a bind or alter_context.
test::bytes answer_to(const test::bytes& pdu, const ack_options& o = {}) {
    const bool first = peek_type(pdu) == pdu_type::bind;
    const auto asked = decode_bind(pdu, peek_type(pdu));
    REQUIRE(asked);
    bind_ack a;
    a.header.call_id = asked->header.call_id;
    a.header.flags = test::whole;
    if (first && o.multiplexed) a.header.flags |= pfc::concurrent_multiplexing;
    a.max_recv_frag = o.max_recv_frag;
    a.max_xmit_frag = 5840;
    a.assoc_group_id = 0x1234;
    a.secondary_address = "6001";
    std::size_t refused = 0;
    for (const auto& c : asked->contexts) {
        if (features_of(c.transfer_syntaxes.at(0)))
            a.results.push_back({context_answer::negotiate_ack, o.features, {}});
        else if (refused++ < o.refused)
            a.results.push_back({context_answer::provider_rejection, 1, {}});
        else
            a.results.push_back({context_answer::acceptance, 0, c.transfer_syntaxes.at(0)});
    }
    return test::encoded(a, first ? pdu_type::bind_ack : pdu_type::alter_context_resp);
}

struct bound_client {
    client_association machine;
    client_event_list events;

    explicit bound_client(const ack_options& o = {}, const client_association_options& options = {})
        : machine(options) {
        REQUIRE(machine.add_context(test::rpcecho) == 0);
        REQUIRE_FALSE(machine.on_pdu(answer_to(test::next_output(machine), o), events));
        REQUIRE(events.size() == 1);
        REQUIRE_FALSE(std::get<context_ready>(events[0]).error);
        events.clear();
        REQUIRE_FALSE(machine.has_output());
    }
    std::uint32_t call(test::bytes stub, const call_options& o = {}) {
        const auto id = machine.begin_call(o, std::move(stub));
        REQUIRE(id);
        return *id;
    }
    std::error_code take(const test::bytes& pdu) { return machine.on_pdu(pdu, events); }
    /// Everything that waits, as requests.
    std::vector<request> drain() {
        std::vector<request> out;
        while (machine.has_output()) {
            kept.push_back(test::next_output(machine));
            const auto r = decode_request(kept.back());
            REQUIRE(r);
            out.push_back(*r);
        }
        return out;
    }
    std::vector<test::bytes> kept; ///< What the views of drain() point into.
};

test::bytes response_to(std::uint32_t id, const test::bytes& stub, std::uint8_t flags = test::whole,
                        std::uint16_t context = 0) {
    response r;
    r.header.call_id = id;
    r.header.flags = flags;
    r.context_id = context;
    r.stub = stub;
    return test::encoded(r);
}

test::bytes fault_to(std::uint32_t id, rpc_status status, std::uint8_t more_flags = 0) {
    fault f;
    f.header.call_id = id;
    f.header.flags = static_cast<std::uint8_t>(test::whole | more_flags);
    f.status = status;
    return test::encoded(f);
}

} // namespace

TEST_CASE("client association: the first context makes a bind, byte for byte") {
    client_association machine;
    CHECK_FALSE(machine.has_output());
    CHECK(machine.next_output_size() == 0);
    CHECK(machine.add_context(test::rpcecho) == 0);
    REQUIRE(machine.has_output());
    CHECK(machine.next_output_size() == 116);
    // Samba's bind, but for our call for multiplexing, our id of the feature context, and our
    // features.
    auto expected = test::vector_file("dcerpc/samba_bind.hex");
    expected[3] |= std::byte{pfc::concurrent_multiplexing};
    expected[28 + 44] = std::byte{64};
    expected[28 + 44 + 24 + 8] = std::byte{bind_feature::keep_connection_on_orphan |
                                           bind_feature::security_context_multiplexing};
    CHECK(to_hex(test::next_output(machine)) == to_hex(expected));
    CHECK_FALSE(machine.has_output());

    client_association plain({.negotiate_features = false});
    CHECK(plain.add_context(test::rpcecho) == 0);
    auto smaller = test::vector_file("dcerpc/impacket_bind.hex");
    smaller[3] |= std::byte{pfc::concurrent_multiplexing};
    for (const std::size_t at : {16U, 18U})
        core::store(smaller.data() + at, std::uint16_t{5840}, core::byte_order::little);
    CHECK(to_hex(test::next_output(plain)) == to_hex(smaller));
}

TEST_CASE("client association: too little space writes nothing and loses nothing") {
    client_association machine;
    REQUIRE(machine.add_context(test::rpcecho));
    test::bytes space(115);
    CHECK(machine.write_output(space) == 0);
    CHECK(machine.next_output_size() == 116);
    bound_client c;
    c.call(test::pattern(100));
    space.resize(123);
    CHECK(c.machine.write_output(space) == 0);
    space.resize(124);
    CHECK(c.machine.write_output(space) == 124);
    CHECK_FALSE(c.machine.has_output());
}

TEST_CASE("client association: bind_ack makes it ready and tells the group and the address") {
    bound_client c;
    CHECK(c.machine.is_bound());
    CHECK(c.machine.is_multiplexed());
    CHECK(c.machine.assoc_group_id() == 0x1234);
    CHECK(c.machine.secondary_address() == "6001");
    CHECK(c.machine.fragment_bytes() == 5840);
}

TEST_CASE(
    "client association: the negotiated fragment is the smaller one, and never below the floor") {
    CHECK(bound_client({.max_recv_frag = 4280}).machine.fragment_bytes() == 4280);
    CHECK(bound_client({.max_recv_frag = 3199}).machine.fragment_bytes() == 3192);
    CHECK(bound_client({.max_recv_frag = 0}).machine.fragment_bytes() == 1432);
    CHECK(bound_client({.max_recv_frag = 65535}).machine.fragment_bytes() == 5840);
}

TEST_CASE(
    "client association: a call is what impacket and Samba send, and its answer completes it") {
    bound_client c;
    const auto id = c.call(test::hex("29000000"));
    const auto wire = test::next_output(c.machine);
    auto expected = test::vector_file("dcerpc/samba_request_1.hex");
    REQUIRE(id == 2);
    CHECK(to_hex(wire) == to_hex(expected));
    CHECK_FALSE(c.machine.has_output());
    CHECK_FALSE(c.take(response_to(id, test::hex("2a000000"))));
    REQUIRE(c.events.size() == 1);
    const auto& done = std::get<call_completed>(c.events[0]);
    CHECK(done.call_id == id);
    CHECK(done.order == core::byte_order::little);
    CHECK(to_hex(done.stub) == "2a000000");
    CHECK(c.machine.calls() == 0);
}

TEST_CASE("client association: fragments around the maximum, with and without an object") {
    const uuid object{"01234567-89ab-cdef-0123-456789abcdef"};
    for (const bool with_object : {false, true}) {
        const std::size_t full =
            with_object ? 5800 : 5816; // (5840 - 40) and (5840 - 24), multiples of 8
        for (const std::size_t size : {std::size_t{0}, std::size_t{1}, full - 1, full, full + 1,
                                       2 * full - 1, 2 * full, 2 * full + 1}) {
            CAPTURE(size);
            bound_client c;
            const auto stub = test::pattern(size);
            call_options o{.opnum = 9};
            if (with_object) o.object = object;
            const auto id = c.call(stub, o);
            const auto parts = c.drain();
            REQUIRE(parts.size() == std::max<std::size_t>(1, (size + full - 1) / full));
            test::bytes joined;
            for (std::size_t i = 0; i < parts.size(); ++i) {
                const request& r = parts[i];
                CHECK(r.header.call_id == id);
                CHECK(r.header.frag_length <= 5840);
                CHECK(r.header.is_first() == (i == 0));
                CHECK(r.header.is_last() == (i + 1 == parts.size()));
                CHECK(r.alloc_hint == size - joined.size());
                CHECK(r.opnum == 9);
                CHECK(r.object.has_value() == with_object);
                if (i + 1 != parts.size()) CHECK(r.stub.size() % 8 == 0);
                joined.insert(joined.end(), r.stub.begin(), r.stub.end());
            }
            CHECK(joined == stub);
        }
    }
}

TEST_CASE("client association: fragments of one call are never mixed with another's, control goes "
          "between") {
    bound_client c;
    const auto big = c.call(test::pattern(20'000));
    const auto next = c.call(test::pattern(10));
    std::vector<std::uint32_t> order;
    CHECK(decode_request(test::next_output(c.machine))->header.call_id == big);
    c.machine.cancel(big, c.events);
    const auto notice = test::next_output(c.machine);
    CHECK(decode_call_notice(notice, pdu_type::co_cancel)->header.call_id == big);
    for (const auto& r : c.drain()) order.push_back(r.header.call_id);
    CHECK(order == std::vector{big, big, big, next});
}

TEST_CASE(
    "client association: answers come in any order and in mixed fragments, in either byte order") {
    bound_client c;
    const auto a = c.call({}), b = c.call({});
    c.drain();
    const auto stub = test::pattern(64);
    const auto half = [&](std::size_t at) {
        return test::bytes(stub.begin() + std::ptrdiff_t(at),
                           stub.begin() + std::ptrdiff_t(at) + 32);
    };
    CHECK_FALSE(c.take(response_to(b, half(0), pfc::first_frag)));
    CHECK_FALSE(c.take(response_to(a, half(0), pfc::first_frag)));
    CHECK_FALSE(c.take(response_to(b, half(32), pfc::last_frag)));
    CHECK_FALSE(c.take(response_to(a, half(32), pfc::last_frag)));
    REQUIRE(c.events.size() == 2);
    CHECK(std::get<call_completed>(c.events[0]).call_id == b);
    CHECK(std::get<call_completed>(c.events[1]).call_id == a);
    CHECK(std::get<call_completed>(c.events[1]).stub == stub);

    const auto d = c.call({});
    c.drain();
    response r;
    r.header = {.flags = test::whole, .order = core::byte_order::big, .call_id = d};
    CHECK_FALSE(c.take(test::encoded(r)));
    CHECK(std::get<call_completed>(c.events.back()).order == core::byte_order::big);
}

TEST_CASE("client association: calls begun before the context is ready wait for it") {
    client_association m;
    client_event_list events;
    REQUIRE(m.add_context(test::rpcecho));
    const auto early = m.begin_call({}, test::pattern(4));
    REQUIRE(early);
    const auto bind_pdu = test::next_output(m);
    const auto later = m.begin_call({}, test::pattern(5));
    CHECK_FALSE(m.has_output());
    CHECK_FALSE(m.on_pdu(answer_to(bind_pdu), events));
    CHECK(decode_request(test::next_output(m))->header.call_id == *early);
    CHECK(decode_request(test::next_output(m))->header.call_id == *later);
    CHECK_FALSE(m.has_output());
}

TEST_CASE("client association: contexts share a bind, later ones make alter_contexts") {
    const interface_id other{"12345778-1234-abcd-ef00-0123456789ac", 1, 0};
    client_association m;
    client_event_list events;
    CHECK(m.add_context(test::rpcecho) == 0);
    CHECK(m.add_context(other) == 1);
    const auto first = test::next_output(m);
    const auto asked = decode_bind(first);
    REQUIRE(asked->contexts.size() == 3);
    CHECK(asked->contexts[2].interface == other); // the feature negotiation repeats the last one
    CHECK(m.add_context(other) == 2);
    CHECK_FALSE(m.has_output()); // one negotiation at a time
    CHECK_FALSE(m.on_pdu(answer_to(first, {.refused = 1}), events));
    REQUIRE(events.size() == 2);
    CHECK(std::get<context_ready>(events[0]).context == 0);
    CHECK(std::get<context_ready>(events[0]).error == errc::context_refused);
    CHECK(std::string(std::get<context_ready>(events[0]).detail) ==
          "abstract_syntax_not_supported");
    CHECK_FALSE(std::get<context_ready>(events[1]).error);
    CHECK(m.begin_call({.context = 0}, {}).error() == errc::context_refused);
    CHECK(m.begin_call({.context = 3}, {}).error() == errc::bad_context_id);

    const auto second = test::next_output(m);
    REQUIRE(peek_type(second) == pdu_type::alter_context);
    const auto altered = decode_bind(second, pdu_type::alter_context);
    REQUIRE(altered->contexts.size() == 1);
    CHECK(altered->contexts[0].id == 2);
    CHECK(altered->assoc_group_id == 0x1234);
    CHECK_FALSE(m.on_pdu(answer_to(second), events));
    CHECK_FALSE(std::get<context_ready>(events[2]).error);
}

TEST_CASE(
    "client association: an alter_context waits for the end of a request, not for its answer") {
    bound_client c;
    c.call(test::pattern(20'000));
    test::next_output(c.machine);
    REQUIRE(c.machine.add_context(test::rpcecho));
    c.call(test::pattern(1));
    for (int i = 0; i < 3; ++i) CHECK(peek_type(test::next_output(c.machine)) == pdu_type::request);
    CHECK(peek_type(test::next_output(c.machine)) == pdu_type::alter_context);
    CHECK(peek_type(test::next_output(c.machine)) == pdu_type::request);
}

TEST_CASE("client association: many contexts are asked for in PDUs that everyone can receive") {
    client_association m;
    client_event_list events;
    for (std::size_t i = 0; i < limits::contexts_max; ++i) REQUIRE(m.add_context(test::rpcecho));
    CHECK(m.add_context(test::rpcecho).error() == errc::too_many);
    std::size_t pdus = 0;
    while (m.has_output()) {
        const auto pdu = test::next_output(m);
        CHECK(pdu.size() <= limits::fragment_bytes_min);
        CHECK_FALSE(m.on_pdu(answer_to(pdu), events));
        ++pdus;
    }
    CHECK(pdus == 3);
    CHECK(events.size() == limits::contexts_max);
}

TEST_CASE(
    "client association: a refused context fails the calls that wait, which did not execute") {
    client_association m;
    client_event_list events;
    REQUIRE(m.add_context(test::rpcecho));
    const auto call = m.begin_call({}, {});
    CHECK_FALSE(m.on_pdu(answer_to(test::next_output(m), {.refused = 1}), events));
    REQUIRE(events.size() == 2);
    const auto& failed = std::get<call_failed>(events[1]);
    CHECK(failed.call_id == *call);
    CHECK(failed.error == errc::context_refused);
    CHECK(failed.did_not_execute);
    CHECK(m.calls() == 0);
}

TEST_CASE("client association: bind_nak fails everything with its reason and closes") {
    client_association m;
    client_event_list events;
    REQUIRE(m.add_context(test::rpcecho));
    REQUIRE(m.begin_call({}, {}));
    const auto asked = decode_bind(test::next_output(m));
    bind_nak nak{{.call_id = asked->header.call_id}, bind_reject_reason::local_limit_exceeded};
    CHECK(m.on_pdu(test::encoded(nak), events) == errc::bind_refused);
    REQUIRE(events.size() == 2);
    CHECK(std::get<context_ready>(events[0]).error == errc::bind_refused);
    CHECK(std::string(std::get<call_failed>(events[1]).detail) == "bind_nak: local_limit_exceeded");
    CHECK(std::get<call_failed>(events[1]).did_not_execute);
    CHECK(m.closed_with() == errc::bind_refused);
    CHECK(m.on_pdu(test::encoded(nak), events) == errc::bind_refused);
    m.close(errc::connection_lost, events);
    CHECK(events.size() == 2);
}

TEST_CASE("client association: without multiplexing one call at a time has the connection") {
    bound_client c({.multiplexed = false});
    const auto a = c.call({}), b = c.call({});
    CHECK(c.drain().size() == 1);
    REQUIRE(c.machine.add_context(test::rpcecho));
    CHECK_FALSE(c.machine.has_output());
    CHECK_FALSE(c.take(response_to(a, {})));
    const auto altered = test::next_output(c.machine);
    CHECK(peek_type(altered) == pdu_type::alter_context);
    CHECK_FALSE(c.machine.has_output());
    CHECK_FALSE(c.take(answer_to(altered)));
    CHECK(c.drain().at(0).header.call_id == b);
}

TEST_CASE("client association: a fault fails its call with the number it carries") {
    bound_client c;
    const auto a = c.call({}), b = c.call({}), d = c.call({});
    c.drain();
    CHECK_FALSE(c.take(fault_to(b, rpc_status::nca_op_rng_error, pfc::did_not_execute)));
    CHECK_FALSE(c.take(fault_to(a, static_cast<rpc_status>(0xC0000022))));
    CHECK_FALSE(c.take(fault_to(d, rpc_status::ok)));
    REQUIRE(c.events.size() == 3);
    CHECK(std::get<call_failed>(c.events[0]).call_id == b);
    CHECK(std::get<call_failed>(c.events[0]).error == rpc_status::nca_op_rng_error);
    CHECK(std::get<call_failed>(c.events[0]).did_not_execute);
    CHECK(std::get<call_failed>(c.events[1]).error == static_cast<rpc_status>(0xC0000022));
    CHECK_FALSE(std::get<call_failed>(c.events[1]).did_not_execute);
    CHECK(std::get<call_failed>(c.events[2]).error == errc::call_fault);
    CHECK(c.machine.calls() == 0);
}

TEST_CASE("client association: a fault in the middle of a request stops the sending") {
    bound_client c;
    const auto big = c.call(test::pattern(50'000));
    const auto next = c.call({});
    test::next_output(c.machine);
    CHECK_FALSE(c.take(fault_to(big, rpc_status::nca_server_too_busy, pfc::did_not_execute)));
    CHECK(c.drain().at(0).header.call_id == next);
}

TEST_CASE("client association: a fault for an alter_context refuses its contexts and no more") {
    bound_client c;
    REQUIRE(c.machine.add_context(test::rpcecho) == 1);
    const auto asked = decode_bind(test::next_output(c.machine), pdu_type::alter_context);
    CHECK_FALSE(c.take(fault_to(asked->header.call_id, rpc_status::nca_proto_error)));
    CHECK(std::get<context_ready>(c.events.at(0)).context == 1);
    CHECK(std::get<context_ready>(c.events.at(0)).error == rpc_status::nca_proto_error);
    c.call({});
    CHECK(c.drain().size() == 1);
}

TEST_CASE("client association: cancelling before sending fails at once, after it asks the server") {
    bound_client c;
    const auto a = c.call({});
    c.machine.cancel(a, c.events);
    REQUIRE(c.events.size() == 1);
    CHECK(std::get<call_failed>(c.events[0]).error == errc::call_cancelled);
    CHECK(std::get<call_failed>(c.events[0]).did_not_execute);
    CHECK_FALSE(c.machine.has_output());

    const auto b = c.call({});
    c.drain();
    c.machine.cancel(b, c.events);
    CHECK(c.events.size() == 1);
    CHECK(to_hex(test::next_output(c.machine)) == "05001203100000001000000003000000");
    CHECK_FALSE(c.take(fault_to(b, rpc_status::nca_fault_cancel)));
    CHECK(std::get<call_failed>(c.events[1]).error == rpc_status::nca_fault_cancel);
    c.machine.cancel(b, c.events);
    c.machine.cancel(12345, c.events);
    CHECK(c.events.size() == 2);
    CHECK_FALSE(c.machine.has_output());
}

TEST_CASE("client association: an abandoned call fails once, and what comes for it is dropped") {
    for (const bool keeps : {true, false}) {
        bound_client c(
            {.features = keeps ? bind_feature::keep_connection_on_orphan : std::uint8_t{0}});
        const auto a = c.call({});
        c.drain();
        c.machine.abandon(a, c.events);
        c.machine.abandon(a, c.events);
        c.machine.cancel(a, c.events);
        REQUIRE(c.events.size() == 1);
        CHECK(std::get<call_failed>(c.events[0]).error == errc::call_cancelled);
        CHECK_FALSE(std::get<call_failed>(c.events[0]).did_not_execute);
        CHECK(peek_type(test::next_output(c.machine)) ==
              (keeps ? pdu_type::orphaned : pdu_type::co_cancel));
        CHECK(c.machine.calls() == (keeps ? 0 : 1));
        CHECK_FALSE(c.take(response_to(a, test::pattern(8), pfc::first_frag)));
        CHECK_FALSE(c.take(response_to(a, test::pattern(8), pfc::last_frag)));
        CHECK(c.machine.calls() == 0);
        CHECK(c.events.size() == 1);
    }
}

TEST_CASE("client association: an abandoned call fails no second time, by a fault or by closing") {
    bound_client c({.features = 0});
    const auto a = c.call({}), b = c.call({});
    c.drain();
    c.machine.abandon(a, c.events);
    c.machine.abandon(b, c.events);
    CHECK(c.events.size() == 2);
    CHECK_FALSE(c.take(fault_to(a, rpc_status::nca_fault_cancel)));
    CHECK(c.machine.calls() == 1);
    c.machine.close(errc::connection_lost, c.events);
    CHECK(c.events.size() == 2);
}

TEST_CASE("client association: a maybe call is sent and forgotten") {
    bound_client c;
    c.call(test::pattern(6000), {.maybe = true});
    const auto sent = c.drain();
    REQUIRE(sent.size() == 2);
    CHECK((sent[1].header.flags & pfc::maybe) != 0);
    CHECK(c.machine.calls() == 0);
    c.call({}, {.maybe = true});
    c.machine.close(errc::connection_lost, c.events);
    CHECK(c.events.empty());
}

TEST_CASE("client association: shutdown lets calls end and refuses new ones") {
    bound_client c;
    const auto a = c.call({});
    c.drain();
    const auto pdu = test::encoded(shutdown{});
    CHECK_FALSE(c.take(pdu));
    CHECK_FALSE(c.take(pdu));
    REQUIRE(c.events.size() == 1);
    CHECK(std::holds_alternative<shutdown_requested>(c.events[0]));
    CHECK(c.machine.begin_call({}, {}).error() == errc::association_closed);
    CHECK(c.machine.add_context(test::rpcecho).error() == errc::association_closed);
    CHECK_FALSE(c.take(response_to(a, {})));
    CHECK(c.events.size() == 2);
}

TEST_CASE("client association: closing fails each call and context exactly once") {
    bound_client c;
    const auto sent = c.call({});
    c.drain();
    const auto half = c.call(test::pattern(9000));
    test::next_output(c.machine);
    const auto queued = c.call({});
    REQUIRE(c.machine.add_context(test::rpcecho) == 1);
    const auto waiting = c.call({}, {.context = 1});
    CHECK_FALSE(c.take(response_to(sent, test::pattern(8), pfc::first_frag)));
    c.machine.close(errc::connection_lost, c.events);
    c.machine.close(errc::idle_timeout, c.events);
    std::set<std::uint32_t> failed;
    std::size_t contexts = 0;
    for (const auto& e : c.events) {
        if (std::holds_alternative<context_ready>(e)) {
            ++contexts;
            continue;
        }
        const auto& f = std::get<call_failed>(e);
        CHECK(f.error == errc::connection_lost);
        CHECK(f.did_not_execute == (f.call_id != sent));
        CHECK(failed.insert(f.call_id).second);
    }
    CHECK(failed == std::set{sent, half, queued, waiting});
    CHECK(contexts == 1);
    CHECK_FALSE(c.machine.has_output());
    CHECK(c.machine.begin_call({}, {}).error() == errc::connection_lost);
    CHECK(c.machine.add_context(test::rpcecho).error() == errc::connection_lost);
    CHECK(c.take(response_to(sent, {})) == errc::connection_lost);
    c.machine.cancel(sent, c.events);
    CHECK(c.events.size() == 5);
}

TEST_CASE("client association: limits on calls and bytes") {
    client_association_options o;
    o.limits.calls_max = 3;
    o.limits.call_bytes_max = 100;
    bound_client c({}, o);
    CHECK(c.machine.begin_call({}, test::pattern(101)).error() == errc::too_large);
    for (int i = 0; i < 3; ++i) c.call({});
    CHECK(c.machine.begin_call({}, {}).error() == errc::too_many);
    const auto sent = c.drain();
    const auto id = sent[0].header.call_id;
    CHECK_FALSE(c.take(response_to(id, test::pattern(100), pfc::first_frag)));
    CHECK(c.take(response_to(id, test::pattern(1), pfc::last_frag)) == errc::too_large);
    CHECK(c.events.size() == 3); // every call failed, once
}

TEST_CASE("client association: what the state does not allow closes it with a named error") {
    const auto closes = [](const test::bytes& pdu, std::error_code why) {
        bound_client c;
        const auto pending = c.call({});
        REQUIRE(pending == 2);
        c.drain();
        CHECK(c.take(pdu) == why);
        REQUIRE(c.events.size() == 1);
        CHECK(std::get<call_failed>(c.events[0]).error == why);
        CHECK_FALSE(c.machine.has_output());
    };
    closes(test::vector_file("dcerpc/samba_bind.hex"), errc::unexpected_pdu);
    closes(test::vector_file("dcerpc/samba_request_1.hex"), errc::unexpected_pdu);
    closes(test::hex("05001403 10000000 1000 0000 00000000"), errc::unexpected_pdu);
    closes(answer_to(test::vector_file("dcerpc/samba_bind.hex")), errc::unexpected_pdu);
    closes(test::encoded(bind_nak{}), errc::unexpected_pdu);
    closes(response_to(3, {}), errc::bad_call_id);
    closes(response_to(0, {}), errc::bad_call_id);
    closes(fault_to(3, rpc_status::access_denied), errc::bad_call_id);
    closes(response_to(2, {}, 0), errc::fragment_order);
    closes(response_to(2, {}, pfc::last_frag), errc::fragment_order);
    closes(test::with_length(response_to(2, {}), 5841), errc::bad_frag_length);
    closes(test::hex("0500"), errc::truncated);
    closes(test::hex("05000203 10000000 1000 0000 02000000"), errc::truncated);
    response verified;
    const auto token = test::hex("aa");
    verified.header = {.flags = test::whole, .call_id = 2};
    verified.auth = sec_trailer{.auth_type = 10, .token = token};
    closes(test::encoded(verified), errc::security_downgrade); // of no security context of ours

    bound_client c; // an answer before the request is complete
    const auto big = c.call(test::pattern(9000));
    test::next_output(c.machine);
    CHECK(c.take(response_to(big, {})) == errc::unexpected_pdu);
    bound_client d; // a fragment of the largest size is not too large
    const auto id = d.call({});
    d.drain();
    CHECK_FALSE(d.take(response_to(id, test::pattern(5816))));
}

TEST_CASE("client association: an answer to a bind must fit the bind") {
    const auto answers = [](auto change) {
        client_association m;
        client_event_list events;
        REQUIRE(m.add_context(test::rpcecho));
        const auto asked = test::next_output(m);
        const auto answer = answer_to(asked);
        auto ack = *decode_bind_ack(answer);
        change(ack);
        return m.on_pdu(test::encoded(ack), events);
    };
    CHECK_FALSE(answers([](bind_ack&) {}));
    CHECK(answers([](bind_ack& a) { a.header.call_id += 1; }) == errc::bad_call_id);
    CHECK(answers([](bind_ack& a) { a.results.resize(3); }) == errc::bad_value);
    // A server that answers only the first context, and one that accepts what was not asked for.
    CHECK_FALSE(answers([](bind_ack& a) { a.results.resize(1); }));
    CHECK_FALSE(answers([](bind_ack& a) { a.results[0].transfer_syntax.major = 9; }));
    client_association never;
    client_event_list events;
    CHECK(never.on_pdu(answer_to(test::vector_file("dcerpc/samba_bind.hex")), events) ==
          errc::unexpected_pdu);
}
