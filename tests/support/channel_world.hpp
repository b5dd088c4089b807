// All four machines wired together in memory. What happens next is drawn from a seed: which
// connection comes up, which PDU is written or read, which upper layer sends or takes data, when
// time passes, and what breaks. A fault is told in words; the seed reproduces it.
#ifndef RPCH_TESTS_SUPPORT_CHANNEL_WORLD_HPP
#define RPCH_TESTS_SUPPORT_CHANNEL_WORLD_HPP

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <rpch/channel/client.hpp>
#include <rpch/channel/inbound_proxy.hpp>
#include <rpch/channel/outbound_proxy.hpp>
#include <rpch/channel/server.hpp>

#include "tests/support/channel.hpp"

namespace test {

namespace channel = rpch::channel;
using channel::leg;

enum class party { client, inbound_proxy, server, outbound_proxy };

/// What a world is made of. Fragments must fit the windows on their way.
struct world_settings {
    unsigned seed = 0;
    std::uint32_t client_window = 65536;
    std::uint32_t inbound_window = 65536;
    std::uint32_t outbound_window = 65536;
    std::uint32_t server_window = 65536;
    std::size_t in_fragment = 5840;  ///< Largest RPC PDU from client to server.
    std::size_t out_fragment = 5840; ///< Largest RPC PDU from server to client.
    std::size_t in_bytes = 100'000;  ///< What the client sends, at least.
    std::size_t out_bytes = 100'000;
    std::size_t wire_bytes = 20'000; ///< What a connection takes before its writer has to wait.
    bool time_passes = false;
    bool server_reachable = true;
    std::size_t break_after = 0; ///< Steps until a connection breaks; 0 is never.
};

class channel_world {
  public:
    explicit channel_world(const world_settings& settings)
        : settings_(settings),
          random_(settings.seed),
          client_(client_of(settings)),
          inbound_(inbound_of(settings)),
          outbound_(outbound_of(settings)),
          server_({.receive_window = settings.server_window, .strict_windows = true}) {
        for (const party p : {party::client, party::server}) {
            upper(p).to_send = p == party::client ? settings.in_bytes : settings.out_bytes;
            upper(p).fragment = p == party::client ? settings.in_fragment : settings.out_fragment;
            draw_next(upper(p));
        }
        event(party::client, [&](auto& m, auto& out) { return m.start(now_, out); });
    }

    /// Lets one thing happen. @return false if nothing can.
    bool step() {
        moves_.clear();
        list_moves();
        if (moves_.empty() || !fault_.empty()) return false;
        ++steps_;
        if (settings_.break_after != 0 && steps_ == settings_.break_after)
            break_something();
        else if (settings_.time_passes && below(200) == 0 && waits_ < 200)
            let_time_pass();
        else
            moves_[below(moves_.size())]();
        check();
        return fault_.empty();
    }
    /// Runs until nothing can happen. @return the fault, or nothing.
    std::string run() {
        while (step()) {
        }
        return fault_;
    }
    /// The client's upper layer closes.
    void close_client() {
        upper_event(party::client, [&](auto& m, auto& out) { return m.close(now_, out); });
    }
    void close_server() {
        upper_event(party::server, [&](auto& m, auto& out) { return m.close(now_, out); });
    }
    /// Lets so much time pass that every deadline is over, then runs on.
    std::string expire() {
        now_ += std::chrono::hours{1};
        deadlines();
        return run();
    }

    [[nodiscard]] const std::string& fault() const { return fault_; }
    /// Everything was sent, received, taken, and in order.
    [[nodiscard]] bool complete() const {
        return uppers_[0].complete(uppers_[1]) && uppers_[1].complete(uppers_[0]);
    }
    [[nodiscard]] bool all_open() const { return open_[0] && open_[1] && open_[2] && open_[3]; }
    [[nodiscard]] std::error_code ended_with(party p) {
        std::error_code why;
        visit(p, [&](auto& m) { why = m.ended_with(); });
        return why;
    }
    /// Every machine that was started has ended.
    [[nodiscard]] bool all_ended() {
        for (const party p : all_parties)
            if (started_[index(p)] && !ended_with(p)) return false;
        return true;
    }
    [[nodiscard]] const channel::client& client() const { return client_; }
    [[nodiscard]] const channel::server& server() const { return server_; }
    [[nodiscard]] const channel::inbound_proxy& inbound() const { return inbound_; }
    [[nodiscard]] const channel::outbound_proxy& outbound() const { return outbound_; }
    [[nodiscard]] std::size_t pings() const { return pings_; }

