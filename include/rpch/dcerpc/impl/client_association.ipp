#include <rpch/dcerpc/client_association.hpp>

#include <algorithm>
#include <utility>

#include <rpch/dcerpc/detail/fragment_size.hpp>
#include <rpch/dcerpc/verification_trailer.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

RPCH_DECL client_association::client_association(const client_association_options& options)
    : options_(options),
      budget_{options.limits.call_bytes_max, options.limits.reassembly_bytes_max},
      xmit_frag_(detail::usable_fragment(options.limits.fragment_bytes)),
      recv_frag_(xmit_frag_) {}

// Commands.

RPCH_DECL result<std::uint16_t>
client_association::add_context(const interface_id& interface,
                                const interface_id& transfer_syntax) {
    if (state_ == state::closed) return fail(closed_with_);
    if (shutdown_) return fail(errc::association_closed);
    if (contexts_.size() >= options_.limits.contexts_max) return fail(errc::too_many);
    contexts_.push_back({.interface = interface, .transfer_syntax = transfer_syntax});
    return static_cast<std::uint16_t>(contexts_.size() - 1);
}

RPCH_DECL std::error_code client_association::refuses_call(const call_options& options,
                                                           std::size_t stub_bytes) const noexcept {
    if (state_ == state::closed) return closed_with_;
    if (shutdown_) return errc::association_closed;
    if (options.context >= contexts_.size()) return errc::bad_context_id;
    if (contexts_[options.context].at == context_state::refused) return errc::context_refused;
    if (calls_.size() >= options_.limits.calls_max) return errc::too_many;
    if (stub_bytes > options_.limits.call_bytes_max) return errc::too_large;
    return {};
}

RPCH_DECL result<std::uint32_t> client_association::begin_call(const call_options& options,
                                                               std::vector<std::byte> stub) {
    if (const auto ec = refuses_call(options, stub.size())) return fail(ec);
    if (options.security != 0) {
        const security_entry* s = find_security(options.security);
        if (s == nullptr) return fail(errc::bad_context_id);
        if (s->at == security_state::failed) return fail(errc::authentication_failed);
    }

    const std::uint32_t id = new_call_id();
    call& c = calls_.insert(id);
    c.options = options;
    c.stub = std::move(stub);
    client_event_list none; // a security context that failed was looked at above
    place(c, none);
    return id;
}

RPCH_DECL result<std::uint32_t> client_association::add_security(security_request request) {
    using level = auth::authentication_level;
    if (state_ == state::closed) return fail(closed_with_);
    if (shutdown_) return fail(errc::association_closed);
    refusal_.clear();
    advice_.clear();
    if (!request.context || request.level < level::connect || request.level > level::privacy)
        return fail(errc::bad_setting);
    if (security_.size() >= limits::client_security_contexts_max) {
        refusal_ = "a client builds no more security contexts on one connection";
        return fail(errc::too_many);
    }
    if (state_ == state::bound && !security_.empty() && !several_security_contexts_)
        return fail(errc::security_not_supported);
    if (header_signing_ && !request.context->can_sign_headers())
        return fail(errc::security_not_supported);
    auto made = std::make_unique<security_entry>();
    made->slot = {.id = static_cast<std::uint32_t>(security_.size() + 1),
                  .provider = request.provider,
                  .level = auth::upgraded(request.level),
                  .context = std::move(request.context)};
    auto token = made->slot.context->step({});
    if (!token) {
        refusal_ = made->slot.context->detail();
        advice_ = made->slot.context->next_step();
        return fail(token.error());
    }
    if (token->size() > limits::auth_token_bytes_max) return fail(errc::too_large);
    made->token = std::move(*token);
    made->may_go_with_bind = request.may_go_with_bind;
    security_.push_back(std::move(made));
    return security_.back()->slot.id;
}

