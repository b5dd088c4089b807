// The endpoint mapper, version 3.0: which endpoints a host has; [C706] appendix O,
// [MS-RPCE] 2.2.1.2.
#ifndef RPCH_SERVICES_ENDPOINT_MAPPER_HPP
#define RPCH_SERVICES_ENDPOINT_MAPPER_HPP

#include <cstdint>
#include <functional>
#include <memory>
#include <system_error>
#include <tuple>
#include <utility>

#include <rpch/core/uuid.hpp>
#include <rpch/ndr/operation.hpp>
#include <rpch/result.hpp>
#include <rpch/services/caller.hpp>
#include <rpch/services/endpoint_map.hpp>
#include <rpch/services/tower.hpp>

namespace rpch::inline RPCH_ABI::services {

/// The interface. Its [ptr] parameters are `ndr::unique` here: no two of them can be the same
/// object.
struct endpoint_mapper {
    static constexpr interface_id id{"e1af8308-5d1f-11c9-91a4-08002b14a0fa", 3, 0};

    /// Where a mapper listens, [C706] appendix H and [MS-RPCH] 1.9.
    static constexpr std::uint16_t tcp_port = 135;
    static constexpr std::uint16_t http_port = 593;

    /// twr_t: the octets of a tower behind their number.
    struct twr {
        std::uint32_t tower_length = 0;
        ndr::conformant<std::byte, tower_bytes_max> tower_octet_string;
        [[nodiscard]] std::error_code ndr_check() const noexcept {
            return tower_length == tower_octet_string.items.size()
                       ? std::error_code{}
                       : make_error_code(errc::ndr_bad_array);
        }
        bool operator==(const twr&) const = default;
    };
    using twr_pointer = ndr::unique<twr>;

    /// ept_entry_t.
    struct entry {
        uuid object;
        twr_pointer tower;
        ndr::varying_string<annotation_chars_max + 1> annotation;
        bool operator==(const entry&) const = default;
    };

    /// [MS-RPCE] 2.2.1.2.3 and 2.2.1.2.4 give the range of max_towers and max_ents.
    static constexpr std::uint32_t answers_max = 500;
    using room = ndr::range<std::uint32_t, 0, answers_max>;
    using entries = ndr::conformant_varying<entry, answers_max>;
    using towers = ndr::conformant_varying<twr_pointer, answers_max>;

    /// inquiry_type of ept_lookup, [C706] appendix O.
    enum class inquiry : std::uint32_t { all = 0, by_interface = 1, by_object = 2, by_both = 3 };
    /// vers_option of ept_lookup, [C706] appendix O.
    enum class version_match : std::uint32_t {
        all = 1,
        compatible = 2, ///< Same major version, minor version not below.
        exact = 3,
        major_only = 4,
        up_to = 5, ///< Not above the version asked for.
    };

    using given_entries = ndr::conformant<entry, limits::endpoint_entries_max>;

