#include <rpch/auth/ntlm_users.hpp>

#include <doctest/doctest.h>

using namespace rpch::auth;

TEST_CASE("ntlm users: those of a users file that have an NT hash, in any domain") {
    const auto hash = ntowf_v1("Password").value();
    users_file file;
    REQUIRE_FALSE(file.set("alice", "h", &hash));
    REQUIRE_FALSE(file.set("bob", "h"));
    const ntlm_users users(std::make_shared<const users_file>(std::move(file)));
    ntlm_key out;
    CHECK(users.find("ALICE", "ANY", out) == ntlm_account_state::active);
    CHECK(out.bytes == hash.bytes);
    CHECK(users.find("bob", "", out) == ntlm_account_state::unknown);
    CHECK(users.find("carol", "", out) == ntlm_account_state::unknown);
}
