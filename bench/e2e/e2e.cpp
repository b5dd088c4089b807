// Calls through client, proxy and server on loopback, beside raw relays of the same bytes and gRPC.

#include "bench/e2e/caller.hpp"
#include "bench/e2e/endpoints.hpp"
#include "bench/relay/raw_relay.hpp"
#include "bench/support/peer_row.hpp"
#include "bench/support/placed.hpp"
#include "bench/support/rounds.hpp"

#include <rpch/server/server.hpp>
#include <rpch/transport/self_signed.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

namespace {

constexpr rpch::interface_id echo_id{"f3a1c7d2-5a0e-4c2b-9d57-1f2e3a4b5c6d", 1, 0};

bench::started start_server(asio::io_context& io) {
    auto server = std::make_shared<rpch::server>(io.get_executor());
    server->handle_raw(echo_id, 0,
                       [](rpch::call_context&, std::vector<std::byte> stub, rpch::core::byte_order,
                          rpch::responder answer) { answer.respond(std::move(stub)); });
    const auto port = server->listen("ncacn_http:127.0.0.1");
    if (!port) throw std::runtime_error(port.error().message());
    return {{*port}, server};
}

int run(std::vector<std::string> words) {
    using bench::metric;
    const auto options = bench::read_options(words);
    const bool threads = std::find(words.begin(), words.end(), "--threads") != words.end();
    const auto grpc_word = std::find(words.begin(), words.end(), "--grpc");
    const auto where = threads ? bench::placement::threads : bench::placement::processes;

    const auto authority = rpch::transport::test_authority::make().value();
    rpch::transport::certificate_request request;
    request.ip_addresses = {"127.0.0.1"};
    const auto leaf = authority.issue(request).value();

    bench::placed server{where, start_server};
    bench::placed proxy{where, [&](asio::io_context& io) { return bench::start_proxy(io, leaf); }};
    std::optional<bench::peer_row> grpc;
    if (grpc_word != words.end() && grpc_word + 1 != words.end())
        grpc.emplace(*(grpc_word + 1), 32, 64);
    constexpr std::size_t large = 64 * 1024;
    const auto raw = [&](std::size_t payload, std::size_t outstanding) {
        return bench::relay::settings{.request_bytes = bench::relay::wire_bytes(payload),
                                      .response_bytes = bench::relay::wire_bytes(payload),
                                      .outstanding = outstanding,
                                      .where = where};
    };
    bench::relay::two_hops hops{raw(32, 1)};
    bench::relay::in_out_pair pair{raw(32, 1)};
    bench::relay::in_out_pair pair64{raw(32, 64)};
    bench::relay::in_out_pair pair_large{raw(large, 1)};

    std::vector<std::unique_ptr<bench::caller>> callers;
    std::vector<bench::row> rows;
    const auto add = [&](const char* name, bool tls, std::size_t payload, std::size_t outstanding) {
        bench::caller::settings with;
        with.binding = bench::binding_through(server.port(), proxy.port(tls ? 1 : 0), tls);
        with.options.tls.ca_pem = authority.certificate_pem();
        with.request = bench::pattern(payload);
        with.answer = with.request;
        with.outstanding = outstanding;
        callers.push_back(std::make_unique<bench::caller>(std::move(with)));
        rows.push_back(
            callers.back()->as_row(name, {server.process(), proxy.process()}, 2 * payload));
    };
    add("rpch, 32 B", false, 32, 1);
    add("rpch, 32 B, 64 at once", false, 32, 64);
    add("rpch, 64 KiB", false, large, 1);
    add("rpch, 64 KiB, 64 at once", false, large, 64);
    add("rpch TLS, 32 B", true, 32, 1);
    add("rpch TLS, 32 B, 64 at once", true, 32, 64);
    add("rpch TLS, 64 KiB", true, large, 1);
    add("rpch TLS, 64 KiB, 64 at once", true, large, 64);
    rows.push_back(hops.as_row("two hops, 32 B"));
    rows.push_back(pair.as_row("IN/OUT pair, 32 B"));
    rows.push_back(pair64.as_row("IN/OUT pair, 32 B, 64 at once"));
    rows.push_back(pair_large.as_row("IN/OUT pair, 64 KiB"));

    std::vector<bench::comparison> goals{
        {"row 5: calls/s", "rpch, 32 B", "two hops, 32 B", metric::calls_per_second, 1.0},
        {"row 5: p50", "rpch, 32 B", "two hops, 32 B", metric::p50, 1.0},
        {"row 6: calls/s", "rpch, 32 B", "IN/OUT pair, 32 B", metric::calls_per_second, 0.9},
        {"row 6: CPU/call", "rpch, 32 B", "IN/OUT pair, 32 B", metric::cpu_per_call, 1.15}};
    if (grpc) {
        rows.push_back(grpc->as_row("gRPC, 32 B, 64 at once"));
        goals.push_back({"row 8: calls/s", "rpch, 32 B, 64 at once", "gRPC, 32 B, 64 at once",
                         metric::calls_per_second, 30.0});
        goals.push_back({"row 8: CPU/call", "rpch, 32 B, 64 at once", "gRPC, 32 B, 64 at once",
                         metric::cpu_per_call, 0.04});
    }
    return bench::run_and_print(rows, goals, options);
}

} // namespace

int main(int count, char** arguments) {
    try {
        return run({arguments + 1, arguments + count});
    } catch (const std::exception& e) {
        std::fprintf(stderr, "e2e: %s\n", e.what());
        return 1;
    }
}
