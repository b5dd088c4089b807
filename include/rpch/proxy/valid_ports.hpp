// ValidPorts: which RPC servers a proxy may be asked for. The string of the Windows registry,
// unchanged.
#ifndef RPCH_PROXY_VALID_PORTS_HPP
#define RPCH_PROXY_VALID_PORTS_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI {

/// A list of `host:port` or `host:first-last`, separated by `;`. A target is compared as text, case
/// aside: a name, its long form and its address are three different entries, and no name is
/// resolved. `*` in a host name stands for any characters. An IPv6 literal stands in brackets
/// (ours; Windows has none). Whatever no entry names is refused; an empty list refuses everything.
class valid_ports {
  public:
    /// Refuses everything.
    valid_ports() = default;

    /// @param text       borrowed for the call; blanks around entries and empty entries are
    /// allowed.
    /// @param bad_entry  if not null: on error, the entry that was refused.
    /// @errors errc::bad_setting for an entry that is malformed; errc::too_many above
    ///         limits::valid_ports_entries_max entries.
    [[nodiscard]] RPCH_DECL static result<valid_ports> parse(std::string_view text,
                                                             std::string* bad_entry = nullptr);

    /// @param host  server name of the request, IPv6 literals without brackets.
    [[nodiscard]] RPCH_DECL bool allows(std::string_view host, std::uint16_t port) const noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }

  private:
    struct entry {
        std::string host; // lower case, no brackets
        std::uint16_t first = 0;
        std::uint16_t last = 0;
    };
    [[nodiscard]] RPCH_DECL static result<entry> parse_entry(std::string_view text);

    std::vector<entry> entries_;
};

} // namespace rpch::inline RPCH_ABI

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/proxy/impl/valid_ports.ipp>
#endif

#endif
