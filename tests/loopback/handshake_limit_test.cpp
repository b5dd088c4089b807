// A server does not wait for ever for the next leg of a security handshake.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include <rpch/dcerpc/bind_pdu.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/relay.hpp"
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

/// A toy that calls before it makes any token but the first.
class hooked_initiator final : public rpch::auth::security_initiator {
  public:
    hooked_initiator(test::toy_rules rules, std::function<void()> hook)
        : rules_(std::move(rules)), hook_(std::move(hook)) {}
    rpch::auth::security_provider provider() const noexcept override { return rules_.provider; }
    rpch::result<std::unique_ptr<rpch::auth::security_context>>
    initiate(const rpch::auth::security_options&) override {
        return std::make_unique<context>(rules_, hook_);
    }

  private:
    class context final : public test::toy_context {
      public:
        context(test::toy_rules rules, std::function<void()> hook)
            : toy_context(std::move(rules), true), hook_(std::move(hook)) {}
        rpch::result<bytes> step(rpch::byte_view token) override {
            if (!token.empty()) hook_();
            return toy_context::step(token);
        }

      private:
        std::function<void()> hook_;
    };
    test::toy_rules rules_;
    std::function<void()> hook_;
};

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

TEST_CASE("The same over HTTP: the virtual connection ends, and the log says why") {
    const test::toy_rules rules{.legs = 6};
    test::stack all(impatient(rules));
    test::relay to_proxy(all.io, all.proxy_port);
    auto options = all.options();
    // The relay lets through what it waits for already: the second leg of the client, not the
    // third.
    options.rpc_security = std::make_shared<hooked_initiator>(rules, [&] { to_proxy.pause(true); });
    test::caller caller(all,
                        "ncacn_http:127.0.0.1[" + std::to_string(all.server_port) +
                            ",RpcProxy=127.0.0.1:" + std::to_string(to_proxy.port()) +
                            ",HttpUseTls=false]",
                        options);
    CHECK(all.run_until([&] { return caller.binds_done() != 0; }, 10s));
    CHECK(caller.why().code == errc::connection_lost);
    CHECK(caller.why().detail == "the bind was not answered");
    CHECK(all.server_said("virtual connection", "the client did not end its security handshake"));
    CHECK(all.run_until([&] { return all.server->connections() == 0; }, 10s));
}

TEST_CASE("A handshake that is ended has no limit any more, however many legs it had") {
    for (const int legs : {2, 3, 4}) {
        const test::toy_rules rules{.legs = legs};
        test::stack all(impatient(rules));
        auto options = all.options();
        options.rpc_security = std::make_shared<test::toy_initiator>(rules);
        test::caller caller(all, all.tcp_binding(), options);
        test::caller tunnel(all, all.binding(), options);
        REQUIRE(caller.open());
        REQUIRE(tunnel.open());
        all.run_until([] { return false; }, 600ms);
        CHECK_FALSE(caller.call(probe::echo, test::pattern(40))->why);
        CHECK_FALSE(tunnel.call(probe::echo, test::pattern(40))->why);
    }
}
