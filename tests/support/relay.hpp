// Passes bytes between a port of its own and another one, and breaks connections when told to.
#ifndef RPCH_TESTS_SUPPORT_RELAY_HPP
#define RPCH_TESTS_SUPPORT_RELAY_HPP

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <rpch/core/bytes.hpp>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>

namespace test {

class relay {
  public:
    /// Which of the two ends of a connection is told that it is over.
    enum class end { both, near, far }; ///< Near is who connected.
    enum class manner { fin, rst };

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
    /// Reads nothing more of what comes for who made connection `which`.
    void pause_answers(std::size_t which);
    /// The systems hold few bytes, some 100 kB, of what goes to those who connect from now on.
    void be_narrow() { narrow_ = true; }
    /// Who connected sent the PDU, or is to get it. @return whether it is left out.
    using pdu_filter = std::function<bool(bool from_near, rpch::byte_view pdu)>;
    /// Leaves PDUs out of connections that are accepted from now on: plain ones, which begin with a
    /// PDU, a banner or an HTTP head.
    void leave_out(pdu_filter which) { *leaves_out_ = std::move(which); }
    /// Ends a connection towards `who` and carries nothing more; an end that is not told stays open
    /// until its owner closes it.
    void cut(std::size_t which, end who, manner how);
    /// @return whether both ends of a connection are closed.
    [[nodiscard]] bool is_over(std::size_t which) const;
    /// @return bytes that have come from who connected.
    [[nodiscard]] std::uint64_t bytes_from(std::size_t which) const;

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
    std::shared_ptr<pdu_filter> leaves_out_ = std::make_shared<pdu_filter>();
    bool narrow_ = false;
    std::vector<std::shared_ptr<pair>> pairs_;
};

} // namespace test

#endif
