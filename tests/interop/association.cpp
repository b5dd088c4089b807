// Our client at a server that is not ours, with more than one call or connection: SAMR. The
// password is in RPCH_PASSWORD.
//
//     interop_association BINDING DOMAIN USER     association groups, [C706] 9.5.1
//     interop_association BINDING DOMAIN USER ntlm|negotiate|kerberos LEVEL TARGET
//                         calls on one connection; DOMAIN is the realm, unless it is for NTLM
//     interop_association BINDING DOMAIN USER ntlm|negotiate|kerberos LEVEL TARGET OTHER
//     several|one
//                         calls of two users on one connection, at a server that takes several
//                         security contexts on it, or one; RPCH_OTHER_PASSWORD is the other's
//
// Groups: opened by one connection, its server handle is good on another one of the same group, and
// on no other; it outlives the connection that got it, and the group ends with its last one. Then
// as many calls at once with one handle as make a client open further connections by itself.
// Calls: each signature but the first has a sequence number above 0.
// Users: a server handle is good for the one who opened it, and for nobody else.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <initializer_list>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <rpch/auth/ntlm.hpp>
#include <rpch/auth/spnego.hpp>
#include <rpch/client/client.hpp>
#include <rpch/core/secret.hpp>
#include <rpch/transport/kerberos.hpp>
#include <rpch/transport/ntlm_environment.hpp>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

namespace {

using namespace std::chrono_literals;
using octets = std::vector<std::byte>;

constexpr rpch::interface_id samr{"12345778-1234-abcd-ef00-0123456789ac", 1, 0};
constexpr std::uint16_t connect_opnum = 0, close_opnum = 1, lookup_domain_opnum = 5,
                        enumerate_domains_opnum = 6, connect5_opnum = 64; // [MS-SAMR] 3.1.5
constexpr std::size_t handle_bytes = 20;

void require(bool holds, const std::string& what) {
    if (!holds) throw std::runtime_error(what);
}

/// What all connections here have in common.
struct place {
    std::string binding;
    rpch::client_options options;
};

/// A client that has bound SAMR.
struct session {
    rpch::client rpc;
    std::uint16_t context = 0;
    rpch::call_parameters as{};

