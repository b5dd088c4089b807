#include <rpch/http/channel_request.hpp>

#include <utility>

namespace rpch::inline RPCH_ABI::http {

namespace detail {

/// Cuts scheme and authority off an absolute-form target, RFC 9112 3.2.2; they choose nothing here.
RPCH_DECL std::string_view origin_form(std::string_view target) noexcept {
    for (const std::string_view prefix :
         {std::string_view("http://"), std::string_view("https://")}) {
        if (!core::starts_with_nocase(target, prefix)) continue;
        const std::size_t path = target.find('/', prefix.size());
        return path == std::string_view::npos ? std::string_view{} : target.substr(path);
    }
    return target;
}

/// Reads one Pragma directive, [MS-RPCH] 2.1.2.1.1. Clients differ in what they send, so whatever
/// does not parse is ignored, as the text has a proxy ignore most of the head.
RPCH_DECL void read_pragma(std::string_view directive, request_info& out) noexcept {
    const std::size_t equals = directive.find('=');
    if (equals == std::string_view::npos) return; // no-cache
    const std::string_view name = core::trim_blanks(directive.substr(0, equals));
    const std::string_view value = core::trim_blanks(directive.substr(equals + 1));
    if (core::equal_nocase(name, "MinConnTimeout")) {
        const auto seconds = core::parse_decimal(value);
        if (seconds && *seconds >= limits::connection_timeout_min_ms / 1000 &&
            *seconds <= limits::connection_timeout_max_ms / 1000)
            out.min_connection_timeout_s = static_cast<std::uint32_t>(*seconds);
    } else if (core::equal_nocase(name, "ResourceTypeUuid")) {
        if (const auto id = uuid::parse(value)) out.resource_type = id;
    } else if (core::equal_nocase(name, "SessionId")) {
        if (const auto id = uuid::parse(value)) out.session_id = id;
    }
}

/// Reads the length of a channel's body. A body of unknown length is no channel: [MS-RPCH] has no
/// transfer coding, and both lengths at once are the classic way to smuggle a request.
RPCH_DECL result<std::uint64_t> channel_length(const header_list& headers) noexcept {
    const auto length = content_length_of(headers);
    if (!length) return fail(length.error());
    if (headers.count("Transfer-Encoding") != 0)
        return fail(*length ? errc::http_bad_header : errc::http_length_required);
    if (!*length) return fail(errc::http_length_required);
    return **length;
}

/// Undoes percent-escapes, once.
RPCH_DECL std::optional<std::string> unescape(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (text.size() - i < 3) return std::nullopt;
        const int high = core::hex_digit(text[i + 1]);
        const int low = core::hex_digit(text[i + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

/// Names go to the resolver, to rules and to logs: no controls, nothing beyond ASCII, no character
/// that delimits paths or URLs, and no `%`, which would name a network interface of an IPv6
/// address.
RPCH_DECL bool is_server_name(std::string_view name) noexcept {
    if (name.empty() || name.size() > limits::server_name_chars_max) return false;
    const bool ipv6 = name.find(':') != std::string_view::npos;
    for (const char c : name) {
        if (c <= ' ' || c > '~') return false;
        if (std::string_view("/\\?#%<>\"[]*;,").find(c) != std::string_view::npos) return false;
        if (ipv6 && core::hex_digit(c) < 0 && c != ':' && c != '.') return false;
    }
    return true;
}

} // namespace detail

RPCH_DECL result<request_info> classify_request(const request_head& head) noexcept {
    if (head.headers.count("Host") > 1 || head.headers.count("Authorization") > 1)
        return fail(errc::http_bad_header);
    const auto length = detail::channel_length(head.headers);
    // A path that is not ours is the truer answer than a missing length, as for any GET.
    const std::string_view target = detail::origin_form(head.target);
    const std::size_t question = target.find('?');
    const std::string_view path = target.substr(0, question);
    request_info out;
    out.with_cert = core::equal_nocase(path, rpc_with_cert_path);
    if (!out.with_cert && !core::equal_nocase(path, rpc_path)) return fail(errc::http_unknown_path);
    if (question != std::string_view::npos) out.query = target.substr(question + 1);
    // Methods are the one thing of HTTP whose case counts, RFC 9110 9.1.
    if (head.method == "RPC_IN_DATA")
        out.method = channel_method::in_data;
    else if (head.method == "RPC_OUT_DATA")
        out.method = channel_method::out_data;
    else
        return fail(errc::http_unknown_method);
    if (!length) return fail(length.error());
    out.content_length = *length;
    out.minor_version = head.minor_version;
    out.keep_alive = keeps_connection(head.headers, head.minor_version);
    // RFC 9110 10.1.1: a 1.0 client does not know 100 and gets none.
    out.expect_continue =
        head.minor_version >= 1 && head.headers.has_item("Expect", "100-continue");
    out.authorization = head.headers.find("Authorization");
    for (const header& line : head.headers) {
        if (!core::equal_nocase(line.name, "Pragma")) continue;
        for (std::string_view rest = line.value; !rest.empty();)
            detail::read_pragma(core::next_item(rest, ','), out);
    }
    return out;
}

RPCH_DECL result<rpc_target> parse_target(std::string_view query) {
    const auto text = detail::unescape(query);
    if (!text) return fail(rpc_status::invalid_net_addr);
    // The last colon, for an IPv6 literal has colons of its own and needs no brackets.
    const std::size_t colon = text->rfind(':');
    if (colon == std::string::npos) return fail(rpc_status::invalid_endpoint_format);
    const std::string_view port_text = std::string_view(*text).substr(colon + 1);
    const auto port = core::parse_decimal(port_text);
    if (!port || port_text.size() > 6 || *port == 0 || *port > 65535)
        return fail(rpc_status::invalid_endpoint_format);
    std::string_view name = std::string_view(*text).substr(0, colon);
    if (name.size() > 2 && name.front() == '[' && name.back() == ']') {
        name = name.substr(1, name.size() - 2);
        if (name.find(':') == std::string_view::npos) return fail(rpc_status::invalid_net_addr);
    }
    if (!detail::is_server_name(name)) return fail(rpc_status::invalid_net_addr);
    return rpc_target{std::string(name), static_cast<std::uint16_t>(*port)};
}

RPCH_DECL result<channel_request> read_channel_request(const request_head& head) {
    auto request = classify_request(head);
    if (!request) return fail(request.error());
    if (!request->query) return fail(errc::http_bad_target);
    auto target = parse_target(*request->query);
    if (!target) return fail(target.error());
    return channel_request{*request, std::move(*target)};
}

} // namespace rpch::inline RPCH_ABI::http
