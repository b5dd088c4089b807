#include <rpch/http/response.hpp>

#include <doctest/doctest.h>

#include <string>

#include <rpch/core/base64.hpp>
#include <rpch/http/write.hpp>

#include "tests/support/bytes.hpp"

using namespace rpch;
using namespace rpch::http;

namespace {

/// A response with its bytes, which its views borrow.
struct kept_response {
    explicit kept_response(std::string lines) : text(std::move(lines) + "\r\n") {
        const auto head = parse_response_head(core::as_bytes(text));
        REQUIRE(head);
        info = read_response(*head);
    }
    std::string text;
    result<response_info> info;
};

const std::string blob =
    "ARAIAMzMzMwwAAAAAAAAAAAAAgAAAAAAAAAAAAIAAgA0EgAAAAAAAAAAAAAAANABDgAAALoGAACgBQAAAAAAAA==";

} // namespace

TEST_CASE("response: OUT success has a length and no error") {
    const kept_response r(
        "HTTP/1.1 200 Success\r\nContent-Type: application/rpc\r\nContent-Length: 1073741824\r\n");
    REQUIRE(r.info);
    CHECK(r.info->is_success());
    CHECK(r.info->framing == body_framing::length);
    CHECK(r.info->content_length == 1073741824);
    CHECK(r.info->keep_alive);
    CHECK(response_error(*r.info) == std::error_code{});
}

TEST_CASE("response: how the body ends") {
    const auto framing = [](const char* lines) { return kept_response(lines).info->framing; };
    CHECK(framing("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n") == body_framing::chunked);
    CHECK(framing("HTTP/1.1 200 OK\r\n") == body_framing::until_close);
    CHECK(framing("HTTP/1.0 200 OK\r\n") == body_framing::until_close);
    CHECK(framing("HTTP/1.1 204 No Content\r\n") == body_framing::none);
    CHECK(framing("HTTP/1.1 100 Continue\r\n") == body_framing::none);
    CHECK(framing("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n") == body_framing::length);
    CHECK_FALSE(
        kept_response("HTTP/1.1 200 OK\r\n").info->keep_alive); // its end is the connection's
}

TEST_CASE("response: two lengths, or codings we do not take, are refused") {
    const auto why = [](const char* lines) { return kept_response(lines).info.error(); };
    CHECK(why("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n") ==
          errc::http_bad_content_length);
    CHECK(why("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n") ==
          errc::http_bad_content_length);
    CHECK(why("HTTP/1.1 200 OK\r\nContent-Length: five\r\n") == errc::http_bad_content_length);
    CHECK(why("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n") == errc::http_bad_header);
    CHECK(why("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") ==
          errc::http_bad_header);
    CHECK(why("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n") == errc::http_bad_header);
}

TEST_CASE("response: leniency for OUT channels answered with length zero") {
    const kept_response zero("HTTP/1.1 200 Success\r\nContent-Length: 0\r\n");
    CHECK(out_channel_framing(*zero.info, zero_length::ignore) == body_framing::until_close);
    CHECK(out_channel_framing(*zero.info, zero_length::believe) == body_framing::length);
    const kept_response one("HTTP/1.1 200 Success\r\nContent-Length: 1\r\n");
    CHECK(out_channel_framing(*one.info, zero_length::ignore) == body_framing::length);
    const kept_response chunked("HTTP/1.1 200 Success\r\nTransfer-Encoding: chunked\r\n");
    CHECK(out_channel_framing(*chunked.info, zero_length::ignore) == body_framing::chunked);
}

TEST_CASE("response: interim heads are known as such") {
    const kept_response r("HTTP/1.1 100 Continue\r\n");
    CHECK(r.info->is_interim());
    CHECK(response_error(*r.info) == std::error_code{});
}

TEST_CASE("response: the number behind RPC Error, whatever follows it") {
    const auto number = [](const std::string& reason) {
        return kept_response("HTTP/1.0 503 " + reason + "\r\n").info->rpc_error;
    };
    CHECK(number("RPC Error: 6ba") == rpc_status::server_unavailable);
    CHECK(number("RPC Error: 6BA") == rpc_status::server_unavailable);
    CHECK(number("RPC Error:6ba") == rpc_status::server_unavailable);
    CHECK(number("RPC Error: 0x6ba") == rpc_status::server_unavailable);
    CHECK(number("RPC Error: 5, EEInfo: " + blob) == rpc_status::access_denied);
    CHECK(number("RPC Error: 6ba Der RPC-Server ist nicht verf\xFCgbar.") ==
          rpc_status::server_unavailable);
    CHECK(number("RPC Error: ffffffff") == static_cast<rpc_status>(0xFFFFFFFF));
    CHECK(number("RPC Error: 123456789") == std::nullopt);
    CHECK(number("RPC Error: ") == std::nullopt);
    CHECK(number("RPC Error: xyz") == std::nullopt);
    CHECK(number("Service Unavailable") == std::nullopt);
    CHECK(kept_response("HTTP/1.1 200 RPC Error: 6ba\r\n").info->rpc_error == std::nullopt);
}

