#include <rpch/http/write.hpp>

#include <cstdio>

#include <rpch/core/base64.hpp>
#include <rpch/core/text.hpp>
#include <rpch/http/status.hpp>
#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::http {

namespace detail {

/// Text that goes into a head as it is: a control character would end the line and begin another.
RPCH_DECL bool is_head_text(std::string_view text) noexcept {
    for (const char c : text)
        if (core::is_control(c)) return false;
    return true;
}

RPCH_DECL void append_header(std::string& out, std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("\r\n");
}

/// Escapes what may not stand in a query; colons of an IPv6 literal may, RFC 3986 3.4.
RPCH_DECL void append_escaped(std::string& out, std::string_view name) {
    static constexpr std::string_view digits = "0123456789ABCDEF";
    for (const char c : name) {
        const bool plain = core::is_token_char(c) || c == ':' || c == '@' || c == '(' || c == ')';
        const bool delimits = c == '%' || c == '#' || c == '^' || c == '`' || c == '|';
        if (plain && !delimits) {
            out += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out += '%';
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
}

RPCH_DECL std::string status_line(int minor_version, int status, std::string_view reason) {
    std::string out =
        "HTTP/1." + std::to_string(minor_version) + ' ' + std::to_string(status) + ' ';
    return out.append(reason).append("\r\n");
}

RPCH_DECL void append_connection(std::string& out, after_response then) {
    append_header(out, "Connection", then == after_response::keep ? "Keep-Alive" : "close");
}

RPCH_DECL bool is_sendable(const channel_request_options& what) noexcept {
    for (const std::string_view text :
         {what.host, what.server_name, what.authorization, what.origin})
        if (!is_head_text(text)) return false;
    if (what.origin.find(' ') != std::string_view::npos) return false;
    const auto timeout = what.min_connection_timeout_s;
    if (timeout && (*timeout < limits::connection_timeout_min_ms / 1000 ||
                    *timeout > limits::connection_timeout_max_ms / 1000))
        return false;
    return !what.host.empty() && !what.server_name.empty() &&
           what.server_name.size() <= limits::server_name_chars_max && what.server_port != 0 &&
           what.minor_version <= 1;
}

} // namespace detail

RPCH_DECL result<std::string> write_channel_request(const channel_request_options& what) {
    if (!detail::is_sendable(what)) return fail(errc::bad_setting);
    std::string out;
    // Once and for all: growing would leave a copy of the credentials behind.
    out.reserve(768 + what.origin.size() + what.host.size() + what.server_name.size() * 3 +
                what.authorization.size());
    out += what.method == channel_method::in_data ? "RPC_IN_DATA " : "RPC_OUT_DATA ";
    out.append(what.origin).append(what.with_cert ? rpc_with_cert_path : rpc_path) += '?';
    detail::append_escaped(out, what.server_name);
    out.append(":").append(std::to_string(what.server_port));
    out.append(what.minor_version == 0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
    detail::append_header(out, "Accept", "application/rpc");
    detail::append_header(out, "Cache-Control", "no-cache");
    detail::append_header(out, "Connection", "Keep-Alive");
    detail::append_header(out, "Content-Length", std::to_string(what.content_length));
    detail::append_header(out, "Host", what.host);
    detail::append_header(out, "Pragma", "No-cache");
    if (what.min_connection_timeout_s)
        detail::append_header(out, "Pragma",
                              "MinConnTimeout=" + std::to_string(*what.min_connection_timeout_s));
    if (what.resource_type)
        detail::append_header(out, "Pragma", "ResourceTypeUuid=" + what.resource_type->to_string());
    if (what.session_id)
        detail::append_header(out, "Pragma", "SessionId=" + what.session_id->to_string());
    detail::append_header(out, "User-Agent", "MSRPC");
    if (!what.authorization.empty())
        detail::append_header(out, "Authorization", what.authorization);
    out += "\r\n";
    return out;
}

RPCH_DECL std::string authority(std::string_view host, std::optional<std::uint16_t> port) {
    const bool bare6 = host.find(':') != std::string_view::npos && host.front() != '[';
    std::string out;
    out.append(bare6 ? "[" : "").append(host).append(bare6 ? "]" : "");
    if (port) out.append(":").append(std::to_string(*port));
    return out;
}

RPCH_DECL result<std::string> write_connect(std::string_view host, std::uint16_t port) {
    if (host.empty() || port == 0 || !detail::is_head_text(host) ||
        host.find(' ') != std::string_view::npos)
        return fail(errc::bad_setting);
    const std::string where = authority(host, port);
    std::string out = "CONNECT " + where + " HTTP/1.1\r\n";
    detail::append_header(out, "Host", where);
    detail::append_header(out, "User-Agent", "MSRPC");
    return out += "\r\n";
}

RPCH_DECL std::string write_out_success(std::uint64_t content_length,
                                        std::string_view authenticate) {
    std::string out = detail::status_line(1, 200, "Success");
    detail::append_header(out, "Content-Type", "application/rpc");
    detail::append_header(out, "Content-Length", std::to_string(content_length));
    if (!authenticate.empty()) detail::append_header(out, "WWW-Authenticate", authenticate);
    return out += "\r\n";
}

RPCH_DECL std::string write_echo_response(std::string_view authenticate) {
    std::string out = detail::status_line(1, 200, "Success");
    detail::append_header(out, "Content-Type", "application/rpc");
    detail::append_header(out, "Content-Length", std::to_string(echo_pdu.size()));
    detail::append_header(out, "Connection", "Keep-Alive");
    if (!authenticate.empty()) detail::append_header(out, "WWW-Authenticate", authenticate);
    return out.append("\r\n").append(core::as_text(echo_pdu));
}

RPCH_DECL std::string write_continue() { return detail::status_line(1, 100, "Continue") + "\r\n"; }

RPCH_DECL std::string write_failure(rpc_status status, std::span<const ee_record> records) {
    char number[16] = {};
    const auto reported = static_cast<unsigned>(rpc_status_for(status));
    std::snprintf(number, sizeof number, "%x", reported);
    std::string reason = "RPC Error: ";
    reason += number;
    std::string body;
    if (const auto blob = encode_eeinfo(records)) {
        const std::string base64 = core::base64_encode(*blob);
        body = "RPC EEInfo:" + base64 + "\r\n";
        const std::string with_records = reason + ", EEInfo: " + base64;
        if (detail::status_line(0, 503, with_records).size() <= limits::reason_line_bytes_max)
            reason = with_records;
    }
    std::string out = detail::status_line(0, 503, reason);
    detail::append_header(out, "Content-Length", std::to_string(body.size()));
    detail::append_connection(out, after_response::close);
    return out.append("\r\n").append(body);
}

RPCH_DECL result<std::string> write_unauthorized(std::span<const std::string_view> challenges,
                                                 after_response then) {
    if (challenges.empty()) return fail(errc::bad_setting);
    std::string out = detail::status_line(1, 401, reason_for(401));
    for (const std::string_view challenge : challenges) {
        if (challenge.empty() || !detail::is_head_text(challenge)) return fail(errc::bad_setting);
        detail::append_header(out, "WWW-Authenticate", challenge);
    }
    const std::string body = then == after_response::keep ? "" : "Authentication is required.\r\n";
    if (!body.empty()) detail::append_header(out, "Content-Type", "text/plain");
    detail::append_header(out, "Content-Length", std::to_string(body.size()));
    detail::append_connection(out, then);
    return out.append("\r\n").append(body);
}

RPCH_DECL std::string write_error(int status, after_response then) {
    const std::string body =
        std::to_string(status) + ' ' + std::string(reason_for(status)) + "\r\n";
    std::string out = detail::status_line(1, status, reason_for(status));
    if (status == 405) detail::append_header(out, "Allow", "RPC_IN_DATA, RPC_OUT_DATA");
    detail::append_header(out, "Content-Type", "text/plain");
    detail::append_header(out, "Content-Length", std::to_string(body.size()));
    detail::append_connection(out, then);
    return out.append("\r\n").append(body);
}

} // namespace rpch::inline RPCH_ABI::http
