// What both ends of an association are told when they are made.
#ifndef RPCH_DCERPC_ASSOCIATION_OPTIONS_HPP
#define RPCH_DCERPC_ASSOCIATION_OPTIONS_HPP

#include <cstddef>
#include <cstdint>

#include <rpch/config.hpp>
#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

/// Sizes and counts of one connection; each has its reason in limits.hpp.
struct association_limits {
    /// Bytes of the largest fragment we send and receive; raised to limits::fragment_bytes_min and
    /// rounded down to a multiple of 8.
    std::uint16_t fragment_bytes = limits::fragment_bytes_default;
    std::size_t call_bytes_max = limits::call_bytes_max;
    std::size_t reassembly_bytes_max = limits::reassembly_bytes_max;
    std::size_t calls_max = limits::calls_max;
    std::size_t contexts_max = limits::contexts_max;                             ///< Of a client.
    std::size_t contexts_per_interface_max = limits::contexts_per_interface_max; ///< Of a server.
    /// Answers and notices that the peer made us queue and does not read, in bytes.
    std::size_t control_bytes_max = limits::control_bytes_max;
};

} // namespace rpch::inline RPCH_ABI::dcerpc

#endif
