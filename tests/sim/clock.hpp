// Virtual time: events in order of time, and among those of one time in order of their making.
#ifndef RPCH_TESTS_SIM_CLOCK_HPP
#define RPCH_TESTS_SIM_CLOCK_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include <rpch/channel/legs.hpp>

namespace sim {

using rpch::channel::time_point;
using std::chrono::microseconds;
using std::chrono::milliseconds;

/// What is to happen. Timers are all that only lets time pass: when nothing else is left to happen
/// although somebody waits, the simulated world has come to a standstill.
enum class event_kind : std::uint8_t {
    bytes_arrive,  ///< On a pipe: id is the connection, part its writing side.
    writable,      ///< A socket takes bytes again: id is the connection, part the side.
    readable,      ///< Somebody wants to read again: the same.
    connect_done,  ///< id is the attempt.
    upper,         ///< The layer above an endpoint does something: id is the party.
    take,          ///< It takes delivered bytes: id is the party.
    told,          ///< An end learns that its connection is gone: id is the connection.
    restart,       ///< A proxy or the server comes back: id says which.
    deadline,      ///< Of a machine or newcomer: id is the party.
    link_deadline, ///< Of a retired link: id is the connection, part the side.
    check_ended,   ///< id is the virtual connection.
};

inline constexpr event_kind first_timer = event_kind::deadline;

struct event {
    time_point at;
    std::uint64_t order;
    event_kind what;
    std::uint8_t part;
    std::uint32_t id;
};

class clock {
  public:
    [[nodiscard]] time_point now() const noexcept { return now_; }

    void at(time_point when, event_kind what, std::uint32_t id, std::uint8_t part = 0) {
        heap_.push_back({std::max(when, now_), order_++, what, part, id});
        std::push_heap(heap_.begin(), heap_.end(), later);
        if (what < first_timer) ++moves_;
    }
    void after(std::chrono::nanoseconds wait, event_kind what, std::uint32_t id,
               std::uint8_t part = 0) {
        at(now_ + wait, what, id, part);
    }
    [[nodiscard]] bool empty() const noexcept { return heap_.empty(); }
    [[nodiscard]] std::size_t waiting() const noexcept { return heap_.size(); }
    /// @return how many events wait that are no timers.
    [[nodiscard]] std::size_t moves() const noexcept { return moves_; }
    /// Takes the next event; time goes on to it.
    event next() {
        std::pop_heap(heap_.begin(), heap_.end(), later);
        const event e = heap_.back();
        heap_.pop_back();
        if (e.what < first_timer) --moves_;
        now_ = e.at;
        return e;
    }

  private:
    static bool later(const event& a, const event& b) noexcept {
        return a.at != b.at ? a.at > b.at : a.order > b.order;
    }
    time_point now_{std::chrono::hours{1}};
    std::uint64_t order_ = 0;
    std::size_t moves_ = 0;
    std::vector<event> heap_;
};

} // namespace sim

#endif
