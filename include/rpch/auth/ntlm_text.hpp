// Text of NTLM: UTF-16LE on the wire, UTF-8 here, and upper case without a locale.
#ifndef RPCH_AUTH_NTLM_TEXT_HPP
#define RPCH_AUTH_NTLM_TEXT_HPP

#include <cstddef>
#include <string>
#include <string_view>

#include <rpch/core/bytes.hpp>
#include <rpch/core/secret.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::auth {

/// The upper case of one UTF-16 unit where it is again one unit: Latin (Basic, Latin-1, Extended-A,
/// Extended Additional), Greek with tonos, Cyrillic. Not covered, and left as they are: Latin
/// Extended-B, polytonic Greek, Armenian, Georgian, full-width forms, everything above U+FFFF, and
/// the letters that Windows has no upper case for (sharp s, micro sign, dotless i).
[[nodiscard]] RPCH_DECL char16_t ntlm_upper(char16_t unit) noexcept;

/// Converts UTF-8 to UTF-16LE.
/// @param upper  whether each unit is put through ntlm_upper().
/// @return the bytes, wiped when they are destroyed: this is how passwords are converted too.
/// @errors errc::bad_value if the text is not UTF-8.
[[nodiscard]] RPCH_DECL result<core::secret> ntlm_to_utf16(std::string_view utf8,
                                                           bool upper = false);

/// Converts UTF-16LE to UTF-8.
/// @errors errc::bad_value for an odd number of bytes, a surrogate without its partner or U+0000.
[[nodiscard]] RPCH_DECL result<std::string> ntlm_from_utf16(byte_view utf16);

/// @return whether two names in UTF-8 are the same but for case, as ntlm_upper() sees it. False if
///         one of them is not UTF-8.
[[nodiscard]] RPCH_DECL bool ntlm_equal_nocase(std::string_view a, std::string_view b) noexcept;

} // namespace rpch::inline RPCH_ABI::auth

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/auth/impl/ntlm_text.ipp>
#endif

#endif
