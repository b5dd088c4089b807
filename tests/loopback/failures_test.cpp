// What is left of a client when a security context failed, or a handler threw.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <rpch/client/client.hpp>
#include <rpch/dcerpc/server_association.hpp>

#include "tests/support/machine_world.hpp"
#include "tests/support/toy_security.hpp"

namespace {

using namespace rpch;
using namespace std::chrono_literals;
using test::probe;

constexpr std::uint8_t whole = dcerpc::pfc::first_frag | dcerpc::pfc::last_frag;

test::bytes refusal_of(std::uint32_t call_id) {
    dcerpc::fault no;
    no.header = {.flags = whole, .call_id = call_id};
    no.status = rpc_status::access_denied;
    test::bytes out(encoded_size(no));
    out.resize(encode_fault(no, out));
    return out;
}

test::bytes acceptance_of(std::uint32_t call_id) {
    dcerpc::bind_ack yes;
    yes.header = {.flags = whole, .call_id = call_id};
    yes.max_xmit_frag = yes.max_recv_frag = 5840;
    yes.assoc_group_id = 7;
    yes.results.push_back({dcerpc::context_answer::acceptance, 0, dcerpc::ndr20});
    test::bytes out(encoded_size(yes));
    out.resize(encode_bind_ack(yes, out, dcerpc::pdu_type::alter_context_resp));
    return out;
}

test::bytes nak_of(std::uint32_t call_id, dcerpc::bind_reject_reason reason) {
    dcerpc::bind_nak no;
    no.header = {.flags = whole, .call_id = call_id};
    no.reason = reason;
    test::bytes out(encoded_size(no));
    out.resize(encode_bind_nak(no, out));
    return out;
}

test::bytes rejection_of(std::uint32_t call_id, dcerpc::provider_reason reason) {
    dcerpc::bind_ack ack;
    ack.header = {.flags = whole, .call_id = call_id};
    ack.max_xmit_frag = ack.max_recv_frag = 5840;
    for (int i = 0; i < 2; ++i) // enough for whoever asks for both syntaxes
        ack.results.push_back(
            {dcerpc::context_answer::provider_rejection, static_cast<std::uint16_t>(reason), {}});
    test::bytes out(encoded_size(ack));
    out.resize(encode_bind_ack(ack, out, dcerpc::pdu_type::bind_ack));
    return out;
}

test::bytes fault_of(std::uint32_t call_id, rpc_status status, std::uint8_t flags = 0) {
    dcerpc::fault no;
    no.header = {.flags = static_cast<std::uint8_t>(whole | flags), .call_id = call_id};
    no.status = status;
    test::bytes out(encoded_size(no));
    out.resize(encode_fault(no, out));
    return out;
}

/// Whose contexts cannot begin, and say what to do about it.
class unready final : public auth::security_initiator {
  public:
    auth::security_provider provider() const noexcept override {
        return auth::security_provider::kerberos;
    }
    result<std::unique_ptr<auth::security_context>>
    initiate(const auth::security_options&) override {
        return std::make_unique<context>(test::toy_rules{}, true);
    }

  private:
    struct context final : test::toy_context {
        using test::toy_context::toy_context;
        result<test::bytes> step(byte_view) override { return fail(errc::no_credentials); }
        std::string_view detail() const noexcept override { return "no ticket"; }
        std::string_view next_step() const noexcept override { return "get a ticket"; }
    };
};

/// An initiator that makes no context, as one without credentials.
class unable final : public auth::security_initiator {
  public:
    auth::security_provider provider() const noexcept override {
        return auth::security_provider::ntlm;
    }
    result<std::unique_ptr<auth::security_context>>
    initiate(const auth::security_options&) override {
        return fail(errc::bad_credentials);
    }
};

/// A context that is made, and then signs nothing.
struct expired_context final : test::toy_context {
    explicit expired_context(bool is_client) : test::toy_context({}, is_client) { failing = true; }
    std::string_view detail() const noexcept override { return "the ticket has expired"; }
    std::string_view next_step() const noexcept override { return "get another ticket"; }
};

struct expired_initiator final : auth::security_initiator {
    auth::security_provider provider() const noexcept override {
        return test::toy_rules{}.provider;
    }
    result<std::unique_ptr<auth::security_context>>
    initiate(const auth::security_options&) override {
        return std::make_unique<expired_context>(true);
    }
};

struct expired_acceptor final : auth::security_acceptor {
    auth::security_provider provider() const noexcept override {
        return test::toy_rules{}.provider;
    }
    result<std::unique_ptr<auth::security_context>> accept(const auth::security_options&) override {
        return std::make_unique<expired_context>(false);
    }
};

bool holds(const std::string& text, std::string_view what) {
    return text.find(what) != std::string::npos;
}

} // namespace

