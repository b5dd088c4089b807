#include <rpch/dcerpc/server_association.hpp>

#include <algorithm>
#include <utility>

#include <rpch/dcerpc/detail/fragment_size.hpp>
#include <rpch/dcerpc/verification_trailer.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

RPCH_DECL server_association::server_association(std::span<const offered_interface> offered,
                                                 association_groups& groups,
                                                 const server_association_options& options)
    : offered_(offered),
      groups_(groups),
      options_(options),
      budget_{options.limits.call_bytes_max, options.limits.reassembly_bytes_max},
      xmit_frag_(detail::usable_fragment(options.limits.fragment_bytes)),
      recv_frag_(xmit_frag_) {}

RPCH_DECL server_association::~server_association() { groups_.leave(assoc_group_id_); }

// Commands.

RPCH_DECL std::error_code server_association::respond(std::uint32_t call_id,
                                                      std::vector<std::byte> stub) {
    const auto found = answerable(call_id);
    if (!found) return found.error();
    call& c = **found;
    if (c.orphaned || c.maybe) {
        calls_.erase(call_id);
        return {};
    }
    if (stub.size() > options_.limits.call_bytes_max) {
        static_cast<void>(fault(call_id, rpc_status::nca_out_args_too_big));
        return errc::too_large;
    }
    c.answer = std::move(stub);
    c.held.add(c.answer.size());
    answer_bytes_ += c.answer.size();
    c.at = call_state::answering;
    ready_.push(call_id);
    return {};
}

RPCH_DECL std::error_code server_association::fault(std::uint32_t call_id, rpc_status status,
                                                    bool did_not_execute) {
    const auto found = answerable(call_id);
    if (!found) return found.error();
    const call& c = **found;
    if (!c.orphaned && !c.maybe)
        queue_fault(call_id, c.context_id, status, did_not_execute, c.cancels);
    calls_.erase(call_id);
    return {};
}

RPCH_DECL void server_association::request_shutdown() {
    if (state_ != state::bound) return;
    shutdown p;
    p.header.flags = pfc::first_frag | pfc::last_frag;
    static_cast<void>(encode_shutdown(p, control_.append(encoded_size(p))));
}

RPCH_DECL void server_association::close(std::error_code why) {
    end(why);
    control_.clear();
}

/// Ends the machine, but for the PDUs that tell the client why.
RPCH_DECL void server_association::end(std::error_code why) {
    if (state_ == state::closed) return;
    state_ = state::closed;
    closed_with_ = why;
    calls_.clear();
    arriving_.reset();
    answer_bytes_ = 0;
    ready_.clear();
    contexts_.clear();
    groups_.leave(std::exchange(assoc_group_id_, 0));
}

// Input.

RPCH_DECL std::error_code server_association::on_pdu(byte_view pdu, server_event_list& out) {
    if (state_ == state::closed) return closed_with_;
    const std::error_code ec = control_.size() > options_.limits.control_bytes_max
                                   ? make_error_code(errc::too_large)
                                   : dispatch(pdu, out);
    if (ec) end(ec);
    return ec;
}

RPCH_DECL std::error_code server_association::dispatch(byte_view pdu, server_event_list& out) {
    const auto h = decode_common_header(pdu);
    if (!h) {
        if (h.error() == errc::bad_version && pdu.size() >= common_header_bytes &&
            peek_type(pdu) == pdu_type::bind) // a later protocol version, to be told ours
            return refuse_bind({}, bind_reject_reason::protocol_version_not_supported, h.error());
        return h.error();
    }
    // Measured by what we offered, not by what a client that proposes less made of it: our buffers
    // are as large as our offer, and Windows accepts the same. Tokens have a limit of their own.
    if (h->type == pdu_type::request && state_ == state::bound && h->frag_length > recv_frag_)
        return refuse(*h, 0, rpc_status::nca_proto_error, errc::bad_frag_length, false);
    switch (h->type) {
    case pdu_type::request: return on_request(pdu, *h, out);
    case pdu_type::bind: return on_bind(pdu, *h);
    case pdu_type::alter_context: return on_alter_context(pdu, *h);
    case pdu_type::co_cancel:
    case pdu_type::orphaned: return on_notice(pdu, *h, out);
    case pdu_type::auth3: return on_auth3(pdu, *h);
    case pdu_type::response:
    case pdu_type::fault:
    case pdu_type::bind_ack:
    case pdu_type::bind_nak:
    case pdu_type::alter_context_resp:
    case pdu_type::shutdown:
    case pdu_type::rts: break;
    }
    return errc::unexpected_pdu;
}