RPCH_DECL void client_association::cancel(std::uint32_t call_id, client_event_list& out) {
    call* c = calls_.find(call_id);
    if (c == nullptr || c->abandoned) return;
    if (c->at == call_state::waiting || c->at == call_state::queued) {
        report(*c,
               {.call_id = call_id,
                .error = errc::call_cancelled,
                .did_not_execute = true,
                .detail = "cancelled before it was sent"},
               out);
        return finish(*c);
    }
    queue_notice(call_id, pdu_type::co_cancel);
}

RPCH_DECL void client_association::abandon(std::uint32_t call_id, client_event_list& out) {
    call* c = calls_.find(call_id);
    if (c == nullptr || c->abandoned) return;
    if (c->at == call_state::waiting || c->at == call_state::queued) return cancel(call_id, out);
    report(*c, {.call_id = call_id, .error = errc::call_cancelled, .detail = "abandoned"}, out);
    if (keeps_on_orphan_) {
        queue_notice(call_id, pdu_type::orphaned);
        return finish(*c);
    }
    // Without the agreement an orphaned would oblige us to close the connection under the other
    // calls.
    queue_notice(call_id, pdu_type::co_cancel);
    c->abandoned = true;
}

RPCH_DECL void client_association::close(std::error_code why, client_event_list& out) {
    if (state_ == state::closed) return;
    state_ = state::closed;
    closed_with_ = why;
    for (std::size_t i = 0; i < contexts_.size(); ++i) {
        context& x = contexts_[i];
        if (x.at != context_state::queued && x.at != context_state::asked) continue;
        x.at = context_state::refused;
        out.emplace_back(context_ready{static_cast<std::uint16_t>(i), why, closed_detail_});
    }
    handshake_ = nullptr;
    for (const auto& s : security_) {
        if (s->at == security_state::ready || s->at == security_state::failed) continue;
        s->at = security_state::failed;
        out.emplace_back(security_ready{s->slot.id, why, closed_detail_});
    }
    calls_.for_each([&](const call& c) {
        // A request that did not leave as a whole cannot have been executed.
        report(c,
               {.call_id = c.id,
                .error = why,
                .did_not_execute = c.at != call_state::sent,
                .detail = closed_detail_},
               out);
    });
    calls_.clear();
    ready_.clear();
    control_.clear();
    negotiation_.reset();
}

// Input.

RPCH_DECL std::error_code client_association::on_pdu(byte_view pdu, client_event_list& out) {
    if (state_ == state::closed) return closed_with_;
    refusal_.clear();
    advice_.clear();
    const std::error_code ec = dispatch(pdu, out);
    if (ec) close(ec, out);
    return ec;
}

RPCH_DECL std::error_code client_association::dispatch(byte_view pdu, client_event_list& out) {
    const auto h = decode_common_header(pdu);
    if (!h) return h.error();
    // Measured by what we offered, not by what a server that proposes less made of it: our buffers
    // are as large as our offer. Tokens of a handshake have a limit of their own.
    const bool is_of_call = h->type == pdu_type::response || h->type == pdu_type::fault;
    if (is_of_call && state_ == state::bound && h->frag_length > recv_frag_)
        return errc::bad_frag_length;
    switch (h->type) {
    case pdu_type::response: return on_response(pdu, out);
    case pdu_type::fault: return on_fault(pdu, out);
    case pdu_type::bind_ack:
    case pdu_type::alter_context_resp: return on_bind_ack(pdu, *h, out);
    case pdu_type::bind_nak: return on_bind_nak(pdu);
    case pdu_type::shutdown: {
        const auto p = decode_shutdown(pdu);
        if (!p) return p.error();
        if (!std::exchange(shutdown_, true)) out.emplace_back(shutdown_requested{});
        return {};
    }
    case pdu_type::request:
    case pdu_type::bind:
    case pdu_type::alter_context:
    case pdu_type::auth3:
    case pdu_type::co_cancel:
    case pdu_type::orphaned:
    case pdu_type::rts: break;
    }
    return errc::unexpected_pdu;
}

