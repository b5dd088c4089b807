#include <rpch/proxy/proxy.hpp>

#include <utility>

#include <rpch/proxy/http_front.hpp>
#include <rpch/proxy/sessions.hpp>

#include <asio/dispatch.hpp>

namespace rpch::inline RPCH_ABI {

RPCH_DECL result<proxy> proxy::make(transport::executor on, proxy_settings settings,
                                    std::string* why) {
    auto made = detail::http_front::make(std::make_shared<transport::strand_context>(on),
                                         std::move(settings), {}, why);
    if (!made) return fail(made.error());
    return proxy(std::move(*made));
}

RPCH_DECL proxy::proxy(proxy&&) noexcept = default;
RPCH_DECL proxy& proxy::operator=(proxy&& other) noexcept {
    if (front_) close();
    front_ = std::move(other.front_);
    return *this;
}
RPCH_DECL proxy::~proxy() {
    if (front_) close();
}

RPCH_DECL result<std::uint16_t> proxy::listen(const transport::host_port& where,
                                              std::shared_ptr<transport::tls_context> tls) {
    return front_->listen(where, std::move(tls));
}

RPCH_DECL std::error_code proxy::replace_tls(std::shared_ptr<transport::tls_context> current,
                                             std::shared_ptr<transport::tls_context> fresh) {
    return front_->replace_tls(std::move(current), std::move(fresh));
}

RPCH_DECL std::error_code proxy::reload(const std::string& valid_ports, std::string* why) {
    return front_->reload(valid_ports, why);
}

RPCH_DECL void proxy::stop_listening() {
    asio::dispatch(front_->shared().context->on, [front = front_] { front->stop_listening(); });
}

// Shared with the handlers that close it, so that a proxy may go while its strand is busy.
RPCH_DECL void proxy::close() {
    asio::dispatch(front_->shared().context->on, [front = front_] { front->close(); });
}

RPCH_DECL std::size_t proxy::connections() const noexcept { return front_->connections(); }

RPCH_DECL std::size_t proxy::buffers() const noexcept {
    return front_->shared().context->pool->lent();
}

RPCH_DECL std::uint64_t proxy::copied_bytes() const noexcept {
    return front_->shared().context->pool->copied();
}

} // namespace rpch::inline RPCH_ABI