RPCH_DECL std::error_code server_association::on_request(byte_view pdu, const common_header& h,
                                                         server_event_list& out) {
    if (state_ != state::bound)
        return refuse(h, 0, rpc_status::nca_proto_error, errc::unexpected_pdu);
    if (handshake_ != nullptr)
        return refuse(h, 0, rpc_status::nca_proto_error, errc::unexpected_pdu);
    auto r = decode_request(pdu);
    if (!r) return refuse(h, 0, rpc_status::nca_proto_error, r.error());
    if (arriving_ && (h.is_first() || arriving_ != h.call_id)) return refuse_mixed(*r);
    if (call* c = calls_.find(h.call_id)) {
        // Only the first fragment says who speaks and of what; what later ones say is not looked
        // at, but their signatures must be of the same security context.
        r->context_id = c->context_id;
        if (const auto ec = open(c->security, pdu, *r)) return ec;
        return take_fragment(*c, *r, out);
    }
    if (h.is_first()) return on_first_fragment(pdu, *r, out);
    if (refused_call_ != h.call_id) return refuse_stray(*r);
    if (const auto ec = open(refused_security_, pdu, *r)) return ec;
    if (h.is_last()) refused_call_.reset();
    return {};
}

/// Refuses a fragment that comes between those of another call, or begins its own call again. The
/// requests of a connection arrive one after the other, whether calls are multiplexed or not; who
/// is named in the fault does depend on it.
RPCH_DECL std::error_code server_association::refuse_mixed(const request& r) {
    const call& c = *calls_.find(*arriving_);
    if (r.header.call_id != c.id && multiplexed_)
        return refuse(r.header, 0, rpc_status::nca_proto_error, errc::fragment_order, false);
    const security_entry* s = r.auth ? find_security(r.auth->context_id) : nullptr;
    const bool is_of_another =
        r.header.call_id == c.id && r.context_id == c.context_id && s != nullptr && s != c.security;
    queue_fault(c.id, c.context_id,
                is_of_another ? rpc_status::sec_pkg_error : rpc_status::nca_proto_error, false, 0);
    return errc::fragment_order;
}

/// Answers a fragment of a call that has not begun.
RPCH_DECL std::error_code server_association::refuse_stray(const request& r) {
    const common_header& h = r.header;
    if (!multiplexed_)
        return refuse(h, 0, rpc_status::nca_proto_error, errc::fragment_order, false);
    if (find_context(r.context_id) == nullptr) {
        queue_fault(h.call_id, 0, rpc_status::nca_unk_if, true, 0);
        return {};
    }
    const security_entry* s = r.auth ? find_security(r.auth->context_id) : default_security_;
    if (!is_admitted(r, s))
        return refuse(h, r.context_id, rpc_status::access_denied, errc::security_downgrade, false);
    return refuse(h, r.context_id, rpc_status::nca_proto_error, errc::fragment_order, false);
}

/// @return whether a call may begin in this security context. A verifier must be one of a context
/// that was made; without one a call is as good as the bind, unless that promised signatures.
RPCH_DECL bool server_association::is_admitted(const request& r,
                                               const security_entry* s) const noexcept {
    const bool is_ready = s != nullptr && s->at == security_state::ready;
    return r.auth ? is_ready && s->slot.matches(*r.auth)
                  : s == nullptr || (is_ready && !s->slot.signs());
}

/// Verifies a fragment by the security context of its call, and unseals its stub data. Mechanisms
/// count, so it is done for what is dropped, too. A verifier must be in its place at any level.
RPCH_DECL std::error_code server_association::open(security_entry* s, byte_view pdu, request& r) {
    if (r.auth && !detail::has_aligned_verifier(r.header))
        return refuse(r.header, r.context_id, rpc_status::nca_proto_error, errc::bad_auth_length,
                      false);
    const bool is_signed = s != nullptr && s->slot.signs();
    if (!is_signed) return {}; // level connect: a verifier proves nothing
    if (!r.auth)
        return refuse(r.header, r.context_id, rpc_status::nca_proto_error, errc::security_downgrade,
                      false);
    const std::size_t head = request_header_bytes + (r.object ? object_uuid_bytes : 0);
    const auto stub = detail::unprotect(s->slot, header_signing_, pdu, *r.auth, head, unsealed_);
    if (!stub)
        return refuse(r.header, r.context_id, rpc_status::sec_pkg_error, stub.error(), false);
    r.stub = *stub;
    return {};
}

