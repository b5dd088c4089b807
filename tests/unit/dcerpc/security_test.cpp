// Both associations with security contexts between them: legs, levels, fragments, and everything a
// man in the middle may try. The mechanism is a toy; real ones have tests of their own.
#include <rpch/dcerpc/verification_trailer.hpp>

#include <doctest/doctest.h>

#include "tests/support/auth_level.hpp"
#include "tests/unit/dcerpc/secured_pair.hpp"

using namespace rpch;
using namespace test::secured;

namespace {

// The first two legs' PDUs and whatever follows.
std::vector<pdu_type> types(const std::vector<test::bytes>& pdus) {
    std::vector<pdu_type> out;
    for (const auto& p : pdus) out.push_back(peek_type(p));
    return out;
}

} // namespace

TEST_CASE("security: every number of legs and every level carries calls of every size") {
    for (const int legs : {2, 3, 4, 5, 6})
        for (const level l : {level::connect, level::packet, level::integrity, level::privacy})
            for (const bool headers : {true, false}) {
                CAPTURE(legs);
                CAPTURE(static_cast<int>(l));
                settings s;
                s.client_rules.legs = s.server_rules.legs = legs;
                s.client.header_signing = headers;
                pair p(s);
                REQUIRE(p.client.add_context(test::rpcecho) == 0);
                const auto id = p.secure(l);
                for (const unsigned n :
                     {0U, 1U, 15U, 16U, 17U, 5840U - 48, 5840U, 20'000U, 100'003U})
                    p.call(id, test::pattern(n));
                p.run();
                CHECK_FALSE(p.client.closed_with());
                REQUIRE(p.client_events<security_ready>().size() == 1);
                CHECK_FALSE(p.client_events<security_ready>()[0].error);
                CHECK(p.client.signs_headers() == (headers && auth::signs(l)));
                CHECK(p.server.signs_headers() == p.client.signs_headers());
                const auto done = p.client_events<call_completed>();
                REQUIRE(done.size() == 9);
                // Nobody can tell the zeros in front of a trailer from stub data.
                for (const auto& [i, n] : {std::pair{8U, 100'003U}, std::pair{4U, 17U}}) {
                    auto stub = done[i].stub;
                    CHECK(stub.size() <= n + 3);
                    stub.resize(n);
                    CHECK(stub == test::pattern(n));
                }
                const auto& got = p.last_received();
                REQUIRE(got.security != nullptr);
                CHECK(got.security->level == l);
                CHECK(got.security->peer.user == "alice");
                CHECK(core::as_text(got.security->session_key.bytes()) == "sesame");
                CHECK(core::as_text(p.client.security(id)->session_key()) == "sesame");
            }
}

TEST_CASE("security: an odd number of legs ends with auth3, an even one with alter_context") {
    const auto sent = [](int legs) {
        settings s;
        s.client_rules.legs = s.server_rules.legs = legs;
        pair p(s);
        REQUIRE(p.client.add_context(test::rpcecho) == 0);
        p.call(p.secure(level::integrity), {});
        p.run();
        return types(p.seen);
    };
    using enum pdu_type;
    CHECK(sent(2) == std::vector{bind, request});
    CHECK(sent(3) == std::vector{bind, auth3, request});
    CHECK(sent(4) == std::vector{bind, alter_context, request});
    CHECK(sent(5) == std::vector{bind, alter_context, auth3, request});
}

TEST_CASE("security: stub data of level privacy are not on the wire, those of integrity are") {
    const auto text = test::pattern(600, 9);
    const auto shows = [&](level l) {
        pair p;
        REQUIRE(p.client.add_context(test::rpcecho) == 0);
        p.call(p.secure(l), text);
        p.run();
        const auto& last = p.seen.back();
        return std::search(last.begin(), last.end(), text.begin(), text.begin() + 64) != last.end();
    };
    CHECK(shows(level::integrity));
    CHECK_FALSE(shows(level::privacy));
}

TEST_CASE("security: several contexts on one connection, each call in its own") {
    pair p;
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    const auto a = p.secure(level::integrity);
    p.run();
    const auto b = p.secure(level::privacy);
    REQUIRE(p.client.add_context(other) == 1);
    for (int i = 0; i < 20; ++i) {
        p.call(a, test::pattern(100));
        p.call(b, test::pattern(9000), 1);
        p.call(0, test::pattern(10), 1);
        if (i == 0) p.run(); // the alter_context goes in between
    }
    p.run();
    CHECK_FALSE(p.client.closed_with());
    // The bind had a verifier of a signing level: without one a call is refused, and ends it.
    CHECK(p.server.closed_with() == errc::security_downgrade);
    pair q;
    REQUIRE(q.client.add_context(test::rpcecho) == 0);
    q.run();
    const auto first = q.secure(level::integrity), second = q.secure(level::connect);
    for (int i = 0; i < 20; ++i) {
        q.call(first, test::pattern(100));
        q.call(second, test::pattern(9000));
        q.call(0, test::pattern(10));
    }
    q.run();
    CHECK_FALSE(q.client.closed_with());
    CHECK_FALSE(q.server.closed_with());
    CHECK(q.client_events<call_completed>().size() == 60);
}

TEST_CASE("security: a call without a verifier is made by whom the bind proved") {
    settings s;
    s.server_rules.users = {{"of alice", "alice"}, {"of bob", "bob"}};
    const auto log_on = [](pair& p, const char* password) {
        p.rules.password = password;
        const auto id = p.secure(level::connect);
        p.run();
        return id;
    };
    // A request as it may come from anybody: our client sends no verifier at this level.
    const auto caller = [](pair& p, std::uint32_t verifier) -> std::string {
        const auto stub = test::pattern(16);
        const test::bytes token(16);
        request r;
        r.header = {.flags = test::whole, .call_id = 100};
        r.stub = stub;
        if (verifier != 0)
            r.auth = sec_trailer{
                .auth_type = 10, .auth_level = 2, .context_id = verifier, .token = token};
        const auto before = p.received();
        CHECK_FALSE(p.server.on_pdu(test::encoded(r), p.told_server));
        REQUIRE(p.received() == before + 1);
        const auto got = p.last_received();
        CHECK(got.stub == stub);
        REQUIRE_FALSE(p.server.respond(got.call_id, {}));
        while (p.server.has_output()) CHECK(is_response(test::next_output(p.server)));
        if (got.security == nullptr) return "nobody";
        CHECK(got.security->level == level::connect);
        return got.security->peer.user;
    };
    pair p(s);
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    const auto alice = log_on(p, "of alice"); // in the bind
    CHECK(caller(p, 0) == "alice");
    const auto bob = log_on(p, "of bob"); // in an alter_context
    CHECK(caller(p, 0) == "alice");
    CHECK(caller(p, bob) == "bob");
    CHECK(caller(p, 0) == "alice");
    CHECK(caller(p, alice) == "alice");
    CHECK(caller(p, 0) == "alice");

    pair q(s); // the bind proved nobody, and no alter_context changes that
    REQUIRE(q.client.add_context(test::rpcecho) == 0);
    q.run();
    CHECK(caller(q, 0) == "nobody");
    const auto first = log_on(q, "of alice");
    CHECK(caller(q, 0) == "nobody");
    const auto second = log_on(q, "of bob");
    CHECK(caller(q, 0) == "nobody");
    CHECK(caller(q, first) == "alice");
    CHECK(caller(q, second) == "bob");
    CHECK(caller(q, 0) == "nobody");
}

TEST_CASE("security: a client builds 2000 contexts on a connection, [MS-RPCE] 3.3.1.5.4") {
    settings s;
    s.client_rules.legs = s.server_rules.legs = 2;
    pair p(s);
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    std::uint32_t last = 0;
    for (int i = 0; i < 2000; ++i) last = p.secure(level::integrity);
    p.run();
    auto more = std::make_unique<test::toy_context>(p.rules, true);
    const auto refused =
        p.client.add_security({p.rules.provider, level::integrity, std::move(more)});
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == errc::too_many);
    CHECK(p.client.refusal() == "a client builds no more security contexts on one connection");
    const auto ready = p.client_events<security_ready>();
    CHECK(ready.size() == 2000);
    CHECK(std::none_of(ready.begin(), ready.end(), [](const auto& r) { return r.error; }));
    // Those that there are go on.
    p.call(1, test::pattern(10));
    p.call(last, test::pattern(20));
    p.run();
    CHECK(p.client_events<call_completed>().size() == 2);
    CHECK(p.seen.size() == 2000 + 2);
}

TEST_CASE("security: a server without the feature gets one security context") {
    settings s;
    s.server.features = 0;
    pair p(s);
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    const auto a = p.secure(level::integrity), b = p.secure(level::integrity);
    p.call(a, {});
    p.call(b, {});
    p.run();
    const auto ready = p.client_events<security_ready>();
    REQUIRE(ready.size() == 2);
    CHECK_FALSE(ready[0].error);
    CHECK(ready[1].error == errc::security_not_supported);
    CHECK(p.client_events<call_completed>().size() == 1);
    CHECK(p.client_events<call_failed>().at(0).did_not_execute);
    auto late = std::make_unique<test::toy_context>(p.rules, true);
    CHECK(p.client.add_security({p.rules.provider, level::packet, std::move(late)}).error() ==
          errc::security_not_supported);
}

TEST_CASE("security: a wrong password is refused in bind, in alter_context and behind auth3") {
    for (const int legs : {2, 3, 4}) {
        CAPTURE(legs);
        settings s;
        s.client_rules.legs = s.server_rules.legs = legs;
        s.client_rules.password = "wrong";
        pair p(s);
        REQUIRE(p.client.add_context(test::rpcecho) == 0);
        p.call(p.secure(level::integrity), {});
        p.run();
        CHECK(p.received() == 0);
        CHECK(p.client.closed_with() == errc::bind_refused);
        CHECK(p.client_events<call_failed>().at(0).did_not_execute);
    }
    pair p; // on a connection that goes on: a fault
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    p.run();
    p.rules.password = "wrong";
    p.call(p.secure(level::integrity), {});
    p.run();
    CHECK(p.client_events<security_ready>().at(0).error == rpc_status::access_denied);
    CHECK(p.client_events<call_failed>().at(0).error == rpc_status::access_denied);
}

TEST_CASE("security: interfaces demand their level") {
    const auto result = [](level demanded, std::optional<level> has) {
        settings s;
        s.minimum = demanded;
        pair p(s);
        REQUIRE(p.client.add_context(test::rpcecho) == 0);
        const auto id = has ? p.secure(*has) : 0;
        p.call(id, test::pattern(7000));
        p.call(id, test::pattern(7000));
        p.run();
        CHECK_FALSE(p.server.closed_with());
        const auto refused = p.client_events<call_failed>();
        for (const auto& f : refused) CHECK(f.error == rpc_status::access_denied);
        CHECK(refused.size() + p.client_events<call_completed>().size() == 2);
        return refused.empty();
    };
    CHECK(result(level::none, std::nullopt));
    CHECK_FALSE(result(level::connect, std::nullopt));
    CHECK(result(level::connect, level::connect));
    CHECK_FALSE(result(level::packet, level::connect));
    CHECK_FALSE(result(level::call, std::nullopt));
    CHECK_FALSE(result(level::call, level::connect));
    CHECK(result(level::call, level::packet));
    CHECK(result(level::packet, level::call));
    CHECK_FALSE(result(level::integrity, level::call));
    CHECK_FALSE(result(level::integrity, level::packet));
    CHECK(result(level::integrity, level::integrity));
    CHECK_FALSE(result(level::privacy, level::integrity));
    CHECK(result(level::privacy, level::privacy));
}

TEST_CASE("security: level call that is asked for becomes packet, [MS-RPCE] 2.2.1.1.8") {
    for (const int legs : {3, 4}) {
        settings s;
        s.client_rules.legs = s.server_rules.legs = legs;
        s.minimum = level::call;
        pair p(s);
        REQUIRE(p.client.add_context(test::rpcecho) == 0);
        std::vector<std::optional<level>> answered;
        p.to_client = [&](test::bytes& pdu) { answered.push_back(test::auth_level_of(pdu)); };
        const auto id = p.secure(level::call);
        p.call(id, test::pattern(20'000));
        p.run();
        REQUIRE(p.client_events<call_completed>().size() == 1);
        CHECK(p.last_received().security->level == level::packet);
        REQUIRE(p.seen.size() == 6); // two legs, four fragments
        for (const test::bytes& pdu : p.seen) CHECK(test::auth_level_of(pdu) == level::packet);
        for (const auto& each : answered) CHECK(each == level::packet);
        // Signed as at packet: what is changed is found.
        p.to_server = [](test::bytes& pdu) { pdu[30] ^= std::byte{1}; };
        p.call(id, test::pattern(40));
        p.run();
        CHECK(p.received() == 1);
        CHECK(p.server.closed_with() == errc::bad_signature);
    }
    settings s;
    s.minimum = level::call;
    pair p(s);
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    p.call(p.secure(level::connect), {});
    p.run();
    CHECK(p.client_events<call_failed>().at(0).error == rpc_status::access_denied);
    CHECK(p.server.take_refusal() == "a call at level connect was refused, packet is demanded");
}

TEST_CASE("security: every changed byte of a protected request ends the connection unexecuted") {
    for (const level l : {level::packet, level::integrity, level::privacy}) {
        settings s;
        std::size_t size = 0;
        for (std::size_t at = 0; at == 0 || at < size; ++at) {
            pair p(s);
            REQUIRE(p.client.add_context(test::rpcecho) == 0);
            const auto id = p.secure(l);
            p.run();
            p.to_server = [&](test::bytes& pdu) {
                if (!is_request(pdu)) return;
                size = pdu.size();
                pdu[at] ^= std::byte{0x41};
            };
            p.call(id, test::pattern(40));
            p.run();
            CAPTURE(at);
            CHECK(p.received() == 0);
            CHECK(p.server.closed_with());
        }
        CHECK(size > 80);
    }
}

TEST_CASE("security: every changed byte of a protected response is found") {
    for (const level l : {level::packet, level::privacy}) {
        std::size_t size = 0;
        for (std::size_t at = 0; at == 0 || at < size; ++at) {
            pair p;
            REQUIRE(p.client.add_context(test::rpcecho) == 0);
            const auto id = p.secure(l);
            p.run();
            p.to_client = [&](test::bytes& pdu) {
                if (!is_response(pdu)) return;
                size = pdu.size();
                pdu[at] ^= std::byte{0x41};
            };
            p.call(id, test::pattern(40));
            p.run();
            CAPTURE(at);
            CHECK(p.client_events<call_completed>().empty());
            CHECK(p.client.closed_with());
            CHECK(p.client_events<call_failed>().size() == 1);
        }
        CHECK(size > 80);
    }
}

TEST_CASE("security: without header signing the verification trailer finds changed headers") {
    // call_id, context, opnum: what decides which call runs. Flags and sizes break the call.
    for (const std::size_t at : {std::size_t{12}, std::size_t{22}}) {
        settings s;
        s.server.header_signing = false;
        pair p(s);
        REQUIRE(p.client.add_context(test::rpcecho) == 0);
        const auto id = p.secure(level::integrity);
        p.run();
        REQUIRE_FALSE(p.server.signs_headers());
        p.to_server = [&](test::bytes& pdu) {
            if (is_request(pdu)) pdu[at] ^= std::byte{1};
        };
        p.call(id, test::pattern(40));
        p.run();
        CHECK(p.received() == 0);
        CHECK(p.server.closed_with() == errc::security_downgrade);
    }
}

TEST_CASE("security: a mechanism that always signs headers does so without an agreement") {
    // As NTLM between impacket, which agrees to nothing, and Windows.
    settings s;
    s.client_rules.always_signs_headers = s.server_rules.always_signs_headers = true;
    s.client.header_signing = false;
    s.client.verification_trailers = false;
    s.server.require_header_signing = true;
    for (const std::size_t at : {std::size_t{200}, std::size_t{12}, std::size_t{22}}) {
        pair p(s);
        REQUIRE(p.client.add_context(test::rpcecho) == 0);
        const auto id = p.secure(level::integrity);
        p.run();
        REQUIRE_FALSE(p.server.signs_headers());
        p.to_server = [&](test::bytes& pdu) {
            if (is_request(pdu) && at < 200) pdu[at] ^= std::byte{1};
        };
        p.call(id, test::pattern(40));
        p.run();
        CHECK(p.received() == (at < 200 ? 0 : 1));
        CHECK(p.server.closed_with() ==
              (at < 200 ? make_error_code(errc::bad_signature) : std::error_code{}));
    }
}

TEST_CASE("security: a bind whose header signing or interface was changed on the way is found") {
    const auto run = [](const std::function<void(test::bytes&)>& change,
                        const std::function<void(test::bytes&)>& change_answer) {
        pair p;
        p.to_server = change;
        p.to_client = change_answer;
        REQUIRE(p.client.add_context(test::rpcecho) == 0);
        p.call(p.secure(level::integrity), test::pattern(8));
        p.run();
        CHECK(p.received() == 0);
        return p.server.closed_with();
    };
    const auto nothing = [](test::bytes&) {};
    // Taken out of the bind: neither end signs headers, and the trailer says who could.
    CHECK(run(
              [](test::bytes& pdu) {
                  if (peek_type(pdu) == pdu_type::bind) pdu[3] &= ~std::byte{4};
              },
              nothing) == errc::security_downgrade);
    // Another interface in the bind, which the server has as well.
    CHECK(run(
              [](test::bytes& pdu) {
                  if (peek_type(pdu) == pdu_type::bind)
                      other.id.encode(byte_span(pdu).subspan<32, 16>(), core::byte_order::little);
              },
              nothing) == errc::security_downgrade);
}

TEST_CASE("security: a client may insist on header signing") {
    settings s;
    s.client.require_header_signing = true;
    s.server.header_signing = false;
    pair p(s);
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    p.call(p.secure(level::integrity), {});
    p.run();
    CHECK(p.client.closed_with() == errc::security_downgrade);
    CHECK(p.received() == 0);
    settings t;
    t.server.require_header_signing = true;
    t.client.header_signing = false;
    pair q(t);
    REQUIRE(q.client.add_context(test::rpcecho) == 0);
    q.call(q.secure(level::integrity), {});
    q.run();
    CHECK(q.received() == 0);
    CHECK(q.client_events<call_failed>().at(0).error == rpc_status::access_denied);
}

TEST_CASE("security: replayed, dropped, swapped and reflected PDUs are found") {
    const auto ends = [](const std::function<void(pair&)>& attack) {
        pair p;
        REQUIRE(p.client.add_context(test::rpcecho) == 0);
        const auto id = p.secure(level::integrity);
        p.call(id, test::pattern(30));
        p.run();
        REQUIRE(p.received() == 1);
        p.call(id, test::pattern(31));
        p.call(id, test::pattern(32));
        attack(p);
        CHECK(p.received() <= 2);
        return p.server.closed_with();
    };
    CHECK(ends([](pair& p) { // replay, under a call_id that is free again
              const auto old = p.seen.back();
              CHECK(p.server.on_pdu(old, p.told_server) == errc::bad_signature);
          }) == errc::bad_signature);
    CHECK(ends([](pair& p) {
              int n = 0;
              p.to_server = [n](test::bytes& pdu) mutable {
                  if (n++ == 0) pdu.clear();
              };
              p.run();
          }) == errc::bad_signature);
    CHECK(ends([](pair& p) {
              const auto first = test::next_output(p.client), second = test::next_output(p.client);
              CHECK(p.server.on_pdu(second, p.told_server) == errc::bad_signature);
          }) == errc::bad_signature);
    pair p; // a response sent back as a request
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    const auto id = p.secure(level::integrity);
    p.to_client = [&](test::bytes& pdu) {
        if (!is_response(pdu)) return;
        pdu[2] = std::byte{0};
        CHECK(p.server.on_pdu(pdu, p.told_server));
        pdu.clear();
    };
    p.call(id, test::pattern(30));
    p.run();
    CHECK(p.received() == 1);
}

TEST_CASE("security: unsigned fragments of a signed call, and unsigned answers, are refused") {
    const auto strip = [](test::bytes& pdu, std::size_t verifier) {
        pdu.resize(pdu.size() - verifier);
        core::store(pdu.data() + 8, static_cast<std::uint16_t>(pdu.size()),
                    core::byte_order::little);
        core::store(pdu.data() + 10, std::uint16_t{0}, core::byte_order::little);
    };
    for (const unsigned which : {0U, 1U}) {
        pair p;
        REQUIRE(p.client.add_context(test::rpcecho) == 0);
        const auto id = p.secure(level::integrity);
        p.run();
        std::size_t n = 0;
        p.to_server = [&](test::bytes& pdu) {
            if (is_request(pdu) && n++ == which) strip(pdu, 24);
        };
        p.call(id, test::pattern(8000));
        p.run();
        CHECK(p.received() == 0);
        CHECK(p.server.closed_with() == errc::security_downgrade);
    }
    pair p;
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    const auto id = p.secure(level::integrity);
    p.to_client = [&](test::bytes& pdu) {
        if (is_response(pdu)) strip(pdu, 24);
    };
    p.call(id, test::pattern(16));
    p.run();
    CHECK(p.client.closed_with() == errc::security_downgrade);
}

TEST_CASE("security: a forged fault does not make the caller repeat a signed call") {
    pair p;
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    const auto id = p.secure(level::integrity);
    p.run();
    const auto call = p.call(id, test::pattern(16));
    p.run(false);
    fault forged;
    forged.header = {.flags = test::whole | pfc::did_not_execute, .call_id = call};
    forged.status = rpc_status::nca_server_too_busy;
    REQUIRE_FALSE(p.client.on_pdu(test::encoded(forged), p.told_client));
    CHECK_FALSE(p.client_events<call_failed>().at(0).did_not_execute);
}

TEST_CASE("security: a bind_ack with another level, type, context or without token is refused") {
    for (int what = 0; what < 4; ++what) {
        pair p;
        REQUIRE(p.client.add_context(test::rpcecho) == 0);
        p.secure(level::privacy);
        p.to_client = [&](test::bytes& pdu) {
            const auto ack = decode_bind_ack(pdu);
            if (!ack) return;
            bind_ack changed = *ack;
            if (what == 0) changed.auth->auth_level = 2;
            if (what == 1) changed.auth->auth_type = 9;
            if (what == 2) changed.auth->context_id = 77;
            if (what == 3) changed.auth.reset();
            pdu = test::encoded(changed);
        };
        p.run();
        CHECK(p.client.closed_with() == errc::security_downgrade);
        CHECK(p.client_events<security_ready>().at(0).error == errc::security_downgrade);
    }
}

TEST_CASE("security: a mechanism that can no longer sign ends the output, not silently") {
    pair p;
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    const auto id = p.secure(level::integrity);
    p.run();
    p.mechanism->failing = true;
    p.call(id, {});
    p.run();
    CHECK(p.client.output_error() == errc::authentication_failed);
    CHECK_FALSE(p.client.has_output());
    CHECK(p.client.next_output_size() == 0);
    p.client.close(p.client.output_error(), p.told_client);
    CHECK(p.client_events<call_failed>().size() == 1);
}

TEST_CASE("security: calls that are cancelled, abandoned or refused keep the counts of both ends") {
    settings s;
    s.minimum = level::privacy;
    pair p(s);
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    REQUIRE(p.client.add_context(other) == 1);
    const auto id = p.secure(level::integrity);
    p.run();
    for (int i = 0; i < 30; ++i) {
        p.call(id, test::pattern(9000));                      // refused: below the minimum
        const auto gone = p.call(id, test::pattern(9000), 1); // given up half way
        for (int n = 0; n < 3; ++n)
            if (p.client.has_output())
                static_cast<void>(p.server.on_pdu(test::next_output(p.client), p.told_server));
        p.client.abandon(gone, p.told_client);
        p.call(id, test::pattern(100), 1);
        p.run();
    }
    CHECK_FALSE(p.client.closed_with());
    CHECK_FALSE(p.server.closed_with());
    CHECK(p.client_events<call_completed>().size() >= 30);
}

// What Windows answers, as Samba's tests of raw PDUs found (raw_protocol.py of Samba 4.17).
TEST_CASE("security: binds that are refused, each with the reason Windows gives") {
    const auto reason = [](unsigned type, unsigned auth_level) {
        pair p;
        bind b;
        b.header = {.flags = test::whole, .call_id = 1};
        b.max_xmit_frag = b.max_recv_frag = 5840;
        b.contexts = {{0, test::rpcecho, {ndr20}}};
        const auto token = test::hex("01 736573616d65");
        b.auth = sec_trailer{.auth_type = static_cast<std::uint8_t>(type),
                             .auth_level = static_cast<std::uint8_t>(auth_level),
                             .context_id = 1,
                             .token = token};
        CHECK(p.server.on_pdu(test::encoded(b), p.told_server));
        return decode_bind_nak(test::next_output(p.server))->reason;
    };
    using enum bind_reject_reason;
    for (const unsigned l : {0U, 1U, 7U, 255U}) CHECK(reason(10, l) == not_specified);
    for (const unsigned l : {0U, 1U, 7U, 255U}) CHECK(reason(0, l) == not_specified);
    for (const unsigned l : {2U, 3U, 4U, 5U, 6U})
        CHECK(reason(0, l) == authentication_type_not_recognized);
    CHECK(reason(10, 3) == invalid_checksum); // level call, which the text takes for packet
}

TEST_CASE("security: legs out of order are refused as Windows does") {
    const auto bound = [](pair& p, int legs) {
        p.rules.legs = legs;
        REQUIRE(p.client.add_context(test::rpcecho) == 0);
        p.secure(level::integrity);
        REQUIRE_FALSE(p.server.on_pdu(test::next_output(p.client), p.told_server));
        return test::next_output(p.server);
    };
    settings four;
    four.client_rules.legs = four.server_rules.legs = 4;
    {
        pair p(four); // a request between the legs
        bound(p, 4);
        request r;
        r.header = {.flags = test::whole, .call_id = 9};
        CHECK(p.server.on_pdu(test::encoded(r), p.told_server) == errc::unexpected_pdu);
        const auto f = decode_fault(test::next_output(p.server));
        CHECK(f->status == rpc_status::nca_proto_error);
        CHECK(f->header.flags == (test::whole | pfc::did_not_execute));
        CHECK(f->context_id == 0);
    }
    const auto second_leg = [&](pair& p, const std::function<void(bind&)>& change) {
        REQUIRE_FALSE(p.client.on_pdu(bound(p, 4), p.told_client));
        const auto pdu = test::next_output(p.client);
        auto alter = decode_bind(pdu, pdu_type::alter_context);
        REQUIRE(alter);
        change(*alter);
        CHECK(p.server.on_pdu(test::encoded(*alter, pdu_type::alter_context), p.told_server));
        return decode_fault(test::next_output(p.server))->status;
    };
    {
        pair p(four);
        CHECK(second_leg(p, [](bind& b) { b.auth->auth_level = 6; }) == rpc_status::access_denied);
    }
    {
        pair p(four);
        CHECK(second_leg(p, [](bind& b) { b.auth->auth_type = 9; }) == rpc_status::sec_pkg_error);
    }
    {
        pair p(four);
        CHECK(second_leg(p, [](bind& b) { b.contexts[0].interface = other; }) ==
              rpc_status::nca_proto_error);
    }
    {
        pair p(four); // a second handshake beside the first
        CHECK(second_leg(p, [](bind& b) { b.auth->context_id = 5; }) ==
              rpc_status::nca_proto_error);
    }
    {
        pair p; // an auth3 that fails shows with the first request
        REQUIRE_FALSE(p.client.on_pdu(bound(p, 3), p.told_client));
        auto pdu = test::next_output(p.client);
        REQUIRE(peek_type(pdu) == pdu_type::auth3);
        pdu.back() ^= std::byte{1};
        CHECK_FALSE(p.server.on_pdu(pdu, p.told_server));
        CHECK_FALSE(p.server.has_output());
        p.call(1, {});
        CHECK(p.server.on_pdu(test::next_output(p.client), p.told_server) ==
              errc::security_downgrade);
        const auto f = decode_fault(test::next_output(p.server));
        CHECK(f->status == rpc_status::access_denied);
        CHECK(f->header.flags == test::whole);
    }
    {
        pair p; // one more when it is over
        REQUIRE(p.client.add_context(test::rpcecho) == 0);
        p.call(p.secure(level::integrity), {});
        p.run();
        CHECK(p.server.on_pdu(p.seen.at(1), p.told_server) == errc::bad_security_token);
        CHECK(decode_fault(test::next_output(p.server))->status == rpc_status::nca_proto_error);
    }
}

TEST_CASE("security: header signing is the connection's, whoever asks for it in which PDU") {
    settings s;
    s.client.header_signing = false;
    pair p(s);
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    const auto id = p.secure(level::integrity);
    p.call(id, {});
    p.run();
    REQUIRE_FALSE(p.server.signs_headers());
    bind plain; // an alter_context without a verifier
    plain.header = {.flags = test::whole | pfc::support_header_sign, .call_id = 50};
    plain.contexts = {{0, test::rpcecho, {ndr20}}};
    REQUIRE_FALSE(p.server.on_pdu(test::encoded(plain, pdu_type::alter_context), p.told_server));
    CHECK((std::to_integer<unsigned>(test::next_output(p.server)[3]) & pfc::support_header_sign) !=
          0);
    CHECK(p.server.signs_headers());
}
