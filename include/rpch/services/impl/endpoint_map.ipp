#include <rpch/services/endpoint_map.hpp>

#include <algorithm>
#include <utility>

namespace rpch::inline RPCH_ABI::services {

namespace detail {

/// @return whether two endpoints differ in port and annotation at most.
inline bool same_service(const endpoint& a, const endpoint& b) noexcept {
    tower one = a.where;
    one.port = b.where.port;
    return one == b.where && a.object == b.object;
}

inline bool has_port(const tower& t) noexcept {
    return t.port != 0 && (t.protocol == tower_protocol::tcp || t.protocol == tower_protocol::http);
}

inline std::string annotation_of(std::string text) {
    text.resize(std::min({text.size(), text.find('\0'), annotation_chars_max}));
    return text;
}
} // namespace detail

RPCH_DECL std::error_code endpoint_map::insert(std::span<const endpoint> what, if_registered how) {
    for (const endpoint& each : what)
        if (!detail::has_port(each.where)) return errc::bad_value;
    const std::scoped_lock lock(mutex_);
    std::vector<entry> changed = entries_;
    std::uint64_t place = next_place_;
    for (endpoint fresh : what) {
        fresh.annotation = detail::annotation_of(std::move(fresh.annotation));
        const auto same = [&](const entry& e) {
            return e.what.where == fresh.where && e.what.object == fresh.object;
        };
        const auto matches = [&](const entry& e) { return detail::same_service(e.what, fresh); };
        auto target = std::find_if(changed.begin(), changed.end(), same);
        if (target == changed.end() && how == if_registered::replace)
            target = std::find_if(changed.begin(), changed.end(), matches);
        if (target == changed.end()) {
            if (changed.size() >= endpoints_max_) return errc::too_many;
            changed.push_back({place++, std::move(fresh)});
            continue;
        }
        const std::uint64_t kept = target->place;
        if (how == if_registered::replace)
            std::erase_if(changed, [&](const entry& e) { return e.place != kept && matches(e); });
        std::find_if(changed.begin(), changed.end(), [&](const entry& e) {
            return e.place == kept;
        })->what = std::move(fresh);
    }
    entries_ = std::move(changed);
    next_place_ = place;
    return {};
}

RPCH_DECL bool endpoint_map::erase(const endpoint& what) {
    const std::scoped_lock lock(mutex_);
    return std::erase_if(entries_, [&](const entry& e) {
               return e.what.where == what.where && e.what.object == what.object;
           }) != 0;
}

RPCH_DECL std::size_t endpoint_map::erase_all(const tower& like,
                                              const std::optional<uuid>& object) {
    const std::scoped_lock lock(mutex_);
    return std::erase_if(entries_, [&](const entry& e) {
        return e.what.where.interface == like.interface && e.what.where.address == like.address &&
               (!object || e.what.object == *object);
    });
}

RPCH_DECL result<endpoint_map::page> endpoint_map::find(const filter& wanted, std::uint64_t place,
                                                        std::size_t room) const {
    const std::scoped_lock lock(mutex_);
    if (place >= next_place_) return fail(errc::bad_value);
    page out;
    std::uint64_t last = place;
    auto at = std::upper_bound(entries_.begin(), entries_.end(), place,
                               [](std::uint64_t p, const entry& e) { return p < e.place; });
    for (; at != entries_.end(); ++at) {
        if (!wanted(at->what)) continue;
        if (out.endpoints.size() == room) {
            out.next = last;
            break;
        }
        out.endpoints.push_back(at->what);
        last = at->place;
    }
    return out;
}

RPCH_DECL bool endpoint_map::has(const filter& wanted) const {
    const std::scoped_lock lock(mutex_);
    return std::any_of(entries_.begin(), entries_.end(),
                       [&](const entry& e) { return wanted(e.what); });
}

RPCH_DECL std::size_t endpoint_map::size() const {
    const std::scoped_lock lock(mutex_);
    return entries_.size();
}

} // namespace rpch::inline RPCH_ABI::services
