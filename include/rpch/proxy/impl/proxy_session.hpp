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
    leave_table();
    if (const auto waiting = waiting_.lock()) waiting->place_again(); // with nobody to wait for
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
void proxy_session<Machine>::adopt(std::shared_ptr<transport::link> from,
                                   const allowed_request& request) {
    const channel::leg successor = channel::successor_of(http_leg_);
    this->set_body_left(successor, request.content_length);
    request_.authenticate = request.authenticate;
    this->attach(successor, std::move(from));
    this->pump_and_settle(successor);
}

template <class Machine>
void proxy_session<Machine>::leave_table() {
    if (!std::exchange(in_table_, false)) return;
    auto& table = shared_->template table<Machine>();
    const auto here = table.find(this->machine().virtual_connection());
    if (here != table.end() && here->second == this) table.erase(here);
}

/// Looks at the first PDU before the machine does: a replacement of a channel that this proxy has
/// goes to that channel (IN_R2, OUT_R2), 3.2.3.5.5 and 3.2.4.5.6.
/// @return whether this session goes on with its PDUs.
template <class Machine>
bool proxy_session<Machine>::place(transport::link& from) {
    const auto pdu = from.next_pdu(this->body_left(http_leg_));
    if (pdu && !*pdu) return false;
    placed_ = true;
    // What is wrong with the first PDU is said by those whose task it is.
    if (!pdu || dcerpc::peek_type((*pdu)->view.first) != dcerpc::pdu_type::rts) return true;
    const auto first = rts::decode((*pdu)->view.first);
    if (!first) return true;
    if constexpr (std::is_same_v<Machine, channel::inbound_proxy>) {
        if (first->kind() == rts::shape::in_r2_a1)
            return place_successor(rts::get<rts::in_r2_a1>(*first));
    } else if (first->kind() == rts::shape::out_r2_a3)
        return place_successor(rts::get<rts::out_r2_a3>(*first));
    return true;
}

template <class Machine>
template <class FirstPdu>
bool proxy_session<Machine>::place_successor(const FirstPdu& first) {
    const auto& table = shared_->template table<Machine>();
    const auto known = table.find(first.virtual_connection);
    if (known == table.end()) return true;
    const auto home = std::static_pointer_cast<proxy_session>(known->second->shared_from_this());
    if (home->request_.target.host != request_.target.host ||
        home->request_.target.port != request_.target.port)
        return true; // another server's virtual connection
    if (home->request_.user != request_.user) {
        shared_->log(label() + " refused: the virtual connection belongs to another user");
        if (transport::link* http = this->at(http_leg_))
            http->write(core::as_bytes(http::write_error(403)));
        this->protocol_error(http_leg_, errc::bad_credentials);
        return false;
    }
    const std::error_code why = home->machine().admits(first);
    if (!why) {
        auto link = this->detach(http_leg_);
        link->want_input(true); // it may have been waiting
        this->shut();
        home->adopt(std::move(link), request_);
        return false;
    }
    if (why == errc::replacement_pending && home->waiting_.expired()) {
        home->waiting_ = std::static_pointer_cast<proxy_session>(this->shared_from_this());
        this->at(http_leg_)->want_input(false);
        placed_ = false;
        this->mutable_machine().on_first_pdu_waiting(this->now());
        return false;
    }
    // A channel that is being handed over to another proxy does not concern this request, nor one
    // whose IN_R1/A5 is still on its way: to the server this is a successor like one at another
    // proxy (IN_R1, OUT_R1), and the server compares the cookies.
    return true;
}

template <class Machine>
void proxy_session<Machine>::place_again() {
    if (this->is_shut() || placed_) return;
    if (transport::link* http = this->at(http_leg_)) http->want_input(true);
    this->pump_and_settle(http_leg_);
}

template <class Machine>
void proxy_session<Machine>::settled() {
    if (const auto waiting = std::exchange(waiting_, {}).lock()) waiting->place_again();
}

template <class Machine>
void proxy_session<Machine>::promoted(channel::leg which) {
    if (which == http_leg_) shared_->log(label() + " replaced at this proxy");
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
           request_.target.to_string();
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
        {request_.target, cookie, this->machine().is_successor(), request_.client, *this},
        [self](std::error_code ec, std::shared_ptr<transport::link> made,
               const std::string& detail) { self->on_connect(ec, std::move(made), detail); });
}

template <class Machine>
void proxy_session<Machine>::on_connect(std::error_code ec, std::shared_ptr<transport::link> made,
                                        const std::string& detail) {
    cancel_connect_ = nullptr; // even a weak pointer in it would keep the attempt's memory
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
    if (which == http_leg_ && !placed_) return place(from);
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
    const std::string proof = std::exchange(request_.authenticate, {}); // of the last request
    if (transport::link* http = this->at(to))
        http->write(core::as_bytes(http::write_out_success(content_length, proof)));
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
    auto& table = shared_->template table<Machine>();
    // An older channel may stand there, whose IN_R1/A5 is still on its way; it is on its way out.
    table.insert_or_assign(this->machine().virtual_connection(), this);
    in_table_ = true;
    shared_->log(label() +
                 (this->machine().is_successor() ? " open, in place of another" : " open"));
}

template <class Machine>
std::string proxy_session<Machine>::unfinished() const {
    return in_table_ ? "" : "the channel was not open yet";
}

template <class Machine>
void proxy_session<Machine>::failed(std::error_code why, channel::leg where,
                                    const std::string& detail) {
    if (cancel_connect_) cancel_connect_();
    leave_table();
    if (why == errc::channel_replaced) return shared_->log(label() + " replaced at another proxy");
    const bool with_server = where == tcp_leg_ || where == channel::successor_of(tcp_leg_);
    shared_->log(label() + transport::end_text(why, with_server ? "server" : "client", detail));
}

} // namespace rpch::inline RPCH_ABI::detail

#endif
