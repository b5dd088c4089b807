// What is left of a client when a security context failed, or a handler threw.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <rpch/client/client.hpp>
#include <rpch/dcerpc/server_association.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/stack.hpp"
#include "tests/support/toy_security.hpp"

namespace {

using namespace rpch;
using namespace std::chrono_literals;
using test::probe;

const interface_id second{"12345778-1234-abcd-ef00-0123456789ac", 1, 0};

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

/// A server of one TCP connection: an association that answers what the test does not.
class scripted_server {
  public:
    scripted_server(asio::io_context& io, dcerpc::server_association_options options)
        : acceptor_(io, {asio::ip::make_address("127.0.0.1"), 0}),
          machine_(offered_, groups_, std::move(options)) {
        acceptor_.async_accept([this](std::error_code ec, asio::ip::tcp::socket socket) {
            if (!ec) peer_.emplace(std::move(socket));
        });
    }
    [[nodiscard]] std::string binding() const {
        return "ncacn_ip_tcp:127.0.0.1[" + std::to_string(acceptor_.local_endpoint().port()) + "]";
    }
    /// @param answer  what to say to a PDU; the association answers if it is empty.
    void serve(const std::function<test::bytes(const test::bytes&)>& answer) {
        while (peer_ && peer_->heard().size() >= taken_ + 16) {
            const auto* const at =
                reinterpret_cast<const std::byte*>(peer_->heard().data()) + taken_;
            const auto size = core::load<std::uint16_t>(at + 8, core::byte_order::little);
            if (peer_->heard().size() < taken_ + size) return;
            const test::bytes pdu(at, at + size);
            taken_ += size;
            if (const test::bytes said = answer(pdu); !said.empty()) {
                peer_->send(said);
                continue;
            }
            dcerpc::server_event_list events;
            REQUIRE_FALSE(machine_.on_pdu(pdu, events));
            while (machine_.has_output()) {
                test::bytes out(machine_.next_output_size());
                out.resize(machine_.write_output(out));
                peer_->send(out);
            }
        }
    }

  private:
    asio::ip::tcp::acceptor acceptor_;
    std::vector<dcerpc::offered_interface> offered_{{probe::id, {}, {}}, {second, {}, {}}};
    dcerpc::association_groups groups_{7};
    dcerpc::server_association machine_;
    std::optional<test::raw_peer> peer_;
    std::size_t taken_ = 0;
};

} // namespace

TEST_CASE("A bind that is accepted after its security context failed ends with that failure") {
    asio::io_context io;
    const test::toy_rules rules{.legs = 4};
    dcerpc::server_association_options served;
    served.security.push_back(std::make_shared<test::toy_acceptor>(rules));
    scripted_server server(io, served);
    client_options options;
    options.executor = io.get_executor();
    options.rpc_security = std::make_shared<test::toy_initiator>(rules);
    failure why;
    auto client = *client::start(server.binding(), options, why);
    std::vector<failure> ended;
    const auto bind = [&](const interface_id& id) {
        client.async_bind<failure>(id,
                                   [&](const failure& f, std::uint16_t) { ended.push_back(f); });
        const auto until = std::chrono::steady_clock::now() + 5s;
        const std::size_t before = ended.size();
        while (ended.size() == before && std::chrono::steady_clock::now() < until) {
            io.restart();
            io.run_one_for(10ms);
            server.serve([&](const test::bytes& pdu) -> test::bytes {
                if (dcerpc::peek_type(pdu) != dcerpc::pdu_type::alter_context) return {};
                const auto call_id = dcerpc::decode_common_header(pdu)->call_id;
                // The second leg is refused, and the connection stays; the second bind is accepted.
                return before == 0 ? refusal_of(call_id) : acceptance_of(call_id);
            });
        }
    };
    bind(probe::id);
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].said_by == origin::security);
    bind(second);
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
