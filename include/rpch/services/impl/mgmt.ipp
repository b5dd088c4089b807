#include <rpch/services/mgmt.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace rpch::inline RPCH_ABI::services {

RPCH_DECL std::uint32_t mgmt_refusal(const mgmt_rule& rule, const caller& who,
                                     mgmt_operation what) {
    std::uint32_t status = 0;
    const bool allowed =
        rule ? rule(who, what, status) : what != mgmt_operation::stop_server_listening;
    if (allowed) return 0;
    return status != 0 ? status : mgmt_status::access_denied;
}

RPCH_DECL result<mgmt_service::if_ids> mgmt_service::inq_if_ids(const server_facts& facts,
                                                                std::uint32_t refused) {
    if (refused != 0) return if_ids{ndr::unique<mgmt::if_id_vector>{}, refused};
    mgmt::if_id_vector list;
    for (const interface_id& id : facts.interfaces) list.if_id.items.emplace_back(id);
    list.count = static_cast<std::uint32_t>(facts.interfaces.size());
    return if_ids{std::move(list), mgmt_status::ok};
}

RPCH_DECL result<mgmt_service::stats>
mgmt_service::inq_stats(const server_facts& facts, std::uint32_t room, std::uint32_t refused) {
    if (refused != 0) return stats{0, mgmt::statistics{}, refused};
    const std::array all{facts.calls_in, facts.calls_out, facts.packets_in, facts.packets_out};
    const auto count = std::min<std::size_t>(room, all.size());
    mgmt::statistics some;
    some.items.assign(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count));
    return stats{static_cast<std::uint32_t>(count), std::move(some), mgmt_status::ok};
}

RPCH_DECL result<mgmt_service::listening>
mgmt_service::is_server_listening(const server_facts& facts, std::uint32_t refused) noexcept {
    return listening{refused, refused == 0 && facts.listening ? 1U : 0U};
}

RPCH_DECL result<std::uint32_t>
mgmt_service::stop_server_listening(std::uint32_t refused) noexcept {
    return refused;
}

RPCH_DECL result<mgmt_service::name> mgmt_service::inq_princ_name(const server_facts& facts,
                                                                  std::uint32_t authn_service,
                                                                  std::uint32_t size,
                                                                  std::uint32_t refused) {
    const auto known = std::find_if(
        facts.principals.begin(), facts.principals.end(),
        [&](const server_principal& each) { return each.authn_service == authn_service; });
    const bool has_name = known != facts.principals.end() && refused == 0;
    const std::string text = has_name ? known->name : std::string{};
    if (text.size() >= size || size > mgmt::principal_name::capacity)
        return fail(rpc_status::nca_fault_invalid_bound);
    mgmt::principal_name out;
    out.items.assign(text.begin(), text.end());
    out.items.push_back('\0');
    out.max_count = size;
    if (refused != 0) return name{std::move(out), refused};
    return name{std::move(out), has_name ? mgmt_status::ok : mgmt_status::unknown_authn_service};
}

} // namespace rpch::inline RPCH_ABI::services
