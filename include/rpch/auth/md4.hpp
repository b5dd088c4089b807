// MD4, RFC 1320. Broken as a hash; NTLM defines the stored form of a password by it, and current
// TLS libraries no longer have it.
#ifndef RPCH_AUTH_MD4_HPP
#define RPCH_AUTH_MD4_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include <rpch/core/bytes.hpp>
#include <rpch/core/secret.hpp>

namespace rpch::inline RPCH_ABI::auth {

/// Hashes a message given in parts. What it holds is wiped when it is destroyed.
class md4 {
  public:
    md4() noexcept = default;
    md4(const md4&) = delete;
    md4& operator=(const md4&) = delete;
    ~md4() { clear(); }

    /// Appends a part of the message, of any length.
    RPCH_DECL void update(byte_view part) noexcept;
    /// Ends the message; the object then begins a new one.
    RPCH_DECL void finish(std::span<std::byte, 16> out) noexcept;

  private:
    static constexpr std::array<std::uint32_t, 4> start{0x67452301, 0xefcdab89, 0x98badcfe,
                                                        0x10325476};
    RPCH_DECL void take_block(std::span<const std::byte, 64> block) noexcept;
    void clear() noexcept {
        core::wipe(std::as_writable_bytes(std::span(state_)));
        core::wipe(pending_);
    }

    std::array<std::uint32_t, 4> state_ = start;
    std::array<std::byte, 64> pending_{};
    std::uint64_t bytes_ = 0;
};

} // namespace rpch::inline RPCH_ABI::auth

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/auth/impl/md4.ipp>
#endif

#endif
