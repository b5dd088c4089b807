// The inbound proxy of a virtual connection, [MS-RPCH] 3.2.3.
#ifndef RPCH_CHANNEL_INBOUND_PROXY_HPP
#define RPCH_CHANNEL_INBOUND_PROXY_HPP

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include <rpch/channel/deadlines.hpp>
#include <rpch/channel/machine.hpp>
#include <rpch/channel/sending_channel.hpp>
#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::channel {

/// What an inbound proxy brings to one RPC_IN_DATA request.
struct inbound_proxy_settings {
    /// ReceiveWindowSize for IN-H, bytes. The default is the most the command can say: Samba's
    /// client hangs on an acknowledgement, so the first one should come as late as possible.
    std::uint32_t receive_window = limits::receive_window_max;
    /// ConnectionTimeout told to the client by CONN/B2; clamped to the command's range.
    std::chrono::milliseconds connection_timeout{limits::connection_timeout_min_ms};
    /// Content-Length of the request: the lifetime of IN-H, bytes. The one in CONN/B1 is
    /// information.
    std::uint64_t content_length = limits::channel_lifetime_default;
    /// Who the client is, for CONN/B2.
    rts::client_address client{};
    std::chrono::milliseconds first_pdu_wait = limits::first_pdu_wait;
    std::chrono::milliseconds connect_wait = limits::connect_wait;
    /// From CONN/B2 until CONN/B3, from IN_R1/A2 until IN_R1/B2.
    std::chrono::milliseconds pairing_wait = limits::pairing_wait;
    /// From the first PDU of a replacement until the last one.
    std::chrono::milliseconds replacement_wait = limits::replacement_wait;
    /// How long RPC PDUs may wait for an acknowledgement of the server.
    std::chrono::milliseconds blocked_wait = limits::blocked_wait;
    /// Close with errc::window_exceeded when the client overruns its window, instead of reading on
    /// only after what it sent is back within the window.
    bool strict_windows = false;
};

/// Relays one virtual IN channel: IN-H from the client, IN-T to the server. Models `machine`.
class inbound_proxy {
  public:
    /// The states of 3.2.3.5. `connecting` and `connecting_r1` are the wait for TCP within the
    /// steps of CONN/B1 and IN_R1/A1; `draining` is the time between IN_R1/A6 and IN_R1/B1, in
    /// which what was queued goes to the server under its window.
    enum class state : std::uint8_t {
        open_start,
        connecting,
        connecting_r1,
        b3w,
        opened,
        opened_a5w,
        wait_b2,
        draining,
        finished
    };
    using row = transition<inbound_proxy, state>;
    /// The hops that this role has.
    static constexpr std::array legs{leg::in_http, leg::in_tcp, leg::successor_in_http};

    explicit inbound_proxy(const inbound_proxy_settings& settings);

    std::error_code start(time_point now, action_list& out);
    std::error_code on_connected(leg which, time_point now, action_list& out);
    std::error_code on_pdu(leg from, const core::split_view& pdu, time_point now, action_list& out);
    std::error_code on_written(leg to, std::size_t rpc_bytes, time_point now, action_list& out);
    std::error_code on_closed(leg which, std::error_code why, time_point now, action_list& out);
    std::error_code on_deadline(time_point now, action_list& out);
    /// The first PDU is there, but has to wait for something (`admits`) before it is handed in.
    void on_first_pdu_waiting(time_point now) noexcept {
        if (state_ != state::open_start || std::exchange(first_pdu_waits_, true)) return;
        deadlines_.set(wait::setup, now + settings_.replacement_wait);
    }
    [[nodiscard]] std::optional<time_point> next_deadline() const noexcept;
    [[nodiscard]] bool wants_input(leg from) const noexcept;

    /// Judges IN_R2/A1 that came on a fresh request, before its leg is handed in as
    /// successor_in_http, 3.2.3.5.5.1.
    /// @return nothing if it may come now; errc::replacement_pending if it may come later: A5 of
    /// the
    ///         replacement before it, or room in the server, is still to come;
    ///         errc::unexpected_pdu if it replaces a channel that is not here (IN_R1); every other
    ///         error refuses the request and harms nobody else.
    [[nodiscard]] std::error_code admits(const rts::in_r2_a1& first) const noexcept;

