// PDUs, actions in words and the negative space, for tests of the channel machines.
#ifndef RPCH_TESTS_SUPPORT_CHANNEL_HPP
#define RPCH_TESTS_SUPPORT_CHANNEL_HPP

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <rpch/channel/actions.hpp>
#include <rpch/channel/machine.hpp>
#include <rpch/core/bytes.hpp>
#include <rpch/dcerpc/common_header.hpp>
#include <rpch/rts/codec.hpp>

#include "tests/support/bytes.hpp"

namespace test {

inline const rpch::channel::time_point t0{std::chrono::hours{1}};

/// A cookie whose bytes are all `b`.
inline rpch::rts::cookie cookie_of(unsigned b) {
    rpch::rts::cookie c;
    c.bytes.fill(static_cast<std::byte>(b));
    return c;
}
inline const rpch::rts::cookie vc_cookie = cookie_of(0xA0);
inline const rpch::rts::cookie in_cookie = cookie_of(0x11);
inline const rpch::rts::cookie out_cookie = cookie_of(0x22);
inline const rpch::rts::cookie group_cookie = cookie_of(0x33);

template <class Pdu>
bytes wire_of(const Pdu& pdu) {
    const rpch::rts::wire w = rpch::rts::encode(pdu);
    return bytes(w.view().begin(), w.view().end());
}

/// An RPC PDU of `size` bytes, at least 24; `seed` fills its body.
inline bytes rpc_pdu(std::size_t size,
                     rpch::dcerpc::pdu_type type = rpch::dcerpc::pdu_type::request,
                     unsigned seed = 0) {
    bytes out(size);
    std::span<std::byte, 16> head(out.data(), 16);
    rpch::dcerpc::encode_common_header({.type = type,
                                        .flags = 3,
                                        .frag_length = static_cast<std::uint16_t>(size),
                                        .call_id = seed},
                                       head);
    for (std::size_t i = 16; i < size; ++i) out[i] = static_cast<std::byte>(seed * 31 + i);
    return out;
}
/// A bind or bind_ack that announces its largest fragments.
inline bytes bind_pdu(rpch::dcerpc::pdu_type type, std::uint16_t max_xmit, std::uint16_t max_recv) {
    bytes out = rpc_pdu(72, type);
    rpch::core::store(out.data() + 16, max_xmit, rpch::core::byte_order::little);
    rpch::core::store(out.data() + 18, max_recv, rpch::core::byte_order::little);
    return out;
}

/// Some well-formed PDU of a shape. Receive windows are 64 KiB, cookies zeros.
inline bytes sample(rpch::rts::shape kind, rpch::rts::destination to) {
    using rpch::rts::command_type;
    const auto& definition = rpch::rts::definition_of(kind);
    bytes out(rpch::rts::header_bytes);
    const auto put = [&out](std::uint32_t value) {
        out.resize(out.size() + 4);
        rpch::core::store(out.data() + out.size() - 4, value, rpch::core::byte_order::little);
    };
    for (const command_type type : definition.commands()) {
        const std::size_t end = out.size() + rpch::rts::form_of(type).bytes;
        put(static_cast<std::uint32_t>(type));
        if (type == command_type::destination)
            put(static_cast<std::uint32_t>(to));
        else if (type == command_type::receive_window_size)
            put(65536);
        out.resize(end);
    }
    rpch::dcerpc::encode_common_header({.type = rpch::dcerpc::pdu_type::rts,
                                        .flags = 3,
                                        .frag_length = static_cast<std::uint16_t>(out.size())},
                                       std::span<std::byte, 16>(out.data(), 16));
    rpch::core::store(out.data() + 16, definition.flags, rpch::core::byte_order::little);
    rpch::core::store(out.data() + 18, static_cast<std::uint16_t>(definition.count),
                      rpch::core::byte_order::little);
    return out;
}

/// An action in words: "send in_tcp CONN/B2", "forward out_http", "failed out_tcp".
inline std::string words(const rpch::channel::action::any& any) {
    namespace action = rpch::channel::action;
    const auto at = [](const char* verb, rpch::channel::leg l) {
        return std::string(verb) + " " + std::string(rpch::channel::name(l));
    };
    return std::visit(
        [&](const auto& a) -> std::string {
            using type = std::decay_t<decltype(a)>;
            if constexpr (std::is_same_v<type, action::open>)
                return at("open", a.which);
            else if constexpr (std::is_same_v<type, action::send>)
                return at("send", a.to) + " " +
                       std::string(rpch::rts::name(rpch::rts::decode(a.pdu.view())->kind()));
            else if constexpr (std::is_same_v<type, action::send_rpc>)
                return at("send_rpc", a.to) + " " + std::to_string(a.pdu.size());
            else if constexpr (std::is_same_v<type, action::forward>)
                return at("forward", a.to);
            else if constexpr (std::is_same_v<type, action::deliver>)
                return "deliver";
            else if constexpr (std::is_same_v<type, action::respond>)
                return at("respond", a.to) + " " + std::to_string(a.content_length);
            else if constexpr (std::is_same_v<type, action::refuse>)
                return at("refuse", a.to) + " " +
                       std::to_string(static_cast<std::uint32_t>(a.status));
            else if constexpr (std::is_same_v<type, action::keep_alive>)
                return at("keep_alive", a.on) + " " + std::to_string(a.interval.count());
            else if constexpr (std::is_same_v<type, action::close>)
                return at("close", a.which);
            else if constexpr (std::is_same_v<type, action::promote>)
                return at("promote", a.which) + (a.set_aside ? " and set aside" : "");
            else if constexpr (std::is_same_v<type, action::opened>)
                return "opened";
            else if constexpr (std::is_same_v<type, action::failed>)
                return at("failed", a.where);
            else
                return "sendable";
        },
        any);
}
using list = std::vector<std::string>;
inline list words(const rpch::channel::action_list& actions) {
    list out;
    for (const auto& a : actions) out.push_back(words(a));
    return out;
}

/// @return the RTS PDU of type Pdu that is the last one sent; throws if there is none.
template <class Pdu>
Pdu last_sent(const rpch::channel::action_list& actions) {
    for (auto a = actions.rbegin(); a != actions.rend(); ++a)
        if (const auto* s = std::get_if<rpch::channel::action::send>(&*a)) {
            const auto decoded = rpch::rts::decode(s->pdu.view());
            if (decoded && decoded->kind() == Pdu::kind) return rpch::rts::get<Pdu>(*decoded);
        }
    throw std::runtime_error("no such PDU was sent");
}

/// Drives a machine and keeps the actions of the last event.
template <class Machine>
struct driven {
    Machine machine;
    rpch::channel::action_list out{};
    rpch::channel::time_point now = t0;

