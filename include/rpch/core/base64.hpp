// Base64, RFC 4648 section 4: the standard alphabet, with padding.
#ifndef RPCH_CORE_BASE64_HPP
#define RPCH_CORE_BASE64_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <rpch/core/bytes.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::core {

/// @return how many characters `bytes` bytes become.
[[nodiscard]] constexpr std::size_t base64_size(std::size_t bytes) noexcept {
    return bytes / 3 * 4 + (bytes % 3 != 0 ? 4 : 0);
}
/// @return the most bytes that `characters` characters can stand for.
[[nodiscard]] constexpr std::size_t base64_decoded_size_max(std::size_t characters) noexcept {
    return characters / 4 * 3;
}

/// Appends the base64 form of `bytes` to `out`, padded, without line breaks.
RPCH_DECL void base64_append(std::string& out, byte_view bytes);

/// @return the base64 form of `bytes`, padded, without line breaks.
[[nodiscard]] RPCH_DECL std::string base64_encode(byte_view bytes);

/// Decodes base64 into borrowed space. Takes the canonical form only: no blanks or line breaks,
/// padded to four characters, unused bits zero, so that one value has one text.
/// @param out  at least base64_decoded_size_max(text.size()) bytes.
/// @return how many bytes were written.
/// @errors errc::bad_value if `text` is not canonical base64; errc::too_large if `out` is too
/// small.
[[nodiscard]] RPCH_DECL result<std::size_t> base64_decode(std::string_view text,
                                                          byte_span out) noexcept;

/// Decodes base64 into a vector of its own.
/// @param bytes_max  the limit for the decoded size, checked before allocating.
/// @errors as above; errc::too_large if the text could stand for more than `bytes_max` bytes.
[[nodiscard]] RPCH_DECL result<std::vector<std::byte>> base64_decode(std::string_view text,
                                                                     std::size_t bytes_max);

} // namespace rpch::inline RPCH_ABI::core

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/core/impl/base64.ipp>
#endif

#endif
