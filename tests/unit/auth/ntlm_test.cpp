#include <rpch/auth/ntlm.hpp>

#include <doctest/doctest.h>

#include <functional>

#include <rpch/auth/ntlm_messages.hpp>
#include <rpch/auth/ntlm_text.hpp>

#include "ntlm_support.hpp"
#include "tests/support/bytes.hpp"

using namespace rpch;
using namespace rpch::auth;

namespace {

using context = std::unique_ptr<security_context>;
using level = authentication_level;

const test::ntlm_example_environment example;

ntlm_credentials credentials(std::string_view password = "Password") {
    ntlm_credentials out;
    out.user = "User";
    out.domain = "Domain";
    out.password = core::secret(password);
    out.workstation = "COMPUTER";
    return out;
}

/// Both ends with what a test changes about them.
struct parties {
    const ntlm_environment* env = &example;
    ntlm_credentials who = credentials();
    ntlm_server_settings settings{.netbios_computer = "SERVER",
                                  .netbios_domain = "DOMAIN",
                                  .dns_computer = "server.example",
                                  .dns_domain = "example"};
    security_options client_options{.target = "host/server.example"};
    security_options server_options{};
    context client{};
    context server{};
    std::error_code failed{};
    std::string why{}; ///< What detail() said.

    void make() {
        auto accounts = std::make_shared<ntlm_account_list>();
        accounts->add({"user", "domain", *ntowf_v1("Password")});
        accounts->add({"locked", "", *ntowf_v1("Password"), true});
        accounts->add({"J\u00fcrgen", "", *ntowf_v1("p\u00e4ss")});
        ntlm_credentials mine;
        mine.user = who.user;
        mine.domain = who.domain;
        mine.password = who.password.clone();
        mine.nt_hash = who.nt_hash.clone();
        mine.anonymous = who.anonymous;
        mine.weak_keys = who.weak_keys;
        ntlm_initiator initiator(*env, std::move(mine));
        ntlm_acceptor acceptor(*env, std::move(accounts), settings);
        client = std::move(initiator.initiate(client_options).value());
        server = std::move(acceptor.accept(server_options).value());
    }
    void both(level at) { client_options.level = server_options.level = at; }
    /// Passes tokens until both are established or one fails.
    /// @param alter  called with the number of the token, 0 to 2, and the token.
    bool talk(const std::function<void(int, test::bytes&)>& alter = [](int, test::bytes&) {}) {
        make();
        test::bytes token;
        for (int i = 0; i < 4; ++i) {
            auto& end = i % 2 == 0 ? client : server;
            if (i == 3 && end->is_established()) break;
            auto out = end->step(token);
            if (!out) {
                failed = out.error();
                why = end->detail();
                CHECK_FALSE(end->is_established());
                CHECK(end->session_key().empty());
                CHECK_FALSE(end->step(token));
                return false;
            }
            token = std::move(*out);
            if (i < 3) alter(i, token);
        }
        return client->is_established() && server->is_established();
    }
};

test::bytes text(std::string_view in) {
    const auto bytes = core::as_bytes(in);
    return test::bytes(bytes.begin(), bytes.end());
}

/// A message as it travels.
struct sent {
    test::bytes head = text("head");
    test::bytes body = text("the body of the message");
    test::bytes tail = text("tail");
    test::bytes signature = test::bytes(16);
    bool sealed = true;

    protected_message view() { return {.head = head, .body = body, .tail = tail}; }
};
sent send(security_context& from, bool seal) {
    sent out;
    out.sealed = seal;
    CHECK(from.signature_bytes(seal) == 16);
    REQUIRE_FALSE(from.protect(seal, out.view(), out.signature));
    return out;
}
std::error_code receive(security_context& to, sent message) {
    const auto failed = to.unprotect(message.sealed, message.view(), message.signature);
    if (!failed) CHECK(message.body == sent{}.body);
    return failed;
}
std::uint32_t load32(const test::bytes& in, std::size_t at) {
    return core::load<std::uint32_t>(in.data() + at, core::byte_order::little);
}
void store32(test::bytes& in, std::size_t at, std::uint32_t value) {
    core::store(in.data() + at, value, core::byte_order::little);
}

} // namespace

