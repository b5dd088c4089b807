#include <rpch/server/handlers.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include <asio/io_context.hpp>

#include <rpch/ndr/types.hpp>

namespace {

/// Counts what a connection would be told.
struct counting_sink final : rpch::call_sink {
    void respond(std::uint32_t, std::vector<std::byte>) override { ++answers; }
    void fault(std::uint32_t, rpch::rpc_status) override { ++answers; }
    std::atomic<int> answers{0};
};

/// Keeps what a connection would send.
struct keeping_sink final : rpch::call_sink {
    void respond(std::uint32_t, std::vector<std::byte> stub) override {
        stubs.push_back(std::move(stub));
    }
    void fault(std::uint32_t, rpch::rpc_status status) override { faults.push_back(status); }
    std::vector<std::vector<std::byte>> stubs;
    std::vector<rpch::rpc_status> faults;
};

using add_one = rpch::operation<0, std::uint32_t(std::uint32_t)>;
using forget = rpch::operation<1, void()>;
using say = rpch::operation<2, rpch::ndr::range<std::uint32_t, 0, 5>()>;

/// Calls a handler as a server does.
template <class Operation, class Function, class... Args>
void run(const std::shared_ptr<keeping_sink>& sink, Function function, const Args&... args) {
    asio::io_context io;
    rpch::call_context call(nullptr, 7, Operation::opnum, std::nullopt, io.get_executor());
    rpch::make_handler<Operation>(std::move(function))(
        call, Operation::encode_request(args...).value(), rpch::core::byte_order::little,
        rpch::responder(sink, 7));
}

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

TEST_CASE("handler: the body of a generic lambda sees the parameters of its call and no others") {
    const auto sink = std::make_shared<keeping_sink>();
    run<add_one>(
        sink,
        // Neither body compiles with another parameter: a reply in the place of n, n in that of
        // call.
        [](auto&& call, auto&& n) { return call.opnum() + n + 1; }, std::uint32_t{41});
    run<add_one>(
        sink, [](auto&& n) { return n + 1; }, std::uint32_t{41});
    REQUIRE(sink->faults.empty());
    CHECK(sink->stubs.size() == 2);
}

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

TEST_CASE("callback: answers later, once, and in the call's transfer syntax") {
    const auto sink = std::make_shared<keeping_sink>();
    std::vector<rpch::reply<add_one>> waiting;
    run<add_one>(
        sink,
        [&](rpch::call_context& call, std::uint32_t n, rpch::reply<add_one> answer) {
            CHECK(call.call_id() == 7);
            CHECK(n == 41);
            waiting.push_back(std::move(answer));
        },
        std::uint32_t{41});
    CHECK(sink->stubs.empty());
    CHECK(sink->faults.empty());
    const auto copy = waiting.front();
    waiting.clear(); // a copy is left, so nobody has given up
    CHECK(sink->faults.empty());
    copy(42);
    copy(43);
    copy.fault(rpch::rpc_status::access_denied);
    REQUIRE(sink->stubs.size() == 1);
    CHECK(sink->stubs.front() == add_one::encode_response(42).value());
    CHECK(sink->faults.empty());
}

TEST_CASE("callback: without context, without parameters, without result") {
    const auto sink = std::make_shared<keeping_sink>();
    run<forget>(sink, [](const rpch::reply<forget>& answer) { answer(); });
    REQUIRE(sink->stubs.size() == 1);
    CHECK(sink->stubs.front().empty());
}

TEST_CASE("callback: one that is dropped, throws or answers with nonsense becomes a fault, once") {
    using rpch::rpc_status;
    const auto sink = std::make_shared<keeping_sink>();
    run<forget>(sink, [](const rpch::reply<forget>&) {});
    run<forget>(
        sink, [](const rpch::reply<forget>&) { throw rpch::rpc_fault(rpc_status::access_denied); });
    run<forget>(sink, [](const rpch::reply<forget>&) { throw std::runtime_error("mine"); });
    run<say>(sink, [](const rpch::reply<say>& answer) { answer(6); });
    CHECK(sink->faults == std::vector{rpc_status::nca_fault_unspec, rpc_status::access_denied,
                                      rpc_status::nca_fault_unspec, rpc_status::nca_fault_unspec});
    CHECK(sink->stubs.empty());
    run<forget>(sink, [](const rpch::reply<forget>& answer) {
        answer();
        throw std::runtime_error("after the answer");
    });
    CHECK(sink->stubs.size() == 1);
    CHECK(sink->faults.size() == 4);
}

TEST_CASE("callback: a stub that does not decode never reaches it") {
    const auto sink = std::make_shared<keeping_sink>();
    asio::io_context io;
    rpch::call_context call(nullptr, 7, 0, std::nullopt, io.get_executor());
    rpch::make_handler<add_one>([](std::uint32_t, const rpch::reply<add_one>&) { FAIL("called"); })(
        call, {}, rpch::core::byte_order::little, rpch::responder(sink, 7));
    CHECK(sink->faults == std::vector{rpch::rpc_status::nca_fault_ndr});
}