  private:
    static constexpr std::array all_parties{party::client, party::inbound_proxy, party::server,
                                            party::outbound_proxy};
    static constexpr std::array all_legs{leg::in_http, leg::in_tcp, leg::out_http, leg::out_tcp};

    /// One thing on its way: a PDU, a response head, or the end of the connection.
    struct item {
        enum class kind { pdu, success, refusal, end } what = kind::pdu;
        bytes pdu{};
        bool rpc = false;
        rpch::rpc_status status{};
    };
    /// One direction of a connection.
    struct pipe {
        std::deque<item> unsent; ///< Given to the driver, not yet with the socket.
        std::deque<item> wire;
        std::size_t wire_bytes = 0;
        bool ended = false; ///< Its writer has closed it.
    };
    /// The layer above a client or a server.
    struct upper_layer {
        std::size_t to_send = 0;
        std::size_t fragment = 0;
        bool announced = false;
        bool may_send = false; ///< Set by `opened` and `sendable` only, as for a real upper layer.
        bytes next{};
        unsigned count = 0;
        std::deque<bytes> sent{}; ///< Not yet received by the other one.
        std::size_t untaken = 0;
        std::size_t bytes_sent = 0, bytes_received = 0;

        [[nodiscard]] bool complete(const upper_layer& other) const {
            return next.empty() && sent.empty() && other.untaken == 0 &&
                   bytes_sent == other.bytes_received;
        }
    };

    static std::size_t index(party p) { return static_cast<std::size_t>(p); }
    static channel::client_settings client_of(const world_settings& s) {
        return {.virtual_connection = vc_cookie,
                .in_channel = in_cookie,
                .out_channel = out_cookie,
                .association_group = group_cookie,
                .receive_window = s.client_window,
                .strict_windows = true};
    }
    static channel::inbound_proxy_settings inbound_of(const world_settings& s) {
        return {.receive_window = s.inbound_window, .strict_windows = true};
    }
    static channel::outbound_proxy_settings outbound_of(const world_settings& s) {
        return {.receive_window = s.outbound_window, .strict_windows = true};
    }
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
    upper_layer& upper(party p) { return uppers_[p == party::client ? 0 : 1]; }

    template <class F>
    void visit(party p, F f) {
        switch (p) {
        case party::client: return f(client_);
        case party::inbound_proxy: return f(inbound_);
        case party::server: return f(server_);
        case party::outbound_proxy: return f(outbound_);
        }
    }
    static party other_end(party p, leg l) {
        switch (p) {
        case party::client: return l == leg::in_http ? party::inbound_proxy : party::outbound_proxy;
        case party::server: return l == leg::in_tcp ? party::inbound_proxy : party::outbound_proxy;
        case party::inbound_proxy: return l == leg::in_http ? party::client : party::server;
        case party::outbound_proxy: return l == leg::out_http ? party::client : party::server;
        }
        return p;
    }
    static bool has(party p, leg l) {
        const bool http = l == leg::in_http || l == leg::out_http;
        const bool in = l == leg::in_http || l == leg::in_tcp;
        switch (p) {
        case party::client: return http;
        case party::server: return !http;
        case party::inbound_proxy: return in;
        case party::outbound_proxy: return !in;
        }
        return false;
    }
    /// The direction of a leg that `p` writes. Clients and servers have the even ones.
    pipe& written_by(party p, leg l) {
        const bool end = p == party::client || p == party::server;
        return pipes_[static_cast<std::size_t>(l) * 2 + (end ? 0 : 1)];
    }
    pipe& read_by(party p, leg l) { return written_by(other_end(p, l), l); }

