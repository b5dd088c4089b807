#include <rpch/http/body.hpp>

#include <doctest/doctest.h>

#include <string>

#include "tests/support/bytes.hpp"

using namespace rpch;
using namespace rpch::http;

namespace {

struct decoded {
    std::string payload;
    std::string left;
    std::error_code error;
    bool done = false;
};

/// Feeds `text` in pieces of `step` bytes, the way reads would bring it.
template <class Decoder>
decoded feed(Decoder decoder, const std::string& text, std::size_t step) {
    decoded out;
    for (std::size_t at = 0; at < text.size();) {
        std::string piece = text.substr(at, step);
        const auto raw = std::as_writable_bytes(std::span(piece.data(), piece.size()));
        const auto progress = decoder.decode(raw);
        if (!progress) {
            out.error = progress.error();
            CHECK(decoder.decode(raw).error() == out.error); // for good
            return out;
        }
        out.payload += piece.substr(0, progress->payload);
        at += progress->consumed;
        out.done = progress->done;
        if (out.done) {
            out.left = text.substr(at);
            return out;
        }
        CHECK(progress->consumed == piece.size());
    }
    return out;
}

} // namespace

TEST_CASE("body counter: takes what belongs to the body and leaves the rest") {
    body_counter body(76);
    CHECK(body.take(70) == 70);
    CHECK(body.remaining() == 6);
    CHECK(body.take(10) == 6);
    CHECK(body.is_done());
    CHECK(body.take(10) == 0);
    CHECK(body_counter(0).is_done());
    body_counter large(std::uint64_t{1} << 40);
    CHECK(large.take(100) == 100);
    CHECK(large.remaining() == (std::uint64_t{1} << 40) - 100);
}

TEST_CASE("chunked: any split gives the same payload and the same rest") {
    const std::string text = "5\r\nhello\r\n1;a=b\r\n \r\n00A ; "
                             "x=\"y\"\r\n0123456789\r\n0\r\nX-Trailer: 1\r\nY:\r\n\r\nHTTP/1.1";
    for (std::size_t step = 1; step <= text.size(); ++step) {
        CAPTURE(step);
        const auto out = feed(chunked_decoder{}, text, step);
        CHECK(out.payload == "hello 0123456789");
        CHECK(out.done);
        CHECK(out.left == "HTTP/1.1");
    }
}

TEST_CASE("chunked: cut at any byte it is not done and nothing is made up") {
    const std::string text = "5\r\nhello\r\nb\r\n0123456789a\r\n0\r\n\r\n";
    const std::string payload = "hello0123456789a";
    for (std::size_t n = 0; n < text.size(); ++n) {
        const auto out = feed(chunked_decoder{}, text.substr(0, n), 3);
        CHECK_FALSE(out.error);
        CHECK_FALSE(out.done);
        CHECK(payload.substr(0, out.payload.size()) == out.payload);
    }
    CHECK(feed(chunked_decoder{}, text, 3).done);
}

TEST_CASE("chunked: what is malformed is refused, at any split") {
    const std::string bad[] = {
        "\r\n",
        "g\r\n",
        " 5\r\nhello\r\n",
        "-5\r\nhello\r\n",
        "0x5\r\nhello\r\n",
        "5\nhello\r\n",
        "5\rhello\r\n",
        "5\r\nhello0\r\n",
        "5\r\nhello\n0\r\n",
        "5\r\nhello\r0",
        ";a\r\n",
        "5;a\x01\r\n",
        "5;a\n",
        "10000000000000000\r\n",
        "0\r\nX\x01\r\n",
        "0\r\n\n",
        "0\r\nX: y\n\r\n",
        "0\r\n\rX",
        std::string("5\0\r\n", 4),
    };
    for (const std::string& text : bad) {
        CAPTURE(text);
        CHECK(feed(chunked_decoder{}, text, 1).error == errc::http_bad_chunk);
        CHECK(feed(chunked_decoder{}, text, text.size()).error == errc::http_bad_chunk);
    }
}

TEST_CASE("chunked: chunk lines and trailers have the limit and not a byte more") {
    const auto line = [](std::size_t n) {
        return feed(chunked_decoder{}, "1;" + std::string(n - 2, 'x') + "\r\na\r\n0\r\n\r\n", 1000);
    };
    CHECK(line(limits::http_chunk_line_bytes_max).done);
    CHECK(line(limits::http_chunk_line_bytes_max + 1).error == errc::http_bad_chunk);
    const auto trailer = [](std::size_t n) {
        std::string text = "0\r\n";
        for (; n > 100; n -= 100) text += std::string(100, 'x') + "\r\n";
        return feed(chunked_decoder{}, text + std::string(n, 'x') + "\r\n\r\n", 1000);
    };
    CHECK(trailer(limits::http_trailer_bytes_max).done);
    CHECK(trailer(limits::http_trailer_bytes_max + 1).error == errc::http_bad_chunk);
    CHECK(feed(chunked_decoder{}, std::string(300, '0'), 1000).error == errc::http_bad_chunk);
    CHECK_FALSE(feed(chunked_decoder{}, "FFFFFFFFFFFFFFFF\r\nx", 1000).error);
}

TEST_CASE("body reader: reads every framing the same way") {
    CHECK(feed(body_reader(body_framing::chunked, 0), "3\r\nabc\r\n0\r\n\r\nrest", 4).left ==
          "rest");
    const auto counted = feed(body_reader(body_framing::length, 3), "abcrest", 2);
    CHECK(counted.payload == "abc");
    CHECK(counted.left == "rest");
    const auto endless = feed(body_reader(body_framing::until_close, 0), "abcrest", 2);
    CHECK(endless.payload == "abcrest");
    CHECK_FALSE(endless.done);
    CHECK(body_reader(body_framing::none, 0).is_done());
    CHECK(body_reader(body_framing::length, 0).is_done());
    CHECK_FALSE(body_reader(body_framing::chunked, 0).is_done());
    CHECK_FALSE(body_reader(body_framing::until_close, 0).is_done());
}
