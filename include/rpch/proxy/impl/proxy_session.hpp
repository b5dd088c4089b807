// The part of a proxy's roles that is the same for both.
#ifndef RPCH_PROXY_IMPL_PROXY_SESSION_HPP
#define RPCH_PROXY_IMPL_PROXY_SESSION_HPP

#include <string>
#include <utility>

#include <rpch/http/write.hpp>

namespace rpch::inline RPCH_ABI::detail {

/// The legacy server response, [MS-RPCH] 2.1.1.2.1; ignored here, 3.2.3.5.12 and 3.2.4.5.15.
inline constexpr std::string_view legacy_banner = "ncacn_http/1.0";

template <class Machine>
proxy_session<Machine>::proxy_session(std::shared_ptr<proxy_shared> shared, allowed_request request,
                                      Machine machine, channel::leg http_leg, channel::leg tcp_leg)
    : transport::channel_driver<Machine>(shared->context, std::move(machine)),
      shared_(std::move(shared)),
      request_(std::move(request)),
      http_leg_(http_leg),
      tcp_leg_(tcp_leg) {
    shared_->live.insert(this);
    ++shared_->connections;
}

template <class Machine>
proxy_session<Machine>::~proxy_session() {
    shared_->live.erase(this);
    --shared_->connections;
    if (claimed_) shared_->release(this->machine().virtual_connection());
}

template <class Machine>
void proxy_session<Machine>::start(std::shared_ptr<transport::link> from) {
    this->set_body_left(http_leg_, request_.content_length);
    from->expect_pdus();
    this->attach(http_leg_, std::move(from));
    this->run(
        [](Machine& m, transport::time_point at, channel::action_list& out) { m.start(at, out); });
    if (transport::link* http = this->at(http_leg_))
        http->want_input(true); // it may have been paused while a password was verified
    this->pump_and_settle(http_leg_);
}

template <class Machine>
void proxy_session<Machine>::end() {
    if (cancel_connect_) cancel_connect_();
    this->shut();
}

template <class Machine>
std::string proxy_session<Machine>::label() const {
    return std::string(request_.method == http::channel_method::in_data ? "IN" : "OUT") +
           " channel of " + request_.client +
           (request_.user.empty() ? "" : " (" + request_.user + ")") + " to " +
           request_.target.host + ":" + std::to_string(request_.target.port);
}

template <class Machine>
void proxy_session<Machine>::open_leg(channel::leg) {
    const rts::cookie& cookie = this->machine().virtual_connection();
    if (!shared_->claim(cookie, request_.user)) {
        shared_->log(label() + " refused: the virtual connection belongs to another user");
        if (transport::link* http = this->at(http_leg_))
            http->write(core::as_bytes(http::write_error(403)));
        this->protocol_error(http_leg_, errc::bad_credentials);
        return;
    }
    claimed_ = true;
    const auto self = std::static_pointer_cast<proxy_session>(this->shared_from_this());
    cancel_connect_ = shared_->connect(
        {request_.target, cookie, request_.client, *this},
        [self](std::error_code ec, std::shared_ptr<transport::link> made,
               const std::string& detail) { self->on_connect(ec, std::move(made), detail); });
}

template <class Machine>
void proxy_session<Machine>::on_connect(std::error_code ec, std::shared_ptr<transport::link> made,
                                        const std::string& detail) {
    if (this->is_shut()) return;
    const channel::leg tcp = tcp_leg_;
    if (ec) {
        this->set_detail(detail);
        return this->run([&](Machine& m, transport::time_point at, channel::action_list& out) {
            m.on_closed(tcp, ec, at, out);
        });
    }
    this->attach(tcp, made);
    this->run([&](Machine& m, transport::time_point at, channel::action_list& out) {
        m.on_connected(tcp, at, out);
    });
    if (made->is_open()) made->start();
}

template <class Machine>
bool proxy_session<Machine>::past_preamble(channel::leg which, transport::link& from) {
    if (which != tcp_leg_ || banner_done_) return true;
    const byte_view input = from.input();
    if (input.empty()) return false;
    if (input[0] == std::byte{'n'}) {
        const std::size_t n = std::min(input.size(), legacy_banner.size());
        if (core::as_text(input.first(n)) != legacy_banner.substr(0, n)) {
            this->protocol_error(which, errc::bad_version);
            return false;
        }
        if (n < legacy_banner.size()) return false;
        from.consume(n);
    }
    banner_done_ = true; // a server that sends none is served as well
    from.expect_pdus();
    return true;
}

template <class Machine>
void proxy_session<Machine>::answer_success(channel::leg to, std::uint32_t content_length) {
    if (transport::link* http = this->at(to))
        http->write(core::as_bytes(http::write_out_success(content_length)));
}

template <class Machine>
void proxy_session<Machine>::refuse(channel::leg to, rpc_status status) {
    transport::link* http = this->at(to);
    if (http == nullptr) return;
    // The record tells "the proxy could not connect" apart from other failures of the same number.
    http::ee_record record;
    record.generating_component = http::ee_component_http_proxy;
    record.detection_location = http::ee_location_connect_failed;
    record.status = static_cast<std::uint32_t>(status);
    http->write(core::as_bytes(http::write_failure(status, {&record, 1})));
}

template <class Machine>
void proxy_session<Machine>::opened() {
    shared_->log(label() + " open");
}

template <class Machine>
void proxy_session<Machine>::failed(std::error_code why, channel::leg where,
                                    const std::string& detail) {
    if (cancel_connect_) cancel_connect_();
    shared_->log(label() + " ended on " + std::string(channel::name(where)) + ": " + why.message() +
                 (detail.empty() || detail == why.message() ? "" : " (" + detail + ")"));
}

} // namespace rpch::inline RPCH_ABI::detail

#endif
