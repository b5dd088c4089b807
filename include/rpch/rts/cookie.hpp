// RTS cookies: the names of virtual connections, channels and association groups.
#ifndef RPCH_RTS_COOKIE_HPP
#define RPCH_RTS_COOKIE_HPP

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>

#include <rpch/core/bytes.hpp>
#include <rpch/core/uuid.hpp>

namespace rpch::inline RPCH_ABI::rts {

/// An RTS cookie, [MS-RPCH] 2.2.3.1: 16 raw bytes in wire order, compared as bytes. Windows makes
/// them as UUIDs; that matters only to a reader of logs, so text is plain hexadecimal.
struct cookie {
    std::array<std::byte, 16> bytes{};

    /// @return 32 lower-case hexadecimal digits in wire order.
    [[nodiscard]] std::string to_hex() const { return core::to_hex(bytes); }
    constexpr auto operator<=>(const cookie&) const noexcept = default;
};

/// Hashes cookies for unordered containers. Peers choose cookies, so whoever keeps a table of other
/// people's cookies gives it a random seed, or one of them can put all its keys into one bucket.
struct cookie_hash {
    std::uint64_t seed = 0;

    [[nodiscard]] std::size_t operator()(const cookie& c) const noexcept {
        const auto half = [&c](std::size_t at) {
            return core::load<std::uint64_t>(c.bytes.data() + at, core::byte_order::little);
        };
        return static_cast<std::size_t>(mix(mix(seed ^ half(0)) ^ half(8)));
    }

  private:
    /// The finalizer of splitmix64: a bijection in which every input bit reaches every output bit.
    static constexpr std::uint64_t mix(std::uint64_t x) noexcept {
        x += 0x9E3779B97F4A7C15;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }
};

} // namespace rpch::inline RPCH_ABI::rts

#endif
