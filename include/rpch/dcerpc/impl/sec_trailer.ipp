#include <rpch/dcerpc/sec_trailer.hpp>
#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::dcerpc::detail {

RPCH_DECL result<verified_body> split_verifier(byte_view pdu, const common_header& h,
                                               std::size_t body_at) noexcept {
    if (h.auth_length == 0) return verified_body{pdu.subspan(body_at), std::nullopt};
    if (h.auth_length > limits::auth_token_bytes_max) return fail(errc::too_large);
    // Found from the end, wherever that is: has_aligned_verifier() is for those who care.
    const std::size_t verifier = sec_trailer_bytes + h.auth_length;
    if (pdu.size() < body_at + verifier) return fail(errc::bad_auth_length);
    const std::byte* t = pdu.data() + pdu.size() - verifier;
    verified_body out;
    out.auth = sec_trailer{
        .auth_type = std::to_integer<std::uint8_t>(t[0]),
        .auth_level = std::to_integer<std::uint8_t>(t[1]),
        .pad_length = std::to_integer<std::uint8_t>(t[2]),
        .context_id = core::load<std::uint32_t>(t + 4, h.order),
        .token = pdu.last(h.auth_length),
    };
    const std::size_t padded = pdu.size() - verifier - body_at;
    if (padded < out.auth->pad_length) return fail(errc::bad_auth_length);
    out.content = pdu.subspan(body_at, padded - out.auth->pad_length);
    return out;
}

RPCH_DECL std::error_code header_error(byte_view pdu, pdu_type wanted) noexcept {
    const auto h = decode_common_header(pdu);
    if (!h) return h.error();
    if (h->type != wanted) return errc::bad_pdu_type;
    return pdu.size() < h->frag_length ? errc::truncated : errc::trailing_bytes;
}

} // namespace rpch::inline RPCH_ABI::dcerpc::detail
