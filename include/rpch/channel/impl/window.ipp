#include <rpch/channel/window.hpp>

#include <algorithm>
#include <utility>

#include <rpch/core/bytes.hpp>
#include <rpch/dcerpc/common_header.hpp>
#include <rpch/limits.hpp>

#include <gsl/assert>

namespace rpch::inline RPCH_ABI::channel {

RPCH_DECL receive_window::receive_window(std::uint32_t bytes, std::uint32_t fragment_most) noexcept
    : size_(bytes),
      advertised_(bytes),
      fragment_most_(fragment_most),
      fragment_(std::min<std::uint32_t>(fragment_most, limits::fragment_bytes_default)) {
    Expects(fragment_most <= bytes);
}

RPCH_DECL void receive_window::on_received(std::size_t n) noexcept {
    held_ += n;
    received_ += static_cast<std::uint32_t>(n);
    advertised_ -= static_cast<std::uint32_t>(std::min<std::size_t>(n, advertised_));
    expect_fragment(n);
}

RPCH_DECL void receive_window::expect_fragment(std::size_t n) noexcept {
    fragment_ =
        std::max(fragment_, static_cast<std::uint32_t>(std::min<std::size_t>(n, fragment_most_)));
}

RPCH_DECL std::size_t receive_window::renew() noexcept {
    advertised_ = size_;
    received_ = 0;
    return std::exchange(held_, 0);
}

RPCH_DECL bool receive_window::on_released(std::size_t n) noexcept {
    Expects(n <= held_);
    held_ -= n;
    // An overrun can leave nothing to grant; an acknowledgement would say what the peer knows.
    return advertised_ < threshold() && available() > advertised_;
}

RPCH_DECL acknowledgement receive_window::acknowledge() noexcept {
    advertised_ = available();
    return {.bytes_received = received_, .available_window = advertised_};
}

RPCH_DECL std::uint32_t receive_window::available() const noexcept {
    return overrun() ? 0 : size_ - static_cast<std::uint32_t>(held_);
}

RPCH_DECL std::uint32_t receive_window::threshold() const noexcept {
    return std::max(size_ / 2, fragment_);
}

RPCH_DECL void send_window::on_sent(std::size_t n) noexcept {
    Expects(fits(n));
    sent_ += static_cast<std::uint32_t>(n);
    available_ -= static_cast<std::uint32_t>(n);
}

/// Both numbers only grow, taken together: a receiver counts up, and gives back what it has taken.
RPCH_DECL bool send_window::is_overtaken(acknowledgement ack) const noexcept {
    const std::uint32_t behind = newest_.bytes_received - ack.bytes_received; // modulo 2^32
    if (behind == 0) return ack.available_window < newest_.available_window;
    return behind <= std::min<std::uint64_t>(acknowledged_, limits::channel_lifetime_max);
}

RPCH_DECL std::error_code send_window::on_acknowledged(acknowledgement ack) noexcept {
    if (is_overtaken(ack)) return {};
    const std::uint32_t on_the_way = sent_ - ack.bytes_received; // modulo 2^32: counters wrap
    if (on_the_way > ack.available_window) return errc::bad_acknowledgement;
    const std::uint32_t window = ack.available_window - on_the_way;
    if (window > peer_) return errc::bad_acknowledgement;
    available_ = window;
    acknowledged_ += ack.bytes_received - newest_.bytes_received;
    newest_ = ack;
    return {};
}

RPCH_DECL std::size_t announced_fragment(const core::split_view& pdu) noexcept {
    const byte_view head = pdu.first;
    if (head.size() < dcerpc::common_header_bytes + 4) return 0;
    const auto type = dcerpc::peek_type(head);
    if (type != dcerpc::pdu_type::bind && type != dcerpc::pdu_type::bind_ack &&
        type != dcerpc::pdu_type::alter_context && type != dcerpc::pdu_type::alter_context_resp)
        return 0;
    const auto order = (std::to_integer<unsigned>(head[4]) >> 4) == 1 ? core::byte_order::little
                                                                      : core::byte_order::big;
    return std::max(core::load<std::uint16_t>(head.data() + 16, order),
                    core::load<std::uint16_t>(head.data() + 18, order));
}

} // namespace rpch::inline RPCH_ABI::channel
