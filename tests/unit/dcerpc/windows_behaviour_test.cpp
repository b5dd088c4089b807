// What Windows Server 2012 R2 does where the specifications leave it open, as Samba's tests of raw
// PDUs found it: samba.tests.dcerpc.raw_protocol of python3-samba 4.17. Each check names the case
// of that file, without its "test_". interop.raw runs the originals.
#include <rpch/dcerpc/server_association.hpp>

#include <array>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/support/toy_security.hpp"
#include "tests/unit/dcerpc/pdus.hpp"

using namespace rpch;
using namespace rpch::dcerpc;
using core::to_hex;
using level = auth::authentication_level;

namespace {

const interface_id mgmt{"afa8bd80-7d8a-11c9-bef4-08002b102989", 1, 0};
const interface_id epmapper{"e1af8308-5d1f-11c9-91a4-08002b14a0fa", 3, 0};
const interface_id ndr64{"71710533-beba-4937-8319-b5dbef9ccc36", 1, 0};
const interface_id zero{};

using octets = std::vector<std::uint8_t>;
using ids = std::vector<std::uint16_t>;

constexpr std::uint8_t mpx = pfc::concurrent_multiplexing;

bind bind_of(std::vector<presentation_context> contexts, std::uint8_t flags = test::whole) {
    bind b;
    b.header = {.flags = flags, .call_id = 1};
    b.max_xmit_frag = b.max_recv_frag = 5840;
    b.contexts = std::move(contexts);
    return b;
}

struct world {
    std::vector<offered_interface> offered{{mgmt, {}}, {epmapper, {}}};
    association_groups groups{0x1000};
    server_association machine;
    server_event_list events{};

    static server_association_options with_security(server_association_options o) {
        o.secondary_address = "135";
        o.security.push_back(std::make_shared<test::toy_acceptor>(test::toy_rules{.legs = 2}));
        return o;
    }
    explicit world(const server_association_options& o = {})
        : machine(offered, groups, with_security(o)) {}

    std::error_code take(const test::bytes& pdu) { return machine.on_pdu(pdu, events); }
    bind_ack ack(const bind& b, pdu_type type = pdu_type::bind) {
        REQUIRE_FALSE(take(test::encoded(b, type)));
        answer_ = test::next_output(machine);
        const auto a = decode_bind_ack(
            answer_, type == pdu_type::bind ? pdu_type::bind_ack : pdu_type::alter_context_resp);
        REQUIRE(a);
        return *a;
    }
    bind_ack alter(const bind& b) { return ack(b, pdu_type::alter_context); }
    // A PDU that is refused with a bind_nak, and the end.
    bind_reject_reason nak(const test::bytes& pdu) {
        CHECK(take(pdu));
        answer_ = test::next_output(machine);
        CHECK_FALSE(machine.has_output());
        CHECK(machine.closed_with());
        const auto p = decode_bind_nak(answer_);
        REQUIRE(p);
        return p->reason;
    }
    // The next PDU in short: kind, call, flags, context, status of a fault or cancels of a
    // response.
    std::string said() {
        answer_ = test::next_output(machine);
        if (answer_.empty()) return "";
        if (const auto r = decode_response(answer_))
            return "response " + std::to_string(r->header.call_id) + " context " +
                   std::to_string(r->context_id) + " cancels " + std::to_string(r->cancel_count);
        const auto f = decode_fault(answer_);
        REQUIRE(f);
        CHECK(f->alloc_hint != 0);
        CHECK(f->cancel_count == 0);
        CHECK_FALSE(f->has_extended_error);
        CHECK((f->header.flags & test::whole) == test::whole);
        const bool spared = (f->header.flags & pfc::did_not_execute) != 0;
        return "fault " + std::to_string(f->header.call_id) + " context " +
               std::to_string(f->context_id) + ' ' + name_of(f->status) +
               (spared ? " not executed" : "") + (machine.closed_with() ? ", closed" : "");
    }
    std::string refused(const test::bytes& pdu) {
        static_cast<void>(take(pdu));
        return said();
    }
    // Answers the latest call with 4 bytes.
    std::string answered() {
        REQUIRE_FALSE(events.empty());
        for (auto e = events.rbegin(); e != events.rend(); ++e)
            if (const auto* call = std::get_if<call_received>(&*e)) {
                REQUIRE_FALSE(machine.respond(call->call_id, test::bytes(4)));
                return said();
            }
        return "no call";
    }
    static const char* name_of(rpc_status s) {
        if (s == rpc_status::nca_proto_error) return "proto_error";
        if (s == rpc_status::nca_unk_if) return "unk_if";
        if (s == rpc_status::access_denied) return "access_denied";
        if (s == rpc_status::sec_pkg_error) return "sec_pkg_error";
        if (s == rpc_status::no_call_active) return "no_call_active";
        if (s == rpc_status::nca_fault_remote_no_memory) return "remote_no_memory";
        return "another status";
    }

  private:
    test::bytes answer_;
};

struct bound : world {
    explicit bound(std::uint8_t flags = 0, std::uint16_t context = 1,
                   const server_association_options& o = {})
        : world(o) {
        ack(bind_of({{context, mgmt, {ndr20}}}, test::whole | flags));
    }
};

test::bytes request_of(std::uint32_t id, std::uint8_t flags = test::whole,
                       const test::bytes& stub = {}, std::uint16_t context = 1,
                       std::uint32_t alloc_hint = 0) {
    request r;
    r.header = {.flags = flags, .call_id = id};
    r.alloc_hint = alloc_hint;
    r.context_id = context;
    r.stub = stub;
    return test::encoded(r);
}

context_result accepted() { return {context_answer::acceptance, 0, ndr20}; }
context_result rejected(provider_reason why) {
    return {context_answer::provider_rejection, static_cast<std::uint16_t>(why), {}};
}
context_result agreed(std::uint16_t features) {
    return {context_answer::negotiate_ack, features, {}};
}

} // namespace

