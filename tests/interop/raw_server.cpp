// A server for what needs more than `rpch serve` offers: Samba's tests of raw PDUs (raw_test.py)
// and context handles of Samba's client (group_test.py). An endpoint mapper with mgmt, the one
// interface that the tests look up there, and three operations of [MS-RRP] with handles. Not
// installed.
//     interop_raw_server PORT [KEYTAB]      of the endpoint mapper, on 127.0.0.1
// It announces three listeners: the mapper's, ncacn_ip_tcp of the other interfaces, and ncacn_http
// of the one with handles. With a keytab it takes Kerberos, too.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <rpch/auth/ntlm.hpp>
#include <rpch/auth/spnego.hpp>
#include <rpch/core/text.hpp>
#include <rpch/server/server.hpp>
#include <rpch/services/mgmt.hpp>
#include <rpch/transport/kerberos.hpp>
#include <rpch/transport/ntlm_environment.hpp>

#include "src/tool/service_loop.hpp"

namespace {

using rpch::ndr::context_handle;

constexpr rpch::interface_id netlogon{"12345678-1234-abcd-ef00-01234567cffb", 1, 0};

/// OpenLocalMachine, BaseRegCloseKey and BaseRegGetVersion, [MS-RRP] 3.1.5: a handle, and who may
/// use it.
struct registry {
    static constexpr rpch::interface_id id{"338cd001-2244-31f1-aaaa-900038001003", 1, 0};
    using name = rpch::ndr::unique<std::uint16_t>;
    using opened = std::tuple<context_handle, std::uint32_t>;
    using version = std::tuple<std::uint32_t, std::uint32_t>;
    using open = rpch::operation<2, opened(name, std::uint32_t)>;
    using close = rpch::operation<5, opened(context_handle)>;
    using get_version = rpch::operation<26, version(context_handle)>;
    struct key {};
};

void offer_registry(rpch::server& on) {
    using rpch::call_context;
    on.handle<registry, registry::open>(
        [](call_context& call, const registry::name&, std::uint32_t) {
            return registry::opened{call.make_handle<registry::key>(), 0};
        });
    on.handle<registry, registry::close>([](call_context& call, const context_handle& h) {
        return registry::opened{call.close_handle<registry::key>(h), 0};
    });
    on.handle<registry, registry::get_version>([](call_context& call, const context_handle& h) {
        static_cast<void>(call.handle<registry::key>(h));
        return registry::version{6, 0};
    });
}

/// NetrServerReqChallenge, [MS-NRPC] 3.5.4.4.1: a challenge of zeros and success, whatever is
/// asked.
void answer_challenge(rpch::call_context&, std::vector<std::byte>, rpch::core::byte_order,
                      rpch::responder answer) {
    answer.respond(std::vector<std::byte>(12));
}

/// An operation for clients that send more stub data than it has parameters: none.
template <class Operation, class Answer>
void offer_tolerant(rpch::server& on, Answer answer_of) {
    on.handle_raw(rpch::services::mgmt::id, Operation::opnum,
                  [answer_of](rpch::call_context&, std::vector<std::byte>, rpch::core::byte_order,
                              rpch::responder answer) {
                      const auto told = answer_of();
                      if (!told) return answer.fault(rpch::rpc_status::nca_fault_unspec);
                      rpch::detail::send_answer(answer, Operation::encode_response(*told));
                  });
}

std::shared_ptr<rpch::auth::security_acceptor> ntlm() {
    const auto& environment = rpch::transport::system_ntlm_environment();
    auto accounts = std::make_shared<rpch::auth::ntlm_account_list>();
    const auto hash = *rpch::auth::ntowf_v1("secret");
    accounts->add({.user = "tester", .domain = "", .nt_hash = hash});
    accounts->add({.user = "domainuser", .domain = "RPCHDOM", .nt_hash = hash});
    accounts->add({.user = "lockeduser", .domain = "", .nt_hash = hash, .locked = true});
    return std::make_shared<rpch::auth::ntlm_acceptor>(
        environment, std::move(accounts),
        rpch::auth::ntlm_server_settings{
            .netbios_computer = "RAW", .netbios_domain = "WORKGROUP", .allow_anonymous = true});
}

bool listen(rpch::server& on, const std::string& binding) {
    const auto port = on.listen(binding);
    if (!port) {
        std::fprintf(stderr, "%s: %s\n", binding.c_str(), port.error().message().c_str());
        return false;
    }
    tool::announce("127.0.0.1", *port);
    return true;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2 && argc != 3) {
        std::fputs("interop_raw_server PORT [KEYTAB]\n", stderr);
        return 1;
    }
    asio::io_context io(1);
    tool::service_signals signals(io);
    rpch::server_settings settings;
    settings.log = tool::log_line;
    std::vector<std::shared_ptr<rpch::auth::security_acceptor>> inside{ntlm()};
    settings.rpc_security = inside;
    if (argc == 3) {
        inside.insert(inside.begin(), std::make_shared<rpch::transport::kerberos_acceptor>(
                                          rpch::transport::kerberos_server_settings{
                                              .keytab = argv[2], .replay_cache = "none:"}));
        settings.rpc_security.push_back(inside.front());
    }
    settings.rpc_security.push_back(std::make_shared<rpch::auth::spnego_acceptor>(inside));
    settings.call_bytes_max = std::size_t{4} << 20; // as Windows has it
    rpch::server mapper(io.get_executor(), settings);
    rpch::server other(io.get_executor(), settings);
    const auto known = std::make_shared<rpch::services::endpoint_map>();
    mapper.serve_endpoint_mapper(known);
    mapper.serve_mgmt();
    rpch::services::server_facts facts;
    facts.interfaces = {rpch::services::endpoint_mapper::id, rpch::services::mgmt::id};
    using service = rpch::services::mgmt_service;
    offer_tolerant<rpch::services::mgmt::inq_if_ids>(
        mapper, [facts] { return service::inq_if_ids(facts, rpch::services::mgmt_status::ok); });
    offer_tolerant<rpch::services::mgmt::stop_server_listening>(mapper, [] {
        return service::stop_server_listening(rpch::services::mgmt_status::access_denied);
    });
    other.handle_raw(netlogon, 4, answer_challenge);
    other.publish_endpoints(known, {.annotation = "netlogon", .objects = {}});
    offer_registry(other);
    if (!listen(mapper, std::string("ncacn_ip_tcp:127.0.0.1[") + argv[1] + "]") ||
        !listen(other, "ncacn_ip_tcp:127.0.0.1") || !listen(other, "ncacn_http:127.0.0.1"))
        return 1;
    const auto all = {&mapper, &other};
    tool::service what;
    what.stop_listening = [&] {
        for (rpch::server* each : all) each->stop_listening();
    };
    what.connections = [&] {
        std::size_t open = 0;
        for (const rpch::server* each : all) open += each->connections();
        return open;
    };
    what.close = [&] {
        for (rpch::server* each : all) each->close();
    };
    return tool::run_service(io, signals, what);
}
