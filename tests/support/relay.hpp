// Passes bytes between a port of its own and another one, and breaks connections when told to.
#ifndef RPCH_TESTS_SUPPORT_RELAY_HPP
#define RPCH_TESTS_SUPPORT_RELAY_HPP

#include <cstdint>
#include <memory>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>

namespace test {

class relay {
  public:
    relay(asio::io_context& io, std::uint16_t target)
        : relay(io, std::vector<std::uint16_t>{target}) {}
    /// A balancer: each connection goes to the next of the targets.
    relay(asio::io_context& io, std::vector<std::uint16_t> targets);
    relay(const relay&) = delete;
    relay& operator=(const relay&) = delete;
    ~relay();

    [[nodiscard]] std::uint16_t port() const { return where_.port(); }
    /// @return connections accepted so far.
    [[nodiscard]] std::size_t connections() const { return pairs_.size(); }
    /// Refuses connections, and takes them again on the same port.
    void stop_accepting();
    void accept_again();
    /// Stops reading what comes from those who connected, or goes on.
    void pause(bool wanted);
    /// Flips a bit at the end of the next bytes that come from those who connected, or go to them.
    void alter_next(bool towards_client) { *(towards_client ? alter_out_ : alter_in_) = true; }
    /// Resets both sides of the connection that was accepted as number `which`, from 0.
    void reset(std::size_t which);

  private:
    class pair;
    void accept();

    asio::io_context& io_;
    asio::ip::tcp::acceptor acceptor_;
    asio::ip::tcp::endpoint where_;
    std::vector<std::uint16_t> targets_;
    std::shared_ptr<bool> paused_ = std::make_shared<bool>(false);
    std::shared_ptr<bool> alter_in_ = std::make_shared<bool>(false);
    std::shared_ptr<bool> alter_out_ = std::make_shared<bool>(false);
    std::vector<std::shared_ptr<pair>> pairs_;
};

} // namespace test

#endif
