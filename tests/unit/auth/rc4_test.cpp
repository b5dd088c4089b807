#include <rpch/auth/rc4.hpp>

#include <doctest/doctest.h>

#include "tests/support/bytes.hpp"

using namespace rpch;

TEST_CASE("rc4: RFC 6229, keys of 40 and 128 bits, at offsets 0, 16 and 4096") {
    const struct {
        std::string_view key, at_0, at_16, at_4096;
    } vectors[] = {
        {"0102030405", "b2396305f03dc027ccc3524a0a1118a8", "6982944f18fc82d589c403a47a0d0919",
         "ff25b58995996707e51fbdf08b34d875"},
        {"0102030405060708090a0b0c0d0e0f10", "9ac7cc9a609d1ef7b2932899cde41b97",
         "5248c4959014126a6e8a84f11d1a9e1c", "a36a4c301ae8ac13610ccbc12256cacc"},
    };
    for (const auto& v : vectors) {
        auth::rc4 stream(test::hex(v.key));
        test::bytes out(4096 + 16);
        stream.apply(out);
        const auto part = [&](std::ptrdiff_t at) {
            return test::bytes(out.begin() + at, out.begin() + at + 16);
        };
        CHECK(part(0) == test::hex(v.at_0));
        CHECK(part(16) == test::hex(v.at_16));
        CHECK(part(4096) == test::hex(v.at_4096));
    }
}

TEST_CASE("rc4: a text enciphered in parts") {
    const std::string_view text = "Attack at dawn";
    test::bytes out;
    for (const std::byte b : core::as_bytes(text)) out.push_back(b);
    auth::rc4 stream(core::as_bytes("Secret"));
    stream.apply(std::span(out).first(3));
    stream.apply({});
    stream.apply(std::span(out).subspan(3));
    CHECK(out == test::hex("45a01f645fc35b383552544b9bf5"));
}

TEST_CASE("rc4: wherever a text is cut, the key stream goes on") {
    test::bytes whole(40);
    auth::rc4(core::as_bytes("Key")).apply(whole);
    for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
        test::bytes out(whole.size());
        auth::rc4 stream(core::as_bytes("Key"));
        stream.apply(std::span(out).first(cut));
        stream.apply(std::span(out).subspan(cut));
        CHECK(out == whole);
    }
}
