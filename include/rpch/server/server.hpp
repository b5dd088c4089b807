// The server facade: an application's interfaces on ncacn_http and ncacn_ip_tcp.
#ifndef RPCH_SERVER_SERVER_HPP
#define RPCH_SERVER_SERVER_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <rpch/limits.hpp>
#include <rpch/result.hpp>
#include <rpch/server/handlers.hpp>
#include <rpch/transport/executor.hpp>

namespace rpch::inline RPCH_ABI {

/// Settings of a server; every default is safe as it stands.
struct server_settings {
    /// ReceiveWindowSize granted to inbound proxies, bytes, 8192 to 262144. [MS-RPCH] 2.2.3.5.1.
    std::uint32_t receive_window = limits::receive_window_max;
    /// Largest fragment offered in bind_ack, bytes.
    std::uint16_t max_fragment = limits::fragment_bytes_default;
    /// How long one half of a virtual connection waits for the other. [MS-RPCH] 3.2.5.2.1.
    std::chrono::milliseconds pairing_wait = limits::pairing_wait;
    /// From TCP accept to the first whole PDU.
    std::chrono::milliseconds first_pdu_wait = limits::first_pdu_wait;
    /// TCP connections at the same time; more are closed at once.
    std::size_t connections_max = 20'000;
    /// Called on the server's strand with one line for each event worth a log line; may be empty.
    std::function<void(const std::string& line)> log;
};

/// Serves DCE/RPC interfaces. Register handlers, then listen. Everything runs on one strand of the
/// executor: handlers that are functions or callbacks must not block; coroutines may suspend.
/// Destroying the server closes all its connections.
class server {
  public:
    explicit server(transport::executor on, server_settings settings = {});
    server(server&&) noexcept;
    server& operator=(server&&) noexcept;
    ~server();

    /// Registers the handler of one operation; `Operation` is nested in a service type that has an
    /// `id`: `server.handle<calculator, calculator::add_one>(f)`.
    template <class Service, class Operation, class Function>
    void handle(Function function) {
        registry().set(Service::id, Operation::opnum, make_handler<Operation>(std::move(function)));
    }
    /// Registers a handler that works on stub bytes, for one operation number.
    void handle_raw(const interface_id& id, std::uint16_t opnum, raw_handler handler) {
        registry().set(id, opnum, std::move(handler));
    }
    /// Registers a handler for all operations of an interface that have none of their own.
    void handle_all(const interface_id& id, raw_handler handler) {
        registry().entry(id).fallback = std::move(handler);
    }

    /// Listens on `ncacn_http:ADDRESS[PORT]` (behind an RPC proxy) or `ncacn_ip_tcp:ADDRESS[PORT]`.
    /// Port 0 lets the system choose. May be called several times.
    /// @return the port that is listened on.
    /// @errors errc::bad_binding, errc::not_supported (another protocol), the system's.
    result<std::uint16_t> listen(std::string_view binding);

    /// Stops accepting; connections go on.
    void stop_listening();
    /// Stops accepting and closes all connections; running calls are dropped. Thread-safe.
    void close();

    /// @return open virtual connections and TCP connections, for tests and metrics. On the strand.
    [[nodiscard]] std::size_t connections() const noexcept;

    class impl;

  private:
    handler_registry& registry();
    std::shared_ptr<impl> impl_;
};

} // namespace rpch::inline RPCH_ABI

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/server/impl/server.ipp>
#endif

#endif
