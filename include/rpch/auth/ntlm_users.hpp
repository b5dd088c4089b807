// The users of a users file as accounts of NTLM: those whose NT hash was written.
#ifndef RPCH_AUTH_NTLM_USERS_HPP
#define RPCH_AUTH_NTLM_USERS_HPP

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <rpch/auth/ntlm.hpp>
#include <rpch/auth/users_file.hpp>

namespace rpch::inline RPCH_ABI::auth {

/// Looks users up by name, whatever domain the client names: a users file knows no domains, and its
/// users have none. Letters beyond ASCII must have the case of the file, as for Basic.
class ntlm_users final : public ntlm_accounts {
  public:
    /// @param users  not null; not changed while the object lives. One that reads its file again
    ///               makes a new object.
    explicit ntlm_users(std::shared_ptr<const users_file> users) : users_(std::move(users)) {}

    [[nodiscard]] std::optional<ntlm_account> find(std::string_view user,
                                                   std::string_view) const override {
        const user_entry* const found = users_->find(user);
        const auto hash = found != nullptr ? found->nt_hash() : std::nullopt;
        if (!hash) return std::nullopt;
        return ntlm_account{.user = found->name, .nt_hash = *hash};
    }

  private:
    std::shared_ptr<const users_file> users_;
};

} // namespace rpch::inline RPCH_ABI::auth

#endif
