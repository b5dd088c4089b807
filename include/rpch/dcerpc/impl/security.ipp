#include <rpch/dcerpc/detail/security.hpp>

namespace rpch::inline RPCH_ABI::dcerpc::detail {

RPCH_DECL std::error_code protect(security_slot& slot, bool header_signing, byte_span pdu,
                                  std::size_t body_at) {
    const std::size_t tail_at = pdu.size() - slot.verifier_bytes();
    const byte_span signature = pdu.subspan(tail_at + sec_trailer_bytes);
    auth::protected_message m;
    m.body = pdu.subspan(body_at, tail_at - body_at);
    if (slot.signs_headers(header_signing)) {
        m.head = pdu.first(body_at);
        m.tail = pdu.subspan(tail_at, sec_trailer_bytes);
    }
    return slot.context->protect(slot.seals(), m, signature);
}

RPCH_DECL result<byte_view> unprotect(security_slot& slot, bool header_signing, byte_view pdu,
                                      const sec_trailer& t, std::size_t body_at,
                                      std::vector<std::byte>& scratch) {
    if (!slot.context->is_established()) return fail(errc::authentication_failed);
    const std::size_t tail_at = pdu.size() - t.token.size() - sec_trailer_bytes;
    if (tail_at < body_at || tail_at - body_at < t.pad_length) return fail(errc::bad_auth_length);
    // Where the sec_trailer is not signed, whoever sits between may claim stub data to be padding.
    if (!slot.signs_headers(header_signing) && t.pad_length >= stub_alignment)
        return fail(errc::bad_auth_length);
    const byte_view received = pdu.subspan(body_at, tail_at - body_at);
    auth::protected_message m;
    if (slot.seals()) {
        scratch.assign(received.begin(), received.end());
        m.body = scratch;
    } else {
        // What is only signed is only read; the interface has one type for both.
        m.body = {const_cast<std::byte*>(received.data()), received.size()};
    }
    if (slot.signs_headers(header_signing)) {
        m.head = pdu.first(body_at);
        m.tail = pdu.subspan(tail_at, sec_trailer_bytes);
    }
    if (const auto ec = slot.context->unprotect(slot.seals(), m, t.token)) return fail(ec);
    return byte_view(m.body).first(m.body.size() - t.pad_length);
}

} // namespace rpch::inline RPCH_ABI::dcerpc::detail
