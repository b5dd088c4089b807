// One code point of UTF-8 at a time, for the schemes that carry names in other encodings.
#ifndef RPCH_AUTH_DETAIL_UTF8_HPP
#define RPCH_AUTH_DETAIL_UTF8_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <rpch/config.hpp>

namespace rpch::inline RPCH_ABI::auth::detail {

/// Takes one code point off the front of UTF-8 text, RFC 3629: no overlong forms, no surrogates.
/// @param text  not empty; not advanced if the answer is nothing.
inline std::optional<char32_t> next_code_point(std::string_view& text) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t lead = byte(0);
    const std::size_t size = lead < 0x80   ? 1
                             : lead < 0xC2 ? 0
                             : lead < 0xE0 ? 2
                             : lead < 0xF0 ? 3
                                           : 4;
    if (size == 0 || lead > 0xF4 || text.size() < size) return std::nullopt;
    char32_t value = size == 1 ? lead : static_cast<char32_t>(lead & (0x7F >> size));
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xC0) != 0x80) return std::nullopt;
        value = value << 6 | (byte(i) & 0x3F);
    }
    if (size == 3 && (value < 0x800 || (value >= 0xD800 && value < 0xE000))) return std::nullopt;
    if (size == 4 && (value < 0x10000 || value > 0x10FFFF)) return std::nullopt;
    text.remove_prefix(size);
    return value;
}

} // namespace rpch::inline RPCH_ABI::auth::detail

#endif
