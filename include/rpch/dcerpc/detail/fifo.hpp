// A queue of call ids that allocates only to grow.
#ifndef RPCH_DCERPC_DETAIL_FIFO_HPP
#define RPCH_DCERPC_DETAIL_FIFO_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <rpch/config.hpp>

namespace rpch::inline RPCH_ABI::dcerpc::detail {

/// First in, first out. The front moves through a vector whose used part is dropped when it is the
/// larger half: constant time per id on average, and no allocation in steady state.
class id_fifo {
  public:
    [[nodiscard]] bool empty() const noexcept { return front_ == ids_.size(); }
    [[nodiscard]] std::uint32_t front() const noexcept { return ids_[front_]; }
    void push(std::uint32_t id) { ids_.push_back(id); }
    void pop() noexcept {
        ++front_;
        if (front_ * 2 < ids_.size()) return;
        ids_.erase(ids_.begin(), ids_.begin() + static_cast<std::ptrdiff_t>(front_));
        front_ = 0;
    }
    /// Takes an id out wherever it stands; linear, for what is rare.
    void remove(std::uint32_t id) noexcept {
        const auto first = ids_.begin() + static_cast<std::ptrdiff_t>(front_);
        ids_.erase(std::remove(first, ids_.end(), id), ids_.end());
    }
    void clear() noexcept {
        ids_.clear();
        front_ = 0;
    }

  private:
    std::vector<std::uint32_t> ids_{};
    std::size_t front_ = 0;
};

} // namespace rpch::inline RPCH_ABI::dcerpc::detail

#endif
