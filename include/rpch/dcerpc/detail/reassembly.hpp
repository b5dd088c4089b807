// Putting the fragments of one call together, within budgets.
#ifndef RPCH_DCERPC_DETAIL_REASSEMBLY_HPP
#define RPCH_DCERPC_DETAIL_REASSEMBLY_HPP

#include <cstddef>
#include <cstdint>
#include <system_error>
#include <vector>

#include <rpch/core/bytes.hpp>
#include <rpch/dcerpc/common_header.hpp>

namespace rpch::inline RPCH_ABI::dcerpc::detail {

/// The stub bytes that the reassemblies of one connection may hold, and hold.
struct reassembly_budget {
    std::size_t call_bytes_max = 0;
    std::size_t total_bytes_max = 0;
    std::size_t held = 0;
};

/// The stub of one request or response as it arrives.
class reassembly {
  public:
    /// Adds a fragment.
    /// @param context_id  of the fragment; all fragments of a call have the same, and the same byte
    /// order.
    /// @param alloc_hint  what the sender says of the bytes from here on; believed only as far as
    /// bytes
    ///                    that did arrive make it plausible.
    /// @errors errc::fragment_order for a first fragment after the first, a later one without it,
    /// another
    ///         context or byte order; errc::too_large above a budget. The caller then drops the
    ///         call.
    RPCH_DECL std::error_code add(const common_header& h, std::uint16_t context_id,
                                  std::uint32_t alloc_hint, byte_view stub,
                                  reassembly_budget& budget);
    /// @return the bytes that are there.
    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
    [[nodiscard]] bool has_begun() const noexcept { return has_begun_; }
    [[nodiscard]] core::byte_order order() const noexcept { return order_; }
    [[nodiscard]] std::uint16_t context_id() const noexcept { return context_id_; }
    /// Gives the bytes away, and back to the budget.
    [[nodiscard]] RPCH_DECL std::vector<std::byte> take(reassembly_budget& budget) noexcept;

  private:
    std::vector<std::byte> bytes_{};
    std::uint16_t context_id_ = 0;
    core::byte_order order_ = core::byte_order::little;
    bool has_begun_ = false;
};

} // namespace rpch::inline RPCH_ABI::dcerpc::detail

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/dcerpc/impl/reassembly.ipp>
#endif

#endif
