// Security providers from the command line: whom a server believes, and who a client is.
#ifndef RPCH_TOOL_RPC_SECURITY_HPP
#define RPCH_TOOL_RPC_SECURITY_HPP

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rpch/auth/ntlm.hpp>
#include <rpch/auth/security_context.hpp>
#include <rpch/auth/users_file.hpp>
#include <rpch/core/secret.hpp>

namespace tool {

/// The users of a users file that have an NT hash; the file can be read again.
class file_accounts final : public rpch::auth::ntlm_accounts {
  public:
    explicit file_accounts(std::string path) : path_(std::move(path)) {}
    /// Reads the file. @return what is wrong, or nothing; then the users are those of the file.
    std::string read();
    std::optional<rpch::auth::ntlm_account> find(std::string_view user,
                                                 std::string_view domain) const override;

  private:
    std::string path_;
    mutable std::mutex mutex_;
    std::shared_ptr<const rpch::auth::users_file> users_;
};

/// What a server accepts, by the words of the command line.
struct acceptor_choice {
    std::vector<std::string> schemes; ///< ntlm, negotiate, kerberos
    std::string users;
    std::string keytab;
};
struct acceptors {
    std::vector<std::shared_ptr<rpch::auth::security_acceptor>> list;
    std::shared_ptr<file_accounts> accounts; ///< Null without NTLM.
};
/// @param option  the option's name, for the explanation.
/// @return the providers; on error nothing, and `why` explains.
std::optional<acceptors> make_acceptors(const acceptor_choice& choice, const std::string& option,
                                        std::string& why);

/// @return whether one of the schemes can use a keytab.
bool uses_keytab(const std::vector<std::string>& schemes);

/// @return whether one of the schemes can use a users file.
bool uses_users(const std::vector<std::string>& schemes);

/// Who a client is. Wiped when it goes.
struct initiator_choice {
    std::string scheme; ///< ntlm, negotiate, kerberos
    std::string user;   ///< UTF-8: `name`, `DOMAIN\name` or `name@domain`; empty for Kerberos'
                        ///< ticket cache.
    std::string password;
    ~initiator_choice() { rpch::core::wipe(password); }
};
/// @return the provider; on error null, and `why` explains.
std::shared_ptr<rpch::auth::security_initiator> make_initiator(const initiator_choice& choice,
                                                               std::string& why);

/// @return the level of a word; none, connect, call, packet, integrity, privacy.
std::optional<rpch::auth::authentication_level> parse_level(std::string_view word);

} // namespace tool

#endif
