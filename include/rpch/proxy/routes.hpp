// How the channels of a proxy reach their server: by TCP, or a server role in this process.
#ifndef RPCH_PROXY_ROUTES_HPP
#define RPCH_PROXY_ROUTES_HPP

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <system_error>

#include <rpch/transport/connector.hpp>
#include <rpch/transport/link.hpp>
#include <rpch/transport/rendezvous.hpp>

namespace rpch::inline RPCH_ABI::detail {

/// What a channel asks for.
struct wanted_link {
    const transport::host_port& target; ///< As the client wrote it.
    const rts::cookie& virtual_connection;
    bool successor;               ///< The virtual connection has been opened by other channels.
    const std::string& client;    ///< Address, for logs.
    transport::link_owner& owner; ///< Kept alive by the handler.
};

/// Receives a connected link that was not started, or an error with a detail for people. Runs once,
/// on the strand, never before `connect` returned.
using link_handler = std::function<void(std::error_code ec, std::shared_ptr<transport::link> made,
                                        const std::string& detail)>;
/// Ends an attempt: after this its handler is not run any more. Does nothing to one that is over.
using cancel_function = std::function<void()>;
using connect_function =
    std::function<cancel_function(const wanted_link& wanted, link_handler done)>;

/// Runs `answer` on `done` later, if that is not taken back before.
[[nodiscard]] RPCH_DECL cancel_function
answer_later(const transport::strand& on, link_handler done,
             std::function<void(const link_handler& done)> answer);

/// [MS-RPCH] as it stands: each channel has a TCP connection of its own to the server.
/// @param limit  for name resolution and all addresses together.
[[nodiscard]] RPCH_DECL connect_function
connect_by_tcp(std::shared_ptr<transport::strand_context> context, std::chrono::milliseconds limit);

/// Each channel is joined to a server role in this process, whatever its target.
[[nodiscard]] RPCH_DECL connect_function
connect_in_memory(std::shared_ptr<transport::rendezvous> server);

} // namespace rpch::inline RPCH_ABI::detail

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/proxy/impl/routes.ipp>
#endif

#endif
