#include <rpch/transport/ntlm_environment.hpp>

#include <doctest/doctest.h>

#include <chrono>

#include "tests/support/bytes.hpp"

using namespace rpch;

TEST_CASE("ntlm environment: MD5 of RFC 1321 A.5 and HMAC-MD5 of RFC 2202 2, in pieces") {
    const auto& env = transport::system_ntlm_environment();
    REQUIRE(env.has_md5());
    test::bytes out(16);
    const byte_view digest[] = {core::as_bytes("message "), {}, core::as_bytes("digest")};
    env.md5(digest, std::span(out).first<16>());
    CHECK(out == test::hex("f96b697d7cb7938d525a2f31aaf161d0"));
    const byte_view want[] = {core::as_bytes("what do ya want "), core::as_bytes("for nothing?")};
    env.hmac_md5(core::as_bytes("Jefe"), want, std::span(out).first<16>());
    CHECK(out == test::hex("750c783e6ab0b503eaa86e310a5db738"));
}

TEST_CASE("ntlm environment: the time is FILETIME, and random bytes differ") {
    const auto& env = transport::system_ntlm_environment();
    const auto unix_seconds = std::chrono::duration_cast<std::chrono::seconds>(
                                  std::chrono::system_clock::now().time_since_epoch())
                                  .count();
    const auto seconds = static_cast<std::int64_t>(env.filetime_now() / 10'000'000);
    CHECK(std::abs(seconds - 11'644'473'600 - unix_seconds) <= 2);
    test::bytes a(16), b(16);
    CHECK_FALSE(env.fill_random(a));
    CHECK_FALSE(env.fill_random(b));
    CHECK(a != b);
}
