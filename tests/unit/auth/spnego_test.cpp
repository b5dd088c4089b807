#include <rpch/auth/spnego.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include <rpch/auth/ntlm.hpp>
#include <rpch/limits.hpp>

#include "ntlm_support.hpp"
#include "tests/support/bytes.hpp"
#include "tests/support/toy_security.hpp"

using namespace rpch;
using namespace rpch::auth;

namespace {

using test::bytes;
using context = std::unique_ptr<security_context>;
using enum spnego_state;

constexpr auto kerberos = security_provider::kerberos;
constexpr auto ntlm = security_provider::ntlm;

const bytes ms_kerberos = test::hex("2a864882f712010202");
const bytes unknown = test::hex("2a0304");

std::shared_ptr<security_initiator> toy_client(security_provider provider, int legs = 3) {
    return std::make_shared<test::toy_initiator>(
        test::toy_rules{.legs = legs, .provider = provider});
}
std::shared_ptr<security_acceptor> toy_server(security_provider provider, int legs = 3) {
    return std::make_shared<test::toy_acceptor>(
        test::toy_rules{.legs = legs, .provider = provider});
}

const test::ntlm_example_environment example;

std::shared_ptr<security_initiator> ntlm_client() {
    ntlm_credentials who;
    who.user = "User";
    who.password = core::secret(std::string_view("Password"));
    return std::make_shared<ntlm_initiator>(example, std::move(who));
}
std::shared_ptr<security_acceptor> ntlm_server() {
    auto accounts = std::make_shared<ntlm_account_list>();
    accounts->add({"User", "", *ntowf_v1("Password")});
    return std::make_shared<ntlm_acceptor>(example, accounts, ntlm_server_settings{});
}

/// A mechanism without credentials.
class nobody final : public security_initiator {
  public:
    security_provider provider() const noexcept override { return kerberos; }
    result<context> initiate(const security_options&) override {
        return fail(errc::bad_credentials);
    }
};

struct pair_of_ends {
    context client;
    context server;
    int tokens = 0;
    std::error_code failed{};
    std::string why{};

    pair_of_ends(std::vector<std::shared_ptr<security_initiator>> mine,
                 std::vector<std::shared_ptr<security_acceptor>> theirs,
                 const security_options& options = {})
        : client(spnego_initiator(std::move(mine)).initiate(options).value()),
          server(spnego_acceptor(std::move(theirs)).accept(options).value()) {}

    using change = std::function<void(int number, bytes& token)>;
    /// Carries tokens until both ends are established or one fails; `alter` sees each on its way.
    bool run(const change& alter = [](int, bytes&) {}) {
        bytes token;
        for (int i = 0; i < 20; ++i) {
            security_context& end = i % 2 == 0 ? *client : *server;
            auto out = end.step(token);
            if (!out) {
                failed = out.error();
                why = end.detail();
                CHECK_FALSE(end.is_established());
                return false;
            }
            token = std::move(*out);
            if (token.empty()) {
                CHECK(end.is_established());
                break;
            }
            ++tokens;
            alter(tokens, token);
            if (client->is_established() && server->is_established()) break;
        }
        return client->is_established() && server->is_established();
    }
    bool protects() {
        for (int i = 0; i < 3; ++i) {
            bytes body = test::hex("0102030405060708");
            bytes signature(client->signature_bytes(true));
            if (client->protect(true, {.body = body}, signature)) return false;
            if (server->unprotect(true, {.body = body}, signature)) return false;
            if (body != test::hex("0102030405060708")) return false;
            if (server->protect(false, {.body = body},
                                byte_span(signature).first(server->signature_bytes(false))))
                return false;
            if (client->unprotect(false, {.body = body},
                                  byte_view(signature).first(server->signature_bytes(false))))
                return false;
        }
        return true;
    }
};

/// Re-encodes a NegTokenResp after a change.
void change_response(bytes& token, const std::function<void(spnego_response&)>& how) {
    const bytes old = token;
    auto in = decode_spnego_response(old).value();
    how(in);
    token = encode_spnego(in);
}
void change_init(bytes& token, const std::function<void(spnego_init&)>& how) {
    const bytes old = token;
    auto in = decode_spnego_init(old).value();
    how(in);
    token = encode_spnego(in);
}

bytes sample_init() {
    const bytes token = test::hex("aabb");
    return encode_spnego(
        spnego_init{.mechanisms = {spnego_mechanism(kerberos), spnego_mechanism(ntlm)},
                    .token = byte_view(token)});
}
bytes sample_response() {
    const bytes token = test::hex("aabb");
    const bytes mic = test::hex("cc");
    return encode_spnego(spnego_response{accept_incomplete, spnego_mechanism(ntlm),
                                         byte_view(token), byte_view(mic)});
}

} // namespace

