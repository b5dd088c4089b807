// HMAC-SHA256 with its key schedule kept, and PBKDF2 over it.
#ifndef RPCH_TRANSPORT_DETAIL_HMAC_SHA256_HPP
#define RPCH_TRANSPORT_DETAIL_HMAC_SHA256_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

#include <rpch/core/bytes.hpp>
#include <rpch/transport/detail/mbedtls_compat.hpp>

namespace rpch::inline RPCH_ABI::transport::detail {

using sha256_digest = std::array<std::byte, 32>;

/// HMAC-SHA256, RFC 2104. The states after the two padded keys are computed once and copied for
/// each message; mbedTLS hashes the pads anew every time, which doubles the cost of PBKDF2. Wiped
/// by mbedTLS when it is destroyed.
class hmac_sha256 {
  public:
    /// @param key  borrowed, any length.
    /// @throws std::bad_alloc.
    explicit hmac_sha256(byte_view key);

    /// Begins a message.
    hmac_sha256& start() noexcept;
    hmac_sha256& update(byte_view part) noexcept;
    /// Ends the message. `out` may be what was given to `update`.
    void finish(std::span<std::byte, 32> out) noexcept;

  private:
    tls::hash inner_start_;
    tls::hash outer_start_;
    tls::hash running_;
};

/// PBKDF2 with HMAC-SHA256, RFC 8018 5.2, first block only: 32 bytes.
/// @param iterations  at least 1.
/// @throws std::bad_alloc.
RPCH_DECL sha256_digest pbkdf2_sha256(byte_view password, byte_view salt, std::uint32_t iterations);

} // namespace rpch::inline RPCH_ABI::transport::detail

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/impl/hmac_sha256.ipp>
#endif

#endif
