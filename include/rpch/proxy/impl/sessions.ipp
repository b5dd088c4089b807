#include <rpch/proxy/sessions.hpp>

#include <algorithm>
#include <array>
#include <utility>

#include <rpch/auth/basic.hpp>
#include <rpch/auth/http_handshake.hpp>
#include <rpch/auth/offers.hpp>
#include <rpch/core/secret.hpp>
#include <rpch/http/status.hpp>
#include <rpch/http/write.hpp>
#include <rpch/transport/listener.hpp>
#include <rpch/transport/password_hash.hpp>

#include <asio/post.hpp>

namespace rpch::inline RPCH_ABI::detail {

/// Wrong credentials on one connection before it is closed.
inline constexpr int wrong_passwords_max = 3;
/// Derivations that wait at the same time; a flood of guesses must not queue without end.
inline constexpr std::size_t derivations_max = 64;

RPCH_DECL void proxy_shared::on_context_shutdown() {
    const auto self = shared_from_this(); // jobs that never ran may hold the last connection
    const auto ending = std::move(workers);
    if (!ending) return;
    ending->stop();
    ending->join();
}

RPCH_DECL bool proxy_shared::claim(const rts::cookie& virtual_connection, const std::string& user) {
    const auto [entry, fresh] = owners.try_emplace(virtual_connection, owner{user, 0});
    if (!fresh && entry->second.user != user) return false;
    ++entry->second.channels;
    return true;
}

RPCH_DECL void proxy_shared::release(const rts::cookie& virtual_connection) {
    const auto entry = owners.find(virtual_connection);
    if (entry != owners.end() && --entry->second.channels == 0) owners.erase(entry);
}

RPCH_DECL rts::client_address client_address_of(const asio::ip::address& address) {
    rts::client_address out;
    const auto copy = [&out](const auto& octets) {
        std::transform(octets.begin(), octets.end(), out.octets.begin(),
                       [](unsigned char octet) { return static_cast<std::byte>(octet); });
    };
    if (address.is_v4())
        copy(address.to_v4().to_bytes());
    else {
        out.family = rts::address_family::ipv6;
        copy(address.to_v6().to_bytes());
    }
    return out;
}

RPCH_DECL http_connection::http_connection(std::shared_ptr<proxy_shared> shared)
    : shared_(std::move(shared)), timer_(shared_->context->on) {
    shared_->live.insert(this);
    ++shared_->connections;
}

RPCH_DECL http_connection::~http_connection() {
    shared_->live.erase(this);
    --shared_->connections;
}

RPCH_DECL void http_connection::start(transport::tcp::socket socket,
                                      const std::shared_ptr<transport::tls_context>& tls) {
    client_ = transport::address_text(socket);
    link_ = std::make_shared<transport::link>(std::move(socket), shared_->context->pool, *this);
    if (tls) link_->use_tls(std::make_unique<transport::tls_engine>(tls));
    arm_timer();
    const auto kept = link_;
    kept->start();
}

/// One limit for TLS, the head, and whatever a connection does before its channel is open.
RPCH_DECL void http_connection::arm_timer() {
    timer_.expires_after(shared_->settings.first_pdu_wait);
    timer_.async_wait([self = shared_from_this()](std::error_code ec) {
        if (ec || !self->link_) return;
        self->shared_->log("HTTP connection of " + self->client_ + " closed: no request in time");
        self->link_->finish();
        self->link_.reset();
    });
}

RPCH_DECL void http_connection::end() {
    timer_.cancel();
    if (link_) link_->close();
    link_.reset();
}

RPCH_DECL void http_connection::on_closed(transport::link& from, std::error_code why) {
    timer_.cancel();
    const auto kept = std::exchange(link_, nullptr); // this may be told from within its start
    // No request, no loss: what balancers open to see whether we live, they often end by a reset.
    const bool idle = !within_head_ && !verifying_;
    if (!idle || (why != errc::channel_closed && why != errc::connection_lost))
        shared_->log("HTTP connection of " + client_ + " ended: " + why.message() +
                     (from.error_detail().empty() ? "" : " (" + from.error_detail() + ")"));
}

RPCH_DECL void http_connection::on_input(transport::link&) {
    while (link_ && !verifying_ && handle_head()) {
    }
    if (link_) link_->flush();
}

/// @return whether another head may follow in the input.
RPCH_DECL bool http_connection::handle_head() {
    if (skip_ != 0) {
        const auto n =
            static_cast<std::size_t>(std::min<std::uint64_t>(skip_, link_->input_size()));
        link_->consume(n);
        skip_ -= n;
        if (skip_ != 0) return false;
    }
    const byte_view input = link_->input();
    const auto end = scanner_.scan(input);
    if (!end) {
        answer_and_finish(http::write_error(http::http_status_for(end.error())),
                          end.error().message());
        return false;
    }
    within_head_ = !*end && !input.empty();
    if (!*end) return false;
    const auto head = http::parse_request_head(input.first(**end));
    if (!head) {
        answer_and_finish(http::write_error(http::http_status_for(head.error())),
                          head.error().message());
        return false;
    }
    judge(*head, **end);
    return link_ != nullptr && !verifying_;
}

RPCH_DECL void http_connection::judge(const http::request_head& head, std::size_t head_bytes) {
    const auto request = http::classify_request(head);
    if (!request)
        return answer_and_finish(http::write_error(http::http_status_for(request.error())),
                                 request.error().message());
    authenticate_.clear();
    if (!has_user_ && authenticate(*request, head_bytes) != verdict::proceed) return;
    has_user_ = false;
    if (request->is_echo())
        answer_echo(*request, head_bytes);
    else
        open_channel(*request, head_bytes);
}

RPCH_DECL http_connection::verdict http_connection::authenticate(const http::request_info& request,
                                                                 std::size_t head_bytes) {
    user_.clear();
    if (!request.authorization && bound_user_) {
        user_ = *bound_user_;
        return verdict::proceed;
    }
    bound_user_.reset(); // whoever proves anything anew is nobody until that is done
    const auth::scheme which =
        request.authorization ? auth::scheme_of(*request.authorization) : auth::scheme::other;
    if (auth::acceptor_for(shared_->settings.http_acceptors, which) != nullptr)
        return shake_hands(request, head_bytes);
    handshake_.forget();
    if (which == auth::scheme::basic && shared_->settings.allow_basic)
        return verify(request, head_bytes);
    if (shared_->settings.allow_anonymous) return verdict::proceed;
    demand_credentials(request, head_bytes);
    return verdict::answered;
}

/// One leg of NTLM or Negotiate. They look like echo requests, so this comes before that question.
RPCH_DECL http_connection::verdict http_connection::shake_hands(const http::request_info& request,
                                                                std::size_t head_bytes) {
    auth::security_options options;
    options.level = auth::authentication_level::connect;
    options.dce_style = false;
    if (const transport::tls_engine* tls = link_->tls())
        options.channel_binding = auth::channel_binding_of(tls->server_end_point());
    auto said = handshake_.take(shared_->settings.http_acceptors, *request.authorization, options);
    using step = auth::http_acceptance::verdict;
    if (said.what == step::next_leg) return next_leg(request, head_bytes, said.challenge);
    legs_ = 0;
    const std::string account = auth::account_of(said.who);
    if (said.what == step::accepted && account.empty() && !shared_->settings.allow_anonymous) {
        said.what = step::refused;
        said.why = "anonymous users are not allowed";
    }
    if (said.what == step::refused) {
        // The client hears the same whatever was wrong: who exists is nobody's business.
        shared_->log("HTTP connection of " + client_ + ": logon failed: " + said.why);
        demand_credentials(request, head_bytes);
        return verdict::answered;
    }
    user_ = account;
    bound_user_ = account;
    authenticate_ = std::move(said.challenge);
    return verdict::proceed;
}

/// Sends the acceptor's token. The next leg must come on this connection, which therefore has to be
/// at the beginning of a request after this one.
RPCH_DECL http_connection::verdict http_connection::next_leg(const http::request_info& request,
                                                             std::size_t head_bytes,
                                                             std::string_view challenge) {
    // RFC 9110 10.1.1: who waits for `100 Continue` and gets a final answer sends no body.
    const bool unsent = request.expect_continue && link_->input_size() == head_bytes;
    const bool bodyless = request.is_echo() || unsent;
    if (!request.keep_alive || !bodyless || ++legs_ > limits::http_auth_legs_max) {
        handshake_.forget();
        attempts_ = wrong_passwords_max; // closes
        demand_credentials(request, head_bytes);
        return verdict::answered;
    }
    const std::array<std::string_view, 1> challenges{challenge};
    const auto response = http::write_unauthorized(challenges, http::after_response::keep);
    if (response)
        answer_unauthorized(*response, request.is_echo() ? request.content_length : 0, head_bytes);
    else
        answer_and_finish(http::write_error(500), response.error().message());
    return verdict::answered;
}

RPCH_DECL http_connection::verdict http_connection::verify(const http::request_info& request,
                                                           std::size_t head_bytes) {
    auto given = auth::decode_basic(*request.authorization);
    if (!given || given->is_anonymous()) {
        if (given && shared_->settings.allow_anonymous) return verdict::proceed;
        demand_credentials(request, head_bytes);
        return verdict::answered;
    }
    const auto* known = shared_->rules->users.find(given->name);
    const std::string hash = known != nullptr ? known->hash : transport::decoy_password_hash();
    user_ = known != nullptr ? known->name : given->name;
    if (known != nullptr &&
        shared_->verified.remembers(user_, given->password.view(), hash, transport::clock::now()))
        return verdict::proceed;
    if (shared_->derivations >= derivations_max) {
        answer_and_finish(http::write_failure(rpc_status::server_too_busy),
                          "too many logons at once");
        return verdict::answered;
    }
    ++shared_->derivations;
    verifying_ = true;
    link_->want_input(false);
    asio::post(*shared_->workers, [self = shared_from_this(), password = std::move(given->password),
                                   hash, exists = known != nullptr]() mutable {
        const bool right = self->shared_->verified.verify(self->user_, password.view(), hash,
                                                          transport::clock::now()) &&
                           exists;
        password.clear();
        auto& shared = *self->shared_;
        asio::post(shared.context->on,
                   [self = std::move(self), right] { self->on_verified(right); });
    });
    return verdict::pending;
}

RPCH_DECL void http_connection::on_verified(bool right) {
    --shared_->derivations;
    verifying_ = false;
    if (!link_) return;
    has_user_ = right;
    scanner_.reset(); // the head is still in the input: judge it again, with the result
    const auto end = scanner_.scan(link_->input());
    const auto head = end && *end ? http::parse_request_head(link_->input().first(**end))
                                  : result<http::request_head>(fail(errc::truncated));
    const auto request =
        head ? http::classify_request(*head) : result<http::request_info>(fail(head.error()));
    if (!request) return answer_and_finish(http::write_error(400), request.error().message());
    if (right)
        judge(*head, **end);
    else {
        shared_->log("HTTP connection of " + client_ + ": wrong password or unknown user " + user_);
        demand_credentials(*request, **end);
    }
    if (link_) on_input(*link_);
    if (link_ && !verifying_) link_->want_input(true);
}

/// A 401. The connection stays for the next attempt if the request had no body to speak of.
RPCH_DECL void http_connection::demand_credentials(const http::request_info& request,
                                                   std::size_t head_bytes) {
    const std::string basic = "Basic realm=\"" + shared_->settings.realm + "\", charset=\"UTF-8\"";
    std::vector<std::string_view> challenges; // clients that do not compare take the first
    for (const auth::scheme each : {auth::scheme::negotiate, auth::scheme::ntlm})
        if (auth::acceptor_for(shared_->settings.http_acceptors, each) != nullptr)
            challenges.push_back(auth::name_of(each));
    if (shared_->settings.allow_basic) challenges.push_back(basic);
    const bool keep = request.keep_alive && request.is_echo() && ++attempts_ < wrong_passwords_max;
    const auto response =
        challenges.empty()
            ? result<std::string>(http::write_error(403))
            : http::write_unauthorized(challenges, keep ? http::after_response::keep
                                                        : http::after_response::close);
    if (!response || !keep)
        return answer_and_finish(response ? *response : http::write_error(500),
                                 "credentials are missing or wrong");
    answer_unauthorized(*response, request.content_length, head_bytes);
}

/// A 401 after which the connection goes on. The views of the request end here.
RPCH_DECL void http_connection::answer_unauthorized(const std::string& response,
                                                    std::uint64_t body_bytes,
                                                    std::size_t head_bytes) {
    link_->write(core::as_bytes(response));
    skip_ = body_bytes;
    link_->consume(head_bytes);
    scanner_.reset();
}

RPCH_DECL void http_connection::answer_echo(const http::request_info& request,
                                            std::size_t head_bytes) {
    link_->write(core::as_bytes(http::write_echo_response(authenticate_)));
    const bool keep = request.keep_alive;
    skip_ = request.content_length;
    link_->consume(head_bytes);
    scanner_.reset();
    arm_timer();
    if (!keep) {
        timer_.cancel();
        link_->finish();
        link_.reset();
    }
}

RPCH_DECL void http_connection::open_channel(const http::request_info& request,
                                             std::size_t head_bytes) {
    if (!request.query)
        return answer_and_finish(http::write_error(http::http_status_for(errc::http_bad_target)),
                                 "no target in the request");
    const auto target = http::parse_target(*request.query);
    if (!target)
        return answer_and_finish(http::write_failure(http::rpc_status_for(target.error())),
                                 "bad target: " + target.error().message());
    if (!shared_->rules->targets.allows(target->server_name, target->port)) {
        // Real clients read 6BA here; the record says more to those who look.
        http::ee_record record;
        record.generating_component = http::ee_component_http_proxy;
        record.status = static_cast<std::uint32_t>(rpc_status::proxy_access_denied);
        return answer_and_finish(http::write_failure(rpc_status::server_unavailable, {&record, 1}),
                                 "ValidPorts does not name " + target->server_name + ":" +
                                     std::to_string(target->port));
    }
    allowed_request allowed;
    allowed.method = request.method;
    allowed.content_length = request.content_length;
    allowed.min_connection_timeout_s = request.min_connection_timeout_s;
    allowed.target = {target->server_name, target->port};
    allowed.user = user_;
    allowed.authenticate = std::move(authenticate_);
    allowed.client = client_;
    allowed.client_address = client_address_of(link_->peer_address());
    if (request.expect_continue) link_->write(core::as_bytes(http::write_continue()));
    link_->consume(head_bytes); // the views of `request` end here
    timer_.cancel();

    const proxy_settings& s = shared_->settings;
    using std::chrono::milliseconds;
    if (allowed.method == http::channel_method::in_data) {
        channel::inbound_proxy machine({.receive_window = s.in_receive_window,
                                        .connection_timeout = s.connection_timeout,
                                        .content_length = allowed.content_length,
                                        .client = allowed.client_address,
                                        .first_pdu_wait = s.first_pdu_wait,
                                        .connect_wait = s.connect_wait,
                                        .pairing_wait = s.pairing_wait,
                                        .replacement_wait = s.replacement_wait,
                                        .blocked_wait = s.blocked_wait});
        std::make_shared<proxy_session<channel::inbound_proxy>>(
            shared_, std::move(allowed), std::move(machine), channel::leg::in_http,
            channel::leg::in_tcp)
            ->start(std::exchange(link_, nullptr));
        return;
    }
    // 3.2.4.5.1: the request's MinConnTimeout decides.
    const milliseconds timeout = allowed.min_connection_timeout_s
                                     ? milliseconds(*allowed.min_connection_timeout_s * 1000ULL)
                                     : s.connection_timeout;
    channel::outbound_proxy machine({.receive_window = s.out_receive_window,
                                     .connection_timeout = timeout,
                                     .channel_lifetime = s.channel_lifetime,
                                     .first_pdu_wait = s.first_pdu_wait,
                                     .connect_wait = s.connect_wait,
                                     .pairing_wait = s.pairing_wait,
                                     .replacement_wait = s.replacement_wait,
                                     .blocked_wait = s.blocked_wait});
    std::make_shared<proxy_session<channel::outbound_proxy>>(
        shared_, std::move(allowed), std::move(machine), channel::leg::out_http,
        channel::leg::out_tcp)
        ->start(std::exchange(link_, nullptr));
}

RPCH_DECL void http_connection::answer_and_finish(const std::string& response,
                                                  const std::string& why) {
    shared_->log("request of " + client_ + (user_.empty() ? "" : " (" + user_ + ")") +
                 " refused: " + why);
    timer_.cancel();
    link_->write(core::as_bytes(response));
    link_->finish();
    link_.reset();
}

} // namespace rpch::inline RPCH_ABI::detail
