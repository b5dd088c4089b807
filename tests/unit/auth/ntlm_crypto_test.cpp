#include <rpch/auth/ntlm_crypto.hpp>

#include <doctest/doctest.h>

#include <rpch/auth/ntlm_messages.hpp>
#include <rpch/auth/ntlm_text.hpp>

#include "ntlm_support.hpp"
#include "tests/support/bytes.hpp"
#include "tests/support/ntlmv1.hpp"

using namespace rpch;
using namespace rpch::auth;

namespace {

// [MS-NLMP] 4.2.1: what all examples have in common.
constexpr std::string_view user = "User";
constexpr std::string_view domain = "Domain";
constexpr std::string_view password = "Password";
const test::bytes server_challenge = test::hex("0123456789abcdef");
const test::bytes client_challenge(8, std::byte{0xAA});
// 4.2.4: AV pairs of domain and server.
const test::bytes target_info = test::hex("02000c0044006f006d00610069006e00"
                                          "01000c00530065007200760065007200"
                                          "00000000");
// 4.2.4: KEY_EXCH, 56, 128, VERSION, TARGET_INFO, extended session security and so on.
constexpr std::uint32_t flags_v2 = 0xE28A8233;
// 4.2.2: as 4.2.4, without target information and extended session security.
constexpr std::uint32_t flags_v1 = 0xE2028233;
// 4.2.3: extended session security with keys of 56 bits, without key exchange.
constexpr std::uint32_t flags_56 = 0x820A8233;

template <class Bytes>
test::bytes copy(const Bytes& in) {
    return test::bytes(std::begin(in), std::end(in));
}
ntlm_key key(std::string_view hex) {
    ntlm_key out;
    std::ranges::copy(test::hex(hex), out.bytes.begin());
    return out;
}
const ntlm_environment& env() { return transport::system_ntlm_environment(); }
ntlm_key response_key() { return ntowf_v2(env(), *ntowf_v1(password), user, domain).value(); }
ntlm_key lm_hash() { return test::ntlmv1::lmowf(password); }
ntlm_key session_base_key_v1() { return test::ntlmv1::session_base_key(*ntowf_v1(password)); }
/// RandomSessionKey of 4.2.1, encrypted as it travels.
test::bytes encrypted_session_key(const ntlm_key& key_exchange_key) {
    test::bytes out(16, std::byte{0x55});
    rc4(key_exchange_key.bytes).apply(out);
    return out;
}
test::bytes plaintext() { return copy(ntlm_to_utf16("Plaintext")->bytes()); }

} // namespace

TEST_CASE("ntlm crypto: [MS-NLMP] 4.2.2.1.2, NTOWFv1") {
    CHECK(copy(ntowf_v1(password)->bytes) == test::hex("a4f49c406510bdcab6824ee7c30fd852"));
    CHECK(ntowf_v1("\xFF").error() == errc::bad_credentials);
    CHECK(ntowf_v1(std::string(1025, 'x')).error() == errc::bad_credentials);
}

TEST_CASE("ntlm crypto: [MS-NLMP] 4.2.2.1.1 and 4.2.2.1.3, LMOWFv1 and the session base key") {
    CHECK(copy(lm_hash().bytes) == test::hex("e52cac67419a9a224a3b108f3fa6cb6d"));
    CHECK(copy(session_base_key_v1().bytes) == test::hex("d87262b0cde4b1cb7499becccdf10784"));
}

TEST_CASE("ntlm crypto: [MS-NLMP] 4.2.2.2, responses and session keys of NTLMv1") {
    CHECK(test::ntlmv1::desl(*ntowf_v1(password), server_challenge) ==
          test::hex("67c43011f30298a2ad35ece64f16331c44bdbed927841f94"));
    const auto lm = test::ntlmv1::desl(lm_hash(), server_challenge);
    CHECK(lm == test::hex("98def7b87f88aa5dafe2df779688a172def11c7d5ccdef13"));
    const auto exchange = [&](std::uint32_t flags) {
        return test::ntlmv1::kxkey(env(), flags, session_base_key_v1(), lm_hash(), lm,
                                   server_challenge);
    };
    CHECK(exchange(flags_v1).bytes == session_base_key_v1().bytes);
    CHECK(copy(exchange(flags_v1 | test::ntlmv1::lm_key).bytes) ==
          test::hex("b09e379f7fbecb1eaf0afdcb0383c8a0"));
    CHECK(encrypted_session_key(exchange(flags_v1)) ==
          test::hex("518822b1b3f350c8958682ecbb3e3cb7"));
    CHECK(encrypted_session_key(exchange(flags_v1 | test::ntlmv1::request_non_nt_session_key)) ==
          test::hex("7452ca55c225a1ca04b48fae32cf56fc"));
    CHECK(encrypted_session_key(exchange(flags_v1 | test::ntlmv1::lm_key)) ==
          test::hex("4cd7bb57d697ef9b549f02b8f9b37864"));
}

