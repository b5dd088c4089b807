#include <rpch/dcerpc/string_binding.hpp>

#include <ostream>

#include <doctest/doctest.h>

#include <rpch/error.hpp>

using namespace rpch;
using namespace rpch::dcerpc;

namespace {

string_binding parsed(std::string_view text) {
    CAPTURE(std::string(text));
    const auto b = parse_string_binding(text);
    REQUIRE(b);
    const auto again = parse_string_binding(b->to_string());
    CAPTURE(b->to_string());
    REQUIRE(again);
    CHECK(*again == *b); // whatever was parsed prints to something that means the same
    return *b;
}

} // namespace

TEST_CASE("string binding: the shortest form is a sequence and a host") {
    const auto b = parsed("ncacn_ip_tcp:server");
    CHECK(b.sequence == protocol_sequence::ncacn_ip_tcp);
    CHECK(b.host == "server");
    CHECK_FALSE(b.endpoint);
    CHECK_FALSE(b.object);
    CHECK(b.to_string() == "ncacn_ip_tcp:server");
    CHECK(parsed("ncacn_http:[6001]").host.empty());
    CHECK(parsed("ncacn_http:[6001]").endpoint == 6001);
    CHECK(parsed("NCACN_HTTP:h[]").sequence == protocol_sequence::ncacn_http);
}

TEST_CASE("string binding: every part of the form that Windows documents") {
    const auto b =
        parsed("01234567-89ab-cdef-0123-456789abcdef@ncacn_http:server7[6001,RpcProxy=proxy1:443,"
               "HttpProxy=webproxy:8080,HttpConnectionOption=UseHttpProxy]");
    CHECK(b.object == uuid::parse("01234567-89ab-cdef-0123-456789abcdef"));
    CHECK(b.sequence == protocol_sequence::ncacn_http);
    CHECK(b.host == "server7");
    CHECK(b.endpoint == 6001);
    CHECK(b.rpc_proxy == host_port{"proxy1", 443});
    CHECK(b.http_proxy == host_port{"webproxy", 8080});
    CHECK(b.use_http_proxy);
    CHECK_FALSE(b.http_use_tls);
    CHECK(b.to_string() ==
          "01234567-89ab-cdef-0123-456789abcdef@ncacn_http:server7[6001,RpcProxy=proxy1:443,"
          "HttpProxy=webproxy:8080,HttpConnectionOption=UseHttpProxy]");
}

TEST_CASE("string binding: the spelling of Samba's client") {
    const auto b = parsed(
        "ncacn_http:rpcserver[6001,HttpUseTls=false,RpcProxy=127.0.0.1:8080,HttpAuthOption=basic]");
    CHECK(b.http_use_tls == false);
    CHECK(b.rpc_proxy == host_port{"127.0.0.1", 8080});
    CHECK(b.http_auth == http_auth_option::basic);
    CHECK(parsed("ncacn_http:h[httpusetls=TRUE,httpauthoption=NTLM]").http_auth ==
          http_auth_option::ntlm);
    CHECK(parsed("ncacn_http:h[HttpAuthOption=negotiate]").http_auth ==
          http_auth_option::negotiate);
}

TEST_CASE("string binding: an endpoint may be named, or missing before options") {
    CHECK(parsed("ncacn_ip_tcp:h[endpoint=135]").endpoint == 135);
    CHECK(parsed("ncacn_http:h[RpcProxy=gate]").rpc_proxy == host_port{"gate", {}});
    CHECK(parsed("ncacn_http:h[,RpcProxy=gate]").rpc_proxy == host_port{"gate", {}});
    CHECK(parsed("ncacn_http:h[RpcProxy=gate,endpoint=593]").endpoint == 593);
}

TEST_CASE("string binding: IPv6 addresses, bare, in brackets and escaped") {
    for (const auto* text : {"ncacn_ip_tcp:fe80::1%eth0[135]", "ncacn_ip_tcp:[fe80::1%eth0][135]",
                             "ncacn_ip_tcp:\\[fe80::1%eth0\\][135]"}) {
        CAPTURE(text);
        if (std::string_view(text).find('\\') != std::string_view::npos) {
            // An escaped bracket is a character of the name, and no name has one.
            CHECK_FALSE(parse_string_binding(text));
            continue;
        }
        const auto b = parsed(text);
        CHECK(b.host == "fe80::1%eth0");
        CHECK(b.endpoint == 135);
    }
    CHECK(parsed("ncacn_ip_tcp:[::1]").host == "::1");
    for (const auto* text : {"ncacn_http:h[6001,RpcProxy=\\[2001:db8::1\\]:443]",
                             "ncacn_http:h[6001,RpcProxy=[2001:db8::1]:443]"})
        CHECK(parsed(text).rpc_proxy == host_port{"2001:db8::1", 443});
    CHECK(parsed("ncacn_http:h[RpcProxy=2001:db8::1]").rpc_proxy == host_port{"2001:db8::1", {}});
}

