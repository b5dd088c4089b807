// An HTTP proxy between client and RPC proxy: tunnels, requests that name their server, and finding
// out whether it has to be used.
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

#include <asio/ip/tcp.hpp>

#include "tests/support/certificates.hpp"
#include "tests/support/forward_proxy.hpp"
#include "tests/support/stack.hpp"

namespace {

using namespace rpch;
using namespace std::chrono_literals;
using test::probe;

/// A stack, and an HTTP proxy that leads to its RPC proxy.
struct walled {
    explicit walled(bool tls, test::stack_options options = {}) : all(with_tls(tls, options)) {
        is_tls = tls;
    }
    static test::stack_options with_tls(bool tls, test::stack_options options) {
        options.tls = tls;
        return options;
    }
    /// @param rpc_proxy  the port that the client knows; the HTTP proxy leads to the right one.
    [[nodiscard]] std::string binding(std::uint16_t rpc_proxy, bool must_use) const {
        return "ncacn_http:127.0.0.1[" + std::to_string(all.server_port) +
               ",RpcProxy=127.0.0.1:" + std::to_string(rpc_proxy) +
               ",HttpProxy=127.0.0.1:" + std::to_string(wall.port()) +
               (must_use ? ",HttpConnectionOption=UseHttpProxy" : "") +
               (is_tls ? "]" : ",HttpUseTls=false]");
    }
    [[nodiscard]] std::size_t count(std::string_view first_words) const {
        return static_cast<std::size_t>(std::count_if(
            wall.requests().begin(), wall.requests().end(),
            [&](const std::string& line) { return line.rfind(first_words, 0) == 0; }));
    }

