// A server does not wait for ever for the next leg of a security handshake.
#include <chrono>
#include <cstdint>
#include <memory>

#include <doctest/doctest.h>

#include <rpch/dcerpc/bind_pdu.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/stack.hpp"
#include "tests/support/toy_security.hpp"

namespace {

namespace dcerpc = rpch::dcerpc;
using rpch::errc;
using test::bytes;
using test::probe;
using namespace std::chrono_literals;

test::stack_options impatient(const test::toy_rules& rules) {
    test::stack_options out;
    out.adjust_server = [rules](rpch::server_settings& s) {
        s.rpc_security = {std::make_shared<test::toy_acceptor>(rules)};
        s.first_pdu_wait = 400ms;
    };
    return out;
}

/// A bind or alter_context with the first leg of a toy handshake.
bytes first_leg(dcerpc::pdu_type type, std::uint32_t call_id, const test::toy_rules& rules) {
    bytes token{std::byte{1}};
    for (const char c : rules.password) token.push_back(static_cast<std::byte>(c));
    dcerpc::bind p;
    p.header = {.flags = dcerpc::pfc::first_frag | dcerpc::pfc::last_frag, .call_id = call_id};
    p.max_xmit_frag = p.max_recv_frag = 5840;
    p.contexts.push_back({0, probe::id, {dcerpc::ndr20}});
    if (type == dcerpc::pdu_type::alter_context || call_id == 1)
        p.auth = dcerpc::sec_trailer{.auth_type = static_cast<std::uint8_t>(rules.provider),
                                     .auth_level = 6,
                                     .context_id = 1,
                                     .token = token};
    bytes out(encoded_size(p));
    out.resize(encode_bind(p, out, type));
    return out;
}

} // namespace

TEST_CASE("A handshake that is begun and not ended costs the client its connection") {
    const test::toy_rules rules;
    for (const bool later : {false, true}) {
        test::stack all(impatient(rules));
        test::raw_peer peer(all.io, all.tcp_port);
        if (later) {
            peer.send(first_leg(dcerpc::pdu_type::bind, 2, rules)); // without security
            REQUIRE(all.run_until([&] { return !peer.heard().empty(); }));
            all.run_until([] { return false; }, 600ms);
            REQUIRE_FALSE(peer.ended());
            peer.send(first_leg(dcerpc::pdu_type::alter_context, 3, rules));
        } else
            peer.send(first_leg(dcerpc::pdu_type::bind, 1, rules));
        CHECK(all.run_until([&] { return peer.ended(); }, 10s));
        CHECK(all.server_said(make_error_code(errc::setup_timeout).message()));
    }
}

TEST_CASE("A handshake that is ended has no limit any more, however many legs it had") {
    for (const int legs : {2, 3, 4}) {
        const test::toy_rules rules{.legs = legs};
        test::stack all(impatient(rules));
        auto options = all.options();
        options.rpc_security = std::make_shared<test::toy_initiator>(rules);
        test::caller caller(all, all.tcp_binding(), options);
        REQUIRE(caller.open());
        all.run_until([] { return false; }, 600ms);
        const auto call = caller.call(probe::echo, test::pattern(40));
        CHECK_FALSE(call->why);
    }
}
