// The security contexts of a connection at work: signatures and seals of whole PDUs, [C706] 13.2.6
// and [MS-RPCE] 3.3.1.5.2.
#ifndef RPCH_DCERPC_DETAIL_SECURITY_HPP
#define RPCH_DCERPC_DETAIL_SECURITY_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <system_error>
#include <vector>

#include <rpch/auth/security_context.hpp>
#include <rpch/core/bytes.hpp>
#include <rpch/dcerpc/detail/fragment_size.hpp>
#include <rpch/dcerpc/detail/pdu_writer.hpp>
#include <rpch/dcerpc/sec_trailer.hpp>
#include <rpch/limits.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::dcerpc::detail {

/// One security context of a connection, and what its sec_trailers say.
struct security_slot {
    std::uint32_t id = 0; ///< auth_context_id
    auth::security_provider provider = auth::security_provider::none;
    auth::authentication_level level = auth::authentication_level::none;
    std::unique_ptr<auth::security_context> context{};

    [[nodiscard]] bool signs() const noexcept { return auth::signs(level); }
    [[nodiscard]] bool seals() const noexcept {
        return level == auth::authentication_level::privacy;
    }
    /// @return whether headers are signed, if the connection has agreed to it or not.
    [[nodiscard]] bool signs_headers(bool agreed) const noexcept {
        return agreed || context->always_signs_headers();
    }
    /// @return bytes of a PDU's verifier.
    [[nodiscard]] std::size_t verifier_bytes() const noexcept {
        return sec_trailer_bytes + context->signature_bytes(seals());
    }
    /// @return whether a verifier is one of this context.
    [[nodiscard]] bool matches(const sec_trailer& t) const noexcept {
        return t.context_id == id && t.auth_type == static_cast<std::uint8_t>(provider) &&
               t.auth_level == static_cast<std::uint8_t>(level);
    }
    /// @return a trailer with `token`, which is borrowed.
    [[nodiscard]] sec_trailer trailer(byte_view token) const noexcept {
        return {.auth_type = static_cast<std::uint8_t>(provider),
                .auth_level = static_cast<std::uint8_t>(level),
                .context_id = id,
                .token = token};
    }
};

/// What stands in a PDU where its signature will be.
inline constexpr std::array<std::byte, limits::signature_bytes_max> no_signature{};

/// @param slot  null, or one that may not sign: nothing then.
/// @return the trailer of a PDU that protect() will sign.
[[nodiscard]] inline std::optional<sec_trailer> unsigned_trailer(const security_slot* slot) {
    if (slot == nullptr || !slot->signs()) return std::nullopt;
    const std::size_t n = slot->context->signature_bytes(slot->seals());
    return slot->trailer(byte_view(no_signature).first(n));
}

/// @return the stub bytes of the next fragment, as stub_share(); a fragment that is signed carries
///         a multiple of 16 unless it is the last, so that its padding is none.
[[nodiscard]] inline std::size_t protected_share(std::size_t left, std::size_t fragment_bytes,
                                                 std::size_t header_bytes,
                                                 const security_slot* slot) noexcept {
    if (slot == nullptr || !slot->signs()) return stub_share(left, fragment_bytes, header_bytes);
    const std::size_t room = fragment_bytes - header_bytes - slot->verifier_bytes();
    return std::min(left, room & ~(stub_alignment - 1));
}

/// Signs an encoded PDU with an unsigned_trailer(), and seals its stub data if the level says so.
/// @param pdu      the whole PDU, changed in place.
/// @param body_at  where the stub data begin.
RPCH_DECL std::error_code protect(security_slot& slot, bool header_signing, byte_span pdu,
                                  std::size_t body_at);

/// Verifies, and unseals, the stub data of a received PDU.
/// @param t        its verifier, as split_verifier() found it.
/// @param scratch  holds the unsealed bytes; the view ends with its next use.
/// @return the stub data without padding: a view into `pdu`, or into `scratch` if it was sealed.
/// @errors errc::bad_signature; errc::authentication_failed before the context is established.
RPCH_DECL result<byte_view> unprotect(security_slot& slot, bool header_signing, byte_view pdu,
                                      const sec_trailer& t, std::size_t body_at,
                                      std::vector<std::byte>& scratch);

} // namespace rpch::inline RPCH_ABI::dcerpc::detail

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/dcerpc/impl/security.ipp>
#endif

#endif
