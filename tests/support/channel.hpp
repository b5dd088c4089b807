// PDUs, actions in words and the negative space, for tests of the channel machines.
#ifndef RPCH_TESTS_SUPPORT_CHANNEL_HPP
#define RPCH_TESTS_SUPPORT_CHANNEL_HPP

#include <cstdint>
#include <string>
#include <type_traits>
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

/// Whatever the table leaves out is refused, closes, and asks for nothing but that. PDUs for other
/// roles are forwarded before the table is asked: `sample` addresses them to `me`.
/// @param make  makes a fresh `driven` machine in the state to be tested.
/// @return what was not refused, in words; empty if all is well.
template <class Make>
list accepted_though_not_listed(Make make, std::initializer_list<rpch::channel::leg> legs,
                                rpch::rts::destination me) {
    list faults;
    for (const auto l : legs)
        for (const auto kind : rpch::rts::all_shapes) {
            auto m = make();
            const auto state = m.machine.current();
            if (rpch::channel::find_transition(m.machine.table(), state, l, kind)) continue;
            if constexpr (requires { m.machine.in_table(); })
                if (state == decltype(state)::opened &&
                    (rpch::channel::find_transition(m.machine.in_table(), m.machine.current_in(), l,
                                                    kind) ||
                     rpch::channel::find_transition(m.machine.out_table(), m.machine.current_out(),
                                                    l, kind)))
                    continue;
            const auto failure = m.pdu(l, sample(kind, me));
            const bool refused =
                failure == rpch::errc::unexpected_pdu &&
                m.said() == list{"failed " + std::string(rpch::channel::name(l))} &&
                m.machine.ended_with() == failure && !m.machine.wants_input(l) &&
                !m.machine.next_deadline();
            if (!refused)
                faults.push_back(std::string(name(state)) + ", " +
                                 std::string(rpch::channel::name(l)) + ": " +
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
    }
    same = same && m.after(std::chrono::hours{24}) == why && m.out.empty();
    return same && m.machine.start(m.now, m.out) == why && m.out.empty() &&
           !m.machine.next_deadline();
}

} // namespace test

#endif
