#include <rpch/rpch.hpp>

namespace consumer {

// The parameter's type carries the mode in its name, so a caller of the other mode does not find
// this.
rpch::result<int> version_seen_by_other(const rpch::uuid& id) {
    if (id != rpch::uuid{}) return rpch::fail(rpch::errc::bad_value);
    return RPCH_VERSION_MAJOR * 100 + RPCH_VERSION_MINOR;
}

} // namespace consumer