TEST_CASE("SPNEGO: a NegTokenInit is framed and read again") {
    // Composed by hand by RFC 4178 4.2.1 and RFC 2743 3.1.
    const bytes wire = test::hex("60 2b 06 06 2b0601050502 a0 21 30 1f a0 17 30 15"
                                 "06 09 2a864886f712010202  06 08 0102030405060708"
                                 "a2 04 04 02 aabb");
    const auto in = decode_spnego_init(wire);
    REQUIRE(in);
    REQUIRE(in->mechanisms.size() == 2);
    CHECK(spnego_provider(in->mechanisms[0]) == kerberos);
    CHECK(spnego_provider(in->mechanisms[1]) == security_provider::none);
    CHECK(in->mechanism_list.size() == 0x17);
    CHECK(in->token->size() == 2);
    CHECK_FALSE(in->mic);
    CHECK(encode_spnego(*in) == wire);
    CHECK(encode_spnego_mechanisms(in->mechanisms) ==
          bytes(in->mechanism_list.begin(), in->mechanism_list.end()));
}

TEST_CASE("SPNEGO: a NegTokenInit2 has hints where a NegTokenInit has its MIC") {
    const bytes mic = test::hex("0102");
    spnego_init out{.mechanisms = {spnego_mechanism(ntlm)},
                    .hint_name = core::as_bytes("not_defined_in_RFC4178@please_ignore")};
    bytes wire = encode_spnego(out);
    auto in = decode_spnego_init(wire);
    REQUIRE(in);
    CHECK(core::as_text(*in->hint_name) == "not_defined_in_RFC4178@please_ignore");
    CHECK_FALSE(in->mic);
    out.mic = byte_view(mic);
    wire = encode_spnego(out);
    in = decode_spnego_init(wire);
    REQUIRE(in);
    CHECK(in->mic->size() == 2);
    out.hint_name.reset();
    wire = encode_spnego(out);
    in = decode_spnego_init(wire);
    REQUIRE(in);
    CHECK(in->mic->size() == 2);
    CHECK_FALSE(in->hint_name);
}

TEST_CASE("SPNEGO: a NegTokenResp is read as it was written") {
    const bytes wire = sample_response();
    const auto in = decode_spnego_response(wire);
    REQUIRE(in);
    CHECK(in->state == accept_incomplete);
    CHECK(spnego_provider(*in->mechanism) == ntlm);
    CHECK(in->token->size() == 2);
    CHECK(in->mic->size() == 1);
    CHECK(encode_spnego(*in) == wire);
    CHECK(encode_spnego(decode_spnego_response(test::hex("a1023000")).value()) ==
          test::hex("a1023000"));
}

TEST_CASE("SPNEGO: a token cut short or with bytes behind it is refused, whatever its length") {
    for (const bool is_init : {true, false}) {
        bytes wire = is_init ? sample_init() : sample_response();
        const auto decodes = [&](byte_view in) {
            const bytes copy(in.begin(), in.end()); // so that a sanitizer sees its end
            return is_init ? decode_spnego_init(copy).has_value()
                           : decode_spnego_response(copy).has_value();
        };
        CHECK(decodes(wire));
        for (std::size_t n = 0; n < wire.size(); ++n)
            CHECK_FALSE(decodes(byte_view(wire).first(n)));
        wire.push_back(std::byte{0});
        CHECK_FALSE(decodes(wire));
    }
}

