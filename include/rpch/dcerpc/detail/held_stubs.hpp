// What one call holds of the stub bytes that its interface may have.
#ifndef RPCH_DCERPC_DETAIL_HELD_STUBS_HPP
#define RPCH_DCERPC_DETAIL_HELD_STUBS_HPP

#include <cstddef>
#include <memory>
#include <utility>

#include <rpch/dcerpc/stub_budget.hpp>

namespace rpch::inline RPCH_ABI::dcerpc::detail {

/// Gives back what it holds when it goes.
class held_stubs {
  public:
    held_stubs() = default;
    explicit held_stubs(std::shared_ptr<stub_budget> of) noexcept : of_(std::move(of)) {}
    held_stubs(held_stubs&& other) noexcept
        : of_(std::move(other.of_)), bytes_(std::exchange(other.bytes_, 0)) {}
    held_stubs& operator=(held_stubs&& other) noexcept {
        if (this == &other) return *this;
        release();
        of_ = std::move(other.of_);
        bytes_ = std::exchange(other.bytes_, 0);
        return *this;
    }
    ~held_stubs() { release(); }

    /// @return false, and takes nothing, if the interface has no room for so many bytes more.
    [[nodiscard]] bool try_add(std::size_t bytes) noexcept {
        if (of_ != nullptr && !of_->has_room(bytes)) return false;
        add(bytes);
        return true;
    }
    /// Takes bytes that are there already, whether there is room or not.
    void add(std::size_t bytes) noexcept {
        if (of_ == nullptr) return;
        of_->held += bytes;
        bytes_ += bytes;
    }
    void release() noexcept {
        if (of_ != nullptr) of_->held -= std::exchange(bytes_, 0);
    }

  private:
    std::shared_ptr<stub_budget> of_{};
    std::size_t bytes_ = 0;
};

} // namespace rpch::inline RPCH_ABI::dcerpc::detail

#endif
