#include <rpch/http/head.hpp>

#include <doctest/doctest.h>

#include <string>

#include "tests/support/bytes.hpp"

using namespace rpch;
using namespace rpch::http;

namespace {

std::error_code request_error(std::string_view text) {
    const auto head = parse_request_head(core::as_bytes(text));
    return head ? std::error_code{} : head.error();
}

std::error_code response_error_of(std::string_view text) {
    const auto head = parse_response_head(core::as_bytes(text));
    return head ? std::error_code{} : head.error();
}

/// What the scanner says of a text that arrives at once.
std::error_code scan_error(std::string_view text) {
    head_scanner scanner;
    const auto end = scanner.scan(core::as_bytes(text));
    return end ? std::error_code{} : end.error();
}

const std::string line = "RPC_IN_DATA /rpc/rpcproxy.dll?s:1 HTTP/1.1\r\n";

} // namespace

TEST_CASE("head scanner: finds the end at the same byte whatever the pieces are") {
    const std::string head = line + "Host: a\r\nX:\r\n\r\n";
    const std::string buffer = head + "\x05\x00 body\r\n\r\n";
    for (std::size_t step = 1; step <= buffer.size(); ++step) {
        head_scanner scanner;
        std::size_t have = 0;
        std::optional<std::size_t> end;
        while (!end && have < buffer.size()) {
            have = std::min(have + step, buffer.size());
            const auto found = scanner.scan(core::as_bytes(buffer).first(have));
            REQUIRE(found);
            end = *found;
        }
        CHECK(end == head.size());
        CHECK(have < head.size() + step); // found with the first piece that had it
    }
}

TEST_CASE("head scanner: after reset the next head is found from its own beginning") {
    const std::string head = line + "\r\n";
    head_scanner scanner;
    for (int i = 0; i < 2; ++i) {
        CHECK(scanner.scan(core::as_bytes(head)).value() == head.size());
        scanner.reset();
    }
}

TEST_CASE("head scanner: what cannot be a head is refused by its first wrong byte") {
    CHECK(scan_error("\x16\x03\x01") == errc::http_bad_start_line); // a TLS client hello
    CHECK(scan_error("\n") == errc::http_bad_start_line);
    CHECK(scan_error("\r\n") == errc::http_bad_start_line);
    CHECK(scan_error("\r\r") == errc::http_bad_start_line);
    CHECK(scan_error("RPC_IN_DATA / HTTP/1.1\n") == errc::http_bad_start_line);
    CHECK(scan_error(line + "A: b\n") == errc::http_bad_header);
    CHECK(scan_error(line + "A: b\rC") == errc::http_bad_header);
    CHECK(scan_error(line + std::string("A: \0", 4)) == errc::http_bad_header);
    CHECK(scan_error(line + "A: b\r") == std::error_code{});
}

TEST_CASE("head scanner: a head may have the limit and not a byte more, and a full buffer does not "
          "wait") {
    const std::string frame = line + "A: \r\n\r\n";
    std::string head = frame;
    head.insert(line.size() + 3, limits::http_head_bytes_max - frame.size(), 'x');
    head_scanner scanner;
    CHECK(scanner.scan(core::as_bytes(head)).value() == limits::http_head_bytes_max);
    head.insert(line.size() + 3, 1, 'x');
    CHECK(scan_error(head) == errc::http_head_too_large);
    CHECK(scan_error(head.substr(0, limits::http_head_bytes_max)) == errc::http_head_too_large);
    CHECK(scan_error(head.substr(0, limits::http_head_bytes_max - 1)) == std::error_code{});
}

