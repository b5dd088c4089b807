// Kerberos as a security provider, [MS-KILE] and RFC 4121, by the GSSAPI of MIT Kerberos.
//
// Asking the KDC blocks: see kerberos_initiator. Acceptors talk to nobody, but read a keytab and,
// if there is one, write a replay cache.
#ifndef RPCH_TRANSPORT_KERBEROS_HPP
#define RPCH_TRANSPORT_KERBEROS_HPP

#include <memory>
#include <string>

#include <rpch/auth/security_context.hpp>
#include <rpch/core/secret.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::transport {

/// @return whether the library was built with Kerberos (CMake: RPCH_KERBEROS). Without it
///         initiate() and accept() fail with errc::security_not_supported.
[[nodiscard]] RPCH_DECL bool has_kerberos() noexcept;

/// Who a client is. With a password a ticket is got by it and kept in memory; without one the
/// ticket must be in a credential cache (`kinit`).
struct kerberos_credentials {
    std::string user{};  ///< Principal without realm. Empty, without a password: the cache's.
    std::string realm{}; ///< Empty: the default realm of krb5.conf.
    core::secret password{};
    std::string cache{}; ///< `FILE:/path` or another name of a cache. Empty: the process's own.
};

/// Makes the contexts of clients.
///
/// The first step() of a context asks the KDC for a service ticket, and before it for a ticket of
/// the client if there is a password; the library of MIT waits for the network in it, for seconds
/// if the KDC is down, and asks a DNS server where krb5.conf lets it. Contexts that need the ticket
/// of one password wait for each other. Tickets that are there cost no network. Where other work
/// shares the thread, get tickets beforehand (`kinit`, or a context that is made and stepped once
/// on a thread of its own, with the same initiator), or run such clients in an io_context of
/// theirs.
///
/// The environment of the process is read by MIT's library (KRB5_CONFIG and others) and not
/// changed.
class kerberos_initiator final : public auth::security_initiator {
  public:
    /// @param credentials  taken over; the password is wiped with the object.
    RPCH_DECL explicit kerberos_initiator(kerberos_credentials credentials = {});
    RPCH_DECL ~kerberos_initiator() override;
    kerberos_initiator(const kerberos_initiator&) = delete;
    kerberos_initiator& operator=(const kerberos_initiator&) = delete;

    [[nodiscard]] auth::security_provider provider() const noexcept override {
        return auth::security_provider::kerberos;
    }
    /// @param options  target: `service/host`, or a whole principal `service/host@REALM`; not
    /// empty.
    /// @errors errc::bad_credentials if the target is malformed or missing. Credentials are looked
    ///         for by the first step(), which fails with errc::no_credentials if there are none.
    [[nodiscard]] RPCH_DECL result<std::unique_ptr<auth::security_context>>
    initiate(const auth::security_options& options) override;

    struct state;

  private:
    std::unique_ptr<state> state_;
};

/// Where a server has its keys.
struct kerberos_server_settings {
    std::string keytab{};    ///< Path or `FILE:/path`. Empty: the system's keytab.
    std::string principal{}; ///< `service/host`, or with `@REALM`. Empty: any of the keytab.
    /// A name as of KRB5RCACHENAME, `file2:/path` or `none:`. Empty: the process's own. It keeps
    /// first tokens from being used twice.
    std::string replay_cache{};
};

/// Makes the contexts of servers.
class kerberos_acceptor final : public auth::security_acceptor {
  public:
    RPCH_DECL explicit kerberos_acceptor(kerberos_server_settings settings = {});
    RPCH_DECL ~kerberos_acceptor() override;
    kerberos_acceptor(const kerberos_acceptor&) = delete;
    kerberos_acceptor& operator=(const kerberos_acceptor&) = delete;

    [[nodiscard]] auth::security_provider provider() const noexcept override {
        return auth::security_provider::kerberos;
    }
    /// @errors errc::bad_credentials if the keytab has no such key.
    [[nodiscard]] RPCH_DECL result<std::unique_ptr<auth::security_context>>
    accept(const auth::security_options& options) override;

    struct state;

  private:
    std::unique_ptr<state> state_;
};

} // namespace rpch::inline RPCH_ABI::transport

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/impl/kerberos.ipp>
#endif

#endif
