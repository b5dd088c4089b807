#include "tests/sim/parties.hpp"

#include <algorithm>
#include <cstring>

#include <rpch/core/bytes.hpp>

namespace sim {

namespace {

constexpr auto little = rpch::core::byte_order::little;
constexpr std::string_view banner = "ncacn_http/1.0";
/// What RTS PDUs may add to the output of a leg, beyond what windows bound.
constexpr std::size_t rts_slack = 8 * 1024;

std::uint64_t key_of(std::uint32_t vc, bool in) { return mix(vc * 2U + (in ? 1U : 0U)); }

void write_request(link& to, const request_head& head) {
    std::array<std::byte, request_head::bytes> out{};
    std::memcpy(out.data(), head.in ? "REQI" : "REQO", 4);
    rpch::core::store(out.data() + 8, head.content_length, little);
    rpch::core::store(out.data() + 16, head.channel, little);
    to.write(out);
}
request_head read_request(rpch::byte_view in) {
    return {.in = in[3] == std::byte{'I'},
            .content_length = rpch::core::load<std::uint64_t>(in.data() + 8, little),
            .channel = rpch::core::load<std::uint64_t>(in.data() + 16, little)};
}
void write_response(link& to, const response_head& head) {
    std::array<std::byte, response_head::bytes> out{};
    std::memcpy(out.data(), "HTTP", 4);
    rpch::core::store(out.data() + 4, head.status, little);
    rpch::core::store(out.data() + 8, head.number, little);
    to.write(out);
}

} // namespace

std::uint32_t answer_bytes(const client_plan& of, std::uint32_t vc, std::uint32_t call) noexcept {
    const std::uint64_t drawn = mix(mix(vc) ^ call);
    const std::uint64_t most = drawn % 4 == 0 ? of.answer_bytes : of.answer_bytes / 8;
    return static_cast<std::uint32_t>((drawn >> 8U) % (most + 1));
}

// client_party

client_party::client_party(world& in, std::uint32_t client, std::uint32_t vc,
                           const channel::client_settings& settings)
    : driver(in, -1 - static_cast<int>(client), vc, channel::client(settings)),
      client_(client),
      out_(in.draw, key_of(vc, true), in.vc(vc).in_way),
      in_(key_of(vc, false), in.vc(vc).out_way) {
    out_.set_largest(plan_of().in_fragment, plan_of().in_piece);
}

std::string client_party::name() const {
    return "vc" + std::to_string(vc()) + " client" + std::to_string(client_);
}

std::string client_party::waits_for() {
    std::string out = std::to_string(outstanding_.size()) + " calls open";
    if (out_.has_output()) out += ", next PDU " + std::to_string(out_.next_size());
    return out + ", IN " + std::string(channel::name(machine().current_in())) + " window " +
           std::to_string(machine().sending().available()) + " lifetime " +
           std::to_string(machine().lifetime().left()) + ", OUT " +
           std::string(channel::name(machine().current_out())) + " advertised " +
           std::to_string(machine().received().advertised());
}

void client_party::start() {
    run([&](channel::client& m, auto& out) { return m.start(now(), out); });
}

void client_party::close_upper() {
    closing_ = true;
    if (world_.traces()) world_.say(name(), "closes");
    run([&](channel::client& m, auto& out) { return m.close(now(), out); });
}

void client_party::open_leg(leg which) { world_.connect_to_proxy(*this, which); }

void client_party::on_connect(leg which, connection* made) {
    if (is_over()) {
        if (made != nullptr) made->ends[0].close();
        return;
    }
    if (made == nullptr)
        return run([&](channel::client& m, auto& out) {
            return m.on_closed(which, errc::connect_failed, now(), out);
        });
    attach(which, made->ends[0]);
    response_came_[static_cast<std::size_t>(which)] = false;
    const bool in = which == leg::in_http || which == leg::successor_in_http;
    const bool successor = which != leg::in_http && which != leg::out_http;
    request_head head{.in = in};
    head.content_length = in ? plan_of().machine.in_lifetime : successor ? 120 : 76;
    head.channel = machine().out_replaced() + (successor ? 1 : 0);
    write_request(made->ends[0], head);
    set_output_left(which, head.content_length);
    run([&](channel::client& m, auto& out) {
        return successor ? m.on_successor_connected(which, world_.fresh_cookie(), now(), out)
                         : m.on_connected(which, now(), out);
    });
    if (which == leg::in_http && world_.plan_.keepalive_early)
        run([&](channel::client& m, auto& out) {
            return m.set_client_keepalive(*world_.plan_.keepalive_then, now(), out);
        });
}

bool client_party::past_preamble(leg which, link& from) {
    const bool in = which == leg::in_http || which == leg::successor_in_http;
    if (in || !response_came_[static_cast<std::size_t>(which)]) return read_response(which, from);
    return true;
}

bool client_party::read_response(leg which, link& from) {
    const rpch::byte_view input = from.input();
    if (input.size() < response_head::bytes) return false;
    if (input[0] != std::byte{'H'}) {
        world_.wrong(name() + ": a response without a head on " +
                     std::string(channel::name(which)));
        return false;
    }
    const auto status = rpch::core::load<std::uint32_t>(input.data() + 4, little);
    const auto number = rpch::core::load<std::uint32_t>(input.data() + 8, little);
    from.consume(response_head::bytes);
    if (world_.traces())
        world_.say(name(), "reads " + std::string(channel::name(which)) + ": status " +
                               std::to_string(status) + " " + std::to_string(number));
    response_came_[static_cast<std::size_t>(which)] = true;
    if (status == 200) set_body_left(which, number);
    tell([&](channel::client& m, auto& out) {
        return m.on_response(which, static_cast<int>(status),
                             status == 200 ? std::nullopt
                                           : std::optional(static_cast<rpch::rpc_status>(number)),
                             now(), out);
    });
    perform(nullptr);
    return !is_over() && which != leg::in_http && which != leg::successor_in_http;
}

void client_party::opened() {
    world_.vc(vc()).open = true;
    ++world_.seen_.opened;
    world_.seen_.opened_at = now();
    world_.on_progress(client_);
    if (world_.plan_.keepalive_then && !world_.plan_.keepalive_early)
        tell([&](channel::client& m, auto& out) {
            return m.set_client_keepalive(*world_.plan_.keepalive_then, now(), out);
        });
    if (world_.plan_.idle) {
        upper_is_due_ = true;
        world_.time.after(world_.plan_.idle_for, event_kind::upper, id());
        return;
    }
    out_.add_announcement(pdu_type::bind, static_cast<std::uint16_t>(plan_of().in_fragment),
                          static_cast<std::uint16_t>(plan_of().out_fragment));
}

void client_party::promoted(leg which) {
    const auto to = static_cast<std::size_t>(which);
    response_came_[to] = response_came_[static_cast<std::size_t>(channel::successor_of(which))];
    world_.on_progress(client_);
}

void client_party::deliver(const rpch::core::split_view& pdu) {
    const fragment f = in_.take(pdu);
    if (f.size == 0) return world_.wrong(name() + ": what comes is not what was sent");
    if (f.type == pdu_type::bind_ack) {
        bound_ = true;
    } else {
        const auto found = std::find_if(outstanding_.begin(), outstanding_.end(),
                                        [&](const call& c) { return c.id == f.call; });
        if (found == outstanding_.end())
            return world_.wrong(name() + ": an answer to a call that is not open");
        if (f.total != found->answer || f.offset != found->got)
            return world_.wrong(name() + ": the wrong part of an answer");
        found->got += f.body();
        if (f.is_last()) {
            world_.seen_.bytes += found->answer;
            ++world_.seen_.calls;
            outstanding_.erase(found);
            world_.on_progress(client_);
        }
    }
    later();
    if (plan_of().take_us == 0) {
        tell([&](channel::client& m, auto& out) { return m.on_consumed(pdu.size(), now(), out); });
        return;
    }
    untaken_ += pdu.size();
    if (!std::exchange(take_is_due_, true))
        world_.time.after(microseconds{world_.draw.below(plan_of().take_us + 1U)}, event_kind::take,
                          id());
}

void client_party::on_take() {
    take_is_due_ = false;
    if (is_over() || untaken_ == 0) return;
    const std::size_t n = world_.draw.once_in(3) ? world_.draw.between(1, untaken_) : untaken_;
    untaken_ -= n;
    if (untaken_ != 0) {
        take_is_due_ = true;
        world_.time.after(microseconds{world_.draw.below(plan_of().take_us + 1U)}, event_kind::take,
                          id());
    }
    run([&](channel::client& m, auto& out) { return m.on_consumed(n, now(), out); });
}

/// Thinks of the next call some time from now.
void client_party::later() {
    if (std::exchange(upper_is_due_, true)) return;
    auto wait = milliseconds{world_.draw.below(plan_of().pause_ms + 1U)};
    if (plan_of().long_pause_once_in != 0 && world_.draw.once_in(plan_of().long_pause_once_in))
        wait = std::chrono::seconds{world_.draw.between(30, 1500)};
    world_.time.after(wait, event_kind::upper, id());
}

void client_party::on_upper() {
    upper_is_due_ = false;
    if (is_over()) return;
    const bool done = world_.is_done(client_) || world_.plan_.idle;
    if (done && outstanding_.empty()) {
        if (!closing_ && !world_.plan_.idle) {
            closing_ = upper_is_due_ = true;
            world_.time.after(milliseconds{world_.draw.below(500)}, event_kind::upper, id());
            return;
        }
        world_.vc(vc()).closing = true;
        return close_upper();
    }
    if (done || !bound_) return;
    if (world_.draw.once_in(200) && !world_.plan_.directed)
        run([&](channel::client& m, auto& out) {
            return m.set_client_keepalive(std::chrono::minutes{world_.draw.between(1, 9)}, now(),
                                          out);
        });
    if (is_over()) return;
    const bool several = world_.draw.once_in(3);
    while (outstanding_.size() < plan_of().at_once) {
        begin_call();
        if (!several) break;
    }
    if (outstanding_.size() < plan_of().at_once) later();
    kick();
}

void client_party::begin_call() {
    const std::uint32_t id = next_call_++;
    const std::uint32_t most =
        world_.draw.once_in(4) ? plan_of().request_bytes : plan_of().request_bytes / 8;
    const auto total = static_cast<std::uint32_t>(world_.draw.below(most + 1U));
    outstanding_.push_back({id, answer_bytes(plan_of(), vc(), id), 0});
    world_.seen_.bytes += total;
    out_.add(pdu_type::request, id, total);
}

void client_party::settled() {
    const bool both = machine().current_in() != channel::client::in_state::opened &&
                      machine().current_out() != channel::client::out_state::opened;
    if (both && !both_) ++world_.seen_.both_at_once;
    both_ = both;
}

void client_party::failed(std::error_code, leg) {
    world_.seen_.calls_failed += outstanding_.size();
    outstanding_.clear();
    out_.clear();
    world_.on_client_ended(*this);
}

void client_party::check() {
    const auto& got = machine().received();
    if (got.held() > got.size()) world_.wrong(name() + ": holds more than its window");
    if (got.held() + machine().held_of_predecessor() > 2 * std::size_t{got.size()})
        world_.wrong(name() + ": holds more than two windows");
    if (plan_of().take_us != 0 && got.held() + machine().held_of_predecessor() != untaken_)
        world_.wrong(name() + ": does not hold what the upper layer has not taken");
    // With one acknowledgement for each of the smallest PDUs.
    const std::size_t acknowledgements = got.size() / 24 * 56;
    if (output_of(leg::in_http) > machine().sending().peer_window() + acknowledgements + rts_slack)
        world_.wrong(name() + ": queues more than the window of IN");
}

// accepted_party

accepted_party::accepted_party(world& in, int process, std::uint32_t vc, link& on)
    : party(in, process, vc), link_(&on) {
    on.set_owner(*this);
}

std::string accepted_party::name() const {
    return "vc" + std::to_string(vc()) + " request at proxy" + std::to_string(process());
}

void accepted_party::on_input(link& from) {
    if (from.input().size() < request_head::bytes) return;
    const request_head head = read_request(from.input());
    from.consume(request_head::bytes);
    link_ = nullptr;
    if (head.in)
        world_.add<inbound_party>(process(), vc(), head).start(from);
    else
        world_.add<outbound_party>(process(), vc(), head).start(from);
    world_.bury(*this);
}

void accepted_party::on_deadline() {
    if (link_ == nullptr) return;
    link_->close();
    end();
}

void accepted_party::die() {
    if (link_ != nullptr) link_->close();
    end();
}

void accepted_party::end() {
    link_ = nullptr;
    world_.bury(*this);
}

// request_party

template <class Machine>
Machine request_party<Machine>::make(const world& in, int process, const request_head& head) {
    const proxy_plan& here = in.plan_.proxies[static_cast<std::size_t>(process - 1)];
    if constexpr (is_in) {
        auto settings = here.in;
        settings.content_length = head.content_length;
        return channel::inbound_proxy(settings);
    } else
        return channel::outbound_proxy(here.out);
}

template <class Machine>
request_party<Machine>::request_party(world& in, int process, std::uint32_t vc,
                                      const request_head& head)
    : driver<Machine>(in, process, vc, make(in, process, head)),
      head_(head),
      channel_(head.channel) {
    ++in.proxies[static_cast<std::size_t>(process - 1)].requests;
}

template <class Machine>
std::string request_party<Machine>::name() const {
    return "vc" + std::to_string(this->vc()) + (is_in ? " in" : " out") +
           std::to_string(this->id()) + "@proxy" + std::to_string(this->process());
}

template <class Machine>
auto& request_party<Machine>::table() {
    auto& here = this->world_.proxies[static_cast<std::size_t>(this->process() - 1)];
    if constexpr (is_in)
        return here.in;
    else
        return here.out;
}

template <class Machine>
void request_party<Machine>::start(link& from) {
    this->set_body_left(http_leg, head_.content_length);
    this->attach(http_leg, from);
    this->run([&](Machine& m, auto& out) { return m.start(this->now(), out); });
    this->pump_and_settle(http_leg);
}

template <class Machine>
void request_party<Machine>::adopt(link& from, const request_head& head) {
    const leg successor = channel::successor_of(http_leg);
    this->set_body_left(successor, head.content_length);
    this->attach(successor, from);
    this->pump_and_settle(successor);
}

template <class Machine>
bool request_party<Machine>::past_preamble(leg which, link& from) {
    if (which == http_leg && !placed_) return place(from);
    if (which != tcp_leg || banner_done_) return true;
    if (from.input().size() < banner.size()) return false;
    from.consume(banner.size());
    banner_done_ = true;
    return true;
}

template <class Machine>
bool request_party<Machine>::place(link& from) {
    const auto pdu = from.next_pdu(this->body_left(http_leg));
    if (pdu && !*pdu) return false;
    placed_ = true;
    if (!pdu || rpch::dcerpc::peek_type((*pdu)->first) != pdu_type::rts) return true;
    const auto first = rpch::rts::decode((*pdu)->first);
    if (!first) return true;
    if constexpr (is_in) {
        if (first->kind() == rpch::rts::shape::in_r2_a1)
            return place_successor(rpch::rts::get<rpch::rts::in_r2_a1>(*first));
    } else if (first->kind() == rpch::rts::shape::out_r2_a3)
        return place_successor(rpch::rts::get<rpch::rts::out_r2_a3>(*first));
    return true;
}

template <class Machine>
template <class FirstPdu>
bool request_party<Machine>::place_successor(const FirstPdu& first) {
    const auto known = table().find(first.virtual_connection);
    if (known == table().end()) return true;
    request_party& home = *known->second;
    const std::error_code why = home.machine().admits(first);
    if (this->world_.traces())
        this->world_.say(this->name(), "may join " + home.name() + "? " +
                                           (why ? why.message() : std::string("yes")));
    if (!why) {
        link* from = this->detach(http_leg);
        from->want_input(true);
        this->die();
        home.adopt(*from, head_);
        return false;
    }
    if (why == errc::replacement_pending &&
        this->world_.template find<request_party>(home.waiting_) == nullptr) {
        home.waiting_ = this->id();
        ++this->world_.seen_.waited;
        this->at(http_leg)->want_input(false);
        placed_ = false;
        this->mutable_machine().on_first_pdu_waiting(this->now());
        return false;
    }
    if (why == errc::unexpected_pdu) return true;
    this->protocol_error(http_leg, why);
    return false;
}

template <class Machine>
void request_party<Machine>::place_again() {
    if (this->is_over() || placed_) return;
    if (link* http = this->at(http_leg)) http->want_input(true);
    this->pump_and_settle(http_leg);
}

template <class Machine>
void request_party<Machine>::settled() {
    const std::uint32_t waiting = std::exchange(waiting_, none);
    if (auto* who = this->world_.template find<request_party>(waiting)) who->place_again();
}

template <class Machine>
void request_party<Machine>::leave_table() {
    if (!std::exchange(in_table_, false)) return;
    const auto here = table().find(this->machine().virtual_connection());
    if (here != table().end() && here->second == this) table().erase(here);
}

template <class Machine>
void request_party<Machine>::buried() {
    leave_table();
    --this->world_.proxies[static_cast<std::size_t>(this->process() - 1)].requests;
    if (auto* who = this->world_.template find<request_party>(std::exchange(waiting_, none)))
        who->place_again(); // with nobody to wait for
}

template <class Machine>
void request_party<Machine>::on_connect(leg which, connection* made) {
    if (this->is_over()) {
        if (made != nullptr) made->ends[0].close();
        return;
    }
    if (made == nullptr)
        return this->run([&](Machine& m, auto& out) {
            return m.on_closed(which, errc::connect_failed, this->now(), out);
        });
    this->attach(which, made->ends[0]);
    this->run([&](Machine& m, auto& out) { return m.on_connected(which, this->now(), out); });
}

template <class Machine>
void request_party<Machine>::answer_success(leg to, std::uint32_t content_length) {
    if (link* http = this->at(to)) write_response(*http, {.number = content_length});
    this->world_.vc(this->vc()).out_channels[channel_].lifetime = content_length;
}

template <class Machine>
void request_party<Machine>::refuse(leg to, rpch::rpc_status status) {
    if (link* http = this->at(to))
        write_response(*http, {.status = 503, .number = static_cast<std::uint32_t>(status)});
}

template <class Machine>
void request_party<Machine>::opened() {
    table().insert_or_assign(this->machine().virtual_connection(), this);
    in_table_ = true;
    if (this->machine().is_successor())
        this->world_.on_recycled(this->vc(), is_in ? recycle::in_r1 : recycle::out_r1);
}

template <class Machine>
void request_party<Machine>::promoted(leg which) {
    if (which != http_leg) return;
    ++channel_;
    this->world_.on_recycled(this->vc(), is_in ? recycle::in_r2 : recycle::out_r2);
}

template <class Machine>
void request_party<Machine>::failed(std::error_code, leg) {
    check_draining(); // whatever has ended it
    leave_table();
}

template <class Machine>
void request_party<Machine>::check_draining() {
    const auto& settings =
        this->world_.plan_.proxies[static_cast<std::size_t>(this->process() - 1)];
    if (drains_since_ && this->now() - *drains_since_ > settings.out.replacement_wait)
        this->world_.wrong(this->name() + ": drains beyond the deadline");
}

template <class Machine>
void request_party<Machine>::check() {
    const Machine& m = this->machine();
    const auto& got = m.received();
    if (got.held() > got.size()) this->world_.wrong(this->name() + ": holds more than its window");
    std::size_t held = got.held();
    std::size_t queued = m.sending().queued_bytes();
    if constexpr (is_in)
        held += m.held_of_predecessor();
    else
        queued += m.sending_next().queued_bytes();
    if (held > 2 * std::size_t{got.size()})
        this->world_.wrong(this->name() + ": holds more than two windows");
    if (queued > held) this->world_.wrong(this->name() + ": queues what it does not hold");
    // With one acknowledgement for each of the smallest PDUs.
    const std::size_t acknowledgements = got.size() / 24 * 56;
    constexpr leg to = is_in ? leg::in_tcp : leg::out_http;
    if (this->output_of(to) > held + acknowledgements + rts_slack)
        this->world_.wrong(this->name() + ": more output than it holds");
    if (this->output_of(is_in ? leg::in_http : leg::out_tcp) > acknowledgements + rts_slack)
        this->world_.wrong(this->name() + ": too many PDUs of its own wait");
    this->world_.seen_.most_queued =
        std::max<std::uint64_t>(this->world_.seen_.most_queued, queued);
    if constexpr (!is_in) {
        using enum channel::outbound_proxy::state;
        check_draining();
        if (m.current() < draining_r1 || m.current() > draining)
            drains_since_.reset();
        else if (!drains_since_) {
            drains_since_ = this->now();
            this->world_.on_draining();
        }
        auto& known = this->world_.vc(this->vc()).out_channels[channel_];
        if (known.lifetime != 0) known.put = known.lifetime - this->output_left(leg::out_http);
        // CONN/A3, pings it was not told of, and the last PDU.
        constexpr std::uint64_t margin = 28 + 1031 + 20 + 24;
        if (known.put + known.left > known.lifetime + margin && known.lifetime != 0)
            this->world_.wrong(this->name() + ": the server does not know what is on OUT");
    }
}

// server_party

server_party::server_party(world& in, std::uint32_t vc, const rpch::rts::cookie& cookie)
    : driver(in, 0, vc, channel::server(in.plan_.server)),
      cookie_(cookie),
      out_(in.draw, key_of(vc, false), in.vc(vc).out_way),
      in_(key_of(vc, true), in.vc(vc).in_way) {
    in.sides.emplace(cookie, this);
    const client_plan& of = in.plan_.clients[in.vc(vc).client];
    out_.set_largest(of.out_fragment, of.out_piece);
}

std::string server_party::name() const { return "vc" + std::to_string(vc()) + " server"; }

void server_party::start() {
    run([&](channel::server& m, auto& out) { return m.start(now(), out); });
}

void server_party::adopt(leg half, link& from) {
    attach(half, from);
    pump_and_settle(half);
}

bool server_party::hold(std::uint32_t newcomer) {
    if (waiting_ != newcomer && world_.find<newcomer_party>(waiting_) != nullptr) return false;
    waiting_ = newcomer;
    return true;
}

void server_party::close_upper() {
    run([&](channel::server& m, auto& out) { return m.close(now(), out); });
}

void server_party::deliver(const rpch::core::split_view& pdu) {
    const fragment f = in_.take(pdu);
    if (f.size == 0) return world_.wrong(name() + ": what comes is not what was sent");
    const client_plan& of = world_.plan_.clients[world_.vc(vc()).client];
    if (f.type == pdu_type::bind) {
        out_.add_announcement(pdu_type::bind_ack, static_cast<std::uint16_t>(of.out_fragment),
                              static_cast<std::uint16_t>(of.in_fragment));
    } else {
        std::uint32_t& got = got_[f.call];
        if (got != f.offset) return world_.wrong(name() + ": the wrong part of a request");
        got += f.body();
        if (f.is_last()) {
            got_.erase(f.call);
            const std::uint32_t answer = answer_bytes(of, vc(), f.call);
            const std::uint32_t wait = world_.plan_.answer_us;
            if (wait == 0 || world_.draw.once_in(2))
                out_.add(pdu_type::response, f.call, answer);
            else {
                answers_.push_back({pdu_type::response, f.call, answer, 0, 0});
                world_.time.after(microseconds{world_.draw.below(wait + 1U)}, event_kind::upper,
                                  id());
            }
        }
    }
    if (world_.plan_.server_take_us == 0) {
        tell([&](channel::server& m, auto& out) { return m.on_consumed(pdu.size(), now(), out); });
        return;
    }
    untaken_ += pdu.size();
    if (!std::exchange(take_is_due_, true))
        world_.time.after(microseconds{world_.draw.below(world_.plan_.server_take_us + 1U)},
                          event_kind::take, id());
}

void server_party::on_upper() {
    if (is_over() || answers_.empty()) return;
    const std::size_t i = world_.draw.below(answers_.size());
    out_.add(answers_[i].type, answers_[i].call, answers_[i].total);
    answers_.erase(answers_.begin() + static_cast<std::ptrdiff_t>(i));
    kick();
}

void server_party::on_take() {
    take_is_due_ = false;
    if (is_over() || untaken_ == 0) return;
    const std::size_t n = world_.draw.once_in(3) ? world_.draw.between(1, untaken_) : untaken_;
    untaken_ -= n;
    if (untaken_ != 0) {
        take_is_due_ = true;
        world_.time.after(microseconds{world_.draw.below(world_.plan_.server_take_us + 1U)},
                          event_kind::take, id());
    }
    run([&](channel::server& m, auto& out) { return m.on_consumed(n, now(), out); });
}

void server_party::settled() {
    if (auto* who = world_.find<newcomer_party>(std::exchange(waiting_, none))) who->place();
}

void server_party::buried() {
    const auto here = world_.sides.find(cookie_);
    if (here != world_.sides.end() && here->second == this) world_.sides.erase(here);
    if (auto* who = world_.find<newcomer_party>(std::exchange(waiting_, none))) who->place();
}

void server_party::check() {
    const auto& got = machine().received();
    if (got.held() > got.size()) world_.wrong(name() + ": holds more than its window");
    if (got.held() + machine().held_of_predecessor() > 2 * std::size_t{got.size()})
        world_.wrong(name() + ": holds more than two windows");
    if (world_.plan_.server_take_us != 0 &&
        got.held() + machine().held_of_predecessor() != untaken_)
        world_.wrong(name() + ": does not hold what the upper layer has not taken");
    if (output_of(leg::out_tcp) > machine().sending().peer_window() + rts_slack)
        world_.wrong(name() + ": queues more than the window of OUT");
    auto& known = world_.vc(vc()).out_channels[machine().out_replaced()];
    known.left = machine().lifetime().left();
}

// newcomer_party

newcomer_party::newcomer_party(world& in, std::uint32_t vc, link& on)
    : party(in, 0, vc), link_(&on), deadline_(in.now() + rpch::limits::first_pdu_wait) {
    on.set_owner(*this);
    on.keep_alive(milliseconds{rpch::limits::client_keepalive_default_ms});
    on.write(rpch::core::as_bytes(banner));
    on.flush();
}

std::string newcomer_party::name() const { return "vc" + std::to_string(vc()) + " newcomer"; }

void newcomer_party::on_input(link&) {
    if (!is_waiting_) place();
}

void newcomer_party::place() {
    if (link_ == nullptr) return;
    const auto pdu = link_->next_pdu(rpch::limits::rts_pdu_bytes_max);
    if (!pdu) return refuse(pdu.error());
    if (!*pdu) return;
    const auto first = channel::classify_first_pdu((*pdu)->first);
    if (!first) return refuse(first.error());
    const bool successor = first->half != leg::in_tcp && first->half != leg::out_tcp;
    const auto known = world_.sides.find(first->virtual_connection);
    server_party* home = known == world_.sides.end() ? nullptr : known->second;
    if (home == nullptr) {
        if (successor) return refuse(errc::cookie_mismatch);
        home = &world_.add<server_party>(vc(), first->virtual_connection);
        home->start();
    }
    const std::error_code why = home->machine().admits(*first);
    if (why == errc::replacement_pending && home->hold(id())) {
        if (std::exchange(is_waiting_, true)) return;
        ++world_.seen_.waited;
        link_->want_input(false);
        deadline_ = world_.now() + rpch::limits::replacement_wait;
        world_.time.at(deadline_, event_kind::deadline, id());
        return;
    }
    if (why) return refuse(why);
    if (std::exchange(is_waiting_, false)) link_->want_input(true);
    link& from = *std::exchange(link_, nullptr);
    world_.bury(*this);
    home->adopt(first->half, from);
}

void newcomer_party::refuse(std::error_code why) {
    if (world_.traces()) world_.say(name(), "refused: " + why.message());
    if (!world_.vc(vc()).harmed && !world_.vc(vc()).closing)
        world_.wrong(name() + " refused: " + why.message());
    link_->retire(milliseconds{2000});
    end();
}

void newcomer_party::on_closed(link&, std::error_code) { end(); }

void newcomer_party::on_deadline() {
    if (link_ != nullptr && world_.now() >= deadline_) refuse(errc::setup_timeout);
}

void newcomer_party::die() {
    if (link_ != nullptr) link_->close();
    end();
}

void newcomer_party::end() {
    link_ = nullptr;
    world_.bury(*this);
}

template class request_party<channel::inbound_proxy>;
template class request_party<channel::outbound_proxy>;

} // namespace sim
