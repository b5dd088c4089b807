// How a server answers binds: presentation contexts, and the legs of security handshakes.
#include <rpch/dcerpc/server_association.hpp>

#include <algorithm>
#include <utility>

#include <rpch/dcerpc/detail/fragment_size.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

RPCH_DECL std::error_code server_association::on_bind(byte_view pdu, const common_header& h) {
    using reason = bind_reject_reason;
    if (state_ != state::unbound)
        return refuse_bind(h, reason::not_specified, errc::unexpected_pdu);
    const auto asked = decode_bind(pdu);
    if (!asked) {
        auto why = reason::not_specified; // these are as Windows answers
        if (asked.error() == errc::too_many) why = reason::local_limit_exceeded;
        if (asked.error() == errc::bad_auth_length) why = reason::protocol_version_not_supported;
        if (asked.error() == errc::too_large) why = reason::invalid_checksum; // of a token
        return refuse_bind(h, why, asked.error());
    }
    if (asked->auth && !detail::has_aligned_verifier(h)) // not the reason of other bad lengths
        return refuse_bind(h, reason::not_specified, errc::bad_auth_length);
    const auto bitmasks =
        std::count_if(asked->contexts.begin(), asked->contexts.end(), [](const auto& c) {
            return features_of(c.transfer_syntaxes.front()).has_value();
        });
    if (bitmasks > 1) return refuse_bind(h, reason::not_specified, errc::bad_value);
    const auto found = find_matches(*asked);
    if (!has_room(*asked, found))
        return refuse_bind(h, reason::local_limit_exceeded, errc::too_many);
    leg first;
    if (asked->auth) {
        first = take_leg(*asked->auth, *asked);
        if (first.error) return refuse_bind(h, first.reason, first.error);
        default_security_ = first.entry;
    }
    assoc_group_id_ = groups_.join(asked->assoc_group_id, origin_);
    if (assoc_group_id_ == 0) return refuse_bind(h, reason::not_specified, errc::bad_value);
    // One size for both directions, as Windows and Samba answer.
    xmit_frag_ = detail::usable_fragment(
        std::min({recv_frag_, detail::proposed_fragment(asked->max_xmit_frag),
                  detail::proposed_fragment(asked->max_recv_frag)}));
    multiplexed_ = (h.flags & pfc::concurrent_multiplexing) != 0;
    state_ = state::bound;
    acknowledge(*asked, found, pdu_type::bind_ack, first);
    return {};
}

RPCH_DECL std::error_code server_association::on_alter_context(byte_view pdu,
                                                               const common_header& h) {
    if (state_ != state::bound)
        return refuse(h, 0, rpc_status::nca_proto_error, errc::unexpected_pdu);
    const auto asked = decode_bind(pdu, pdu_type::alter_context);
    if (!asked) {
        const bool is_token = asked.error() == errc::too_large;
        return refuse(h, 0, is_token ? rpc_status::access_denied : rpc_status::nca_proto_error,
                      asked.error());
    }
    if (asked->auth && !detail::has_aligned_verifier(h))
        return refuse(h, 0, rpc_status::nca_proto_error, errc::bad_auth_length);
    // An auth_type of none is refused before the contexts are looked at; one that is not that of
    // the first leg behind that, in take_leg().
    const auto none = static_cast<std::uint8_t>(auth::security_provider::none);
    if (asked->auth && asked->auth->auth_type == none)
        return refuse(h, 0, rpc_status::access_denied, errc::security_not_supported);
    if (contradicts(*asked)) return refuse(h, 0, rpc_status::nca_proto_error, errc::bad_value);
    const auto found = find_matches(*asked);
    if (!has_room(*asked, found)) { // [MS-RPCE] 3.3.3.5.5: a bind_nak here, too; calls go on
        static_cast<void>(refuse_bind(h, bind_reject_reason::local_limit_exceeded, errc::too_many));
        return {};
    }
    leg next;
    if (asked->auth) {
        next = take_leg(*asked->auth, *asked);
        if (next.error) return refuse(h, 0, next.status, next.error);
    }
    acknowledge(*asked, found, pdu_type::alter_context_resp, next);
    return {};
}

