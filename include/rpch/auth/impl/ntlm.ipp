#include <rpch/auth/ntlm.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include <rpch/auth/ntlm_messages.hpp>
#include <rpch/auth/ntlm_text.hpp>

#include <gsl/assert>

namespace rpch::inline RPCH_ABI::auth {

namespace detail {

/// What both ends do alike: all that comes after the tokens.
class ntlm_context : public security_context {
  public:
    ntlm_context(const ntlm_environment& env, const security_options& options)
        : env_(env), options_(options) {}

    [[nodiscard]] bool is_established() const noexcept override {
        return stage_ == stage::established;
    }
    [[nodiscard]] bool always_signs_headers() const noexcept override { return true; }
    [[nodiscard]] std::size_t signature_bytes(bool) const noexcept override {
        return ntlm_sealing::signature_bytes;
    }
    [[nodiscard]] std::error_code protect(bool seal, const protected_message& message,
                                          byte_span signature) override {
        return sealing_ ? sealing_->protect(seal, message, signature)
                        : make_error_code(errc::authentication_failed);
    }
    [[nodiscard]] std::error_code unprotect(bool sealed, const protected_message& message,
                                            byte_view signature) override {
        return sealing_ ? sealing_->unprotect(sealed, message, signature)
                        : make_error_code(errc::authentication_failed);
    }
    [[nodiscard]] bool can_make_mic() const noexcept override { return sealing_ && may_sign_; }
    [[nodiscard]] result<std::vector<std::byte>> make_mic(byte_view message) override {
        if (!sealing_) return fail(errc::authentication_failed);
        const auto mic = sealing_->make_mic(message);
        return std::vector<std::byte>(mic.begin(), mic.end());
    }
    [[nodiscard]] std::error_code check_mic(byte_view message, byte_view mic) override {
        return sealing_ ? sealing_->check_mic(message, mic)
                        : make_error_code(errc::authentication_failed);
    }
    [[nodiscard]] const peer_identity& peer() const noexcept override { return peer_; }
    [[nodiscard]] byte_view session_key() const noexcept override {
        return is_established() ? byte_view(exported_.bytes) : byte_view{};
    }
    [[nodiscard]] std::string_view detail() const noexcept override { return detail_; }

  protected:
    enum class stage : std::uint8_t { start, challenged, established, failed };

    /// Ends the context. Every step begins by setting the stage to `failed`, so that no way out of
    /// it leaves one half done.
    [[nodiscard]] tl::unexpected<std::error_code> refuse(errc why, std::string_view words) {
        detail_ = words;
        return fail(why);
    }
    [[nodiscard]] tl::unexpected<std::error_code> refuse_token(std::string_view which,
                                                               std::error_code why) {
        detail_ = std::string(which) + ": " + why.message();
        return fail(errc::bad_security_token);
    }
    /// @return whether `flags` hold what the level needs.
    [[nodiscard]] bool protects_enough(std::uint32_t flags, bool weak_keys) const noexcept {
        std::uint32_t needed = 0;
        if (signs(options_.level))
            needed = ntlm_flag::sign | ntlm_flag::extended_security |
                     (weak_keys ? 0 : ntlm_flag::key_128);
        if (options_.level == authentication_level::privacy) needed |= ntlm_flag::seal;
        return (flags & needed) == needed;
    }
    /// [MS-NLMP] 3.1.5.1.2: keys are exchanged only where something is signed or sealed with them.
    [[nodiscard]] static bool exchanges_keys(std::uint32_t flags) noexcept {
        return (flags & ntlm_flag::key_exchange) != 0 && protects(flags);
    }
    [[nodiscard]] static bool protects(std::uint32_t flags) noexcept {
        return (flags & (ntlm_flag::sign | ntlm_flag::seal)) != 0;
    }
    void establish(std::uint32_t flags, bool is_client) {
        // Without extended session security messages are protected as in NTLMv1: not here.
        if ((flags & ntlm_flag::extended_security) != 0)
            sealing_.emplace(env_, exported_, flags, is_client);
        may_sign_ = protects(flags);
        peer_.mechanism = "NTLM";
        stage_ = stage::established;
    }