// neg_xmit_ffff_ffff, _0_ffff, _ffff_0, _0_0, _3199_0, _0_3199, _3199_ffff, _ffff_3199
TEST_CASE("windows: one fragment size for both directions, from what the client can mean") {
    struct row {
        std::uint16_t xmit, recv, both;
    };
    for (const row& r : {row{0xFFFF, 0xFFFF, 5840}, row{0, 0xFFFF, 2048}, row{0xFFFF, 0, 2048},
                         row{0, 0, 2048}, row{3199, 0, 2048}, row{0, 3199, 2048},
                         row{3199, 0xFFFF, 3192}, row{0xFFFF, 3199, 3192}}) {
        CAPTURE(r.xmit);
        CAPTURE(r.recv);
        world w;
        auto b = bind_of({{1, mgmt, {ndr20}}});
        b.max_xmit_frag = r.xmit;
        b.max_recv_frag = r.recv;
        const auto first = w.ack(b);
        CHECK(first.max_xmit_frag == r.both);
        CHECK(first.max_recv_frag == r.both);
        // An alter_context changes neither sizes nor group.
        b.max_xmit_frag = b.max_recv_frag = static_cast<std::uint16_t>(r.both - 8);
        b.assoc_group_id = 0xFFFF'FFFF - first.assoc_group_id;
        const auto second = w.alter(b);
        CHECK(second.max_xmit_frag == r.both);
        CHECK(second.max_recv_frag == r.both);
        CHECK(second.assoc_group_id == first.assoc_group_id);
        // Requests may be as large as our own offer, whatever was agreed; not a byte larger.
        CHECK_FALSE(w.take(request_of(2, test::whole, test::bytes(5840 - 24), 1, 0xFFFF'FFFF)));
        CHECK(w.answered() == "response 2 context 1 cancels 0");
        CHECK(w.refused(request_of(3, test::whole, test::bytes(5840 - 23))) ==
              "fault 3 context 0 proto_error, closed");
    }
    // A client that can receive 1432 bytes and says so is believed, [C706] 12.6.3.1.
    world small;
    auto b = bind_of({{1, mgmt, {ndr20}}});
    b.max_xmit_frag = b.max_recv_frag = 1432;
    CHECK(small.ack(b).max_xmit_frag == 1432);
}

// no_auth_request_bind_pfc_*, no_auth_request_alter_pfc_*
TEST_CASE("windows: of the flags of a bind two come back, of an alter_context one") {
    for (unsigned flags = 0; flags <= 0xFF; ++flags) {
        CAPTURE(flags);
        const auto back = [](unsigned asked, unsigned may) {
            return static_cast<std::uint8_t>(test::whole | (asked & may));
        };
        world w;
        const auto a = w.ack(bind_of({{1, mgmt, {ndr20}}}, static_cast<std::uint8_t>(flags)));
        CHECK(a.header.flags == back(flags, pfc::support_header_sign | mpx));
        CHECK(a.secondary_address == "135");
        bound v;
        const auto b = v.alter(bind_of({{1, mgmt, {ndr20}}}, static_cast<std::uint8_t>(flags)));
        CHECK(b.header.flags == back(flags, pfc::support_header_sign));
        CHECK(b.secondary_address.empty());
    }
}

// no_auth_no_ctx, invalid_auth_noctx, no_auth_presentation_ctx_invalid2,
// no_auth_valid_valid_request, no_auth_invalid_valid_request
TEST_CASE("windows: binds that are refused, and why") {
    // What these tests send ends behind the count of contexts, without its three reserved octets.
    const auto empty = test::hex("05000b03 10000000 1900 0000 00000000 d016 d016 00000000 00");
    CHECK(world().nak(empty) == bind_reject_reason::not_specified);
    auto whole = test::with_length(empty, 28);
    CHECK(world().nak(whole) == bind_reject_reason::not_specified);
    auto verifier = empty;
    verifier[10] = std::byte{8};
    CHECK(world().nak(verifier) == bind_reject_reason::protocol_version_not_supported);
    whole[10] = std::byte{8};
    CHECK(world().nak(whole) == bind_reject_reason::protocol_version_not_supported);
    auto no_syntax = test::encoded(bind_of({{1, mgmt, {}}}));
    CHECK(world().nak(no_syntax) == bind_reject_reason::not_specified);
    bound again;
    CHECK(again.nak(test::encoded(bind_of({{2, mgmt, {ndr20}}}))) ==
          bind_reject_reason::not_specified);
}

// alter_no_auth_no_ctx, no_auth_presentation_ctx_invalid3
TEST_CASE("windows: alter_contexts without contexts or syntaxes end the connection") {
    bound none;
    auto pdu = test::hex("05000e03 10000000 1900 0000 01000000 d016 d016 00000000 00");
    CHECK(none.refused(pdu) == "fault 1 context 0 proto_error not executed, closed");
    bound empty;
    CHECK(empty.refused(test::encoded(bind_of({{1, mgmt, {}}}), pdu_type::alter_context)) ==
          "fault 1 context 0 proto_error not executed, closed");
}

// no_auth_presentation_ctx_valid1, _valid2, _invalid1, _invalid4
TEST_CASE("windows: contexts that are unknown are rejected, one that contradicts ends it all") {
    using why = provider_reason;
    world w;
    CHECK(w.ack(bind_of({{1, mgmt, {zero, ndr20, ndr20, ndr20}}})).results ==
          std::vector{accepted()});
    CHECK(w.alter(bind_of({{1, mgmt, {zero, ndr20}}})).results == std::vector{accepted()});
    CHECK(w.alter(bind_of({{2, ndr20, {ndr20}}})).results ==
          std::vector{rejected(why::abstract_syntax_not_supported)});
    CHECK(w.refused(request_of(2, test::whole, {}, 12345)) ==
          "fault 2 context 0 unk_if not executed");
    // Nobody knows these syntaxes: a rejection, and the context is what it was.
    CHECK(w.alter(bind_of({{1, mgmt, {zero, epmapper}}})).results ==
          std::vector{rejected(why::transfer_syntaxes_not_supported)});
    REQUIRE_FALSE(w.take(request_of(3)));
    CHECK(w.answered() == "response 3 context 1 cancels 0");
    // NDR64 is known, and not what the context has.
    CHECK(w.refused(test::encoded(bind_of({{1, mgmt, {zero, epmapper, ndr64}}}),
                                  pdu_type::alter_context)) ==
          "fault 1 context 0 proto_error not executed, closed");
}

// no_auth_presentation_ctx_no_ndr64
TEST_CASE("windows: one PDU makes one context for an interface, whatever was made before") {
    const auto other = rejected(provider_reason::transfer_syntaxes_not_supported);
    world w;
    CHECK(w.ack(bind_of({{54321, zero, {zero}}})).results ==
          std::vector{rejected(provider_reason::abstract_syntax_not_supported)});
    for (const std::uint16_t id : ids{0, 1, 2})
        CHECK(w.alter(bind_of({{id, mgmt, {ndr20, ndr20}}})).results == std::vector{accepted()});
    const presentation_context three{3, mgmt, {ndr20}}, four{4, mgmt, {ndr20}};
    CHECK(w.alter(bind_of({three, four})).results == std::vector{accepted(), other});
    CHECK(w.refused(request_of(7, test::whole, {}, 4)) == "fault 7 context 0 unk_if not executed");
    CHECK(w.alter(bind_of({four, three})).results == std::vector{accepted(), other});
    CHECK(w.alter(bind_of({four, four})).results == std::vector{accepted(), other});
    for (const std::uint16_t id : ids{0, 1, 2, 3, 4}) { // those that were not accepted again, too
        REQUIRE_FALSE(w.take(request_of(8, test::whole, {}, id)));
        CHECK(w.answered() == "response 8 context " + std::to_string(id) + " cancels 0");
    }
    CHECK(w.alter(bind_of({{5, mgmt, {ndr20}}, {6, epmapper, {ndr20}}})).results ==
          std::vector{accepted(), accepted()});
}

// A client of Windows offers NDR and NDR64 in a context each and expects one of them. Ours has it
// in the order it prefers.
TEST_CASE("windows: of contexts for one interface the first that fits is taken") {
    world w;
    w.offered[0].transfer_syntaxes = {ndr64, ndr20};
    const auto other = rejected(provider_reason::transfer_syntaxes_not_supported);
    const context_result in_ndr64{context_answer::acceptance, 0, ndr64};
    const presentation_context narrow{0, mgmt, {ndr20}}, wide{1, mgmt, {ndr64}};
    CHECK(w.ack(bind_of({narrow, wide, {2, mgmt, {feature_syntax(3)}}})).results ==
          std::vector{accepted(), other, agreed(3)});
    world v;
    v.offered[0].transfer_syntaxes = {ndr20, ndr64};
    CHECK(v.ack(bind_of({wide, narrow})).results == std::vector{in_ndr64, other});
}

// no_auth_bind_time_none_simple, _none_ignore_additional, _only_first, _twice,
// _keep_on_orphan_simple, _keep_on_orphan_ignore_additional, _sec_ctx_ignore_additional
TEST_CASE("windows: the first syntax says whether a context is a bitmask of features") {
    for (const std::uint8_t features : octets{0, 1, 2}) {
        const auto mask = feature_syntax(features);
        const auto rest = feature_syntax(static_cast<std::uint8_t>(3 - features));
        CHECK(world().ack(bind_of({{1, zero, {mask}}})).results == std::vector{agreed(features)});
        CHECK(world().ack(bind_of({{1, ndr64, {mask, rest, zero}}})).results ==
              std::vector{agreed(features)});
    }
    CHECK(world()
              .ack(bind_of({{1, zero, {zero, feature_syntax(2), feature_syntax(1), zero}}}))
              .results == std::vector{rejected(provider_reason::abstract_syntax_not_supported)});
    CHECK(world().nak(test::encoded(
              bind_of({{1, zero, {feature_syntax(2)}}, {2, zero, {feature_syntax(1)}}}))) ==
          bind_reject_reason::not_specified);
}

// alloc_hint, fragmented_requests01 to 05
TEST_CASE("windows: an alloc_hint counts where more fragments are to come") {
    server_association_options o;
    o.limits.call_bytes_max = 100;
    const test::bytes part(50);
    const std::uint8_t first = pfc::first_frag, last = pfc::last_frag;
    for (const std::uint32_t hint : {1U, 100U, 0xFFFF'FFFFU}) {
        bound w(0, 1, o);
        CHECK_FALSE(w.take(request_of(2, test::whole, part, 1, hint)));
    }
    for (const std::uint32_t hint : {0U, 25U, 100U}) {
        bound w(0, 1, o);
        CHECK_FALSE(w.take(request_of(2, first, part, 1, hint)));
        CHECK_FALSE(w.take(request_of(2, last, part, 1, hint)));
        CHECK(w.answered() == "response 2 context 1 cancels 0");
    }
    bound announced(0, 1, o);
    CHECK(announced.refused(request_of(2, first, part, 1, 101)) ==
          "fault 2 context 1 access_denied, closed");
    bound later(0, 1, o);
    CHECK_FALSE(later.take(request_of(2, first, part)));
    CHECK(later.refused(request_of(2, 0, test::bytes(10), 1, 51)) ==
          "fault 2 context 1 access_denied, closed");
    bound sent(0, 1, o);
    CHECK_FALSE(sent.take(request_of(2, first, part)));
    CHECK(sent.refused(request_of(2, last, test::bytes(51))) ==
          "fault 2 context 1 access_denied, closed");
}

// first_only_requests, none_only_requests, last_only_requests, first_maybe_requests,
// first_didnot_requests, first_cmpx_requests, first_08_requests
TEST_CASE("windows: a request begins once, and with its first fragment") {
    for (const std::uint8_t flags : {std::uint8_t{0}, pfc::last_frag}) {
        bound w;
        CHECK(w.refused(request_of(2, flags)) == "fault 2 context 0 proto_error, closed");
    }
    for (const std::uint8_t more :
         {std::uint8_t{0}, pfc::maybe, pfc::did_not_execute, mpx, std::uint8_t{0x08}}) {
        bound w;
        const auto flags = static_cast<std::uint8_t>(pfc::first_frag | more);
        CHECK_FALSE(w.take(request_of(2, flags)));
        CHECK(w.refused(request_of(2, flags)) == "fault 2 context 1 proto_error, closed");
    }
}

// mix_requests, orphaned_request_after_first_no_last, orphaned_request_after_first_mpx_no_last
TEST_CASE("windows: requests arrive one after the other, and who breaks in is told apart by MPX") {
    const std::uint8_t first = pfc::first_frag;
    bound w;
    CHECK_FALSE(w.take(request_of(50, first)));
    CHECK(w.refused(request_of(51, first)) == "fault 50 context 1 proto_error, closed");
    bound m(mpx);
    CHECK_FALSE(m.take(request_of(50, first)));
    CHECK(m.refused(request_of(51, test::whole, {}, 7)) ==
          "fault 51 context 0 proto_error, closed");
    bound executing(mpx); // answers of several calls may be due
    for (const std::uint32_t id : {1U, 2U, 3U}) CHECK_FALSE(executing.take(request_of(id)));
    CHECK(executing.machine.calls() == 3);
}

// first_cancel_requests, 2nd_cancel_requests, last_cancel_requests
TEST_CASE("windows: a first fragment cannot have a cancel pending, and later ones do not count") {
    bound w;
    CHECK(w.refused(request_of(2, pfc::first_frag | pfc::pending_cancel)) ==
          "fault 2 context 0 no_call_active not executed, closed");
    bound second;
    CHECK_FALSE(second.take(request_of(2, pfc::first_frag)));
    CHECK_FALSE(second.take(request_of(2, pfc::pending_cancel)));
    CHECK_FALSE(second.take(request_of(2, pfc::last_frag)));
    CHECK(second.answered() == "response 2 context 1 cancels 0");
    bound last;
    CHECK_FALSE(last.take(request_of(2, pfc::first_frag)));
    CHECK_FALSE(last.take(request_of(2, pfc::last_frag | pfc::pending_cancel)));
    CHECK(last.answered() == "response 2 context 1 cancels 0");
}

// co_cancel_no_request, co_cancel_request_after_first, orphaned_no_request,
// orphaned_request_after_first_last, orphaned_request_after_first_mpx_last
TEST_CASE("windows: cancelling and giving up do nothing to a request that is not whole") {
    for (const auto type : {pdu_type::co_cancel, pdu_type::orphaned})
        for (const std::uint8_t flags : {std::uint8_t{0}, mpx}) {
            bound w(flags);
            CHECK_FALSE(w.take(test::notice(type, 3)));
            CHECK(w.said().empty());
            CHECK_FALSE(w.take(request_of(1, pfc::first_frag)));
            CHECK_FALSE(w.take(test::notice(type, 1)));
            CHECK(w.said().empty());
            CHECK_FALSE(w.take(request_of(1, pfc::last_frag)));
            CHECK(w.answered() == "response 1 context 1 cancels 0");
            CHECK_FALSE(w.take(request_of(2)));
            CHECK(w.answered() == "response 2 context 1 cancels 0");
        }
}

// co_cancel_request_after_first, orphaned_*: their contexts are 0xFF and 0xFFFF
TEST_CASE("windows: a response tells the low octet of its context, a fault all of it") {
    bound w(0, 0xFFFF);
    CHECK_FALSE(w.take(request_of(1, test::whole, {}, 0xFFFF)));
    CHECK(w.answered() == "response 1 context 255 cancels 0");
    CHECK_FALSE(w.take(request_of(2, pfc::first_frag, {}, 0xFFFF)));
    CHECK(w.refused(request_of(3, test::whole, {}, 0xFFFF)) ==
          "fault 2 context 65535 proto_error, closed");
}

// assoc_group_fail1, _fail2, _diff1, _ok1
TEST_CASE("windows: groups end with their last connection, and contexts are the connection's") {
    world w;
    auto b = bind_of({{1, mgmt, {ndr20}}});
    b.assoc_group_id = 1;
    CHECK(w.nak(test::encoded(b)) == bind_reject_reason::not_specified);

    association_groups groups{7};
    server_event_list events;
    const auto bind_to = [&](server_association& s, std::uint32_t group, std::uint16_t context) {
        auto p = bind_of({{context, mgmt, {ndr20}}});
        p.assoc_group_id = group;
        const auto ec = s.on_pdu(test::encoded(p), events);
        test::next_output(s);
        return ec;
    };
    std::uint32_t id = 0;
    {
        server_association one(w.offered, groups), two(w.offered, groups), three(w.offered, groups);
        CHECK_FALSE(bind_to(one, 0, 1));
        id = one.assoc_group_id();
        CHECK_FALSE(bind_to(two, id, 2));
        CHECK(two.assoc_group_id() == id);
        CHECK_FALSE(bind_to(three, 0, 1));
        CHECK(three.assoc_group_id() != id);
        CHECK_FALSE(two.on_pdu(request_of(1, test::whole, {}, 1), events));
        CHECK(decode_fault(test::next_output(two))->status == rpc_status::nca_unk_if);
        CHECK_FALSE(two.on_pdu(request_of(1, test::whole, {}, 2), events));
    }
    server_association late(w.offered, groups);
    CHECK(bind_to(late, id, 1) == errc::bad_value);
}

// auth_none_none_request, _connect_request, _call_request, _packet_request
TEST_CASE("windows: a verifier of no security context is no way to call") {
    for (const std::uint8_t l : octets{0, 1, 2, 3, 4}) {
        bound w;
        request r;
        r.header = {.flags = test::whole, .call_id = 3};
        r.context_id = 1;
        const auto token = test::hex("6e6f6e65");
        r.auth = sec_trailer{.auth_type = 0, .auth_level = l, .context_id = 0, .token = token};
        CHECK(w.refused(test::encoded(r)) == "fault 3 context 1 access_denied, closed");
    }
}

namespace {

/// A connection with the security contexts 1 (integrity) and 2 (packet), as the cases
/// ntlmssp_multi_auth_* and ntlmssp_auth_* have it, and call 3 begun in context 1.
struct secured : bound {
    std::array<dcerpc::detail::security_slot, 3> slots{};

    explicit secured(std::uint8_t flags, bool begin = true) : bound(flags) {
        for (const std::uint32_t id : {1U, 2U}) {
            dcerpc::detail::security_slot& s = slots[id];
            s = {.id = id,
                 .provider = auth::security_provider::ntlm,
                 .level = id == 1 ? level::integrity : level::packet,
                 .context = std::make_unique<test::toy_context>(test::toy_rules{.legs = 2}, true)};
            const auto token = s.context->step({});
            REQUIRE(token);
            auto b = bind_of({{1, mgmt, {ndr20}}});
            b.auth = s.trailer(*token);
            const auto a = alter(b);
            REQUIRE(a.auth);
            REQUIRE(s.context->step(a.auth->token));
        }
        if (!begin) return;
        REQUIRE_FALSE(take(fragment(3, pfc::first_frag, 1)));
        REQUIRE(said().empty());
    }
    // A fragment signed in a security context (0: none), whose header may be forged to say 111.
    test::bytes fragment(std::uint32_t id, std::uint8_t flags, std::uint32_t security,
                         std::uint16_t context = 1, const char* forged = "") {
        request r;
        r.header = {.flags = flags, .call_id = id};
        r.context_id = context;
        r.opnum = context;
        const test::bytes stub(16);
        r.stub = stub;
        r.auth = dcerpc::detail::unsigned_trailer(security == 0 ? nullptr : &slots[security]);
        for (const char* c = forged; *c != 0; ++c) {
            if (*c == 't') r.auth->auth_type = 111;
            if (*c == 'l') r.auth->auth_level = 111;
            if (*c == 'c') r.auth->context_id = 111;
        }
        auto pdu = test::encoded(r);
        if (security != 0)
            REQUIRE_FALSE(
                dcerpc::detail::protect(slots[security], false, pdu, request_header_bytes));
        return pdu;
    }
};

/// A bind with the first of three legs, and the two PDUs that may bring the last one.
struct handshake {
    test::bytes bind{};
    test::bytes alter{};
    test::bytes last{};
};

handshake three_legs() {
    const auto first = test::hex("01 736573616d65"), third = test::hex("03 736573616d65");
    auto b = bind_of({{1, mgmt, {ndr20}}});
    b.auth = {.auth_type = 16, .auth_level = 2, .context_id = 2, .token = first};
    handshake out{.bind = test::encoded(b)};
    b.auth->token = third;
    out.alter = test::encoded(b, pdu_type::alter_context);
    auth3 end;
    end.header = {.flags = test::whole, .call_id = 1};
    end.auth = *b.auth;
    out.last = test::encoded(end);
    return out;
}

} // namespace

// ntlmssp_multi_auth_first1_last*, ntlmssp_multi_auth_MPX_first1_last*
TEST_CASE("windows: a further fragment belongs to the security context of the first") {
    const std::string one = "fault 3 context 1 proto_error, closed";
    const std::string other = "fault 4 context 0 proto_error, closed";
    const auto last = pfc::last_frag;
    for (const std::uint8_t flags : {std::uint8_t{0}, mpx}) {
        CAPTURE(flags);
        const auto sent = [&](std::uint32_t id, std::uint32_t security, std::uint16_t context = 1,
                              const char* forged = "") {
            secured w(flags);
            const auto pdu = w.fragment(id, last, security, context, forged);
            static_cast<void>(w.take(pdu));
            return w.machine.has_output() || w.machine.closed_with() ? w.said() : w.answered();
        };
        CHECK(sent(3, 2) == "fault 3 context 1 sec_pkg_error, closed");    // lastSame2
        CHECK(sent(3, 1, 111, "ctl") == "response 3 context 1 cancels 0"); // lastSame111
        CHECK(sent(3, 0) == one);                                          // lastSameNone
        CHECK(sent(3, 0, 111) == one);                                     // lastSameNone111
        const auto& next = flags == mpx ? other : one;
        CHECK(sent(4, 2) == next);             // lastNext2
        CHECK(sent(4, 1, 111, "ctl") == next); // lastNext111
        CHECK(sent(4, 0) == next);             // lastNextNone
        CHECK(sent(4, 0, 111) == next);        // lastNextNone111
    }
}

// ntlmssp_multi_auth_first1_first*, ntlmssp_multi_auth_MPX_first1_first*
TEST_CASE("windows: a second first fragment is refused in the name of whom it disturbs") {
    const std::string one = "fault 3 context 1 proto_error, closed";
    const std::string other = "fault 4 context 0 proto_error, closed";
    for (const std::uint8_t flags : {std::uint8_t{0}, mpx}) {
        CAPTURE(flags);
        const auto sent = [&](std::uint32_t id, std::uint32_t security, std::uint16_t context = 1,
                              const char* forged = "") {
            secured w(flags);
            return w.refused(w.fragment(id, pfc::first_frag, security, context, forged));
        };
        CHECK(sent(3, 2) == "fault 3 context 1 sec_pkg_error, closed"); // firstSame2
        CHECK(sent(3, 1, 111, "ctl") == one);                           // firstSame111
        CHECK(sent(3, 0) == one);                                       // firstSameNone
        CHECK(sent(3, 0, 111) == one);                                  // firstSameNone111
        const auto& next = flags == mpx ? other : one;
        CHECK(sent(4, 2) == next);             // firstNext2
        CHECK(sent(4, 1, 111, "ctl") == next); // firstNext111
        CHECK(sent(4, 0) == next);             // firstNextNone
        CHECK(sent(4, 0, 111) == next);        // firstNextNone111
    }
}

// ntlmssp_auth_middle_*, ntlmssp_auth_MPX_middle_*
TEST_CASE("windows: a fragment of no call is looked at more closely with MPX") {
    struct row {
        const char* forged;
        std::uint16_t context;
        const char* with_mpx;
    };
    for (const row& r : {row{"", 1, "fault 3 context 1 proto_error, closed"},       // alone
                         row{"ctl", 111, "fault 3 context 0 unk_if not executed"},  // all_111
                         row{"ctl", 1, "fault 3 context 1 access_denied, closed"},  // auth_all_111
                         row{"c", 1, "fault 3 context 1 access_denied, closed"},    // auth_context
                         row{"t", 1, "fault 3 context 1 access_denied, closed"},    // auth_type
                         row{"l", 1, "fault 3 context 1 access_denied, closed"}}) { // auth_level
        CAPTURE(r.forged);
        secured plain(0, false);
        CHECK(plain.refused(plain.fragment(3, 0, 1, r.context, r.forged)) ==
              "fault 3 context 0 proto_error, closed");
        secured w(mpx, false);
        CHECK(w.refused(w.fragment(3, 0, 1, r.context, r.forged)) == r.with_mpx);
    }
}

// ntlmssp_auth_pad_ok, ntlmssp_auth_pad_fail_auth3, spnego_auth_pad_ok, spnego_auth_pad_fail_bind,
// spnego_auth_pad_fail_alter
TEST_CASE("windows: a pad_length may reach back to octet 24 of a bind, and nowhere in an auth3") {
    const auto token = test::hex("01 736573616d65 00");
    const auto padded = [&](pdu_type type, std::size_t more) {
        auto b = bind_of({{1, mgmt, {ndr20}}});
        b.auth = sec_trailer{.auth_type = 10, .auth_level = 2, .context_id = 2, .token = token};
        auto pdu = test::encoded(b, type);
        const std::size_t trailer = pdu.size() - token.size() - sec_trailer_bytes;
        pdu[trailer + 2] = static_cast<std::byte>(trailer - request_header_bytes + more);
        return pdu;
    };
    for (const auto type : {pdu_type::bind, pdu_type::alter_context}) {
        const auto good = decode_bind(padded(type, 0), type);
        REQUIRE(good);
        CHECK(good->contexts == std::vector<presentation_context>{{1, mgmt, {ndr20}}});
        CHECK(decode_bind(padded(type, 1), type).error() == errc::bad_auth_length);
    }
    CHECK(world().nak(padded(pdu_type::bind, 1)) ==
          bind_reject_reason::protocol_version_not_supported);
    bound w;
    CHECK(w.refused(padded(pdu_type::alter_context, 1)) ==
          "fault 1 context 0 proto_error not executed, closed");

    auth3 third;
    third.header = {.flags = test::whole, .call_id = 1};
    third.auth = {.auth_type = 10, .auth_level = 2, .context_id = 2, .token = token};
    auto pdu = test::encoded(third);
    CHECK(decode_auth3(pdu));
    pdu[common_header_bytes + 4 + 2] = std::byte{1};
    bound v;
    CHECK(v.refused(pdu) == "fault 1 context 0 remote_no_memory not executed, closed");
}

// The cases of a later raw_protocol, Samba bug 14356: auth_pad_bind_align2_*,
// auth_pad_alter_align2_*, auth_pad_auth3_align2_*, auth_mid_pad_*,
// spnego_integrity_bind_auth_align2 and _align4
TEST_CASE("windows: a verifier begins at a multiple of 4, of whatever octets stand before it") {
    const auto moved = [](test::bytes pdu, int octets) { // of the verifier, to the right
        const std::size_t trailer =
            pdu.size() - sec_trailer_bytes -
            core::load<std::uint16_t>(pdu.data() + 10, core::byte_order::little);
        const auto at = pdu.begin() + static_cast<std::ptrdiff_t>(trailer);
        if (octets > 0) pdu.insert(at, static_cast<std::size_t>(octets), std::byte{0xFB});
        if (octets < 0) pdu.erase(at + octets, at);
        return test::with_length(pdu, pdu.size());
    };
    server_association_options o;
    o.security.push_back(std::make_shared<test::toy_acceptor>(
        test::toy_rules{.provider = auth::security_provider::kerberos}));
    const auto [bind, alter, last] = three_legs();
    const std::string error = "fault 1 context 0 proto_error not executed, closed";
    for (const int octets : {1, 2, 3, 6}) {
        CAPTURE(octets);
        CHECK(world(o).nak(moved(bind, octets)) == bind_reject_reason::not_specified);
        for (const auto& leg : {alter, last}) {
            world w(o);
            REQUIRE_FALSE(w.take(bind));
            test::next_output(w.machine);
            CHECK(w.refused(moved(leg, octets)) == error);
        }
    }
    for (const int octets : {0, 4, 32})
        for (const auto& leg : {alter, last}) {
            CAPTURE(octets);
            world w(o);
            REQUIRE_FALSE(w.take(moved(bind, octets)));
            REQUIRE(decode_bind_ack(test::next_output(w.machine)));
            CHECK_FALSE(w.take(moved(leg, octets)));
            CHECK_FALSE(w.machine.is_securing());
        }

    const auto request_with = [&](secured& w, int octets, std::uint8_t pad) {
        request r;
        r.header = {.flags = test::whole, .call_id = 4};
        r.context_id = 1;
        const test::bytes stub(16);
        r.stub = stub;
        r.auth = dcerpc::detail::unsigned_trailer(&w.slots[1]);
        auto pdu = moved(test::encoded(r), octets);
        const std::size_t trailer = pdu.size() - w.slots[1].verifier_bytes();
        pdu[trailer + 2] = std::byte{pad};
        REQUIRE_FALSE(dcerpc::detail::protect(w.slots[1], false, pdu, request_header_bytes));
        return pdu;
    };
    for (const auto& [octets, pad] : {std::pair<int, std::uint8_t>{2, 1}, {-1, 0}, {5, 3}}) {
        secured w(0, false);
        CHECK(w.refused(request_with(w, octets, pad)) == "fault 4 context 1 proto_error, closed");
    }
    secured w(0, false);
    CHECK_FALSE(w.take(request_with(w, 4, 3)));
    CHECK(std::get<call_received>(w.events.back()).stub.size() == 17);
}

// auth_pad_ntlm_2889_bind_*, auth_pad_ntlm_2889_*, auth_full_pad_spnego_* of that raw_protocol for
// what is no token; spnego_privacy_bind_none, _sign for what does not verify
TEST_CASE("windows: a token that is none is refused as a wrong password is, one that lies is not") {
    struct acceptor final : auth::security_acceptor {
        struct context final : test::toy_context {
            using test::toy_context::toy_context;
            std::error_code why;
            int left = 0;
            result<std::vector<std::byte>> step(byte_view token) override {
                if (left-- == 0) return fail(why);
                return test::toy_context::step(token);
            }
        };
        std::error_code why;
        int good = 0; // tokens before the one that fails
        auth::security_provider provider() const noexcept override {
            return auth::security_provider::kerberos;
        }
        result<std::unique_ptr<auth::security_context>>
        accept(const auth::security_options&) override {
            auto made = std::make_unique<context>(test::toy_rules{}, false);
            made->why = why;
            made->left = good;
            return made;
        }
    };
    const auto [bind, alter, last] = three_legs();
    struct row {
        errc why;
        std::string status;
    };
    for (const row& r :
         {row{errc::bad_security_token, "access_denied"},
          row{errc::bad_credentials, "access_denied"}, row{errc::account_locked, "access_denied"},
          row{errc::authentication_failed, "sec_pkg_error"}}) {
        const auto failing = [&](int good) {
            auto made = std::make_shared<acceptor>();
            made->why = r.why;
            made->good = good;
            server_association_options o;
            o.security.push_back(std::move(made));
            return o;
        };
        CHECK(world(failing(0)).nak(bind) == bind_reject_reason::invalid_checksum);
        world w(failing(1)), v(failing(1));
        REQUIRE_FALSE(w.take(bind));
        test::next_output(w.machine);
        CHECK(w.refused(alter) == "fault 1 context 0 " + r.status + " not executed, closed");
        REQUIRE_FALSE(v.take(bind));
        test::next_output(v.machine);
        CHECK(v.refused(last).empty());
        CHECK(v.refused(request_of(2)) == "fault 2 context 1 access_denied, closed");
    }
    // auth_tail_pad_ntlm_*: one of a size that we read of no mechanism
    const test::bytes large(limits::auth_token_bytes_max + 1);
    auto b = bind_of({{1, mgmt, {ndr20}}});
    b.auth = {.auth_type = 16, .auth_level = 2, .context_id = 2, .token = large};
    CHECK(world().nak(test::encoded(b)) == bind_reject_reason::invalid_checksum);
    CHECK(bound().refused(test::encoded(b, pdu_type::alter_context)) ==
          "fault 1 context 0 access_denied not executed, closed");
}

// spnego_change_auth_type1, _type2, _type3, _level, spnego_change_transfer
TEST_CASE("windows: what a later leg may not change, and what is looked at first") {
    const auto first = test::hex("01 736573616d65"), third = test::hex("03 736573616d65");
    server_association_options o;
    o.security.push_back(std::make_shared<test::toy_acceptor>(
        test::toy_rules{.provider = auth::security_provider::kerberos}));
    const auto begun = bind_of({{1, mgmt, {ndr20}}}), other = bind_of({{1, mgmt, {ndr20, ndr64}}});
    const auto said_to = [&](std::uint8_t type, std::uint8_t auth_level, bind leg) {
        world w(o);
        auto b = begun;
        b.auth = {.auth_type = 16, .auth_level = 5, .context_id = 2, .token = first};
        REQUIRE_FALSE(w.take(test::encoded(b)));
        test::next_output(w.machine);
        leg.auth = {.auth_type = type, .auth_level = auth_level, .context_id = 2, .token = third};
        return w.refused(test::encoded(leg, pdu_type::alter_context));
    };
    const auto fault = [](const std::string& status) {
        return "fault 1 context 0 " + status + " not executed, closed";
    };
    for (const std::uint8_t type : octets{10, 9, 111}) {
        CHECK(said_to(type, 5, begun) == fault("sec_pkg_error"));
        CHECK(said_to(type, 5, other) == fault("proto_error"));
    }
    CHECK(said_to(0, 5, begun) == fault("access_denied"));
    CHECK(said_to(0, 5, other) == fault("access_denied"));
    CHECK(said_to(16, 6, begun) == fault("access_denied"));
    CHECK(said_to(16, 5, other) == fault("proto_error"));
    // One that begins nothing, either.
    bound none(0, 1, o);
    auto b = bind_of({{1, mgmt, {ndr64}}});
    b.auth = {.auth_type = 0, .auth_level = 5, .context_id = 3, .token = first};
    CHECK(none.refused(test::encoded(b, pdu_type::alter_context)) == fault("access_denied"));
}

// Each case of ntlmssp_* whose third token comes in an alter_context
TEST_CASE("windows: an alter_context that ends a handshake is answered by an empty trailer") {
    server_association_options o;
    o.security.push_back(std::make_shared<test::toy_acceptor>(
        test::toy_rules{.provider = auth::security_provider::kerberos}));
    bound w(0, 1, o); // three legs
    auto b = bind_of({{1, mgmt, {ndr20}}});
    for (const char* leg : {"01 736573616d65", "03 736573616d65"}) {
        const auto token = test::hex(leg);
        b.auth = sec_trailer{.auth_type = 16, .auth_level = 5, .context_id = 7, .token = token};
        REQUIRE_FALSE(w.take(test::encoded(b, pdu_type::alter_context)));
        auto pdu = test::next_output(w.machine);
        const bool last = leg[1] == '3';
        CHECK(core::load<std::uint16_t>(pdu.data() + 10, core::byte_order::little) ==
              (last ? 0 : 7));
        const auto trailer = byte_view(pdu).last(last ? 8 : 15).first(8);
        CHECK(to_hex(trailer) == to_hex(test::hex("10 05 00 00 07000000")));
        // Our client reads over it, and over nothing else.
        REQUIRE(decode_bind_ack(pdu, pdu_type::alter_context_resp));
        if (last) {
            pdu = test::with_length(pdu, pdu.size() + 1);
            CHECK(decode_bind_ack(pdu, pdu_type::alter_context_resp).error() ==
                  errc::trailing_bytes);
        }
    }
}

// ntlm_signing_packet, ntlm_signing_integrity; impacket's client does the same
TEST_CASE("windows: NTLM signs PDU headers without being asked, others do not") {
    for (const bool always : {false, true}) {
        const test::toy_rules rules{.legs = 1, .always_signs_headers = always};
        dcerpc::detail::security_slot client{.id = 1,
                                             .provider = auth::security_provider::ntlm,
                                             .level = level::integrity,
                                             .context =
                                                 std::make_unique<test::toy_context>(rules, true)};
        dcerpc::detail::security_slot server{.id = 1,
                                             .provider = auth::security_provider::ntlm,
                                             .level = level::integrity,
                                             .context =
                                                 std::make_unique<test::toy_context>(rules, false)};
        REQUIRE(server.context->step(*client.context->step({})));
        request r;
        r.header = {.flags = test::whole, .call_id = 3};
        const auto stub = test::pattern(16);
        r.stub = stub;
        r.auth = dcerpc::detail::unsigned_trailer(&client);
        auto pdu = test::encoded(r);
        REQUIRE_FALSE(dcerpc::detail::protect(client, false, pdu, request_header_bytes));
        pdu[22] ^= std::byte{1}; // the opnum
        const auto read = decode_request(pdu);
        REQUIRE(read);
        std::vector<std::byte> scratch;
        CHECK(dcerpc::detail::unprotect(server, false, pdu, *read->auth, request_header_bytes,
                                        scratch)
                  .has_value() != always);
    }
}

// multiple_auth_limit
TEST_CASE("windows: a connection may have 2049 security contexts") {
    bound w;
    auto b = bind_of({{1, mgmt, {ndr20}}});
    const auto token = test::hex("01 736573616d65");
    const auto with = [&](std::uint32_t id) {
        b.auth = sec_trailer{.auth_type = 10, .auth_level = 5, .context_id = id, .token = token};
        return test::encoded(b, pdu_type::alter_context);
    };
    for (std::uint32_t id = 1; id <= 2049; ++id) {
        REQUIRE_FALSE(w.take(with(id)));
        REQUIRE(peek_type(test::next_output(w.machine)) == pdu_type::alter_context_resp);
    }
    CHECK(w.refused(with(2050)) == "fault 1 context 0 proto_error not executed, closed");
}

// [MS-RPCE] 3.3.3.5.5; the text says bind_nak of any negotiation.
TEST_CASE("windows: 4000 presentation contexts for each interface of the server") {
    world w;
    for (std::uint16_t id = 0; id < 8000; id = static_cast<std::uint16_t>(id + 2)) {
        const auto next = static_cast<std::uint16_t>(id + 1);
        // Not in order: what is kept must be found whichever way ids come.
        const auto both = bind_of({{next, mgmt, {ndr20}}, {id, epmapper, {ndr20}}});
        REQUIRE((id == 0 ? w.ack(both) : w.alter(both)).results ==
                std::vector{accepted(), accepted()});
    }
    REQUIRE_FALSE(w.take(test::encoded(bind_of({{8000, mgmt, {ndr20}}}), pdu_type::alter_context)));
    CHECK(decode_bind_nak(test::next_output(w.machine))->reason ==
          bind_reject_reason::local_limit_exceeded);
    CHECK(w.refused(request_of(7, test::whole, {}, 8000)) ==
          "fault 7 context 0 unk_if not executed");
    for (const std::uint16_t id : ids{0, 1, 4321, 7998, 7999}) {
        REQUIRE_FALSE(w.take(request_of(8, test::whole, {}, id)));
        CHECK(w.answered() == "response 8 context " + std::to_string(id & 0xFF) + " cancels 0");
    }
}

// spnego_auth3
TEST_CASE("windows: an auth3 does not end a handshake whose answer it cannot carry") {
    server_association_options o;
    o.security.push_back(std::make_shared<test::toy_acceptor>(
        test::toy_rules{.legs = 4, .provider = auth::security_provider::kerberos}));
    world w(o);
    auto b = bind_of({{1, mgmt, {ndr20}}});
    const auto token = test::hex("01 736573616d65");
    b.auth = sec_trailer{.auth_type = 16, .auth_level = 2, .context_id = 2, .token = token};
    REQUIRE(w.ack(b).auth);
    auth3 third;
    third.header = {.flags = test::whole, .call_id = 1};
    const auto more = test::hex("03 736573616d65");
    third.auth = {.auth_type = 16, .auth_level = 2, .context_id = 2, .token = more};
    CHECK_FALSE(w.take(test::encoded(third)));
    CHECK(w.said().empty());
    CHECK(w.refused(request_of(2)) == "fault 2 context 1 access_denied, closed");
}
