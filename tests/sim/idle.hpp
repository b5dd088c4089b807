// A day without a call.
#ifndef RPCH_TESTS_SIM_IDLE_HPP
#define RPCH_TESTS_SIM_IDLE_HPP

#include <string>

namespace sim {

/// 24 simulated hours in which pings are all that is sent; then the same with so short a lifetime
/// that pings alone use OUT channels up.
/// @return what was not as the timers imply, or nothing.
[[nodiscard]] std::string run_idle(bool trace);

} // namespace sim

#endif
