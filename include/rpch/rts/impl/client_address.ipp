#include <algorithm>

#include <gsl/assert>

#include <rpch/rts/client_address.hpp>

namespace rpch::inline RPCH_ABI::rts {
namespace detail {

/// Offsets behind AddressType, [MS-RPCH] 2.2.3.2.1, 2.2.3.2.2; `windows_*` from a capture of a
/// Windows proxy for IPv4 and by analogy (family, port, flow label in front) for IPv6.
struct address_place {
    std::size_t octets;  ///< Length of the address.
    std::size_t windows; ///< Where the Windows layout has it; the text has it at 0.
};
constexpr address_place place_of(address_family family) noexcept {
    return family == address_family::ipv4 ? address_place{4, 4} : address_place{16, 8};
}
inline bool all_zero(byte_view bytes) noexcept {
    return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

} // namespace detail

RPCH_DECL client_address read_client_address(address_family family, byte_view in) noexcept {
    const auto place = detail::place_of(family);
    Expects(in.size() >= client_address_bytes(family));
    client_address out{.family = family};
    const byte_view windows = in.subspan(place.windows, place.octets);
    if (detail::all_zero(in.first(place.windows)) && !detail::all_zero(windows))
        std::ranges::copy(windows, out.octets.begin());
    else
        std::ranges::reverse_copy(in.first(place.octets), out.octets.begin());
    return out;
}

RPCH_DECL void write_client_address(const client_address& from, address_layout layout,
                                    byte_span out) noexcept {
    const auto place = detail::place_of(from.family);
    const std::size_t bytes = client_address_bytes(from.family);
    Expects(out.size() >= bytes);
    const auto address = byte_view(from.octets).first(place.octets);
    std::ranges::fill(out.first(bytes), std::byte{0});
    if (layout == address_layout::windows)
        std::ranges::copy(address, out.begin() + static_cast<std::ptrdiff_t>(place.windows));
    else
        std::ranges::reverse_copy(address, out.begin());
}

} // namespace rpch::inline RPCH_ABI::rts
