#include "tests/support/relay.hpp"

#include <array>
#include <utility>

#include <asio/buffer.hpp>
#include <asio/write.hpp>

namespace test {

using asio::ip::tcp;

struct relay::pair : std::enable_shared_from_this<relay::pair> {
    pair(tcp::socket a, tcp::socket b, const relay& of)
        : near(std::move(a)),
          far(std::move(b)),
          paused(of.paused_),
          alter_in(of.alter_in_),
          alter_out(of.alter_out_) {}

    void carry(tcp::socket& from, tcp::socket& to, std::array<char, 4096>& buffer) {
        if (*paused && &from == &near) {
            held = true;
            return;
        }
        from.async_read_some(asio::buffer(buffer), [this, &from, &to, &buffer,
                                                    self = shared_from_this()](std::error_code ec,
                                                                               std::size_t n) {
            if (ec) return close();
            if (std::exchange(&from == &near ? *alter_in : *alter_out, false)) buffer[n - 1] ^= 1;
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

    tcp::socket near;
    tcp::socket far;
    std::shared_ptr<bool> paused;
    std::shared_ptr<bool> alter_in;
    std::shared_ptr<bool> alter_out;
    bool held = false; // nothing is being read from `near`
    std::array<char, 4096> inward{};
    std::array<char, 4096> outward{};
};

relay::relay(asio::io_context& io, std::vector<std::uint16_t> targets)
    : io_(io),
      acceptor_(io, {asio::ip::address_v4::loopback(), 0}),
      where_(acceptor_.local_endpoint()),
      targets_(std::move(targets)) {
    accept();
}

relay::~relay() {
    std::error_code ignored;
    acceptor_.close(ignored);
    for (const auto& each : pairs_) each->close();
}

void relay::accept() {
    acceptor_.async_accept([this](std::error_code ec, tcp::socket near) {
        if (ec) return;
        tcp::socket far(io_);
        const std::uint16_t target = targets_[pairs_.size() % targets_.size()];
        far.connect({asio::ip::address_v4::loopback(), target}, ec);
        const auto made = std::make_shared<pair>(std::move(near), std::move(far), *this);
        pairs_.push_back(made);
        made->carry(made->near, made->far, made->inward);
        made->carry(made->far, made->near, made->outward);
        accept();
    });
}

void relay::stop_accepting() { acceptor_.close(); }

void relay::accept_again() {
    acceptor_ = tcp::acceptor(io_, where_);
    accept();
}

void relay::pause(bool wanted) {
    *paused_ = wanted;
    for (const auto& each : pairs_)
        if (!wanted && std::exchange(each->held, false))
            each->carry(each->near, each->far, each->inward);
}

void relay::reset(std::size_t which) {
    std::error_code ignored;
    for (tcp::socket* each : {&pairs_.at(which)->near, &pairs_.at(which)->far})
        each->set_option(asio::socket_base::linger(true, 0), ignored);
    pairs_.at(which)->close();
}

} // namespace test
