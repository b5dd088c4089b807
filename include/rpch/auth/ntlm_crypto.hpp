// The functions of NTLMv2 and of its session security. [MS-NLMP] 3.3.2, 3.4.
#ifndef RPCH_AUTH_NTLM_CRYPTO_HPP
#define RPCH_AUTH_NTLM_CRYPTO_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <vector>

#include <rpch/auth/ntlm_environment.hpp>
#include <rpch/auth/rc4.hpp>
#include <rpch/auth/security_context.hpp>
#include <rpch/core/bytes.hpp>
#include <rpch/core/secret.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::auth {

/// 16 bytes that are wiped when they are destroyed: an NT hash, or one of the keys made from it.
struct ntlm_key {
    std::array<std::byte, 16> bytes{};

    ntlm_key() noexcept = default;
    ntlm_key(const ntlm_key&) noexcept = default;
    ntlm_key& operator=(const ntlm_key&) noexcept = default;
    ~ntlm_key() { core::wipe(bytes); }
};

/// NTOWFv1, [MS-NLMP] 3.3.1: MD4 of the password. The NT hash, equivalent to the password for all
/// that NTLM does.
/// @param password  UTF-8, borrowed.
/// @errors errc::bad_credentials if it is not UTF-8 or above limits::password_bytes_max.
[[nodiscard]] RPCH_DECL result<ntlm_key> ntowf_v1(std::string_view password);
/// NTOWFv2, [MS-NLMP] 3.3.2, from the NT hash.
/// @param user, domain  UTF-8; the user is put in upper case here, the domain counts as it is.
/// @errors errc::bad_value if one of them is not UTF-8.
[[nodiscard]] RPCH_DECL result<ntlm_key> ntowf_v2(const ntlm_environment& env,
                                                  const ntlm_key& nt_hash, std::string_view user,
                                                  std::string_view domain);

/// The 24 bytes of LMv2_RESPONSE, [MS-NLMP] 3.3.2.
[[nodiscard]] RPCH_DECL std::array<std::byte, 24>
lmv2_response(const ntlm_environment& env, const ntlm_key& response_key,
              std::span<const std::byte, 8> server_challenge,
              std::span<const std::byte, 8> client_challenge);
/// NTProofStr, [MS-NLMP] 3.3.2.
/// @param rest  the NTLMv2_CLIENT_CHALLENGE and what stands behind it.
[[nodiscard]] RPCH_DECL ntlm_key ntlmv2_proof(const ntlm_environment& env,
                                              const ntlm_key& response_key,
                                              std::span<const std::byte, 8> server_challenge,
                                              byte_view rest);
/// NTLMv2_RESPONSE: the proof and what it is made over.
/// @param target_info  AV_PAIRs with the one that ends them.
[[nodiscard]] RPCH_DECL std::vector<std::byte>
ntlmv2_response_bytes(const ntlm_environment& env, const ntlm_key& response_key,
                      std::span<const std::byte, 8> server_challenge,
                      std::span<const std::byte, 8> client_challenge, std::uint64_t time,
                      byte_view target_info);
/// SessionBaseKey of NTLMv2, which is its KeyExchangeKey too; [MS-NLMP] 3.3.2 and 3.4.5.1.
[[nodiscard]] RPCH_DECL ntlm_key ntlmv2_session_base_key(const ntlm_environment& env,
                                                         const ntlm_key& response_key,
                                                         std::span<const std::byte, 16> proof);
/// MIC of an AUTHENTICATE, [MS-NLMP] 3.1.5.1.2.
/// @param authenticate  with zeros in place of the MIC.
[[nodiscard]] RPCH_DECL ntlm_key ntlm_mic(const ntlm_environment& env, const ntlm_key& exported,
                                          byte_view negotiate, byte_view challenge,
                                          byte_view authenticate);
/// The value of MsvAvChannelBindings: MD5 of a gss_channel_bindings_struct that has application
/// data and no addresses. [MS-NLMP] 2.2.2.1, RFC 4121 4.1.1.2.
/// @return 16 zero bytes if there is no application data.
[[nodiscard]] RPCH_DECL std::array<std::byte, 16> ntlm_channel_bindings(const ntlm_environment& env,
                                                                        byte_view application_data);
/// SIGNKEY and SEALKEY with extended session security, [MS-NLMP] 3.4.5.2 and 3.4.5.3.
/// @param by_client  whose messages the key is for.
[[nodiscard]] RPCH_DECL ntlm_key ntlm_sign_key(const ntlm_environment& env,
                                               const ntlm_key& exported, bool by_client);
[[nodiscard]] RPCH_DECL ntlm_key ntlm_seal_key(const ntlm_environment& env,
                                               const ntlm_key& exported, std::uint32_t flags,
                                               bool by_client);

/// Signs and seals with extended session security, [MS-NLMP] 3.4.4.2. One for each end.
class ntlm_sealing {
  public:
    static constexpr std::size_t signature_bytes = 16;
    using signature = std::array<std::byte, signature_bytes>;

    /// @param env    outlives the object.
    /// @param flags  as negotiated; they have `extended_security`.
    RPCH_DECL ntlm_sealing(const ntlm_environment& env, const ntlm_key& exported,
                           std::uint32_t flags, bool is_client);

    /// As security_context::protect() and unprotect().
    [[nodiscard]] RPCH_DECL std::error_code protect(bool seal, const protected_message& message,
                                                    byte_span out);
    [[nodiscard]] RPCH_DECL std::error_code unprotect(bool sealed, const protected_message& message,
                                                      byte_view in);
    /// Signs SPNEGO's list of mechanisms. It takes a sequence number as any message does, but the
    /// key stream is set back behind it, [MS-SPNG] 3.3.5.1.
    [[nodiscard]] RPCH_DECL signature make_mic(byte_view message);
    /// @errors errc::authentication_failed; nothing is changed then.
    [[nodiscard]] RPCH_DECL std::error_code check_mic(byte_view message, byte_view mic);

  private:
    /// What belongs to one direction.
    struct direction {
        ntlm_key sign;
        ntlm_key seal;
        rc4 stream;
        std::uint64_t next = 0; ///< Wider than a SeqNum, so that none comes twice.
        RPCH_DECL direction(const ntlm_environment& env, const ntlm_key& exported,
                            std::uint32_t flags, bool by_client);
    };
    /// The signature of a message in the clear, its checksum not yet encrypted.
    [[nodiscard]] RPCH_DECL signature sign(const direction& with, std::uint32_t number,
                                           const protected_message& message) const;
    /// Encrypts the checksum if keys were exchanged, 3.4.4.2.
    RPCH_DECL void cover(rc4& stream, signature& clear) const noexcept;

    const ntlm_environment* env_;
    std::uint32_t flags_;
    direction sends_;
    direction receives_;
    bool broken_ = false;
};

} // namespace rpch::inline RPCH_ABI::auth

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/auth/impl/ntlm_crypto.ipp>
#endif

#endif