TEST_CASE("ntlm: client and server meet at each level and protect many messages both ways") {
    for (const level at : {level::connect, level::packet, level::integrity, level::privacy}) {
        parties p;
        p.both(at);
        REQUIRE(p.talk());
        CHECK(p.client->session_key().size() == 16);
        CHECK(std::ranges::equal(p.client->session_key(), p.server->session_key()));
        CHECK(p.server->peer().user == "user"); // as the server spells them
        CHECK(p.server->peer().domain == "domain");
        CHECK(p.server->peer().mechanism == "NTLM");
        CHECK_FALSE(p.server->peer().anonymous);
        // Samba's server cannot answer at level connect where signing was agreed on.
        CHECK(p.client->can_make_mic() == (at != level::connect));
        CHECK(p.server->can_make_mic() == (at != level::connect));
        const bool seal = at == level::privacy;
        for (int i = 0; i < 300; ++i) {
            const auto up = send(*p.client, seal);
            CHECK((up.body == sent{}.body) == !seal);
            REQUIRE_FALSE(receive(*p.server, up));
            if (i % 3 != 0) REQUIRE_FALSE(receive(*p.client, send(*p.server, seal)));
        }
        const auto mic = p.client->make_mic(text("list")).value();
        CHECK_FALSE(p.server->check_mic(text("list"), mic));
        CHECK(p.client->check_mic(text("list"), mic));
        REQUIRE_FALSE(receive(*p.server, send(*p.client, seal)));
    }
}

TEST_CASE("ntlm: the domain that a client of no domain names is not taken for proved") {
    for (const char* const domain : {"CORP.EXAMPLE", "X\nA line of a log", ""}) {
        parties p;
        p.who.user = "J\u00dcRGEN";
        p.who.domain = domain;
        p.who.password = core::secret("p\u00e4ss");
        REQUIRE(p.talk());
        CHECK(p.server->peer().user == "J\u00fcrgen");
        CHECK(p.server->peer().domain.empty());
    }
}

TEST_CASE("ntlm: in HTTP a context can sign at level connect, too: SPNEGO wants to") {
    parties p;
    p.both(level::connect);
    p.client_options.dce_style = p.server_options.dce_style = false;
    REQUIRE(p.talk());
    CHECK(p.client->can_make_mic());
    CHECK(p.server->can_make_mic());
}

TEST_CASE("ntlm: without privacy nothing can be sealed, and nothing signed before the end") {
    parties p;
    p.both(level::integrity);
    p.make();
    sent m;
    CHECK(p.client->protect(false, m.view(), m.signature) == errc::authentication_failed);
    CHECK(p.client->unprotect(false, m.view(), m.signature) == errc::authentication_failed);
    CHECK(p.client->make_mic({}).error() == errc::authentication_failed);
    CHECK(p.client->check_mic({}, {}) == errc::authentication_failed);
    REQUIRE(p.talk());
    CHECK(p.client->protect(true, m.view(), m.signature) == errc::authentication_failed);
    CHECK(p.client->protect(false, m.view(), std::span(m.signature).first(8)) ==
          errc::authentication_failed);
}

TEST_CASE("ntlm: every flipped bit of every token is found") {
    for (int which = 0; which < 3; ++which) {
        std::size_t bytes = 1;
        for (std::size_t at = 0; at < bytes; ++at)
            for (unsigned bit = 1; bit <= 0x80U; bit <<= 1) {
                parties p;
                const bool passed = p.talk([&](int i, test::bytes& token) {
                    if (i != which) return;
                    bytes = token.size();
                    token[at] ^= static_cast<std::byte>(bit);
                });
                CAPTURE(which);
                CAPTURE(at);
                CHECK_FALSE(passed);
                CHECK(p.failed);
            }
        CHECK(bytes >= 40);
    }
}

