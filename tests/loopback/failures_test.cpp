// What is left of a client when a security context failed, or a handler threw.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <rpch/client/client.hpp>
#include <rpch/dcerpc/server_association.hpp>

#include "tests/support/machine_world.hpp"
#include "tests/support/toy_security.hpp"

namespace {

using namespace rpch;
using namespace std::chrono_literals;
using test::probe;

constexpr std::uint8_t whole = dcerpc::pfc::first_frag | dcerpc::pfc::last_frag;

test::bytes refusal_of(std::uint32_t call_id) {
    dcerpc::fault no;
    no.header = {.flags = whole, .call_id = call_id};
    no.status = rpc_status::access_denied;
    test::bytes out(encoded_size(no));
    out.resize(encode_fault(no, out));
    return out;
}

test::bytes acceptance_of(std::uint32_t call_id) {
    dcerpc::bind_ack yes;
    yes.header = {.flags = whole, .call_id = call_id};
    yes.max_xmit_frag = yes.max_recv_frag = 5840;
    yes.assoc_group_id = 7;
    yes.results.push_back({dcerpc::context_answer::acceptance, 0, dcerpc::ndr20});
    test::bytes out(encoded_size(yes));
    out.resize(encode_bind_ack(yes, out, dcerpc::pdu_type::alter_context_resp));
    return out;
}

} // namespace

TEST_CASE("A bind that is accepted after its security context failed ends with that failure") {
    const test::toy_rules rules{.legs = 4};
    dcerpc::server_association_options served;
    served.security.push_back(std::make_shared<test::toy_acceptor>(rules));
    test::machine_world w(test::way::tcp, served);
    client_options options = w.all.options();
    options.rpc_security = std::make_shared<test::toy_initiator>(rules);
    failure why;
    auto client = *client::start(w.binding(), options, why);
    std::vector<failure> ended;
    w.there.instead = [&](byte_view pdu) -> std::optional<test::bytes> {
        if (dcerpc::peek_type(pdu) != dcerpc::pdu_type::alter_context) return std::nullopt;
        const auto call_id = dcerpc::decode_common_header(pdu)->call_id;
        // The second leg is refused, and the connection stays; the second bind is accepted.
        return ended.empty() ? refusal_of(call_id) : acceptance_of(call_id);
    };
    const auto bind = [&](const interface_id& id) {
        const std::size_t before = ended.size();
        client.async_bind<failure>(id,
                                   [&](const failure& f, std::uint16_t) { ended.push_back(f); });
        w.all.run_until([&] { return ended.size() != before; });
    };
    bind(probe::id);
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].said_by == origin::security);
    bind(w.other_id);
    REQUIRE(ended.size() == 2);
    CHECK(ended[1].code == ended[0].code);
    CHECK(ended[1].said_by == origin::security);
}

TEST_CASE("An exception of a handler leaves run(), and its connection goes on") {
    test::stack all;
    for (const std::string& binding : {all.tcp_binding(), all.binding()}) {
        test::caller caller(all, binding);
        REQUIRE(caller.open());
        client_options options = all.options();
        failure why;
        auto client = *client::start(binding, options, why);
        std::optional<std::uint16_t> context;
        client.async_bind(probe::id, [&](std::error_code ec, std::uint16_t c) {
            REQUIRE_FALSE(ec);
            context = c;
        });
        REQUIRE(all.run_until([&] { return context.has_value(); }));
        int done = 0;
        client.async_call_raw<failure>(*context, probe::echo, {},
                                       [&](const failure&, raw_response) {
                                           ++done;
                                           throw std::runtime_error("mine");
                                       });
        CHECK_THROWS_WITH(all.run_until([&] { return done == 2; }), "mine");
        CHECK(done == 1);
        client.async_call_raw<failure>(*context, probe::echo, {},
                                       [&](const failure& f, raw_response) {
                                           CHECK_FALSE(f);
                                           ++done;
                                       });
        REQUIRE(all.run_until([&] { return done == 2; }));
    }
}

TEST_CASE("A server's log says why nobody got in") {
    for (const bool tunnel : {false, true}) {
        test::stack all({.adjust_server = [](server_settings& s) {
            s.rpc_security = {std::make_shared<test::toy_acceptor>()};
            s.minimum_level = auth::authentication_level::privacy;
        }});
        const auto fails = [&](std::shared_ptr<auth::security_initiator> who,
                               auth::authentication_level level) {
            client_options options = all.options();
            options.rpc_security = std::move(who);
            options.rpc_level = level;
            test::caller caller(all, tunnel ? all.binding() : all.tcp_binding(), options);
            return !caller.open() || caller.call(probe::echo, {})->why;
        };
        const auto level = auth::authentication_level::privacy;
        CHECK(fails(std::make_shared<test::toy_initiator>(test::toy_rules{.password = "guess"}),
                    level));
        CHECK(all.server_said("logon by NTLM failed"));
        CHECK(fails(std::make_shared<test::toy_initiator>(), auth::authentication_level::packet));
        CHECK(all.server_said("a call at level packet was refused, privacy is demanded"));
        CHECK(fails(std::make_shared<test::toy_initiator>(
                        test::toy_rules{.provider = auth::security_provider::kerberos}),
                    level));
        CHECK(all.server_said("Kerberos is not accepted here"));
        CHECK_FALSE(fails(std::make_shared<test::toy_initiator>(), level));
    }
}
