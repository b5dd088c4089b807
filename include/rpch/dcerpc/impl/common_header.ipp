#include <rpch/dcerpc/common_header.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

RPCH_DECL result<common_header> decode_common_header(byte_view in) noexcept {
    if (in.size() < common_header_bytes) return fail(errc::truncated);
    const auto length = peek_frag_length(in);
    if (!length) return fail(length.error());
    common_header h;
    const auto type = std::to_integer<unsigned>(in[2]);
    const bool known = type == 0 || type == 2 || type == 3 || (type >= 11 && type <= 20);
    if (!known) return fail(errc::bad_pdu_type);
    h.type = static_cast<pdu_type>(type);
    h.flags = std::to_integer<std::uint8_t>(in[3]);
    h.order = (std::to_integer<unsigned>(in[4]) >> 4) == 1 ? core::byte_order::little
                                                           : core::byte_order::big;
    h.frag_length = **length;
    h.auth_length = core::load<std::uint16_t>(in.data() + 10, h.order);
    h.call_id = core::load<std::uint32_t>(in.data() + 12, h.order);
    return h;
}

RPCH_DECL void encode_common_header(const common_header& h, std::span<std::byte, 16> out) noexcept {
    out[0] = std::byte{5};
    out[1] = std::byte{0};
    out[2] = static_cast<std::byte>(h.type);
    out[3] = static_cast<std::byte>(h.flags);
    out[4] = h.order == core::byte_order::little ? std::byte{0x10} : std::byte{0};
    out[5] = out[6] = out[7] = std::byte{0};
    core::store(out.data() + 8, h.frag_length, h.order);
    core::store(out.data() + 10, h.auth_length, h.order);
    core::store(out.data() + 12, h.call_id, h.order);
}

} // namespace rpch::inline RPCH_ABI::dcerpc
