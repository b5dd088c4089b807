#include <rpch/transport/detail/certificate.hpp>

#include <doctest/doctest.h>

#include "tests/support/bytes.hpp"
#include "tests/support/certificates.hpp"

using namespace rpch;
using namespace rpch::transport;
using namespace rpch::transport::detail;

namespace {

std::string ip_hex(std::string_view text) {
    const auto address = parse_ip(text);
    return address ? core::to_hex(address->view()) : "none";
}

/// basicConstraints and a subjectAltName of a.b, 10.0.0.1 and an empty e-mail address.
const auto extensions = test::hex("3026"
                                  "300c 0603551d13 0101ff 0402 3000" // basicConstraints, critical
                                  "3016 0603551d11 040f 300d 8203612e62 87040a000001 8100");

} // namespace

TEST_CASE("certificate: addresses are told from names") {
    CHECK(ip_hex("10.0.0.1") == "0a000001");
    CHECK(ip_hex("::1") == "00000000000000000000000000000001");
    CHECK(ip_hex("[2001:db8::5]") == "20010db8000000000000000000000005");
    CHECK(ip_hex("fe80::1%1") == "fe800000000000000000000000000001");
    for (const auto* name : {"", "localhost", "10.0.0", "10.0.0.256", "10.0.0.1.", "a:b", "[]",
                             "[::1", "10.0.0.1%1", "010.0.0.1x"}) {
        CAPTURE(name);
        CHECK(ip_hex(name) == "none");
    }
}

TEST_CASE("certificate: alternative names are found behind other extensions") {
    const auto names = find_alternative_names(extensions);
    REQUIRE(names);
    REQUIRE(names->dns.size() == 1);
    CHECK(core::as_text(names->dns[0]) == "a.b");
    REQUIRE(names->ip.size() == 1);
    CHECK(core::to_hex(names->ip[0]) == "0a000001");
    CHECK(find_alternative_names({})->dns.empty());
}

TEST_CASE("certificate: extensions cut anywhere are refused") {
    for (std::size_t n = 1; n < extensions.size(); ++n) {
        CAPTURE(n);
        const test::bytes cut(extensions.begin(),
                              extensions.begin() + static_cast<std::ptrdiff_t>(n));
        CHECK_FALSE(find_alternative_names(cut));
    }
}

TEST_CASE("certificate: any changed byte gives names or an error, and reads nothing outside") {
    for (std::size_t at = 0; at < extensions.size(); ++at)
        for (unsigned bit = 0; bit < 8; ++bit) {
            auto changed = extensions;
            changed[at] ^= static_cast<std::byte>(1u << bit);
            const auto names = find_alternative_names(changed);
            if (names) CHECK(names->dns.size() + names->ip.size() <= 3);
        }
}

TEST_CASE("certificate: an address matches whole or not at all") {
    tls::certificate crt;
    const auto& pem = test::server_certificate().certificate_pem;
    REQUIRE(mbedtls_x509_crt_parse(crt.get(), tls::chars(pem), pem.size() + 1) == 0);
    CHECK(is_for_ip(*crt.get(), *parse_ip("127.0.0.1")));
    CHECK(is_for_ip(*crt.get(), *parse_ip("::1")));
    CHECK_FALSE(is_for_ip(*crt.get(), *parse_ip("127.0.0.2")));
    CHECK_FALSE(is_for_ip(*crt.get(), *parse_ip("::2")));
    CHECK(subject_of(*crt.get()) == "CN=test server");
    CHECK(issuer_of(*crt.get()) == "CN=test authority");
    // RFC 5929 4.1: the digest of the signature, which is SHA-256 here.
    std::array<unsigned char, 32> expected{};
    REQUIRE(mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), crt->raw.p, crt->raw.len,
                       expected.data()) == 0);
    CHECK(core::to_hex(end_point_hash(*crt.get())) ==
          core::to_hex(std::as_bytes(std::span(expected))));
}

// Made with `openssl req -x509 -sha1` and `-sha384`; the hashes are what `openssl dgst` says of the
// DER form.
constexpr const char* signed_with_sha1 =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBcjCCARqgAwIBAgIUDO8jmvrVWDE7k+v7jNMql1wEzyQwCQYHKoZIzj0EATAP\n"
    "MQ0wCwYDVQQDDARzaGExMCAXDTI2MTEyNTA2NDMxMloYDzIwODEwODI4MDY0MzEy\n"
    "WjAPMQ0wCwYDVQQDDARzaGExMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEPtl9\n"
    "BiyCtX9pM4JSonS53gcnMa/QzADCehQGA13+hWAnEDw8C24+d6DPX9l7+nohi4PM\n"
    "AWdhzSPzmmhg49gKUKNTMFEwHQYDVR0OBBYEFIPX1Z8W+x0Ukg4KTNLVwfLYEQKK\n"
    "MB8GA1UdIwQYMBaAFIPX1Z8W+x0Ukg4KTNLVwfLYEQKKMA8GA1UdEwEB/wQFMAMB\n"
    "Af8wCQYHKoZIzj0EAQNHADBEAiBwDLYOk5PsiihOwTdlKLEQ5t3Pm3GZrJjyLUKW\n"
    "TrADtQIgV/4toKcjj5hOIKyeSyG501z4BiPyDAoHsdX2PMpLGpE=\n"
    "-----END CERTIFICATE-----\n";
