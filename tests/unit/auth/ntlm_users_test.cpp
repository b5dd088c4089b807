#include <rpch/auth/ntlm_users.hpp>

#include <doctest/doctest.h>

using namespace rpch::auth;

TEST_CASE("ntlm users: those of a users file that have an NT hash, in any domain") {
    const auto hash = ntowf_v1("Password").value();
    users_file file;
    REQUIRE_FALSE(file.set("alice", "h", &hash));
    REQUIRE_FALSE(file.set("bob", "h"));
    const ntlm_users users(std::make_shared<const users_file>(std::move(file)));
    const auto alice = users.find("ALICE", "ANY");
    REQUIRE(alice);
    CHECK(alice->nt_hash.bytes == hash.bytes);
    CHECK(alice->user == "alice");
    CHECK(alice->domain.empty());
    CHECK_FALSE(alice->locked);
    CHECK_FALSE(users.find("bob", ""));
    CHECK_FALSE(users.find("carol", ""));
}
