#include <rpch/proxy/valid_ports.hpp>

#include <optional>
#include <utility>

#include <rpch/core/text.hpp>
#include <rpch/core/uuid.hpp>
#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI {

namespace detail {

RPCH_DECL std::optional<std::uint16_t> rule_port(std::string_view text) noexcept {
    const auto value = core::parse_decimal(core::trim_blanks(text));
    if (!value || *value == 0 || *value > 65535) return std::nullopt;
    return static_cast<std::uint16_t>(*value);
}

/// @return whether `text` matches `pattern`, which is lower case; `*` stands for any characters.
/// Goes back to the last star only: any earlier one could not match more.
RPCH_DECL bool matches_rule_host(std::string_view pattern, std::string_view text) noexcept {
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;
    std::size_t star_end = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            star_end = t;
        } else if (p < pattern.size() && pattern[p] == core::ascii_lower(text[t])) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++star_end;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

/// A host as it may stand in an entry: visible ASCII, and colons in brackets only.
RPCH_DECL bool is_rule_host(std::string_view host, bool bracketed) noexcept {
    if (host.empty() || host.size() > limits::server_name_chars_max) return false;
    for (const char c : host) {
        if (c <= ' ' || c > '~' || c == '[' || c == ']') return false;
        if (bracketed && core::hex_digit(c) < 0 && c != ':' && c != '.') return false;
        if (!bracketed && c == ':') return false;
    }
    return !bracketed || host.find(':') != std::string_view::npos;
}

} // namespace detail

RPCH_DECL result<valid_ports::entry> valid_ports::parse_entry(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return fail(errc::bad_setting);
    std::string_view host = core::trim_blanks(text.substr(0, colon));
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    const std::string_view ports = text.substr(colon + 1);
    const std::size_t dash = ports.find('-');
    const auto first = detail::rule_port(ports.substr(0, dash));
    const auto last =
        dash == std::string_view::npos ? first : detail::rule_port(ports.substr(dash + 1));
    if (!first || !last || *first > *last || !detail::is_rule_host(host, bracketed))
        return fail(errc::bad_setting);
    entry out{std::string(host), *first, *last};
    for (char& c : out.host) c = core::ascii_lower(c);
    return out;
}

RPCH_DECL result<valid_ports> valid_ports::parse(std::string_view text, std::string* bad_entry) {
    valid_ports out;
    while (!text.empty()) {
        const std::string_view one = core::next_item(text, ';');
        if (one.empty()) continue; // the registry's own default ends in `;`
        auto parsed = parse_entry(one);
        std::error_code why = parsed ? std::error_code{} : parsed.error();
        if (out.entries_.size() == limits::valid_ports_entries_max) why = errc::too_many;
        if (why) {
            if (bad_entry != nullptr) *bad_entry = one;
            return fail(why);
        }
        out.entries_.push_back(std::move(*parsed));
    }
    return out;
}

RPCH_DECL bool valid_ports::allows(std::string_view host, std::uint16_t port) const noexcept {
    for (const entry& rule : entries_)
        if (port >= rule.first && port <= rule.last && detail::matches_rule_host(rule.host, host))
            return true;
    return false;
}

} // namespace rpch::inline RPCH_ABI
