// Whether a client has to go through an HTTP proxy: proxy-use determination, [MS-RPCH] 3.2.2.4.1.1.
#ifndef RPCH_CHANNEL_PROXY_USE_HPP
#define RPCH_CHANNEL_PROXY_USE_HPP

#include <chrono>
#include <cstdint>
#include <optional>

#include <rpch/channel/legs.hpp>
#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::channel {

/// Decides between two ways to the RPC proxy, to both of which an echo request has been sent at the
/// same time. The direct way wins, even if it answers a little later than the one through the HTTP
/// proxy. Knows no socket and no clock:
///
/// | state       | event                             | then                                      |
/// | ----------- | --------------------------------- | ----------------------------------------- |
/// | wait        | answer on the direct way          | direct (3.2.2.5.1)                        |
/// | wait        | answer through the HTTP proxy     | wait_direct; the timer starts (3.2.2.5.1) |
/// | wait        | the same, the direct way failed   | indirect                                  |
/// | wait        | both ways failed, or the limit    | failed                                    |
/// | wait_direct | answer on the direct way          | direct                                    |
/// | wait_direct | the direct way failed             | indirect                                  |
/// | wait_direct | the timer (3.2.2.6.3)             | indirect                                  |
///
/// The text sets no limit for the case that nobody answers; this one does.
class proxy_use {
  public:
    enum class way : std::uint8_t { direct, through_proxy };
    enum class state : std::uint8_t { wait, wait_direct, direct, indirect, failed };

    /// Both echo requests are on their way.
    /// @param limit        for the first answer.
    /// @param direct_wait  how much longer than the other one the direct way may take, 3.2.2.2.3.
    explicit proxy_use(time_point now, std::chrono::milliseconds limit,
                       std::chrono::milliseconds direct_wait = limits::direct_answer_wait) noexcept
        : direct_wait_(direct_wait), deadline_(now + limit) {}

    /// The RPC proxy has answered on this way, whatever it said.
    void on_answer(way on, time_point now) noexcept {
        if (is_decided()) return;
        if (on == way::direct) return decide(state::direct);
        if (direct_failed_) return decide(state::indirect);
        if (state_ == state::wait_direct) return;
        state_ = state::wait_direct;
        deadline_ = now + direct_wait_;
    }
    /// Nothing will come on this way any more.
    void on_failed(way on) noexcept {
        if (is_decided()) return;
        (on == way::direct ? direct_failed_ : proxy_failed_) = true;
        if (state_ == state::wait_direct) {
            if (direct_failed_) decide(state::indirect);
        } else if (direct_failed_ && proxy_failed_)
            decide(state::failed);
    }
    void on_deadline(time_point now) noexcept {
        if (is_decided() || now < deadline_) return;
        decide(state_ == state::wait_direct ? state::indirect : state::failed);
    }
    /// @return nothing once it is decided.
    [[nodiscard]] std::optional<time_point> next_deadline() const noexcept {
        if (is_decided()) return std::nullopt;
        return deadline_;
    }
    [[nodiscard]] state current() const noexcept { return state_; }
    [[nodiscard]] bool is_decided() const noexcept { return state_ >= state::direct; }

  private:
    void decide(state verdict) noexcept { state_ = verdict; }

    state state_ = state::wait;
    std::chrono::milliseconds direct_wait_;
    time_point deadline_;
    bool direct_failed_ = false;
    bool proxy_failed_ = false;
};

} // namespace rpch::inline RPCH_ABI::channel

#endif