    template <class Settings>
    explicit driven(const Settings& settings) : machine(settings) {
        machine.start(now, out);
    }
    std::error_code connected(rpch::channel::leg l) {
        return clear(), machine.on_connected(l, now, out);
    }
    std::error_code closed(rpch::channel::leg l, std::error_code why = {}) {
        return clear(), machine.on_closed(l, why, now, out);
    }
    std::error_code pdu(rpch::channel::leg l, const bytes& b) {
        return clear(), machine.on_pdu(l, {.first = b}, now, out);
    }
    template <class Pdu>
    std::error_code rts(rpch::channel::leg l, const Pdu& p) {
        return pdu(l, wire_of(p));
    }
    std::error_code written(rpch::channel::leg l, std::size_t n) {
        return clear(), machine.on_written(l, n, now, out);
    }
    std::error_code after(std::chrono::milliseconds wait) {
        now += wait;
        return clear(), machine.on_deadline(now, out);
    }
    void clear() { out.clear(); }
    [[nodiscard]] list said() const { return words(out); }
};

/// Every leg there is.
inline constexpr auto all_legs = [] {
    std::array<rpch::channel::leg, rpch::channel::leg_count> out{};
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<rpch::channel::leg>(i);
    return out;
}();

/// The state of a machine in words; of an open end with those of its channels.
template <class Machine>
std::string state_of(const Machine& m) {
    std::string out(name(m.current()));
    if constexpr (requires { m.current_in(); })
        if (m.current() == Machine::state::opened)
            out += "; IN " + std::string(name(m.current_in())) + "; OUT " +
                   std::string(name(m.current_out()));
    return out;
}

/// A row of any state table in words.
template <class Row>
std::string words_of(const Row& row) {
    return std::string(name(row.from)) + ", " + std::string(rpch::channel::name(row.where)) + ": " +
           row.what;
}

/// @return the row that a machine in its present state has for this leg and shape, in words, with
///         the state that it leads to; nothing if there is none.
template <class Machine>
std::optional<std::pair<std::string, std::string>> row_for(const Machine& m, rpch::channel::leg l,
                                                           rpch::rts::shape kind) {
    using rpch::channel::find_transition;
    const auto found = [](const auto* row) {
        return std::pair(words_of(*row), std::string(name(row->to)));
    };
    if (const auto* row = find_transition(Machine::table(), m.current(), l, kind))
        return found(row);
    if constexpr (requires { m.current_in(); })
        if (m.current() == Machine::state::opened) {
            if (const auto* row = find_transition(Machine::in_table(), m.current_in(), l, kind))
                return std::pair("IN " + words_of(*row), "IN " + std::string(name(row->to)));
            if (const auto* row = find_transition(Machine::out_table(), m.current_out(), l, kind))
                return std::pair("OUT " + words_of(*row), "OUT " + std::string(name(row->to)));
        }
    return {};
}

/// Walks rows of a machine's tables, and knows which were not walked.
template <class Machine>
class table_walk {
  public:
    table_walk() {
        for (const auto& row : Machine::table()) left_.insert(words_of(row));
        if constexpr (requires { Machine::in_table(); }) {
            for (const auto& row : Machine::in_table()) left_.insert("IN " + words_of(row));
            for (const auto& row : Machine::out_table()) left_.insert("OUT " + words_of(row));
        }
    }
    /// Hands a PDU to the machine.
    /// @return what is not as it should be, in words: no row is there, the row leads elsewhere, or
    ///         the machine does not ask for exactly `expected`. Empty if all is well.
    template <class Pdu>
    list step(driven<Machine>& d, rpch::channel::leg l, const Pdu& pdu, const list& expected) {
        const auto row = row_for(d.machine, l, Pdu::kind);
        if (!row) return {"no row for " + std::string(rpch::rts::name(Pdu::kind))};
        left_.erase(row->first);
        d.rts(l, pdu);
        if (d.said() != expected) return d.said();
        const auto why = d.machine.ended_with();
        if (why && why != rpch::errc::channel_replaced) return {why.message()};
        const std::string now = "; " + state_of(d.machine) + ";";
        if (!why && now.find("; " + row->second + ";") == std::string::npos) return {now};
        return {};
    }
    /// @return the rows that were not walked.
    [[nodiscard]] list left() const { return {left_.begin(), left_.end()}; }