TEST_CASE("ntlm crypto: [MS-NLMP] 4.2.2.4, GSS_WrapEx without extended session security") {
    CHECK(test::ntlmv1::crc32(plaintext()) == 0x93AA847D);
    rc4 handle(key("55555555555555555555555555555555").bytes);
    test::bytes body = plaintext();
    CHECK(test::ntlmv1::seal(handle, 0, body) == test::hex("01000000 45c844e5 09dcd1df 2e459d36"));
    CHECK(body == test::hex("56fe04d861f9319af0d7238a2e3b4d457fb8"));
}

TEST_CASE("ntlm crypto: [MS-NLMP] 4.2.3.1 and 4.2.3.2, NTLMv1 with client challenge") {
    test::bytes lm = client_challenge; // 4.2.3.2.1
    lm.resize(24);
    CHECK(lm == test::hex("aaaaaaaaaaaaaaaa00000000000000000000000000000000"));
    CHECK(
        test::ntlmv1::nt_response(env(), *ntowf_v1(password), server_challenge, client_challenge) ==
        test::hex("7537f803ae367128ca458204bde7caf81e97ed2683267232"));
    CHECK(copy(test::ntlmv1::kxkey(env(), flags_56, session_base_key_v1(), lm_hash(), lm,
                                   server_challenge)
                   .bytes) == test::hex("eb93429a8bd952f8b89c55b87f475edc"));
}

TEST_CASE("ntlm crypto: [MS-NLMP] 4.2.4.1.1, NTOWFv2; the case of the user does not count") {
    CHECK(copy(response_key().bytes) == test::hex("0c868a403bfd7a93a3001ef22ef02e3f"));
    const auto hash = *ntowf_v1(password);
    CHECK(ntowf_v2(env(), hash, "uSER", domain)->bytes == response_key().bytes);
    CHECK(ntowf_v2(env(), hash, user, "DOMAIN")->bytes != response_key().bytes);
    CHECK(ntowf_v2(env(), hash, "\xFF", domain).error() == errc::bad_value);
}

TEST_CASE("ntlm crypto: [MS-NLMP] 4.2.4.1.2 and 4.2.4.2, session base key and responses") {
    const std::span server = std::span<const std::byte>(server_challenge).first<8>();
    const std::span client = std::span<const std::byte>(client_challenge).first<8>();
    CHECK(copy(lmv2_response(env(), response_key(), server, client)) ==
          test::hex("86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa"));
    const auto response =
        ntlmv2_response_bytes(env(), response_key(), server, client, 0, target_info);
    CHECK(response ==
          test::hex(
              "68cd0ab851e51c96aabc927bebef6a1c"
              "01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000"
              "02000c0044006f006d00610069006e0001000c005300650072007600650072000000000000000000"));
    const auto proof = ntlmv2_proof(env(), response_key(), server, byte_view(response).subspan(16));
    CHECK(copy(proof.bytes) == test::hex("68cd0ab851e51c96aabc927bebef6a1c"));
    const auto base = ntlmv2_session_base_key(env(), response_key(), proof.bytes);
    CHECK(copy(base.bytes) == test::hex("8de40ccadbc14a82f15cb0ad0de95ca3"));
    ntlm_key encrypted = key("55555555555555555555555555555555"); // 4.2.4.2.3
    rc4(base.bytes).apply(encrypted.bytes);
    CHECK(copy(encrypted.bytes) == test::hex("c5dad2544fc9799094ce1ce90bc9d03e"));
}

