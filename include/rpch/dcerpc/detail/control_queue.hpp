// Encoded control PDUs that wait to be sent.
#ifndef RPCH_DCERPC_DETAIL_CONTROL_QUEUE_HPP
#define RPCH_DCERPC_DETAIL_CONTROL_QUEUE_HPP

#include <cstddef>
#include <cstring>
#include <vector>

#include <rpch/core/bytes.hpp>
#include <rpch/dcerpc/common_header.hpp>

namespace rpch::inline RPCH_ABI::dcerpc::detail {

/// Whole PDUs, one after the other in one buffer that is kept: a fault costs no allocation. Each
/// PDU tells its own length.
class control_queue {
  public:
    [[nodiscard]] bool empty() const noexcept { return front_ == bytes_.size(); }
    /// @return the bytes that wait.
    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size() - front_; }
    /// @return space for a PDU of n bytes at the end; its encoder must fill all of it at once.
    [[nodiscard]] byte_span append(std::size_t n) {
        bytes_.resize(bytes_.size() + n);
        return byte_span(bytes_).last(n);
    }
    /// @return the length of the PDU at the front; 0 if there is none.
    [[nodiscard]] std::size_t front_size() const noexcept {
        if (empty()) return 0;
        // The queue holds what our encoders wrote, so the length is always there.
        return peek_frag_length(byte_view(bytes_).subspan(front_)).value().value();
    }
    /// Moves the PDU at the front into `out`.
    /// @return its length; 0 if there is none or `out` is too small.
    std::size_t pop(byte_span out) noexcept {
        const std::size_t n = front_size();
        if (n == 0 || out.size() < n) return 0;
        std::memcpy(out.data(), bytes_.data() + front_, n);
        front_ += n;
        if (front_ * 2 >= bytes_.size()) {
            bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(front_));
            front_ = 0;
        }
        return n;
    }
    void clear() noexcept {
        bytes_.clear();
        front_ = 0;
    }

  private:
    std::vector<std::byte> bytes_{};
    std::size_t front_ = 0;
};

} // namespace rpch::inline RPCH_ABI::dcerpc::detail

#endif
