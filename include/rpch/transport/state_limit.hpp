// A limit on how long something may last.
#ifndef RPCH_TRANSPORT_STATE_LIMIT_HPP
#define RPCH_TRANSPORT_STATE_LIMIT_HPP

#include <chrono>
#include <system_error>
#include <utility>

#include <rpch/transport/executor.hpp>

namespace rpch::inline RPCH_ABI::transport {

/// Measures how long a state of its owner lasts. On the owner's strand.
class state_limit {
  public:
    explicit state_limit(const strand& on) : timer_(on) {}

    /// Tells whether the state lasts: it is measured from the first true, until false. Cheap where
    /// nothing changes.
    /// @param owner    has this, and is held by shared pointers; when it is gone, `expired` is not
    ///                 called.
    /// @param expired  called when the state has lasted `limit`.
    template <class Owner, class Expired>
    void watch(bool lasts, std::chrono::milliseconds limit, Owner& owner, Expired expired) {
        if (lasts == lasts_) return;
        lasts_ = lasts;
        timer_.cancel();
        if (!lasts) return;
        timer_.expires_after(limit);
        timer_.async_wait([this, weak = owner.weak_from_this(),
                           expired = std::move(expired)](std::error_code ec) {
            const auto kept = weak.lock();
            // It may have begun anew when this was on its way already.
            if (!ec && kept && lasts_ && timer_.expiry() <= clock::now()) expired();
        });
    }
    void stop() {
        lasts_ = false;
        timer_.cancel();
    }

  private:
    timer timer_;
    bool lasts_ = false;
};

} // namespace rpch::inline RPCH_ABI::transport

#endif
