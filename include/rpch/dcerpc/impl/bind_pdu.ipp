#include <rpch/dcerpc/bind_pdu.hpp>

#include <array>

#include <rpch/core/reader.hpp>
#include <rpch/dcerpc/detail/pdu_writer.hpp>
#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

namespace detail {

inline constexpr std::size_t bind_header_bytes = 28;   ///< Up to and with the count of contexts.
inline constexpr std::size_t padded_from = 24;         ///< Where pad_length may reach back to.
inline constexpr std::size_t syntax_bytes = 20;        ///< p_syntax_id_t
inline constexpr std::size_t context_bytes = 24;       ///< p_cont_elem_t without transfer syntaxes.
inline constexpr std::size_t result_bytes = 24;        ///< p_result_t
inline constexpr std::size_t bind_ack_head_bytes = 26; ///< Up to and with the address's length.

/// The first 8 octets of the UUID that carries the feature bitmask, in the order of its text,
/// [MS-RPCE] 3.3.1.5.3.
inline constexpr std::array<std::uint8_t, 8> feature_prefix{0x6C, 0xB7, 0x1C, 0x2C,
                                                            0x98, 0x12, 0x45, 0x40};

RPCH_DECL interface_id to_syntax(std::span<const std::byte, syntax_bytes> wire,
                                 core::byte_order order) noexcept {
    const auto version = core::load<std::uint32_t>(wire.data() + 16, order);
    return {uuid::decode(wire.first<16>(), order), static_cast<std::uint16_t>(version & 0xFFFF),
            static_cast<std::uint16_t>(version >> 16)};
}

/// Reads one p_cont_elem_t.
RPCH_DECL result<presentation_context> take_context(core::reader& in) {
    const auto head = in.take<context_bytes>();
    if (!head) return fail(errc::truncated);
    presentation_context out;
    out.id = core::load<std::uint16_t>(head->data(), in.order());
    out.interface = to_syntax(head->subspan<4, syntax_bytes>(), in.order());
    const auto count = std::to_integer<std::size_t>((*head)[2]);
    // Windows answers such a context with bind_nak or a fault rather than with a rejection.
    if (count == 0) return fail(errc::bad_value);
    if (count > limits::transfer_syntaxes_max) return fail(errc::too_many);
    if (in.remaining() < count * syntax_bytes) return fail(errc::truncated);
    out.transfer_syntaxes.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
        out.transfer_syntaxes.push_back(to_syntax(*in.take<syntax_bytes>(), in.order()));
    return out;
}

/// The bytes of a bind's contexts.
RPCH_DECL std::size_t contexts_bytes(const bind& p) noexcept {
    std::size_t n = 0;
    for (const presentation_context& c : p.contexts)
        n += context_bytes + c.transfer_syntaxes.size() * syntax_bytes;
    return n;
}
/// The bytes of port_any_t with its zero, padded to 4 bytes of the PDU; its length field included.
RPCH_DECL std::size_t address_bytes(const bind_ack& p) noexcept {
    const std::size_t n = 2 + (p.secondary_address.empty() ? 0 : p.secondary_address.size() + 1);
    return (n + 3) / 4 * 4;
}

} // namespace detail

RPCH_DECL interface_id feature_syntax(std::uint8_t features) noexcept {
    std::array<std::byte, 16> wire{};
    for (std::size_t i = 0; i < detail::feature_prefix.size(); ++i)
        wire[i] = static_cast<std::byte>(detail::feature_prefix[i]);
    wire[8] = static_cast<std::byte>(features);
    return {uuid::decode(wire, core::byte_order::big), 1, 0};
}

RPCH_DECL std::optional<std::uint8_t> features_of(const interface_id& syntax) noexcept {
    const auto& octets = syntax.id.octets();
    for (std::size_t i = 0; i < detail::feature_prefix.size(); ++i)
        if (octets[i] != detail::feature_prefix[i]) return std::nullopt;
    if (syntax.major != 1 || syntax.minor != 0) return std::nullopt;
    return octets[8];
}

RPCH_DECL const char* name(bind_reject_reason r) noexcept {
    switch (r) {
    case bind_reject_reason::not_specified: return "bind_nak: reason_not_specified";
    case bind_reject_reason::temporary_congestion: return "bind_nak: temporary_congestion";
    case bind_reject_reason::local_limit_exceeded: return "bind_nak: local_limit_exceeded";
    case bind_reject_reason::protocol_version_not_supported:
        return "bind_nak: protocol_version_not_supported";
    case bind_reject_reason::authentication_type_not_recognized:
        return "bind_nak: authentication_type_not_recognized";
    case bind_reject_reason::invalid_checksum: return "bind_nak: invalid_checksum";
    }
    return "bind_nak: a reason that is not defined";
}