    /// Gives an event to a machine and does what it asks for.
    template <class F>
    void event(party p, F f, const bytes& handled = {}) {
        visit(p, [&](auto& m) {
            const std::error_code before = m.ended_with();
            channel::action_list out;
            const std::error_code result = f(m, out);
            if (before && (!out.empty() || result != before)) fault("a closed machine speaks");
            if (result != m.ended_with()) fault("the event's result is not how the machine ended");
            for (std::size_t i = 0; i < out.size(); ++i) {
                const bool last = i + 1 == out.size();
                if (std::holds_alternative<channel::action::failed>(out[i]) &&
                    (!last || before || !result))
                    fault("failed is not the last word");
                perform(p, out[i], handled);
            }
            if (result && !before && (out.empty() || words(out.back()).substr(0, 6) != "failed"))
                fault("a machine ended and did not say so");
        });
    }

    /// Gives an event to the machine of a client or a server.
    template <class F>
    void upper_event(party p, F f) {
        event(p, [&](auto& m, auto& out) {
            if constexpr (channel::endpoint<std::decay_t<decltype(m)>>)
                return f(m, out);
            else
                return m.ended_with();
        });
    }

    void perform(party p, channel::action::any& any, const bytes& handled) {
        namespace action = channel::action;
        if (auto* a = std::get_if<action::open>(&any))
            connecting_.push_back({p, a->which});
        else if (auto* s = std::get_if<action::send>(&any)) {
            const bytes pdu(s->pdu.view().begin(), s->pdu.view().end());
            if (rpch::rts::decode(pdu)->kind() == rpch::rts::shape::ping) ++pings_;
            put(p, s->to, {.pdu = pdu});
        } else if (auto* r = std::get_if<action::send_rpc>(&any))
            put(p, r->to, {.pdu = std::move(r->pdu), .rpc = true});
        else if (auto* f = std::get_if<action::forward>(&any))
            put(p, f->to, {.pdu = handled, .rpc = is_rpc(handled)});
        else if (std::get_if<action::deliver>(&any) != nullptr)
            receive(p, handled);
        else if (auto* h = std::get_if<action::respond>(&any))
            put(p, h->to, {.what = item::kind::success});
        else if (auto* x = std::get_if<action::refuse>(&any)) {
            put(p, x->to, {.what = item::kind::refusal, .status = x->status});
            finish(p, x->to);
        } else if (auto* c = std::get_if<action::close>(&any))
            finish(p, c->which);
        else if (std::get_if<action::opened>(&any) != nullptr) {
            if (open_[index(p)]) fault("opened twice");
            open_[index(p)] = true;
            if (p == party::client || p == party::server) upper(p).may_send = true;
        } else if (std::get_if<action::sendable>(&any) != nullptr)
            upper(p).may_send = true;
        else if (std::get_if<action::failed>(&any) != nullptr) {
            for (const leg l : all_legs) {
                if (!has(p, l) || written_by(p, l).ended) continue;
                written_by(p, l).unsent.clear();
                finish(p, l);
            }
        }
    }
    void put(party p, leg l, item what) {
        if (!has(p, l)) return fault("a leg that this role does not have");
        if (written_by(p, l).ended) return fault("sent after the close");
        written_by(p, l).unsent.push_back(std::move(what));
    }
    void finish(party p, leg l) {
        if (!connected_[static_cast<std::size_t>(l)]) return;
        written_by(p, l).unsent.push_back({.what = item::kind::end});
        written_by(p, l).ended = true;
    }
    static bool is_rpc(const bytes& pdu) {
        return rpch::dcerpc::peek_type(pdu) != rpch::dcerpc::pdu_type::rts;
    }

    void list_moves() {
        for (std::size_t i = 0; i < connecting_.size(); ++i)
            moves_.push_back([this, i] { connect(i); });
        for (const party p : all_parties)
            for (const leg l : all_legs) {
                if (!has(p, l)) continue;
                pipe& out = written_by(p, l);
                if (!out.unsent.empty() && out.wire_bytes < settings_.wire_bytes)
                    moves_.push_back([this, p, l] { write(p, l); });
                if (!read_by(p, l).wire.empty() && reads(p, l))
                    moves_.push_back([this, p, l] { read(p, l); });
            }
        for (const party p : {party::client, party::server}) {
            if (ended_with(p)) continue;
            if (upper(p).may_send && !upper(p).next.empty())
                moves_.push_back([this, p] { send_some(p); });
            if (upper(p).untaken != 0) moves_.push_back([this, p] { take_some(p); });
        }
    }
    bool reads(party p, leg l) {
        bool wants = false;
        visit(p, [&](auto& m) { wants = m.wants_input(l) || m.ended_with(); });
        if (!wants) fault("a machine does not read although nobody overran its window");
        return wants;
    }

