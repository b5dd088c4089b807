// The Basic scheme, RFC 7617.
#ifndef RPCH_AUTH_BASIC_HPP
#define RPCH_AUTH_BASIC_HPP

#include <cstdint>
#include <string>
#include <string_view>

#include <rpch/core/secret.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::auth {

/// How characters beyond ASCII are sent, RFC 7617 2.1.
enum class charset : std::uint8_t { utf8, latin1 };

/// Name and password of a client; both in UTF-8. The password is wiped on destruction.
struct basic_credentials {
    std::string domain; ///< What stands before the first backslash of the user name; often empty.
    std::string name;
    core::secret password;

    /// An empty name stands for nobody: Samba's client sends `\:(null)` when it has no credentials.
    [[nodiscard]] bool is_anonymous() const noexcept { return name.empty(); }
};

/// Writes the Authorization value of the Basic scheme.
/// @param user      UTF-8; `name`, `DOMAIN\name` or `name@domain`; no colon.
/// @param password  UTF-8.
/// @return the whole value, `Basic ...`; wiped on destruction.
/// @errors errc::bad_credentials for a colon in the name, control characters, text that is not
/// UTF-8
///         or that `how` cannot say, or more than limits::basic_credentials_bytes_max bytes.
[[nodiscard]] RPCH_DECL result<core::secret>
encode_basic(std::string_view user, std::string_view password, charset how = charset::utf8);

/// Reads the Authorization value of the Basic scheme. Text that is not UTF-8 is taken for Latin-1.
/// @param value  borrowed; the whole header value, scheme included.
/// @errors errc::bad_credentials for another scheme, bad base64, no colon, control characters, or
/// more
///         than limits::basic_credentials_bytes_max bytes.
[[nodiscard]] RPCH_DECL result<basic_credentials> decode_basic(std::string_view value);

} // namespace rpch::inline RPCH_ABI::auth

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/auth/impl/basic.ipp>
#endif

#endif
