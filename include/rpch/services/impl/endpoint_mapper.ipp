#include <rpch/services/endpoint_mapper.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace rpch::inline RPCH_ABI::services {

namespace detail {

/// The first octets of every handle; the last eight are the place to go on from, most significant
/// first.
inline constexpr std::array<std::uint8_t, 8> handle_mark{0x72, 0x70, 0x63, 0x68,
                                                         0x65, 0x70, 0x74, 0x68};

/// @return the handle that stands for a place; null for 0.
inline ndr::context_handle handle_at(std::uint64_t place) noexcept {
    if (place == 0) return {};
    std::array<std::byte, 16> octets{};
    for (std::size_t i = 0; i < handle_mark.size(); ++i) octets[i] = std::byte{handle_mark[i]};
    core::store(octets.data() + handle_mark.size(), place, core::byte_order::big);
    return {0, uuid::decode(octets, core::byte_order::big)};
}

/// @return the place a handle stands for, 0 for the null handle; nothing if it is not one of ours.
inline std::optional<std::uint64_t> place_of(const ndr::context_handle& handle) noexcept {
    if (handle.is_null()) return 0;
    std::array<std::byte, 16> octets{};
    handle.id.encode(octets, core::byte_order::big);
    const auto place =
        core::load<std::uint64_t>(octets.data() + handle_mark.size(), core::byte_order::big);
    if (place == 0 || handle != handle_at(place)) return std::nullopt;
    return place;
}

/// @return the tower of an endpoint, as this caller can use it: on a host of several addresses, a
/// server that listens on all of them is where the mapper was reached.
inline endpoint_mapper::twr_pointer tower_of(const endpoint& e, const caller& who) {
    tower where = e.where;
    if (where.address == std::array<std::uint8_t, 4>{}) where.address = who.reached;
    endpoint_mapper::twr out;
    out.tower_octet_string.items = encode_tower(where);
    out.tower_length = static_cast<std::uint32_t>(out.tower_octet_string.items.size());
    return out;
}

inline result<tower> asked_tower(const endpoint_mapper::twr_pointer& tower) {
    if (!tower) return fail(errc::bad_value);
    return decode_tower(tower->tower_octet_string.items);
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

/// @return the endpoints that entries of a caller stand for, or the status that refuses them.
inline std::uint32_t decode_entries(const endpoint_mapper::given_entries& entries,
                                    std::vector<endpoint>& out) {
    for (const auto& each : entries.items) {
        const auto where = asked_tower(each.tower);
        if (!where) return ept_status::invalid_entry;
        out.push_back({*where, each.object, each.annotation.text});
    }
    return ept_status::ok;
}

/// Makes an answer of at most `room` items from what the filters accept, from the handle's place
/// on: first all that the first filter wants, then all that the second one wants. No endpoint may
/// be wanted by both. A handle stands for the place and the filter: twice the place, plus its
/// index.
template <class Items, class Make>
std::tuple<ndr::context_handle, std::uint32_t, Items, std::uint32_t>
collect(const endpoint_map& map, const ndr::context_handle& handle, std::uint32_t room,
        std::span<const endpoint_map::filter> filters, const Make& make) {
    Items items;
    items.max_count = room;
    const auto answer = [&](std::uint64_t next, std::uint32_t status) {
        const auto count = static_cast<std::uint32_t>(items.items.size());
        return std::tuple{handle_at(next), count, std::move(items), status};
    };
    const auto token = place_of(handle);
    if (!token || (*token & 1U) >= filters.size()) return answer(0, ept_status::invalid_context);
    std::uint64_t place = *token / 2;
    for (std::uint64_t i = *token & 1U; i < filters.size(); ++i, place = 0) {
        const std::size_t left = room - items.items.size();
        if (left == 0) {
            if (!map.has(filters[i])) continue;
            return room == 0 ? answer(0, ept_status::cannot_perform) : answer(i, ept_status::ok);
        }
        const auto page = map.find(filters[i], place, left);
        if (!page) return answer(0, ept_status::invalid_context);
        for (const endpoint& each : page->endpoints) items.items.push_back(make(each));
        if (page->next != 0) return answer(page->next * 2 + i, ept_status::ok);
    }
    return answer(0, items.items.empty() ? ept_status::not_registered : ept_status::ok);
}

template <class Answer>
Answer refused_inquiry(std::uint32_t room) {
    std::tuple_element_t<2, Answer> none;
    none.max_count = room;
    return Answer{ndr::context_handle{}, 0, std::move(none), ept_status::invalid_entry};
}
} // namespace detail

RPCH_DECL result<std::uint32_t>
endpoint_mapper_service::insert(const caller& who, std::uint32_t count,
                                const endpoint_mapper::given_entries& entries,
                                std::uint32_t replace) {
    if (!may(who, map_change::insert)) return fail(rpc_status::access_denied);
    if (count != entries.items.size()) return fail(rpc_status::nca_fault_invalid_bound);
    std::vector<endpoint> fresh;
    if (const auto bad = detail::decode_entries(entries, fresh)) return bad;
    const auto why =
        map_->insert(fresh, replace != 0 ? if_registered::replace : if_registered::add);
    if (why == errc::too_many) return ept_status::no_memory;
    return why ? ept_status::cannot_perform : ept_status::ok;
}

RPCH_DECL result<std::uint32_t>
endpoint_mapper_service::remove(const caller& who, std::uint32_t count,
                                const endpoint_mapper::given_entries& entries) {
    if (!may(who, map_change::remove)) return fail(rpc_status::access_denied);
    if (count != entries.items.size()) return fail(rpc_status::nca_fault_invalid_bound);
    std::vector<endpoint> old;
    if (const auto bad = detail::decode_entries(entries, old)) return bad;
    bool all = true;
    for (const endpoint& each : old) all = map_->erase(each) && all;
    return all ? ept_status::ok : ept_status::not_registered;
}

RPCH_DECL result<std::uint32_t>
endpoint_mapper_service::mgmt_delete(const caller& who, std::uint32_t object_given,
                                     const ndr::unique<uuid>& object,
                                     const endpoint_mapper::twr_pointer& tower) {
    if (!may(who, map_change::mgmt_delete)) return fail(rpc_status::access_denied);
    const auto like = detail::asked_tower(tower);
    if (!like || (object_given != 0 && !object)) return ept_status::invalid_entry;
    const auto wanted = object_given != 0 ? std::optional(*object) : std::nullopt;
    return map_->erase_all(*like, wanted) != 0 ? ept_status::ok : ept_status::not_registered;
}

RPCH_DECL result<endpoint_mapper_service::lookup_answer> endpoint_mapper_service::lookup(
    const caller& who, endpoint_mapper::inquiry inquiry, const ndr::unique<uuid>& object,
    const ndr::unique<interface_id>& interface, endpoint_mapper::version_match versions,
    const ndr::context_handle& handle, std::uint32_t room) const {
    using enum endpoint_mapper::inquiry;
    const bool ask_interface = inquiry == by_interface || inquiry == by_both;
    const bool ask_object = inquiry == by_object || inquiry == by_both;
    const bool known = inquiry == all || ask_interface || ask_object;
    if (!known || (ask_interface && !interface) || (ask_object && !object))
        return detail::refused_inquiry<lookup_answer>(room);
    const endpoint_map::filter wanted = [&](const endpoint& e) {
        if (ask_object && e.object != *object) return false;
        return !ask_interface || (e.where.interface.id == interface->id &&
                                  detail::version_matches(e.where.interface, *interface, versions));
    };
    return detail::collect<endpoint_mapper::entries>(
        *map_, handle, room, std::span(&wanted, 1), [&](const endpoint& e) {
            return endpoint_mapper::entry{e.object, detail::tower_of(e, who), {e.annotation}};
        });
}

RPCH_DECL result<endpoint_mapper_service::map_answer>
endpoint_mapper_service::map(const caller& who, const ndr::unique<uuid>& object,
                             const endpoint_mapper::twr_pointer& tower,
                             const ndr::context_handle& handle, std::uint32_t room) const {
    const auto asked = detail::asked_tower(tower);
    if (!asked) return detail::refused_inquiry<map_answer>(room);
    const auto matches = [&](const endpoint& e) {
        return e.where.interface.id == asked->interface.id &&
               detail::version_matches(e.where.interface, asked->interface,
                                       endpoint_mapper::version_match::compatible) &&
               e.where.transfer_syntax == asked->transfer_syntax && e.where.rpc == asked->rpc &&
               e.where.protocol == asked->protocol;
    };
    const uuid special = object ? *object : uuid{};
    // Most callers take the first tower: the server that has the object itself must be it.
    const std::array<endpoint_map::filter, 2> wanted{
        [&](const endpoint& e) { return !special.is_nil() && e.object == special && matches(e); },
        [&](const endpoint& e) { return e.object.is_nil() && matches(e); }};
    return detail::collect<endpoint_mapper::towers>(
        *map_, handle, room, wanted, [&](const endpoint& e) { return detail::tower_of(e, who); });
}

RPCH_DECL result<endpoint_mapper_service::free_answer>
endpoint_mapper_service::lookup_handle_free(const ndr::context_handle&) noexcept {
    return free_answer{ndr::context_handle{}, ept_status::ok};
}

RPCH_DECL result<endpoint_mapper_service::object_answer>
endpoint_mapper_service::inq_object() const {
    return object_answer{map_->object(), ept_status::ok};
}

} // namespace rpch::inline RPCH_ABI::services
