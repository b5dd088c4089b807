#include <rpch/transport/listener.hpp>

#include <cerrno>
#include <chrono>
#include <utility>

#include <asio/error.hpp>
#include <asio/ip/address.hpp>

namespace rpch::inline RPCH_ABI::transport {

RPCH_DECL std::string address_text(const tcp::socket& socket) {
    std::error_code ec;
    const auto peer = socket.remote_endpoint(ec);
    return ec ? std::string("an unknown address") : peer.address().to_string();
}

RPCH_DECL result<std::shared_ptr<listener>> listener::open(strand on, const host_port& where,
                                                           handler accepted, logger log) {
    std::error_code ec;
    const auto address = asio::ip::make_address(where.host, ec);
    if (ec) return fail(errc::bad_setting);
    const tcp::endpoint endpoint(address, where.port);
    std::shared_ptr<listener> self(
        new listener(std::move(on), std::move(accepted), std::move(log)));
    self->acceptor_.open(endpoint.protocol(), ec);
    if (!ec) self->acceptor_.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) self->acceptor_.bind(endpoint, ec);
    if (!ec) self->acceptor_.listen(asio::socket_base::max_listen_connections, ec);
    if (ec) return fail(ec);
    return self;
}

RPCH_DECL void listener::accept() {
    acceptor_.async_accept(strand_,
                           [self = shared_from_this()](std::error_code ec, tcp::socket socket) {
                               if (!ec) self->hand_over(std::move(socket));
                               if (!self->acceptor_.is_open()) return;
                               if (!ec) return self->accept();
                               self->tell(ec);
                               self->retry_.expires_after(std::chrono::milliseconds(100));
                               self->retry_.async_wait([self](std::error_code stopped) {
                                   if (!stopped && self->acceptor_.is_open()) self->accept();
                               });
                           });
}

/// Who waits to be accepted learns nothing of the reason, so the log is the only place to say it;
/// but ten lines a second would bury it.
RPCH_DECL void listener::tell(std::error_code why) {
    constexpr std::chrono::minutes told_every{1};
    const time_point now = clock::now();
    if (!log_ || (told_ && now - *told_ < told_every)) return;
    told_ = now;
    std::string line = "no connections are accepted at port " + std::to_string(endpoint().port()) +
                       " for now: " + why.message();
    if (why == asio::error::no_descriptors)
        line += "; the process has reached its limit of open files, raise it (ulimit -n, "
                "LimitNOFILE of systemd)";
    if (why == std::error_code(ENFILE, asio::error::get_system_category()))
        line += "; the system has reached its limit of open files, raise it (fs.file-max)";
    const logger log = log_; // which may close us
    log(line);
}

RPCH_DECL void listener::hand_over(tcp::socket socket) {
    const handler accepted = accepted_; // which may close us
    if (accepted) accepted(std::move(socket));
}

RPCH_DECL void listener::stop() {
    const auto self = shared_from_this(); // a handler may let go of us
    std::error_code ec;
    if (acceptor_.is_open()) acceptor_.non_blocking(true, ec);
    for (int left = asio::socket_base::max_listen_connections; left > 0 && !ec; --left) {
        if (!acceptor_.is_open()) break;
        tcp::socket socket = acceptor_.accept(strand_, ec);
        if (!ec) hand_over(std::move(socket));
    }
    std::error_code ignored;
    acceptor_.close(ignored);
    retry_.cancel();
}

RPCH_DECL void listener::close() {
    accepted_ = nullptr;
    log_ = nullptr;
    std::error_code ignored;
    acceptor_.close(ignored);
    retry_.cancel();
}

RPCH_DECL tcp::endpoint listener::endpoint() const {
    std::error_code ignored;
    return acceptor_.local_endpoint(ignored);
}

} // namespace rpch::inline RPCH_ABI::transport
