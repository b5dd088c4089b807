// The library's errors: one enum of its own, two categories that carry foreign numbers unchanged,
// and conditions that answer a caller's questions.
#ifndef RPCH_ERROR_HPP
#define RPCH_ERROR_HPP

#include <cstdint>
#include <string>
#include <system_error>

#include <rpch/config.hpp>

namespace rpch::inline RPCH_ABI {

/// What went wrong, as this library says it. Numbers of other parties (RPC status, HTTP status) are
/// carried unchanged by `rpc_status` and `http_status`.
// clang-format off
enum class errc {
    // Bytes that are not well formed. The peer broke the protocol.
    truncated = 1,            ///< The bytes end before the structure does.
    trailing_bytes,           ///< The structure ends before the bytes do.
    bad_version,              ///< rpc_vers or rpc_vers_minor is not one we know.
    bad_pdu_type,             ///< PTYPE is unknown or not allowed here.
    bad_flags,                ///< Undefined or contradictory flag bits.
    bad_data_representation,  ///< packed_drep names a representation that is not supported.
    bad_frag_length,          ///< frag_length is too small, too large or disagrees with the content.
    bad_auth_length,          ///< auth_length or the sec_trailer does not fit the PDU.
    bad_call_id,              ///< call_id has a value that is not allowed here.
    bad_command,              ///< An RTS command type that is not defined.
    bad_command_count,        ///< NumberOfCommands disagrees with the commands present.
    bad_value,                ///< A field has a value outside the range the specification gives.
    unknown_shape,            ///< An RTS PDU that no row of [MS-RPCH] 2.2.4 describes.
    // PDUs that are well formed but not allowed now.
    unexpected_pdu,           ///< Not listed for the state of the machine.
    cookie_mismatch,          ///< A cookie that does not belong to this virtual connection.
    cookie_in_use,            ///< A second channel claims a virtual connection that is complete.
    window_exceeded,          ///< The peer sent more than the receive window it was given.
    bad_acknowledgement,      ///< An acknowledgement that no bytes sent can explain.
    lifetime_exceeded,        ///< More bytes than the channel's Content-Length allows.
    ping_traffic_exceeded,    ///< The outbound proxy reported more ping traffic than allowed.
    wrong_direction,          ///< An RPC PDU on a side that may not send one.
    v1_not_supported,         ///< An RPC PDU where RTS comes first: version 1, or no RPC over HTTP.
    // HTTP.
    http_head_too_large,      ///< A head, line or header count above its limit.
    http_bad_start_line,      ///< Request or status line is not HTTP/1.x.
    http_bad_header,          ///< A header line that is malformed or forbidden here.
    http_bad_content_length,  ///< Content-Length missing, repeated, or not a number.
    http_length_required,     ///< A request without Content-Length, as transfer-coded ones are.
    http_bad_chunk,           ///< A chunk head or trailer that is malformed.
    http_bad_target,          ///< The request target is not `path?host:port`.
    http_unknown_path,        ///< The path is not one of the RPC proxy's.
    http_unknown_method,      ///< The method is not RPC_IN_DATA or RPC_OUT_DATA.
    http_refused,             ///< The HTTP server or RPC proxy answered with a failure.
    http_auth_required,       ///< 401: credentials are missing or wrong.
    http_auth_not_offered,    ///< 401, and the scheme we were told to use is not on offer.
    http_auth_interrupted,    ///< The proxy ended the connection between two legs of a handshake.
    http_auth_needs_tls,      ///< Refused to send Basic credentials over plain HTTP.
    http_unexpected_response, ///< A response on a channel that must not have one now.
    // The network.
    name_not_found,           ///< Name resolution failed.
    connect_failed,           ///< No address of the peer accepted a TCP connection.
    http_proxy_refused,       ///< The HTTP proxy on the way to the RPC proxy opened no tunnel.
    connection_lost,          ///< The peer closed or reset a connection that was in use.
    channel_closed,           ///< The peer ended a connection or channel in order, nothing unfinished.
    channel_replaced,         ///< A proxy's part in a channel is over: its successor has taken over.
    replacement_timeout,      ///< The replacement of a channel was not finished in time.
    tls_failed,               ///< The TLS handshake or a TLS record failed.
    tls_untrusted,            ///< The certificate chain does not end at a trusted authority.
    tls_name_mismatch,        ///< The certificate is for another name.
    tls_expired,              ///< The certificate is not valid at this time.
    tls_no_trust_anchors,     ///< No certificate authorities were found to verify against.
    tls_truncated,            ///< The connection ended without close_notify.
    setup_timeout,            ///< The connection was not opened in time.
    idle_timeout,             ///< The peer was silent for longer than the agreed limit.
    flow_control_stalled,     ///< The peer did not acknowledge within the limit.
    // Limits of this side.
    too_large,                ///< A size above a named limit (limits.hpp).
    too_many,                 ///< A count above a named limit (limits.hpp).
    replacement_pending,      ///< A channel that is about to be replaced cannot be replaced again yet.
    // DCE/RPC.
    bind_refused,             ///< bind_nak; the reason is in the failure's detail.
    context_refused,          ///< The server does not offer the interface or transfer syntax.
    bad_context_id,           ///< A presentation context that was not negotiated.
    bad_opnum,                ///< The interface has no such operation.
    fragment_order,           ///< Fragments that do not belong together.
    call_cancelled,           ///< The caller cancelled the call.
    call_timeout,             ///< The call was not answered within its deadline.
    call_fault,               ///< The server answered with a fault PDU.
    association_closed,       ///< The association is gone; the call was not or may have been executed.
    security_not_supported,   ///< An authentication level or mechanism that is not offered here.
    bad_security_token,       ///< A token of a security provider that is malformed or out of order.
    authentication_failed,    ///< The peer did not prove what its mechanism must prove.
    account_locked,           ///< The account is known and may not log on.
    bad_signature,            ///< A protected PDU was altered, repeated, left out or reordered.
    security_downgrade,       ///< The peer offered or used less protection than was demanded.
    // NDR.
    ndr_range,                ///< A value outside its declared range or an invalid enumerator.
    ndr_bad_pointer,          ///< A reference pointer that is null or a referent id used twice.
    ndr_bad_array,            ///< Array counts that contradict each other.
    ndr_bad_string,           ///< A string without terminator or with wrong counts.
    ndr_bad_union,            ///< A discriminant that selects no arm.
    // Misuse of this library.
    bad_binding,              ///< A string binding that does not parse or names an unknown option.
    bad_setting,              ///< A setting that is malformed or out of range.
    not_open,                 ///< The operation needs an open connection.
    already_open,             ///< The operation may be called only once.
    not_supported,            ///< A valid request for something this version does not have.
    target_not_allowed,       ///< No rule of ValidPorts allows this target.
    bad_credentials,          ///< Name or password is malformed or wrong.
    no_credentials,           ///< There is no ticket, or none that is good now.
    operation_aborted,        ///< The object was closed by its owner.
    no_randomness,            ///< The operating system gives no random bytes.
};
// clang-format on

/// Questions a caller asks of an error; compare with `==`.
enum class error_kind {
    protocol_violation = 1, ///< Did the peer break the protocol?
    misuse,                 ///< Did I misuse the API?
    network,                ///< Did the network or the peer's machine fail?
    refused,                ///< Was I refused?
    retry_on_new_connection ///< May the same call succeed on a new connection?
};

/// A DCE/RPC or Windows status number, unchanged (fault PDU, `RPC Error:`).
enum class rpc_status : std::uint32_t {
    ok = 0,
    access_denied = 0x5,
    out_of_memory = 0xE,
    invalid_endpoint_format = 0x6AA,
    invalid_net_addr = 0x6AB,
    out_of_resources = 0x6B9,
    server_unavailable = 0x6BA,
    server_too_busy = 0x6BB,
    no_call_active = 0x6BD,
    call_failed = 0x6BE,
    call_failed_did_not_execute = 0x6BF,
    protocol_error = 0x6C0,
    proxy_access_denied = 0x6C1,
    call_cancelled = 0x71A,
    sec_pkg_error = 0x721,
    comm_failure = 0x71C,
    // [C706] appendix E: what an endpoint mapper answers.
    ept_cannot_perform = 0x16C9A0CD,
    ept_invalid_entry = 0x16C9A0D3,
    ept_invalid_context = 0x16C9A0D5,
    ept_not_registered = 0x16C9A0D6,
    // [C706] appendix E and [MS-RPCE] 2.2.2.11: what fault PDUs carry.
    nca_op_rng_error = 0x1C010002,
    nca_unk_if = 0x1C010003,
    nca_wrong_boot_time = 0x1C010006,
    nca_you_crashed = 0x1C010009,
    nca_proto_error = 0x1C01000B,
    nca_out_args_too_big = 0x1C010013,
    nca_server_too_busy = 0x1C010014,
    nca_unsupported_type = 0x1C010017,
    nca_invalid_pres_context_id = 0x1C00001C,
    nca_unsupported_authn_level = 0x1C00001D,
    nca_invalid_checksum = 0x1C00001F,
    nca_invalid_crc = 0x1C000020,
    nca_fault_context_mismatch = 0x1C00001A,
    nca_fault_cancel = 0x1C00000D,
    nca_fault_ndr = 0x000006F7,
    nca_fault_invalid_tag = 0x1C000006,
    nca_fault_invalid_bound = 0x1C000007,
    nca_fault_unspec = 0x1C000012,
    nca_fault_remote_no_memory = 0x1C00001B,
};

/// @return whether a server may report `status`, in a fault PDU or behind `RPC Error:`: numbers of
///         special significance are forbidden, [MS-RPCE] 3.3.3.5.1.
[[nodiscard]] RPCH_DECL bool may_be_reported(rpc_status status) noexcept;

/// An HTTP status code, unchanged.
enum class http_status : int {};

/// @return the category of `errc`; a singleton.
RPCH_DECL const std::error_category& rpch_category() noexcept;
/// @return the category of `rpc_status`; messages name the constant and its meaning.
RPCH_DECL const std::error_category& rpc_status_category() noexcept;
/// @return the category of `http_status`.
RPCH_DECL const std::error_category& http_status_category() noexcept;
/// @return the category of `error_kind`.
RPCH_DECL const std::error_category& error_kind_category() noexcept;

inline std::error_code make_error_code(errc e) noexcept {
    return {static_cast<int>(e), rpch_category()};
}
inline std::error_code make_error_code(rpc_status s) noexcept {
    return {static_cast<int>(s), rpc_status_category()};
}
inline std::error_code make_error_code(http_status s) noexcept {
    return {static_cast<int>(s), http_status_category()};
}
inline std::error_condition make_error_condition(error_kind k) noexcept {
    return {static_cast<int>(k), error_kind_category()};
}

} // namespace rpch::inline RPCH_ABI

template <>
struct std::is_error_code_enum<rpch::errc> : std::true_type {};
template <>
struct std::is_error_code_enum<rpch::rpc_status> : std::true_type {};
template <>
struct std::is_error_code_enum<rpch::http_status> : std::true_type {};
template <>
struct std::is_error_condition_enum<rpch::error_kind> : std::true_type {};

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/impl/error.ipp>
#endif

#endif
