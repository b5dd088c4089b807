// Arbitrary bytes as tokens of SPNEGO: both decoders, then both ends over toy mechanisms.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include <rpch/auth/spnego.hpp>

#include "tests/support/toy_security.hpp"

using namespace rpch;
using namespace rpch::auth;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

void decode_all(byte_view token) {
    if (const auto init = decode_spnego_init(token)) {
        const auto again = encode_spnego(*init);
        const auto second = decode_spnego_init(again); // which may be longer than a token may
        if (second) require(std::ranges::equal(encode_spnego(*second), again));
    }
    if (const auto response = decode_spnego_response(token)) {
        const auto again = encode_spnego(*response);
        const auto second = decode_spnego_response(again);
        if (second) require(second->state == response->state);
    }
}

void talk_to_both(byte_view token, int legs) {
    const auto kerberos = test::toy_rules{.legs = legs, .provider = security_provider::kerberos};
    const auto ntlm = test::toy_rules{.legs = legs, .provider = security_provider::ntlm};
    spnego_initiator initiator({std::make_shared<test::toy_initiator>(kerberos),
                                std::make_shared<test::toy_initiator>(ntlm)});
    spnego_acceptor acceptor({std::make_shared<test::toy_acceptor>(ntlm)});
    const auto client = std::move(initiator.initiate({}).value());
    const auto first = client->step({}).value();
    if (const auto next = client->step(token)) require(!next->empty() || client->is_established());
    const auto server = std::move(acceptor.accept({}).value());
    static_cast<void>(server->step(token));
    const auto second = std::move(acceptor.accept({}).value());
    require(second->step(first).has_value());
    if (const auto next = second->step(token)) require(!next->empty() || second->is_established());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const byte_view token = std::as_bytes(std::span(data, size)).subspan(1);
    decode_all(token);
    talk_to_both(token, 1 + data[0] % 4);
    return 0;
}
