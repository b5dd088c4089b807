// NTLM and Negotiate at the HTTP layer, on both ends, with a mechanism that shows everything.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <rpch/core/base64.hpp>
#include <rpch/limits.hpp>

#include <asio/buffer.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>

#include "tests/support/certificates.hpp"
#include "tests/support/channel.hpp"
#include "tests/support/raw_peer.hpp"
#include "tests/support/stack.hpp"
#include "tests/support/toy_security.hpp"

namespace {

namespace rts = rpch::rts;
using namespace std::chrono_literals;
using rpch::errc;
using rpch::http_authentication;
using rpch::auth::security_provider;
using test::raw_peer;

constexpr auto in_data = rpch::http::channel_method::in_data;
constexpr auto out_data = rpch::http::channel_method::out_data;

std::size_t count(const std::string& where, std::string_view what) {
    std::size_t n = 0;
    for (std::size_t at = where.find(what); at != std::string::npos; at = where.find(what, at + 1))
        ++n;
    return n;
}

std::string base64(std::string_view text) {
    return rpch::core::base64_encode(rpch::core::as_bytes(text));
}
/// @return the value of one leg of the toy mechanism.
std::string leg(int number, const std::string& password = "sesame",
                const std::string& scheme = "NTLM") {
    return scheme + " " + base64(static_cast<char>(number) + password);
}

/// @return the head with another line in front of its end.
std::string with_line(std::string head, const std::string& line) {
    return head.insert(head.size() - 2, line + "\r\n");
}
std::string replaced(std::string text, const std::string& what, const std::string& by) {
    const std::size_t at = text.find(what);
    REQUIRE(at != std::string::npos);
    return text.replace(at, what.size(), by);
}

/// A stack whose proxy knows NTLM and Negotiate, and nobody without.
struct logon_stack {
    explicit logon_stack(test::toy_rules rules = {}, test::stack_options options = {})
        : ntlm(std::make_shared<test::toy_acceptor>(of(rules, security_provider::ntlm))),
          negotiate(std::make_shared<test::toy_acceptor>(of(rules, security_provider::negotiate))),
          all(adjusted(std::move(options))) {}

    static test::toy_rules of(test::toy_rules rules, security_provider provider) {
        rules.provider = provider;
        return rules;
    }
    test::stack_options adjusted(test::stack_options options) {
        options.adjust_proxy = [this, more = options.adjust_proxy](rpch::proxy_settings& s) {
            s.allow_anonymous = false;
            s.http_acceptors = {ntlm, negotiate};
            if (more) more(s);
        };
        return options;
    }
    /// @return what a client needs to log on here; `initiator` sees what it is asked for.
    rpch::client_options options(http_authentication how, test::toy_rules rules = {}) {
        rpch::client_options out = all.options();
        rules.provider = how == http_authentication::ntlm ? security_provider::ntlm
                                                          : security_provider::negotiate;
        initiator = std::make_shared<test::toy_initiator>(rules);
        out.http_auth = how;
        out.http_initiator = initiator;
        return out;
    }
    [[nodiscard]] std::string echo(const std::string& authorization = {},
                                   std::uint64_t length = 0) const {
        return test::channel_head(in_data, all.server_port, length, authorization);
    }
    bool hears(raw_peer& peer, std::string_view what, std::size_t times = 1) {
        return all.run_until([&] { return count(peer.heard(), what) >= times || peer.ended(); },
                             10s) &&
               count(peer.heard(), what) == times;
    }

    std::shared_ptr<test::toy_acceptor> ntlm;
    std::shared_ptr<test::toy_acceptor> negotiate;
    std::shared_ptr<test::toy_initiator> initiator;
    test::stack all;
};

constexpr std::string_view unauthorized = "HTTP/1.1 401 ";
constexpr std::string_view success = "HTTP/1.1 200 ";

/// An RPC proxy that answers each request head by what a test says.
class scripted_proxy {
  public:
    struct request {
        int connection = 0; ///< 1 is the first of its method.
        int number = 0;     ///< On its connection, from 1.
        std::string head;
    };
    /// @return what to send; a `!` at its end closes the connection, an empty text says nothing.
    using script = std::function<std::string(const request&)>;

    scripted_proxy(test::stack& all, script says)
        : says_(std::move(says)), acceptor_(all.io, {asio::ip::make_address("127.0.0.1"), 0}) {
        accept();
    }
    [[nodiscard]] std::string binding() const {
        return "ncacn_http:127.0.0.1[1,RpcProxy=127.0.0.1:" +
               std::to_string(acceptor_.local_endpoint().port()) + ",HttpUseTls=false]";
    }
    std::vector<std::string> heads; ///< All that came.
    [[nodiscard]] std::size_t heads_with(std::string_view a, std::string_view b) const {
        std::size_t n = 0;
        for (const auto& each : heads)
            n += each.find(a) != std::string::npos && each.find(b) != std::string::npos ? 1U : 0U;
        return n;
    }

