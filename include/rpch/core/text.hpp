// Small functions on ASCII text that protocol rooms share: case, blanks, tokens, numbers, lists.
#ifndef RPCH_CORE_TEXT_HPP
#define RPCH_CORE_TEXT_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <rpch/config.hpp>

namespace rpch::inline RPCH_ABI::core {

/// @return the lower-case form of an ASCII letter; any other character unchanged. Knows no locale.
[[nodiscard]] constexpr char ascii_lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// @return whether both texts are the same but for the case of ASCII letters.
[[nodiscard]] constexpr bool equal_nocase(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (ascii_lower(a[i]) != ascii_lower(b[i])) return false;
    return true;
}

/// @return whether `text` begins with `prefix`, without regard to the case of ASCII letters.
[[nodiscard]] constexpr bool starts_with_nocase(std::string_view text,
                                                std::string_view prefix) noexcept {
    return equal_nocase(text.substr(0, prefix.size()), prefix);
}

/// @return `text` without the spaces and tabs at its ends; borrows.
[[nodiscard]] constexpr std::string_view trim_blanks(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

/// @return whether `c` is a control character: below space, or DEL.
[[nodiscard]] constexpr bool is_control(char c) noexcept {
    return (c >= 0 && c < ' ') || c == '\x7f';
}

[[nodiscard]] constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// @return whether `c` may stand in a token of HTTP, RFC 9110 5.6.2.
[[nodiscard]] constexpr bool is_token_char(char c) noexcept {
    const char lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || is_digit(c) ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

/// @return whether `text` is a token of HTTP: one or more token characters.
[[nodiscard]] constexpr bool is_token(std::string_view text) noexcept {
    for (const char c : text)
        if (!is_token_char(c)) return false;
    return !text.empty();
}

/// Reads an unsigned decimal number: digits only, no sign, no blanks; leading zeros are allowed.
/// @return nothing if `text` is empty, holds anything else, or does not fit 64 bits.
[[nodiscard]] constexpr std::optional<std::uint64_t> parse_decimal(std::string_view text) noexcept {
    if (text.empty()) return std::nullopt;
    std::uint64_t value = 0;
    for (const char c : text) {
        if (!is_digit(c)) return std::nullopt;
        const auto digit = static_cast<std::uint64_t>(c - '0');
        if (value > (UINT64_MAX - digit) / 10) return std::nullopt;
        value = value * 10 + digit;
    }
    return value;
}

/// Cuts the next item off a list: what stands before the first `separator`, blanks trimmed.
/// @param rest  the list; afterwards what follows the separator, or empty. Call until it is empty.
[[nodiscard]] constexpr std::string_view next_item(std::string_view& rest,
                                                   char separator) noexcept {
    const std::size_t end = rest.find(separator);
    const std::string_view item = trim_blanks(rest.substr(0, end));
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    return item;
}

} // namespace rpch::inline RPCH_ABI::core

#endif