    [[nodiscard]] std::error_code ended_with() const noexcept { return ending_.why(); }
    [[nodiscard]] state current() const noexcept { return state_; }
    /// @return whether this proxy's part began with IN_R1/A1: it took over from another one.
    [[nodiscard]] bool is_successor() const noexcept { return is_successor_; }
    /// @return the virtual connection cookie of CONN/B1 or IN_R1/A1; zeros before it came.
    [[nodiscard]] const rts::cookie& virtual_connection() const noexcept {
        return virtual_connection_;
    }
    /// @return RPC bytes of a replaced IN-H that the server has not taken.
    [[nodiscard]] std::size_t held_of_predecessor() const noexcept { return predecessor_held_; }
    /// @return IN channels replaced here (IN_R2).
    [[nodiscard]] std::uint64_t replaced() const noexcept { return replaced_; }
    /// @return the window towards the client, for tests and traces.
    [[nodiscard]] const receive_window& received() const noexcept { return received_; }
    /// @return the channel towards the server, for tests and traces.
    [[nodiscard]] const sending_channel& sending() const noexcept { return sending_; }
    [[nodiscard]] static std::span<const row> table() noexcept;

  private:
    enum class wait : std::uint8_t { setup, replacement, blocked, count };

    std::error_code on_rpc(leg from, const core::split_view& pdu, time_point now, action_list& out);
    std::error_code on_rts(leg from, const core::split_view& pdu, time_point now, action_list& out);
    std::error_code forward(rts::destination to, leg from, action_list& out);
    void watch_queue(time_point now) noexcept;
    std::error_code end(std::error_code why, leg where, action_list& out);

    std::error_code connect(const rts::pdu& in, time_point now, action_list& out);
    std::error_code connect_successor(const rts::pdu& in, time_point now, action_list& out);
    std::error_code unplug(const rts::pdu& in, time_point now, action_list& out);
    std::error_code unplug_successor(const rts::pdu& in, time_point now, action_list& out);
    std::error_code unplug_draining(const rts::pdu& in, time_point now, action_list& out);
    std::error_code unplug_with(std::uint32_t window, action_list& out);
    std::error_code begin_r2(const rts::pdu& in, time_point now, action_list& out);
    std::error_code switch_r2(const rts::pdu& in, time_point now, action_list& out);
    std::error_code hand_over(const rts::pdu& in, time_point now, action_list& out);
    std::error_code end_if_drained(action_list& out);
    std::error_code apply_keep_alive(const rts::pdu& in, time_point now, action_list& out);
    std::error_code acknowledged(const rts::pdu& in, time_point now, action_list& out);
    std::error_code ignore(const rts::pdu& in, time_point now, action_list& out);

    inbound_proxy_settings settings_;
    state state_ = state::open_start;
    ending ending_;
    deadlines<wait> deadlines_;
    rts::conn_b1 hello_{};     ///< How the first instance began,
    rts::in_r1_a1 takeover_{}; ///< or this proxy's first one, as a successor (IN_R1).
    rts::cookie virtual_connection_{};
    rts::cookie in_channel_{};
    /// The successor while there is one, then the predecessor; the only channel before.
    rts::cookie other_channel_{};
    std::uint32_t client_keepalive_ = limits::client_keepalive_default_ms;
    std::uint64_t body_left_; ///< Bytes of the default request's body that may still come.
    receive_window received_;
    std::size_t predecessor_held_ = 0;
    sending_channel sending_{leg::in_tcp};
    std::uint64_t replaced_ = 0;
    bool is_successor_ = false;
    bool first_pdu_waits_ = false;
};

/// @return the state's name in the specification.
[[nodiscard]] RPCH_DECL std::string_view name(inbound_proxy::state s) noexcept;

} // namespace rpch::inline RPCH_ABI::channel

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/channel/impl/inbound_proxy.ipp>
#endif

#endif
