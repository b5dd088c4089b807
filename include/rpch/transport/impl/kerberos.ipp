#include <rpch/transport/kerberos.hpp>

#include <utility>

#if defined(RPCH_WITH_KERBEROS)

    #include <algorithm>
    #include <array>
    #include <cstddef>
    #include <cstdint>
    #include <mutex>
    #include <string_view>
    #include <vector>

    #include <gssapi/gssapi.h>
    #include <gssapi/gssapi_ext.h>
    #include <gssapi/gssapi_krb5.h>
    #include <krb5/krb5.h>
    #include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::transport {

namespace detail {

/// A buffer that GSSAPI reads only; it borrows.
[[nodiscard]] RPCH_DECL gss_buffer_desc gss_borrow(byte_view in) noexcept {
    return {in.size(), const_cast<std::byte*>(in.data())};
}
/// Takes over what GSSAPI allocated.
[[nodiscard]] RPCH_DECL std::vector<std::byte> gss_take(gss_buffer_desc& from) {
    const auto* const at = static_cast<const std::byte*>(from.value);
    std::vector<std::byte> out;
    if (from.length != 0) out.assign(at, at + from.length);
    OM_uint32 minor = 0;
    gss_release_buffer(&minor, &from);
    return out;
}
/// What went wrong, in the words of GSSAPI and of Kerberos.
[[nodiscard]] RPCH_DECL std::string gss_words(OM_uint32 major, OM_uint32 minor) {
    std::string out;
    for (const auto& [code, kind] :
         {std::pair{major, GSS_C_GSS_CODE}, std::pair{minor, GSS_C_MECH_CODE}}) {
        OM_uint32 more = 0;
        for (int lines = 0; lines < 4; ++lines) {
            OM_uint32 ignored = 0;
            gss_buffer_desc text{};
            if (GSS_ERROR(gss_display_status(&ignored, code, kind, gss_mech_krb5, &more, &text)))
                break;
            if (!out.empty()) out += "; ";
            out += core::as_text(gss_take(text));
            if (more == 0) break;
        }
    }
    return out;
}

/// Owns a name, a set of credentials or a context of GSSAPI.
template <class Handle, OM_uint32 (*Release)(OM_uint32*, Handle*)>
class gss_owned {
  public:
    gss_owned() noexcept = default;
    gss_owned(const gss_owned&) = delete;
    gss_owned& operator=(const gss_owned&) = delete;
    ~gss_owned() {
        OM_uint32 minor = 0;
        if (handle_ != nullptr) Release(&minor, &handle_);
    }
    [[nodiscard]] Handle get() const noexcept { return handle_; }
    [[nodiscard]] Handle* out() noexcept { return &handle_; }

  private:
    Handle handle_ = nullptr;
};
RPCH_DECL OM_uint32 gss_end_context(OM_uint32* minor, gss_ctx_id_t* context) {
    return gss_delete_sec_context(minor, context, GSS_C_NO_BUFFER);
}
using gss_owned_name = gss_owned<gss_name_t, gss_release_name>;
using gss_owned_cred = gss_owned<gss_cred_id_t, gss_release_cred>;
using gss_owned_context = gss_owned<gss_ctx_id_t, gss_end_context>;

/// @return whether `out` is the name. `service/host` belongs to the realm that krb5.conf or the KDC
///         says the host is in; a principal with a realm is taken as it is.
[[nodiscard]] RPCH_DECL bool gss_import_service(const std::string& name, gss_owned_name& out) {
    std::string text = name;
    const std::size_t slash = text.find('/');
    const bool is_host = slash != std::string::npos && text.find('@') == std::string::npos;
    if (is_host) text[slash] = '@';
    gss_buffer_desc buffer = gss_borrow(core::as_bytes(text));
    OM_uint32 minor = 0;
    return !name.empty() &&
           !GSS_ERROR(gss_import_name(&minor, &buffer,
                                      is_host ? GSS_C_NT_HOSTBASED_SERVICE
                                              : static_cast<gss_OID>(GSS_KRB5_NT_PRINCIPAL_NAME),
                                      out.out()));
}

/// Credentials of Kerberos alone.
[[nodiscard]] RPCH_DECL OM_uint32 acquire_kerberos(
    OM_uint32& minor, gss_name_t name, const core::secret* password, gss_cred_usage_t usage,
    const std::vector<gss_key_value_element_desc>& where, gss_owned_cred& out) {
    gss_OID_set_desc mechanisms{1, gss_mech_krb5};
    if (password != nullptr) {
        gss_buffer_desc text = gss_borrow(password->bytes());
        return gss_acquire_cred_with_password(&minor, name, &text, GSS_C_INDEFINITE, &mechanisms,
                                              usage, out.out(), nullptr, nullptr);
    }
    std::vector<gss_key_value_element_desc> elements = where;
    const gss_key_value_set_desc store{static_cast<OM_uint32>(elements.size()), elements.data()};
    return gss_acquire_cred_from(&minor, name, GSS_C_INDEFINITE, &mechanisms, usage,
                                 elements.empty() ? GSS_C_NO_CRED_STORE : &store, out.out(),
                                 nullptr, nullptr);
}

/// Has MIT's library ask for confidentiality only where we do. It always would, and Samba takes the
/// size of its signatures from that flag, whatever the level of a PDU says.
RPCH_DECL void leave_flags_alone(gss_owned_cred& cred) {
    gss_buffer_desc nothing{};
    OM_uint32 minor = 0;
    static_cast<void>(gss_set_cred_option(
        &minor, cred.out(), const_cast<gss_OID>(GSS_KRB5_CRED_NO_CI_FLAGS_X), &nothing));
}

/// Gets a client's credentials, for all contexts of an initiator.
class kerberos_client_source {
  public:
    explicit kerberos_client_source(kerberos_credentials who) : who_(std::move(who)) {}

