// Stored passwords: PBKDF2-HMAC-SHA256 (RFC 8018 5.2), and a short memory of what was verified.
#ifndef RPCH_TRANSPORT_PASSWORD_HASH_HPP
#define RPCH_TRANSPORT_PASSWORD_HASH_HPP

#include <cstdint>
#include <string>
#include <string_view>

#include <rpch/limits.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::transport {

/// Hashes a password with a fresh salt of 16 bytes.
/// @param password    UTF-8 as typed; borrowed; not kept.
/// @param iterations  1 to limits::password_iterations_max.
/// @return `$pbkdf2-sha256$i=ITERATIONS$SALT$HASH` with base64 without padding: no colon, no space,
///         so that it fits a line `user:hash`.
/// @errors errc::bad_setting (iterations), errc::too_large (password above
///         limits::password_bytes_max), errc::no_randomness.
[[nodiscard]] RPCH_DECL result<std::string>
make_password_hash(std::string_view password,
                   std::uint32_t iterations = limits::password_iterations_default);

/// Compares a password with a hash of `make_password_hash`, in a time that does not depend on how
/// much of the password is right. Costs tens of milliseconds of one core: never call it on the only
/// thread, or go through a `credential_cache`.
/// @return false for a wrong password, and for a hash that does not parse.
[[nodiscard]] RPCH_DECL bool verify_password(std::string_view password, std::string_view hash);

/// @return true if `hash` has the form that `make_password_hash` gives; for readers of users files.
[[nodiscard]] RPCH_DECL bool is_password_hash(std::string_view hash);

/// @return a hash that no password fits, at default cost, made once per process. Verify against it
///         when the user is unknown: the answer then takes as long as for a known one.
[[nodiscard]] RPCH_DECL const std::string& decoy_password_hash();

} // namespace rpch::inline RPCH_ABI::transport

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/impl/password_hash.ipp>
#endif

#endif