/// The last leg of a mechanism whose client speaks last. It is never answered, [MS-RPCE] 2.2.2.10:
/// a client that fails learns of it with its first call.
RPCH_DECL std::error_code server_association::on_auth3(byte_view pdu, const common_header& h) {
    if (state_ != state::bound) return errc::unexpected_pdu;
    const auto p = decode_auth3(pdu);
    // Windows answers an auth3 that it cannot read with this status.
    if (!p) return refuse(h, 0, rpc_status::nca_fault_remote_no_memory, p.error());
    if (!detail::has_aligned_verifier(h))
        return refuse(h, 0, rpc_status::nca_proto_error, errc::bad_auth_length);
    security_entry* s = find_security(p->auth.context_id);
    if (s == nullptr || s->at != security_state::begun || !s->slot.matches(p->auth))
        return refuse(h, 0, rpc_status::nca_proto_error, errc::bad_security_token);
    std::vector<std::byte> answer;
    const auto ec = take_token(*s, p->auth.token, answer);
    // An auth3 is never answered: what has an answer does not end with one, as Windows has it.
    if (ec || s->at != security_state::ready || !answer.empty()) {
        s->at = security_state::failed; // its number stays taken; what it held is freed
        s->contexts = {};
        s->slot.context.reset();
        handshake_ = nullptr;
        ++failed_handshakes_;
    }
    return {};
}

/// Begins a security context or goes on with one. Who is refused how is what Windows does.
RPCH_DECL server_association::leg server_association::take_leg(const sec_trailer& t,
                                                               const bind& asked) {
    using level = auth::authentication_level;
    using reason = bind_reject_reason;
    const auto refused = [](std::error_code why, reason in_bind, rpc_status in_alter) {
        return leg{.error = why, .reason = in_bind, .status = in_alter};
    };
    leg out;
    out.entry = find_security(t.context_id);
    if (out.entry != nullptr) {
        if (static_cast<std::uint8_t>(out.entry->slot.provider) != t.auth_type)
            return refused(errc::security_downgrade, reason::not_specified,
                           rpc_status::sec_pkg_error);
        if (out.entry->at != security_state::begun || !out.entry->slot.matches(t))
            return refused(errc::security_downgrade, reason::not_specified,
                           rpc_status::access_denied);
    } else {
        const auto wanted = static_cast<level>(t.auth_level);
        if (wanted < level::connect || wanted > level::privacy)
            return refused(errc::bad_value, reason::not_specified, rpc_status::access_denied);
        const auto provider = static_cast<auth::security_provider>(t.auth_type);
        const auto acceptor =
            std::find_if(options_.security.begin(), options_.security.end(),
                         [&](const auto& a) { return a->provider() == provider; });
        if (acceptor == options_.security.end()) {
            refusal_ = std::string(name(provider)) + " is not accepted here";
            return refused(errc::security_not_supported, reason::authentication_type_not_recognized,
                           rpc_status::access_denied);
        }
        // [MS-RPCE] 2.2.1.1.8 would have a server take it for packet; Windows refuses it, and a
        // client that keeps to the same section never sends it.
        if (wanted == level::call)
            return refused(errc::bad_value, reason::invalid_checksum, rpc_status::access_denied);
        if (handshake_ != nullptr || security_.size() >= limits::server_security_contexts_max ||
            failed_handshakes_ >= limits::failed_handshakes_max)
            return refused(errc::too_many, reason::local_limit_exceeded,
                           rpc_status::nca_proto_error);
        auto fresh = (*acceptor)->accept({.level = wanted});
        if (!fresh)
            return refused(fresh.error(), reason::authentication_type_not_recognized,
                           rpc_status::access_denied);
        auto made = std::make_unique<security_entry>();
        made->slot = {.id = t.context_id,
                      .provider = provider,
                      .level = wanted,
                      .context = std::move(*fresh)};
        made->contexts = asked.contexts;
        security_.push_back(std::move(made));
        out.entry = security_.back().get();
        handshake_ = out.entry;
    }
    if (const auto ec = take_token(*out.entry, t.token, out.token)) {
        // sec_pkg_error is for what does not verify: a MIC, a channel binding.
        const bool verifies = ec == errc::bad_credentials || ec == errc::account_locked ||
                              ec == errc::bad_security_token;
        return refused(ec, reason::invalid_checksum,
                       verifies ? rpc_status::access_denied : rpc_status::sec_pkg_error);
    }
    return out;
}