RPCH_DECL std::error_code client_association::on_bind_ack(byte_view pdu, const common_header& h,
                                                          client_event_list& out) {
    const bool first = state_ == state::unbound;
    if (!negotiation_ || first != (h.type == pdu_type::bind_ack)) return errc::unexpected_pdu;
    const auto ack = decode_bind_ack(pdu, h.type);
    if (!ack) return ack.error();
    if (h.call_id != negotiation_->call_id) return errc::bad_call_id;
    const negotiation asked = *std::exchange(negotiation_, {});
    if (ack->results.size() > asked.count + asked.repeated + (asked.with_features ? 1 : 0))
        return errc::bad_value;
    if (asked.offers_header_signing && (h.flags & pfc::support_header_sign) != 0)
        header_signing_ = true;

    if (first) { // an alter_context changes none of these, [MS-RPCE] 3.3.1.5.2
        state_ = state::bound;
        xmit_frag_ = detail::usable_fragment(std::min(recv_frag_, ack->max_recv_frag));
        assoc_group_id_ = ack->assoc_group_id;
        secondary_address_ = ack->secondary_address;
        multiplexed_ = (h.flags & pfc::concurrent_multiplexing) != 0;
    }
    if (asked.with_features && ack->results.size() > asked.count &&
        ack->results.back().answer == context_answer::negotiate_ack) {
        const auto agreed = ack->results.back().reason;
        keeps_on_orphan_ = (agreed & bind_feature::keep_connection_on_orphan) != 0;
        several_security_contexts_ = (agreed & bind_feature::security_context_multiplexing) != 0;
    }

    for (std::size_t i = 0; i < asked.count; ++i) {
        const std::size_t id = asked.first_context + i;
        // A server that understands one context a bind answers only that one.
        const char* why = "bind_ack: no result for this context";
        if (i < ack->results.size()) why = refusal_of(ack->results[i], contexts_[id]);
        settle(id, why == nullptr ? std::error_code{} : errc::context_refused, why, out);
    }
    if (asked.security != nullptr) return on_token(*asked.security, *ack, out);
    return {};
}

/// Takes the server's answer to a leg. What goes wrong here ends the connection: the peer is not
/// whom the mechanism says it must be.
RPCH_DECL std::error_code client_association::on_token(security_entry& s, const bind_ack& ack,
                                                       client_event_list& out) {
    auth::security_context& mechanism = *s.slot.context;
    if (!ack.auth && mechanism.is_established()) return secured(s, out);
    if (!ack.auth || !s.slot.matches(*ack.auth)) return errc::security_downgrade;
    auto token = mechanism.step(ack.auth->token);
    if (!token) {
        refusal_ = mechanism.detail();
        advice_ = mechanism.next_step();
        closed_detail_ = refusal_.c_str();
        return token.error();
    }
    if (token->size() > limits::auth_token_bytes_max) return errc::too_large;
    if (token->empty())
        return mechanism.is_established() ? secured(s, out) : errc::bad_security_token;
    if (!mechanism.is_established()) {
        s.token = std::move(*token);
        s.is_later_leg = true;
        s.at = security_state::queued;
        return {};
    }
    // The last leg is ours, and nothing answers it: what the server thinks of it shows with the
    // first call.
    queue_auth3(s, *token, ack.header.call_id);
    return secured(s, out);
}

RPCH_DECL std::error_code client_association::secured(security_entry& s, client_event_list& out) {
    if (s.slot.signs()) {
        if (options_.require_header_signing && !s.slot.signs_headers(header_signing_))
            return errc::security_downgrade;
        if (s.slot.context->signature_bytes(s.slot.seals()) > limits::signature_bytes_max)
            return errc::authentication_failed;
    }
    s.at = security_state::ready;
    handshake_ = nullptr;
    out.emplace_back(security_ready{s.slot.id, {}, ""});
    if (!several_security_contexts_)
        for (const auto& other : security_)
            if (other->at == security_state::queued)
                fail_security(*other, errc::security_not_supported,
                              "the server takes one security context on a connection", out);
    for (const std::uint32_t id : std::exchange(s.waiting, {}))
        if (call* c = calls_.find(id)) place(*c, out);
    return {};
}

