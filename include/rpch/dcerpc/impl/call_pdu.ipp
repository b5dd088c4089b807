#include <rpch/dcerpc/call_pdu.hpp>
#include <rpch/dcerpc/detail/pdu_writer.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

RPCH_DECL result<fault> decode_fault(byte_view pdu) noexcept {
    const auto h = detail::decode_header_of(pdu, pdu_type::fault);
    if (!h) return fail(h.error());
    // Some servers leave out reserved2, the last four octets of the fixed part.
    constexpr std::size_t shortest = fault_bytes - 4;
    if (pdu.size() < shortest) return fail(errc::truncated);
    const auto body = detail::split_verifier(pdu, *h, shortest);
    if (!body) return fail(body.error());
    fault out;
    out.header = *h;
    out.alloc_hint = core::load<std::uint32_t>(pdu.data() + 16, h->order);
    out.context_id = core::load<std::uint16_t>(pdu.data() + 20, h->order);
    out.cancel_count = std::to_integer<std::uint8_t>(pdu[22]);
    out.has_extended_error = (pdu[23] & std::byte{1}) != std::byte{0};
    out.status = static_cast<rpc_status>(core::load<std::uint32_t>(pdu.data() + 24, h->order));
    if (body->content.size() > 4) out.extended_error = body->content.subspan(4);
    out.auth = body->auth;
    return out;
}

RPCH_DECL result<call_notice> decode_call_notice(byte_view pdu, pdu_type type) noexcept {
    const auto h = detail::decode_header_of(pdu, type);
    if (!h) return fail(h.error());
    const auto body = detail::split_verifier(pdu, *h, common_header_bytes);
    if (!body) return fail(body.error());
    if (!body->content.empty()) return fail(errc::trailing_bytes);
    return call_notice{*h, body->auth};
}

RPCH_DECL std::size_t encoded_size(const request& p) noexcept {
    const std::size_t head = request_header_bytes + (p.object ? object_uuid_bytes : 0);
    return detail::size_with(p.auth, head, p.stub.size(), detail::stub_alignment);
}
RPCH_DECL std::size_t encoded_size(const response& p) noexcept {
    return detail::size_with(p.auth, response_header_bytes, p.stub.size(), detail::stub_alignment);
}
RPCH_DECL std::size_t encoded_size(const fault& p) noexcept {
    return detail::size_with(p.auth, fault_bytes, 0, detail::stub_alignment);
}
RPCH_DECL std::size_t encoded_size(const call_notice& p) noexcept {
    return detail::size_with(p.auth, common_header_bytes, 0, detail::body_alignment);
}

RPCH_DECL std::size_t encode_request(const request& p, byte_span out) noexcept {
    common_header h = p.header;
    h.flags = static_cast<std::uint8_t>(h.flags & ~pfc::object_uuid);
    if (p.object) h.flags |= pfc::object_uuid;
    detail::pdu_writer w(out, h, pdu_type::request, encoded_size(p), p.auth);
    w.to.put_u32(p.alloc_hint);
    w.to.put_u16(p.context_id);
    w.to.put_u16(p.opnum);
    if (p.object) w.put(*p.object);
    w.to.put_bytes(p.stub);
    w.put_verifier(p.auth, detail::padding_for(p.auth, p.stub.size(), detail::stub_alignment));
    return w.finish();
}

RPCH_DECL std::size_t encode_response(const response& p, byte_span out) noexcept {
    detail::pdu_writer w(out, p.header, pdu_type::response, encoded_size(p), p.auth);
    w.to.put_u32(p.alloc_hint);
    w.to.put_u16(p.context_id);
    w.to.put_u8(p.cancel_count);
    w.to.put_u8(0);
    w.to.put_bytes(p.stub);
    w.put_verifier(p.auth, detail::padding_for(p.auth, p.stub.size(), detail::stub_alignment));
    return w.finish();
}

RPCH_DECL std::size_t encode_fault(const fault& p, byte_span out) noexcept {
    detail::pdu_writer w(out, p.header, pdu_type::fault, encoded_size(p), p.auth);
    w.to.put_u32(p.alloc_hint);
    w.to.put_u16(p.context_id);
    w.to.put_u8(p.cancel_count);
    w.to.put_u8(0);
    w.to.put_u32(static_cast<std::uint32_t>(p.status));
    w.to.put_u32(0);
    w.put_verifier(p.auth, 0);
    return w.finish();
}

RPCH_DECL std::size_t encode_call_notice(const call_notice& p, pdu_type type,
                                         byte_span out) noexcept {
    detail::pdu_writer w(out, p.header, type, encoded_size(p), p.auth);
    w.put_verifier(p.auth, 0);
    return w.finish();
}

} // namespace rpch::inline RPCH_ABI::dcerpc
