// Remembers verified passwords for a short time, so that a virtual connection costs one derivation.
#ifndef RPCH_TRANSPORT_CREDENTIAL_CACHE_HPP
#define RPCH_TRANSPORT_CREDENTIAL_CACHE_HPP

#include <array>
#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <string_view>

#include <rpch/limits.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::transport {

/// The IN and the OUT request of a virtual connection carry the same Basic credentials, and
/// recycling repeats them; PBKDF2 for each would be the most expensive thing the proxy does. The
/// cache keeps an HMAC-SHA256 of user, password and stored hash under a random key of its own:
/// neither password nor anything that can be tried offline without that key. A changed stored hash
/// is a changed entry, so a new password takes effect at once. Only success is remembered; slow
/// down failures where they are counted. Thread-safe; the derivation runs outside the lock.
class credential_cache {
  public:
    using clock = std::chrono::steady_clock;

    /// @param lifetime     how long a success is remembered.
    /// @param entries_max  above it the entry that expires first goes.
    explicit credential_cache(std::chrono::seconds lifetime = limits::verified_credential_lifetime,
                              std::size_t entries_max = limits::verified_credentials_max);
    ~credential_cache();
    credential_cache(const credential_cache&) = delete;
    credential_cache& operator=(const credential_cache&) = delete;

    /// Verifies a password, from memory if it can. All arguments are borrowed.
    /// @param hash  the stored hash, or `decoy_password_hash()` for an unknown user.
    /// @return whether the password is right; see `verify_password`.
    [[nodiscard]] bool verify(std::string_view user, std::string_view password,
                              std::string_view hash, clock::time_point now);

    /// Answers from memory alone, at the cost of one HMAC; for a thread that must not derive.
    [[nodiscard]] bool remembers(std::string_view user, std::string_view password,
                                 std::string_view hash, clock::time_point now);

    /// @return the number of entries, expired ones included until they are replaced.
    [[nodiscard]] std::size_t size() const;

  private:
    using digest = std::array<std::byte, 32>;
    digest digest_of(std::string_view user, std::string_view password, std::string_view hash) const;
    void remember(const digest& key, clock::time_point now);

    const std::chrono::seconds lifetime_;
    const std::size_t entries_max_;
    digest key_{};
    bool usable_ = false; // false if the key could not be drawn: then nothing is remembered
    mutable std::mutex mutex_;
    std::map<digest, clock::time_point> expires_;
};

} // namespace rpch::inline RPCH_ABI::transport

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/impl/credential_cache.ipp>
#endif

#endif