TEST_CASE("What to do about a refused bind depends on the reason of the server") {
    using reason = dcerpc::bind_reject_reason;
    using dcerpc::provider_reason;
    struct refused {
        std::function<test::bytes(std::uint32_t call_id)> by;
        std::string_view next_step;
        std::optional<auth::security_provider> with = auth::security_provider::ntlm;
        bool asks_for_both = false; ///< NDR and NDR64.
        std::uint32_t joins = 0;    ///< An association group.
    };
    const auto nak = [](reason r) { return [r](std::uint32_t id) { return nak_of(id, r); }; };
    const auto reject = [](provider_reason r) {
        return [r](std::uint32_t id) { return rejection_of(id, r); };
    };
    constexpr std::nullopt_t nobody = std::nullopt;
    const refused all_refused[] = {
        {nak(reason::authentication_type_not_recognized), "try another (--rpc-auth)"},
        {nak(reason::invalid_checksum), "check user and password"},
        {nak(reason::invalid_checksum), "(keytab)", auth::security_provider::kerberos},
        {nak(reason::protocol_version_not_supported), "another version of DCE/RPC"},
        {nak(reason::temporary_congestion), "try again later"},
        {nak(reason::local_limit_exceeded), "a limit of the server"},
        {nak(reason::not_specified), "check the interface UUID"},
        {reject(provider_reason::transfer_syntaxes_not_supported), "--transfer-syntax", nobody},
        {reject(provider_reason::transfer_syntaxes_not_supported), "neither in NDR nor in NDR64",
         nobody, true},
        {nak(reason::not_specified), "the association group may be gone", nobody, false, 7},
        {reject(provider_reason::abstract_syntax_not_supported), "check the interface", nobody},
        {reject(provider_reason::local_limit_exceeded), "a limit of the server", nobody},
    };
    for (const refused& each : all_refused) {
        CAPTURE(each.next_step);
        test::machine_world w(test::way::tcp, {});
        client_options options = w.all.options();
        if (each.with)
            options.rpc_security =
                std::make_shared<test::toy_initiator>(test::toy_rules{.provider = *each.with});
        if (each.asks_for_both)
            options.transfer_syntaxes = {ndr::transfer_syntax::ndr20, ndr::transfer_syntax::ndr64};
        options.association_group.id = each.joins;
        w.there.instead = [&](byte_view pdu) -> std::optional<test::bytes> {
            return each.by(dcerpc::decode_common_header(pdu)->call_id);
        };
        test::caller caller(w.all, w.binding(), options);
        CHECK_FALSE(caller.open());
        CHECK(caller.why().said_by == origin::bind);
        CHECK_MESSAGE(holds(caller.why().next_step, each.next_step), caller.why().to_string());
    }
}

TEST_CASE(
    "A fault that answers a logon, or the first call behind one, is told as a refused logon") {
    struct faulted {
        rpc_status status;
        std::uint8_t flags;
        int legs; ///< 3: the last one has no answer; 2 and 4: it has.
        auth::authentication_level level;
        std::string_view next_step;
    };
    using level = auth::authentication_level;
    constexpr std::string_view credentials = "the server refused the credentials";
    constexpr std::string_view demands = "the server may demand more than level";
    constexpr std::string_view not_call = "the server may demand more than level packet";
    const faulted all_faulted[] = {
        {rpc_status::nca_proto_error, 0, 3, level::privacy, credentials},
        {rpc_status::sec_pkg_error, 0, 3, level::privacy, credentials},
        {rpc_status::sec_pkg_error, 0, 4, level::privacy, credentials},
        {rpc_status::access_denied, 0, 3, level::privacy, credentials},
        {rpc_status::access_denied, 0, 3, level::connect, credentials},
        {rpc_status::access_denied, dcerpc::pfc::did_not_execute, 3, level::connect, demands},
        {rpc_status::nca_unsupported_authn_level, 0, 3, level::connect, demands},
        {rpc_status::nca_unsupported_authn_level, 0, 3, level::call, not_call},
        {rpc_status::nca_op_rng_error, 0, 3, level::privacy, "the interface has no such operation"},
        {rpc_status::nca_fault_ndr, 0, 3, level::privacy,
         "the server could not decode the request"},
        {rpc_status::nca_fault_unspec, 0, 3, level::privacy, ""},
    };
    for (const faulted& each : all_faulted) {
        CAPTURE(static_cast<std::uint32_t>(each.status));
        CAPTURE(each.legs);
        const test::toy_rules rules{.legs = each.legs};
        dcerpc::server_association_options served;
        served.security.push_back(std::make_shared<test::toy_acceptor>(rules));
        test::machine_world w(test::way::tcp, served);
        client_options options = w.all.options();
        options.rpc_security = std::make_shared<test::toy_initiator>(rules);
        options.rpc_level = each.level;
        w.there.instead = [&](byte_view pdu) -> std::optional<test::bytes> {
            const auto type = dcerpc::peek_type(pdu);
            if (type != dcerpc::pdu_type::request && type != dcerpc::pdu_type::alter_context)
                return std::nullopt;
            return fault_of(dcerpc::decode_common_header(pdu)->call_id, each.status, each.flags);
        };
        test::caller caller(w.all, w.binding(), options);
        failure why;
        if (caller.open())
            why = caller.call(probe::echo)->why;
        else
            why = caller.why();
        CHECK(why.code == each.status);
        CHECK_MESSAGE(why.next_step.starts_with(each.next_step), why.to_string());
        if (each.next_step.empty()) CHECK(why.next_step.empty());
    }
}

