#include <rpch/transport/credential_cache.hpp>

#include <algorithm>

#include <rpch/core/secret.hpp>
#include <rpch/transport/detail/hmac_sha256.hpp>
#include <rpch/transport/password_hash.hpp>
#include <rpch/transport/random.hpp>

namespace rpch::inline RPCH_ABI::transport {

RPCH_DECL credential_cache::credential_cache(std::chrono::seconds lifetime, std::size_t entries_max)
    : lifetime_(lifetime), entries_max_(entries_max), usable_(!random_bytes(key_)) {}
RPCH_DECL credential_cache::~credential_cache() { core::wipe(key_); }

RPCH_DECL credential_cache::digest credential_cache::digest_of(std::string_view user,
                                                               std::string_view password,
                                                               std::string_view hash) const {
    detail::hmac_sha256 mac(key_);
    mac.start();
    for (const std::string_view part : {user, password, hash}) {
        // Each part behind its length, so that no two triples give the same bytes.
        std::array<std::byte, 8> length{};
        core::store<std::uint64_t>(length.data(), part.size(), core::byte_order::little);
        mac.update(length).update(core::as_bytes(part));
    }
    digest out{};
    mac.finish(out);
    return out;
}

RPCH_DECL bool credential_cache::remembers(std::string_view user, std::string_view password,
                                           std::string_view hash, clock::time_point now) {
    if (!usable_ || password.size() > limits::password_bytes_max) return false;
    const auto key = digest_of(user, password, hash);
    const std::scoped_lock lock(mutex_);
    const auto found = expires_.find(key);
    return found != expires_.end() && now < found->second;
}

RPCH_DECL bool credential_cache::verify(std::string_view user, std::string_view password,
                                        std::string_view hash, clock::time_point now) {
    if (remembers(user, password, hash, now)) return true;
    if (!verify_password(password, hash)) return false;
    if (usable_) remember(digest_of(user, password, hash), now);
    return true;
}

RPCH_DECL void credential_cache::remember(const digest& key, clock::time_point now) {
    const std::scoped_lock lock(mutex_);
    if (entries_max_ == 0) return;
    if (expires_.size() >= entries_max_ && !expires_.contains(key)) {
        std::erase_if(expires_, [now](const auto& entry) { return entry.second <= now; });
        if (expires_.size() >= entries_max_)
            expires_.erase(std::ranges::min_element(
                expires_, {}, [](const auto& entry) { return entry.second; }));
    }
    expires_[key] = now + lifetime_;
}

RPCH_DECL std::size_t credential_cache::size() const {
    const std::scoped_lock lock(mutex_);
    return expires_.size();
}

} // namespace rpch::inline RPCH_ABI::transport