RPCH_DECL std::error_code server_association::on_first_fragment(byte_view pdu, request& r,
                                                                server_event_list& out) {
    using level = auth::authentication_level;
    const common_header& h = r.header;
    if ((h.flags & pfc::pending_cancel) != 0) // nothing has begun that could be cancelled
        return refuse(h, 0, rpc_status::no_call_active, errc::unexpected_pdu);
    security_entry* s = r.auth ? find_security(r.auth->context_id) : default_security_;
    if (!is_admitted(r, s))
        return refuse(h, r.context_id, rpc_status::access_denied, errc::security_downgrade, false);
    if (const auto ec = open(s, pdu, r)) return ec;

    const context* on = find_context(r.context_id);
    const bool busy = calls_.size() >= options_.limits.calls_max;
    const level has = s == nullptr ? level::none : s->slot.level;
    const bool is_weak = on != nullptr && (has < offered_[on->interface].minimum_level ||
                                           (options_.require_header_signing && auth::signs(has) &&
                                            !s->slot.signs_headers(header_signing_)));
    if (on == nullptr || busy || is_weak) {
        const auto status = on == nullptr ? rpc_status::nca_unk_if
                            : busy        ? rpc_status::nca_server_too_busy
                                          : rpc_status::access_denied;
        refuse_unexecuted(h, (h.flags & pfc::maybe) != 0, s, status);
        if (is_weak && !std::exchange(told_weak_, true)) // once: calls are many
            refusal_ = "a call at level " + std::string(name(has)) + " was refused, " +
                       std::string(name(auth::upgraded(offered_[on->interface].minimum_level))) +
                       (options_.require_header_signing ? " and header signing are" : " is") +
                       " demanded";
        return {};
    }
    call& c = calls_.insert(h.call_id);
    c.context_id = r.context_id;
    c.interface = on->interface;
    c.transfer_syntax = on->transfer_syntax;
    c.opnum = r.opnum;
    c.object = r.object;
    c.maybe = (h.flags & pfc::maybe) != 0;
    c.security = s;
    c.held = detail::held_stubs(offered_[on->interface].budget);
    arriving_ = c.id;
    return take_fragment(c, r, out);
}

/// Takes a fragment that was opened. Context and operation are those of the first fragment, as
/// Windows has it; a signed header of a later one that says otherwise changes nothing.
RPCH_DECL std::error_code server_association::take_fragment(call& c, const request& r,
                                                            server_event_list& out) {
    const common_header& h = r.header;
    const auto broken = [&] {
        return refuse(h, c.context_id, rpc_status::nca_proto_error, errc::fragment_order, false);
    };
    if (c.at != call_state::receiving) return broken();
    // Only the first fragment need tell the object; where later ones do, it is the same.
    if (r.object && r.object != c.object) return broken();
    if (!c.held.try_add(r.stub.size())) {
        refuse_unexecuted(h, c.maybe, c.security, rpc_status::nca_server_too_busy);
        arriving_.reset();
        static_cast<void>(c.arguments.take(budget_));
        calls_.erase(c.id);
        return {};
    }
    // What is announced counts like what has come; a whole request announces nothing.
    const std::size_t room = budget_.call_bytes_max - c.arguments.size();
    const auto ec = !h.is_last() && r.alloc_hint > room
                        ? make_error_code(errc::too_large)
                        : c.arguments.add(h, c.context_id, r.alloc_hint, r.stub, budget_);
    if (ec == errc::too_large) return refuse(h, c.context_id, rpc_status::access_denied, ec, false);
    if (ec) return broken();
    if ((h.flags & pfc::pending_cancel) != 0) c.cancelled = true;
    return h.is_last() ? complete(c, h, out) : std::error_code{};
}