RPCH_DECL void client_association::fail_security(security_entry& s, std::error_code error,
                                                 const char* why, client_event_list& out) {
    s.at = security_state::failed;
    if (handshake_ == &s) handshake_ = nullptr;
    out.emplace_back(security_ready{s.slot.id, error, why});
    for (const std::uint32_t id : std::exchange(s.waiting, {})) {
        call* c = calls_.find(id);
        if (c == nullptr) continue; // cancelled meanwhile
        report(*c, {.call_id = id, .error = error, .did_not_execute = true, .detail = why}, out);
        finish(*c);
    }
}

/// Queues a call for sending, or behind the context it needs first.
RPCH_DECL void client_association::place(call& c, client_event_list& out) {
    context& on = contexts_[c.options.context];
    if (on.at != context_state::ready) return on.waiting.push_back(c.id);
    if (c.options.security != 0) {
        security_entry& s = *find_security(c.options.security);
        if (s.at == security_state::failed) { // while the call waited for its context
            report(c,
                   {.call_id = c.id,
                    .error = errc::authentication_failed,
                    .did_not_execute = true,
                    .detail = "its security context failed"},
                   out);
            return finish(c);
        }
        if (s.at != security_state::ready) return s.waiting.push_back(c.id);
        add_trailer(c, s);
    }
    c.at = call_state::queued;
    ready_.push(c.id);
}

/// Says once what the server must believe of the connection, and with each call what no signature
/// covers without header signing.
RPCH_DECL void client_association::add_trailer(call& c, security_entry& s) {
    if (!options_.verification_trailers || !s.slot.signs()) return;
    verification_trailer t;
    if (!s.told_header_signing)
        t.supports_header_signing = options_.header_signing && s.slot.context->can_sign_headers();
    const std::uint16_t number = c.options.context;
    if (!s.has_told(number)) {
        const context& on = contexts_[number];
        t.context = verification_trailer::pcontext{on.interface, on.transfer_syntax};
    }
    if (!s.slot.signs_headers(header_signing_))
        t.header =
            verification_trailer::header2{core::byte_order::little, c.id, number, c.options.opnum};
    if (t.supports_header_signing || t.context || t.header) append(c.stub, t);
}

RPCH_DECL client_association::security_entry*
client_association::find_security(std::uint32_t id) noexcept {
    return id == 0 || id > security_.size() ? nullptr : security_[id - 1].get();
}
RPCH_DECL const client_association::security_entry*
client_association::find_security(std::uint32_t id) const noexcept {
    return id == 0 || id > security_.size() ? nullptr : security_[id - 1].get();
}
RPCH_DECL const auth::security_context*
client_association::security(std::uint32_t id) const noexcept {
    const security_entry* s = find_security(id);
    return s != nullptr && s->at == security_state::ready ? s->slot.context.get() : nullptr;
}
RPCH_DECL bool client_association::is_signed(const call& c) const noexcept {
    return c.options.security != 0 && find_security(c.options.security)->slot.signs();
}

/// Verifies what a PDU of a call carries, and unseals its stub data. Done for every PDU, also for
/// those of calls that were given up: mechanisms count.
/// @param security  set to the security context of the PDU; 0 without.
/// @param stub      its stub data; changed to what was sealed.
RPCH_DECL std::error_code client_association::open(byte_view pdu,
                                                   const std::optional<sec_trailer>& auth,
                                                   std::size_t body_at, std::uint32_t& security,
                                                   byte_view& stub) {
    security = 0;
    if (!auth) return {};
    security_entry* s = find_security(auth->context_id);
    if (s == nullptr || s->at != security_state::ready || !s->slot.matches(*auth))
        return errc::security_downgrade;
    security = s->slot.id;
    if (!s->slot.signs()) return {}; // level connect: some mechanisms fill in a token all the same
    const auto opened = detail::unprotect(s->slot, header_signing_, pdu, *auth, body_at, unsealed_);
    if (!opened) return opened.error();
    stub = *opened;
    return {};
}