    void connect(std::size_t i) {
        const auto [p, l] = connecting_[i];
        connecting_.erase(connecting_.begin() + static_cast<std::ptrdiff_t>(i));
        if (ended_with(p)) return;
        const party to = other_end(p, l);
        if (to == party::server && !settings_.server_reachable) {
            event(p, [&, leg_ = l](auto& m, auto& out) {
                return m.on_closed(leg_, make_error_code(rpch::errc::connect_failed), now_, out);
            });
            return;
        }
        connected_[static_cast<std::size_t>(l)] = true;
        if (!started_[index(to)]) {
            started_[index(to)] = true;
            event(to, [&](auto& m, auto& out) { return m.start(now_, out); });
        }
        event(p, [&, leg_ = l](auto& m, auto& out) { return m.on_connected(leg_, now_, out); });
    }
    void write(party p, leg l) {
        pipe& out = written_by(p, l);
        item what = std::move(out.unsent.front());
        out.unsent.pop_front();
        const std::size_t rpc_bytes = what.rpc ? what.pdu.size() : 0;
        out.wire_bytes += what.pdu.size();
        out.wire.push_back(std::move(what));
        if (rpc_bytes != 0)
            event(p, [&](auto& m, auto& o) { return m.on_written(l, rpc_bytes, now_, o); });
    }
    void read(party p, leg l) {
        pipe& in = read_by(p, l);
        const item what = std::move(in.wire.front());
        in.wire.pop_front();
        in.wire_bytes -= what.pdu.size();
        switch (what.what) {
        case item::kind::pdu: return read_pdu(p, l, what.pdu);
        case item::kind::success:
        case item::kind::refusal: {
            const bool success = what.what == item::kind::success;
            if (p != party::client) return fault("a response that does not go to the client");
            event(p, [&](auto& m, auto& out) {
                if constexpr (std::is_same_v<std::decay_t<decltype(m)>, channel::client>)
                    return m.on_response(l, success ? 200 : 503,
                                         success ? std::nullopt : std::optional(what.status), now_,
                                         out);
                else
                    return m.ended_with();
            });
            return;
        }
        case item::kind::end:
            event(p,
                  [&](auto& m, auto& out) { return m.on_closed(l, std::error_code{}, now_, out); });
            return;
        }
    }
    void read_pdu(party p, leg l, const bytes& pdu) {
        if (p == party::server && !greeted_[static_cast<std::size_t>(l)]) {
            const auto first = channel::classify_first_pdu(pdu);
            if (!first || first->half != l || first->virtual_connection != vc_cookie)
                return fault("the first PDU at the server is a strange one");
            if (!server_.ended_with() && server_.admits(*first))
                return fault("the server does not expect this half");
            greeted_[static_cast<std::size_t>(l)] = true;
        }
        // An RPC PDU may straddle the end of the read buffer; its first 24 bytes never do.
        const std::size_t cut =
            is_rpc(pdu) && pdu.size() > 24 ? 24 + below(pdu.size() - 23) : pdu.size();
        const rpch::core::split_view view{.first = rpch::byte_view(pdu).first(cut),
                                          .second = rpch::byte_view(pdu).subspan(cut)};
        event(
            p, [&](auto& m, auto& out) { return m.on_pdu(l, view, now_, out); }, pdu);
    }

