// The layers above: calls in fragments, whose contents everybody can compute from their number.
#ifndef RPCH_TESTS_SIM_CALLS_HPP
#define RPCH_TESTS_SIM_CALLS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include <rpch/core/split_view.hpp>
#include <rpch/dcerpc/common_header.hpp>

#include "tests/sim/random.hpp"

namespace sim {

using rpch::dcerpc::pdu_type;

/// A fragment: which bytes of which call.
struct fragment {
    pdu_type type{};
    std::uint32_t call = 0;
    std::uint32_t total = 0;  ///< Bytes of the whole stub.
    std::uint32_t offset = 0; ///< Of the first byte in it.
    std::uint32_t size = 0;   ///< Bytes of the PDU.

    [[nodiscard]] std::uint32_t body() const noexcept { return size - head_bytes; }
    [[nodiscard]] bool is_last() const noexcept { return offset + body() == total; }
    bool operator==(const fragment&) const = default;
    /// The common header, and two numbers of ours.
    static constexpr std::uint32_t head_bytes = 24;
};

/// What one end has sent and the other has not got yet: the one order in which it may come.
using stream = std::deque<fragment>;

/// Sends fragments of several calls, mixed as the seed wants it.
class sender {
  public:
    sender(random& draw, std::uint64_t key, stream& way) noexcept
        : draw_(draw), key_(key), way_(way) {}

    /// @param piece  what is sent at most, if that is less; 0: it is not.
    void set_largest(std::uint32_t pdu, std::uint32_t piece = 0) noexcept {
        largest_ = piece == 0 ? pdu : std::min(pdu, piece);
    }
    /// Announces the largest fragments of both directions.
    void add_announcement(pdu_type type, std::uint16_t sends, std::uint16_t receives);
    void add(pdu_type type, std::uint32_t call, std::uint32_t total);
    void clear() noexcept { waiting_.clear(); }

    [[nodiscard]] bool has_output() const noexcept { return !waiting_.empty(); }
    [[nodiscard]] std::size_t next_size() {
        if (next_.size == 0) choose();
        return next_.size;
    }
    /// @return the next PDU; it counts as sent.
    const std::vector<std::byte>& write();

  private:
    void choose();

    random& draw_;
    std::uint64_t key_;
    stream& way_;
    std::uint32_t largest_ = 5840;
    std::vector<fragment> waiting_; ///< `offset` is what was sent.
    fragment next_{};
    std::size_t chosen_ = 0;
    std::vector<std::byte> pdu_;
};

/// Checks what comes against what was sent and what it must contain.
class receiver {
  public:
    receiver(std::uint64_t key, stream& way) noexcept : key_(key), way_(way) {}
    /// @return the fragment; one of size 0 if it is not the one that was sent.
    fragment take(const rpch::core::split_view& pdu);

  private:
    std::uint64_t key_;
    stream& way_;
    std::vector<std::byte> expected_;
};

} // namespace sim

#endif