    /// (number, entries, replace) gives a status.
    using insert = operation<0, std::uint32_t(std::uint32_t, given_entries, std::uint32_t)>;
    /// (number, entries) gives a status.
    using remove = operation<1, std::uint32_t(std::uint32_t, given_entries)>;
    /// (inquiry type, object, interface, version option, handle, room) gives handle, number of
    /// entries, entries, status.
    using lookup =
        operation<2, std::tuple<ndr::context_handle, std::uint32_t, entries, std::uint32_t>(
                         ndr::enum32<inquiry>, ndr::unique<uuid>, ndr::unique<interface_id>,
                         ndr::enum32<version_match>, ndr::context_handle, room)>;
    /// (object, tower, handle, room) gives handle, number of towers, towers, status.
    using map = operation<3, std::tuple<ndr::context_handle, std::uint32_t, towers, std::uint32_t>(
                                 ndr::unique<uuid>, twr_pointer, ndr::context_handle, room)>;
    /// (handle) gives handle, status.
    using lookup_handle_free =
        operation<4, std::tuple<ndr::context_handle, std::uint32_t>(ndr::context_handle)>;
    /// Gives the object of the map, status.
    using inq_object = operation<5, std::tuple<uuid, std::uint32_t>()>;
    /// (is there an object, object, tower) gives a status.
    using mgmt_delete = operation<6, std::uint32_t(std::uint32_t, ndr::unique<uuid>, twr_pointer)>;
};

/// Status numbers of the endpoint mapper, [C706] appendix E.
namespace ept_status {
inline constexpr std::uint32_t ok = 0;
inline constexpr std::uint32_t cannot_perform = 0x16C9A0CD;
inline constexpr std::uint32_t no_memory = 0x16C9A0CE;
inline constexpr std::uint32_t invalid_entry = 0x16C9A0D3;
inline constexpr std::uint32_t invalid_context = 0x16C9A0D5;
inline constexpr std::uint32_t not_registered = 0x16C9A0D6;
} // namespace ept_status

/// Operations that change the map of another program.
enum class map_change : std::uint8_t { insert, remove, mgmt_delete };
/// Decides whether a caller may change the map. Runs on the strand of the server.
using map_change_rule = std::function<bool(const caller& who, map_change what)>;

/// A rule: callers of this machine may register and remove endpoints, as on a host whose servers
/// are processes of their own.
[[nodiscard]] inline bool allow_local_changes(const caller& who, map_change) noexcept {
    return who.local;
}

/// A server's answers from a map. A lookup handle is the place to go on from and nothing else: the
/// server keeps nothing between calls, nothing has to be freed or run down, a caller can use up
/// nothing, and one that makes a handle up sees what it would see without one. With the last answer
/// the handle is null. Errors that the mapper has a number for are statuses, others are an
/// `rpc_status`, to be sent as a fault.
class endpoint_mapper_service {
  public:
    using lookup_answer = endpoint_mapper::lookup::result_type;
    using map_answer = endpoint_mapper::map::result_type;
    using free_answer = endpoint_mapper::lookup_handle_free::result_type;
    using object_answer = endpoint_mapper::inq_object::result_type;

    /// @param map      shared with whoever registers endpoints; not null.
    /// @param allowed  who may change it from afar; without a rule nobody: endpoints are made
    ///                 known by the process that has them.
    explicit endpoint_mapper_service(std::shared_ptr<endpoint_map> map,
                                     map_change_rule allowed = {})
        : map_(std::move(map)), allowed_(std::move(allowed)) {}

    /// Registers all entries or none; ept_status::invalid_entry for a tower that does not decode,
    /// cannot_perform for one without a port of tcp or http, no_memory if the map is full.
    /// @errors rpc_status::access_denied; rpc_status::nca_fault_invalid_bound if the number is not
    ///         that of the array.
    result<std::uint32_t> insert(const caller& who, std::uint32_t count,
                                 const endpoint_mapper::given_entries& entries,
                                 std::uint32_t replace);
    /// Removes those entries that are there; ept_status::not_registered if one was not.
    /// @errors as insert().
    result<std::uint32_t> remove(const caller& who, std::uint32_t count,
                                 const endpoint_mapper::given_entries& entries);
    /// Removes all entries of an interface at an address; ept_status::not_registered if there is
    /// none.
    /// @errors rpc_status::access_denied.
    result<std::uint32_t> mgmt_delete(const caller& who, std::uint32_t object_given,
                                      const ndr::unique<uuid>& object,
                                      const endpoint_mapper::twr_pointer& tower);

    result<lookup_answer> lookup(const caller& who, endpoint_mapper::inquiry inquiry,
                                 const ndr::unique<uuid>& object,
                                 const ndr::unique<interface_id>& interface,
                                 endpoint_mapper::version_match versions,
                                 const ndr::context_handle& handle, std::uint32_t room) const;

    /// Finds endpoints of the tower's interface (same major version, minor version not below),
    /// transfer syntax and protocol: first those of the object that is asked for, then those for
    /// any object, [MS-RPCE] 2.2.1.2.5.
    result<map_answer> map(const caller& who, const ndr::unique<uuid>& object,
                           const endpoint_mapper::twr_pointer& tower,
                           const ndr::context_handle& handle, std::uint32_t room) const;

    static result<free_answer> lookup_handle_free(const ndr::context_handle& handle) noexcept;
    result<object_answer> inq_object() const;

  private:
    [[nodiscard]] bool may(const caller& who, map_change what) const {
        return allowed_ && allowed_(who, what);
    }

    std::shared_ptr<endpoint_map> map_;
    map_change_rule allowed_;
};

} // namespace rpch::inline RPCH_ABI::services

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/services/impl/endpoint_mapper.ipp>
#endif

#endif
