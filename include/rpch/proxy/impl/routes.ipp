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

RPCH_DECL cancel_function answer_later(const transport::strand& on, link_handler done,
                                       std::function<void(const link_handler& done)> answer) {
    // The handler owns the channel, and the channel what is returned here.
    const auto pending = std::make_shared<link_handler>(std::move(done));
    asio::post(on, [pending, answer = std::move(answer)] {
        if (const auto still = std::exchange(*pending, nullptr)) answer(still);
    });
    return [weak = std::weak_ptr(pending)] {
        if (const auto taken_back = weak.lock()) *taken_back = nullptr;
    };
}

RPCH_DECL connect_function connect_in_memory(std::shared_ptr<transport::rendezvous> server) {
    return [server = std::move(server)](const wanted_link& wanted, link_handler done) {
        return answer_later(
            server->context()->on, std::move(done),
            [server, &owner = wanted.owner, client = wanted.client](const link_handler& answer) {
                answer({}, server->connect_in_memory(owner, client), {});
            });
    };
}

} // namespace rpch::inline RPCH_ABI::detail
