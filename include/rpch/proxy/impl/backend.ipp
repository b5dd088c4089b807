#include <rpch/proxy/backend.hpp>

#include <algorithm>
#include <limits>
#include <utility>

#include <rpch/dcerpc/common_header.hpp>

#include <asio/post.hpp>

namespace rpch::inline RPCH_ABI::detail {

// backend

RPCH_DECL std::shared_ptr<backend> backend::make(std::shared_ptr<transport::strand_context> context,
                                                 std::uint64_t hash_seed,
                                                 backend_settings settings) {
    std::shared_ptr<backend> made(new backend(std::move(settings)));
    made->halves_ = std::make_shared<transport::rendezvous>(
        std::move(context), hash_seed,
        transport::rendezvous_settings{made->settings_.first_pdu_wait, made->settings_.log},
        [weak = std::weak_ptr(made)](std::shared_ptr<transport::rendezvous> at,
                                     const rts::cookie& cookie) {
            auto owner = weak.lock();
            return owner ? std::make_shared<backend_connection>(std::move(owner), std::move(at),
                                                                cookie)
                         : nullptr;
        });
    return made;
}

RPCH_DECL cancel_function backend::connect(const wanted_link& wanted, link_handler done) {
    const auto home = wanted.successor ? halves_->find(wanted.virtual_connection)
                                       : halves_->home_of(wanted.virtual_connection);
    if (!home) // before a TCP connection is made that no channel could use
        return answer_later(halves_->context()->on, std::move(done),
                            [](const link_handler& answer) {
                                answer(errc::cookie_mismatch, nullptr,
                                       "the channel to replace is not at this process");
                            });
    return static_cast<backend_connection&>(*home).admit(wanted, std::move(done));
}

RPCH_DECL std::string backend::address() const { return settings_.where.address.to_string(); }

// backend_connection

RPCH_DECL backend_connection::backend_connection(std::shared_ptr<backend> owner,
                                                 std::shared_ptr<transport::rendezvous> at,
                                                 const rts::cookie& cookie)
    : server_side(std::move(at), cookie,
                  {.receive_window = owner->settings().receive_window,
                   .pairing_wait = owner->settings().pairing_wait,
                   .replace_out_below = owner->settings().replace_out_below,
                   .replacement_wait = owner->settings().replacement_wait,
                   .blocked_wait = owner->settings().blocked_wait}),
      backend_(std::move(owner)),
      end_(*this) {}

RPCH_DECL cancel_function backend_connection::admit(const wanted_link& wanted, link_handler done) {
    const std::uint64_t id = ++last_id_;
    waiting_.push_back({id, &wanted.owner, wanted.client, std::move(done)});
    if (is_shut() || tcp_ != nullptr) // shut: the answer is an error
        asio::post(context().on, [self = self()] { self->let_in(); });
    else if (!cancel_connect_)
        connect();
    return [weak = weak_from_this(), id] {
        if (const auto here = weak.lock()) static_cast<backend_connection&>(*here).forget(id);
    };
}

RPCH_DECL void backend_connection::connect() {
    const backend_settings& s = backend_->settings();
    cancel_connect_ = connect_by_tcp(shared_context(), s.connect_wait)(
        {s.where.address, cookie(), false, waiting_.front().client, end_},
        [self = self()](std::error_code ec, std::shared_ptr<transport::link> made,
                        const std::string& detail) {
            self->on_connect(ec, std::move(made), detail);
        });
}

RPCH_DECL void backend_connection::on_connect(std::error_code ec,
                                              std::shared_ptr<transport::link> made,
                                              const std::string& detail) {
    if (is_shut()) return;
    if (ec) {
        const auto refused = std::exchange(waiting_, {});
        end();
        for (const auto& each : refused) each.done(ec, nullptr, "TCP backend: " + detail);
        return;
    }
    tcp_ = std::move(made);
    tcp_->expect_pdus();
    tcp_->set_keep_alive(std::chrono::milliseconds(limits::client_keepalive_default_ms));
    tcp_->start();
    let_in();
}

/// Gives the channels that wait their links.
RPCH_DECL void backend_connection::let_in() {
    while (!waiting_.empty()) { // one by one: the first may take back the second
        const waiting_channel next = std::move(waiting_.front());
        waiting_.pop_front();
        if (is_shut()) {
            next.done(errc::operation_aborted, nullptr, "the virtual connection has ended");
            continue;
        }
        admitted_ = true;
        next.done({}, meeting_place().connect_in_memory(*next.owner, next.client), {});
    }
}

RPCH_DECL void backend_connection::forget(std::uint64_t id) {
    const auto here = std::find_if(waiting_.begin(), waiting_.end(),
                                   [id](const waiting_channel& each) { return each.id == id; });
    if (here == waiting_.end()) return;
    const waiting_channel kept = std::move(*here); // it may own the channel that calls
    waiting_.erase(here);
    if (waiting_.empty() && !admitted_) end(); // nobody is left to come
}

RPCH_DECL void backend_connection::opened() {
    meeting_place().log("virtual connection " + cookie().to_hex() + " open to TCP backend " +
                        backend_->address());
}

RPCH_DECL void backend_connection::deliver(const transport::pdu_ref& pdu) {
    if (tcp_) tcp_->forward(pdu, pdu.view.size());
}

RPCH_DECL void backend_connection::produce() {
    if (!tcp_) return;
    pull_answers();
    if (!tcp_) return;
    if (const std::size_t written = tcp_->flush(); written != 0)
        mutable_machine().on_consumed(written, now(), actions());
    perform(nullptr);
}

/// Passes on what the server has sent, as far as the window allows.
RPCH_DECL void backend_connection::pull_answers() {
    transport::link* out = at(channel::leg::out_tcp);
    bool waits = false;
    if (core::as_text(tcp_->front()).starts_with(transport::server_banner))
        return broken(errc::unexpected_pdu,
                      "it greets by " + std::string(transport::server_banner) +
                          ": a port for ncacn_http, and a TCP backend is one for ncacn_ip_tcp; "
                          "such a server is named by ValidPorts alone");
    while (!is_shut()) {
        const auto pdu = tcp_->next_pdu(std::numeric_limits<std::uint64_t>::max());
        if (!pdu) return broken(pdu.error(), "what the TCP backend sends is no DCE/RPC");
        if (!*pdu) break;
        const std::size_t size = (*pdu)->view.size();
        if (dcerpc::peek_type((*pdu)->view.first) == dcerpc::pdu_type::rts)
            return broken(errc::unexpected_pdu, "the TCP backend has sent an RTS PDU");
        if (out == nullptr || machine().send_credit() < size) {
            mutable_machine().on_rpc_waiting(size, now(), actions());
            waits = true;
            break;
        }
        out->forward(**pdu, size);
        mutable_machine().on_rpc_sent(size, now(), actions());
        tcp_->consume(size);
    }
    if (waits != paused_ && tcp_) tcp_->want_input(!(paused_ = waits));
}

/// What is queued towards the client is still sent; nothing waits for the window, or the end of the
/// stream would not have been read.
RPCH_DECL void backend_connection::on_server_closed(const transport::link& from,
                                                    std::error_code why) {
    set_detail(from.error_detail()); // `from` may go with tcp_
    tcp_.reset();
    if (is_shut()) return;
    server_ended_ = true;
    run([why](channel::server& m, transport::time_point at, channel::action_list& out) {
        m.on_closed(channel::leg::out_tcp, why, at, out);
    });
}

RPCH_DECL void backend_connection::broken(std::error_code why, std::string detail) {
    set_detail(std::move(detail));
    server_ended_ = true;
    mutable_machine().on_closed(channel::leg::out_tcp, why, now(), actions());
    perform(nullptr);
}

RPCH_DECL void backend_connection::failed(std::error_code why, channel::leg where,
                                          const std::string& detail) {
    meeting_place().log(
        "virtual connection " + cookie().to_hex() + " to TCP backend " + backend_->address() +
        transport::end_text(why, server_ended_ ? "TCP backend" : transport::proxy_at(where),
                            detail));
    end();
}

RPCH_DECL void backend_connection::end() {
    if (cancel_connect_) cancel_connect_();
    shut();
    if (tcp_) tcp_->finish(); // what the client has sent still reaches the server
    tcp_.reset();
    if (!waiting_.empty()) // each of them is told
        asio::post(context().on, [self = self()] { self->let_in(); });
}

} // namespace rpch::inline RPCH_ABI::detail
