#include <rpch/proxy/http_front.hpp>

#include <algorithm>
#include <array>
#include <utility>

#include <rpch/auth/http_handshake.hpp>
#include <rpch/proxy/backend.hpp>
#include <rpch/proxy/sessions.hpp>
#include <rpch/transport/random.hpp>
#include <rpch/transport/users_file.hpp>

#include <asio/dispatch.hpp>

namespace rpch::inline RPCH_ABI::detail {

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
    if (!targets)
        return explain("ValidPorts (--valid-ports): cannot read the entry '" + bad_entry +
                       "': 'host:port' or 'host:first-last' is wanted, with ; between entries");
    rules->targets = std::move(*targets);
    if (!users_path.empty()) {
        auto users = transport::read_users_file(users_path, why);
        if (!users) return fail(users.error());
        rules->users = std::move(*users);
    }
    return std::shared_ptr<const access_rules>(std::move(rules));
}

/// @return what is wrong with settings that contradict each other, or nothing.
RPCH_DECL std::string check_settings(const proxy_settings& s) {
    const auto window_ok = [](std::uint32_t window) {
        return window >= limits::receive_window_min && window <= limits::receive_window_max;
    };
    if (!s.allow_anonymous && !s.allow_basic && s.http_acceptors.empty())
        return "nobody could log on: allow an authentication scheme or anonymous users";
    for (auto each = s.http_acceptors.begin(); each != s.http_acceptors.end(); ++each) {
        if (*each == nullptr) return "an acceptor of http_acceptors is missing";
        const auth::scheme which = auth::http_scheme_of((*each)->provider());
        if (which == auth::scheme::other)
            return "an acceptor of http_acceptors must be of NTLM or of Negotiate";
        if (auth::acceptor_for(s.http_acceptors, which) != each->get())
            return "two acceptors of http_acceptors have the scheme " +
                   std::string(auth::name_of(which));
    }
    if (s.allow_basic && s.users_file.empty()) return "Basic authentication needs a users file";
    if (!window_ok(s.in_receive_window) || !window_ok(s.out_receive_window))
        return "a receive window must be 8192 to 262144 bytes";
    if (s.channel_lifetime < limits::channel_lifetime_min ||
        s.channel_lifetime > limits::channel_lifetime_max)
        return "a channel lifetime must be 131072 to 2147483648 bytes";
    return {};
}

/// @return what is wrong with the TCP backends, or nothing.
RPCH_DECL std::string check_backends(const std::vector<tcp_backend>& backends,
                                     const valid_ports& targets) {
    for (auto each = backends.begin(); each != backends.end(); ++each) {
        const transport::host_port& target = each->target;
        const std::string name = target.to_string();
        if (target.host.empty() || target.port == 0 || each->address.host.empty() ||
            each->address.port == 0)
            return "a TCP backend needs host and port of target and address";
        if (std::any_of(backends.begin(), each,
                        [&](const tcp_backend& other) { return other.serves(target); }))
            return "two TCP backends have the target " + name;
        if (!targets.allows(target.host, target.port))
            return "ValidPorts does not name " + name + ", the target of a TCP backend";
    }
    return {};
}

/// Channels to the target of a backend are joined to the server role here, others go by TCP.
RPCH_DECL connect_function route_of(const proxy_shared& shared, std::uint64_t hash_seed) {
    auto by_tcp = connect_by_tcp(shared.context, shared.settings.connect_wait);
    if (shared.settings.tcp_backends.empty()) return by_tcp;
    std::vector<std::shared_ptr<backend>> backends;
    for (const tcp_backend& each : shared.settings.tcp_backends)
        backends.push_back(backend::make(shared.context, hash_seed,
                                         {.where = each,
                                          .connect_wait = shared.settings.connect_wait,
                                          .first_pdu_wait = shared.settings.first_pdu_wait,
                                          .receive_window = shared.settings.in_receive_window,
                                          .pairing_wait = shared.settings.pairing_wait,
                                          .replacement_wait = shared.settings.replacement_wait,
                                          .blocked_wait = shared.settings.blocked_wait,
                                          .replace_out_below = shared.settings.replace_out_below,
                                          .log = shared.settings.log}));
    return [by_tcp = std::move(by_tcp), backends = std::move(backends)](const wanted_link& wanted,
                                                                        link_handler done) {
        for (const auto& each : backends)
            if (each->settings().where.serves(wanted.target))
                return each->connect(wanted, std::move(done));
        return by_tcp(wanted, std::move(done));
    };
}

