// NTLM itself over HTTP: our client and a proxy with accounts.
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <rpch/auth/ntlm.hpp>
#include <rpch/auth/spnego.hpp>
#include <rpch/core/base64.hpp>

#include "tests/support/certificates.hpp"
#include "tests/support/channel.hpp"
#include "tests/support/ntlm_client.hpp"
#include "tests/support/raw_peer.hpp"
#include "tests/support/stack.hpp"

namespace {

namespace auth = rpch::auth;
using rpch::errc;
using test::client_of;
using test::environment;
using test::raw_peer;

struct ntlm_stack {
    explicit ntlm_stack(bool tls, bool negotiate = false) : all(options(tls, negotiate)) {}
    static auth::ntlm_key hash_of(std::string_view password) {
        return auth::ntowf_v1(password).value();
    }
    static test::stack_options options(bool tls, bool negotiate) {
        return {.tls = tls, .adjust_proxy = [tls, negotiate](rpch::proxy_settings& s) {
                    auto accounts = std::make_shared<auth::ntlm_account_list>();
                    accounts->add({"alice", "RPCHDOM", hash_of("a word"), false});
                    accounts->add({"bob", "RPCHDOM", hash_of("b word"), false});
                    accounts->add({"carol", "RPCHDOM", hash_of("c word"), true});
                    auth::ntlm_server_settings n;
                    n.netbios_domain = "RPCHDOM";
                    n.require_channel_binding = tls;
                    n.accepted_targets = {"HTTP/127.0.0.1"};
                    s.allow_anonymous = false;
                    std::shared_ptr<auth::security_acceptor> one =
                        std::make_shared<auth::ntlm_acceptor>(environment(), std::move(accounts),
                                                              std::move(n));
                    if (negotiate) one = std::make_shared<auth::spnego_acceptor>(std::vector{one});
                    s.http_acceptors = {one};
                }};
    }
    rpch::client_options options_of(const std::string& user, const std::string& password) {
        auto out = all.options();
        out.http_auth = rpch::http_authentication::ntlm;
        out.http_initiator = client_of(user, password);
        return out;
    }
    test::stack all;
};

/// A raw peer that has logged on: for requests that our client would never send.
class ntlm_peer {
  public:
    ntlm_peer(test::stack& all, const std::string& user, const std::string& password)
        : peer(all.io, all.proxy_port), all_(all) {
        auth::security_options options;
        options.level = auth::authentication_level::connect;
        options.target = "HTTP/127.0.0.1";
        options.dce_style = false;
        auto context = client_of(user, password)->initiate(options).value();
        send(context->step({}).value());
        REQUIRE(all.run_until([&] { return peer.heard("\r\n\r\n"); }));
        const std::string_view heard = peer.heard();
        const std::size_t at = heard.find("NTLM ") + 5;
        const auto token = rpch::core::base64_decode(heard.substr(at, heard.find("\r\n", at) - at),
                                                     std::size_t{4096});
        send(context->step(token.value()).value());
        REQUIRE(all.run_until([&] { return peer.heard("200 Success") || peer.heard("close"); }));
    }
    raw_peer peer;

  private:
    void send(const test::bytes& token) {
        peer.send(test::channel_head(rpch::http::channel_method::in_data, all_.server_port, 0,
                                     "NTLM " + rpch::core::base64_encode(token)));
    }
    test::stack& all_;
};

} // namespace

TEST_CASE("NTLM: a client calls through a proxy, plain and bound to the TLS channel") {
    for (const bool tls : {false, true}) {
        CAPTURE(tls);
        ntlm_stack to(tls);
        test::caller caller(to.all, to.all.binding(), to.options_of("alice", "a word"));
        REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
        const auto call = caller.call(test::probe::echo, test::pattern(1000));
        CHECK_FALSE(call->why);
        CHECK(call->stub == test::pattern(1000));
        CHECK(to.all.proxy_said("(RPCHDOM\\alice)", " open"));
    }
}

TEST_CASE("A password that is refused after Kerberos could not begin: the failure tells both") {
    class no_tickets final : public auth::security_initiator {
      public:
        auth::security_provider provider() const noexcept override {
            return auth::security_provider::kerberos;
        }
        rpch::result<std::unique_ptr<auth::security_context>>
        initiate(const auth::security_options&) override {
            return rpch::fail(errc::bad_credentials);
        }
    };
    ntlm_stack to(false, true);
    using mechanisms = std::vector<std::shared_ptr<auth::security_initiator>>;
    for (const char* password : {"a word", "a guess"}) {
        auto options = to.options_of("alice", password);
        options.http_auth = rpch::http_authentication::negotiate;
        options.http_initiator = std::make_shared<auth::spnego_initiator>(
            mechanisms{std::make_shared<no_tickets>(), client_of("alice", password)});
        test::caller caller(to.all, to.all.binding(), options);
        if (caller.open()) continue;
        CHECK(password == std::string_view("a guess"));
        CHECK(caller.why().code == errc::http_auth_required);
        CHECK(caller.why().detail.starts_with("status 401"));
        CHECK(caller.why().detail.find("; Kerberos could not begin: ") != std::string::npos);
        return;
    }
    FAIL("the guess was right");
}

