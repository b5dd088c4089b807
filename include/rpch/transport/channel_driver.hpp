// Carries bytes between the links of a virtual connection and its machine, and decides nothing.
#ifndef RPCH_TRANSPORT_CHANNEL_DRIVER_HPP
#define RPCH_TRANSPORT_CHANNEL_DRIVER_HPP

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

#include <rpch/channel/actions.hpp>
#include <rpch/channel/legs.hpp>
#include <rpch/transport/executor.hpp>
#include <rpch/transport/link.hpp>

namespace rpch::inline RPCH_ABI::transport {

/// What one strand shares among its connections.
struct strand_context {
    explicit strand_context(const executor& ex) : on(make_strand(ex)) {}
    strand on;
    std::shared_ptr<buffer_pool> pool = std::make_shared<buffer_pool>();
    /// Lent to the driver that handles an event: idle connections hold no list of actions.
    channel::action_list spare_actions;
};

/// How a log tells of the end of a virtual connection or channel: in order, by whom; or lost, and
/// on which hop.
/// @param peer  who is at the other end of the hop.
[[nodiscard]] inline std::string end_text(std::error_code why, std::string_view peer,
                                          const std::string& detail) {
    const std::string who(peer);
    const std::string more = detail.empty() || detail == why.message() ? "" : " (" + detail + ")";
    if (why == errc::channel_closed) return " closed by the " + who + more;
    const bool lost = why == errc::connection_lost || why == errc::tls_truncated;
    return (lost ? " lost" : " ended") + (" on the connection with the " + who) + ": " +
           why.message() + more;
}

/// The driver loop of one machine: PDUs from links go in, actions come out and are performed, what
/// was queued is flushed, what reached the sockets is reported. Subclasses know how a leg is opened
/// and what stands in front of its PDUs (an HTTP head, a banner).
///
/// It keeps itself alive by the operations under way; `shut` ends them all.
template <class Machine>
class channel_driver : public link_owner,
                       public std::enable_shared_from_this<channel_driver<Machine>> {
  public:
    using leg = channel::leg;

    channel_driver(std::shared_ptr<strand_context> context, Machine machine)
        : context_(std::move(context)), machine_(std::move(machine)), timer_(context_->on) {
        body_left_.fill(std::numeric_limits<std::uint64_t>::max());
    }

    [[nodiscard]] const Machine& machine() const noexcept { return machine_; }
    [[nodiscard]] bool is_shut() const noexcept { return shut_; }

  protected:
    // What a subclass adds.
    /// Action `open`: begin to open the leg; later `attach` and `connected`.
    virtual void open_leg(leg which) = 0;
    /// Looks at what stands before the PDUs. @return true once `which` carries PDUs.
    virtual bool past_preamble(leg which, link& from) = 0;
    /// An RPC PDU for the upper layer; the reference ends with the call.
    virtual void deliver(const pdu_ref&) {}
    /// Action `respond`.
    virtual void answer_success(leg, std::uint32_t) {}
    /// Action `refuse`.
    virtual void refuse(leg, rpc_status) {}
    /// Action `opened`.
    virtual void opened() {}
    /// Action `promote` was performed: what the subclass knows of the successor is the default's
    /// now.
    virtual void promoted(leg) {}
    /// Who ends the predecessor that gave way on this leg.
    virtual link::farewell farewell_of(leg) const { return link::farewell::at_once; }
    /// Ends a link of a machine that has ended; what is queued on it is still sent.
    virtual void end_link(leg, link& going) { going.finish(); }
    /// @return what an orderly end of the connection would leave unfinished, for people: it is a
    ///         loss then. Empty if nothing.
    [[nodiscard]] virtual std::string unfinished() const { return {}; }
    /// Everything that an event has led to is done, or the machine has failed.
    virtual void settled() {}
    /// Lets the upper layer queue PDUs while there is credit; called before every flush.
    virtual void produce() {}
    /// The machine has failed; every link is being closed. Told once.
    virtual void failed(std::error_code why, leg where, const std::string& detail) = 0;

    /// Gives a leg its link.
    void attach(leg which, std::shared_ptr<link> made) {
        made->set_owner(*this);
        links_[index(which)] = std::move(made);
    }
    /// Takes the link of a leg away, for another owner.
    [[nodiscard]] std::shared_ptr<link> detach(leg which) noexcept {
        return std::exchange(links_[index(which)], nullptr);
    }
    [[nodiscard]] link* at(leg which) const noexcept { return links_[index(which)].get(); }
    void set_body_left(leg which, std::uint64_t bytes) noexcept {
        body_left_[index(which)] = bytes;
    }
    [[nodiscard]] std::uint64_t body_left(leg which) const noexcept {
        return body_left_[index(which)];
    }

    /// Runs one event of the machine: `run([&](Machine& m, time_point now, action_list& out)
    /// {...})`.
    template <class Event>
    void run(Event&& event) {
        if (shut_) return;
        const auto self = this->shared_from_this();
        begin_event();
        event(machine_, now_, actions_);
        perform(nullptr);
        settle();
    }
    /// Lets what the upper layer has queued go out, unless an event is being handled: then that
    /// event's own end does it, in one write with everything else.
    void kick() {
        if (busy_ || shut_) return;
        const auto self = this->shared_from_this();
        begin_event();
        settle();
    }

    /// Processes what is in the input of a leg, then settles.
    void pump_and_settle(leg which) {
        const auto self = this->shared_from_this();
        const auto from = links_[index(which)];
        if (!from || shut_) return;
        begin_event();
        const bool was_busy = std::exchange(busy_, true);
        if (past_preamble(which, *from)) pump(which);
        busy_ = was_busy;
        settle();
    }

    /// Closes everything without a word to the machine or the upper layer.
    void shut() {
        if (std::exchange(shut_, true)) return;
        timer_.cancel();
        for (std::size_t i = 0; i < Machine::legs.size(); ++i)
            if (const auto going = std::exchange(links_[i], nullptr))
                end_link(Machine::legs[i], *going);
    }

    // link_owner
    void on_secured(link&) override {}
    void on_input(link& from) override { pump_and_settle(leg_of(from)); }
    void on_writable(link&) override {
        const auto self = this->shared_from_this();
        begin_event();
        settle();
    }
    void on_closed(link& from, std::error_code why) override {
        if (shut_) return;
        const auto self = this->shared_from_this();
        begin_event();
        const leg which = leg_of(from);
        detail_ = from.error_detail();
        if (why == errc::channel_closed)
            if (std::string left = is_successor(which) ? "its replacement had begun" : unfinished();
                !left.empty()) {
                why = errc::connection_lost;
                detail_ = std::move(left);
            }
        links_[index(which)].reset();
        machine_.on_closed(which, why, now_, actions_);
        perform(nullptr);
        settle();
    }
    std::shared_ptr<link_owner> keep_alive() override { return this->shared_from_this(); }

    [[nodiscard]] leg leg_of(const link& from) const noexcept {
        for (std::size_t i = 0; i < Machine::legs.size(); ++i)
            if (links_[i].get() == &from) return Machine::legs[i];
        return Machine::legs.front(); // not reached: a link that was let go of tells nothing
    }

    /// Pulls PDUs from an association while the window has room: flow control decides the pace, and
    /// a large stub is never queued a second time. A peer that acknowledges what it does not read
    /// gets no more than the link may hold. For machines that model `channel::endpoint`.
    template <class Association>
    void pull(Association& from, leg out) {
        link* target = at(out);
        while (target != nullptr && from.has_output() && !shut_) {
            const std::size_t size = from.next_output_size();
            if (target->output_size() >= pulled_bytes_max) {
                pull_waits_for_ = out;
                break;
            }
            if (machine_.send_credit() < size) {
                machine_.on_rpc_waiting(size, now_, actions_);
                break;
            }
            if (from.write_output(target->reserve(size)) != size) break; // see output_error()
            target->commit(size, size);
            machine_.on_rpc_sent(size, now_, actions_);
        }
    }

    void set_detail(std::string detail) { detail_ = std::move(detail); }
    [[nodiscard]] strand_context& context() noexcept { return *context_; }
    [[nodiscard]] const std::shared_ptr<strand_context>& shared_context() const noexcept {
        return context_;
    }
    [[nodiscard]] Machine& mutable_machine() noexcept { return machine_; }
    [[nodiscard]] time_point now() const noexcept { return now_; }
    [[nodiscard]] channel::action_list& actions() noexcept { return actions_; }

    /// Performs what the machine has asked for; `current` is the PDU being handled, if any.
    void perform(const pdu_ref* current) {
        if (performing_) return; // an action led here: the loop below gets to what was added
        performing_ = true;
        // By index: performing one action may make the machine append others.
        for (std::size_t i = 0; i < actions_.size(); ++i) {
            if (const auto* f = std::get_if<channel::action::forward>(&actions_[i])) {
                forward(f->to, *current);
                continue;
            }
            channel::action::any next = std::move(actions_[i]);
            std::visit([&](auto& action) { perform_one(action, current); }, next);
        }
        actions_.clear();
        performing_ = false;
    }

    /// Flushes every link and reports what went out, until nothing moves any more.
    void settle() {
        if (settling_ || shut_) return;
        settling_ = busy_ = true;
        for (bool again = true; again && !shut_;) {
            again = false;
            produce();
            for (std::size_t i = 0; i < Machine::legs.size() && !shut_; ++i) {
                if (!links_[i]) continue;
                const std::size_t written = links_[i]->flush();
                if (shut_ || !links_[i]) continue;
                if (pull_waits_for_ == Machine::legs[i] &&
                    links_[i]->output_size() < pulled_bytes_max) {
                    pull_waits_for_.reset();
                    again = true;
                }
                if (written != 0) {
                    machine_.on_written(Machine::legs[i], written, now_, actions_);
                    if (!actions_.empty()) {
                        again = true;
                        perform(nullptr);
                    }
                }
            }
            for (std::size_t i = 0; i < Machine::legs.size() && !shut_; ++i)
                if (links_[i] && paused_[i] && machine_.wants_input(Machine::legs[i])) {
                    paused_[i] = false;
                    const auto kept = links_[i];
                    pump(Machine::legs[i]);
                    if (!paused_[i]) kept->want_input(true);
                    again = true;
                }
        }
        settling_ = busy_ = false;
        if (shut_) return;
        detail_.clear(); // the machine lives on: what an event has told explains no later end
        arm_timer();
        settled();
        end_event();
    }

  private:
    /// @return the place of a leg in the arrays below. Legs that the role does not have share the
    /// last one, in which there is never a link.
    static constexpr std::size_t index(leg which) noexcept {
        constexpr auto table = [] {
            std::array<std::uint8_t, channel::leg_count> out{};
            out.fill(Machine::legs.size());
            for (std::size_t i = 0; i < Machine::legs.size(); ++i)
                out[static_cast<std::size_t>(Machine::legs[i])] = static_cast<std::uint8_t>(i);
            return out;
        }();
        return table[static_cast<std::size_t>(which)];
    }
    static constexpr bool is_successor(leg which) noexcept {
        return which >= leg::successor_in_http && which <= leg::successor_out_tcp;
    }

    void begin_event() {
        now_ = clock::now();
        if (actions_.capacity() == 0) actions_.swap(context_->spare_actions);
    }
    /// Gives the list back, unless an event around this one still walks it. One spare list is
    /// enough: the events of a strand's drivers seldom nest.
    void end_event() noexcept {
        if (performing_ || !actions_.empty()) return;
        if (actions_.capacity() > context_->spare_actions.capacity())
            actions_.swap(context_->spare_actions);
        channel::action_list{}.swap(actions_);
    }

    void pump(leg which) {
        const std::size_t i = index(which);
        const auto kept = links_[i]; // an action may let go of the link
        while (!shut_ && kept && links_[i] == kept) {
            if (!machine_.wants_input(which)) {
                paused_[i] = true;
                kept->want_input(false);
                return;
            }
            auto pdu = kept->next_pdu(body_left_[i]);
            if (!pdu) return protocol_error(which, pdu.error());
            if (!*pdu) return;
            const std::size_t size = (*pdu)->view.size();
            body_left_[i] -= size;
            machine_.on_pdu(which, (*pdu)->view, now_, actions_);
            perform(&**pdu);
            if (kept->is_open()) kept->consume(size);
        }
    }

  protected:
    /// Bytes that are no PDU, or one that may not be: the leg ends with that error.
    void protocol_error(leg which, std::error_code why) {
        if (shut_) return;
        machine_.on_closed(which, why, now_, actions_);
        if (links_[index(which)]) {
            links_[index(which)]->finish();
            links_[index(which)].reset();
        }
        perform(nullptr);
    }

  private:
    void forward(leg to, const pdu_ref& pdu) {
        link* target = at(to);
        if (target == nullptr) return;
        const bool rts = dcerpc::peek_type(pdu.view.first) == dcerpc::pdu_type::rts;
        target->forward(pdu, rts ? 0 : pdu.view.size());
        guard(to, *target);
    }
    /// RTS PDUs are not bounded by a window: a peer that floods them while the next hop does not
    /// read must not fill our memory.
    void guard(leg to, const link& target) {
        if (target.output_size() > output_bytes_max) protocol_error(to, errc::too_large);
    }

    void perform_one(const channel::action::open& a, const pdu_ref*) { open_leg(a.which); }
    void perform_one(const channel::action::send& a, const pdu_ref*) {
        if (link* target = at(a.to)) {
            target->write(a.pdu.view());
            guard(a.to, *target);
        }
    }
    void perform_one(channel::action::send_rpc& a, const pdu_ref*) {
        const std::size_t size = a.pdu.size();
        context_->pool->note_copied(size); // when it was queued
        if (link* target = at(a.to)) target->write_owned(std::move(a.pdu), size);
    }
    void perform_one(const channel::action::forward& a, const pdu_ref* current) {
        if (current != nullptr) forward(a.to, *current);
    }
    void perform_one(const channel::action::deliver&, const pdu_ref* current) {
        if (current != nullptr) deliver(*current);
    }
    void perform_one(const channel::action::respond& a, const pdu_ref*) {
        answer_success(a.to, a.content_length);
    }
    void perform_one(const channel::action::refuse& a, const pdu_ref*) { refuse(a.to, a.status); }
    void perform_one(const channel::action::keep_alive& a, const pdu_ref*) {
        if (link* target = at(a.on)) target->set_keep_alive(a.interval);
    }
    void perform_one(const channel::action::close& a, const pdu_ref*) {
        if (auto going = std::exchange(links_[index(a.which)], nullptr))
            going->retire(machine_.ended_with() == errc::channel_replaced ? last_bytes_wait
                                                                          : link::linger_wait);
    }
    void perform_one(const channel::action::promote& a, const pdu_ref*) {
        const std::size_t to = index(a.which);
        const std::size_t from = index(channel::successor_of(a.which));
        auto going = std::move(links_[to]);
        links_[to] = std::move(links_[from]);
        paused_[to] = std::exchange(paused_[from], false);
        body_left_[to] = std::exchange(body_left_[from], std::numeric_limits<std::uint64_t>::max());
        if (a.set_aside) {
            const std::size_t aside = index(leg::predecessor_out_tcp);
            links_[aside] = std::move(going);
            paused_[aside] = false;
        } else if (going)
            retire_predecessor(*going, farewell_of(a.which));
        promoted(a.which);
    }
    void perform_one(const channel::action::opened&, const pdu_ref*) { opened(); }
    void perform_one(const channel::action::sendable&, const pdu_ref*) {
    } // produce() asks for credit
    void perform_one(const channel::action::failed& a, const pdu_ref*) {
        const auto self = this->shared_from_this();
        shut();
        failed(a.why, a.where, std::exchange(detail_, {}));
        settled(); // who waits for this one waits in vain
    }

    static void retire_predecessor(link& going, link::farewell how) {
        if (how == link::farewell::after_peer)
            going.retire(last_bytes_wait, farewell_wait, how);
        else
            going.retire(last_bytes_wait);
    }

    /// Timers are armed for the nearest deadline and only ever moved forward, so that no call sets
    /// or cancels one.
    void arm_timer() {
        const std::optional<time_point> next = machine_.next_deadline();
        if (!next || (armed_for_ && *armed_for_ <= *next)) return;
        armed_for_ = next;
        timer_.expires_at(*next);
        timer_.async_wait([self = this->shared_from_this()](std::error_code ec) {
            if (ec || self->shut_) return;
            self->armed_for_.reset();
            self->begin_event();
            const auto due = self->machine_.next_deadline();
            if (due && *due <= self->now_) {
                self->machine_.on_deadline(self->now_, self->actions_);
                self->perform(nullptr);
            }
            self->settle();
            if (!self->shut_) self->arm_timer();
        });
    }

    /// What a channel that was replaced may take to write the rest.
    static constexpr std::chrono::minutes last_bytes_wait{5};
    /// How long a predecessor whose last byte is out waits for its peer to end it.
    static constexpr std::chrono::seconds farewell_wait{30};
    /// Two of the largest windows and some: far above what the windows let wait.
    static constexpr std::size_t output_bytes_max = std::size_t{2} << 20;
    /// Two of the largest windows: no peer that reads what it acknowledges comes so far.
    static constexpr std::size_t pulled_bytes_max = std::size_t{512} << 10;

    std::shared_ptr<strand_context> context_;
    Machine machine_;
    timer timer_;
    std::optional<time_point> armed_for_;
    std::optional<leg> pull_waits_for_; // its link has too much to write
    static constexpr std::size_t places = Machine::legs.size() + 1;
    std::array<std::shared_ptr<link>, places> links_;
    std::array<bool, places> paused_{};
    std::array<std::uint64_t, places> body_left_{};
    channel::action_list actions_;
    time_point now_{};
    std::string detail_;
    bool busy_ = false; // an event is being handled: its end flushes
    bool performing_ = false;
    bool settling_ = false;
    bool shut_ = false;
};

} // namespace rpch::inline RPCH_ABI::transport

#endif