TEST_CASE("ntlm crypto: [MS-NLMP] 4.2.4.4, keys and GSS_WrapEx with key exchange") {
    const auto exported = key("55555555555555555555555555555555");
    CHECK(copy(ntlm_sign_key(env(), exported, true).bytes) ==
          test::hex("4788dc861b4782f35d43fd98fe1a2d39"));
    CHECK(copy(ntlm_seal_key(env(), exported, flags_v2, true).bytes) ==
          test::hex("59f600973cc4960a25480a7c196e4c58"));
    ntlm_sealing client(env(), exported, flags_v2, true);
    ntlm_sealing server(env(), exported, flags_v2, false);
    test::bytes body = plaintext();
    ntlm_sealing::signature signature{};
    REQUIRE_FALSE(client.protect(true, {.body = body}, signature));
    CHECK(body == test::hex("54e50165bf1936dc996020c1811b0f06fb5f"));
    CHECK(copy(signature) == test::hex("010000007fb38ec5c55d497600000000"));
    CHECK_FALSE(server.unprotect(true, {.body = body}, signature));
    CHECK(body == plaintext());
}

TEST_CASE("ntlm crypto: [MS-NLMP] 4.2.3.4, extended session security without key exchange") {
    const auto exported = key("eb93429a8bd952f8b89c55b87f475edc"); // KXKEY, 4.2.3.1.3
    CHECK(copy(ntlm_sign_key(env(), exported, true).bytes) ==
          test::hex("60e799be5c72fc92922ae8ebe961fb8d"));
    CHECK(copy(ntlm_seal_key(env(), exported, flags_56, true).bytes) ==
          test::hex("04dd7f014d8504d265a25cc86a3a7c06"));
    ntlm_sealing client(env(), exported, flags_56, true);
    test::bytes body = plaintext();
    ntlm_sealing::signature signature{};
    REQUIRE_FALSE(client.protect(true, {.body = body}, signature));
    CHECK(body == test::hex("a02372f6530273f3aa1eb90190ce5200c99d"));
    CHECK(copy(signature) == test::hex("01000000ff2aeb52f681793a00000000"));
}

TEST_CASE("ntlm crypto: a MIC for SPNEGO takes a sequence number and sets the key stream back") {
    const auto exported = key("55555555555555555555555555555555");
    ntlm_sealing client(env(), exported, flags_v2, true);
    ntlm_sealing server(env(), exported, flags_v2, false);
    ntlm_sealing other(env(), exported, flags_v2, true);
    const auto list = test::hex("300c060a2b06010401823702020a");
    const auto mic = client.make_mic(list);
    CHECK(client.check_mic(list, mic) == errc::authentication_failed); // our own, given back
    CHECK(server.check_mic({}, mic) == errc::authentication_failed);
    CHECK(server.check_mic(list, {}) == errc::authentication_failed);
    CHECK_FALSE(server.check_mic(list, mic));
    CHECK(server.check_mic(list, mic) == errc::authentication_failed);
    for (std::uint32_t i = 0; i < 3; ++i) {
        test::bytes body = plaintext();
        test::bytes same = plaintext();
        ntlm_sealing::signature signature{};
        ntlm_sealing::signature without{};
        REQUIRE_FALSE(client.protect(true, {.body = body}, signature));
        REQUIRE_FALSE(other.protect(true, {.body = same}, without));
        CHECK(body == same); // the key stream is where it is without the MIC
        CHECK(std::to_integer<std::uint32_t>(signature[12]) == i + 1);
        CHECK_FALSE(server.unprotect(true, {.body = body}, signature));
    }
}

TEST_CASE("ntlm crypto: channel bindings are hashed with the lengths of the addresses left out") {
    CHECK(copy(ntlm_channel_bindings(env(), {})) == test::bytes(16));
    // The structure written out, RFC 2744 3.11: four zero words, the length, the data.
    const auto whole = test::hex("00000000000000000000000000000000 03000000 616263");
    const byte_view piece = whole;
    test::bytes digest(16);
    env().md5(std::span(&piece, 1), std::span(digest).first<16>());
    CHECK(copy(ntlm_channel_bindings(env(), core::as_bytes("abc"))) == digest);
}
