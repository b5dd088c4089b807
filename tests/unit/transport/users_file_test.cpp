#include <rpch/transport/users_file.hpp>

#include <fstream>
#include <string>

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

} // namespace

TEST_CASE("users file: files of any size are read whole") {
    for (const std::size_t users : {0U, 1U, 100U, 8'000U, 40'000U}) {
        std::string text = "# comment\n";
        for (std::size_t i = 0; i < users; ++i) text += "user" + std::to_string(i) + ":$a$b\n";
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
        while (text.size() + 80 < size) text += "# " + std::string(70, 'x') + "\n";
        text += "user:" + std::string(size - text.size() - 6, 'h') + "\n";
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

TEST_CASE("users file: a directory in its place is refused, without an exception") {
    std::string why;
    CHECK(rpch::transport::read_users_file("/tmp", &why).error() == rpch::errc::bad_setting);
    CHECK(why == "cannot read the users file /tmp");
}
