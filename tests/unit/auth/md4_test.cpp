#include <rpch/auth/md4.hpp>

#include <doctest/doctest.h>

#include "tests/support/bytes.hpp"

using namespace rpch;

namespace {

test::bytes md4_of(std::string_view text, std::size_t part = 1000) {
    auth::md4 hash;
    for (; !text.empty(); text.remove_prefix(std::min(part, text.size())))
        hash.update(core::as_bytes(text.substr(0, part)));
    test::bytes out(16);
    hash.finish(std::span(out).first<16>());
    return out;
}

} // namespace

TEST_CASE("md4: the vectors of RFC 1320 A.5") {
    const std::pair<std::string_view, std::string_view> vectors[] = {
        {"", "31d6cfe0d16ae931b73c59d7e0c089c0"},
        {"a", "bde52cb31de33e46245e05fbdbd6fb24"},
        {"abc", "a448017aaf21d8525fc10ae87aa6729d"},
        {"message digest", "d9130a8164549fe818874806e1c7014b"},
        {"abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9"},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
         "043f8582f241db351ce627e153e7f0e4"},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
         "e33b4ddc9c38f2199c3e7b164fcc0536"},
    };
    for (const auto& [text, digest] : vectors) CHECK(md4_of(text) == test::hex(digest));
}

TEST_CASE("md4: parts of any size give what the whole gives, and finish begins anew") {
    for (std::size_t size = 0; size < 200; ++size) {
        const std::string text(size, 'x');
        const auto whole = md4_of(text);
        for (const std::size_t part : {1U, 7U, 63U, 64U, 65U}) CHECK(md4_of(text, part) == whole);
    }
    auth::md4 hash;
    test::bytes out(16);
    hash.update(core::as_bytes("something else"));
    hash.finish(std::span(out).first<16>());
    hash.update(core::as_bytes("abc"));
    hash.finish(std::span(out).first<16>());
    CHECK(out == test::hex("a448017aaf21d8525fc10ae87aa6729d"));
}
