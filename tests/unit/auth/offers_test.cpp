#include <rpch/auth/offers.hpp>

#include <doctest/doctest.h>

#include <rpch/limits.hpp>

using namespace rpch;
using namespace rpch::auth;

namespace {
offers parse(std::initializer_list<std::string_view> values) {
    return parse_offers({values.begin(), values.size()});
}
} // namespace

TEST_CASE("offers: one scheme a line, as Windows sends them") {
    const auto out = parse({"Negotiate", "NTLM", "Basic realm=\"gate.example.com\""});
    CHECK(out.to_string() == "Negotiate, NTLM, Basic");
    REQUIRE(out.find(scheme::basic));
    CHECK(out.find(scheme::basic)->realm == "gate.example.com");
    CHECK(out.find(scheme::ntlm)->token.empty());
    CHECK(out.find(scheme::other) == nullptr);
}

TEST_CASE("offers: several in one line, commas within and between") {
    const auto out = parse({"Digest realm=\"a, b\", nonce=x,qop=\"auth\" , basic Realm = \"say "
                            "\\\"hi\\\"\" , charset=utf-8, NTLM,Negotiate"});
    CHECK(out.to_string() == "Digest, basic, NTLM, Negotiate");
    CHECK(out.find(scheme::basic)->realm == "say \"hi\"");
    CHECK(out.find(scheme::basic)->utf8);
    CHECK(out.list[0].which == scheme::other);
    CHECK(out.list[0].realm.empty());
}

TEST_CASE("offers: the token of a later leg") {
    const auto out = parse({"NTLM TlRMTVNTUAACAAAA+/==", "Negotiate oYG2=, Basic realm=x"});
    CHECK(out.find(scheme::ntlm)->token == "TlRMTVNTUAACAAAA+/==");
    CHECK(out.find(scheme::negotiate)->token == "oYG2=");
    CHECK(out.find(scheme::basic)->realm == "x");
    CHECK(out.find(scheme::basic)->token.empty());
}

TEST_CASE("offers: nothing, garbage and floods") {
    CHECK(parse({}).to_string() == "none");
    CHECK(parse({"", ",,", "\"x\"", "=", "@@"}).list.empty());
    CHECK(parse({"@@", "NTLM"}).to_string() == "NTLM");
    CHECK(parse({"Basic realm=\"open"}).find(scheme::basic)->realm == "open");
    CHECK(parse({"Basic realm=\"open\\"}).find(scheme::basic)->realm == "open\\");
    std::string many;
    for (int i = 0; i < 100; ++i) many += "S" + std::to_string(i) + ",";
    CHECK(parse({many, "NTLM"}).list.size() == limits::auth_offers_max);
}

TEST_CASE("offers: the scheme of an Authorization value") {
    CHECK(scheme_of("Basic YTpi") == scheme::basic);
    CHECK(scheme_of("ntlm TlRM") == scheme::ntlm);
    CHECK(scheme_of("NEGOTIATE YII") == scheme::negotiate);
    CHECK(scheme_of("Bearer x") == scheme::other);
    CHECK(scheme_of("") == scheme::other);
}
