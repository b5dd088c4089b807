// Flags and command types folded into one number, so that a shape is found by a few comparisons.
#ifndef RPCH_RTS_DETAIL_SHAPE_KEY_HPP
#define RPCH_RTS_DETAIL_SHAPE_KEY_HPP

#include <algorithm>
#include <array>
#include <cstdint>

#include <rpch/rts/shape.hpp>

namespace rpch::inline RPCH_ABI::rts::detail {

/// A shape and what it is found by.
struct shape_row {
    /// An eighth command without a seventh: the key of no list.
    static constexpr std::uint64_t of_nobody = std::uint64_t{1} << 4 * 7;

    std::uint64_t key = of_nobody;
    shape kind{};
};

/// Collects the command types of a PDU in order. A type takes four bits and is never zero there, so
/// lists of different length differ; of more than 16 the last 16 remain.
class shape_key {
  public:
    constexpr void add(command_type type) noexcept {
        types_ = types_ << 4 | (static_cast<std::uint64_t>(type) + 1);
    }

    /// @return the row of the shape with these types and `flags`, or null.
    [[nodiscard]] inline const shape_row* find(std::uint16_t flags) const noexcept;

    /// One number for types and flags. A list longer than any shape's has an eighth type, and the
    /// key something in the bits that are zero in every shape's key.
    [[nodiscard]] constexpr std::uint64_t with(std::uint16_t flags) const noexcept {
        return types_ ^ static_cast<std::uint64_t>(flags) << 48;
    }

  private:
    std::uint64_t types_ = 0;
};

/// Every shape in the slot that its key hashes to: one look instead of a search, for this stands on
/// the path of every acknowledgment.
struct shape_table {
    static constexpr int slot_bits = 7;
    std::uint64_t multiplier = 0;
    std::array<shape_row, 1 << slot_bits> rows{};

    [[nodiscard]] constexpr std::size_t slot(std::uint64_t key) const noexcept {
        return static_cast<std::size_t>(key * multiplier >> (64 - slot_bits));
    }
    /// @return false if the row's slot is taken.
    constexpr bool insert(const shape_row& row) noexcept {
        shape_row& place = rows[slot(row.key)];
        if (place.key != shape_row::of_nobody) return false;
        place = row;
        return true;
    }
};

consteval auto make_shape_rows() {
    static_assert(std::ranges::max(shape_definitions, {}, &shape_definition::count).count <= 7);
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
    return rows;
}

static_assert(
    [] {
        auto rows = make_shape_rows();
        std::ranges::sort(rows, {}, &shape_row::key);
        return std::ranges::adjacent_find(rows, {}, &shape_row::key) == rows.end();
    }(),
    "two shapes look alike and are not declared so");

/// Tries multipliers until no two shapes share a slot.
consteval shape_table make_shape_table() {
    constexpr auto rows = make_shape_rows();
    for (std::uint64_t odd = 0x9E3779B97F4A7C15;; odd += 0xBF58476D1CE4E5BA) {
        shape_table table{.multiplier = odd, .rows = {}};
        if (std::ranges::all_of(rows, [&table](const shape_row& row) { return table.insert(row); }))
            return table;
    }
}
inline constexpr shape_table shapes_by_key = make_shape_table();

inline const shape_row* shape_key::find(std::uint16_t flags) const noexcept {
    const std::uint64_t key = with(flags);
    const shape_row& row = shapes_by_key.rows[shapes_by_key.slot(key)];
    return row.key == key ? &row : nullptr;
}

} // namespace rpch::inline RPCH_ABI::rts::detail

#endif
