// The association groups of a server, [C706] 9.5.1: connections of one client that share context
// handles.
#ifndef RPCH_DCERPC_ASSOCIATION_GROUPS_HPP
#define RPCH_DCERPC_ASSOCIATION_GROUPS_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include <rpch/config.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

/// Hands out group ids and counts the connections of each. One per server; outlives the machines
/// that were given it. Thread-safe, because the connections of one server may run on several
/// threads.
class association_groups {
  public:
    /// @param first  the first id; give a random one, so that ids of two runs of a server differ
    /// and a
    ///               client of the former run does not join a group of the latter.
    explicit association_groups(std::uint32_t first = 1) noexcept : next_(first) {}

    /// Adds a connection to a group.
    /// @param wanted  an existing group, or 0 for a new one.
    /// @param from    the machine or process the connection comes from, in any spelling that the
    ///                transport can vouch for; empty if it cannot tell. [MS-RPCE] 3.3.1.5.
    /// @return the group's id, never 0; 0 if `wanted` does not exist, or was begun from elsewhere.
    [[nodiscard]] RPCH_DECL std::uint32_t join(std::uint32_t wanted, std::string_view from = {});
    /// Takes a connection out of its group; the last one ends the group. 0 is ignored.
    RPCH_DECL void leave(std::uint32_t id);
    /// @return whether a group has connections.
    [[nodiscard]] RPCH_DECL bool contains(std::uint32_t id) const;
    /// @return how many groups there are.
    [[nodiscard]] RPCH_DECL std::size_t size() const;

  private:
    /// Holds the flag for the length of a block. Groups are touched when a connection opens and
    /// ends, so waiting is rare and short.
    class guard {
      public:
        explicit guard(std::atomic_flag& flag) noexcept : flag_(flag) {
            while (flag_.test_and_set(std::memory_order_acquire)) flag_.wait(true);
        }
        ~guard() {
            flag_.clear(std::memory_order_release);
            flag_.notify_one();
        }
        guard(const guard&) = delete;
        guard& operator=(const guard&) = delete;

      private:
        std::atomic_flag& flag_;
    };

    mutable std::atomic_flag busy_{};
    struct group {
        std::size_t connections = 0;
        std::string from{}; ///< Of the connection that began it.
    };
    std::unordered_map<std::uint32_t, group> groups_{};
    std::uint32_t next_;
};

} // namespace rpch::inline RPCH_ABI::dcerpc

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/dcerpc/impl/association_groups.ipp>
#endif

#endif
