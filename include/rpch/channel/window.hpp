// Flow control of one hop, [MS-RPCH] 3.2.1.1.4, 3.2.1.1.5 and 3.2.1.5.1: the two sides' arithmetic.
//
// Only RPC PDUs count; RTS PDUs pass whatever the windows say. A receiver holds at most its window,
// and acknowledges after a release when it has advertised less than max(window / 2, F), F being the
// largest fragment that it has to expect (never more than the window).
//
// Why data always moves. Let a receiver be given every PDU that was sent to it, and let whoever
// takes its PDUs take all of them.
//  1. The sender's window is what the receiver has advertised less what is on the way: both start
//  at
//     the window's size, and an acknowledgement {received, available} sets the sender's to
//     available less the bytes that were on the way when it was written. Once nothing is on the way
//     in either direction, the sender's window equals `advertised`.
//  2. At the release that empties the receiver, available is the whole window. If advertised was
//  below
//     the threshold an acknowledgement goes out and advertised becomes the window; if not,
//     advertised is at least F already. Either way advertised >= F, and it stays so until the next
//     PDU arrives.
//  3. So a sender whose next PDU has n <= F bytes is never left waiting: by 1 and 2 its window
//  grows to
//     at least F >= n. With the half-window rule alone, window / 2 <= advertised < n would be a
//     state that nothing ends.
//  4. F is no guess for a conforming peer: 5840 is assumed from the start (or the window, if
//  smaller),
//     a larger fragment is announced in max_xmit_frag of the bind or bind_ack that passes through
//     the same hop before it, and what was announced nowhere is learnt from the largest PDU seen.
//     A proxy that takes over from another one (IN_R1, OUT_R1) has seen no bind: it expects the
//     largest fragment there can be. A client allows no fragment above half of its window: it says
//     so in max_recv_frag of the bind, and the half-window rule is enough for it.
//  5. Over several hops: a relay releases a PDU when the next hop has taken it, which by 3, applied
//     from the last hop backwards, always happens, provided that every role goes on reading every
//     leg while another is blocked, and that no acknowledgement waits behind data. Reading goes on
//     since the windows bound what has to be held; acknowledgements are RTS PDUs and bypass every
//     queue.
//
// A sender that overruns the window is outside this argument. What it overran by is held (window
// overrun), and its leg is not read until the rest is back within the window, so that memory stays
// bounded by the window, one PDU and one read buffer.
#ifndef RPCH_CHANNEL_WINDOW_HPP
#define RPCH_CHANNEL_WINDOW_HPP

#include <cstddef>
#include <cstdint>
#include <system_error>

#include <rpch/core/split_view.hpp>
#include <rpch/error.hpp>

namespace rpch::inline RPCH_ABI::channel {

/// What a FlowControlAck says of a channel, [MS-RPCH] 2.2.3.4.
struct acknowledgement {
    std::uint32_t bytes_received = 0;   ///< RPC bytes received on this instance, modulo 2^32.
    std::uint32_t available_window = 0; ///< Bytes the receiver has room for.
    bool operator==(const acknowledgement&) const = default;
};

/// The receiver's side of a hop.
class receive_window {
  public:
    /// @param bytes  the ReceiveWindowSize told to the peer.
    explicit receive_window(std::uint32_t bytes) noexcept : receive_window(bytes, bytes) {}
    /// @param bytes  the same.
    /// @param fragment_most  no larger fragment is expected, whatever is announced or comes: who
    ///               receives sees to that. At most `bytes`.
    receive_window(std::uint32_t bytes, std::uint32_t fragment_most) noexcept;

