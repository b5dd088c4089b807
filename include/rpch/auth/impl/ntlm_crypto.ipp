#include <rpch/auth/ntlm_crypto.hpp>

#include <algorithm>
#include <initializer_list>

#include <rpch/auth/md4.hpp>
#include <rpch/auth/ntlm_messages.hpp>
#include <rpch/auth/ntlm_text.hpp>
#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::auth {

namespace detail {

RPCH_DECL ntlm_key ntlm_hmac(const ntlm_environment& env, const ntlm_key& key,
                             std::initializer_list<byte_view> pieces) {
    ntlm_key out;
    env.hmac_md5(key.bytes, std::span(pieces.begin(), pieces.size()), out.bytes);
    return out;
}

/// MD5 over a key, as much of it as counts, and one of the constants of 3.4.5 with its zero.
RPCH_DECL ntlm_key ntlm_derived(const ntlm_environment& env, byte_view key,
                                std::string_view constant) {
    static constexpr std::byte zero{};
    const byte_view pieces[] = {key, core::as_bytes(constant), byte_view(&zero, 1)};
    ntlm_key out;
    env.md5(pieces, out.bytes);
    return out;
}

} // namespace detail

RPCH_DECL result<ntlm_key> ntowf_v1(std::string_view password) {
    if (password.size() > limits::password_bytes_max) return fail(errc::bad_credentials);
    const auto wide = ntlm_to_utf16(password);
    if (!wide) return fail(errc::bad_credentials);
    ntlm_key out;
    md4 hash;
    hash.update(wide->bytes());
    hash.finish(out.bytes);
    return out;
}

RPCH_DECL result<ntlm_key> ntowf_v2(const ntlm_environment& env, const ntlm_key& nt_hash,
                                    std::string_view user, std::string_view domain) {
    const auto wide_user = ntlm_to_utf16(user, true);
    const auto wide_domain = ntlm_to_utf16(domain);
    if (!wide_user || !wide_domain) return fail(errc::bad_value);
    return detail::ntlm_hmac(env, nt_hash, {wide_user->bytes(), wide_domain->bytes()});
}

RPCH_DECL std::array<std::byte, 24> lmv2_response(const ntlm_environment& env,
                                                  const ntlm_key& response_key,
                                                  std::span<const std::byte, 8> server_challenge,
                                                  std::span<const std::byte, 8> client_challenge) {
    const ntlm_key proof =
        detail::ntlm_hmac(env, response_key, {server_challenge, client_challenge});
    std::array<std::byte, 24> out{};
    std::ranges::copy(proof.bytes, out.begin());
    std::ranges::copy(client_challenge, out.begin() + 16);
    return out;
}

RPCH_DECL ntlm_key ntlmv2_proof(const ntlm_environment& env, const ntlm_key& response_key,
                                std::span<const std::byte, 8> server_challenge, byte_view rest) {
    return detail::ntlm_hmac(env, response_key, {server_challenge, rest});
}

RPCH_DECL std::vector<std::byte>
ntlmv2_response_bytes(const ntlm_environment& env, const ntlm_key& response_key,
                      std::span<const std::byte, 8> server_challenge,
                      std::span<const std::byte, 8> client_challenge, std::uint64_t time,
                      byte_view target_info) {
    std::vector<std::byte> out(16 + 28 + target_info.size() + 4); // 4: the zeros of 3.3.2's temp
    out[16] = out[17] = std::byte{1};
    core::store(out.data() + 24, time, core::byte_order::little);
    std::ranges::copy(client_challenge, out.begin() + 32);
    std::ranges::copy(target_info, out.begin() + 44);
    const ntlm_key proof =
        ntlmv2_proof(env, response_key, server_challenge, byte_view(out).subspan(16));
    std::ranges::copy(proof.bytes, out.begin());
    return out;
}

RPCH_DECL ntlm_key ntlmv2_session_base_key(const ntlm_environment& env,
                                           const ntlm_key& response_key,
                                           std::span<const std::byte, 16> proof) {
    return detail::ntlm_hmac(env, response_key, {proof});
}

RPCH_DECL ntlm_key ntlm_mic(const ntlm_environment& env, const ntlm_key& exported,
                            byte_view negotiate, byte_view challenge, byte_view authenticate) {
    return detail::ntlm_hmac(env, exported, {negotiate, challenge, authenticate});
}

RPCH_DECL std::array<std::byte, 16> ntlm_channel_bindings(const ntlm_environment& env,
                                                          byte_view application_data) {
    std::array<std::byte, 16> out{};
    if (application_data.empty()) return out;
    // Type and length of both addresses, then the length of the data; all 32 bits, little-endian.
    std::array<std::byte, 20> head{};
    core::store(head.data() + 16, static_cast<std::uint32_t>(application_data.size()),
                core::byte_order::little);
    const byte_view pieces[] = {head, application_data};
    env.md5(pieces, out);
    return out;
}

