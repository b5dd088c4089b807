// Authentication schemes: what a 401 offers and what an Authorization value claims, RFC 9110 11.
#ifndef RPCH_AUTH_OFFERS_HPP
#define RPCH_AUTH_OFFERS_HPP

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <rpch/config.hpp>

namespace rpch::inline RPCH_ABI::auth {

enum class scheme : std::uint8_t { basic, ntlm, negotiate, other };

/// @return the scheme's name as it is written.
[[nodiscard]] RPCH_DECL std::string_view name_of(scheme which) noexcept;

/// One challenge of a WWW-Authenticate header.
struct offer {
    scheme which = scheme::other;
    std::string name;  ///< As the server wrote it.
    std::string token; ///< Base64 of a later NTLM or Negotiate leg; empty otherwise.
    std::string realm; ///< Of Basic, quotes removed; for people.
    bool utf8 = false; ///< Basic with charset="UTF-8", RFC 7617 2.1.
};

/// The challenges of a 401, in their order.
struct offers {
    std::vector<offer> list; ///< At most limits::auth_offers_max; further ones are dropped.

    /// @return the first offer of a scheme, or nullptr; ends with the list.
    [[nodiscard]] RPCH_DECL const offer* find(scheme which) const noexcept;
    /// @return the names for people, `Basic, NTLM`, or `none`.
    [[nodiscard]] RPCH_DECL std::string to_string() const;
};

/// Reads WWW-Authenticate values. What does not parse ends its line: the other offers still count.
/// @param values  one per header line; a line may hold several challenges.
[[nodiscard]] RPCH_DECL offers parse_offers(std::span<const std::string_view> values);

/// @return the scheme of an Authorization value.
[[nodiscard]] RPCH_DECL scheme scheme_of(std::string_view authorization) noexcept;

} // namespace rpch::inline RPCH_ABI::auth

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/auth/impl/offers.ipp>
#endif

#endif