    /// @return null if GSSAPI said `major` and `minor`. Asks the KDC if there is a password.
    [[nodiscard]] std::shared_ptr<gss_owned_cred> acquire(OM_uint32& major, OM_uint32& minor) {
        const std::scoped_lock lock(mutex_);
        if (cred_) {
            OM_uint32 seconds = 0;
            major = gss_inquire_cred(&minor, cred_->get(), nullptr, &seconds, nullptr, nullptr);
            if (!GSS_ERROR(major) && seconds > 60) return cred_; // no ticket ends in the middle
            cred_.reset();
        }
        const bool has_password = !who_.password.empty();
        gss_owned_name name;
        if (has_password || !who_.user.empty()) {
            const std::string text = who_.realm.empty() ? who_.user : who_.user + "@" + who_.realm;
            gss_buffer_desc buffer = gss_borrow(core::as_bytes(text));
            major =
                who_.user.empty()
                    ? OM_uint32{GSS_S_BAD_NAME}
                    : gss_import_name(&minor, &buffer,
                                      static_cast<gss_OID>(GSS_KRB5_NT_PRINCIPAL_NAME), name.out());
            if (GSS_ERROR(major)) return nullptr;
        }
        std::vector<gss_key_value_element_desc> where;
        if (!who_.cache.empty()) where.push_back({"ccache", who_.cache.c_str()});
        auto made = std::make_shared<gss_owned_cred>();
        major = acquire_kerberos(minor, name.get(), has_password ? &who_.password : nullptr,
                                 GSS_C_INITIATE, where, *made);
        if (GSS_ERROR(major)) return nullptr;
        leave_flags_alone(*made);
        if (has_password) cred_ = made;
        return made;
    }

  private:
    kerberos_credentials who_;
    std::mutex mutex_{};
    std::shared_ptr<gss_owned_cred> cred_{}; ///< Got by a password.
};

[[nodiscard]] RPCH_DECL std::shared_ptr<kerberos_client_source>
make_kerberos_source(kerberos_credentials credentials) {
    return std::make_shared<kerberos_client_source>(std::move(credentials));
}

/// One end of a context.
class kerberos_context final : public auth::security_context {
  public:
    /// Of a client; its credentials are got in the first step.
    kerberos_context(auth::security_options options, std::shared_ptr<kerberos_client_source> source)
        : options_(std::move(options)), source_(std::move(source)), is_client_(true) {}
    /// Of a server.
    kerberos_context(auth::security_options options, std::shared_ptr<gss_owned_cred> cred)
        : options_(std::move(options)), cred_(std::move(cred)), is_client_(false) {}

