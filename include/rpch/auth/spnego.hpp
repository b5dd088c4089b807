// SPNEGO, RFC 4178 and [MS-SPNG]: two ends agree on a mechanism, and prove with it that nobody
// changed the list it was picked from.
#ifndef RPCH_AUTH_SPNEGO_HPP
#define RPCH_AUTH_SPNEGO_HPP

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <rpch/auth/security_context.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::auth {

/// The first token of a client, NegTokenInit, RFC 4178 4.2.1; or of a server that speaks first,
/// NegTokenInit2, [MS-SPNG] 2.2.1. What is decoded borrows from the token.
struct spnego_init {
    /// The MechTypeList as sent, its SEQUENCE header included: what mechListMIC signs.
    byte_view mechanism_list{};
    /// Object identifiers in the order of preference, without tag and length.
    std::vector<byte_view> mechanisms{};
    std::optional<byte_view> token{};     ///< mechToken: of the first mechanism.
    std::optional<byte_view> hint_name{}; ///< negHints.hintName; servers only, [MS-SPNG] 2.2.1.
    std::optional<byte_view> mic{};       ///< mechListMIC.
};

/// negState, RFC 4178 4.2.2.
enum class spnego_state : std::uint8_t {
    accept_completed = 0,
    accept_incomplete = 1,
    reject = 2,
    request_mic = 3,
};

/// Every later token, NegTokenResp, RFC 4178 4.2.2. What is decoded borrows from the token.
struct spnego_response {
    std::optional<spnego_state> state{};
    std::optional<byte_view> mechanism{}; ///< supportedMech; an object identifier's content.
    std::optional<byte_view> token{};     ///< responseToken.
    std::optional<byte_view> mic{};       ///< mechListMIC.
};

/// @return the object identifier by which SPNEGO calls a mechanism, without tag and length; empty
///         for a provider that has none. [MS-SPNG] 1.9
[[nodiscard]] RPCH_DECL byte_view spnego_mechanism(security_provider provider) noexcept;
/// @return the provider of an object identifier's content; `none` if unknown. Kerberos has a second
///         one, 1.2.840.48018.1.2.2, [MS-SPNG] 1.9.
[[nodiscard]] RPCH_DECL security_provider spnego_provider(byte_view mechanism) noexcept;

/// Decodes a NegTokenInit or NegTokenInit2 in the framing of GSS-API, RFC 2743 3.1.
/// @param in  borrowed by the result; the whole token.
/// @errors errc::truncated if a length goes beyond what holds it; errc::bad_security_token for
///         anything else that is no such token, bytes behind it, more than
///         limits::auth_token_bytes_max bytes or limits::spnego_mechanisms_max mechanisms included.
[[nodiscard]] RPCH_DECL result<spnego_init> decode_spnego_init(byte_view in);
/// Decodes a NegTokenResp.
/// @param in  borrowed by the result; the whole token.
/// @errors as decode_spnego_init().
[[nodiscard]] RPCH_DECL result<spnego_response> decode_spnego_response(byte_view in);
/// Encodes a NegTokenInit with its framing; NegTokenInit2 if there is a hint.
/// @param token  mechanism_list is made from `mechanisms` and not read.
[[nodiscard]] RPCH_DECL std::vector<std::byte> encode_spnego(const spnego_init& token);
/// Encodes a NegTokenResp.
[[nodiscard]] RPCH_DECL std::vector<std::byte> encode_spnego(const spnego_response& token);
/// Encodes a MechTypeList, what mechListMIC signs. RFC 4178 5
/// @param mechanisms  contents of object identifiers.
[[nodiscard]] RPCH_DECL std::vector<std::byte>
encode_spnego_mechanisms(const std::vector<byte_view>& mechanisms);

/// Makes the contexts of clients. The mechanisms are offered in the order given; one that cannot
/// begin (no ticket, no credentials) is left out.
///
/// mechListMIC is sent and demanded as RFC 4178 5 says, and with NTLM always, as Windows and Samba
/// do, [MS-SPNG] 3.1.5.1. A server that sends none is let in if one mechanism alone was offered: no
/// list, no downgrade.
class spnego_initiator final : public security_initiator {
  public:
    /// @param mechanisms  shared with the contexts; none null. Those for which spnego_mechanism()
    /// is
    ///                    empty are left out.
    RPCH_DECL explicit spnego_initiator(
        std::vector<std::shared_ptr<security_initiator>> mechanisms);

    [[nodiscard]] security_provider provider() const noexcept override {
        return security_provider::negotiate;
    }
    /// @errors errc::security_not_supported if there is no mechanism at all. Those of the
    ///         mechanisms come from the first step() of the context.
    [[nodiscard]] RPCH_DECL result<std::unique_ptr<security_context>>
    initiate(const security_options& options) override;

  private:
    std::shared_ptr<const std::vector<std::shared_ptr<security_initiator>>> mechanisms_;
};

/// Makes the contexts of servers. The client's first mechanism that is here too is taken. A token
/// of NTLM without the framing of SPNEGO is answered likewise, as Windows does.
///
/// A client that sends no mechListMIC where one is due (another mechanism than its first was taken,
/// or its NTLM has a MIC of its own) is refused, unless it offered one mechanism alone.
class spnego_acceptor final : public security_acceptor {
  public:
    /// @param mechanisms  as of spnego_initiator.
    RPCH_DECL explicit spnego_acceptor(std::vector<std::shared_ptr<security_acceptor>> mechanisms);

    [[nodiscard]] security_provider provider() const noexcept override {
        return security_provider::negotiate;
    }
    /// @errors errc::security_not_supported if there is no mechanism at all.
    [[nodiscard]] RPCH_DECL result<std::unique_ptr<security_context>>
    accept(const security_options& options) override;

  private:
    std::shared_ptr<const std::vector<std::shared_ptr<security_acceptor>>> mechanisms_;
};

} // namespace rpch::inline RPCH_ABI::auth

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/auth/impl/spnego.ipp>
#endif

#endif
