// The server facade: an application's interfaces on ncacn_http, ncacn_ip_tcp and HTTPS.
#ifndef RPCH_SERVER_SERVER_HPP
#define RPCH_SERVER_SERVER_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <rpch/result.hpp>
#include <rpch/server/handlers.hpp>
#include <rpch/server/server_settings.hpp>
#include <rpch/server/service_settings.hpp>
#include <rpch/services/endpoint_mapper.hpp>
#include <rpch/transport/connector.hpp>
#include <rpch/transport/executor.hpp>
#include <rpch/transport/tls_context.hpp>

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
        registry().entry(id).has_raw_handlers = true;
    }
    /// Registers a handler for all operations of an interface that have none of their own.
    void handle_all(const interface_id& id, raw_handler handler) {
        registry().entry(id).fallback = std::move(handler);
        registry().entry(id).has_raw_handlers = true;
    }

    /// Demands a level of protection for the calls of one interface; weaker ones are refused with
    /// access_denied, unexecuted; call: packet is used in its place. Before the first `listen`.
    void require_level(const interface_id& id, auth::authentication_level level) {
        registry().entry(id).minimum_level = level;
    }

    /// Limits what the calls of one interface may take of the server: how many are executed at the
    /// same time, on all connections together, and how many stub bytes they hold. Those of a
    /// request count from its first fragment on until its handler lets go of the call, those of an
    /// answer until all of it is written. What comes above is refused with nca_s_server_too_busy,
    /// unexecuted, with the fragment that finds no room; answers never are. Before the first
    /// `listen`.
    void limit_calls(const interface_id& id, std::size_t calls_max,
                     std::size_t call_bytes_max = SIZE_MAX) {
        interface_entry& e = registry().entry(id);
        e.calls_max = calls_max;
        e.call_bytes_max = call_bytes_max;
    }

    /// Offers mgmt: what interfaces there are, what came and went, and a way to stop listening for
    /// those that the settings allow it. [C706] appendix Q.
    void serve_mgmt(mgmt_settings settings = {});

    /// Offers the endpoint mapper, to be reached at port 135 (ncacn_ip_tcp) or 593 (ncacn_http).
    /// [C706] appendix O, [MS-RPCE] 2.2.1.2.
    /// Clients ask mappers before they know the server, and most do so without authentication.
    /// Where `server_settings::minimum_level` demands more, let them in with
    /// `require_level(services::endpoint_mapper::id, auth::authentication_level::none)`; what
    /// changes the map is the rule's to judge by the caller's level.
    /// @param map      what it tells; shared, not null. Other servers may publish there, see
    ///                 `publish_endpoints`; so may the application, at any time.
    /// @param allowed  who may change the map by calls; without a rule nobody.
    void serve_endpoint_mapper(std::shared_ptr<services::endpoint_map> map,
                               services::map_change_rule allowed = {});

    /// Registers every interface of this server but mgmt and the endpoint mapper in a map, at each
    /// endpoint of `listen`, those to come included, until it stops listening. Not the ports of
    /// `listen_https`, which are RPC proxies to a client. An endpoint that finds no room in the map
    /// is told to the log.
    /// @param map  shared; not null. Call this once at most.
    void publish_endpoints(std::shared_ptr<services::endpoint_map> map, publication how = {});
    /// Says which transfer syntaxes an interface is offered in, in order of preference. Without it
    /// that is NDR 2.0 and, unless one of its handlers works on stub bytes, NDR64; such handlers
    /// find the syntax of a call in `call_context::transfer_syntax`. Before the first `listen`.
    void offer_syntaxes(const interface_id& id, std::vector<ndr::transfer_syntax> syntaxes) {
        registry().entry(id).transfer_syntaxes = std::move(syntaxes);
    }

    /// Listens on `ncacn_http:ADDRESS[PORT]` (behind an RPC proxy) or `ncacn_ip_tcp:ADDRESS[PORT]`.
    /// Port 0 lets the system choose. May be called several times.
    /// @return the port that is listened on.
    /// @errors errc::bad_binding, errc::not_supported (another protocol), the system's.
    result<std::uint16_t> listen(std::string_view binding);

    /// Serves RPC over HTTP clients in this process, without a proxy in front and without a second
    /// connection: bindings name this listener as their RpcProxy. `settings.front_door` says who is
    /// let in. May be called several times.
    /// @param tls  null for plain HTTP, if `front_door.allow_plain` is set.
    /// @param why  borrowed; receives a sentence for people if a setting is wrong; may be null.
    /// @return the port that is listened on; port 0 lets the system choose.
    /// @errors errc::bad_setting (settings that contradict each other, no TLS and not allowed, no
    ///         address literal), the system's.
    result<std::uint16_t> listen_https(const transport::host_port& where,
                                       std::shared_ptr<transport::tls_context> tls,
                                       std::string* why = nullptr);

    /// Reads the users file of the front door again; connections go on. After a `listen_https`.
    /// Thread-safe.
    /// @errors errc::bad_setting, and nothing is changed; errc::not_open without a front door.
    std::error_code reload_users(std::string* why = nullptr);

    /// Shows another certificate at the listeners of `listen_https` that were given `current`; as
    /// proxy::replace_tls. Thread-safe; takes effect on the strand.
    /// @errors errc::bad_setting if one of them is null, or `fresh` not a server's; errc::not_open
    ///         without a front door. Nothing is changed then.
    std::error_code replace_tls(std::shared_ptr<transport::tls_context> current,
                                std::shared_ptr<transport::tls_context> fresh);

    /// Refuses new connections; what is connected goes on.
    void stop_listening();
    /// Stops accepting and closes all connections; running calls are dropped. Thread-safe.
    void close();

    /// @return open connections of all kinds, for tests and metrics: two for each virtual
    /// connection, and two more if it came by HTTPS. On the strand.
    [[nodiscard]] std::size_t connections() const noexcept;

    /// @return context handles and association groups, for tests and metrics. On the strand.
    [[nodiscard]] std::size_t context_handles() const;
    [[nodiscard]] std::size_t association_groups() const;

    class impl;

  private:
    handler_registry& registry();
    std::shared_ptr<impl> impl_;
};

} // namespace rpch::inline RPCH_ABI

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/server/impl/server.ipp>
    #include <rpch/server/impl/services.ipp>
#endif

#endif
