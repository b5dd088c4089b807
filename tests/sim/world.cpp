#include "tests/sim/world.hpp"

#include <algorithm>
#include <cstdio>

#include <rpch/core/bytes.hpp>

#include "tests/sim/parties.hpp"

namespace sim {

namespace {

constexpr std::uint64_t steps_max = 20'000'000;
/// Longer than every deadline, the retransmissions of TCP included.
constexpr std::chrono::hours patience{1};
/// All the time a client takes to try a successor again and again.
constexpr std::chrono::seconds retry_patience{70};
/// Within so long all machines have ended after a hop was lost, where all delays are short.
constexpr std::chrono::seconds ending_wait{1};

namespace rts = rpch::rts;

rts::wire with_other_cookie(const rts::pdu& in) {
    const auto other = [](rts::cookie c) {
        c.bytes[0] ^= std::byte{0xFF};
        return c;
    };
    if (in.kind() == rts::shape::out_r1_a7) {
        auto a7 = rts::get<rts::out_r1_a7>(in);
        a7.successor_channel = other(a7.successor_channel);
        return rts::encode(a7);
    }
    if (in.kind() == rts::shape::out_r2_a7) {
        auto a7 = rts::get<rts::out_r2_a7>(in);
        a7.successor_channel = other(a7.successor_channel);
        return rts::encode(a7);
    }
    auto a5 = rts::get<rts::in_r1_a5>(in); // A2, A4 and A6 look alike
    a5.successor_channel = other(a5.successor_channel);
    return rts::encode(a5);
}

/// OUT_R2/A8 as 2.2.4.41 has it, of A7; or an acknowledgement with the destination of the peer.
rts::wire rewritten(const rts::pdu& in, leg on) {
    if (in.kind() == rts::shape::out_r2_a7)
        return rts::encode(
            rts::out_r2_a8{.successor_channel = rts::get<rts::out_r2_a7>(in).successor_channel});
    return rts::encode(rts::flow_control_ack_with_destination{
        .destination =
            on == leg::in_tcp ? rts::destination::inbound_proxy : rts::destination::server,
        .ack = rts::get<rts::flow_control_ack>(in).ack});
}

} // namespace

party::party(world& in, int process, std::uint32_t vc) : world_(in), process_(process), vc_(vc) {}

void statistics::add(const statistics& more) {
    worlds += more.worlds;
    steps += more.steps;
    calls += more.calls;
    calls_failed += more.calls_failed;
    bytes += more.bytes;
    opened += more.opened;
    pings_in += more.pings_in;
    pings_out += more.pings_out;
    ping_notices += more.ping_notices;
    waited += more.waited;
    both_at_once += more.both_at_once;
    failures += more.failures;
    most_queued = std::max(most_queued, more.most_queued);
    most_events = std::max(most_events, more.most_events);
    for (std::size_t i = 0; i < recycles.size(); ++i) recycles[i] += more.recycles[i];
    for (std::size_t i = 0; i < faults.size(); ++i) faults[i] += more.faults[i];
}

world::world(const plan& of, bool trace)
    : draw(mix(of.seed) ^ 0x5EED),
      net(time, draw),
      plan_(of),
      proxies(of.proxies.size()),
      trace_(trace),
      clients_(of.clients.size()),
      since_(time.now()) {}

world::~world() = default;

std::string world::run() {
    seen_.worlds = 1;
    for (std::uint32_t i = 0; i < clients_.size(); ++i) open_client(i);
    while (fault_.empty() && !time.empty()) step();
    if (fault_.empty()) check_end();
    if (!fault_.empty()) ++seen_.failures;
    return fault_;
}

void world::say(const std::string& who, const std::string& what) {
    const auto us = std::chrono::duration_cast<microseconds>(now().time_since_epoch()).count();
    std::printf("%10llu %14.6f %-26s %s\n", static_cast<unsigned long long>(seen_.steps),
                static_cast<double>(us) / 1e6 - 3600, who.c_str(), what.c_str());
}

void world::note(const std::string& what) {
    if (!plan_.directed) return;
    notes_.push_back(what);
    if (trace_) say("NOTE", notes_.back());
}

void world::note_with_time(const std::string& what) {
    const auto rounded = now() - since_ + milliseconds{500};
    const auto s = std::chrono::duration_cast<std::chrono::seconds>(rounded).count();
    note(what + ", after " + std::to_string(s) + " s");
}

/// Something is broken from now on.
void world::strike() {
    if (!std::exchange(struck_, true)) since_ = now();
    harm_all();
}

std::vector<rpch::rts::wire> world::tampered(rpch::rts::role who, leg on, rpch::byte_view pdu,
                                             bool forwarded) {
    using way = tampering::way;
    const auto as_it_is = rts::wire::copy_of(pdu);
    const auto in = rts::decode(pdu);
    if (!in || !as_it_is) return {};
    for (const tampering& each : plan_.tamperings) {
        if (each.who != who || each.on != on || each.kind != in->kind() ||
            each.forwarded != forwarded)
            continue;
        if (traces()) say("TAMPERING", std::string(rts::name(each.kind)));
        switch (each.how) {
        case way::lost: strike(); return {};
        case way::other_cookie: strike(); return {with_other_cookie(*in)};
        case way::rewritten: return {rewritten(*in, on)};
        case way::after_an_acknowledgement:
            return {rts::encode(rts::flow_control_ack_with_destination{
                        .destination = rts::destination::outbound_proxy, .ack = {}}),
                    *as_it_is};
        case way::before_a_keep_alive:
            return {*as_it_is, rts::encode(rts::ping{}),
                    rts::encode(rts::keep_alive{.client_keepalive = 90'000})};
        case way::marked: since_ = now();
        }
        break;
    }
    return {*as_it_is};
}

void world::wrong(const std::string& what) {
    if (!fault_.empty()) return;
    const auto us = std::chrono::duration_cast<microseconds>(now().time_since_epoch()).count();
    fault_ = "seed " + std::to_string(plan_.seed) + ", step " + std::to_string(seen_.steps) +
             ", time " + std::to_string(static_cast<double>(us) / 1e6 - 3600) + " s: " + what;
    if (trace_) say("WRONG", what);
}

void world::bury(party& who) {
    if (!std::exchange(who.in_grave_, true)) graves_.push_back(who.id_);
}

void world::clear_graves() {
    for (std::size_t i = 0; i < graves_.size(); ++i) parties_[graves_[i]]->buried();
    for (const std::uint32_t id : graves_) parties_[id].reset();
    graves_.clear();
    net.collect();
}

rpch::rts::cookie world::fresh_cookie() {
    rpch::rts::cookie out;
    rpch::core::store(out.bytes.data(), draw.next(), rpch::core::byte_order::little);
    rpch::core::store(out.bytes.data() + 8, draw.next(), rpch::core::byte_order::little);
    return out;
}

void world::step() {
    if (++seen_.steps > steps_max) return wrong("it does not end");
    const bool drains = std::exchange(drains_, false);
    const auto is_due = [&](const planned_fault& f) {
        return f.at_step <= seen_.steps && (drains || f.what != fault::client_stalls);
    };
    while (next_fault_ < plan_.faults.size() && is_due(plan_.faults[next_fault_]))
        inject(plan_.faults[next_fault_++]);
    seen_.most_events = std::max<std::uint64_t>(seen_.most_events, time.waiting());
    const event e = time.next();
    dispatch(e);
    if (!graves_.empty())
        clear_graves();
    else
        net.collect();
    if (e.what >= first_timer || time.moves() == 0) check_progress();
}

void world::dispatch(const event& e) {
    party* who = nullptr;
    switch (e.what) {
    case event_kind::bytes_arrive:
    case event_kind::writable:
    case event_kind::readable:
    case event_kind::told:
    case event_kind::link_deadline: return net.handle(e);
    case event_kind::connect_done: return connected(attempts_[e.id]);
    case event_kind::restart: return restart(e.id);
    case event_kind::check_ended:
        if (vc(e.id).failed && vc(e.id).machines != 0)
            wrong("vc" + std::to_string(e.id) + ": " + std::to_string(vc(e.id).machines) +
                  " machines live on a second after a hop was lost");
        return;
    case event_kind::upper:
    case event_kind::take:
    case event_kind::deadline: who = parties_[e.id].get();
    }
    if (who == nullptr) return;
    if (e.what == event_kind::upper)
        who->on_upper();
    else if (e.what == event_kind::take)
        who->on_take();
    else
        who->on_deadline();
}

// Clients

void world::open_client(std::uint32_t client) {
    client_state& state = clients_[client];
    ++state.vcs;
    state.progress = now();
    state.proxy = {-1, -1};
    vcs_.push_back(std::make_unique<virtual_connection>());
    virtual_connection& made = *vcs_.back();
    made.number = static_cast<std::uint32_t>(vcs_.size() - 1);
    made.client = client;
    // Born into a world where something is broken already.
    made.harmed = server_refuses || std::any_of(proxies.begin(), proxies.end(),
                                                [](const auto& p) { return p.refuses; });
    channel::client_settings settings = plan_.clients[client].machine;
    settings.virtual_connection = fresh_cookie();
    settings.in_channel = fresh_cookie();
    settings.out_channel = fresh_cookie();
    settings.association_group = fresh_cookie();
    auto& party = add<client_party>(client, made.number, settings);
    state.current = party.id();
    party.start();
}

bool world::is_done(std::uint32_t client) const {
    const client_state& state = clients_[client];
    const std::uint64_t share = plan_.recycles / clients_.size() + 1;
    return state.recycles >= share || seen_.calls >= plan_.calls_max;
}

void world::on_progress(std::uint32_t client) { clients_[client].progress = now(); }

void world::on_recycled(std::uint32_t number, recycle kind) {
    ++seen_.recycles[kind];
    ++clients_[vc(number).client].recycles;
    if (traces())
        say("vc" + std::to_string(number), std::string("== ") + (kind == in_r1    ? "IN_R1"
                                                                 : kind == in_r2  ? "IN_R2"
                                                                 : kind == out_r1 ? "OUT_R1"
                                                                                  : "OUT_R2"));
}

void world::on_machine_ended(std::uint32_t number, const std::string& who, leg where,
                             std::error_code why) {
    virtual_connection& of = vc(number);
    if (why == errc::channel_replaced) return;
    if (!std::exchange(of.failed, true)) of.failed_at = now();
    if (traces()) say(who, "ended on " + std::string(channel::name(where)) + ": " + why.message());
    if (of.closing || of.harmed) return;
    wrong(who + " failed on " + std::string(channel::name(where)) +
          " though nothing is broken: " + why.message());
}

void world::on_client_ended(client_party& which) {
    client_state& state = clients_[which.client()];
    constexpr std::uint32_t vcs_max = 40;
    if (vc(which.vc()).closing || is_done(which.client()) || state.vcs >= vcs_max ||
        plan_.directed) {
        state.done = true;
        return;
    }
    // Again, when whatever is broken may be whole.
    time.after(std::chrono::seconds{draw.between(1, 40)}, event_kind::restart,
               1000 + which.client());
}

// Connections

pipe_character world::draw_character() {
    const auto one = [&](std::uint32_t a, std::uint32_t b) {
        return static_cast<std::uint32_t>(draw.between(std::min(a, b), std::max(a, b)));
    };
    // Most are alike; one in a few is of the other extreme.
    const bool extreme = draw.once_in(4);
    const pipe_character& q = plan_.quick;
    const pipe_character& s = extreme ? plan_.slow : plan_.quick;
    return {.delay_us = one(q.delay_us, s.delay_us),
            .more_us = one(q.more_us, s.more_us),
            .cut = one(q.cut, s.cut),
            .room = one(q.room, s.room),
            .stall_once_in = s.stall_once_in,
            .stall_ms = s.stall_ms};
}

connection& world::connect(int from, int to, std::uint32_t of) {
    connection& made = net.connect(draw_character(), draw_character());
    made.of = of;
    made.process = {from, to};
    return made;
}

int world::choose_proxy(std::uint32_t client, leg which) {
    const bool in = which == leg::in_http || which == leg::successor_in_http;
    int& last = clients_[client].proxy[in ? 0 : 1];
    const balance how = in ? plan_.in_balance : plan_.out_balance;
    std::vector<int> fit;
    for (int i = 0; i < static_cast<int>(proxies.size()); ++i) {
        if (proxies[static_cast<std::size_t>(i)].drains) continue;
        if (how == balance::always_other && i == last) continue;
        fit.push_back(i);
    }
    const bool stays =
        how == balance::always_same && last >= 0 && !proxies[static_cast<std::size_t>(last)].drains;
    if (!stays) last = fit.empty() ? std::max(last, 0) : fit[draw.below(fit.size())];
    return last;
}

void world::connect_to_proxy(client_party& from, leg which) {
    const int to = 1 + choose_proxy(from.client(), which);
    attempt_later({from.id(), which, to},
                  which == leg::successor_in_http || which == leg::successor_out_http);
}

void world::connect_to_server(party& from, leg which, bool successor) {
    attempt_later({from.id(), which, 0}, successor);
}

void world::attempt_later(const attempt& what, bool successor) {
    attempts_.push_back(what);
    std::uint32_t more = plan_.slow.more_us;
    if (successor && plan_.successor_us != 0) more = plan_.successor_us;
    // A proxy gives up earlier than a client.
    constexpr std::uint32_t proxy_patience_us = 20'000'000;
    if (what.to == 0) more = std::min(more, proxy_patience_us);
    std::chrono::nanoseconds wait = microseconds{plan_.quick.delay_us + draw.below(more + 1U)};
    for (const slow_connection& each : plan_.slow_connections)
        if (each.which == what.which && each.successor == successor) {
            strike();
            if (!each.takes) return;
            wait = *each.takes;
        }
    time.after(wait, event_kind::connect_done, static_cast<std::uint32_t>(attempts_.size() - 1));
}

void world::connected(const attempt& of) {
    const attempt what = of; // the table may grow
    party* who = parties_[what.party].get();
    if (who == nullptr) return;
    const bool refused =
        what.to == 0 ? server_refuses : proxies[static_cast<std::size_t>(what.to - 1)].refuses;
    if (refused) last_refusal_ = now();
    if (refused || who->is_over()) {
        if (traces()) say(who->name(), "cannot connect " + std::string(channel::name(what.which)));
        return who->on_connect(what.which, nullptr);
    }
    connection& made = connect(who->process(), what.to, who->vc());
    if (what.to == 0) {
        auto& fresh = add<newcomer_party>(who->vc(), made.ends[1]);
        time.after(rpch::limits::first_pdu_wait, event_kind::deadline, fresh.id());
    } else {
        auto& fresh = add<accepted_party>(what.to, who->vc(), made.ends[1]);
        time.after(rpch::limits::first_pdu_wait, event_kind::deadline, fresh.id());
    }
    if (traces())
        say(who->name(),
            "connected " + std::string(channel::name(what.which)) + " to " +
                (what.to == 0 ? std::string("the server") : "proxy" + std::to_string(what.to)));
    who->on_connect(what.which, &made);
}

// Faults

void world::harm(const connection& c) { vc(c.of).harmed = true; }

void world::harm_all() {
    for (auto& each : vcs_) each->harmed = true;
}

void world::kill_process(int which) {
    std::vector<std::uint32_t> going;
    for (const auto& each : parties_)
        if (each && each->process() == which && !each->in_grave_) going.push_back(each->id());
    for (const std::uint32_t id : going) {
        vc(parties_[id]->vc()).harmed = true;
        if (!std::exchange(vc(parties_[id]->vc()).failed, true))
            vc(parties_[id]->vc()).failed_at = now();
        parties_[id]->die();
    }
    for (std::uint32_t id = 0; id < net.made(); ++id) { // what was retired, too
        connection* c = net.find(id);
        if (c == nullptr) continue;
        for (std::size_t side = 0; side < 2; ++side)
            if (c->process[side] == which) {
                harm(*c);
                c->ends[side].close();
            }
    }
    clear_graves();
    const bool told = plan_.faults.size() == 1 && plan_.faults[0].what != fault::proxy_vanishes;
    if (!plan_.is_quick || !told) return;
    for (const auto& each : vcs_)
        if (each->failed) time.after(ending_wait, event_kind::check_ended, each->number);
}

void world::inject(const planned_fault& f) {
    std::vector<connection*> up;
    for (std::uint32_t id = 0; id < net.made(); ++id)
        if (connection* c = net.find(id); c != nullptr && !c->broken) up.push_back(c);
    const auto p = static_cast<std::uint32_t>(draw.below(proxies.size()));
    const bool on_connection = f.what <= fault::dead;
    if (on_connection && up.empty()) return;
    connection* c = on_connection ? up[draw.below(up.size())] : nullptr;
    if (traces())
        say("FAULT",
            std::string(sim::name(f.what)) +
                (c != nullptr ? " connection " + std::to_string(c->id) + " between " +
                                    std::to_string(c->process[0]) + " and " +
                                    std::to_string(c->process[1]) + " of vc" + std::to_string(c->of)
                              : " proxy" + std::to_string(p + 1)));
    switch (f.what) {
    case fault::reset:
        harm(*c);
        net.reset(*c);
        if (plan_.is_quick && plan_.faults.size() == 1)
            time.after(ending_wait, event_kind::check_ended, c->of);
        break;
    case fault::half_open:
        harm(*c);
        net.half_open(*c, static_cast<std::uint8_t>(draw.below(2)));
        break;
    case fault::dead:
        harm(*c);
        net.go_dead(*c);
        break;
    case fault::proxy_dies:
        if (proxies[p].refuses) return;
        harm_all();
        proxies[p].refuses = proxies[p].drains = true;
        kill_process(static_cast<int>(p) + 1);
        time.after(std::chrono::seconds{draw.between(1, 20)}, event_kind::restart, p + 1);
        break;
    case fault::proxy_vanishes:
        if (proxies[p].refuses) return;
        harm_all();
        proxies[p].refuses = proxies[p].drains = true;
        for (connection* each : up)
            if (each->process[0] == static_cast<int>(p) + 1 ||
                each->process[1] == static_cast<int>(p) + 1)
                net.go_dead(*each);
        kill_process(static_cast<int>(p) + 1);
        time.after(std::chrono::seconds{draw.between(20, 60)}, event_kind::restart, p + 1);
        break;
    case fault::proxy_drains: {
        // Channels of open connections move away by themselves, so nothing may fail.
        if (proxies.size() < 2 || proxies[p].refuses) return;
        const bool others = std::any_of(proxies.begin(), proxies.end(), [&](const auto& each) {
            return &each != &proxies[p] && !each.refuses;
        });
        if (!others) return;
        for (auto& each : vcs_)
            if (!each->open) each->harmed = true;
        proxies[p].refuses = proxies[p].drains = true;
        time.after(std::chrono::seconds{10}, event_kind::restart, p + 1);
        break;
    }
    case fault::proxy_refuses:
        if (proxies[p].refuses) return;
        // Alone it is less than a client's patience with successors.
        if (now() - last_refusal_ < retry_patience) harm_all();
        for (auto& each : vcs_)
            if (!each->open) each->harmed = true;
        last_refusal_ = now();
        proxies[p].refuses = true;
        time.after(std::chrono::seconds{draw.between(1, 20)}, event_kind::restart, p + 1);
        break;
    case fault::server_unreachable:
        if (server_refuses) return;
        harm_all();
        server_refuses = true;
        time.after(std::chrono::seconds{draw.between(1, 60)}, event_kind::restart, 0);
        break;
    case fault::server_dies:
        if (server_refuses) return;
        harm_all();
        server_refuses = true;
        kill_process(0);
        time.after(std::chrono::seconds{draw.between(1, 20)}, event_kind::restart, 0);
        break;
    case fault::server_closes: {
        std::vector<server_party*> open;
        for (const auto& each : parties_)
            if (each && each->process() == 0 && !each->is_over())
                if (auto* s = dynamic_cast<server_party*>(each.get())) open.push_back(s);
        if (open.empty()) return;
        server_party* s = open[draw.below(open.size())];
        vc(s->vc()).harmed = true;
        s->close_upper();
        break;
    }
    case fault::client_closes: {
        auto* who = find<client_party>(clients_[draw.below(clients_.size())].current);
        if (who == nullptr) return;
        vc(who->vc()).harmed = true;
        who->close_upper();
        break;
    }
    case fault::stall: {
        // Everything waits that goes to one process: a machine under load, a router that reboots.
        const int to = static_cast<int>(draw.below(proxies.size() + 1));
        time_point until = now() + milliseconds{draw.between(10, 20'000)};
        if (draw.once_in(5)) { // beyond what may be waited for
            harm_all();
            until += std::chrono::minutes{draw.between(5, 40)};
        }
        for (connection* each : up)
            for (std::size_t side = 0; side < 2; ++side)
                if (each->process[side] == to) each->pipes[1 - side].stalled_until = until;
        break;
    }
    case fault::client_stalls: {
        const auto client = static_cast<int>(draw.below(clients_.size()));
        harm_all();
        const time_point until = now() + std::chrono::minutes{draw.between(20, 40)};
        for (connection* each : up)
            if (each->process[0] == -1 - client)
                each->pipes[0].stalled_until = each->pipes[1].stalled_until = until;
        break;
    }
    }
    ++seen_.faults[static_cast<std::size_t>(f.what)];
}

void world::restart(std::uint32_t which) {
    if (which >= 1000) {
        const std::uint32_t client = which - 1000;
        if (!clients_[client].done) open_client(client);
        return;
    }
    if (which == 0) {
        server_refuses = false;
        return;
    }
    proxy_process& p = proxies[which - 1];
    if (p.drains && p.requests != 0) { // not before it is empty
        const bool all_done = std::all_of(clients_.begin(), clients_.end(),
                                          [](const client_state& c) { return c.done; });
        if (!all_done) time.after(std::chrono::seconds{10}, event_kind::restart, which);
        return;
    }
    if (traces()) say("proxy" + std::to_string(which), "takes requests again");
    p.refuses = p.drains = false;
}

// Checks

void world::check_progress() {
    for (const auto& each : vcs_)
        if (each->failed && each->machines != 0 && now() - each->failed_at > patience)
            return wrong("vc" + std::to_string(each->number) + ": " +
                         std::to_string(each->machines) + " machines outlive every deadline");
    for (const client_state& each : clients_) {
        auto* who = find<client_party>(each.current);
        if (who == nullptr || vc(who->vc()).closing) continue;
        const bool waits = who->waits() || !vc(who->vc()).open;
        if (!waits) continue;
        // A client waits before it tries a successor again.
        if (time.moves() == 0 && !vc(who->vc()).harmed && now() - last_refusal_ > retry_patience)
            return wrong(who->name() + ": nothing can happen, and it waits: " + who->waits_for());
        if (now() - each.progress > patience)
            return wrong(who->name() + ": waits in vain, beyond every deadline");
    }
}

void world::check_end() {
    for (const auto& each : vcs_)
        if (each->machines != 0)
            return wrong("vc" + std::to_string(each->number) + ": " +
                         std::to_string(each->machines) + " machines have not ended");
    for (const auto& each : parties_)
        if (each) return wrong(each->name() + ": is left over");
    if (!sides.empty()) return wrong("the server's table is not empty");
    for (const auto& each : proxies)
        if (!each.in.empty() || !each.out.empty() || each.requests != 0)
            return wrong("a proxy's table is not empty");
    if (net.open() != 0) return wrong("connections are left over");
    const bool gentle =
        std::none_of(vcs_.begin(), vcs_.end(), [](const auto& each) { return each->harmed; });
    if (gentle && seen_.calls_failed != 0) wrong("calls failed though nothing was broken");
}

} // namespace sim
