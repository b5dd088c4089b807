// What the long-running subcommands share: signals, log lines, `listening on`.
#ifndef RPCH_TOOL_SERVICE_LOOP_HPP
#define RPCH_TOOL_SERVICE_LOOP_HPP

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <rpch/transport/connector.hpp>

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>

namespace tool {

/// Writes one line with a time stamp to stderr.
void log_line(const std::string& line);

/// Raises the soft limit of open files to the hard one, as each connection is one, and tells the
/// log what the limit is. For programs that serve: the limit is the process's.
void raise_open_files();

/// Reads the ADDRESS:PORT of a listener.
/// @param option  its name, for the explanation.
/// @return nothing if it is none; `why` explains.
std::optional<rpch::transport::host_port> parse_listen(const std::string& option,
                                                       const std::string& text, std::string& why);

/// Tells where a listener listens, on stdout, at once: `listening on ADDRESS:PORT`.
void announce(const std::string& host, std::uint16_t port);

/// Signals wait here from construction on, so that one which comes right behind `listening on`
/// finds its way. Outlived by the context.
struct service_signals {
    explicit service_signals(asio::io_context& io)
        : stop(io, SIGINT, SIGTERM), reload(io, SIGHUP) {}
    asio::signal_set stop;
    asio::signal_set reload;
};

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
int run_service(asio::io_context& io, service_signals& signals, const service& what);

} // namespace tool

#endif
