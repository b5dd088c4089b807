#include "tests/sim/network.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <rpch/dcerpc/common_header.hpp>
#include <rpch/error.hpp>
#include <rpch/limits.hpp>

namespace sim {

using rpch::errc;

namespace {

constexpr std::size_t read_at_once = 64 * 1024;
/// How long a TCP stack tries to get its bytes confirmed.
constexpr std::chrono::minutes unconfirmed_wait{15};
/// Probes of a keep-alive, after its interval.
constexpr std::chrono::seconds probes_wait{75};

void put(pipe& p, const std::byte* data, std::size_t n) {
    const std::size_t room = p.ring.size();
    const std::size_t at = (p.begin + p.stored) % room;
    const std::size_t first = std::min(n, room - at);
    std::memcpy(p.ring.data() + at, data, first);
    std::memcpy(p.ring.data(), data + first, n - first);
    p.stored += n;
}

void get(pipe& p, std::vector<std::byte>& to, std::size_t n) {
    const std::size_t first = std::min(n, p.ring.size() - p.begin);
    const auto from = p.ring.begin() + static_cast<std::ptrdiff_t>(p.begin);
    to.insert(to.end(), from, from + static_cast<std::ptrdiff_t>(first));
    to.insert(to.end(), p.ring.begin(), p.ring.begin() + static_cast<std::ptrdiff_t>(n - first));
}

void drop(pipe& p, std::size_t n) {
    p.begin = (p.begin + n) % p.ring.size();
    p.stored -= n;
    p.arrived -= n;
}

} // namespace

// link

void link::write(rpch::byte_view bytes, std::size_t rpc_bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    segments_.push_back({bytes.size(), rpc_bytes});
}

void link::write(const rpch::core::split_view& pdu, std::size_t rpc_bytes) {
    out_.insert(out_.end(), pdu.first.begin(), pdu.first.end());
    out_.insert(out_.end(), pdu.second.begin(), pdu.second.end());
    segments_.push_back({pdu.size(), rpc_bytes});
}

std::size_t link::flush() {
    if (!open_ || output_size() == 0) return 0;
    pipe& p = on_.pipes[side_];
    const bool nobody_reads = !on_.ends[1U - side_].open_ || p.ended;
    const std::size_t room = p.ring.size() - p.stored;
    std::size_t n = output_size();
    if (!nobody_reads) {
        if (n > room) p.writer_waits = true;
        n = std::min(n, room);
        if (n != 0) put(p, out_.data() + out_begin_, n);
    }
    if (on_.broken) network_.tell_later(*this);
    if (n == 0) return 0;
    out_begin_ += n;
    if (out_begin_ == out_.size()) {
        out_.clear();
        out_begin_ = 0;
    } else if (out_begin_ > read_at_once) {
        out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(out_begin_));
        out_begin_ = 0;
    }
    if (!nobody_reads) network_.schedule_delivery(on_, side_);
    std::size_t rpc = 0;
    while (n != 0) {
        segment& s = segments_[sent_];
        const std::size_t part = std::min(n, s.left);
        s.left -= part;
        n -= part;
        if (s.left != 0) break;
        rpc += s.rpc_bytes;
        ++sent_;
    }
    if (sent_ == segments_.size()) {
        segments_.clear();
        sent_ = 0;
    }
    return rpc;
}

rpch::result<std::optional<rpch::core::split_view>> link::next_pdu(std::uint64_t left) {
    const rpch::byte_view all = input();
    const auto length = rpch::dcerpc::peek_frag_length(all);
    if (!length) return rpch::fail(length.error());
    std::optional<rpch::core::split_view> out;
    if (!*length) return out;
    const std::size_t size = **length;
    const bool rts = rpch::dcerpc::peek_type(all) == rpch::dcerpc::pdu_type::rts;
    if (rts && size > rpch::limits::rts_pdu_bytes_max) return rpch::fail(errc::too_large);
    if (size > left) return rpch::fail(errc::lifetime_exceeded);
    if (all.size() < size) return out;
    // Its first 24 bytes never straddle.
    const std::size_t cut = rts || size <= 24 ? size : 24 + network_.draw_.below(size - 23);
    out = rpch::core::split_view{.first = all.first(cut), .second = all.subspan(cut, size - cut)};
    return out;
}