    [[nodiscard]] RPCH_DECL result<std::vector<std::byte>> step(byte_view token) override;
    [[nodiscard]] bool is_established() const noexcept override {
        return stage_ == stage::established;
    }
    [[nodiscard]] std::size_t signature_bytes(bool seal) const noexcept override {
        return seal ? seal_bytes_ : mic_bytes_;
    }
    [[nodiscard]] RPCH_DECL std::error_code
    protect(bool seal, const auth::protected_message& message, byte_span signature) override;
    [[nodiscard]] RPCH_DECL std::error_code
    unprotect(bool sealed, const auth::protected_message& message, byte_view signature) override;
    [[nodiscard]] RPCH_DECL result<std::vector<std::byte>> make_mic(byte_view message) override;
    [[nodiscard]] RPCH_DECL std::error_code check_mic(byte_view message, byte_view mic) override;
    [[nodiscard]] const auth::peer_identity& peer() const noexcept override { return peer_; }
    [[nodiscard]] byte_view session_key() const noexcept override {
        return is_established() ? session_key_.bytes() : byte_view{};
    }
    [[nodiscard]] std::string_view detail() const noexcept override { return detail_; }
    [[nodiscard]] std::string_view next_step() const noexcept override { return next_step_; }

    /// Sets whom a client means.
    [[nodiscard]] bool import_target() { return gss_import_service(options_.target, target_); }

  private:
    enum class stage : std::uint8_t { start, going_on, established, failed };

    [[nodiscard]] tl::unexpected<std::error_code> refuse(errc why, std::string words) {
        detail_ = std::move(words);
        return fail(why);
    }
    [[nodiscard]] RPCH_DECL tl::unexpected<std::error_code> refuse(OM_uint32 major,
                                                                   OM_uint32 minor);
    [[nodiscard]] RPCH_DECL std::error_code establish(OM_uint32 flags);
    [[nodiscard]] RPCH_DECL std::error_code read_session_key();
    [[nodiscard]] RPCH_DECL std::error_code read_peer();
    /// The buffers of one message in the order of DCE, the signature last.
    [[nodiscard]] static std::array<gss_iov_buffer_desc, 4>
    buffers(bool seal, const auth::protected_message& message, byte_span signature) noexcept {
        const OM_uint32 kind = seal ? GSS_IOV_BUFFER_TYPE_HEADER : GSS_IOV_BUFFER_TYPE_MIC_TOKEN;
        return {{{GSS_IOV_BUFFER_TYPE_SIGN_ONLY, gss_borrow(message.head)},
                 {GSS_IOV_BUFFER_TYPE_DATA, gss_borrow(message.body)},
                 {GSS_IOV_BUFFER_TYPE_SIGN_ONLY, gss_borrow(message.tail)},
                 {kind, gss_borrow(signature)}}};
    }

