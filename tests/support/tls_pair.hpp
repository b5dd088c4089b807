// Two TLS engines joined by memory, and a bare mbedTLS client for what our own never does.
#ifndef RPCH_TESTS_SUPPORT_TLS_PAIR_HPP
#define RPCH_TESTS_SUPPORT_TLS_PAIR_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rpch/transport/detail/mbedtls_compat.hpp>
#include <rpch/transport/tls_engine.hpp>

#include "tests/support/bytes.hpp"

namespace test {

/// Says how many bytes the next piece on the wire has.
using splitter = std::function<std::size_t()>;
inline std::size_t unsplit() { return std::numeric_limits<std::size_t>::max(); }

/// One side: an engine, what it received, and the status it gave last.
struct tls_side {
    explicit tls_side(rpch::transport::tls_engine e) : engine(std::move(e)) {}

    rpch::transport::tls_engine engine;
    bytes received;
    rpch::transport::tls_status status = rpch::transport::tls_status::want_input;

    /// Uses up the input that was lent.
    void step() {
        std::array<std::byte, 1000> space{};
        for (;;) {
            const auto [n, s] = engine.read(space);
            received.insert(received.end(), space.begin(),
                            space.begin() + static_cast<std::ptrdiff_t>(n));
            status = s;
            if (s != rpch::transport::tls_status::done) return;
        }
    }
    bytes take_output() {
        const auto out = engine.output();
        bytes copy(out.begin(), out.end());
        engine.consume_output(out.size());
        return copy;
    }
    void deliver(rpch::byte_view wire, const splitter& split) {
        while (!wire.empty()) {
            const auto piece = wire.first(std::min(wire.size(), split()));
            engine.set_input(piece);
            step();
            if (status == rpch::transport::tls_status::failed) return;
            wire = wire.subspan(piece.size());
        }
    }
};

struct tls_pair {
    tls_pair(std::shared_ptr<rpch::transport::tls_context> client_context,
             std::shared_ptr<rpch::transport::tls_context> server_context,
             std::string_view name = "localhost", std::uint16_t port = 443)
        : client(rpch::transport::tls_engine(std::move(client_context), name, port)),
          server(rpch::transport::tls_engine(std::move(server_context))) {}

    tls_side client;
    tls_side server;

    /// Carries bytes both ways until nobody has any. @return true if both handshakes are over.
    bool run(const splitter& split = unsplit) {
        client.step();
        for (;;) {
            const auto up = client.take_output();
            server.deliver(up, split);
            const auto down = server.take_output();
            client.deliver(down, split);
            if (up.empty() && down.empty()) break;
        }
        return client.engine.is_established() && server.engine.is_established();
    }
};

/// mbedTLS as a client, without our settings: `adjust` makes it misbehave.
class bare_tls_client {
  public:
    explicit bare_tls_client(const std::function<void(mbedtls_ssl_config&)>& adjust) {
        mbedtls_ssl_config_defaults(config_.get(), MBEDTLS_SSL_IS_CLIENT,
                                    MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
        mbedtls_ssl_conf_rng(config_.get(), rpch::transport::detail::mbedtls_random, nullptr);
        mbedtls_ssl_conf_authmode(config_.get(), MBEDTLS_SSL_VERIFY_NONE);
        adjust(*config_.get());
        mbedtls_ssl_setup(ssl_.get(), config_.get());
        mbedtls_ssl_set_bio(ssl_.get(), this, send, receive, nullptr);
    }
    mbedtls_ssl_context& native() { return *ssl_.get(); }
    /// @return what mbedtls_ssl_handshake says once nothing moves any more.
    int handshake(tls_side& server) {
        int code = 0;
        do {
            code = mbedtls_ssl_handshake(ssl_.get());
        } while (exchange(server));
        return code;
    }
    /// Carries bytes both ways. @return false if there were none.
    bool exchange(tls_side& server) {
        const bytes up = std::exchange(to_server_, {});
        server.deliver(up, unsplit);
        const bytes down = server.take_output();
        to_client_.insert(to_client_.end(), down.begin(), down.end());
        return !up.empty() || !down.empty();
    }

  private:
    static int send(void* self, const unsigned char* data, std::size_t length) {
        auto& out = static_cast<bare_tls_client*>(self)->to_server_;
        const auto part = std::as_bytes(std::span(data, length));
        out.insert(out.end(), part.begin(), part.end());
        return static_cast<int>(length);
    }
    static int receive(void* self, unsigned char* data, std::size_t length) {
        auto& in = static_cast<bare_tls_client*>(self)->to_client_;
        if (in.empty()) return MBEDTLS_ERR_SSL_WANT_READ;
        const std::size_t n = std::min(length, in.size());
        std::copy_n(in.begin(), n, std::as_writable_bytes(std::span(data, length)).begin());
        in.erase(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(n));
        return static_cast<int>(n);
    }

    bytes to_server_;
    bytes to_client_;
    rpch::transport::detail::tls::config config_;
    rpch::transport::detail::tls::connection ssl_;
};

} // namespace test

#endif
