// A machine_server and the way to it: plain TCP, or a proxy that plays the server role for it.
#ifndef RPCH_TESTS_SUPPORT_MACHINE_WORLD_HPP
#define RPCH_TESTS_SUPPORT_MACHINE_WORLD_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "tests/support/machine_server.hpp"
#include "tests/support/stack.hpp"

namespace test {

enum class way { tcp, http };

struct machine_world {
    static constexpr rpch::interface_id other_id{"00000000-1111-2222-3333-444444444444", 1, 0};

    explicit machine_world(way by_, rpch::dcerpc::server_association_options served = {})
        : by(by_), there(all.io, {probe::id, other_id}, std::move(served)) {
        if (by == way::tcp) return;
        rpch::proxy_settings settings;
        settings.valid_ports = "files.example:6001";
        settings.tcp_backends.push_back({{"files.example", 6001}, {"127.0.0.1", there.port()}});
        settings.allow_anonymous = settings.allow_plain = true;
        proxy.emplace(rpch::proxy::make(all.io.get_executor(), settings).value());
        proxy_port = proxy->listen({"127.0.0.1", 0}, nullptr).value();
    }
    [[nodiscard]] std::string binding() const {
        if (by == way::tcp) return there.binding();
        return "ncacn_http:files.example[6001,RpcProxy=127.0.0.1:" + std::to_string(proxy_port) +
               ",HttpUseTls=false]";
    }

    way by;
    stack all;
    machine_server there;
    std::optional<rpch::proxy> proxy;
    std::uint16_t proxy_port = 0;
};

} // namespace test

#endif