TEST_CASE("NTLM under the scheme Negotiate needs an acceptor of it") {
    ntlm_stack to(false);
    auto options = to.options_of("alice", "a word");
    options.http_auth = rpch::http_authentication::negotiate;
    test::caller caller(to.all, to.all.binding(), options);
    CHECK_FALSE(caller.open());
    CHECK(caller.why().code == errc::http_auth_not_offered);
}

TEST_CASE("NTLM: a wrong password, an unknown user and a locked account are refused alike") {
    ntlm_stack to(false);
    std::string first;
    for (const auto& [user, password] :
         {std::pair{"alice", "b word"}, std::pair{"nobody", "a word"}, std::pair{"carol", "c word"},
          std::pair{"carol", "a word"}}) {
        CAPTURE(user);
        test::caller caller(to.all, to.all.binding(), to.options_of(user, password));
        CHECK_FALSE(caller.open());
        CHECK(caller.why().code == errc::http_auth_required);
        CHECK(caller.why().said_by == rpch::origin::http);
        if (first.empty()) first = caller.why().detail;
        CHECK(caller.why().detail == first);
    }
    for (const auto& line : to.all.proxy_log) CHECK(line.find(" word") == std::string::npos);
}

TEST_CASE("NTLM: what is bound to another channel, or meant for another service, is refused") {
    // As if somebody with another certificate passed the client's tokens on.
    ntlm_stack to(true);
    /// An initiator that is asked for something else than the client says.
    struct relay final : auth::security_initiator {
        std::shared_ptr<auth::security_initiator> inner;
        auth::security_options (*change)(auth::security_options);
        [[nodiscard]] auth::security_provider provider() const noexcept override {
            return inner->provider();
        }
        [[nodiscard]] rpch::result<std::unique_ptr<auth::security_context>>
        initiate(const auth::security_options& options) override {
            return inner->initiate(change(options));
        }
    };
    auto options = to.options_of("alice", "a word");
    const auto liar = std::make_shared<relay>();
    liar->inner = options.http_initiator;
    options.http_initiator = liar;
    bool is_right = false;
    SUBCASE("nothing is changed") {
        liar->change = [](auth::security_options o) { return o; };
        is_right = true;
    }
    SUBCASE("another certificate") {
        liar->change = [](auth::security_options o) {
            o.channel_binding.back() ^= std::byte{1};
            return o;
        };
    }
    SUBCASE("no binding") {
        liar->change = [](auth::security_options o) {
            o.channel_binding.clear();
            return o;
        };
    }
    SUBCASE("another service") {
        liar->change = [](auth::security_options o) {
            o.target = "cifs/127.0.0.1";
            return o;
        };
    }
    test::caller caller(to.all, to.all.binding(), options);
    CHECK(caller.open() == is_right);
    if (!is_right) {
        CHECK(caller.why().code == errc::http_auth_required);
        CHECK(to.all.proxy_said("logon failed"));
    }
}

TEST_CASE("NTLM: a second user gets no part of a virtual connection, nor a replacement") {
    namespace rts = rpch::rts;
    ntlm_stack to(false);
    const rts::cookie vc = test::cookie_of(1);
    ntlm_peer in(to.all, "alice", "a word");
    in.peer.send(test::in_head(to.all.server_port));
    in.peer.send(test::wire_of(
        rts::conn_b1{1, vc, test::cookie_of(2), 1 << 20, 300'000, test::cookie_of(3)}));
    ntlm_peer out(to.all, "alice", "a word");
    out.peer.send(test::out_head(to.all.server_port));
    out.peer.send(test::wire_of(rts::conn_a1{1, vc, test::cookie_of(4), 65536}));
    REQUIRE(to.all.run_until([&] { return to.all.proxy_said("IN channel", " open"); }));
    ntlm_peer thief(to.all, "bob", "b word");
    thief.peer.send(test::in_head(to.all.server_port));
    thief.peer.send(test::wire_of(rts::in_r2_a1{1, vc, test::cookie_of(2), test::cookie_of(5)}));
    REQUIRE(to.all.run_until([&] { return thief.peer.ended(); }));
    CHECK(thief.peer.heard(" 403 "));
    CHECK(to.all.proxy_said("(RPCHDOM\\bob)", "belongs to another user"));
    CHECK_FALSE(in.peer.ended());
    CHECK_FALSE(out.peer.ended());
}

TEST_CASE("NTLM: successors of both channels log on again") {
    ntlm_stack to(false);
    auto options = to.options_of("alice", "a word");
    options.channel_lifetime = 128 * 1024;
    test::caller caller(to.all, to.all.binding(), options);
    REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
    for (unsigned i = 0; i < 20; ++i) {
        const auto call = caller.call(test::probe::echo, test::pattern(20'000, i));
        REQUIRE_MESSAGE(!call->why, call->why.to_string());
        REQUIRE(call->stub == test::pattern(20'000, i));
    }
    CHECK(to.all.proxy_said("IN channel", "replaced"));
}
