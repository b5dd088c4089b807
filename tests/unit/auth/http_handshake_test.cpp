#include <rpch/auth/http_handshake.hpp>

#include <doctest/doctest.h>

#include <rpch/core/base64.hpp>
#include <rpch/limits.hpp>

#include "tests/support/toy_security.hpp"

using namespace rpch;
using namespace rpch::auth;
using verdict = http_acceptance::verdict;

namespace {

std::vector<std::shared_ptr<security_acceptor>> acceptors(test::toy_rules ntlm,
                                                          test::toy_rules negotiate = {}) {
    ntlm.provider = security_provider::ntlm;
    negotiate.provider = security_provider::negotiate;
    return {std::make_shared<test::toy_acceptor>(ntlm),
            std::make_shared<test::toy_acceptor>(negotiate)};
}

std::string leg(int number, const std::string& password = "sesame",
                const std::string& scheme = "NTLM") {
    return scheme + " " + core::base64_encode(core::as_bytes(static_cast<char>(number) + password));
}

http_logon logon_of(test::toy_rules rules, scheme which = scheme::ntlm) {
    return http_logon(std::make_shared<test::toy_initiator>(rules), which, {});
}

/// @return what stands behind the scheme.
std::string base64_of(std::string_view value) {
    return std::string(value.substr(value.find(' ') + 1));
}

} // namespace

TEST_CASE("http handshake: both ends agree in any number of legs") {
    for (const auto which : {scheme::ntlm, scheme::negotiate})
        for (int legs = 1; legs <= 6; ++legs) {
            CAPTURE(legs);
            test::toy_rules rules;
            rules.legs = legs;
            const auto all = acceptors(rules, rules);
            http_acceptance server;
            auto client = logon_of(rules, which);
            auto value = client.begin();
            REQUIRE(value);
            while (true) {
                CHECK(scheme_of(value->view()) == which);
                const auto answer = server.take(all, value->view(), {});
                CHECK(answer.why.empty());
                if (answer.what == verdict::accepted) {
                    CHECK(account_of(answer.who) == "TOY\\alice");
                    const std::string_view challenge = answer.challenge;
                    const auto final = parse_offers({&challenge, 1});
                    CHECK_FALSE(client.finish(final.find(which)));
                    break;
                }
                REQUIRE(answer.what == verdict::next_leg);
                CHECK(server.is_under_way());
                value = client.answer(base64_of(answer.challenge));
                REQUIRE(value);
            }
            CHECK(client.is_established());
            CHECK(client.legs() == (legs + 1) / 2);
            CHECK_FALSE(server.is_under_way());
        }
}

TEST_CASE("http handshake: a first leg in the middle, or another scheme, begins afresh") {
    const auto all = acceptors({}, {});
    http_acceptance server;
    CHECK(server.take(all, leg(1), {}).what == verdict::next_leg);
    CHECK(server.take(all, leg(1), {}).what == verdict::next_leg);
    CHECK(server.take(all, leg(1, "sesame", "Negotiate"), {}).what == verdict::next_leg);
    // The third leg belongs to the handshake by Negotiate alone.
    CHECK(server.take(all, leg(3), {}).what == verdict::refused);
    CHECK(server.take(all, leg(3, "sesame", "Negotiate"), {}).what == verdict::refused);
    CHECK(server.take(all, leg(1, "sesame", "negotiate"), {}).what == verdict::next_leg);
    CHECK(server.take(all, leg(3, "sesame", "NEGOTIATE"), {}).what == verdict::accepted);
}

TEST_CASE("http handshake: what is wrong is refused, and nothing of it is told or kept") {
    const auto all = acceptors({}, {});
    http_acceptance server;
    const std::string huge(limits::auth_token_bytes_max + 1, 'x');
    for (const std::string& value :
         {leg(3), leg(2), leg(1, "guess"), std::string("NTLM"), std::string("NTLM "),
          std::string("NTLM !!!!"), std::string("NTLM AQ"), std::string("Basic YTpi"),
          std::string("Digest x"), "NTLM " + core::base64_encode(core::as_bytes(huge)),
          std::string()}) {
        const auto answer = server.take(all, value, {});
        CHECK(answer.what == verdict::refused);
        CHECK(answer.challenge.empty());
        CHECK_FALSE(answer.why.empty());
        CHECK(answer.why.find("guess") == std::string::npos);
        CHECK_FALSE(server.is_under_way());
    }
    CHECK(server.take(all, leg(1), {}).what == verdict::next_leg);
    server.forget();
    CHECK(server.take(all, leg(3), {}).what == verdict::refused);
}

