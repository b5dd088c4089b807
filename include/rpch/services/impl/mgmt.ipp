#include <rpch/services/mgmt.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace rpch::inline RPCH_ABI::services {

RPCH_DECL result<mgmt_service::if_ids> mgmt_service::inq_if_ids(const server_facts& facts) {
    mgmt::if_id_vector list;
    for (const interface_id& id : facts.interfaces) list.if_id.items.emplace_back(id);
    list.count = static_cast<std::uint32_t>(facts.interfaces.size());
    return if_ids{std::move(list), mgmt_status::ok};
}

RPCH_DECL result<mgmt_service::stats> mgmt_service::inq_stats(const server_facts& facts,
                                                              std::uint32_t room) {
    const std::array all{facts.calls_in, facts.calls_out, facts.packets_in, facts.packets_out};
    const auto count = std::min<std::size_t>(room, all.size());
    mgmt::statistics some;
    some.items.assign(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count));
    return stats{static_cast<std::uint32_t>(count), std::move(some), mgmt_status::ok};
}

RPCH_DECL result<mgmt_service::listening> mgmt_service::is_server_listening() noexcept {
    return listening{mgmt_status::ok, 1};
}

RPCH_DECL result<std::uint32_t> mgmt_service::stop_server_listening() noexcept {
    return mgmt_status::access_denied;
}

RPCH_DECL result<mgmt_service::name>
mgmt_service::inq_princ_name(const server_facts& facts, std::uint32_t, std::uint32_t size) {
    const std::string& text = facts.principal_name;
    if (text.size() >= size || size > mgmt::principal_name::capacity)
        return fail(rpc_status::nca_fault_invalid_bound);
    mgmt::principal_name out;
    out.items.assign(text.begin(), text.end());
    out.items.push_back('\0');
    out.max_count = size;
    return name{std::move(out),
                text.empty() ? mgmt_status::unknown_authn_service : mgmt_status::ok};
}

} // namespace rpch::inline RPCH_ABI::services
