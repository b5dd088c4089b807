// The server of a virtual connection, [MS-RPCH] 3.2.5.
#ifndef RPCH_CHANNEL_SERVER_HPP
#define RPCH_CHANNEL_SERVER_HPP

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <rpch/channel/lifetime.hpp>
#include <rpch/channel/machine.hpp>
#include <rpch/channel/ping_timer.hpp>
#include <rpch/channel/window.hpp>
#include <rpch/limits.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::channel {

/// Where a fresh TCP connection belongs, by its first PDU.
struct first_pdu {
    rts::cookie virtual_connection; ///< Key of the table of virtual connections, 3.2.1.1.2.
    leg half;                       ///< in_tcp or out_tcp: hand the PDU to the machine as this leg.
    rts::shape kind;                ///< conn_a2 or conn_b2.
};

/// Reads the first PDU of a TCP connection that the server accepted, [MS-RPCH] 3.2.5.5. The driver
/// looks the cookie up; if there is no such virtual connection it makes and starts a `server`; if
/// there is one that does not expect this half (`server::expects`) it closes the newcomer with
/// errc::cookie_in_use, since a known cookie must not be enough to end somebody's connection. Then
/// it gives the PDU to `on_pdu`.
/// @param pdu  borrowed; one whole PDU.
/// @errors errc::v1_not_supported for an RPC PDU (dialect 1), errc::not_supported for IN_R1/A2 and
///         OUT_R1/A4, errc::unexpected_pdu for other RTS PDUs, and the codec's errors.
[[nodiscard]] RPCH_DECL result<first_pdu> classify_first_pdu(byte_view pdu) noexcept;

/// What a server brings to a virtual connection.
struct server_settings {
    /// ReceiveWindowSize for IN-T, bytes.
    std::uint32_t receive_window = limits::receive_window_max;
    /// Between the first half's CONN PDU and the second's; the text allows 15 minutes.
    std::chrono::milliseconds pairing_wait = limits::pairing_wait;
    /// Close with errc::window_exceeded when the inbound proxy overruns the window.
    bool strict_windows = false;
};

/// Joins the two halves, receives on IN-T and sends on OUT-T. Models `endpoint`; it opens no legs.
class server {
  public:
    /// The opening, 3.2.5.5.3 and 3.2.5.5.4; `start` is before the first of the two PDUs.
    enum class state : std::uint8_t { start, a2w, b2w, opened, finished };
    /// The virtual IN channel of an open connection; replacement will use the last two.
    enum class in_state : std::uint8_t { opened, a6w, opened_b1w };
    /// The virtual OUT channel of an open connection; replacement will use all but the first.
    enum class out_state : std::uint8_t { opened, opened_a4w, opened_a8w, opened_r2a8w };
    using row = transition<server, state>;

    explicit server(const server_settings& settings);

    /// Arms the setup deadline.
    std::error_code start(time_point now, action_list& out);
    std::error_code on_connected(leg which, time_point now, action_list& out);
    std::error_code on_pdu(leg from, const core::split_view& pdu, time_point now, action_list& out);
    std::error_code on_written(leg to, std::size_t rpc_bytes, time_point now, action_list& out);
    std::error_code on_closed(leg which, std::error_code why, time_point now, action_list& out);
    std::error_code on_deadline(time_point now, action_list& out);
    [[nodiscard]] std::optional<time_point> next_deadline() const noexcept;
    [[nodiscard]] bool wants_input(leg from) const noexcept;
    /// @return whether a fresh connection may become this half.
    [[nodiscard]] bool expects(leg half) const noexcept;

    [[nodiscard]] std::size_t send_credit() const noexcept;
    std::error_code on_rpc_sent(std::size_t bytes, time_point now, action_list& out);
    std::error_code on_rpc_waiting(std::size_t bytes, time_point now, action_list& out);
    std::error_code on_consumed(std::size_t bytes, time_point now, action_list& out);
    std::error_code close(time_point now, action_list& out);

    [[nodiscard]] std::error_code ended_with() const noexcept { return ending_.why(); }
    [[nodiscard]] state current() const noexcept { return state_; }
    [[nodiscard]] const rts::cookie& virtual_connection() const noexcept { return cookie_; }
    /// @return what the inbound proxy says of the client; for logs, never for access decisions.
    [[nodiscard]] const rts::client_address& client() const noexcept { return in_.client_address; }
    /// @return the association group cookie, which links virtual connections of one client.
    [[nodiscard]] const rts::cookie& association_group() const noexcept {
        return in_.association_group;
    }
    /// @return the largest RPC PDU that the outbound proxy's window can take; 0 before it is known.
    [[nodiscard]] std::uint32_t largest_pdu() const noexcept { return sending_.peer_window(); }
    [[nodiscard]] const receive_window& received() const noexcept { return received_; }
    [[nodiscard]] const send_window& sending() const noexcept { return sending_; }
    [[nodiscard]] const class lifetime& lifetime() const noexcept { return lifetime_; }
    [[nodiscard]] static std::span<const row> table() noexcept;

  private:
    std::error_code on_rpc(leg from, const core::split_view& pdu, action_list& out);
    std::error_code on_rts(leg from, const core::split_view& pdu, time_point now, action_list& out);
    std::error_code forward(const rts::pdu& in, leg from, action_list& out);
    /// Both halves are known: tells both proxies, 3.2.5.5.3.2.
    std::error_code open_up(action_list& out);
    std::error_code end(std::error_code why, leg where, action_list& out);

    std::error_code keep_a2(const rts::pdu& in, time_point now, action_list& out);
    std::error_code keep_b2(const rts::pdu& in, time_point now, action_list& out);
    std::error_code join_a2(const rts::pdu& in, time_point now, action_list& out);
    std::error_code join_b2(const rts::pdu& in, time_point now, action_list& out);
    std::error_code acknowledged(const rts::pdu& in, time_point now, action_list& out);
    std::error_code count_pings(const rts::pdu& in, time_point now, action_list& out);

    server_settings settings_;
    state state_ = state::start;
    ending ending_;
    std::optional<time_point> deadline_;
    ping_budget pings_;
    rts::cookie cookie_{};
    rts::conn_a2 out_{}; ///< What the outbound proxy said of its half.
    rts::conn_b2 in_{};  ///< What the inbound proxy said of its half.
    receive_window received_;
    send_window sending_;
    class lifetime lifetime_;
};

/// @return the state's name in the specification.
[[nodiscard]] RPCH_DECL std::string_view name(server::state s) noexcept;

} // namespace rpch::inline RPCH_ABI::channel

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/channel/impl/server.ipp>
#endif

#endif
