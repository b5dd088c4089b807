#ifndef RPCH_BENCH_E2E_ENDPOINTS_HPP
#define RPCH_BENCH_E2E_ENDPOINTS_HPP

#include "bench/support/placed.hpp"

#include <rpch/proxy/proxy.hpp>
#include <rpch/transport/self_signed.hpp>

#include <asio/io_context.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace bench {

/// A proxy on loopback: its first port speaks plain HTTP, its second TLS with this certificate.
inline started start_proxy(asio::io_context& io, const rpch::transport::issued_certificate& leaf) {
    rpch::proxy_settings settings;
    settings.valid_ports = "127.0.0.1:1-65535";
    settings.allow_anonymous = true;
    settings.allow_plain = true;
    auto proxy = std::make_shared<rpch::proxy>(
        rpch::proxy::make(io.get_executor(), std::move(settings)).value());
    rpch::transport::tls_server_options certificate;
    certificate.certificate_chain_pem = leaf.certificate_pem;
    certificate.private_key_pem = leaf.private_key_pem;
    const auto tls = rpch::transport::tls_context::make_server(certificate).value();
    const auto plain_port = proxy->listen({"127.0.0.1", 0}, nullptr);
    const auto tls_port = proxy->listen({"127.0.0.1", 0}, tls);
    return {{plain_port.value(), tls_port.value()}, proxy};
}

/// The binding of a server on loopback that is reached through a proxy there.
inline std::string binding_through(std::uint16_t server, std::uint16_t proxy, bool tls) {
    return "ncacn_http:127.0.0.1[" + std::to_string(server) +
           ",RpcProxy=127.0.0.1:" + std::to_string(proxy) + (tls ? "]" : ",HttpUseTls=false]");
}

} // namespace bench

#endif
