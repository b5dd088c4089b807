// The common header of connection-oriented PDUs, [C706] 12.6.3.1. RTS PDUs stand behind it as well.
#ifndef RPCH_DCERPC_COMMON_HEADER_HPP
#define RPCH_DCERPC_COMMON_HEADER_HPP

#include <cstddef>
#include <cstdint>
#include <optional>

#include <rpch/core/bytes.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

/// PTYPE, [C706] 12.6.3.1 and [MS-RPCE] 2.2.2.4; `rts` is [MS-RPCH] 2.2.3.6.1.
enum class pdu_type : std::uint8_t {
    request = 0,
    response = 2,
    fault = 3,
    bind = 11,
    bind_ack = 12,
    bind_nak = 13,
    alter_context = 14,
    alter_context_resp = 15,
    auth3 = 16,
    shutdown = 17,
    co_cancel = 18,
    orphaned = 19,
    rts = 20,
};

/// pfc_flags, [C706] 12.6.3.1. Bit 0x04 is PENDING_CANCEL in requests and SUPPORT_HEADER_SIGN in
/// bind and alter_context PDUs, [MS-RPCE] 2.2.2.3.
namespace pfc {
inline constexpr std::uint8_t first_frag = 0x01;
inline constexpr std::uint8_t last_frag = 0x02;
inline constexpr std::uint8_t pending_cancel = 0x04;
inline constexpr std::uint8_t support_header_sign = 0x04;
inline constexpr std::uint8_t concurrent_multiplexing = 0x10;
inline constexpr std::uint8_t did_not_execute = 0x20;
inline constexpr std::uint8_t maybe = 0x40;
inline constexpr std::uint8_t object_uuid = 0x80;
} // namespace pfc

inline constexpr std::size_t common_header_bytes = 16;

/// The first 16 bytes of every PDU.
struct common_header {
    pdu_type type{};
    std::uint8_t flags = 0; ///< pfc::*
    core::byte_order order = core::byte_order::little;
    std::uint16_t frag_length = 0; ///< Bytes of the whole PDU.
    std::uint16_t auth_length = 0; ///< Bytes of the auth_value; the sec_trailer is not counted.
    std::uint32_t call_id = 0;

    [[nodiscard]] constexpr bool is_first() const noexcept {
        return (flags & pfc::first_frag) != 0;
    }
    [[nodiscard]] constexpr bool is_last() const noexcept { return (flags & pfc::last_frag) != 0; }
    constexpr bool operator==(const common_header&) const noexcept = default;
};

/// Finds the length of the PDU that starts at the front of `in`, from its first 10 bytes.
/// @return the frag_length, 16 to 65535; nothing if fewer than 10 bytes are there yet.
/// @errors errc::bad_version, errc::bad_data_representation (byte order nibble),
///         errc::bad_frag_length (below the common header).
[[nodiscard]] inline result<std::optional<std::uint16_t>> peek_frag_length(byte_view in) noexcept {
    if (in.size() < 10) return std::optional<std::uint16_t>{};
    if (in[0] != std::byte{5} || std::to_integer<unsigned>(in[1]) > 1)
        return fail(errc::bad_version);
    const auto representation = std::to_integer<unsigned>(in[4]) >> 4;
    if (representation > 1) return fail(errc::bad_data_representation);
    const auto order = representation == 1 ? core::byte_order::little : core::byte_order::big;
    const auto length = core::load<std::uint16_t>(in.data() + 8, order);
    if (length < common_header_bytes) return fail(errc::bad_frag_length);
    return std::optional<std::uint16_t>{length};
}

/// @return the PTYPE at the front of `in`, unchecked; `in` must have 3 bytes.
[[nodiscard]] inline pdu_type peek_type(byte_view in) noexcept {
    return static_cast<pdu_type>(in[2]);
}

/// Decodes the common header, [C706] 12.6.3.1. Character and floating-point representation are the
/// marshaller's to judge.
/// @param in  borrowed; the whole PDU or at least its first 16 bytes.
/// @errors errc::truncated, errc::bad_version, errc::bad_data_representation,
///         errc::bad_frag_length, errc::bad_pdu_type.
RPCH_DECL result<common_header> decode_common_header(byte_view in) noexcept;

/// Encodes the common header, little-endian unless `h.order` says otherwise, ASCII, IEEE.
RPCH_DECL void encode_common_header(const common_header& h, std::span<std::byte, 16> out) noexcept;

} // namespace rpch::inline RPCH_ABI::dcerpc

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/dcerpc/impl/common_header.ipp>
#endif

#endif
