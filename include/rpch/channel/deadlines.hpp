// The deadlines of a machine, by kind.
#ifndef RPCH_CHANNEL_DEADLINES_HPP
#define RPCH_CHANNEL_DEADLINES_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

#include <rpch/channel/legs.hpp>

namespace rpch::inline RPCH_ABI::channel {

/// A small array of deadlines. @tparam Kind  an enum class whose last enumerator is `count`.
template <class Kind>
class deadlines {
  public:
    deadlines() noexcept { clear_all(); }
    void set(Kind kind, time_point at) noexcept { at_[index(kind)] = at; }
    /// Sets it unless it is set already.
    void set_once(Kind kind, time_point at) noexcept {
        if (!is_set(kind)) set(kind, at);
    }
    void clear(Kind kind) noexcept { at_[index(kind)] = never; }
    void clear_all() noexcept { at_.fill(never); }
    [[nodiscard]] bool is_set(Kind kind) const noexcept { return at_[index(kind)] != never; }
    [[nodiscard]] bool is_due(Kind kind, time_point now) const noexcept {
        return is_set(kind) && now >= at_[index(kind)];
    }
    /// @return whether it is due; then it is cleared.
    [[nodiscard]] bool take_due(Kind kind, time_point now) noexcept {
        if (!is_due(kind, now)) return false;
        clear(kind);
        return true;
    }
    /// @return the nearest of those that are set.
    [[nodiscard]] std::optional<time_point> nearest() const noexcept {
        const time_point first = *std::min_element(at_.begin(), at_.end());
        return first == never ? std::nullopt : std::optional(first);
    }

  private:
    static constexpr time_point never = time_point::max();
    static constexpr std::size_t index(Kind kind) noexcept {
        return static_cast<std::size_t>(kind);
    }
    std::array<time_point, static_cast<std::size_t>(Kind::count)> at_;
};

} // namespace rpch::inline RPCH_ABI::channel

#endif
