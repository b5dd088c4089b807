// A bound on the stub bytes that the calls of one interface hold, on all connections together.
#ifndef RPCH_DCERPC_STUB_BUDGET_HPP
#define RPCH_DCERPC_STUB_BUDGET_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <rpch/config.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

/// Shared by server associations and by whoever keeps the stubs of calls that are executed. Bytes
/// are added on one strand; they may be given back on any thread.
struct stub_budget {
    std::size_t bytes_max = SIZE_MAX;
    std::atomic<std::size_t> held{0};

    [[nodiscard]] bool has_room(std::size_t bytes) const noexcept {
        const std::size_t now = held; // answers may have passed the limit
        return now <= bytes_max && bytes <= bytes_max - now;
    }
};

} // namespace rpch::inline RPCH_ABI::dcerpc

#endif
