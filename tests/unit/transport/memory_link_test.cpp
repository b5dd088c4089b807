// Two links joined in memory look to their owners like the ends of a TCP connection.
#include <rpch/transport/link.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <utility>

#include <doctest/doctest.h>

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "tests/support/channel.hpp"
#include "tests/support/link_watch.hpp"

namespace {

using namespace std::chrono_literals;
using rpch::errc;
using test::link_watch;
namespace transport = rpch::transport; // unistd.h has a link as well

/// What a pair holds between its ends at most: 256 KiB and one segment.
constexpr std::size_t between_max = std::size_t{320} << 10;

test::bytes counted(std::size_t size, unsigned seed = 1) {
    test::bytes out(size);
    std::mt19937 random(seed);
    for (std::byte& each : out) each = static_cast<std::byte>(random());
    return out;
}

struct pair {
    asio::io_context io{1};
    transport::strand on{io.get_executor()};
    std::shared_ptr<transport::buffer_pool> pool = std::make_shared<transport::buffer_pool>();
    std::shared_ptr<link_watch> a = std::make_shared<link_watch>();
    std::shared_ptr<link_watch> b = std::make_shared<link_watch>();
    std::shared_ptr<transport::link> left;
    std::shared_ptr<transport::link> right;

    explicit pair(bool started = true) {
        std::tie(left, right) = transport::make_link_pair(on, pool, *a, *b);
        if (!started) return;
        left->start();
        right->start();
    }
    /// Runs what is ready. What is called meanwhile is called from a handler.
    void settle() {
        io.restart();
        io.poll();
    }
    bool run_until(const std::function<bool()>& done) {
        const auto until = std::chrono::steady_clock::now() + 20s;
        while (!done() && std::chrono::steady_clock::now() < until) {
            io.restart();
            io.run_one_for(10ms);
        }
        return done();
    }
    /// Calls links; they must tell nothing meanwhile.
    template <class Call>
    auto quietly(Call&& call) {
        a->outside = b->outside = false;
        const auto kept_a = a, kept_b = b;
        struct back {
            link_watch &x, &y;
            ~back() { x.outside = y.outside = true; }
        } restore{*kept_a, *kept_b};
        return call();
    }
    std::size_t send(transport::link& from, const test::bytes& data) {
        return quietly([&] {
            from.write(data, data.size());
            return from.flush();
        });
    }
};

} // namespace