  private:
    struct peer {
        explicit peer(asio::ip::tcp::socket s) : socket(std::move(s)) {}
        asio::ip::tcp::socket socket;
        std::string heard;
        std::string fresh = std::string(8192, '\0');
        int connection = 0;
        int number = 0;
        bool in_body = false;
    };
    void accept() {
        acceptor_.async_accept([this](std::error_code ec, asio::ip::tcp::socket socket) {
            if (ec) return;
            read(std::make_shared<peer>(std::move(socket)));
            accept();
        });
    }
    void read(const std::shared_ptr<peer>& p) {
        p->socket.async_read_some(
            asio::buffer(p->fresh), [this, p](std::error_code ec, std::size_t n) {
                if (ec) return;
                p->heard.append(p->fresh, 0, n);
                for (std::size_t end = 0;
                     !p->in_body && (end = p->heard.find("\r\n\r\n")) != std::string::npos;) {
                    const std::string head = p->heard.substr(0, end + 4);
                    p->heard.erase(0, end + 4);
                    p->in_body = head.find("Content-Length: 0\r\n") == std::string::npos;
                    if (p->connection == 0)
                        p->connection = head.starts_with("RPC_IN_DATA") ? ++ins_ : ++outs_;
                    heads.push_back(head);
                    std::string text = says_({p->connection, ++p->number, head});
                    const bool closes = !text.empty() && text.back() == '!';
                    if (closes) text.pop_back();
                    std::error_code lost;
                    asio::write(p->socket, asio::buffer(text), lost);
                    if (closes) {
                        p->socket.shutdown(asio::ip::tcp::socket::shutdown_both, lost);
                        p->socket.close(lost);
                        return;
                    }
                }
                read(p);
            });
    }

    script says_;
    asio::ip::tcp::acceptor acceptor_;
    int ins_ = 0;
    int outs_ = 0;
};

std::string challenge(const std::string& value, const std::string& more = "Content-Length: 0\r\n",
                      const std::string& body = {}) {
    return "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: " + value + "\r\n" + more + "\r\n" +
           body;
}

} // namespace

// The proxy.

TEST_CASE("A 401 offers the strongest scheme first") {
    logon_stack to({}, {.basic = true});
    raw_peer peer(to.all.io, to.all.proxy_port);
    peer.send(to.echo());
    REQUIRE(to.hears(peer, unauthorized));
    CHECK(peer.heard("\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\n"
                     "WWW-Authenticate: Basic realm="));
}

TEST_CASE("Three legs log a TCP connection on, and later requests need no credentials") {
    logon_stack to;
    const auto dressed = [&](std::string head) { return head; };
    std::function<std::string(std::string)> dress = dressed;
    SUBCASE("as Samba and curl send it") {}
    SUBCASE("as impacket sends it: no query, Expect") {
        dress = [&](const std::string& head) {
            return with_line(replaced(head, "?127.0.0.1:" + std::to_string(to.all.server_port), ""),
                             "Expect: 100-continue");
        };
    }
    SUBCASE("HTTP/1.0 with keep-alive") {
        dress = [&](const std::string& head) { return replaced(head, "HTTP/1.1", "HTTP/1.0"); };
    }
    raw_peer peer(to.all.io, to.all.proxy_port);
    peer.send(dress(to.echo(leg(1))));
    REQUIRE(to.hears(peer, unauthorized));
    CHECK(peer.heard("\r\nWWW-Authenticate: " + leg(2) +
                     "\r\nContent-Length: 0\r\n"
                     "Connection: Keep-Alive\r\n\r\n"));
    CHECK_FALSE(peer.heard("Negotiate")); // the scheme is chosen
    CHECK_FALSE(peer.heard("100 Continue"));
    peer.send(dress(to.echo(leg(3))));
    REQUIRE(to.hears(peer, success));
    peer.send(dress(to.echo()));
    REQUIRE(to.hears(peer, success, 2));
    peer.send(test::out_head(to.all.server_port));
    peer.send(test::wire_of(rts::conn_a1{1, test::cookie_of(1), test::cookie_of(2), 65536}));
    REQUIRE(to.hears(peer, success, 3));
    peer.close();
    CHECK(to.all.run_until([&] { return to.all.proxy_said("OUT channel", "(TOY\\alice)"); }, 10s));
    raw_peer stranger(to.all.io, to.all.proxy_port);
    stranger.send(to.echo());
    CHECK(to.hears(stranger, unauthorized));
}

