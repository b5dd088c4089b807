// A cursor over borrowed bytes. Every read is checked; a failed read moves nothing.
#ifndef RPCH_CORE_READER_HPP
#define RPCH_CORE_READER_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <rpch/core/bytes.hpp>

namespace rpch::inline RPCH_ABI::core {

/// Reads borrowed bytes from front to back. Every `take` checks the bounds once and advances, or
/// returns nothing and leaves the position where it was.
class reader {
  public:
    explicit reader(byte_view in, byte_order order = byte_order::little) noexcept
        : in_(in), order_(order) {}

    /// Takes N bytes; offsets into the result are checked by the compiler (`load_le32<4>(*x)`).
    template <std::size_t N>
    [[nodiscard]] std::optional<std::span<const std::byte, N>> take() noexcept {
        if (remaining() < N) return std::nullopt;
        const auto out = in_.subspan(at_).template first<N>();
        at_ += N;
        return out;
    }
    /// Takes `n` bytes.
    [[nodiscard]] std::optional<byte_view> take(std::size_t n) noexcept {
        if (remaining() < n) return std::nullopt;
        const auto out = in_.subspan(at_, n);
        at_ += n;
        return out;
    }
    /// Takes an integer in the reader's byte order.
    template <std::unsigned_integral Int>
    [[nodiscard]] std::optional<Int> take_int() noexcept {
        if (remaining() < sizeof(Int)) return std::nullopt;
        const auto value = load<Int>(in_.data() + at_, order_);
        at_ += sizeof(Int);
        return value;
    }
    [[nodiscard]] std::optional<std::uint8_t> take_u8() noexcept {
        return take_int<std::uint8_t>();
    }
    [[nodiscard]] std::optional<std::uint16_t> take_u16() noexcept {
        return take_int<std::uint16_t>();
    }
    [[nodiscard]] std::optional<std::uint32_t> take_u32() noexcept {
        return take_int<std::uint32_t>();
    }
    [[nodiscard]] std::optional<std::uint64_t> take_u64() noexcept {
        return take_int<std::uint64_t>();
    }
    /// Advances to the next multiple of `alignment` counted from the start of the input.
    /// @return false, and no advance, if the input ends before it.
    [[nodiscard]] bool align(std::size_t alignment) noexcept {
        const std::size_t pad = (alignment - at_ % alignment) % alignment;
        if (remaining() < pad) return false;
        at_ += pad;
        return true;
    }

    [[nodiscard]] std::size_t remaining() const noexcept { return in_.size() - at_; }
    [[nodiscard]] std::size_t position() const noexcept { return at_; }
    [[nodiscard]] byte_view rest() const noexcept { return in_.subspan(at_); }
    [[nodiscard]] byte_order order() const noexcept { return order_; }

  private:
    byte_view in_;
    std::size_t at_ = 0;
    byte_order order_;
};

} // namespace rpch::inline RPCH_ABI::core

#endif