void link::consume(std::size_t n) noexcept {
    in_begin_ += n;
    if (in_begin_ == in_.size()) {
        in_.clear();
        in_begin_ = 0;
    }
}

void link::want_input(bool on) {
    if (on && !wanted_) network_.time_.after(microseconds{1}, event_kind::readable, on_.id, side_);
    wanted_ = on;
}

void link::retire(milliseconds wait, milliseconds linger, bool peer_ends) {
    if (!open_ || retired_) return;
    linger_ = linger;
    peer_ends_ = peer_ends;
    flush();
    retired_ = true;
    owner_ = nullptr;
    deadline_ = network_.time_.now() + wait;
    network_.time_.at(deadline_, event_kind::link_deadline, on_.id, side_);
    write_rest();
    // Later, since the owner may be looking at a PDU of ours.
    network_.time_.after(microseconds{1}, event_kind::readable, on_.id, side_);
}

void link::write_rest() {
    flush();
    if (output_size() != 0 || lingering_) return;
    lingering_ = true;
    deadline_ = network_.time_.now() + linger_;
    network_.time_.at(deadline_, event_kind::link_deadline, on_.id, side_);
    pipe& p = on_.pipes[side_];
    if (p.ended || peer_ends_) return;
    p.ended = true;
    p.end_why = errc::channel_closed;
    network_.schedule_delivery(on_, side_);
}

void link::close() {
    if (!open_) return;
    open_ = false;
    out_.clear();
    segments_.clear();
    out_begin_ = sent_ = 0;
    in_.clear();
    in_begin_ = 0;
    pipe& unread = on_.pipes[1U - side_];
    const bool lost = unread.stored != 0;
    unread.stored = unread.arrived = 0;
    network_.made_room(on_, static_cast<std::uint8_t>(1U - side_));
    pipe& p = on_.pipes[side_];
    if (!p.ended) {
        p.ended = true;
        p.end_why = lost ? errc::connection_lost : errc::channel_closed;
        network_.schedule_delivery(on_, side_);
    }
    if (!on_.ends[1U - side_].open_) network_.closed_.push_back(on_.id);
}

// network

connection& network::connect(const pipe_character& there, const pipe_character& back) {
    all_.push_back(std::make_unique<connection>(*this, static_cast<std::uint32_t>(all_.size())));
    connection& c = *all_.back();
    c.pipes[0].character = there;
    c.pipes[1].character = back;
    for (pipe& p : c.pipes) {
        if (!rings_.empty()) {
            p.ring = std::move(rings_.back());
            rings_.pop_back();
        }
        p.ring.resize(p.character.room);
    }
    ++open_;
    return c;
}

void network::collect() {
    for (const std::uint32_t id : closed_) {
        for (pipe& p : all_[id]->pipes) rings_.push_back(std::move(p.ring));
        all_[id].reset();
        --open_;
    }
    closed_.clear();
}

void network::handle(const event& e) {
    connection* c = find(e.id);
    if (c == nullptr) return;
    link& l = c->ends[e.part];
    if (e.what == event_kind::bytes_arrive) return deliver(*c, e.part);
    if (e.what == event_kind::readable) return read(*c, e.part);
    if (e.what == event_kind::told) return tell(*c, e.part);
    if (!l.open_) return;
    if (e.what == event_kind::writable) {
        if (l.retired_)
            l.write_rest();
        else if (l.owner_ != nullptr)
            l.owner_->on_writable(l);
    } else if (l.retired_ && l.deadline_ <= time_.now()) // link_deadline
        l.close();
}

void network::schedule_delivery(connection& c, std::uint8_t side) {
    pipe& p = c.pipes[side];
    if (p.delivering || c.broken) return;
    if (p.stored == p.arrived && (!p.ended || p.end_arrived)) return;
    p.delivering = true;
    const pipe_character& is = p.character;
    auto wait = microseconds{is.delay_us + draw_.below(is.more_us + 1U)};
    if (is.stall_once_in != 0 && draw_.once_in(is.stall_once_in))
        wait += milliseconds{draw_.below(is.stall_ms + 1U)};
    time_.at(std::max(time_.now() + wait, p.stalled_until), event_kind::bytes_arrive, c.id, side);
}

