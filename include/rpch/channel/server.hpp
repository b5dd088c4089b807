// The server of a virtual connection, [MS-RPCH] 3.2.5.
#ifndef RPCH_CHANNEL_SERVER_HPP
#define RPCH_CHANNEL_SERVER_HPP

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <rpch/channel/deadlines.hpp>
#include <rpch/channel/held_rts.hpp>
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
    leg half;                       ///< Hand the PDU to the machine as this leg.
    rts::shape kind;                ///< conn_a2, conn_b2, in_r1_a2 or out_r1_a4.
    rts::cookie predecessor{};      ///< Of a successor: the channel it is to replace.
};

/// Reads the first PDU of a TCP connection that the server accepted, [MS-RPCH] 3.2.5.5. The driver
/// looks the cookie up. If there is no such virtual connection, it makes and starts a `server` for
/// CONN/A2 and CONN/B2, and closes the newcomer otherwise. If there is one, `server::admits`
/// judges: a known cookie must not be enough to end somebody's connection. Then it gives the PDU to
/// `on_pdu`.
/// @param pdu  borrowed; one whole PDU.
/// @errors errc::v1_not_supported for an RPC PDU (dialect 1), errc::unexpected_pdu for other RTS
///         PDUs, and the codec's errors.
[[nodiscard]] RPCH_DECL result<first_pdu> classify_first_pdu(byte_view pdu) noexcept;

/// What a server brings to a virtual connection.
struct server_settings {
    /// ReceiveWindowSize for IN-T, bytes.
    std::uint32_t receive_window = limits::receive_window_max;
    /// Between the first half's CONN PDU and the second's; the text allows 15 minutes.
    std::chrono::milliseconds pairing_wait = limits::pairing_wait;
    /// Replaces the OUT channel when fewer bytes of it are left; 0 chooses, see
    /// replacement_threshold.
    std::uint64_t replace_out_below = 0;
    std::chrono::milliseconds replacement_wait = limits::replacement_wait;
    /// How long the upper layer's PDUs may wait for an acknowledgement.
    std::chrono::milliseconds blocked_wait = limits::blocked_wait;
    /// Close with errc::window_exceeded when the inbound proxy overruns the window.
    bool strict_windows = false;
};

/// Joins the two halves, receives on IN-T and sends on OUT-T. Models `endpoint`; it opens no legs:
/// halves and successors come as fresh connections.
///
/// It starts the replacement of OUT channels before they are used up (3.2.5.5.15) and takes part in
/// that of IN channels, both at the same time if need be.
class server {
  public:
    /// The opening, 3.2.5.5.3 and 3.2.5.5.4; `start` is before the first of the two PDUs.
    enum class state : std::uint8_t { start, a2w, b2w, opened, finished };
    /// The virtual IN channel of an open connection, 3.2.5.5.5 to 3.2.5.5.8.
    enum class in_state : std::uint8_t { opened, a6w, opened_b1w };
    /// The virtual OUT channel of an open connection, 3.2.5.5.9 to 3.2.5.5.12.
    enum class out_state : std::uint8_t { opened, opened_a4w, opened_a8w, opened_r2a8w };
    using row = transition<server, state>;
    /// The hops that this role has.
    static constexpr std::array legs{leg::in_tcp, leg::out_tcp, leg::successor_in_tcp,
                                     leg::successor_out_tcp, leg::predecessor_out_tcp};
    using in_row = transition<server, in_state>;
    using out_row = transition<server, out_state>;

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
    /// Judges a fresh connection of this virtual connection by its first PDU.
    /// @return nothing if it may become that leg now; errc::replacement_pending if it may later:
    /// the
    ///         last PDUs of the replacement before it are still on their way; errc::cookie_in_use,
    ///         errc::cookie_mismatch or errc::unexpected_pdu if it is to be closed, which harms
    ///         nobody else.
    [[nodiscard]] std::error_code admits(const first_pdu& first) const noexcept;

    [[nodiscard]] std::size_t send_credit() const noexcept;
    std::error_code on_rpc_sent(std::size_t bytes, time_point now, action_list& out);
    std::error_code on_rpc_waiting(std::size_t bytes, time_point now, action_list& out);
    std::error_code on_consumed(std::size_t bytes, time_point now, action_list& out);
    std::error_code close(time_point now, action_list& out);

    [[nodiscard]] std::error_code ended_with() const noexcept { return ending_.why(); }
    [[nodiscard]] state current() const noexcept { return state_; }
    [[nodiscard]] const rts::cookie& virtual_connection() const noexcept { return cookie_; }
    /// @return what the inbound proxy says of the client; for logs, never for access decisions.
    [[nodiscard]] const rts::client_address& client() const noexcept {
        return in_half_.client_address;
    }
    /// @return the association group cookie, which links virtual connections of one client.
    [[nodiscard]] const rts::cookie& association_group() const noexcept {
        return in_half_.association_group;
    }
    /// @return the largest RPC PDU that the outbound proxy's window can take; 0 before it is known.
    [[nodiscard]] std::uint32_t largest_pdu() const noexcept { return sending_.peer_window(); }
    [[nodiscard]] const receive_window& received() const noexcept { return received_; }
    [[nodiscard]] const send_window& sending() const noexcept { return sending_; }
    [[nodiscard]] const class lifetime& lifetime() const noexcept { return lifetime_; }
    [[nodiscard]] in_state current_in() const noexcept { return in_; }
    [[nodiscard]] out_state current_out() const noexcept { return out_; }
    /// @return IN and OUT channels replaced so far.
    [[nodiscard]] std::uint64_t in_replaced() const noexcept { return in_replaced_; }
    [[nodiscard]] std::uint64_t out_replaced() const noexcept { return out_replaced_; }
    /// @return delivered RPC bytes of a replaced IN-T that the upper layer has not taken.
    [[nodiscard]] std::size_t held_of_predecessor() const noexcept { return predecessor_held_; }
    [[nodiscard]] static std::span<const row> table() noexcept;
    [[nodiscard]] static std::span<const in_row> in_table() noexcept;
    [[nodiscard]] static std::span<const out_row> out_table() noexcept;

