#include <rpch/auth/ntlm_text.hpp>

#include <cstdint>
#include <optional>

#include <rpch/auth/detail/utf8.hpp>

namespace rpch::inline RPCH_ABI::auth {

namespace detail {

/// A range of lower-case letters. In an alternating range the letters from `first` in steps of two
/// are lower case, and their upper case is the letter before.
struct case_range {
    char16_t first;
    char16_t last;
    std::uint16_t distance; ///< From the lower case down to the upper case.
    bool alternating;
};

/// U+00FF is the one letter whose upper case (U+0178) stands behind it.
RPCH_DECL char16_t upper_by_range(char16_t unit) noexcept {
    // clang-format off
    static constexpr case_range ranges[] = {
        {0x0061, 0x007A, 32, false}, // a to z
        {0x00E0, 0x00F6, 32, false}, // Latin-1, around the division sign
        {0x00F8, 0x00FE, 32, false},
        {0x0101, 0x012F, 1, true},   // Latin Extended-A, around dotless i, kra and long s
        {0x0133, 0x0137, 1, true},
        {0x013A, 0x0148, 1, true},
        {0x014B, 0x0177, 1, true},
        {0x017A, 0x017E, 1, true},
        {0x03AC, 0x03AC, 38, false}, // Greek
        {0x03AD, 0x03AF, 37, false},
        {0x03B1, 0x03C1, 32, false},
        {0x03C2, 0x03C2, 31, false}, // final sigma
        {0x03C3, 0x03CB, 32, false},
        {0x03CC, 0x03CC, 64, false},
        {0x03CD, 0x03CE, 63, false},
        {0x0430, 0x044F, 32, false}, // Cyrillic
        {0x0450, 0x045F, 80, false},
        {0x0461, 0x0481, 1, true},
        {0x048B, 0x04BF, 1, true},
        {0x04C2, 0x04CE, 1, true},
        {0x04D1, 0x052F, 1, true},
        {0x1E01, 0x1E95, 1, true},   // Latin Extended Additional
        {0x1EA1, 0x1EFF, 1, true},
    };
    // clang-format on
    for (const case_range& r : ranges) {
        if (unit < r.first || unit > r.last) continue;
        if (r.alternating && (unit - r.first) % 2 != 0) return unit;
        return static_cast<char16_t>(unit - r.distance);
    }
    return unit == 0x00FF ? char16_t{0x0178} : unit;
}

} // namespace detail

RPCH_DECL char16_t ntlm_upper(char16_t unit) noexcept { return detail::upper_by_range(unit); }

RPCH_DECL result<core::secret> ntlm_to_utf16(std::string_view utf8, bool upper) {
    std::size_t units = 0;
    for (std::string_view rest = utf8; !rest.empty();) {
        const auto value = detail::next_code_point(rest);
        if (!value) return fail(errc::bad_value);
        units += *value < 0x10000 ? 1U : 2U;
    }
    core::secret out(units * 2);
    std::byte* to = out.writable().data();
    const auto put = [&](char32_t unit) {
        const auto value = static_cast<char16_t>(unit);
        core::store<std::uint16_t>(to, upper ? ntlm_upper(value) : value, core::byte_order::little);
        to += 2;
    };
    for (std::string_view rest = utf8; !rest.empty();) {
        const char32_t value = *detail::next_code_point(rest);
        if (value < 0x10000) {
            put(value);
            continue;
        }
        put(0xD800 + ((value - 0x10000) >> 10));
        put(0xDC00 + ((value - 0x10000) & 0x3FF));
    }
    return out;
}

RPCH_DECL result<std::string> ntlm_from_utf16(byte_view utf16) {
    if (utf16.size() % 2 != 0) return fail(errc::bad_value);
    const auto unit = [&](std::size_t at) {
        return core::load<std::uint16_t>(utf16.data() + at, core::byte_order::little);
    };
    std::string out;
    out.reserve(utf16.size() / 2 * 3);
    const auto put = [&](std::uint32_t octet) { out.push_back(static_cast<char>(octet)); };
    for (std::size_t at = 0; at < utf16.size(); at += 2) {
        std::uint32_t value = unit(at);
        if (value >= 0xD800 && value < 0xE000) {
            if (value >= 0xDC00 || at + 4 > utf16.size()) return fail(errc::bad_value);
            const std::uint32_t low = unit(at += 2);
            if (low < 0xDC00 || low >= 0xE000) return fail(errc::bad_value);
            value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
        }
        if (value == 0) return fail(errc::bad_value); // a name cut short by those who read C text
        if (value < 0x80) {
            put(value);
        } else if (value < 0x800) {
            put(0xC0 | value >> 6);
            put(0x80 | (value & 0x3F));
        } else {
            if (value < 0x10000) {
                put(0xE0 | value >> 12);
            } else {
                put(0xF0 | value >> 18);
                put(0x80 | (value >> 12 & 0x3F));
            }
            put(0x80 | (value >> 6 & 0x3F));
            put(0x80 | (value & 0x3F));
        }
    }
    return out;
}

RPCH_DECL bool ntlm_equal_nocase(std::string_view a, std::string_view b) noexcept {
    const auto upper = [](char32_t value) {
        return value < 0x10000 ? char32_t{ntlm_upper(static_cast<char16_t>(value))} : value;
    };
    while (!a.empty() && !b.empty()) {
        const auto x = detail::next_code_point(a);
        const auto y = detail::next_code_point(b);
        if (!x || !y || upper(*x) != upper(*y)) return false;
    }
    return a.empty() && b.empty();
}

} // namespace rpch::inline RPCH_ABI::auth
