// The client's end of a virtual connection: requests, logons and responses in front of its PDUs.
#include <rpch/client/connections.hpp>

#include <utility>

#include <rpch/auth/offers.hpp>
#include <rpch/http/write.hpp>
#include <rpch/transport/random.hpp>

namespace rpch::inline RPCH_ABI::detail {

RPCH_DECL
http_session::http_session(std::shared_ptr<transport::strand_context> context,
                           client_options options, transport::host_port proxy,
                           transport::host_port target, std::shared_ptr<transport::tls_context> tls,
                           std::shared_ptr<http_way> way, core::secret authorization,
                           channel::client machine, uuid session_id)
    : channel_driver(context, std::move(machine)),
      client_session(context, std::move(options)),
      proxy_(std::move(proxy)),
      target_(std::move(target)),
      tls_(std::move(tls)),
      way_(std::move(way)),
      authorization_(std::move(authorization)),
      session_id_(session_id),
      in_end_limit_(this->context().on),
      bind_limit_(this->context().on) {}

RPCH_DECL http_session::~http_session() = default;

RPCH_DECL std::shared_ptr<client_session> http_session::shared_session() {
    return std::static_pointer_cast<http_session>(shared_from_this());
}

RPCH_DECL void http_session::open() {
    if (!way_ || way_->must_use) return start_machine();
    const auto self = std::static_pointer_cast<http_session>(shared_from_this());
    const auto finder = std::make_shared<way_finder>(
        shared_context(),
        way_finder::question{proxy_, target_, way_->proxy, tls_, options_.connect_wait},
        [self](std::error_code ec, bool through_proxy, const std::string& detail) {
            self->on_way(ec, through_proxy, detail);
        });
    finder_ = finder;
    finder->start();
}

RPCH_DECL void http_session::on_way(std::error_code ec, bool through_proxy,
                                    const std::string& detail) {
    if (is_shut()) return;
    if (!ec) {
        way_->must_use = through_proxy;
        return start_machine();
    }
    set_detail(detail);
    run([&](channel::client& m, transport::time_point at, channel::action_list& out) {
        m.on_closed(channel::leg::in_http, ec, at, out);
    });
}

RPCH_DECL void http_session::start_machine() {
    run([](channel::client& m, transport::time_point at, channel::action_list& out) {
        m.start(at, out);
    });
}

RPCH_DECL void http_session::close() {
    if (is_shut()) return;
    noted_.code = errc::operation_aborted;
    noted_.detail = "the client was closed";
    run([](channel::client& m, transport::time_point at, channel::action_list& out) {
        m.close(at, out);
    });
}

[[nodiscard]] constexpr bool is_in(channel::leg which) noexcept {
    return which == channel::leg::in_http || which == channel::leg::successor_in_http;
}

RPCH_DECL http_session::http_side& http_session::side(channel::leg which) {
    auto& slot = sides_[static_cast<std::size_t>(which)];
    if (!slot) slot = std::make_unique<http_side>();
    return *slot;
}

/// What a predecessor still brings is dropped unread: nothing decodes it any more.
RPCH_DECL void http_session::promoted(channel::leg which) {
    auto& now_default = sides_[static_cast<std::size_t>(which)];
    now_default = std::move(sides_[static_cast<std::size_t>(channel::successor_of(which))]);
}

/// Without a session to resume, the OUT channel waits until the IN channel's handshake has made
/// one: a full handshake costs a hundred times a resumed one.
RPCH_DECL void http_session::open_leg(channel::leg which) {
    if (which == channel::leg::out_http && tls_ && tls_->stored_sessions() == 0 &&
        options_.tls.resume_sessions) {
        out_waits_for_in_ = true;
        return;
    }
    connect(which);
}

RPCH_DECL void http_session::connect(channel::leg which, bool again) {
    const auto self = std::static_pointer_cast<http_session>(shared_from_this());
    auto& slot = sides_[static_cast<std::size_t>(which)];
    slot = std::make_unique<http_side>(); // a successor that is tried again begins afresh
    slot->tried_again = again;
    slot->connected_by = transport::clock::now() + options_.connect_wait;
    const auto made =
        connect_by(context().on, http_proxy(), proxy_, tls_ != nullptr, options_.connect_wait,
                   [self, which](std::error_code ec, transport::tcp::socket socket,
                                 const std::string& detail) {
                       self->on_connect(which, ec, std::move(socket), detail);
                   });
    slot->connector = made;
    made->start();
}

RPCH_DECL void http_session::on_connect(channel::leg which, std::error_code ec,
                                        transport::tcp::socket socket, const std::string& detail) {
    if (is_shut()) return;
    if (ec) {
        set_detail(detail);
        return run([&](channel::client& m, transport::time_point at, channel::action_list& out) {
            m.on_closed(which, ec, at, out);
        });
    }
    auto made = std::make_shared<transport::link>(std::move(socket), context().pool, *this);
    if (tls_)
        made->use_tls(std::make_unique<transport::tls_engine>(tls_, proxy_.host, proxy_.port));
    attach(which, made);
    if (tls_)
        limit_handshake(which);
    else
        start_request(which);
    if (made->is_open()) made->start();
}

/// Whoever takes the connection may be no TLS server, and say nothing.
RPCH_DECL void http_session::limit_handshake(channel::leg which) {
    http_side& here = side(which);
    here.handshake_limit.emplace(context().on, here.connected_by);
    const std::weak_ptr<http_session> weak =
        std::static_pointer_cast<http_session>(shared_from_this());
    here.handshake_limit->async_wait([weak, which, made = at(which)](std::error_code ec) {
        const auto self = weak.lock();
        // Another link may be there by now, which has a limit of its own.
        if (ec || !self || self->is_shut() || self->at(which) != made) return;
        if (made->tls()->is_established()) return;
        self->set_detail("the TLS handshake was not answered in time");
        self->run([&](channel::client&, transport::time_point, channel::action_list&) {
            self->protocol_error(which, errc::setup_timeout);
        });
    });
}

RPCH_DECL void http_session::on_secured(transport::link& from) {
    const channel::leg which = leg_of(from);
    side(which).handshake_limit.reset();
    if (which == channel::leg::in_http && std::exchange(out_waits_for_in_, false))
        connect(channel::leg::out_http);
    start_request(which);
}

RPCH_DECL void http_session::start_request(channel::leg which) {
    run([&](channel::client&, transport::time_point, channel::action_list&) {
        begin_request(which);
    });
}

[[nodiscard]] constexpr auth::scheme scheme_of(http_authentication how) noexcept {
    switch (how) {
    case http_authentication::none: break;
    case http_authentication::basic: return auth::scheme::basic;
    case http_authentication::ntlm: return auth::scheme::ntlm;
    case http_authentication::negotiate: return auth::scheme::negotiate;
    }
    return auth::scheme::other;
}

/// NTLM and Negotiate come before the request: its body cannot be sent twice.
RPCH_DECL void http_session::begin_request(channel::leg which) {
    const auth::scheme scheme = scheme_of(options_.http_auth);
    if (scheme != auth::scheme::ntlm && scheme != auth::scheme::negotiate)
        return send_head(which, authorization_.view());
    auth::security_options wanted;
    wanted.level = auth::authentication_level::connect;
    wanted.target = "HTTP/" + proxy_.host;
    wanted.dce_style = false;
    if (const transport::tls_engine* tls = at(which)->tls())
        wanted.channel_binding = auth::channel_binding_of(tls->server_end_point());
    http_side& here = side(which);
    here.logon =
        std::make_unique<auth::http_logon>(options_.http_initiator, scheme, std::move(wanted));
    const auto first = here.logon->begin();
    if (!first) return logon_failed(which, first.error());
    here.reservations = here.logon->reservations();
    if (here.logon->is_established()) return send_head(which, first->view());
    send_leg(which, *first);
}

/// Ends the leg by an error of this side, which is no response of the proxy.
RPCH_DECL void http_session::logon_failed(channel::leg which, std::error_code why) {
    const http_side& here = side(which);
    set_detail("logon at the RPC proxy by " + std::string(auth::name_of(here.logon->which())) +
               ": " + here.logon->detail());
    noted_.next_step = here.logon->next_step();
    protocol_error(which, why);
    if (!machine().ended_with()) noted_ = {}; // a successor, which is tried again
}

/// A request that only carries authentication: the channel's method, and no body.
RPCH_DECL void http_session::send_leg(channel::leg which, const core::secret& authorization) {
    auto text = head_for(which, 0, authorization.view());
    if (!text) return protocol_error(which, text.error());
    side(which).in_legs = true;
    at(which)->write(core::as_bytes(*text));
    core::wipe(*text);
}

/// @return whether nothing is left of the body of a response.
RPCH_DECL bool http_session::skip_body(channel::leg which, transport::link& from) {
    http_side& here = side(which);
    if (here.body_skip != 0) {
        const auto n = std::min<std::uint64_t>(here.body_skip, from.input_size());
        from.consume(static_cast<std::size_t>(n));
        here.body_skip -= n;
        return here.body_skip == 0;
    }
    if (!here.leg_body) return true;
    // Decoding is in place, and input is for reading only. A leg's body is a page for people.
    const byte_view input = from.input();
    std::vector<std::byte> page(input.begin(), input.end());
    const auto moved = here.leg_body->decode(page);
    if (!moved) {
        protocol_error(which, moved.error());
        return false;
    }
    from.consume(moved->consumed);
    if (!moved->done) return false;
    here.leg_body.reset();
    return true;
}

RPCH_DECL void http_session::read_leg_response(channel::leg which, transport::link& from) {
    while (!is_shut() && at(which) == &from && side(which).in_legs && from.input_size() != 0) {
        if (!skip_body(which, from)) return;
        const byte_view input = from.input();
        const auto end = side(which).scanner.scan(input);
        if (!end) return protocol_error(which, end.error());
        if (!*end) return;
        const auto head = http::parse_response_head(input.first(**end));
        const auto response =
            head ? http::read_response(*head) : result<http::response_info>(fail(head.error()));
        if (!response) return protocol_error(which, response.error());
        side(which).scanner.reset();
        if (response->is_interim()) {
            from.consume(**end);
            continue;
        }
        if (response->status != 200 && response->status != 401)
            return on_failure_response(*response, input.subspan(**end), which);
        if (response->framing == http::body_framing::length)
            side(which).body_skip = response->content_length;
        else if (response->framing == http::body_framing::chunked)
            side(which).leg_body.emplace(response->framing, 0);
        const std::size_t head_bytes = **end;
        on_leg_response(which, *response);
        if (at(which) == &from) from.consume(head_bytes); // the views of `response` end here
    }
}

RPCH_DECL void http_session::on_leg_response(channel::leg which,
                                             const http::response_info& response) {
    http_side& here = side(which);
    auth::http_logon& logon = *here.logon;
    const auto offers = auth::parse_offers(response.authenticate);
    const auth::offer* const offer = offers.find(logon.which());
    if (response.status == 200) {
        // The answer to an echo request: no further leg is needed.
        if (const auto bad = logon.finish(offer)) return logon_failed(which, bad);
        if (!response.keep_alive) return begin_again(which);
        // After several legs it is the connection that is authenticated, and a new first token
        // would begin another handshake. After one leg it may be the request alone.
        if (logon.legs() > 1) return send_head(which, {});
        const auto again = logon.begin();
        if (!again) return logon_failed(which, again.error());
        return send_head(which, again->view());
    }
    const bool goes_on = offer != nullptr && !offer->token.empty();
    // Some close where they see a connection for the first time; where a token was refused, one
    // more connection tells.
    const bool first_try = offer != nullptr && logon.legs() == 1 && !here.tried_again;
    if (!response.keep_alive && (goes_on || first_try)) return begin_again(which);
    if (!goes_on) return on_failure_response(response, {}, which);
    const auto next = logon.answer(offer->token);
    if (!next) return logon_failed(which, next.error());
    if (logon.is_established()) return send_head(which, next->view());
    send_leg(which, *next);
}

/// The proxy ends the connection between two legs, and says so: once, another one may do.
RPCH_DECL void http_session::begin_again(channel::leg which) {
    if (side(which).tried_again) {
        set_detail("the RPC proxy ends the connection after each leg");
        return protocol_error(which, errc::http_auth_interrupted);
    }
    if (const auto going = detach(which)) going->finish();
    connect(which, true);
}

RPCH_DECL void http_session::on_closed(transport::link& from, std::error_code why) {
    const channel::leg which = leg_of(from);
    const bool silent = why == errc::channel_closed || origin_of(why) == origin::tcp;
    if (side(which).in_legs && silent)
        why = errc::http_auth_interrupted;
    else if (which == channel::leg::in_http && silent && out_may_tell())
        return wait_for_out(why, from.error_detail());
    channel_driver::on_closed(from, why);
}

/// @return whether the connection is not open yet, and the OUT channel has not said how far it is.
RPCH_DECL bool http_session::out_may_tell() const {
    const auto& out = sides_[static_cast<std::size_t>(channel::leg::out_http)];
    const bool alive = at(channel::leg::out_http) != nullptr || (out && !out->connector.expired());
    return alive && !is_shut() && machine().current() < channel::client::state::wait_c2;
}

/// An IN channel that ends without a response tells nothing. What the OUT channel brings tells
/// whether it was the proxy or what stands behind it, and may be on its way.
RPCH_DECL void http_session::wait_for_out(std::error_code why, std::string detail) {
    constexpr std::chrono::seconds out_answer_wait{2};
    if (why == errc::channel_closed) {
        why = errc::connection_lost;
        detail = unfinished();
    }
    in_end_ = {why, std::move(detail)};
    detach(channel::leg::in_http).reset();
    in_end_limit_.watch(true, out_answer_wait, *this, [this] {
        if (is_shut() || !in_end_) return;
        run([this](channel::client&, transport::time_point, channel::action_list&) {
            tell_in_end();
        });
    });
}

/// Within `run` or `produce`.
RPCH_DECL void http_session::tell_in_end() {
    in_end_limit_.stop();
    const ending told = *std::exchange(in_end_, {});
    set_detail(told.detail);
    mutable_machine().on_closed(channel::leg::in_http, told.why, now(), actions());
}

RPCH_DECL result<std::string> http_session::head_for(channel::leg which,
                                                     std::uint64_t content_length,
                                                     std::string_view authorization) const {
    const bool in = is_in(which);
    const std::string host = host_header(proxy_, tls_ != nullptr);
    const std::string origin =
        http_proxy() != nullptr ? origin_for_http_proxy(proxy_, tls_ != nullptr) : std::string();
    http::channel_request_options head;
    head.method = in ? http::channel_method::in_data : http::channel_method::out_data;
    head.host = host;
    head.server_name = target_.host;
    head.server_port = target_.port;
    head.content_length = content_length;
    head.authorization = authorization;
    head.origin = origin;
    head.session_id = session_id_;
    if (options_.connection_timeout)
        head.min_connection_timeout_s = static_cast<std::uint32_t>(
            std::clamp<std::int64_t>(options_.connection_timeout->count() / 1000, 120, 14400));
    return http::write_channel_request(head);
}

RPCH_DECL void http_session::send_head(channel::leg which, std::string_view authorization) {
    side(which).in_legs = false;
    const bool successor = which != channel::leg::in_http && which != channel::leg::out_http;
    const std::uint64_t content_length = is_in(which) ? options_.channel_lifetime
                                         : successor  ? http::out_replacement_content_length
                                                      : http::out_channel_content_length;
    auto text = head_for(which, content_length, authorization);
    if (!text) return protocol_error(which, text.error());
    at(which)->write(core::as_bytes(*text));
    core::wipe(*text);
    if (is_in(which)) side(which).logon.reset(); // IN has no answer that could prove anything
    if (!successor)
        mutable_machine().on_connected(which, now(), actions());
    else {
        rts::cookie fresh;
        if (const auto bad = transport::random_bytes(fresh.bytes))
            return protocol_error(which, bad);
        mutable_machine().on_successor_connected(which, fresh, now(), actions());
    }
    perform(nullptr);
}

RPCH_DECL bool http_session::past_preamble(channel::leg which, transport::link& from) {
    if (side(which).in_legs) read_leg_response(which, from);
    if (is_shut() || at(which) != &from || side(which).in_legs) return false;
    if (!skip_body(which, from)) return false;
    if (is_in(which)) return read_in_response(which, from);
    if (!side(which).is_open) return read_out_response(which, from);
    // Windows proxies write a failure response into a running OUT body.
    const byte_view input = from.front();
    if (input.empty() || !http::begins_like_head(input)) return true;
    const auto failure_head = http::read_failure_in_body(from.input());
    if (!failure_head)
        protocol_error(which, failure_head.error());
    else if (*failure_head)
        on_failure_response(**failure_head, {}, which);
    return false;
}

/// Looks for one response head. @return whether a final (not 1xx) head was handled.
RPCH_DECL bool http_session::scan_response(transport::link& from, channel::leg which) {
    http::head_scanner& scanner = side(which).scanner;
    while (true) {
        const byte_view input = from.input();
        const auto end = scanner.scan(input);
        if (!end) {
            protocol_error(which, end.error());
            return false;
        }
        if (!*end) return false;
        const auto head = http::parse_response_head(input.first(**end));
        const auto response =
            head ? http::read_response(*head) : result<http::response_info>(fail(head.error()));
        if (!response) {
            protocol_error(which, response.error());
            return false;
        }
        proxy_answered_ = true;
        scanner.reset();
        if (response->is_interim()) {
            from.consume(**end);
            continue;
        }
        if (response->status != 200) {
            on_failure_response(*response, input.subspan(**end), which);
            return false;
        }
        if (const auto& logon = side(which).logon; logon && !is_in(which)) {
            const auto offers = auth::parse_offers(response->authenticate);
            if (const auto bad = logon->finish(offers.find(logon->which()))) {
                logon_failed(which, bad);
                return false;
            }
            side(which).logon.reset();
        }
        if (!is_in(which)) {
            const auto framing = http::out_channel_framing(*response, http::zero_length::ignore);
            if (framing == http::body_framing::length)
                set_body_left(which, response->content_length);
            const bool chunked = framing == http::body_framing::chunked;
            from.consume(**end);
            if (chunked)
                if (const auto bad = from.decode_chunks(side(which).chunks)) {
                    protocol_error(which, bad);
                    return false;
                }
        } else {
            side(which).body_skip = response->content_length;
            from.consume(**end);
        }
        return true;
    }
}

RPCH_DECL bool http_session::read_out_response(channel::leg which, transport::link& from) {
    if (!scan_response(from, which)) return false;
    side(which).is_open = true;
    from.expect_pdus();
    mutable_machine().on_response(which, 200, std::nullopt, now(), actions());
    perform(nullptr);
    return !is_shut();
}

/// The IN request is answered in bad weather only; an early 200 of some proxies is read over.
RPCH_DECL bool http_session::read_in_response(channel::leg which, transport::link& from) {
    while (!is_shut() && from.input_size() != 0) {
        std::uint64_t& skip = side(which).body_skip;
        if (skip != 0) {
            const auto n = std::min<std::uint64_t>(skip, from.input_size());
            from.consume(static_cast<std::size_t>(n));
            skip -= n;
            continue;
        }
        if (!scan_response(from, which)) return false;
        mutable_machine().on_response(which, 200, std::nullopt, now(), actions());
        perform(nullptr);
    }
    return false; // no PDU ever comes on this leg
}

RPCH_DECL void http_session::on_failure_response(const http::response_info& response,
                                                 byte_view body, channel::leg which) {
    noted_ = {};
    noted_.code = http::response_error(response);
    noted_.said_by = origin::http;
    noted_.detail =
        "status " + std::to_string(response.status) + " " + std::string(response.reason);
    if (response.status == 401) {
        const auto offered = auth::parse_offers(response.authenticate);
        const auth::scheme used = scheme_of(options_.http_auth);
        const bool wanted = used != auth::scheme::other;
        noted_.detail += ", offered: " + offered.to_string() +
                         ", used: " + (wanted ? std::string(auth::name_of(used)) : "none");
        if (const std::string& more = side(which).reservations; !more.empty())
            noted_.detail += "; " + more;
        noted_.next_step = wanted ? "check user name and password" : "give a user and a password";
        if (wanted && offered.find(used) == nullptr) {
            noted_.code = errc::http_auth_not_offered;
            noted_.next_step = "use a scheme that is offered, or have the proxy offer this one";
        }
    } else if (response.rpc_error) {
        noted_.said_by = origin::rpc_proxy;
        noted_.detail =
            "RPC Error " + core::to_hex_number(static_cast<std::uint32_t>(*response.rpc_error));
        noted_.next_step = "ask whether the server " + target_.to_string() +
                           " runs and whether the proxy's ValidPorts names it in this spelling";
        for (const auto& record : http::error_records(response, body)) {
            if (record.detection_location == http::ee_location_connect_failed) {
                noted_.detail += ": the proxy could not connect to the server";
                noted_.next_step = "start the RPC server at " + target_.to_string() +
                                   ", or correct the name; the RPC proxy's log may tell more";
            } else if (record.status ==
                       static_cast<std::uint32_t>(rpc_status::proxy_access_denied)) {
                noted_.code = rpc_status::proxy_access_denied;
                noted_.detail += ": the proxy does not allow this target";
                noted_.next_step = "have " + target_.to_string() +
                                   " added to the proxy's ValidPorts, or correct server name and "
                                   "port in the binding";
            }
        }
    } else if (response.status == 404)
        noted_.next_step = "check that the address is that of an RPC proxy";
    else if (response.status == 407) {
        noted_.said_by = origin::http_proxy;
        noted_.next_step = "the HTTP proxy has to let this client through without a logon";
    }
    const int status = response.status;
    const auto number = response.rpc_error;
    mutable_machine().on_response(which, status, number, now(), actions());
    perform(nullptr);
}

RPCH_DECL void http_session::deliver(const transport::pdu_ref& pdu) {
    const std::size_t size = pdu.view.size();
    if (!association_ended_) association_ended_ = on_rpc_pdu(pdu.view);
    mutable_machine().on_consumed(size, now(), actions());
}

RPCH_DECL void http_session::produce() {
    if (machine().current() != channel::client::state::finished) reached_ = machine().current();
    const bool is_open = machine().current() == channel::client::state::opened;
    bind_limit_.watch(is_open && is_binding() && !is_ended(), options_.open_wait, *this, [this] {
        noted_.detail = bind_unanswered;
        association_ended_ = errc::setup_timeout;
        kick();
    });
    if (is_open) pull(association_, channel::leg::in_http);
    if (!association_ended_ && association_.output_error()) {
        association_ended_ = association_.output_error();
        noted_.detail = association_.refusal();
    }
    if (!association_ended_ && may_leave()) {
        association_ended_ = errc::association_closed;
        noted_.detail = asked_to_close;
    }
    if (in_end_ && !out_may_tell()) tell_in_end();
    if (association_ended_ && !is_shut()) {
        if (noted_.detail.empty()) noted_.detail = association_.closed_detail();
        noted_ = explain(association_ended_, noted_.detail.c_str(), false, association_.advice());
        noted_.said_by = origin_of(association_ended_);
        mutable_machine().on_closed(channel::leg::out_http, association_ended_, now(), actions());
    }
    perform(nullptr);
}

RPCH_DECL std::string http_session::unfinished() const {
    if (machine().current() != channel::client::state::opened)
        return "the virtual connection was not open yet";
    return unfinished_calls();
}

RPCH_DECL std::string http_session::channel_name(channel::leg which) const {
    const bool in = is_in(which);
    std::string out = std::string(in ? "IN" : "OUT") + " channel to " + proxy_.to_string();
    if (const transport::host_port* through = http_proxy())
        out += " through the HTTP proxy " + through->to_string();
    return out;
}

RPCH_DECL failure http_session::explain_end(std::error_code why, channel::leg where,
                                            const std::string& detail) const {
    failure out = noted_;
    if (!out.code) {
        out.code = why;
        out.said_by = origin_of(why);
        if (detail != why.message()) out.detail = detail;
        if (why == errc::setup_timeout && detail.empty())
            out.detail = "the virtual connection did not open; last state: " +
                         std::string(channel::name(reached_));
    }
    const bool silent = out.code == errc::connection_lost || out.code == errc::channel_closed;
    if (silent || (why == errc::setup_timeout && detail.empty())) explain_silence(out);
    if (out.next_step.empty()) out.next_step = next_step_for(out.code);
    out.where = channel_name(where);
    return out;
}

/// Says who has to be asked where nobody has said why: how far the connection came tells that.
RPCH_DECL void http_session::explain_silence(failure& out) const {
    using state = channel::client::state;
    const bool lost = out.code != errc::setup_timeout;
    if (reached_ == state::opened) {
        if (lost && is_binding())
            out.next_step = "the RPC proxy's log may tell more, and that of the server " +
                            target_.to_string() + ": the bind was under way";
    } else if (reached_ == state::wait_c2 || (lost && proxy_answered_)) {
        // The proxy has accepted, and what is behind it has not.
        if (lost)
            out.detail = "the RPC proxy has answered, and the server behind it did not open the "
                         "virtual connection";
        out.next_step = "check that " + target_.to_string() +
                        " answers, and is a port for ncacn_http, not one for ncacn_ip_tcp "
                        "(behind a --tcp-backend the other way round); the RPC proxy's log may "
                        "tell more";
    } else if (lost && tls_)
        out.next_step = "check that " + proxy_.to_string() +
                        " is an RPC proxy: it speaks TLS, and "
                        "closes without an HTTP response";
    else if (lost)
        out.next_step = "the port may want TLS: leave out HttpUseTls=false";
}

RPCH_DECL void http_session::failed(std::error_code why, channel::leg where,
                                    const std::string& detail) {
    for (const auto& each : sides_) {
        if (!each) continue;
        each->handshake_limit.reset(); // whoever runs the context would wait for it
        if (const auto connecting = each->connector.lock()) connecting->cancel();
    }
    if (const auto finding = finder_.lock()) finding->cancel();
    bind_limit_.stop();
    in_end_limit_.stop();
    on_ended(explain_end(why, where, detail));
}

} // namespace rpch::inline RPCH_ABI::detail
