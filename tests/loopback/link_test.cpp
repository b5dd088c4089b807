// How a link that its owner has let go of writes the rest, reads on, and ends.
#include <rpch/transport/link.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <doctest/doctest.h>

#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/write.hpp>

#include "tests/support/certificates.hpp"
#include "tests/support/link_watch.hpp"
#include "tests/support/stack.hpp"

namespace {

using namespace std::chrono_literals;
using rpch::errc;
namespace transport = rpch::transport; // unistd.h has a link as well
using transport::tcp;
using transport::tls_engine;

/// A link and its watch, with the other end of the connection, whose buffers are small.
struct connection {
    asio::io_context io{1};
    rpch::transport::strand on{io.get_executor()};
    std::shared_ptr<rpch::transport::buffer_pool> pool =
        std::make_shared<rpch::transport::buffer_pool>();
    std::shared_ptr<test::link_watch> owner = std::make_shared<test::link_watch>();
    std::weak_ptr<test::link_watch> watched = owner;
    std::shared_ptr<transport::link> near;
    std::weak_ptr<transport::link> alive;
    tcp::socket far{on};

    connection() {
        tcp::acceptor acceptor(on);
        acceptor.open(asio::ip::tcp::v4());
        acceptor.set_option(asio::socket_base::receive_buffer_size(4096));
        acceptor.bind({asio::ip::address_v4::loopback(), 0});
        acceptor.listen();
        tcp::socket socket(on);
        socket.open(asio::ip::tcp::v4());
        socket.set_option(asio::socket_base::send_buffer_size(4096));
        socket.connect(acceptor.local_endpoint());
        acceptor.accept(far);
        near = std::make_shared<transport::link>(std::move(socket), pool, *owner);
        alive = near;
    }

    bool run_until(const std::function<bool()>& done) {
        const auto until = std::chrono::steady_clock::now() + test::patience;
        while (!done() && std::chrono::steady_clock::now() < until) {
            io.restart();
            io.run_one_for(10ms);
        }
        return done();
    }
    void run_for(std::chrono::milliseconds time) {
        io.restart();
        io.run_for(time);
    }
    /// Lets go of link and owner, as a driver does. @return whether the owner is gone at once.
    bool let_go() {
        near.reset();
        owner.reset();
        return run_until([this] { return watched.expired(); });
    }
    /// Reads what the far end gets until it ends. @return the error that ended it, and all bytes.
    std::pair<std::error_code, test::bytes> drain() {
        test::bytes heard;
        test::bytes fresh(65536);
        std::optional<std::error_code> ended;
        std::function<void()> read = [&] {
            far.async_read_some(asio::buffer(fresh), [&](std::error_code ec, std::size_t n) {
                heard.insert(heard.end(), fresh.begin(),
                             fresh.begin() + static_cast<std::ptrdiff_t>(n));
                if (ec)
                    ended = ec;
                else
                    read();
            });
        };
        read();
        REQUIRE(run_until([&] { return ended.has_value(); }));
        return {*ended, std::move(heard)};
    }
};

const test::bytes& mebibyte() {
    static const test::bytes all = test::pattern(std::size_t{1} << 20);
    return all;
}

} // namespace

TEST_CASE("link: a retired one writes everything to a reader that is slower than the linger") {
    connection c;
    c.near->start();
    c.near->write(mebibyte());
    c.near->retire(10s, 20ms);
    CHECK(c.let_go());
    c.run_for(80ms);
    CHECK(!c.alive.expired());
    const auto [ec, heard] = c.drain();
    CHECK(ec == asio::error::eof);
    CHECK(heard == mebibyte());
    CHECK(c.run_until([&] { return c.alive.expired(); })); // after the linger
    CHECK(c.pool->lent() == 0);
}

TEST_CASE("link: a retired one that was flushed before, in vain, goes on from there") {
    connection c;
    c.near->start();
    c.near->want_input(false);
    c.near->write(mebibyte());
    c.near->flush();
    c.near->write(test::pattern(1000, 1));
    c.near->retire(10s, 20ms);
    CHECK(c.let_go());
    const auto [ec, heard] = c.drain();
    CHECK(ec == asio::error::eof);
    CHECK(heard.size() == mebibyte().size() + 1000);
    CHECK(std::equal(mebibyte().begin(), mebibyte().end(), heard.begin()));
}

