// NTLM and Negotiate in HTTP: security contexts whose tokens travel in WWW-Authenticate and
// Authorization, RFC 4559 and [MS-NTHT]. They authenticate a TCP connection, not a request.
#ifndef RPCH_AUTH_HTTP_HANDSHAKE_HPP
#define RPCH_AUTH_HTTP_HANDSHAKE_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <rpch/auth/offers.hpp>
#include <rpch/auth/security_context.hpp>
#include <rpch/core/secret.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::auth {

/// @return the scheme that carries the tokens of a provider; `other` if none does.
[[nodiscard]] RPCH_DECL scheme http_scheme_of(security_provider provider) noexcept;

/// Writes the value of a WWW-Authenticate or Authorization header.
/// @param which  ntlm or negotiate.
/// @param token  borrowed; empty for the scheme's name alone.
[[nodiscard]] RPCH_DECL core::secret write_token(scheme which, byte_view token);

/// Reads the token of an Authorization value.
/// @param authorization  borrowed; scheme and base64.
/// @return the token; empty if the scheme's name stands alone. The caller wipes it.
/// @errors errc::bad_security_token if it is no base64; errc::too_large above
///         limits::auth_token_bytes_max.
[[nodiscard]] RPCH_DECL result<std::vector<std::byte>> read_token(std::string_view authorization);

/// The application data of channel bindings, RFC 5929 section 4.
/// @param end_point  hash of the server's certificate; empty outside TLS.
/// @return `tls-server-end-point:` and the hash; empty if there is none.
[[nodiscard]] RPCH_DECL std::vector<std::byte> channel_binding_of(byte_view end_point);

/// @return `DOMAIN\user`, the user alone without a domain, or nothing for nobody.
[[nodiscard]] RPCH_DECL std::string account_of(const peer_identity& who);

/// The server's end on one TCP connection: at most one handshake at a time.
///
/// The first leg chooses the scheme. A leg of another scheme, or one that can only be a first leg,
/// begins afresh; so a client may give up in the middle and try again.
class http_acceptance {
  public:
    enum class verdict : std::uint8_t {
        next_leg, ///< `challenge` goes out with a 401; the connection stays.
        accepted, ///< `who` is at the other end; `challenge`, if not empty, proves us to them.
        refused,  ///< The client may begin again.
    };
    struct answer {
        verdict what = verdict::refused;
        std::string challenge; ///< A value for WWW-Authenticate; empty if there is nothing to say.
        peer_identity who;
        /// Refused: why, for a log; no secret, nothing of a token. Not for the client: it may not
        /// learn whether the name or the password was wrong.
        std::string why;
    };

    /// Takes the Authorization value of a request.
    /// @param acceptors      borrowed; the one of the value's scheme is asked.
    /// @param authorization  borrowed; of a scheme that one of them has, see `has_scheme`.
    /// @param options        channel binding; `dce_style` is false.
    [[nodiscard]] RPCH_DECL answer
    take(std::span<const std::shared_ptr<security_acceptor>> acceptors,
         std::string_view authorization, const security_options& options);

    [[nodiscard]] bool is_under_way() const noexcept { return context_ != nullptr; }
    /// Drops a handshake that is not finished.
    void forget() noexcept { context_.reset(); }

  private:
    scheme scheme_ = scheme::other;
    std::unique_ptr<security_context> context_;
};

/// @return the acceptor whose tokens the scheme carries, or nullptr.
[[nodiscard]] RPCH_DECL security_acceptor*
acceptor_for(std::span<const std::shared_ptr<security_acceptor>> acceptors, scheme which) noexcept;

/// The client's end on one TCP connection.
class http_logon {
  public:
    /// @param initiator  outlives the logon.
    /// @param which      ntlm or negotiate.
    /// @param options    target `HTTP/host`, channel binding; `dce_style` is false.
    RPCH_DECL http_logon(std::shared_ptr<security_initiator> initiator, scheme which,
                         security_options options);

    /// Begins with a fresh context, whatever was before.
    /// @return the Authorization value of the first leg.
    /// @errors of the initiator and of the context's first step.
    [[nodiscard]] RPCH_DECL result<core::secret> begin();
    /// Takes the server's token of a 401.
    /// @param base64  borrowed; as auth::offer::token.
    /// @return the Authorization value of the next leg.
    /// @errors errc::http_auth_required if the mechanism has nothing more to say or the legs have
    ///         no end (limits::http_auth_legs_max); errc::bad_security_token; what the context
    ///         says.
    [[nodiscard]] RPCH_DECL result<core::secret> answer(std::string_view base64);
    /// Takes the server's token of a success response, if it has one.
    /// @errors errc::authentication_failed if the server owes a proof and gave none: Negotiate
    ///         alone, for NTLM proves no server (nor does Negotiate with NTLM as the one
    ///         mechanism offered); what the context says about a wrong one.
    [[nodiscard]] RPCH_DECL std::error_code finish(const offer* success);

    [[nodiscard]] scheme which() const noexcept { return scheme_; }
    /// @return whether this end expects no further token.
    [[nodiscard]] bool is_established() const noexcept {
        return context_ && context_->is_established();
    }
    /// @return the legs of this context that were made so far.
    [[nodiscard]] int legs() const noexcept { return legs_; }
    /// @return why the last step failed, for people; no secret.
    [[nodiscard]] const std::string& detail() const noexcept { return detail_; }
    /// @return what a person can do about it; empty if the mechanism knows nothing better.
    [[nodiscard]] std::string_view next_step() const noexcept {
        return context_ ? context_->next_step() : std::string_view{};
    }
    /// @return what the mechanism says that a server refuses: Negotiate, why a better one was not
    ///         even begun. Empty if nothing.
    [[nodiscard]] std::string_view reservations() const noexcept {
        return context_ ? context_->detail() : std::string_view{};
    }

  private:
    [[nodiscard]] result<core::secret> step(byte_view token);
    [[nodiscard]] std::error_code note(std::error_code why);

    std::shared_ptr<security_initiator> initiator_;
    scheme scheme_;
    security_options options_;
    std::unique_ptr<security_context> context_;
    std::string detail_;
    int legs_ = 0;
    bool server_proven_ = false; // by an earlier context of this connection
};

} // namespace rpch::inline RPCH_ABI::auth

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/auth/impl/http_handshake.ipp>
#endif

#endif