    auth::security_options options_;
    std::shared_ptr<kerberos_client_source> source_{};
    std::shared_ptr<gss_owned_cred> cred_{};
    bool is_client_;
    stage stage_ = stage::start;
    gss_owned_context context_{};
    gss_owned_name target_{};
    std::size_t seal_bytes_ = 0;
    std::size_t mic_bytes_ = 0;
    core::secret session_key_{};
    auth::peer_identity peer_{};
    std::string detail_{};
    std::string next_step_{};
};

/// @return whether it is the principal of tickets that name no user, RFC 8062 3, whatever its
/// realm.
[[nodiscard]] RPCH_DECL bool is_anonymous_principal(std::string_view name) noexcept {
    return name == KRB5_WELLKNOWN_NAMESTR "/" KRB5_ANONYMOUS_PRINCSTR;
}

/// The error of a step that failed.
[[nodiscard]] RPCH_DECL errc kerberos_error(OM_uint32 major, OM_uint32 minor) noexcept {
    const OM_uint32 routine = GSS_ROUTINE_ERROR(major);
    if (GSS_CALLING_ERROR(major) != 0 || routine == GSS_S_DEFECTIVE_TOKEN)
        return errc::bad_security_token;
    const auto code = static_cast<krb5_error_code>(static_cast<std::int32_t>(minor));
    if (code == KRB5KDC_ERR_CLIENT_REVOKED) return errc::account_locked;
    if (code == KRB5KDC_ERR_PREAUTH_FAILED || code == KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN ||
        code == KRB5KDC_ERR_KEY_EXP || code == KRB5_PREAUTH_FAILED ||
        (code == KRB5KRB_AP_ERR_BAD_INTEGRITY &&
         (routine == GSS_S_FAILURE || routine == GSS_S_NO_CRED)))
        return errc::bad_credentials;
    if (code == KRB5_KDC_UNREACH || code == KRB5_REALM_CANT_RESOLVE)
        return errc::authentication_failed; // nobody said anything about the credentials
    if (routine == GSS_S_NO_CRED || routine == GSS_S_CREDENTIALS_EXPIRED ||
        code == KRB5KRB_AP_ERR_TKT_EXPIRED)
        return errc::no_credentials;
    if (routine == GSS_S_DEFECTIVE_CREDENTIAL || routine == GSS_S_BAD_NAME)
        return errc::bad_credentials;
    return errc::authentication_failed;
}

/// What a person can do about it; empty if nobody knows.
/// @param target  the service that a client asked for; empty for a server.
[[nodiscard]] RPCH_DECL std::string kerberos_next_step(OM_uint32 major, OM_uint32 minor,
                                                       const std::string& target) {
    switch (static_cast<krb5_error_code>(static_cast<std::int32_t>(minor))) {
    case KRB5KRB_AP_ERR_SKEW:
    case KRB5_KDCREP_SKEW:
    case KRB5KRB_AP_ERR_TKT_NYV:
        return "set the clocks: those of client, server and KDC may differ by some minutes only";
    case KRB5KRB_AP_ERR_TKT_EXPIRED: return "the ticket has expired: get another (kinit)";
    case KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN:
        return "the realm has no service " + target +
               ": use the name that it is registered by (--target), or have it registered";
    case KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN: return "check user name and realm: there is no such user";
    case KRB5KDC_ERR_PREAUTH_FAILED:
    case KRB5_PREAUTH_FAILED: return "check the password";
    case KRB5KDC_ERR_KEY_EXP: return "the password has expired: change it (kpasswd)";
    case KRB5KDC_ERR_CLIENT_REVOKED: return "have the account unlocked, or the user enabled";
    case KRB5_KDC_UNREACH:
    case KRB5_REALM_CANT_RESOLVE:
    case KRB5_REALM_UNKNOWN:
        return "check the realm and its KDC in krb5.conf, and that the KDC answers";
    case KRB5KRB_AP_WRONG_PRINC:
    case KRB5KRB_AP_ERR_NOKEY:
    case KRB5KRB_AP_ERR_BADKEYVER:
    case KRB5_KT_NOTFOUND:
    case KRB5_KT_KVNONOTFOUND:
        return "the keytab has no key for that ticket: export the service's key again, and check "
               "the principal name that clients use";
    case KRB5KRB_AP_ERR_BAD_INTEGRITY:
        return target.empty() ? "the keytab's key is not the KDC's: export it again"
                              : "check the password";
    default: break;
    }
    switch (GSS_ROUTINE_ERROR(major)) {
    case GSS_S_NO_CRED:
        return target.empty() ? "" : "get a ticket (kinit), or give a user and a password";
    case GSS_S_CREDENTIALS_EXPIRED: return "the ticket has expired: get another (kinit)";
    default: return {};
    }
}

RPCH_DECL tl::unexpected<std::error_code> kerberos_context::refuse(OM_uint32 major,
                                                                   OM_uint32 minor) {
    next_step_ = kerberos_next_step(major, minor, is_client_ ? options_.target : std::string());
    return refuse(kerberos_error(major, minor), gss_words(major, minor));
}

RPCH_DECL result<std::vector<std::byte>> kerberos_context::step(byte_view token) {
    const stage before = std::exchange(stage_, stage::failed);
    const bool speaks_first = is_client_ && before == stage::start;
    if (before == stage::failed || before == stage::established || speaks_first != token.empty() ||
        token.size() > limits::auth_token_bytes_max)
        return refuse(errc::bad_security_token, "a token out of order or too long");
    gss_channel_bindings_struct binding{};
    binding.application_data = gss_borrow(options_.channel_binding);
    gss_channel_bindings_t const bound =
        options_.channel_binding.empty() ? GSS_C_NO_CHANNEL_BINDINGS : &binding;
    gss_buffer_desc in = gss_borrow(token);
    gss_buffer_desc out{};
    OM_uint32 minor = 0;
    OM_uint32 flags = 0;
    OM_uint32 major = 0;
    if (speaks_first) {
        cred_ = source_->acquire(major, minor);
        if (!cred_) return refuse(major, minor);
    }
    if (is_client_) {
        OM_uint32 wanted = GSS_C_MUTUAL_FLAG;
        // Samba's server fails to answer at level connect if the context could sign.
        if (signs(options_.level) || !options_.dce_style)
            wanted |= GSS_C_SEQUENCE_FLAG | GSS_C_REPLAY_FLAG | GSS_C_INTEG_FLAG;
        // Samba takes the size of a signature from this flag, whatever the level of the PDU says.
        if (options_.level == auth::authentication_level::privacy) wanted |= GSS_C_CONF_FLAG;
        if (options_.dce_style) wanted |= GSS_C_DCE_STYLE;
        major =
            gss_init_sec_context(&minor, cred_->get(), context_.out(), target_.get(), gss_mech_krb5,
                                 wanted, 0, bound, &in, nullptr, &out, &flags, nullptr);
    } else
        major = gss_accept_sec_context(&minor, context_.out(), cred_->get(), &in, bound, nullptr,
                                       nullptr, &out, &flags, nullptr, nullptr);
    auto answer = gss_take(out);
    if (GSS_ERROR(major)) return refuse(major, minor);
    if ((major & GSS_S_CONTINUE_NEEDED) != 0) {
        if (answer.empty()) return refuse(errc::bad_security_token, "nothing to say");
        stage_ = stage::going_on;
        return answer;
    }
    if (const auto bad = establish(flags)) return fail(bad);
    stage_ = stage::established;
    return answer;
}

RPCH_DECL std::error_code kerberos_context::establish(OM_uint32 flags) {
    OM_uint32 needed = 0;
    if (is_client_) needed |= GSS_C_MUTUAL_FLAG;
    if (signs(options_.level)) needed |= GSS_C_INTEG_FLAG | GSS_C_SEQUENCE_FLAG | GSS_C_REPLAY_FLAG;
    if (options_.level == auth::authentication_level::privacy && options_.dce_style)
        needed |= GSS_C_CONF_FLAG;
    if ((flags & needed) != needed)
        return refuse(errc::authentication_failed, "the peer gives less protection than needed")
            .value();
    peer_.mechanism = "Kerberos";
    peer_.anonymous = (flags & GSS_C_ANON_FLAG) != 0;
    if (const auto bad = read_peer()) return bad;
    // Some KDCs give tickets to whoever asks, RFC 8062: they prove nobody.
    if (!is_client_ && (peer_.anonymous || is_anonymous_principal(peer_.user)))
        return refuse(errc::authentication_failed, "an anonymous principal").value();
    if (const auto bad = read_session_key()) return bad;

    // Every enctype of Kerberos adds the same to each message; a body of 16 bytes is whole blocks
    // of all of them.
    std::array<std::byte, 16> body{};
    OM_uint32 minor = 0;
    auto mic = buffers(false, {.body = body}, {});
    if (!GSS_ERROR(gss_get_mic_iov_length(&minor, context_.get(), GSS_C_QOP_DEFAULT, mic.data(),
                                          static_cast<int>(mic.size()))))
        mic_bytes_ = mic[3].buffer.length;
    // Without the style of DCE a sealed message has a trailer, for which a PDU has no place.
    auto seal = buffers(true, {.body = body}, {});
    if (options_.dce_style && (flags & GSS_C_DCE_STYLE) != 0 && (flags & GSS_C_CONF_FLAG) != 0 &&
        !GSS_ERROR(gss_wrap_iov_length(&minor, context_.get(), 1, GSS_C_QOP_DEFAULT, nullptr,
                                       seal.data(), static_cast<int>(seal.size()))))
        seal_bytes_ = seal[3].buffer.length;
    const std::size_t most = std::max(mic_bytes_, seal_bytes_);
    const bool is_short = (signs(options_.level) && mic_bytes_ == 0) ||
                          ((needed & GSS_C_CONF_FLAG) != 0 && seal_bytes_ == 0);
    if (is_short || most > limits::signature_bytes_max)
        return refuse(errc::authentication_failed, "the mechanism cannot protect messages").value();
    return {};
}

RPCH_DECL std::error_code kerberos_context::read_peer() {
    gss_owned_name client;
    gss_owned_name server;
    OM_uint32 minor = 0;
    OM_uint32 major = gss_inquire_context(&minor, context_.get(), client.out(), server.out(),
                                          nullptr, nullptr, nullptr, nullptr, nullptr);
    gss_buffer_desc text{};
    if (!GSS_ERROR(major))
        major = gss_display_name(&minor, is_client_ ? server.get() : client.get(), &text, nullptr);
    if (GSS_ERROR(major))
        return refuse(errc::authentication_failed, gss_words(major, minor)).value();
    const auto bytes = gss_take(text);
    const std::string_view name = core::as_text(bytes);
    const std::size_t at = name.rfind('@'); // a realm has none; one in the user is escaped
    peer_.user = name.substr(0, at);
    if (at != std::string_view::npos) peer_.domain = name.substr(at + 1);
    return {};
}

RPCH_DECL std::error_code kerberos_context::read_session_key() {
    OM_uint32 minor = 0;
    gss_buffer_set_t set = GSS_C_NO_BUFFER_SET;
    const OM_uint32 major =
        gss_inquire_sec_context_by_oid(&minor, context_.get(), GSS_C_INQ_SSPI_SESSION_KEY, &set);
    if (GSS_ERROR(major) || set == nullptr || set->count == 0)
        return refuse(errc::authentication_failed, gss_words(major, minor)).value();
    for (std::size_t i = 0; i < set->count; ++i) {
        auto* const at = static_cast<std::byte*>(set->elements[i].value);
        const byte_span bytes(at, set->elements[i].length);
        if (i == 0) session_key_ = core::secret(core::as_text(bytes));
        core::wipe(bytes);
    }
    gss_release_buffer_set(&minor, &set);
    return {};
}

RPCH_DECL std::error_code
kerberos_context::protect(bool seal, const auth::protected_message& message, byte_span signature) {
    if (!is_established() || signature_bytes(seal) == 0 ||
        signature.size() != signature_bytes(seal))
        return errc::authentication_failed;
    auto iov = buffers(seal, message, signature);
    const int count = static_cast<int>(iov.size());
    OM_uint32 minor = 0;
    int is_sealed = 0;
    const OM_uint32 major =
        seal ? gss_wrap_iov(&minor, context_.get(), 1, GSS_C_QOP_DEFAULT, &is_sealed, iov.data(),
                            count)
             : gss_get_mic_iov(&minor, context_.get(), GSS_C_QOP_DEFAULT, iov.data(), count);
    if (GSS_ERROR(major) || (seal && is_sealed == 0) || iov[3].buffer.length != signature.size()) {
        detail_ = gss_words(major, minor);
        return errc::authentication_failed;
    }
    return {};
}

RPCH_DECL std::error_code kerberos_context::unprotect(bool sealed,
                                                      const auth::protected_message& message,
                                                      byte_view signature) {
    if (!is_established()) return errc::authentication_failed;
    if (signature.empty() || signature.size() != signature_bytes(sealed))
        return errc::bad_signature;
    // MIT's library turns and decrypts the token where it lies.
    std::array<std::byte, limits::signature_bytes_max> space;
    const byte_span token(space.data(), signature.size());
    std::ranges::copy(signature, token.begin());
    auto iov = buffers(sealed, message, token);
    const int count = static_cast<int>(iov.size());
    OM_uint32 minor = 0;
    int is_sealed = 0;
    const OM_uint32 major =
        sealed ? gss_unwrap_iov(&minor, context_.get(), &is_sealed, nullptr, iov.data(), count)
               : gss_verify_mic_iov(&minor, context_.get(), nullptr, iov.data(), count);
    // A message out of sequence is no error to GSSAPI: RFC 2743 1.2.3.
    const bool is_out_of_order = GSS_SUPPLEMENTARY_INFO(major) != 0;
    if (GSS_ERROR(major) || is_out_of_order || (sealed && is_sealed == 0)) {
        detail_ = gss_words(major, minor);
        return errc::bad_signature;
    }
    return {};
}

// The sequence number that this takes is taken at both ends: SPNEGO's MICs are messages of the
// context, RFC 4178 5.
RPCH_DECL result<std::vector<std::byte>> kerberos_context::make_mic(byte_view message) {
    if (!is_established()) return fail(errc::authentication_failed);
    gss_buffer_desc in = gss_borrow(message);
    gss_buffer_desc out{};
    OM_uint32 minor = 0;
    const OM_uint32 major = gss_get_mic(&minor, context_.get(), GSS_C_QOP_DEFAULT, &in, &out);
    auto mic = gss_take(out);
    if (GSS_ERROR(major)) return refuse(errc::authentication_failed, gss_words(major, minor));
    return mic;
}

RPCH_DECL std::error_code kerberos_context::check_mic(byte_view message, byte_view mic) {
    if (!is_established()) return errc::authentication_failed;
    gss_buffer_desc in = gss_borrow(message);
    gss_buffer_desc token = gss_borrow(mic);
    OM_uint32 minor = 0;
    const OM_uint32 major = gss_verify_mic(&minor, context_.get(), &in, &token, nullptr);
    if (!GSS_ERROR(major) && GSS_SUPPLEMENTARY_INFO(major) == 0) return {};
    detail_ = gss_words(major, minor);
    return errc::bad_signature;
}

} // namespace detail