/// Hands a token to its mechanism. The context is ready when the mechanism says so.
RPCH_DECL std::error_code server_association::take_token(security_entry& s, byte_view token,
                                                         std::vector<std::byte>& answer) {
    auth::security_context& mechanism = *s.slot.context;
    auto made = mechanism.step(token);
    if (!made) {
        const std::string_view why = mechanism.detail();
        refusal_ = "logon by " + std::string(name(s.slot.provider)) +
                   " failed: " + (why.empty() ? made.error().message() : std::string(why));
        if (const std::string_view advice = mechanism.next_step(); !advice.empty())
            refusal_.append("; ").append(advice);
        return made.error();
    }
    if (made->size() > limits::auth_token_bytes_max) return errc::too_large;
    answer = std::move(*made);
    if (!mechanism.is_established())
        return answer.empty() ? make_error_code(errc::bad_security_token) : std::error_code{};
    if (s.slot.signs() && mechanism.signature_bytes(s.slot.seals()) > limits::signature_bytes_max)
        return errc::authentication_failed;
    s.at = security_state::ready;
    s.contexts = {};
    if (handshake_ == &s) handshake_ = nullptr;
    auto proved = std::make_shared<call_security>();
    proved->provider = s.slot.provider;
    proved->level = s.slot.level;
    proved->peer = mechanism.peer();
    proved->session_key = core::secret(core::as_text(mechanism.session_key()));
    s.proved = std::move(proved);
    return {};
}

RPCH_DECL server_association::security_entry*
server_association::find_security(std::uint32_t id) const noexcept {
    const auto found = std::find_if(security_.begin(), security_.end(),
                                    [&](const auto& s) { return s->slot.id == id; });
    return found == security_.end() ? nullptr : found->get();
}

/// Queues the answer to a bind or alter_context.
RPCH_DECL void server_association::acknowledge(const bind& asked, const std::vector<match>& found,
                                               pdu_type type, const leg& answered) {
    bind_ack ack;
    ack.header.call_id = asked.header.call_id;
    ack.header.flags = pfc::first_frag | pfc::last_frag;
    ack.max_xmit_frag = xmit_frag_;
    ack.max_recv_frag = xmit_frag_;
    ack.assoc_group_id = assoc_group_id_;
    if (type == pdu_type::bind_ack) {
        ack.header.flags |= asked.header.flags & pfc::concurrent_multiplexing;
        ack.secondary_address = options_.secondary_address;
    }
    // It holds for the connection, whichever PDU asked for it and whether that had a verifier.
    const bool can = answered.entry == nullptr || answered.entry->slot.context->can_sign_headers();
    if ((asked.header.flags & pfc::support_header_sign) != 0 && options_.header_signing && can) {
        header_signing_ = true;
        ack.header.flags |= pfc::support_header_sign;
    }
    // Windows answers an alter_context that ends a handshake with a trailer that has no token.
    if (answered.entry != nullptr && (type != pdu_type::bind_ack || !answered.token.empty()))
        ack.auth = answered.entry->slot.trailer(answered.token);
    ack.results = negotiate(asked, found);
    static_cast<void>(encode_bind_ack(ack, control_.append(encoded_size(ack)), type));
}

/// @return whether an alter_context takes back what was agreed; Windows ends such a connection.
RPCH_DECL bool server_association::contradicts(const bind& asked) const noexcept {
    const security_entry* s = asked.auth ? find_security(asked.auth->context_id) : nullptr;
    const bool is_later_leg = s != nullptr && s->at == security_state::begun;
    return std::any_of(asked.contexts.begin(), asked.contexts.end(), [&](const auto& c) {
        // A later leg may leave contexts out, as Samba does, but not change what one means.
        const auto changes = [&](const auto& b) { return b.id == c.id && b != c; };
        if (is_later_leg && std::any_of(s->contexts.begin(), s->contexts.end(), changes))
            return true;
        const context* before = find_context(c.id);
        if (before == nullptr) return false;
        // Syntaxes that nobody knows are no contradiction: they are rejected, and the context
        // stays.
        const auto& theirs = c.transfer_syntaxes;
        const auto has = [&](const interface_id& syntax) {
            return std::find(theirs.begin(), theirs.end(), syntax) != theirs.end();
        };
        return !has(before->transfer_syntax) && (has(ndr20) || has(detail::ndr64_syntax));
    });
}

