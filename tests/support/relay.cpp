#include "tests/support/relay.hpp"

#include <string>
#include <string_view>
#include <utility>

#include <rpch/core/bytes.hpp>
#include <rpch/dcerpc/common_header.hpp>

#include <netinet/tcp.h>

#include "tests/support/splice.hpp"

namespace test {

using asio::ip::tcp;

class relay::pair final : public splice {
  public:
    pair(tcp::socket near, tcp::socket far, const relay& of)
        : splice(std::move(near), std::move(far)),
          leaves_out_(of.leaves_out_),
          paused_(of.paused_),
          alter_in_(of.alter_in_),
          alter_out_(of.alter_out_) {}

    void pause_answers() { answers_paused_ = true; }

    void resume() {
        if (std::exchange(held_, false)) go_on();
    }
    void reset() {
        std::error_code ignored;
        for (tcp::socket* each : {&near_, &far_})
            each->set_option(asio::socket_base::linger(true, 0), ignored);
        close();
    }
    void cut(end who, manner how) {
        is_cut_ = true;
        if (who != end::far) cut_one(near_, how);
        if (who != end::near) cut_one(far_, how);
    }
    [[nodiscard]] bool is_over() const { return !near_.is_open() && !far_.is_open(); }
    [[nodiscard]] std::uint64_t bytes_in() const { return bytes_in_; }

  private:
    static void cut_one(tcp::socket& one, manner how) {
        std::error_code ignored;
        if (how == manner::fin) {
            one.shutdown(tcp::socket::shutdown_send, ignored);
            return;
        }
        one.set_option(asio::socket_base::linger(true, 0), ignored);
        one.close(ignored);
    }
    void on_end(bool near) override {
        std::error_code ignored;
        if (!is_cut_) return close();
        (near ? near_ : far_).close(ignored);
    }
    bool may_read(bool from_near) override {
        if (!from_near) return !answers_paused_;
        if (*paused_) held_ = true;
        return !*paused_;
    }
    void on_bytes(bool from_near, std::vector<char>& bytes) override {
        if (from_near) bytes_in_ += bytes.size();
        if (is_cut_) bytes.clear();
        if (bytes.empty()) return;
        if (std::exchange(from_near ? *alter_in_ : *alter_out_, false)) bytes.back() ^= 1;
        if (*leaves_out_) sift(from_near, bytes);
    }
    /// Lets a head or banner pass, and those of the PDUs behind it that are whole and not left out.
    void sift(bool from_near, std::vector<char>& bytes) {
        stream& of = from_near ? in_ : out_;
        of.waiting.append(bytes.data(), bytes.size());
        bytes.clear();
        const auto pass = [&](std::size_t n) {
            bytes.insert(bytes.end(), of.waiting.data(), of.waiting.data() + n);
        };
        if (of.is_first && of.waiting[0] != '\x05') {
            const std::string_view last = of.waiting[0] == 'n' ? "ncacn_http/1.0" : "\r\n\r\n";
            const std::size_t end = of.waiting.find(last);
            if (end == std::string::npos) return;
            pass(end + last.size());
            of.waiting.erase(0, end + last.size());
        }
        of.is_first = false;
        while (of.waiting.size() >= rpch::dcerpc::common_header_bytes) {
            const auto whole = rpch::core::as_bytes(of.waiting);
            const auto size = rpch::dcerpc::peek_frag_length(whole).value().value();
            if (whole.size() < size) return;
            if (!(*leaves_out_)(from_near, whole.first(size))) pass(size);
            of.waiting.erase(0, size);
        }
    }

    struct stream {
        std::string waiting; // what is no whole PDU yet
        bool is_first = true;
    };
    stream in_;
    stream out_;
    std::shared_ptr<pdu_filter> leaves_out_;
    std::shared_ptr<bool> paused_;
    std::shared_ptr<bool> alter_in_;
    std::shared_ptr<bool> alter_out_;
    bool held_ = false; // nothing is being read from who connected
    bool answers_paused_ = false;
    bool is_cut_ = false;
    std::uint64_t bytes_in_ = 0;
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
        tcp::socket far(io_, tcp::v4());
        if (narrow_) { // a small segment keeps the sender's buffer small as well
            far.set_option(asio::socket_base::receive_buffer_size(4096));
            far.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_MAXSEG>(536));
        }
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

void relay::pause_answers(std::size_t which) { pairs_.at(which)->pause_answers(); }

void relay::reset(std::size_t which) { pairs_.at(which)->reset(); }

void relay::cut(std::size_t which, end who, manner how) { pairs_.at(which)->cut(who, how); }

bool relay::is_over(std::size_t which) const { return pairs_.at(which)->is_over(); }

std::uint64_t relay::bytes_from(std::size_t which) const { return pairs_.at(which)->bytes_in(); }

} // namespace test