    const ntlm_environment& env_;
    security_options options_;
    stage stage_ = stage::start;
    std::vector<std::byte> negotiate_; ///< Kept for the MIC, as the next.
    std::vector<std::byte> challenge_;
    ntlm_key exported_;
    std::optional<ntlm_sealing> sealing_;
    bool may_sign_ = false; ///< Both ends want it.
    peer_identity peer_;
    std::string detail_;
};

class ntlm_client_context final : public ntlm_context {
  public:
    ntlm_client_context(const ntlm_environment& env, const security_options& options,
                        std::shared_ptr<const ntlm_initiator::identity> who)
        : ntlm_context(env, options), who_(std::move(who)) {}
    [[nodiscard]] RPCH_DECL result<std::vector<std::byte>> step(byte_view token) override;

  private:
    [[nodiscard]] RPCH_DECL std::uint32_t wanted_flags() const noexcept;
    [[nodiscard]] RPCH_DECL result<std::vector<std::byte>> answer(byte_view token);
    [[nodiscard]] RPCH_DECL result<std::vector<std::byte>>
    target_info(const ntlm_av_pairs& server) const;

    std::shared_ptr<const ntlm_initiator::identity> who_;
};

class ntlm_server_context final : public ntlm_context {
  public:
    ntlm_server_context(const ntlm_environment& env, const security_options& options,
                        std::shared_ptr<const ntlm_accounts> accounts,
                        std::shared_ptr<const ntlm_server_settings> settings)
        : ntlm_context(env, options),
          accounts_(std::move(accounts)),
          settings_(std::move(settings)) {}
    [[nodiscard]] RPCH_DECL result<std::vector<std::byte>> step(byte_view token) override;

  private:
    [[nodiscard]] RPCH_DECL result<std::vector<std::byte>> challenge(byte_view token);
    [[nodiscard]] RPCH_DECL result<std::vector<std::byte>> verify(byte_view token);
    [[nodiscard]] RPCH_DECL std::error_code accept_session(const ntlm_authenticate& message,
                                                           const ntlm_key& key_exchange_key);
    [[nodiscard]] RPCH_DECL std::error_code check_bindings(const ntlm_av_pairs& pairs);
    [[nodiscard]] RPCH_DECL std::error_code check_mic_of(const ntlm_authenticate& message,
                                                         bool promised, byte_view token);