TEST_CASE("ntlm: every flipped bit of a protected message is found") {
    for (const level at : {level::packet, level::integrity, level::privacy}) {
        const bool seal = at == level::privacy;
        const std::size_t parts[] = {4, 23, 4, 16};
        for (std::size_t part = 0; part < 4; ++part)
            for (std::size_t bit = 0; bit < parts[part] * 8; ++bit) {
                CAPTURE(at);
                CAPTURE(part);
                CAPTURE(bit);
                parties p;
                p.both(at);
                REQUIRE(p.talk());
                REQUIRE_FALSE(receive(*p.server, send(*p.client, seal)));
                auto m = send(*p.client, seal);
                auto& bytes = part == 0   ? m.head
                              : part == 1 ? m.body
                              : part == 2 ? m.tail
                                          : m.signature;
                bytes[bit / 8] ^= std::byte{1} << bit % 8;
                CHECK(receive(*p.server, m) == errc::bad_signature);
                // The context is of no further use.
                CHECK(receive(*p.server, send(*p.client, seal)) == errc::bad_signature);
            }
    }
}

TEST_CASE("ntlm: a message repeated, reordered, left out or given back is refused") {
    for (const bool seal : {false, true}) {
        const auto fresh = [] {
            parties p;
            REQUIRE(p.talk());
            return p;
        };
        {
            auto p = fresh();
            const auto m = send(*p.client, seal);
            CHECK_FALSE(receive(*p.server, m));
            CHECK(receive(*p.server, m) == errc::bad_signature);
        }
        {
            auto p = fresh();
            const auto first = send(*p.client, seal);
            CHECK(receive(*p.server, send(*p.client, seal)) == errc::bad_signature);
        }
        {
            auto p = fresh();
            CHECK(receive(*p.server, send(*p.server, seal)) == errc::bad_signature);
        }
        {
            auto p = fresh();
            auto m = send(*p.client, seal);
            m.sealed = !seal;
            CHECK(receive(*p.server, m) == errc::bad_signature);
        }
        for (const std::size_t size : {0U, 15U, 17U}) {
            auto p = fresh();
            auto m = send(*p.client, seal);
            m.signature.resize(size);
            CHECK(receive(*p.server, m) == errc::bad_signature);
        }
    }
}

TEST_CASE("ntlm: unknown user, wrong password and wrong domain give one and the same answer") {
    const auto refused = [](auto&& change) {
        parties p;
        change(p.who);
        CHECK_FALSE(p.talk());
        CHECK(p.server->peer().user.empty());
        // The log of the server names who tried.
        CHECK(p.why == "unknown user or wrong password, " + p.who.user);
        return p.failed;
    };
    const auto password = refused([](auto& who) { who = credentials("password"); });
    CHECK(password == errc::bad_credentials);
    CHECK(refused([](auto& who) { who.user = "nobody"; }) == password);
    CHECK(refused([](auto& who) { who.domain = "OTHER"; }) == password);
    CHECK(refused([](auto& who) { who.domain.clear(); }) == password);
    CHECK(refused([](auto& who) {
              who = credentials("wrong");
              who.user = "locked";
          }) == password);
    // Somebody unknown whose key is the one that is computed for the unknown.
    CHECK(refused([](auto& who) {
              who.user = "nobody";
              who.nt_hash = core::secret(std::size_t{16});
          }) == password);
}

TEST_CASE("ntlm: a name that was not proved is of one line in a log, and short") {
    parties p;
    p.who.user = "a\nb\x7F" + std::string(100, 'c');
    CHECK_FALSE(p.talk());
    CHECK(p.why == "unknown user or wrong password, a?b?" + std::string(60, 'c'));
}

TEST_CASE("ntlm: a locked account is told to who has its password") {
    parties p;
    p.who.user = "LOCKED";
    CHECK_FALSE(p.talk());
    CHECK(p.failed == errc::account_locked);
}

TEST_CASE("ntlm: names and passwords beyond ASCII, and the NT hash in place of a password") {
    parties p;
    p.who = credentials("p\u00e4ss");
    p.who.user = "j\u00dcrgen";
    CHECK(p.talk());
    parties q;
    q.who.password.clear();
    q.who.nt_hash = core::secret(core::as_text(ntowf_v1("Password")->bytes));
    CHECK(q.talk());
}

