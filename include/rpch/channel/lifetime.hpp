// How many bytes a channel instance may still carry, [MS-RPCH] 2.1.2.1.7 and 2.1.2.1.8.
#ifndef RPCH_CHANNEL_LIFETIME_HPP
#define RPCH_CHANNEL_LIFETIME_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <rpch/config.hpp>
#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::channel {

/// Counts RPC and RTS bytes against a channel lifetime. The text uses one name for the count that
/// the lifetime needs (ChannelLifetimeSent, 3.2.2.1.3) and for BytesSent, which counts RPC PDUs
/// only; they are two numbers.
class lifetime {
  public:
    /// @param bytes  Content-Length of the channel's request or response.
    explicit lifetime(std::uint64_t bytes = 0) noexcept : left_(bytes) {}

    /// Takes a PDU of `n` bytes off; nothing is taken if it does not fit.
    /// @return false if it does not fit: the channel has expired.
    [[nodiscard]] bool take(std::size_t n) noexcept {
        if (n > left_) return false;
        left_ -= n;
        return true;
    }
    /// Takes a PDU of `n` bytes off, unless that would leave less than `reserve`.
    [[nodiscard]] bool take_beyond(std::uint64_t reserve, std::size_t n) noexcept {
        return left_ >= reserve + n && take(n);
    }
    /// Takes off bytes that were sent already, as a peer reports them.
    void spend(std::uint64_t n) noexcept { left_ -= std::min(n, left_); }

    [[nodiscard]] std::uint64_t left() const noexcept { return left_; }
    /// @return what is left for RPC PDUs when `reserve` bytes are kept for RTS PDUs.
    [[nodiscard]] std::uint64_t left_beyond(std::uint64_t reserve) const noexcept {
        return left_ > reserve ? left_ - reserve : 0;
    }

  private:
    std::uint64_t left_;
};

/// What the client keeps back of an IN channel for acknowledgements (56 bytes each), pings and the
/// PDUs of a replacement; Windows begins to replace with so much left, [MS-RPCH] note B32.
inline constexpr std::uint64_t in_lifetime_reserve_bytes = 4 * 1024;
/// What the server keeps back of an OUT channel, note B51: the outbound proxy adds CONN/A3 and
/// pings that it has not reported yet.
inline constexpr std::uint64_t out_lifetime_reserve_bytes = 8 * 1024;
/// Of these reserves, what no acknowledgement or other PDU that can wait may take: IN_R*/A5;
inline constexpr std::uint64_t in_handover_bytes = 40;
/// FlowControlAckWithDestination, 2.2.4.51.
inline constexpr std::uint64_t acknowledgement_bytes = 56;
/// OUT_R2/A7, the larger one of the two.
inline constexpr std::uint64_t out_a7_bytes = 56;
/// Eight pings, which have to do while the predecessor of OUT-H drains and IN-H is nearly used up.
inline constexpr std::uint64_t draining_ping_bytes = std::uint64_t{8} * 20;

/// What an acknowledgement of a client confirms at least while the predecessor of OUT-H drains,
/// bytes: it is sent when less than half of the window is advertised, and brings that back to the
/// whole. The release that empties the client always confirms as much.
[[nodiscard]] constexpr std::uint32_t confirmed_at_once(std::uint32_t window) noexcept {
    return window - window / 2;
}
/// How many acknowledgements a client with this window has to send after OUT_R*/A7 until its
/// predecessor of OUT-H has drained. Those that were sent before A7 let one more window of the
/// client's go, with what the client still holds. Those sent after it reach the outbound proxy by
/// way of the server, which has then switched: what the predecessor has besides is within the
/// outbound proxy's window, which the client is not told and which is 256 KiB at most (2.2.3.5.1).
[[nodiscard]] constexpr std::uint64_t draining_acknowledgements(std::uint32_t window) noexcept {
    return (std::uint64_t{window} + limits::receive_window_max) / confirmed_at_once(window) + 1;
}
/// The smallest window needs the most of them: 67, 3752 bytes. A channel with the whole reserve
/// left has room for these, A7, A5 and the pings. With a fragment as large as the window it would
/// be one acknowledgement for every PDU.
static_assert(draining_acknowledgements(limits::receive_window_min) == 67);
static_assert(out_a7_bytes +
                  draining_acknowledgements(limits::receive_window_min) * acknowledgement_bytes +
                  in_handover_bytes + draining_ping_bytes <=
              in_lifetime_reserve_bytes);
/// OUT_R*/A1, OUT_R1/A5 or OUT_R2/A5, OUT_R1/A10 or OUT_R2/B3, and what only the proxy knows of.
inline constexpr std::uint64_t out_handover_bytes = 2 * 1024;
/// Of this again, what IN_R*/A3 may take, twice: A7 may wait in the client for the IN channel that
/// A3 brings, and must not be waited for here.
inline constexpr std::uint64_t out_in_replacement_bytes = 2 * 52;

/// Says when the replacement of a channel begins.
/// @param wanted    the setting: with fewer bytes left. 0 chooses a quarter of the lifetime, at
/// most
///                  64 MiB: sending goes on meanwhile, and early costs nothing at usual lifetimes.
/// @param lifetime  bytes of a fresh channel.
/// @param reserve   what no RPC PDU may take; at that point the replacement begins at the latest.
[[nodiscard]] constexpr std::uint64_t replacement_threshold(std::uint64_t wanted,
                                                            std::uint64_t lifetime,
                                                            std::uint64_t reserve) noexcept {
    const std::uint64_t chosen =
        wanted != 0 ? wanted : std::min<std::uint64_t>(lifetime / 4, std::uint64_t{64} << 20);
    return std::max(chosen, reserve);
}

} // namespace rpch::inline RPCH_ABI::channel

#endif
