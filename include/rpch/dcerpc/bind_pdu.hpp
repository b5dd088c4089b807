// The PDUs that set a connection up and end it: bind, bind_ack, bind_nak, alter_context and its
// response, auth3, shutdown. [C706] 12.6.4, [MS-RPCE] 2.2.2.
#ifndef RPCH_DCERPC_BIND_PDU_HPP
#define RPCH_DCERPC_BIND_PDU_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <rpch/core/bytes.hpp>
#include <rpch/core/uuid.hpp>
#include <rpch/dcerpc/common_header.hpp>
#include <rpch/dcerpc/sec_trailer.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

/// NDR 2.0, the transfer syntax of [C706] 14.
inline constexpr interface_id ndr20{"8a885d04-1ceb-11c9-9fe8-08002b104860", 2, 0};
namespace detail {
/// NDR64, [MS-RPCE] 2.2.5, by which a client may contradict itself even where it is not offered.
inline constexpr interface_id ndr64_syntax{"71710533-beba-4937-8319-b5dbef9ccc36", 1, 0};
} // namespace detail

/// Features of a connection that client and server agree on in bind, [MS-RPCE] 2.2.2.14.
namespace bind_feature {
inline constexpr std::uint8_t security_context_multiplexing = 0x01;
inline constexpr std::uint8_t keep_connection_on_orphan = 0x02;
} // namespace bind_feature

/// @return the "transfer syntax" that carries the bitmask, [MS-RPCE] 3.3.1.5.3.
[[nodiscard]] RPCH_DECL interface_id feature_syntax(std::uint8_t features) noexcept;
/// @return the bitmask's first octet if `syntax` is a feature negotiation, else nothing.
[[nodiscard]] RPCH_DECL std::optional<std::uint8_t>
features_of(const interface_id& syntax) noexcept;

/// p_cont_elem_t: an interface and the transfer syntaxes the client can use for it.
struct presentation_context {
    std::uint16_t id = 0;
    interface_id interface {};
    std::vector<interface_id> transfer_syntaxes{};
    bool operator==(const presentation_context&) const = default;
};

/// p_cont_def_result_t and [MS-RPCE] 2.2.2.4.
enum class context_answer : std::uint16_t {
    acceptance = 0,
    user_rejection = 1,
    provider_rejection = 2,
    negotiate_ack = 3,
};

/// p_provider_reason_t.
enum class provider_reason : std::uint16_t {
    not_specified = 0,
    abstract_syntax_not_supported = 1,
    transfer_syntaxes_not_supported = 2,
    local_limit_exceeded = 3,
};

/// p_result_t. With negotiate_ack `reason` is the bitmask of agreed features.
struct context_result {
    context_answer answer = context_answer::acceptance;
    std::uint16_t reason = 0; ///< provider_reason, for rejections
    interface_id transfer_syntax{};
    bool operator==(const context_result&) const = default;
};

/// p_reject_reason_t, [MS-RPCE] 2.2.2.5.
enum class bind_reject_reason : std::uint16_t {
    not_specified = 0,
    temporary_congestion = 1,
    local_limit_exceeded = 2,
    protocol_version_not_supported = 4,
    authentication_type_not_recognized = 8,
    invalid_checksum = 9,
};
/// @return the specification's word for the reason; static.
[[nodiscard]] RPCH_DECL const char* name(bind_reject_reason r) noexcept;

// As in call_pdu.hpp: encoders use call_id, flags and order of the header, the rest follows.

/// bind, [C706] 12.6.4.3, or alter_context, 12.6.4.1.
struct bind {
    common_header header{};
    std::uint16_t max_xmit_frag = 0; ///< Bytes of the largest fragment the client sends.
    std::uint16_t max_recv_frag = 0; ///< Bytes of the largest fragment the client receives.
    std::uint32_t assoc_group_id = 0;
    std::vector<presentation_context> contexts{};
    std::optional<sec_trailer> auth{};
};

