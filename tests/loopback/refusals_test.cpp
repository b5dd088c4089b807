// Who is refused learns it from the HTTP status and RPC-Error, or on our client from a failure that
// names the cause, who said it, where, and what to do.
#include <string>

#include <doctest/doctest.h>

#include <rpch/core/base64.hpp>

#include "tests/support/certificates.hpp"
#include "tests/support/raw_peer.hpp"
#include "tests/support/stack.hpp"

namespace {

using rpch::errc;
using rpch::origin;
using test::raw_peer;
using namespace std::chrono_literals;

/// Sends one request and waits for the end of the connection.
std::string answer_to(test::stack& all, const std::string& request) {
    raw_peer peer(all.io, all.proxy_port);
    peer.send(request);
    CHECK(all.run_until([&] { return peer.ended(); }));
    return peer.heard();
}

bool holds(const std::string& text, std::string_view what) {
    return text.find(what) != std::string::npos;
}

/// @return the failure of an attempt to connect.
rpch::failure refusal(test::stack& all, const std::string& binding, rpch::client_options options) {
    test::caller caller(all, binding, std::move(options));
    CHECK_FALSE(caller.open());
    CHECK(caller.binds_done() == 1);
    return caller.why();
}

std::string basic(std::string_view user_and_password) {
    return "Basic " + rpch::core::base64_encode(rpch::core::as_bytes(user_and_password));
}

constexpr auto in_data = rpch::http::channel_method::in_data;
constexpr auto out_data = rpch::http::channel_method::out_data;

} // namespace

TEST_CASE("Who brings no credentials gets a 401 that offers Basic, on both channels") {
    test::stack all({.basic = true});
    for (const auto method : {in_data, out_data}) {
        const std::uint64_t length = method == in_data ? 1 << 30 : 76;
        const std::string answer =
            answer_to(all, test::channel_head(method, all.server_port, length));
        CHECK(answer.starts_with("HTTP/1.1 401 "));
        CHECK(holds(answer, "\r\nWWW-Authenticate: Basic realm=\"rpch\""));
    }
    auto options = all.options();
    options.http_auth = rpch::http_authentication::none;
    const auto why = refusal(all, all.binding(), options);
    CHECK(why.code == errc::http_auth_required);
    CHECK(why.said_by == origin::http);
    CHECK(holds(why.detail, "offered: Basic"));
    CHECK(holds(why.next_step, "give a user and a password"));
    CHECK(holds(why.where, ":" + std::to_string(all.proxy_port)));
}

TEST_CASE("A wrong password and an unknown user get the same 401, on both channels") {
    test::stack all({.basic = true});
    for (const auto method : {in_data, out_data})
        for (const char* who : {"tester:guess", "nobody:correct horse"}) {
            const std::uint64_t length = method == in_data ? 1 << 30 : 76;
            const std::string answer =
                answer_to(all, test::channel_head(method, all.server_port, length, basic(who)));
            CHECK(answer.starts_with("HTTP/1.1 401 "));
            CHECK(holds(answer, "\r\nWWW-Authenticate: Basic "));
        }
    auto options = all.options();
    options.http_password = "guess";
    const auto why = refusal(all, all.binding(), options);
    CHECK(why.code == errc::http_auth_required);
    CHECK(why.said_by == origin::http);
    CHECK(holds(why.where, "channel to 127.0.0.1:" + std::to_string(all.proxy_port)));
    CHECK(holds(why.next_step, "check user name and password"));
    CHECK(all.proxy_said("wrong password", "tester"));
    CHECK_FALSE(all.proxy_said("guess"));
}

TEST_CASE("A target that ValidPorts does not name gets 503 with RPC Error 6BA and a record") {
    test::stack all;
    for (const auto method : {in_data, out_data}) {
        const std::uint64_t length = method == in_data ? 1 << 30 : 76;
        const std::string answer = answer_to(all, test::channel_head(method, 4, length));
        CHECK(answer.starts_with("HTTP/1.0 503 RPC Error: 6ba, EEInfo: "));
    }
    const auto why =
        refusal(all,
                "ncacn_http:127.0.0.1[4,RpcProxy=127.0.0.1:" + std::to_string(all.proxy_port) +
                    ",HttpUseTls=false]",
                all.options());
    CHECK(why.code == rpch::rpc_status::proxy_access_denied);
    CHECK(why.said_by == origin::rpc_proxy);
    CHECK(holds(why.next_step, "127.0.0.1:4 added to the proxy's ValidPorts"));
    CHECK(holds(why.where, "channel to 127.0.0.1:"));
    CHECK(all.proxy_said("ValidPorts does not name 127.0.0.1:4"));
}

