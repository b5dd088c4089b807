#include <rpch/transport/tls_context.hpp>

#include <algorithm>
#include <utility>

#include <rpch/core/secret.hpp>
#include <rpch/transport/detail/certificate.hpp>
#include <rpch/transport/detail/pem_file.hpp>
#include <rpch/transport/detail/tls_context_state.hpp>
#include <rpch/transport/detail/trust_store_state.hpp>
#include <rpch/transport/trust_store.hpp>

namespace rpch::inline RPCH_ABI::transport {

namespace detail {

/// Forward secrecy always. ChaCha20-Poly1305 first, as mbedTLS 2.28 does it at twice the speed of
/// AES-GCM; CBC last, for Windows before 10, whose ECDHE_RSA suites are all CBC.
RPCH_DECL std::vector<int> default_cipher_suites() {
    return {
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
        MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384,
        MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384,
        0,
    };
}

RPCH_DECL result<std::vector<int>> cipher_suites_from(const std::vector<std::string>& names,
                                                      std::string* why) {
    if (names.empty()) return default_cipher_suites();
    std::vector<int> out;
    for (const auto& name : names) {
        const int id = mbedtls_ssl_get_ciphersuite_id(name.c_str());
        if (id == 0) return explain(why, errc::bad_setting, "unknown cipher suite " + name);
        out.push_back(id);
    }
    out.push_back(0);
    return out;
}

/// What client and server have in common.
RPCH_DECL std::error_code configure(tls_context_state& s, const std::vector<std::string>& suites,
                                    std::string* why) {
    // A source without entropy fails here, with its own name, not in the first handshake.
    std::array<std::byte, 1> probe{};
    if (const auto failed = random_bytes(probe)) return failed;
    auto list = cipher_suites_from(suites, why);
    if (!list) return list.error();
    s.cipher_suites = std::move(*list);
    auto& conf = *s.config.get();
    const int side = s.server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT;
    if (const int failed = mbedtls_ssl_config_defaults(&conf, side, MBEDTLS_SSL_TRANSPORT_STREAM,
                                                       MBEDTLS_SSL_PRESET_DEFAULT);
        failed != 0)
        return explain(why, errc::bad_setting, tls::error_text(failed)).value();
    mbedtls_ssl_conf_rng(&conf, mbedtls_random, nullptr);
    mbedtls_ssl_conf_ciphersuites(&conf, s.cipher_suites.data());
    tls::set_tls12_only(conf);
    tls::set_curves(conf);
    tls::set_signature_hashes(conf);
    tls::disable_renegotiation(conf);
    if (mbedtls_ssl_conf_alpn_protocols(&conf, s.protocols.data()) != 0) return errc::bad_setting;
    return {};
}

/// Takes the text, or reads the file; exactly one of them must be given.
RPCH_DECL result<std::string> text_or_file(const char* what, const std::string& text,
                                           const std::string& path, std::string* why) {
    if (text.empty() == path.empty())
        return explain(why, errc::bad_setting,
                       std::string(what) + (text.empty() ? " is missing" : " is given twice"));
    return text.empty() ? read_pem_file(path, why) : text;
}

/// @return the file in a sentence; empty for a text that was given.
RPCH_DECL std::string in_file(const std::string& path) {
    return path.empty() ? std::string() : " in " + path;
}

RPCH_DECL std::error_code load_identity(tls_context_state& s, const tls_server_options& options,
                                        std::string* why) {
    const auto chain = text_or_file("the certificate chain", options.certificate_chain_pem,
                                    options.certificate_chain_file, why);
    if (!chain) return chain.error();
    int failed = mbedtls_x509_crt_parse(s.chain.get(), tls::chars(*chain), chain->size() + 1);
    if (failed != 0) // positive: so many of the certificates do not parse
        return explain(why, errc::bad_setting,
                       "the certificate chain" + in_file(options.certificate_chain_file) +
                           " does not parse" + (failed < 0 ? ": " + tls::error_text(failed) : ""))
            .value();
    auto key =
        text_or_file("the private key", options.private_key_pem, options.private_key_file, why);
    if (!key) return key.error();
    failed = tls::parse_key(*s.key.get(), *key);
    core::wipe(*key);
    if (failed != 0)
        return explain(why, errc::bad_setting,
                       "the private key" + in_file(options.private_key_file) +
                           " does not parse (it must not be encrypted): " + tls::error_text(failed))
            .value();
    if (!tls::is_pair(*s.chain.get(), *s.key.get()))
        return explain(why, errc::bad_setting,
                       "the private key" + in_file(options.private_key_file) +
                           " does not belong to the certificate of " + subject_of(*s.chain.get()) +
                           in_file(options.certificate_chain_file))
            .value();
    failed = mbedtls_ssl_conf_own_cert(s.config.get(), s.chain.get(), s.key.get());
    if (failed != 0) return explain(why, errc::bad_setting, tls::error_text(failed)).value();
    s.end_point = end_point_hash(*s.chain.get());
    return {};
}

/// The ticket key is used by all connections of the context: our lock, as mbedTLS has one only
/// where it was built with threads.
RPCH_DECL int write_ticket(void* context, const mbedtls_ssl_session* session, unsigned char* start,
                           const unsigned char* end, std::size_t* length, std::uint32_t* lifetime) {
    auto& s = *static_cast<tls_context_state*>(context);
    const std::scoped_lock lock(s.ticket_mutex);
    return mbedtls_ssl_ticket_write(s.tickets.get(), session, start, end, length, lifetime);
}
RPCH_DECL int parse_ticket(void* context, mbedtls_ssl_session* session, unsigned char* ticket,
                           std::size_t length) {
    auto& s = *static_cast<tls_context_state*>(context);
    const std::scoped_lock lock(s.ticket_mutex);
    return mbedtls_ssl_ticket_parse(s.tickets.get(), session, ticket, length);
}

RPCH_DECL std::error_code enable_tickets(tls_context_state& s, std::chrono::seconds lifetime,
                                         std::string* why) {
    // RFC 5077 5.6 leaves the bound to us: within a day.
    if (lifetime < std::chrono::seconds{1} || lifetime > std::chrono::hours{24})
        return explain(why, errc::bad_setting, "ticket_lifetime is 1 second to 24 hours").value();
    const int failed = mbedtls_ssl_ticket_setup(s.tickets.get(), mbedtls_random, nullptr,
                                                MBEDTLS_CIPHER_AES_256_GCM,
                                                static_cast<std::uint32_t>(lifetime.count()));
    if (failed != 0) return explain(why, errc::bad_setting, tls::error_text(failed)).value();
    mbedtls_ssl_conf_session_tickets_cb(s.config.get(), write_ticket, parse_ticket, &s);
    return {};
}

RPCH_DECL result<std::shared_ptr<const trust_store>>
load_authorities(const tls_client_options& options, std::string* why) {
    if (options.ca_file.empty() && options.ca_pem.empty()) return trust_store::system(why);
    if (options.ca_pem.empty()) return trust_store::from_file(options.ca_file, why);
    if (options.ca_file.empty()) return trust_store::from_pem(options.ca_pem, why);
    const auto text = read_pem_file(options.ca_file, why);
    if (!text) return fail(text.error());
    return trust_store::from_pem(*text + "\n" + options.ca_pem, why);
}

} // namespace detail

RPCH_DECL tls_context::tls_context(std::unique_ptr<detail::tls_context_state> s) noexcept
    : state_(std::move(s)) {}
RPCH_DECL tls_context::~tls_context() = default;

RPCH_DECL result<std::shared_ptr<tls_context>>
tls_context::make_server(const tls_server_options& options, std::string* why) {
    auto s = std::make_unique<detail::tls_context_state>();
    s->server = true;
    s->verify = false; // client certificates are not asked for
    if (const auto failed = detail::configure(*s, options.cipher_suites, why)) return fail(failed);
    if (const auto failed = detail::load_identity(*s, options, why)) return fail(failed);
    if (options.session_tickets)
        if (const auto failed = detail::enable_tickets(*s, options.ticket_lifetime, why))
            return fail(failed);
    return std::shared_ptr<tls_context>(new tls_context(std::move(s)));
}

RPCH_DECL result<std::shared_ptr<tls_context>>
tls_context::make_client(const tls_client_options& options, std::string* why) {
    auto s = std::make_unique<detail::tls_context_state>();
    s->verify = options.verify;
    s->resume = options.resume_sessions;
    s->server_name = options.server_name;
    if (const auto failed = detail::configure(*s, options.cipher_suites, why)) return fail(failed);
    auto& conf = *s->config.get();
    mbedtls_ssl_conf_authmode(&conf, options.verify ? MBEDTLS_SSL_VERIFY_REQUIRED
                                                    : MBEDTLS_SSL_VERIFY_NONE);
    if (options.verify) {
        auto authorities = detail::load_authorities(options, why);
        if (!authorities) return fail(authorities.error());
        s->authorities = std::move(*authorities);
        detail::tls::set_authorities(conf, *s->authorities->native().chain.get());
    }
    mbedtls_ssl_conf_session_tickets(&conf, options.resume_sessions
                                                ? MBEDTLS_SSL_SESSION_TICKETS_ENABLED
                                                : MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
    return std::shared_ptr<tls_context>(new tls_context(std::move(s)));
}

RPCH_DECL bool tls_context::is_server() const noexcept { return state_->server; }
RPCH_DECL byte_view tls_context::server_end_point() const noexcept { return state_->end_point; }
RPCH_DECL std::chrono::sys_seconds tls_context::good_until() const noexcept {
    return is_server() ? detail::tls::end_of_validity(*state_->chain.get())
                       : std::chrono::sys_seconds::max();
}
RPCH_DECL std::size_t tls_context::stored_sessions() const { return state_->sessions.size(); }

} // namespace rpch::inline RPCH_ABI::transport
