// mgmt, the remote management interface of every DCE/RPC server, version 1.0; [C706] appendix Q.
#ifndef RPCH_SERVICES_MGMT_HPP
#define RPCH_SERVICES_MGMT_HPP

#include <cstdint>
#include <string>
#include <system_error>
#include <tuple>
#include <vector>

#include <rpch/core/uuid.hpp>
#include <rpch/ndr/operation.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::services {

/// The interface. Its status parameters are error_status_t: 0, or a number of the table below.
struct mgmt {
    static constexpr interface_id id{"afa8bd80-7d8a-11c9-bef4-08002b102989", 1, 0};

    /// rpc_if_id_vector_t: the interfaces of a server.
    struct if_id_vector {
        std::uint32_t count = 0;
        ndr::conformant<ndr::unique<interface_id>, 1024> if_id;
        [[nodiscard]] std::error_code ndr_check() const noexcept {
            return count == if_id.items.size() ? std::error_code{}
                                               : make_error_code(errc::ndr_bad_array);
        }
        bool operator==(const if_id_vector&) const = default;
    };
    /// Indices of the statistics; more may follow.
    enum statistic : std::size_t { calls_in, calls_out, packets_in, packets_out };
    using statistics = ndr::conformant<std::uint32_t, 1024>;
    /// A string in an array whose size the caller asked for.
    using principal_name = ndr::conformant_varying<char, 4096>;

    /// Gives the interfaces and a status.
    using inq_if_ids = operation<0, std::tuple<ndr::unique<if_id_vector>, std::uint32_t>()>;
    /// (room for so many) gives how many, the statistics and a status.
    using inq_stats =
        operation<1, std::tuple<std::uint32_t, statistics, std::uint32_t>(std::uint32_t)>;
    /// Gives a status and 1 if the server listens for calls.
    using is_server_listening = operation<2, std::tuple<std::uint32_t, std::uint32_t>()>;
    /// Gives a status.
    using stop_server_listening = operation<3, std::uint32_t()>;
    /// (authentication service, size of the array for the name) gives the name and a status.
    using inq_princ_name =
        operation<4, std::tuple<principal_name, std::uint32_t>(std::uint32_t, std::uint32_t)>;
};

/// Status numbers of mgmt.
namespace mgmt_status {
inline constexpr std::uint32_t ok = 0;
inline constexpr std::uint32_t access_denied = 5;
/// RPC_S_UNKNOWN_AUTHN_SERVICE: no principal is registered for it.
inline constexpr std::uint32_t unknown_authn_service = 1747;
} // namespace mgmt_status

/// What mgmt tells about a server; filled by whoever knows.
struct server_facts {
    std::vector<interface_id> interfaces;
    std::uint32_t calls_in = 0;
    std::uint32_t calls_out = 0;
    std::uint32_t packets_in = 0;
    std::uint32_t packets_out = 0;
    /// Name for every authentication service; empty if there is none.
    std::string principal_name;
};

/// A server's answers: pure functions of its facts and the parameters. An error is an `rpc_status`,
/// to be sent as a fault. Counts wrap around as the 32-bit numbers of the wire do.
struct mgmt_service {
    using if_ids = mgmt::inq_if_ids::result_type;
    using stats = mgmt::inq_stats::result_type;
    using listening = mgmt::is_server_listening::result_type;
    using name = mgmt::inq_princ_name::result_type;

    static result<if_ids> inq_if_ids(const server_facts& facts);
    /// Gives as many of the four statistics as the caller has room for.
    static result<stats> inq_stats(const server_facts& facts, std::uint32_t room);
    /// A server that can answer listens.
    static result<listening> is_server_listening() noexcept;
    /// Always denied: nobody stops a server from afar.
    static result<std::uint32_t> stop_server_listening() noexcept;
    /// @errors rpc_status::nca_fault_invalid_bound if the name and its terminator do not fit into
    ///         `size` characters, or `size` is above the maximum of mgmt::principal_name.
    static result<name> inq_princ_name(const server_facts& facts, std::uint32_t authn_service,
                                       std::uint32_t size);
};

} // namespace rpch::inline RPCH_ABI::services

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/services/impl/mgmt.ipp>
#endif

#endif
