// The endpoints of a host, as an endpoint mapper keeps them; [C706] appendix O.
#ifndef RPCH_SERVICES_ENDPOINT_MAP_HPP
#define RPCH_SERVICES_ENDPOINT_MAP_HPP

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <rpch/core/uuid.hpp>
#include <rpch/limits.hpp>
#include <rpch/result.hpp>
#include <rpch/services/tower.hpp>

namespace rpch::inline RPCH_ABI::services {

/// The most characters of an annotation; with its zero it fills the array of ept_entry_t.
inline constexpr std::size_t annotation_chars_max = 63;

/// An endpoint that is offered.
struct endpoint {
    tower where;
    uuid object{};            ///< nil: any object
    std::string annotation{}; ///< for people; never told apart by it
    bool operator==(const endpoint&) const = default;
};

/// What ept_insert's `replace` says.
enum class if_registered : std::uint8_t {
    replace, ///< The new endpoint takes the place of all those it matches.
    add,     ///< They stay: several instances of a server are interchangeable.
};

/// The endpoints of a host. Thread-safe: the servers of a program share one with its mapper.
///
/// Two endpoints match if they have the same interface and version, transfer syntax, object, RPC
/// protocol, protocol sequence and address: all but the port and the annotation. One endpoint is
/// never in the map twice.
///
/// Every endpoint has a place, a number that grows and is never given again. A walk goes on behind
/// the place it came to, so what happens in between can neither make it see an endpoint twice nor
/// miss one that stays. An endpoint that replaces others has the place of the first of them; one
/// that is registered again keeps its own.
class endpoint_map {
  public:
    /// @param object  the map's own object UUID, told by ept_inq_object; may be nil.
    explicit endpoint_map(std::size_t endpoints_max = limits::endpoints_max,
                          const uuid& object = {})
        : object_(object), endpoints_max_(endpoints_max) {}

    /// Adds endpoints, all of them or none. Annotations end at a zero and are cut after
    /// annotation_chars_max characters, as rpc_ep_register does; one that is there already
    /// is replaced.
    /// @errors errc::too_many if the map would hold more than its maximum; errc::bad_value for an
    ///         endpoint without port, or of another protocol than those of tower_protocol.
    std::error_code insert(std::span<const endpoint> what, if_registered how);
    std::error_code insert(const endpoint& what, if_registered how = if_registered::replace) {
        return insert(std::span(&what, 1), how);
    }
    /// Removes the endpoint of this tower and object, whatever its annotation.
    /// @return whether it was there.
    bool erase(const endpoint& what);
    /// Removes the endpoints of ept_mgmt_delete.
    /// @param like    its interface, version and address must be theirs.
    /// @param object  must be theirs, too, if there is one.
    /// @return their number.
    std::size_t erase_all(const tower& like, const std::optional<uuid>& object);

    /// Some endpoints, and where to go on.
    struct page {
        std::vector<endpoint> endpoints{};
        std::uint64_t next = 0; ///< Place of the last one; 0 if nothing more is wanted.
    };
    using filter = std::function<bool(const endpoint&)>;
    /// @param wanted  called under the lock of the map, which it must not use.
    /// @param place   `next` of the page before; 0 begins.
    /// @param room    endpoints of the page, at most; not 0.
    /// @errors errc::bad_value for a place that this map has not given to any endpoint.
    [[nodiscard]] result<page> find(const filter& wanted, std::uint64_t place,
                                    std::size_t room) const;
    /// @return whether there is one.
    [[nodiscard]] bool has(const filter& wanted) const;

    [[nodiscard]] std::size_t size() const;
    [[nodiscard]] const uuid& object() const noexcept { return object_; }

  private:
    struct entry {
        std::uint64_t place = 0;
        endpoint what;
    };

    mutable std::mutex mutex_;
    std::vector<entry> entries_; // by place
    std::uint64_t next_place_ = 1;
    uuid object_;
    std::size_t endpoints_max_;
};

} // namespace rpch::inline RPCH_ABI::services

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/services/impl/endpoint_map.ipp>
#endif

#endif
