#include <rpch/http/write.hpp>

#include <doctest/doctest.h>

#include <string>

#include <rpch/core/base64.hpp>
#include <rpch/http/response.hpp>
#include <rpch/http/status.hpp>

#include "tests/support/bytes.hpp"

using namespace rpch;
using namespace rpch::http;

namespace {
ee_record connect_failed() {
    ee_record r;
    r.process_id = 0x1234;
    r.timestamp = 0x01D0'0000'0000'0000;
    r.generating_component = ee_component_http_proxy;
    r.status = 0x6BA;
    r.detection_location = ee_location_connect_failed;
    return r;
}
} // namespace

TEST_CASE("write: the proof of a server stands in both responses of success, if there is one") {
    const std::string line = "\r\nWWW-Authenticate: Negotiate AQID\r\n";
    CHECK(write_out_success(1 << 20, "Negotiate AQID").find(line) != std::string::npos);
    CHECK(write_echo_response("Negotiate AQID").find(line) != std::string::npos);
    CHECK(write_out_success(1 << 20).find("WWW-Authenticate") == std::string::npos);
    CHECK(write_echo_response().find("WWW-Authenticate") == std::string::npos);
}

TEST_CASE("write: CONNECT names host and port twice, IPv6 in brackets") {
    CHECK(write_connect("proxy1", 443).value() == "CONNECT proxy1:443 HTTP/1.1\r\n"
                                                  "Host: proxy1:443\r\n"
                                                  "User-Agent: MSRPC\r\n\r\n");
    CHECK(write_connect("2001:db8::1", 8443).value().rfind("CONNECT [2001:db8::1]:8443 HTTP", 0) ==
          0);
    CHECK(authority("[::1]", 80) == "[::1]:80"); // brackets of its own stay
    CHECK(authority("::1", std::nullopt) == "[::1]");
    for (const char* host : {"", "a b", "a\r\nX: y", "a\tb", "a\x7f"})
        CHECK(write_connect(host, 443).error() == errc::bad_setting);
    CHECK(write_connect("proxy1", 0).error() == errc::bad_setting);
}

TEST_CASE("write: a channel request has the lines of 2.1.2.1.1 in classic case") {
    channel_request_options what;
    what.method = channel_method::in_data;
    what.host = "proxy1";
    what.server_name = "server7";
    what.server_port = 6001;
    what.content_length = 1073741824;
    what.min_connection_timeout_s = 900;
    what.session_id = uuid("6f1e1c1e-6d0c-4b4f-9a63-0c4f4ba0d001");
    CHECK(write_channel_request(what).value() ==
          "RPC_IN_DATA /rpc/rpcproxy.dll?server7:6001 HTTP/1.1\r\n"
          "Accept: application/rpc\r\n"
          "Cache-Control: no-cache\r\n"
          "Connection: Keep-Alive\r\n"
          "Content-Length: 1073741824\r\n"
          "Host: proxy1\r\n"
          "Pragma: No-cache\r\n"
          "Pragma: MinConnTimeout=900\r\n"
          "Pragma: SessionId=6f1e1c1e-6d0c-4b4f-9a63-0c4f4ba0d001\r\n"
          "User-Agent: MSRPC\r\n\r\n");
}

TEST_CASE("write: every form of request is read back as what it was") {
    for (const auto method : {channel_method::in_data, channel_method::out_data}) {
        for (const bool cert : {false, true}) {
            for (const std::string_view origin : {"", "http://proxy1:80"}) {
                channel_request_options what;
                what.method = method;
                what.host = "proxy1:8080";
                what.server_name = "2001:db8::5";
                what.server_port = 593;
                what.content_length = out_replacement_content_length;
                what.authorization = "Basic YTpi";
                what.resource_type = uuid("44e265dd-7daf-42cd-8560-3cdb6e7a2729");
                what.with_cert = cert;
                what.minor_version = 0;
                what.origin = origin;
                const auto text = write_channel_request(what);
                REQUIRE(text);
                const auto head = parse_request_head(core::as_bytes(*text));
                REQUIRE(head);
                const auto back = read_channel_request(*head);
                REQUIRE(back);
                CHECK(back->request.method == method);
                CHECK(back->request.with_cert == cert);
                CHECK(back->request.keep_alive);
                CHECK(back->request.content_length == 120);
                CHECK(back->request.authorization == "Basic YTpi");
                CHECK(back->request.resource_type == what.resource_type);
                CHECK(back->request.minor_version == 0);
                CHECK(back->target == rpc_target{"2001:db8::5", 593});
            }
        }
    }
}

TEST_CASE("write: names are escaped where a query would misread them") {
    channel_request_options what;
    what.host = "p";
    what.server_name = "a b%c";
    what.server_port = 1;
    CHECK(write_channel_request(what)->find("?a%20b%25c:1 HTTP/1.1\r\n") != std::string::npos);
}

TEST_CASE("write: settings that would break the head are refused") {
    channel_request_options good;
    good.host = "p";
    good.server_name = "s";
    good.server_port = 1;
    CHECK(write_channel_request(good));
    const auto refused = [&](auto change) {
        channel_request_options what = good;
        change(what);
        const auto text = write_channel_request(what);
        return !text && text.error() == errc::bad_setting;
    };
    CHECK(refused([](auto& w) { w.host = "p\r\nX: y"; }));
    CHECK(refused([](auto& w) { w.host = ""; }));
    CHECK(refused([](auto& w) { w.server_name = ""; }));
    CHECK(refused([](auto& w) { w.server_name = std::string_view("s\0", 2); }));
    CHECK(refused([](auto& w) { w.server_port = 0; }));
    CHECK(refused([](auto& w) { w.authorization = "Basic x\n"; }));
    CHECK(refused([](auto& w) { w.origin = "http://a b"; }));
    CHECK(refused([](auto& w) { w.minor_version = 2; }));
    CHECK(refused([](auto& w) { w.min_connection_timeout_s = 119; }));
}

