#include <rpch/transport/connector.hpp>

#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include <asio/buffer.hpp>
#include <asio/ip/address.hpp>
#include <asio/post.hpp>
#include <asio/write.hpp>

#include <rpch/http/write.hpp>

namespace rpch::inline RPCH_ABI::transport {

RPCH_DECL result<host_port> parse_host_port(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0) return fail(errc::bad_setting);
    std::string_view host = text.substr(0, colon);
    const std::string_view digits = text.substr(colon + 1);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    host_port out{std::string(host), 0};
    std::error_code no_address; // what has a colon is one, or a name with a second port
    if (host.find(':') != host.npos) asio::ip::make_address(out.host, no_address);
    if (no_address || host.find_first_of("=;, ") != host.npos) return fail(errc::bad_setting);
    const auto [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
    if (bad != std::errc{} || end != digits.data() + digits.size()) return fail(errc::bad_setting);
    return out;
}

/// A tunnel through an HTTP proxy, while it is being asked for.
struct connector::tunnel {
    host_port to;
    std::string request;
    http::head_scanner scanner;
    std::array<std::byte, limits::http_head_bytes_max + 1> answer;
    std::size_t bytes = 0; // of the answer
};

RPCH_DECL connector::~connector() = default;

RPCH_DECL connector::connector(strand on, host_port peer, std::chrono::milliseconds limit,
                               handler done)
    : strand_(std::move(on)),
      peer_(std::move(peer)),
      limit_(limit),
      done_(std::move(done)),
      resolver_(strand_),
      socket_(strand_),
      timer_(strand_) {
    if (peer_.host.size() > 2 && peer_.host.front() == '[' && peer_.host.back() == ']')
        peer_.host = peer_.host.substr(1, peer_.host.size() - 2);
}

RPCH_DECL void connector::start() {
    timer_.expires_after(limit_);
    timer_.async_wait([self = shared_from_this()](std::error_code ec) {
        if (!ec) self->finish(errc::setup_timeout, self->unanswered());
    });
    std::error_code not_literal;
    const auto address = asio::ip::make_address(peer_.host, not_literal);
    if (!not_literal) {
        endpoints_.emplace_back(address, peer_.port);
        asio::post(strand_, [self = shared_from_this()] { self->try_next(); });
        return;
    }
    resolver_.async_resolve(
        peer_.host, std::to_string(peer_.port), tcp::resolver::numeric_service,
        [self = shared_from_this()](std::error_code ec, const tcp::resolver::results_type& found) {
            std::vector<tcp::endpoint> endpoints;
            for (const auto& entry : found) endpoints.push_back(entry.endpoint());
            self->on_resolved(ec, std::move(endpoints));
        });
}

/// Which step has had no answer.
RPCH_DECL std::string connector::unanswered() const {
    if (endpoints_.empty()) return "the resolver has not found " + peer_.host + " in time";
    const tcp::endpoint& last = endpoints_[next_ == 0 ? 0 : next_ - 1];
    return "no answer in time from " + last.address().to_string() + ":" +
           std::to_string(last.port()) + (tried_.empty() ? "" : "; " + tried_);
}

RPCH_DECL void connector::on_resolved(std::error_code ec, std::vector<tcp::endpoint> found) {
    if (!done_) return;
    if (ec || found.empty())
        return finish(errc::name_not_found, "cannot resolve " + peer_.host + ": " + ec.message());
    endpoints_ = std::move(found);
    try_next();
}

RPCH_DECL void connector::try_next() {
    if (!done_) return;
    if (next_ == endpoints_.size()) return finish(errc::connect_failed, tried_);
    const tcp::endpoint endpoint = endpoints_[next_++];
    std::error_code ignored;
    socket_.close(ignored);
    socket_.async_connect(endpoint, [self = shared_from_this(), endpoint](std::error_code ec) {
        if (!self->done_) return;
        if (!ec) return self->tunnel_ ? self->send_tunnel_request() : self->finish({}, {});
        if (!self->tried_.empty()) self->tried_ += "; ";
        self->tried_ += endpoint.address().to_string() + ":" + std::to_string(endpoint.port()) +
                        ": " + ec.message();
        self->try_next();
    });
}

RPCH_DECL void connector::ask_for_tunnel(host_port to) {
    tunnel_ = std::make_unique<tunnel>();
    tunnel_->to = std::move(to);
}

RPCH_DECL void connector::send_tunnel_request() {
    auto request = http::write_connect(tunnel_->to.host, tunnel_->to.port);
    if (!request) return finish(request.error(), "the name of " + tunnel_->to.host);
    tunnel_->request = std::move(*request);
    asio::async_write(socket_, asio::buffer(tunnel_->request),
                      [self = shared_from_this()](std::error_code ec, std::size_t) {
                          if (!self->done_) return;
                          if (ec) return self->tunnel_failed(ec.message());
                          self->read_tunnel_answer();
                      });
}

RPCH_DECL void connector::read_tunnel_answer() {
    const auto space = asio::buffer(tunnel_->answer) + tunnel_->bytes;
    socket_.async_read_some(space, [self = shared_from_this()](std::error_code ec, std::size_t n) {
        if (!self->done_) return;
        if (ec == asio::error::eof) return self->tunnel_failed("it closed the connection");
        if (ec) return self->tunnel_failed(ec.message());
        self->tunnel_->bytes += n;
        self->judge_tunnel_answer();
    });
}

RPCH_DECL void connector::judge_tunnel_answer() {
    tunnel& t = *tunnel_;
    while (true) {
        const auto seen = byte_view(t.answer).first(t.bytes);
        const auto end = t.scanner.scan(seen);
        if (!end) return tunnel_failed(end.error().message());
        if (!*end) return read_tunnel_answer(); // there is room: the scanner refuses longer heads
        const auto head = http::parse_response_head(seen.first(**end));
        if (!head) return tunnel_failed(head.error().message());
        if (head->status >= 200) return judge_tunnel_answer(*head, seen.size() - **end);
        t.bytes -= **end; // interim: skipped
        std::memmove(t.answer.data(), t.answer.data() + **end, t.bytes);
        t.scanner.reset();
    }
}

/// @param behind  bytes that came behind the head.
RPCH_DECL void connector::judge_tunnel_answer(const http::response_head& head, std::size_t behind) {
    if (head.status == 407) return tunnel_failed("it wants authentication of its own");
    if (head.status > 299)
        return tunnel_failed("status " + std::to_string(head.status) + " " +
                             std::string(head.reason));
    if (behind != 0) return tunnel_failed("it sent bytes before anything was asked");
    finish({}, {});
}

RPCH_DECL void connector::tunnel_failed(const std::string& why) {
    finish(errc::http_proxy_refused, "the HTTP proxy " + peer_.to_string() +
                                         " opened no tunnel to " + tunnel_->to.to_string() + ": " +
                                         why);
}

RPCH_DECL void connector::finish(std::error_code ec, const std::string& detail) {
    if (!done_) return;
    const handler done = std::exchange(done_, nullptr);
    timer_.cancel();
    resolver_.cancel();
    std::error_code ignored;
    if (ec) {
        socket_.close(ignored);
        return done(ec, std::move(socket_), detail);
    }
    // Waiting for the connection has left the socket registered for "writable" as well, which it is
    // nearly always: registered afresh it wakes us for input alone, one epoll_wait less per PDU.
    const auto protocol = socket_.remote_endpoint(ignored).protocol();
    tcp::socket fresh(strand_);
    fresh.assign(protocol, socket_.release(ignored), ignored);
    done({}, std::move(fresh), detail);
}

RPCH_DECL void connector::cancel() {
    done_ = nullptr;
    timer_.cancel();
    resolver_.cancel();
    std::error_code ignored;
    socket_.close(ignored);
}

} // namespace rpch::inline RPCH_ABI::transport
