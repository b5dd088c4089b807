#include "tests/support/forward_proxy.hpp"

#include <utility>

#include <asio/buffer.hpp>
#include <asio/read_until.hpp>
#include <asio/write.hpp>

#include "tests/support/splice.hpp"

namespace test {

using asio::ip::tcp;

class forward_proxy::connection final : public splice {
  public:
    connection(forward_proxy& of, tcp::socket from)
        : splice(std::move(from), tcp::socket(of.io_)), owner_(of) {}

    void read_head() {
        asio::async_read_until(
            near_, asio::dynamic_buffer(head_), "\r\n\r\n",
            [this, self = shared_from_this()](std::error_code ec, std::size_t n) {
                if (!ec) serve(n);
            });
    }

  private:
    void serve(std::size_t head_bytes) {
        const std::string line = head_.substr(0, head_.find("\r\n"));
        owner_.requests_.push_back(line);
        if (owner_.silent_) return;
        if (!owner_.answer_.empty()) {
            std::error_code ignored;
            asio::write(near_, asio::buffer(owner_.answer_), ignored);
            return close();
        }
        std::error_code ec;
        far_.connect({asio::ip::address_v4::loopback(), owner_.target_}, ec);
        if (ec) return close();
        if (line.rfind("CONNECT ", 0) == 0) {
            asio::write(near_, asio::buffer(owner_.interim_ +
                                            "HTTP/1.1 200 Connection established\r\n\r\n" +
                                            owner_.behind_));
            asio::write(far_, asio::buffer(head_.substr(head_bytes)));
        } else {
            const std::size_t scheme = head_.find("http://");
            const std::size_t path = head_.find('/', scheme + 7);
            if (scheme == std::string::npos || path == std::string::npos) return close();
            asio::write(far_, asio::buffer(head_.erase(scheme, path - scheme)));
        }
        start();
    }

    forward_proxy& owner_;
    std::string head_;
};

forward_proxy::forward_proxy(asio::io_context& io, std::uint16_t target)
    : io_(io), acceptor_(io, {asio::ip::address_v4::loopback(), 0}), target_(target) {
    accept();
}

forward_proxy::~forward_proxy() {
    std::error_code ignored;
    acceptor_.close(ignored);
    for (const auto& each : connections_) each->close();
}

void forward_proxy::accept() {
    acceptor_.async_accept([this](std::error_code ec, tcp::socket near) {
        if (ec) return;
        connections_.push_back(std::make_shared<connection>(*this, std::move(near)));
        connections_.back()->read_head();
        accept();
    });
}

} // namespace test
