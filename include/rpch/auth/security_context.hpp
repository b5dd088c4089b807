// What a security provider is to the rest of the library: tokens in and out until both ends know
// each other, then signatures and seals over messages. [C706] 13, [MS-RPCE] 2.2.1.1.7
// and 3.3.1.5.2. NTLM, SPNEGO and Kerberos implement it, and so may a user.
#ifndef RPCH_AUTH_SECURITY_CONTEXT_HPP
#define RPCH_AUTH_SECURITY_CONTEXT_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <rpch/core/bytes.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::auth {

/// The auth_type of a sec_trailer, [MS-RPCE] 2.2.1.1.7. A provider of a user's own takes a number
/// that is given to nobody, by a cast; both ends must have it, and neither HTTP nor Negotiate can
/// carry its tokens.
enum class security_provider : std::uint8_t {
    none = 0x00,
    negotiate = 0x09, ///< SPNEGO, [MS-SPNG].
    ntlm = 0x0A,      ///< [MS-NLMP].
    schannel = 0x0E,
    kerberos = 0x10, ///< [MS-KILE], three legs.
    netlogon = 0x44,
};

/// The auth_level of a sec_trailer, [MS-RPCE] 2.2.1.1.8. Each includes what stands before it.
enum class authentication_level : std::uint8_t {
    none = 1,      ///< Nobody is authenticated.
    connect = 2,   ///< Who the client is, when a context is made.
    call = 3,      ///< Of connectionless RPC: packet is used in its place.
    packet = 4,    ///< Each PDU comes from the client; signed as with integrity.
    integrity = 5, ///< Each PDU is signed.
    privacy = 6,   ///< Stub data is sealed, the whole is signed.
};

/// @return whether PDUs of this level carry a signature.
[[nodiscard]] constexpr bool signs(authentication_level level) noexcept {
    return level >= authentication_level::call;
}

/// @return the level that a connection has where `asked` was asked for: packet for call,
/// [MS-RPCE] 2.2.1.1.8; any other stays what it is.
[[nodiscard]] constexpr authentication_level upgraded(authentication_level asked) noexcept {
    return asked == authentication_level::call ? authentication_level::packet : asked;
}

/// @return the name that --rpc-auth and logs have for it; "another mechanism" for what has none.
[[nodiscard]] constexpr std::string_view name(security_provider provider) noexcept {
    switch (provider) {
    case security_provider::negotiate: return "Negotiate";
    case security_provider::ntlm: return "NTLM";
    case security_provider::kerberos: return "Kerberos";
    case security_provider::schannel: return "Schannel";
    case security_provider::netlogon: return "Netlogon";
    case security_provider::none: break;
    }
    return "another mechanism";
}

[[nodiscard]] constexpr std::string_view name(authentication_level level) noexcept {
    switch (level) {
    case authentication_level::none: return "none";
    case authentication_level::connect: return "connect";
    case authentication_level::call: return "call";
    case authentication_level::packet: return "packet";
    case authentication_level::integrity: return "integrity";
    case authentication_level::privacy: return "privacy";
    }
    return "unknown";
}

/// What a context is made for.
struct security_options {
    authentication_level level = authentication_level::privacy;
    /// Client: the service principal name, `service/host`; NTLM puts it into its AV pairs
    /// (MsvAvTargetName), Kerberos asks for its ticket. Empty if unknown.
    std::string target{};
    /// Application data of the channel bindings (RFC 5929), `tls-server-end-point:` and the hash;
    /// empty outside TLS.
    std::vector<std::byte> channel_binding{};
    /// For DCE/RPC: Kerberos uses three legs and tokens of DCE style. False for HTTP.
    bool dce_style = true;
};

/// Who is at the other end, as far as the mechanism proved it.
struct peer_identity {
    std::string user{};      ///< UTF-8; without domain. Empty if anonymous or not authenticated.
    std::string domain{};    ///< NetBIOS domain or Kerberos realm.
    std::string mechanism{}; ///< "NTLM", "Kerberos", or of a user's own provider; "" if none.
    bool anonymous = false;
};

/// One message to sign or seal. The signature covers head, body and tail in this order; without
/// header signing head and tail are empty, unless the mechanism always signs headers.
struct protected_message {
    byte_view head{}; ///< Signed, never sealed: the PDU up to its stub data.
    byte_span body{}; ///< Signed; sealed in place: stub data and its padding.
    byte_view tail{}; ///< Signed, never sealed: the sec_trailer without its token.
};

/// One end of one security context: a machine without I/O, unless its provider says otherwise.
///
/// First step() is called with the peer's tokens in turn (the client's first call has an empty
/// one), then protect() for each message sent and unprotect() for each message received, in the
/// order of the wire: implementations count. Not thread-safe.
class security_context {
  public:
    virtual ~security_context() = default;

