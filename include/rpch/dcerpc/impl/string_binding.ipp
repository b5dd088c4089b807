#include <rpch/dcerpc/string_binding.hpp>

#include <algorithm>
#include <charconv>

#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

namespace detail {

[[nodiscard]] RPCH_DECL bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [&](char x, char y) { return lower(x) == lower(y); });
}

/// @return the position of the first character of `any` that no backslash stands before, or npos.
[[nodiscard]] RPCH_DECL std::size_t find_bare(std::string_view text,
                                              std::string_view any) noexcept {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\')
            ++i;
        else if (any.find(text[i]) != any.npos)
            return i;
    }
    return text.npos;
}

/// Takes the backslashes out.
[[nodiscard]] RPCH_DECL result<std::string> unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && ++i == text.size()) return fail(errc::bad_binding);
        out += text[i];
    }
    return out;
}

[[nodiscard]] RPCH_DECL result<std::uint16_t> parse_port(std::string_view text) noexcept {
    std::uint16_t port = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (ec != std::errc{} || end != text.data() + text.size() || port == 0)
        return fail(errc::bad_binding);
    return port;
}

/// A host without escapes and brackets: a name, or an address, which has no colon or several.
[[nodiscard]] RPCH_DECL bool is_host(std::string_view text) noexcept {
    if (text.size() > limits::server_name_chars_max) return false;
    if (std::count(text.begin(), text.end(), ':') == 1) return false;
    return std::none_of(text.begin(), text.end(), [](char c) {
        const bool separates = std::string_view("[]@,=\"\\/").find(c) != std::string_view::npos;
        return c <= ' ' || c == 0x7F || separates;
    });
}

/// Takes `[...]` from the front of `text` and leaves the rest; without brackets, takes nothing.
[[nodiscard]] RPCH_DECL std::optional<std::string_view> take_bracketed(std::string_view& text) {
    if (text.empty() || text.front() != '[') return std::nullopt;
    const std::size_t end = text.find(']');
    if (end == text.npos) return std::nullopt;
    const std::string_view inner = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    return inner;
}

/// Reads `host`, `host:port`, `[ipv6]` or `[ipv6]:port`; escapes are taken out already.
[[nodiscard]] RPCH_DECL result<host_port> parse_host_port(std::string_view text) {
    host_port out;
    if (const auto inner = take_bracketed(text)) {
        out.host = *inner;
    } else {
        // The only colon ends the host; with more of them it is a bare IPv6 address without a port.
        const std::size_t colon = text.find(':');
        const bool has_port = colon != text.npos && text.find(':', colon + 1) == text.npos;
        out.host = text.substr(0, has_port ? colon : text.npos);
        text.remove_prefix(out.host.size());
    }
    if (out.host.empty() || !is_host(out.host)) return fail(errc::bad_binding);
    if (text.empty()) return out;
    if (text.front() != ':') return fail(errc::bad_binding);
    const auto port = parse_port(text.substr(1));
    if (!port) return fail(port.error());
    out.port = *port;
    return out;
}

[[nodiscard]] RPCH_DECL std::string print(const host_port& h) {
    const bool bracketed = h.host.find(':') != h.host.npos;
    std::string out = bracketed ? "\\[" + h.host + "\\]" : h.host;
    if (h.port) out += ":" + std::to_string(*h.port);
    return out;
}

[[nodiscard]] RPCH_DECL const char* name(http_auth_option o) noexcept {
    switch (o) {
    case http_auth_option::basic: return "basic";
    case http_auth_option::ntlm: return "ntlm";
    case http_auth_option::negotiate: return "negotiate";
    }
    return "";
}

/// Sets a field that must not be set yet.
/// @param form  what a value must be.
/// @return what is wrong; null if nothing is.
template <class T>
[[nodiscard]] const char* set_once(std::optional<T>& field, result<T> value, const char* form) {
    if (!value) return form;
    if (field) return "is given twice";
    field = std::move(*value);
    return nullptr;
}

[[nodiscard]] RPCH_DECL result<bool> parse_bool(std::string_view text) noexcept {
    if (equal_ignoring_case(text, "true")) return true;
    if (equal_ignoring_case(text, "false")) return false;
    return fail(errc::bad_binding);
}

[[nodiscard]] RPCH_DECL result<http_auth_option> parse_auth(std::string_view text) noexcept {
    for (const auto o :
         {http_auth_option::basic, http_auth_option::ntlm, http_auth_option::negotiate})
        if (equal_ignoring_case(text, name(o))) return o;
    return fail(errc::bad_binding);
}

