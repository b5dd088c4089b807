// The server facade: an application's interfaces on ncacn_http and ncacn_ip_tcp.
#ifndef RPCH_SERVER_SERVER_HPP
#define RPCH_SERVER_SERVER_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <rpch/result.hpp>
#include <rpch/server/handlers.hpp>
#include <rpch/server/server_settings.hpp>
#include <rpch/transport/executor.hpp>

namespace rpch::inline RPCH_ABI {

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
