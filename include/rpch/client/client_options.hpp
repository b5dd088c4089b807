// What a client is told before it connects.
#ifndef RPCH_CLIENT_CLIENT_OPTIONS_HPP
#define RPCH_CLIENT_CLIENT_OPTIONS_HPP

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <rpch/auth/security_context.hpp>
#include <rpch/core/uuid.hpp>
#include <rpch/limits.hpp>
#include <rpch/ndr/transfer_syntax.hpp>
#include <rpch/transport/executor.hpp>
#include <rpch/transport/tls_context.hpp>

namespace rpch::inline RPCH_ABI {

/// How the client proves itself to the RPC proxy.
enum class http_authentication : std::uint8_t {
    none,
    basic,
    ntlm,      ///< [MS-NTHT]; `http_initiator` must be of NTLM.
    negotiate, ///< RFC 4559; `http_initiator` makes the tokens, SPNEGO as a rule.
};

/// Who makes a call, and how it is protected, where that is not what the client_options say.
struct call_identity {
    std::shared_ptr<auth::security_initiator> security{}; ///< Not null.
    /// Packet, integrity or privacy; call: packet is used in its place. Calls of the level connect
    /// carry nothing that tells whose they are, and would be made as the client itself;
    /// errc::bad_setting.
    auth::authentication_level level = auth::authentication_level::privacy;
    /// The server's principal name; empty: `client_options::rpc_target`, or what that stands for.
    std::string target{};
};

/// How one call is made, beside its arguments.
struct call_parameters {
    /// Object UUID; empty for the binding's.
    std::optional<uuid> object{};
    /// The call is given up after it; 0 for client_options::call_deadline. This, like every wait
    /// that can be set, may be milliseconds::max(): see limits::wait_max.
    std::chrono::milliseconds deadline{0};
    /// [maybe] of IDL: the server sends no answer, and the call completes, without result, as soon
    /// as it was handed to the connection. It may get lost with the connection.
    bool maybe = false;
    /// [idempotent] of IDL: the server may execute the call more than once without harm. PDUs of a
    /// connection have no flag for it, [C706] 12.6.3.1; the client makes use of it: if the
    /// connection of the call is lost before the answer, the call is made once more on another
    /// one, which is opened if none is left (in a new association group then: handles of the old
    /// one are gone; client_options::association_group is joined again as long as it lasts). If
    /// all connections were lost before, it opens one. Not so if the server had not yet taken the
    /// client there, by accepting the bind or, where a logon may turn out to be refused, by
    /// answering a call of the same user. `deadline` holds for all attempts together. Costs a copy
    /// of the stub data.
    bool idempotent = false;
    /// Makes the call as somebody else, on the same connections: with a further security context
    /// of the connection, [MS-RPCE] 3.3.1.5.4, which the first call with this object (compared by
    /// its address) establishes, and which lasts as long as the connection. Where the server did
    /// not agree to several, it is refused beside the client's own, errc::security_not_supported,
    /// and without one the server decides. A connection is closed on a user who is refused, by
    /// Windows, Samba and ours: the calls of others fail with it, and a client of one connection
    /// has to connect again. One object for each user, not for each call: on a connection a client
    /// builds limits::client_security_contexts_max, the client's own included; one more is
    /// errc::too_many.
    std::shared_ptr<const call_identity> identity{};
};

/// An association group at a server, as one client tells it to another of the same machine.
struct association_group {
    std::uint32_t id = 0; ///< Of bind_ack, [C706] 12.6.4.4; 0 for a new group.
    /// ncacn_http: the AssociationGroupId, [MS-RPCH] 2.2.3.5.13, by which servers know that two
    /// virtual connections are of one client.
    std::array<std::byte, 16> cookie{};

    bool operator==(const association_group&) const noexcept = default;
};

/// An interface that was bound: its presentation context, and the transfer syntax of that.
struct bound_context {
    std::uint16_t context = 0;
    ndr::transfer_syntax syntax = ndr::transfer_syntax::ndr20;
};

/// Options of a client; every default is safe as it stands.
struct client_options {
    /// Declared so that this is no aggregate: GCC 12 destroys an aggregate made by braces within a
    /// co_await expression twice, and `co_await connect<S>(binding, {})` is one.
    client_options() = default;

    /// Where the client runs. Without one it takes the executor of the completion handler: in a
    /// coroutine that is the coroutine's. A plain callback without executor is errc::bad_setting.
    std::optional<transport::executor> executor;

    /// TLS to the RPC proxy is on unless the binding says `HttpUseTls=false`.
    transport::tls_client_options tls;
    /// Instead of `tls`: a context shared among clients, so that they resume each other's sessions.
    std::shared_ptr<transport::tls_context> tls_context;

    http_authentication http_auth = http_authentication::none;
    std::string http_user;     ///< UTF-8: `name`, `DOMAIN\name` or `name@domain`.
    std::string http_password; ///< UTF-8. Wiped with the client; the caller wipes its own copy.
    /// Sends Basic credentials even without TLS, where everybody on the way can read them.
    bool allow_basic_over_plain = false;
    /// Makes the tokens for NTLM and Negotiate, for every HTTP connection a context of its own. It
    /// is asked for the target `HTTP/` and the RPC proxy's name, with the channel binding
    /// `tls-server-end-point` over TLS. Shared; null for the other schemes.
    std::shared_ptr<auth::security_initiator> http_initiator;