void network::deliver(connection& c, std::uint8_t side) {
    pipe& p = c.pipes[side];
    p.delivering = false;
    if (c.broken) return;
    if (p.stalled_until > time_.now()) return schedule_delivery(c, side);
    const std::size_t waiting = p.stored - p.arrived;
    const std::size_t most = std::min<std::size_t>(waiting, p.character.cut);
    if (most != 0) p.arrived += draw_.once_in(4) ? draw_.between(1, most) : most;
    if (p.arrived == p.stored && p.ended) p.end_arrived = true;
    schedule_delivery(c, side);
    read(c, static_cast<std::uint8_t>(1U - side));
}

void network::made_room(connection& c, std::uint8_t side) {
    pipe& p = c.pipes[side];
    if (std::exchange(p.writer_waits, false))
        time_.after(microseconds{1 + draw_.below(p.character.delay_us + 1U)}, event_kind::writable,
                    c.id, side);
}

void network::read(connection& c, std::uint8_t side) {
    link& l = c.ends[side];
    const auto writer = static_cast<std::uint8_t>(1U - side);
    pipe& p = c.pipes[writer];
    while (l.open_) {
        if (l.retired_) {
            drop(p, p.arrived);
            made_room(c, writer);
            if (p.end_arrived && l.lingering_) l.close();
            return;
        }
        if (!l.wanted_ || l.owner_ == nullptr) return;
        if (p.arrived != 0) {
            const std::size_t n = std::min(p.arrived, read_at_once);
            if (l.in_begin_ > read_at_once) {
                l.in_.erase(l.in_.begin(),
                            l.in_.begin() + static_cast<std::ptrdiff_t>(l.in_begin_));
                l.in_begin_ = 0;
            }
            get(p, l.in_, n);
            drop(p, n);
            made_room(c, writer);
            l.owner_->on_input(l);
        } else if (p.end_arrived) {
            link_owner* owner = l.owner_;
            l.close();
            owner->on_closed(l, p.end_why);
        } else
            return;
    }
}

void network::tell(connection& c, std::uint8_t side) {
    link& l = c.ends[side];
    if (!l.open_) return;
    link_owner* owner = l.retired_ ? nullptr : l.owner_;
    l.close();
    if (owner != nullptr) owner->on_closed(l, errc::connection_lost);
}

void network::tell_later(link& l) {
    if (l.will_be_told_) return;
    l.will_be_told_ = true;
    const auto id = l.on_.id;
    const link& other = l.on_.ends[1U - l.side_];
    // The other end answers with a reset when it is there; otherwise nobody answers.
    if (!other.open_ && !l.on_.silent)
        time_.after(milliseconds{1 + draw_.below(200)}, event_kind::told, id, l.side_);
    else
        time_.after(unconfirmed_wait, event_kind::told, id, l.side_);
}

void network::reset(connection& c) {
    c.broken = true;
    for (pipe& p : c.pipes) p.stored = p.arrived = 0;
    time_.after(microseconds{1}, event_kind::told, c.id, 0);
    time_.after(microseconds{1}, event_kind::told, c.id, 1);
}

void network::half_open(connection& c, std::uint8_t told) {
    c.broken = true;
    time_.after(microseconds{1}, event_kind::told, c.id, told);
    link& other = c.ends[1U - told];
    if (c.pipes[other.side_].stored != 0) tell_later(other);
    for (pipe& p : c.pipes) p.stored = p.arrived = 0;
    if (other.keep_alive_)
        time_.after(*other.keep_alive_ + probes_wait, event_kind::told, c.id, other.side_);
}

void network::go_dead(connection& c) {
    c.broken = c.silent = true;
    for (link& l : c.ends) {
        if (l.keep_alive_)
            time_.after(*l.keep_alive_ + probes_wait, event_kind::told, c.id, l.side_);
        if (c.pipes[l.side_].stored != 0) tell_later(l);
    }
}

} // namespace sim
