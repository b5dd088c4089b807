// The address of the client as the inbound proxy sees it, [MS-RPCH] 2.2.3.2.
#ifndef RPCH_RTS_CLIENT_ADDRESS_HPP
#define RPCH_RTS_CLIENT_ADDRESS_HPP

#include <array>
#include <cstddef>
#include <cstdint>

#include <rpch/core/bytes.hpp>

namespace rpch::inline RPCH_ABI::rts {

/// AddressType of the ClientAddress command, [MS-RPCH] 2.2.3.2.
enum class address_family : std::uint8_t { ipv4 = 0, ipv6 = 1 };

/// Where a writer puts the address. The text places it first and calls it little-endian; a Windows
/// inbound proxy writes the image of a socket address, in network order, behind family and port.
enum class address_layout : std::uint8_t { text, windows };

/// A client's address: a hint for logs and upper layers, never the ground of an access decision.
struct client_address {
    address_family family = address_family::ipv4;
    std::array<std::byte, 16> octets{}; ///< Network order; an IPv4 address uses the first four.

    constexpr bool operator==(const client_address&) const noexcept = default;
};

/// @return the bytes of address and padding behind AddressType, in either layout.
[[nodiscard]] constexpr std::size_t client_address_bytes(address_family family) noexcept {
    return family == address_family::ipv4 ? 16 : 28;
}

/// Reads the address out of the bytes behind AddressType, in either layout. The bytes tell the
/// layout: zeros where the text puts the address, and something where Windows does, mean Windows.
/// An IPv6 address whose lower half is zero cannot be told apart and is read as Windows writes it;
/// otherwise IPv6 is read in the text's byte order, though peers are known that write network order
/// there.
/// @param in  borrowed; at least client_address_bytes(family).
[[nodiscard]] RPCH_DECL client_address read_client_address(address_family family,
                                                           byte_view in) noexcept;

/// Writes the address and its padding behind AddressType.
/// @param out  borrowed; at least client_address_bytes(from.family), which are written.
RPCH_DECL void write_client_address(const client_address& from, address_layout layout,
                                    byte_span out) noexcept;

} // namespace rpch::inline RPCH_ABI::rts

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/rts/impl/client_address.ipp>
#endif

#endif
