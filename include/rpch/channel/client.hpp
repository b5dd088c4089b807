// The client of a virtual connection, [MS-RPCH] 3.2.2.
#ifndef RPCH_CHANNEL_CLIENT_HPP
#define RPCH_CHANNEL_CLIENT_HPP

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

namespace rpch::inline RPCH_ABI::channel {

/// What a client brings to one virtual connection. The cookies come from a strong random source
/// (2.2.3.1): they are all that keeps others out of the virtual connection.
struct client_settings {
    rts::cookie virtual_connection{};
    rts::cookie in_channel{};
    rts::cookie out_channel{};
    rts::cookie association_group{};
    /// ReceiveWindowSize for OUT-H, bytes. The upper layer must offer a max_recv_frag of at most
    /// half of it ([C706] 12.6.4.3): the client acknowledges when less than half is advertised, and
    /// never one by one, see draining_acknowledgements.
    std::uint32_t receive_window = limits::receive_window_max;
    /// Content-Length of the IN request, bytes.
    std::uint32_t in_lifetime = limits::channel_lifetime_default;
    /// TCP keep-alive the inbound proxy is asked to use towards the server. Never 0 on the wire: a
    /// Windows proxy refuses it although the text allows it.
    std::chrono::milliseconds client_keepalive{limits::client_keepalive_default_ms};
    /// KeepAlive interval of the upper layer, 3.2.2.2.2; 0 is none. Pings come at half of it.
    std::chrono::milliseconds keep_alive{0};
    /// Lowers the ConnectionTimeout that the proxies tell (note B28).
    std::optional<std::chrono::milliseconds> connection_timeout{};
    std::chrono::milliseconds open_wait = limits::open_wait;
    /// Replaces the IN channel when fewer bytes of it are left; 0 chooses, see
    /// replacement_threshold.
    std::uint64_t replace_in_below = 0;
    std::chrono::milliseconds replacement_wait = limits::replacement_wait;
    /// How long the upper layer's PDUs may wait for an acknowledgement.
    std::chrono::milliseconds blocked_wait = limits::blocked_wait;
    /// Close with errc::window_exceeded when the outbound proxy overruns the window.
    bool strict_windows = false;
};

/// Opens both channels, sends on IN-H and receives on OUT-H. Models `endpoint`.
///
/// It replaces IN channels before they are used up, and OUT channels when the server asks for it
/// (3.2.2.5.5 to 3.2.2.5.12), both at the same time if need be. A predecessor's bytes that the
/// upper layer has not taken yet stay counted; while there are any, a further replacement waits, so
/// that what is held never exceeds two windows.
class client {
  public:
    /// The opening, 3.2.2.5.2 to 3.2.2.5.4.
    enum class state : std::uint8_t {
        start,
        out_channel_wait,
        wait_a3w,
        wait_c2,
        opened,
        finished
    };
    /// The virtual IN channel of an open connection, 3.2.2.5.5.
    enum class in_state : std::uint8_t { opened, opened_a4w };
    /// The virtual OUT channel of an open connection, 3.2.2.5.6 to 3.2.2.5.10.
    enum class out_state : std::uint8_t { opened, opened_a6w, opened_a10w, b3w };
    using row = transition<client, state>;
    /// The hops that this role has.
    static constexpr std::array legs{leg::in_http, leg::out_http, leg::successor_in_http,
                                     leg::successor_out_http};
    using in_row = transition<client, in_state>;
    using out_row = transition<client, out_state>;

    explicit client(const client_settings& settings);

    /// Opens both channels.
    std::error_code start(time_point now, action_list& out);
    /// The request head of a channel is written: its first PDU follows.
    std::error_code on_connected(leg which, time_point now, action_list& out);
    /// The request head of a successor is written; `fresh` is its cookie, made by the driver from a
    /// strong random source.
    std::error_code on_successor_connected(leg which, const rts::cookie& fresh, time_point now,
                                           action_list& out);
    /// A response head came on a channel; 1xx and authentication legs never get here.
    /// @param status  HTTP status code.
    /// @param number  the number of `RPC Error:`, if the response had one.
    /// A 200 on IN changes nothing: some proxies answer that request early.
    std::error_code on_response(leg from, int status, std::optional<rpc_status> number,
                                time_point now, action_list& out);
    std::error_code on_pdu(leg from, const core::split_view& pdu, time_point now, action_list& out);
    std::error_code on_written(leg to, std::size_t rpc_bytes, time_point now, action_list& out);
    std::error_code on_closed(leg which, std::error_code why, time_point now, action_list& out);
    std::error_code on_deadline(time_point now, action_list& out);
    [[nodiscard]] std::optional<time_point> next_deadline() const noexcept;
    [[nodiscard]] bool wants_input(leg from) const noexcept;

    [[nodiscard]] std::size_t send_credit() const noexcept;
    std::error_code on_rpc_sent(std::size_t bytes, time_point now, action_list& out);
    std::error_code on_rpc_waiting(std::size_t bytes, time_point now, action_list& out);
    std::error_code on_consumed(std::size_t bytes, time_point now, action_list& out);
    /// Asks the inbound proxy for another TCP keep-alive interval, 2.2.4.46; before the connection
    /// is open it becomes part of CONN/B1.
    std::error_code set_client_keepalive(std::chrono::milliseconds interval, time_point now,
                                         action_list& out);
    std::error_code close(time_point now, action_list& out);