TEST_CASE("http handshake: without acceptors there is no scheme") {
    CHECK(acceptor_for({}, scheme::ntlm) == nullptr);
    const auto all = acceptors({}, {});
    CHECK(acceptor_for(all, scheme::ntlm) == all[0].get());
    CHECK(acceptor_for(all, scheme::negotiate) == all[1].get());
    CHECK(acceptor_for(all, scheme::basic) == nullptr);
    CHECK(acceptor_for(all, scheme::other) == nullptr);
    const std::vector<std::shared_ptr<security_acceptor>> empty_slot{nullptr};
    CHECK(acceptor_for(empty_slot, scheme::ntlm) == nullptr);
}

TEST_CASE("http handshake: a server that owes a proof and gives none is refused") {
    test::toy_rules rules;
    rules.legs = 2;
    auto client = logon_of(rules, scheme::negotiate);
    REQUIRE(client.begin());
    CHECK(client.finish(nullptr) == errc::authentication_failed);
    offer wrong;
    wrong.which = scheme::negotiate;
    wrong.token = core::base64_encode(core::as_bytes(std::string("\x02guess")));
    CHECK(client.finish(&wrong) == errc::bad_credentials);
    REQUIRE(client.begin());
    wrong.token = "!";
    CHECK(client.finish(&wrong) == errc::bad_security_token);
    REQUIRE(client.begin());
    offer right = wrong;
    right.token = core::base64_encode(core::as_bytes(std::string("\x02sesame")));
    CHECK_FALSE(client.finish(&right));
    // Who has been proven on this connection need not do it again.
    REQUIRE(client.begin());
    CHECK_FALSE(client.finish(nullptr));
    // NTLM proves no server.
    auto ntlm = logon_of({}, scheme::ntlm);
    REQUIRE(ntlm.begin());
    CHECK_FALSE(ntlm.finish(nullptr));
}

TEST_CASE("http handshake: a client does not go on for ever, nor after its last word") {
    test::toy_rules rules;
    rules.legs = 1000;
    auto client = logon_of(rules);
    REQUIRE(client.begin());
    for (int next = 2;; next += 2) {
        const auto value = client.answer(base64_of(leg(next)));
        if (!value) {
            CHECK(value.error() == errc::http_auth_required);
            CHECK(client.legs() == limits::http_auth_legs_max);
            break;
        }
        REQUIRE(client.legs() <= limits::http_auth_legs_max);
    }
    auto done = logon_of({});
    REQUIRE(done.begin());
    REQUIRE(done.answer(base64_of(leg(2))));
    CHECK(done.is_established());
    CHECK(done.answer(base64_of(leg(4))).error() == errc::http_auth_required);
    CHECK(done.answer("%").error() == errc::bad_security_token);
}

TEST_CASE("http handshake: bindings, accounts and values as they are written") {
    CHECK(channel_binding_of({}).empty());
    const auto hash = test::hex("0102");
    CHECK(core::as_text(channel_binding_of(hash)) == "tls-server-end-point:\x01\x02");
    CHECK(account_of({}).empty());
    CHECK(account_of({"alice", "DOM", "NTLM", false}) == "DOM\\alice");
    CHECK(account_of({"alice", "", "NTLM", false}) == "alice");
    CHECK(account_of({"alice", "DOM", "NTLM", true}).empty());
    CHECK(write_token(scheme::ntlm, {}).view() == "NTLM");
    CHECK(write_token(scheme::negotiate, test::hex("010203")).view() == "Negotiate AQID");
    CHECK(read_token("Negotiate AQID ").value() == test::hex("010203"));
    CHECK(http_scheme_of(security_provider::kerberos) == scheme::other);
}
