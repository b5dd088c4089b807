#include <rpch/server/sessions.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

#include <asio/dispatch.hpp>

namespace rpch::inline RPCH_ABI::detail {

/// Output a plain TCP connection may have queued before it stops making more.
inline constexpr std::size_t tcp_output_bytes_max = 256 * 1024;
/// How logs call it when a client keeps a server waiting.
inline constexpr const char* handshake_abandoned = "the client did not end its security handshake";
inline constexpr const char* request_abandoned = "the client did not end its request";

RPCH_DECL std::string address_text(const rts::client_address& from) {
    if (from.family == rts::address_family::ipv4) {
        asio::ip::address_v4::bytes_type octets;
        for (std::size_t i = 0; i < octets.size(); ++i)
            octets[i] = std::to_integer<unsigned char>(from.octets[i]);
        return asio::ip::address_v4(octets).to_string();
    }
    asio::ip::address_v6::bytes_type octets;
    for (std::size_t i = 0; i < octets.size(); ++i)
        octets[i] = std::to_integer<unsigned char>(from.octets[i]);
    return asio::ip::address_v6(octets).to_string();
}

// virtual_connection

RPCH_DECL virtual_connection::virtual_connection(std::shared_ptr<server_shared> shared,
                                                 std::shared_ptr<transport::rendezvous> at,
                                                 const rts::cookie& cookie)
    : server_side(std::move(at), cookie,
                  {.receive_window = shared->settings.receive_window,
                   .pairing_wait = shared->settings.pairing_wait,
                   .replace_out_below = shared->settings.replace_out_below,
                   .replacement_wait = shared->settings.replacement_wait,
                   .blocked_wait = shared->settings.blocked_wait}),
      shared_(std::move(shared)),
      calls_(shared_->interfaces, {protocol_sequence::ncacn_http, {}, 0}),
      handshake_limit_(shared_->context->on),
      request_limit_(shared_->context->on) {}

RPCH_DECL void virtual_connection::end() {
    handshake_limit_.stop();
    request_limit_.stop();
    shut();
    calls_.association().close(errc::operation_aborted);
    calls_.cancel_all();
}

RPCH_DECL void virtual_connection::opened() {
    shared_->log("virtual connection " + cookie().to_hex() + " open, client " +
                 address_text(machine().client()));
    calls_.set_client_address(address_text(machine().client()));
    const transport::link* const reached = at(channel::leg::out_tcp);
    if (const std::uint16_t port = reached != nullptr ? reached->local_port() : 0; port != 0)
        calls_.association().set_secondary_address(std::to_string(port));
}

RPCH_DECL void virtual_connection::deliver(const transport::pdu_ref& pdu) {
    const std::size_t size = pdu.view.size();
    if (auto& association = calls_.association(); !association.is_bound())
        // Not by the AssociationGroupId (2.2.3.5.13): Samba's client makes one for each virtual
        // connection, and then joins the group of another.
        association.set_origin("ncacn_http");
    if (!association_ended_) association_ended_ = calls_.on_pdu(pdu.view, self());
    if (const std::string refusal = calls_.association().take_refusal(); !refusal.empty())
        shared_->log("virtual connection " + cookie().to_hex() + ": " + refusal);
    withheld_ += size;
    has_news_ = true;
}

RPCH_DECL void virtual_connection::produce() {
    handshake_limit_.watch(!association_ended_ && calls_.association().is_securing(),
                           shared_->settings.first_pdu_wait, *this, [this] {
                               set_detail(handshake_abandoned);
                               association_ended_ = errc::setup_timeout;
                               kick();
                           });
    transport::link* out = at(channel::leg::out_tcp);
    pull(calls_, channel::leg::out_tcp);
    // Acknowledgements are what makes a client send more.
    if (withheld_ != 0 && !calls_.is_full())
        mutable_machine().on_consumed(std::exchange(withheld_, 0), now(), actions());
    // Measured from the last PDU, and not while we let nothing come.
    if (std::exchange(has_news_, false)) request_limit_.renew();
    request_limit_.watch(!association_ended_ && calls_.awaits_rest(),
                         shared_->settings.blocked_wait, *this, [this] {
                             set_detail(request_abandoned);
                             association_ended_ = errc::idle_timeout;
                             kick();
                         });
    if (!association_ended_) association_ended_ = calls_.association().output_error();
    if (association_ended_ && !is_shut()) {
        if (out != nullptr) out->flush(); // a bind_nak or fault that says why
        mutable_machine().on_closed(channel::leg::in_tcp, association_ended_, now(), actions());
    }
    perform(nullptr);
}

RPCH_DECL void virtual_connection::failed(std::error_code why, channel::leg where,
                                          const std::string& detail) {
    shared_->log("virtual connection " + cookie().to_hex() +
                 transport::end_text(why, transport::proxy_at(where), detail));
    handshake_limit_.stop();
    request_limit_.stop();
    calls_.association().close(why);
    calls_.cancel_all();
}

RPCH_DECL void virtual_connection::respond(std::uint32_t call_id, std::vector<std::byte> stub) {
    if (context().on.running_in_this_thread()) {
        calls_.respond(call_id, std::move(stub));
        return kick();
    }
    asio::post(context().on, [self = self(), call_id, stub = std::move(stub)]() mutable {
        self->calls_.respond(call_id, std::move(stub));
        self->kick();
    });
}

RPCH_DECL void virtual_connection::fault(std::uint32_t call_id, rpc_status status) {
    asio::dispatch(context().on, [self = self(), call_id, status] {
        self->calls_.fault(call_id, status);
        self->kick();
    });
}

// tcp_connection

RPCH_DECL tcp_connection::tcp_connection(std::shared_ptr<server_shared> shared,
                                         std::string client_address)
    : shared_(std::move(shared)),
      calls_(shared_->interfaces, {protocol_sequence::ncacn_ip_tcp, std::move(client_address), 0}),
      setup_limit_(shared_->context->on),
      request_limit_(shared_->context->on),
      stall_timer_(shared_->context->on),
      count_(shared_) {
    calls_.association().set_origin(calls_.info().client_address);
    shared_->live.insert(this);
}

RPCH_DECL tcp_connection::~tcp_connection() { shared_->live.erase(this); }

RPCH_DECL void tcp_connection::start(transport::tcp::socket socket) {
    std::error_code unknown;
    const auto reached = socket.local_endpoint(unknown);
    if (!unknown) {
        calls_.set_server_address(reached.address().to_string());
        // Of a port of the same protocol: a client may open its next connection there.
        calls_.association().set_secondary_address(std::to_string(reached.port()));
    }
    link_ = std::make_shared<transport::link>(std::move(socket), shared_->context->pool, *this);
    link_->expect_pdus();
    // A client that is gone without a word is found out by this alone while nothing is sent.
    link_->set_keep_alive(std::chrono::milliseconds{limits::client_keepalive_default_ms});
    watch_setup();
    link_->start();
}

/// From one state of rest to the next: a connection without a bind is none, nor is one that is
/// bound and whose handshake waits for a further leg.
RPCH_DECL void tcp_connection::watch_setup() {
    const auto& association = calls_.association();
    setup_limit_.watch(!association.is_bound() || association.is_securing(),
                       shared_->settings.first_pdu_wait, *this, [this] {
                           const bool bound = calls_.association().is_bound();
                           finish(errc::setup_timeout,
                                  bound ? handshake_abandoned : "the client did not bind");
                       });
}

/// What has come of a request holds room that other clients want, see `limit_calls`.
/// @param has_news  something has come, that may be of it.
RPCH_DECL void tcp_connection::watch_request(bool has_news) {
    if (has_news) request_limit_.renew();
    request_limit_.watch(calls_.awaits_rest(), shared_->settings.blocked_wait, *this,
                         [this] { finish(errc::idle_timeout, request_abandoned); });
}

RPCH_DECL void tcp_connection::on_input(transport::link&) { work(true); }

RPCH_DECL void tcp_connection::on_writable(transport::link&) {
    note_progress();
    taken_ = transport::clock::now();
    send();
}

/// Takes input and writes output in turn: answers that leave may end a pause, and the requests that
/// came before it make further answers.
RPCH_DECL void tcp_connection::work(bool has_input) {
    if (busy_) return;
    while (link_) {
        const std::error_code ended = has_input ? take_input() : std::error_code{};
        if (const auto ec = write_output()) return finish(ec);
        if (ended) return finish(ended);
        if (!link_) return;
        watch_setup();
        watch_request(has_input);
        if (!paused_ || calls_.is_full()) return;
        paused_ = false;
        link_->want_input(true);
        has_input = true; // what came before the pause
    }
}

/// While the calls have enough to do, requests wait; what is none (co_cancel, orphaned) may be what
/// gives them less to do, and is taken as long as no request stands before it.
RPCH_DECL std::error_code tcp_connection::take_input() {
    const auto from = link_; // handlers may end the connection
    std::error_code ended;
    busy_ = true;
    while (!ended && link_) {
        const auto pdu = from->next_pdu(UINT64_MAX);
        if (!pdu) {
            ended = pdu.error();
            break;
        }
        if (!*pdu) break;
        const auto type = dcerpc::peek_type((*pdu)->view.first);
        if (type == dcerpc::pdu_type::request && calls_.is_full()) {
            pause();
            break;
        }
        if (type == dcerpc::pdu_type::rts) {
            shared_->log("connection from " + calls_.info().client_address +
                         ": an RTS PDU at a port for ncacn_ip_tcp; RPC proxies need one for "
                         "ncacn_http");
            ended = errc::unexpected_pdu;
            break;
        }
        ended = calls_.on_pdu((*pdu)->view, shared_from_this());
        if (const std::string refusal = calls_.association().take_refusal(); !refusal.empty())
            shared_->log("connection from " + calls_.info().client_address + ": " + refusal);
        if (link_) from->consume((*pdu)->view.size());
    }
    busy_ = false;
    return ended;
}

/// @return why nothing more can be sent.
RPCH_DECL std::error_code tcp_connection::write_output() {
    while (link_) {
        while (calls_.has_output() && link_->output_size() < tcp_output_bytes_max) {
            const std::size_t size = calls_.next_output_size();
            link_->commit(calls_.write_output(link_->reserve(size)), 0);
        }
        if (const auto ec = calls_.association().output_error()) return ec;
        link_->flush();
        if (link_->output_pending() || !calls_.has_output()) break;
    }
    const bool waited = std::exchange(output_waits_, link_ && link_->output_pending());
    if (output_waits_ && !waited) {
        taken_ = transport::clock::now();
        watch_stall();
    }
    return {};
}

/// How often is looked after a client that is not read, or takes no answers.
inline constexpr std::chrono::milliseconds stall_look{500};

RPCH_DECL void tcp_connection::pause() {
    paused_ = true;
    link_->want_input(false);
    note_progress();
    watch_stall();
}

RPCH_DECL void tcp_connection::note_progress() {
    if (paused_) progress_ = transport::clock::now();
}

RPCH_DECL void tcp_connection::watch_stall() {
    if (std::exchange(watching_, true)) return;
    stall_timer_.expires_after(
        std::min<std::chrono::milliseconds>(stall_look, shared_->settings.blocked_wait));
    // Nothing else may hold a connection that is neither read nor written.
    stall_timer_.async_wait([self = shared_from_this()](std::error_code ec) {
        if (!ec) self->on_stall_timer();
    });
}

/// The requests behind which a client has ended are not executed: nobody waits for the answers.
/// Answers that are not taken hold what other clients want, too: the room that `limit_calls` gives.
RPCH_DECL void tcp_connection::on_stall_timer() {
    watching_ = false;
    if (!link_ || (!paused_ && !output_waits_)) return;
    if (paused_ && link_->peer_has_ended())
        return finish(errc::connection_lost, calls_.unfinished());
    const auto limit = transport::clock::now() - shared_->settings.blocked_wait;
    if ((paused_ && progress_ <= limit) || (output_waits_ && taken_ <= limit))
        return finish(errc::flow_control_stalled);
    watch_stall();
}

RPCH_DECL void tcp_connection::log(std::error_code why, const std::string& detail) const {
    shared_->log("connection from " + calls_.info().client_address +
                 (why == errc::connection_lost ? " lost: " : " closed: ") + why.message() +
                 (detail.empty() ? "" : " (" + detail + ")"));
}

RPCH_DECL void tcp_connection::finish(std::error_code why, const std::string& detail) {
    if (!link_) return;
    log(why, detail);
    link_->finish();
    closed(why);
}

RPCH_DECL void tcp_connection::closed(std::error_code why) {
    setup_limit_.stop();
    request_limit_.stop();
    stall_timer_.cancel();
    link_.reset();
    calls_.association().close(why);
    calls_.cancel_all();
}

RPCH_DECL void tcp_connection::end() {
    if (link_) link_->close();
    closed(errc::operation_aborted);
}

RPCH_DECL void tcp_connection::on_closed(transport::link& from, std::error_code why) {
    std::string detail = from.error_detail();
    if (const std::string left = calls_.unfinished(); !left.empty()) {
        if (why == errc::channel_closed) why = errc::connection_lost;
        detail += (detail.empty() ? "" : "; ") + left;
    }
    if (why != errc::channel_closed) log(why, detail);
    closed(why);
}

RPCH_DECL void tcp_connection::respond(std::uint32_t call_id, std::vector<std::byte> stub) {
    if (shared_->context->on.running_in_this_thread()) {
        note_progress();
        calls_.respond(call_id, std::move(stub));
        return send();
    }
    asio::post(shared_->context->on,
               [self = shared_from_this(), call_id, stub = std::move(stub)]() mutable {
                   self->note_progress();
                   self->calls_.respond(call_id, std::move(stub));
                   self->send();
               });
}

RPCH_DECL void tcp_connection::fault(std::uint32_t call_id, rpc_status status) {
    asio::dispatch(shared_->context->on, [self = shared_from_this(), call_id, status] {
        self->note_progress();
        self->calls_.fault(call_id, status);
        self->send();
    });
}

} // namespace rpch::inline RPCH_ABI::detail