/// Refuses a call of which at least one fragment came. The connection goes on: the fault names
/// neither context nor cause to doubt the stream. What else comes of the call is dropped; a client
/// that sends more than one refused call at a time should have stopped at the fault.
RPCH_DECL void server_association::refuse_unexecuted(const common_header& h, bool maybe,
                                                     security_entry* s, rpc_status status) {
    if (!maybe) queue_fault(h.call_id, 0, status, true, 0);
    refused_call_.reset();
    refused_security_ = s;
    if (!h.is_last()) refused_call_ = h.call_id;
}

RPCH_DECL std::error_code server_association::complete(call& c, const common_header& h,
                                                       server_event_list& out) {
    arriving_.reset();
    std::vector<std::byte> stub = c.arguments.take(budget_);
    c.held.release(); // whoever takes the stub counts it
    if (!check_trailer(c, h.order, stub))
        return refuse(h, c.context_id, rpc_status::access_denied, errc::security_downgrade, false);
    c.at = call_state::executing;
    out.emplace_back(call_received{
        .call_id = c.id,
        .interface = c.interface,
        .opnum = c.opnum,
        .object = c.object,
        .transfer_syntax = c.transfer_syntax,
        .order = h.order,
        .maybe = c.maybe,
        .security = c.security == nullptr ? nullptr : c.security->proved,
        .stub = std::move(stub),
    });
    if (c.cancelled) out.emplace_back(call_cancelled{c.id});
    return {};
}

/// Compares what the client meant with what arrived, and takes the trailer off the stub data.
/// @return false if somebody between client and server changed an unsigned header.
RPCH_DECL bool server_association::check_trailer(const call& c, core::byte_order order,
                                                 std::vector<std::byte>& stub) const {
    if (c.security == nullptr || !c.security->slot.signs()) return true;
    const auto found = find_verification_trailer(stub);
    if (!found) // one that was spoiled by a false pad_length is no application data
        return c.security->slot.signs_headers(header_signing_) || !has_trailer_signature(stub);
    const verification_trailer& told = found->content;
    stub.resize(found->stub_bytes);
    if (told.must_process_unknown) return false;
    // The client can sign headers and was told that we cannot.
    const bool could = options_.header_signing && c.security->slot.context->can_sign_headers();
    if (told.supports_header_signing.value_or(false) && could && !header_signing_) return false;
    if (const context* on = find_context(c.context_id); told.context && on != nullptr) {
        const interface_id& offered = offered_[on->interface].id;
        const interface_id& meant = told.context->interface;
        if (meant.id != offered.id || meant.major != offered.major || meant.minor > offered.minor)
            return false;
        if (told.context->transfer_syntax != on->transfer_syntax) return false;
    }
    return !told.header ||
           *told.header == verification_trailer::header2{order, c.id, c.context_id, c.opnum};
}

/// co_cancel and orphaned. For a call that is not known they crossed its answer and mean nothing.
RPCH_DECL std::error_code server_association::on_notice(byte_view pdu, const common_header& h,
                                                        server_event_list& out) {
    const auto p = decode_call_notice(pdu, h.type);
    if (!p) return p.error();
    if (p->auth) { // rare; verified because mechanisms count
        security_entry* s = find_security(p->auth->context_id);
        if (s == nullptr || s->at != security_state::ready) return errc::security_downgrade;
        if (s->slot.signs()) {
            const auto ok = detail::unprotect(s->slot, header_signing_, pdu, *p->auth,
                                              common_header_bytes, unsealed_);
            if (!ok) return ok.error();
        }
    }
    call* c = calls_.find(h.call_id);
    if (c == nullptr || c->orphaned) return {};
    if (h.type == pdu_type::co_cancel) {
        // Later notices tell the application nothing new, and before the call it knows nothing of
        // it. Those do not count in the answer, as Windows has it.
        const bool is_news = !std::exchange(c->cancelled, true);
        if (c->at == call_state::receiving) return {};
        if (c->cancels < 0xFF) ++c->cancels;
        if (c->at == call_state::executing && is_news) out.emplace_back(call_cancelled{c->id});
        return {};
    }
    // Windows goes on with a request that is not whole. A client that agreed to keep the connection
    // sends nothing more of it, [C706] 12.6.4.8, and would break its next call.
    const bool keeps = (features_ & bind_feature::keep_connection_on_orphan) != 0;
    if (c->at == call_state::receiving && !keeps) return {};
    if (c->at == call_state::executing) {
        c->orphaned = true; // the id stays taken until the application has answered
        out.emplace_back(call_orphaned{c->id});
        return {};
    }
    if (c->at == call_state::answering) {
        ready_.remove(c->id);
        answer_bytes_ -= c->answer.size() - c->sent;
    }
    if (arriving_ == c->id) arriving_.reset();
    static_cast<void>(c->arguments.take(budget_));
    calls_.erase(c->id);
    return {};
}

