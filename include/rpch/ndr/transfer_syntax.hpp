// Transfer syntaxes. Types never assume one: widths and alignments are asked for with the syntax of
// the cursor.
#ifndef RPCH_NDR_TRANSFER_SYNTAX_HPP
#define RPCH_NDR_TRANSFER_SYNTAX_HPP

#include <cstddef>
#include <cstdint>

#include <rpch/core/uuid.hpp>

namespace rpch::inline RPCH_ABI::ndr {

/// The transfer syntax of one presentation context.
enum class transfer_syntax : std::uint8_t {
    ndr20, ///< [C706] 14 with [MS-RPCE] 2.2.4.
    ndr64, ///< [MS-RPCE] 2.2.5.
};

/// NDR 2.0 as bind negotiates it, [C706] appendix I.
inline constexpr interface_id ndr20_id{"8a885d04-1ceb-11c9-9fe8-08002b104860", 2, 0};

/// NDR64 as bind negotiates it, [MS-RPCE] 2.2.5.
inline constexpr interface_id ndr64_id{"71710533-beba-4937-8319-b5dbef9ccc36", 1, 0};

/// @return the identifier of a syntax.
[[nodiscard]] constexpr const interface_id& id_of(transfer_syntax syntax) noexcept {
    return syntax == transfer_syntax::ndr64 ? ndr64_id : ndr20_id;
}
/// @return the syntax of an identifier; NDR 2.0 for those that are neither.
[[nodiscard]] constexpr transfer_syntax syntax_of(const interface_id& id) noexcept {
    return id == ndr64_id ? transfer_syntax::ndr64 : transfer_syntax::ndr20;
}

/// @return width and alignment of array counts and offsets, in bytes. [MS-RPCE] 2.2.5.3.2.
[[nodiscard]] constexpr std::size_t count_bytes(transfer_syntax syntax) noexcept {
    return syntax == transfer_syntax::ndr64 ? 8 : 4;
}
/// @return width and alignment of referent identifiers, in bytes. [MS-RPCE] 2.2.5.3.5.
[[nodiscard]] constexpr std::size_t pointer_bytes(transfer_syntax syntax) noexcept {
    return syntax == transfer_syntax::ndr64 ? 8 : 4;
}
/// @return width and alignment of enumerated types without [v1_enum]. [MS-RPCE] 2.2.5.2.
[[nodiscard]] constexpr std::size_t enum_bytes(transfer_syntax syntax) noexcept {
    return syntax == transfer_syntax::ndr64 ? 4 : 2;
}

} // namespace rpch::inline RPCH_ABI::ndr

#endif