    /// @return whether a PDU of `n` bytes is within the window; a conforming sender's always is.
    [[nodiscard]] bool has_room(std::size_t n) const noexcept { return held_ + n <= size_; }
    /// Counts an RPC PDU of `n` bytes that was read and is now held, 3.2.1.5.1.1.
    void on_received(std::size_t n) noexcept;
    /// Notes a fragment size that the peer has announced; the largest one counts.
    void expect_fragment(std::size_t n) noexcept;
    /// Begins to count for a successor of the channel, 3.2.1.1.5: nothing received, nothing held,
    /// the whole window. Fragment sizes stay known; no successor announces them again.
    /// @return what was held of the predecessor.
    std::size_t renew() noexcept;
    /// Counts `n` held bytes as taken by the next hop or the upper layer, 3.2.1.4.1.1.
    /// @return true if an acknowledgement is due.
    [[nodiscard]] bool on_released(std::size_t n) noexcept;
    /// Makes the acknowledgement that is due and takes it as sent.
    [[nodiscard]] acknowledgement acknowledge() noexcept;

    /// More is held than the window allows: the peer has overrun it, and its leg must not be read.
    [[nodiscard]] bool overrun() const noexcept { return held_ > size_; }
    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t held() const noexcept { return held_; }
    [[nodiscard]] std::uint32_t available() const noexcept;
    [[nodiscard]] std::uint32_t advertised() const noexcept { return advertised_; }
    [[nodiscard]] std::uint32_t received() const noexcept { return received_; }
    /// An acknowledgement is due after a release while less than this is advertised.
    [[nodiscard]] std::uint32_t threshold() const noexcept;

  private:
    std::uint32_t size_;
    std::uint32_t advertised_;
    std::uint32_t received_ = 0;
    std::uint32_t fragment_most_;
    std::uint32_t fragment_;
    std::size_t held_ = 0;
};

/// The sender's side of a hop.
class send_window {
  public:
    /// @param peer_window  the ReceiveWindowSize the peer has told.
    explicit send_window(std::uint32_t peer_window = 0) noexcept
        : peer_(peer_window), available_(peer_window) {}

    /// @return whether a PDU of `n` bytes may be sent now; equality fits (the text has both "less"
    ///         and "greater", 3.2.1.4.1.3).
    [[nodiscard]] bool fits(std::size_t n) const noexcept { return n <= available_; }
    /// Counts an RPC PDU of `n` bytes, which must fit.
    void on_sent(std::size_t n) noexcept;
    /// Recomputes the window from an acknowledgement, 3.2.1.5.1.2: window = available - (sent -
    /// received), modulo 2^32. A peer that counts less than it received (FreeRDP leaves out every
    /// PDU but responses) is taken at its word; it grants itself a smaller window. One that an
    /// earlier one has overtaken changes nothing: while an IN channel is replaced (IN_R1), those
    /// for OUT-H come by two ways.
    /// @errors errc::bad_acknowledgement if the result is negative or above the peer's window;
    ///         nothing changes.
    [[nodiscard]] std::error_code on_acknowledged(acknowledgement ack) noexcept;

    [[nodiscard]] std::uint32_t available() const noexcept { return available_; }
    [[nodiscard]] std::uint32_t peer_window() const noexcept { return peer_; }
    [[nodiscard]] std::uint32_t sent() const noexcept { return sent_; }

  private:
    [[nodiscard]] bool is_overtaken(acknowledgement ack) const noexcept;

    std::uint32_t peer_;
    std::uint32_t available_;
    std::uint32_t sent_ = 0;
    acknowledgement newest_{};
    std::uint64_t acknowledged_ = 0; ///< Bytes of this instance in all, by `newest_`.
};

/// Reads the fragment sizes that a bind, bind_ack, alter_context or alter_context_resp PDU
/// announces, [C706] 12.6.4.3 and .4: the larger of max_xmit_frag and max_recv_frag.
/// @param pdu  borrowed; one whole RPC PDU with its first 24 bytes in `first`.
/// @return bytes; 0 for every other PDU and for one too short to have the fields.
[[nodiscard]] RPCH_DECL std::size_t announced_fragment(const core::split_view& pdu) noexcept;

} // namespace rpch::inline RPCH_ABI::channel

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/channel/impl/window.ipp>
#endif

#endif