TEST_CASE("ntlm: malformed credentials and a build without MD5 are told when a context is made") {
    const auto made = [](const ntlm_environment& env, ntlm_credentials who) {
        return ntlm_initiator(env, std::move(who)).initiate({}).error();
    };
    CHECK(made(example, credentials("\xFF")) == errc::bad_credentials);
    CHECK(made(example, ntlm_credentials{}) == errc::bad_credentials);
    auto bad = credentials();
    bad.nt_hash = core::secret("short");
    CHECK(made(example, std::move(bad)) == errc::bad_credentials);
    bad = credentials();
    bad.domain = "\xFF";
    CHECK(made(example, std::move(bad)) == errc::bad_credentials);
    test::ntlm_example_environment without;
    without.md5_is_there = false;
    CHECK(made(without, credentials()) == errc::security_not_supported);
    ntlm_acceptor acceptor(without, std::make_shared<ntlm_account_list>(), {});
    CHECK(acceptor.accept({}).error() == errc::security_not_supported);
}

TEST_CASE("ntlm: without randomness there is no challenge and no response") {
    test::ntlm_example_environment without;
    without.random_is_there = false;
    parties p;
    p.env = &without;
    CHECK_FALSE(p.talk());
    CHECK(p.failed == errc::no_randomness);
}

TEST_CASE("ntlm: channel bindings must be the same where both have them") {
    const auto outcome = [](std::string_view client, std::string_view server, bool required) {
        parties p;
        p.client_options.channel_binding = text(client);
        p.server_options.channel_binding = text(server);
        p.settings.require_channel_binding = required;
        if (p.talk()) return true;
        CHECK(p.failed == errc::authentication_failed);
        return false;
    };
    for (const bool required : {false, true}) {
        CHECK(outcome("tls-server-end-point:1", "tls-server-end-point:1", required));
        CHECK_FALSE(outcome("tls-server-end-point:1", "tls-server-end-point:2", required));
        CHECK(outcome("", "tls-server-end-point:1", required) == !required);
        CHECK(outcome("tls-server-end-point:1", "", required)); // nothing to compare with
        CHECK(outcome("", "", required));
    }
}

TEST_CASE("ntlm: a client that means another server is refused where targets are told") {
    for (const std::string_view target : {"HOST/Server.Example", "host/other", ""}) {
        parties p;
        p.settings.accepted_targets = {"http/server.example", "host/server.example"};
        p.client_options.target = target;
        CHECK(p.talk() == (target != "host/other"));
    }
}

TEST_CASE("ntlm: a MIC that was removed or zeroed is missed") {
    parties zeroed;
    CHECK_FALSE(zeroed.talk([](int i, test::bytes& token) {
        if (i == 2) std::fill_n(token.begin() + ntlm_mic_offset, 16, std::byte{0});
    }));
    CHECK(zeroed.failed == errc::authentication_failed);
    parties removed;
    CHECK_FALSE(removed.talk([](int i, test::bytes& token) {
        if (i != 2) return;
        auto message = decode_ntlm_authenticate(token).value();
        message.has_mic = false;
        token = encode_ntlm(message).value();
    }));
    CHECK(removed.failed == errc::authentication_failed);
    CHECK(removed.why == "the MIC was removed");
}

TEST_CASE("ntlm: flags that were taken away are noticed at once or by the MIC") {
    using namespace ntlm_flag;
    for (const auto& [which, at] : {std::pair{0, 12U}, std::pair{1, 20U}, std::pair{2, 60U}})
        for (const std::uint32_t flag :
             {unicode, sign, seal, always_sign, extended_security, key_128, key_exchange}) {
            parties p;
            CAPTURE(which);
            CAPTURE(flag);
            CHECK_FALSE(p.talk([&, number = which, place = at](int i, test::bytes& token) {
                if (i == number) store32(token, place, load32(token, place) & ~flag);
            }));
        }
}

