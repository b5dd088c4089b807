// The state of applications behind context handles, [C706] 5.1.6 and 9.5.1. Strict
// towards interface and type, as [MS-RPCE] 3.1.1.5.3.2.2.2 advises.
#ifndef RPCH_SERVER_CONTEXT_HANDLES_HPP
#define RPCH_SERVER_CONTEXT_HANDLES_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <unordered_map>
#include <utility>

#include <rpch/auth/security_context.hpp>
#include <rpch/core/uuid.hpp>
#include <rpch/dcerpc/association_groups.hpp>
#include <rpch/error.hpp>
#include <rpch/limits.hpp>
#include <rpch/ndr/types.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI {

/// Who makes or uses a handle. A handle is good where all of it is equal.
struct handle_scope {
    std::uint32_t group = 0; ///< The association group of the connection.
    std::size_t interface = 0;
    /// Borrowed; null for calls without security. Compared by user, domain and anonymity: whoever
    /// changes the mechanism may get another spelling of the domain, and loses the handle.
    const auth::peer_identity* caller = nullptr;
};

/// The context handles of one server: an object of the application behind each. They go with their
/// association group; lower rooms do not tell when a group ends, so whoever ends a connection says
/// `run_down`. Thread-safe. Objects are destroyed outside its lock, and may use it again.
class context_handles {
  public:
    /// @param groups  borrowed; outlives this.
    explicit context_handles(const dcerpc::association_groups& groups) noexcept : groups_(groups) {}
    context_handles(const context_handles&) = delete;
    context_handles& operator=(const context_handles&) = delete;

    /// Handles of one association group, and of all together. Before the first is made.
    void set_limits(std::size_t per_group_max, std::size_t all_max) noexcept {
        per_group_max_ = per_group_max;
        all_max_ = all_max;
    }

    /// Makes a handle with a random UUID, so that nobody guesses that of somebody else.
    /// @param object  owned from here on, together with whoever else has it.
    /// @errors rpc_status::nca_fault_remote_no_memory above a limit: the server has no room, where
    ///         nca_server_too_busy would say that nothing was executed;
    ///         rpc_status::nca_fault_context_mismatch if the group has ended meanwhile;
    ///         errc::no_randomness.
    RPCH_DECL result<ndr::context_handle>
    add(const handle_scope& maker, std::shared_ptr<void> object, const std::type_info& type);
    /// @return the object behind a handle. It lives as long as it is held, even if the handle ends.
    /// @errors rpc_status::nca_fault_context_mismatch for the null handle, for one that is unknown
    ///         or of another group, and for one of another type, interface or user.
    [[nodiscard]] RPCH_DECL result<std::shared_ptr<void>> find(const handle_scope& user,
                                                               const ndr::context_handle& handle,
                                                               const std::type_info& type) const;
    /// Ends a handle. @return its object. @errors as find().
    RPCH_DECL result<std::shared_ptr<void>>
    take(const handle_scope& user, const ndr::context_handle& handle, const std::type_info& type);
    /// Drops the handles of a group if it has ended; otherwise does nothing.
    RPCH_DECL void run_down(std::uint32_t group);

    /// @return how many handles there are.
    [[nodiscard]] RPCH_DECL std::size_t size() const;

  private:
    struct entry {
        std::shared_ptr<void> object;
        const std::type_info* type = nullptr;
        std::size_t interface = 0;
        std::string user;
        std::string domain;
        bool is_authenticated = false;
        bool is_anonymous = false;
    };
    struct hash {
        std::size_t operator()(const uuid& id) const noexcept; // our own ids: random throughout
    };
    using of_group = std::unordered_map<uuid, entry, hash>;

    [[nodiscard]] static bool may_use(const entry& e, const handle_scope& user,
                                      const std::type_info& type) noexcept;

    const dcerpc::association_groups& groups_;
    mutable std::mutex busy_;
    std::unordered_map<std::uint32_t, of_group> handles_;
    std::size_t count_ = 0;
    std::size_t per_group_max_ = limits::context_handles_per_group_max;
    std::size_t all_max_ = limits::context_handles_max;
};

} // namespace rpch::inline RPCH_ABI

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/server/impl/context_handles.ipp>
#endif

#endif