/// Applies one `name=value`.
/// @return what is wrong with it; null if nothing is.
[[nodiscard]] RPCH_DECL const char* apply_option(string_binding& b, std::string_view option,
                                                 std::string_view value) {
    constexpr const char* host_form = "must be HOST or HOST:PORT";
    if (equal_ignoring_case(option, "endpoint"))
        return set_once(b.endpoint, parse_port(value), "must be a port from 1 to 65535");
    if (b.sequence != protocol_sequence::ncacn_http) return "is not for ncacn_ip_tcp";
    if (equal_ignoring_case(option, "RpcProxy"))
        return set_once(b.rpc_proxy, parse_host_port(value), host_form);
    if (equal_ignoring_case(option, "HttpProxy"))
        return set_once(b.http_proxy, parse_host_port(value), host_form);
    if (equal_ignoring_case(option, "HttpUseTls"))
        return set_once(b.http_use_tls, parse_bool(value), "must be true or false");
    if (equal_ignoring_case(option, "HttpAuthOption"))
        return set_once(b.http_auth, parse_auth(value), "must be basic, ntlm or negotiate");
    if (equal_ignoring_case(option, "HttpConnectionOption")) {
        if (b.use_http_proxy) return "is given twice";
        if (!equal_ignoring_case(value, "UseHttpProxy")) return "must be UseHttpProxy";
        b.use_http_proxy = true;
        return nullptr;
    }
    return "is no option; endpoint, RpcProxy, HttpUseTls, HttpAuthOption, HttpProxy and "
           "HttpConnectionOption are";
}

/// Reads what stands between the brackets: an endpoint, options, or both, separated by commas.
/// @return what is wrong; empty if nothing is.
[[nodiscard]] RPCH_DECL std::string parse_options(string_binding& b, std::string_view text) {
    for (bool first = true; first || !text.empty(); first = false) {
        const std::size_t comma = find_bare(text, ",");
        const std::string_view part = text.substr(0, comma);
        const bool is_last = comma == text.npos;
        text.remove_prefix(is_last ? text.size() : comma + 1);
        if (!is_last && text.empty()) return "there is a comma behind the last option";
        if (first && part.empty()) continue; // `[,RpcProxy=...]`: no endpoint
        const std::size_t equals = find_bare(part, "=");
        const bool named = equals != part.npos;
        const auto value = unescape(part.substr(named ? equals + 1 : 0));
        const char* wrong =
            !named && !first ? "must be OPTION=VALUE"
            : !value         ? "ends with a backslash"
                             : apply_option(b, named ? part.substr(0, equals) : "endpoint", *value);
        if (wrong != nullptr) return "'" + std::string(part) + "' " + wrong;
    }
    return {};
}

/// @return what is wrong; empty if nothing is.
[[nodiscard]] RPCH_DECL std::string read_binding(string_binding& b, std::string_view text) {
    // An object UUID ends at an `@` that stands before the protocol sequence's colon.
    if (const std::size_t at = find_bare(text, "@:"); at != text.npos && text[at] == '@') {
        b.object = uuid::parse(text.substr(0, at));
        if (!b.object) return "what stands before '@' must be a UUID";
        text.remove_prefix(at + 1);
    }
    const std::size_t colon = text.find(':');
    const std::string_view sequence = text.substr(0, std::min(colon, text.size()));
    if (equal_ignoring_case(sequence, "ncacn_http"))
        b.sequence = protocol_sequence::ncacn_http;
    else if (!equal_ignoring_case(sequence, "ncacn_ip_tcp"))
        return "it must begin with ncacn_http: or ncacn_ip_tcp:";
    if (colon == text.npos) return "there is no ':' behind the protocol sequence";
    text.remove_prefix(colon + 1);

    // `[::1][6001]`: brackets that hold colons but no option are an address.
    std::string_view rest = text;
    const auto inner = take_bracketed(rest);
    bool is_good = true;
    if (inner && std::count(inner->begin(), inner->end(), ':') > 1 &&
        inner->find_first_of("=,") == inner->npos) {
        b.host = *inner;
        text = rest;
    } else {
        const std::size_t end = std::min(find_bare(text, "["), text.size());
        const auto host = unescape(text.substr(0, end));
        is_good = host.has_value();
        if (host) b.host = *host;
        text.remove_prefix(end);
    }
    if (!is_good || !is_host(b.host)) return "the host is malformed";
    if (text.empty()) return {};
    // The last character closes, so that an address may stand in its own brackets between.
    if (text.size() < 2 || text.front() != '[' || text.back() != ']')
        return "endpoint and options must stand in brackets behind the host";
    return parse_options(b, text.substr(1, text.size() - 2));
}

} // namespace detail

RPCH_DECL result<string_binding> parse_string_binding(std::string_view text, std::string* why) {
    string_binding b;
    std::string wrong = detail::read_binding(b, text);
    if (wrong.empty()) return b;
    if (why != nullptr) *why = std::move(wrong);
    return fail(errc::bad_binding);
}

RPCH_DECL std::string string_binding::to_string() const {
    std::string out = object ? object->to_string() + "@" : "";
    out += sequence == protocol_sequence::ncacn_http ? "ncacn_http:" : "ncacn_ip_tcp:";
    out += host;
    std::string inside = endpoint ? std::to_string(*endpoint) : "";
    const auto add = [&](std::string_view option, std::string_view value) {
        inside += ",";
        inside += option;
        inside += "=";
        inside += value;
    };
    if (rpc_proxy) add("RpcProxy", detail::print(*rpc_proxy));
    if (http_proxy) add("HttpProxy", detail::print(*http_proxy));
    if (use_http_proxy) add("HttpConnectionOption", "UseHttpProxy");
    if (http_use_tls) add("HttpUseTls", *http_use_tls ? "true" : "false");
    if (http_auth) add("HttpAuthOption", detail::name(*http_auth));
    if (!inside.empty()) out += "[" + inside + "]";
    return out;
}

} // namespace rpch::inline RPCH_ABI::dcerpc