TEST_CASE("string binding: a backslash makes any character plain") {
    CHECK(parsed("ncacn_http:ser\\ver[60\\01]").host == "server");
    CHECK(parsed("ncacn_http:ser\\ver[60\\01]").endpoint == 6001);
}

TEST_CASE("string binding: whatever is malformed, unknown or said twice is refused by name") {
    for (const auto* text :
         {"",
          ":",
          "server",
          "ncacn_http",
          "ncacn_np:h[\\pipe\\x]",
          "ncadg_ip_udp:h",
          "@ncacn_http:h",
          "not-a-uuid@ncacn_http:h",
          "ncacn_http:h[",
          "ncacn_http:h[6001",
          "ncacn_http:h6001]",
          "ncacn_http:h[6001]x",
          "ncacn_http:h[0]",
          "ncacn_http:h[65536]",
          "ncacn_http:h[+1]",
          "ncacn_http:h[6001 ]",
          "ncacn_http:h[http]",
          "ncacn_http:h[6001,]",
          "ncacn_http:h[6001,,]",
          "ncacn_http:h[,]",
          "ncacn_http:h[6001,6002]",
          "ncacn_http:h[6001,endpoint=6002]",
          "ncacn_http:h[6001,RpcProxy]",
          "ncacn_http:h[6001,RpcProxy=]",
          "ncacn_http:h[RpcProxy=:443]",
          "ncacn_http:h[RpcProxy=g:0]",
          "ncacn_http:h[RpcProxy=g:x]",
          "ncacn_http:h[RpcProxy=g:443:1]:2",
          "ncacn_http:h[RpcProxy=g,RpcProxy=g]",
          "ncacn_http:h[HttpUseTls=yes]",
          "ncacn_http:h[HttpAuthOption=digest]",
          "ncacn_http:h[HttpConnectionOption=Direct]",
          "ncacn_http:h[HttpConnectionOption=UseHttpProxy,HttpConnectionOption=UseHttpProxy]",
          "ncacn_http:h[sign]",
          "ncacn_http:h[6001,seal]",
          "ncacn_http:h[6001,Unknown=1]",
          "ncacn_ip_tcp:h[135,RpcProxy=gate:443]",
          "ncacn_ip_tcp:h[HttpUseTls=true]",
          "ncacn_http:h o[1]",
          "ncacn_http:h\x01[1]",
          "ncacn_http:h\x7f",
          "ncacn_http:a/b",
          "ncacn_http:server:80[1]",
          "ncacn_http:h[1\\]",
          "ncacn_http:h\\",
          "ncacn_http:[::1]6001"}) {
        CAPTURE(text);
        std::string why;
        const auto b = parse_string_binding(text, &why);
        REQUIRE_FALSE(b);
        CHECK(b.error() == errc::bad_binding);
        CHECK_FALSE(why.empty());
    }
    std::string why;
    const auto said = [&](const char* text) {
        CHECK_FALSE(parse_string_binding(text, &why));
        return why;
    };
    CHECK(said("ncacn_np:h") == "it must begin with ncacn_http: or ncacn_ip_tcp:");
    CHECK(said("ncacn_http:h[6001,HttpUseTls=yes]") == "'HttpUseTls=yes' must be true or false");
    CHECK(said("ncacn_http:h[http]") == "'http' must be a port from 1 to 65535");
    CHECK(said("ncacn_http:h[6001,RpcProxy=g,RpcProxy=g]") == "'RpcProxy=g' is given twice");
    CHECK(said("ncacn_ip_tcp:h[135,RpcProxy=g]") == "'RpcProxy=g' is not for ncacn_ip_tcp");
    CHECK(said("ncacn_http:h[6001,Rpcproxi=g]").starts_with("'Rpcproxi=g' is no option; "));
    CHECK(parse_string_binding("ncacn_http:" + std::string(1023, 'a')));
    CHECK_FALSE(parse_string_binding("ncacn_http:" + std::string(1024, 'a')));
}

TEST_CASE("string binding: no cut of a good one crashes, and what parses prints itself") {
    const std::string text =
        "01234567-89ab-cdef-0123-456789abcdef@ncacn_http:[::1][6001,RpcProxy=[::2]:443,"
        "HttpUseTls=true,HttpAuthOption=ntlm]";
    for (std::size_t n = 0; n <= text.size(); ++n) {
        const auto b = parse_string_binding(text.substr(0, n));
        if (b) CHECK(*parse_string_binding(b->to_string()) == *b);
    }
    CHECK(parse_string_binding(text));
}
