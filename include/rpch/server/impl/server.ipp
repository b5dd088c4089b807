#include <rpch/server/server.hpp>

#include <utility>
#include <vector>

#include <rpch/dcerpc/string_binding.hpp>
#include <rpch/proxy/http_front.hpp>
#include <rpch/server/sessions.hpp>
#include <rpch/transport/listener.hpp>
#include <rpch/transport/random.hpp>

#include <asio/dispatch.hpp>

namespace rpch::inline RPCH_ABI {

namespace detail {
/// @return a random number; 1 if there is no randomness, which later steps report by themselves.
template <class Int>
Int random_number() noexcept {
    std::array<std::byte, sizeof(Int)> bytes{};
    if (transport::random_bytes(bytes)) return 1;
    return core::load<Int>(bytes.data(), core::byte_order::little);
}
} // namespace detail

namespace detail {
RPCH_DECL std::vector<interface_id> syntaxes_of(const interface_entry& e) {
    auto wanted = e.transfer_syntaxes;
    if (wanted.empty()) {
        wanted.push_back(ndr::transfer_syntax::ndr20);
        if (!e.has_raw_handlers) wanted.push_back(ndr::transfer_syntax::ndr64);
    }
    std::vector<interface_id> out;
    for (const ndr::transfer_syntax each : wanted) out.push_back(ndr::id_of(each));
    return out;
}
} // namespace detail

/// Shared with the handlers that close it, so that a server may go while its strand is busy.
class server::impl : public std::enable_shared_from_this<server::impl> {
  public:
    impl(const transport::executor& on, server_settings settings)
        : shared(std::make_shared<detail::server_shared>(
              on, detail::random_number<std::uint32_t>() | 1U)) {
        transport::bound(settings.first_pdu_wait, settings.pairing_wait, settings.replacement_wait,
                         settings.blocked_wait);
        shared->settings = std::move(settings);
        shared->halves = std::make_shared<transport::rendezvous>(
            shared->context, detail::random_number<std::uint64_t>(),
            transport::rendezvous_settings{shared->settings.first_pdu_wait, shared->settings.log},
            [weak = std::weak_ptr(shared)](std::shared_ptr<transport::rendezvous> at,
                                           const rts::cookie& cookie) {
                auto owner = weak.lock();
                return owner ? std::make_shared<detail::virtual_connection>(std::move(owner),
                                                                            std::move(at), cookie)
                             : nullptr;
            });
        shared->interfaces->executor = shared->context->on;
        auto& options = shared->interfaces->options;
        options.limits.fragment_bytes = shared->settings.max_fragment;
        options.limits.call_bytes_max = shared->settings.call_bytes_max;
        options.security = shared->settings.rpc_security;
        shared->interfaces->pending_bytes_max = shared->settings.pending_bytes_max;
        options.require_header_signing = shared->settings.require_header_signing;
        shared->interfaces->handles.set_limits(shared->settings.context_handles_per_group_max,
                                               shared->settings.context_handles_max);
    }

    std::shared_ptr<detail::server_shared> shared;
    std::vector<std::shared_ptr<transport::listener>> listeners;
    std::shared_ptr<detail::http_front> front; // the proxy roles; null before listen_https
    bool stopped = false;                      // listens no more
    /// What the endpoint map holds of this server.
    struct {
        std::shared_ptr<services::endpoint_map> map; // null before publish_endpoints
        publication how;
        std::vector<services::tower> places; // protocol, port and address of each listener
        std::vector<services::endpoint> entries;
    } published;
    void publish(const services::tower& place);
    void withdraw();
    [[nodiscard]] services::server_facts facts() const;

    /// Handlers are registered before the first listener.
    detail::served_interfaces& serving() {
        auto& interfaces = *shared->interfaces;
        if (interfaces.offered.empty())
            for (std::size_t i = 0; i < interfaces.registry.ids().size(); ++i) {
                const interface_entry& e = interfaces.registry.at(i);
                const auto used = std::make_shared<call_usage>();
                used->stubs->bytes_max = e.call_bytes_max;
                interfaces.offered.push_back(
                    {e.id, detail::syntaxes_of(e),
                     e.minimum_level.value_or(shared->settings.minimum_level), used->stubs});
                interfaces.in_use.push_back(used);
            }
        return interfaces;
    }
    std::error_code open_front(std::string* why) {
        proxy_settings settings = shared->settings.front_door;
        if (!settings.tcp_backends.empty()) {
            if (why != nullptr) *why = "the front door of a server has no TCP backends";
            return errc::bad_setting;
        }
        settings.valid_ports = front_rules();
        if (!settings.log) settings.log = shared->settings.log;
        auto made = detail::http_front::make(shared->context, std::move(settings),
                                             detail::connect_in_memory(shared->halves), why);
        if (!made) return made.error();
        front = std::move(*made);
        return {};
    }
    /// @return ValidPorts of the front door: whatever the client wrote leads to this server.
    [[nodiscard]] std::string front_rules() const {
        const std::string& given = shared->settings.front_door.valid_ports;
        return given.empty() ? "*:1-65535" : given;
    }

