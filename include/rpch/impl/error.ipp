#include <rpch/error.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

namespace rpch::inline RPCH_ABI {

namespace detail {

RPCH_DECL const char* errc_text(errc e) noexcept {
    // clang-format off
    switch (e) {
    case errc::truncated: return "the bytes end before the structure does";
    case errc::trailing_bytes: return "the structure ends before the bytes do";
    case errc::bad_version: return "rpc_vers or rpc_vers_minor is not one we know";
    case errc::bad_pdu_type: return "PTYPE is unknown or not allowed here";
    case errc::bad_flags: return "undefined or contradictory flag bits";
    case errc::bad_data_representation: return "packed_drep names a representation that is not supported";
    case errc::bad_frag_length: return "frag_length is too small, too large or disagrees with the content";
    case errc::bad_auth_length: return "auth_length or the sec_trailer does not fit the PDU";
    case errc::bad_call_id: return "call_id has a value that is not allowed here";
    case errc::bad_command: return "an RTS command type that is not defined";
    case errc::bad_command_count: return "NumberOfCommands disagrees with the commands present";
    case errc::bad_value: return "a field has a value outside the range the specification gives";
    case errc::unknown_shape: return "an RTS PDU that no row of [MS-RPCH] 2.2.4 describes";
    case errc::unexpected_pdu: return "not listed for the state of the machine";
    case errc::cookie_mismatch: return "a cookie that does not belong to this virtual connection";
    case errc::cookie_in_use: return "a second channel claims a virtual connection that is complete";
    case errc::window_exceeded: return "the peer sent more than the receive window it was given";
    case errc::bad_acknowledgement: return "an acknowledgement that no bytes sent can explain";
    case errc::lifetime_exceeded: return "more bytes than the channel's Content-Length allows";
    case errc::ping_traffic_exceeded: return "the outbound proxy reported more ping traffic than allowed";
    case errc::wrong_direction: return "an RPC PDU on a side that may not send one";
    case errc::v1_not_supported: return "an RPC PDU where RTS comes first: a client of ncacn_ip_tcp, or RPC over HTTP version 1, which is not spoken here";
    case errc::http_head_too_large: return "a head, line or header count above its limit";
    case errc::http_bad_start_line: return "request or status line is not HTTP/1.x";
    case errc::http_bad_header: return "a header line that is malformed or forbidden here";
    case errc::http_bad_content_length: return "Content-Length missing, repeated, or not a number";
    case errc::http_length_required: return "a request without Content-Length";
    case errc::http_bad_chunk: return "a chunk head or trailer that is malformed";
    case errc::http_bad_target: return "the request target is not path?host:port";
    case errc::http_unknown_path: return "the path is not one of the RPC proxy's";
    case errc::http_unknown_method: return "the method is not RPC_IN_DATA or RPC_OUT_DATA";
    case errc::http_refused: return "the HTTP server or RPC proxy answered with a failure";
    case errc::http_auth_required: return "401: credentials are missing or wrong";
    case errc::http_auth_not_offered: return "401, and the scheme we were told to use is not on offer";
    case errc::http_auth_interrupted: return "the proxy ended the connection in the middle of an authentication";
    case errc::http_auth_needs_tls: return "refused to send Basic credentials over plain HTTP";
    case errc::http_unexpected_response: return "a response on a channel that must not have one now";
    case errc::name_not_found: return "name resolution failed";
    case errc::connect_failed: return "no address of the peer accepted a TCP connection";
    case errc::http_proxy_refused: return "the HTTP proxy on the way to the RPC proxy opened no tunnel";
    case errc::connection_lost: return "the peer closed or reset a connection that was in use";
    case errc::channel_closed: return "the peer has closed the connection";
    case errc::channel_replaced: return "its successor has taken over the channel";
    case errc::replacement_timeout: return "the replacement of a channel was not finished in time";
    case errc::tls_failed: return "the TLS handshake or a TLS record failed";
    case errc::tls_untrusted: return "the certificate chain does not end at a trusted authority";
    case errc::tls_name_mismatch: return "the certificate is for another name";
    case errc::tls_expired: return "the certificate is not valid at this time";
    case errc::tls_no_trust_anchors: return "no certificate authorities were found to verify against";
    case errc::tls_truncated: return "the TLS connection ended without close_notify";
    case errc::setup_timeout: return "the connection was not opened in time";
    case errc::idle_timeout: return "the peer was silent for longer than the agreed limit";
    case errc::flow_control_stalled: return "the peer did not acknowledge within the limit";
    case errc::too_large: return "a size above a named limit (limits.hpp)";
    case errc::too_many: return "a count above a named limit (limits.hpp)";
    case errc::replacement_pending: return "a channel that is about to be replaced cannot be replaced again yet";
    case errc::bind_refused: return "the server refused the bind";
    case errc::context_refused: return "the server does not offer the interface or transfer syntax";
    case errc::bad_context_id: return "a presentation context that was not negotiated";
    case errc::bad_opnum: return "the interface has no such operation";
    case errc::fragment_order: return "fragments that do not belong together";
    case errc::call_cancelled: return "the caller cancelled the call";
    case errc::call_timeout: return "the call was not answered within its deadline";
    case errc::call_fault: return "the server answered with a fault PDU";
    case errc::association_closed: return "the association is gone; the call was not or may have been executed";
    case errc::security_not_supported: return "an authentication level or mechanism that is not offered here";
    case errc::bad_security_token: return "a security token that is malformed or out of order";
    case errc::authentication_failed: return "the peer could not be authenticated";
    case errc::account_locked: return "the account is locked";
    case errc::bad_signature: return "a protected PDU was altered, repeated or reordered";
    case errc::security_downgrade: return "less protection than was demanded";
    case errc::ndr_range: return "a value outside its declared range or an invalid enumerator";
    case errc::ndr_bad_pointer: return "a reference pointer that is null or a referent id used twice";
    case errc::ndr_bad_array: return "array counts that contradict each other";
    case errc::ndr_bad_string: return "a string without terminator or with wrong counts";
    case errc::ndr_bad_union: return "a discriminant that selects no arm";
    case errc::bad_binding: return "a string binding that does not parse or names an unknown option";
    case errc::bad_setting: return "a setting that is malformed or out of range";
    case errc::not_open: return "the operation needs an open connection";
    case errc::already_open: return "the operation may be called only once";
    case errc::not_supported: return "a valid request for something this version does not have";
    case errc::target_not_allowed: return "no rule of ValidPorts allows this target";
    case errc::bad_credentials: return "name or password is malformed or wrong";
    case errc::no_credentials: return "there are no credentials to log on with";
    case errc::operation_aborted: return "the object was closed by its owner";
    case errc::no_randomness: return "the operating system gives no random bytes";
    }
    // clang-format on
    return "unknown rpch error";
}

RPCH_DECL const char* rpc_status_text(rpc_status s) noexcept {
    // clang-format off
    switch (s) {
    case rpc_status::ok: return "success";
    case rpc_status::access_denied: return "access denied (ERROR_ACCESS_DENIED)";
    case rpc_status::out_of_memory: return "out of memory (ERROR_OUTOFMEMORY)";
    case rpc_status::invalid_endpoint_format: return "the endpoint format is invalid (RPC_S_INVALID_ENDPOINT_FORMAT)";
    case rpc_status::invalid_net_addr: return "the network address is invalid (RPC_S_INVALID_NET_ADDR)";
    case rpc_status::out_of_resources: return "out of resources (RPC_S_OUT_OF_RESOURCES)";
    case rpc_status::server_unavailable: return "the RPC server is unavailable (RPC_S_SERVER_UNAVAILABLE)";
    case rpc_status::no_call_active: return "there is no such call (RPC_S_NO_CALL_ACTIVE)";
    case rpc_status::server_too_busy: return "the RPC server is too busy (RPC_S_SERVER_TOO_BUSY)";
    case rpc_status::call_failed: return "the remote procedure call failed (RPC_S_CALL_FAILED)";
    case rpc_status::call_failed_did_not_execute: return "the remote procedure call failed and did not execute (RPC_S_CALL_FAILED_DNE)";
    case rpc_status::protocol_error: return "RPC protocol error (RPC_S_PROTOCOL_ERROR)";
    case rpc_status::proxy_access_denied: return "access to the HTTP proxy or the target is denied (RPC_S_PROXY_ACCESS_DENIED)";
    case rpc_status::call_cancelled: return "the remote procedure call was cancelled (RPC_S_CALL_CANCELLED)";
    case rpc_status::sec_pkg_error: return "a security package error occurred (RPC_S_SEC_PKG_ERROR)";
    case rpc_status::comm_failure: return "a communication failure occurred during the call (RPC_S_COMM_FAILURE)";
    case rpc_status::ept_cannot_perform: return "the endpoint mapper cannot do that (ept_s_cant_perform_op)";
    case rpc_status::ept_invalid_entry: return "the endpoint mapper takes the entry for invalid (ept_s_invalid_entry)";
    case rpc_status::ept_invalid_context: return "the endpoint mapper does not know the handle (ept_s_invalid_context)";
    case rpc_status::ept_not_registered: return "no such endpoint is registered (ept_s_not_registered)";
    case rpc_status::nca_op_rng_error: return "the operation number is out of range (nca_s_op_rng_error)";
    case rpc_status::nca_unk_if: return "unknown interface (nca_s_unk_if)";
    case rpc_status::nca_wrong_boot_time: return "wrong boot time (nca_s_wrong_boot_time)";
    case rpc_status::nca_you_crashed: return "the client is said to have crashed (nca_s_you_crashed)";
    case rpc_status::nca_proto_error: return "protocol error (nca_s_proto_error)";
    case rpc_status::nca_out_args_too_big: return "output arguments too big (nca_s_out_args_too_big)";
    case rpc_status::nca_server_too_busy: return "the server is too busy (nca_s_server_too_busy)";
    case rpc_status::nca_unsupported_type: return "unsupported type (nca_s_unsupported_type)";
    case rpc_status::nca_invalid_pres_context_id: return "invalid presentation context id (nca_s_invalid_pres_context_id)";
    case rpc_status::nca_unsupported_authn_level: return "unsupported authentication level (nca_s_unsupported_authn_level)";
    case rpc_status::nca_invalid_checksum: return "invalid checksum (nca_s_invalid_checksum)";
    case rpc_status::nca_invalid_crc: return "invalid CRC (nca_s_invalid_crc)";
    case rpc_status::nca_fault_context_mismatch: return "context handle mismatch (nca_s_fault_context_mismatch)";
    case rpc_status::nca_fault_cancel: return "cancelled (nca_s_fault_cancel)";
    case rpc_status::nca_fault_ndr: return "the stub received bad data (RPC_X_BAD_STUB_DATA)";
    case rpc_status::nca_fault_invalid_tag: return "invalid tag (nca_s_fault_invalid_tag)";
    case rpc_status::nca_fault_invalid_bound: return "invalid bound (nca_s_fault_invalid_bound)";
    case rpc_status::nca_fault_unspec: return "unspecified fault (nca_s_fault_unspec)";
    case rpc_status::nca_fault_remote_no_memory: return "the server is out of memory (nca_s_fault_remote_no_memory)";
    }
    // clang-format on
    return nullptr;
}

/// Groups `errc` by the ranges of its declaration.
RPCH_DECL bool errc_is(errc e, error_kind kind) noexcept {
    switch (kind) {
    case error_kind::protocol_violation:
        return e <= errc::http_unknown_method ||
               (e >= errc::ndr_range && e <= errc::ndr_bad_union) || e == errc::fragment_order ||
               e == errc::bad_context_id || e == errc::http_unexpected_response ||
               e == errc::bad_security_token || e == errc::bad_signature;
    case error_kind::misuse: return e >= errc::bad_binding && e <= errc::not_supported;
    case error_kind::network:
        return e >= errc::name_not_found && e <= errc::flow_control_stalled &&
               e != errc::tls_no_trust_anchors;
    case error_kind::refused:
        return (e >= errc::http_refused && e <= errc::http_auth_needs_tls) ||
               e == errc::bind_refused || e == errc::context_refused ||
               e == errc::target_not_allowed || e == errc::bad_credentials ||
               e == errc::authentication_failed || e == errc::account_locked ||
               e == errc::security_downgrade;
    case error_kind::retry_on_new_connection:
        return e == errc::connection_lost || e == errc::channel_closed ||
               e == errc::tls_truncated || e == errc::idle_timeout || e == errc::association_closed;
    }
    return false;
}

class rpch_category_impl final : public std::error_category {
  public:
    const char* name() const noexcept override { return "rpch"; }
    std::string message(int value) const override { return errc_text(static_cast<errc>(value)); }
    bool equivalent(int value, const std::error_condition& condition) const noexcept override {
        if (condition.category() == error_kind_category())
            return errc_is(static_cast<errc>(value), static_cast<error_kind>(condition.value()));
        return default_error_condition(value) == condition;
    }
};

class rpc_status_category_impl final : public std::error_category {
  public:
    const char* name() const noexcept override { return "rpc_status"; }
    std::string message(int value) const override {
        char number[16] = {};
        std::snprintf(number, sizeof number, "0x%08x", static_cast<unsigned>(value));
        const char* text = rpc_status_text(static_cast<rpc_status>(value));
        return text != nullptr ? std::string(text) + ", " + number
                               : std::string("RPC status ") + number;
    }
    bool equivalent(int value, const std::error_condition& condition) const noexcept override {
        const auto status = static_cast<rpc_status>(value);
        if (condition == error_kind::refused)
            return status == rpc_status::access_denied || status == rpc_status::proxy_access_denied;
        if (condition == error_kind::network)
            return status == rpc_status::server_unavailable || status == rpc_status::comm_failure;
        return default_error_condition(value) == condition;
    }
};

class http_status_category_impl final : public std::error_category {
  public:
    const char* name() const noexcept override { return "http_status"; }
    std::string message(int value) const override { return "HTTP status " + std::to_string(value); }
    bool equivalent(int value, const std::error_condition& condition) const noexcept override {
        if (condition == error_kind::refused) return value == 401 || value == 403 || value == 407;
        if (condition == error_kind::network) return value >= 500;
        return default_error_condition(value) == condition;
    }
};

class error_kind_category_impl final : public std::error_category {
  public:
    const char* name() const noexcept override { return "rpch_error_kind"; }
    std::string message(int value) const override {
        switch (static_cast<error_kind>(value)) {
        case error_kind::protocol_violation: return "the peer broke the protocol";
        case error_kind::misuse: return "the library was misused";
        case error_kind::network: return "the network or the peer's machine failed";
        case error_kind::refused: return "refused";
        case error_kind::retry_on_new_connection: return "may succeed on a new connection";
        }
        return "unknown kind";
    }
};

} // namespace detail

RPCH_DECL const std::error_category& rpch_category() noexcept {
    static const detail::rpch_category_impl instance;
    return instance;
}
RPCH_DECL const std::error_category& rpc_status_category() noexcept {
    static const detail::rpc_status_category_impl instance;
    return instance;
}
RPCH_DECL const std::error_category& http_status_category() noexcept {
    static const detail::http_status_category_impl instance;
    return instance;
}
RPCH_DECL const std::error_category& error_kind_category() noexcept {
    static const detail::error_kind_category_impl instance;
    return instance;
}

RPCH_DECL bool may_be_reported(rpc_status status) noexcept {
    static constexpr std::array<std::uint32_t, 14> forbidden{
        0x0000'0000, 0x8000'0001, 0x8000'0002, 0x8000'0003, 0xC000'0005, 0xC000'0006, 0xC000'001D,
        0xC000'0096, 0xC000'00AA, 0xC000'00FD, 0xC000'0194, 0xC000'0235, 0xC000'0409, 0xC000'0420};
    const auto number = static_cast<std::uint32_t>(status);
    return std::find(forbidden.begin(), forbidden.end(), number) == forbidden.end();
}

} // namespace rpch::inline RPCH_ABI