TEST_CASE("A backend that is down gets 503 with RPC Error 6BA, and our client says so") {
    test::stack all;
    all.server->stop_listening();
    all.run_ready();
    raw_peer out(all.io, all.proxy_port);
    out.send(test::out_head(all.server_port));
    out.send(test::vector_file("http/impacket_none.out.hex")); // refused before it is looked at
    CHECK(all.run_until([&] { return out.ended(); }));

    const auto why = refusal(all, all.binding(), all.options());
    CHECK(why.code == rpch::rpc_status::server_unavailable);
    CHECK(why.said_by == origin::rpc_proxy);
    CHECK(holds(why.detail, "RPC Error 0x6ba"));
    CHECK(holds(why.detail, "could not connect"));
    CHECK(holds(why.next_step, "start the RPC server at 127.0.0.1:"));
    CHECK(all.run_until([&] { return all.proxy->connections() == 0; }));
}

TEST_CASE("A port of the other protocol sequence is told as such, on both sides") {
    for (const bool tls : {false, true}) {
        CAPTURE(tls);
        test::stack all({.tls = tls, .adjust_proxy = [](rpch::proxy_settings& settings) {
                             settings.valid_ports = "127.0.0.1:1-65535";
                         }});
        for (int i = 0; i < 10; ++i) { // whichever channel ends first
            const auto tcp_for_http =
                refusal(all,
                        "ncacn_http:127.0.0.1[" + std::to_string(all.tcp_port) +
                            ",RpcProxy=127.0.0.1:" + std::to_string(all.proxy_port) +
                            (tls ? "]" : ",HttpUseTls=false]"),
                        all.options());
            CHECK_MESSAGE(
                holds(tcp_for_http.next_step, "127.0.0.1:" + std::to_string(all.tcp_port) +
                                                  " answers, and is a port for ncacn_http"),
                tcp_for_http.to_string());
            CHECK(holds(tcp_for_http.detail, "the RPC proxy has answered"));
        }
        CHECK(all.server_said("an RTS PDU at a port for ncacn_ip_tcp"));

        const auto http_for_tcp = refusal(
            all, "ncacn_ip_tcp:127.0.0.1[" + std::to_string(all.server_port) + "]", all.options());
        CHECK(holds(http_for_tcp.next_step,
                    "127.0.0.1:" + std::to_string(all.server_port) +
                        " is a port for ncacn_ip_tcp, not one for ncacn_http"));
        CHECK(all.server_said("an RPC PDU where RTS comes first: a client of ncacn_ip_tcp"));
    }
}

TEST_CASE("Certificates that do not verify are told apart") {
    struct wrong {
        const rpch::transport::issued_certificate& shown;
        std::string ca;
        std::string name;
        errc expected;
        const char* next_step;
    };
    const auto elsewhere = test::authority().issue({.dns_names = {"gate.example.net"}}).value();
    const std::string trusted = test::authority().certificate_pem();
    const wrong all_wrong[] = {
        {test::server_certificate(), test::other_authority().certificate_pem(), "",
         errc::tls_untrusted, "ca_file"},
        {elsewhere, trusted, "", errc::tls_name_mismatch, "name in the certificate"},
        {test::expired_certificate(), trusted, "localhost", errc::tls_expired,
         "renew the certificate"},
    };
    for (const wrong& each : all_wrong) {
        CAPTURE(make_error_code(each.expected).message());
        test::stack all({.tls = true, .proxy_tls = test::tls_server(each.shown)});
        auto options = all.options();
        options.tls.ca_pem = each.ca;
        options.tls.server_name = each.name;
        const auto why = refusal(all, all.binding(), options);
        CHECK(why.code == each.expected);
        CHECK(why.said_by == origin::tls);
        CHECK(holds(why.where, "channel to 127.0.0.1:" + std::to_string(all.proxy_port)));
        CHECK(holds(why.next_step, each.next_step));
        CHECK(all.run_until([&] { return all.proxy->connections() == 0; }));
    }
}

