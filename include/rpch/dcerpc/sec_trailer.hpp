// The authentication verifier at the end of a PDU, [C706] 13.2.6 and [MS-RPCE] 2.2.2.11. It is
// parsed and bounded here and kept as a view; what the token means is the security provider's
// business.
#ifndef RPCH_DCERPC_SEC_TRAILER_HPP
#define RPCH_DCERPC_SEC_TRAILER_HPP

#include <cstddef>
#include <cstdint>
#include <optional>

#include <rpch/core/bytes.hpp>
#include <rpch/dcerpc/common_header.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

inline constexpr std::size_t sec_trailer_bytes = 8;

/// sec_trailer and auth_value.
struct sec_trailer {
    std::uint8_t auth_type = 0;  ///< Security provider, [MS-RPCE] 2.2.1.1.7.
    std::uint8_t auth_level = 0; ///< Authentication level, [MS-RPCE] 2.2.1.1.8.
    std::uint8_t pad_length =
        0; ///< Bytes of padding before the trailer; encoders choose their own.
    std::uint32_t context_id = 0; ///< Security context, [MS-RPCE] 3.3.1.5.4.
    byte_view token{};            ///< auth_value; a view into the PDU.
};

namespace detail {

/// The bytes between a PDU's fixed fields and its verifier, and the verifier.
struct verified_body {
    byte_view content;
    std::optional<sec_trailer> auth;
};

/// Splits the verifier from the end of a PDU.
/// @param pdu      borrowed; the whole PDU, frag_length bytes.
/// @param body_at  where the variable part begins, in bytes from the start of the PDU.
/// @errors errc::bad_auth_length if trailer, token or padding do not fit, errc::too_large if the
/// token
///         is above limits::auth_token_bytes_max.
RPCH_DECL result<verified_body> split_verifier(byte_view pdu, const common_header& h,
                                               std::size_t body_at) noexcept;

/// Decodes the common header of a whole PDU of one type.
/// @errors as decode_common_header, errc::bad_pdu_type for another type, errc::truncated and
///         errc::trailing_bytes if `pdu` is not frag_length bytes long.
[[nodiscard]] inline result<common_header> decode_header_of(byte_view pdu,
                                                            pdu_type wanted) noexcept {
    auto h = decode_common_header(pdu);
    if (!h) return h;
    if (h->type != wanted) return fail(errc::bad_pdu_type);
    if (pdu.size() != h->frag_length)
        return fail(pdu.size() < h->frag_length ? errc::truncated : errc::trailing_bytes);
    return h;
}

} // namespace detail
} // namespace rpch::inline RPCH_ABI::dcerpc

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/dcerpc/impl/sec_trailer.ipp>
#endif

#endif