    std::shared_ptr<const ntlm_accounts> accounts_;
    std::shared_ptr<const ntlm_server_settings> settings_;
    std::uint32_t offered_ = 0;
    std::array<std::byte, 8> server_challenge_{};
};

RPCH_DECL std::uint32_t ntlm_client_context::wanted_flags() const noexcept {
    namespace bit = ntlm_flag;
    // At level connect of DCE/RPC not SIGN: Samba's server fails to answer then; nor KEY_EXCH:
    // without SIGN there is no key to exchange ([MS-NLMP] 3.1.5.1.2), and Samba misses one. In HTTP
    // SPNEGO signs its list with it.
    const bool will_sign = signs(options_.level) || !options_.dce_style;
    const std::uint32_t signing = will_sign ? bit::sign | bit::key_exchange : 0;
    return bit::unicode | bit::request_target | signing | bit::ntlm | bit::always_sign |
           bit::extended_security | bit::version | bit::key_128 |
           (who_->weak_keys ? bit::key_56 : 0) |
           (options_.level == authentication_level::privacy ? bit::seal : 0);
}

RPCH_DECL result<std::vector<std::byte>> ntlm_client_context::step(byte_view token) {
    switch (std::exchange(stage_, stage::failed)) {
    case stage::start: {
        if (!token.empty()) return refuse(errc::bad_security_token, "a token before the first");
        auto message = encode_ntlm(ntlm_negotiate{wanted_flags()});
        if (!message) return message;
        negotiate_ = *message;
        stage_ = stage::challenged;
        return message;
    }
    case stage::challenged: return answer(token);
    case stage::established:
    case stage::failed: break;
    }
    return refuse(errc::bad_security_token, "a token behind the last");
}

/// The server's pairs with ours in place of those that only a client may say, 3.1.5.1.2.
RPCH_DECL result<std::vector<std::byte>>
ntlm_client_context::target_info(const ntlm_av_pairs& server) const {
    std::vector<std::byte> out;
    for (const ntlm_av_pair& pair : std::span(server.pairs).first(server.count))
        if (pair.id != ntlm_av::flags && pair.id != ntlm_av::single_host &&
            pair.id != ntlm_av::target_name && pair.id != ntlm_av::channel_bindings)
            append_ntlm_av_pair(out, pair.id, pair.value);
    std::array<std::byte, 4> flags{};
    core::store(flags.data(), server.flags() | ntlm_av_flag_mic, core::byte_order::little);
    append_ntlm_av_pair(out, ntlm_av::flags, flags);
    append_ntlm_av_pair(out, ntlm_av::channel_bindings,
                        ntlm_channel_bindings(env_, options_.channel_binding));
    const auto target = ntlm_to_utf16(options_.target);
    if (!target || target->size() > limits::ntlm_name_bytes_max) return fail(errc::bad_setting);
    if (!target->empty()) append_ntlm_av_pair(out, ntlm_av::target_name, target->bytes());
    append_ntlm_av_pair(out, ntlm_av::end, {});
    return out;
}

RPCH_DECL result<std::vector<std::byte>> ntlm_client_context::answer(byte_view token) {
    const auto challenge = decode_ntlm_challenge(token);
    if (!challenge) return refuse_token("CHALLENGE", challenge.error());
    const auto server = decode_ntlm_av_pairs(challenge->target_info);
    if ((challenge->flags & ntlm_flag::target_info) == 0 || !server)
        return refuse(errc::bad_security_token, "CHALLENGE: no target information, or malformed");
    const std::uint32_t flags =
        (challenge->flags & wanted_flags()) | ntlm_flag::target_info | ntlm_flag::version;
    if ((flags & ntlm_flag::unicode) == 0 || !protects_enough(flags, who_->weak_keys))
        return refuse(errc::authentication_failed, "the server offers less protection than needed");

    ntlm_authenticate message{.flags = flags};
    ntlm_key key_exchange_key; // zero for nobody, 3.3.2
    std::array<std::byte, 24> lm{};
    std::vector<std::byte> nt;
    const auto user = ntlm_to_utf16(who_->user);
    const auto domain = ntlm_to_utf16(who_->domain);
    const auto workstation = ntlm_to_utf16(who_->workstation);
    if (!user || !domain || !workstation) return refuse(errc::bad_credentials, "not UTF-8");
    if (who_->anonymous) {
        message.flags |= ntlm_flag::anonymous;
        message.lm_response = byte_view(lm).first(1);
    } else {
        const auto response_key = ntowf_v2(env_, who_->nt_hash, who_->user, who_->domain);
        const auto info = target_info(*server);
        std::array<std::byte, 8> nonce{};
        if (!response_key || !info) return refuse(errc::bad_credentials, "a name is malformed");
        if (const auto failed = env_.fill_random(nonce)) return fail(failed);
        const auto stamp = server->find(ntlm_av::timestamp);
        const std::uint64_t time =
            stamp ? core::load<std::uint64_t>(stamp->data(), core::byte_order::little)
                  : env_.filetime_now();
        nt = ntlmv2_response_bytes(env_, *response_key, challenge->server_challenge, nonce, time,
                                   *info);
        // 3.1.5.1.2: a server that tells the time knows better than to look at the LM response.
        if (!stamp) lm = lmv2_response(env_, *response_key, challenge->server_challenge, nonce);
        key_exchange_key = ntlmv2_session_base_key(env_, *response_key, std::span(nt).first<16>());
        message.lm_response = lm;
        message.nt_response = nt;
        message.user = user->bytes();
        message.domain = domain->bytes();
        message.workstation = workstation->bytes();
        message.has_mic = true;
    }
    exported_ = key_exchange_key;
    ntlm_key encrypted;
    if (exchanges_keys(flags)) {
        if (const auto failed = env_.fill_random(exported_.bytes)) return fail(failed);
        encrypted = exported_;
        rc4(key_exchange_key.bytes).apply(encrypted.bytes);
        message.session_key = encrypted.bytes;
    }
    auto out = encode_ntlm(message);
    if (!out) return refuse(errc::bad_security_token, "the target information is too large");
    if (message.has_mic) {
        const ntlm_key mic = ntlm_mic(env_, exported_, negotiate_, token, *out);
        std::ranges::copy(mic.bytes, out->begin() + ntlm_mic_offset);
    }
    establish(flags, true);
    return out;
}

RPCH_DECL result<std::vector<std::byte>> ntlm_server_context::step(byte_view token) {
    const stage before = std::exchange(stage_, stage::failed);
    if (token.size() > limits::ntlm_token_bytes_max)
        return refuse(errc::bad_security_token, "a token larger than NTLM has any");
    switch (before) {
    case stage::start: return challenge(token);
    case stage::challenged: {
        auto out = verify(token);
        if (!out) peer_ = {}; // a name that was not proved to the end is nobody's
        return out;
    }
    case stage::established:
    case stage::failed: break;
    }
    return refuse(errc::bad_security_token, "a token behind the last");
}

RPCH_DECL result<std::vector<std::byte>> ntlm_server_context::challenge(byte_view token) {
    namespace bit = ntlm_flag;
    const auto asked = decode_ntlm_negotiate(token);
    if (!asked) return refuse_token("NEGOTIATE", asked.error());
    if ((asked->flags & (bit::unicode | bit::oem)) == 0 || (asked->flags & bit::datagram) != 0)
        return refuse(errc::bad_security_token, "NEGOTIATE: no character set, or datagrams");
    if (!protects_enough(asked->flags, settings_->weak_keys))
        return refuse(errc::authentication_failed, "the client offers less protection than needed");
    const bool in_domain = !settings_->netbios_domain.empty();
    const std::string& name = in_domain ? settings_->netbios_domain : settings_->netbios_computer;
    offered_ = (asked->flags & (bit::request_target | bit::sign | bit::seal | bit::always_sign |
                                bit::extended_security | bit::version | bit::key_128 |
                                bit::key_exchange | (settings_->weak_keys ? bit::key_56 : 0))) |
               ((asked->flags & bit::unicode) != 0 ? bit::unicode : bit::oem) | bit::ntlm |
               bit::target_info | (in_domain ? bit::target_is_domain : bit::target_is_server);

    std::vector<std::byte> info;
    const std::pair<ntlm_av, const std::string&> names[] = {
        {ntlm_av::netbios_domain, name},
        {ntlm_av::netbios_computer, settings_->netbios_computer},
        {ntlm_av::dns_domain, settings_->dns_domain},
        {ntlm_av::dns_computer, settings_->dns_computer}};
    for (const auto& [id, text] : names) {
        const auto wide = ntlm_to_utf16(text);
        if (!wide || wide->size() > limits::ntlm_name_bytes_max) return fail(errc::bad_setting);
        if (!wide->empty()) append_ntlm_av_pair(info, id, wide->bytes());
    }
    std::array<std::byte, 8> stamp{};
    core::store(stamp.data(), env_.filetime_now(), core::byte_order::little);
    append_ntlm_av_pair(info, ntlm_av::timestamp, stamp);
    append_ntlm_av_pair(info, ntlm_av::end, {});
    if (const auto failed = env_.fill_random(server_challenge_)) return fail(failed);
    const auto wide = ntlm_to_utf16(name);
    // A client of OEM text does not tell which code page it means; nothing is the same in all.
    const byte_view target = (offered_ & bit::unicode) != 0 ? wide->bytes() : byte_view{};
    auto out = encode_ntlm(ntlm_challenge{.flags = offered_,
                                          .server_challenge = server_challenge_,
                                          .target_name = target,
                                          .target_info = info});
    if (!out) return out;
    negotiate_.assign(token.begin(), token.end());
    challenge_ = *out;
    stage_ = stage::challenged;
    return out;
}

/// A name as the flags say it is written. OEM text is taken as far as every code page agrees.
RPCH_DECL result<std::string> ntlm_name(byte_view in, std::uint32_t flags) {
    if ((flags & ntlm_flag::unicode) != 0) return ntlm_from_utf16(in);
    for (const std::byte b : in)
        if (b == std::byte{0} || b >= std::byte{0x80}) return fail(errc::bad_value);
    return std::string(core::as_text(in));
}

/// A name that nobody proved, for a log: of one line, and short.
RPCH_DECL std::string ntlm_printable(std::string_view name) {
    std::string out;
    for (const char c : name.substr(0, 64))
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
    return out;
}

RPCH_DECL result<std::vector<std::byte>> ntlm_server_context::verify(byte_view token) {
    const auto message = decode_ntlm_authenticate(token);
    if (!message) return refuse_token("AUTHENTICATE", message.error());
    const auto user = ntlm_name(message->user, message->flags);
    const auto domain = ntlm_name(message->domain, message->flags);
    if (!user || !domain) return refuse(errc::bad_security_token, "AUTHENTICATE: malformed name");
    ntlm_key key_exchange_key; // zero for nobody, 3.3.2
    bool promises_mic = false;
    if (user->empty() && message->nt_response.empty() && message->lm_response.size() <= 1) {
        if (!settings_->allow_anonymous) return refuse(errc::bad_credentials, "anonymous client");
        peer_.anonymous = true;
    } else {
        const auto response = decode_ntlmv2_response(message->nt_response);
        if (!response)
            return response.error() == errc::not_supported || message->nt_response.empty()
                       ? refuse(errc::authentication_failed, "a response of LM or NTLMv1")
                       : refuse_token("AUTHENTICATE, response", response.error());
        const auto account = accounts_->find(*user, *domain);
        // Somebody unknown is computed with a key of nobody, so that a clock does not tell.
        const auto response_key =
            ntowf_v2(env_, account ? account->nt_hash : ntlm_key{}, *user, *domain);
        if (!response_key) return refuse(errc::bad_security_token, "AUTHENTICATE: malformed name");
        const ntlm_key proof = ntlmv2_proof(env_, *response_key, server_challenge_, response->rest);
        const bool proved = core::equal_constant_time(proof.bytes, response->proof);
        if (!proved || !account)
            return refuse(errc::bad_credentials,
                          "unknown user or wrong password, " + ntlm_printable(*user));
        if (account->locked)
            return refuse(errc::account_locked, "the account is locked, " + account->user);
        if (const auto bad = check_bindings(response->target_info)) return fail(bad);
        key_exchange_key = ntlmv2_session_base_key(env_, *response_key, response->proof);
        promises_mic = (response->target_info.flags() & ntlm_av_flag_mic) != 0;
        peer_.user = account->user; // not as the client wrote them: its domain may be anything
        peer_.domain = account->domain;
    }
    if (const auto bad = accept_session(*message, key_exchange_key)) return fail(bad);
    if (!peer_.anonymous)
        if (const auto bad = check_mic_of(*message, promises_mic, token)) return fail(bad);
    establish(message->flags & offered_, false);
    return std::vector<std::byte>{};
}

RPCH_DECL std::error_code ntlm_server_context::accept_session(const ntlm_authenticate& message,
                                                              const ntlm_key& key_exchange_key) {
    const std::uint32_t flags = message.flags & offered_;
    exported_ = key_exchange_key;
    if (!protects_enough(flags, settings_->weak_keys))
        return refuse(errc::authentication_failed, "the client took less protection than needed")
            .value();
    if (!exchanges_keys(flags)) return {};
    if (message.session_key.empty())
        return refuse(errc::authentication_failed, "the client sent no session key").value();
    std::ranges::copy(message.session_key, exported_.bytes.begin());
    rc4(key_exchange_key.bytes).apply(exported_.bytes);
    return {};
}

RPCH_DECL std::error_code ntlm_server_context::check_bindings(const ntlm_av_pairs& pairs) {
    constexpr std::array<std::byte, 16> none{};
    const auto theirs = pairs.find(ntlm_av::channel_bindings);
    const bool told = theirs && !core::equal_constant_time(*theirs, none);
    if (!options_.channel_binding.empty()) {
        if (!told && settings_->require_channel_binding)
            return refuse(errc::authentication_failed, "no channel binding").value();
        const auto ours = ntlm_channel_bindings(env_, options_.channel_binding);
        if (told && !core::equal_constant_time(*theirs, ours))
            return refuse(errc::authentication_failed, "another channel's binding").value();
    }
    const auto target = pairs.find(ntlm_av::target_name);
    if (settings_->accepted_targets.empty() || !target || target->empty()) return {};
    const auto name = ntlm_from_utf16(*target);
    for (const std::string& accepted : settings_->accepted_targets)
        if (name && ntlm_equal_nocase(*name, accepted)) return {};
    return refuse(errc::authentication_failed, "the client means another server").value();
}

RPCH_DECL std::error_code ntlm_server_context::check_mic_of(const ntlm_authenticate& message,
                                                            bool promised, byte_view token) {
    if (!promised)
        return settings_->require_mic
                   ? refuse(errc::authentication_failed, "the client sends no MIC").value()
                   : std::error_code{};
    if (!message.has_mic) return refuse(errc::authentication_failed, "the MIC was removed").value();
    std::vector<std::byte> zeroed(token.begin(), token.end());
    const auto place = std::span(zeroed).subspan<ntlm_mic_offset, 16>();
    std::ranges::fill(place, std::byte{0});
    const ntlm_key wanted = ntlm_mic(env_, exported_, negotiate_, challenge_, zeroed);
    if (core::equal_constant_time(wanted.bytes, token.subspan(ntlm_mic_offset, 16))) return {};
    return refuse(errc::authentication_failed, "wrong MIC: a token was altered").value();
}

} // namespace detail

RPCH_DECL ntlm_initiator::ntlm_initiator(const ntlm_environment& env, ntlm_credentials credentials)
    : env_(&env) {
    auto who = std::make_shared<identity>();
    who->anonymous = credentials.anonymous;
    who->weak_keys = credentials.weak_keys;
    if (!who->anonymous) {
        if (credentials.nt_hash.empty()) {
            const auto hash = ntowf_v1(credentials.password.view());
            if (!hash) return;
            who->nt_hash = *hash;
        } else {
            if (credentials.nt_hash.size() != 16) return;
            std::ranges::copy(credentials.nt_hash.bytes(), who->nt_hash.bytes.begin());
        }
        for (const std::string* name :
             {&credentials.user, &credentials.domain, &credentials.workstation}) {
            const auto wide = ntlm_to_utf16(*name);
            if (!wide || wide->size() > limits::ntlm_name_bytes_max) return;
        }
        if (credentials.user.empty()) return;
        who->user = std::move(credentials.user);
        who->domain = std::move(credentials.domain);
        who->workstation = std::move(credentials.workstation);
    }
    who_ = std::move(who);
}

RPCH_DECL result<std::unique_ptr<security_context>>
ntlm_initiator::initiate(const security_options& options) {
    if (!env_->has_md5()) return fail(errc::security_not_supported);
    if (!who_) return fail(errc::bad_credentials);
    return std::make_unique<detail::ntlm_client_context>(*env_, options, who_);
}

RPCH_DECL std::optional<ntlm_account> ntlm_account_list::find(std::string_view user,
                                                              std::string_view domain) const {
    for (const ntlm_account& one : accounts_) {
        if (!ntlm_equal_nocase(one.user, user)) continue;
        if (!one.domain.empty() && !ntlm_equal_nocase(one.domain, domain)) continue;
        return one;
    }
    return std::nullopt;
}

RPCH_DECL ntlm_acceptor::ntlm_acceptor(const ntlm_environment& env,
                                       std::shared_ptr<const ntlm_accounts> accounts,
                                       ntlm_server_settings settings)
    : env_(&env),
      accounts_(std::move(accounts)),
      settings_(std::make_shared<const ntlm_server_settings>(std::move(settings))) {
    Expects(accounts_ != nullptr);
}

RPCH_DECL result<std::unique_ptr<security_context>>
ntlm_acceptor::accept(const security_options& options) {
    if (!env_->has_md5()) return fail(errc::security_not_supported);
    return std::make_unique<detail::ntlm_server_context>(*env_, options, accounts_, settings_);
}

} // namespace rpch::inline RPCH_ABI::auth