RPCH_DECL const char* client_association::refusal_of(const context_result& r,
                                                     const context& asked) noexcept {
    if (r.answer == context_answer::acceptance)
        return r.transfer_syntax == asked.transfer_syntax ? nullptr
                                                          : "accepted with another transfer syntax";
    if (r.answer != context_answer::provider_rejection) return "user_rejection";
    switch (static_cast<provider_reason>(r.reason)) {
    case provider_reason::abstract_syntax_not_supported: return "abstract_syntax_not_supported";
    case provider_reason::transfer_syntaxes_not_supported:
        return "proposed_transfer_syntaxes_not_supported";
    case provider_reason::local_limit_exceeded: return "local_limit_exceeded";
    case provider_reason::not_specified: break;
    }
    return "reason_not_specified";
}

RPCH_DECL std::error_code client_association::on_bind_nak(byte_view pdu) {
    if (!negotiation_ || state_ != state::unbound) return errc::unexpected_pdu;
    const auto nak = decode_bind_nak(pdu);
    if (!nak) return nak.error();
    if (nak->header.call_id != negotiation_->call_id) return errc::bad_call_id;
    closed_detail_ = name(nak->reason);
    return errc::bind_refused;
}

RPCH_DECL std::error_code client_association::on_response(byte_view pdu, client_event_list& out) {
    const auto r = decode_response(pdu);
    if (!r) return r.error();
    const common_header& h = r->header;
    std::uint32_t security = 0;
    byte_view stub = r->stub;
    if (const auto ec = open(pdu, r->auth, response_header_bytes, security, stub)) return ec;
    call* c = calls_.find(h.call_id);
    if (c == nullptr) return unknown_call(h.call_id);
    if (c->at != call_state::sent) return errc::unexpected_pdu;
    if (security != c->options.security && (security != 0 || is_signed(*c)))
        return errc::security_downgrade;
    if (is_signed(*c)) { // the server has read what the trailer of the request said
        security_entry& s = *find_security(security);
        s.told_header_signing = true;
        if (!s.has_told(c->options.context)) s.told_contexts.push_back(c->options.context);
    }
    if (!c->abandoned) {
        const auto ec = c->answer.add(h, r->context_id, r->alloc_hint, stub, budget_);
        if (ec) return ec;
        if (!h.is_last()) return {};
        out.emplace_back(call_completed{h.call_id, h.order, c->answer.take(budget_)});
    }
    if (h.is_last()) finish(*c);
    return {};
}

RPCH_DECL std::error_code client_association::on_fault(byte_view pdu, client_event_list& out) {
    const auto f = decode_fault(pdu);
    if (!f) return f.error();
    // [MS-RPCE] 3.3.3.5.1 takes the error from `status` even where [C706] looks into the stub for
    // it.
    const std::error_code error = f->status == rpc_status::ok ? make_error_code(errc::call_fault)
                                                              : make_error_code(f->status);
    std::uint32_t security = 0;
    byte_view unused;
    if (const auto ec = open(pdu, f->auth, fault_bytes, security, unused)) return ec;
    const std::uint32_t id = f->header.call_id;
    if (negotiation_ && negotiation_->call_id == id) { // Windows refuses an alter_context so
        const negotiation asked = *std::exchange(negotiation_, {});
        for (std::size_t i = 0; i < asked.count; ++i)
            settle(asked.first_context + i, error, "fault", out);
        if (asked.security != nullptr) fail_security(*asked.security, error, "fault", out);
        return {};
    }
    call* c = calls_.find(id);
    if (c == nullptr) return unknown_call(id);
    if (c->at == call_state::waiting || c->at == call_state::queued) return errc::unexpected_pdu;
    // No peer signs faults. Whoever can forge one can end the connection as well, but must not make
    // the caller repeat a call that was executed.
    const bool can_trust = security == c->options.security || !is_signed(*c);
    report(*c,
           {.call_id = id,
            .error = error,
            .did_not_execute = can_trust && (f->header.flags & pfc::did_not_execute) != 0,
            .detail = "fault"},
           out);
    finish(*c);
    return {};
}