TEST_CASE("The advice of a security provider goes with no later failure of another cause") {
    using level = auth::authentication_level;
    dcerpc::server_association_options served;
    served.security.push_back(std::make_shared<test::toy_acceptor>());
    test::machine_world w(test::way::tcp, served);
    test::caller caller(w.all, w.binding(), w.all.options());
    REQUIRE(caller.open());
    const auto fails_as = [&](const std::shared_ptr<const call_identity>& who) {
        call_parameters as;
        as.identity = who;
        const auto call = caller.begin(probe::echo, {}, as, {});
        w.all.run_until([&] { return call->done != 0; });
        return call->why;
    };
    const auto somebody = [](std::shared_ptr<auth::security_initiator> by, level at) {
        auto who = std::make_shared<call_identity>();
        who->security = std::move(by);
        who->level = at;
        return who;
    };
    const auto without_ticket = [&] {
        const failure why = fails_as(somebody(std::make_shared<unready>(), level::privacy));
        CHECK(why.code == errc::no_credentials);
        CHECK(why.detail == "no ticket");
        CHECK(why.next_step == "get a ticket");
    };
    const auto toy = std::make_shared<test::toy_initiator>();
    for (const auto& misused : {somebody(nullptr, level::privacy), somebody(toy, level::connect)}) {
        without_ticket();
        const failure why = fails_as(misused);
        CHECK(why.code == errc::bad_setting);
        CHECK(holds(why.detail, "call_identity"));
        CHECK(why.next_step.empty());
    }
    without_ticket();
    const failure none = fails_as(somebody(std::make_shared<unable>(), level::privacy));
    CHECK(none.code == errc::bad_credentials);
    CHECK(none.detail.empty());
    CHECK(holds(none.next_step, "check user, password"));
    // The handshake of this one is refused, and so are later calls of the same user.
    const auto refused = somebody(toy, level::privacy);
    w.there.instead = [&](byte_view pdu) -> std::optional<test::bytes> {
        if (dcerpc::peek_type(pdu) != dcerpc::pdu_type::alter_context) return std::nullopt;
        return refusal_of(dcerpc::decode_common_header(pdu)->call_id);
    };
    CHECK(fails_as(refused).code == rpc_status::access_denied);
    without_ticket();
    const failure again = fails_as(refused);
    CHECK(again.code == errc::authentication_failed);
    CHECK(holds(again.next_step, "check user, password"));
}

TEST_CASE("A call that cannot be signed ends in the words of the security provider") {
    for (const auto by : {test::way::tcp, test::way::http}) {
        CAPTURE(static_cast<int>(by));
        dcerpc::server_association_options served;
        served.security.push_back(std::make_shared<test::toy_acceptor>());
        test::machine_world w(by, served);
        client_options options = w.all.options();
        options.rpc_security = std::make_shared<expired_initiator>();
        test::caller caller(w.all, w.binding(), options);
        REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
        const failure why = caller.call(probe::echo)->why;
        CHECK(why.code == errc::authentication_failed);
        CHECK(why.said_by == origin::security);
        CHECK(why.detail == "the ticket has expired");
        CHECK(why.next_step == "get another ticket");
    }
}

