// A PDU that may lie in two pieces, because it straddles the end of a read buffer.
#ifndef RPCH_CORE_SPLIT_VIEW_HPP
#define RPCH_CORE_SPLIT_VIEW_HPP

#include <cstddef>
#include <cstring>
#include <vector>

#include <rpch/core/bytes.hpp>

namespace rpch::inline RPCH_ABI::core {

/// Borrowed bytes in one or two pieces. Whoever makes one for a PDU keeps at least the first 24
/// bytes (or the whole of a shorter PDU) in `first`, so that headers are read without a copy.
struct split_view {
    byte_view first;
    byte_view second{};

    [[nodiscard]] std::size_t size() const noexcept { return first.size() + second.size(); }
    /// @return an owned copy of both pieces.
    [[nodiscard]] std::vector<std::byte> to_vector() const {
        std::vector<std::byte> out;
        out.reserve(size());
        out.insert(out.end(), first.begin(), first.end());
        out.insert(out.end(), second.begin(), second.end());
        return out;
    }
};

} // namespace rpch::inline RPCH_ABI::core

#endif