/// Queues a bind_nak.
/// @return `why`, which closes the machine.
RPCH_DECL std::error_code server_association::refuse(const common_header& h,
                                                     std::uint16_t context_id, rpc_status status,
                                                     std::error_code why, bool did_not_execute) {
    queue_fault(h.call_id, context_id, status, did_not_execute, 0);
    return why;
}

// Output.

RPCH_DECL bool server_association::has_output() const noexcept {
    return !output_error_ && (!control_.empty() || !ready_.empty());
}

RPCH_DECL std::size_t server_association::next_output_size() const noexcept {
    if (output_error_) return 0;
    if (!control_.empty()) return control_.front_size();
    return ready_.empty() ? 0 : encoded_size(next_fragment(*calls_.find(ready_.front())));
}

RPCH_DECL std::size_t server_association::write_output(byte_span out) {
    if (output_error_) return 0;
    if (!control_.empty()) return control_.pop(out);
    if (ready_.empty()) return 0;
    call& c = *calls_.find(ready_.front());
    const response fragment = next_fragment(c);
    const std::size_t n = encode_response(fragment, out);
    if (n == 0) return 0;
    if (fragment.auth) {
        output_error_ =
            detail::protect(c.security->slot, header_signing_, out.first(n), response_header_bytes);
        if (output_error_) return 0;
    }
    c.sent += fragment.stub.size();
    answer_bytes_ -= fragment.stub.size();
    if (fragment.header.is_last()) {
        ready_.pop();
        calls_.erase(c.id);
    }
    return n;
}

RPCH_DECL response server_association::next_fragment(const call& c) const noexcept {
    response r;
    const std::size_t left = c.answer.size() - c.sent;
    const detail::security_slot* slot = c.security == nullptr ? nullptr : &c.security->slot;
    const std::size_t share =
        detail::protected_share(left, xmit_frag_, response_header_bytes, slot);
    r.header.call_id = c.id;
    if (c.sent == 0) r.header.flags |= pfc::first_frag;
    if (share == left) r.header.flags |= pfc::last_frag;
    r.alloc_hint = detail::to_alloc_hint(left);
    r.context_id = c.context_id & 0xFF; // Windows sends the low octet, and none of the high one
    r.cancel_count = c.cancels;
    r.stub = byte_view(c.answer).subspan(c.sent, share);
    r.auth = detail::unsigned_trailer(slot);
    return r;
}

RPCH_DECL void server_association::queue_fault(std::uint32_t call_id, std::uint16_t context_id,
                                               rpc_status status, bool did_not_execute,
                                               std::uint8_t cancels) {
    dcerpc::fault p;
    p.header.call_id = call_id;
    p.header.flags = pfc::first_frag | pfc::last_frag;
    if (did_not_execute) p.header.flags |= pfc::did_not_execute;
    p.alloc_hint =
        fault_bytes; // less 32, the bytes of extended error information, [MS-RPCE] 2.2.2.8
    p.context_id = context_id;
    p.cancel_count = cancels;
    p.status = may_be_reported(status) ? status : rpc_status::nca_fault_unspec;
    static_cast<void>(encode_fault(p, control_.append(encoded_size(p))));
}

RPCH_DECL const server_association::context*
server_association::find_context(std::uint16_t id) const noexcept {
    const auto found = std::ranges::lower_bound(contexts_, id, {}, &context::id);
    return found == contexts_.end() || found->id != id ? nullptr : &*found;
}

/// @return the call that the application may answer now.
RPCH_DECL result<server_association::call*>
server_association::answerable(std::uint32_t call_id) noexcept {
    if (state_ == state::closed) return fail(closed_with_);
    call* c = calls_.find(call_id);
    if (c == nullptr || c->at != call_state::executing) return fail(errc::bad_call_id);
    return c;
}

} // namespace rpch::inline RPCH_ABI::dcerpc