TEST_CASE("A first leg with the real Content-Length goes on only if its body was held back") {
    logon_stack to;
    constexpr std::uint64_t gib = 1 << 30;
    raw_peer waits(to.all.io, to.all.proxy_port);
    waits.send(with_line(to.echo(leg(1), gib), "Expect: 100-continue"));
    REQUIRE(to.hears(waits, unauthorized));
    CHECK(waits.heard(leg(2)));
    waits.send(with_line(to.echo(leg(3), gib), "Expect: 100-continue"));
    CHECK(to.hears(waits, "HTTP/1.1 100 Continue\r\n\r\n"));
    CHECK_FALSE(waits.ended());
    for (const bool body_follows : {false, true}) {
        raw_peer hurries(to.all.io, to.all.proxy_port);
        std::string head = to.echo(leg(1), gib);
        if (body_follows) head = with_line(head, "Expect: 100-continue") + "\x05\x00";
        hurries.send(head);
        REQUIRE(to.all.run_until([&] { return hurries.ended(); }, 10s));
        CHECK(count(hurries.heard(), unauthorized) == 1);
        CHECK(hurries.heard("\r\nWWW-Authenticate: NTLM\r\n"));
        CHECK(hurries.heard("Connection: close"));
    }
}

TEST_CASE("A leg on a connection that is not to stay gets no token") {
    logon_stack to;
    raw_peer peer(to.all.io, to.all.proxy_port);
    peer.send(replaced(to.echo(leg(1)), "Connection: Keep-Alive", "Connection: close"));
    REQUIRE(to.all.run_until([&] { return peer.ended(); }, 10s));
    CHECK(peer.heard("\r\nWWW-Authenticate: NTLM\r\n"));
    CHECK_FALSE(peer.heard(leg(2)));
}

TEST_CASE("The last token of the proxy goes into the response of success") {
    test::toy_rules rules;
    rules.legs = 2;
    logon_stack to(rules);
    raw_peer peer(to.all.io, to.all.proxy_port);
    peer.send(to.echo(leg(1, "sesame", "Negotiate")));
    REQUIRE(to.hears(peer, success));
    CHECK(peer.heard("\r\nWWW-Authenticate: " + leg(2, "sesame", "Negotiate") + "\r\n"));
    peer.send(to.echo());
    REQUIRE(to.hears(peer, success, 2));
    CHECK(count(peer.heard(), "WWW-Authenticate") == 1);
    raw_peer out(to.all.io, to.all.proxy_port);
    out.send(test::channel_head(out_data, to.all.server_port, 76, leg(1)));
    out.send(test::wire_of(rts::conn_a1{1, test::cookie_of(1), test::cookie_of(2), 65536}));
    REQUIRE(to.hears(out, success));
    CHECK(out.heard("\r\nWWW-Authenticate: " + leg(2) + "\r\n"));
}