/// bind_ack, [C706] 12.6.4.4, or alter_context_resp, 12.6.4.2.
struct bind_ack {
    common_header header{};
    std::uint16_t max_xmit_frag = 0;
    std::uint16_t max_recv_frag = 0;
    std::uint32_t assoc_group_id = 0;
    std::string_view secondary_address{}; ///< A view; without the terminating zero.
    std::vector<context_result> results{};
    std::optional<sec_trailer> auth{};
};

/// bind_nak, [C706] 12.6.4.5. Of the supported versions only 5.0 is ever written, and none is read:
/// [MS-RPCE] 2.2.2.9 appends other things there.
struct bind_nak {
    common_header header{};
    bind_reject_reason reason = bind_reject_reason::not_specified;
};

/// rpc_auth_3, [MS-RPCE] 2.2.2.10: the third leg of a security handshake; there is no answer.
struct auth3 {
    common_header header{};
    sec_trailer auth{};
};

/// shutdown, [C706] 12.6.4.11: the server asks the client to close an idle connection.
struct shutdown {
    common_header header{};
};

/// Decodes a bind or, by `type`, an alter_context.
/// @param pdu  borrowed; one whole PDU, frag_length bytes.
/// @errors those of detail::decode_header_of and detail::split_verifier; errc::truncated;
/// errc::bad_value
///         for a context without transfer syntaxes or no context at all; errc::too_many above
///         limits::transfer_syntaxes_max. Of contexts there are 255 at most: their count is an
///         octet.
[[nodiscard]] RPCH_DECL result<bind> decode_bind(byte_view pdu, pdu_type type = pdu_type::bind);
/// Decodes a bind_ack or, by `type`, an alter_context_resp. Errors as decode_bind.
[[nodiscard]] RPCH_DECL result<bind_ack> decode_bind_ack(byte_view pdu,
                                                         pdu_type type = pdu_type::bind_ack);
/// Decodes a bind_nak. Errors as detail::decode_header_of; errc::truncated.
[[nodiscard]] RPCH_DECL result<bind_nak> decode_bind_nak(byte_view pdu) noexcept;
/// Decodes an auth3; errc::bad_auth_length if it has no verifier or a padded one.
[[nodiscard]] RPCH_DECL result<auth3> decode_auth3(byte_view pdu) noexcept;
/// Decodes a shutdown; errc::trailing_bytes if there is a body.
[[nodiscard]] RPCH_DECL result<shutdown> decode_shutdown(byte_view pdu) noexcept;

/// @return the bytes that encode_x writes for this PDU.
[[nodiscard]] RPCH_DECL std::size_t encoded_size(const bind& p) noexcept;
[[nodiscard]] RPCH_DECL std::size_t encoded_size(const bind_ack& p) noexcept;
[[nodiscard]] RPCH_DECL std::size_t encoded_size(const bind_nak& p) noexcept;
[[nodiscard]] RPCH_DECL std::size_t encoded_size(const auth3& p) noexcept;
[[nodiscard]] RPCH_DECL std::size_t encoded_size(const shutdown& p) noexcept;

/// Writes one whole PDU to the front of `out`.
/// @return encoded_size(p); 0, with the content of `out` undefined, if that is more than
/// out.size(), or
///         a count or length does not fit its field.
[[nodiscard]] RPCH_DECL std::size_t encode_bind(const bind& p, byte_span out,
                                                pdu_type type = pdu_type::bind) noexcept;
[[nodiscard]] RPCH_DECL std::size_t encode_bind_ack(const bind_ack& p, byte_span out,
                                                    pdu_type type = pdu_type::bind_ack) noexcept;
[[nodiscard]] RPCH_DECL std::size_t encode_bind_nak(const bind_nak& p, byte_span out) noexcept;
[[nodiscard]] RPCH_DECL std::size_t encode_auth3(const auth3& p, byte_span out) noexcept;
[[nodiscard]] RPCH_DECL std::size_t encode_shutdown(const shutdown& p, byte_span out) noexcept;

} // namespace rpch::inline RPCH_ABI::dcerpc

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/dcerpc/impl/bind_pdu.ipp>
#endif

#endif
