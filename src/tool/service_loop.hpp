// What the long-running subcommands share: signals, log lines, `listening on`.
#ifndef RPCH_TOOL_SERVICE_LOOP_HPP
#define RPCH_TOOL_SERVICE_LOOP_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include <asio/io_context.hpp>

namespace tool {

/// Writes one line with a time stamp to stderr.
void log_line(const std::string& line);

/// Tells where a listener listens, on stdout, at once: `listening on ADDRESS:PORT`.
void announce(const std::string& host, std::uint16_t port);

/// What a long-running subcommand does on signals.
struct service {
    std::function<void()> stop_listening;
    std::function<std::size_t()> connections; ///< Still open.
    std::function<void()> close;
    std::function<void()> reload;       ///< SIGHUP; may be empty.
    std::chrono::seconds drain_wait{2}; ///< How long connections may go on after a signal to stop.
};

/// Runs until SIGTERM or SIGINT: stops listening, gives open connections `drain_wait` to end,
/// closes what is left. A second signal does not wait.
/// @return the exit code.
int run_service(asio::io_context& io, const service& what);

} // namespace tool

#endif