TEST_CASE("Hostile orders of legs lead nowhere, and the connection comes to an end") {
    logon_stack to({}, {.basic = true});
    const std::string huge = "NTLM " + std::string(12'000, 'A');
    std::vector<std::string> order;
    SUBCASE("the third leg first") { order = {leg(3), leg(3), leg(3)}; }
    SUBCASE("the third leg of another scheme") {
        order = {leg(1), leg(3, "sesame", "Negotiate"), leg(3), leg(3)};
    }
    SUBCASE("Basic in the middle drops the handshake") {
        order = {leg(1), "Basic !", leg(3), leg(3)};
    }
    SUBCASE("no credentials in the middle drop the handshake") { order = {leg(1), "", leg(3), ""}; }
    SUBCASE("a wrong password") {
        order = {leg(1), leg(3, "guess"), leg(1, "guess"), leg(3, "guess")};
    }
    SUBCASE("garbage") { order = {"NTLM", "NTLM %%%%", "Negotiate ="}; }
    SUBCASE("a huge token") { order = {huge, huge, huge}; }
    SUBCASE("first legs without end") {
        order.assign(rpch::limits::http_auth_legs_max + 1, leg(1));
    }
    SUBCASE("first legs without end, by turns") {
        for (int i = 0; i <= rpch::limits::http_auth_legs_max; ++i)
            order.push_back(leg(1, "sesame", i % 2 == 0 ? "NTLM" : "Negotiate"));
    }
    raw_peer peer(to.all.io, to.all.proxy_port);
    for (const std::string& each : order) peer.send(to.echo(each));
    CHECK(to.all.run_until([&] { return peer.ended(); }, 10s));
    CHECK(count(peer.heard(), unauthorized) == order.size());
    CHECK(count(peer.heard(), success) == 0);
    CHECK_FALSE(to.all.proxy_said("guess"));
    CHECK_FALSE(to.all.proxy_said(base64("\x03sesame")));
    // Others are not concerned.
    test::caller other(to.all, to.all.binding(), to.options(http_authentication::ntlm));
    CHECK_MESSAGE(other.open(), other.why().to_string());
}

TEST_CASE("Whoever begins anew on a connection that is logged on is nobody until it is done") {
    logon_stack to;
    raw_peer peer(to.all.io, to.all.proxy_port);
    peer.send(to.echo(leg(1)) + to.echo(leg(3)) + to.echo());
    REQUIRE(to.hears(peer, success, 2));
    peer.send(to.echo(leg(1)) + to.echo());
    REQUIRE(to.hears(peer, unauthorized, 3));
    CHECK(count(peer.heard(), success) == 2);
    peer.send(to.echo(leg(1)) + to.echo(leg(3)));
    CHECK(to.hears(peer, success, 3));
}

TEST_CASE("A refusal says the same whatever was wrong") {
    test::toy_rules rules;
    rules.users = {{"word", "alice"}};
    logon_stack to(rules);
    const auto answer = [&](const std::string& authorization) {
        raw_peer peer(to.all.io, to.all.proxy_port);
        peer.send(to.echo(authorization));
        CHECK(to.hears(peer, unauthorized));
        return peer.heard();
    };
    CHECK(answer(leg(1, "guess")) == answer(leg(3)));
    CHECK(answer(leg(1, "guess")) == answer("NTLM %"));
    CHECK(answer(leg(1, "guess")) == answer(""));
}

TEST_CASE("A handshake that is never finished ends with the time limit of connections") {
    logon_stack to({}, {.adjust_proxy = [](rpch::proxy_settings& s) { s.first_pdu_wait = 200ms; }});
    raw_peer peer(to.all.io, to.all.proxy_port);
    peer.send(to.echo(leg(1)));
    REQUIRE(to.hears(peer, unauthorized));
    CHECK(to.all.run_until([&] { return peer.ended(); }, 10s));
    CHECK(to.all.proxy_said("no request in time"));
}

TEST_CASE("Nobody by name is let in only where anonymous users are") {
    test::toy_rules rules;
    for (const bool allowed : {false, true}) {
        rules.anonymous = true;
        logon_stack to(
            rules, {.adjust_proxy = [&](rpch::proxy_settings& s) { s.allow_anonymous = allowed; }});
        raw_peer peer(to.all.io, to.all.proxy_port);
        peer.send(to.echo(leg(1)) + to.echo(leg(3)));
        CHECK(to.hears(peer, allowed ? success : unauthorized, allowed ? 1 : 2));
        CHECK(to.all.proxy_said("anonymous users are not allowed") != allowed);
    }
}

TEST_CASE("Both channels of a virtual connection are one user's, by NTLM as well") {
    test::toy_rules rules;
    rules.users = {{"a-word", "alice"}, {"b-word", "bob"}};
    logon_stack to(rules);
    const auto logged_on = [&](const std::string& password) {
        auto peer = std::make_unique<raw_peer>(to.all.io, to.all.proxy_port);
        peer->send(to.echo(leg(1, password)) + to.echo(leg(3, password)));
        REQUIRE(to.hears(*peer, success));
        return peer;
    };
    const rts::cookie vc = test::cookie_of(1);
    const auto in = logged_on("a-word");
    in->send(test::in_head(to.all.server_port));
    in->send(test::wire_of(
        rts::conn_b1{1, vc, test::cookie_of(2), 1 << 20, 300'000, test::cookie_of(3)}));
    REQUIRE(to.all.run_until([&] { return to.all.server->connections() != 0; }));
    const auto strange = logged_on("b-word");
    strange->send(test::out_head(to.all.server_port));
    strange->send(test::wire_of(rts::conn_a1{1, vc, test::cookie_of(4), 65536}));
    REQUIRE(to.all.run_until([&] { return strange->ended(); }));
    CHECK(strange->heard(" 403 "));
    CHECK(to.all.proxy_said("(TOY\\bob)", "belongs to another user"));
    const auto out = logged_on("a-word");
    out->send(test::out_head(to.all.server_port));
    out->send(test::wire_of(rts::conn_a1{1, vc, test::cookie_of(4), 65536}));
    CHECK(to.hears(*out, success, 2));
    // Replacements that come to the same proxy (IN_R2, OUT_R2).
    REQUIRE(to.all.run_until([&] { return to.all.proxy_said("IN channel", " open"); }));
    const std::size_t lines = to.all.proxy_log.size();
    const auto thief = logged_on("b-word");
    thief->send(test::in_head(to.all.server_port));
    thief->send(test::wire_of(rts::in_r2_a1{1, vc, test::cookie_of(2), test::cookie_of(5)}));
    REQUIRE(to.all.run_until([&] { return thief->ended(); }));
    CHECK(thief->heard(" 403 "));
    const auto other_thief = logged_on("b-word");
    other_thief->send(test::out_head(to.all.server_port, 120));
    other_thief->send(
        test::wire_of(rts::out_r2_a3{1, vc, test::cookie_of(4), test::cookie_of(6), 65536}));
    REQUIRE(to.all.run_until([&] { return other_thief->ended(); }));
    CHECK(other_thief->heard(" 403 "));
    CHECK(to.all.proxy_log.size() > lines);
    CHECK_FALSE(in->ended());
    CHECK_FALSE(out->ended());
}

TEST_CASE("A proxy refuses acceptors that no scheme carries, and two of one scheme") {
    test::stack all;
    const auto why_not = [&](std::vector<security_provider> providers) {
        rpch::proxy_settings s;
        s.valid_ports = "*:1-65535";
        for (const auto each : providers) {
            test::toy_rules rules;
            rules.provider = each;
            s.http_acceptors.push_back(std::make_shared<test::toy_acceptor>(rules));
        }
        std::string why;
        const auto made = rpch::proxy::make(all.io.get_executor(), s, &why);
        CHECK(made.has_value() == why.empty());
        return why;
    };
    CHECK(why_not({security_provider::ntlm, security_provider::negotiate}).empty());
    CHECK(why_not({security_provider::negotiate}).empty());
    CHECK(why_not({}).find("nobody could log on") == 0);
    CHECK(why_not({security_provider::kerberos}).find("must be of NTLM") != std::string::npos);
    CHECK(why_not({security_provider::ntlm, security_provider::ntlm}).find("NTLM") !=
          std::string::npos);
    rpch::proxy_settings missing;
    missing.http_acceptors.emplace_back();
    CHECK_FALSE(rpch::proxy::make(all.io.get_executor(), missing));
}

// Our client with our proxy.

TEST_CASE("A client logs on by NTLM and Negotiate in any number of legs, plain and over TLS") {
    for (const bool tls : {false, true})
        for (const auto how : {http_authentication::ntlm, http_authentication::negotiate})
            for (int legs = 1; legs <= 5; ++legs) {
                CAPTURE(tls);
                CAPTURE(legs);
                test::toy_rules rules;
                rules.legs = legs;
                logon_stack to(rules, {.tls = tls});
                test::caller caller(to.all, to.all.binding(), to.options(how, rules));
                REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
                const auto call = caller.call(test::probe::echo, test::pattern(1000));
                CHECK_FALSE(call->why);
                CHECK(call->stub == test::pattern(1000));
                // Each of both channels has contexts of its own, and both ends the same binding.
                const auto& asked =
                    how == http_authentication::ntlm ? to.ntlm->asked : to.negotiate->asked;
                CHECK(to.initiator->asked.size() == (legs == 2 ? 4 : 2));
                CHECK(asked.size() == to.initiator->asked.size());
                for (const auto& each : to.initiator->asked) {
                    CHECK(each.target == "HTTP/127.0.0.1");
                    CHECK_FALSE(each.dce_style);
                    CHECK(each.channel_binding.size() == (tls ? 21 + 32 : 0));
                    CHECK(each.channel_binding == asked[0].channel_binding);
                }
                CHECK_FALSE(asked[0].dce_style);
            }
}

TEST_CASE("The binding both ends take is that of the proxy's certificate") {
    logon_stack to({}, {.tls = true});
    test::caller caller(to.all, to.all.binding(), to.options(http_authentication::negotiate));
    REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
    const auto context = test::tls_server();
    std::string expected = "tls-server-end-point:";
    expected += rpch::core::as_text(context->server_end_point());
    REQUIRE_FALSE(to.negotiate->asked.empty());
    CHECK(rpch::core::as_text(to.negotiate->asked[0].channel_binding) == expected);
    CHECK(rpch::core::as_text(to.initiator->asked[0].channel_binding) == expected);
}

TEST_CASE("A certificate is replaced: open connections go on, new ones are bound to the new one") {
    const auto before = test::tls_server();
    const auto after = test::tls_server(test::authority()
                                            .issue({.common_name = "the next server",
                                                    .dns_names = {"localhost"},
                                                    .ip_addresses = {"127.0.0.1"}})
                                            .value());
    REQUIRE(rpch::core::as_text(before->server_end_point()) !=
            rpch::core::as_text(after->server_end_point()));
    logon_stack to({}, {.tls = true, .proxy_tls = before});
    auto options = to.options(http_authentication::negotiate);
    options.tls_context =
        test::tls_client(); // one for both: it has a session of the first to offer
    test::caller old(to.all, to.all.binding(), options);
    REQUIRE_MESSAGE(old.open(), old.why().to_string());
    const std::size_t asked = to.negotiate->asked.size();

    CHECK(to.all.proxy->replace_tls(before, nullptr) == errc::bad_setting);
    CHECK(to.all.proxy->replace_tls(nullptr, after) == errc::bad_setting);
    CHECK(to.all.proxy->replace_tls(before, test::tls_client()) == errc::bad_setting);
    CHECK_FALSE(to.all.proxy->replace_tls(after, test::tls_server())); // nobody has it: no change
    CHECK_FALSE(to.all.proxy->replace_tls(before, after));
    test::caller fresh(to.all, to.all.binding(), options);
    REQUIRE_MESSAGE(fresh.open(), fresh.why().to_string());
    const std::string expected =
        "tls-server-end-point:" + std::string(rpch::core::as_text(after->server_end_point()));
    REQUIRE(to.negotiate->asked.size() == asked + 2);
    for (std::size_t i = asked; i < asked + 2; ++i)
        CHECK(rpch::core::as_text(to.negotiate->asked[i].channel_binding) == expected);
    CHECK(rpch::core::as_text(to.initiator->asked.back().channel_binding) == expected);
    CHECK_FALSE(old.call(test::probe::echo, test::pattern(1000))->why);
    CHECK_FALSE(fresh.call(test::probe::echo, test::pattern(1000))->why);
}

TEST_CASE("A server's front door has its certificate replaced") {
    const auto before = test::tls_server();
    const auto after = test::tls_server(test::other_authority()
                                            .issue({.common_name = "the next server",
                                                    .dns_names = {"localhost"},
                                                    .ip_addresses = {"127.0.0.1"}})
                                            .value());
    test::stack all({.tls = true, .front_door = true, .proxy_tls = before});
    test::caller old(all, all.front_binding(), all.options());
    REQUIRE_MESSAGE(old.open(), old.why().to_string());
    CHECK_FALSE(all.server->replace_tls(before, after));
    test::caller distrusting(all, all.front_binding(), all.options());
    CHECK_FALSE(distrusting.open());
    CHECK(distrusting.why().code == errc::tls_untrusted);
    auto options = all.options();
    options.tls.ca_pem = test::other_authority().certificate_pem();
    test::caller fresh(all, all.front_binding(), options);
    CHECK_MESSAGE(fresh.open(), fresh.why().to_string());
    CHECK_FALSE(old.call(test::probe::echo)->why);
    test::stack without;
    CHECK(without.server->replace_tls(before, after) == errc::not_open);
}

TEST_CASE("Successors of both channels log on as their predecessors did") {
    for (const int legs : {2, 3, 4}) {
        CAPTURE(legs);
        test::toy_rules rules;
        rules.legs = legs;
        logon_stack to(rules, {.adjust_proxy = [](rpch::proxy_settings& s) {
                           s.channel_lifetime = 128 * 1024;
                       }});
        auto options = to.options(http_authentication::negotiate, rules);
        options.channel_lifetime = 128 * 1024;
        test::caller caller(to.all, to.all.binding(), options);
        REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
        for (unsigned i = 0; i < 40; ++i) {
            const auto call = caller.call(test::probe::echo, test::pattern(20'000, i));
            REQUIRE_MESSAGE(!call->why, call->why.to_string());
            REQUIRE(call->stub == test::pattern(20'000, i));
        }
        CHECK(to.all.proxy_said("IN channel", "replaced"));
        CHECK(to.all.proxy_said("OUT channel", "replaced"));
        CHECK(to.negotiate->asked.size() >= 6);
    }
}

TEST_CASE("A server's own front door takes the schemes of a proxy") {
    test::toy_rules rules;
    const auto acceptor = std::make_shared<test::toy_acceptor>(rules);
    test::stack all(
        {.tls = true, .front_door = true, .adjust_server = [&](rpch::server_settings& s) {
             s.front_door.allow_anonymous = false;
             s.front_door.http_acceptors = {acceptor};
         }});
    auto options = all.options();
    options.http_auth = http_authentication::ntlm;
    options.http_initiator = std::make_shared<test::toy_initiator>(rules);
    test::caller caller(all, all.front_binding(), options);
    REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
    CHECK_FALSE(caller.call(test::probe::echo, test::pattern(100))->why);
    CHECK(acceptor->asked.size() == 2);
    options.http_auth = http_authentication::none;
    test::caller nobody(all, all.front_binding(), options);
    CHECK_FALSE(nobody.open());
    CHECK(nobody.why().code == errc::http_auth_required);
}

TEST_CASE("HttpAuthOption chooses the scheme, and needs a mechanism that fits") {
    logon_stack to;
    const auto binding = [&](const std::string& option) {
        return replaced(to.all.binding(), "]", ",HttpAuthOption=" + option + "]");
    };
    auto options = to.options(http_authentication::ntlm);
    options.http_auth = http_authentication::none;
    CHECK(test::caller(to.all, binding("ntlm"), options).open());
    CHECK(to.ntlm->asked.size() == 2);
    CHECK(test::caller(to.all, binding("negotiate"), options).open()); // SPNEGO may be left out
    CHECK(to.negotiate->asked.size() == 2);
    options.http_initiator = nullptr;
    CHECK(test::caller(to.all, binding("negotiate"), options).why().code == errc::bad_setting);
    options = to.options(http_authentication::negotiate);
    const test::caller wrong(to.all, binding("ntlm"), options);
    CHECK(wrong.why().code == errc::bad_setting);
    CHECK(wrong.why().detail.find("http_initiator") != std::string::npos);
}

TEST_CASE("A client that may not come in learns why") {
    test::toy_rules rules;
    std::string detail;
    errc code{};
    SUBCASE("a wrong password in the third leg") {
        rules.legs = 3;
        code = errc::bad_credentials; // the toy's second leg tells the client
    }
    SUBCASE("a wrong password, refused by the proxy") {
        rules.legs = 1;
        code = errc::http_auth_required;
        detail = "offered: Negotiate, NTLM, used: NTLM";
    }
    test::toy_rules mine = rules;
    mine.password = "guess";
    logon_stack to(rules);
    if (code == errc::bad_credentials) {
        // A proxy that goes on although it does not know the client's password.
        scripted_proxy proxy(to.all,
                             [](const scripted_proxy::request&) { return challenge(leg(2)); });
        test::caller caller(to.all, proxy.binding(), to.options(http_authentication::ntlm, mine));
        CHECK_FALSE(caller.open());
        CHECK(caller.why().code == code);
        CHECK(caller.why().said_by == rpch::origin::security);
        CHECK(caller.why().detail.find("logon at the RPC proxy by NTLM") == 0);
        return;
    }
    test::caller caller(to.all, to.all.binding(), to.options(http_authentication::ntlm, mine));
    CHECK_FALSE(caller.open());
    CHECK(caller.why().code == code);
    CHECK(caller.why().said_by == rpch::origin::http);
    CHECK(caller.why().detail.find(detail) != std::string::npos);
}

TEST_CASE("A first leg that is refused on a connection that stays is final") {
    logon_stack to;
    test::toy_rules mine;
    mine.password = "guess";
    test::caller caller(to.all, to.all.binding(), to.options(http_authentication::ntlm, mine));
    CHECK_FALSE(caller.open());
    CHECK(caller.why().code == errc::http_auth_required);
}

TEST_CASE("A scheme that the proxy does not offer is told, with those it offers") {
    test::stack basic_only({.basic = true});
    auto options = basic_only.options();
    test::toy_rules rules;
    rules.provider = security_provider::negotiate;
    options.http_auth = http_authentication::negotiate;
    options.http_initiator = std::make_shared<test::toy_initiator>(rules);
    test::caller caller(basic_only, basic_only.binding(), options);
    CHECK_FALSE(caller.open());
    CHECK(caller.why().code == errc::http_auth_not_offered);
    CHECK(caller.why().detail.find("offered: Basic, used: Negotiate") != std::string::npos);
}

TEST_CASE("NTLM at a proxy that lets everybody in does no harm; Negotiate misses its proof") {
    test::stack open;
    auto options = open.options();
    test::toy_rules rules;
    options.http_auth = http_authentication::ntlm;
    options.http_initiator = std::make_shared<test::toy_initiator>(rules);
    test::caller caller(open, open.binding(), options);
    CHECK_MESSAGE(caller.open(), caller.why().to_string());
    options.http_auth = http_authentication::negotiate;
    test::caller strict(open, open.binding(), options);
    CHECK_FALSE(strict.open());
    CHECK(strict.why().code == errc::authentication_failed);
    CHECK(strict.why().detail.find("did not prove who it is") != std::string::npos);
}

// Our client with proxies of others.

TEST_CASE("A proxy that ends the connection after the first leg and says so is tried once more") {
    logon_stack to;
    std::string first;
    SUBCASE("Connection: close, with the token") {
        first = challenge(leg(2), "Connection: close\r\nContent-Length: 0\r\n");
    }
    SUBCASE("Connection: close, without a token") {
        first = challenge("NTLM", "Connection: close\r\nContent-Length: 0\r\n");
    }
    SUBCASE("HTTP/1.0 without keep-alive") {
        first = replaced(challenge(leg(2)), "HTTP/1.1", "HTTP/1.0");
    }
    SUBCASE("a body until the end of the connection") { first = challenge(leg(2), "", "page"); }
    for (const bool always : {false, true}) {
        scripted_proxy proxy(to.all, [&](const scripted_proxy::request& r) {
            if (r.connection == 1 || always) return first + "!";
            return r.number == 1 ? challenge(leg(2)) : std::string();
        });
        test::caller caller(to.all, proxy.binding(), to.options(http_authentication::ntlm));
        if (always) {
            CHECK_FALSE(caller.open());
            CHECK(caller.why().code == (first.find(leg(2)) != std::string::npos
                                            ? errc::http_auth_interrupted
                                            : errc::http_auth_required));
            CHECK(caller.why().said_by == rpch::origin::http);
            CHECK(proxy.heads.size() <= 4);
        } else {
            CHECK(to.all.run_until(
                [&] {
                    return proxy.heads_with("RPC_IN_DATA", leg(3)) == 1 &&
                           proxy.heads_with("RPC_OUT_DATA", leg(3)) == 1;
                },
                10s));
            CHECK(proxy.heads_with("Content-Length: 0\r\n", leg(1)) == 4);
        }
    }
}

TEST_CASE("A proxy that ends the connection between two legs without a word is told by name") {
    logon_stack to;
    scripted_proxy proxy(to.all, [&](const scripted_proxy::request& r) {
        return r.number == 1 ? challenge(leg(2)) : std::string("!");
    });
    test::toy_rules rules;
    rules.legs = 5;
    test::caller caller(to.all, proxy.binding(), to.options(http_authentication::ntlm, rules));
    CHECK_FALSE(caller.open());
    CHECK(caller.why().code == errc::http_auth_interrupted);
    CHECK(caller.why().said_by == rpch::origin::http);
}

TEST_CASE("A 401 with a page for people is read over, by length and in chunks, even in pieces") {
    logon_stack to;
    std::string more, body;
    SUBCASE("by length") {
        more = "Content-Length: 5\r\n";
        body = "hello";
    }
    SUBCASE("in chunks") {
        more = "Transfer-Encoding: chunked\r\n";
        body = "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    }
    SUBCASE("behind an interim response") { more = "Content-Length: 0\r\n"; }
    test::toy_rules rules;
    rules.legs = 5;
    scripted_proxy proxy(to.all, [&](const scripted_proxy::request& r) {
        if (r.number > 2) return std::string();
        return "HTTP/1.1 100 Continue\r\n\r\n" +
               challenge("Basic realm=\"x\", " + leg(r.number * 2), more, body);
    });
    test::caller caller(to.all, proxy.binding(), to.options(http_authentication::ntlm, rules));
    CHECK(to.all.run_until(
        [&] {
            return proxy.heads_with("RPC_IN_DATA", leg(5)) == 1 &&
                   proxy.heads_with("RPC_OUT_DATA", leg(5)) == 1;
        },
        10s));
    CHECK(proxy.heads_with("Content-Length: 0\r\n", leg(3)) == 2);
    CHECK(proxy.heads_with("Content-Length: 76\r\n", leg(5)) == 1);
}

TEST_CASE("A proof of the proxy on the OUT channel must be right") {
    logon_stack to;
    test::toy_rules rules;
    rules.legs = 2;
    std::string proof;
    SUBCASE("wrong") { proof = "WWW-Authenticate: " + leg(2, "guess", "Negotiate") + "\r\n"; }
    SUBCASE("garbage") { proof = "WWW-Authenticate: Negotiate =\r\n"; }
    scripted_proxy proxy(to.all, [&](const scripted_proxy::request& r) {
        if (r.number == 1)
            return "HTTP/1.1 200 Success\r\nWWW-Authenticate: " + leg(2, "sesame", "Negotiate") +
                   "\r\nContent-Length: 0\r\n\r\n";
        if (r.head.starts_with("RPC_IN_DATA")) return std::string();
        return "HTTP/1.1 200 Success\r\n" + proof + "Content-Length: 1073741824\r\n\r\n";
    });
    test::caller caller(to.all, proxy.binding(), to.options(http_authentication::negotiate, rules));
    CHECK_FALSE(caller.open());
    CHECK(caller.why().said_by == rpch::origin::security);
    CHECK(caller.why().detail.find("logon at the RPC proxy by Negotiate") == 0);
    CHECK(proxy.heads_with("Content-Length: 76\r\n", leg(1, "sesame", "Negotiate")) == 1);
}

TEST_CASE("A 401 after the last token is final") {
    logon_stack to;
    scripted_proxy proxy(to.all, [&](const scripted_proxy::request& r) {
        return r.number == 1 ? challenge(leg(2)) : challenge("NTLM");
    });
    test::caller caller(to.all, proxy.binding(), to.options(http_authentication::ntlm));
    CHECK_FALSE(caller.open());
    CHECK(caller.why().code == errc::http_auth_required);
    CHECK(caller.why().detail.find("used: NTLM") != std::string::npos);
    CHECK(caller.why().next_step == "check user name and password");
}
