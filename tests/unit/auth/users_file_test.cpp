#include <rpch/auth/users_file.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <new>
#include <string_view>

using namespace rpch;
using namespace rpch::auth;

namespace {
const std::string sample = "# the users of the gate\n"
                           "\n"
                           "alice:$pbkdf2-sha256$i=30000$c2FsdA$aGFzaA\n"
                           "  # indented comment\n"
                           "Bob Builder:hash2;nt=00112233;x y\n";

std::error_code parse_error(std::string_view text, std::size_t& line) {
    const auto file = users_file::parse(text, &line);
    return file ? std::error_code{} : file.error();
}
} // namespace

TEST_CASE(
    "users file: names are found without regard to case, comments and unknown fields are kept") {
    const auto file = users_file::parse(sample);
    REQUIRE(file);
    CHECK(file->size() == 2);
    REQUIRE(file->find("ALICE"));
    CHECK(file->find("ALICE")->hash == "$pbkdf2-sha256$i=30000$c2FsdA$aGFzaA");
    CHECK(file->find("bob builder")->further_fields == ";nt=00112233;x y");
    CHECK(file->find("bo") == nullptr);
    CHECK(file->format() == sample);
}

TEST_CASE("users file: CRLF, a missing last line end and an empty text are taken") {
    CHECK(users_file::parse("a:h\r\nb:h")->format() == "a:h\nb:h\n");
    CHECK(users_file::parse("")->format().empty());
}

TEST_CASE("users file: changing a user keeps the place and the fields of later versions") {
    auto file = users_file::parse(sample).value();
    CHECK_FALSE(file.set("BOB BUILDER", "new"));
    CHECK_FALSE(file.set("carol", "h3"));
    CHECK(file.format() ==
          "# the users of the gate\n\nalice:$pbkdf2-sha256$i=30000$c2FsdA$aGFzaA\n  # indented "
          "comment\n"
          "Bob Builder:new;nt=00112233;x y\ncarol:h3\n");
    CHECK(file.remove("alice"));
    CHECK_FALSE(file.remove("alice"));
    CHECK(file.find("carol")->hash == "h3"); // places moved up
    CHECK(file.find("bob builder")->hash == "new");
    CHECK(file.size() == 2);
    CHECK(users_file::parse(file.format())->format() == file.format());
}

TEST_CASE("users file: what the file cannot hold is refused, with the line") {
    std::size_t line = 0;
    for (const char* bad : {"nocolon", ":h", "a:", "a:;x", "a:h h", "a:h\x01", "a\x01:h", "a :h",
                            "a:\xC3\xA4", "a:h;x\r\r", "# c\r\r"}) {
        CAPTURE(bad);
        line = 0;
        CHECK(parse_error("ok:h\n# c\n" + std::string(bad) + "\nok2:h\n", line) ==
              errc::bad_setting);
        CHECK(line == 3);
    }
    CHECK(parse_error("a:h\nA:h\n", line) == errc::bad_setting);
    CHECK(line == 2);
    CHECK(parse_error(std::string(limits::users_line_bytes_max + 1, 'a'), line) == errc::too_large);
    users_file file;
    for (const char* name : {"", "#a", "a:b", " a", "a ", "a\nb"})
        CHECK(file.set(name, "h") == errc::bad_setting);
    for (const char* hash : {"", "a b", "a;b", "a\n"})
        CHECK(file.set("a", hash) == errc::bad_setting);
    CHECK(file.size() == 0);
}

TEST_CASE("users file: a check hashes once for known and unknown names alike") {
    const auto file = users_file::parse("alice:right\n").value();
    std::string seen;
    const auto verify = [&](std::string_view password, std::string_view hash) {
        seen += std::string(hash) + " ";
        return password == hash;
    };
    CHECK(file.check("Alice", "right", verify, "decoy"));
    CHECK_FALSE(file.check("alice", "wrong", verify, "decoy"));
    CHECK_FALSE(
        file.check("mallory", "decoy", verify, "decoy")); // even if the decoy's password were known
    CHECK(seen == "right right decoy ");
}

TEST_CASE("users file: the NT hash is read, written on request, and gone with the old password") {
    const auto hash = ntowf_v1("Password").value();
    auto file =
        users_file::parse("a:h;x=1;y\nb:h;ntlm=A4f49c406510bdcab6824ee7c30fd852;z\n").value();
    CHECK_FALSE(file.find("a")->nt_hash());
    CHECK(file.count_with_nt_hash() == 1);
    CHECK(file.find("b")->nt_hash()->bytes == hash.bytes);
    CHECK_FALSE(file.set("a", "h2", &hash));
    CHECK_FALSE(file.set("b", "h2"));
    CHECK_FALSE(file.set("c", "h2", &hash));
    CHECK(file.format() == "a:h2;x=1;y;ntlm=a4f49c406510bdcab6824ee7c30fd852\n"
                           "b:h2;z\n"
                           "c:h2;ntlm=a4f49c406510bdcab6824ee7c30fd852\n");
    CHECK(users_file::parse(file.format())->format() == file.format());
}

TEST_CASE("users file: an NT hash that is malformed or stands twice is refused") {
    for (const std::string bad : {"ntlm=", "ntlm=a4f4", "ntlm=a4f49c406510bdcab6824ee7c30fd85g",
                                  "ntlm=a4f49c406510bdcab6824ee7c30fd852;"
                                  "ntlm=a4f49c406510bdcab6824ee7c30fd852"}) {
        std::size_t line = 0;
        CHECK(parse_error("a:h;" + bad + "\n", line) == errc::bad_setting);
        CHECK(line == 1);
    }
    CHECK(users_file::parse("a:h;;nt=1;\n")->format() == "a:h;;nt=1;\n");
}

TEST_CASE("users file: the hashes of a user are wiped when the entry goes or changes") {
    // Short ones, which lie in the entry itself: its storage may be looked at afterwards.
    alignas(user_entry) std::byte storage[sizeof(user_entry)]{};
    const auto holds = [&storage](std::string_view text) {
        return core::as_text(storage).find(text) != std::string_view::npos;
    };
    auto* const entry = new (storage) user_entry("alice", "HASH-ONE", ";ntlm=FIELD1");
    REQUIRE(holds("HASH-ONE"));
    REQUIRE(holds("FIELD1"));
    *entry = user_entry("alice", "TWO", ";2");
    CHECK_FALSE(holds("HASH-ONE"));
    CHECK_FALSE(holds("FIELD1"));
    *entry = user_entry("alice", "HASH-THREE", ";ntlm=FIELD3");
    entry->~user_entry();
    CHECK_FALSE(holds("HASH-THREE"));
    CHECK_FALSE(holds("FIELD3"));
}
