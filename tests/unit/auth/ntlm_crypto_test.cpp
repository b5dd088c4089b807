#include <rpch/auth/ntlm_crypto.hpp>

#include <doctest/doctest.h>

#include <rpch/auth/ntlm_messages.hpp>
#include <rpch/auth/ntlm_text.hpp>

#include "ntlm_support.hpp"
#include "tests/support/bytes.hpp"

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
test::bytes plaintext() { return copy(ntlm_to_utf16("Plaintext")->bytes()); }

} // namespace

TEST_CASE("ntlm crypto: [MS-NLMP] 4.2.2.1.2, NTOWFv1") {
    CHECK(copy(ntowf_v1(password)->bytes) == test::hex("a4f49c406510bdcab6824ee7c30fd852"));
    CHECK(ntowf_v1("\xFF").error() == errc::bad_credentials);
    CHECK(ntowf_v1(std::string(1025, 'x')).error() == errc::bad_credentials);
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
    const auto exported = key("eb93429a8bd952f8b89c55b87f475edc"); // KXKEY of 4.2.3.1
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
