// The outbound proxy of a virtual connection, [MS-RPCH] 3.2.4.
#ifndef RPCH_CHANNEL_OUTBOUND_PROXY_HPP
#define RPCH_CHANNEL_OUTBOUND_PROXY_HPP

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

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
    /// Close with errc::window_exceeded when the server overruns its window.
    bool strict_windows = false;
};

/// Relays one virtual OUT channel: OUT-T from the server, OUT-H to the client, and pings the
/// client. Models `machine`.
class outbound_proxy {
  public:
    /// The states of 3.2.4.5; `connecting` is the wait for TCP within the step of CONN/A1.
    /// Replacement of the channel will use the last four but one.
    enum class state : std::uint8_t {
        open_start,
        connecting,
        c1w,
        opened,
        a11w,
        b1_or_c1w,
        b1w,
        r2_c1w,
        finished
    };
    using row = transition<outbound_proxy, state>;

    explicit outbound_proxy(const outbound_proxy_settings& settings);

    std::error_code start(time_point now, action_list& out);
    std::error_code on_connected(leg which, time_point now, action_list& out);
    std::error_code on_pdu(leg from, const core::split_view& pdu, time_point now, action_list& out);
    std::error_code on_written(leg to, std::size_t rpc_bytes, time_point now, action_list& out);
    std::error_code on_closed(leg which, std::error_code why, time_point now, action_list& out);
    std::error_code on_deadline(time_point now, action_list& out);
    [[nodiscard]] std::optional<time_point> next_deadline() const noexcept;
    [[nodiscard]] bool wants_input(leg from) const noexcept;

    [[nodiscard]] std::error_code ended_with() const noexcept { return ending_.why(); }
    [[nodiscard]] state current() const noexcept { return state_; }
    /// @return the virtual connection cookie of CONN/A1; zeros before it came.
    [[nodiscard]] const rts::cookie& virtual_connection() const noexcept {
        return hello_.virtual_connection;
    }
    /// @return the window towards the server, for tests and traces.
    [[nodiscard]] const receive_window& received() const noexcept { return received_; }
    /// @return the channel towards the client, for tests and traces.
    [[nodiscard]] const sending_channel& sending() const noexcept { return sending_; }
    [[nodiscard]] static std::span<const row> table() noexcept;

  private:
    std::error_code on_rpc(leg from, const core::split_view& pdu, time_point now, action_list& out);
    std::error_code on_rts(leg from, const core::split_view& pdu, time_point now, action_list& out);
    std::error_code forward(const rts::pdu& in, leg from, time_point now, action_list& out);
    /// Sends an RTS PDU of ours on OUT-H.
    std::error_code send_to_client(const rts::wire& pdu, time_point now, action_list& out);
    /// Forwards the RTS PDU now being handled to OUT-H.
    std::error_code pass(const rts::pdu& in, time_point now, action_list& out);
    std::error_code ping(time_point now, action_list& out);
    std::error_code end(std::error_code why, leg where, action_list& out);

    std::error_code connect(const rts::pdu& in, time_point now, action_list& out);
    std::error_code pass_c2(const rts::pdu& in, time_point now, action_list& out);
    std::error_code acknowledged(const rts::pdu& in, time_point now, action_list& out);
    std::error_code ignore(const rts::pdu& in, time_point now, action_list& out);

    outbound_proxy_settings settings_;
    state state_ = state::open_start;
    ending ending_;
    std::optional<time_point> deadline_;
    ping_timer silence_;
    std::uint32_t pings_not_told_ = 0; ///< Ping bytes the server has not been told of, B50.
    rts::conn_a1 hello_{};
    receive_window received_;
    sending_channel sending_;
};

/// @return the state's name in the specification.
[[nodiscard]] RPCH_DECL std::string_view name(outbound_proxy::state s) noexcept;

} // namespace rpch::inline RPCH_ABI::channel

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/channel/impl/outbound_proxy.ipp>
#endif

#endif
