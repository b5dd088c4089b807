#include "tests/support/raw_peer.hpp"

#include <fstream>
#include <stdexcept>
#include <utility>

#include <rpch/http/write.hpp>

#include <asio/buffer.hpp>
#include <asio/write.hpp>

namespace test {

using asio::ip::tcp;

raw_peer::raw_peer(asio::io_context& io, std::uint16_t port)
    : state_(std::make_shared<state>(tcp::socket(io))) {
    state_->socket.connect({asio::ip::address_v4::loopback(), port});
    state_->socket.set_option(tcp::no_delay(true));
    read(state_);
}

raw_peer::raw_peer(tcp::socket accepted) : state_(std::make_shared<state>(std::move(accepted))) {
    state_->socket.set_option(tcp::no_delay(true));
    read(state_);
}

raw_peer::~raw_peer() {
    if (state_) close();
}

void raw_peer::read(const std::shared_ptr<state>& s) {
    s->socket.async_read_some(asio::buffer(s->fresh), [s](std::error_code ec, std::size_t n) {
        s->heard.append(s->fresh, 0, n);
        if (ec)
            s->ended = true;
        else
            read(s);
    });
}

void raw_peer::send(std::string_view text) {
    std::error_code lost;
    asio::write(state_->socket, asio::buffer(text.data(), text.size()), lost);
}
void raw_peer::send(const bytes& data) {
    std::error_code lost;
    asio::write(state_->socket, asio::buffer(data.data(), data.size()), lost);
}

void raw_peer::shut_send() {
    std::error_code ignored;
    state_->socket.shutdown(tcp::socket::shutdown_send, ignored);
}

void raw_peer::reset() {
    std::error_code ignored;
    state_->socket.set_option(asio::socket_base::linger(true, 0), ignored);
    state_->socket.close(ignored);
}

void raw_peer::close() {
    std::error_code ignored;
    state_->socket.close(ignored);
}

std::string channel_head(rpch::http::channel_method method, std::uint16_t target,
                         std::uint64_t content_length, std::string_view authorization) {
    rpch::http::channel_request_options what;
    what.method = method;
    what.host = "127.0.0.1";
    what.server_name = "127.0.0.1";
    what.server_port = target;
    what.content_length = content_length;
    what.authorization = authorization;
    return rpch::http::write_channel_request(what).value();
}

std::vector<rts_vector> rts_vectors(const std::string& file) {
    std::ifstream in(std::string(RPCH_TEST_VECTORS) + "/rts/" + file);
    if (!in) throw std::runtime_error("no vector file " + file);
    std::vector<rts_vector> out;
    for (std::string line; std::getline(in, line);) {
        if (line.empty() || line[0] == '#') continue;
        const std::size_t one = line.find('\t');
        const std::size_t two = line.find('\t', one + 1);
        const std::size_t last = line.rfind('\t');
        out.push_back({line.substr(0, one), line.substr(one + 1, two - one - 1),
                       hex(std::string_view(line).substr(last + 1))});
    }
    return out;
}

} // namespace test