TEST_CASE("SPNEGO: every length made too large is refused") {
    for (const bool is_init : {true, false}) {
        const bytes wire = is_init ? sample_init() : sample_response();
        for (std::size_t i = 1; i < wire.size(); ++i)
            for (const int value : {0x7F, 0x80, 0x84, 0x88, 0xFF}) {
                bytes bad = wire;
                bad[i] = static_cast<std::byte>(value);
                // Content may change as it likes; what counts is that nothing is read beyond.
                if (is_init)
                    static_cast<void>(decode_spnego_init(bad));
                else
                    static_cast<void>(decode_spnego_response(bad));
            }
    }
    CHECK(decode_spnego_response(test::hex("a184ffffffff3000")).error() == errc::truncated);
    CHECK(decode_spnego_response(test::hex("a1803000")).error() == errc::bad_security_token);
    CHECK(decode_spnego_response(test::hex("a18500000000023000")).error() ==
          errc::bad_security_token);
    CHECK(decode_spnego_response(test::hex("a18400000002 3000")).has_value());
    CHECK(decode_spnego_response(bytes(limits::auth_token_bytes_max + 1)).error() ==
          errc::bad_security_token);
}

TEST_CASE(
    "SPNEGO: fields that are unknown are skipped; repeated or out of order they are refused") {
    CHECK(decode_spnego_response(test::hex("a1 0b 3009 a0030a0101 a7020400")).has_value());
    CHECK_FALSE(decode_spnego_response(test::hex("a1 0c 300a a0030a0101 a0030a0101")).has_value());
    CHECK_FALSE(decode_spnego_response(test::hex("a1 0b 3009 a2020400 a0030a0101")).has_value());
    CHECK_FALSE(decode_spnego_response(test::hex("a1 07 3005 a0030a0104")).has_value()); // state 4
    CHECK_FALSE(
        decode_spnego_response(test::hex("a1 07 3005 a003040101")).has_value()); // no ENUMERATED
}

TEST_CASE("SPNEGO: a list of mechanisms that is empty or too long is refused") {
    CHECK_FALSE(decode_spnego_init(encode_spnego(spnego_init{})).has_value());
    spnego_init many{.mechanisms =
                         std::vector<byte_view>(limits::spnego_mechanisms_max, byte_view(unknown))};
    CHECK(decode_spnego_init(encode_spnego(many)).has_value());
    many.mechanisms.push_back(unknown);
    CHECK_FALSE(decode_spnego_init(encode_spnego(many)).has_value());
}

TEST_CASE("SPNEGO: mechanisms of two to four legs get through, the optimistic one without MIC") {
    for (const int legs : {1, 2, 3, 4}) {
        CAPTURE(legs);
        pair_of_ends p({toy_client(kerberos, legs)}, {toy_server(kerberos, legs)});
        CHECK(p.run([](int number, bytes& token) {
            if (number > 1) CHECK_FALSE(decode_spnego_response(token).value().mic);
        }));
        CHECK(p.tokens == (legs % 2 == 0 ? legs : legs + 1));
        CHECK(p.protects());
        CHECK(p.client->peer().user == "alice");
        CHECK(core::as_text(p.server->session_key()) == "sesame");
        CHECK(p.client->step(test::hex("00")).error() == errc::bad_security_token);
    }
}

TEST_CASE("SPNEGO: a server without the first mechanism takes another, and both sign the list") {
    for (const int legs : {1, 2, 3, 4}) {
        CAPTURE(legs);
        pair_of_ends p({toy_client(kerberos), toy_client(ntlm, legs)}, {toy_server(ntlm, legs)});
        int mics = 0;
        CHECK(p.run([&](int number, bytes& token) {
            if (number == 1) return;
            const auto in = decode_spnego_response(token).value();
            if (number == 2) CHECK(in.state == request_mic);
            if (in.mic) ++mics;
        }));
        CHECK(mics == 2);
        CHECK(p.protects());
    }
}

TEST_CASE("SPNEGO: the second name of Kerberos means Kerberos, and its token is taken at once") {
    pair_of_ends p({toy_client(kerberos, 2)}, {toy_server(kerberos, 2)});
    CHECK(p.run([](int number, bytes& token) {
        if (number == 1)
            change_init(token, [](spnego_init& in) {
                in.mechanisms = {ms_kerberos, spnego_mechanism(kerberos)};
            });
        else
            CHECK(
                std::ranges::equal(*decode_spnego_response(token).value().mechanism, ms_kerberos));
    }));
}

