#include "tests/support/forward_proxy.hpp"

#include <array>
#include <utility>

#include <asio/buffer.hpp>
#include <asio/read_until.hpp>
#include <asio/write.hpp>

namespace test {

using asio::ip::tcp;

struct forward_proxy::connection : std::enable_shared_from_this<connection> {
    connection(forward_proxy& of, tcp::socket from)
        : owner(of), near(std::move(from)), far(of.io_) {}

    void read_head() {
        asio::async_read_until(near, asio::dynamic_buffer(head), "\r\n\r\n",
                               [self = shared_from_this()](std::error_code ec, std::size_t n) {
                                   if (!ec) self->serve(n);
                               });
    }
    void serve(std::size_t head_bytes) {
        const std::string line = head.substr(0, head.find("\r\n"));
        owner.requests_.push_back(line);
        if (owner.silent_) return;
        if (!owner.answer_.empty()) {
            std::error_code ignored;
            asio::write(near, asio::buffer(owner.answer_), ignored);
            return close();
        }
        std::error_code ec;
        far.connect({asio::ip::address_v4::loopback(), owner.target_}, ec);
        if (ec) return close();
        if (line.rfind("CONNECT ", 0) == 0) {
            asio::write(near, asio::buffer(owner.interim_ +
                                           "HTTP/1.1 200 Connection established\r\n\r\n" +
                                           owner.behind_));
            asio::write(far, asio::buffer(head.substr(head_bytes)));
        } else {
            const std::size_t scheme = head.find("http://");
            const std::size_t path = head.find('/', scheme + 7);
            if (scheme == std::string::npos || path == std::string::npos) return close();
            asio::write(far, asio::buffer(head.erase(scheme, path - scheme)));
        }
        carry(near, far, inward);
        carry(far, near, outward);
    }
    void carry(tcp::socket& from, tcp::socket& to, std::array<char, 4096>& buffer) {
        from.async_read_some(asio::buffer(buffer), [this, &from, &to, &buffer,
                                                    self = shared_from_this()](std::error_code ec,
                                                                               std::size_t n) {
            if (ec) return close();
            asio::async_write(to, asio::buffer(buffer.data(), n),
                              [this, &from, &to, &buffer, self](std::error_code lost, std::size_t) {
                                  if (lost) return close();
                                  carry(from, to, buffer);
                              });
        });
    }
    void close() {
        std::error_code ignored;
        near.close(ignored);
        far.close(ignored);
    }

    forward_proxy& owner;
    tcp::socket near;
    tcp::socket far;
    std::string head;
    std::array<char, 4096> inward{};
    std::array<char, 4096> outward{};
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
