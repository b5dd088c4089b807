// RPC PDUs that a proxy holds because the next hop is plugged or has no window.
// [MS-RPCH] 3.2.1.3.1.
#ifndef RPCH_CHANNEL_SEND_QUEUE_HPP
#define RPCH_CHANNEL_SEND_QUEUE_HPP

#include <cstddef>
#include <list>
#include <utility>
#include <vector>

#include <rpch/core/split_view.hpp>

namespace rpch::inline RPCH_ABI::channel {

/// Whole RPC PDUs in order, counted in bytes. Its bound is the receive window of the hop that fills
/// it: every queued byte is held there.
class send_queue {
  public:
    /// Copies a PDU to the end; the only copy it ever gets.
    void push(const core::split_view& pdu) {
        pdus_.push_back(pdu.to_vector());
        bytes_ += pdu.size();
    }
    /// @return the first PDU, which leaves the queue; the queue must not be empty.
    [[nodiscard]] std::vector<std::byte> pop() {
        std::vector<std::byte> pdu = std::move(pdus_.front());
        pdus_.pop_front();
        bytes_ -= pdu.size();
        return pdu;
    }
    [[nodiscard]] bool empty() const noexcept { return pdus_.empty(); }
    /// @return bytes of the first PDU; the queue must not be empty.
    [[nodiscard]] std::size_t front_bytes() const noexcept { return pdus_.front().size(); }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  private:
    // A list, since an empty deque holds half a KiB, and most queues are empty all their life.
    std::list<std::vector<std::byte>> pdus_;
    std::size_t bytes_ = 0;
};

} // namespace rpch::inline RPCH_ABI::channel

#endif