TEST_CASE("SPNEGO: a mechanism that cannot begin is left out") {
    pair_of_ends p({std::make_shared<nobody>(), toy_client(ntlm)},
                   {toy_server(kerberos), toy_server(ntlm)});
    CHECK(p.run([](int number, bytes& token) {
        if (number == 1) CHECK(decode_spnego_init(token).value().mechanisms.size() == 1);
    }));
    spnego_initiator alone({std::make_shared<nobody>()});
    CHECK(alone.initiate({}).value()->step({}).error() == errc::bad_credentials);
}

TEST_CASE("SPNEGO: why a better mechanism was left out is told with what came of the next") {
    const std::string left_out =
        "Kerberos could not begin: " + make_error_code(errc::bad_credentials).message();
    pair_of_ends p({std::make_shared<nobody>(), toy_client(ntlm)}, {toy_server(ntlm)});
    CHECK(p.run([&](int number, bytes&) {
        if (number == 1) CHECK(p.client->detail() == left_out);
    }));
    CHECK(p.client->detail() == left_out);
    pair_of_ends refused({std::make_shared<nobody>(), toy_client(ntlm)}, {toy_server(ntlm)});
    CHECK_FALSE(refused.run([](int number, bytes& token) {
        if (number == 2)
            change_response(token, [](spnego_response& in) { in.state = spnego_state::reject; });
    }));
    CHECK(refused.why == "the server refused; " + left_out);
    const auto none = spnego_initiator({std::make_shared<nobody>(), std::make_shared<nobody>()})
                          .initiate({})
                          .value();
    CHECK_FALSE(none->step({}));
    CHECK(none->detail() == left_out + "; " + left_out);
}

TEST_CASE("SPNEGO: an end without mechanisms is refused, and so are ends without one in common") {
    CHECK(spnego_initiator({}).initiate({}).error() == errc::security_not_supported);
    CHECK(spnego_acceptor({toy_server(security_provider::schannel)}).accept({}).error() ==
          errc::security_not_supported);
    pair_of_ends p({toy_client(kerberos)}, {toy_server(ntlm)});
    CHECK_FALSE(p.run());
    CHECK(p.failed == errc::authentication_failed);
    CHECK(p.why == "no mechanism in common");
}

TEST_CASE("SPNEGO: a list of mechanisms changed on its way is found") {
    // Kerberos taken out, put behind, or replaced; the server sees an NTLM that is first or only.
    const std::vector<std::function<void(spnego_init&)>> attacks{
        [](spnego_init& in) {
            in.mechanisms = {spnego_mechanism(ntlm)};
            in.token.reset();
        },
        [](spnego_init& in) {
            std::swap(in.mechanisms[0], in.mechanisms[1]);
            in.token.reset();
        },
        [](spnego_init& in) {
            in.mechanisms[0] = unknown;
            in.token.reset();
        },
    };
    for (const bool is_real : {false, true})
        for (const auto& attack : attacks) {
            pair_of_ends p({toy_client(kerberos), is_real ? ntlm_client() : toy_client(ntlm)},
                           {toy_server(kerberos), is_real ? ntlm_server() : toy_server(ntlm)});
            CHECK_FALSE(p.run([&](int number, bytes& token) {
                if (number == 1) change_init(token, attack);
            }));
            CHECK(p.failed == errc::authentication_failed);
            CHECK(p.why == "the list of mechanisms was changed");
        }
}

TEST_CASE("SPNEGO: an attacker who takes the MICs away too is found") {
    const auto strip = [](spnego_response& in) { in.mic.reset(); };
    const auto attack = [](spnego_init& in) {
        std::swap(in.mechanisms[0], in.mechanisms[1]);
        in.token.reset();
    };
    SUBCASE("by the client") {
        pair_of_ends p({toy_client(kerberos), toy_client(ntlm)},
                       {toy_server(kerberos), toy_server(ntlm)});
        CHECK_FALSE(p.run([&](int number, bytes& token) {
            if (number == 1) return change_init(token, attack);
            change_response(token, strip);
        }));
        CHECK(p.why == "the server did not sign the list");
    }
    SUBCASE("by the server, from the MIC of NTLM") {
        pair_of_ends p({toy_client(kerberos), ntlm_client()},
                       {toy_server(kerberos), ntlm_server()});
        CHECK_FALSE(p.run([&](int number, bytes& token) {
            if (number == 1) return change_init(token, attack);
            change_response(token, strip);
        }));
        CHECK(p.why == "the client did not sign the list");
    }
    SUBCASE("by the server that asked for one") {
        pair_of_ends p({toy_client(kerberos), toy_client(ntlm)}, {toy_server(ntlm)});
        CHECK_FALSE(p.run([&](int number, bytes& token) {
            if (number > 1) change_response(token, strip);
        }));
        CHECK(p.why == "the client did not sign the list");
    }
    CHECK(true);
}

