// What only LM and NTLMv1 need, for the example values of [MS-NLMP] 4.2.2 and 4.2.3. The library
// has none of it and shall not: what these responses prove leads back to the password.
#ifndef RPCH_TESTS_SUPPORT_NTLMV1_HPP
#define RPCH_TESTS_SUPPORT_NTLMV1_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <rpch/auth/md4.hpp>
#include <rpch/auth/ntlm_crypto.hpp>
#include <rpch/auth/ntlm_messages.hpp>
#include <rpch/auth/rc4.hpp>

#include <mbedtls/des.h>

#include "tests/support/bytes.hpp"

namespace test::ntlmv1 {

using rpch::byte_span;
using rpch::byte_view;
using rpch::auth::ntlm_key;

/// Flags that the library does not know, 2.2.2.5.
inline constexpr std::uint32_t lm_key = 0x0000'0080;
inline constexpr std::uint32_t request_non_nt_session_key = 0x0040'0000;

/// DES(), section 6: one block.
/// @param key  7 bytes, of which DES takes 7 bits at a time; its parity bits stay zero.
inline bytes des(byte_view key, byte_view block) {
    std::uint64_t bits = 0;
    for (const std::byte b : key.first<7>()) bits = bits << 8 | std::to_integer<std::uint64_t>(b);
    std::array<unsigned char, 8> spread{}, in{}, out{};
    for (unsigned i = 0; i < 8; ++i)
        spread[i] = static_cast<unsigned char>((bits >> (49 - 7 * i) & 0x7F) << 1);
    for (unsigned i = 0; i < 8; ++i) in[i] = std::to_integer<unsigned char>(block[i]);
    mbedtls_des_context context;
    mbedtls_des_init(&context);
    static_cast<void>(mbedtls_des_setkey_enc(&context, spread.data()));
    static_cast<void>(mbedtls_des_crypt_ecb(&context, in.data(), out.data()));
    mbedtls_des_free(&context);
    bytes result;
    for (const unsigned char c : out) result.push_back(std::byte{c});
    return result;
}

/// DESL(), section 6: one block under a key of 16 bytes and five zeros, cut in three.
inline bytes desl(const ntlm_key& key, byte_view block) {
    bytes whole(key.bytes.begin(), key.bytes.end());
    whole.resize(21);
    bytes out;
    for (std::size_t at = 0; at < whole.size(); at += 7) {
        const bytes part = des(byte_view(whole).subspan(at), block);
        out.insert(out.end(), part.begin(), part.end());
    }
    return out;
}

/// LMOWFv1(), 3.3.1.
/// @param password  ASCII, at most 14 characters.
inline ntlm_key lmowf(std::string_view password) {
    bytes upper;
    for (const char c : password)
        upper.push_back(static_cast<std::byte>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c));
    upper.resize(14);
    const byte_view constant = rpch::core::as_bytes("KGS!@#$%");
    ntlm_key out;
    std::ranges::copy(des(byte_view(upper).first(7), constant), out.bytes.begin());
    std::ranges::copy(des(byte_view(upper).subspan(7), constant), out.bytes.begin() + 8);
    return out;
}

/// SessionBaseKey, 3.3.1.
inline ntlm_key session_base_key(const ntlm_key& nt_hash) {
    ntlm_key out;
    rpch::auth::md4 hash;
    hash.update(nt_hash.bytes);
    hash.finish(out.bytes);
    return out;
}

/// NtChallengeResponse with extended session security, 3.3.1.
inline bytes nt_response(const rpch::auth::ntlm_environment& env, const ntlm_key& nt_hash,
                         byte_view server_challenge, byte_view client_challenge) {
    const byte_view pieces[] = {server_challenge, client_challenge};
    ntlm_key digest;
    env.md5(pieces, digest.bytes);
    return desl(nt_hash, digest.bytes);
}

/// KXKEY() of NTLMv1, 3.4.5.1.
inline ntlm_key kxkey(const rpch::auth::ntlm_environment& env, std::uint32_t flags,
                      const ntlm_key& base, const ntlm_key& lm_hash, byte_view lm_response,
                      byte_view server_challenge) {
    ntlm_key out;
    if ((flags & rpch::auth::ntlm_flag::extended_security) != 0) {
        const byte_view pieces[] = {server_challenge, lm_response.first(8)};
        env.hmac_md5(base.bytes, pieces, out.bytes);
    } else if ((flags & lm_key) != 0) {
        bytes second(7, std::byte{0xBD});
        second[0] = lm_hash.bytes[7];
        std::ranges::copy(des(lm_hash.bytes, lm_response), out.bytes.begin());
        std::ranges::copy(des(second, lm_response), out.bytes.begin() + 8);
    } else if ((flags & request_non_nt_session_key) != 0) {
        std::ranges::copy(std::span(lm_hash.bytes).first<8>(), out.bytes.begin());
    } else {
        out = base;
    }
    return out;
}

/// CRC32(), section 6.
inline std::uint32_t crc32(byte_view message) {
    std::uint32_t out = ~std::uint32_t{0};
    for (const std::byte b : message) {
        out ^= std::to_integer<std::uint32_t>(b);
        for (int bit = 0; bit < 8; ++bit) out = out >> 1 ^ (out & 1 ? 0xEDB8'8320U : 0U);
    }
    return ~out;
}

/// SEAL() without extended session security, 3.4.3 and 3.4.4.1; neither LM_KEY nor datagrams, so
/// that SEALKEY() is the session key itself (3.4.5.3).
/// @param message  encrypted in place.
/// @return the signature. Its RandomPad is what the cipher made of four zeros: 3.4.4.1 sets it back
///         to zero in the end, the example 4.2.2.4 does not.
inline bytes seal(rpch::auth::rc4& handle, std::uint32_t number, byte_span message) {
    bytes out(16);
    out[0] = std::byte{1};
    constexpr auto little = rpch::core::byte_order::little;
    rpch::core::store(out.data() + 8, crc32(message), little);
    handle.apply(message);
    handle.apply(std::span(out).subspan(4));
    const auto covered = rpch::core::load<std::uint32_t>(out.data() + 12, little);
    rpch::core::store(out.data() + 12, covered ^ number, little);
    return out;
}

} // namespace test::ntlmv1

#endif