/// What arrives for a call that was given up or cancelled may cross our notice and is ignored; for
/// a call that never was, the peer is confused.
RPCH_DECL std::error_code client_association::unknown_call(std::uint32_t call_id) const noexcept {
    return call_id == 0 || call_id > ids_given_ ? errc::bad_call_id : std::error_code{};
}

/// Tells the answer for a context, and lets the calls go on that waited for it.
RPCH_DECL void client_association::settle(std::size_t context_id, std::error_code error,
                                          const char* why, client_event_list& out) {
    context& x = contexts_[context_id];
    x.at = error ? context_state::refused : context_state::ready;
    const char* told = why == nullptr ? "" : why;
    out.emplace_back(context_ready{static_cast<std::uint16_t>(context_id), error, told});
    for (const std::uint32_t id : std::exchange(x.waiting, {})) {
        call* c = calls_.find(id);
        if (c == nullptr) continue; // cancelled meanwhile
        if (!error) {
            place(*c, out);
            continue;
        }
        report(*c, {.call_id = id, .error = error, .did_not_execute = true, .detail = told}, out);
        finish(*c);
    }
}

/// Appends the failure of a call whose owner still wants to know.
RPCH_DECL void client_association::report(const call& c, const call_failed& failure,
                                          client_event_list& out) {
    if (!c.abandoned && !c.options.maybe) out.emplace_back(failure);
}

/// Forgets a call.
RPCH_DECL void client_association::finish(call& c) {
    if (c.at == call_state::queued || c.at == call_state::sending) ready_.remove(c.id);
    if (c.at == call_state::sending || c.at == call_state::sent) --in_flight_;
    static_cast<void>(c.answer.take(budget_));
    calls_.erase(c.id);
}

// Output.

RPCH_DECL bool client_association::has_output() const noexcept {
    if (output_error_) return false;
    return !control_.empty() || negotiation_due() || next_call() != nullptr;
}

RPCH_DECL std::size_t client_association::next_output_size() const {
    if (output_error_) return 0;
    if (!control_.empty()) return control_.front_size();
    if (negotiation_due()) return encoded_size(next_negotiation());
    const call* c = next_call();
    return c == nullptr ? 0 : encoded_size(next_fragment(*c));
}

RPCH_DECL std::size_t client_association::write_output(byte_span out) {
    if (output_error_) return 0;
    if (!control_.empty()) return control_.pop(out);
    if (negotiation_due()) return write_negotiation(out);
    const call* next = next_call();
    if (next == nullptr) return 0;
    const request fragment = next_fragment(*next);
    const std::size_t n = encode_request(fragment, out);
    if (n == 0) return 0;
    call& c = *calls_.find(next->id);
    if (fragment.auth) {
        const std::size_t head = request_header_bytes + (fragment.object ? object_uuid_bytes : 0);
        detail::security_slot& slot = find_security(c.options.security)->slot;
        output_error_ = detail::protect(slot, header_signing_, out.first(n), head);
        if (output_error_) {
            refusal_ = slot.context->detail();
            advice_ = slot.context->next_step();
            return 0;
        }
    }
    if (c.at == call_state::queued) {
        c.at = call_state::sending;
        ++in_flight_;
    }
    c.sent += fragment.stub.size();
    if (fragment.header.is_last()) {
        ready_.pop();
        c.at = call_state::sent;
        c.stub = {};
        if (c.options.maybe) finish(c);
    }
    return n;
}

