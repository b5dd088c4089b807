// The inbound proxy of a virtual connection, [MS-RPCH] 3.2.3.
#ifndef RPCH_CHANNEL_INBOUND_PROXY_HPP
#define RPCH_CHANNEL_INBOUND_PROXY_HPP

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

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
    /// From CONN/B2 until CONN/B3.
    std::chrono::milliseconds pairing_wait = limits::pairing_wait;
    /// Close with errc::window_exceeded when the client overruns its window, instead of reading on
    /// only after what it sent is back within the window.
    bool strict_windows = false;
};

/// Relays one virtual IN channel: IN-H from the client, IN-T to the server. Models `machine`.
class inbound_proxy {
  public:
    /// The states of 3.2.3.5; `connecting` is the wait for TCP within the step of CONN/B1.
    /// Replacement of the channel will use opened_a5w and wait_b2.
    enum class state : std::uint8_t {
        open_start,
        connecting,
        b3w,
        opened,
        opened_a5w,
        wait_b2,
        finished
    };
    using row = transition<inbound_proxy, state>;

    explicit inbound_proxy(const inbound_proxy_settings& settings);

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
    /// @return the virtual connection cookie of CONN/B1; zeros before it came.
    [[nodiscard]] const rts::cookie& virtual_connection() const noexcept {
        return hello_.virtual_connection;
    }
    /// @return the window towards the client, for tests and traces.
    [[nodiscard]] const receive_window& received() const noexcept { return received_; }
    /// @return the channel towards the server, for tests and traces.
    [[nodiscard]] const sending_channel& sending() const noexcept { return sending_; }
    [[nodiscard]] static std::span<const row> table() noexcept;

  private:
    std::error_code on_rpc(leg from, const core::split_view& pdu, action_list& out);
    std::error_code on_rts(leg from, const core::split_view& pdu, time_point now, action_list& out);
    std::error_code forward(rts::destination to, leg from, action_list& out);
    std::error_code end(std::error_code why, leg where, action_list& out);

    std::error_code connect(const rts::pdu& in, time_point now, action_list& out);
    std::error_code unplug(const rts::pdu& in, time_point now, action_list& out);
    std::error_code apply_keep_alive(const rts::pdu& in, time_point now, action_list& out);
    std::error_code acknowledged(const rts::pdu& in, time_point now, action_list& out);
    std::error_code ignore(const rts::pdu& in, time_point now, action_list& out);

    inbound_proxy_settings settings_;
    state state_ = state::open_start;
    ending ending_;
    std::optional<time_point> deadline_;
    rts::conn_b1 hello_{};
    std::uint64_t body_left_; ///< Bytes of the request's body that may still come.
    receive_window received_;
    sending_channel sending_{leg::in_tcp};
};

/// @return the state's name in the specification.
[[nodiscard]] RPCH_DECL std::string_view name(inbound_proxy::state s) noexcept;

} // namespace rpch::inline RPCH_ABI::channel

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/channel/impl/inbound_proxy.ipp>
#endif

#endif
