// How many bytes a channel instance may still carry, [MS-RPCH] 2.1.2.1.7 and 2.1.2.1.8.
#ifndef RPCH_CHANNEL_LIFETIME_HPP
#define RPCH_CHANNEL_LIFETIME_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <rpch/config.hpp>

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