/// A bind or alter_context goes out between calls, never between the fragments of one: peers that
/// reassemble by order of arrival take it for a broken request.
RPCH_DECL bool client_association::negotiation_due() const noexcept {
    if (state_ == state::closed || negotiation_) return false;
    const bool has_contexts = contexts_asked_ != contexts_.size();
    if (state_ == state::unbound) return has_contexts;
    if (!has_contexts && next_leg() == nullptr) return false;
    if (!multiplexed_) return in_flight_ == 0;
    return ready_.empty() || calls_.find(ready_.front())->at != call_state::sending;
}

/// @return whose token goes out next: one handshake at a time, and none beside it.
RPCH_DECL client_association::security_entry* client_association::next_leg() const noexcept {
    if (handshake_ != nullptr)
        return handshake_->at == security_state::queued ? handshake_ : nullptr;
    if (state_ == state::unbound && !security_.empty() && !security_.front()->may_go_with_bind)
        return nullptr;
    // Handshakes are made in order, so the next is behind those that are over; the first one that
    // is not over is looked for from the end, for it is one of the last.
    security_entry* next = nullptr;
    for (auto s = security_.rbegin(); s != security_.rend(); ++s) {
        if ((*s)->at != security_state::queued) break;
        next = s->get();
    }
    return next;
}

RPCH_DECL bind client_association::next_negotiation() const {
    // All of it must fit the smallest fragment that every server can receive.
    constexpr std::size_t contexts_at_once = 30;
    bind p;
    p.header.call_id = next_call_id();
    p.header.flags = pfc::first_frag | pfc::last_frag;
    p.max_xmit_frag = recv_frag_;
    p.max_recv_frag = recv_frag_;
    p.assoc_group_id = state_ == state::bound ? assoc_group_id_ : options_.assoc_group_id;
    std::size_t begin = contexts_asked_;
    std::size_t end = std::min(contexts_.size(), contexts_asked_ + contexts_at_once);
    if (const security_entry* s = next_leg()) {
        p.auth = s->slot.trailer(s->token);
        if (s->is_later_leg) {
            begin = s->first_context;
            end = begin + s->context_count;
        } else if (begin == end) {
            begin = 0; // an alter_context has at least one
            end = 1;
        }
        if (options_.header_signing && s->slot.signs() && s->slot.context->can_sign_headers())
            p.header.flags |= pfc::support_header_sign;
    }
    for (std::size_t i = begin; i < end; ++i)
        p.contexts.push_back({.id = static_cast<std::uint16_t>(i),
                              .interface = contexts_[i].interface,
                              .transfer_syntaxes = {contexts_[i].transfer_syntax}});
    if (state_ == state::bound) return p;
    p.header.flags |= pfc::concurrent_multiplexing;
    if (options_.negotiate_features) // [MS-RPCE] 3.3.1.5.3: the abstract syntax of the one before
        p.contexts.push_back(
            {.id = static_cast<std::uint16_t>(options_.limits.contexts_max),
             .interface = p.contexts.back().interface,
             .transfer_syntaxes = {feature_syntax(bind_feature::keep_connection_on_orphan |
                                                  bind_feature::security_context_multiplexing)}});
    return p;
}

