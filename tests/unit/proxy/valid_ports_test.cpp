#include <rpch/proxy/valid_ports.hpp>

#include <doctest/doctest.h>

#include <rpch/limits.hpp>

using namespace rpch;

namespace {
valid_ports rules(std::string_view text) {
    auto out = valid_ports::parse(text);
    REQUIRE(out);
    return std::move(*out);
}
} // namespace

TEST_CASE("valid ports: nothing is allowed unless named") {
    CHECK_FALSE(valid_ports{}.allows("server7", 593));
    CHECK(rules("").empty());
    CHECK_FALSE(rules(" ; ;").allows("server7", 593));
}

TEST_CASE("valid ports: the default of Windows, unchanged") {
    const auto r = rules("NAME:593;NAME:49152-65535;");
    CHECK(r.size() == 2);
    CHECK(r.allows("name", 593));
    CHECK(r.allows("Name", 49152));
    CHECK(r.allows("NAME", 65535));
    CHECK_FALSE(r.allows("name", 49151));
    CHECK_FALSE(r.allows("name", 594));
    CHECK_FALSE(r.allows("name.corp.example", 593)); // another text is another host
    CHECK_FALSE(r.allows("127.0.0.1", 593));
    CHECK_FALSE(r.allows("nam", 593));
    CHECK_FALSE(r.allows("", 593));
}

TEST_CASE("valid ports: wildcards match any characters, at any place") {
    const auto r = rules("Data*:6001 ; *.corp.example:6002-6004; a*b*c:1");
    CHECK(r.allows("data", 6001));
    CHECK(r.allows("DATABASE7", 6001));
    CHECK_FALSE(r.allows("mydata", 6001));
    CHECK(r.allows("x.Corp.Example", 6004));
    CHECK_FALSE(r.allows("corp.example", 6002));
    CHECK_FALSE(r.allows("x.corp.example.evil.test", 6002));
    CHECK(r.allows("abc", 1));
    CHECK(r.allows("abbcbc", 1));
    CHECK_FALSE(r.allows("abcb", 1));
    CHECK(rules("*:593").allows("2001:db8::5", 593));
    CHECK_FALSE(rules("*:593").allows("a", 594));
}

TEST_CASE("valid ports: IPv6 literals stand in brackets") {
    const auto r = rules("[2001:DB8::5]:593;[fe80::1]:1-2");
    CHECK(r.allows("2001:db8::5", 593));
    CHECK(r.allows("fe80::1", 2));
    CHECK_FALSE(r.allows("2001:db8::50", 593));
}

TEST_CASE("valid ports: a malformed entry is named") {
    for (const char* bad : {"server7", "server7:", ":593", "server7:0", "server7:65536",
                            "server7:x", "server7:6004-6001", "server7:6001-", "server7:-6001",
                            "server7:1-2-3", "::1:593", "[::1]", "[]:593", "[name]:593", "a b:593",
                            "[::1:593", "server7:593,594", "server\x7f:1", "s\xC3\xA4:1"}) {
        CAPTURE(bad);
        std::string named;
        CHECK(valid_ports::parse("good:1; " + std::string(bad) + " ;good:2", &named).error() ==
              errc::bad_setting);
        CHECK(named == bad);
    }
}

TEST_CASE("valid ports: as many entries as the limit, not one more") {
    std::string text;
    for (std::size_t i = 0; i < limits::valid_ports_entries_max; ++i)
        text += "h" + std::to_string(i) + ":1;";
    CHECK(rules(text).size() == limits::valid_ports_entries_max);
    std::string named;
    CHECK(valid_ports::parse(text + "extra:1", &named).error() == errc::too_many);
    CHECK(named == "extra:1");
}

TEST_CASE("valid ports: a pattern of stars costs no more than its length times the name's") {
    std::string pattern;
    for (int i = 0; i < 500; ++i) pattern += "a*";
    CHECK_FALSE(rules(pattern + "b:1").allows(std::string(1023, 'a'), 1)); // ends in time
}
