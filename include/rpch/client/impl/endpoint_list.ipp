#include <rpch/client/endpoint_list.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

#include <rpch/limits.hpp>
#include <rpch/services/endpoint_mapper.hpp>

namespace rpch::inline RPCH_ABI {

namespace detail {

RPCH_DECL rpc_error listing_failed(std::error_code code, origin said_by) {
    failure why;
    why.code = code;
    why.said_by = said_by;
    why.where = "list of endpoints";
    return rpc_error(std::move(why));
}
} // namespace detail

RPCH_DECL asio::awaitable<std::vector<services::endpoint>> list_endpoints(std::string binding,
                                                                          client_options options) {
    using services::endpoint_mapper;
    constexpr std::uint32_t page = 100;
    // Every parameter has a name of its own, see service::call.
    const ndr::enum32<endpoint_mapper::inquiry> all{endpoint_mapper::inquiry::all};
    const ndr::enum32<endpoint_mapper::version_match> any{endpoint_mapper::version_match::all};
    const ndr::unique<uuid> no_object;
    const ndr::unique<interface_id> no_interface;
    const endpoint_mapper::room room{page};
    ndr::context_handle place;
    std::vector<services::endpoint> found;
    auto mapper = co_await connect<endpoint_mapper>(std::move(binding), std::move(options));
    for (std::size_t pages = 0; pages < limits::listed_pages_max; ++pages) {
        auto answer = co_await mapper.call<endpoint_mapper::lookup>(all, no_object, no_interface,
                                                                    any, place, room);
        const std::uint32_t status = std::get<3>(answer);
        if (status == services::ept_status::not_registered) co_return found;
        if (status != services::ept_status::ok)
            throw detail::listing_failed(static_cast<rpc_status>(status), origin::endpoint_mapper);
        for (const endpoint_mapper::entry& each : std::get<2>(answer).items) {
            if (!each.tower) continue;
            const auto where = services::decode_tower(each.tower->tower_octet_string.items);
            if (!where) continue;
            if (found.size() == limits::listed_endpoints_max)
                throw detail::listing_failed(errc::too_many, origin::local);
            found.push_back({*where, each.object, each.annotation.text});
        }
        place = std::get<0>(answer);
        if (place.is_null()) co_return found;
    }
    throw detail::listing_failed(errc::too_many, origin::local);
}

} // namespace rpch::inline RPCH_ABI
