// The sessions a client may resume.
#ifndef RPCH_TRANSPORT_DETAIL_SESSION_STORE_HPP
#define RPCH_TRANSPORT_DETAIL_SESSION_STORE_HPP

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <rpch/transport/detail/mbedtls_compat.hpp>

namespace rpch::inline RPCH_ABI::transport::detail {

/// The last session of each server name and port, up to a count; the one unused for longest goes
/// first. Thread-safe: a session is immutable once stored and lives as long as somebody copies it.
class session_store {
  public:
    explicit session_store(std::size_t sessions_max) noexcept : sessions_max_(sessions_max) {}

    /// @return the session of `key`, or null.
    [[nodiscard]] std::shared_ptr<const tls::session> find(const std::string& key) {
        const std::scoped_lock lock(mutex_);
        const auto found = sessions_.find(key);
        if (found == sessions_.end()) return nullptr;
        found->second.used = ++uses_;
        return found->second.session;
    }
    void store(const std::string& key, std::shared_ptr<const tls::session> session) {
        const std::scoped_lock lock(mutex_);
        if (sessions_.size() >= sessions_max_ && !sessions_.contains(key)) drop_oldest();
        sessions_[key] = entry{std::move(session), ++uses_};
    }
    void erase(const std::string& key) {
        const std::scoped_lock lock(mutex_);
        sessions_.erase(key);
    }
    [[nodiscard]] std::size_t size() const {
        const std::scoped_lock lock(mutex_);
        return sessions_.size();
    }

  private:
    struct entry {
        std::shared_ptr<const tls::session> session;
        std::uint64_t used = 0;
    };
    void drop_oldest() {
        auto oldest = sessions_.begin();
        for (auto at = sessions_.begin(); at != sessions_.end(); ++at)
            if (at->second.used < oldest->second.used) oldest = at;
        if (oldest != sessions_.end()) sessions_.erase(oldest);
    }

    const std::size_t sessions_max_;
    mutable std::mutex mutex_;
    std::map<std::string, entry> sessions_;
    std::uint64_t uses_ = 0;
};

} // namespace rpch::inline RPCH_ABI::transport::detail

#endif