struct kerberos_initiator::state {
    std::shared_ptr<detail::kerberos_client_source> source;
};

struct kerberos_acceptor::state {
    kerberos_server_settings settings;
    std::mutex mutex{};
    std::shared_ptr<detail::gss_owned_cred> cred{};

    [[nodiscard]] result<std::shared_ptr<detail::gss_owned_cred>> acquire() {
        const std::scoped_lock lock(mutex);
        if (cred) return cred; // keys are read from the file each time they are needed
        detail::gss_owned_name name;
        if (!settings.principal.empty() && !detail::gss_import_service(settings.principal, name))
            return fail(errc::bad_credentials);
        std::vector<gss_key_value_element_desc> where;
        if (!settings.keytab.empty()) where.push_back({"keytab", settings.keytab.c_str()});
        if (!settings.replay_cache.empty())
            where.push_back({"rcache", settings.replay_cache.c_str()});
        auto made = std::make_shared<detail::gss_owned_cred>();
        OM_uint32 minor = 0;
        if (GSS_ERROR(
                detail::acquire_kerberos(minor, name.get(), nullptr, GSS_C_ACCEPT, where, *made)))
            return fail(errc::bad_credentials);
        cred = made;
        return made;
    }
};

RPCH_DECL bool has_kerberos() noexcept { return true; }

