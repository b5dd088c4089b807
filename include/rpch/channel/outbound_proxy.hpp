// The outbound proxy of a virtual connection, [MS-RPCH] 3.2.4.
#ifndef RPCH_CHANNEL_OUTBOUND_PROXY_HPP
#define RPCH_CHANNEL_OUTBOUND_PROXY_HPP

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include <rpch/channel/deadlines.hpp>
#include <rpch/channel/machine.hpp>
#include <rpch/channel/ping_timer.hpp>
#include <rpch/channel/sending_channel.hpp>
#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::channel {

/// What an outbound proxy brings to one RPC_OUT_DATA request.
struct outbound_proxy_settings {
    /// ReceiveWindowSize for OUT-T, bytes.
    std::uint32_t receive_window = limits::receive_window_max;
    /// The proxy's own ConnectionTimeout, or the request's MinConnTimeout, which overrides it
    /// (3.2.4.5.1); clamped to the command's range. A ping follows half of it without a PDU.
    std::chrono::milliseconds connection_timeout{limits::connection_timeout_min_ms};
    /// Content-Length of the response: the lifetime of OUT-H, bytes.
    std::uint32_t channel_lifetime = limits::channel_lifetime_default;
    std::chrono::milliseconds first_pdu_wait = limits::first_pdu_wait;
    std::chrono::milliseconds connect_wait = limits::connect_wait;
    /// From CONN/A3 until CONN/C1.
    std::chrono::milliseconds pairing_wait = limits::pairing_wait;
    /// From the first PDU of a replacement until the last one.
    std::chrono::milliseconds replacement_wait = limits::replacement_wait;
    /// How long RPC PDUs may wait for an acknowledgement of the client.
    std::chrono::milliseconds blocked_wait = limits::blocked_wait;
    /// Close with errc::window_exceeded when the server overruns its window.
    bool strict_windows = false;
};

/// Relays one virtual OUT channel: OUT-T from the server, OUT-H to the client, and pings the
/// client. Models `machine`.
class outbound_proxy {
  public:
    /// The states of 3.2.4.5. `connecting` and `connecting_r1` are the wait for TCP within the
    /// steps of CONN/A1 and OUT_R1/A3. The draining states are the time between OUT_R1/A9 and A10,
    /// or OUT_R2/B1 and B3 (with or without C1 having come), in which what was queued goes to the
    /// client under its window.
    enum class state : std::uint8_t {
        open_start,
        connecting,
        connecting_r1,
        c1w,
        opened,
        a11w,
        b1_or_c1w,
        b1w,
        draining_r1,
        draining_c1w,
        draining,
        r2_c1w,
        finished
    };
    using row = transition<outbound_proxy, state>;
    /// The hops that this role has.
    static constexpr std::array legs{leg::out_http, leg::out_tcp, leg::successor_out_http};

    explicit outbound_proxy(const outbound_proxy_settings& settings);

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

    /// Judges OUT_R2/A3 that came on a fresh request, before its leg is handed in as
    /// successor_out_http, 3.2.4.5.6.1.
    /// @return nothing if it may come; every error refuses the request and harms nobody else.
    [[nodiscard]] std::error_code admits(const rts::out_r2_a3& first) const noexcept;

    [[nodiscard]] std::error_code ended_with() const noexcept { return ending_.why(); }
    [[nodiscard]] state current() const noexcept { return state_; }
    /// @return whether this proxy's part began with OUT_R1/A3: it took over from another one.
    [[nodiscard]] bool is_successor() const noexcept { return is_successor_; }
    /// @return the virtual connection cookie of CONN/A1 or OUT_R1/A3; zeros before it came.
    [[nodiscard]] const rts::cookie& virtual_connection() const noexcept {
        return virtual_connection_;
    }
    /// @return OUT channels replaced here (OUT_R2).
    [[nodiscard]] std::uint64_t replaced() const noexcept { return replaced_; }
    /// @return the window towards the server, for tests and traces.
    [[nodiscard]] const receive_window& received() const noexcept { return received_; }
    /// @return the channel towards the client, for tests and traces.
    [[nodiscard]] const sending_channel& sending() const noexcept { return sending_; }
    /// @return the successor's channel, while there is one.
    [[nodiscard]] const sending_channel& sending_next() const noexcept { return next_; }
    [[nodiscard]] static std::span<const row> table() noexcept;

  private:
    enum class wait : std::uint8_t { setup, replacement, blocked, count };

    std::error_code on_rpc(leg from, const core::split_view& pdu, time_point now, action_list& out);
    std::error_code on_rts(leg from, const core::split_view& pdu, time_point now, action_list& out);
    std::error_code forward(const rts::pdu& in, leg from, time_point now, action_list& out);
    /// Sends an RTS PDU of ours on the default OUT-H.
    std::error_code send_to_client(rts::shape kind, const rts::wire& pdu, time_point now,
                                   action_list& out);
    /// Forwards the RTS PDU now being handled to the client.
    std::error_code pass(const rts::pdu& in, time_point now, action_list& out);
    std::error_code ping(time_point now, action_list& out);
    /// Writes the response head of the default OUT-H; what waited for it follows.
    std::error_code respond(time_point now, action_list& out);
    void acknowledge(action_list& out);
    void watch_queue(time_point now) noexcept;
    [[nodiscard]] bool is_draining() const noexcept;
    [[nodiscard]] sending_channel& channel_of_new_pdus() noexcept;
    [[nodiscard]] std::uint32_t timeout_ms() const noexcept;
    std::error_code end(std::error_code why, leg where, action_list& out);

    std::error_code connect(const rts::pdu& in, time_point now, action_list& out);
    std::error_code connect_successor(const rts::pdu& in, time_point now, action_list& out);
    std::error_code connect_with(std::uint32_t window, time_point now, action_list& out);
    std::error_code pass_c2(const rts::pdu& in, time_point now, action_list& out);
    std::error_code take_over(const rts::pdu& in, time_point now, action_list& out);
    std::error_code begin_r2(const rts::pdu& in, time_point now, action_list& out);
    std::error_code drain(const rts::pdu& in, time_point now, action_list& out);
    std::error_code end_if_drained(time_point now, action_list& out);
    std::error_code finish_r2(time_point now, action_list& out);
    std::error_code answer_successor(const rts::pdu& in, time_point now, action_list& out);
    std::error_code drop_successor(const rts::pdu& in, time_point now, action_list& out);
    std::error_code acknowledged(const rts::pdu& in, time_point now, action_list& out);
    std::error_code ignore(const rts::pdu& in, time_point now, action_list& out);

    outbound_proxy_settings settings_;
    state state_ = state::open_start;
    ending ending_;
    deadlines<wait> deadlines_;
    ping_timer silence_;
    std::uint32_t pings_not_told_ = 0; ///< Ping bytes the server has not been told of, B50.
    rts::conn_a1 hello_{};             ///< How the first instance began,
    rts::out_r1_a3 takeover_{};        ///< or this proxy's first one, as a successor (OUT_R1).
    rts::cookie virtual_connection_{};
    rts::cookie out_channel_{};
    rts::cookie successor_{};
    receive_window received_;
    sending_channel sending_;
    sending_channel next_; ///< The successor's (OUT_R2).
    std::uint64_t replaced_ = 0;
    bool is_successor_ = false;
    bool first_pdu_waits_ = false;
};

/// @return the state's name in the specification.
[[nodiscard]] RPCH_DECL std::string_view name(outbound_proxy::state s) noexcept;

} // namespace rpch::inline RPCH_ABI::channel

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/channel/impl/outbound_proxy.ipp>
#endif

#endif