RPCH_DECL result<bind> decode_bind(byte_view pdu, pdu_type type) {
    const auto h = detail::decode_header_of(pdu, type);
    if (!h) return fail(h.error());
    if (pdu.size() < detail::bind_header_bytes) // what is announced behind it does not fit either
        return fail(h->auth_length != 0 ? errc::bad_auth_length : errc::truncated);
    // Windows takes any pad_length that would fit a request, and reads the contexts all the same.
    const auto body = detail::split_verifier(pdu, *h, detail::padded_from);
    if (!body) return fail(body.error());
    const std::size_t verifier = body->auth ? sec_trailer_bytes + body->auth->token.size() : 0;
    if (pdu.size() < detail::bind_header_bytes + verifier) return fail(errc::bad_auth_length);
    const std::size_t length = pdu.size() - verifier - detail::bind_header_bytes;
    const byte_view content = pdu.subspan(detail::bind_header_bytes, length);
    bind out;
    out.header = *h;
    out.max_xmit_frag = core::load<std::uint16_t>(pdu.data() + 16, h->order);
    out.max_recv_frag = core::load<std::uint16_t>(pdu.data() + 18, h->order);
    out.assoc_group_id = core::load<std::uint32_t>(pdu.data() + 20, h->order);
    out.auth = body->auth;
    const auto count = std::to_integer<std::size_t>(pdu[24]);
    if (count == 0) return fail(errc::bad_value);
    core::reader in(content, h->order);
    if (in.remaining() < count * (detail::context_bytes + detail::syntax_bytes))
        return fail(errc::truncated);
    out.contexts.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        auto context = detail::take_context(in);
        if (!context) return fail(context.error());
        out.contexts.push_back(std::move(*context));
    }
    // A body that a verifier follows may be padded without pad_length telling so.
    if (in.remaining() != 0 && !out.auth) return fail(errc::trailing_bytes);
    return out;
}

RPCH_DECL result<bind_ack> decode_bind_ack(byte_view pdu, pdu_type type) {
    const auto h = detail::decode_header_of(pdu, type);
    if (!h) return fail(h.error());
    if (pdu.size() < detail::bind_ack_head_bytes) return fail(errc::truncated);
    const auto body = detail::split_verifier(pdu, *h, common_header_bytes);
    if (!body) return fail(body.error());
    core::reader in(body->content, h->order);
    const auto fixed = in.take<10>();
    if (!fixed) return fail(errc::truncated);
    bind_ack out;
    out.header = *h;
    out.max_xmit_frag = core::load<std::uint16_t>(fixed->data(), h->order);
    out.max_recv_frag = core::load<std::uint16_t>(fixed->data() + 2, h->order);
    out.assoc_group_id = core::load<std::uint32_t>(fixed->data() + 4, h->order);
    out.auth = body->auth;
    const auto address = in.take(core::load<std::uint16_t>(fixed->data() + 8, h->order));
    if (!address) return fail(errc::truncated);
    out.secondary_address = core::as_text(*address);
    out.secondary_address = out.secondary_address.substr(0, out.secondary_address.find('\0'));
    if (!in.align(4)) return fail(errc::truncated); // the body begins at 16, itself a multiple of 4
    const auto head = in.take<4>();
    if (!head) return fail(errc::truncated);
    const auto count = std::to_integer<std::size_t>((*head)[0]);
    if (in.remaining() < count * detail::result_bytes) return fail(errc::truncated);
    out.results.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto wire = *in.take<detail::result_bytes>();
        context_result one;
        one.answer = static_cast<context_answer>(core::load<std::uint16_t>(wire.data(), h->order));
        one.reason = core::load<std::uint16_t>(wire.data() + 2, h->order);
        one.transfer_syntax = detail::to_syntax(wire.subspan<4, detail::syntax_bytes>(), h->order);
        out.results.push_back(one);
    }
    // A sec_trailer without a token is how Windows answers a leg that it has no answer to.
    if (in.remaining() != 0 && in.remaining() != sec_trailer_bytes && !out.auth)
        return fail(errc::trailing_bytes);
    return out;
}

RPCH_DECL result<bind_nak> decode_bind_nak(byte_view pdu) noexcept {
    const auto h = detail::decode_header_of(pdu, pdu_type::bind_nak);
    if (!h) return fail(h.error());
    if (pdu.size() < common_header_bytes + 2) return fail(errc::truncated);
    return bind_nak{
        *h, static_cast<bind_reject_reason>(core::load<std::uint16_t>(pdu.data() + 16, h->order))};
}

RPCH_DECL result<auth3> decode_auth3(byte_view pdu) noexcept {
    const auto h = detail::decode_header_of(pdu, pdu_type::auth3);
    if (!h) return fail(h.error());
    const auto body = detail::split_verifier(pdu, *h, common_header_bytes);
    if (!body) return fail(body.error());
    // The four octets in front, [MS-RPCE] 2.2.2.10, are ignored; they are no padding of the
    // verifier.
    if (!body->auth || body->auth->pad_length != 0) return fail(errc::bad_auth_length);
    return auth3{*h, *body->auth};
}