TEST_CASE("SPNEGO: NTLM exchanges its three legs and both MICs") {
    for (const auto level : {authentication_level::connect, authentication_level::privacy}) {
        pair_of_ends p({ntlm_client()}, {ntlm_server()}, {.level = level});
        CHECK(p.run([level](int number, bytes& token) {
            if (number == 1) return;
            const auto in = decode_spnego_response(token).value();
            CHECK(in.state == (number == 4 ? accept_completed : accept_incomplete));
            CHECK(in.mic.has_value() == (number >= 3 && level == authentication_level::privacy));
            CHECK(in.mechanism.has_value() == (number == 2));
        }));
        CHECK(p.tokens == 4);
        CHECK(p.server->peer().user == "User");
        CHECK(p.client->session_key().size() == 16);
        CHECK(std::ranges::equal(p.client->session_key(), p.server->session_key()));
        if (level == authentication_level::privacy) CHECK(p.protects());
    }
}

TEST_CASE("SPNEGO: where nothing is signed, NTLM signs no list either, also as the second choice") {
    pair_of_ends p({toy_client(kerberos), ntlm_client()}, {ntlm_server()},
                   {.level = authentication_level::connect});
    CHECK(p.run([](int number, bytes& token) {
        if (number != 1) CHECK_FALSE(decode_spnego_response(token).value().mic);
    }));
    CHECK(p.server->peer().user == "User");
    CHECK_FALSE(p.client->can_make_mic());
}

TEST_CASE(
    "SPNEGO: in HTTP a server that takes the second choice and signs nothing proves nothing") {
    const security_options http{.level = authentication_level::connect, .dce_style = false};
    pair_of_ends good({toy_client(kerberos), ntlm_client()}, {ntlm_server()}, http);
    CHECK(good.run());
    pair_of_ends p({toy_client(kerberos), ntlm_client()}, {ntlm_server()}, http);
    CHECK_FALSE(p.run([](int number, bytes& token) {
        if (number == 1) return;
        change_response(token, [](spnego_response& in) { in.mic.reset(); });
    }));
}

TEST_CASE("SPNEGO: with one mechanism in the list an end that does not sign it is let in") {
    for (const int which : {3, 4}) {
        pair_of_ends p({ntlm_client()}, {ntlm_server()});
        CHECK(p.run([&](int number, bytes& token) {
            if (number == which)
                change_response(token, [](spnego_response& in) { in.mic.reset(); });
        }));
        // Here both had signed, and somebody took it away: a sequence number is missing.
        CHECK_FALSE(p.protects());
    }
    pair_of_ends p({ntlm_client(), toy_client(kerberos)}, {ntlm_server()});
    CHECK_FALSE(p.run([](int number, bytes& token) {
        if (number == 4) change_response(token, [](spnego_response& in) { in.mic.reset(); });
    }));
    CHECK(p.why == "the server did not sign the list");
}

TEST_CASE("SPNEGO: a mechanism that signs nothing goes without MIC unless one is due") {
    test::toy_rules dumb{.can_make_mics = false, .provider = ntlm};
    const auto client = std::make_shared<test::toy_initiator>(dumb);
    const auto server = std::make_shared<test::toy_acceptor>(dumb);
    pair_of_ends first({client}, {server});
    CHECK(first.run());
    pair_of_ends second({toy_client(kerberos), client}, {server});
    CHECK_FALSE(second.run());
    CHECK(second.failed == errc::authentication_failed);
}