TEST_CASE("Plain HTTP on the TLS port and TLS on the plain port end quickly on both sides") {
    SUBCASE("plain HTTP on the TLS port") {
        test::stack all({.tls = true});
        raw_peer peer(all.io, all.proxy_port);
        peer.send(test::in_head(all.server_port));
        CHECK(all.run_until([&] { return peer.ended(); }, std::chrono::seconds(10)));
        CHECK_FALSE(peer.heard("HTTP/1.1"));
        std::string plain = all.binding();
        plain.insert(plain.size() - 1, ",HttpUseTls=false");
        const auto why = refusal(all, plain, all.options());
        CHECK(holds(why.where, "channel to 127.0.0.1:"));
        CHECK(holds(why.next_step, "leave out HttpUseTls=false"));
    }
    SUBCASE("TLS on the plain port") {
        test::stack all;
        const std::string tls = "ncacn_http:127.0.0.1[" + std::to_string(all.server_port) +
                                ",RpcProxy=127.0.0.1:" + std::to_string(all.proxy_port) + "]";
        auto options = all.options();
        options.tls.ca_pem = test::authority().certificate_pem();
        const auto why = refusal(all, tls, options);
        CHECK(why.code == errc::tls_failed);
        CHECK(why.said_by == origin::tls);
        CHECK(holds(why.where, "channel to 127.0.0.1:"));
        MESSAGE(why.to_string());
        CHECK(all.run_until([&] { return all.proxy->connections() == 0; }));
    }
}

TEST_CASE("Mistakes of the caller are told before a byte is sent") {
    test::stack all;
    rpch::failure why;
    auto options = all.options();
    SUBCASE("a binding that does not parse") {
        CHECK(rpch::client::start("ncacn_np:host", options, why).error() == errc::bad_binding);
    }
    SUBCASE("no host") {
        CHECK(rpch::client::start("ncacn_ip_tcp:[6001]", options, why).error() ==
              errc::bad_binding);
        CHECK(holds(why.detail, "host"));
    }
    SUBCASE("Basic without TLS") {
        options.http_auth = rpch::http_authentication::basic;
        options.http_user = "tester";
        options.http_password = "x";
        CHECK(rpch::client::start(all.binding(), options, why).error() ==
              errc::http_auth_needs_tls);
        CHECK(holds(why.next_step, "allow_basic_over_plain"));
    }
    SUBCASE("no executor") {
        options.executor.reset();
        CHECK(rpch::client::start(all.binding(), options, why).error() == errc::bad_setting);
        CHECK(holds(why.detail, "executor"));
    }
    SUBCASE("a window that is too small or too large") {
        options.receive_window = 8191;
        CHECK(rpch::client::start(all.binding(), options, why).error() == errc::bad_setting);
        options.receive_window = 262'145;
        CHECK(rpch::client::start(all.binding(), options, why).error() == errc::bad_setting);
        CHECK(holds(why.detail, "receive_window"));
    }
    SUBCASE("a keep-alive that is too short, or does not fit its field") {
        for (const auto interval : {0ms, 59'999ms, 4'294'967'296ms}) {
            options.client_keepalive = interval;
            CHECK(rpch::client::start(all.binding(), options, why).error() == errc::bad_setting);
            CHECK(holds(why.detail, "client_keepalive"));
        }
        options = all.options();
        for (const auto interval : {-1ms, 999ms, 14'400'001ms}) {
            options.keep_alive = interval;
            CHECK(rpch::client::start(all.binding(), options, why).error() == errc::bad_setting);
            CHECK(holds(why.detail, "::keep_alive"));
        }
    }
    SUBCASE("fragments of more than half a window, or too small") {
        options.max_fragment = 1431;
        CHECK(rpch::client::start(all.binding(), options, why).error() == errc::bad_setting);
        options.max_fragment = 4097;
        options.receive_window = 8192;
        CHECK(rpch::client::start(all.binding(), options, why).error() == errc::bad_setting);
        CHECK(holds(why.detail, "half of receive_window"));
    }
    CHECK(why.code);
    CHECK(all.proxy->connections() == 0);
}

TEST_CASE("A proxy that nobody listens for, and a name that does not resolve") {
    test::stack all;
    all.proxy->close();
    all.run_ready();
    const auto down = refusal(all, all.binding(), all.options());
    CHECK(down.code == errc::connect_failed);
    CHECK(down.said_by == origin::tcp);
    CHECK(holds(down.detail, "127.0.0.1:" + std::to_string(all.proxy_port)));
    CHECK(holds(down.next_step, "check address, port and firewalls"));

    const auto unknown = refusal(
        all, "ncacn_http:x[1,RpcProxy=no-such-name.invalid:2,HttpUseTls=false]", all.options());
    CHECK(unknown.code == errc::name_not_found);
    CHECK(unknown.said_by == origin::name_resolution);
}
