// The authentication verifier at the end of a PDU, [C706] 13.2.6 and [MS-RPCE] 2.2.2.11. It is
// parsed and bounded here and kept as a view; what the token means is the security provider's
// business.
#ifndef RPCH_DCERPC_SEC_TRAILER_HPP
#define RPCH_DCERPC_SEC_TRAILER_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>
#include <type_traits>

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

/// @return whether the sec_trailer of a PDU that has one begins where [C706] 13.2.6.1 has it, at a
///         multiple of 4 bytes. Decoders take any; servers do not.
[[nodiscard]] constexpr bool has_aligned_verifier(const common_header& h) noexcept {
    return (h.frag_length - h.auth_length) % 4 == 0; // sec_trailer_bytes is one of them
}

/// Says what is wrong with a header that read_header_of() did not take.
RPCH_DECL std::error_code header_error(byte_view pdu, pdu_type wanted) noexcept;

/// Reads the common header of a whole PDU of one type, which is what arrives almost always: the
/// checks are made at once, and only a header that fails is looked at again for the name of its
/// error.
/// @tparam Take  called with the byte order as a std::integral_constant, so that every load of a
/// fixed
///               part is one instruction.
/// @return false if there is an error, which header_error() names.
template <class Take>
[[nodiscard]] inline bool read_header_of(byte_view pdu, pdu_type wanted, common_header& h,
                                         Take&& take) noexcept {
    if (pdu.size() < common_header_bytes) return false;
    const std::byte* p = pdu.data();
    const auto representation = std::to_integer<unsigned>(p[4]) >> 4;
    if (p[0] != std::byte{5} || p[1] > std::byte{1} || peek_type(pdu) != wanted ||
        representation > 1)
        return false;
    const auto read = [&](auto order) {
        h.type = wanted;
        h.flags = std::to_integer<std::uint8_t>(p[3]);
        h.order = order;
        h.frag_length = core::load<std::uint16_t>(p + 8, order);
        h.auth_length = core::load<std::uint16_t>(p + 10, order);
        h.call_id = core::load<std::uint32_t>(p + 12, order);
        if (h.frag_length != pdu.size()) return false;
        take(order);
        return true;
    };
    using core::byte_order;
    if (representation == 1) return read(std::integral_constant<byte_order, byte_order::little>{});
    return read(std::integral_constant<byte_order, byte_order::big>{});
}

/// Decodes the common header of a whole PDU of one type.
/// @errors as decode_common_header, errc::bad_pdu_type for another type, errc::truncated and
///         errc::trailing_bytes if `pdu` is not frag_length bytes long.
[[nodiscard]] inline result<common_header> decode_header_of(byte_view pdu,
                                                            pdu_type wanted) noexcept {
    common_header h;
    if (!read_header_of(pdu, wanted, h, [](auto) {})) return fail(header_error(pdu, wanted));
    return h;
}

} // namespace detail
} // namespace rpch::inline RPCH_ABI::dcerpc

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/dcerpc/impl/sec_trailer.ipp>
#endif

#endif
