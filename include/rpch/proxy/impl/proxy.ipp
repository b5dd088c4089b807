#include <rpch/proxy/proxy.hpp>

#include <array>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include <rpch/proxy/sessions.hpp>
#include <rpch/transport/listener.hpp>
#include <rpch/transport/random.hpp>

#include <asio/dispatch.hpp>

namespace rpch::inline RPCH_ABI {

namespace detail {

RPCH_DECL result<std::shared_ptr<const access_rules>>
read_access_rules(const std::string& valid_ports_text, const std::string& users_path,
                  std::string* why) {
    const auto explain = [why](std::string text) {
        if (why != nullptr) *why = std::move(text);
        return fail(errc::bad_setting);
    };
    auto rules = std::make_shared<access_rules>();
    std::string bad_entry;
    auto targets = valid_ports::parse(valid_ports_text, &bad_entry);
    if (!targets) return explain("ValidPorts: cannot read the entry '" + bad_entry + "'");
    rules->targets = std::move(*targets);
    if (!users_path.empty()) {
        std::ifstream file(users_path, std::ios::binary);
        if (!file) return explain("cannot open the users file " + users_path);
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        std::size_t line = 0;
        auto users = auth::users_file::parse(text, &line);
        if (!users)
            return explain("users file, line " + std::to_string(line) + ": " +
                           users.error().message());
        rules->users = std::move(*users);
    }
    return std::shared_ptr<const access_rules>(std::move(rules));
}

/// @return what is wrong with settings that contradict each other, or nothing.
RPCH_DECL std::string check_settings(const proxy_settings& s) {
    const auto window_ok = [](std::uint32_t window) {
        return window >= limits::receive_window_min && window <= limits::receive_window_max;
    };
    if (!s.allow_anonymous && !s.allow_basic)
        return "nobody could log on: allow an authentication scheme or anonymous users";
    if (s.allow_basic && s.users_file.empty()) return "Basic authentication needs a users file";
    if (!window_ok(s.in_receive_window) || !window_ok(s.out_receive_window))
        return "a receive window must be 8192 to 262144 bytes";
    if (s.channel_lifetime < limits::channel_lifetime_min ||
        s.channel_lifetime > limits::channel_lifetime_max)
        return "a channel lifetime must be 131072 to 2147483648 bytes";
    return {};
}

} // namespace detail

class proxy::impl : public std::enable_shared_from_this<proxy::impl> {
  public:
    explicit impl(std::shared_ptr<detail::proxy_shared> s) : shared(std::move(s)) {}

    std::shared_ptr<detail::proxy_shared> shared;
    std::vector<std::shared_ptr<transport::listener>> listeners;

    void stop_listening() {
        for (const auto& each : listeners) each->close();
        listeners.clear();
    }
    void close() {
        stop_listening();
        const auto live = shared->live; // ending one takes it out of the set
        for (detail::proxy_connection* each : live)
            if (shared->live.count(each) != 0) each->end();
    }
};

RPCH_DECL result<proxy> proxy::make(transport::executor on, proxy_settings settings,
                                    std::string* why) {
    const std::string wrong = detail::check_settings(settings);
    if (!wrong.empty()) {
        if (why != nullptr) *why = wrong;
        return fail(errc::bad_setting);
    }
    auto rules = detail::read_access_rules(settings.valid_ports, settings.users_file, why);
    if (!rules) return fail(rules.error());
    std::array<std::byte, 8> seed{};
    if (const auto ec = transport::random_bytes(seed)) return fail(ec);
    auto shared = std::make_shared<detail::proxy_shared>(
        std::make_shared<transport::strand_context>(on),
        core::load<std::uint64_t>(seed.data(), core::byte_order::little));
    shared->rules = std::move(*rules);
    if (settings.allow_basic) shared->workers = std::make_unique<asio::thread_pool>(1);
    shared->settings = std::move(settings);
    shared->connect = detail::connect_by_tcp(shared->context, shared->settings.connect_wait);
    return proxy(std::make_shared<impl>(std::move(shared)));
}

RPCH_DECL proxy::proxy(proxy&&) noexcept = default;
RPCH_DECL proxy& proxy::operator=(proxy&& other) noexcept {
    if (impl_) close();
    impl_ = std::move(other.impl_);
    return *this;
}
RPCH_DECL proxy::~proxy() {
    if (impl_) close();
}

RPCH_DECL result<std::uint16_t> proxy::listen(const transport::host_port& where,
                                              std::shared_ptr<transport::tls_context> tls) {
    if (!tls && !impl_->shared->settings.allow_plain) return fail(errc::bad_setting);
    const std::weak_ptr<detail::proxy_shared> weak = impl_->shared;
    auto opened = transport::listener::open(
        impl_->shared->context->on, where,
        [weak, tls = std::move(tls)](transport::tcp::socket socket) {
            const auto shared = weak.lock();
            if (!shared) return;
            if (shared->connections >= shared->settings.connections_max)
                return shared->log("connection refused: too many");
            std::make_shared<detail::http_connection>(shared)->start(std::move(socket), tls);
        });
    if (!opened) return fail(opened.error());
    const std::uint16_t port = (*opened)->endpoint().port();
    impl_->listeners.push_back(std::move(*opened));
    return port;
}

RPCH_DECL std::error_code proxy::reload(const std::string& valid_ports_text, std::string* why) {
    auto rules =
        detail::read_access_rules(valid_ports_text, impl_->shared->settings.users_file, why);
    if (!rules) return rules.error();
    asio::dispatch(impl_->shared->context->on,
                   [shared = impl_->shared, fresh = std::move(*rules)] { shared->rules = fresh; });
    return {};
}

RPCH_DECL void proxy::stop_listening() {
    asio::dispatch(impl_->shared->context->on, [impl = impl_] { impl->stop_listening(); });
}

RPCH_DECL void proxy::close() {
    asio::dispatch(impl_->shared->context->on, [impl = impl_] { impl->close(); });
}

RPCH_DECL std::size_t proxy::connections() const noexcept { return impl_->shared->connections; }

RPCH_DECL std::uint64_t proxy::copied_bytes() const noexcept {
    return impl_->shared->context->pool->copied();
}

} // namespace rpch::inline RPCH_ABI
