#include <rpch/transport/rendezvous.hpp>

#include <string_view>
#include <utility>
#include <vector>

#include <rpch/core/bytes.hpp>
#include <rpch/transport/listener.hpp>

namespace rpch::inline RPCH_ABI::transport {

// server_side

RPCH_DECL server_side::server_side(std::shared_ptr<rendezvous> at,
                                   const rts::cookie& virtual_connection,
                                   const channel::server_settings& settings)
    : channel_driver(at->context(), channel::server(settings)),
      at_(std::move(at)),
      cookie_(virtual_connection) {
    at_->sides_.emplace(cookie_, this);
}

RPCH_DECL server_side::~server_side() {
    const auto here = at_->sides_.find(cookie_);
    if (here != at_->sides_.end() && here->second == this) at_->sides_.erase(here);
    if (const auto waiting = waiting_.lock()) waiting->place(); // to be told that it is over
}

RPCH_DECL void server_side::start() {
    run([](channel::server& m, time_point at, channel::action_list& out) { m.start(at, out); });
}

RPCH_DECL void server_side::adopt(channel::leg half, std::shared_ptr<link> from) {
    // A proxy that is gone without a word is found out by this alone while nothing is sent.
    from->set_keep_alive(std::chrono::milliseconds{limits::client_keepalive_default_ms});
    attach(half, std::move(from));
    pump_and_settle(half);
}

RPCH_DECL bool server_side::hold(const std::shared_ptr<newcomer>& waiting) {
    if (!waiting_.expired() && waiting_.lock() != waiting) return false;
    waiting_ = waiting;
    return true;
}

RPCH_DECL void server_side::settled() {
    if (const auto waiting = std::exchange(waiting_, {}).lock()) waiting->place();
}

/// The OUT half goes first, with the last words of the upper layer. A client to which the end of IN
/// came sooner would not wait for them: it takes the end of either channel for the end of both
/// (3.2.2.5.11), and then ends IN itself. Where the OUT half is lost or takes nothing, no such
/// words arrive, and maybe nothing else tells the client.
RPCH_DECL void server_side::end_link(channel::leg which, link& going) {
    const bool has_out = at(channel::leg::out_tcp) != nullptr &&
                         machine().ended_with() != errc::flow_control_stalled;
    if (which == channel::leg::in_tcp && has_out)
        going.retire(link::linger_wait, link::linger_wait, link::farewell::after_peer);
    else
        going.finish();
}

// newcomer

RPCH_DECL newcomer::newcomer(std::shared_ptr<rendezvous> at, std::string from)
    : at_(std::move(at)), timer_(at_->context()->on), from_(std::move(from)) {
    at_->newcomers_.insert(this);
}

RPCH_DECL newcomer::~newcomer() { at_->newcomers_.erase(this); }

RPCH_DECL void newcomer::start(std::shared_ptr<link> on) {
    link_ = std::move(on);
    link_->expect_pdus();
    link_->flush();
    arm_timer(at_->settings_.first_pdu_wait);
    link_->start();
}

RPCH_DECL void newcomer::arm_timer(std::chrono::milliseconds limit) {
    timer_.expires_after(limit);
    timer_.async_wait([self = shared_from_this()](std::error_code ec) {
        if (!ec && self->link_) self->refuse(errc::setup_timeout);
    });
}

RPCH_DECL void newcomer::end() {
    timer_.cancel();
    if (link_) link_->close();
    link_.reset();
}

RPCH_DECL void newcomer::log(std::error_code why) const {
    at_->log("connection from " + from_ + " closed before it belonged anywhere: " + why.message());
}

RPCH_DECL void newcomer::refuse(std::error_code why) {
    log(why);
    timer_.cancel();
    link_->finish();
    link_.reset();
}

RPCH_DECL void newcomer::on_closed(link&, std::error_code why) {
    if (has_spoken_) log(why);
    timer_.cancel();
    link_.reset();
}

RPCH_DECL void newcomer::on_input(link&) {
    has_spoken_ = true;
    if (!is_waiting_) place();
}

RPCH_DECL void newcomer::place() {
    if (!link_) return;
    link& from = *link_;
    const auto pdu = from.next_pdu(limits::rts_pdu_bytes_max);
    if (!pdu)
        return refuse(pdu.error() == errc::lifetime_exceeded ? errc::v1_not_supported
                                                             : pdu.error());
    if (!*pdu) return;
    const auto first = channel::classify_first_pdu((*pdu)->view.first);
    if (!first) return refuse(first.error());
    place(*first);
}

/// The first PDU stays in the input of the link until here, so that its home reads it again.
RPCH_DECL void newcomer::place(const channel::first_pdu& first) {
    const bool successor =
        first.half != channel::leg::in_tcp && first.half != channel::leg::out_tcp;
    const auto home =
        successor ? at_->find(first.virtual_connection) : at_->home_of(first.virtual_connection);
    if (!home) return refuse(successor ? errc::cookie_mismatch : errc::operation_aborted);
    const std::error_code why = home->machine().admits(first);
    if (why == errc::replacement_pending && home->hold(shared_from_this())) return wait();
    if (why) return refuse(why);
    timer_.cancel();
    if (std::exchange(is_waiting_, false)) link_->want_input(true);
    home->adopt(first.half, std::exchange(link_, nullptr));
}

/// Nothing more is read meanwhile; the virtual connection calls when its replacement is done.
RPCH_DECL void newcomer::wait() {
    if (std::exchange(is_waiting_, true)) return;
    link_->want_input(false);
    arm_timer(limits::replacement_wait);
}

// rendezvous

RPCH_DECL rendezvous::rendezvous(std::shared_ptr<strand_context> context, std::uint64_t hash_seed,
                                 rendezvous_settings settings, factory make)
    : context_(std::move(context)),
      settings_(std::move(settings)),
      make_(std::move(make)),
      sides_(16, rts::cookie_hash{hash_seed}) {}

RPCH_DECL void rendezvous::accept(tcp::socket socket) {
    const auto fresh = std::make_shared<newcomer>(shared_from_this(), address_text(socket));
    auto made = std::make_shared<link>(std::move(socket), context_->pool, *fresh);
    made->write(core::as_bytes(server_banner));
    fresh->start(std::move(made));
}

RPCH_DECL std::shared_ptr<link> rendezvous::connect_in_memory(link_owner& caller,
                                                              std::string from) {
    const auto fresh = std::make_shared<newcomer>(shared_from_this(), std::move(from));
    auto [ours, theirs] = make_link_pair(context_->on, context_->pool, *fresh, caller);
    fresh->start(std::move(ours));
    return std::move(theirs);
}

RPCH_DECL std::shared_ptr<server_side> rendezvous::find(const rts::cookie& cookie) const {
    const auto known = sides_.find(cookie);
    if (known == sides_.end()) return nullptr;
    return std::static_pointer_cast<server_side>(known->second->weak_from_this().lock());
}

RPCH_DECL std::shared_ptr<server_side> rendezvous::home_of(const rts::cookie& cookie) {
    if (auto known = find(cookie)) return known;
    auto made = make_(shared_from_this(), cookie);
    if (made) made->start();
    return made;
}

RPCH_DECL void rendezvous::close() {
    // Ending one may take others out of the tables.
    std::vector<std::shared_ptr<newcomer>> waiting;
    for (newcomer* each : newcomers_) waiting.push_back(each->weak_from_this().lock());
    std::vector<std::shared_ptr<server_side>> open;
    for (const auto& each : sides_)
        open.push_back(std::static_pointer_cast<server_side>(each.second->weak_from_this().lock()));
    for (const auto& each : waiting)
        if (each) each->end();
    for (const auto& each : open)
        if (each) each->end();
}

} // namespace rpch::inline RPCH_ABI::transport
