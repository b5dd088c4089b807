// Flags and command types folded into one number, so that a shape is found by a few comparisons.
#ifndef RPCH_RTS_DETAIL_SHAPE_KEY_HPP
#define RPCH_RTS_DETAIL_SHAPE_KEY_HPP

#include <algorithm>
#include <array>
#include <cstdint>

#include <rpch/rts/shape.hpp>

namespace rpch::inline RPCH_ABI::rts::detail {

/// Collects the command types of a PDU in order. A type takes four bits and is never zero there, so
/// lists of different length differ, and a list longer than any shape's shows in the upper bits.
class shape_key {
  public:
    constexpr void add(command_type type) noexcept {
        types_ = types_ << 4 | (static_cast<std::uint64_t>(type) + 1);
    }

    /// @errors errc::unknown_shape.
    [[nodiscard]] inline result<shape> find(std::uint16_t flags) const noexcept;

    /// The number the table is sorted by; all ones, which no shape has, for too many commands.
    [[nodiscard]] constexpr std::uint64_t with(std::uint16_t flags) const noexcept {
        constexpr int bits_of_the_longest = 4 * 7;
        if ((types_ >> bits_of_the_longest) != 0) return ~std::uint64_t{0};
        return types_ << 16 | flags;
    }

  private:
    std::uint64_t types_ = 0;
};

struct shape_row {
    std::uint64_t key;
    shape kind;
};

consteval auto make_shape_rows() {
    std::array<shape_row, shape_definitions.size() + 1> rows{};
    std::size_t n = 0;
    for (const shape_definition& d : shape_definitions) {
        shape_key key;
        for (const command_type type : d.commands()) key.add(type);
        rows[n++] = {key.with(d.flags), d.kind};
    }
    // 2.2.4.45: the body of a replacement OUT request is filled up with Empty or with Padding.
    shape_key padded;
    padded.add(command_type::padding);
    rows[n] = {padded.with(flag::ping), shape::out_r2_c1};
    std::ranges::sort(rows, {}, &shape_row::key);
    return rows;
}
inline constexpr auto shape_rows = make_shape_rows();
static_assert(std::ranges::adjacent_find(shape_rows, {}, &shape_row::key) == shape_rows.end(),
              "two shapes look alike and are not declared so");

inline result<shape> shape_key::find(std::uint16_t flags) const noexcept {
    const std::uint64_t key = with(flags);
    const auto row = std::ranges::lower_bound(shape_rows, key, {}, &shape_row::key);
    if (row == shape_rows.end() || row->key != key) return fail(errc::unknown_shape);
    return row->kind;
}

} // namespace rpch::inline RPCH_ABI::rts::detail

#endif
