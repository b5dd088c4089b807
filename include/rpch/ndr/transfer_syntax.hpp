// Transfer syntaxes. Types never assume one: widths and alignments are asked for with the syntax of
// the cursor, so that a second syntax changes the cursors and this file only.
#ifndef RPCH_NDR_TRANSFER_SYNTAX_HPP
#define RPCH_NDR_TRANSFER_SYNTAX_HPP

#include <cstddef>
#include <cstdint>

#include <rpch/core/uuid.hpp>

namespace rpch::inline RPCH_ABI::ndr {

/// The transfer syntax of one presentation context.
enum class transfer_syntax : std::uint8_t {
    ndr20, ///< [C706] 14 with [MS-RPCE] 2.2.4.
};

/// NDR 2.0 as bind negotiates it, [C706] appendix I.
inline constexpr interface_id ndr20_id{"8a885d04-1ceb-11c9-9fe8-08002b104860", 2, 0};

/// @return width and alignment of array counts and offsets, in bytes.
[[nodiscard]] constexpr std::size_t count_bytes(transfer_syntax) noexcept { return 4; }
/// @return width and alignment of referent identifiers, in bytes.
[[nodiscard]] constexpr std::size_t pointer_bytes(transfer_syntax) noexcept { return 4; }

} // namespace rpch::inline RPCH_ABI::ndr

#endif
