// NTLM as a security provider, [MS-NLMP]: NTLMv2 only. What NTLMv1 and LM prove can be computed
// back to the password in hours, so they are neither sent nor taken.
#ifndef RPCH_AUTH_NTLM_HPP
#define RPCH_AUTH_NTLM_HPP

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <rpch/auth/ntlm_crypto.hpp>
#include <rpch/auth/ntlm_environment.hpp>
#include <rpch/auth/security_context.hpp>
#include <rpch/core/secret.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::auth {

/// Who a client is.
struct ntlm_credentials {
    std::string user{};        ///< UTF-8.
    std::string domain{};      ///< UTF-8; NetBIOS or DNS name, or empty if the server is to choose.
    core::secret password{};   ///< UTF-8.
    core::secret nt_hash{};    ///< 16 bytes, in place of the password if not empty.
    std::string workstation{}; ///< Told to the server, which believes it or not.
    bool anonymous = false;    ///< A null session: all of the above is left out.
    /// Lets the server choose keys of 56 or 40 bits for sealing.
    bool weak_keys = false;
};

/// Makes the contexts of clients. Each one sends a MIC and demands, as far as the level of the
/// options signs or seals, extended session security and keys of 128 bits.
class ntlm_initiator final : public security_initiator {
  public:
    /// @param env          outlives the object and all its contexts.
    /// @param credentials  the password is hashed here and wiped.
    RPCH_DECL ntlm_initiator(const ntlm_environment& env, ntlm_credentials credentials);

    [[nodiscard]] security_provider provider() const noexcept override {
        return security_provider::ntlm;
    }
    [[nodiscard]] RPCH_DECL result<std::unique_ptr<security_context>>
    initiate(const security_options& options) override;

    /// What the contexts of one initiator share.
    struct identity {
        std::string user;
        std::string domain;
        std::string workstation;
        ntlm_key nt_hash;
        bool anonymous = false;
        bool weak_keys = false;
    };

  private:
    const ntlm_environment* env_;
    std::shared_ptr<const identity> who_; ///< Null if the credentials are malformed.
};

/// An account of a server. The NT hash is ntowf_v1() of the password.
struct ntlm_account {
    std::string user;     ///< UTF-8, as the server spells it: who the caller is then.
    std::string domain{}; ///< UTF-8; empty if the server knows no domains.
    ntlm_key nt_hash{};
    bool locked = false; ///< May not log on; told only to who has its password.
};

/// The accounts of a server: the interface of a credential store for NTLM. Calls may come from
/// several threads. They come on the strand of the server or proxy and must not block, so a store
/// that is far away needs a cache.
class ntlm_accounts {
  public:
    virtual ~ntlm_accounts() = default;
    /// Finds an account.
    /// @param user, domain  UTF-8, as the client wrote them; case is for the implementation to
    ///                      ignore (ntlm_equal_nocase), and the domain may be empty. Both go into
    ///                      the client's proof; only the names of the answer are proved by it.
    /// @return nothing if there is no such account.
    [[nodiscard]] virtual std::optional<ntlm_account> find(std::string_view user,
                                                           std::string_view domain) const = 0;
};

/// Accounts in memory, for tests and small servers; one without a domain is found in whatever
/// domain the client names. Not to be changed once it is shared.
class ntlm_account_list final : public ntlm_accounts {
  public:
    void add(ntlm_account one) { accounts_.push_back(std::move(one)); }
    [[nodiscard]] RPCH_DECL std::optional<ntlm_account>
    find(std::string_view user, std::string_view domain) const override;

  private:
    std::vector<ntlm_account> accounts_;
};

/// What a server calls itself and what it demands.
struct ntlm_server_settings {
    std::string netbios_computer = "RPCH";
    std::string netbios_domain{}; ///< Empty: the server is in no domain.
    std::string dns_computer{};   ///< Empty: not told.
    std::string dns_domain{};
    bool allow_anonymous = false;
    /// Refuses clients whose NTLMv2 response has no channel bindings, or zeros, where the context
    /// has some to compare with. Bindings that are there are always compared.
    bool require_channel_binding = false;
    /// Refuses clients that send no MIC; Windows sends one, gss-ntlmssp 1.2 does not.
    bool require_mic = false;
    /// The target names (`service/host`) that a client may have meant; empty: any. A client that
    /// tells none is let in.
    std::vector<std::string> accepted_targets{};
    bool weak_keys = false; ///< Takes keys of 56 or 40 bits for sealing.
};

/// Makes the contexts of servers.
class ntlm_acceptor final : public security_acceptor {
  public:
    /// @param env       outlives the object and all its contexts.
    /// @param accounts  shared with the contexts; not null.
    RPCH_DECL ntlm_acceptor(const ntlm_environment& env,
                            std::shared_ptr<const ntlm_accounts> accounts,
                            ntlm_server_settings settings);

    [[nodiscard]] security_provider provider() const noexcept override {
        return security_provider::ntlm;
    }
    [[nodiscard]] RPCH_DECL result<std::unique_ptr<security_context>>
    accept(const security_options& options) override;

  private:
    const ntlm_environment* env_;
    std::shared_ptr<const ntlm_accounts> accounts_;
    std::shared_ptr<const ntlm_server_settings> settings_;
};

} // namespace rpch::inline RPCH_ABI::auth

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/auth/impl/ntlm.ipp>
#endif

#endif
