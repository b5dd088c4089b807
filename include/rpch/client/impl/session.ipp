#include <rpch/client/session.hpp>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>
#include <variant>

#include <rpch/client/resolve.hpp>

namespace rpch::inline RPCH_ABI::detail {

RPCH_DECL dcerpc::client_association_options association_options_of(const client_options& options) {
    dcerpc::client_association_options out;
    out.limits.fragment_bytes = options.max_fragment;
    out.require_header_signing = options.require_header_signing;
    out.assoc_group_id = options.association_group.id;
    if (options.max_fragment == 0)
        out.limits.fragment_bytes = static_cast<std::uint16_t>(
            std::min<std::uint32_t>(limits::fragment_bytes_default, options.receive_window / 2));
    return out;
}

RPCH_DECL const char* check_options(const client_options& o) noexcept {
    if (o.receive_window < limits::receive_window_min ||
        o.receive_window > limits::receive_window_max)
        return "client_options::receive_window must be 8192 to 262144 bytes";
    if (o.max_fragment != 0 && o.max_fragment < limits::fragment_bytes_min)
        return "client_options::max_fragment must be 1432 to 65535 bytes, or 0";
    if (o.max_fragment > o.receive_window / 2)
        return "client_options::max_fragment must be at most half of receive_window";
    if (o.connections_max < 1 || o.connections_max > limits::association_connections_max)
        return "client_options::connections_max must be 1 to 64";
    if (o.calls_per_connection < 1) return "client_options::calls_per_connection must not be 0";
    using std::chrono::milliseconds;
    if (o.client_keepalive < milliseconds{limits::client_keepalive_min_ms} ||
        o.client_keepalive > milliseconds{std::numeric_limits<std::uint32_t>::max()})
        return "client_options::client_keepalive must be 60000 to 4294967295 ms";
    if (o.keep_alive != milliseconds{0} &&
        (o.keep_alive < limits::keep_alive_min ||
         o.keep_alive > milliseconds{limits::connection_timeout_max_ms}))
        return "client_options::keep_alive must be 1000 to 14400000 ms, or 0";
    return nullptr;
}

RPCH_DECL client_session::client_session(std::shared_ptr<transport::strand_context> context,
                                         client_options options)
    : context_member(context->on),
      context_(std::move(context)),
      options_(std::move(options)),
      association_(association_options_of(options_)),
      timer_(context_->on) {}

RPCH_DECL std::optional<std::uint16_t>
client_session::bind(const interface_id& id, std::shared_ptr<bound_context> context_out,
                     completion_ptr done) {
    const auto refuse = [&done](const failure& why) {
        done->complete_later(why);
        return std::nullopt;
    };
    if (ended_) return refuse(ended_);
    if (const auto ec = start_security())
        return refuse(explain(ec, association_.refusal().c_str(), true, association_.advice()));
    if (options_.transfer_syntaxes.empty())
        return refuse(explain(errc::bad_setting, "no transfer syntax", true));
    auto made = std::make_shared<waiting_bind>();
    for (const ndr::transfer_syntax syntax : options_.transfer_syntaxes) {
        const auto number = association_.add_context(id, ndr::id_of(syntax));
        if (!number) return refuse(explain(number.error(), "", true));
        made->contexts.push_back({{*number, syntax}});
    }
    const std::uint16_t first = made->contexts.front().what.context;
    made->out = std::move(context_out);
    made->done = std::move(done);
    for (const auto& each : made->contexts) contexts_.emplace(each.what.context, made);
    if (resolver_) {
        resolve(id);
        return first;
    }
    kick_output();
    return first;
}

/// Makes the security context with the first bind, for all calls of the connection.
RPCH_DECL std::error_code client_session::start_security() {
    if (!options_.rpc_security || security_ != 0) return {};
    const auto id =
        add_security(*options_.rpc_security, options_.rpc_level, options_.rpc_target, true);
    if (!id) return id.error();
    security_ = *id;
    return {};
}

RPCH_DECL result<std::uint32_t> client_session::add_security(auth::security_initiator& by,
                                                             auth::authentication_level level,
                                                             const std::string& target,
                                                             bool may_go_with_bind) {
    level = auth::upgraded(level); // mechanisms know no level call
    auth::security_options wanted;
    wanted.level = level;
    wanted.target = target.empty() ? "host/" + server_host_ : target;
    association_.forget_refusal(); // of somebody else
    auto context = by.initiate(wanted);
    if (!context) return fail(context.error());
    return association_.add_security({.provider = by.provider(),
                                      .level = level,
                                      .context = std::move(*context),
                                      .may_go_with_bind = may_go_with_bind});
}

/// @return whether there can be calls of somebody: with a verifier of his own.
[[nodiscard]] RPCH_DECL bool is_usable(const call_identity& who) noexcept {
    return who.security && auth::signs(who.level);
}

/// @return the security context of whoever makes a call, begun now if it is his first. It never
/// goes with the bind, and stands behind that of the client: calls without a verifier are the
/// bind's user's, and must not become his. For the same reason a level that puts no verifier into
/// his own is refused.
RPCH_DECL result<std::uint32_t>
client_session::security_for(const std::shared_ptr<const call_identity>& who) {
    if (const auto known = known_security(who)) return *known;
    if (!is_usable(*who)) return fail(errc::bad_setting);
    if (const auto ec = start_security()) return fail(ec);
    const auto id = add_security(*who->security, who->level,
                                 who->target.empty() ? options_.rpc_target : who->target, false);
    if (id) identities_.emplace_back(who, *id);
    return id;
}

/// @return the security context of somebody's calls, the client's own if that is null; nothing if
/// there was no call of his yet.
RPCH_DECL std::optional<std::uint32_t>
client_session::known_security(const std::shared_ptr<const call_identity>& who) const noexcept {
    if (!who) return security_;
    for (const auto& [known, id] : identities_)
        if (known == who) return id;
    return std::nullopt;
}

RPCH_DECL bool
client_session::is_proven(const std::shared_ptr<const call_identity>& who) const noexcept {
    const auto security = known_security(who);
    if (security == 0U) return association_.assoc_group_id() != 0;
    return security && *security < has_answered_.size() && has_answered_[*security];
}

RPCH_DECL void client_session::resolve(const interface_id& id) {
    resolver_->start(
        id, [weak = std::weak_ptr(shared_session())](const failure& why, std::uint16_t port) {
            if (const auto self = weak.lock()) self->on_resolved(why, port);
        });
}

RPCH_DECL void client_session::on_resolved(const failure& why, std::uint16_t port) {
    resolver_.reset();
    if (ended_) return;
    if (why) {
        on_ended(why);
        return close(); // for what the connection has beside the association
    }
    set_port(port);
    open();
}

RPCH_DECL std::uint32_t client_session::call(const call_request& request,
                                             std::vector<std::byte> stub, completion_ptr done) {
    if (ended_) {
        failure why = ended_;
        why.did_not_execute = true;
        if (why.next_step.empty() && association_.assoc_group_id() != 0)
            why.next_step = "connect again; an idempotent call does so by itself";
        done->complete_later(why);
        return 0;
    }
    dcerpc::call_options options;
    options.context = request.context;
    options.opnum = request.opnum;
    options.object = request.parameters.object ? request.parameters.object : object_;
    options.maybe = request.parameters.maybe;
    if (request.ticket && request.ticket->is_cancelled) {
        done->complete_later(explain(errc::call_cancelled, "cancelled before it was sent", true));
        return 0;
    }
    if (const auto ec = association_.refuses_call(options, stub.size())) {
        done->complete_later(explain(ec, "", true));
        return 0;
    }
    const auto security = security_for(request.parameters.identity);
    if (!security) {
        const bool is_misused = !is_usable(*request.parameters.identity);
        done->complete_later(
            is_misused ? explain(security.error(),
                                 "call_identity: a mechanism is needed, and the level packet, "
                                 "integrity or privacy",
                                 true)
                       : explain(security.error(), association_.refusal().c_str(), true,
                                 association_.advice()));
        return 0;
    }
    options.security = *security;
    const auto id = association_.begin_call(options, std::move(stub));
    if (!id) {
        done->complete_later(explain(id.error(), "", true));
        return 0;
    }
    if (options.maybe) { // nothing more is ever told of it
        done->complete_later({});
        kick_output();
        return 0;
    }
    waiting_call& made = calls_[*id];
    made.done = std::move(done);
    made.security = *security;
    if (request.ticket) {
        request.ticket->session = shared_session();
        request.ticket->call_id = *id;
    }
    const auto own = transport::bounded(request.parameters.deadline);
    const auto deadline = own.count() != 0 ? own : options_.call_deadline;
    if (deadline.count() > 0) give_up_at(*id, made, transport::clock::now() + deadline);
    kick_output();
    return *id;
}

/// Moves the time at which a call is given up, if that is earlier than it was.
RPCH_DECL void client_session::give_up_at(std::uint32_t call_id, waiting_call& call,
                                          transport::time_point when) {
    if (!call.gives_up)
        call.gives_up = give_up_.emplace(when, call_id);
    else if ((*call.gives_up)->first <= when)
        return;
    else { // the same node: there is no moment without one
        auto entry = give_up_.extract(*call.gives_up);
        entry.key() = when;
        call.gives_up = give_up_.insert(std::move(entry));
    }
    arm_timer();
}

/// Forgets a call, and when it would be given up.
RPCH_DECL client_session::waiting_call
client_session::take(std::unordered_map<std::uint32_t, waiting_call>::iterator call) {
    waiting_call out = std::move(call->second);
    calls_.erase(call);
    if (out.gives_up) give_up_.erase(*out.gives_up);
    return out;
}

/// One timer for all calls, set only when its time moves forward: it may find nothing to do when
/// the call that it was set for was answered.
RPCH_DECL void client_session::arm_timer() {
    if (ended_) return; // handlers that hear of the end cancel others, or are run by the timer
    if (give_up_.empty() || (timer_for_ && *timer_for_ <= give_up_.begin()->first)) return;
    timer_for_ = give_up_.begin()->first;
    timer_.expires_at(*timer_for_);
    timer_.async_wait([weak = std::weak_ptr(shared_session())](std::error_code ec) {
        const auto self = weak.lock();
        if (!ec && self) self->on_timer();
    });
}

RPCH_DECL void client_session::on_timer() {
    timer_for_.reset();
    const auto now = transport::clock::now();
    while (!give_up_.empty() && give_up_.begin()->first <= now) {
        const std::uint32_t call_id = give_up_.begin()->second;
        give_up_.erase(give_up_.begin());
        calls_.find(call_id)->second.gives_up.reset(); // who has an entry is a call that waits
        association_.abandon(call_id, events_);
    }
    process_events();
    kick_output();
    arm_timer();
}

RPCH_DECL void client_session::cancel(std::uint32_t call_id) {
    const auto found = calls_.find(call_id);
    if (found == calls_.end()) return;
    found->second.is_cancelled = true;
    give_up_at(call_id, found->second, transport::clock::now() + options_.cancel_wait);
    association_.cancel(call_id, events_);
    process_events();
    kick_output();
}

RPCH_DECL std::error_code client_session::on_rpc_pdu(const core::split_view& pdu) {
    byte_view whole = pdu.first;
    if (!pdu.second.empty()) { // it straddled two read buffers
        contiguous_.assign(pdu.first.begin(), pdu.first.end());
        contiguous_.insert(contiguous_.end(), pdu.second.begin(), pdu.second.end());
        whole = contiguous_;
    }
    const std::error_code ended = association_.on_pdu(whole, events_);
    if (!ended) process_events();
    return ended; // the events of an end are processed with its explanation, by on_ended
}

RPCH_DECL void client_session::process_events() {
    if (processing_) return; // from within a handler: the loop below gets to what was added
    processing_ = true;
    for (std::size_t i = 0; i < events_.size(); ++i) {
        dcerpc::client_event event = std::move(events_[i]);
        std::visit([this](auto& e) { process(e); }, event);
    }
    events_.clear();
    processing_ = false;
}

RPCH_DECL void client_session::process(dcerpc::context_ready& event) {
    const auto found = contexts_.find(event.context);
    if (found == contexts_.end()) return;
    const std::shared_ptr<waiting_bind> of = std::move(found->second);
    contexts_.erase(found);
    for (auto& each : of->contexts) {
        if (each.what.context != event.context) continue;
        each.answer = event.error;
        each.detail = event.detail;
    }
    if (std::all_of(of->contexts.begin(), of->contexts.end(),
                    [](const auto& each) { return each.answer.has_value(); }))
        finish(*of);
}

/// Takes the first context that the server accepted.
RPCH_DECL void client_session::finish(waiting_bind& bound) {
    failure why;
    const auto accepted = std::find_if(bound.contexts.begin(), bound.contexts.end(),
                                       [](const auto& each) { return !*each.answer; });
    if (accepted == bound.contexts.end()) {
        const auto& first = bound.contexts.front();
        why = ended_ ? ended_ : explain(*first.answer, first.detail, true);
        last_failure_ = why;
    } else {
        *bound.out = accepted->what;
        if (security_failure_)
            why = security_failure_;
        else if (security_ != 0 && !is_secured_) // open only once the server is known
            return bound_.push_back(std::move(bound.done));
    }
    bound.done->complete(why, {});
}

RPCH_DECL void client_session::process(dcerpc::security_ready& event) {
    if (event.security != security_) return; // the calls that wait for it are told themselves
    failure why;
    if (event.error) {
        why = ended_ ? ended_ : explain(event.error, event.detail, true);
        if (!ended_) why.said_by = origin::security;
        last_failure_ = why;
        security_failure_ = why;
    } else
        is_secured_ = true;
    for (const completion_ptr& done : std::exchange(bound_, {})) done->complete(why, {});
}

RPCH_DECL void client_session::process(dcerpc::call_completed& event) {
    const auto found = calls_.find(event.call_id);
    if (found == calls_.end()) return;
    const waiting_call call = take(found);
    if (call.security >= has_answered_.size()) has_answered_.resize(call.security + 1);
    has_answered_[call.security] = true;
    call.done->complete({}, {std::move(event.stub), event.order});
}

RPCH_DECL void client_session::process(dcerpc::call_failed& event) {
    const auto found = calls_.find(event.call_id);
    if (found == calls_.end()) return;
    const waiting_call call = take(found);
    // Nobody cancelled it, so its deadline did.
    const bool is_late = event.error == errc::call_cancelled && !call.is_cancelled;
    const bool is_others = call.security != security_;
    const std::error_code error = is_late ? make_error_code(errc::call_timeout) : event.error;
    failure why = ended_ ? ended_ : explain(error, event.detail, event.did_not_execute);
    if (!ended_ && is_others && error == rpc_status::access_denied)
        why.next_step = "check user and password of the call's identity, and what that user may "
                        "do; the server's log may tell more";
    why.did_not_execute = event.did_not_execute;
    last_failure_ = why;
    call.done->complete(why, {});
}

RPCH_DECL void client_session::on_ended(failure why) {
    if (ended_) return;
    ended_ = why;
    last_failure_ = std::move(why);
    timer_.cancel();
    if (const auto asking = std::exchange(resolver_, nullptr)) asking->cancel();
    association_.close(ended_.code, events_);
    process_events();
}

RPCH_DECL std::string client_session::unfinished_calls() const {
    if (is_binding()) return "the bind was not answered";
    return calls_.empty() ? "" : "calls that were not answered: " + std::to_string(calls_.size());
}

RPCH_DECL void client_session::on_context_shutdown() {
    const auto self = shared_session(); // or the handlers below may be its end
    const auto contexts = std::exchange(contexts_, {});
    const auto calls = std::exchange(calls_, {});
    give_up_.clear();
    const auto bound = std::exchange(bound_, {});
    const auto resolver = std::exchange(resolver_, nullptr);
}

RPCH_DECL failure client_session::explain(std::error_code code, const char* detail,
                                          bool did_not_execute, std::string_view advice) const {
    failure why;
    why.code = code;
    why.detail = detail;
    why.did_not_execute = did_not_execute;
    if (code == errc::bind_refused || code == errc::context_refused) {
        why.said_by = origin::bind;
        why.next_step = after_refused_bind(why.detail);
    } else if (code == errc::security_not_supported || code == errc::bad_credentials ||
               code == errc::no_credentials || code == errc::authentication_failed ||
               code == errc::account_locked || code == errc::bad_security_token ||
               code == errc::security_downgrade) {
        why.said_by = origin::security;
        why.next_step = advice;
        if (why.next_step.empty())
            why.next_step = "check user, password, principal name and what the server offers";
    } else if (code == errc::bad_setting)
        why.next_step = advice;
    else if (code.category() == rpc_status_category()) {
        why.said_by = origin::fault;
        why.next_step = after_fault(code, did_not_execute);
    }
    return why;
}

/// @param detail  the reason of a bind_nak or of a refused presentation context.
RPCH_DECL std::string client_session::after_refused_bind(std::string_view detail) const {
    using reason = dcerpc::bind_reject_reason;
    const bool ntlm =
        options_.rpc_security && options_.rpc_security->provider() == auth::security_provider::ntlm;
    if (detail == name(reason::authentication_type_not_recognized))
        return "the server does not offer this mechanism: try another (--rpc-auth)";
    if (detail == name(reason::invalid_checksum)) // [MS-RPCE] 3.3.1.5.2: of the security token
        return std::string("the server refused the logon: ") +
               (ntlm ? "check user and password"
                     : "check the principal name (--target), the server's key (keytab), user and "
                       "password, and both clocks") +
               "; the server's log may tell more";
    if (detail == name(reason::protocol_version_not_supported))
        return "the server speaks another version of DCE/RPC: check that the port is that server's";
    if (detail == name(reason::temporary_congestion)) return "the server is busy: try again later";
    if (detail.ends_with("local_limit_exceeded"))
        return "a limit of the server is reached: try again when it has fewer connections, or "
               "have the limit raised";
    if (detail == name(reason::not_specified) && options_.association_group.id != 0)
        return "the association group may be gone, with the last of its connections, or be of "
               "another machine: connect without it (association_group)";
    if (detail == "proposed_transfer_syntaxes_not_supported" &&
        options_.transfer_syntaxes.size() > 1)
        return "the server has the interface, but neither in NDR nor in NDR64";
    if (detail == "proposed_transfer_syntaxes_not_supported")
        return "the server has the interface and not this transfer syntax: try the other of NDR "
               "and NDR64 (--transfer-syntax)";
    return "check the interface UUID and version, and that the port is that server's";
}

/// The last leg of NTLM has no answer, [MS-RPCE] 2.2.2.10: what the server thinks of it shows in a
/// fault of the first call, or of an alter_context.
RPCH_DECL std::string client_session::after_fault(std::error_code code,
                                                  bool did_not_execute) const {
    const bool denied = code == rpc_status::access_denied;
    if (code == rpc_status::nca_op_rng_error)
        return "the interface has no such operation at this server: check operation number and "
               "interface version";
    if (code == rpc_status::nca_fault_ndr)
        return "the server could not decode the request: check that both ends have the same "
               "definition of the operation, and the stub data if they were made by hand";
    if (security_ == 0)
        return denied ? "the server may demand authentication: give --rpc-auth (rpc_security)" : "";
    const bool is_logon =
        !is_secured_ || (!is_proven(nullptr) &&
                         options_.rpc_security->provider() != auth::security_provider::kerberos);
    const auto level = auth::upgraded(options_.rpc_level);
    const std::string demands =
        "the server may demand more than level " + std::string(name(level)) + " (--auth-level)";
    const std::string refused =
        "the server refused the credentials: check user, password and domain";
    constexpr const char* more = "; its log may tell more";
    if (code == rpc_status::nca_unsupported_authn_level) return demands;
    if (!denied) {
        const bool of_logon = code == rpc_status::nca_proto_error ||
                              code == rpc_status::sec_pkg_error ||
                              code == rpc_status::nca_invalid_checksum;
        return of_logon && is_logon ? refused + more : std::string();
    }
    if (!is_secured_) return refused + more;
    const bool may_be_weak = level < auth::authentication_level::privacy;
    // A server that does not believe who calls ends the connection and says nothing of the call.
    if (is_logon && !did_not_execute)
        return refused + "; or " + (may_be_weak ? demands : "this user may not make this call") +
               more;
    return may_be_weak ? demands + ", or this user may not make this call"
                       : "the server does not let this user make this call";
}

} // namespace rpch::inline RPCH_ABI::detail
