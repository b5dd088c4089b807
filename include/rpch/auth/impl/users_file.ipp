#include <rpch/auth/users_file.hpp>

#include <algorithm>
#include <utility>

#include <rpch/core/text.hpp>

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

RPCH_DECL result<users_file> users_file::parse(std::string_view text, std::size_t* bad_line) {
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
    if (by_name_.size() == limits::users_max) return errc::too_many;
    by_name_.emplace(user.name, lines_.size());
    lines_.emplace_back(std::move(user));
    return {};
}

RPCH_DECL std::error_code users_file::set(std::string_view name, std::string_view hash) {
    const auto at = by_name_.find(name);
    if (at == by_name_.end()) return add({std::string(name), std::string(hash), {}});
    if (!detail::is_hash_text(hash)) return errc::bad_setting;
    if (auto* user = std::get_if<user_entry>(&lines_[at->second])) user->hash = hash;
    return {};
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
