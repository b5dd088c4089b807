// The calls of a connection, found by call_id in constant time and without an allocation per call.
#ifndef RPCH_DCERPC_DETAIL_CALL_TABLE_HPP
#define RPCH_DCERPC_DETAIL_CALL_TABLE_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <rpch/config.hpp>

namespace rpch::inline RPCH_ABI::dcerpc::detail {

/// Calls live in slots that are reused; an open-addressing index leads from the id to the slot. A
/// peer that chooses ids which collide makes a search as long as the number of calls, which
/// limits::calls_max bounds. References stay valid until their call is erased.
/// @tparam Call  default-constructible, with a member `std::uint32_t id`.
template <class Call>
class call_table {
  public:
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

    /// @return the call, or nothing.
    [[nodiscard]] Call* find(std::uint32_t id) noexcept {
        if (index_.empty()) return nullptr;
        const std::uint32_t slot = index_[place_of(id)];
        return slot == none ? nullptr : slots_[slot].get();
    }
    [[nodiscard]] const Call* find(std::uint32_t id) const noexcept {
        return const_cast<call_table*>(this)->find(id); // find changes nothing
    }
    /// Adds a call; there must be none with this id.
    /// @return a call as default-constructed, but for its id.
    Call& insert(std::uint32_t id) {
        if ((size_ + 1) * 2 > index_.size()) grow();
        if (free_.empty()) {
            slots_.push_back(std::make_unique<Call>());
            // So that erase, which fills the list, never allocates.
            free_.reserve(slots_.capacity());
            free_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
        }
        const std::uint32_t slot = free_.back();
        free_.pop_back();
        slots_[slot]->id = id;
        index_[place_of(id)] = slot;
        ++size_;
        return *slots_[slot];
    }
    /// Takes a call out and frees what it owns; unknown ids are ignored.
    void erase(std::uint32_t id) noexcept {
        if (index_.empty()) return;
        std::size_t hole = place_of(id);
        const std::uint32_t slot = index_[hole];
        if (slot == none) return;
        *slots_[slot] = Call{};
        free_.push_back(slot);
        --size_;
        // Close the gap: whoever stands behind it in the same run, and may not be found across it,
        // moves.
        const std::size_t mask = index_.size() - 1;
        index_[hole] = none;
        for (std::size_t at = (hole + 1) & mask; index_[at] != none; at = (at + 1) & mask) {
            const std::size_t home = home_of(slots_[index_[at]]->id);
            if (((at - home) & mask) < ((at - hole) & mask)) continue;
            index_[hole] = index_[at];
            index_[at] = none;
            hole = at;
        }
    }
    /// Visits each call, in no particular order; `visit(Call&)` must not add or erase.
    template <class Visit>
    void for_each(Visit&& visit) {
        for (const std::uint32_t slot : index_)
            if (slot != none) visit(*slots_[slot]);
    }
    void clear() noexcept {
        slots_.clear();
        free_.clear();
        index_.clear();
        size_ = 0;
    }

  private:
    static constexpr std::uint32_t none = 0xFFFF'FFFF;

    [[nodiscard]] std::size_t home_of(std::uint32_t id) const noexcept {
        return (id * std::size_t{0x9E37'79B1} >> 7) & (index_.size() - 1);
    }
    /// @return where the id stands, or the empty place where it would.
    [[nodiscard]] std::size_t place_of(std::uint32_t id) const noexcept {
        const std::size_t mask = index_.size() - 1;
        std::size_t at = home_of(id);
        while (index_[at] != none && slots_[index_[at]]->id != id) at = (at + 1) & mask;
        return at;
    }
    void grow() {
        std::vector<std::uint32_t> old(index_.empty() ? 16 : index_.size() * 2, none);
        old.swap(index_);
        for (const std::uint32_t slot : old)
            if (slot != none) index_[place_of(slots_[slot]->id)] = slot;
    }

    std::vector<std::unique_ptr<Call>> slots_{};
    std::vector<std::uint32_t> free_{};
    std::vector<std::uint32_t>
        index_{}; ///< Slots; a power of two of places, at most half of them used.
    std::size_t size_ = 0;
};

} // namespace rpch::inline RPCH_ABI::dcerpc::detail

#endif
