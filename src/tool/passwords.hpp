// Where passwords come from: a file, the environment, a prompt. Never the command line.
#ifndef RPCH_TOOL_PASSWORDS_HPP
#define RPCH_TOOL_PASSWORDS_HPP

#include <optional>
#include <string>

namespace tool {

/// Reads the first line of a file. @return nothing if there is none; `why` says what to look at.
std::optional<std::string> password_from_file(const std::string& path, std::string& why);

/// Asks on the terminal without echo; reads one line of standard input where that is no terminal.
std::optional<std::string> ask_password(const std::string& prompt);

} // namespace tool

#endif
