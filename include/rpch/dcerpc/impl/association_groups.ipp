#include <rpch/dcerpc/association_groups.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

RPCH_DECL std::uint32_t association_groups::join(std::uint32_t wanted) {
    const guard held(busy_);
    if (wanted != 0) {
        const auto found = connections_.find(wanted);
        if (found == connections_.end()) return 0;
        ++found->second;
        return wanted;
    }
    std::uint32_t id = next_;
    while (id == 0 || connections_.contains(id)) ++id; // the counter wraps, and groups may last
    connections_.emplace(id, 1);
    next_ = id + 1;
    return id;
}

RPCH_DECL void association_groups::leave(std::uint32_t group) {
    const guard held(busy_);
    const auto found = connections_.find(group);
    if (found != connections_.end() && --found->second == 0) connections_.erase(found);
}

RPCH_DECL bool association_groups::contains(std::uint32_t group) const {
    const guard held(busy_);
    return connections_.contains(group);
}

RPCH_DECL std::size_t association_groups::size() const {
    const guard held(busy_);
    return connections_.size();
}

} // namespace rpch::inline RPCH_ABI::dcerpc