    void draw_next(upper_layer& u) {
        u.next.clear();
        if (u.bytes_sent >= u.to_send) return;
        using rpch::dcerpc::pdu_type;
        const bool is_client = &u == &uppers_[0];
        if (!u.announced) {
            u.announced = true;
            const auto in = static_cast<std::uint16_t>(settings_.in_fragment);
            const auto out = static_cast<std::uint16_t>(settings_.out_fragment);
            u.next = is_client ? bind_pdu(pdu_type::bind, in, out)
                               : bind_pdu(pdu_type::bind_ack, out, in);
            return;
        }
        u.next = rpc_pdu(24 + below(u.fragment - 23),
                         is_client ? pdu_type::request : pdu_type::response, ++u.count);
    }
    void send_some(party p) {
        upper_layer& u = upper(p);
        for (std::size_t n = 1 + below(4); n != 0 && !u.next.empty(); --n) {
            const std::size_t size = u.next.size();
            const std::size_t credit =
                p == party::client ? client_.send_credit() : server_.send_credit();
            if (size > credit) {
                u.may_send = false; // until `sendable`
                return upper_event(
                    p, [&](auto& m, auto& out) { return m.on_rpc_waiting(size, now_, out); });
            }
            upper_event(p, [&](auto& m, auto& out) { return m.on_rpc_sent(size, now_, out); });
            put(p, p == party::client ? leg::in_http : leg::out_tcp, {.pdu = u.next, .rpc = true});
            u.bytes_sent += size;
            u.sent.push_back(std::move(u.next));
            draw_next(u);
        }
    }
    void take_some(party p) {
        upper_layer& u = upper(p);
        const std::size_t n = below(3) == 0 ? u.untaken : 1 + below(u.untaken);
        u.untaken -= n;
        upper_event(p, [&](auto& m, auto& out) { return m.on_consumed(n, now_, out); });
    }
    void receive(party p, const bytes& pdu) {
        upper_layer& from = upper(p == party::client ? party::server : party::client);
        if (from.sent.empty() || from.sent.front() != pdu) return fault("the streams differ");
        from.sent.pop_front();
        upper(p).untaken += pdu.size();
        upper(p).bytes_received += pdu.size();
    }

    void let_time_pass() {
        ++waits_;
        now_ += std::chrono::milliseconds{below(all_open() ? 70'000 : 100)};
        deadlines();
    }
    void deadlines() {
        for (const party p : all_parties)
            if (started_[index(p)])
                event(p, [&](auto& m, auto& out) { return m.on_deadline(now_, out); });
    }
    /// A connection that is up is lost, for both ends at once, with all that was on it.
    void break_something() {
        std::vector<leg> up;
        for (const leg l : all_legs)
            if (connected_[static_cast<std::size_t>(l)]) up.push_back(l);
        if (up.empty()) return;
        const leg l = up[below(up.size())];
        for (const party p : all_parties) {
            if (!has(p, l)) continue;
            written_by(p, l) = pipe{.unsent = {}, .wire = {}, .wire_bytes = 0, .ended = true};
            if (started_[index(p)] && (p != party::server || greeted_[static_cast<std::size_t>(l)]))
                event(p, [&](auto& m, auto& out) {
                    return m.on_closed(l, make_error_code(rpch::errc::connection_lost), now_, out);
                });
        }
    }

    void check() {
        const auto bounded = [&](const channel::receive_window& w, const char* who) {
            if (w.held() > w.size()) fault(std::string(who) + " holds more than its window");
        };
        bounded(client_.received(), "client");
        bounded(inbound_.received(), "inbound proxy");
        bounded(outbound_.received(), "outbound proxy");
        bounded(server_.received(), "server");
        if (inbound_.sending().queued_bytes() > inbound_.received().held() ||
            outbound_.sending().queued_bytes() > outbound_.received().held())
            fault("a proxy queues what it does not hold");
    }
    void fault(const std::string& what) {
        if (fault_.empty()) fault_ = what + ", at step " + std::to_string(steps_);
    }

    struct connect_request {
        party who;
        leg which;
    };
    world_settings settings_;
    std::mt19937 random_;
    channel::time_point now_ = t0;
    channel::client client_;
    channel::inbound_proxy inbound_;
    channel::outbound_proxy outbound_;
    channel::server server_;
    std::array<pipe, 8> pipes_;
    std::array<upper_layer, 2> uppers_;
    std::array<bool, 4> open_{};
    std::array<bool, 4> started_{true, false, false, false};
    std::array<bool, channel::leg_count> connected_{};
    std::array<bool, channel::leg_count> greeted_{};
    std::vector<connect_request> connecting_;
    std::vector<std::function<void()>> moves_;
    std::size_t steps_ = 0;
    std::size_t waits_ = 0;
    std::size_t pings_ = 0;
    std::string fault_;
};

} // namespace test

#endif
