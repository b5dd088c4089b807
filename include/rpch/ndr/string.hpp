// Strings, [C706] 14.3.4: arrays of characters whose last element is a terminator.
#ifndef RPCH_NDR_STRING_HPP
#define RPCH_NDR_STRING_HPP

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <rpch/ndr/array.hpp>
#include <rpch/ndr/codec.hpp>

namespace rpch::inline RPCH_ABI::ndr {

/// Characters of strings: `char` ([string] char, octets as they stand) and `char16_t` ([string]
/// wchar_t, UTF-16 as it stands; pairs of surrogates are not judged).
template <class Char>
concept string_char = std::same_as<Char, char> || std::same_as<Char, char16_t>;

/// A conformant string of at most Max units, the terminator among them. `std::string` and
/// `std::u16string` are the same with limits::ndr_string_units_max. The C++ value has no
/// terminator.
template <string_char Char, std::size_t Max>
struct basic_string {
    std::basic_string<Char> text;
    bool operator==(const basic_string&) const = default;
};
template <std::size_t Max>
using string = basic_string<char, Max>;
template <std::size_t Max>
using u16string = basic_string<char16_t, Max>;

/// A string in an array of fixed bound, `[string] char s[Max]`: a varying string, [C706] 14.3.4.1.
template <string_char Char, std::size_t Max>
struct basic_varying_string {
    std::basic_string<Char> text;
    bool operator==(const basic_varying_string&) const = default;
};
template <std::size_t Max>
using varying_string = basic_varying_string<char, Max>;
template <std::size_t Max>
using u16varying_string = basic_varying_string<char16_t, Max>;

namespace detail {

/// Writes offset, actual count, characters and terminator.
/// @errors errc::ndr_bad_string if a terminator stands inside the text.
template <string_char Char>
[[nodiscard]] bool put_string(encoder& out, std::basic_string_view<Char> text) {
    if (text.find(Char{0}) != text.npos) return out.fail(errc::ndr_bad_string);
    if (!put_variance(out, 0, text.size() + 1)) return false;
    return put_elements<Char>(out, std::span(text.data(), text.size())) &&
           codec<Char>::put(out, Char{0});
}

/// Reads what `put_string` writes. The terminator must be there, as the last unit and as no other:
/// a receiver in C would see another text than we do.
/// @errors errc::ndr_bad_string, errc::truncated, errc::too_large.
template <string_char Char>
[[nodiscard]] bool get_string(decoder& in, std::basic_string<Char>& text, std::uint64_t bound) {
    std::uint64_t offset = 0;
    std::uint64_t count = 0;
    if (!in.get_count(offset) || !in.get_count(count)) return false;
    if (offset != 0 || count == 0 || count > bound) return in.fail(errc::ndr_bad_string);
    if (count > in.remaining() / sizeof(Char)) return in.fail(errc::truncated);
    if (!in.charge(count * sizeof(Char))) return false;
    text.resize(static_cast<std::size_t>(count));
    if (!get_elements<Char>(in, std::span(text.data(), text.size()))) return false;
    if (text.find(Char{0}) != text.size() - 1) return in.fail(errc::ndr_bad_string);
    text.pop_back();
    return true;
}

template <class T, string_char Char, std::size_t Max, class Text>
struct string_codec {
    static constexpr bool deferred = false;
    static constexpr bool conformant = true;
    static constexpr std::size_t min_bytes = 12 + sizeof(Char);
    static constexpr std::size_t alignment(transfer_syntax syntax) noexcept {
        return count_bytes(syntax);
    }
    static bool put_max_count(encoder& out, const T& value) {
        return put_max<Max>(out, std::uint64_t{Text::of(value).size()} + 1);
    }
    static bool put(encoder& out, const T& value) { return put_string<Char>(out, Text::of(value)); }
    static bool get_max_count(decoder& in, std::uint64_t& count) noexcept {
        return get_max<Max>(in, count);
    }
    static bool get(decoder& in, T& value, std::uint64_t max_count) {
        return get_string(in, Text::of(value), max_count);
    }
};

struct has_text {
    template <class V>
    static constexpr auto& of(V& value) noexcept {
        return value.text;
    }
};
} // namespace detail

template <string_char Char>
struct codec<std::basic_string<Char>>
    : detail::string_codec<std::basic_string<Char>, Char, limits::ndr_string_units_max,
                           detail::is_items> {};

template <string_char Char, std::size_t Max>
struct codec<basic_string<Char, Max>>
    : detail::string_codec<basic_string<Char, Max>, Char, Max, detail::has_text> {};

template <string_char Char, std::size_t Max>
struct codec<basic_varying_string<Char, Max>> {
    static constexpr bool deferred = false;
    static constexpr bool conformant = false;
    static constexpr std::size_t min_bytes = 8 + sizeof(Char);
    static constexpr std::size_t alignment(transfer_syntax syntax) noexcept {
        return count_bytes(syntax);
    }
    static bool put(encoder& out, const basic_varying_string<Char, Max>& value) {
        if (value.text.size() >= Max) return out.fail(errc::too_large);
        return detail::put_string<Char>(out, value.text);
    }
    static bool get(decoder& in, basic_varying_string<Char, Max>& value) {
        return detail::get_string(in, value.text, Max);
    }
};

} // namespace rpch::inline RPCH_ABI::ndr

#endif
