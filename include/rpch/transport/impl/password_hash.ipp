#include <rpch/transport/password_hash.hpp>

#include <algorithm>
#include <charconv>
#include <optional>

#include <rpch/core/base64.hpp>
#include <rpch/core/secret.hpp>
#include <rpch/transport/detail/hmac_sha256.hpp>
#include <rpch/transport/random.hpp>

namespace rpch::inline RPCH_ABI::transport {

namespace detail {

inline constexpr std::string_view password_hash_prefix = "$pbkdf2-sha256$i=";
using password_salt = std::array<std::byte, 16>;

struct stored_password {
    std::uint32_t iterations = 0;
    password_salt salt{};
    sha256_digest digest{};
};

/// Base64 without its padding.
RPCH_DECL std::string to_bare_base64(byte_view bytes) {
    std::string out = core::base64_encode(bytes);
    while (out.ends_with('=')) out.pop_back();
    return out;
}

/// @return false unless the text is base64 without padding of exactly `out.size()` bytes.
RPCH_DECL bool from_bare_base64(std::string_view text, byte_span out) {
    if (text.size() != (out.size() * 8 + 5) / 6 || text.ends_with('=')) return false;
    std::string padded(text);
    padded.append((4 - padded.size() % 4) % 4, '=');
    const auto decoded = core::base64_decode(padded, std::size_t{64});
    if (!decoded || decoded->size() != out.size()) return false;
    std::ranges::copy(*decoded, out.begin());
    return true;
}

RPCH_DECL std::optional<stored_password> parse_password_hash(std::string_view text) {
    if (!text.starts_with(password_hash_prefix)) return std::nullopt;
    text.remove_prefix(password_hash_prefix.size());
    stored_password out;
    const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), out.iterations);
    if (bad != std::errc{} || out.iterations == 0 ||
        out.iterations > limits::password_iterations_max)
        return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (!text.starts_with('$')) return std::nullopt;
    text.remove_prefix(1);
    const auto separator = text.find('$');
    if (separator == text.npos) return std::nullopt;
    if (!from_bare_base64(text.substr(0, separator), out.salt)) return std::nullopt;
    if (!from_bare_base64(text.substr(separator + 1), out.digest)) return std::nullopt;
    return out;
}

} // namespace detail

RPCH_DECL result<std::string> make_password_hash(std::string_view password,
                                                 std::uint32_t iterations) {
    if (iterations == 0 || iterations > limits::password_iterations_max)
        return fail(errc::bad_setting);
    if (password.size() > limits::password_bytes_max) return fail(errc::too_large);
    detail::password_salt salt{};
    if (const auto failed = random_bytes(salt)) return fail(failed);
    const auto digest = detail::pbkdf2_sha256(core::as_bytes(password), salt, iterations);
    return std::string(detail::password_hash_prefix) + std::to_string(iterations) + "$" +
           detail::to_bare_base64(salt) + "$" + detail::to_bare_base64(digest);
}

RPCH_DECL bool verify_password(std::string_view password, std::string_view hash) {
    const auto stored = detail::parse_password_hash(hash);
    if (!stored || password.size() > limits::password_bytes_max) return false;
    auto digest = detail::pbkdf2_sha256(core::as_bytes(password), stored->salt, stored->iterations);
    const bool same = core::equal_constant_time(digest, stored->digest);
    core::wipe(digest);
    return same;
}

RPCH_DECL bool is_password_hash(std::string_view hash) {
    return detail::parse_password_hash(hash).has_value();
}

RPCH_DECL const std::string& decoy_password_hash() {
    static const std::string decoy = [] {
        // A random digest: no derivation is spent on it, and nobody can find a password for it.
        std::array<std::byte, 48> bytes{};
        (void)random_bytes(bytes);
        const byte_view view(bytes);
        return std::string(detail::password_hash_prefix) +
               std::to_string(limits::password_iterations_default) + "$" +
               detail::to_bare_base64(view.first(16)) + "$" +
               detail::to_bare_base64(view.subspan(16));
    }();
    return decoy;
}

} // namespace rpch::inline RPCH_ABI::transport
