// What TLS connections of one side share: certificate, authorities, settings, sessions to resume.
#ifndef RPCH_TRANSPORT_TLS_CONTEXT_HPP
#define RPCH_TRANSPORT_TLS_CONTEXT_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <rpch/core/bytes.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::transport {

namespace detail {
struct tls_context_state;
} // namespace detail

/// Settings of the side that shows a certificate. Give each of certificate and key once, as a file
/// or as text.
struct tls_server_options {
    std::string certificate_chain_file; ///< PEM, leaf first, then its issuers without the root.
    std::string private_key_file;       ///< PEM, not encrypted.
    std::string certificate_chain_pem;  ///< Instead of the file.
    std::string private_key_pem;        ///< Instead of the file; the caller wipes its own copy.
    bool session_tickets = true; ///< Lets clients resume; the key lives in this process only.
    std::chrono::seconds ticket_lifetime = std::chrono::hours{8};
    /// Names as mbedTLS spells them, best first; empty for the default list.
    std::vector<std::string> cipher_suites;
};

/// Settings of the side that verifies. Without `ca_file` and `ca_pem` the system's authorities
/// count; with them, only those.
struct tls_client_options {
    std::string ca_file; ///< PEM bundle.
    std::string ca_pem;  ///< PEM text; added to `ca_file`.
    /// False accepts any certificate of anybody. It is never implied by another setting.
    bool verify = true;
    /// Verified and sent instead of the name the engine is given, if not empty.
    std::string server_name;
    bool resume_sessions = true; ///< Remembers the last session of each server name and port.
    /// Names as mbedTLS spells them, best first; empty for the default list.
    std::vector<std::string> cipher_suites;
};

/// Immutable to its users and thread-safe: share one among all connections of a kind. The settings
/// of all contexts: TLS 1.2 and nothing else, ECDHE only, x25519 and P-256 first, ChaCha20-Poly1305
/// before AES-GCM (the faster one in mbedTLS 2.28), no renegotiation, ALPN `http/1.1` only. A
/// client that offers ALPN without `http/1.1` is refused with no_application_protocol, RFC
/// 7301 3.2; one that offers no ALPN is served.
class tls_context {
  public:
    /// @param why  borrowed; receives a sentence for people on failure; may be null.
    /// @errors errc::bad_setting (a file that cannot be read, text that does not parse, a key that
    /// is
    ///         not the certificate's, an unknown cipher suite), errc::no_randomness.
    [[nodiscard]] static result<std::shared_ptr<tls_context>>
    make_server(const tls_server_options& options, std::string* why = nullptr);

    /// @errors errc::bad_setting, errc::tls_no_trust_anchors, errc::no_randomness.
    [[nodiscard]] static result<std::shared_ptr<tls_context>>
    make_client(const tls_client_options& options, std::string* why = nullptr);

    tls_context(const tls_context&) = delete;
    tls_context& operator=(const tls_context&) = delete;
    ~tls_context();

    [[nodiscard]] bool is_server() const noexcept;

    /// The channel binding `tls-server-end-point`, RFC 5929 section 4, of this server's
    /// certificate.
    /// @return the hash; empty for a client. A view into the context.
    [[nodiscard]] byte_view server_end_point() const noexcept;

    /// @return the moment (UTC) at which this server's own certificate, the first of its chain, is
    ///         over; the greatest value for a client.
    [[nodiscard]] std::chrono::sys_seconds good_until() const noexcept;

    /// @return the number of sessions a client could resume now; 0 for a server.
    [[nodiscard]] std::size_t stored_sessions() const;

    /// For this room's use; mbedTLS stays out of this header.
    [[nodiscard]] detail::tls_context_state& native() const noexcept { return *state_; }

  private:
    explicit tls_context(std::unique_ptr<detail::tls_context_state> s) noexcept;

    std::unique_ptr<detail::tls_context_state> state_;
};

} // namespace rpch::inline RPCH_ABI::transport

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/impl/tls_context.ipp>
#endif

#endif
