// A limit on how long something may last.
#ifndef RPCH_TRANSPORT_STATE_LIMIT_HPP
#define RPCH_TRANSPORT_STATE_LIMIT_HPP

#include <chrono>
#include <cstdint>
#include <system_error>
#include <utility>

#include <rpch/transport/executor.hpp>

namespace rpch::inline RPCH_ABI::transport {

/// Measures how long a state of its owner lasts. On the owner's strand. The timer is set when the
/// state begins and finds out for itself what has become of it: states come and go with PDUs, and
/// no PDU is to set or cancel a timer.
class state_limit {
  public:
    explicit state_limit(const strand& on) : timer_(on) {}

    /// Tells whether the state lasts: it is measured from the first true, until false. Cheap where
    /// nothing changes.
    /// @param limit    the same in all calls.
    /// @param owner    has this, and is held by shared pointers; when it is gone, `expired` is not
    ///                 called.
    /// @param expired  called when the state has lasted `limit`; the same in all calls.
    template <class Owner, class Expired>
    void watch(bool lasts, std::chrono::milliseconds limit, Owner& owner, Expired expired) {
        if (lasts == lasts_) return;
        lasts_ = lasts;
        if (!lasts) return;
        limit_ = limit;
        until_ = clock::now() + limit_;
        if (!is_set_) wait(owner.weak_from_this(), std::move(expired));
    }
    /// The state, if it lasts, is measured from now on.
    void renew() {
        if (lasts_) until_ = clock::now() + limit_;
    }
    /// The state is over, and its owner as well: the timer keeps no context at work.
    void stop() {
        lasts_ = false;
        is_set_ = false;
        ++round_;
        timer_.cancel();
    }

  private:
    template <class Weak, class Expired>
    void wait(Weak owner, Expired expired) {
        is_set_ = true;
        timer_.expires_at(until_);
        timer_.async_wait([this, owner = std::move(owner), expired = std::move(expired),
                           round = round_](std::error_code ec) mutable {
            const auto kept = owner.lock();
            if (!kept || round != round_) return;
            is_set_ = false;
            if (ec || !lasts_) return;
            if (clock::now() < until_) return wait(std::move(owner), std::move(expired));
            expired();
        });
    }

    timer timer_;
    std::chrono::milliseconds limit_{0};
    time_point until_{};
    std::uint32_t round_ = 0; ///< Of the timer: one that was stopped may be on its way already.
    bool lasts_ = false;
    bool is_set_ = false;
};

} // namespace rpch::inline RPCH_ABI::transport

#endif
