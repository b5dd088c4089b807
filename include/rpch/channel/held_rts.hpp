// RTS PDUs that cannot go out before a successor has taken over. [MS-RPCH] 2.1.2.1.7, 3.2.1.1.4.
#ifndef RPCH_CHANNEL_HELD_RTS_HPP
#define RPCH_CHANNEL_HELD_RTS_HPP

#include <cstddef>
#include <system_error>
#include <utility>
#include <vector>

#include <rpch/error.hpp>
#include <rpch/limits.hpp>
#include <rpch/rts/codec.hpp>

namespace rpch::inline RPCH_ABI::channel {

/// RTS PDUs in order, because the channel they go on has no lifetime left for them, or is plugged.
/// An acknowledgement takes the place of an older one, which it makes superfluous; so does a
/// Keep-Alive. So a peer can cause only few.
class held_rts {
  public:
    /// @errors errc::too_many above limits::held_rts_max.
    [[nodiscard]] std::error_code hold(rts::shape kind, const rts::wire& pdu) {
        using enum rts::shape;
        const bool newest_counts = kind == flow_control_ack ||
                                   kind == flow_control_ack_with_destination || kind == keep_alive;
        if (newest_counts) std::erase_if(pdus_, [kind](const entry& e) { return e.kind == kind; });
        if (pdus_.size() >= limits::held_rts_max) return errc::too_many;
        pdus_.push_back({kind, pdu});
        return {};
    }
    /// What was held, with its shape.
    struct entry {
        rts::shape kind;
        rts::wire pdu;
    };
    /// @return all of it, in order; nothing is held any more.
    [[nodiscard]] std::vector<entry> take() noexcept { return std::exchange(pdus_, {}); }
    [[nodiscard]] bool empty() const noexcept { return pdus_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return pdus_.size(); }

  private:
    std::vector<entry> pdus_;
};

} // namespace rpch::inline RPCH_ABI::channel

#endif
