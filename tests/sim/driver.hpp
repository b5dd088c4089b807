// Carries bytes between links and a machine, step by step as transport/channel_driver.hpp does, and
// watches what the machine says.
#ifndef RPCH_TESTS_SIM_DRIVER_HPP
#define RPCH_TESTS_SIM_DRIVER_HPP

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include <rpch/channel/actions.hpp>
#include <rpch/channel/machine.hpp>
#include <rpch/dcerpc/common_header.hpp>

#include "tests/sim/world.hpp"

namespace sim {

namespace channel = rpch::channel;
using channel::leg;
using rpch::errc;

/// @return the action in words.
[[nodiscard]] std::string words(const channel::action::any& any);
/// @return what kind of PDU it is, in words.
[[nodiscard]] std::string words(const rpch::core::split_view& pdu);

[[nodiscard]] std::string_view role_name(rpch::rts::role which) noexcept;
/// @return how a machine has ended by itself, in words.
[[nodiscard]] std::string ending_in_words(rpch::rts::role who, std::error_code why, leg where);
/// @return whether that only follows from how another one has ended.
[[nodiscard]] inline bool is_consequence(std::error_code why) noexcept {
    return why == errc::channel_closed || why == errc::operation_aborted ||
           why == errc::channel_replaced;
}

template <class Machine>
class driver : public party {
  public:
    driver(world& in, int process, std::uint32_t vc, Machine machine)
        : party(in, process, vc), machine_(std::move(machine)) {
        body_left_.fill(unlimited);
        output_left_.fill(unlimited);
        ++world_.vc(vc).machines;
    }

    [[nodiscard]] const Machine& machine() const noexcept { return machine_; }
    [[nodiscard]] bool is_over() const noexcept override { return shut_; }

    void on_input(link& from) override { pump_and_settle(leg_of(from)); }
    void on_writable(link&) override { settle(); }
    void on_closed(link& from, std::error_code why) override {
        if (shut_) return;
        const leg which = leg_of(from);
        links_[index(which)] = nullptr;
        if (world_.traces())
            world_.say(name(),
                       "closed " + std::string(channel::name(which)) + ": " + why.message());
        tell([&](Machine& m, auto& out) { return m.on_closed(which, why, now(), out); });
        perform(nullptr);
        settle();
    }
    void on_deadline() override {
        if (shut_) return;
        if (armed_for_ && *armed_for_ <= now()) armed_for_.reset();
        const auto due = machine_.next_deadline();
        if (due && *due <= now()) {
            tell([&](Machine& m, auto& out) { return m.on_deadline(now(), out); });
            perform(nullptr);
        }
        settle();
    }
    void die() override {
        if (shut_) return;
        end_of_machine();
        shut(true);
    }

  protected:
    static constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();
    static constexpr rpch::rts::role part =
        std::is_same_v<Machine, channel::client>           ? rpch::rts::role::client
        : std::is_same_v<Machine, channel::inbound_proxy>  ? rpch::rts::role::inbound_proxy
        : std::is_same_v<Machine, channel::outbound_proxy> ? rpch::rts::role::outbound_proxy
                                                           : rpch::rts::role::server;

    virtual void open_leg(leg which) = 0;
    virtual bool past_preamble(leg which, link& from) = 0;
    virtual void deliver(const rpch::core::split_view&) {}
    virtual void answer_success(leg, std::uint32_t) {}
    virtual void refuse(leg, rpch::rpc_status) {}
    virtual void opened() {}
    virtual void promoted(leg) {}
    virtual void settled() {}
    virtual void produce() {}
    virtual void failed(std::error_code, leg) {}
    /// Looks at what must always hold.
    virtual void check() {}

    [[nodiscard]] time_point now() const noexcept { return world_.now(); }

    void attach(leg which, link& made) {
        made.set_owner(*this);
        links_[index(which)] = &made;
    }
    [[nodiscard]] link* detach(leg which) noexcept {
        return std::exchange(links_[index(which)], nullptr);
    }
    [[nodiscard]] link* at(leg which) const noexcept { return links_[index(which)]; }
    void set_body_left(leg which, std::uint64_t bytes) noexcept {
        body_left_[index(which)] = bytes;
    }
    [[nodiscard]] std::uint64_t body_left(leg which) const noexcept {
        return body_left_[index(which)];
    }
    /// What may still be written as a body, by its Content-Length.
    void set_output_left(leg which, std::uint64_t bytes) noexcept {
        output_left_[index(which)] = bytes;
    }
    [[nodiscard]] std::uint64_t output_left(leg which) const noexcept {
        return output_left_[index(which)];
    }