    test::stack all;
    bool is_tls = false;
    test::forward_proxy wall{all.io, all.proxy_port};
};

void check_calls(test::caller& caller) {
    REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
    for (const std::size_t size : {0U, 1U, 5000U, 100'000U}) {
        const auto sent = test::pattern(size);
        const auto call = caller.call(probe::echo, sent);
        CHECK_MESSAGE(!call->why, call->why.to_string());
        CHECK(call->stub == sent);
    }
}

/// A port on which nobody listens.
std::uint16_t closed_port(asio::io_context& io) {
    asio::ip::tcp::acceptor taken(io, {asio::ip::address_v4::loopback(), 0});
    return taken.local_endpoint().port();
}

} // namespace

TEST_CASE("HTTP proxy: TLS goes through a tunnel, plain requests name their server") {
    for (const bool tls : {true, false}) {
        walled w(tls);
        const std::uint16_t nobody = closed_port(w.all.io);
        test::caller caller(w.all, w.binding(nobody, true));
        check_calls(caller);
        const std::string where = "127.0.0.1:" + std::to_string(nobody);
        // Nothing was asked before: the binding says that it must be used.
        CHECK(w.wall.requests().size() == 2);
        CHECK(w.count("CONNECT " + where + " HTTP/1.1") == (tls ? 2 : 0));
        const std::string target = "http://" + where + "/rpc/rpcproxy.dll?127.0.0.1:";
        CHECK(w.count("RPC_IN_DATA " + target) == (tls ? 0 : 1));
        CHECK(w.count("RPC_OUT_DATA " + target) == (tls ? 0 : 1));
    }
}

TEST_CASE("HTTP proxy: successors of channels take the same way") {
    test::stack_options options;
    options.adjust_proxy = [](proxy_settings& s) { s.channel_lifetime = 128 * 1024; };
    walled w(true, options);
    auto with = w.all.options();
    with.channel_lifetime = 128 * 1024;
    test::caller caller(w.all, w.binding(closed_port(w.all.io), true), std::move(with));
    REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
    for (int i = 0; i < 60; ++i) {
        const auto call = caller.call(probe::echo, test::pattern(10'000));
        REQUIRE_MESSAGE(!call->why, call->why.to_string());
    }
    CHECK(w.count("CONNECT ") > 6);
}

TEST_CASE("HTTP proxy: the direct way is taken where there is one") {
    for (const bool tls : {true, false}) {
        walled w(tls);
        test::caller caller(w.all, w.binding(w.all.proxy_port, false));
        check_calls(caller);
        CHECK(w.wall.requests().size() <= 1); // the echo request, if it came so far
        CHECK(w.count("RPC_OUT_DATA") == 0);
    }
}

TEST_CASE("HTTP proxy: where the direct way is closed, it is used") {
    for (const bool tls : {true, false}) {
        walled w(tls);
        test::caller caller(w.all, w.binding(closed_port(w.all.io), false));
        check_calls(caller);
        CHECK(w.wall.requests().size() == 3); // the echo request and both channels
    }
}

TEST_CASE("HTTP proxy: where nobody answers directly, it is used after 200 ms") {
    walled w(true);
    asio::ip::tcp::acceptor silent(w.all.io, {asio::ip::address_v4::loopback(), 0});
    const auto before = std::chrono::steady_clock::now();
    test::caller caller(w.all, w.binding(silent.local_endpoint().port(), false));
    check_calls(caller);
    CHECK(std::chrono::steady_clock::now() - before >= 200ms);
    CHECK(w.count("CONNECT ") == 3);
}

TEST_CASE("HTTP proxy: an answer that asks for a password shows the way, too") {
    test::stack_options options;
    options.basic = true;
    walled w(true, options);
    test::caller caller(w.all, w.binding(closed_port(w.all.io), false));
    check_calls(caller);
}

TEST_CASE("HTTP proxy: further connections of a client do not ask again") {
    walled w(true);
    auto options = w.all.options();
    options.connections_max = 2;
    options.calls_per_connection = 1;
    test::caller caller(w.all, w.binding(closed_port(w.all.io), false), std::move(options));
    REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
    const auto first = caller.begin(probe::hold);
    const auto second = caller.begin(probe::hold);
    REQUIRE(w.all.run_until([&] { return w.all.held.size() == 2; }));
    for (auto& each : w.all.held) each.answer.respond({});
    REQUIRE(w.all.run_until([&] { return first->done + second->done == 2; }));
    CHECK(!first->why);
    CHECK(!second->why);
    CHECK(w.count("CONNECT ") == 5); // one echo request, two channels of two connections
}

TEST_CASE("HTTP proxy: neither way leads anywhere") {
    walled w(true);
    w.wall.answer_with("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    test::caller caller(w.all, w.binding(closed_port(w.all.io), false));
    CHECK(!caller.open());
    CHECK(caller.binds_done() == 1);
    CHECK(caller.why().code == errc::http_proxy_refused); // it came further
    CHECK(caller.why().detail.find("neither directly to 127.0.0.1:") != std::string::npos);
    CHECK(caller.why().detail.find("502 Bad Gateway") != std::string::npos);
}

TEST_CASE("HTTP proxy: over plain HTTP, its own refusals are no answer of the RPC proxy") {
    walled w(false);
    w.wall.answer_with("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    test::caller caller(w.all, w.binding(closed_port(w.all.io), false));
    CHECK(!caller.open());
    CHECK(caller.why().code == errc::http_proxy_refused); // it came further
    CHECK(caller.why().detail.find("403 Forbidden") != std::string::npos);
}

TEST_CASE("HTTP proxy: a certificate that is not trusted is told as such") {
    walled w(true);
    auto options = w.all.options();
    options.tls.ca_pem = test::other_authority().certificate_pem();
    SUBCASE("on either way") {
        test::caller caller(w.all, w.binding(w.all.proxy_port, false), std::move(options));
        CHECK(!caller.open());
        CHECK(caller.why().code == errc::tls_untrusted);
    }
    SUBCASE("through the HTTP proxy, when the direct way is closed") {
        test::caller caller(w.all, w.binding(closed_port(w.all.io), false), std::move(options));
        CHECK(!caller.open());
        CHECK(caller.why().code == errc::tls_untrusted);
        CHECK(caller.why().said_by == origin::tls);
        CHECK(caller.why().next_step.find("ca_file") != std::string::npos);
    }
}

TEST_CASE("HTTP proxy: what opens no tunnel is told by name") {
    struct one {
        const char* answer;
        const char* text;
    };
    for (const one& each :
         {one{"HTTP/1.1 403 Forbidden\r\n\r\n", "403 Forbidden"},
          one{"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "authentication of its own"},
          one{"HTTP/1.1 302 Found\r\n\r\n", "302 Found"}, one{"HTTP/1.1 200 OK\r\n", "closed"},
          one{"SSH-2.0-x\r\n\r\n", "HTTP/1"}}) {
        walled w(true);
        w.wall.answer_with(each.answer);
        test::caller caller(w.all, w.binding(w.all.proxy_port, true));
        CHECK(!caller.open());
        CHECK(caller.binds_done() == 1);
        CHECK(caller.why().code == errc::http_proxy_refused);
        CHECK(caller.why().said_by == origin::http_proxy);
        CHECK_MESSAGE(caller.why().detail.find(each.text) != std::string::npos,
                      caller.why().detail);
    }
}

TEST_CASE("HTTP proxy: heads without end and bytes that nobody asked for are refused") {
    walled w(true);
    SUBCASE("bytes behind the head") { w.wall.say_behind("\x16\x03\x03"); }
    SUBCASE("a head without end") {
        w.wall.answer_with("HTTP/1.1 200 OK\r\nX: " + std::string(40'000, 'x') + "\r\n\r\n");
    }
    SUBCASE("interim responses without end") {
        std::string many;
        for (int i = 0; i < 1000; ++i) many += "HTTP/1.1 100 Continue\r\n\r\n";
        w.wall.answer_with(many);
    }
    test::caller caller(w.all, w.binding(w.all.proxy_port, true));
    CHECK(!caller.open());
    CHECK(caller.why().code == errc::http_proxy_refused);
}

TEST_CASE("HTTP proxy: interim responses before the tunnel are skipped") {
    walled w(true);
    w.wall.say_before("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
    test::caller caller(w.all, w.binding(w.all.proxy_port, true));
    check_calls(caller);
}

TEST_CASE("HTTP proxy: a flood of interim responses to the echo request does no harm") {
    walled w(false);
    std::string many;
    for (int i = 0; i < 20'000; ++i) many += "HTTP/1.1 100\r\n\r\n";
    w.wall.answer_with(many + "HTTP/1.1 403 Forbidden\r\n\r\n");
    test::caller caller(w.all, w.binding(closed_port(w.all.io), false));
    CHECK(!caller.open());
    CHECK(caller.why().code == errc::http_proxy_refused);
}

TEST_CASE("HTTP proxy: a name that TLS does not take is refused, within the start of the link") {
    walled w(true);
    const std::string name(300, 'x');
    test::caller caller(w.all, "ncacn_http:127.0.0.1[6001,RpcProxy=" + name +
                                   ":443,HttpProxy=127.0.0.1:" + std::to_string(w.wall.port()) +
                                   "]");
    CHECK(!caller.open());
    CHECK(caller.binds_done() == 1);
}

TEST_CASE("HTTP proxy: a silent one is given up after connect_wait") {
    for (const bool must_use : {true, false}) {
        walled w(true);
        w.wall.fall_silent();
        auto options = w.all.options();
        options.connect_wait = 300ms;
        test::caller caller(w.all, w.binding(closed_port(w.all.io), must_use), std::move(options));
        CHECK(!caller.open());
        CHECK(caller.binds_done() == 1);
        CHECK(caller.why().code == (must_use ? errc::setup_timeout : errc::connect_failed));
    }
}

TEST_CASE("HTTP proxy: a client may be closed while it finds out") {
    walled w(true);
    w.wall.fall_silent();
    asio::ip::tcp::acceptor silent(w.all.io, {asio::ip::address_v4::loopback(), 0});
    test::caller caller(w.all, w.binding(silent.local_endpoint().port(), false));
    REQUIRE(w.all.run_until([&] { return w.wall.requests().size() == 1; }));
    caller.close();
    REQUIRE(w.all.run_until([&] { return caller.binds_done() == 1; }));
    CHECK(caller.why().code == errc::operation_aborted);
    w.all.run_ready();
    CHECK(caller.binds_done() == 1);
}
