#include <rpch/auth/basic.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

#include <rpch/auth/detail/utf8.hpp>
#include <rpch/auth/offers.hpp>
#include <rpch/core/base64.hpp>
#include <rpch/core/text.hpp>
#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::auth {

namespace detail {

RPCH_DECL bool is_utf8(std::string_view text) noexcept {
    while (!text.empty())
        if (!next_code_point(text)) return false;
    return true;
}

/// RFC 7617 2: neither name nor password may hold a control character.
RPCH_DECL bool has_control(std::string_view text) noexcept {
    for (const char c : text)
        if (core::is_control(c)) return true;
    return false;
}

/// Writes Latin-1 text as UTF-8; `out` is as large as two bytes a character.
RPCH_DECL std::size_t latin1_to_utf8(std::string_view text, byte_span out) noexcept {
    std::size_t n = 0;
    for (const char c : text) {
        const auto value = static_cast<std::uint8_t>(c);
        if (value < 0x80) {
            out[n++] = std::byte{value};
            continue;
        }
        out[n++] = static_cast<std::byte>(0xC0 | value >> 6);
        out[n++] = static_cast<std::byte>(0x80 | (value & 0x3F));
    }
    return n;
}

/// Space for credentials on the stack, wiped when it is left.
template <std::size_t Size>
struct wiped_space {
    std::array<std::byte, Size> bytes{};
    wiped_space() noexcept = default;
    wiped_space(const wiped_space&) = delete;
    wiped_space& operator=(const wiped_space&) = delete;
    ~wiped_space() { core::wipe(bytes); }
};

} // namespace detail

RPCH_DECL result<core::secret> encode_basic(std::string_view user, std::string_view password,
                                            charset how) {
    const std::size_t size = user.size() + 1 + password.size();
    if (user.find(':') != std::string_view::npos || size > limits::basic_credentials_bytes_max)
        return fail(errc::bad_credentials);
    detail::wiped_space<limits::basic_credentials_bytes_max> plain;
    std::size_t used = 0;
    for (const std::string_view part : {user, std::string_view(":"), password}) {
        if (detail::has_control(part) || !detail::is_utf8(part)) return fail(errc::bad_credentials);
        for (std::string_view rest = part; !rest.empty();) {
            const std::string_view before = rest;
            const char32_t value = *detail::next_code_point(rest);
            if (how == charset::latin1) {
                if (value > 0xFF) return fail(errc::bad_credentials);
                plain.bytes[used++] = static_cast<std::byte>(value);
                continue;
            }
            for (const char c : before.substr(0, before.size() - rest.size()))
                plain.bytes[used++] = static_cast<std::byte>(c);
        }
    }
    std::string value;
    value.reserve(6 + core::base64_size(used)); // in one piece, so that growing leaves no copy
    value = "Basic ";
    core::base64_append(value, byte_view(plain.bytes).first(used));
    core::secret out{std::string_view(value)};
    core::wipe(value);
    return out;
}

RPCH_DECL result<basic_credentials> decode_basic(std::string_view value) {
    if (scheme_of(value) != scheme::basic) return fail(errc::bad_credentials);
    const std::string_view base64 = core::trim_blanks(value.substr(name_of(scheme::basic).size()));
    detail::wiped_space<limits::basic_credentials_bytes_max + 2>
        plain; // 2: padding, counted as bytes
    const auto size = core::base64_decode(base64, plain.bytes);
    if (!size || *size > limits::basic_credentials_bytes_max) return fail(errc::bad_credentials);
    std::string_view text = core::as_text(byte_view(plain.bytes).first(*size));
    detail::wiped_space<limits::basic_credentials_bytes_max * 2> wide;
    if (!detail::is_utf8(text))
        text = core::as_text(byte_view(wide.bytes).first(detail::latin1_to_utf8(text, wide.bytes)));
    const std::size_t colon = text.find(':'); // the first: a password may hold others, RFC 7617 2
    if (colon == std::string_view::npos || detail::has_control(text))
        return fail(errc::bad_credentials);
    const std::string_view user = text.substr(0, colon);
    const std::size_t backslash = user.find('\\');
    const std::size_t name_at = backslash == std::string_view::npos ? 0 : backslash + 1;
    basic_credentials out;
    out.domain = user.substr(0, name_at == 0 ? 0 : backslash);
    out.name = user.substr(name_at);
    out.password = core::secret(text.substr(colon + 1));
    return out;
}

} // namespace rpch::inline RPCH_ABI::auth
