#include <rpch/client/http_way.hpp>

#include <utility>

#include <rpch/http/response.hpp>
#include <rpch/http/write.hpp>
#include <rpch/transport/link.hpp>

namespace rpch::inline RPCH_ABI::detail {

RPCH_DECL std::string host_header(const transport::host_port& server, bool tls) {
    const bool usual = server.port == (tls ? 443 : 80);
    return http::authority(server.host, usual ? std::nullopt : std::optional(server.port));
}

RPCH_DECL std::shared_ptr<transport::connector>
connect_by(const transport::strand& on, const transport::host_port* http_proxy,
           const transport::host_port& rpc_proxy, bool tls, std::chrono::milliseconds limit,
           transport::connector::handler done) {
    auto made = std::make_shared<transport::connector>(
        on, http_proxy != nullptr ? *http_proxy : rpc_proxy, limit, std::move(done));
    if (http_proxy != nullptr && tls) made->ask_for_tunnel(rpc_proxy);
    return made;
}

RPCH_DECL std::string origin_for_http_proxy(const transport::host_port& rpc_proxy, bool tls) {
    return tls ? std::string() : "http://" + host_header(rpc_proxy, false);
}

/// One echo request on one of the ways.
class way_finder::attempt final : public transport::link_owner,
                                  public std::enable_shared_from_this<attempt> {
  public:
    attempt(way_finder& finder, way on) : finder_(&finder), on_(on) {}

    void start() {
        const question& q = finder_->what_;
        const auto made = connect_by(
            finder_->context_->on, on_ == way::through_proxy ? &q.http_proxy : nullptr, q.rpc_proxy,
            q.tls != nullptr, q.limit,
            [self = shared_from_this()](std::error_code ec, transport::tcp::socket socket,
                                        const std::string& detail) {
                self->on_connect(ec, std::move(socket), detail);
            });
        connector_ = made;
        made->start();
    }
    /// Nobody asks any more: the loser is abandoned without a word.
    void end() {
        finder_ = nullptr;
        if (const auto connecting = connector_.lock()) connecting->cancel();
        if (link_) std::exchange(link_, nullptr)->finish();
    }

    void on_secured(transport::link&) override { send(); }
    void on_writable(transport::link& from) override { from.flush(); }
    void on_closed(transport::link& from, std::error_code why) override {
        const auto kept = std::exchange(link_, nullptr); // this may be told from within its start
        const std::string& more = from.error_detail();
        fail(why, more.empty() ? why.message() : more);
    }
    std::shared_ptr<transport::link_owner> keep_alive() override { return shared_from_this(); }
    void on_input(transport::link& from) override {
        while (finder_ != nullptr) {
            const auto end = scanner_.scan(from.input());
            if (!end) return fail(end.error(), end.error().message());
            if (!*end) return;
            const auto head = http::parse_response_head(from.input().first(**end));
            if (!head) return fail(head.error(), head.error().message());
            if (head->status >= 200) return judge(*head);
            from.consume(**end); // interim
            scanner_.reset();
        }
    }

  private:
    void on_connect(std::error_code ec, transport::tcp::socket socket, const std::string& detail) {
        if (finder_ == nullptr) return;
        if (ec) return fail(ec, detail.empty() ? ec.message() : detail);
        const question& q = finder_->what_;
        link_ =
            std::make_shared<transport::link>(std::move(socket), finder_->context_->pool, *this);
        if (q.tls)
            link_->use_tls(
                std::make_unique<transport::tls_engine>(q.tls, q.rpc_proxy.host, q.rpc_proxy.port));
        else
            send();
        if (link_) link_->start();
    }
    /// [MS-RPCH] 2.1.2.1.5; both ways with the method of the IN channel, 3.2.2.4.1.1.
    void send() {
        const question& q = finder_->what_;
        const std::string host = host_header(q.rpc_proxy, q.tls != nullptr);
        const std::string origin = on_ == way::through_proxy
                                       ? origin_for_http_proxy(q.rpc_proxy, q.tls != nullptr)
                                       : std::string();
        http::channel_request_options head;
        head.method = http::channel_method::in_data;
        head.host = host;
        head.server_name = q.server.host;
        head.server_port = q.server.port;
        head.content_length = http::echo_content_length;
        head.origin = origin;
        const auto text = http::write_channel_request(head);
        if (!text) return fail(text.error(), text.error().message());
        link_->write(core::as_bytes(*text));
        link_->write(http::echo_request_body);
        link_->flush();
    }
    /// Over plain HTTP the HTTP proxy may speak for itself. Everything else is the RPC proxy, or
    /// what stands before it: 401 shows the way as well as 200 does.
    void judge(const http::response_head& head) {
        const int status = head.status;
        const bool of_http_proxy = on_ == way::through_proxy && !finder_->what_.tls &&
                                   (status == 403 || status == 407 || status >= 500);
        if (of_http_proxy)
            return fail(errc::http_proxy_refused,
                        "status " + std::to_string(status) + " " + std::string(head.reason));
        finder_->on_answer(on_);
    }
    void fail(std::error_code ec, const std::string& why) {
        if (finder_ != nullptr) finder_->on_failed(on_, ec, why);
    }

    way_finder* finder_; // ends this before it goes
    way on_;
    std::weak_ptr<transport::connector> connector_;
    std::shared_ptr<transport::link> link_;
    http::head_scanner scanner_;
};

RPCH_DECL way_finder::way_finder(std::shared_ptr<transport::strand_context> context, question what,
                                 handler done)
    : context_(std::move(context)),
      what_(std::move(what)),
      done_(std::move(done)),
      timer_(context_->on) {}

RPCH_DECL way_finder::~way_finder() { end_attempts(); }

RPCH_DECL void way_finder::start() {
    machine_.emplace(transport::clock::now(), what_.limit);
    for (const way each : {way::direct, way::through_proxy}) {
        auto& slot = attempts_[static_cast<std::size_t>(each)];
        slot = std::make_shared<attempt>(*this, each);
        slot->start();
    }
    arm_timer();
}

RPCH_DECL void way_finder::cancel() {
    done_ = nullptr;
    timer_.cancel();
    end_attempts();
}

RPCH_DECL void way_finder::end_attempts() {
    for (auto& each : attempts_)
        if (const auto going = std::exchange(each, nullptr)) going->end();
}

RPCH_DECL void way_finder::arm_timer() {
    const auto next = machine_->next_deadline();
    if (!next) return;
    timer_.expires_at(*next);
    timer_.async_wait([self = shared_from_this()](std::error_code ec) {
        if (ec || !self->done_) return;
        self->machine_->on_deadline(transport::clock::now());
        self->tell_if_decided();
        if (self->done_) self->arm_timer();
    });
}

RPCH_DECL void way_finder::on_answer(way on) {
    machine_->on_answer(on, transport::clock::now());
    tell_if_decided();
    if (done_) arm_timer(); // the direct way may have a little longer
}

RPCH_DECL void way_finder::on_failed(way on, std::error_code ec, const std::string& why) {
    failures_[static_cast<std::size_t>(on)] = {ec, why};
    machine_->on_failed(on);
    tell_if_decided();
}

/// @return how far an attempt with this end has come: what is wrong behind the connection is what
/// to mend, when nobody answers on the other way.
[[nodiscard]] inline int came_so_far(std::error_code ec) noexcept {
    if (ec == errc::name_not_found) return 0;
    if (ec == errc::connect_failed || ec == errc::setup_timeout) return 1;
    return ec == errc::http_proxy_refused ? 2 : 3;
}

RPCH_DECL void way_finder::tell_if_decided() {
    if (!done_ || !machine_->is_decided()) return;
    const auto self = shared_from_this();
    const handler done = std::exchange(done_, nullptr);
    timer_.cancel();
    end_attempts();
    if (machine_->current() != channel::proxy_use::state::failed)
        return done({}, machine_->current() == channel::proxy_use::state::indirect, {});
    for (failed_way& each : failures_)
        if (!each.code) each = {errc::setup_timeout, "no answer in time"};
    const std::error_code worst = came_so_far(failures_[0].code) >= came_so_far(failures_[1].code)
                                      ? failures_[0].code
                                      : failures_[1].code;
    done(worst, false,
         "neither directly to " + what_.rpc_proxy.to_string() + " (" + failures_[0].detail +
             ") nor through the HTTP proxy " + what_.http_proxy.to_string() + " (" +
             failures_[1].detail + ")");
}

} // namespace rpch::inline RPCH_ABI::detail