RPCH_DECL std::size_t client_association::write_negotiation(byte_span out) {
    const bind p = next_negotiation();
    const bool first = state_ == state::unbound;
    const std::size_t n = encode_bind(p, out, first ? pdu_type::bind : pdu_type::alter_context);
    if (n == 0) return 0;
    negotiation asked;
    asked.call_id = new_call_id();
    asked.first_context = contexts_asked_;
    asked.with_features = first && options_.negotiate_features;
    asked.offers_header_signing = (p.header.flags & pfc::support_header_sign) != 0;
    asked.security = next_leg();
    const std::size_t sent = p.contexts.size() - (asked.with_features ? 1 : 0);
    const bool repeats = p.contexts.front().id < contexts_asked_;
    (repeats ? asked.repeated : asked.count) = sent;
    if (security_entry* s = asked.security) {
        if (!s->is_later_leg) {
            s->first_context = p.contexts.front().id;
            s->context_count = sent;
        }
        s->at = security_state::asked;
        s->token.clear();
        handshake_ = s;
    }
    for (std::size_t i = 0; i < asked.count; ++i)
        contexts_[asked.first_context + i].at = context_state::asked;
    contexts_asked_ += asked.count;
    negotiation_ = asked;
    return n;
}

RPCH_DECL const client_association::call* client_association::next_call() const noexcept {
    if (state_ != state::bound || ready_.empty()) return nullptr;
    const call* c = calls_.find(ready_.front());
    // Without concurrent multiplexing one exchange at a time uses the connection, [C706] 12.6.3.1.
    const bool busy = !multiplexed_ && (in_flight_ != 0 || negotiation_);
    // Windows takes a request between the legs of a handshake for a protocol error.
    return c->at == call_state::queued && (busy || handshake_ != nullptr) ? nullptr : c;
}

RPCH_DECL request client_association::next_fragment(const call& c) const noexcept {
    request r;
    const std::size_t left = c.stub.size() - c.sent;
    const std::size_t head = request_header_bytes + (c.options.object ? object_uuid_bytes : 0);
    const security_entry* s = find_security(c.options.security);
    const detail::security_slot* slot = s == nullptr ? nullptr : &s->slot;
    const std::size_t share = detail::protected_share(left, xmit_frag_, head, slot);
    r.header.call_id = c.id;
    if (c.sent == 0) r.header.flags |= pfc::first_frag;
    if (share == left) r.header.flags |= pfc::last_frag;
    if (c.options.maybe) r.header.flags |= pfc::maybe;
    r.alloc_hint = detail::to_alloc_hint(left);
    r.context_id = c.options.context;
    r.opnum = c.options.opnum;
    r.object = c.options.object;
    r.stub = byte_view(c.stub).subspan(c.sent, share);
    r.auth = detail::unsigned_trailer(slot);
    return r;
}

/// @param call_id  of the PDU whose answer it follows, [MS-RPCE] 2.2.2.10.
RPCH_DECL void client_association::queue_auth3(const security_entry& s, byte_view token,
                                               std::uint32_t call_id) {
    auth3 p;
    p.header.call_id = call_id;
    p.header.flags = pfc::first_frag | pfc::last_frag;
    p.auth = s.slot.trailer(token);
    static_cast<void>(encode_auth3(p, control_.append(encoded_size(p))));
}

RPCH_DECL void client_association::queue_notice(std::uint32_t call_id, pdu_type type) {
    call_notice p;
    p.header.call_id = call_id;
    p.header.flags = pfc::first_frag | pfc::last_frag;
    static_cast<void>(encode_call_notice(p, type, control_.append(encoded_size(p))));
}

/// @return the id after the last one that is not 0 and not in use; ids come again after 2^32 of
/// them.
RPCH_DECL std::uint32_t client_association::next_call_id() const noexcept {
    auto id = static_cast<std::uint32_t>(ids_given_);
    do ++id;
    while (id == 0 || calls_.find(id) != nullptr);
    return id;
}
RPCH_DECL std::uint32_t client_association::new_call_id() noexcept {
    const std::uint32_t id = next_call_id();
    // The distance counts also across the wrap, so that ids_given_ never falls back.
    ids_given_ += static_cast<std::uint32_t>(id - static_cast<std::uint32_t>(ids_given_));
    return id;
}

} // namespace rpch::inline RPCH_ABI::dcerpc
