#include <rpch/auth/http_handshake.hpp>

#include <algorithm>
#include <utility>

#include <rpch/core/base64.hpp>
#include <rpch/core/text.hpp>
#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::auth {

namespace detail {

/// Tokens hold answers to challenges, which passwords can be guessed from.
struct wiped_token {
    std::vector<std::byte> bytes;
    explicit wiped_token(std::vector<std::byte> token) noexcept : bytes(std::move(token)) {}
    wiped_token(const wiped_token&) = delete;
    wiped_token& operator=(const wiped_token&) = delete;
    ~wiped_token() { core::wipe(bytes); }
};

RPCH_DECL result<std::vector<std::byte>> decode_token(std::string_view base64) {
    if (core::base64_decoded_size_max(base64.size()) > limits::auth_token_bytes_max + 2)
        return fail(errc::too_large);
    auto token = core::base64_decode(base64, limits::auth_token_bytes_max + 2);
    if (!token) return fail(errc::bad_security_token);
    if (token->size() > limits::auth_token_bytes_max) return fail(errc::too_large);
    return token;
}

} // namespace detail

RPCH_DECL scheme http_scheme_of(security_provider provider) noexcept {
    if (provider == security_provider::ntlm) return scheme::ntlm;
    if (provider == security_provider::negotiate) return scheme::negotiate;
    return scheme::other;
}

RPCH_DECL core::secret write_token(scheme which, byte_view token) {
    const std::string_view name = name_of(which);
    std::string value;
    value.reserve(name.size() + 1 + core::base64_size(token.size())); // growing would leave a copy
    value = name;
    if (!token.empty()) {
        value += ' ';
        core::base64_append(value, token);
    }
    core::secret out{std::string_view(value)};
    core::wipe(value);
    return out;
}

RPCH_DECL result<std::vector<std::byte>> read_token(std::string_view authorization) {
    const std::size_t blank = authorization.find(' ');
    if (blank == std::string_view::npos) return std::vector<std::byte>{};
    return detail::decode_token(core::trim_blanks(authorization.substr(blank)));
}

RPCH_DECL std::vector<std::byte> channel_binding_of(byte_view end_point) {
    if (end_point.empty()) return {};
    const byte_view prefix = core::as_bytes(std::string_view("tls-server-end-point:"));
    std::vector<std::byte> out(prefix.begin(), prefix.end());
    out.insert(out.end(), end_point.begin(), end_point.end());
    return out;
}

RPCH_DECL std::string account_of(const peer_identity& who) {
    if (who.anonymous || who.user.empty()) return {};
    return who.domain.empty() ? who.user : who.domain + "\\" + who.user;
}

RPCH_DECL security_acceptor*
acceptor_for(std::span<const std::shared_ptr<security_acceptor>> acceptors, scheme which) noexcept {
    if (which != scheme::ntlm && which != scheme::negotiate) return nullptr;
    for (const auto& each : acceptors)
        if (each && http_scheme_of(each->provider()) == which) return each.get();
    return nullptr;
}

// http_acceptance

RPCH_DECL http_acceptance::answer
http_acceptance::take(std::span<const std::shared_ptr<security_acceptor>> acceptors,
                      std::string_view authorization, const security_options& options) {
    answer out;
    const auto refuse = [&](std::string why) {
        context_.reset();
        out.why = std::move(why);
        return out;
    };
    const scheme which = scheme_of(authorization);
    security_acceptor* const acceptor = acceptor_for(acceptors, which);
    if (acceptor == nullptr) return refuse("a scheme that is not offered");
    if (which != scheme_) context_.reset();
    scheme_ = which;
    auto given = read_token(authorization);
    if (!given) return refuse("a token that cannot be read: " + given.error().message());
    const detail::wiped_token token(std::move(*given));
    if (token.bytes.empty()) return refuse("a scheme without a token");

    const bool was_under_way = context_ != nullptr;
    result<std::vector<std::byte>> said = fail(errc::bad_security_token);
    if (was_under_way) said = context_->step(token.bytes);
    // A first leg is out of order in a handshake: the client begins again.
    if (!said && said.error() == errc::bad_security_token) {
        auto fresh = acceptor->accept(options);
        if (!fresh) return refuse("no security context: " + fresh.error().message());
        context_ = std::move(*fresh);
        said = context_->step(token.bytes);
    }
    if (!said) {
        const std::string_view detail = context_->detail();
        return refuse(said.error().message() +
                      (detail.empty() ? "" : " (" + std::string(detail) + ")"));
    }
    const detail::wiped_token next(std::move(*said));
    if (!context_->is_established() && next.bytes.empty())
        return refuse("the mechanism has nothing to say and is not done");
    if (!next.bytes.empty()) out.challenge = write_token(which, next.bytes).view();
    out.what = verdict::next_leg;
    if (context_->is_established()) {
        out.what = verdict::accepted;
        out.who = context_->peer();
        context_.reset();
    }
    return out;
}

// http_logon

RPCH_DECL http_logon::http_logon(std::shared_ptr<security_initiator> initiator, scheme which,
                                 security_options options)
    : initiator_(std::move(initiator)), scheme_(which), options_(std::move(options)) {}

RPCH_DECL std::error_code http_logon::note(std::error_code why) {
    detail_ = why.message();
    if (context_ && !context_->detail().empty())
        detail_ += " (" + std::string(context_->detail()) + ")";
    return why;
}

RPCH_DECL result<core::secret> http_logon::step(byte_view token) {
    auto said = context_->step(token);
    if (!said) return fail(note(said.error()));
    const detail::wiped_token next(std::move(*said));
    if (next.bytes.empty()) {
        detail_ = "the mechanism has nothing more to say";
        return fail(errc::http_auth_required);
    }
    ++legs_;
    return write_token(scheme_, next.bytes);
}

RPCH_DECL result<core::secret> http_logon::begin() {
    context_.reset();
    legs_ = 0;
    auto fresh = initiator_->initiate(options_);
    if (!fresh) return fail(note(fresh.error()));
    context_ = std::move(*fresh);
    return step({});
}

RPCH_DECL result<core::secret> http_logon::answer(std::string_view base64) {
    if (legs_ >= limits::http_auth_legs_max) {
        detail_ = "the handshake has no end";
        return fail(errc::http_auth_required);
    }
    auto token = detail::decode_token(base64);
    if (!token) return fail(note(token.error()));
    const detail::wiped_token given(std::move(*token));
    if (is_established()) {
        detail_ = "the mechanism has nothing more to say";
        return fail(errc::http_auth_required);
    }
    return step(given.bytes);
}

RPCH_DECL std::error_code http_logon::finish(const offer* success) {
    if (is_established()) return {}; // a token that nobody waits for, as an accept-completed
    if (success == nullptr || success->token.empty()) {
        if (scheme_ == scheme::ntlm || server_proven_) return {};
        detail_ = "the proxy let the request in and did not prove who it is";
        return errc::authentication_failed;
    }
    auto token = detail::decode_token(success->token);
    if (!token) return note(token.error());
    const detail::wiped_token given(std::move(*token));
    auto said = context_->step(given.bytes);
    if (!said) return note(said.error());
    core::wipe(*said);
    if (!context_->is_established()) {
        detail_ = "the proxy let the request in before the handshake was over";
        return errc::authentication_failed;
    }
    server_proven_ = true;
    return {};
}

} // namespace rpch::inline RPCH_ABI::auth