RPCH_DECL result<std::shared_ptr<http_front>>
http_front::make(std::shared_ptr<transport::strand_context> context, proxy_settings settings,
                 connect_function route, std::string* why) {
    const auto refuse = [why](std::string text) {
        if (why != nullptr) *why = std::move(text);
        return fail(errc::bad_setting);
    };
    if (auto wrong = check_settings(settings); !wrong.empty()) return refuse(std::move(wrong));
    auto rules = read_access_rules(settings.valid_ports, settings.users_file, why);
    if (!rules) return fail(rules.error());
    if (auto wrong = check_backends(settings.tcp_backends, (*rules)->targets); !wrong.empty())
        return refuse(std::move(wrong));
    std::array<std::byte, 8> random{};
    if (const auto ec = transport::random_bytes(random)) return fail(ec);
    const auto seed = core::load<std::uint64_t>(random.data(), core::byte_order::little);
    auto shared = std::make_shared<proxy_shared>(std::move(context), seed);
    shared->rules = std::move(*rules);
    if (settings.allow_basic) shared->workers = std::make_unique<asio::thread_pool>(1);
    transport::bound(settings.connect_wait, settings.first_pdu_wait, settings.pairing_wait,
                     settings.replacement_wait, settings.blocked_wait);
    shared->settings = std::move(settings);
    shared->connect = route ? std::move(route) : route_of(*shared, seed);
    return std::shared_ptr<http_front>(new http_front(std::move(shared)));
}

RPCH_DECL result<std::uint16_t> http_front::listen(const transport::host_port& where,
                                                   std::shared_ptr<transport::tls_context> tls) {
    if (!tls && !shared_->settings.allow_plain) return fail(errc::bad_setting);
    const auto shown = std::make_shared<std::shared_ptr<transport::tls_context>>(std::move(tls));
    auto opened = transport::listener::open(
        shared_->context->on, where,
        [weak = std::weak_ptr(shared_), shown](transport::tcp::socket socket) {
            const auto shared = weak.lock();
            if (!shared) return;
            if (shared->connections >= shared->settings.connections_max)
                return shared->log("connection refused: too many");
            std::make_shared<http_connection>(shared)->start(std::move(socket), *shown);
        },
        shared_->settings.log);
    if (!opened) return fail(opened.error());
    const std::uint16_t port = (*opened)->endpoint().port();
    asio::dispatch(shared_->context->on,
                   [self = shared_from_this(), fresh = std::move(*opened), shown]() mutable {
                       fresh->start();
                       self->doors_.push_back({std::move(fresh), shown});
                   });
    return port;
}

RPCH_DECL std::error_code http_front::replace_tls(std::shared_ptr<transport::tls_context> current,
                                                  std::shared_ptr<transport::tls_context> fresh) {
    if (!current || !fresh || !fresh->is_server()) return errc::bad_setting;
    asio::dispatch(shared_->context->on, [self = shared_from_this(), current = std::move(current),
                                          fresh = std::move(fresh)] {
        for (const door& each : self->doors_)
            if (*each.shown == current) *each.shown = fresh;
    });
    return {};
}

RPCH_DECL std::error_code http_front::reload(const std::string& valid_ports_text,
                                             std::string* why) {
    auto rules = read_access_rules(valid_ports_text, shared_->settings.users_file, why);
    if (!rules) return rules.error();
    asio::dispatch(shared_->context->on,
                   [shared = shared_, fresh = std::move(*rules)] { shared->rules = fresh; });
    return {};
}

RPCH_DECL void http_front::stop_listening() {
    for (const door& each : doors_) each.listener->stop();
}

RPCH_DECL void http_front::close() {
    for (const door& each : doors_) each.listener->close();
    doors_.clear();
    const auto live = shared_->live; // ending one takes it out of the set
    for (proxy_connection* each : live)
        if (shared_->live.count(each) != 0) each->end();
}

RPCH_DECL std::size_t http_front::connections() const noexcept {
    return shared_->connections + shared_->context->pool->retired_links();
}

} // namespace rpch::inline RPCH_ABI::detail
