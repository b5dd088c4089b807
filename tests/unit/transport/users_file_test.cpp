#include <rpch/transport/users_file.hpp>

#include <fstream>
#include <string>

#include <rpch/transport/password_hash.hpp>

#include <doctest/doctest.h>

#include <unistd.h>

namespace {

/// A file of the test that goes with it.
struct temporary_file {
    explicit temporary_file(const std::string& text) {
        std::ofstream(path, std::ios::binary) << text;
    }
    ~temporary_file() { ::unlink(path.c_str()); }
    std::string path = "/tmp/rpch-users-" + std::to_string(::getpid());
};

/// The hash of some password, made once: it costs less than one that guards something.
const std::string& one_hash() {
    static const std::string made = rpch::transport::make_password_hash("secret", 1).value();
    return made;
}

} // namespace

TEST_CASE("users file: files of any size are read whole") {
    for (const std::size_t users : {0U, 1U, 100U, 8'000U, 40'000U}) {
        std::string text = "# comment\n";
        for (std::size_t i = 0; i < users; ++i)
            text += "user" + std::to_string(i) + ":" + one_hash() + "\n";
        const temporary_file file(text);
        const auto read = rpch::transport::read_users_file(file.path, nullptr);
        REQUIRE(read);
        CHECK(read->size() == users);
        CHECK(read->format() == text);
    }
}

TEST_CASE("users file: one that is exactly as long as a buffer ends there") {
    for (const std::size_t size : {65535U, 65536U, 65537U, 131072U}) {
        std::string text;
        while (text.size() + 240 < size) text += "# " + std::string(70, 'x') + "\n";
        const std::string user = "user:" + one_hash() + ";later=";
        text += user + std::string(size - text.size() - user.size() - 1, 'h') + "\n";
        const temporary_file file(text);
        const auto read = rpch::transport::read_users_file(file.path, nullptr);
        REQUIRE(read);
        CHECK(read->format() == text);
    }
}

TEST_CASE("users file: what is wrong is told, with its line") {
    std::string why;
    CHECK(rpch::transport::read_users_file("/nonexistent/users", &why).error() ==
          rpch::errc::bad_setting);
    CHECK(why.find("/nonexistent/users") != std::string::npos);
    const temporary_file file("# comment\nno colon\n");
    CHECK(rpch::transport::read_users_file(file.path, &why).error() == rpch::errc::bad_setting);
    CHECK(why.find("line 2") != std::string::npos);
}

TEST_CASE("users file: a hash that is none is refused, not taken for a password that never fits") {
    const std::string user = "alice:" + one_hash() + ";ntlm=" + std::string(32, 'a') + "\n";
    REQUIRE(rpch::transport::read_users_file(temporary_file(user).path, nullptr));
    for (const std::string& broken :
         {"!" + one_hash(), one_hash() + "x", std::string("*"), std::string("$1$salt$hash")}) {
        CAPTURE(broken);
        const temporary_file file(user + "bob:" + broken + ";ntlm=" + std::string(32, 'b') + "\n");
        std::string why;
        CHECK(rpch::transport::read_users_file(file.path, &why).error() == rpch::errc::bad_setting);
        CHECK(why.find("line 2") != std::string::npos);
        // Who mends the file has to read it.
        CHECK(rpch::auth::users_file::parse("bob:" + broken + "\n"));
    }
}

TEST_CASE("users file: a directory in its place is refused, without an exception") {
    std::string why;
    CHECK(rpch::transport::read_users_file("/tmp", &why).error() == rpch::errc::bad_setting);
    CHECK(why == "cannot read the users file /tmp");
}
