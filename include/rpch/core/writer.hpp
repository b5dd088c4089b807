// A cursor that writes into borrowed space. Overflow is remembered, never written.
#ifndef RPCH_CORE_WRITER_HPP
#define RPCH_CORE_WRITER_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <rpch/core/bytes.hpp>

namespace rpch::inline RPCH_ABI::core {

/// Writes into borrowed space from front to back. A put that does not fit writes nothing and makes
/// `ok()` false for good, so that an encoder checks once, at its end.
class writer {
  public:
    explicit writer(byte_span out, byte_order order = byte_order::little) noexcept
        : out_(out), order_(order) {}

    template <std::unsigned_integral Int>
    void put(Int value) noexcept {
        if (std::byte* p = claim(sizeof(Int))) store(p, value, order_);
    }
    void put_u8(std::uint8_t value) noexcept { put(value); }
    void put_u16(std::uint16_t value) noexcept { put(value); }
    void put_u32(std::uint32_t value) noexcept { put(value); }
    void put_u64(std::uint64_t value) noexcept { put(value); }
    void put_bytes(byte_view bytes) noexcept {
        std::byte* p = claim(bytes.size());
        if (p != nullptr && !bytes.empty()) std::memcpy(p, bytes.data(), bytes.size());
    }
    void put_zeros(std::size_t n) noexcept {
        std::byte* p = claim(n);
        if (p != nullptr && n != 0) std::memset(p, 0, n);
    }
    /// Writes zeros up to the next multiple of `alignment` counted from the start of the space.
    void align(std::size_t alignment) noexcept {
        put_zeros((alignment - at_ % alignment) % alignment);
    }
    /// Overwrites an integer written earlier, for lengths known only at the end.
    template <std::unsigned_integral Int>
    void patch(std::size_t at, Int value) noexcept {
        if (at + sizeof(Int) <= at_)
            store(out_.data() + at, value, order_);
        else
            ok_ = false;
    }

    [[nodiscard]] bool ok() const noexcept { return ok_; }
    /// @return how many bytes were written.
    [[nodiscard]] std::size_t size() const noexcept { return at_; }
    [[nodiscard]] byte_view written() const noexcept { return out_.first(at_); }

  private:
    std::byte* claim(std::size_t n) noexcept {
        if (!ok_ || out_.size() - at_ < n) {
            ok_ = false;
            return nullptr;
        }
        std::byte* p = out_.data() + at_;
        at_ += n;
        return p;
    }

    byte_span out_;
    std::size_t at_ = 0;
    byte_order order_;
    bool ok_ = true;
};

} // namespace rpch::inline RPCH_ABI::core

#endif
