#include <rpch/transport/tls_engine.hpp>

#include <algorithm>
#include <array>
#include <new>
#include <optional>
#include <utility>

#include <rpch/limits.hpp>
#include <rpch/transport/detail/certificate.hpp>
#include <rpch/transport/detail/tls_context_state.hpp>

#include <gsl/assert>

namespace rpch::inline RPCH_ABI::transport {

namespace detail {
/// What `write` can leave in the output at most: a record may begin just below the limit.
inline constexpr std::size_t tls_written_bytes_max = limits::tls_output_bytes_max + 17 * 1024;
/// Answers to the peer that may pile up on top while it does not read.
inline constexpr std::size_t tls_answer_bytes_max = 4 * 1024;
} // namespace detail

/// mbedTLS keeps a pointer to it, so it stays in one place while the engine moves.
struct tls_engine::state {
    explicit state(std::shared_ptr<tls_context> c) : context(std::move(c)) {}

    detail::tls_context_state& shared() noexcept { return context->native(); }
    bool set_up(std::string_view server_name, std::uint16_t port);
    bool set_name(std::string_view server_name);
    void offer_session();
    void keep_session();
    bool refuse(std::error_code why, std::string sentence);
    tls_status stopped(int code);
    std::string failure_text(int code);
    std::string first_bytes_hint() const;
    [[nodiscard]] std::size_t waiting() const noexcept { return output.size() - output_begin; }

    [[nodiscard]] bool is_within_record() const noexcept {
        return record_left != 0 || record_head_count != 0;
    }
    void follow_records(byte_view used) noexcept;
    static int send(void* self, const unsigned char* bytes, std::size_t length) noexcept;
    static int receive(void* self, unsigned char* space, std::size_t length) noexcept;
    static int check_certificate(void* self, mbedtls_x509_crt* crt, int depth,
                                 std::uint32_t* flags) noexcept;

    const std::shared_ptr<tls_context> context;
    std::string name; // what the certificate must be for, in lower case
    std::optional<detail::ip_octets> address;
    std::string session_key; // empty: sessions are not kept

    byte_view input;
    bool end_of_input = false;
    std::vector<std::byte> output;
    std::size_t output_begin = 0;
    std::array<std::byte, 5> record_head{}; // of the record that is being used
    std::size_t record_head_count = 0;
    std::size_t record_left = 0;
    std::array<std::byte, 5> first_bytes{}; // of the stream, to recognise plain HTTP
    std::size_t first_bytes_count = 0;

    bool established = false;
    bool full_handshake = false;
    bool session_offered = false;
    bool peer_closed = false;
    bool close_sent = false;
    std::uint32_t verify_flags = 0;
    std::string verify_text;
    std::error_code error;
    std::string error_detail;

