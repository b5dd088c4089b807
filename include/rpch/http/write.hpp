// Writers of everything we say in HTTP: once per channel, into a string. Header names have the
// classic case, for some peers compare it.
#ifndef RPCH_HTTP_WRITE_HPP
#define RPCH_HTTP_WRITE_HPP

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <rpch/core/uuid.hpp>
#include <rpch/http/channel_request.hpp>
#include <rpch/http/eeinfo.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::http {

/// Content-Length of requests, [MS-RPCH] 2.1.2.1.2 and 2.1.2.1.5.
inline constexpr std::uint64_t out_channel_content_length = 76;      ///< CONN/A1.
inline constexpr std::uint64_t out_replacement_content_length = 120; ///< A3, then A11 or C1.
inline constexpr std::uint64_t echo_content_length = 4;              ///< What Windows sends.

/// The body of an echo request as Windows sends it; proxies ignore it. [MS-RPCH] 2.1.2.1.5.
inline constexpr std::array<std::byte, 4> echo_request_body{std::byte{0xF8}, std::byte{0xE8},
                                                            std::byte{0x18}, std::byte{0x08}};
/// The Echo RTS PDU, the body of an echo response. [MS-RPCH] 2.2.4.48.
inline constexpr std::array<std::byte, 20> echo_pdu{
    std::byte{5}, std::byte{0},    std::byte{0x14}, std::byte{3},    std::byte{0x10},
    std::byte{0}, std::byte{0},    std::byte{0},    std::byte{0x14}, std::byte{0},
    std::byte{0}, std::byte{0},    std::byte{0},    std::byte{0},    std::byte{0},
    std::byte{0}, std::byte{0x40}, std::byte{0},    std::byte{0},    std::byte{0}};

/// What a channel or echo request says. Views are borrowed for the call.
struct channel_request_options {
    channel_method method{};
    std::string_view host; ///< Host header: name of the RPC proxy, `:port` unless the default.
    std::string_view server_name; ///< Of the RPC server: a name or an address, without brackets.
    std::uint16_t server_port = 0;
    std::uint64_t content_length = 0;
    std::string_view authorization; ///< Whole value, scheme and credentials; empty: no header.
    std::optional<std::uint32_t> min_connection_timeout_s; ///< 120 to 14400.
    std::optional<uuid> resource_type;
    std::optional<uuid> session_id; ///< The same on all channels of a virtual connection.
    bool with_cert = false;         ///< Use /rpcwithcert/: the client has a certificate.
    std::uint8_t minor_version = 1; ///< HTTP/1.1, as Windows says, or 0 as [MS-RPCH] prefers.
    std::string_view origin;        ///< `http://proxy:80` for the absolute form that an HTTP proxy
                                    ///< wants on plain connections; empty: origin form.
};

/// Writes the head of a channel or echo request, [MS-RPCH] 2.1.2.1.1, .2 and .5.
/// @return the head. It holds the credentials: wipe it (core::wipe) once it is sent; it was
/// allocated
///         once, so that no other copy exists.
/// @errors errc::bad_setting for an empty host or server name, port 0, a minor version above 1, a
///         timeout out of range, or a control character anywhere.
[[nodiscard]] RPCH_DECL result<std::string>
write_channel_request(const channel_request_options& what);

/// @return host and port as a Host header and CONNECT have them, RFC 3986 3.2: an IPv6 address in
///         brackets.
/// @param host  a name or an address; IPv6 with or without brackets.
/// @param port  left out if nothing.
[[nodiscard]] RPCH_DECL std::string authority(std::string_view host,
                                              std::optional<std::uint16_t> port);

/// Writes the request that has an HTTP proxy open a tunnel, RFC 9110 9.3.6.
/// @param host  as for `authority`.
/// @errors errc::bad_setting for an empty host, one with a blank or a control character, or port 0.
[[nodiscard]] RPCH_DECL result<std::string> write_connect(std::string_view host,
                                                          std::uint16_t port);

/// Writes the response head of an OUT channel, [MS-RPCH] 2.1.2.1.4.
/// @param content_length  the channel lifetime: limits::channel_lifetime_min to _max.
/// @param authenticate    value of WWW-Authenticate, which proves the server to the client, RFC
///                        4559 5; no control characters; empty: no header.
[[nodiscard]] RPCH_DECL std::string write_out_success(std::uint64_t content_length,
                                                      std::string_view authenticate = {});

/// Writes the whole echo response with its PDU, [MS-RPCH] 2.1.2.1.6.
/// @param authenticate  as for write_out_success.
[[nodiscard]] RPCH_DECL std::string write_echo_response(std::string_view authenticate = {});

/// Writes the interim response to `Expect: 100-continue`.
[[nodiscard]] RPCH_DECL std::string write_continue();

/// Writes the whole failure response of the RPC proxy, [MS-RPCH] 2.1.2.1.3: 503 with the number,
/// and the records in the reason and in the body. A status line above limits::reason_line_bytes_max
/// loses its records; the body keeps them. The connection closes after it.
/// @param status   a number that may not stand there is replaced, see rpc_status_for.
/// @param records  the root cause last; what encode_eeinfo refuses is left out.
[[nodiscard]] RPCH_DECL std::string write_failure(rpc_status status,
                                                  std::span<const ee_record> records = {});

/// What happens to the connection after a response.
enum class after_response : std::uint8_t { close, keep };

/// Writes a 401. With `keep` it has no body: the next leg of an authentication follows at once.
/// @param challenges  one WWW-Authenticate value each, e.g. `Basic realm="rpch"` or `NTLM TlRM...`.
/// @errors errc::bad_setting for no challenge, an empty one, or a control character in one.
[[nodiscard]] RPCH_DECL result<std::string>
write_unauthorized(std::span<const std::string_view> challenges, after_response then);

/// Writes any other response of ours with a short text for people; a 405 names the methods allowed.
/// @param status  400 to 599.
[[nodiscard]] RPCH_DECL std::string write_error(int status,
                                                after_response then = after_response::close);

} // namespace rpch::inline RPCH_ABI::http

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/http/impl/write.ipp>
#endif

#endif
