#include <rpch/server/server.hpp>

#include <algorithm>
#include <system_error>
#include <utility>

#include <asio/dispatch.hpp>

namespace rpch::inline RPCH_ABI {

/// Registers the interfaces of the server at one endpoint. Other listeners of this server are no
/// reason to replace anything: interchangeable instances.
RPCH_DECL void server::impl::publish(const services::tower& place) {
    if (!published.map) return;
    std::vector<uuid> objects = published.how.objects;
    if (objects.empty()) objects.emplace_back();
    std::vector<services::endpoint> fresh;
    for (const interface_id& id : shared->interfaces->registry.ids()) {
        // These two are where everything else is, or at a port that everybody knows.
        if (id == services::mgmt::id || id == services::endpoint_mapper::id) continue;
        for (const uuid& object : objects) {
            services::endpoint one{place, object, published.how.annotation};
            one.where.interface = id;
            fresh.push_back(std::move(one));
        }
    }
    if (const auto bad = published.map->insert(fresh, services::if_registered::add))
        return shared->log("endpoints of port " + std::to_string(place.port) +
                           " not published: " + bad.message());
    published.entries.insert(published.entries.end(), fresh.begin(), fresh.end());
}

RPCH_DECL void server::impl::withdraw() {
    if (!published.map) return;
    for (const services::endpoint& each : published.entries) published.map->erase(each);
    published.entries.clear();
}

RPCH_DECL services::server_facts server::impl::facts() const {
    const detail::server_traffic& traffic = shared->interfaces->traffic;
    services::server_facts out;
    out.interfaces = shared->interfaces->registry.ids();
    out.calls_in = static_cast<std::uint32_t>(traffic.calls_in);
    out.packets_in = static_cast<std::uint32_t>(traffic.pdus_in);
    out.packets_out = static_cast<std::uint32_t>(traffic.pdus_out);
    out.listening = !stopped;
    return out;
}

RPCH_DECL void server::publish_endpoints(std::shared_ptr<services::endpoint_map> map,
                                         publication how) {
    asio::dispatch(impl_->shared->context->on,
                   [impl = impl_, map = std::move(map), how = std::move(how)]() mutable {
                       impl->published.map = std::move(map);
                       impl->published.how = std::move(how);
                       for (const services::tower& each : impl->published.places)
                           impl->publish(each);
                   });
}

RPCH_DECL void server::serve_endpoint_mapper(std::shared_ptr<services::endpoint_map> map,
                                             services::map_change_rule allowed) {
    using mapper = services::endpoint_mapper;
    using detail::caller_of;
    const auto answers =
        std::make_shared<services::endpoint_mapper_service>(std::move(map), std::move(allowed));
    handle<mapper, mapper::insert>([answers](call_context& call, std::uint32_t count,
                                             const mapper::given_entries& entries,
                                             std::uint32_t replace) {
        return answers->insert(caller_of(call), count, entries, replace);
    });
    handle<mapper, mapper::remove>(
        [answers](call_context& call, std::uint32_t count, const mapper::given_entries& entries) {
            return answers->remove(caller_of(call), count, entries);
        });
    handle<mapper, mapper::lookup>(
        [answers](call_context& call, ndr::enum32<mapper::inquiry> inquiry,
                  const ndr::unique<uuid>& object, const ndr::unique<interface_id>& interface,
                  ndr::enum32<mapper::version_match> versions, const ndr::context_handle& place,
                  mapper::room room) {
            return answers->lookup(caller_of(call), inquiry.value, object, interface,
                                   versions.value, place, room.value);
        });
    handle<mapper, mapper::map>([answers](call_context& call, const ndr::unique<uuid>& object,
                                          const mapper::twr_pointer& tower,
                                          const ndr::context_handle& place, mapper::room room) {
        return answers->map(caller_of(call), object, tower, place, room.value);
    });
    handle<mapper, mapper::lookup_handle_free>(
        &services::endpoint_mapper_service::lookup_handle_free);
    handle<mapper, mapper::inq_object>([answers] { return answers->inq_object(); });
    handle<mapper, mapper::mgmt_delete>([answers](call_context& call, std::uint32_t object_given,
                                                  const ndr::unique<uuid>& object,
                                                  const mapper::twr_pointer& tower) {
        return answers->mgmt_delete(caller_of(call), object_given, object, tower);
    });
}

RPCH_DECL void server::serve_mgmt(mgmt_settings settings) {
    using services::mgmt;
    using services::mgmt_operation;
    using answers = services::mgmt_service;
    // The registry that holds the handlers belongs to the impl, so they must not own it.
    struct teller {
        std::weak_ptr<impl> of;
        mgmt_settings settings;
        [[nodiscard]] services::server_facts facts() const {
            const auto alive = of.lock();
            services::server_facts out = alive ? alive->facts() : services::server_facts{};
            out.listening = alive && out.listening;
            out.principals = settings.principals;
            return out;
        }
        [[nodiscard]] std::uint32_t refusal(const call_context& call, mgmt_operation what) const {
            return services::mgmt_refusal(settings.allowed, detail::caller_of(call), what);
        }
    };
    const auto tell = std::make_shared<const teller>(teller{impl_, std::move(settings)});
    handle<mgmt, mgmt::inq_if_ids>([tell](call_context& call) {
        return answers::inq_if_ids(tell->facts(), tell->refusal(call, mgmt_operation::inq_if_ids));
    });
    handle<mgmt, mgmt::inq_stats>([tell](call_context& call, std::uint32_t room) {
        return answers::inq_stats(tell->facts(), room,
                                  tell->refusal(call, mgmt_operation::inq_stats));
    });
    handle<mgmt, mgmt::is_server_listening>([tell](call_context& call) {
        return answers::is_server_listening(
            tell->facts(), tell->refusal(call, mgmt_operation::is_server_listening));
    });
    handle<mgmt, mgmt::stop_server_listening>([tell](call_context& call) {
        const auto refused = tell->refusal(call, mgmt_operation::stop_server_listening);
        if (const auto alive = refused == 0 ? tell->of.lock() : nullptr) {
            alive->shared->log("mgmt: " + call.connection().client_address + " stops the server");
            alive->stop_listening();
        }
        return answers::stop_server_listening(refused);
    });
    handle<mgmt, mgmt::inq_princ_name>(
        [tell](call_context& call, std::uint32_t authn_service, std::uint32_t size) {
            return answers::inq_princ_name(tell->facts(), authn_service, size,
                                           tell->refusal(call, mgmt_operation::inq_princ_name));
        });
}

} // namespace rpch::inline RPCH_ABI
