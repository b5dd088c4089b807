// When a ping is due, and how much ping traffic a server puts up with. [MS-RPCH] 3.2.1.2.1.
#ifndef RPCH_CHANNEL_PING_TIMER_HPP
#define RPCH_CHANNEL_PING_TIMER_HPP

#include <chrono>
#include <cstdint>
#include <optional>

#include <rpch/channel/legs.hpp>
#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::channel {

/// Says when a leg was silent for so long that a ping is due. The leg is looked at when half the
/// timeout has passed since the last PDU known at the look before, so that traffic moves no
/// deadline: `on_sent` is one store. Silence never lasts longer than half the timeout; the text's
/// timer of the whole timeout with its "not if sent recently" could let one and a half pass
/// (3.2.2.6.1, B35).
class ping_timer {
  public:
    /// Starts or restarts with a new limit: a ping is due after `silence` without a PDU.
    void start(std::chrono::milliseconds silence, time_point now) noexcept {
        silence_ = silence;
        last_sent_ = now;
        look_at_ = now + silence;
    }
    void stop() noexcept { look_at_.reset(); }
    /// Any PDU was sent on the leg.
    void on_sent(time_point now) noexcept { last_sent_ = now; }

    [[nodiscard]] std::optional<time_point> deadline() const noexcept { return look_at_; }
    /// @return true if a ping is due now; then it counts as sent.
    [[nodiscard]] bool take_due(time_point now) noexcept {
        if (!look_at_ || now < *look_at_) return false;
        const bool due = now - last_sent_ >= silence_;
        if (due) last_sent_ = now;
        look_at_ = last_sent_ + silence_;
        return due;
    }

  private:
    std::chrono::milliseconds silence_{0};
    time_point last_sent_{};
    std::optional<time_point> look_at_;
};

/// Ping bytes that an outbound proxy keeps to itself before it tells the server, note B50.
inline constexpr std::uint32_t ping_bytes_kept_back = 1031;

/// Bounds the ping traffic an outbound proxy reports, [MS-RPCH] 2.2.3.5.15 and note B17.
class ping_budget {
  public:
    /// Counts a PingTrafficSentNotify.
    /// @return false if more than limits::ping_traffic_bytes_max came within the window.
    [[nodiscard]] bool take(std::uint32_t bytes, time_point now) noexcept {
        if (!since_ || now - *since_ >= limits::ping_traffic_window) {
            since_ = now;
            spent_ = 0;
        }
        spent_ += bytes;
        return spent_ <= limits::ping_traffic_bytes_max;
    }

  private:
    std::optional<time_point> since_;
    std::uint64_t spent_ = 0;
};

} // namespace rpch::inline RPCH_ABI::channel

#endif
