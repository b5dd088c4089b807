#include <rpch/rts/forwarding.hpp>

#include <map>

#include <doctest/doctest.h>

#include "vectors.hpp"

using namespace rpch;
using namespace rpch::rts;

namespace {

const std::map<std::string, role> role_of{{"client", role::client},
                                          {"inbound proxy", role::inbound_proxy},
                                          {"server", role::server},
                                          {"outbound proxy", role::outbound_proxy}};

destination as_destination(role r) { return static_cast<destination>(r); }

} // namespace

TEST_CASE("RTS forwarding: the next hop is the vectors', for every pair") {
    const auto rows = test::rts_vectors("forwarding.tsv");
    CHECK(rows.size() == 12);
    for (const auto& row : rows) {
        CAPTURE(row[0]);
        CAPTURE(row[1]);
        const role to = role_of.at(row[1]);
        CHECK(forward_next_hop(role_of.at(row[0]), as_destination(to)) ==
              (row[2] == "direct" ? to : role_of.at(row[2])));
    }
}

TEST_CASE("RTS forwarding: a PDU stays where it has arrived, and arrives within three hops") {
    for (const auto& [from_name, from] : role_of) {
        for (const auto& [to_name, to] : role_of) {
            CAPTURE(from_name);
            CAPTURE(to_name);
            role at = from;
            for (int hop = 0; hop < 3; ++hop) at = forward_next_hop(at, as_destination(to));
            CHECK(at == to);
            CHECK(forward_next_hop(to, as_destination(to)) == to);
        }
    }
}
