// The PDUs of a call: request, response, fault, co_cancel and orphaned, [C706] 12.6.4.
#ifndef RPCH_DCERPC_CALL_PDU_HPP
#define RPCH_DCERPC_CALL_PDU_HPP

#include <cstddef>
#include <cstdint>
#include <optional>

#include <rpch/core/bytes.hpp>
#include <rpch/core/uuid.hpp>
#include <rpch/dcerpc/common_header.hpp>
#include <rpch/dcerpc/sec_trailer.hpp>
#include <rpch/error.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

inline constexpr std::size_t request_header_bytes = 24; ///< Without the object UUID.
inline constexpr std::size_t object_uuid_bytes = 16;
inline constexpr std::size_t response_header_bytes = 24;
inline constexpr std::size_t fault_bytes = 32;

// Every struct is what decode gives and encode takes. Encoders use call_id, flags and order of the
// header; type, frag_length, auth_length and the object flag follow from the content. Views point
// into the PDU that was decoded and end with it.

/// request, [C706] 12.6.4.9.
struct request {
    common_header header{};
    std::uint32_t alloc_hint =
        0; ///< Stub bytes from this fragment on, or 0; a hint, never a promise.
    std::uint16_t context_id = 0;
    std::uint16_t opnum = 0;
    std::optional<uuid> object{};
    byte_view stub{};
    std::optional<sec_trailer> auth{};
};

/// response, [C706] 12.6.4.10.
struct response {
    common_header header{};
    std::uint32_t alloc_hint = 0;
    std::uint16_t context_id = 0;
    std::uint8_t cancel_count = 0;
    byte_view stub{};
    std::optional<sec_trailer> auth{};
};

/// fault, [C706] 12.6.4.7 and [MS-RPCE] 2.2.2.8 on extended error information.
struct fault {
    common_header header{}; ///< pfc::did_not_execute tells that the call had no effect.
    std::uint32_t alloc_hint = 0;
    std::uint16_t context_id = 0;
    std::uint8_t cancel_count = 0;
    bool has_extended_error = false; ///< Bit 0 of the reserved octet.
    rpc_status status = rpc_status::ok;
    byte_view extended_error{}; ///< What follows the fixed part; not interpreted. Not encoded.
    std::optional<sec_trailer> auth{};
};

/// co_cancel, [C706] 12.6.4.6, and orphaned, 12.6.4.8: a header and perhaps a verifier.
struct call_notice {
    common_header header{};
    std::optional<sec_trailer> auth{};
};

/// Decodes a request. Never allocates.
/// @param pdu  borrowed; one whole PDU, frag_length bytes.
/// @errors those of detail::decode_header_of and detail::split_verifier; errc::truncated if the
/// fixed
///         part or the object UUID is not complete.
[[nodiscard]] inline result<request> decode_request(byte_view pdu) noexcept;
/// Decodes a response. Errors as decode_request.
[[nodiscard]] inline result<response> decode_response(byte_view pdu) noexcept;
/// Decodes a fault. The last 4 reserved octets may be missing. Errors as decode_request.
RPCH_DECL result<fault> decode_fault(byte_view pdu) noexcept;
/// Decodes a co_cancel or, by `type`, an orphaned. Errors as decode_request; errc::trailing_bytes
/// if there is a body.
RPCH_DECL result<call_notice> decode_call_notice(byte_view pdu, pdu_type type) noexcept;

/// @return the bytes that encode_x writes for this PDU, padding before the verifier included.
[[nodiscard]] RPCH_DECL std::size_t encoded_size(const request& p) noexcept;
[[nodiscard]] RPCH_DECL std::size_t encoded_size(const response& p) noexcept;
[[nodiscard]] RPCH_DECL std::size_t encoded_size(const fault& p) noexcept;
[[nodiscard]] RPCH_DECL std::size_t encoded_size(const call_notice& p) noexcept;

/// Writes one whole PDU to the front of `out`.
/// @return encoded_size(p); 0, with the content of `out` undefined, if that is more than out.size()
/// or
///         than the 65535 that frag_length can tell.
[[nodiscard]] RPCH_DECL std::size_t encode_request(const request& p, byte_span out) noexcept;
[[nodiscard]] RPCH_DECL std::size_t encode_response(const response& p, byte_span out) noexcept;
[[nodiscard]] RPCH_DECL std::size_t encode_fault(const fault& p, byte_span out) noexcept;
[[nodiscard]] RPCH_DECL std::size_t encode_call_notice(const call_notice& p, pdu_type type,
                                                       byte_span out) noexcept;

// request and response are decoded once per fragment: inline, and without a result<> in between.
inline result<request> decode_request(byte_view pdu) noexcept {
    result<request> out{tl::in_place};
    request& r = *out;
    bool is_whole = false;
    const bool is_header =
        detail::read_header_of(pdu, pdu_type::request, r.header, [&](auto order) {
            is_whole = pdu.size() >= request_header_bytes;
            if (!is_whole) return;
            r.alloc_hint = core::load<std::uint32_t>(pdu.data() + 16, order);
            r.context_id = core::load<std::uint16_t>(pdu.data() + 20, order);
            r.opnum = core::load<std::uint16_t>(pdu.data() + 22, order);
        });
    if (!is_header) return fail(detail::header_error(pdu, pdu_type::request));
    if (!is_whole) return fail(errc::truncated);
    std::size_t body_at = request_header_bytes;
    if ((r.header.flags & pfc::object_uuid) != 0) {
        body_at += object_uuid_bytes;
        if (pdu.size() < body_at) return fail(errc::truncated);
        r.object =
            uuid::decode(pdu.subspan<request_header_bytes, object_uuid_bytes>(), r.header.order);
    }
    if (r.header.auth_length == 0) {
        r.stub = pdu.subspan(body_at);
        return out;
    }
    const auto body = detail::split_verifier(pdu, r.header, body_at);
    if (!body) return fail(body.error());
    r.stub = body->content;
    r.auth = body->auth;
    return out;
}

inline result<response> decode_response(byte_view pdu) noexcept {
    result<response> out{tl::in_place};
    response& r = *out;
    bool is_whole = false;
    const bool is_header =
        detail::read_header_of(pdu, pdu_type::response, r.header, [&](auto order) {
            is_whole = pdu.size() >= response_header_bytes;
            if (!is_whole) return;
            r.alloc_hint = core::load<std::uint32_t>(pdu.data() + 16, order);
            r.context_id = core::load<std::uint16_t>(pdu.data() + 20, order);
            r.cancel_count = std::to_integer<std::uint8_t>(pdu[22]);
        });
    if (!is_header) return fail(detail::header_error(pdu, pdu_type::response));
    if (!is_whole) return fail(errc::truncated);
    if (r.header.auth_length == 0) {
        r.stub = pdu.subspan(response_header_bytes);
        return out;
    }
    const auto body = detail::split_verifier(pdu, r.header, response_header_bytes);
    if (!body) return fail(body.error());
    r.stub = body->content;
    r.auth = body->auth;
    return out;
}

} // namespace rpch::inline RPCH_ABI::dcerpc

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/dcerpc/impl/call_pdu.ipp>
#endif

#endif
