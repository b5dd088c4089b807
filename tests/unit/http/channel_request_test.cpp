#include <rpch/http/channel_request.hpp>

#include <doctest/doctest.h>

#include <string>

#include <rpch/http/status.hpp>

#include "tests/support/bytes.hpp"

using namespace rpch;
using namespace rpch::http;

namespace {

/// The heads that stand at the front of a captured connection, whatever PDUs follow the last one.
struct captured {
    explicit captured(const char* name) : bytes(test::vector_file(std::string("http/") + name)) {}
    /// Takes the next head; its body must be skipped with `skip`.
    request_head next() {
        const auto rest = byte_view(bytes).subspan(at);
        head_scanner scanner;
        const auto end = scanner.scan(rest);
        REQUIRE(end);
        REQUIRE(end->has_value());
        at += **end;
        const auto head = parse_request_head(rest.first(**end));
        REQUIRE(head);
        return *head;
    }
    [[nodiscard]] byte_view rest() const { return byte_view(bytes).subspan(at); }
    test::bytes bytes;
    std::size_t at = 0;
};

std::string request_text(std::string_view start, std::string_view lines) {
    return std::string(start) + "\r\n" + std::string(lines) + "\r\n";
}

result<request_info> classify(const std::string& text) {
    const auto head = parse_request_head(core::as_bytes(text));
    REQUIRE(head);
    return classify_request(*head);
}

const char* const in_start = "RPC_IN_DATA /rpc/rpcproxy.dll?server7:6001 HTTP/1.1";

std::error_code error_of(std::string_view start, std::string_view lines) {
    const auto out = classify(request_text(start, lines));
    return out ? std::error_code{} : out.error();
}

} // namespace

TEST_CASE("channel request: impacket without authentication, both channels") {
    for (const bool in : {true, false}) {
        captured connection(in ? "impacket_none.in.hex" : "impacket_none.out.hex");
        const auto head = connection.next();
        const auto what = read_channel_request(head);
        REQUIRE(what);
        CHECK(what->request.method == (in ? channel_method::in_data : channel_method::out_data));
        CHECK(what->request.content_length == (in ? 1073741824 : 76));
        CHECK(what->request.expect_continue);
        CHECK(what->request.keep_alive);
        CHECK_FALSE(what->request.is_echo());
        CHECK_FALSE(what->request.with_cert);
        CHECK_FALSE(what->request.authorization);
        CHECK(what->target == rpc_target{"rpcserver", 6001});
        CHECK(connection.rest()[0] == std::byte{5}); // the first PDU
    }
}

TEST_CASE("channel request: impacket with Basic") {
    captured connection("impacket_basic.out.hex");
    const auto head = connection.next();
    const auto what = classify_request(head);
    REQUIRE(what);
    CHECK(what->authorization == "Basic bGFidXNlcjpsYWJwYXNz");
}

TEST_CASE("channel request: impacket's NTLM leg has no query and no body, and still asks for "
          "authentication") {
    for (const char* name : {"impacket_ntlm.in.hex", "impacket_ntlm.out.hex"}) {
        captured connection(name);
        const auto leg = connection.next();
        const auto what = classify_request(leg);
        REQUIRE(what);
        CHECK(what->content_length == 0);
        CHECK(what->is_echo()); // why authentication is asked for first
        CHECK(what->keep_alive);
        CHECK_FALSE(what->query);
        CHECK(what->authorization->substr(0, 5) == "NTLM ");
        CHECK(read_channel_request(leg).error() == errc::http_bad_target);
        const auto second = connection.next(); // directly behind the first: it had no body
        const auto channel = read_channel_request(second);
        REQUIRE(channel);
        CHECK(channel->target == rpc_target{"rpcserver", 6001});
        CHECK_FALSE(channel->request.is_echo());
    }
}

