// The RC4 stream cipher. Broken as a cipher; NTLM and old Kerberos encryption types are defined by
// it, and current TLS libraries no longer have it.
#ifndef RPCH_AUTH_RC4_HPP
#define RPCH_AUTH_RC4_HPP

#include <array>
#include <cstddef>
#include <cstdint>

#include <rpch/core/bytes.hpp>
#include <rpch/core/secret.hpp>

namespace rpch::inline RPCH_ABI::auth {

/// A key stream. Its state is wiped when it is destroyed.
class rc4 {
  public:
    /// @param key  borrowed; 1 to 256 bytes.
    RPCH_DECL explicit rc4(byte_view key) noexcept;
    rc4(const rc4&) = delete;
    rc4& operator=(const rc4&) = delete;
    ~rc4() { core::wipe(std::as_writable_bytes(std::span(state_))); }

    /// Encrypts or decrypts in place, and advances the key stream by as many bytes.
    RPCH_DECL void apply(byte_span data) noexcept;

  private:
    std::array<std::uint8_t, 256> state_{};
    std::uint8_t i_ = 0;
    std::uint8_t j_ = 0;
};

} // namespace rpch::inline RPCH_ABI::auth

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/auth/impl/rc4.ipp>
#endif

#endif