    /// Gives the machine one event, and sees that it says what a machine may say.
    template <class Event>
    void tell(Event&& event) {
        const std::error_code before = machine_.ended_with();
        const std::size_t said = actions_.size();
        const std::error_code result = event(machine_, actions_);
        const std::error_code after = machine_.ended_with();
        if (result != after) world_.wrong(name() + ": an event's result is not how it ended");
        if (before && (after != before || actions_.size() != said))
            world_.wrong(name() + ": speaks after its end");
        for (std::size_t i = said; i < actions_.size(); ++i) {
            const bool last = std::holds_alternative<channel::action::failed>(actions_[i]);
            if (last != (after && i + 1 == actions_.size()))
                world_.wrong(name() + ": failed is not its last word");
        }
        if (after && !before && actions_.size() == said)
            world_.wrong(name() + ": has ended without a word");
        if (after && machine_.next_deadline())
            world_.wrong(name() + ": has a deadline after its end");
    }
    template <class Event>
    void run(Event&& event) {
        if (shut_) return;
        tell(std::forward<Event>(event));
        perform(nullptr);
        settle();
    }
    void kick() {
        if (!busy_ && !shut_) settle();
    }
    void pump_and_settle(leg which) {
        link* from = at(which);
        if (from == nullptr || shut_) return;
        const bool was_busy = std::exchange(busy_, true);
        if (past_preamble(which, *from)) pump(which);
        busy_ = was_busy;
        settle();
    }
    /// Closes everything. @param abruptly  as the end of the process does it.
    void shut(bool abruptly = false) {
        if (std::exchange(shut_, true)) return;
        for (link*& each : links_) {
            if (each != nullptr && abruptly)
                each->close();
            else if (each != nullptr)
                each->retire(finish_wait);
            each = nullptr;
        }
        world_.bury(*this);
    }
    /// Pulls PDUs from the upper layer while there is credit. One that waits to be told looks again
    /// after `opened` or `sendable` only.
    void pull(sender& from, leg out) {
        link* target = at(out);
        if (world_.plan_.sends_when_told && !told_) return;
        while (target != nullptr && from.has_output() && !shut_) {
            const std::size_t size = from.next_size();
            if (machine_.send_credit() < size) {
                told_ = false;
                tell([&](Machine& m, auto& o) { return m.on_rpc_waiting(size, now(), o); });
                break;
            }
            put(out, size);
            target->write(from.write(), size);
            tell([&](Machine& m, auto& o) { return m.on_rpc_sent(size, now(), o); });
        }
    }
    void protocol_error(leg which, std::error_code why) {
        if (shut_) return;
        tell([&](Machine& m, auto& out) { return m.on_closed(which, why, now(), out); });
        if (link* l = std::exchange(links_[index(which)], nullptr)) l->retire(finish_wait);
        perform(nullptr);
    }
    void perform(const rpch::core::split_view* current) {
        if (performing_) return;
        performing_ = true;
        for (std::size_t i = 0; i < actions_.size(); ++i) {
            channel::action::any next = std::move(actions_[i]);
            if (world_.traces()) world_.say(name(), "  " + words(next));
            std::visit([&](auto& action) { perform_one(action, current); }, next);
        }
        actions_.clear();
        performing_ = false;
    }
    void settle() {
        if (settling_ || shut_) return;
        settling_ = busy_ = true;
        for (bool again = true; again && !shut_;) {
            again = false;
            produce();
            perform(nullptr);
            for (std::size_t i = 0; i < links_.size() && !shut_; ++i) {
                if (links_[i] == nullptr) continue;
                const std::size_t written = links_[i]->flush();
                if (written == 0) continue;
                tell([&](Machine& m, auto& out) {
                    return m.on_written(static_cast<leg>(i), written, now(), out);
                });
                if (!actions_.empty()) {
                    again = true;
                    perform(nullptr);
                }
            }
            for (std::size_t i = 0; i < links_.size() && !shut_; ++i)
                if (links_[i] != nullptr && paused_[i] &&
                    machine_.wants_input(static_cast<leg>(i))) {
                    paused_[i] = false;
                    link* kept = links_[i];
                    pump(static_cast<leg>(i));
                    if (!paused_[i] && kept->is_open()) kept->want_input(true);
                    again = true;
                }
        }
        settling_ = busy_ = false;
        if (shut_) return;
        arm_timer();
        // A read buffer and a PDU that has not come completely.
        for (const link* each : links_)
            if (each != nullptr && each->input().size() > 2 * std::size_t{64 * 1024})
                world_.wrong(name() + ": too much input waits");
        check();
        settled();
    }
    [[nodiscard]] channel::action_list& actions() noexcept { return actions_; }
    [[nodiscard]] Machine& mutable_machine() noexcept { return machine_; }
    /// An RTS PDU or RPC PDU of ours goes onto a body.
    void put(leg to, std::size_t n) {
        std::uint64_t& left = output_left_[index(to)];
        if (left == unlimited) return;
        if (n > left)
            world_.wrong(name() + ": writes more than the Content-Length of " +
                         std::string(channel::name(to)));
        left -= std::min<std::uint64_t>(n, left);
    }
    /// @return bytes in the output of a leg.
    [[nodiscard]] std::size_t output_of(leg which) const noexcept {
        const link* l = at(which);
        return l == nullptr ? 0 : l->output_size();
    }