TEST_CASE("link: a retired one is cut when its time to write is over") {
    connection c;
    c.near->start();
    c.near->write(mebibyte());
    c.near->retire(20ms, 10s);
    CHECK(c.let_go());
    CHECK(c.run_until([&] { return c.alive.expired(); })); // although nobody read
    CHECK(c.pool->lent() == 0);
    const auto [ec, heard] = c.drain();
    CHECK(heard.size() < mebibyte().size());
}

TEST_CASE("link: a retired one whose peer breaks the connection does not wait") {
    connection c;
    c.near->start();
    c.near->write(mebibyte());
    c.near->retire(60s, 60s);
    c.far.set_option(asio::socket_base::linger(true, 0));
    c.far.close();
    CHECK(c.let_go());
    CHECK(c.run_until([&] { return c.alive.expired(); }));
}

TEST_CASE("link: a retired one with nothing to write ends the sending direction and reads on") {
    connection c;
    asio::write(c.far, asio::buffer(test::pattern(100)));
    c.owner->input = [](transport::link&) {}; // stays in the link, and is dropped
    c.near->start();
    REQUIRE(c.run_until([&] { return c.near->input_size() == 100; }));
    CHECK(c.pool->lent() == 1);
    c.near->finish();
    CHECK(c.let_go());
    CHECK(c.run_until([&] { return c.pool->lent() == 0; }));
    CHECK(c.drain().first == asio::error::eof);
    asio::write(c.far, asio::buffer(test::pattern(1000)));
    CHECK(!c.alive.expired());
    c.far.close();
    CHECK(c.run_until([&] { return c.alive.expired(); }));
}

TEST_CASE("link: a retired one that leaves the end to its peer ends nothing before") {
    using farewell = transport::link::farewell;
    connection c;
    c.near->start();
    c.near->write(test::pattern(1000));
    c.near->retire(10s, 10s, farewell::after_peer);
    CHECK(c.let_go());
    test::bytes heard(1001);
    std::size_t size = 0;
    c.far.non_blocking(true);
    const auto read = [&] {
        std::error_code ec;
        size += c.far.read_some(asio::buffer(heard) + size, ec);
        return ec;
    };
    CHECK(c.run_until([&] { return read() != std::error_code{} && size == 1000; }));
    c.run_for(80ms);
    CHECK(read() == asio::error::would_block); // no end
    CHECK(!c.alive.expired());
    c.far.shutdown(tcp::socket::shutdown_send);
    CHECK(c.run_until([&] { return c.alive.expired(); }));
    CHECK(read() == asio::error::eof);
}

TEST_CASE("link: a retired one does not leave the end to its peer for ever") {
    connection c;
    c.near->start();
    c.near->retire(10s, 20ms, transport::link::farewell::after_peer);
    CHECK(c.let_go());
    CHECK(c.run_until([&] { return c.alive.expired(); }));
    CHECK(c.drain().first == asio::error::eof);
}

TEST_CASE("link: a retired one takes from a peer that sends before it reads") {
    // Below what is read during the wait, and above: then the rest is taken when the output is out.
    for (const std::size_t size : {std::size_t{3} << 20, std::size_t{14} << 20}) {
        CAPTURE(size);
        connection c;
        c.near->start();
        c.near->write(mebibyte());
        c.near->retire(60s, 60s);
        CHECK(c.let_go());
        const test::bytes all(size, std::byte{0x77});
        bool sent = false;
        asio::async_write(c.far, asio::buffer(all), [&](std::error_code ec, std::size_t) {
            CHECK(!ec);
            sent = true;
            c.far.shutdown(tcp::socket::shutdown_send);
        });
        if (size < std::size_t{8} << 20)
            CHECK(c.run_until([&] { return sent; }));
        else
            c.run_for(50ms);
        const auto [ec, heard] = c.drain();
        CHECK(ec == asio::error::eof);
        CHECK(heard == mebibyte());
        CHECK(c.run_until([&] { return sent && c.alive.expired(); }));
    }
}

