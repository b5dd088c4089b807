// Text that must not stay in memory: passwords, keys, Authorization values.
#ifndef RPCH_CORE_SECRET_HPP
#define RPCH_CORE_SECRET_HPP

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <rpch/core/bytes.hpp>

namespace rpch::inline RPCH_ABI::core {

/// Overwrites memory with zeros in a way the compiler may not leave out.
inline void wipe(byte_span memory) noexcept {
    for (std::byte& b : memory) {
        volatile std::byte* p = &b;
        *p = std::byte{0};
    }
}
/// Wipes the whole buffer of a string, then empties it.
inline void wipe(std::string& text) noexcept {
    text.resize(text.capacity()); // within the capacity: allocates nothing
    wipe(std::as_writable_bytes(std::span(text.data(), text.size())));
    text.clear();
}

/// @return whether both are equal; the time taken tells their lengths and nothing else.
[[nodiscard]] inline bool equal_constant_time(byte_view a, byte_view b) noexcept {
    if (a.size() != b.size()) return false;
    unsigned different = 0;
    for (std::size_t i = 0; i < a.size(); ++i) different |= std::to_integer<unsigned>(a[i] ^ b[i]);
    volatile unsigned barrier = different;
    return barrier == 0;
}

/// Owns bytes of fixed size and wipes them when it is destroyed, assigned to or moved from. Copies
/// are made by `clone` only, so that none happens unseen. Never grows: growing would leave copies
/// behind.
class secret {
  public:
    secret() noexcept = default;
    /// Copies `text`; the caller wipes the source.
    explicit secret(std::string_view text) : secret(text.size()) { text.copy(data_.get(), size_); }
    /// `size` zero bytes, to be filled through `writable`.
    explicit secret(std::size_t size) : data_(std::make_unique<char[]>(size)), size_(size) {}
    secret(secret&& other) noexcept
        : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}
    secret& operator=(secret&& other) noexcept {
        if (this != &other) {
            clear();
            data_ = std::move(other.data_);
            size_ = std::exchange(other.size_, 0);
        }
        return *this;
    }
    secret(const secret&) = delete;
    secret& operator=(const secret&) = delete;
    ~secret() { clear(); }

    [[nodiscard]] secret clone() const { return secret(view()); }
    /// Borrows; ends with the secret.
    [[nodiscard]] std::string_view view() const noexcept { return {data_.get(), size_}; }
    [[nodiscard]] byte_view bytes() const noexcept { return as_bytes(view()); }
    [[nodiscard]] byte_span writable() noexcept {
        return std::as_writable_bytes(std::span(data_.get(), size_));
    }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    void clear() noexcept {
        wipe(writable());
        data_.reset();
        size_ = 0;
    }

  private:
    std::unique_ptr<char[]> data_;
    std::size_t size_ = 0;
};

} // namespace rpch::inline RPCH_ABI::core

#endif