    /// Where the endpoint mapper is asked for the port of a binding that has none; 135 for
    /// ncacn_ip_tcp, 593 for ncacn_http if this is not set.
    std::optional<std::uint16_t> endpoint_mapper_port;

    /// Proves the client to the RPC server itself, end to end, through whatever proxies are
    /// between; null for none. Also over plain TCP. NTLM's last token has no answer: there a wrong
    /// password shows with the first call, as rpc_status::access_denied.
    std::shared_ptr<auth::security_initiator> rpc_security;
    /// How the calls are protected then: connect, packet, integrity or privacy; call: packet is
    /// used in its place, [MS-RPCE] 2.2.1.1.8.
    auth::authentication_level rpc_level = auth::authentication_level::privacy;
    /// The server's principal name, `service/host`; empty: `host/` and the binding's server name.
    std::string rpc_target;
    /// Gives up on servers that do not sign PDU headers, [MS-RPCE] 3.3.1.5.2.2.
    bool require_header_signing = false;

    /// Connections to the server at the same time, 1 to 64. Above 1 calls go to the connection with
    /// the fewest that wait for an answer, and may overtake one another; all are of one association
    /// group, so a context handle is good on each ([C706] 9.5.1). Each connects, and proves the
    /// client, for itself. Calls of one that fails fail; the others go on. One that cannot be
    /// opened harms nobody, and the next is tried after limits::further_connection_wait.
    std::size_t connections_max = 1;
    /// Another connection is opened when all have so many calls that wait for an answer.
    std::size_t calls_per_connection = 16;
    /// The association group to join with the first connection, as `client::association_group` of
    /// another client told it: context handles of one are good for the other then. The server
    /// refuses one that it does not know, whose connections have all ended, or of another machine.
    rpch::association_group association_group;
    /// Opens further connections over ncacn_ip_tcp to the port that the server told in its
    /// bind_ack, instead of the binding's. Windows ignores that port, [MS-RPCE] 3.3.1.5.5, and
    /// behind address translation it is often wrong.
    bool use_secondary_address = false;
    /// What an interface is asked for in, in order of preference: a presentation context each, as
    /// Windows does it, and the first that the server accepts is used. Typed calls are encoded in
    /// it; who calls with stub bytes asks for one only.
    std::vector<ndr::transfer_syntax> transfer_syntaxes{ndr::transfer_syntax::ndr20};

    /// ReceiveWindowSize of the OUT channel, bytes, 8192 to 262144. [MS-RPCH] 2.2.3.5.1.
    std::uint32_t receive_window = limits::receive_window_max;
    /// Content-Length of the IN channel, bytes.
    std::uint32_t channel_lifetime = limits::channel_lifetime_default;
    /// Largest fragment offered in bind, bytes, 1432 to 65535, and at most half of
    /// `receive_window`: then no acknowledgement of ours is for less than half a window, however
    /// small PDUs are. 0 chooses 5840, or half of the window if that is less.
    std::uint16_t max_fragment = 0;
    /// Until one connection to the RPC proxy, or to a server over ncacn_ip_tcp, is made: name
    /// resolution, TCP with all addresses of the name, and the TLS handshake together. One that
    /// takes longer fails with errc::setup_timeout, and the failure tells the step.
    std::chrono::milliseconds connect_wait = limits::connect_wait;
    /// Until the virtual connection is open; and as long may a bind, with the handshake that goes
    /// with it, wait for the server, over ncacn_ip_tcp from the first attempt to connect. A server
    /// that takes longer loses the connection: what waits fails with errc::setup_timeout. The
    /// endpoint mapper, if it is asked, has as much time of its own.
    std::chrono::milliseconds open_wait = limits::open_wait;
    /// A call that is not answered in time is given up: it fails with errc::call_timeout, and the
    /// server is told (orphaned or co_cancel, [C706] 9.5). 0 waits as long as the connection lasts;
    /// `call_parameters::deadline` goes before it.
    std::chrono::milliseconds call_deadline{0};
    /// A cancelled call is given up if the server has not answered the co_cancel by then.
    std::chrono::milliseconds cancel_wait = limits::cancel_wait;
    /// Lowers the ConnectionTimeout that the proxies tell: pings come at half of it.
    std::optional<std::chrono::milliseconds> connection_timeout;
    /// TCP keep-alive that the inbound proxy is asked to use towards the server: 60 s to 4294967295
    /// ms. [MS-RPCH] 2.2.3.5.6.
    std::chrono::milliseconds client_keepalive{limits::client_keepalive_default_ms};
    /// The KeepAlive interval of the application, [MS-RPCH] 3.2.2.2.2: pings come at half of it, if
    /// that is sooner than at half the ConnectionTimeout. 1 s to 4 h; 0 is none. Each ping takes
    /// 20 bytes of the IN channel's lifetime.
    std::chrono::milliseconds keep_alive{0};
    /// The IN channel is replaced when fewer bytes of its lifetime are left; 0 chooses.
    std::uint64_t replace_in_below = 0;
    /// A replacement of a channel that takes longer ends the connection.
    std::chrono::milliseconds replacement_wait = limits::replacement_wait;
    /// So long may calls wait for a proxy that acknowledges nothing.
    std::chrono::milliseconds blocked_wait = limits::blocked_wait;
};

} // namespace rpch::inline RPCH_ABI

#endif