TEST_CASE("link: a retired one says close_notify after the last byte") {
    connection c;
    const auto reader = std::make_shared<test::link_watch>();
    const auto other = std::make_shared<transport::link>(std::move(c.far), c.pool, *reader);
    other->use_tls(std::make_unique<tls_engine>(test::tls_server()));
    c.near->use_tls(std::make_unique<tls_engine>(test::tls_client(), "localhost"));
    other->start();
    c.near->start();
    REQUIRE(c.run_until([&] { return c.owner->secured == 1 && reader->secured == 1; }));
    other->want_input(false);
    c.near->write(mebibyte());
    c.near->retire(10s, 20ms);
    CHECK(c.let_go());
    c.run_for(80ms);
    CHECK(reader->heard.size() < mebibyte().size());
    other->want_input(true);
    REQUIRE(c.run_until([&] { return reader->closed == 1; }));
    CHECK(reader->why == errc::channel_closed);
    CHECK(other->error_detail().empty()); // there was one
    CHECK(reader->heard == mebibyte());
    CHECK(c.run_until([&] { return c.alive.expired(); }));
}

TEST_CASE(
    "link: an end without close_notify is one in order, unless it leaves something unfinished") {
    for (const bool within_pdu : {false, true}) {
        CAPTURE(within_pdu);
        connection c;
        const auto writer = std::make_shared<test::link_watch>();
        const auto other = std::make_shared<transport::link>(std::move(c.far), c.pool, *writer);
        other->use_tls(std::make_unique<tls_engine>(test::tls_server()));
        c.near->use_tls(std::make_unique<tls_engine>(test::tls_client(), "localhost"));
        std::size_t seen = 0;
        c.owner->input = [&](transport::link& from) {
            seen = from.input_size();
            if (!within_pdu) c.owner->take(from);
        };
        other->start();
        c.near->start();
        REQUIRE(c.run_until([&] { return c.owner->secured == 1 && writer->secured == 1; }));
        other->write(test::pattern(1000));
        other->flush();
        REQUIRE(c.run_until([&] { return seen == 1000; }));
        other->close();
        REQUIRE(c.run_until([&] { return c.owner->closed == 1; }));
        CHECK(c.owner->why == (within_pdu ? errc::tls_truncated : errc::channel_closed));
        CHECK(c.near->error_detail() == "the connection ended without close_notify");
    }
}

TEST_CASE("link: an end within a TLS record is a loss, even where no byte of ours is unfinished") {
    for (const std::size_t cut :
         {std::size_t{0}, std::size_t{1}, std::size_t{900}, std::size_t{1003}, std::size_t{1004}}) {
        CAPTURE(cut);
        connection c;
        c.near->use_tls(std::make_unique<tls_engine>(test::tls_client(), "localhost"));
        std::size_t seen = 0;
        c.owner->input = [&](transport::link& from) {
            seen += from.input_size();
            c.owner->take(from);
        };
        tls_engine far(test::tls_server());
        c.far.non_blocking(true);
        const auto send = [&](std::size_t left_out) {
            const auto wire = far.output();
            asio::write(c.far, asio::buffer(wire.data(), wire.size() - left_out));
            far.consume_output(wire.size());
        };
        c.near->start();
        REQUIRE(c.run_until([&] {
            std::array<std::byte, 4096> space{};
            std::error_code ec;
            const std::size_t n = c.far.read_some(asio::buffer(space), ec);
            far.set_input(rpch::byte_view(space).first(ec ? 0 : n));
            static_cast<void>(far.handshake());
            send(0);
            return c.owner->secured == 1;
        }));
        REQUIRE(far.write(test::pattern(1000)).bytes == 1000);
        REQUIRE(far.output().size() > 1005);
        send(cut == 1004 ? far.output().size() - 1 : cut); // one byte of the head; else of the body
        c.far.shutdown(asio::ip::tcp::socket::shutdown_send);
        REQUIRE(c.run_until([&] { return c.owner->closed == 1; }));
        CHECK(seen == (cut == 0 ? 1000 : 0));
        CHECK(c.owner->why == (cut == 0 ? errc::channel_closed : errc::tls_truncated));
        CHECK(c.near->error_detail() ==
              (cut == 0 ? "the connection ended without close_notify"
                        : "the connection ended in the middle of a TLS record"));
    }
}