RPCH_DECL ntlm_key ntlm_sign_key(const ntlm_environment& env, const ntlm_key& exported,
                                 bool by_client) {
    return detail::ntlm_derived(env, exported.bytes,
                                by_client
                                    ? "session key to client-to-server signing key magic constant"
                                    : "session key to server-to-client signing key magic constant");
}

RPCH_DECL ntlm_key ntlm_seal_key(const ntlm_environment& env, const ntlm_key& exported,
                                 std::uint32_t flags, bool by_client) {
    const std::size_t counts = (flags & ntlm_flag::key_128) != 0  ? 16
                               : (flags & ntlm_flag::key_56) != 0 ? 7
                                                                  : 5;
    return detail::ntlm_derived(env, byte_view(exported.bytes).first(counts),
                                by_client
                                    ? "session key to client-to-server sealing key magic constant"
                                    : "session key to server-to-client sealing key magic constant");
}

RPCH_DECL ntlm_sealing::direction::direction(const ntlm_environment& env, const ntlm_key& exported,
                                             std::uint32_t flags, bool by_client)
    : sign(ntlm_sign_key(env, exported, by_client)),
      seal(ntlm_seal_key(env, exported, flags, by_client)),
      stream(seal.bytes) {}

RPCH_DECL ntlm_sealing::ntlm_sealing(const ntlm_environment& env, const ntlm_key& exported,
                                     std::uint32_t flags, bool is_client)
    : env_(&env),
      flags_(flags),
      sends_(env, exported, flags, is_client),
      receives_(env, exported, flags, !is_client) {}

RPCH_DECL ntlm_sealing::signature ntlm_sealing::sign(const direction& with, std::uint32_t number,
                                                     const protected_message& message) const {
    signature out{std::byte{1}}; // Version
    const auto sequence = std::span(out).last<4>();
    core::store(sequence.data(), number, core::byte_order::little);
    const byte_view pieces[] = {sequence, message.head, message.body, message.tail};
    ntlm_key mac;
    env_->hmac_md5(with.sign.bytes, pieces, mac.bytes);
    std::ranges::copy(std::span(mac.bytes).first<8>(), out.begin() + 4);
    return out;
}

RPCH_DECL void ntlm_sealing::cover(rc4& stream, signature& clear) const noexcept {
    if ((flags_ & ntlm_flag::key_exchange) != 0) stream.apply(std::span(clear).subspan<4, 8>());
}

RPCH_DECL std::error_code ntlm_sealing::protect(bool seal, const protected_message& message,
                                                byte_span out) {
    // A sequence number that came back would let an old message pass for a new one.
    if (broken_ || sends_.next > UINT32_MAX || out.size() != signature_bytes)
        return errc::authentication_failed;
    if (seal && (flags_ & ntlm_flag::seal) == 0) return errc::authentication_failed;
    // 3.4.3: the text is signed in the clear, but takes its part of the key stream first.
    signature made = sign(sends_, static_cast<std::uint32_t>(sends_.next++), message);
    if (seal) sends_.stream.apply(message.body);
    cover(sends_.stream, made);
    std::ranges::copy(made, out.begin());
    return {};
}

RPCH_DECL std::error_code ntlm_sealing::unprotect(bool sealed, const protected_message& message,
                                                  byte_view in) {
    if (broken_ || receives_.next > UINT32_MAX || in.size() != signature_bytes ||
        (sealed && (flags_ & ntlm_flag::seal) == 0)) {
        broken_ = true;
        return errc::bad_signature;
    }
    if (sealed) receives_.stream.apply(message.body);
    signature wanted = sign(receives_, static_cast<std::uint32_t>(receives_.next++), message);
    cover(receives_.stream, wanted);
    if (core::equal_constant_time(wanted, in)) return {};
    broken_ = true; // the key stream is no longer where the peer's is
    return errc::bad_signature;
}

RPCH_DECL ntlm_sealing::signature ntlm_sealing::make_mic(byte_view message) {
    rc4 stream(sends_.seal.bytes); // as it is before the first message
    signature out = sign(sends_, static_cast<std::uint32_t>(sends_.next++), {.head = message});
    cover(stream, out);
    return out;
}

RPCH_DECL std::error_code ntlm_sealing::check_mic(byte_view message, byte_view mic) {
    rc4 stream(receives_.seal.bytes);
    signature wanted =
        sign(receives_, static_cast<std::uint32_t>(receives_.next), {.head = message});
    cover(stream, wanted);
    if (!core::equal_constant_time(wanted, mic)) return errc::authentication_failed;
    ++receives_.next;
    return {};
}

} // namespace rpch::inline RPCH_ABI::auth