TEST_CASE("channel request: Samba speaks HTTP/1.0 and keeps the connection") {
    captured connection("samba_anonymous.in.hex");
    const auto head = connection.next();
    const auto what = read_channel_request(head);
    REQUIRE(what);
    CHECK(what->request.minor_version == 0);
    CHECK(what->request.keep_alive);
    CHECK_FALSE(what->request.expect_continue);
    CHECK(what->request.authorization == "Basic XDoobnVsbCk=");
    CHECK(what->request.content_length == 1073741824);
}

TEST_CASE(
    "channel request: Samba's NTLM leg has its query, and the channel follows on the connection") {
    for (const char* name : {"samba_ntlm.in.hex", "samba_ntlm.out.hex"}) {
        captured connection(name);
        const auto leg = connection.next();
        const auto what = classify_request(leg);
        REQUIRE(what);
        CHECK(what->content_length == 0);
        CHECK(what->query == "labdc.lab.test:49153");
        CHECK(what->keep_alive);
        const auto second = connection.next();
        CHECK(read_channel_request(second).value().target == rpc_target{"labdc.lab.test", 49153});
    }
}

TEST_CASE("channel request: every captured head, cut at any byte, is waited for and never taken") {
    for (const char* name :
         {"impacket_none.in.hex", "impacket_ntlm.out.hex", "samba_ntlm.in.hex"}) {
        captured connection(name);
        (void)connection.next();
        const auto head = byte_view(connection.bytes).first(connection.at);
        head_scanner scanner;
        for (std::size_t n = 0; n < head.size(); ++n) {
            REQUIRE(scanner.scan(head.first(n)).value() == std::nullopt);
            REQUIRE(parse_request_head(head.first(n)).error() == errc::truncated);
        }
        CHECK(scanner.scan(head).value() == head.size());
    }
}

TEST_CASE("channel request: FreeRDP's one Pragma line, several directives") {
    const std::string text =
        request_text("RPC_IN_DATA /rpc/rpcproxy.dll?localhost:3388 HTTP/1.1",
                     "Cache-Control: no-cache\r\nConnection: Keep-Alive\r\nUser-Agent: "
                     "MSRPC\r\nHost: gate.example.com\r\n"
                     "Pragma: ResourceTypeUuid=44e265dd-7daf-42cd-8560-3cdb6e7a2729, "
                     "SessionId=fbd9c34f-397d-471d-a109-1b08cc554624\r\nAccept: "
                     "application/rpc\r\nContent-Length: 1073741824\r\n");
    const auto what = classify(text);
    REQUIRE(what);
    CHECK(what->resource_type == uuid("44e265dd-7daf-42cd-8560-3cdb6e7a2729"));
    CHECK(what->session_id == uuid("fbd9c34f-397d-471d-a109-1b08cc554624"));
    CHECK_FALSE(what->min_connection_timeout_s);
}

TEST_CASE("channel request: Outlook's mixed case, several Pragma lines and mailbox identities") {
    const std::string text = request_text(
        "RPC_OUT_DATA /Rpc/RpcProxy.dll?0f4e5c9a-52f9-4c3a-9d3e-8a9a2f8f8b11@corp.example:6001 "
        "HTTP/1.1",
        "pragma: No-cache\r\nPRAGMA: minconntimeout = 900\r\nPragma: "
        "SESSIONID={6f1e1c1e-6d0c-4b4f-9a63-0c4f4ba0d001}\r\nContent-Length: 120\r\n");
    const auto head = parse_request_head(core::as_bytes(text));
    REQUIRE(head);
    const auto what = read_channel_request(*head);
    REQUIRE(what);
    CHECK(what->request.min_connection_timeout_s == 900);
    CHECK(what->request.session_id == uuid("6f1e1c1e-6d0c-4b4f-9a63-0c4f4ba0d001"));
    CHECK(what->target.server_name == "0f4e5c9a-52f9-4c3a-9d3e-8a9a2f8f8b11@corp.example");
}