  private:
    static constexpr milliseconds finish_wait{2000};
    static constexpr std::chrono::minutes last_bytes_wait{5};
    static constexpr std::chrono::seconds farewell_wait{30};
    static constexpr std::size_t output_bytes_max = std::size_t{2} << 20;
    static constexpr std::size_t index(leg which) noexcept {
        return static_cast<std::size_t>(which);
    }
    [[nodiscard]] leg leg_of(const link& from) const noexcept {
        for (std::size_t i = 0; i < links_.size(); ++i)
            if (links_[i] == &from) return static_cast<leg>(i);
        world_.wrong(name() + ": is told of a link it has let go of");
        return leg::in_http;
    }
    void pump(leg which) {
        const std::size_t i = index(which);
        link* kept = links_[i];
        while (!shut_ && kept != nullptr && links_[i] == kept) {
            if (!machine_.wants_input(which)) {
                paused_[i] = true;
                kept->want_input(false);
                return;
            }
            const auto pdu = kept->next_pdu(body_left_[i]);
            if (!pdu) return protocol_error(which, pdu.error());
            if (!*pdu) return;
            const std::size_t size = (*pdu)->size();
            body_left_[i] -= size;
            if (world_.traces())
                world_.say(name(),
                           "reads " + std::string(channel::name(which)) + ": " + words(**pdu));
            tell([&](Machine& m, auto& out) { return m.on_pdu(which, **pdu, now(), out); });
            perform(&**pdu);
            if (kept->is_open()) kept->consume(size);
        }
    }
    /// @return the link, if the leg has one.
    link* target_of(leg to, std::size_t size) {
        link* target = at(to);
        if (target != nullptr) put(to, size);
        return target;
    }
    void guard(leg to, const link& target) {
        if (target.output_size() > output_bytes_max) protocol_error(to, errc::too_large);
    }
    void end_of_machine() {
        if (std::exchange(counted_out_, true)) return;
        --world_.vc(vc()).machines;
    }

