#include <rpch/server/handlers.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

namespace {

/// Counts what a connection would be told.
struct counting_sink final : rpch::call_sink {
    void respond(std::uint32_t, std::vector<std::byte>) override { ++answers; }
    void fault(std::uint32_t, rpch::rpc_status) override { ++answers; }
    std::atomic<int> answers{0};
};

/// Runs both at the same time, as far as the machine can, `rounds` times.
template <class Here, class There>
void at_once(int rounds, Here here, There there) {
    std::atomic<int> begun{0};
    std::atomic<int> ended{0};
    std::thread other([&] {
        for (int i = 0; i < rounds; ++i) {
            while (begun.load() <= i) {
            }
            there(i);
            ended.store(i + 1);
        }
    });
    for (int i = 0; i < rounds; ++i) {
        begun.store(i + 1);
        here(i);
        while (ended.load() <= i) {
        }
    }
    other.join();
}

} // namespace

TEST_CASE("responder: of a worker that answers and a cancel at the same time one is heard") {
    constexpr int rounds = 20'000;
    const auto sink = std::make_shared<counting_sink>();
    std::vector<rpch::responder> answers;
    answers.reserve(rounds);
    for (std::uint32_t i = 0; i < rounds; ++i) answers.emplace_back(sink, i);
    at_once(
        rounds,
        [&](int i) {
            answers[static_cast<std::size_t>(i)].fault(rpch::rpc_status::nca_fault_cancel);
        },
        [&](int i) { answers[static_cast<std::size_t>(i)].respond({}); });
    CHECK(sink->answers == rounds);
}

TEST_CASE("responder: one that a worker drops while its connection goes answers once, or nobody") {
    constexpr int rounds = 2'000;
    std::vector<std::shared_ptr<counting_sink>> sinks;
    std::vector<std::weak_ptr<counting_sink>> seen;
    std::vector<std::optional<rpch::responder>> answers;
    for (std::uint32_t i = 0; i < rounds; ++i) {
        sinks.push_back(std::make_shared<counting_sink>());
        seen.push_back(sinks.back());
        answers.emplace_back(std::in_place, sinks.back(), i);
    }
    at_once(
        rounds, [&](int i) { sinks[static_cast<std::size_t>(i)].reset(); },
        [&](int i) { answers[static_cast<std::size_t>(i)].reset(); });
    for (const auto& each : seen) CHECK(each.expired());
}

TEST_CASE("responder: one that was moved from is silent, and the other answers once") {
    const auto sink = std::make_shared<counting_sink>();
    {
        rpch::responder first(sink, 1);
        rpch::responder second(std::move(first));
        CHECK(sink->answers == 0);
    }
    CHECK(sink->answers == 1); // dropped unanswered
}