TEST_CASE("write: the head of a request with long credentials is allocated once") {
    channel_request_options what;
    what.host = "p";
    what.server_name = std::string_view("server");
    what.server_port = 1;
    const std::string token(12000, 'A');
    what.authorization = token;
    const auto text = write_channel_request(what);
    REQUIRE(text);
    CHECK(text->capacity() >= 768 + 12000); // what was reserved is what is there
    CHECK(text->capacity() < 16000);
}

TEST_CASE("write: OUT success, echo response and 100 are the heads of 2.13") {
    CHECK(write_out_success(1073741824) ==
          "HTTP/1.1 200 Success\r\nContent-Type: application/rpc\r\n"
          "Content-Length: 1073741824\r\n\r\n");
    CHECK(write_continue() == "HTTP/1.1 100 Continue\r\n\r\n");
    const std::string echo = write_echo_response();
    CHECK(echo.substr(0, echo.size() - 20) ==
          "HTTP/1.1 200 Success\r\nContent-Type: application/rpc\r\n"
          "Content-Length: 20\r\nConnection: Keep-Alive\r\n\r\n");
    CHECK(core::to_hex(core::as_bytes(echo).last(20)) ==
          "0500140310000000140000000000000040000000");
}

TEST_CASE("write: the failure response of the vectors, byte for byte") {
    const std::string base64 =
        "ARAIAMzMzMwwAAAAAAAAAAAAAgAAAAAAAAAAAAIAAgA0EgAAAAAAAAAAAAAAANABDgAAALoGAACgBQAAAAAAAA==";
    const std::vector<ee_record> records{connect_failed()};
    CHECK(write_failure(rpc_status::server_unavailable, records) ==
          "HTTP/1.0 503 RPC Error: 6ba, EEInfo: " + base64 +
              "\r\nContent-Length: 101\r\nConnection: close\r\n\r\n" + "RPC EEInfo:" + base64 +
              "\r\n");
    CHECK(write_failure(rpc_status::access_denied) ==
          "HTTP/1.0 503 RPC Error: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST_CASE("write: a status line above 1024 bytes loses its records, the body keeps them") {
    const auto line_of = [](std::size_t chars, bool& in_body) {
        std::vector<ee_record> records{connect_failed()};
        records[0].params = {std::string(chars, 'x')};
        const std::string text = write_failure(rpc_status::server_unavailable, records);
        in_body = text.find("RPC EEInfo:ARAI") != std::string::npos;
        return text.substr(0, text.find("\r\n") + 2);
    };
    bool seen_long = false;
    bool seen_short = false;
    for (std::size_t chars = 600; chars < 720; ++chars) {
        bool in_body = false;
        const std::string line = line_of(chars, in_body);
        CHECK(line.size() <= 1024);
        CHECK(in_body);
        (line.find("EEInfo") != std::string::npos ? seen_long : seen_short) = true;
    }
    CHECK(seen_long);
    CHECK(seen_short);
}

TEST_CASE("write: numbers that must not be reported become server_unavailable") {
    CHECK(write_failure(rpc_status::ok).substr(0, 29) == "HTTP/1.0 503 RPC Error: 6ba\r\n");
    CHECK(write_failure(static_cast<rpc_status>(0xC0000005)).substr(0, 29) ==
          "HTTP/1.0 503 RPC Error: 6ba\r\n");
    CHECK(write_failure(static_cast<rpc_status>(0xC0000022)).find("c0000022") != std::string::npos);
    CHECK(rpc_status_for(errc::target_not_allowed) == rpc_status::server_unavailable);
    CHECK(rpc_status_for(errc::too_many) == rpc_status::server_too_busy);
}

TEST_CASE("write: a 401 carries its challenges; a leg has no body and keeps the connection") {
    const std::string_view both[] = {"Basic realm=\"rpch\", charset=\"UTF-8\"", "NTLM"};
    const auto closing = write_unauthorized(both, after_response::close);
    REQUIRE(closing);
    CHECK(closing->find("WWW-Authenticate: Basic realm=\"rpch\", "
                        "charset=\"UTF-8\"\r\nWWW-Authenticate: NTLM\r\n") != std::string::npos);
    CHECK(closing->find("Connection: close\r\n") != std::string::npos);
    const std::string_view leg[] = {"NTLM TlRMTVNTUAAC"};
    CHECK(
        write_unauthorized(leg, after_response::keep).value() ==
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM TlRMTVNTUAAC\r\nContent-Length: 0\r\n"
        "Connection: Keep-Alive\r\n\r\n");
    CHECK(write_unauthorized({}, after_response::close).error() == errc::bad_setting);
    const std::string_view bad[] = {"Basic realm=\"x\r\ny\""};
    CHECK(write_unauthorized(bad, after_response::close).error() == errc::bad_setting);
}

TEST_CASE("write: our own errors are responses with a body of the length they say") {
    for (const int status : {400, 403, 404, 405, 411, 414, 431, 503}) {
        const std::string text = write_error(status);
        const std::size_t end = text.find("\r\n\r\n") + 4;
        const auto head = parse_response_head(core::as_bytes(text).first(end));
        REQUIRE(head);
        const auto response = read_response(*head);
        REQUIRE(response);
        CHECK(response->status == status);
        CHECK(response->content_length == text.size() - end);
        CHECK_FALSE(response->keep_alive);
        CHECK(head->headers.find("Allow").has_value() == (status == 405));
        CHECK(head->reason != "Error");
    }
}
