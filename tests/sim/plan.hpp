// What a seed makes of a simulation.
#ifndef RPCH_TESTS_SIM_PLAN_HPP
#define RPCH_TESTS_SIM_PLAN_HPP

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rpch/channel/client.hpp>
#include <rpch/channel/inbound_proxy.hpp>
#include <rpch/channel/outbound_proxy.hpp>
#include <rpch/channel/server.hpp>
#include <rpch/rts/forwarding.hpp>
#include <rpch/rts/shape.hpp>

#include "tests/sim/network.hpp"

namespace sim {

/// Where the balancer sends the requests of a client.
enum class balance : std::uint8_t { always_same, always_other, any };

enum class fault : std::uint8_t {
    reset,              ///< A connection: both ends are told.
    half_open,          ///< One end is told, the other only when it writes.
    dead,               ///< Bytes vanish.
    proxy_dies,         ///< With all its connections; comes back with empty tables.
    proxy_vanishes,     ///< Its machine loses power: nobody is told anything.
    proxy_drains,       ///< Takes no new requests; comes back when it is empty.
    proxy_refuses,      ///< Takes no new connections for some seconds; the balancer does not know.
    server_unreachable, ///< For some seconds.
    server_dies,
    server_closes, ///< Its upper layer closes a virtual connection.
    client_closes, ///< The same at the other end, with calls open.
    stall,         ///< All that goes to a proxy or the server waits for some time.
    client_stalls, ///< A client, beyond every deadline, as soon as a predecessor of OUT drains.
};
inline constexpr std::size_t fault_kinds = 13;
[[nodiscard]] std::string_view name(fault f) noexcept;

struct planned_fault {
    std::uint64_t at_step = 0;
    fault what{};
};

struct proxy_plan {
    rpch::channel::inbound_proxy_settings in;
    rpch::channel::outbound_proxy_settings out;
};

struct client_plan {
    rpch::channel::client_settings machine;
    std::uint32_t in_fragment = 5840; ///< Largest PDU client to server.
    std::uint32_t out_fragment = 5840;
    /// Largest PDU that is really sent; 0: as announced.
    std::uint32_t in_piece = 0;
    std::uint32_t out_piece = 0;
    std::uint32_t at_once = 4; ///< Calls.
    std::uint32_t request_bytes = 1000;
    std::uint32_t answer_bytes = 1000;
    std::uint32_t pause_ms = 0;           ///< Between calls, at most.
    std::uint32_t long_pause_once_in = 0; ///< A pause may also last many minutes.
    std::uint32_t take_us = 0;            ///< How late delivered bytes are taken; 0: at once.
};

/// What becomes of the RTS PDUs of one kind that one role sends on one leg: a peer that forgets
/// something, or that is confused or hostile.
struct tampering {
    rpch::rts::role who;
    rpch::rts::shape kind;
    rpch::channel::leg on;
    enum class way : std::uint8_t {
        lost,
        other_cookie,             ///< It names a channel nobody knows.
        rewritten,                ///< What may stand for it instead: this harms nobody.
        after_an_acknowledgement, ///< Of nothing, for the outbound proxy.
        before_a_keep_alive,      ///< Of 90 s, and a Ping.
        marked                    ///< It passes; times count from the last one.
    } how;
    bool forwarded = false; ///< It is another role's, and passed on.
};
/// Connections for one leg that take so long, or never come about.
struct slow_connection {
    rpch::channel::leg which;
    bool successor; ///< Of a successor's request, or of the first one.
    std::optional<std::chrono::seconds> takes;
};

struct plan {
    std::uint64_t seed = 0;
    std::vector<proxy_plan> proxies;
    std::vector<client_plan> clients;
    rpch::channel::server_settings server;
    std::uint32_t server_take_us = 0;
    std::uint32_t answer_us = 0;  ///< How late the server answers, at most.
    bool server_is_hasty = false; ///< Ends an OUT-T that was set aside as soon as A9 is written.
    balance in_balance = balance::any;
    balance out_balance = balance::any;
    /// Pipes are drawn between these two.
    pipe_character quick, slow;
    bool is_quick = false; ///< All delays are below a few milliseconds.
    std::uint32_t successor_us =
        0; ///< How late a successor's connections are there, at most; 0: as all.
    bool sends_when_told = false;     ///< Upper layers wait for action::sendable, not for credit.
    std::uint64_t recycles = 50;      ///< Until so many, over all clients,
    std::uint64_t calls_max = 20'000; ///< or so many calls of a client.
    std::vector<planned_fault> faults;
    bool idle = false; ///< Clients make no calls and close after some time; see idle.cpp.
    std::chrono::seconds idle_for{0};
    bool directed = false; ///< Everything is laid down; see cases.cpp.
    std::vector<tampering> tamperings;
    std::vector<slow_connection> slow_connections;
    bool keeps_predecessors = false; ///< Nobody ends a predecessor by itself.
    /// What the client asks for as soon as it is open.
    std::optional<std::chrono::milliseconds> keepalive_then;
    bool keepalive_early = false; ///< As soon as IN-H is connected instead.
};

/// Draws everything from a seed.
[[nodiscard]] plan draw_plan(std::uint64_t seed, std::uint64_t recycles);

} // namespace sim

#endif