  private:
    enum class wait : std::uint8_t {
        setup,
        in_replacement,
        out_replacement,
        blocked,
        predecessor,
        count
    };

    std::error_code on_rpc(leg from, const core::split_view& pdu, action_list& out);
    std::error_code on_rts(leg from, const core::split_view& pdu, time_point now, action_list& out);
    std::error_code forward(const rts::pdu& in, leg from, time_point now, action_list& out);
    /// Sends an RTS PDU for the client on OUT-T; keeps it for the successor when OUT-H has no room.
    std::error_code send_on_out(rts::shape kind, const rts::wire& pdu, time_point now,
                                action_list& out);
    std::error_code replace_out_if_due(time_point now, action_list& out);
    std::error_code replace_out(time_point now, action_list& out);
    /// Both halves are known: tells both proxies, 3.2.5.5.3.2.
    std::error_code open_up(action_list& out);
    std::error_code end(std::error_code why, leg where, action_list& out);

    std::error_code keep_a2(const rts::pdu& in, time_point now, action_list& out);
    std::error_code keep_b2(const rts::pdu& in, time_point now, action_list& out);
    std::error_code join_a2(const rts::pdu& in, time_point now, action_list& out);
    std::error_code join_b2(const rts::pdu& in, time_point now, action_list& out);
    std::error_code acknowledged(const rts::pdu& in, time_point now, action_list& out);
    std::error_code count_pings(const rts::pdu& in, time_point now, action_list& out);
    std::error_code ignore(const rts::pdu& in, time_point now, action_list& out);
    std::error_code begin_in_r1(const rts::pdu& in, time_point now, action_list& out);
    std::error_code check_a6(const rts::pdu& in, time_point now, action_list& out);
    std::error_code switch_in_r1(const rts::pdu& in, time_point now, action_list& out);
    std::error_code switch_in_r2(const rts::pdu& in, time_point now, action_list& out);
    std::error_code begin_out_r1(const rts::pdu& in, time_point now, action_list& out);
    std::error_code begin_out_r2(const rts::pdu& in, time_point now, action_list& out);
    std::error_code switch_out_r1(const rts::pdu& in, time_point now, action_list& out);
    std::error_code switch_out_r2(const rts::pdu& in, time_point now, action_list& out);
    std::error_code after_out_switch(time_point now, action_list& out);

    server_settings settings_;
    state state_ = state::start;
    in_state in_ = in_state::opened;
    out_state out_ = out_state::opened;
    ending ending_;
    deadlines<wait> deadlines_;
    ping_budget pings_;
    rts::cookie cookie_{};
    rts::conn_a2 out_half_{}; ///< What the outbound proxy said of its half when it was opened.
    rts::conn_b2 in_half_{};  ///< What the inbound proxy said of its half when it was opened.

    // The default IN channel, and its successor between A2 and B1 of IN_R1.
    rts::cookie in_channel_{};
    rts::cookie in_successor_{};
    receive_window received_;
    std::size_t predecessor_held_ = 0;
    std::uint64_t in_replaced_ = 0;

    // The default OUT channel, its successor between A4 and A8, and the one before.
    rts::cookie out_channel_{};
    rts::cookie out_successor_{};
    rts::cookie out_predecessor_{};
    bool predecessor_is_there_ = false; ///< predecessor_out_tcp is open (OUT_R1).
    bool predecessor_is_alias_ = false; ///< Acknowledgements of OUT-T may still name it (OUT_R2).
    send_window sending_;
    send_window successor_sending_;
    std::uint64_t fresh_lifetime_ = 0; ///< Bytes of a fresh OUT-H of this outbound proxy.
    std::uint64_t successor_lifetime_ = 0;
    class lifetime lifetime_;
    bool rpc_waits_ = false; ///< An RPC PDU needs more lifetime than there is.
    held_rts held_;          ///< For the successor.
    std::uint64_t out_replaced_ = 0;
};

/// @return the state's name in the specification.
[[nodiscard]] RPCH_DECL std::string_view name(server::state s) noexcept;
[[nodiscard]] RPCH_DECL std::string_view name(server::in_state s) noexcept;
[[nodiscard]] RPCH_DECL std::string_view name(server::out_state s) noexcept;

} // namespace rpch::inline RPCH_ABI::channel

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/channel/impl/server.ipp>
#endif

#endif