    /// Takes the peer's token and makes the next one.
    /// @param token  borrowed; empty for the first step of a client.
    /// @return the token to send, owned; may be empty only when is_established() holds.
    /// @errors errc::bad_security_token if it does not parse or comes out of order;
    ///         errc::bad_credentials if it proves another password or nobody known;
    ///         errc::no_credentials if the client has none to begin with;
    ///         errc::authentication_failed for anything else, a wrong MIC or channel binding
    ///         included; errc::account_locked. After an error the context is of no further use.
    [[nodiscard]] virtual result<std::vector<std::byte>> step(byte_view token) = 0;
    /// @return whether this end expects no further token and may protect messages.
    [[nodiscard]] virtual bool is_established() const noexcept = 0;

    /// @param seal  whether the body is to be sealed.
    /// @return the exact bytes of a signature; the same for every message of the context.
    [[nodiscard]] virtual std::size_t signature_bytes(bool seal) const noexcept = 0;
    /// Signs a message, and seals its body in place if `seal`.
    /// @param signature  filled; signature_bytes(seal) bytes.
    /// @errors errc::authentication_failed before the context is established, or if the mechanism
    ///         cannot.
    [[nodiscard]] virtual std::error_code protect(bool seal, const protected_message& message,
                                                  byte_span signature) = 0;
    /// Unseals the body in place if `sealed`, and verifies the signature.
    /// @param signature  borrowed; of any size, as the peer sent it.
    /// @errors errc::bad_signature if the message was altered, repeated, left out or reordered.
    ///         The body is then worthless, and the context of no further use.
    [[nodiscard]] virtual std::error_code unprotect(bool sealed, const protected_message& message,
                                                    byte_view signature) = 0;

    /// @return whether the mechanism can sign PDU headers, [MS-RPCE] 3.3.1.5.2.2.
    [[nodiscard]] virtual bool can_sign_headers() const noexcept { return true; }

    /// @return whether the mechanism signs PDU headers although nobody agreed to: NTLM with
    /// extended session security takes the whole PDU, as Windows, Samba and impacket do.
    [[nodiscard]] virtual bool always_signs_headers() const noexcept { return false; }
    /// @return whether the two ends agreed to sign messages; where they did not, SPNEGO goes
    /// without MICs (RFC 4178 5). Of an established context.
    [[nodiscard]] virtual bool can_make_mic() const noexcept { return true; }

    /// Signs SPNEGO's list of mechanisms (mechListMIC), and checks the peer's. Each counts as a
    /// message of its direction: both ends do it, or neither. [MS-SPNG] 3.3.5.1
    /// Nobody else calls them: a provider that SPNEGO does not know fails with errc::not_supported.
    [[nodiscard]] virtual result<std::vector<std::byte>> make_mic(byte_view message) = 0;
    [[nodiscard]] virtual std::error_code check_mic(byte_view message, byte_view mic) = 0;

    /// @return who the peer is; complete once is_established().
    [[nodiscard]] virtual const peer_identity& peer() const noexcept = 0;
    /// @return the session key that interfaces encrypt secrets with ([MS-SAMR]); empty before
    ///         is_established(). Borrowed from the context.
    [[nodiscard]] virtual byte_view session_key() const noexcept = 0;
    /// @return why the last step failed, or what went wrong on the way to where the context is
    ///         (SPNEGO: a mechanism that could not begin), in words for a log; no secret. Borrowed
    ///         from the context.
    [[nodiscard]] virtual std::string_view detail() const noexcept { return {}; }
    /// @return what a person can do about the step that failed, where the mechanism knows more than
    ///         its error says; else empty. Borrowed from the context.
    [[nodiscard]] virtual std::string_view next_step() const noexcept { return {}; }
};

/// Makes the contexts of clients: one mechanism and one set of credentials. Shared by connections;
/// calls may come from several threads. They come on the strand of the client, as those of its
/// contexts do: what blocks there holds up its other calls.
class security_initiator {
  public:
    virtual ~security_initiator() = default;
    [[nodiscard]] virtual security_provider provider() const noexcept = 0;
    /// @param options  borrowed for the call.
    /// @return not null.
    /// @errors errc::bad_credentials if there are none; errc::security_not_supported if the build
    ///         lacks the mechanism, or the mechanism the level.
    [[nodiscard]] virtual result<std::unique_ptr<security_context>>
    initiate(const security_options& options) = 0;
};

/// Makes the contexts of servers. Shared by connections; calls may come from several threads. They
/// come on the strand of the server or proxy, as those of its contexts do, and must not block.
class security_acceptor {
  public:
    virtual ~security_acceptor() = default;
    [[nodiscard]] virtual security_provider provider() const noexcept = 0;
    /// @param options  borrowed for the call; the level that the client asks for, no target.
    /// @return not null.
    /// @errors as security_initiator::initiate(); an RPC client is told that the mechanism
    ///         is not offered.
    [[nodiscard]] virtual result<std::unique_ptr<security_context>>
    accept(const security_options& options) = 0;
};

} // namespace rpch::inline RPCH_ABI::auth

#endif