    void perform_one(const channel::action::open& a, const rpch::core::split_view*) {
        open_leg(a.which);
    }
    void perform_one(const channel::action::send& a, const rpch::core::split_view*) {
        if (link* target = target_of(a.to, a.pdu.size())) {
            count_pings(a);
            if (!world_.plan_.tamperings.empty()) {
                for (const auto& each : world_.tampered(part, a.to, a.pdu.view(), false))
                    target->write(each.view());
            } else
                target->write(a.pdu.view());
            guard(a.to, *target);
        }
    }
    void perform_one(const channel::action::send_rpc& a, const rpch::core::split_view*) {
        if (link* target = target_of(a.to, a.pdu.size())) target->write(a.pdu, a.pdu.size());
    }
    void perform_one(const channel::action::forward& a, const rpch::core::split_view* current) {
        if (current == nullptr) return world_.wrong(name() + ": forwards nothing");
        if (link* target = target_of(a.to, current->size())) {
            const bool rts = rpch::dcerpc::peek_type(current->first) == rpch::dcerpc::pdu_type::rts;
            if (rts && !world_.plan_.tamperings.empty()) {
                for (const auto& each : world_.tampered(part, a.to, current->first, true))
                    target->write(each.view());
                return;
            }
            target->write(*current, rts ? 0 : current->size());
            guard(a.to, *target);
        }
    }
    void perform_one(const channel::action::deliver&, const rpch::core::split_view* current) {
        if (current == nullptr) return world_.wrong(name() + ": delivers nothing");
        deliver(*current);
    }
    void perform_one(const channel::action::respond& a, const rpch::core::split_view*) {
        answer_success(a.to, a.content_length);
        set_output_left(a.to, a.content_length);
    }
    void perform_one(const channel::action::refuse& a, const rpch::core::split_view*) {
        refuse(a.to, a.status);
    }
    void perform_one(const channel::action::keep_alive& a, const rpch::core::split_view*) {
        if (link* target = at(a.on)) target->keep_alive(a.interval);
        world_.note(std::string(role_name(part)) + ": keep-alive " +
                    std::to_string(a.interval.count()) + " ms");
    }
    void perform_one(const channel::action::close& a, const rpch::core::split_view*) {
        if (a.which == leg::predecessor_out_tcp && at(a.which) != nullptr)
            world_.note_with_time(std::string(role_name(part)) + ": closes " +
                                  std::string(channel::name(a.which)));
        if (link* going = std::exchange(links_[index(a.which)], nullptr))
            going->retire(machine_.ended_with() == errc::channel_replaced ? last_bytes_wait
                                                                          : finish_wait);
    }
    void perform_one(const channel::action::promote& a, const rpch::core::split_view*) {
        const std::size_t to = index(a.which);
        const std::size_t from = index(channel::successor_of(a.which));
        if (links_[from] == nullptr) world_.wrong(name() + ": promotes nothing");
        link* going = links_[to];
        links_[to] = std::exchange(links_[from], nullptr);
        paused_[to] = std::exchange(paused_[from], false);
        body_left_[to] = std::exchange(body_left_[from], unlimited);
        output_left_[to] = std::exchange(output_left_[from], unlimited);
        if (a.set_aside && world_.plan_.server_is_hasty) {
            if (going != nullptr) going->retire(last_bytes_wait, link::linger_wait, false);
        } else if (a.set_aside) {
            const std::size_t aside = index(leg::predecessor_out_tcp);
            links_[aside] = going;
            paused_[aside] = false;
        } else if (going != nullptr) {
            // IN_R*/A5 must reach the inbound proxy, which closes the predecessor then.
            const bool peer_ends =
                (std::is_same_v<Machine, channel::client> && a.which == leg::in_http) ||
                world_.plan_.keeps_predecessors;
            const milliseconds waits = !peer_ends ? link::linger_wait
                                       : world_.plan_.keeps_predecessors
                                           ? milliseconds{std::chrono::hours{1}}
                                           : milliseconds{farewell_wait};
            going->retire(last_bytes_wait, waits, peer_ends);
        }
        promoted(a.which);
    }
    void perform_one(const channel::action::opened&, const rpch::core::split_view*) {
        told_ = true;
        opened();
    }
    void perform_one(const channel::action::sendable&, const rpch::core::split_view*) {
        told_ = true;
    }
    void perform_one(const channel::action::failed& a, const rpch::core::split_view*) {
        if (counted_out_) world_.wrong(name() + ": fails twice");
        end_of_machine();
        shut();
        world_.on_machine_ended(vc(), name(), a.where, a.why);
        if (!is_consequence(a.why)) world_.note_with_time(ending_in_words(part, a.why, a.where));
        failed(a.why, a.where);
    }
    /// A Ping has the size of a header; of what an outbound proxy sends to the server only
    /// PingTrafficSentNotify has 28 bytes.
    void count_pings(const channel::action::send& a) {
        statistics& seen = world_.seen_;
        if (a.pdu.size() == rpch::rts::header_bytes) {
            const bool in = a.to == leg::in_http;
            ++(in ? seen.pings_in : seen.pings_out);
            (in ? seen.last_ping_in : seen.last_ping_out) = now();
        } else if (std::is_same_v<Machine, channel::outbound_proxy> && a.to == leg::out_tcp &&
                   a.pdu.size() == 28)
            ++seen.ping_notices;
    }
    void arm_timer() {
        const std::optional<time_point> next = machine_.next_deadline();
        if (!next || (armed_for_ && *armed_for_ <= *next)) return;
        armed_for_ = next;
        world_.time.at(*next, event_kind::deadline, id());
    }

    Machine machine_;
    std::optional<time_point> armed_for_;
    std::array<link*, channel::leg_count> links_{};
    std::array<bool, channel::leg_count> paused_{};
    std::array<std::uint64_t, channel::leg_count> body_left_{};
    std::array<std::uint64_t, channel::leg_count> output_left_{};
    channel::action_list actions_;
    bool busy_ = false;
    bool performing_ = false;
    bool settling_ = false;
    bool shut_ = false;
    bool counted_out_ = false;
    bool told_ = false; ///< May send, as far as the machine has said.
};

} // namespace sim

#endif