TEST_CASE("channel request: Pragma directives that do not parse are ignored") {
    for (const char* value :
         {"MinConnTimeout=119", "MinConnTimeout=14401", "MinConnTimeout=", "MinConnTimeout=900s",
          "SessionId=1234", "ResourceTypeUuid", "=,=,,", "Unknown=1"}) {
        CAPTURE(value);
        const auto what = classify(request_text(
            in_start, "Content-Length: 131072\r\nPragma: " + std::string(value) + "\r\n"));
        REQUIRE(what);
        CHECK_FALSE(what->min_connection_timeout_s);
        CHECK_FALSE(what->session_id);
        CHECK_FALSE(what->resource_type);
    }
    for (const char* seconds : {"120", "14400"})
        CHECK(classify(request_text(in_start, "Content-Length: 131072\r\nPragma: MinConnTimeout=" +
                                                  std::string(seconds) + "\r\n"))
                  ->min_connection_timeout_s);
}

TEST_CASE("channel request: Content-Length 0 to 16 is an echo, 17 is not") {
    for (const auto& [length, echo] :
         {std::pair{"0", true}, {"4", true}, {"16", true}, {"17", false}, {"76", false}}) {
        const auto what =
            classify(request_text(in_start, "Content-Length: " + std::string(length) + "\r\n"));
        REQUIRE(what);
        CHECK(what->is_echo() == echo);
    }
}

TEST_CASE("channel request: the smuggling table, each with its status") {
    struct row {
        const char* start;
        const char* lines;
        errc why;
        int status;
    };
    const char* in = in_start;
    const row rows[] = {
        {in, "", errc::http_length_required, 411},
        {in, "Transfer-Encoding: chunked\r\n", errc::http_length_required, 411},
        {in, "Transfer-Encoding: identity\r\n", errc::http_length_required, 411},
        {in, "Transfer-Encoding: chunked\r\nContent-Length: 76\r\n", errc::http_bad_header, 400},
        {in, "Content-Length: 76\r\nTransfer-encoding: xchunked\r\n", errc::http_bad_header, 400},
        {in, "Content-Length: 76\r\nTransfer-Encoding:\r\n", errc::http_bad_header, 400},
        {in, "Content-Length: 76\r\nContent-Length: 76\r\n", errc::http_bad_content_length, 400},
        {in, "Content-Length: 76\r\nContent-Length: 0\r\n", errc::http_bad_content_length, 400},
        {in, "Content-Length: 76,76\r\n", errc::http_bad_content_length, 400},
        {in, "Content-Length: 76\r\nHost: a\r\nHost: b\r\n", errc::http_bad_header, 400},
        {in, "Content-Length: 76\r\nAuthorization: Basic YTpi\r\nAuthorization: Basic YTpj\r\n",
         errc::http_bad_header, 400},
        {"GET /rpc/rpcproxy.dll HTTP/1.1", "", errc::http_unknown_method, 405},
        {"rpc_in_data /rpc/rpcproxy.dll?a:1 HTTP/1.1", "Content-Length: 76\r\n",
         errc::http_unknown_method, 405},
        {"RPC_CONNECT /rpc/rpcproxy.dll?a:1 HTTP/1.1", "", errc::http_unknown_method, 405},
        {"RPC_IN_DATA / HTTP/1.1", "Content-Length: 76\r\n", errc::http_unknown_path, 404},
        {"RPC_IN_DATA /rpc/rpcproxy.dll/../x?a:1 HTTP/1.1", "Content-Length: 76\r\n",
         errc::http_unknown_path, 404},
        {"RPC_IN_DATA /rpc/rpcproxy.dllx?a:1 HTTP/1.1", "Content-Length: 76\r\n",
         errc::http_unknown_path, 404},
        {"RPC_IN_DATA //rpc/rpcproxy.dll?a:1 HTTP/1.1", "Content-Length: 76\r\n",
         errc::http_unknown_path, 404},
        {"RPC_IN_DATA http://proxy HTTP/1.1", "Content-Length: 76\r\n", errc::http_unknown_path,
         404},
        {"OPTIONS * HTTP/1.1", "Content-Length: 76\r\n", errc::http_unknown_path, 404},
    };
    for (const row& r : rows) {
        CAPTURE(r.start);
        CAPTURE(r.lines);
        CHECK(error_of(r.start, r.lines) == r.why);
        CHECK(http_status_for(r.why) == r.status);
    }
    CHECK(http_status_for(errc::http_head_too_large) == 431);
    CHECK(http_status_for(errc::http_bad_start_line) == 400);
    CHECK(http_status_for(errc::too_large) == 414);
}