RPCH_DECL result<std::unique_ptr<auth::security_context>>
kerberos_initiator::initiate(const auth::security_options& options) {
    auto out = std::make_unique<detail::kerberos_context>(options, state_->source);
    if (!out->import_target()) return fail(errc::bad_credentials);
    return out;
}

RPCH_DECL result<std::unique_ptr<auth::security_context>>
kerberos_acceptor::accept(const auth::security_options& options) {
    auto cred = state_->acquire();
    if (!cred) return fail(cred.error());
    return std::make_unique<detail::kerberos_context>(options, std::move(*cred));
}

} // namespace rpch::inline RPCH_ABI::transport

#else

namespace rpch::inline RPCH_ABI::transport {

namespace detail {
[[nodiscard]] RPCH_DECL kerberos_credentials
make_kerberos_source(kerberos_credentials credentials) noexcept {
    return credentials;
}
} // namespace detail

struct kerberos_initiator::state {
    kerberos_credentials who;
};
struct kerberos_acceptor::state {
    kerberos_server_settings settings;
};

RPCH_DECL bool has_kerberos() noexcept { return false; }

RPCH_DECL result<std::unique_ptr<auth::security_context>>
kerberos_initiator::initiate(const auth::security_options&) {
    return fail(errc::security_not_supported);
}

RPCH_DECL result<std::unique_ptr<auth::security_context>>
kerberos_acceptor::accept(const auth::security_options&) {
    return fail(errc::security_not_supported);
}

} // namespace rpch::inline RPCH_ABI::transport

#endif

namespace rpch::inline RPCH_ABI::transport {

RPCH_DECL kerberos_initiator::kerberos_initiator(kerberos_credentials credentials)
    : state_(new state{detail::make_kerberos_source(std::move(credentials))}) {}
RPCH_DECL kerberos_initiator::~kerberos_initiator() = default;

RPCH_DECL kerberos_acceptor::kerberos_acceptor(kerberos_server_settings settings)
    : state_(new state{.settings = std::move(settings)}) {}
RPCH_DECL kerberos_acceptor::~kerberos_acceptor() = default;

} // namespace rpch::inline RPCH_ABI::transport