    /// @return the answer without its status, which must be success.
    asio::awaitable<octets> call(std::uint16_t opnum, octets stub, std::error_code& why) {
        auto answer = co_await rpc.async_call_raw(context, opnum, std::move(stub), as,
                                                  asio::redirect_error(asio::use_awaitable, why));
        if (why) co_return octets{};
        require(answer.stub.size() >= 4, "a short answer");
        const auto status = std::span(answer.stub).last<4>();
        for (const std::byte each : status)
            require(each == std::byte{0}, "opnum " + std::to_string(opnum) + " failed");
        answer.stub.resize(answer.stub.size() - 4);
        co_return answer.stub;
    }
    /// SamrConnect, to look at domains. @return the server handle.
    asio::awaitable<octets> open_server() {
        std::error_code why;
        octets stub(8); // no server name; MAXIMUM_ALLOWED
        stub[7] = std::byte{2};
        const octets handle = co_await call(connect_opnum, std::move(stub), why);
        require(!why && handle.size() == handle_bytes, "SamrConnect: " + why.message());
        co_return handle;
    }
    /// SamrEnumerateDomainsInSamServer.
    asio::awaitable<std::error_code> use(octets handle) {
        octets stub = std::move(handle);
        stub.resize(handle_bytes + 8); // from the first on, 64 KiB of them
        stub[handle_bytes + 6] = std::byte{1};
        std::error_code why;
        const octets domains = co_await call(enumerate_domains_opnum, std::move(stub), why);
        require(why || domains.size() > 40, "no domains came");
        co_return why;
    }
};

asio::awaitable<session> open(const place& where, rpch::association_group group,
                              std::error_code& why) {
    rpch::client_options options = where.options;
    options.executor = co_await asio::this_coro::executor;
    options.association_group = group;
    rpch::failure wrong;
    auto started = rpch::client::start(where.binding, std::move(options), wrong);
    require(started.has_value(), wrong.to_string());
    session out{std::move(*started)};
    out.context = co_await out.rpc.async_bind(samr, asio::redirect_error(asio::use_awaitable, why));
    co_return out;
}

asio::awaitable<session> must_open(const place& where, rpch::association_group group = {}) {
    std::error_code why;
    session out = co_await open(where, group, why);
    require(!why, "bind: " + why.message());
    require(group.id == 0 || out.rpc.association_group().id == group.id, "another group");
    co_return out;
}

asio::awaitable<void> pause(std::chrono::milliseconds time) {
    asio::steady_timer timer(co_await asio::this_coro::executor, time);
    co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<void> share_a_handle(const place& where) {
    session first = co_await must_open(where);
    const rpch::association_group group = first.rpc.association_group();
    require(group.id != 0, "no group in bind_ack");
    const octets handle = co_await first.open_server();
    session second = co_await must_open(where, group);
    require(!co_await second.use(handle), "refused on another connection of the group");
    session stranger = co_await must_open(where);
    require(stranger.rpc.association_group().id != group.id, "one group for two clients");
    const std::error_code refused = co_await stranger.use(handle);
    require(refused == rpch::rpc_status::nca_fault_context_mismatch,
            "on a connection of another group: " + refused.message());
    std::printf("group %08x: shared within, refused to another\n", group.id);

    first.rpc.close();
    co_await pause(200ms);
    require(!co_await second.use(handle), "gone with the connection that got it");
    second.rpc.close();
    std::error_code why;
    for (int i = 0; i < 50 && !why; ++i) { // until the server has seen the end
        co_await pause(100ms);
        session late = co_await open(where, group, why);
        late.rpc.close();
    }
    require(bool(why), "a group of no connections can be joined");
    std::printf("it ended with its last connection: %s\n", why.message().c_str());
}

asio::awaitable<void> open_further_connections(place where) {
    constexpr std::size_t calls = 200, connections = 4;
    where.options.connections_max = connections;
    where.options.calls_per_connection = 8;
    session many = co_await must_open(where);
    const octets handle = co_await many.open_server();
    std::size_t answered = 0, failed = 0;
    const auto on = co_await asio::this_coro::executor;
    // The server is quick, and others are opened one after the other while calls wait: some rounds,
    // and one more when all are there.
    std::size_t made = 0;
    for (bool complete = false, last = false; !last;) {
        last = complete;
        answered = 0;
        for (std::size_t i = 0; i < calls; ++i)
            asio::co_spawn(on, many.use(handle),
                           [&](const std::exception_ptr& thrown, std::error_code why) {
                               ++answered;
                               if (thrown || why) ++failed;
                           });
        while (answered < calls) co_await pause(1ms);
        made += calls;
        require(failed == 0, std::to_string(failed) + " calls failed");
        complete = many.rpc.connections() == connections;
        require(complete || made < 100 * calls,
                std::to_string(many.rpc.connections()) + " connections");
    }
    std::printf("%zu calls with one handle by %zu connections\n", made, connections);
}

/// The octets of a stub that is numbers of four, little-endian.
octets numbers(std::initializer_list<std::uint32_t> all) {
    octets out;
    for (const std::uint32_t each : all)
        for (unsigned shift = 0; shift < 32; shift += 8)
            out.push_back(static_cast<std::byte>(each >> shift & 0xff));
    return out;
}

octets joined(octets first, const octets& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
}

/// RPC_UNICODE_STRING of an ASCII name, [MS-DTYP] 2.3.10, and what it points to.
octets unicode_string(const std::string& name) {
    const auto length = static_cast<std::uint32_t>(name.size());
    octets out = numbers({length * 2 | length * 2 << 16, 0x20000, length, 0, length});
    for (const char each : name) {
        out.push_back(static_cast<std::byte>(each));
        out.push_back(std::byte{0});
    }
    return out;
}

/// SamrConnect5, SamrEnumerateDomainsInSamServer, SamrLookupDomainInSamServer, SamrCloseHandle.
asio::awaitable<void> call_in_turn(const place& where, const std::string& domain) {
    constexpr std::size_t rounds = 3;
    session one = co_await must_open(where);
    std::error_code why;
    for (std::size_t i = 0; i < rounds; ++i) {
        octets stub = numbers({0, 0x02000000, 1, 1, 3, 0}); // no name, MAXIMUM_ALLOWED, revision 3
        octets answer = co_await one.call(connect5_opnum, std::move(stub), why);
        require(!why && answer.size() == 16 + handle_bytes, "SamrConnect5: " + why.message());
        const octets handle(answer.begin() + 16, answer.end());
        const std::error_code refused = co_await one.use(handle);
        require(!refused, "SamrEnumerateDomainsInSamServer: " + refused.message());
        stub = joined(handle, unicode_string(domain));
        answer = co_await one.call(lookup_domain_opnum, std::move(stub), why);
        // a referent, the count of sub-authorities, the SID with four of them
        require(!why && answer.size() == 4 + 4 + 8 + 4 * 4,
                "SamrLookupDomainInSamServer: " + why.message());
        stub = handle;
        answer = co_await one.call(close_opnum, std::move(stub), why);
        require(!why && answer == octets(handle_bytes), "SamrCloseHandle: " + why.message());
        const std::error_code gone = co_await one.use(handle);
        require(gone == rpch::rpc_status::nca_fault_context_mismatch,
                "with a handle that is closed: " + gone.message());
    }
    require(one.rpc.connections() == 1, "more than one connection");
    std::printf("%zu calls in turn\n", 5 * rounds);
}

using initiator = std::shared_ptr<rpch::auth::security_initiator>;

/// The same connection, used by somebody else.
session for_user(const session& one, const initiator& who, rpch::auth::authentication_level level) {
    auto identity = std::make_shared<rpch::call_identity>();
    identity->security = who;
    identity->level = level;
    session out = one;
    out.as.identity = std::move(identity);
    return out;
}

/// Calls of several users in turn, with handles of their own and of each other, and then at once.
asio::awaitable<void> call_as_each(const std::vector<session>& users) {
    std::vector<octets> handles;
    for (session each : users) handles.push_back(co_await each.open_server());
    for (std::size_t i = 0; i < users.size(); ++i)
        for (std::size_t j = 0; j < users.size(); ++j) {
            session caller = users[i];
            const std::error_code why = co_await caller.use(handles[j]);
            if (i == j)
                require(!why, "with the user's own handle: " + why.message());
            else
                require(why == rpch::rpc_status::nca_fault_context_mismatch,
                        "with another user's handle: " + why.message());
        }
    constexpr std::size_t calls = 30;
    std::size_t answered = 0, failed = 0;
    for (std::size_t i = 0; i < calls; ++i) {
        const std::size_t who = i % users.size();
        asio::co_spawn(
            co_await asio::this_coro::executor,
            [](session caller, octets handle) -> asio::awaitable<std::error_code> {
                co_return co_await caller.use(std::move(handle));
            }(users[who], handles[who]),
            [&](const std::exception_ptr& thrown, std::error_code why) {
                ++answered;
                if (thrown || why) ++failed;
            });
    }
    while (answered < calls) co_await pause(1ms);
    require(failed == 0, std::to_string(failed) + " calls failed");
    require(users.front().rpc.connections() == 1, "more than one connection");
}

/// Whose calls they are.
struct people {
    initiator one, other, wrong; ///< The last has a wrong password.
    bool is_found_out_before;    ///< Which shows before anything is sent: Kerberos.
};

/// Two users, and nobody or one of them as the client itself, at a server that takes a context of
/// each.
asio::awaitable<void> call_as_two(place where, const people& who) {
    const auto level = where.options.rpc_level;
    where.options.rpc_security = nullptr;
    const session nobody = co_await must_open(where);
    std::vector<session> users{nobody, for_user(nobody, who.one, level),
                               for_user(nobody, who.other, level)};
    co_await call_as_each(users);
    where.options.rpc_security = who.one;
    session own = co_await must_open(where);
    users = std::vector{own, for_user(own, who.other, level)};
    co_await call_as_each(users);
    const octets handle = co_await own.open_server();
    session refused = for_user(own, who.wrong, level);
    const std::error_code why = co_await refused.use(handle);
    const std::error_code then = co_await own.use(handle);
    if (who.is_found_out_before)
        require(why == rpch::errc::bad_credentials && !then, "a wrong password: " + why.message());
    else // the server ends the connection
        require(why.category() == rpch::rpc_status_category() &&
                    then == rpch::errc::connection_lost,
                "a wrong password: " + why.message() + ", then: " + then.message());
    std::printf("two users on one connection\n");
}

/// The same at a server that takes one context of a connection, and that with the bind.
asio::awaitable<void> call_as_one(place where, const people& who) {
    const auto level = where.options.rpc_level;
    where.options.rpc_security = who.one;
    session own = co_await must_open(where);
    const octets handle = co_await own.open_server();
    session second = for_user(own, who.other, level);
    std::error_code why = co_await second.use(handle);
    require(why == rpch::errc::security_not_supported, "a second user: " + why.message());
    const std::vector<session> owner(1, own);
    co_await call_as_each(owner); // goes on
    where.options.rpc_security = nullptr;
    session nobody = co_await must_open(where);
    const octets nobodys = co_await nobody.open_server();
    session late = for_user(nobody, who.one, level);
    why = co_await late.use(nobodys);
    require(why == rpch::rpc_status::access_denied, "a user after the bind: " + why.message());
    why = co_await nobody.use(nobodys);
    require(why == rpch::errc::connection_lost, "and then: " + why.message());
    std::printf("one user on one connection\n");
}

std::shared_ptr<rpch::auth::security_initiator> security(const std::string& mechanism,
                                                         const std::string& domain,
                                                         const std::string& user,
                                                         const char* password) {
    const auto ntlm = std::make_shared<rpch::auth::ntlm_initiator>(
        rpch::transport::system_ntlm_environment(),
        rpch::auth::ntlm_credentials{
            .user = user, .domain = domain, .password = rpch::core::secret(password)});
    if (mechanism == "ntlm") return ntlm;
    const auto kerberos =
        std::make_shared<rpch::transport::kerberos_initiator>(rpch::transport::kerberos_credentials{
            .user = user, .realm = domain, .password = rpch::core::secret(password)});
    if (mechanism == "kerberos") return kerberos;
    return std::make_shared<rpch::auth::spnego_initiator>(
        std::vector<std::shared_ptr<rpch::auth::security_initiator>>{kerberos, ntlm});
}

rpch::auth::authentication_level level_of(const std::string& word) {
    using enum rpch::auth::authentication_level;
    if (word == "connect") return connect;
    if (word == "packet") return packet;
    if (word == "integrity") return integrity;
    require(word == "privacy", "no such level: " + word);
    return privacy;
}

} // namespace

int main(int count, char** words) try {
    const char* password = std::getenv("RPCH_PASSWORD");
    const char* other_password = std::getenv("RPCH_OTHER_PASSWORD");
    const bool groups = count == 4, users = count == 9;
    if ((!groups && !users && count != 7) || password == nullptr) return 2;
    if (users && other_password == nullptr) return 2;
    place where{words[1], {}};
    const std::string mechanism = groups ? "ntlm" : words[4];
    where.options.rpc_security = security(mechanism, words[2], words[3], password);
    if (!groups) {
        where.options.rpc_level = level_of(words[5]);
        where.options.rpc_target = words[6];
    }
    asio::io_context io(1);
    std::exception_ptr thrown;
    bool over = false;
    asio::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
            if (users) {
                const people who{
                    .one = where.options.rpc_security,
                    .other = security(mechanism, words[2], words[7], other_password),
                    .wrong = security(mechanism, words[2], words[7], "guess"),
                    .is_found_out_before = mechanism == "kerberos",
                };
                if (std::string(words[8]) == "several")
                    co_await call_as_two(where, who);
                else
                    co_await call_as_one(where, who);
                co_return;
            }
            if (!groups) {
                // the domain's short name is the first word of the realm's
                std::string domain = words[2];
                domain.resize(std::min(domain.find('.'), domain.size()));
                co_await call_in_turn(where, domain);
                co_return;
            }
            co_await share_a_handle(where);
            co_await open_further_connections(where);
        },
        [&](std::exception_ptr why) {
            thrown = std::move(why);
            over = true;
            io.stop();
        });
    io.run_for(60s);
    if (thrown) std::rethrow_exception(thrown);
    require(over, "not over within a minute");
    return 0;
} catch (const std::exception& why) {
    std::printf("failed: %s\n", why.what());
    return 1;
}
