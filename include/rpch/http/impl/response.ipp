#include <rpch/http/response.hpp>

#include <utility>

#include <rpch/core/base64.hpp>
#include <rpch/core/text.hpp>
#include <rpch/core/uuid.hpp>
#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::http {

namespace detail {

/// @return the front of `text` that can be base64, whatever stands behind it.
RPCH_DECL std::string_view base64_prefix(std::string_view text) noexcept {
    std::size_t n = 0;
    while (n < text.size() &&
           (core::is_digit(text[n]) || text[n] == '+' || text[n] == '/' || text[n] == '=' ||
            (core::ascii_lower(text[n]) >= 'a' && core::ascii_lower(text[n]) <= 'z')))
        ++n;
    return text.substr(0, n);
}

/// Reads `RPC Error: HEX[, EEInfo: base64]`, [MS-RPCH] 2.1.2.1.3. Windows may put a localised text
/// behind the number, so what follows the digits is looked at only for the records.
RPCH_DECL void read_rpc_error(std::string_view reason, response_info& out) noexcept {
    constexpr std::string_view error = "RPC Error:";
    constexpr std::string_view records = "EEInfo:";
    if (!core::starts_with_nocase(reason, error)) return;
    std::string_view rest = core::trim_blanks(reason.substr(error.size()));
    if (core::starts_with_nocase(rest, "0x")) rest.remove_prefix(2);
    std::uint64_t number = 0;
    std::size_t digits = 0;
    for (; digits < rest.size() && core::hex_digit(rest[digits]) >= 0; ++digits) {
        if (digits == 8) return; // no Windows code: not a number at all
        number = number << 4 | static_cast<std::uint64_t>(core::hex_digit(rest[digits]));
    }
    if (digits == 0) return;
    out.rpc_error = static_cast<rpc_status>(number);
    const std::size_t at = rest.find(records, digits);
    if (at != std::string_view::npos)
        out.reason_eeinfo = base64_prefix(core::trim_blanks(rest.substr(at + records.size())));
}

RPCH_DECL std::error_code read_framing(const response_head& head, response_info& out) noexcept {
    const auto length = content_length_of(head.headers);
    if (!length) return length.error();
    const std::size_t codings = head.headers.count("Transfer-Encoding");
    // RFC 9112 6.1 lets a client guess here; whoever guesses reads the next response wrongly.
    if (codings != 0 && *length) return errc::http_bad_content_length;
    if (codings != 0) {
        const auto coding = head.headers.find("Transfer-Encoding");
        const bool chunked = codings == 1 && core::equal_nocase(*coding, "chunked");
        if (!chunked || head.minor_version == 0) return errc::http_bad_header;
    }
    if (out.is_interim() || out.status == 204 || out.status == 304)
        out.framing = body_framing::none;
    else if (codings != 0)
        out.framing = body_framing::chunked;
    else if (*length)
        out.framing = body_framing::length;
    else
        out.framing = body_framing::until_close;
    if (out.framing == body_framing::length) out.content_length = **length;
    return {};
}

RPCH_DECL result<std::vector<ee_record>> decode_records(std::string_view base64) {
    const auto blob = core::base64_decode(base64, limits::http_error_body_bytes_max);
    if (!blob) return fail(blob.error());
    return decode_eeinfo(*blob);
}

} // namespace detail

RPCH_DECL result<response_info> read_response(const response_head& head) {
    response_info out;
    out.status = head.status;
    out.minor_version = head.minor_version;
    out.reason = head.reason;
    if (const auto why = detail::read_framing(head, out)) return fail(why);
    out.keep_alive = keeps_connection(head.headers, head.minor_version) &&
                     out.framing != body_framing::until_close;
    for (const header& line : head.headers)
        if (core::equal_nocase(line.name, "WWW-Authenticate"))
            out.authenticate.push_back(line.value);
    if (!out.is_interim() && !out.is_success()) detail::read_rpc_error(head.reason, out);
    return out;
}

RPCH_DECL body_framing out_channel_framing(const response_info& response,
                                           zero_length policy) noexcept {
    const bool zero = response.framing == body_framing::length && response.content_length == 0;
    return zero && policy == zero_length::ignore ? body_framing::until_close : response.framing;
}

RPCH_DECL std::error_code response_error(const response_info& response) noexcept {
    if (response.is_interim() || response.is_success()) return {};
    if (response.rpc_error) return *response.rpc_error;
    if (response.status == 401) return errc::http_auth_required;
    return static_cast<http_status>(response.status);
}

RPCH_DECL std::string_view body_eeinfo(byte_view body) noexcept {
    constexpr std::string_view records = "RPC EEInfo:";
    const std::string_view text = core::as_text(body);
    if (!core::starts_with_nocase(text, records)) return {};
    return detail::base64_prefix(core::trim_blanks(text.substr(records.size())));
}

RPCH_DECL std::vector<ee_record> error_records(const response_info& response, byte_view body) {
    for (const std::string_view base64 : {body_eeinfo(body), response.reason_eeinfo}) {
        if (base64.empty()) continue;
        if (auto records = detail::decode_records(base64)) return std::move(*records);
    }
    return {};
}

RPCH_DECL result<std::optional<response_info>> read_failure_in_body(byte_view body) {
    const std::string_view text = core::as_text(body).substr(0, limits::http_head_bytes_max);
    const std::size_t end = text.find("\r\n");
    if (end == std::string_view::npos) {
        if (text.size() == limits::http_head_bytes_max) return fail(errc::http_head_too_large);
        return std::optional<response_info>{};
    }
    const auto line = parse_status_line(text.substr(0, end));
    if (!line) return fail(line.error());
    auto response = read_response(*line);
    if (!response) return fail(response.error());
    return std::optional<response_info>(std::move(*response));
}

} // namespace rpch::inline RPCH_ABI::http
