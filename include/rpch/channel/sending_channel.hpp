// The sending side of a proxy: RPC PDUs that go on as they come, or wait. [MS-RPCH] 3.2.1.1.4.
#ifndef RPCH_CHANNEL_SENDING_CHANNEL_HPP
#define RPCH_CHANNEL_SENDING_CHANNEL_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <system_error>

#include <rpch/channel/actions.hpp>
#include <rpch/channel/held_rts.hpp>
#include <rpch/channel/lifetime.hpp>
#include <rpch/channel/send_queue.hpp>
#include <rpch/channel/window.hpp>
#include <rpch/core/split_view.hpp>

namespace rpch::inline RPCH_ABI::channel {

/// One instance of a sending channel with its window, queue, plug and lifetime. RPC PDUs keep their
/// order and are sent whole; RTS PDUs pass the queue, wait for the plug, and count against the
/// lifetime.
class sending_channel {
  public:
    /// Plugged, with an empty window.
    /// @param to  the leg this channel sends on.
    /// @param lifetime_bytes  what it may carry; a TCP hop has no limit.
    explicit sending_channel(
        leg to, std::uint64_t lifetime_bytes = std::numeric_limits<std::uint64_t>::max()) noexcept
        : to_(to), lifetime_(lifetime_bytes) {}

    /// Sets the window the peer has told, before the first RPC PDU is sent.
    void set_peer_window(std::uint32_t bytes) noexcept { window_ = send_window(bytes); }
    /// Writes of RPC PDUs may begin, 3.2.3.5.4; sends what has waited.
    /// @errors as `send`.
    [[nodiscard]] std::error_code unplug(action_list& out);

    /// Forwards the RPC PDU now being handled, or queues a copy of it.
    /// @errors errc::too_large if no window of the peer can ever hold it, errc::lifetime_exceeded.
    [[nodiscard]] std::error_code send(const core::split_view& pdu, action_list& out);
    /// Sends an RTS PDU that the machine made, or holds it while the channel is plugged.
    /// @errors errc::lifetime_exceeded, errc::too_many.
    [[nodiscard]] std::error_code send_rts(rts::shape kind, const rts::wire& pdu, action_list& out);
    /// Forwards the RTS PDU now being handled, or holds a copy of it.
    /// @errors errc::lifetime_exceeded, errc::too_many, errc::too_large.
    [[nodiscard]] std::error_code forward_rts(const rts::pdu& in, action_list& out);
    /// The channel becomes the default one: it sends on this leg from now on.
    void set_leg(leg to) noexcept { to_ = to; }
    /// RPC bytes have reached the socket.
    void on_written(std::size_t rpc_bytes) noexcept {
        unwritten_ -= std::min(rpc_bytes, unwritten_);
    }
    /// Takes an acknowledgement of the peer and sends what fits now, 3.2.1.5.1.2.
    /// @errors errc::bad_acknowledgement, and as `send`.
    [[nodiscard]] std::error_code on_acknowledged(acknowledgement ack, action_list& out);

    [[nodiscard]] bool plugged() const noexcept { return plugged_; }
    [[nodiscard]] std::size_t queued_bytes() const noexcept { return queue_.bytes(); }
    /// RPC PDUs wait although nothing is plugged: for the peer's window.
    [[nodiscard]] bool is_blocked() const noexcept { return !plugged_ && !queue_.empty(); }
    /// RPC bytes that were sent on the leg and have not reached its socket.
    [[nodiscard]] std::size_t unwritten() const noexcept { return unwritten_; }
    [[nodiscard]] const send_window& window() const noexcept { return window_; }
    [[nodiscard]] const class lifetime& lifetime() const noexcept { return lifetime_; }

  private:
    /// Sends from the queue while its first PDU fits, 3.2.1.4.1.3.
    std::error_code run_queue(action_list& out);
    /// Takes `n` bytes of window and lifetime for a PDU that fits the window.
    std::error_code count(std::size_t n) noexcept;

    leg to_;
    bool plugged_ = true;
    send_window window_;
    class lifetime lifetime_;
    send_queue queue_;
    held_rts held_;
    std::size_t unwritten_ = 0;
};

} // namespace rpch::inline RPCH_ABI::channel

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/channel/impl/sending_channel.ipp>
#endif

#endif