TEST_CASE("link: an end that is read with the last bytes waits for an owner that pauses on them") {
    for (const bool secure : {false, true}) {
        CAPTURE(secure);
        connection c;
        rpch::http::chunked_decoder chunks;
        // Going on and pausing again leaves a wait for the socket behind.
        c.owner->input = [](transport::link& from) {
            from.want_input(true);
            from.want_input(false);
        };
        if (!secure) {
            CHECK(!c.near->decode_chunks(chunks));
            c.near->want_input(false);
            c.near->start();
            asio::write(c.far, asio::buffer(std::string_view("5\r\nbytes\r\n0\r\n\r\n")));
        } else {
            const auto writer = std::make_shared<test::link_watch>();
            const auto other = std::make_shared<transport::link>(std::move(c.far), c.pool, *writer);
            other->use_tls(std::make_unique<tls_engine>(test::tls_server()));
            c.near->use_tls(std::make_unique<tls_engine>(test::tls_client(), "localhost"));
            other->start();
            c.near->start();
            REQUIRE(c.run_until([&] { return c.owner->secured == 1 && writer->secured == 1; }));
            c.run_for(20ms); // what a session ticket may bring
            c.near->want_input(false);
            other->write(rpch::core::as_bytes("bytes"));
            other->retire(10s, 20ms);
        }
        c.run_for(50ms);
        CHECK(c.near->input_size() == 0);
        c.near->want_input(true);
        REQUIRE(c.run_until([&] { return c.near->input_size() == 5; }));
        c.run_for(50ms);
        CHECK(c.owner->closed == 0);
        REQUIRE(c.near->input_size() == 5);
        CHECK(c.near->peer_has_ended());
        c.owner->take(*c.near);
        CHECK(c.owner->heard.size() == 5);
        c.near->want_input(true);
        REQUIRE(c.run_until([&] { return c.owner->closed == 1; }));
        CHECK(c.owner->why == errc::channel_closed);
    }
}

TEST_CASE("link: a record that fails its check is told, though the alert about it goes out") {
    connection c;
    tls_engine peer(test::tls_server());
    c.near->use_tls(std::make_unique<tls_engine>(test::tls_client(), "localhost"));
    c.near->start();
    c.far.non_blocking(true);
    test::bytes unread;
    REQUIRE(c.run_until([&] {
        test::bytes fresh(65536);
        std::error_code ec;
        fresh.resize(c.far.read_some(asio::buffer(fresh), ec));
        unread.insert(unread.end(), fresh.begin(), fresh.end());
        peer.set_input(unread);
        CHECK(peer.handshake() != transport::tls_status::failed);
        const auto rest = peer.remaining_input();
        unread = test::bytes(rest.begin(), rest.end());
        const auto out = peer.output();
        const std::size_t sent = c.far.write_some(asio::buffer(out.data(), out.size()), ec);
        peer.consume_output(sent);
        return c.owner->secured == 1;
    }));
    test::bytes record{std::byte{23}, std::byte{3}, std::byte{3}, std::byte{0}, std::byte{64}};
    record.resize(5 + 64, std::byte{0x5a});
    asio::write(c.far, asio::buffer(record));
    // The peer neither answers the alert nor ends the connection.
    REQUIRE(c.run_until([&] { return c.owner->closed == 1; }));
    CHECK(c.owner->why == errc::tls_failed);
}

TEST_CASE("link: a reset is told with what the system said, read or unread") {
    for (const bool wanted : {false, true}) {
        connection c;
        c.near->start();
        c.near->want_input(wanted);
        c.far.set_option(asio::socket_base::linger(true, 0));
        c.far.close();
        REQUIRE(c.run_until([&] { return c.owner->closed == 1; }));
        CHECK(c.owner->why == errc::connection_lost);
        CHECK(c.near->error_detail() == "Connection reset by peer");
    }
}

TEST_CASE("link: an end is a loss while bytes wait to be written") {
    connection c;
    c.near->start();
    c.near->write(mebibyte());
    c.near->flush();
    REQUIRE(c.near->output_pending());
    c.far.shutdown(tcp::socket::shutdown_send);
    REQUIRE(c.run_until([&] { return c.owner->closed == 1; }));
    CHECK(c.owner->why == errc::connection_lost);
    CHECK(c.near->error_detail() == "it ended before all was sent");
}