TEST_CASE("memory link: bytes go both ways, and an idle pair holds no block") {
    pair p;
    const auto there = counted(1000), back = counted(70'000, 2);
    CHECK(p.send(*p.left, there) == there.size());
    CHECK(p.send(*p.right, back) == back.size());
    CHECK(p.b->heard.empty()); // delivered later
    p.settle();
    CHECK(p.b->heard == there);
    CHECK(p.a->heard == back);
    CHECK(p.pool->lent() == 0);
    CHECK(p.pool->copied() == 0);
    CHECK(!p.left->output_pending());
    CHECK(p.left->peer_address().is_unspecified());
    p.left->set_keep_alive(1s); // nothing
}

TEST_CASE("memory link: what was sent before the start waits, and owners may change until then") {
    pair p(false);
    const auto late = std::make_shared<link_watch>();
    p.right->set_owner(*late);
    p.send(*p.left, counted(100));
    p.settle();
    CHECK(late->heard.empty());
    p.right->start();
    CHECK(late->heard.empty());
    p.settle();
    CHECK(late->heard == counted(100));
    CHECK(p.b->heard.empty());
}

TEST_CASE("memory link: PDUs are cut off wherever blocks end, and passed on without a copy") {
    pair first;
    // The second pair is on the same strand and pool.
    const auto end = std::make_shared<link_watch>();
    auto [in, out] = transport::make_link_pair(first.on, first.pool, *first.b, *end);
    out->start();
    first.right->expect_pdus();
    std::size_t forwarded = 0;
    first.b->input = [&, to = in](transport::link& from) {
        for (;;) {
            const auto pdu = from.next_pdu(1U << 30);
            REQUIRE(pdu);
            if (!*pdu) break;
            const std::size_t size = (*pdu)->view.size();
            to->forward(**pdu, size);
            from.consume(size);
        }
        forwarded += to->flush();
    };
    test::bytes all;
    std::mt19937 random(7);
    std::size_t sent = 0;
    for (unsigned i = 0; i < 200; ++i) {
        const auto pdu = test::rpc_pdu(24 + random() % (i % 3 == 0 ? 65000 : 300),
                                       rpch::dcerpc::pdu_type::request, i);
        all.insert(all.end(), pdu.begin(), pdu.end());
        sent += first.send(*first.left, pdu);
        if (random() % 4 == 0) first.settle();
    }
    first.settle();
    CHECK(end->heard == all);
    CHECK(sent + first.left->output_size() == all.size()); // the rest went out by on_writable
    CHECK(forwarded == all.size());
    // Heads of PDUs that end right behind a block's end are all that moves.
    CHECK(first.pool->copied() < all.size() / 100);
    CHECK(first.pool->lent() == 0);
    first.b->input = {};
}

TEST_CASE("memory link: a reader that pauses stops the writer, and room lets it go on") {
    pair p;
    p.right->want_input(false);
    const auto all = counted(2'000'000);
    std::size_t told = 0;
    p.a->writable = [&](transport::link& from) { told += from.flush(); };
    p.quietly([&] {
        for (std::size_t at = 0; at < all.size(); at += 1000)
            p.left->write(rpch::byte_view(all).subspan(at, 1000), 1000);
        told += p.left->flush();
    });
    p.settle();
    CHECK(p.b->heard.empty());
    CHECK(p.left->output_size() >= all.size() - between_max);
    CHECK(told <= between_max);
    CHECK(p.quietly([&] { return p.left->flush(); }) == 0); // until there is room
    p.quietly([&] { p.right->want_input(true); });
    p.settle();
    CHECK(p.b->heard == all);
    CHECK(told == all.size());
    CHECK(p.pool->lent() == 0);
}

TEST_CASE("memory link: a reader that pauses pins few blocks, however small the pieces are") {
    pair p;
    p.right->want_input(false);
    std::size_t told = 0;
    p.a->writable = [&](transport::link& from) { told += from.flush(); };
    for (unsigned i = 0; i < 1000; ++i) told += p.send(*p.left, counted(20));
    CHECK(p.pool->lent() <= 40);
    p.right->want_input(true);
    p.settle();
    CHECK(p.b->heard.size() == 20'000);
    CHECK(told == 20'000);
    CHECK(p.pool->lent() == 0);
}

TEST_CASE("memory link: any sizes and pauses, both ways at once, keep every byte and its order") {
    for (unsigned seed = 1; seed <= 30; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        pair p;
        struct side {
            std::shared_ptr<transport::link> link;
            std::shared_ptr<link_watch> self, other;
            test::bytes all = {};
            std::size_t written = 0, went_out = 0;
        } sides[2] = {{p.left, p.a, p.b}, {p.right, p.b, p.a}};
        for (side& s : sides) {
            s.all = counted(1'500'000, seed + (s.self == p.a ? 0 : 1000));
            s.self->writable = [&s](transport::link& from) { s.went_out += from.flush(); };
        }
        while (std::any_of(std::begin(sides), std::end(sides),
                           [](const side& s) { return s.written < s.all.size(); })) {
            for (side& s : sides) {
                p.quietly([&] {
                    const std::size_t most = random() % 3 == 0 ? 200'000 : 500;
                    const std::size_t n = std::min(s.all.size() - s.written, random() % most);
                    const auto piece = rpch::byte_view(s.all).subspan(s.written, n);
                    if (random() % 2 == 0)
                        s.link->write(piece, n);
                    else
                        s.link->write_owned({piece.begin(), piece.end()}, n);
                    s.written += n;
                    if (random() % 2 == 0) s.went_out += s.link->flush();
                    if (random() % 4 == 0) s.link->want_input(random() % 2 == 0);
                });
                CHECK(s.went_out <= s.written);
            }
            for (auto n = random() % 6; n != 0; --n) {
                p.io.restart();
                p.io.poll_one();
            }
        }
        for (side& s : sides)
            p.quietly([&] {
                s.link->want_input(true);
                s.went_out += s.link->flush();
            });
        p.settle();
        for (side& s : sides) {
            CHECK(s.other->heard == s.all);
            CHECK(s.went_out == s.all.size());
            CHECK(s.link->output_size() == 0);
        }
        CHECK(p.pool->lent() == 0);
    }
}

TEST_CASE(
    "memory link: the other side of one that is closed reads what came before, then its end") {
    pair p;
    const auto last = counted(200'000);
    p.send(*p.left, last);
    p.send(*p.right, counted(100)); // under way to one that closes
    p.quietly([&] { p.left->close(); });
    CHECK(!p.left->is_open());
    p.settle();
    CHECK(p.b->heard == last);
    CHECK(p.b->closed == 1);
    CHECK(p.b->why == errc::channel_closed);
    CHECK(!p.right->is_open());
    CHECK(p.a->heard.empty());
    CHECK(p.a->closed == 0); // it knows
    CHECK(p.pool->lent() == 0);
}

TEST_CASE("memory link: one that pauses learns of the end when it reads again") {
    pair p;
    p.right->want_input(false);
    p.send(*p.left, counted(100));
    p.left->close();
    p.settle();
    CHECK(p.b->closed == 0);
    CHECK(p.send(*p.right, counted(1000)) == 0); // nobody takes it
    CHECK(!p.right->output_pending());
    p.settle();
    CHECK(p.b->closed == 0);
    p.right->want_input(true);
    p.settle();
    CHECK(p.b->heard == counted(100));
    CHECK(p.b->closed == 1);
}

TEST_CASE("memory link: a writer that waits for room is woken by the end") {
    pair p;
    p.right->want_input(false);
    p.send(*p.left, counted(1'000'000));
    p.settle();
    CHECK(p.left->output_pending());
    p.quietly([&] { p.right->close(); });
    p.settle();
    CHECK(p.a->closed == 1);
    CHECK(p.a->why == errc::connection_lost);
    CHECK(p.pool->lent() == 0);
}

TEST_CASE("memory link: finish sends the rest, lets go of the owner and hears no more") {
    pair p;
    const std::weak_ptr<link_watch> owner = p.a;
    const std::weak_ptr<transport::link> link = p.left;
    p.send(*p.right, counted(100));
    p.quietly([&] {
        p.left->write(counted(300'000));
        p.left->finish();
    });
    p.left.reset();
    p.a.reset();
    p.settle();
    CHECK(owner.expired());
    CHECK(p.b->heard == counted(300'000));
    CHECK(p.b->closed == 1); // and with it the linger ended
    CHECK(link.expired());
    CHECK(p.pool->lent() == 0);
}

TEST_CASE(
    "memory link: a retired one goes on writing to a slow reader, and takes what that sends") {
    pair p;
    p.right->want_input(false);
    const std::weak_ptr<link_watch> owner = p.a;
    const auto all = counted(1'000'000);
    p.quietly([&] {
        p.left->write(all);
        p.left->retire(20s, 20s);
    });
    p.left.reset();
    p.a.reset();
    p.settle();
    CHECK(owner.expired());
    const auto answer = counted(100'000);
    std::size_t taken = 0;
    p.b->writable = [&](transport::link& from) { taken += from.flush(); };
    for (int i = 0; i < 20; ++i) {
        p.right->write(answer, answer.size());
        taken += p.right->flush();
        p.settle();
    }
    CHECK(taken == 20 * answer.size());
    p.right->want_input(true);
    p.settle();
    CHECK(p.b->heard == all);
    CHECK(p.b->closed == 1);
    CHECK(p.pool->lent() == 0);
}

TEST_CASE("memory link: a retired one is cut when its time to write is over") {
    pair p;
    p.right->want_input(false);
    const std::weak_ptr<transport::link> link = p.left;
    p.left->write(counted(1'000'000));
    p.left->retire(1ms, 20s);
    p.left.reset();
    CHECK(p.run_until([&] { return link.expired(); }));
    p.right->want_input(true);
    p.settle();
    const auto all = counted(1'000'000);
    CHECK(p.b->heard.size() <= between_max);
    CHECK(std::equal(p.b->heard.begin(), p.b->heard.end(), all.begin()));
    CHECK(p.b->closed == 1);
}

TEST_CASE("memory link: a retired one does not linger for ever") {
    pair p;
    p.right->want_input(false);
    const std::weak_ptr<transport::link> link = p.left;
    p.left->retire(20s, 100ms); // a busy machine takes its time to look
    p.left.reset();
    p.settle();
    CHECK(!link.expired());
    CHECK(p.run_until([&] { return link.expired(); }));
    p.settle();
    CHECK(p.b->closed == 0);
    CHECK(p.right->is_open());
}

TEST_CASE("memory link: a side that is destroyed is a side that is closed") {
    pair p(false);
    p.right->start();
    p.send(*p.left, counted(1000));
    p.quietly([&] { p.left.reset(); });
    p.settle();
    CHECK(p.b->heard == counted(1000));
    CHECK(p.b->closed == 1);
}

TEST_CASE("memory link: a callback may close or finish its own side and the other one") {
    for (int what = 0; what < 4; ++what) {
        CAPTURE(what);
        pair p;
        p.b->input = [&](transport::link& from) {
            p.b->take(from);
            transport::link& end = what % 2 == 0 ? from : *p.left;
            p.quietly([&] { what < 2 ? end.close() : end.finish(); });
        };
        p.send(*p.left, counted(500'000));
        p.settle();
        CHECK(!p.right->is_open());
        CHECK(p.a->closed + p.b->closed == 1);
        CHECK(p.a->closed == (what % 2 == 0 ? 1 : 0));
        CHECK(p.pool->lent() == 0);
        p.b->input = {};
    }
}

TEST_CASE("memory link: a context that is destroyed drops what waits, links and owners too") {
    std::weak_ptr<transport::link> left, right;
    std::weak_ptr<link_watch> a, b;
    {
        pair p;
        left = p.left;
        right = p.right;
        a = p.a;
        b = p.b;
        p.right->want_input(false);
        p.send(*p.left, counted(1'000'000)); // waits for room
        p.settle();
        p.left.reset();
        p.right.reset();
        p.a.reset();
        p.b.reset();
        CHECK(!left.expired());
        CHECK(!a.expired());
    }
    CHECK(left.expired());
    CHECK(right.expired());
    CHECK(a.expired());
    CHECK(b.expired());
}
