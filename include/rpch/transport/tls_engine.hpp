// One TLS connection over memory: ciphertext in and out, plaintext in and out, no socket.
#ifndef RPCH_TRANSPORT_TLS_ENGINE_HPP
#define RPCH_TRANSPORT_TLS_ENGINE_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <rpch/core/bytes.hpp>
#include <rpch/transport/tls_context.hpp>

namespace rpch::inline RPCH_ABI::transport {

/// What an engine needs next.
enum class tls_status : std::uint8_t {
    done,        ///< The step is complete: handshake over, plaintext space full, plaintext written.
    want_input,  ///< All input was used; `set_input` with more, or `set_end_of_input`.
    want_output, ///< `output()` is at its limit: send, `consume_output`, repeat. For `write` that
                 ///< is limits::tls_output_bytes_max; `read` meets it only if the peer provokes
                 ///< answers and does not take them.
    closed,      ///< The peer sent close_notify: an orderly end.
    failed, ///< `error()` and `error_detail()` tell why. Send what `output()` holds: the alert.
};

/// Plaintext moved by one call; `bytes` counts under every status.
struct tls_io {
    std::size_t bytes = 0;
    tls_status status = tls_status::done;
};

/// Drives one TLS connection, as one strand calls it. After every call send `output()`, whatever
/// the status is; an engine never waits and never blocks.
///
///     engine.set_input(bytes_from_socket);
///     auto [n, status] = engine.read(space);       // n plaintext bytes; the same input may hold
///     more send(engine.output()); engine.consume_output(sent);
///
/// No memory is allocated per record once the output buffer has grown to what the traffic needs.
class tls_engine {
  public:
    /// @param context      shared; its kind makes this the client or the server side.
    /// @param server_name  client: the DNS name or IP address (brackets allowed) the certificate
    /// must
    ///                     be for; sent as SNI if it is a name. The context's override goes first.
    /// @param port         client: with the name, the key of the session to resume.
    /// A context that verifies and no name is refused: `handshake` fails with errc::bad_setting.
    explicit tls_engine(std::shared_ptr<tls_context> context, std::string_view server_name = {},
                        std::uint16_t port = 0);
    tls_engine(tls_engine&&) noexcept;
    tls_engine& operator=(tls_engine&&) noexcept;
    ~tls_engine();

    /// Lends ciphertext; the borrow lasts until `remaining_input()` is empty. The input lent before
    /// must be used up. An empty view takes the loan back: the caller keeps what remained and lends
    /// it again later.
    void set_input(byte_view ciphertext) noexcept;
    /// @return the part of the input that no call has used yet.
    [[nodiscard]] byte_view remaining_input() const noexcept;
    /// Says that the connection below ended. Without a close_notify before it the next call that
    /// needs input fails with errc::tls_truncated: somebody may have cut the stream.
    void set_end_of_input() noexcept;
    /// @return whether the input that was used ends within a record, and not behind one.
    [[nodiscard]] bool is_within_record() const noexcept;

    /// Goes on with the handshake as far as the input reaches.
    /// @return done (also when it was over before), want_input, failed.
    [[nodiscard]] tls_status handshake();
    /// @return true once the handshake is over and the peer is verified.
    [[nodiscard]] bool is_established() const noexcept;

    /// Decrypts into `plaintext`, record after record, until it is full or the input is used up.
    /// Completes the handshake first if needed.
    [[nodiscard]] tls_io read(byte_span plaintext);
    /// Encrypts from the front of `plaintext` as far as the output limit allows; what is not
    /// counted in `bytes` is not sent and may change before the next call. Completes the handshake
    /// first if needed.
    [[nodiscard]] tls_io write(byte_view plaintext);
    /// @return plaintext bytes of the current record that `read` has not handed out yet. While this
    /// is
    ///         not 0, or input remains, `read` again before waiting for the socket: it may stay
    ///         silent.
    [[nodiscard]] std::size_t buffered_plaintext() const noexcept;

    /// Queues close_notify once; `read` still works, `write` fails with errc::not_open.
    tls_status shutdown();

    /// @return ciphertext to send; valid until the next call that is not const.
    [[nodiscard]] byte_view output() const noexcept;
    /// Drops the first `bytes` of `output()`.
    void consume_output(std::size_t bytes) noexcept;
    /// Gives the output buffer back while it is empty; for connections that become idle.
    void release_idle_memory() noexcept;

    /// @return nothing, or the first failure: errc::tls_untrusted, tls_name_mismatch, tls_expired,
    ///         tls_truncated, tls_failed, bad_setting, no_randomness, not_open.
    [[nodiscard]] std::error_code error() const noexcept;
    /// @return the cause for people: which certificate, which check, which alert of which side.
    /// Holds
    ///         no secret; characters from the peer are printable ASCII.
    [[nodiscard]] const std::string& error_detail() const noexcept;

    /// @return true if the handshake resumed an earlier session.
    [[nodiscard]] bool resumed() const noexcept;
    /// @return the cipher suite as mbedTLS spells it; empty before the handshake is over.
    [[nodiscard]] std::string_view cipher_suite() const noexcept;
    /// @return the ALPN protocol both agreed on, or nothing.
    [[nodiscard]] std::string_view application_protocol() const noexcept;
    /// @return the subject of the peer's certificate in RFC 4514 form; empty without one.
    [[nodiscard]] std::string peer_subject() const;
    /// @return the DNS names and IP addresses of the peer's certificate as text.
    [[nodiscard]] std::vector<std::string> peer_names() const;
    /// The channel binding `tls-server-end-point`, RFC 5929 section 4, of the connection.
    /// @return the hash of the server's certificate, on either side; empty before it is known.
    [[nodiscard]] std::vector<std::byte> server_end_point() const;

    struct state;

  private:
    std::unique_ptr<state> state_;
};

} // namespace rpch::inline RPCH_ABI::transport

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/impl/tls_engine.ipp>
#endif

#endif
