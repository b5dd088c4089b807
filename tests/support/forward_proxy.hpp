// An HTTP proxy, as stands between a client and the world: it opens tunnels, and passes plain
// requests on.
#ifndef RPCH_TESTS_SUPPORT_FORWARD_PROXY_HPP
#define RPCH_TESTS_SUPPORT_FORWARD_PROXY_HPP

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>

namespace test {

class forward_proxy {
  public:
    /// @param target  where every tunnel and request leads to, whatever it names.
    forward_proxy(asio::io_context& io, std::uint16_t target);
    forward_proxy(const forward_proxy&) = delete;
    forward_proxy& operator=(const forward_proxy&) = delete;
    ~forward_proxy();

    [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
    /// From now on every request gets this answer, sent in one piece, and nothing else.
    void answer_with(std::string response) { answer_ = std::move(response); }
    /// What stands before the answer that opens a tunnel.
    void say_before(std::string interim) { interim_ = std::move(interim); }
    /// What it sends behind the answer that opens a tunnel.
    void say_behind(std::string bytes) { behind_ = std::move(bytes); }
    /// Takes connections and requests, and says nothing.
    void fall_silent() { silent_ = true; }
    /// @return the first lines of the requests so far.
    [[nodiscard]] const std::vector<std::string>& requests() const { return requests_; }

  private:
    class connection;
    void accept();

    asio::io_context& io_;
    asio::ip::tcp::acceptor acceptor_;
    std::uint16_t target_;
    std::string answer_;
    std::string interim_;
    std::string behind_;
    bool silent_ = false;
    std::vector<std::string> requests_;
    std::vector<std::shared_ptr<connection>> connections_;
};

} // namespace test

#endif