    [[nodiscard]] std::error_code ended_with() const noexcept { return ending_.why(); }
    [[nodiscard]] state current() const noexcept { return state_; }
    /// @return the largest RPC PDU that the inbound proxy's window can take; 0 before it is known.
    [[nodiscard]] std::uint32_t largest_pdu() const noexcept { return sending_.peer_window(); }
    [[nodiscard]] const receive_window& received() const noexcept { return received_; }
    [[nodiscard]] const send_window& sending() const noexcept { return sending_; }
    [[nodiscard]] const class lifetime& lifetime() const noexcept { return lifetime_; }
    [[nodiscard]] in_state current_in() const noexcept { return in_; }
    [[nodiscard]] out_state current_out() const noexcept { return out_; }
    /// @return IN and OUT channels replaced so far.
    [[nodiscard]] std::uint64_t in_replaced() const noexcept { return in_replaced_; }
    [[nodiscard]] std::uint64_t out_replaced() const noexcept { return out_replaced_; }
    /// @return delivered RPC bytes of a replaced OUT channel that the upper layer has not taken.
    [[nodiscard]] std::size_t held_of_predecessor() const noexcept { return predecessor_held_; }
    [[nodiscard]] static std::span<const row> table() noexcept;
    [[nodiscard]] static std::span<const in_row> in_table() noexcept;
    [[nodiscard]] static std::span<const out_row> out_table() noexcept;

  private:
    enum class wait : std::uint8_t {
        open,
        in_replacement,
        out_replacement,
        blocked,
        retry_in,
        retry_out,
        count
    };

    std::error_code on_rpc(leg from, const core::split_view& pdu, action_list& out);
    std::error_code on_rts(leg from, const core::split_view& pdu, time_point now, action_list& out);
    /// Sends an RTS PDU on IN-H; keeps it for the successor when that would leave the channel less
    /// than `reserve`. While the predecessor of OUT-H drains, nothing but acknowledgements may take
    /// what A7 has left for them.
    std::error_code send_on_in(rts::shape kind, const rts::wire& pdu, time_point now,
                               action_list& out, std::uint64_t reserve = in_handover_bytes);
    /// What OUT_R*/A7 leaves of the IN channel: A5, and the acknowledgements that the predecessor
    /// of OUT-H needs.
    [[nodiscard]] std::uint64_t draining_reserve() const noexcept;
    /// @return whether A7 was sent, and the predecessor of OUT-H still brings something.
    [[nodiscard]] bool out_drains() const noexcept {
        return out_ == out_state::opened_a10w || out_ == out_state::b3w;
    }
    void replace_in_if_due(time_point now, action_list& out);
    void replace_in(time_point now, action_list& out);
    std::error_code on_successor_lost(leg which, std::error_code why, time_point now,
                                      action_list& out);
    std::error_code check_replacement(wait guard, time_point now);
    void set_timeout(std::uint32_t milliseconds, time_point now) noexcept;
    std::error_code end(std::error_code why, leg where, action_list& out);
    static std::uint32_t wire_keepalive(std::chrono::milliseconds interval) noexcept;
    static std::error_code http_failure(int status) noexcept;

    std::error_code keep_timeout(const rts::pdu& in, time_point now, action_list& out);
    std::error_code open_up(const rts::pdu& in, time_point now, action_list& out);
    std::error_code acknowledged(const rts::pdu& in, time_point now, action_list& out);
    std::error_code ignore(const rts::pdu& in, time_point now, action_list& out);
    std::error_code switch_in_r1(const rts::pdu& in, time_point now, action_list& out);
    std::error_code switch_in_r2(const rts::pdu& in, time_point now, action_list& out);
    std::error_code switch_in(std::uint32_t window, bool tell_keepalive, time_point now,
                              action_list& out);
    std::error_code open_out_successor(const rts::pdu& in, time_point now, action_list& out);
    std::error_code agree_to_r1(const rts::pdu& in, time_point now, action_list& out);
    std::error_code agree_to_r2(const rts::pdu& in, time_point now, action_list& out);
    std::error_code switch_out_r1(const rts::pdu& in, time_point now, action_list& out);
    std::error_code switch_out_r2(const rts::pdu& in, time_point now, action_list& out);
    void switch_out(action_list& out);

    client_settings settings_;
    state state_ = state::start;
    in_state in_ = in_state::opened;
    out_state out_ = out_state::opened;
    ending ending_;
    deadlines<wait> deadlines_;
    ping_timer silence_;

    // The default IN channel, and its successor once A1 was sent.
    rts::cookie in_channel_;
    send_window sending_;
    class lifetime lifetime_;
    held_rts held_; ///< For the successor.
    bool in_connected_ = false;
    bool rpc_waits_ = false;   ///< An RPC PDU needs more lifetime than there is.
    bool in_confirmed_ = true; ///< An acknowledgement showed that this instance has taken over.
    std::optional<rts::cookie> in_successor_;
    class lifetime in_successor_lifetime_;
    std::uint64_t in_replaced_ = 0;
    int in_tries_ = 0;

    // The default OUT channel, and its successor once A3 was sent.
    rts::cookie out_channel_;
    receive_window received_;
    std::size_t predecessor_held_ = 0;
    bool out_request_waits_ = false; ///< A2 came while bytes of the last predecessor were held.
    bool out_response_came_ = false;
    bool out_successor_response_came_ = false;
    std::optional<rts::cookie> out_successor_;
    std::uint64_t out_replaced_ = 0;
    int out_tries_ = 0;
};

/// @return the state's name in the specification.
[[nodiscard]] RPCH_DECL std::string_view name(client::state s) noexcept;
[[nodiscard]] RPCH_DECL std::string_view name(client::in_state s) noexcept;
[[nodiscard]] RPCH_DECL std::string_view name(client::out_state s) noexcept;

} // namespace rpch::inline RPCH_ABI::channel

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/channel/impl/client.ipp>
#endif

#endif
