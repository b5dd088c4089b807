#include <rpch/proxy/routes.hpp>

#include <utility>

#include <asio/post.hpp>

namespace rpch::inline RPCH_ABI::detail {

RPCH_DECL connect_function connect_by_tcp(std::shared_ptr<transport::strand_context> context,
                                          std::chrono::milliseconds limit) {
    return [context = std::move(context), limit](const wanted_link& wanted, link_handler done) {
        const auto attempt = std::make_shared<transport::connector>(
            context->on, wanted.target, limit,
            [pool = context->pool, &owner = wanted.owner, done = std::move(done)](
                std::error_code ec, transport::tcp::socket socket, const std::string& detail) {
                done(ec,
                     ec ? nullptr
                        : std::make_shared<transport::link>(std::move(socket), pool, owner),
                     detail);
            });
        attempt->start();
        return [weak = std::weak_ptr(attempt)] { // its own operations keep it
            if (const auto connecting = weak.lock()) connecting->cancel();
        };
    };
}

RPCH_DECL connect_function connect_in_memory(std::shared_ptr<transport::rendezvous> server) {
    return [server = std::move(server)](const wanted_link& wanted, link_handler done) {
        // The handler owns the channel, and the channel what is returned here.
        const auto attempt = std::make_shared<link_handler>(std::move(done));
        asio::post(server->context()->on,
                   [server, attempt, &owner = wanted.owner, client = wanted.client] {
                       if (const auto still = std::exchange(*attempt, nullptr))
                           still({}, server->connect_in_memory(owner, client), {});
                   });
        return [weak = std::weak_ptr(attempt)] {
            if (const auto pending = weak.lock()) *pending = nullptr;
        };
    };
}

} // namespace rpch::inline RPCH_ABI::detail