TEST_CASE("request head: method, target, version and headers are views of the bytes") {
    const std::string text =
        line + "Host:proxy1\r\naccept: \t application/rpc \t\r\nEmpty:\r\n\r\n";
    const auto head = parse_request_head(core::as_bytes(text));
    REQUIRE(head);
    CHECK(head->method == "RPC_IN_DATA");
    CHECK(head->target == "/rpc/rpcproxy.dll?s:1");
    CHECK(head->target.data() == text.data() + 12);
    CHECK(head->minor_version == 1);
    CHECK(head->headers.size() == 3);
    CHECK(head->headers.find("HOST") == "proxy1");
    CHECK(head->headers.find("Accept") == "application/rpc");
    CHECK(head->headers.find("Empty") == "");
    CHECK_FALSE(head->headers.find("Hos"));
}

TEST_CASE("request head: a head that is cut anywhere, or goes on, is refused") {
    const std::string text = line + "Host: a\r\nContent-Length: 76\r\n\r\n";
    for (std::size_t n = 0; n < text.size(); ++n) {
        CAPTURE(n);
        const auto why = request_error(text.substr(0, n));
        CHECK((why == errc::truncated || why == errc::http_bad_header));
    }
    CHECK(request_error(text) == std::error_code{});
    CHECK(request_error(text + "x") == errc::trailing_bytes);
}

TEST_CASE("request head: start lines that two readers could read differently are refused") {
    for (const char* bad : {"RPC_IN_DATA  /x HTTP/1.1",
                            "RPC_IN_DATA /x  HTTP/1.1",
                            "RPC_IN_DATA /x HTTP/1.1 ",
                            " RPC_IN_DATA /x HTTP/1.1",
                            "RPC_IN_DATA\t/x HTTP/1.1",
                            "RPC_IN_DATA /x\tHTTP/1.1",
                            "RPC_IN_DATA /x y HTTP/1.1",
                            "RPC_IN_DATA /x",
                            "RPC_IN_DATA",
                            "",
                            "/x HTTP/1.1",
                            "RPC_IN_DATA HTTP/1.1",
                            "RPC IN /x HTTP/1.1",
                            "RPC:IN /x HTTP/1.1",
                            "RPC_IN_DATA /x HTTP/2.0",
                            "RPC_IN_DATA /x HTTP/0.9",
                            "RPC_IN_DATA /x http/1.1",
                            "RPC_IN_DATA /x HTTP/1.",
                            "RPC_IN_DATA /x HTTP/1.10",
                            "RPC_IN_DATA /x HTTP/1.a",
                            "RPC_IN_DATA /x HTTP/11.",
                            "RPC_IN_DATA /\xC3\xA4 HTTP/1.1",
                            "RPC_IN_DATA /\x7f HTTP/1.1",
                            "RPC_IN_DATA /x\rGET HTTP/1.1",
                            "RPC_IN_DATA /x\nGET HTTP/1.1"}) {
        CAPTURE(bad);
        CHECK(request_error(std::string(bad) + "\r\n\r\n") == errc::http_bad_start_line);
    }
    CHECK(request_error("RPC_IN_DATA /x HTTP/1.0\r\n\r\n") == std::error_code{});
}

TEST_CASE("request head: header lines that two readers could read differently are refused") {
    const std::string bad[] = {
        "Content-Length : 5",
        "Content-Length\t: 5",
        " Content-Length: 5",
        "\tfolded",
        " folded: x",
        "no colon",
        ": no name",
        "Na me: x",
        "Name\x7f: x",
        "A: b\rC: d",
        "A: b\nC: d",
        "A: b\x01",
        std::string("A: \0b", 5),
        std::string("A\0: b", 5),
        "N\xC3\xA4me: x",
        "Content-Length;: 5",
        "A: b\r",
    };
    for (const std::string& one : bad) {
        CAPTURE(one);
        CHECK(request_error(line + one + "\r\n\r\n") == errc::http_bad_header);
        CHECK(request_error(line + "A: b\r\n" + one + "\r\n\r\n") == errc::http_bad_header);
        CHECK(response_error_of("HTTP/1.1 200 OK\r\n" + one + "\r\n\r\n") == errc::http_bad_header);
    }
    CHECK(request_error(line + "X-Text: gr\xC3\xBC\xC3\x9F dich,\tWelt\r\n\r\n") ==
          std::error_code{});
}

