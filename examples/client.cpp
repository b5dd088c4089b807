// Calls the server of server.cpp, through a proxy or directly; the binding decides.
// usage: example_client BINDING NAME [CA.pem]
//   example_client 'ncacn_ip_tcp:127.0.0.1[49152]' Ada
//   example_client 'ncacn_http:127.0.0.1[593,RpcProxy=gate.example.com]' Ada ca.pem
#include <cstdio>
#include <exception>
#include <string>

#include <rpch/client/client.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include "greeter.hpp"

asio::awaitable<void> talk(std::string binding, std::string name, rpch::client_options options) {
    // Opens the connection and asks the server for the interface.
    auto service = co_await rpch::connect<greeter>(binding, options);

    const std::int32_t sum = co_await service.call<greeter::add>(40, 2);
    std::printf("40 + 2 = %d\n", sum);

    const auto greeting = co_await service.call<greeter::greet>(
        std::u16string(name.begin(), name.end())); // good for ASCII
    if (greeting) std::printf("%s\n", std::string(greeting->begin(), greeting->end()).c_str());
} // the connection closes with the last copy of `service`

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: %s BINDING NAME [CA.pem]\n", argv[0]);
        return 2;
    }
    rpch::client_options options;
    if (argc > 3) options.tls.ca_file = argv[3]; // else the system's authorities count

    asio::io_context io;
    int result = 0;
    asio::co_spawn(io, talk(argv[1], argv[2], options), [&](const std::exception_ptr& failed) {
        try {
            if (failed) std::rethrow_exception(failed);
        } catch (const rpch::rpc_error& e) { // says who refused, where, and what to do
            std::fprintf(stderr, "%s\n", e.what());
            result = 1;
        }
    });
    io.run();
    return result;
}