  private:
    std::set<std::string> left_;
};

/// Whatever the table leaves out is refused, closes, and asks for nothing but that. PDUs for other
/// roles are forwarded before the table is asked: `sample` addresses them to `me`.
/// @param make  makes a fresh `driven` machine in the state to be tested.
/// @return what was not refused, in words; empty if all is well.
template <class Make>
list accepted_though_not_listed(Make make, rpch::rts::destination me) {
    list faults;
    for (const auto l : all_legs)
        for (const auto kind : rpch::rts::all_shapes) {
            auto m = make();
            if (row_for(m.machine, l, kind)) continue;
            const std::string before = state_of(m.machine);
            const auto failure = m.pdu(l, sample(kind, me));
            const bool refused =
                failure == rpch::errc::unexpected_pdu &&
                m.said() == list{"failed " + std::string(rpch::channel::name(l))} &&
                m.machine.ended_with() == failure && !m.machine.wants_input(l) &&
                !m.machine.next_deadline();
            if (!refused)
                faults.push_back(before + ", " + std::string(rpch::channel::name(l)) + ": " +
                                 std::string(rpch::rts::name(kind)));
        }
    return faults;
}

/// A finished machine answers every event with the error that finished it and asks for nothing.
template <class Machine>
bool is_silent(driven<Machine>& m) {
    const std::error_code why = m.machine.ended_with();
    if (!why) return false;
    bool same = true;
    for (std::size_t i = 0; i < rpch::channel::leg_count; ++i) {
        const auto l = static_cast<rpch::channel::leg>(i);
        same = same && m.connected(l) == why && m.out.empty();
        same = same && m.closed(l) == why && m.out.empty();
        same = same && m.rts(l, rpch::rts::ping{}) == why && m.out.empty();
        same = same && m.pdu(l, rpc_pdu(64)) == why && m.out.empty();
        same = same && m.written(l, 64) == why && m.out.empty();
        same = same && !m.machine.wants_input(l);
        if constexpr (requires { m.machine.on_response(l, 200, {}, m.now, m.out); }) {
            same = same && m.machine.on_response(l, 200, {}, m.now, m.out) == why && m.out.empty();
            same = same && m.machine.on_successor_connected(l, cookie_of(1), m.now, m.out) == why &&
                   m.out.empty();
        }
    }
    if constexpr (requires { m.machine.send_credit(); }) {
        same = same && m.machine.send_credit() == 0;
        same = same && m.machine.on_rpc_sent(0, m.now, m.out) == why && m.out.empty();
        same = same && m.machine.on_rpc_waiting(1, m.now, m.out) == why && m.out.empty();
        same = same && m.machine.on_consumed(0, m.now, m.out) == why && m.out.empty();
        same = same && m.machine.close(m.now, m.out) == why && m.out.empty();
    }
    same = same && m.after(std::chrono::hours{24}) == why && m.out.empty();
    return same && m.machine.start(m.now, m.out) == why && m.out.empty() &&
           !m.machine.next_deadline();
}

} // namespace test

#endif
