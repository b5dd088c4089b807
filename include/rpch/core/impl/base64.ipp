#include <rpch/core/base64.hpp>

#include <array>
#include <cstdint>

namespace rpch::inline RPCH_ABI::core {

namespace detail {

inline constexpr std::string_view base64_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// @return the six bits a character stands for, or 64 if it is none of the alphabet.
constexpr std::uint32_t base64_bits(char c) noexcept {
    if (c >= 'A' && c <= 'Z') return static_cast<std::uint32_t>(c - 'A');
    if (c >= 'a' && c <= 'z') return static_cast<std::uint32_t>(c - 'a' + 26);
    if (c >= '0' && c <= '9') return static_cast<std::uint32_t>(c - '0' + 52);
    if (c == '+') return 62;
    if (c == '/') return 63;
    return 64;
}

} // namespace detail

RPCH_DECL void base64_append(std::string& out, byte_view bytes) {
    out.reserve(out.size() + base64_size(bytes.size()));
    const auto at = [&](std::size_t i) {
        return i < bytes.size() ? std::to_integer<std::uint32_t>(bytes[i]) : 0U;
    };
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::uint32_t group = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
        const std::size_t left = bytes.size() - i;
        out += detail::base64_alphabet[group >> 18];
        out += detail::base64_alphabet[group >> 12 & 63];
        out += left > 1 ? detail::base64_alphabet[group >> 6 & 63] : '=';
        out += left > 2 ? detail::base64_alphabet[group & 63] : '=';
    }
}

RPCH_DECL std::string base64_encode(byte_view bytes) {
    std::string out;
    base64_append(out, bytes);
    return out;
}

RPCH_DECL result<std::size_t> base64_decode(std::string_view text, byte_span out) noexcept {
    if (text.size() % 4 != 0) return fail(errc::bad_value);
    std::size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=')
        ++padding;
    const std::size_t size = base64_decoded_size_max(text.size()) - padding;
    if (out.size() < size) return fail(errc::too_large);
    const std::size_t digits = text.size() - padding;
    std::uint32_t bits = 0;
    std::size_t written = 0;
    for (std::size_t i = 0; i < digits; ++i) {
        const std::uint32_t value = detail::base64_bits(text[i]);
        if (value > 63) return fail(errc::bad_value);
        bits = bits << 6 | value;
        if (i % 4 != 0) out[written++] = static_cast<std::byte>(bits >> (6 - i % 4 * 2) & 0xFF);
    }
    // The last digit before padding carries 2 or 4 bits that stand for nothing.
    if (padding != 0 && (bits & ((1U << (padding * 2)) - 1)) != 0) return fail(errc::bad_value);
    return written;
}

RPCH_DECL result<std::vector<std::byte>> base64_decode(std::string_view text,
                                                       std::size_t bytes_max) {
    // A text of whole groups can be up to two padding bytes larger than what it stands for.
    if (text.size() / 4 > bytes_max / 3 + 1) return fail(errc::too_large);
    std::vector<std::byte> out(base64_decoded_size_max(text.size()));
    const auto size = base64_decode(text, byte_span(out));
    if (!size) return fail(size.error());
    if (*size > bytes_max) return fail(errc::too_large);
    out.resize(*size);
    return out;
}

} // namespace rpch::inline RPCH_ABI::core