TEST_CASE("request head: a target and a number of headers may have the limit and not one more") {
    const auto with_target = [](std::size_t n) {
        return request_error("RPC_IN_DATA /" + std::string(n - 1, 'a') + " HTTP/1.1\r\n\r\n");
    };
    CHECK(with_target(limits::http_target_bytes_max) == std::error_code{});
    CHECK(with_target(limits::http_target_bytes_max + 1) == errc::too_large);
    std::string text = line;
    for (std::size_t i = 0; i < limits::http_headers_max; ++i) text += "A: b\r\n";
    CHECK(request_error(text + "\r\n") == std::error_code{});
    CHECK(request_error(text + "A: b\r\n\r\n") == errc::http_head_too_large);
}

TEST_CASE("response head: status lines with and without reason") {
    for (const auto& [text, reason] : {std::pair{"HTTP/1.1 200 Success", "Success"},
                                       {"HTTP/1.1 200 ", ""},
                                       {"HTTP/1.1 200", ""},
                                       {"HTTP/1.0 503 RPC Error: 6ba", "RPC Error: 6ba"},
                                       {"HTTP/1.0 503 Fehler \xFC", "Fehler \xFC"}}) {
        CAPTURE(text);
        const auto head = parse_status_line(text);
        REQUIRE(head);
        CHECK(head->reason == reason);
    }
    for (const char* bad :
         {"", "HTTP/1.1", "HTTP/1.1 20", "HTTP/1.1 2000", "HTTP/1.1 20x OK", "HTTP/1.1 -20 OK",
          "HTTP/1.1 099 OK", "HTTP/1.1  200 OK", "HTTP/2 200 OK", "HTTP/2.0 200 OK",
          "HTTP/1.1\t200 OK", "HTTP/1.1 200\tOK", "ICY 200 OK", "HTTP/1.1 200 O\rK",
          "ncacn_http/1.0"}) {
        CAPTURE(bad);
        CHECK(response_error_of(std::string(bad) + "\r\n\r\n") == errc::http_bad_start_line);
    }
}

TEST_CASE("content length: one number, or it is refused") {
    const auto length = [](const std::string& lines) {
        const std::string text = line + lines + "\r\n"; // outlives the views
        return content_length_of(parse_request_head(core::as_bytes(text)).value().headers);
    };
    CHECK(length("").value() == std::nullopt);
    CHECK(length("Content-Length: 76\r\n").value() == 76);
    CHECK(length("CONTENT-LENGTH:2147483648\r\n").value() == 2147483648);
    for (const char* bad :
         {"Content-Length: 76\r\nContent-Length: 76\r\n",
          "Content-Length: 76\r\ncontent-length: 77\r\n", "Content-Length: 76, 76\r\n",
          "Content-Length: +76\r\n", "Content-Length: -1\r\n", "Content-Length: 0x4c\r\n",
          "Content-Length: 7 6\r\n", "Content-Length:\r\n",
          "Content-Length: 18446744073709551616\r\n", "Content-Length: 76;\r\n"}) {
        CAPTURE(bad);
        CHECK(length(bad).error() == errc::http_bad_content_length);
    }
}

TEST_CASE("connection: 1.1 stays unless closed, 1.0 closes unless kept") {
    const auto keeps = [](const std::string& lines, std::uint8_t minor) {
        const std::string text = line + lines + "\r\n";
        return keeps_connection(parse_request_head(core::as_bytes(text)).value().headers, minor);
    };
    CHECK(keeps("", 1));
    CHECK_FALSE(keeps("", 0));
    CHECK(keeps("Connection: keep-alive\r\n", 0));
    CHECK(keeps("Connection: TE , Keep-Alive\r\n", 0));
    CHECK_FALSE(keeps("Connection: keep-alive\r\nConnection: Close\r\n", 1));
    CHECK_FALSE(keeps("Connection: keep-alives\r\n", 0));
}
