#include <rpch/server/context_handles.hpp>

#include <cstring>

#include <rpch/transport/random.hpp>

namespace rpch::inline RPCH_ABI {

RPCH_DECL std::size_t context_handles::hash::operator()(const uuid& id) const noexcept {
    std::size_t out = 0;
    // The last octets: version and variant stand in the others.
    std::memcpy(&out, id.octets().data() + id.octets().size() - sizeof out, sizeof out);
    return out;
}

RPCH_DECL bool context_handles::may_use(const entry& e, const handle_scope& user,
                                        const std::type_info& type) noexcept {
    if (*e.type != type || e.interface != user.interface) return false;
    if (user.caller == nullptr) return !e.is_authenticated;
    return e.is_authenticated && e.is_anonymous == user.caller->anonymous &&
           e.user == user.caller->user && e.domain == user.caller->domain;
}

RPCH_DECL result<ndr::context_handle> context_handles::add(const handle_scope& maker,
                                                           std::shared_ptr<void> object,
                                                           const std::type_info& type) {
    const auto id = transport::random_uuid();
    if (!id) return fail(id.error());
    entry made{.object = std::move(object),
               .type = &type,
               .interface = maker.interface,
               .user = maker.caller != nullptr ? maker.caller->user : std::string(),
               .domain = maker.caller != nullptr ? maker.caller->domain : std::string(),
               .is_authenticated = maker.caller != nullptr,
               .is_anonymous = maker.caller != nullptr && maker.caller->anonymous};
    const std::lock_guard held(busy_);
    // Under the lock: a group that ends after this look is run down after the handle is in.
    if (!groups_.contains(maker.group)) return fail(rpc_status::nca_fault_context_mismatch);
    if (count_ >= all_max_) return fail(rpc_status::nca_fault_remote_no_memory);
    const auto has = handles_.find(maker.group);
    if (has != handles_.end() && has->second.size() >= per_group_max_)
        return fail(rpc_status::nca_fault_remote_no_memory);
    if (per_group_max_ == 0) return fail(rpc_status::nca_fault_remote_no_memory);
    handles_[maker.group].emplace(*id, std::move(made));
    ++count_;
    return ndr::context_handle{0, *id};
}

RPCH_DECL result<std::shared_ptr<void>> context_handles::find(const handle_scope& user,
                                                              const ndr::context_handle& handle,
                                                              const std::type_info& type) const {
    const std::lock_guard held(busy_);
    const auto group = handles_.find(user.group);
    if (handle.attributes != 0 || group == handles_.end())
        return fail(rpc_status::nca_fault_context_mismatch);
    const auto found = group->second.find(handle.id);
    if (found == group->second.end() || !may_use(found->second, user, type))
        return fail(rpc_status::nca_fault_context_mismatch);
    return found->second.object;
}

RPCH_DECL result<std::shared_ptr<void>> context_handles::take(const handle_scope& user,
                                                              const ndr::context_handle& handle,
                                                              const std::type_info& type) {
    const std::lock_guard held(busy_);
    const auto group = handles_.find(user.group);
    if (handle.attributes != 0 || group == handles_.end())
        return fail(rpc_status::nca_fault_context_mismatch);
    const auto found = group->second.find(handle.id);
    if (found == group->second.end() || !may_use(found->second, user, type))
        return fail(rpc_status::nca_fault_context_mismatch);
    auto object = std::move(found->second.object);
    group->second.erase(found);
    if (group->second.empty()) handles_.erase(group);
    --count_;
    return object;
}

RPCH_DECL void context_handles::run_down(std::uint32_t group) {
    of_group ended; // destroyed after the lock was let go
    const std::lock_guard held(busy_);
    if (groups_.contains(group)) return;
    const auto found = handles_.find(group);
    if (found == handles_.end()) return;
    ended = std::move(found->second);
    handles_.erase(found);
    count_ -= ended.size();
}

RPCH_DECL std::size_t context_handles::size() const {
    const std::lock_guard held(busy_);
    return count_;
}

} // namespace rpch::inline RPCH_ABI
