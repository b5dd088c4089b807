// Worlds in which everything is laid down: one peer forgets something or is confused, and it is
// known who notices it, where, and when.
#ifndef RPCH_TESTS_SIM_CASES_HPP
#define RPCH_TESTS_SIM_CASES_HPP

#include <cstddef>
#include <string>
#include <string_view>

namespace sim {

/// Runs the cases whose name has `part` in it.
/// @return what was wrong in each of them, a line each, or nothing.
std::string run_cases(std::string_view part, bool trace);
/// @return how many cases have `part` in their name.
std::size_t count_cases(std::string_view part);

} // namespace sim

#endif
