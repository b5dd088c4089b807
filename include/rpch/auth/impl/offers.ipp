#include <rpch/auth/offers.hpp>

#include <utility>

#include <rpch/core/text.hpp>
#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::auth {

namespace detail {

inline constexpr scheme known_schemes[] = {scheme::basic, scheme::ntlm, scheme::negotiate};

/// Walks over the challenges of one header value, RFC 9110 11.6.1. Whether a comma separates
/// parameters or challenges is told by what follows: `name=` is a parameter, a token alone is a
/// scheme.
class challenge_reader {
  public:
    explicit challenge_reader(std::string_view text) noexcept : rest_(text) {}

    /// @return the next challenge, or nothing at the end or where the text is no longer understood.
    [[nodiscard]] std::optional<offer> next() {
        skip_separators();
        offer out;
        out.name = take_token();
        if (out.name.empty()) return std::nullopt;
        for (const scheme which : known_schemes)
            if (core::equal_nocase(out.name, name_of(which))) out.which = which;
        // What follows is a token68, parameters, or nothing of this challenge.
        skip_blanks();
        const std::string_view before = rest_;
        const std::string_view word = take_token68();
        skip_blanks();
        if (!word.empty() && (rest_.empty() || rest_.front() == ',')) {
            out.token = word;
            return out;
        }
        rest_ = before;
        while (take_parameter(out)) skip_separators();
        return out;
    }

  private:
    void skip_blanks() noexcept { rest_ = core::trim_blanks(rest_); }
    void skip_separators() noexcept {
        while (!rest_.empty() &&
               (rest_.front() == ',' || rest_.front() == ' ' || rest_.front() == '\t'))
            rest_.remove_prefix(1);
    }
    template <class Belongs>
    [[nodiscard]] std::string_view take_while(Belongs belongs) noexcept {
        std::size_t n = 0;
        while (n < rest_.size() && belongs(rest_[n])) ++n;
        const std::string_view taken = rest_.substr(0, n);
        rest_.remove_prefix(n);
        return taken;
    }
    [[nodiscard]] std::string_view take_token() noexcept {
        return take_while([](char c) { return core::is_token_char(c); });
    }
    [[nodiscard]] std::string_view take_token68() noexcept {
        const std::string_view before = rest_;
        std::size_t n =
            take_while([](char c) { return core::is_token_char(c) || c == '/'; }).size();
        n += take_while([](char c) { return c == '='; }).size(); // at the end only, RFC 9110 11.2
        return before.substr(0, n);
    }
    /// @return the text of a quoted string with its escapes undone; rest_ begins behind the first
    /// quote.
    [[nodiscard]] std::string take_quoted() {
        std::string out;
        while (!rest_.empty() && rest_.front() != '"') {
            if (rest_.front() == '\\' && rest_.size() > 1) rest_.remove_prefix(1);
            out += rest_.front();
            rest_.remove_prefix(1);
        }
        if (!rest_.empty()) rest_.remove_prefix(1);
        return out;
    }
    /// Takes `name=value` if it is one; else leaves everything for the next challenge.
    [[nodiscard]] bool take_parameter(offer& out) {
        const std::string_view before = rest_;
        const std::string_view name = take_token();
        skip_blanks();
        if (name.empty() || rest_.empty() || rest_.front() != '=') {
            rest_ = before;
            return false;
        }
        rest_.remove_prefix(1);
        skip_blanks();
        std::string value;
        if (!rest_.empty() && rest_.front() == '"') {
            rest_.remove_prefix(1);
            value = take_quoted();
        } else {
            value = take_token();
        }
        if (out.which == scheme::basic && core::equal_nocase(name, "realm")) out.realm = value;
        if (core::equal_nocase(name, "charset")) out.utf8 = core::equal_nocase(value, "UTF-8");
        return true;
    }

    std::string_view rest_;
};

} // namespace detail

RPCH_DECL std::string_view name_of(scheme which) noexcept {
    switch (which) {
    case scheme::basic: return "Basic";
    case scheme::ntlm: return "NTLM";
    case scheme::negotiate: return "Negotiate";
    case scheme::other: break;
    }
    return "other";
}

RPCH_DECL const offer* offers::find(scheme which) const noexcept {
    for (const offer& one : list)
        if (one.which == which) return &one;
    return nullptr;
}

RPCH_DECL std::string offers::to_string() const {
    if (list.empty()) return "none";
    std::string out;
    for (const offer& one : list) {
        if (!out.empty()) out += ", ";
        out += one.name;
    }
    return out;
}

RPCH_DECL offers parse_offers(std::span<const std::string_view> values) {
    offers out;
    for (const std::string_view value : values) {
        detail::challenge_reader challenges(value);
        while (out.list.size() < limits::auth_offers_max) {
            auto one = challenges.next();
            if (!one) break;
            out.list.push_back(std::move(*one));
        }
    }
    return out;
}

RPCH_DECL scheme scheme_of(std::string_view authorization) noexcept {
    const std::string_view name = authorization.substr(0, authorization.find(' '));
    for (const scheme which : detail::known_schemes)
        if (core::equal_nocase(name, name_of(which))) return which;
    return scheme::other;
}

} // namespace rpch::inline RPCH_ABI::auth
