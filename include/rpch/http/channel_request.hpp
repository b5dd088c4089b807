// What a request asks of the RPC proxy, [MS-RPCH] 2.1.2.1 and 2.2.2. In two steps, for requests
// that only carry authentication (Content-Length 0, maybe no query) must be answered before a
// target is asked for.
#ifndef RPCH_HTTP_CHANNEL_REQUEST_HPP
#define RPCH_HTTP_CHANNEL_REQUEST_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <rpch/core/uuid.hpp>
#include <rpch/http/head.hpp>
#include <rpch/limits.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::http {

/// The method, and with it the role that is asked for.
enum class channel_method : std::uint8_t {
    in_data,  ///< RPC_IN_DATA: the inbound proxy.
    out_data, ///< RPC_OUT_DATA: the outbound proxy.
};

/// The two paths, [MS-RPCH] 2.2.2; compared without regard to case, for Outlook mixes it.
inline constexpr std::string_view rpc_path = "/rpc/rpcproxy.dll";
inline constexpr std::string_view rpc_with_cert_path = "/rpcwithcert/rpcproxy.dll";

/// A request to the RPC proxy, its target not yet judged. Views borrow the head's bytes.
struct request_info {
    channel_method method{};
    bool with_cert = false; ///< /rpcwithcert/: the client authenticates by certificate.
    std::uint64_t content_length = 0;
    bool expect_continue = false; ///< Waits for `100 Continue`; never with HTTP/1.0.
    bool keep_alive = false;      ///< The connection may carry another request after this one.
    std::uint8_t minor_version = 0;
    std::optional<std::string_view> authorization; ///< The whole value: scheme and credentials.
    std::optional<std::string_view> query; ///< As it stands behind `?`; nothing without `?`.
    // Pragma directives, [MS-RPCH] 2.1.2.1.1; one that does not parse or is out of range is
    // ignored.
    std::optional<std::uint32_t> min_connection_timeout_s; ///< 120 to 14400.
    std::optional<uuid> resource_type;
    std::optional<uuid> session_id;

    /// Content-Length 0 to 16 means echo, [MS-RPCH] 2.1.2.1.5. A leg of NTLM looks the same, so
    /// authentication comes before this question.
    [[nodiscard]] bool is_echo() const noexcept {
        return content_length <= limits::echo_content_length_max;
    }
};

/// server-name and server-port, [MS-RPCH] 2.2.2.
struct rpc_target {
    std::string
        server_name; ///< Decoded, no brackets, 1 to limits::server_name_chars_max characters:
                     ///< DNS or NetBIOS name, IPv4 or IPv6 literal, or GUID\@domain.
    std::uint16_t port = 0; ///< 1 to 65535.
    bool operator==(const rpc_target&) const = default;
};

/// A request to the RPC proxy with its target.
struct channel_request {
    request_info request;
    rpc_target target;
};

/// Sorts a request by path, method and length. Takes the absolute form of a target as well, as RFC
/// 9112 3.2.2 demands. Unknown headers, Host and most of the headers the text prescribes are
/// ignored.
/// @errors errc::http_bad_header for several Host or Authorization lines, or a transfer coding
/// beside a
///         Content-Length; errc::http_length_required without Content-Length (a transfer coding
///         included: a channel has none); errc::http_bad_content_length; errc::http_unknown_path;
///         errc::http_unknown_method. All have an answer in http_status_for; as the length of the
///         body may be in doubt, the connection closes after it.
[[nodiscard]] RPCH_DECL result<request_info> classify_request(const request_head& head) noexcept;

/// Parses the query of a request: percent-escapes, then name and port at the last colon; an IPv6
/// literal may stand in brackets.
/// @errors rpc_status::invalid_endpoint_format (no port, or not 1 to 65535 in at most six digits);
///         rpc_status::invalid_net_addr (name empty, too long, or with characters that no name has;
///         broken escapes). A failure response carries them as they are.
[[nodiscard]] RPCH_DECL result<rpc_target> parse_target(std::string_view query);

/// Both steps at once, for readers that do not authenticate.
/// @errors as both; errc::http_bad_target if there is no query.
[[nodiscard]] RPCH_DECL result<channel_request> read_channel_request(const request_head& head);

} // namespace rpch::inline RPCH_ABI::http

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/http/impl/channel_request.ipp>
#endif

#endif