    void stop_listening() {
        stopped = true;
        withdraw();
        if (front) front->stop_listening();
        for (const auto& each : listeners) each->stop();
    }
    void close() {
        stopped = true;
        withdraw();
        for (const auto& each : listeners) each->close();
        listeners.clear();
        if (front) front->close();
        const auto live = shared->live; // ending one takes it out of the set
        for (detail::tcp_connection* each : live)
            if (shared->live.count(each) != 0) each->end();
        shared->halves->close();
    }
};

RPCH_DECL server::server(transport::executor on, server_settings settings)
    : impl_(std::make_shared<impl>(on, std::move(settings))) {}
RPCH_DECL server::server(server&&) noexcept = default;
RPCH_DECL server& server::operator=(server&& other) noexcept {
    if (impl_) close();
    impl_ = std::move(other.impl_);
    return *this;
}
RPCH_DECL server::~server() {
    if (impl_) close();
}

RPCH_DECL handler_registry& server::registry() { return impl_->shared->interfaces->registry; }

RPCH_DECL result<std::uint16_t> server::listen(std::string_view binding) {
    const auto parsed = dcerpc::parse_string_binding(binding);
    if (!parsed) return fail(parsed.error());
    if (parsed->rpc_proxy || parsed->http_proxy || parsed->object) return fail(errc::bad_binding);
    static_cast<void>(impl_->serving());
    const bool over_http = parsed->sequence == dcerpc::protocol_sequence::ncacn_http;
    const std::weak_ptr<detail::server_shared> weak = impl_->shared;
    auto accepted = [weak, over_http](transport::tcp::socket socket) {
        const auto shared = weak.lock();
        if (!shared) return;
        if (shared->connections() >= shared->settings.connections_max) {
            shared->log("connection refused: too many");
            return;
        }
        if (over_http)
            shared->halves->accept(std::move(socket));
        else {
            const std::string from = transport::address_text(socket);
            std::make_shared<detail::tcp_connection>(shared, from)->start(std::move(socket));
        }
    };
    auto opened = transport::listener::open(impl_->shared->context->on,
                                            {parsed->host, parsed->endpoint.value_or(0)},
                                            std::move(accepted), impl_->shared->settings.log);
    if (!opened) return fail(opened.error());
    const auto endpoint = (*opened)->endpoint();
    const std::uint16_t port = endpoint.port();
    services::tower place;
    place.protocol = over_http ? services::tower_protocol::http : services::tower_protocol::tcp;
    place.port = port;
    if (endpoint.address().is_v4()) // a tower has no room for an IPv6 address: "the host asked"
        place.address = endpoint.address().to_v4().to_bytes();
    asio::dispatch(impl_->shared->context->on,
                   [impl = impl_, place, fresh = std::move(*opened)]() mutable {
                       fresh->start();
                       impl->listeners.push_back(std::move(fresh));
                       impl->published.places.push_back(place);
                       impl->publish(place);
                   });
    return port;
}

RPCH_DECL result<std::uint16_t> server::listen_https(const transport::host_port& where,
                                                     std::shared_ptr<transport::tls_context> tls,
                                                     std::string* why) {
    static_cast<void>(impl_->serving());
    if (!impl_->front)
        if (const auto ec = impl_->open_front(why)) return fail(ec);
    if (!tls && !impl_->shared->settings.front_door.allow_plain) {
        if (why != nullptr) *why = "HTTP without TLS is not allowed: see front_door.allow_plain";
        return fail(errc::bad_setting);
    }
    const auto port = impl_->front->listen(where, std::move(tls));
    if (!port) return fail(port.error());
    asio::dispatch(impl_->shared->context->on, [shared = impl_->shared, number = *port] {
        // Who comes through a link in memory has reached this port; others tell their own.
        shared->interfaces->options.secondary_address = std::to_string(number);
    });
    return *port;
}

RPCH_DECL std::error_code server::reload_users(std::string* why) {
    if (!impl_->front) return errc::not_open;
    return impl_->front->reload(impl_->front_rules(), why);
}

RPCH_DECL std::error_code server::replace_tls(std::shared_ptr<transport::tls_context> current,
                                              std::shared_ptr<transport::tls_context> fresh) {
    if (!impl_->front) return errc::not_open;
    return impl_->front->replace_tls(std::move(current), std::move(fresh));
}

RPCH_DECL void server::stop_listening() {
    asio::dispatch(impl_->shared->context->on, [impl = impl_] { impl->stop_listening(); });
}

RPCH_DECL void server::close() {
    asio::dispatch(impl_->shared->context->on, [impl = impl_] { impl->close(); });
}

RPCH_DECL std::size_t server::context_handles() const {
    return impl_->shared->interfaces->handles.size();
}

RPCH_DECL std::size_t server::association_groups() const {
    return impl_->shared->interfaces->groups.size();
}

RPCH_DECL std::size_t server::connections() const noexcept {
    return impl_->shared->connections() + (impl_->front ? impl_->front->connections() : 0);
}

} // namespace rpch::inline RPCH_ABI
