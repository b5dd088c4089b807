// UUIDs as DCE/RPC carries them, [C706] appendix A, and hexadecimal text.
#ifndef RPCH_CORE_UUID_HPP
#define RPCH_CORE_UUID_HPP

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <rpch/core/bytes.hpp>

namespace rpch::inline RPCH_ABI {

namespace core {
/// @return the value of a hexadecimal digit, or -1.
[[nodiscard]] constexpr int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}
/// @return two lower-case hexadecimal digits per byte, no separators.
[[nodiscard]] inline std::string to_hex(byte_view bytes) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const std::byte b : bytes) {
        out += digits[std::to_integer<unsigned>(b) >> 4];
        out += digits[std::to_integer<unsigned>(b) & 15];
    }
    return out;
}
/// @return the number in hexadecimal with `0x` in front, without leading zeros.
[[nodiscard]] inline std::string to_hex_number(std::uint32_t value) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (int shift = 28; shift >= 0; shift -= 4)
        if (const auto digit = (value >> shift) & 15U; digit != 0 || !out.empty() || shift == 0)
            out += digits[digit];
    return "0x" + out;
}
} // namespace core

/// A UUID held as its 16 octets in the order of its text form; `encode` and `decode` turn the first
/// three fields to the byte order of the PDU.
class uuid {
  public:
    constexpr uuid() noexcept = default;

    /// From text; a malformed literal does not compile.
    consteval uuid(const char* text) // NOLINT(google-explicit-constructor): a literal is a uuid
        : uuid(parsed(text)) {}

    /// Reads `01234567-89ab-cdef-0123-456789abcdef`, with or without braces, in either case.
    [[nodiscard]] static constexpr std::optional<uuid> parse(std::string_view text) noexcept {
        if (text.size() == 38 && text.front() == '{' && text.back() == '}')
            text = text.substr(1, 36);
        if (text.size() != 36) return std::nullopt;
        uuid out;
        std::size_t octet = 0;
        for (std::size_t i = 0; i < text.size();) {
            if (i == 8 || i == 13 || i == 18 || i == 23) {
                if (text[i] != '-') return std::nullopt;
                ++i;
                continue;
            }
            const int high = core::hex_digit(text[i]);
            const int low = core::hex_digit(text[i + 1]);
            if (high < 0 || low < 0) return std::nullopt;
            out.octets_[octet++] = static_cast<std::uint8_t>(high * 16 + low);
            i += 2;
        }
        return out;
    }

    /// Reads the 16 bytes of a UUID on the wire, [C706] appendix A and 14.2.
    [[nodiscard]] static uuid decode(std::span<const std::byte, 16> wire,
                                     core::byte_order order) noexcept {
        uuid out;
        for (std::size_t i = 0; i < 16; ++i)
            out.octets_[i] = std::to_integer<std::uint8_t>(
                wire[order == core::byte_order::little ? wire_place[i] : i]);
        return out;
    }
    /// Writes the 16 bytes of a UUID on the wire.
    void encode(std::span<std::byte, 16> wire, core::byte_order order) const noexcept {
        for (std::size_t i = 0; i < 16; ++i)
            wire[order == core::byte_order::little ? wire_place[i] : i] =
                static_cast<std::byte>(octets_[i]);
    }

    /// @return 36 characters, lower case, no braces.
    [[nodiscard]] std::string to_string() const {
        std::string out = core::to_hex(std::as_bytes(std::span(octets_)));
        for (const std::size_t at :
             {std::size_t{8}, std::size_t{13}, std::size_t{18}, std::size_t{23}})
            out.insert(at, 1, '-');
        return out;
    }

    [[nodiscard]] constexpr bool is_nil() const noexcept { return *this == uuid{}; }
    /// The octets in the order of the text form.
    [[nodiscard]] constexpr const std::array<std::uint8_t, 16>& octets() const noexcept {
        return octets_;
    }
    constexpr auto operator<=>(const uuid&) const noexcept = default;

  private:
    static consteval uuid parsed(const char* text) {
        const auto out = parse(text);
        if (!out) throw "rpch: this text is no UUID"; // which the compiler shows
        return *out;
    }
    /// Where octet i of the text stands in the little-endian wire form; its own inverse.
    static constexpr std::array<std::size_t, 16> wire_place{3, 2, 1,  0,  5,  4,  7,  6,
                                                            8, 9, 10, 11, 12, 13, 14, 15};
    std::array<std::uint8_t, 16> octets_{};
};

/// An interface or transfer syntax: UUID and version, `p_syntax_id_t` of [C706] 12.6.3.1.
struct interface_id {
    uuid id;
    std::uint16_t major = 0;
    std::uint16_t minor = 0;

    constexpr interface_id() noexcept = default;
    constexpr interface_id(uuid id_, std::uint16_t major_, std::uint16_t minor_) noexcept
        : id(id_), major(major_), minor(minor_) {}
    constexpr auto operator<=>(const interface_id&) const noexcept = default;

    /// @return `uuid@major.minor`.
    [[nodiscard]] std::string to_string() const {
        return id.to_string() + "@" + std::to_string(major) + "." + std::to_string(minor);
    }
};

} // namespace rpch::inline RPCH_ABI

#endif