constexpr const char* signed_with_sha384 =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBeDCCAR+gAwIBAgIUL/vShN6tIQvgaatvo49bE7GNeqQwCgYIKoZIzj0EAwMw\n"
    "ETEPMA0GA1UEAwwGc2hhMzg0MCAXDTI2MTEyNTA2NDMxMloYDzIwODEwODI4MDY0\n"
    "MzEyWjARMQ8wDQYDVQQDDAZzaGEzODQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n"
    "AAT/CfnJxbS1jwAB91AaY2aHWzubVXpDI3FsihP2YIlQm7DCse1rIvOM3wyzwgM1\n"
    "xcLMrxMoNoWhDdqlllELlEwCo1MwUTAdBgNVHQ4EFgQUhw8ZkAbY8JjZC3UWgvbT\n"
    "OkD1iXgwHwYDVR0jBBgwFoAUhw8ZkAbY8JjZC3UWgvbTOkD1iXgwDwYDVR0TAQH/\n"
    "BAUwAwEB/zAKBggqhkjOPQQDAwNHADBEAiB7pNpr2zoJqM2uAvBKSTsFWTF9Rqxg\n"
    "0CcIximTvW/JHwIgTqbcMNIfxkTUSmnVAVWe9zZkVdaQRrt0rJtLQY3U09c=\n"
    "-----END CERTIFICATE-----\n";

TEST_CASE("certificate: the end point's hash is that of the signature, and SHA-256 for weak ones") {
    const auto hash_of = [](const char* pem) {
        tls::certificate crt;
        const std::string text = pem;
        REQUIRE(mbedtls_x509_crt_parse(crt.get(), tls::chars(text), text.size() + 1) == 0);
        return core::to_hex(end_point_hash(*crt.get()));
    };
    // RFC 5929 4.1.
    CHECK(hash_of(signed_with_sha1) ==
          "c718c7e3b5a7a57cc70de6b387fd2b0b2bcdabc89bcf591247524482cf9edefb");
    CHECK(hash_of(signed_with_sha384) ==
          "0b1f93e83d1508722382eea4baecf89992e8bb09562bbc4c166a0b8f364d0fb4"
          "f4a5177c938dc44ab8b20ea00b1845a8");
}

TEST_CASE("certificate: flags have texts and an order of gravity") {
    CHECK(verify_flags_text(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_NOT_TRUSTED) ==
          "not signed by a trusted authority; expired");
    CHECK(verify_flags_text(0x40000000) == "another check failed");
    CHECK(verify_flags_error(MBEDTLS_X509_BADCERT_FUTURE) == errc::tls_expired);
    CHECK(verify_flags_error(MBEDTLS_X509_BADCERT_FUTURE | MBEDTLS_X509_BADCERT_CN_MISMATCH) ==
          errc::tls_name_mismatch);
    CHECK(verify_flags_error(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_BAD_KEY) ==
          errc::tls_untrusted);
}

TEST_CASE("self-signed: names that would change the certificate's meaning are refused") {
    for (const auto* name : {"", "a,O=b", "a=b", "a\\b", "a\nb"}) {
        CAPTURE(name);
        CHECK(test_authority::make(name).error() == errc::bad_setting);
        CHECK(test::authority().issue({.common_name = name}).error() == errc::bad_setting);
    }
    CHECK(test::authority().issue({.ip_addresses = {"localhost"}}).error() == errc::bad_setting);
    CHECK(test::authority().issue({.dns_names = {""}}).error() == errc::bad_setting);
    std::vector<std::string> many(200, std::string(100, 'a'));
    const auto large = test::authority().issue({.dns_names = many});
    if (large) { // lengths above 255 in the DER
        tls::certificate crt;
        const auto& pem = large->certificate_pem;
        REQUIRE(mbedtls_x509_crt_parse(crt.get(), tls::chars(pem), pem.size() + 1) == 0);
        CHECK(names_of(*crt.get()) == many);
    } else {
        CHECK(large.error() == errc::bad_setting);
    }
    many.resize(10);
    CHECK(test::authority().issue({.dns_names = many}));
}