TEST_CASE("ntlm: keys of 56 bits only where both ends allow them") {
    using namespace ntlm_flag;
    for (const bool client : {false, true})
        for (const bool server : {false, true}) {
            parties p;
            p.who.weak_keys = client;
            p.settings.weak_keys = server;
            p.make();
            // A client that has no longer keys, and whose MIC is right.
            auto negotiate = p.client->step({}).value();
            CHECK(((load32(negotiate, 12) & key_56) != 0) == client);
            store32(negotiate, 12, (load32(negotiate, 12) & ~key_128) | key_56);
            const auto challenge = p.server->step(negotiate);
            CHECK(challenge.has_value() == server);
            if (!challenge) continue;
            CHECK(p.client->step(*challenge).has_value() == client);
        }
}

TEST_CASE("ntlm: an anonymous client is let in only where the server says so") {
    for (const bool allowed : {false, true}) {
        parties p;
        p.who = ntlm_credentials{};
        p.who.anonymous = true;
        p.settings.allow_anonymous = allowed;
        CHECK(p.talk() == allowed);
        if (!allowed) {
            CHECK(p.failed == errc::bad_credentials);
            continue;
        }
        CHECK(p.server->peer().anonymous);
        CHECK(p.server->peer().user.empty());
        CHECK_FALSE(receive(*p.server, send(*p.client, true)));
        CHECK_FALSE(receive(*p.client, send(*p.server, true)));
    }
}

TEST_CASE("ntlm: a server takes tokens of 2888 bytes, as Windows does, and none above") {
    for (const int leg : {0, 2})
        for (const std::size_t bytes : {2888U, 2889U}) {
            CAPTURE(leg);
            CAPTURE(bytes);
            parties p;
            p.who = ntlm_credentials{}; // nobody's messages have no MIC that covers the octets
            p.who.anonymous = true;
            p.settings.allow_anonymous = true;
            p.client_options.level = p.server_options.level = authentication_level::connect;
            const bool is_taken = p.talk([&](int i, test::bytes& token) {
                if (i == leg) token.resize(bytes);
            });
            CHECK(is_taken == (bytes == 2888));
            if (!is_taken) CHECK(p.failed == errc::bad_security_token);
        }
}

TEST_CASE("ntlm: responses of NTLMv1 and LM are refused, whatever they prove") {
    for (const std::size_t size : {0U, 24U}) {
        parties p;
        CHECK_FALSE(p.talk([&](int i, test::bytes& token) {
            if (i != 2) return;
            const auto old = token;
            auto message = decode_ntlm_authenticate(old).value();
            const test::bytes response(size, std::byte{1});
            message.nt_response = response;
            token = encode_ntlm(message).value();
        }));
        CHECK(p.failed == errc::authentication_failed);
    }
}

TEST_CASE("ntlm: [MS-NLMP] 4.2.2.3 and 4.2.3.3 are refused by a server that takes 4.2.4.3") {
    // Of the same user, password and challenge: but for NTLMv1 nothing is wrong with them.
    struct example_challenge final : test::ntlm_example_environment {
        [[nodiscard]] std::error_code fill_random(byte_span out) const override {
            std::ranges::copy(test::hex("0123456789abcdef"), out.begin());
            return {};
        }
    };
    const example_challenge env;
    for (const level at : {level::connect, level::packet, level::integrity, level::privacy}) {
        CAPTURE(at);
        const auto answer_to = [&](std::string_view message) {
            const auto authenticate = test::hex(message);
            parties p;
            p.env = &env;
            p.settings.weak_keys = true; // 4.2.3 has keys of 56 bits
            p.both(at);
            p.make();
            const auto asked = decode_ntlm_authenticate(authenticate)->flags;
            const auto negotiate = asked | ntlm_flag::extended_security; // else refused for that
            const auto challenge = p.server->step(encode_ntlm(ntlm_negotiate{negotiate}).value());
            CHECK(decode_ntlm_challenge(challenge.value())->server_challenge ==
                  std::array{std::byte{0x01}, std::byte{0x23}, std::byte{0x45}, std::byte{0x67},
                             std::byte{0x89}, std::byte{0xAB}, std::byte{0xCD}, std::byte{0xEF}});
            const auto done = p.server->step(authenticate);
            CHECK(p.server->is_established() == done.has_value());
            CHECK(p.server->peer().user == (done ? "user" : ""));
            CHECK(test::bytes(p.server->session_key().begin(), p.server->session_key().end()) ==
                  test::bytes(done ? 16 : 0, std::byte{0x55}));
            CHECK((done || p.server->detail() == "a response of LM or NTLMv1"));
            return done ? std::error_code{} : done.error();
        };
        CHECK(answer_to(test::authenticate_4_2_2_3) == errc::authentication_failed);
        CHECK(answer_to(test::authenticate_4_2_3_3) == errc::authentication_failed);
        CHECK_FALSE(answer_to(test::authenticate_4_2_4_3));
    }
}

