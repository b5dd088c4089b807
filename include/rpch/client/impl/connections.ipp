#include <rpch/client/connections.hpp>

#include <array>
#include <utility>

#include <rpch/auth/basic.hpp>
#include <rpch/client/resolve.hpp>
#include <rpch/transport/random.hpp>

namespace rpch::inline RPCH_ABI::detail {

RPCH_DECL origin origin_of(std::error_code why) noexcept {
    if (why.category() != rpch_category()) return origin::tcp;
    switch (static_cast<int>(why.value())) {
    case static_cast<int>(errc::name_not_found): return origin::name_resolution;
    case static_cast<int>(errc::connect_failed):
    case static_cast<int>(errc::connection_lost): return origin::tcp;
    case static_cast<int>(errc::tls_failed):
    case static_cast<int>(errc::tls_untrusted):
    case static_cast<int>(errc::tls_name_mismatch):
    case static_cast<int>(errc::tls_expired):
    case static_cast<int>(errc::tls_truncated):
    case static_cast<int>(errc::tls_no_trust_anchors): return origin::tls;
    case static_cast<int>(errc::http_auth_required):
    case static_cast<int>(errc::http_auth_not_offered):
    case static_cast<int>(errc::http_auth_interrupted): return origin::http;
    case static_cast<int>(errc::http_proxy_refused): return origin::http_proxy;
    case static_cast<int>(errc::bad_credentials):
    case static_cast<int>(errc::no_credentials):
    case static_cast<int>(errc::bad_security_token):
    case static_cast<int>(errc::authentication_failed):
    case static_cast<int>(errc::account_locked):
    case static_cast<int>(errc::security_not_supported):
    case static_cast<int>(errc::security_downgrade):
    case static_cast<int>(errc::bad_signature): return origin::security;
    case static_cast<int>(errc::bind_refused): return origin::bind;
    case static_cast<int>(errc::operation_aborted):
    case static_cast<int>(errc::setup_timeout): return origin::local;
    default: return origin::rts;
    }
}

RPCH_DECL std::string next_step_for(std::error_code why) {
    if (why == errc::name_not_found) return "check the name and the resolver";
    if (why == errc::connect_failed || why == errc::setup_timeout)
        return "check address, port and firewalls";
    if (why == errc::http_proxy_refused)
        return "ask whether the HTTP proxy may open tunnels to this host and port";
    if (why == errc::tls_untrusted)
        return "give the authority that signed the certificate (ca_file, --ca)";
    if (why == errc::tls_name_mismatch)
        return "use the name in the certificate, or have it issued for this one";
    if (why == errc::tls_failed || why == errc::tls_truncated)
        return "check that the port is one for HTTPS; for plain HTTP say HttpUseTls=false";
    if (why == errc::tls_expired) return "renew the certificate, or set this machine's clock";
    if (why == errc::http_auth_required || why == errc::bad_credentials)
        return "check user name, password and scheme";
    if (why == errc::http_auth_interrupted)
        return "NTLM and Negotiate need a connection that stays: check what stands in between";
    return {};
}

inline constexpr const char* asked_to_close = "the server asked to close the connection";
inline constexpr const char* bind_unanswered = "the server did not answer the bind";

// tcp_session

RPCH_DECL tcp_session::tcp_session(std::shared_ptr<transport::strand_context> context,
                                   client_options options, transport::host_port server)
    : client_session(std::move(context), std::move(options)),
      server_(std::move(server)),
      bind_limit_(on()) {}

RPCH_DECL void tcp_session::open() {
    const auto made = std::make_shared<transport::connector>(
        context_->on, server_, options_.connect_wait,
        [self = shared_from_this()](std::error_code ec, transport::tcp::socket socket,
                                    const std::string& detail) {
            if (ec) return self->end(ec, origin_of(ec), detail);
            self->link_ =
                std::make_shared<transport::link>(std::move(socket), self->context_->pool, *self);
            self->link_->expect_pdus();
            self->link_->start();
            self->kick_output();
        });
    connector_ = made;
    made->start();
}

RPCH_DECL void tcp_session::close() {
    end(errc::operation_aborted, origin::local, "the client was closed");
}

RPCH_DECL void tcp_session::on_input(transport::link& from) {
    const auto self = shared_from_this();
    std::error_code ended;
    busy_ = true;
    while (!ended && link_) {
        const auto pdu = from.next_pdu(UINT64_MAX);
        if (!pdu)
            ended = pdu.error();
        else if (!*pdu)
            break;
        else {
            const std::size_t size = (*pdu)->view.size();
            ended = on_rpc_pdu((*pdu)->view);
            if (link_) from.consume(size);
        }
    }
    busy_ = false;
    if (ended) return end(ended, origin_of(ended), association_.closed_detail());
    kick_output();
}

RPCH_DECL void tcp_session::kick_output() {
    constexpr std::size_t queued_max = 256 * 1024;
    if (is_ended()) return;
    bind_limit_.watch(is_binding(), options_.open_wait, *this,
                      [this] { end(errc::setup_timeout, origin::local, bind_unanswered); });
    if (busy_ || !link_) return;
    while (true) {
        while (association_.has_output() && link_->output_size() < queued_max) {
            const std::size_t size = association_.next_output_size();
            link_->commit(association_.write_output(link_->reserve(size)), 0);
        }
        if (const auto ec = association_.output_error())
            return end(ec, origin::security, association_.refusal());
        link_->flush();
        if (link_->output_pending() || !association_.has_output()) break;
    }
    if (may_leave()) end(errc::association_closed, origin::rts, asked_to_close);
}

RPCH_DECL void tcp_session::on_closed(transport::link& from, std::error_code why) {
    const auto self = shared_from_this();
    const std::string left = why == errc::channel_closed ? unfinished_calls() : std::string();
    if (left.empty()) return end(why, origin::tcp, from.error_detail());
    end(errc::connection_lost, origin::tcp, left);
}

RPCH_DECL void tcp_session::end(std::error_code why, origin said_by, const std::string& detail) {
    if (is_ended()) return;
    if (const auto connecting = connector_.lock()) connecting->cancel();
    // The server of a port for ncacn_http ends the connection, or greets first: "ncacn_http/1.0".
    const bool unanswered = link_ && !association_.is_bound() &&
                            (why == errc::connection_lost || why == errc::channel_closed ||
                             why == errc::setup_timeout || why == error_kind::protocol_violation);
    if (link_) link_->finish();
    link_.reset();
    bind_limit_.stop();
    failure f = explain(why, detail.c_str(), false, association_.advice());
    if (unanswered)
        f.next_step = "check that " + server_.to_string() +
                      " is a port for ncacn_ip_tcp, not one for ncacn_http";
    f.said_by = said_by;
    f.where = "TCP connection to " + server_.to_string();
    if (f.next_step.empty()) f.next_step = next_step_for(why);
    on_ended(std::move(f));
}

// make_session

RPCH_DECL result<core::secret> authorization_of(const client_options& options, bool tls,
                                                failure& why) {
    if (options.http_auth == http_authentication::none) return core::secret{};
    if (options.http_auth != http_authentication::basic) {
        const auth::security_initiator* const initiator = options.http_initiator.get();
        if (initiator == nullptr)
            why.detail = "NTLM and Negotiate need credentials of theirs: --auth (http_initiator)";
        else if (options.http_auth == http_authentication::ntlm &&
                 initiator->provider() != auth::security_provider::ntlm)
            why.detail = "the scheme NTLM needs an http_initiator of NTLM";
        else
            return core::secret{};
        why.code = errc::bad_setting;
        return fail(why.code);
    }
    if (!tls && !options.allow_basic_over_plain) {
        why.code = errc::http_auth_needs_tls;
        why.next_step =
            "use TLS, or allow Basic without it: --allow-basic-over-plain (allow_basic_over_plain)";
        return fail(why.code);
    }
    auto value = auth::encode_basic(options.http_user, options.http_password);
    if (!value) why.code = value.error();
    return value;
}

[[nodiscard]] constexpr http_authentication
authentication_of(dcerpc::http_auth_option option) noexcept {
    switch (option) {
    case dcerpc::http_auth_option::basic: return http_authentication::basic;
    case dcerpc::http_auth_option::ntlm: return http_authentication::ntlm;
    case dcerpc::http_auth_option::negotiate: return http_authentication::negotiate;
    }
    return http_authentication::none;
}

RPCH_DECL result<std::shared_ptr<client_session>>
make_http_session(const dcerpc::string_binding& binding, client_options options,
                  session_group& group, failure& why) {
    const auto refuse = [&why](std::error_code code, std::string detail) {
        why.code = code;
        why.detail = std::move(detail);
        return fail(code);
    };
    if (binding.use_http_proxy && !binding.http_proxy)
        return refuse(errc::not_supported,
                      "HttpConnectionOption=UseHttpProxy needs HttpProxy: the system is not asked");
    if (binding.http_proxy && !group.way)
        group.way = std::make_shared<http_way>(
            http_way{{binding.http_proxy->host, binding.http_proxy->port.value_or(80)},
                     binding.use_http_proxy ? std::optional(true) : std::nullopt});
    if (binding.http_auth) options.http_auth = authentication_of(*binding.http_auth);
    const bool tls_on = binding.http_use_tls.value_or(true);
    auto authorization = authorization_of(options, tls_on, why);
    if (!authorization) return fail(authorization.error());
    std::shared_ptr<transport::tls_context> tls;
    if (tls_on) {
        tls = options.tls_context ? options.tls_context : group.tls;
        if (!tls) {
            auto made = transport::tls_context::make_client(options.tls, &why.detail);
            if (!made) return refuse(made.error(), why.detail);
            tls = std::move(*made);
            group.tls = tls; // further connections resume the session of the first
        }
    }
    std::array<rts::cookie, 4> cookies;
    for (rts::cookie& each : cookies)
        if (const auto ec = transport::random_bytes(each.bytes)) return refuse(ec, {});
    const auto session_id = transport::random_uuid();
    if (!session_id) return refuse(session_id.error(), {});
    channel::client_settings settings;
    settings.virtual_connection = cookies[0];
    settings.in_channel = cookies[1];
    settings.out_channel = cookies[2];
    if (!group.cookie) group.cookie = cookies[3];
    settings.association_group = *group.cookie;
    settings.receive_window = options.receive_window;
    settings.in_lifetime = options.channel_lifetime;
    settings.client_keepalive = options.client_keepalive;
    settings.keep_alive = options.keep_alive;
    settings.connection_timeout = options.connection_timeout;
    settings.replace_in_below = options.replace_in_below;
    settings.replacement_wait = options.replacement_wait;
    settings.blocked_wait = options.blocked_wait;
    settings.open_wait = options.open_wait;
    // Without RpcProxy the proxy runs on the server's own machine.
    transport::host_port proxy{binding.host, std::uint16_t{443}};
    if (binding.rpc_proxy) proxy.host = binding.rpc_proxy->host;
    const std::uint16_t usual = tls_on ? 443 : 80;
    proxy.port = binding.rpc_proxy ? binding.rpc_proxy->port.value_or(usual) : usual;
    core::wipe(options.http_password);
    return std::shared_ptr<client_session>(std::make_shared<http_session>(
        group.context, std::move(options), std::move(proxy),
        transport::host_port{binding.host, binding.endpoint.value_or(0)}, std::move(tls), group.way,
        std::move(*authorization), channel::client(settings), *session_id));
}

RPCH_DECL result<std::shared_ptr<client_session>>
make_session_on(session_group& group, const dcerpc::string_binding& binding, client_options options,
                failure& why) {
    result<std::shared_ptr<client_session>> made;
    if (binding.sequence == dcerpc::protocol_sequence::ncacn_http)
        made = make_http_session(binding, std::move(options), group, why);
    else
        made = std::make_shared<tcp_session>(
            group.context, std::move(options),
            transport::host_port{binding.host, binding.endpoint.value_or(0)});
    if (made) {
        (*made)->set_object(binding.object);
        (*made)->set_server(binding.host);
    }
    return made;
}

RPCH_DECL result<std::shared_ptr<client_session>>
make_session(const dcerpc::string_binding& binding, client_options options, session_group& group,
             failure& why) {
    if (binding.host.empty()) {
        why.code = errc::bad_binding;
        why.detail = "the binding needs a host";
        return fail(why.code);
    }
    if (const char* wrong = check_options(options)) {
        why.code = errc::bad_setting;
        why.detail = wrong;
        return fail(why.code);
    }
    transport::bound(options.connect_wait, options.open_wait, options.call_deadline,
                     options.cancel_wait, options.replacement_wait, options.blocked_wait);
    if (!binding.endpoint) return make_resolving_session(group, binding, std::move(options), why);
    return make_session_on(group, binding, std::move(options), why);
}

} // namespace rpch::inline RPCH_ABI::detail
