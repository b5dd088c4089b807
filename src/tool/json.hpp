// What --json prints where something went wrong: one object on stdout.
#ifndef RPCH_TOOL_JSON_HPP
#define RPCH_TOOL_JSON_HPP

#include <exception>
#include <string>
#include <string_view>

#include <rpch/failure.hpp>

namespace tool {

/// @return the text as a JSON string, in its quotes. Peers may have written it: what is not UTF-8
/// becomes U+FFFD.
std::string json_string(std::string_view text);

/// Prints a failure, with all that is known about it.
void print_json(const rpch::failure& why);

/// Prints what is wrong with the command line.
void print_json_of_usage(std::string_view why, std::string_view next_step = {});

/// Prints what nobody had thought of: no memory, say.
void print_json_of_exception(const std::exception& what);

} // namespace tool

#endif
