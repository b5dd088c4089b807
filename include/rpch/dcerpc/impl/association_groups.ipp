#include <rpch/dcerpc/association_groups.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

RPCH_DECL std::uint32_t association_groups::join(std::uint32_t wanted, std::string_view from) {
    const guard held(busy_);
    if (wanted != 0) {
        const auto found = groups_.find(wanted);
        if (found == groups_.end() || found->second.from != from) return 0;
        ++found->second.connections;
        return wanted;
    }
    std::uint32_t id = next_;
    while (id == 0 || groups_.contains(id)) ++id; // the counter wraps, and groups may last
    groups_.emplace(id, group{1, std::string(from)});
    next_ = id + 1;
    return id;
}

RPCH_DECL void association_groups::leave(std::uint32_t id) {
    const guard held(busy_);
    const auto found = groups_.find(id);
    if (found != groups_.end() && --found->second.connections == 0) groups_.erase(found);
}

RPCH_DECL bool association_groups::contains(std::uint32_t id) const {
    const guard held(busy_);
    return groups_.contains(id);
}

RPCH_DECL std::size_t association_groups::size() const {
    const guard held(busy_);
    return groups_.size();
}

} // namespace rpch::inline RPCH_ABI::dcerpc