TEST_CASE("An answer that cannot be signed costs the client its connection, and nobody else") {
    test::stack all({.adjust_server = [](server_settings& s) {
        s.rpc_security.push_back(std::make_shared<expired_acceptor>());
    }});
    for (const std::string& binding : {all.tcp_binding(), all.binding()}) {
        CAPTURE(binding);
        client_options options = all.options();
        options.rpc_security = std::make_shared<test::toy_initiator>();
        test::caller caller(all, binding, options);
        test::caller other(all, binding);
        REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
        REQUIRE(other.open());
        CHECK(caller.call(probe::echo)->why.code == errc::connection_lost);
        CHECK(all.server_said(make_error_code(errc::authentication_failed).message()));
        CHECK_FALSE(other.call(probe::echo)->why);
    }
}

TEST_CASE("A bind that is accepted after its security context failed ends with that failure") {
    const test::toy_rules rules{.legs = 4};
    dcerpc::server_association_options served;
    served.security.push_back(std::make_shared<test::toy_acceptor>(rules));
    test::machine_world w(test::way::tcp, served);
    client_options options = w.all.options();
    options.rpc_security = std::make_shared<test::toy_initiator>(rules);
    failure why;
    auto client = *client::start(w.binding(), options, why);
    std::vector<failure> ended;
    w.there.instead = [&](byte_view pdu) -> std::optional<test::bytes> {
        if (dcerpc::peek_type(pdu) != dcerpc::pdu_type::alter_context) return std::nullopt;
        const auto call_id = dcerpc::decode_common_header(pdu)->call_id;
        // The second leg is refused, and the connection stays; the second bind is accepted.
        return ended.empty() ? refusal_of(call_id) : acceptance_of(call_id);
    };
    const auto bind = [&](const interface_id& id) {
        const std::size_t before = ended.size();
        client.async_bind<failure>(id,
                                   [&](const failure& f, std::uint16_t) { ended.push_back(f); });
        w.all.run_until([&] { return ended.size() != before; });
    };
    bind(probe::id);
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].said_by == origin::security);
    bind(w.other_id);
    REQUIRE(ended.size() == 2);
    CHECK(ended[1].code == ended[0].code);
    CHECK(ended[1].said_by == origin::security);
}

TEST_CASE("An exception of a handler leaves run(), and its connection goes on") {
    test::stack all;
    for (const std::string& binding : {all.tcp_binding(), all.binding()}) {
        test::caller caller(all, binding);
        REQUIRE(caller.open());
        client_options options = all.options();
        failure why;
        auto client = *client::start(binding, options, why);
        std::optional<std::uint16_t> context;
        client.async_bind(probe::id, [&](std::error_code ec, std::uint16_t c) {
            REQUIRE_FALSE(ec);
            context = c;
        });
        REQUIRE(all.run_until([&] { return context.has_value(); }));
        int done = 0;
        client.async_call_raw<failure>(*context, probe::echo, {},
                                       [&](const failure&, raw_response) {
                                           ++done;
                                           throw std::runtime_error("mine");
                                       });
        CHECK_THROWS_WITH(all.run_until([&] { return done == 2; }), "mine");
        CHECK(done == 1);
        client.async_call_raw<failure>(*context, probe::echo, {},
                                       [&](const failure& f, raw_response) {
                                           CHECK_FALSE(f);
                                           ++done;
                                       });
        REQUIRE(all.run_until([&] { return done == 2; }));
    }
}

TEST_CASE("A server's log says why nobody got in") {
    for (const bool tunnel : {false, true}) {
        test::stack all({.adjust_server = [](server_settings& s) {
            s.rpc_security = {std::make_shared<test::toy_acceptor>()};
            s.minimum_level = auth::authentication_level::privacy;
        }});
        const auto fails = [&](std::shared_ptr<auth::security_initiator> who,
                               auth::authentication_level level) {
            client_options options = all.options();
            options.rpc_security = std::move(who);
            options.rpc_level = level;
            test::caller caller(all, tunnel ? all.binding() : all.tcp_binding(), options);
            return !caller.open() || caller.call(probe::echo, {})->why;
        };
        const auto level = auth::authentication_level::privacy;
        CHECK(fails(std::make_shared<test::toy_initiator>(test::toy_rules{.password = "guess"}),
                    level));
        CHECK(all.server_said("logon by NTLM failed"));
        CHECK(fails(std::make_shared<test::toy_initiator>(), auth::authentication_level::packet));
        CHECK(all.server_said("a call at level packet was refused, privacy is demanded"));
        CHECK(fails(std::make_shared<test::toy_initiator>(
                        test::toy_rules{.provider = auth::security_provider::kerberos}),
                    level));
        CHECK(all.server_said("Kerberos is not accepted here"));
        CHECK_FALSE(fails(std::make_shared<test::toy_initiator>(), level));
    }
}
