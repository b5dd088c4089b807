#include <rpch/http/head.hpp>

namespace rpch::inline RPCH_ABI::http {

namespace detail {

/// Cuts one line with its CRLF off the front; nothing if no CRLF is left.
RPCH_DECL std::optional<std::string_view> next_line(std::string_view& rest) noexcept {
    const std::size_t end = rest.find("\r\n");
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 2);
    return line;
}

/// Control characters have no place in a head, tab in values excepted; CR and LF alone are among
/// them.
RPCH_DECL bool is_field_text(std::string_view text) noexcept {
    for (const char c : text)
        if (core::is_control(c) && c != '\t') return false;
    return true;
}

/// Reads `HTTP/1.x` and gives x.
RPCH_DECL std::optional<std::uint8_t> minor_version_of(std::string_view text) noexcept {
    if (text.size() != 8 || text.substr(0, 7) != "HTTP/1." || !core::is_digit(text[7]))
        return std::nullopt;
    return static_cast<std::uint8_t>(text[7] - '0');
}

/// Reads the lines behind the start line up to the empty line, which must end the input.
RPCH_DECL std::error_code parse_headers(std::string_view rest, header_list& out) noexcept {
    for (;;) {
        const auto line = next_line(rest);
        if (!line) return errc::truncated;
        if (line->empty()) return rest.empty() ? std::error_code{} : errc::trailing_bytes;
        // A token before the colon: refuses folded lines, which begin with a blank, and blanks
        // before the colon, which some readers drop and some take for a part of the name. RFC
        // 9112 5.1, 5.2.
        const std::size_t colon = line->find(':');
        if (colon == std::string_view::npos) return errc::http_bad_header;
        const header one{line->substr(0, colon), core::trim_blanks(line->substr(colon + 1))};
        if (!core::is_token(one.name) || !is_field_text(one.value)) return errc::http_bad_header;
        if (!out.add(one)) return errc::http_head_too_large;
    }
}

RPCH_DECL std::error_code parse_request_line(std::string_view line, request_head& out) noexcept {
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) return errc::http_bad_start_line;
    out.method = line.substr(0, first);
    out.target = line.substr(first + 1, last - first - 1);
    const auto minor = minor_version_of(line.substr(last + 1));
    if (!core::is_token(out.method) || out.target.empty() || !minor)
        return errc::http_bad_start_line;
    out.minor_version = *minor;
    for (const char c : out.target)
        if (c <= ' ' || c > '~') return errc::http_bad_start_line;
    if (out.target.size() > limits::http_target_bytes_max) return errc::too_large;
    return {};
}

} // namespace detail

RPCH_DECL result<std::optional<std::size_t>> head_scanner::scan(byte_view buffer) noexcept {
    const std::string_view text = core::as_text(buffer);
    for (; looked_at_ < text.size(); ++looked_at_) {
        const char c = text[looked_at_];
        if (looked_at_ == limits::http_head_bytes_max) break;
        const bool after_cr = looked_at_ > line_start_ && text[looked_at_ - 1] == '\r';
        const bool plain = !core::is_control(c) || c == '\t' || c == '\r';
        if (after_cr ? c != '\n' : !plain)
            return fail(line_start_ == 0 ? errc::http_bad_start_line : errc::http_bad_header);
        if (c != '\n') continue;
        const bool empty_line = looked_at_ == line_start_ + 1;
        // An empty line in front of the start line is not skipped: our peers never send one.
        if (empty_line && line_start_ == 0) return fail(errc::http_bad_start_line);
        line_start_ = looked_at_ + 1;
        if (empty_line) return std::optional<std::size_t>(line_start_);
    }
    // A full buffer of the largest size must not wait for a byte that has no place in it.
    if (looked_at_ == limits::http_head_bytes_max) return fail(errc::http_head_too_large);
    return std::optional<std::size_t>{};
}

RPCH_DECL result<request_head> parse_request_head(byte_view head) noexcept {
    std::string_view rest = core::as_text(head);
    const auto line = detail::next_line(rest);
    if (!line) return fail(errc::truncated);
    result<request_head> out;
    if (const auto why = detail::parse_request_line(*line, *out)) return fail(why);
    if (const auto why = detail::parse_headers(rest, out->headers)) return fail(why);
    return out;
}

RPCH_DECL result<response_head> parse_status_line(std::string_view line) noexcept {
    // HTTP-version SP 3DIGIT [ SP reason ]: the blank before an absent reason is often absent as
    // well.
    if (line.size() < 12 || line[8] != ' ') return fail(errc::http_bad_start_line);
    const auto minor = detail::minor_version_of(line.substr(0, 8));
    const auto status = core::parse_decimal(line.substr(9, 3));
    if (!minor || !status || *status < 100) return fail(errc::http_bad_start_line);
    result<response_head> out;
    out->minor_version = *minor;
    out->status = static_cast<int>(*status);
    if (line.size() > 12) {
        if (line[12] != ' ') return fail(errc::http_bad_start_line);
        out->reason = line.substr(13);
    }
    if (!detail::is_field_text(out->reason)) return fail(errc::http_bad_start_line);
    return out;
}

RPCH_DECL result<response_head> parse_response_head(byte_view head) noexcept {
    std::string_view rest = core::as_text(head);
    const auto line = detail::next_line(rest);
    if (!line) return fail(errc::truncated);
    auto out = parse_status_line(*line);
    if (!out) return out;
    if (const auto why = detail::parse_headers(rest, out->headers)) return fail(why);
    return out;
}

RPCH_DECL result<std::optional<std::uint64_t>>
content_length_of(const header_list& headers) noexcept {
    const auto text = headers.find("Content-Length");
    if (!text) return std::optional<std::uint64_t>{};
    const auto value = core::parse_decimal(*text);
    // Repeated alike would be harmless by itself, but a reader in front may have joined or split
    // it.
    if (!value || headers.count("Content-Length") != 1) return fail(errc::http_bad_content_length);
    return value;
}

RPCH_DECL bool keeps_connection(const header_list& headers, std::uint8_t minor_version) noexcept {
    if (headers.has_item("Connection", "close")) return false;
    return minor_version >= 1 || headers.has_item("Connection", "keep-alive");
}

} // namespace rpch::inline RPCH_ABI::http