TEST_CASE("channel request: the certificate path, absolute targets and missing Host are taken") {
    CHECK(classify(request_text("RPC_IN_DATA /RpcWithCert/RpcProxy.dll?a:1 HTTP/1.1",
                                "Content-Length: 76\r\n"))
              ->with_cert);
    const std::string absolute = request_text(
        "RPC_OUT_DATA HTTP://proxy1:80/rpc/rpcproxy.dll?a:1 HTTP/1.1", "Content-Length: 76\r\n");
    CHECK(classify(absolute)->query == "a:1");
}

TEST_CASE(
    "channel request: 100 is expected by HTTP/1.1 clients only, other expectations are ignored") {
    const auto expects = [](const char* version, const char* value) {
        return classify(
                   request_text("RPC_IN_DATA /rpc/rpcproxy.dll?a:1 " + std::string(version),
                                "Content-Length: 76\r\nExpect: " + std::string(value) + "\r\n"))
            ->expect_continue;
    };
    CHECK(expects("HTTP/1.1", "100-Continue"));
    CHECK_FALSE(expects("HTTP/1.0", "100-continue"));
    CHECK_FALSE(expects("HTTP/1.1", "200-ok"));
}

TEST_CASE("target: names, addresses, ports and escapes") {
    const auto target = [](std::string_view query) { return parse_target(query).value(); };
    CHECK(target("server7:6001") == rpc_target{"server7", 6001});
    CHECK(target("10.0.0.1:1") == rpc_target{"10.0.0.1", 1});
    CHECK(target("2001:db8::5:593") == rpc_target{"2001:db8::5", 593});
    CHECK(target("[2001:db8::5]:593") == rpc_target{"2001:db8::5", 593});
    CHECK(target("%5B::1%5D%3a000593") == rpc_target{"::1", 593});
    CHECK(target("::ffff:192.0.2.1:65535") == rpc_target{"::ffff:192.0.2.1", 65535});
    CHECK(target("NET_BIOS-1$:49152") == rpc_target{"NET_BIOS-1$", 49152});
    CHECK(target(std::string(1023, 'a') + ":1").server_name.size() == 1023);
}

TEST_CASE("target: what is malformed is refused with the number a client understands") {
    for (const char* bad : {"", "server7", "server7:", "server7:0", "server7:65536",
                            "server7:0000593", "server7:59 3", "server7:-1", "server7:593&x",
                            "server7:593x", "[::1]", "server7:593/", "a:1:"}) {
        CAPTURE(bad);
        CHECK(parse_target(bad).error() == rpc_status::invalid_endpoint_format);
    }
    for (const char* bad :
         {":593", "[]:593", "[server7]:593", "ser ver:593", "ser%00ver:593", "ser%0d%0aver:593",
          "ser%2fver:593", "a%2:593", "a%zz:593", "%:593", "fe80::1%25eth0:593", "server:x:593",
          "a?b:593", "*:593", "a%C3%A4:593", "[::1:593", "::1]:593", "\"a\":593", "a,b:593"}) {
        CAPTURE(bad);
        CHECK(parse_target(bad).error() == rpc_status::invalid_net_addr);
    }
    CHECK(parse_target(std::string(1024, 'a') + ":1").error() == rpc_status::invalid_net_addr);
    CHECK(http_status_for(rpc_status::invalid_net_addr) == 503);
    CHECK(rpc_status_for(rpc_status::invalid_endpoint_format) ==
          rpc_status::invalid_endpoint_format);
    CHECK(rpc_status_for(errc::http_bad_target) == rpc_status::invalid_net_addr);
}
