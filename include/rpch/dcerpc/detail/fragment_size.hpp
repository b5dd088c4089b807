// Fragment sizes: what is offered, what is agreed, what fits.
#ifndef RPCH_DCERPC_DETAIL_FRAGMENT_SIZE_HPP
#define RPCH_DCERPC_DETAIL_FRAGMENT_SIZE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::dcerpc::detail {

/// @return a fragment size that everyone can receive, [C706] 12.6.3.1, and that is a multiple of 8,
/// so
///         that a full fragment carries whole NDR alignment units. Windows rounds alike.
[[nodiscard]] constexpr std::uint16_t usable_fragment(std::uint16_t bytes) noexcept {
    return static_cast<std::uint16_t>(std::max(bytes, limits::fragment_bytes_min) & ~7U);
}

/// @return what a server makes of the size that a client proposes. One that nobody may propose,
/// [C706] 12.6.3.1, says nothing.
[[nodiscard]] constexpr std::uint16_t proposed_fragment(std::uint16_t bytes) noexcept {
    return bytes < limits::fragment_bytes_min ? limits::fragment_bytes_unproposed : bytes;
}

/// @return the stub bytes of the next fragment: all that are left, or a multiple of 8, for
/// fragments but
///         the last one must not break an alignment unit, [C706] 12.6.4.9.
[[nodiscard]] constexpr std::size_t stub_share(std::size_t left, std::size_t fragment_bytes,
                                               std::size_t header_bytes) noexcept {
    return std::min(left, (fragment_bytes - header_bytes) & ~std::size_t{7});
}

/// @return `left` as an alloc_hint.
[[nodiscard]] constexpr std::uint32_t to_alloc_hint(std::size_t left) noexcept {
    return static_cast<std::uint32_t>(std::min<std::size_t>(left, 0xFFFF'FFFF));
}

} // namespace rpch::inline RPCH_ABI::dcerpc::detail

#endif
