// mgmt, the remote management interface of every DCE/RPC server, version 1.0; [C706] appendix Q.
#ifndef RPCH_SERVICES_MGMT_HPP
#define RPCH_SERVICES_MGMT_HPP

#include <cstdint>
#include <functional>
#include <string>
#include <system_error>
#include <tuple>
#include <vector>

#include <rpch/core/uuid.hpp>
#include <rpch/ndr/operation.hpp>
#include <rpch/result.hpp>
#include <rpch/services/caller.hpp>

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

/// The operations as an authorization function knows them, rpc_mgmt_set_authorization_fn(3); their
/// numbers are not the operation numbers of the interface.
enum class mgmt_operation : std::uint32_t {
    inq_if_ids = 0,
    inq_princ_name = 1,
    inq_stats = 2,
    is_server_listening = 3,
    stop_server_listening = 4,
};

/// Decides about a call of mgmt, in the place of rpc_mgmt_authorization_fn_t. Runs on the strand of
/// the server.
/// @param status  what a caller who is refused gets to see; mgmt_status::access_denied if it is
///                left 0.
/// @return whether the operation may run.
using mgmt_rule =
    std::function<bool(const caller& who, mgmt_operation what, std::uint32_t& status)>;

/// Asks a rule; without one everything is allowed but stop_server_listening.
/// @return 0 if the operation may run, or the status for the caller.
[[nodiscard]] RPCH_DECL std::uint32_t mgmt_refusal(const mgmt_rule& rule, const caller& who,
                                                   mgmt_operation what);

/// The name of a server for an authentication service.
struct server_principal {
    std::uint32_t authn_service = 0; ///< RPC_C_AUTHN_*: 9 negotiate, 10 NTLM, 16 Kerberos.
    std::string name{};
};

/// What mgmt tells about a server; filled by whoever knows.
struct server_facts {
    std::vector<interface_id> interfaces;
    std::uint32_t calls_in = 0;
    std::uint32_t calls_out = 0; ///< Calls that the server makes itself.
    std::uint32_t packets_in = 0;
    std::uint32_t packets_out = 0;
    bool listening = true;
    std::vector<server_principal> principals;
};

/// A server's answers: pure functions of its facts and the parameters. An error is an `rpc_status`,
/// to be sent as a fault. Counts wrap around as the 32-bit numbers of the wire do.
///
/// `refused` is the status of `mgmt_refusal`: if it is not 0, the answer holds it and no fact.
struct mgmt_service {
    using if_ids = mgmt::inq_if_ids::result_type;
    using stats = mgmt::inq_stats::result_type;
    using listening = mgmt::is_server_listening::result_type;
    using name = mgmt::inq_princ_name::result_type;

    static result<if_ids> inq_if_ids(const server_facts& facts, std::uint32_t refused = 0);
    /// Gives as many of the four statistics as the caller has room for.
    static result<stats> inq_stats(const server_facts& facts, std::uint32_t room,
                                   std::uint32_t refused = 0);
    static result<listening> is_server_listening(const server_facts& facts,
                                                 std::uint32_t refused = 0) noexcept;
    /// Answers only; if it is not refused, the caller stops listening.
    static result<std::uint32_t> stop_server_listening(std::uint32_t refused) noexcept;
    /// Gives mgmt_status::unknown_authn_service if the server has no name for the service.
    /// @errors rpc_status::nca_fault_invalid_bound if the name and its terminator do not fit into
    ///         `size` characters, or `size` is above the maximum of mgmt::principal_name.
    static result<name> inq_princ_name(const server_facts& facts, std::uint32_t authn_service,
                                       std::uint32_t size, std::uint32_t refused = 0);
};

} // namespace rpch::inline RPCH_ABI::services

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/services/impl/mgmt.ipp>
#endif

#endif