    detail::tls::connection ssl; // points at the rest: declared last, freed first
};

RPCH_DECL int tls_engine::state::send(void* self, const unsigned char* bytes,
                                      std::size_t length) noexcept try {
    // The limit is checked before a record begins, so a record always fits in whole: what `write`
    // counted is in the output, and mbedTLS never asks for the same bytes again.
    auto& s = *static_cast<state*>(self);
    const auto part = std::as_bytes(std::span(bytes, length));
    s.output.insert(s.output.end(), part.begin(), part.end());
    return static_cast<int>(length);
} catch (const std::bad_alloc&) {
    return MBEDTLS_ERR_SSL_ALLOC_FAILED; // no exception may pass through mbedTLS
}

RPCH_DECL int tls_engine::state::receive(void* self, unsigned char* space,
                                         std::size_t length) noexcept {
    auto& s = *static_cast<state*>(self);
    if (s.input.empty()) return s.end_of_input ? 0 : MBEDTLS_ERR_SSL_WANT_READ;
    const auto part = s.input.first(std::min(length, s.input.size()));
    std::ranges::copy(part, std::as_writable_bytes(std::span(space, length)).begin());
    for (const std::byte b : part) {
        if (s.first_bytes_count == s.first_bytes.size()) break;
        s.first_bytes[s.first_bytes_count++] = b;
    }
    s.follow_records(part);
    s.input = s.input.subspan(part.size());
    return static_cast<int>(part.size());
}

/// Knows where records end, RFC 8446 5.1: mbedTLS does not tell it.
RPCH_DECL void tls_engine::state::follow_records(byte_view used) noexcept {
    while (!used.empty()) {
        if (record_left != 0) {
            const std::size_t n = std::min(record_left, used.size());
            record_left -= n;
            used = used.subspan(n);
            continue;
        }
        record_head[record_head_count++] = used.front();
        used = used.subspan(1);
        if (record_head_count < record_head.size()) continue;
        record_head_count = 0;
        record_left = core::load<std::uint16_t>(record_head.data() + 3, core::byte_order::big);
    }
}

/// Called for each certificate of the chain from the root to the leaf, with what mbedTLS found.
RPCH_DECL int tls_engine::state::check_certificate(void* self, mbedtls_x509_crt* crt, int depth,
                                                   std::uint32_t* flags) noexcept try {
    auto& s = *static_cast<state*>(self);
    // 2.28 knows no iPAddress entries, so it was given no name to compare: that is done here.
    if (depth == 0 && s.address && !detail::is_for_ip(*crt, *s.address))
        *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    s.verify_flags |= *flags;
    if (*flags != 0) {
        if (!s.verify_text.empty()) s.verify_text += "; ";
        s.verify_text += "certificate of \"" + detail::subject_of(*crt) + "\" (issuer \"" +
                         detail::issuer_of(*crt) + "\"): " + detail::verify_flags_text(*flags);
    }
    if (depth == 0 && (*flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0) {
        s.verify_text += " (wanted " + s.name + ", it names";
        const auto names = detail::names_of(*crt);
        static constexpr std::size_t shown_max = 8;
        for (std::size_t i = 0; i < names.size() && i < shown_max; ++i)
            s.verify_text += (i == 0 ? " " : ", ") + names[i];
        if (names.empty()) s.verify_text += " nothing";
        s.verify_text += names.size() > shown_max ? " and more)" : ")";
    }
    return 0;
} catch (const std::bad_alloc&) {
    *flags |= MBEDTLS_X509_BADCERT_OTHER;
    return MBEDTLS_ERR_X509_ALLOC_FAILED;
}

RPCH_DECL bool tls_engine::state::refuse(std::error_code why, std::string sentence) {
    error = why;
    error_detail = std::move(sentence);
    return false;
}

RPCH_DECL bool tls_engine::state::set_name(std::string_view server_name) {
    if (!shared().server_name.empty()) server_name = shared().server_name;
    // The dot that ends an absolute name is part of neither SNI (RFC 6066 3) nor certificates.
    if (server_name.ends_with('.')) server_name.remove_suffix(1);
    name = std::string(server_name);
    std::ranges::transform(name, name.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    if (name.empty() && shared().verify)
        return refuse(errc::bad_setting, "no server name to verify the certificate against");
    // An embedded zero would end the name early for mbedTLS.
    if (name.find('\0') != name.npos)
        return refuse(errc::bad_setting, "the server name holds a zero character");
    address = detail::parse_ip(name);
    // RFC 6066 3: an address is never sent as SNI. The null pointer says so on purpose: later
    // versions of mbedTLS refuse to verify when nothing was said.
    const bool is_dns_name = !name.empty() && !address;
    if (mbedtls_ssl_set_hostname(ssl.get(), is_dns_name ? name.c_str() : nullptr) != 0)
        return refuse(errc::bad_setting, "the server name cannot be sent: " + name);
    return true;
}

RPCH_DECL bool tls_engine::state::set_up(std::string_view server_name, std::uint16_t port) {
    const int failed = mbedtls_ssl_setup(ssl.get(), shared().config.get());
    if (failed == MBEDTLS_ERR_SSL_ALLOC_FAILED) throw std::bad_alloc();
    if (failed != 0) return refuse(errc::tls_failed, detail::tls::error_text(failed));
    mbedtls_ssl_set_bio(ssl.get(), this, &state::send, &state::receive, nullptr);
    if (context->is_server()) return true;
    if (!set_name(server_name)) return false;
    if (shared().verify) mbedtls_ssl_set_verify(ssl.get(), &state::check_certificate, this);
    if (shared().resume && !name.empty()) {
        session_key = name + ":" + std::to_string(port);
        offer_session();
    }
    return true;
}

RPCH_DECL void tls_engine::state::offer_session() {
    const auto session = shared().sessions.find(session_key);
    session_offered = session != nullptr && mbedtls_ssl_set_session(ssl.get(), session->get()) == 0;
}

/// Only a finished and verified handshake comes here, so what is resumed later was verified for the
/// same name.
RPCH_DECL void tls_engine::state::keep_session() {
    if (session_key.empty()) return;
    auto session = std::make_shared<detail::tls::session>();
    if (mbedtls_ssl_get_session(ssl.get(), session->get()) == 0)
        shared().sessions.store(session_key, std::move(session));
}

RPCH_DECL std::string tls_engine::state::first_bytes_hint() const {
    const auto text = core::as_text(byte_view(first_bytes).first(first_bytes_count));
    if (text == "HTTP/" && !context->is_server())
        return " (the peer answers in plain HTTP: this port does not speak TLS)";
    static constexpr std::string_view methods[] = {"RPC_I", "RPC_O", "GET /", "POST ",
                                                   "HEAD ", "OPTIO", "CONNE"};
    if (context->is_server() && std::ranges::find(methods, text) != std::end(methods))
        return " (the peer speaks plain HTTP to a TLS port)";
    return {};
}

RPCH_DECL std::string tls_engine::state::failure_text(int code) {
    const std::string when = established ? "" : "during the handshake: ";
    if (code == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        return when + "the peer sent the alert " +
               detail::alert_text(detail::tls::received_alert(*ssl.get()));
    return when + detail::tls::error_text(code) + (established ? "" : first_bytes_hint());
}

/// Turns what mbedTLS returned into what the caller does next; the first failure stays.
RPCH_DECL tls_status tls_engine::state::stopped(int code) {
    if (code == MBEDTLS_ERR_SSL_WANT_READ) return tls_status::want_input;
    if (code == MBEDTLS_ERR_SSL_WANT_WRITE) return tls_status::want_output;
    if (code == MBEDTLS_ERR_SSL_ALLOC_FAILED) throw std::bad_alloc();
    if (code == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY && established) {
        peer_closed = true;
        return tls_status::closed;
    }
    // A server that forgets its tickets in the middle of resuming: next time from the start.
    if (!established && session_offered) shared().sessions.erase(session_key);
    if (code == MBEDTLS_ERR_SSL_CONN_EOF || (code == 0 && end_of_input)) {
        refuse(errc::tls_truncated,
               established && is_within_record()
                   ? "the connection ended in the middle of a TLS record"
               : established ? "the connection ended without close_notify"
                             : "the connection ended during the handshake" + first_bytes_hint());
    } else if (const auto result = mbedtls_ssl_get_verify_result(ssl.get());
               !established && shared().verify &&
               (verify_flags != 0 || code == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED)) {
        // Usage and curve of the leaf are judged after our callback: those flags are in the result.
        if (result != 0xffffffff && (result & ~verify_flags) != 0) {
            verify_text += (verify_text.empty() ? "" : "; ") +
                           detail::verify_flags_text(result & ~verify_flags);
            verify_flags |= result;
        }
        refuse(detail::verify_flags_error(verify_flags), verify_text);
    } else {
        refuse(errc::tls_failed, failure_text(code));
    }
    return tls_status::failed;
}

RPCH_DECL tls_engine::tls_engine(std::shared_ptr<tls_context> context, std::string_view server_name,
                                 std::uint16_t port)
    : state_(std::make_unique<state>(std::move(context))) {
    Expects(state_->context != nullptr);
    state_->set_up(server_name, port);
}
RPCH_DECL tls_engine::tls_engine(tls_engine&&) noexcept = default;
RPCH_DECL tls_engine& tls_engine::operator=(tls_engine&&) noexcept = default;
RPCH_DECL tls_engine::~tls_engine() = default;

RPCH_DECL void tls_engine::set_input(byte_view ciphertext) noexcept {
    Expects(state_->input.empty() || ciphertext.empty());
    state_->input = ciphertext;
}
RPCH_DECL byte_view tls_engine::remaining_input() const noexcept { return state_->input; }
RPCH_DECL void tls_engine::set_end_of_input() noexcept { state_->end_of_input = true; }

RPCH_DECL bool tls_engine::is_within_record() const noexcept { return state_->is_within_record(); }

RPCH_DECL tls_status tls_engine::handshake() {
    auto& s = *state_;
    if (s.error) return tls_status::failed;
    if (s.established) return tls_status::done;
    while (!detail::tls::is_handshake_over(*s.ssl.get())) {
        if (s.waiting() >= limits::tls_output_bytes_max) return tls_status::want_output;
        // A resumed handshake has no key exchange.
        if (detail::tls::handshake_state(*s.ssl.get()) == MBEDTLS_SSL_CLIENT_KEY_EXCHANGE)
            s.full_handshake = true;
        if (const int code = mbedtls_ssl_handshake_step(s.ssl.get()); code != 0)
            return s.stopped(code);
    }
    s.established = true;
    s.keep_session();
    return tls_status::done;
}
RPCH_DECL bool tls_engine::is_established() const noexcept { return state_->established; }

RPCH_DECL tls_io tls_engine::read(byte_span plaintext) {
    auto& s = *state_;
    tls_io out;
    if (out.status = handshake(); out.status != tls_status::done) return out;
    while (out.bytes < plaintext.size()) {
        if (s.peer_closed) return {out.bytes, tls_status::closed};
        // Answers (no_renegotiation) must not pile up while the peer does not read. What `write`
        // left stops no reading: two sides that both write much would wait for each other.
        if (s.waiting() > detail::tls_written_bytes_max + detail::tls_answer_bytes_max)
            return {out.bytes, tls_status::want_output};
        const std::size_t input_before = s.input.size();
        const auto space = plaintext.subspan(out.bytes);
        const int code =
            mbedtls_ssl_read(s.ssl.get(), detail::tls::chars(space.data()), space.size());
        if (code > 0) {
            out.bytes += static_cast<std::size_t>(code);
            continue;
        }
        // Zero is an empty record or the end; want-read with input left is a handshake message
        // that was refused. Both used input, so the loop ends.
        const bool moved = s.input.size() < input_before;
        if (moved && (code == 0 || (code == MBEDTLS_ERR_SSL_WANT_READ && !s.input.empty())))
            continue;
        if (code == 0 && !s.end_of_input) return {out.bytes, tls_status::want_input};
        return {out.bytes, s.stopped(code)};
    }
    return out;
}

RPCH_DECL tls_io tls_engine::write(byte_view plaintext) {
    auto& s = *state_;
    tls_io out;
    if (out.status = handshake(); out.status != tls_status::done) return out;
    if (s.close_sent) {
        s.refuse(errc::not_open, "write after shutdown");
        return {0, tls_status::failed};
    }
    while (out.bytes < plaintext.size()) {
        if (s.waiting() >= limits::tls_output_bytes_max)
            return {out.bytes, tls_status::want_output};
        const auto part = plaintext.subspan(out.bytes);
        const int code =
            mbedtls_ssl_write(s.ssl.get(), detail::tls::chars(part.data()), part.size());
        if (code <= 0) return {out.bytes, s.stopped(code)};
        out.bytes += static_cast<std::size_t>(code);
    }
    return out;
}

RPCH_DECL std::size_t tls_engine::buffered_plaintext() const noexcept {
    return mbedtls_ssl_get_bytes_avail(state_->ssl.get());
}

RPCH_DECL tls_status tls_engine::shutdown() {
    auto& s = *state_;
    if (s.error) return tls_status::failed;
    if (!s.established || s.close_sent) return tls_status::done;
    s.close_sent = true;
    const int code = mbedtls_ssl_close_notify(s.ssl.get());
    return code == 0 ? tls_status::done : s.stopped(code);
}

RPCH_DECL byte_view tls_engine::output() const noexcept {
    return byte_view(state_->output).subspan(state_->output_begin);
}
RPCH_DECL void tls_engine::consume_output(std::size_t bytes) noexcept {
    auto& s = *state_;
    Expects(bytes <= s.waiting());
    s.output_begin += bytes;
    if (s.output_begin == s.output.size()) {
        s.output.clear();
        s.output_begin = 0;
    } else if (s.output_begin >= s.output.size() / 2) {
        // Moved at most once per byte sent, and the buffer stops growing.
        s.output.erase(s.output.begin(),
                       s.output.begin() + static_cast<std::ptrdiff_t>(s.output_begin));
        s.output_begin = 0;
    }
}
RPCH_DECL void tls_engine::release_idle_memory() noexcept {
    if (state_->output.empty()) std::vector<std::byte>().swap(state_->output);
}

RPCH_DECL std::error_code tls_engine::error() const noexcept { return state_->error; }
RPCH_DECL const std::string& tls_engine::error_detail() const noexcept {
    return state_->error_detail;
}

RPCH_DECL bool tls_engine::resumed() const noexcept {
    return state_->established && !state_->full_handshake;
}
RPCH_DECL std::string_view tls_engine::cipher_suite() const noexcept {
    if (!state_->established) return {};
    const char* name = mbedtls_ssl_get_ciphersuite(state_->ssl.get());
    return name == nullptr ? std::string_view{} : name;
}
RPCH_DECL std::string_view tls_engine::application_protocol() const noexcept {
    const char* name = mbedtls_ssl_get_alpn_protocol(state_->ssl.get());
    return name == nullptr ? std::string_view{} : name;
}
RPCH_DECL std::string tls_engine::peer_subject() const {
    const auto* crt = mbedtls_ssl_get_peer_cert(state_->ssl.get());
    return crt == nullptr ? std::string{} : detail::subject_of(*crt);
}
RPCH_DECL std::vector<std::string> tls_engine::peer_names() const {
    const auto* crt = mbedtls_ssl_get_peer_cert(state_->ssl.get());
    return crt == nullptr ? std::vector<std::string>{} : detail::names_of(*crt);
}
RPCH_DECL std::vector<std::byte> tls_engine::server_end_point() const {
    if (state_->context->is_server()) {
        const auto own = state_->context->server_end_point();
        return {own.begin(), own.end()};
    }
    const auto* crt = mbedtls_ssl_get_peer_cert(state_->ssl.get());
    return crt == nullptr ? std::vector<std::byte>{} : detail::end_point_hash(*crt);
}

} // namespace rpch::inline RPCH_ABI::transport
