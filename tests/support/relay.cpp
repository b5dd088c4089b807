#include "tests/support/relay.hpp"

#include <utility>

#include "tests/support/splice.hpp"

namespace test {

using asio::ip::tcp;

class relay::pair final : public splice {
  public:
    pair(tcp::socket near, tcp::socket far, const relay& of)
        : splice(std::move(near), std::move(far)),
          paused_(of.paused_),
          alter_in_(of.alter_in_),
          alter_out_(of.alter_out_) {}

    void resume() {
        if (std::exchange(held_, false)) go_on();
    }
    void reset() {
        std::error_code ignored;
        for (tcp::socket* each : {&near_, &far_})
            each->set_option(asio::socket_base::linger(true, 0), ignored);
        close();
    }

  private:
    bool may_read(bool from_near) override {
        if (*paused_ && from_near) held_ = true;
        return !*paused_ || !from_near;
    }
    void on_bytes(bool from_near, char* bytes, std::size_t count) override {
        if (std::exchange(from_near ? *alter_in_ : *alter_out_, false)) bytes[count - 1] ^= 1;
    }

    std::shared_ptr<bool> paused_;
    std::shared_ptr<bool> alter_in_;
    std::shared_ptr<bool> alter_out_;
    bool held_ = false; // nothing is being read from who connected
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
        made->start();
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
        if (!wanted) each->resume();
}

void relay::reset(std::size_t which) { pairs_.at(which)->reset(); }

} // namespace test
