#ifndef RPCH_BENCH_RELAY_SERVERS_HPP
#define RPCH_BENCH_RELAY_SERVERS_HPP

#include "bench/relay/messages.hpp"
#include "bench/support/placed.hpp"

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace bench::relay {

using asio::ip::tcp;

inline tcp::endpoint loopback(std::uint16_t port) {
    return {asio::ip::address_v4::loopback(), port};
}

/// Accepts for ever and hands every connection, its delays off, to `serve`.
template <class Serve>
class listener : public std::enable_shared_from_this<listener<Serve>> {
  public:
    listener(asio::io_context& loop, Serve serve)
        : loop_{loop}, acceptor_{loop, loopback(0)}, serve_{std::move(serve)} {}

    [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

    void accept() {
        auto self = this->shared_from_this();
        acceptor_.async_accept(loop_, [self](std::error_code error, tcp::socket socket) {
            if (error) return;
            socket.set_option(tcp::no_delay{true});
            self->serve_(std::move(socket));
            self->accept();
        });
    }

  private:
    asio::io_context& loop_;
    tcp::acceptor acceptor_;
    Serve serve_;
};

template <class Serve>
started listen(asio::io_context& loop, Serve serve) {
    auto made = std::make_shared<listener<Serve>>(loop, std::move(serve));
    made->accept();
    return {{made->port()}, made};
}

/// Two sockets whose bytes go from each to the other until one of them ends.
class joined : public std::enable_shared_from_this<joined> {
  public:
    joined(tcp::socket near, tcp::socket far, std::size_t chunk_bytes)
        : near_{std::move(near)}, far_{std::move(far)}, up_(chunk_bytes), down_(chunk_bytes) {}

    void start() {
        pump(near_, far_, up_);
        pump(far_, near_, down_);
    }

  private:
    void pump(tcp::socket& from, tcp::socket& to, std::vector<std::byte>& buffer) {
        auto self = shared_from_this();
        from.async_read_some(asio::buffer(buffer), [self, &from, &to, &buffer](auto error, auto n) {
            if (error) return self->end();
            asio::async_write(to, asio::buffer(buffer.data(), n),
                              [self, &from, &to, &buffer](auto failed, auto) {
                                  if (failed) return self->end();
                                  self->pump(from, to, buffer);
                              });
        });
    }
    void end() {
        std::error_code ignored;
        near_.close(ignored);
        far_.close(ignored);
    }

    tcp::socket near_, far_;
    std::vector<std::byte> up_, down_;
};

/// Starts a relay: every connection is carried on, byte by byte, to another port.
inline started start_relay(asio::io_context& loop, std::uint16_t to, std::size_t chunk_bytes) {
    return listen(loop, [&loop, to, chunk_bytes](tcp::socket near) {
        tcp::socket far{loop};
        far.connect(loopback(to)); // once per run and on loopback: not worth a handler
        far.set_option(tcp::no_delay{true});
        std::make_shared<joined>(std::move(near), std::move(far), chunk_bytes)->start();
    });
}

/// Answers every request that came whole; answers that are ready together leave in one write.
class responder : public std::enable_shared_from_this<responder> {
  public:
    responder(tcp::socket in, std::unique_ptr<tcp::socket> out, std::size_t request_bytes,
              std::size_t response_bytes)
        : in_{std::move(in)},
          out_{std::move(out)},
          requests_{request_bytes},
          answers_{out_ ? *out_ : in_, response_bytes} {}

    void start() {
        auto self = shared_from_this();
        in_.async_read_some(asio::buffer(space_), [self](std::error_code error, std::size_t n) {
            if (error) return;
            self->requests_.feed(self->space_.data(), n,
                                 [&](sequence number) { self->answers_.queue(number); });
            self->answers_.flush();
            self->start();
        });
    }

  private:
    tcp::socket in_;
    std::unique_ptr<tcp::socket> out_; // none: the answers go back on in_
    message_reader requests_;
    message_writer answers_;
    std::array<std::byte, 65536> space_{};
};

/// Starts the server that stands behind the relays.
inline started start_server(asio::io_context& loop, std::size_t request_bytes,
                            std::size_t response_bytes) {
    struct waiting {
        std::map<std::uint32_t, tcp::socket> in, out;
    };
    auto halves = std::make_shared<waiting>();
    return listen(loop, [=](tcp::socket fresh) {
        auto socket = std::make_shared<tcp::socket>(std::move(fresh));
        auto hello = std::make_shared<greeting>();
        const auto respond = [=](tcp::socket in, std::unique_ptr<tcp::socket> out) {
            std::make_shared<responder>(std::move(in), std::move(out), request_bytes,
                                        response_bytes)
                ->start();
        };
        const auto greeted = [=](std::error_code error, std::size_t) {
            if (error) return;
            if (hello->what == greeting::duplex) return respond(std::move(*socket), nullptr);
            auto& mine = hello->what == greeting::in ? halves->in : halves->out;
            mine.emplace(hello->pair, std::move(*socket));
            auto in = halves->in.extract(hello->pair);
            auto out = halves->out.extract(hello->pair);
            if (in && out)
                return respond(std::move(in.mapped()),
                               std::make_unique<tcp::socket>(std::move(out.mapped())));
            if (in) halves->in.insert(std::move(in));
            if (out) halves->out.insert(std::move(out));
        };
        asio::async_read(*socket, asio::buffer(hello.get(), sizeof *hello), greeted);
    });
}

} // namespace bench::relay

#endif