RPCH_DECL result<shutdown> decode_shutdown(byte_view pdu) noexcept {
    const auto h = detail::decode_header_of(pdu, pdu_type::shutdown);
    if (!h) return fail(h.error());
    if (pdu.size() != common_header_bytes) return fail(errc::trailing_bytes);
    return shutdown{*h};
}

RPCH_DECL std::size_t encoded_size(const bind& p) noexcept {
    return detail::size_with(p.auth, detail::bind_header_bytes, detail::contexts_bytes(p),
                             detail::body_alignment);
}
RPCH_DECL std::size_t encoded_size(const bind_ack& p) noexcept {
    const std::size_t body =
        8 + detail::address_bytes(p) + 4 + p.results.size() * detail::result_bytes;
    return detail::size_with(p.auth, common_header_bytes, body, detail::body_alignment);
}
RPCH_DECL std::size_t encoded_size(const bind_nak&) noexcept { return common_header_bytes + 8; }
RPCH_DECL std::size_t encoded_size(const auth3& p) noexcept {
    return common_header_bytes + 4 + sec_trailer_bytes + p.auth.token.size();
}
RPCH_DECL std::size_t encoded_size(const shutdown&) noexcept { return common_header_bytes; }

RPCH_DECL std::size_t encode_bind(const bind& p, byte_span out, pdu_type type) noexcept {
    if (p.contexts.size() > 0xFF) return 0;
    detail::pdu_writer w(out, p.header, type, encoded_size(p), p.auth);
    w.to.put_u16(p.max_xmit_frag);
    w.to.put_u16(p.max_recv_frag);
    w.to.put_u32(p.assoc_group_id);
    w.to.put_u8(static_cast<std::uint8_t>(p.contexts.size()));
    w.to.put_zeros(3);
    for (const presentation_context& c : p.contexts) {
        if (c.transfer_syntaxes.size() > 0xFF) return 0;
        w.to.put_u16(c.id);
        w.to.put_u8(static_cast<std::uint8_t>(c.transfer_syntaxes.size()));
        w.to.put_u8(0);
        w.put(c.interface);
        for (const interface_id& syntax : c.transfer_syntaxes) w.put(syntax);
    }
    w.put_verifier(p.auth, 0); // whatever the contexts, they end at a multiple of 4
    return w.finish();
}

RPCH_DECL std::size_t encode_bind_ack(const bind_ack& p, byte_span out, pdu_type type) noexcept {
    if (p.results.size() > 0xFF || p.secondary_address.size() >= 0xFFFF) return 0;
    const bool has_address = !p.secondary_address.empty();
    const std::size_t length = has_address ? p.secondary_address.size() + 1 : 0;
    detail::pdu_writer w(out, p.header, type, encoded_size(p), p.auth);
    w.to.put_u16(p.max_xmit_frag);
    w.to.put_u16(p.max_recv_frag);
    w.to.put_u32(p.assoc_group_id);
    w.to.put_u16(static_cast<std::uint16_t>(length));
    w.to.put_bytes(core::as_bytes(p.secondary_address));
    w.to.put_zeros(detail::address_bytes(p) - 2 - p.secondary_address.size());
    w.to.put_u8(static_cast<std::uint8_t>(p.results.size()));
    w.to.put_zeros(3);
    for (const context_result& r : p.results) {
        w.to.put_u16(static_cast<std::uint16_t>(r.answer));
        w.to.put_u16(r.reason);
        w.put(r.transfer_syntax);
    }
    w.put_verifier(p.auth, 0);
    return w.finish();
}

RPCH_DECL std::size_t encode_bind_nak(const bind_nak& p, byte_span out) noexcept {
    detail::pdu_writer w(out, p.header, pdu_type::bind_nak, encoded_size(p), std::nullopt);
    w.to.put_u16(static_cast<std::uint16_t>(p.reason));
    w.to.put_u8(1); // one supported version, 5.0
    w.to.put_u8(5);
    w.to.put_u8(0);
    w.to.put_zeros(3);
    return w.finish();
}

RPCH_DECL std::size_t encode_auth3(const auth3& p, byte_span out) noexcept {
    detail::pdu_writer w(out, p.header, pdu_type::auth3, encoded_size(p), p.auth);
    w.to.put_zeros(4);
    w.put_verifier(p.auth, 0);
    return w.finish();
}

RPCH_DECL std::size_t encode_shutdown(const shutdown& p, byte_span out) noexcept {
    return detail::pdu_writer(out, p.header, pdu_type::shutdown, encoded_size(p), std::nullopt)
        .finish();
}

} // namespace rpch::inline RPCH_ABI::dcerpc
