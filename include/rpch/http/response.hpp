// What a response says to the client, [MS-RPCH] 2.1.2.1.3, .4 and .6.
#ifndef RPCH_HTTP_RESPONSE_HPP
#define RPCH_HTTP_RESPONSE_HPP

#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

#include <rpch/http/eeinfo.hpp>
#include <rpch/http/head.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::http {

/// How the end of a body is found, RFC 9112 6.3.
enum class body_framing : std::uint8_t {
    none,        ///< The response never has a body: 1xx, 204, 304.
    length,      ///< Content-Length.
    chunked,     ///< Transfer-Encoding: chunked.
    until_close, ///< Neither: the body ends with the connection.
};

/// A response; views borrow the head's bytes.
struct response_info {
    int status = 0;
    std::uint8_t minor_version = 0;
    body_framing framing{};
    std::uint64_t content_length = 0; ///< 0 unless `framing` is `length`.
    bool keep_alive = false;          ///< The connection may carry another request after this one.
    std::string_view reason;
    std::vector<std::string_view>
        authenticate; ///< WWW-Authenticate values; auth::parse_offers reads them.
    std::optional<rpc_status> rpc_error; ///< The number behind `RPC Error:`.
    std::string_view reason_eeinfo;      ///< Base64 behind `EEInfo:` in the reason; empty if none.

    /// 1xx: skip this head and read the next one, RFC 9110 15.2.
    [[nodiscard]] bool is_interim() const noexcept { return status >= 100 && status < 200; }
    [[nodiscard]] bool is_success() const noexcept { return status >= 200 && status < 300; }
};

/// Reads a response head. Strict about the length of the body, for the next response begins behind
/// it.
/// @errors errc::http_bad_content_length (repeated, a list, not a number, or beside a transfer
/// coding);
///         errc::http_bad_header for a transfer coding other than `chunked` alone, or in HTTP/1.0.
[[nodiscard]] RPCH_DECL result<response_info> read_response(const response_head& head);

/// Whether `Content-Length: 0` is believed on a 200 answer to an OUT request.
enum class zero_length : std::uint8_t {
    ignore, ///< The channel's bytes follow until close: the text has a client read the status
            ///< alone.
    believe ///< The channel ends at once.
};

/// @return how the body of a 200 answer to an OUT request ends. Some servers, which never know the
///         length of a channel, send `Content-Length: 0`; see `zero_length`.
[[nodiscard]] RPCH_DECL body_framing out_channel_framing(const response_info& response,
                                                         zero_length policy) noexcept;

/// @return the error a response stands for; none for 1xx and 2xx. `RPC Error:` wins (its number as
///         rpc_status); then errc::http_auth_required for 401; then the http_status.
[[nodiscard]] RPCH_DECL std::error_code response_error(const response_info& response) noexcept;

/// @return the base64 text behind `RPC EEInfo:` in the body of a failure response; empty if none.
[[nodiscard]] RPCH_DECL std::string_view body_eeinfo(byte_view body) noexcept;

/// @return the records of a failure response: those of the body if they decode, else those of the
///         reason, [MS-RPCH] 3.2.2.5.11; empty if neither does.
/// @param body  what was kept of the body; may be empty.
[[nodiscard]] RPCH_DECL std::vector<ee_record> error_records(const response_info& response,
                                                             byte_view body);

/// @return whether an HTTP head stands where a PDU should begin: Windows proxies write a failure
///         response into a running OUT body. One byte decides, for PDUs begin with 5.
[[nodiscard]] inline bool begins_like_head(byte_view body) noexcept {
    return !body.empty() && body[0] == std::byte{'H'};
}

/// Reads the failure in a running OUT body from its status line alone; more of it may never come.
/// @return nothing if the line is not complete yet.
/// @errors errc::http_bad_start_line; errc::http_head_too_large above limits::http_head_bytes_max.
[[nodiscard]] RPCH_DECL result<std::optional<response_info>> read_failure_in_body(byte_view body);

} // namespace rpch::inline RPCH_ABI::http

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/http/impl/response.ipp>
#endif

#endif
