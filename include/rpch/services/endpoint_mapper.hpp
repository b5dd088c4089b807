// The endpoint mapper, version 3.0: which endpoints a host has; [C706] appendix O,
// [MS-RPCE] 2.2.1.2.
#ifndef RPCH_SERVICES_ENDPOINT_MAPPER_HPP
#define RPCH_SERVICES_ENDPOINT_MAPPER_HPP

#include <cstdint>
#include <string>
#include <system_error>
#include <tuple>
#include <vector>

#include <rpch/core/uuid.hpp>
#include <rpch/ndr/operation.hpp>
#include <rpch/result.hpp>
#include <rpch/services/tower.hpp>

namespace rpch::inline RPCH_ABI::services {

/// The interface. Its [ptr] parameters are `ndr::unique` here: no two of them can be the same
/// object.
struct endpoint_mapper {
    static constexpr interface_id id{"e1af8308-5d1f-11c9-91a4-08002b14a0fa", 3, 0};

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
        ndr::varying_string<64> annotation;
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

    /// (number, entries, replace) gives a status.
    using insert = operation<0, std::uint32_t(std::uint32_t, std::vector<entry>, std::uint32_t)>;
    /// (number, entries) gives a status.
    using remove = operation<1, std::uint32_t(std::uint32_t, std::vector<entry>)>;
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
};

/// Status numbers of the endpoint mapper, [C706] appendix E.
namespace ept_status {
inline constexpr std::uint32_t ok = 0;
inline constexpr std::uint32_t cannot_perform = 0x16C9A0CD;
inline constexpr std::uint32_t invalid_entry = 0x16C9A0D3;
inline constexpr std::uint32_t invalid_context = 0x16C9A0D5;
inline constexpr std::uint32_t not_registered = 0x16C9A0D6;
} // namespace ept_status

/// An endpoint that is offered.
struct endpoint {
    tower where;
    uuid object{};            ///< nil: any object
    std::string annotation{}; ///< at most 63 characters, no zero; for people
};

/// A server's answers: pure functions of its endpoints and the parameters. A handle is the place to
/// go on from and nothing else, so nothing is kept between calls and nothing has to be freed; with
/// the last answer it is null. Errors that the mapper has a number for are statuses, others are an
/// `rpc_status`, to be sent as a fault.
struct endpoint_mapper_service {
    using lookup_answer = endpoint_mapper::lookup::result_type;
    using map_answer = endpoint_mapper::map::result_type;
    using free_answer = endpoint_mapper::lookup_handle_free::result_type;

    /// Denied: endpoints are made known by the process that has them.
    /// @errors rpc_status::access_denied.
    static result<std::uint32_t> insert(std::uint32_t count,
                                        const std::vector<endpoint_mapper::entry>& entries,
                                        std::uint32_t replace) noexcept;
    /// @errors rpc_status::access_denied.
    static result<std::uint32_t>
    remove(std::uint32_t count, const std::vector<endpoint_mapper::entry>& entries) noexcept;

    static result<lookup_answer> lookup(const std::vector<endpoint>& endpoints,
                                        endpoint_mapper::inquiry inquiry,
                                        const ndr::unique<uuid>& object,
                                        const ndr::unique<interface_id>& interface,
                                        endpoint_mapper::version_match versions,
                                        const ndr::context_handle& handle, std::uint32_t room);

    /// Finds endpoints of the tower's interface (same major version, minor version not below),
    /// transfer syntax and protocol, for the object asked for or for any object.
    static result<map_answer> map(const std::vector<endpoint>& endpoints,
                                  const ndr::unique<uuid>& object,
                                  const endpoint_mapper::twr_pointer& tower,
                                  const ndr::context_handle& handle, std::uint32_t room);

    static result<free_answer> lookup_handle_free(const ndr::context_handle& handle) noexcept;
};

} // namespace rpch::inline RPCH_ABI::services

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/services/impl/endpoint_mapper.ipp>
#endif

#endif
