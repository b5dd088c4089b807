#include <rpch/auth/users_file.hpp>

#include <algorithm>
#include <utility>

#include <rpch/core/text.hpp>
#include <rpch/core/uuid.hpp>

namespace rpch::inline RPCH_ABI::auth {

namespace detail {

RPCH_DECL bool is_user_name(std::string_view name) noexcept {
    if (name.empty() || name.front() == '#' || core::trim_blanks(name) != name) return false;
    for (const char c : name)
        if (c == ':' || core::is_control(c)) return false;
    return true;
}

RPCH_DECL bool is_hash_text(std::string_view hash) noexcept {
    for (const char c : hash)
        if (c <= ' ' || c > '~' || c == ';') return false;
    return !hash.empty();
}

/// A line as it may stand: a CR inside would end it for the next reader.
RPCH_DECL bool is_line_text(std::string_view line) noexcept {
    for (const char c : line)
        if (core::is_control(c) && c != '\t') return false;
    return true;
}

inline constexpr std::string_view ntlm_field("ntlm=");

/// Takes the next further field off the front of `;a;b`.
RPCH_DECL std::string_view next_field(std::string_view& fields) noexcept {
    const std::size_t end = fields.find(';', 1);
    const std::string_view field = fields.substr(1, end == std::string_view::npos ? end : end - 1);
    fields = end == std::string_view::npos ? std::string_view{} : fields.substr(end);
    return field;
}

/// @return whether there is no field `ntlm=`, or one that can be read.
RPCH_DECL bool has_sound_ntlm_field(const user_entry& user) noexcept {
    int count = 0;
    for (std::string_view rest = user.further_fields; !rest.empty();)
        count += next_field(rest).starts_with(ntlm_field) ? 1 : 0;
    return count == 0 || (count == 1 && user.nt_hash().has_value());
}

/// The further fields of a user whose password changes.
RPCH_DECL std::string changed_fields(std::string_view old, const ntlm_key* nt_hash) {
    std::string out;
    while (!old.empty()) {
        const std::string_view field = next_field(old);
        if (!field.starts_with(ntlm_field)) out.append(";").append(field);
    }
    if (nt_hash != nullptr) out.append(";").append(ntlm_field).append(core::to_hex(nt_hash->bytes));
    return out;
}

/// Reads one line that is neither empty nor a comment.
RPCH_DECL result<user_entry> parse_user(std::string_view line) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return fail(errc::bad_setting);
    const std::string_view rest = line.substr(colon + 1);
    const std::size_t further = std::min(rest.find(';'), rest.size());
    return user_entry{std::string(line.substr(0, colon)), std::string(rest.substr(0, further)),
                      std::string(rest.substr(further))};
}

} // namespace detail

RPCH_DECL std::optional<ntlm_key> user_entry::nt_hash() const noexcept {
    for (std::string_view rest = further_fields; !rest.empty();) {
        std::string_view field = detail::next_field(rest);
        if (!field.starts_with(detail::ntlm_field)) continue;
        field.remove_prefix(detail::ntlm_field.size());
        ntlm_key out;
        if (field.size() != 2 * out.bytes.size()) return std::nullopt;
        for (std::size_t i = 0; i < out.bytes.size(); ++i) {
            const int high = core::hex_digit(field[2 * i]);
            const int low = core::hex_digit(field[2 * i + 1]);
            if (high < 0 || low < 0) return std::nullopt;
            out.bytes[i] = static_cast<std::byte>(high * 16 + low);
        }
        return out;
    }
    return std::nullopt;
}

RPCH_DECL result<users_file> users_file::parse(std::string_view text, std::size_t* bad_line,
                                               bool (*is_hash)(std::string_view)) {
    users_file out;
    std::size_t number = 0;
    const auto refuse = [&](std::error_code why) {
        if (bad_line != nullptr) *bad_line = number;
        return fail(why);
    };
    while (!text.empty()) {
        ++number;
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
        if (line.size() > limits::users_line_bytes_max) return refuse(errc::too_large);
        if (!detail::is_line_text(line)) return refuse(errc::bad_setting);
        const std::string_view content = core::trim_blanks(line);
        if (content.empty() || content.front() == '#') {
            out.lines_.emplace_back(std::in_place_type<std::string>, line);
            continue;
        }
        auto user = detail::parse_user(content);
        if (!user) return refuse(user.error());
        if (out.find(user->name) != nullptr) return refuse(errc::bad_setting);
        if (is_hash != nullptr && !is_hash(user->hash)) return refuse(errc::bad_setting);
        if (const auto why = out.add(std::move(*user))) return refuse(why);
    }
    return out;
}

RPCH_DECL std::string users_file::format() const {
    std::string out;
    for (const line& one : lines_) {
        if (const auto* comment = std::get_if<std::string>(&one)) {
            out += *comment;
        } else if (const auto* user = std::get_if<user_entry>(&one)) {
            out.append(user->name).append(":").append(user->hash).append(user->further_fields);
        }
        out += '\n';
    }
    return out;
}

RPCH_DECL const user_entry* users_file::find(std::string_view name) const noexcept {
    const auto at = by_name_.find(name);
    return at == by_name_.end() ? nullptr : std::get_if<user_entry>(&lines_[at->second]);
}

RPCH_DECL std::error_code users_file::add(user_entry user) {
    if (!detail::is_user_name(user.name) || !detail::is_hash_text(user.hash))
        return errc::bad_setting;
    if (!detail::has_sound_ntlm_field(user)) return errc::bad_setting;
    if (by_name_.size() == limits::users_max) return errc::too_many;
    by_name_.emplace(user.name, lines_.size());
    lines_.emplace_back(std::move(user));
    return {};
}

RPCH_DECL std::error_code users_file::set(std::string_view name, std::string_view hash,
                                          const ntlm_key* nt_hash) {
    const auto at = by_name_.find(name);
    if (at == by_name_.end())
        return add({std::string(name), std::string(hash), detail::changed_fields({}, nt_hash)});
    if (!detail::is_hash_text(hash)) return errc::bad_setting;
    if (auto* user = std::get_if<user_entry>(&lines_[at->second])) {
        *user = user_entry(user->name, std::string(hash),
                           detail::changed_fields(user->further_fields, nt_hash));
    }
    return {};
}

RPCH_DECL std::size_t users_file::count_with_nt_hash() const noexcept {
    std::size_t n = 0;
    for (const line& each : lines_)
        if (const auto* user = std::get_if<user_entry>(&each)) n += user->nt_hash() ? 1U : 0U;
    return n;
}

RPCH_DECL bool users_file::remove(std::string_view name) {
    const auto at = by_name_.find(name);
    if (at == by_name_.end()) return false;
    const std::size_t gone = at->second;
    lines_.erase(lines_.begin() + static_cast<std::ptrdiff_t>(gone));
    by_name_.erase(at);
    for (auto& [known, place] : by_name_) place -= place > gone ? 1 : 0;
    return true;
}

} // namespace rpch::inline RPCH_ABI::auth