TEST_CASE("ntlm: tokens out of order, of another message or of another conversation") {
    parties p;
    REQUIRE(p.talk());
    parties q;
    q.make();
    CHECK(q.client->step(text("x")).error() == errc::bad_security_token);
    q.make();
    CHECK(q.server->step({}).error() == errc::bad_security_token);
    q.make();
    const auto negotiate = q.client->step({}).value();
    CHECK(q.client->step(negotiate).error() == errc::bad_security_token);
    CHECK(q.client->step({}).error() == errc::bad_security_token);
    CHECK_FALSE(q.client->detail().empty());
    // An AUTHENTICATE as the first message, as over datagrams; and one of another challenge.
    test::bytes authenticate;
    parties real;
    real.env = &transport::system_ntlm_environment();
    REQUIRE(real.talk([&](int i, test::bytes& token) {
        if (i == 2) authenticate = token;
    }));
    CHECK(real.server->step(authenticate).error() == errc::bad_security_token);
    real.make();
    CHECK(real.server->step(authenticate).error() == errc::bad_security_token);
    real.make();
    REQUIRE(real.server->step(negotiate));
    CHECK(real.server->step(authenticate).error() == errc::bad_credentials);
}

TEST_CASE("ntlm: a server without a timestamp gets LMv2 too, and a MIC") {
    parties p;
    p.make();
    REQUIRE(p.client->step({}));
    // [MS-NLMP] 4.2.4.3, with the flags that the level asks for.
    const auto challenge =
        test::hex("4e544c4d53535000020000000c000c003800000033828ae20123456789abcdef"
                  "00000000000000002400240044000000060070170000000f530065007200760065007200"
                  "02000c0044006f006d00610069006e0001000c0053006500720076006500720000000000");
    const auto token = p.client->step(challenge);
    REQUIRE(token);
    const auto message = decode_ntlm_authenticate(*token).value();
    CHECK(test::bytes(message.lm_response.begin(), message.lm_response.end()) ==
          test::hex("86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa")); // 4.2.4.2.1
    CHECK(message.has_mic);
    CHECK((decode_ntlmv2_response(message.nt_response)->target_info.flags() & 2) != 0);
}

TEST_CASE(
    "ntlm: HTTP's client of OEM text without signing, and without a MIC where that is taken") {
    for (const bool demanded : {false, true}) {
        parties p;
        p.settings.require_mic = demanded;
        p.both(level::connect);
        p.make();
        const auto challenge =
            p.server->step(encode_ntlm(ntlm_negotiate{0x00088206}).value()).value();
        const auto read = decode_ntlm_challenge(challenge).value();
        CHECK((read.flags & (ntlm_flag::unicode | ntlm_flag::oem)) == ntlm_flag::oem);
        CHECK(read.target_name.empty());
        const auto key = ntowf_v2(example, *ntowf_v1("Password"), "user", "Domain").value();
        const std::array<std::byte, 8> nonce{};
        const auto nt =
            ntlmv2_response_bytes(example, key, read.server_challenge, nonce, 0, read.target_info);
        const auto user = text("user");
        const auto domain = text("Domain");
        const auto last = p.server->step(
            encode_ntlm(ntlm_authenticate{
                            .flags = read.flags, .nt_response = nt, .domain = domain, .user = user})
                .value());
        CHECK(last.has_value() == !demanded);
        CHECK(p.server->is_established() == !demanded);
    }
}
