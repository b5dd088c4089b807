#include <rpch/transport/password_hash.hpp>

#include <doctest/doctest.h>

#include <rpch/transport/credential_cache.hpp>
#include <rpch/transport/detail/hmac_sha256.hpp>

#include "tests/support/bytes.hpp"

using namespace rpch;
using namespace rpch::transport;

namespace {

std::string hmac(byte_view key, std::string_view text) {
    transport::detail::hmac_sha256 mac(key);
    transport::detail::sha256_digest out{};
    mac.start().update(core::as_bytes("left over")); // a message that is begun and dropped
    mac.start().update(core::as_bytes(text)).finish(out);
    return core::to_hex(out);
}

} // namespace

TEST_CASE("HMAC-SHA256: the vectors of RFC 4231") {
    CHECK(hmac(test::bytes(20, std::byte{0x0b}), "Hi There") ==
          "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    CHECK(hmac(core::as_bytes("Jefe"), "what do ya want for nothing?") ==
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    CHECK(hmac(test::bytes(131, std::byte{0xaa}),
               "Test Using Larger Than Block-Size Key - Hash Key First") ==
          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("PBKDF2: the vectors of RFC 7914 section 11, their first block") {
    CHECK(core::to_hex(transport::detail::pbkdf2_sha256(core::as_bytes("passwd"),
                                                        core::as_bytes("salt"), 1)) ==
          "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
    CHECK(core::to_hex(transport::detail::pbkdf2_sha256(core::as_bytes("Password"),
                                                        core::as_bytes("NaCl"), 80'000)) ==
          "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56");
}

TEST_CASE("password hash: only the password itself is right") {
    const auto hash = make_password_hash("correct horse", 10);
    REQUIRE(hash);
    CHECK(hash->starts_with("$pbkdf2-sha256$i=10$"));
    CHECK(hash->find(':') == std::string::npos);
    CHECK(is_password_hash(*hash));
    CHECK(verify_password("correct horse", *hash));
    CHECK_FALSE(verify_password("correct hors", *hash));
    CHECK_FALSE(verify_password("correct horse ", *hash));
    CHECK_FALSE(verify_password("", *hash));
    CHECK(verify_password("", *make_password_hash("", 1)));
    CHECK(*make_password_hash("correct horse", 10) != *hash); // a salt of its own
}

TEST_CASE("password hash: limits on both sides") {
    CHECK(make_password_hash("a", 0).error() == errc::bad_setting);
    CHECK(make_password_hash("a", limits::password_iterations_max + 1).error() ==
          errc::bad_setting);
    const std::string longest(limits::password_bytes_max, 'a');
    CHECK(verify_password(longest, *make_password_hash(longest, 1)));
    CHECK(make_password_hash(longest + "a", 1).error() == errc::too_large);
    CHECK_FALSE(verify_password(longest + "a", *make_password_hash(longest, 1)));
}

TEST_CASE("password hash: text that is no hash fits no password") {
    const auto hash = *make_password_hash("p", 10);
    for (std::size_t n = 0; n < hash.size(); ++n) {
        CAPTURE(n);
        CHECK_FALSE(is_password_hash(hash.substr(0, n)));
        CHECK_FALSE(verify_password("p", hash.substr(0, n)));
    }
    const auto rest = hash.substr(std::string("$pbkdf2-sha256$i=10").size());
    for (const auto* number :
         {"", "0", "-1", "+1", "2000001", "99999999999999999999", "10x", " 10"}) {
        CAPTURE(number);
        CHECK_FALSE(is_password_hash(std::string("$pbkdf2-sha256$i=") + number + rest));
    }
    CHECK_FALSE(is_password_hash(hash + "A"));
    CHECK_FALSE(is_password_hash(hash + "="));
    CHECK_FALSE(is_password_hash(hash + "$"));
    CHECK_FALSE(is_password_hash("$pbkdf2-sha256$i=10$!!!$???"));
}

TEST_CASE("password hash: the decoy has the cost of a real one and fits nothing") {
    CHECK(is_password_hash(decoy_password_hash()));
    CHECK(&decoy_password_hash() == &decoy_password_hash());
    CHECK(decoy_password_hash().starts_with(
        "$pbkdf2-sha256$i=" + std::to_string(limits::password_iterations_default) + "$"));
    CHECK_FALSE(verify_password("", decoy_password_hash()));
}

TEST_CASE("credential cache: a success is remembered for its time, a failure never") {
    const auto hash = *make_password_hash("secret", 10);
    const credential_cache::clock::time_point t0{};
    credential_cache cache(std::chrono::seconds{60}, 10);
    CHECK_FALSE(cache.remembers("u", "secret", hash, t0));
    CHECK_FALSE(cache.verify("u", "wrong", hash, t0));
    CHECK(cache.size() == 0);
    CHECK(cache.verify("u", "secret", hash, t0));
    CHECK(cache.remembers("u", "secret", hash, t0 + std::chrono::seconds{59}));
    CHECK_FALSE(cache.remembers("u", "secret", hash, t0 + std::chrono::seconds{60}));
    CHECK(cache.verify("u", "secret", hash, t0 + std::chrono::seconds{60}));
    CHECK(cache.size() == 1);
}

TEST_CASE("credential cache: user, password and stored hash all belong to the answer") {
    const auto hash = *make_password_hash("secret", 10);
    const credential_cache::clock::time_point t0{};
    credential_cache cache;
    REQUIRE(cache.verify("u", "secret", hash, t0));
    CHECK_FALSE(cache.remembers("us", "ecret", hash, t0));
    CHECK_FALSE(cache.remembers("v", "secret", hash, t0));
    CHECK_FALSE(cache.remembers("u", "secret2", hash, t0));
    CHECK_FALSE(cache.remembers("u", "secret", *make_password_hash("secret", 10), t0));
    CHECK_FALSE(credential_cache{}.remembers("u", "secret", hash, t0));
}

TEST_CASE("credential cache: above its bound the entry that expires first goes") {
    const credential_cache::clock::time_point t0{};
    const auto at = [t0](int s) { return t0 + std::chrono::seconds{s}; };
    const auto hash = *make_password_hash("p", 1);
    credential_cache cache(std::chrono::seconds{60}, 2);
    REQUIRE(cache.verify("a", "p", hash, at(0)));
    REQUIRE(cache.verify("b", "p", hash, at(1)));
    REQUIRE(cache.verify("c", "p", hash, at(2)));
    CHECK(cache.size() == 2);
    CHECK_FALSE(cache.remembers("a", "p", hash, at(2)));
    CHECK(cache.remembers("b", "p", hash, at(2)));
    REQUIRE(cache.verify("d", "p", hash, at(100))); // the rest has expired
    CHECK(cache.size() == 1);
    credential_cache none(std::chrono::seconds{60}, 0);
    CHECK(none.verify("a", "p", hash, t0));
    CHECK(none.size() == 0);
}