/// What fits the contexts of a bind or alter_context. Of those for one interface the first that
/// fits is taken, the others are not, as Windows does: a client that offers each syntax in a
/// context of its own learns which one to use. Its order is its preference.
RPCH_DECL std::vector<server_association::match>
server_association::find_matches(const bind& asked) const {
    std::vector<match> out;
    out.reserve(asked.contexts.size());
    for (const presentation_context& c : asked.contexts) {
        // The first syntax alone says what the context is for; others beside a bitmask are ignored.
        match found = features_of(c.transfer_syntaxes.front()) ? match{} : find_match(c);
        const bool is_beaten =
            found.interface != SIZE_MAX &&
            std::ranges::find(out, found.interface, &match::interface) != out.end();
        if (is_beaten) found = {provider_reason::transfer_syntaxes_not_supported};
        out.push_back(found);
    }
    return out;
}

/// @return whether the contexts that fit may all be kept, [MS-RPCE] 3.3.3.5.5.
RPCH_DECL bool server_association::has_room(const bind& asked,
                                            const std::vector<match>& found) const {
    std::size_t fresh = 0;
    for (std::size_t i = 0; i < found.size(); ++i)
        fresh += found[i].interface != SIZE_MAX && find_context(asked.contexts[i].id) == nullptr;
    const std::size_t most = options_.limits.contexts_per_interface_max * offered_.size();
    return fresh == 0 || contexts_.size() + fresh <= most;
}

/// Answers the contexts of a bind or alter_context, and keeps those that fit.
RPCH_DECL std::vector<context_result>
server_association::negotiate(const bind& asked, const std::vector<match>& found) {
    std::vector<context_result> out;
    out.reserve(asked.contexts.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        const presentation_context& c = asked.contexts[i];
        if (const auto features = features_of(c.transfer_syntaxes.front())) {
            features_ = *features & options_.features;
            out.push_back({context_answer::negotiate_ack, features_, {}});
        } else if (found[i].interface == SIZE_MAX)
            out.push_back({context_answer::provider_rejection,
                           static_cast<std::uint16_t>(found[i].reason),
                           {}});
        else
            out.push_back(accept(c, found[i]));
    }
    return out;
}

RPCH_DECL server_association::match
server_association::find_match(const presentation_context& asked) const noexcept {
    // [C706] 3.1.1: the server's minor version is the client's or a later one.
    const auto fits = [&](const offered_interface& i) {
        return i.id.id == asked.interface.id && i.id.major == asked.interface.major &&
               i.id.minor >= asked.interface.minor;
    };
    const auto found = std::find_if(offered_.begin(), offered_.end(), fits);
    if (found == offered_.end()) return {provider_reason::abstract_syntax_not_supported};

    const std::span<const interface_id> ours = found->transfer_syntaxes.empty()
                                                   ? std::span(&ndr20, 1)
                                                   : std::span(found->transfer_syntaxes);
    const auto& theirs = asked.transfer_syntaxes;
    const auto syntax = std::find_first_of(ours.begin(), ours.end(), theirs.begin(), theirs.end());
    if (syntax == ours.end()) return {provider_reason::transfer_syntaxes_not_supported};
    return {provider_reason::not_specified, static_cast<std::size_t>(found - offered_.begin()),
            *syntax};
}

RPCH_DECL context_result server_association::accept(const presentation_context& asked,
                                                    const match& found) {
    const auto rejection = [](provider_reason why) {
        return context_result{
            context_answer::provider_rejection, static_cast<std::uint16_t>(why), {}};
    };
    const context made{asked.id, found.interface, found.transfer_syntax};
    if (const context* before = find_context(asked.id)) {
        // The same again is harmless and done by Windows; calls may rely on what an id means.
        if (before->interface != made.interface || before->transfer_syntax != made.transfer_syntax)
            return rejection(provider_reason::not_specified);
    } else
        contexts_.insert(std::ranges::lower_bound(contexts_, made.id, {}, &context::id), made);
    return {context_answer::acceptance, 0, made.transfer_syntax};
}

RPCH_DECL std::error_code server_association::refuse_bind(const common_header& h,
                                                          bind_reject_reason reason,
                                                          std::error_code why) {
    bind_nak p;
    p.header.call_id = h.call_id;
    p.header.flags = pfc::first_frag | pfc::last_frag;
    p.reason = reason;
    static_cast<void>(encode_bind_nak(p, control_.append(encoded_size(p))));
    return why;
}

/// Queues a fault that is the last word to a client that broke the protocol.
/// @return `why`, which closes the machine.

} // namespace rpch::inline RPCH_ABI::dcerpc
