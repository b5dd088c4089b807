// Blocks of memory that connections borrow while they have bytes to hold.
#ifndef RPCH_TRANSPORT_BUFFER_POOL_HPP
#define RPCH_TRANSPORT_BUFFER_POOL_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <rpch/core/bytes.hpp>

namespace rpch::inline RPCH_ABI::transport {

class buffer_pool;

/// A block of 64 KiB: any PDU (frag_length is 16 bits) lies in at most two of them.
struct buffer_block {
    static constexpr std::size_t capacity = 64 * 1024;
    std::array<std::byte, capacity> bytes;
    buffer_pool* home = nullptr; ///< Gets it back.
    std::uint32_t references = 0;
};

/// A counted reference to a block; gives it back to its pool when the last one goes. Used on one
/// strand only, so the count is no atomic.
class block_ref {
  public:
    block_ref() noexcept = default;
    explicit block_ref(buffer_block& block) noexcept : block_(&block) { ++block_->references; }
    block_ref(const block_ref& other) noexcept : block_(other.block_) {
        if (block_ != nullptr) ++block_->references;
    }
    block_ref(block_ref&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    block_ref& operator=(block_ref other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~block_ref() { release(); }

    explicit operator bool() const noexcept { return block_ != nullptr; }
    [[nodiscard]] std::byte* data() const noexcept { return block_->bytes.data(); }
    [[nodiscard]] bool unique() const noexcept {
        return block_ != nullptr && block_->references == 1;
    }
    void reset() noexcept { release(); }

  private:
    inline void release() noexcept;

    buffer_block* block_ = nullptr;
};

/// Lends blocks; keeps a bounded number of free ones, last used first, so that the same warm block
/// serves one connection after the other. One pool per strand; it outlives every link made with it.
class buffer_pool {
  public:
    /// @param free_max  how many free blocks are kept instead of given back to the heap.
    explicit buffer_pool(std::size_t free_max = 64) : free_max_(free_max) {
        free_.reserve(free_max);
    }
    buffer_pool(const buffer_pool&) = delete;
    buffer_pool& operator=(const buffer_pool&) = delete;

    [[nodiscard]] block_ref acquire() {
        ++lent_;
        if (free_.empty()) {
            auto* fresh = new buffer_block; // not zeroed: default-initialized
            fresh->home = this;
            return block_ref(*fresh);
        }
        buffer_block* block = free_.back().release();
        free_.pop_back();
        return block_ref(*block);
    }
    /// Notes bytes that were copied only because they did not lie well or had to wait.
    void note_copied(std::size_t n) noexcept { copied_ += n; }
    /// @return all bytes noted; relaying in steady state adds none.
    [[nodiscard]] std::uint64_t copied() const noexcept { return copied_; }
    /// Counts links that nobody owns any more and that still write their last bytes, or wait for
    /// the peer to take them: a process that ends now would cut them off.
    void note_retired(int change) noexcept { retired_ += static_cast<std::size_t>(change); }
    [[nodiscard]] std::size_t retired_links() const noexcept { return retired_; }
    /// @return how many blocks are lent now.
    [[nodiscard]] std::size_t lent() const noexcept { return lent_; }

  private:
    friend class block_ref;
    void give_back(buffer_block* block) noexcept {
        --lent_;
        std::unique_ptr<buffer_block> owned(block);
        if (free_.size() < free_max_) free_.push_back(std::move(owned)); // reserved: cannot throw
    }

    std::vector<std::unique_ptr<buffer_block>> free_;
    std::size_t free_max_;
    std::size_t lent_ = 0;
    std::uint64_t copied_ = 0;
    std::size_t retired_ = 0;
};

inline void block_ref::release() noexcept {
    if (block_ == nullptr) return;
    if (--block_->references == 0) block_->home->give_back(block_);
    block_ = nullptr;
}

} // namespace rpch::inline RPCH_ABI::transport

#endif
