#include <rpch/transport/state_limit.hpp>

#include <chrono>
#include <memory>

#include <doctest/doctest.h>

#include <asio/io_context.hpp>

using namespace std::chrono_literals;

namespace {

constexpr auto limit = 40ms;

/// Has a limit, and counts how often its state has lasted too long.
struct owner : std::enable_shared_from_this<owner> {
    explicit owner(asio::io_context& io) : allowed(rpch::transport::strand(io.get_executor())) {}
    void lasts(bool it_does) {
        allowed.watch(it_does, limit, *this, [this] { ++expired; });
    }
    rpch::transport::state_limit allowed;
    int expired = 0;
};

struct world {
    asio::io_context io;
    std::shared_ptr<owner> one = std::make_shared<owner>(io);
    std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();

    /// Runs what is ready within a time.
    void run(std::chrono::milliseconds time) {
        io.restart();
        io.run_for(time);
    }
    /// Runs until the state has lasted too long, or for ten seconds.
    /// @return how long that took.
    std::chrono::steady_clock::duration run_until_expired() {
        const int before = one->expired;
        for (int i = 0; i < 2'000 && one->expired == before; ++i) run(5ms);
        return std::chrono::steady_clock::now() - begun;
    }
};

} // namespace

TEST_CASE("state limit: a state that lasts expires once") {
    world w;
    w.one->lasts(true);
    w.one->lasts(true);
    CHECK(w.run_until_expired() >= limit);
    w.run(2 * limit);
    CHECK(w.one->expired == 1);
}

TEST_CASE("state limit: one that ended does not expire, and its timer ends by itself") {
    world w;
    w.one->lasts(true);
    w.one->lasts(false);
    w.io.run(); // until nothing is set
    CHECK(w.one->expired == 0);
}

TEST_CASE("state limit: one that begins anew is measured anew, whatever timer is set") {
    world w;
    w.one->lasts(true);
    w.run(limit / 2);
    w.one->lasts(false);
    w.begun = std::chrono::steady_clock::now();
    w.one->lasts(true);
    CHECK(w.run_until_expired() >= limit);
    w.one->lasts(false); // as often as one likes
    w.begun = std::chrono::steady_clock::now();
    w.one->lasts(true);
    CHECK(w.run_until_expired() >= limit);
    CHECK(w.one->expired == 2);
}

TEST_CASE("state limit: one that is renewed lasts from then on") {
    world w;
    w.one->allowed.renew(); // of a state that is none nothing comes
    w.one->lasts(true);
    for (int i = 0; i < 4; ++i) {
        w.run(limit / 2);
        if (w.one->expired != 0) break; // the machine stood still for so long
        w.begun = std::chrono::steady_clock::now();
        w.one->allowed.renew();
    }
    if (w.one->expired == 0) w.run_until_expired();
    CHECK(w.one->expired == 1);
    CHECK(std::chrono::steady_clock::now() - w.begun >= limit);
}

TEST_CASE("state limit: a stopped one keeps no context at work, and may begin again") {
    world w;
    w.one->allowed.watch(true, 1h, *w.one, [&] { ++w.one->expired; });
    w.one->allowed.stop();
    w.io.run(); // does not take an hour
    CHECK(w.one->expired == 0);
    w.one->lasts(true);
    w.one->allowed.stop();
    w.one->lasts(true); // before the stopped timer has told
    w.begun = std::chrono::steady_clock::now();
    w.io.restart();
    w.run_until_expired();
    w.run(2 * limit);
    CHECK(w.one->expired == 1);
}

TEST_CASE("state limit: an owner that is gone hears of nothing") {
    world w;
    int expired = 0;
    w.one->allowed.watch(true, 1h, *w.one, [&] { ++expired; });
    w.one.reset();
    w.io.run();
    CHECK(expired == 0);
}
