// The settings of an RPC proxy.
#ifndef RPCH_PROXY_PROXY_SETTINGS_HPP
#define RPCH_PROXY_PROXY_SETTINGS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <rpch/auth/security_context.hpp>
#include <rpch/limits.hpp>
#include <rpch/proxy/tcp_backend.hpp>

namespace rpch::inline RPCH_ABI {

/// Settings of a proxy, by the names administrators know. The defaults refuse plain HTTP, anonymous
/// users and every target.
struct proxy_settings {
    /// `host:port` and `host:first-last`, separated by `;`. What is not named is refused.
    std::string valid_ports;
    /// Targets that are plain DCE/RPC servers; `valid_ports` must name them as well. IN and OUT
    /// channel of a virtual connection meet in this process: a load balancer in front must send
    /// both to the same one.
    std::vector<tcp_backend> tcp_backends;
    /// AllowAnonymous: requests without credentials are served.
    bool allow_anonymous = false;
    /// Basic authentication against `users_file`.
    bool allow_basic = false;
    std::string users_file;
    /// NTLM and Negotiate: at most one acceptor of each. They are asked on the proxy's strand. What
    /// 401 responses offer begins with the strongest: Negotiate, NTLM, Basic. The user is bound to
    /// the TCP connection, so nothing may stand in front that shares connections among clients.
    /// Over TLS acceptors are given the channel binding `tls-server-end-point`. A token has to fit
    /// into a request head (limits::http_head_bytes_max): some 11 KiB.
    std::vector<std::shared_ptr<auth::security_acceptor>> http_acceptors;
    /// The realm that 401 responses name.
    std::string realm = "rpch";
    /// Lets `listen` work without TLS; passwords of Basic then cross the network readable.
    bool allow_plain = false;

    /// InProxyReceiveWindow and OutProxyReceiveWindow, bytes, 8192 to 262144.
    std::uint32_t in_receive_window = limits::receive_window_max;
    std::uint32_t out_receive_window = limits::receive_window_max;
    /// Lifetime declared for OUT channels, bytes.
    std::uint32_t channel_lifetime = limits::channel_lifetime_default;
    /// ConnectionTimeout told to clients, 120 s to 4 h.
    std::chrono::milliseconds connection_timeout{limits::connection_timeout_min_ms};
    // The following hold for the server role behind `tcp_backends` as well.
    /// Until a server is connected, [MS-RPCH] 3.2.3.5.3.
    std::chrono::milliseconds connect_wait = limits::connect_wait;
    /// From the head of a channel request to its first whole PDU.
    std::chrono::milliseconds first_pdu_wait = limits::first_pdu_wait;
    /// From one half of a virtual connection until the server says that the other is there, too;
    /// behind a TCP backend, until it is. [MS-RPCH] 3.2.5.2.1.
    std::chrono::milliseconds pairing_wait = limits::pairing_wait;
    /// A replacement of a channel that takes longer ends it.
    std::chrono::milliseconds replacement_wait = limits::replacement_wait;
    /// Behind a TCP backend the OUT channel is replaced when fewer bytes of its lifetime are left;
    /// 0 chooses. The servers of other targets have a threshold of their own.
    std::uint64_t replace_out_below = 0;
    /// So long may PDUs wait for a peer that acknowledges nothing.
    std::chrono::milliseconds blocked_wait = limits::blocked_wait;
    /// HTTP connections at the same time; more are closed at once.
    std::size_t connections_max = 18'000;
    /// Called on the proxy's strand with one line for each event worth a log line; may be empty.
    std::function<void(const std::string& line)> log;
};

} // namespace rpch::inline RPCH_ABI

#endif
