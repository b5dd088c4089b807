// The settings of a server.
#ifndef RPCH_SERVER_SERVER_SETTINGS_HPP
#define RPCH_SERVER_SERVER_SETTINGS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <rpch/auth/security_context.hpp>
#include <rpch/limits.hpp>
#include <rpch/proxy/proxy_settings.hpp>

namespace rpch::inline RPCH_ABI {

/// Settings of a server; every default is safe as it stands.
struct server_settings {
    /// ReceiveWindowSize granted to inbound proxies, bytes, 8192 to 262144. [MS-RPCH] 2.2.3.5.1.
    std::uint32_t receive_window = limits::receive_window_max;
    /// Largest fragment offered in bind_ack, bytes.
    std::uint16_t max_fragment = limits::fragment_bytes_default;
    /// Stub bytes of the largest request and answer. A client that sends or announces more loses
    /// its connection with access_denied, as from Windows, whose limit is 4 MiB.
    std::size_t call_bytes_max = limits::call_bytes_max;
    /// The security providers that clients may use end to end; empty for none. One of each kind.
    std::vector<std::shared_ptr<auth::security_acceptor>> rpc_security;
    /// Calls below this level are refused with access_denied, for every interface that has no level
    /// of its own (`server::require_level`). Above `none` it needs an entry in `rpc_security`.
    /// Call: packet is used in its place.
    auth::authentication_level minimum_level = auth::authentication_level::none;
    /// Refuses signed calls of clients that do not sign PDU headers, [MS-RPCE] 3.3.1.5.2.2.
    bool require_header_signing = false;
    /// How long one half of a virtual connection waits for the other. [MS-RPCH] 3.2.5.2.1.
    std::chrono::milliseconds pairing_wait = limits::pairing_wait;
    /// From TCP accept to the first whole PDU; over ncacn_ip_tcp to the end of the bind's security
    /// handshake, and as long may each later handshake take.
    std::chrono::milliseconds first_pdu_wait = limits::first_pdu_wait;
    /// Above so many stub bytes of calls that are executed or whose answers wait to be sent, no
    /// more is read from their connection, and flow control makes the client wait. A co_cancel
    /// behind a request that waits is not heard; the end of a client is, unless more stands before
    /// it than the socket's buffers take.
    std::size_t pending_bytes_max = limits::pending_bytes_max;
    /// Context handles of one association group, and of the server; `call_context::make_handle`
    /// refuses more with nca_s_fault_remote_no_memory.
    std::size_t context_handles_per_group_max = limits::context_handles_per_group_max;
    std::size_t context_handles_max = limits::context_handles_max;
    /// The OUT channel is replaced when fewer bytes of its lifetime are left; 0 chooses.
    std::uint64_t replace_out_below = 0;
    /// A replacement of a channel that takes longer ends the virtual connection.
    std::chrono::milliseconds replacement_wait = limits::replacement_wait;
    /// So long may answers wait for a client that acknowledges nothing, or over ncacn_ip_tcp takes
    /// nothing; there, so long may also requests wait because of `pending_bytes_max` while no call
    /// is answered and no answer taken. So long may a client send nothing in the middle of a
    /// request. The connection is ended then, and its calls are cancelled.
    std::chrono::milliseconds blocked_wait = limits::blocked_wait;
    /// TCP connections at the same time; more are closed at once.
    std::size_t connections_max = 20'000;
    /// Whom `listen_https` lets in, and how: the proxy's settings, for its roles run in the server
    /// then. The defaults refuse anonymous users and plain HTTP. There is one server behind it, so
    /// an empty `valid_ports` stands for every target; `tcp_backends` must be empty; an empty `log`
    /// is the server's.
    proxy_settings front_door;
    /// Called on the server's strand with one line for each event worth a log line; may be empty.
    std::function<void(const std::string& line)> log;
};

} // namespace rpch::inline RPCH_ABI

#endif