TEST_CASE("SPNEGO: NTLM without the framing is answered likewise") {
    const security_options options;
    const auto client = ntlm_client()->initiate(options).value();
    const auto server =
        spnego_acceptor({toy_server(kerberos), ntlm_server()}).accept(options).value();
    const auto challenge = server->step(client->step({}).value());
    REQUIRE(challenge);
    CHECK(core::as_text(*challenge).starts_with("NTLMSSP"));
    CHECK(server->step(client->step(*challenge).value()).value().empty());
    CHECK(server->is_established());
    CHECK(server->peer().user == "User");
    const auto other = spnego_acceptor({toy_server(kerberos)}).accept(options).value();
    const auto again = ntlm_client()->initiate(options).value();
    CHECK(other->step(again->step({}).value()).error() == errc::authentication_failed);
}

TEST_CASE("SPNEGO: tokens out of order are refused, and the context is of no further use") {
    const auto refused = [](security_context& end, byte_view token) {
        CHECK(end.step(token).error() == errc::bad_security_token);
        CHECK(end.step(sample_init()).error() == errc::bad_security_token);
        CHECK_FALSE(end.is_established());
        CHECK(end.signature_bytes(true) == 0);
        CHECK(end.protect(true, {}, {}) == errc::authentication_failed);
        CHECK(end.unprotect(true, {}, {}) == errc::authentication_failed);
        CHECK(end.peer().user.empty());
        CHECK(end.session_key().empty());
    };
    const auto fresh = [] {
        return pair_of_ends({toy_client(kerberos), toy_client(ntlm)}, {toy_server(kerberos)});
    };
    SUBCASE("the client is spoken to first") { refused(*fresh().client, sample_init()); }
    SUBCASE("the server gets nothing") { refused(*fresh().server, {}); }
    SUBCASE("the server gets a later token first") { refused(*fresh().server, sample_response()); }
    SUBCASE("the server gets two first tokens") {
        auto p = fresh();
        const auto token = p.client->step({}).value();
        CHECK(p.server->step(token));
        refused(*p.server, token);
    }
    SUBCASE("the client gets a first token") {
        auto p = fresh();
        refused(*p.client, p.client->step({}).value());
    }
    const std::vector<spnego_response> answers{
        {accept_completed, spnego_mechanism(kerberos), {}, {}},
        {accept_incomplete, spnego_mechanism(kerberos), {}, {}},
        {accept_incomplete, byte_view(unknown), {}, {}},
        {request_mic, spnego_mechanism(ntlm), core::as_bytes("x"), {}},
        {accept_completed, spnego_mechanism(ntlm), {}, {}},
        {accept_incomplete, spnego_mechanism(kerberos), {}, core::as_bytes("mic")},
        {accept_completed, spnego_mechanism(kerberos), core::as_bytes("\x02sesame"), {}},
    };
    for (const auto& answer : answers) {
        auto p = fresh();
        CHECK(p.client->step({}));
        refused(*p.client, encode_spnego(answer));
    }
}

TEST_CASE("SPNEGO: a peer that refuses ends the context") {
    pair_of_ends p({toy_client(kerberos)}, {toy_server(kerberos)});
    CHECK_FALSE(p.run([](int number, bytes& token) {
        if (number == 2) token = encode_spnego(spnego_response{.state = reject});
    }));
    CHECK(p.failed == errc::authentication_failed);
}

TEST_CASE("SPNEGO: what the mechanism refuses is refused with its reason") {
    const auto other = std::make_shared<test::toy_acceptor>(
        test::toy_rules{.password = "other", .provider = kerberos});
    pair_of_ends p({toy_client(kerberos)}, {other});
    CHECK_FALSE(p.run());
    CHECK(p.failed == errc::bad_credentials);
}

TEST_CASE("SPNEGO: no bit of a negotiation by NTLM may be turned without somebody's notice") {
    // A bit of the server's last token may change nothing that anybody proved: it is left out.
    for (int which = 1; which <= 3; ++which)
        for (std::size_t at = 0; at < 400; at += 3) {
            pair_of_ends p({ntlm_client()}, {ntlm_server()});
            bool turned = false;
            const bool came_through = p.run([&](int number, bytes& token) {
                if (number != which || at >= token.size()) return;
                token[at] ^= std::byte{0x10};
                turned = true;
            });
            if (turned && came_through) CHECK(p.protects()); // then both ends still agree
        }
}
