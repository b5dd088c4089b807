// What the encoders of all PDUs share: the header in front and the verifier behind.
#ifndef RPCH_DCERPC_DETAIL_PDU_WRITER_HPP
#define RPCH_DCERPC_DETAIL_PDU_WRITER_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <rpch/core/uuid.hpp>
#include <rpch/core/writer.hpp>
#include <rpch/dcerpc/sec_trailer.hpp>

namespace rpch::inline RPCH_ABI::dcerpc::detail {

/// Stub bytes before a verifier fill up to 16, [MS-RPCE] 2.2.2.12; bodies of other PDUs up to 4.
inline constexpr std::size_t stub_alignment = 16;
inline constexpr std::size_t body_alignment = 4;

/// @return the padding between `body` bytes and the verifier; 0 without a verifier.
[[nodiscard]] inline std::size_t padding_for(const std::optional<sec_trailer>& auth,
                                             std::size_t body, std::size_t alignment) noexcept {
    return auth ? (alignment - body % alignment) % alignment : 0;
}
/// @return `head` and `body` bytes with padding and verifier, if there is one.
[[nodiscard]] inline std::size_t size_with(const std::optional<sec_trailer>& auth, std::size_t head,
                                           std::size_t body, std::size_t alignment) noexcept {
    const std::size_t verifier = auth ? sec_trailer_bytes + auth->token.size() : 0;
    return head + body + padding_for(auth, body, alignment) + verifier;
}

/// Writes one PDU of a size that is known before.
class pdu_writer {
  public:
    /// @param size  of the whole PDU; finish() is 0 if it is more than `out` or than frag_length
    /// can tell.
    pdu_writer(byte_span out, const common_header& h, pdu_type type, std::size_t size,
               const std::optional<sec_trailer>& auth) noexcept
        : fits_(size <= out.size() && size <= 0xFFFF &&
                (!auth || auth->token.size() <= 0xFFFF - sec_trailer_bytes)),
          size_(size),
          order_(h.order),
          to(fits_ ? out.first(size) : byte_span{}, h.order) {
        if (!fits_) return;
        common_header written = h;
        written.type = type;
        written.frag_length = static_cast<std::uint16_t>(size);
        written.auth_length = auth ? static_cast<std::uint16_t>(auth->token.size()) : 0;
        encode_common_header(written, out.first<common_header_bytes>());
        to = core::writer(out.subspan(common_header_bytes, size - common_header_bytes), h.order);
    }
    void put(const uuid& id) noexcept {
        std::array<std::byte, 16> wire;
        id.encode(wire, order_);
        to.put_bytes(wire);
    }
    void put(const interface_id& id) noexcept {
        put(id.id);
        // One 32-bit number on the wire, the minor version in its upper half, [C706] 12.6.3.1.
        to.put_u32(std::uint32_t{id.minor} << 16 | id.major);
    }
    void put_verifier(const std::optional<sec_trailer>& auth, std::size_t padding) noexcept {
        if (!auth) return;
        to.put_zeros(padding);
        to.put_u8(auth->auth_type);
        to.put_u8(auth->auth_level);
        to.put_u8(static_cast<std::uint8_t>(padding));
        to.put_u8(0);
        to.put_u32(auth->context_id);
        to.put_bytes(auth->token);
    }
    /// @return the size of the PDU; 0 if it did not fit.
    [[nodiscard]] std::size_t finish() const noexcept { return fits_ && to.ok() ? size_ : 0; }

  private:
    bool fits_;
    std::size_t size_;
    core::byte_order order_;

  public:
    core::writer to; ///< Behind the common header.
};

} // namespace rpch::inline RPCH_ABI::dcerpc::detail

#endif
