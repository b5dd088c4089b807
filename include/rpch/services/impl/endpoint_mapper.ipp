#include <rpch/services/endpoint_mapper.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <utility>

namespace rpch::inline RPCH_ABI::services {

namespace detail {

/// The first octets of every handle; the last four are the index to go on from, most significant
/// first.
inline constexpr std::array<std::uint8_t, 12> handle_mark{0x72, 0x70, 0x63, 0x68, 0x65, 0x70,
                                                          0x74, 0x6c, 0x6f, 0x6f, 0x6b, 0x75};

inline ndr::context_handle handle_at(std::size_t index) noexcept {
    std::array<std::byte, 16> octets{};
    for (std::size_t i = 0; i < handle_mark.size(); ++i) octets[i] = std::byte{handle_mark[i]};
    core::store(octets.data() + handle_mark.size(), static_cast<std::uint32_t>(index),
                core::byte_order::big);
    return {0, uuid::decode(octets, core::byte_order::big)};
}

/// @return the index a handle stands for, 0 for the null handle; nothing if it is not one of ours.
inline std::optional<std::size_t> index_of(const ndr::context_handle& handle,
                                           std::size_t size) noexcept {
    if (handle.is_null()) return 0;
    std::array<std::byte, 16> octets{};
    handle.id.encode(octets, core::byte_order::big);
    const std::size_t index =
        core::load<std::uint32_t>(octets.data() + handle_mark.size(), core::byte_order::big);
    if (index == 0 || index >= size || handle != handle_at(index)) return std::nullopt;
    return index;
}

inline endpoint_mapper::twr_pointer tower_of(const endpoint& e) {
    endpoint_mapper::twr out;
    out.tower_octet_string.items = encode_tower(e.where);
    out.tower_length = static_cast<std::uint32_t>(out.tower_octet_string.items.size());
    return out;
}

inline bool version_matches(const interface_id& offered, const interface_id& asked,
                            endpoint_mapper::version_match how) noexcept {
    using enum endpoint_mapper::version_match;
    switch (how) {
    case all: return true;
    case compatible: return offered.major == asked.major && offered.minor >= asked.minor;
    case exact: return offered.major == asked.major && offered.minor == asked.minor;
    case major_only: return offered.major == asked.major;
    case up_to:
        return offered.major < asked.major ||
               (offered.major == asked.major && offered.minor <= asked.minor);
    }
    return false;
}

inline bool object_matches(const endpoint& e, const ndr::unique<uuid>& asked) noexcept {
    return e.object.is_nil() || (asked && e.object == *asked);
}

/// Collects what `wanted` accepts, from the handle's place on, into an answer of at most `room`.
template <class Items, class Wanted, class Make>
std::tuple<ndr::context_handle, std::uint32_t, Items, std::uint32_t>
collect(const std::vector<endpoint>& endpoints, const ndr::context_handle& handle,
        std::uint32_t room, const Wanted& wanted, const Make& make) {
    Items items;
    items.max_count = room;
    const auto answer = [&](const ndr::context_handle& next, std::uint32_t status) {
        const auto count = static_cast<std::uint32_t>(items.items.size());
        return std::tuple{next, count, std::move(items), status};
    };
    const auto start = index_of(handle, endpoints.size());
    if (!start) return answer({}, ept_status::invalid_context);
    for (std::size_t i = *start; i < endpoints.size(); ++i) {
        if (!wanted(endpoints[i])) continue;
        if (room == 0) return answer({}, ept_status::cannot_perform);
        if (items.items.size() == room) return answer(handle_at(i), ept_status::ok);
        items.items.push_back(make(endpoints[i]));
    }
    return answer({}, items.items.empty() ? ept_status::not_registered : ept_status::ok);
}
} // namespace detail

RPCH_DECL result<std::uint32_t>
endpoint_mapper_service::insert(std::uint32_t, const std::vector<endpoint_mapper::entry>&,
                                std::uint32_t) noexcept {
    return fail(rpc_status::access_denied);
}

RPCH_DECL result<std::uint32_t>
endpoint_mapper_service::remove(std::uint32_t,
                                const std::vector<endpoint_mapper::entry>&) noexcept {
    return fail(rpc_status::access_denied);
}

RPCH_DECL result<endpoint_mapper_service::lookup_answer>
endpoint_mapper_service::lookup(const std::vector<endpoint>& endpoints,
                                endpoint_mapper::inquiry inquiry, const ndr::unique<uuid>& object,
                                const ndr::unique<interface_id>& interface,
                                endpoint_mapper::version_match versions,
                                const ndr::context_handle& handle, std::uint32_t room) {
    using enum endpoint_mapper::inquiry;
    const bool ask_interface = inquiry == by_interface || inquiry == by_both;
    const bool ask_object = inquiry == by_object || inquiry == by_both;
    const bool known = inquiry == all || ask_interface || ask_object;
    if (!known || (ask_interface && !interface) || (ask_object && !object)) {
        endpoint_mapper::entries none;
        none.max_count = room;
        return lookup_answer{ndr::context_handle{}, 0, std::move(none), ept_status::invalid_entry};
    }
    return detail::collect<endpoint_mapper::entries>(
        endpoints, handle, room,
        [&](const endpoint& e) {
            if (ask_object && e.object != *object) return false;
            return !ask_interface ||
                   (e.where.interface.id == interface->id &&
                    detail::version_matches(e.where.interface, *interface, versions));
        },
        [](const endpoint& e) {
            return endpoint_mapper::entry{e.object, detail::tower_of(e), {e.annotation}};
        });
}

RPCH_DECL result<endpoint_mapper_service::map_answer>
endpoint_mapper_service::map(const std::vector<endpoint>& endpoints,
                             const ndr::unique<uuid>& object,
                             const endpoint_mapper::twr_pointer& tower,
                             const ndr::context_handle& handle, std::uint32_t room) {
    const auto asked = tower ? decode_tower(tower->tower_octet_string.items)
                             : result<services::tower>{fail(errc::bad_value)};
    if (!asked) {
        endpoint_mapper::towers none;
        none.max_count = room;
        return map_answer{ndr::context_handle{}, 0, std::move(none), ept_status::invalid_entry};
    }
    return detail::collect<endpoint_mapper::towers>(
        endpoints, handle, room,
        [&](const endpoint& e) {
            return e.where.interface.id == asked->interface.id &&
                   detail::version_matches(e.where.interface, asked->interface,
                                           endpoint_mapper::version_match::compatible) &&
                   e.where.transfer_syntax == asked->transfer_syntax && e.where.rpc == asked->rpc &&
                   e.where.protocol == asked->protocol && detail::object_matches(e, object);
        },
        [](const endpoint& e) { return detail::tower_of(e); });
}

RPCH_DECL result<endpoint_mapper_service::free_answer>
endpoint_mapper_service::lookup_handle_free(const ndr::context_handle&) noexcept {
    return free_answer{ndr::context_handle{}, ept_status::ok};
}

} // namespace rpch::inline RPCH_ABI::services
