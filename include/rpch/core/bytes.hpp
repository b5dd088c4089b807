// Views of bytes, and integers in them. Offsets into fixed-size spans are checked by the compiler.
#ifndef RPCH_CORE_BYTES_HPP
#define RPCH_CORE_BYTES_HPP

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include <rpch/config.hpp>

namespace rpch::inline RPCH_ABI {

/// Borrowed bytes; the borrow ends with the call unless the function says otherwise.
using byte_view = std::span<const std::byte>;
/// Borrowed bytes that may be written.
using byte_span = std::span<std::byte>;

namespace core {

/// Byte order of integers on the wire, [C706] 14.2.
enum class byte_order : std::uint8_t { little, big };

template <std::unsigned_integral Int>
[[nodiscard]] constexpr Int byte_swap(Int value) noexcept {
    if constexpr (sizeof(Int) == 1)
        return value;
    else if constexpr (sizeof(Int) == 2)
        return __builtin_bswap16(value);
    else if constexpr (sizeof(Int) == 4)
        return __builtin_bswap32(value);
    else
        return __builtin_bswap64(value);
}

/// Reads an unsigned integer at `p`, which must have sizeof(Int) bytes. Prefer the checked forms.
template <std::unsigned_integral Int>
[[nodiscard]] inline Int load(const std::byte* p, byte_order order) noexcept {
    Int value;
    std::memcpy(&value, p, sizeof value);
    const bool host_little = std::endian::native == std::endian::little;
    return (order == byte_order::little) == host_little ? value : byte_swap(value);
}

/// Writes an unsigned integer at `p`, which must have room for sizeof(Int) bytes.
template <std::unsigned_integral Int>
inline void store(std::byte* p, Int value, byte_order order) noexcept {
    const bool host_little = std::endian::native == std::endian::little;
    if ((order == byte_order::little) != host_little) value = byte_swap(value);
    std::memcpy(p, &value, sizeof value);
}

/// Reads a little-endian integer at a compile-time offset of a span whose size is known.
template <std::size_t Offset, std::size_t Size>
[[nodiscard]] inline std::uint8_t load_u8(std::span<const std::byte, Size> in) noexcept {
    static_assert(Offset + 1 <= Size);
    return static_cast<std::uint8_t>(in[Offset]);
}
template <std::size_t Offset, std::size_t Size>
[[nodiscard]] inline std::uint16_t load_le16(std::span<const std::byte, Size> in) noexcept {
    static_assert(Offset + 2 <= Size);
    return load<std::uint16_t>(in.data() + Offset, byte_order::little);
}
template <std::size_t Offset, std::size_t Size>
[[nodiscard]] inline std::uint32_t load_le32(std::span<const std::byte, Size> in) noexcept {
    static_assert(Offset + 4 <= Size);
    return load<std::uint32_t>(in.data() + Offset, byte_order::little);
}

/// @return the characters of `text` as bytes; borrows.
[[nodiscard]] inline byte_view as_bytes(std::string_view text) noexcept {
    return std::as_bytes(std::span(text.data(), text.size()));
}
/// @return the bytes as characters; borrows.
[[nodiscard]] inline std::string_view as_text(byte_view bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

} // namespace core
} // namespace rpch::inline RPCH_ABI

#endif