TEST_CASE("response: each failure is the error that names its cause") {
    const auto error = [](const char* lines) { return response_error(*kept_response(lines).info); };
    CHECK(error("HTTP/1.0 503 RPC Error: 6c1\r\n") == rpc_status::proxy_access_denied);
    CHECK(error("HTTP/1.1 401 Unauthorized\r\n") == errc::http_auth_required);
    CHECK(error("HTTP/1.1 404 Invalid RPC Port\r\n") == static_cast<http_status>(404));
    CHECK(error("HTTP/1.1 502 Bad Gateway\r\n") == static_cast<http_status>(502));
    CHECK(error("HTTP/1.1 302 Found\r\n") == static_cast<http_status>(302));
}

TEST_CASE("response: all WWW-Authenticate values are kept in their order") {
    const kept_response r(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\nwww-authenticate: NTLM\r\n"
        "WWW-Authenticate: Basic realm=\"gate\"\r\n");
    REQUIRE(r.info->authenticate.size() == 3);
    CHECK(r.info->authenticate[0] == "Negotiate");
    CHECK(r.info->authenticate[2] == "Basic realm=\"gate\"");
}

TEST_CASE("response: the records of the body come before those of the reason") {
    ee_record other;
    other.status = 5;
    const auto other_blob = encode_eeinfo({&other, 1});
    REQUIRE(other_blob);
    const std::string other_text = core::base64_encode(*other_blob);
    const kept_response r("HTTP/1.0 503 RPC Error: 6ba, EEInfo: " + blob + "\r\n");
    const auto status_with_body = [&](const std::string& body) {
        const auto records = error_records(*r.info, core::as_bytes(body));
        return records.empty() ? 0 : records[0].status;
    };
    CHECK(status_with_body("RPC EEInfo:" + other_text + "\r\n") == 5);
    CHECK(status_with_body("") == 0x6BA);
    CHECK(status_with_body("RPC EEInfo:AAAA\r\n") ==
          0x6BA); // a faulty body is void, the reason is not
    CHECK(status_with_body("<html>") == 0x6BA);
    const kept_response none("HTTP/1.0 503 RPC Error: 6ba\r\n");
    CHECK(error_records(*none.info, {}).empty());
}

TEST_CASE("response: the failure response that we write is read back whole") {
    ee_record r;
    r.status = 0x6BA;
    r.params = {std::string("server7"), std::int32_t{6001}};
    const std::string text = write_failure(rpc_status::server_unavailable, {&r, 1});
    const std::size_t end = text.find("\r\n\r\n") + 4;
    const auto head = parse_response_head(core::as_bytes(text).first(end));
    REQUIRE(head);
    const auto info = read_response(*head);
    REQUIRE(info);
    CHECK(info->rpc_error == rpc_status::server_unavailable);
    CHECK(info->content_length == text.size() - end);
    CHECK(error_records(*info, {}) == std::vector{r});
    CHECK(error_records(*info, core::as_bytes(text).subspan(end)) == std::vector{r});
}

TEST_CASE("response: a failure inside a running OUT body is known by its first byte and read from "
          "its line") {
    CHECK_FALSE(begins_like_head({}));
    CHECK_FALSE(begins_like_head(test::hex("05001403")));
    const std::string text = "HTTP/1.0 503 RPC Error: 6ba\r\n";
    CHECK(begins_like_head(core::as_bytes(text)));
    for (std::size_t n = 1; n < text.size(); ++n)
        CHECK_FALSE(read_failure_in_body(core::as_bytes(text).first(n)).value());
    const auto whole = read_failure_in_body(core::as_bytes(text)).value();
    REQUIRE(whole);
    CHECK(whole->rpc_error == rpc_status::server_unavailable);
    CHECK(read_failure_in_body(core::as_bytes("Hello\r\n")).error() == errc::http_bad_start_line);
    CHECK(read_failure_in_body(core::as_bytes(std::string(limits::http_head_bytes_max, 'H')))
              .error() == errc::http_head_too_large);
}
