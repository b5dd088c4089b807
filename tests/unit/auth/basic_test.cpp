#include <rpch/auth/basic.hpp>

#include <doctest/doctest.h>

#include <rpch/core/base64.hpp>
#include <rpch/limits.hpp>

using namespace rpch;
using namespace rpch::auth;

namespace {
/// The value that says `text` as it stands.
std::string basic(std::string_view text) {
    return "Basic " + core::base64_encode(core::as_bytes(text));
}

std::error_code decode_error(std::string_view value) {
    const auto out = decode_basic(value);
    return out ? std::error_code{} : out.error();
}
} // namespace

TEST_CASE("basic: the examples of RFC 7617") {
    CHECK(encode_basic("Aladdin", "open sesame")->view() == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    CHECK(encode_basic("test", "123\xC2\xA3")->view() == "Basic dGVzdDoxMjPCow==");
    const auto back = decode_basic("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    REQUIRE(back);
    CHECK(back->name == "Aladdin");
    CHECK(back->password.view() == "open sesame");
    CHECK(back->domain.empty());
}

TEST_CASE("basic: what impacket and Samba send") {
    const auto impacket = decode_basic("Basic bGFidXNlcjpsYWJwYXNz");
    REQUIRE(impacket);
    CHECK(impacket->name == "labuser");
    CHECK(impacket->password.view() == "labpass");
    const auto samba = decode_basic("Basic TEFCXEFkbWluaXN0cmF0b3I6UGFzc3cwcmQubGFi");
    REQUIRE(samba);
    CHECK(samba->domain == "LAB");
    CHECK(samba->name == "Administrator");
    CHECK(samba->password.view() == "Passw0rd.lab");
    CHECK_FALSE(samba->is_anonymous());
    const auto nobody = decode_basic("Basic XDoobnVsbCk=");
    REQUIRE(nobody);
    CHECK(nobody->is_anonymous());
    CHECK(decode_basic(basic(":"))->is_anonymous());
}

TEST_CASE("basic: the first colon and the first backslash separate") {
    const auto out = decode_basic(basic("D\\a\\b:c:d\\e"));
    REQUIRE(out);
    CHECK(out->domain == "D");
    CHECK(out->name == "a\\b");
    CHECK(out->password.view() == "c:d\\e");
    CHECK(decode_basic(basic("name@corp.example:x"))->name == "name@corp.example");
    CHECK(decode_basic("bAsIc   " + core::base64_encode(core::as_bytes("a:")) + " ")
              ->password.empty());
}

TEST_CASE("basic: Latin-1 is told from UTF-8 and both become UTF-8") {
    CHECK(decode_basic(basic("J\xC3\xBCrgen:\xE2\x82\xAC"))->name == "J\xC3\xBCrgen");
    const auto latin = decode_basic(basic("J\xFCrgen:pa\xDF"));
    REQUIRE(latin);
    CHECK(latin->name == "J\xC3\xBCrgen");
    CHECK(latin->password.view() == "pa\xC3\x9F");
    CHECK(encode_basic("J\xC3\xBCrgen", "pa\xC3\x9F", charset::latin1)->view() ==
          basic("J\xFCrgen:pa\xDF"));
    CHECK(encode_basic("a", "\xE2\x82\xAC", charset::latin1).error() == errc::bad_credentials);
    for (const char* overlong : {"\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                 "\xF8\x88\x80\x80\x80", "\xC3"})
        CHECK(encode_basic("a", overlong).error() == errc::bad_credentials);
}

TEST_CASE("basic: what is malformed is refused") {
    for (const std::string& value :
         {std::string(""), std::string("Basic"), std::string("Basic "), std::string("NTLM TlRM"),
          std::string("Basicx QTpi"), std::string("Basic QTpi QTpi"), std::string("Basic QTp"),
          std::string("Basic !!!!"), basic("no colon"), basic("a\r\nb:c"), basic("a:b\x7f"),
          basic(std::string_view("a\0b:c", 5))}) {
        CAPTURE(value);
        CHECK(decode_error(value) == errc::bad_credentials);
    }
    CHECK(encode_basic("a:b", "c").error() == errc::bad_credentials);
    CHECK(encode_basic("a\n", "c").error() == errc::bad_credentials);
    CHECK(encode_basic("a", "c\r").error() == errc::bad_credentials);
}

TEST_CASE("basic: sizes at the limit pass, one more does not") {
    const std::string password(limits::basic_credentials_bytes_max - 2, 'x');
    const auto value = encode_basic("a", password);
    REQUIRE(value);
    CHECK(decode_basic(value->view())->password.view() == password);
    CHECK(encode_basic("a", password + "x").error() == errc::bad_credentials);
    CHECK(decode_error(basic("a:" + password + "x")) == errc::bad_credentials);
    CHECK(decode_error(basic("a:" + password + std::string(1000, 'x'))) == errc::bad_credentials);
    const std::string wide(limits::basic_credentials_bytes_max - 2, '\xFC'); // doubles in UTF-8
    CHECK(decode_basic(basic("a:" + wide))->password.size() == wide.size() * 2);
}
