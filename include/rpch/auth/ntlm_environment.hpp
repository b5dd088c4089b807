// What NTLM needs and this room does not have: MD5, randomness and the time.
// transport::system_ntlm_environment() is the real one.
#ifndef RPCH_AUTH_NTLM_ENVIRONMENT_HPP
#define RPCH_AUTH_NTLM_ENVIRONMENT_HPP

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

#include <rpch/core/bytes.hpp>

namespace rpch::inline RPCH_ABI::auth {

/// Calls may come from several threads.
class ntlm_environment {
  public:
    virtual ~ntlm_environment() = default;

    /// @return whether MD5 and HMAC-MD5 can be computed; builds of a TLS library may lack them.
    [[nodiscard]] virtual bool has_md5() const noexcept = 0;
    /// MD5 over the pieces one after the other. May throw std::bad_alloc.
    virtual void md5(std::span<const byte_view> pieces, std::span<std::byte, 16> out) const = 0;
    /// HMAC-MD5, RFC 2104, over the pieces one after the other. May throw std::bad_alloc.
    virtual void hmac_md5(byte_view key, std::span<const byte_view> pieces,
                          std::span<std::byte, 16> out) const = 0;
    /// Fills `out` with bytes fit for keys.
    /// @errors errc::no_randomness.
    [[nodiscard]] virtual std::error_code fill_random(byte_span out) const = 0;
    /// @return the time as FILETIME: units of 100 ns since 1601-01-01 UTC.
    [[nodiscard]] virtual std::uint64_t filetime_now() const = 0;
};

} // namespace rpch::inline RPCH_ABI::auth

#endif
