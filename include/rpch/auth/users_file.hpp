// The users file of `rpch passwd`: one user a line, the password only as a salted hash.
//     # comment
//     name:HASH[;further-field...]
// HASH is what transport::make_password_hash gives; here it is text without blank or `;`. Fields
// behind
// `;` are separated by `;`. Known is `ntlm=` and the NT hash as 32 hexadecimal digits, for servers
// that let clients in by NTLM. An NT hash has no salt and no cost, and NTLM takes it in place of
// the password: who reads it can log on, so it is written only where it was asked for. Other fields
// belong to later versions and are kept as they are. Files, randomness and hashing are not this
// room's.
#ifndef RPCH_AUTH_USERS_FILE_HPP
#define RPCH_AUTH_USERS_FILE_HPP

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <rpch/auth/ntlm_crypto.hpp>
#include <rpch/core/secret.hpp>
#include <rpch/core/text.hpp>
#include <rpch/limits.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::auth {

/// A user and what a password is checked against. Hashes are wiped when they go.
struct user_entry {
    user_entry() = default;
    user_entry(std::string user, std::string password_hash, std::string fields) noexcept
        : name(std::move(user)),
          hash(std::move(password_hash)),
          further_fields(std::move(fields)) {}
    user_entry(const user_entry&) = default;
    user_entry(user_entry&&) noexcept = default;
    user_entry& operator=(user_entry other) noexcept {
        wipe(); // swapping leaves the rest of a short string where it is
        name.swap(other.name);
        hash.swap(other.hash);
        further_fields.swap(other.further_fields);
        return *this;
    }
    ~user_entry() { wipe(); }

    std::string
        name; ///< UTF-8; no colon, no control character, no blank at an end, no `#` in front.
    std::string hash;           ///< Visible ASCII without `;`.
    std::string further_fields; ///< With the `;` it begins with; empty if none.

    /// @return the NT hash of the field `ntlm=`; nothing if there is none.
    [[nodiscard]] RPCH_DECL std::optional<ntlm_key> nt_hash() const noexcept;
    bool operator==(const user_entry&) const = default;

  private:
    void wipe() noexcept {
        core::wipe(hash);
        core::wipe(further_fields);
    }
};

/// Users by name, without regard to the case of ASCII letters.
class users_file {
  public:
    /// Parses the text of a users file. Lines end in LF or CRLF.
    /// @param bad_line  if not null: on error, the number of the line, from 1.
    /// @param is_hash   tells a hash that passwords can be checked against, such as
    ///                  transport::is_password_hash; null, for who mends a file, if any will do.
    /// @errors errc::bad_setting for a malformed line, hash or NT hash, or a second user of a name;
    ///         errc::too_many above limits::users_max users; errc::too_large for a line above
    ///         limits::users_line_bytes_max.
    [[nodiscard]] RPCH_DECL static result<users_file>
    parse(std::string_view text, std::size_t* bad_line = nullptr,
          bool (*is_hash)(std::string_view) = nullptr);
    /// @return the text of the file: comments, order and further fields as they were.
    [[nodiscard]] RPCH_DECL std::string format() const;

    /// @return the user, or nullptr; valid until the next change.
    [[nodiscard]] RPCH_DECL const user_entry* find(std::string_view name) const noexcept;
    /// Adds a user, or gives the user of this name a new hash. The field `ntlm=` of one that is
    /// there goes, for the old password would be good as long as it stays; other further fields
    /// stay, for they are not ours to lose.
    /// @param nt_hash  the NT hash of the same password, ntowf_v1(), to be written as `ntlm=`; null
    ///                 if the user is not to log on by NTLM.
    /// @errors errc::bad_setting for a name or hash that the file cannot hold; errc::too_many.
    [[nodiscard]] RPCH_DECL std::error_code set(std::string_view name, std::string_view hash,
                                                const ntlm_key* nt_hash = nullptr);
    /// @return whether there was such a user.
    RPCH_DECL bool remove(std::string_view name);
    /// @return how many users there are.
    [[nodiscard]] std::size_t size() const noexcept { return by_name_.size(); }
    /// @return how many of them have an NT hash, and so can log on by NTLM.
    [[nodiscard]] RPCH_DECL std::size_t count_with_nt_hash() const noexcept;

    /// Checks a password. For an unknown name the decoy is verified instead, so that a clock does
    /// not tell which names exist.
    /// @param verify  `bool(std::string_view password, std::string_view hash)`.
    /// @param decoy   a hash of usual cost that no password fits.
    template <class Verify>
    [[nodiscard]] bool check(std::string_view name, std::string_view password, Verify&& verify,
                             std::string_view decoy) const {
        const user_entry* user = find(name);
        const bool fits = verify(password, user != nullptr ? std::string_view(user->hash) : decoy);
        return fits && user != nullptr;
    }

  private:
    /// Orders names without regard to the case of ASCII letters, so that a look-up allocates
    /// nothing.
    struct name_order {
        using is_transparent = void;
        [[nodiscard]] bool operator()(std::string_view a, std::string_view b) const noexcept {
            return std::lexicographical_compare(
                a.begin(), a.end(), b.begin(), b.end(),
                [](char x, char y) { return core::ascii_lower(x) < core::ascii_lower(y); });
        }
    };
    using line =
        std::variant<std::string, user_entry>; // a comment or empty line as it is, or a user

    [[nodiscard]] RPCH_DECL std::error_code add(user_entry user);

    std::vector<line> lines_;
    std::map<std::string, std::size_t, name_order> by_name_; // place in lines_
};

} // namespace rpch::inline RPCH_ABI::auth

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/auth/impl/users_file.ipp>
#endif

#endif
