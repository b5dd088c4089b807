#include <rpch/dcerpc/detail/reassembly.hpp>

#include <algorithm>
#include <utility>

#include <rpch/error.hpp>

namespace rpch::inline RPCH_ABI::dcerpc::detail {

RPCH_DECL std::error_code reassembly::add(const common_header& h, std::uint16_t context_id,
                                          std::uint32_t alloc_hint, byte_view stub,
                                          reassembly_budget& budget) {
    if (h.is_first() == has_begun_) return errc::fragment_order;
    if (has_begun_ && (context_id != context_id_ || h.order != order_)) return errc::fragment_order;
    // Both differences are never negative: what is held was within its limit before.
    if (stub.size() > budget.call_bytes_max - bytes_.size() ||
        stub.size() > budget.total_bytes_max - budget.held)
        return errc::too_large;
    const std::size_t size = bytes_.size() + stub.size();
    if (size > bytes_.capacity()) {
        // Room for what the sender announces, but at most four times what has arrived: a fragment
        // that lies costs its sender a quarter of what it costs us.
        std::size_t room = size;
        if (!h.is_last()) {
            const std::size_t announced =
                bytes_.size() + std::max<std::size_t>(alloc_hint, stub.size());
            room = std::clamp(announced, std::min(2 * size, budget.call_bytes_max), 4 * size);
            room = std::max(std::min(room, budget.call_bytes_max), size);
        }
        bytes_.reserve(room);
    }
    bytes_.insert(bytes_.end(), stub.begin(), stub.end());
    budget.held += stub.size();
    has_begun_ = true;
    context_id_ = context_id;
    order_ = h.order;
    return {};
}

RPCH_DECL std::vector<std::byte> reassembly::take(reassembly_budget& budget) noexcept {
    budget.held -= bytes_.size();
    has_begun_ = false;
    return std::exchange(bytes_, {});
}

} // namespace rpch::inline RPCH_ABI::dcerpc::detail
