#include <chrono>

#include <doctest/doctest.h>

#include "tests/support/stack.hpp"

namespace {

// Sanitizers and builds without optimization take their time; what is shown stays the same.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    #define RPCH_TEST_REDUCED
#elif defined(__has_feature)
    #if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
        #define RPCH_TEST_REDUCED
    #endif
#endif
#if defined(RPCH_TEST_REDUCED)
constexpr std::size_t large_call_bytes = std::size_t{8} << 20;
#else
constexpr std::size_t large_call_bytes = std::size_t{64} << 20;
#endif

/// Sends `size` bytes there and back through windows of 8 KiB on every hop.
void echo_through_small_windows(std::uint16_t fragment, std::size_t size, bool tls) {
    CAPTURE(fragment);
    test::stack all({.tls = tls, .window = 8192, .fragment = fragment});
    test::caller caller(all, all.binding());
    REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
    const test::bytes sent = test::pattern(size);
    const auto start = std::chrono::steady_clock::now();
    const auto call = caller.call(test::probe::echo, sent);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    CHECK_MESSAGE(!call->why, call->why.to_string());
    CHECK(call->done == 1);
    CHECK((call->stub == sent)); // without printing either
    MESSAGE("fragments of ", fragment, " bytes: ", took.count(), " s for ", size >> 20,
            " MiB there and back");
}

} // namespace

TEST_CASE("A call with 64 MiB in and 64 MiB out passes through the tunnel, byte for byte, with "
          "8 KiB windows on every hop") {
    echo_through_small_windows(5840, large_call_bytes, false);
}

TEST_CASE("A large call passes through 8 KiB windows in the smallest fragments") {
    echo_through_small_windows(1432, large_call_bytes / 8, false);
}

TEST_CASE("A large call passes through 8 KiB windows in fragments that fill a whole window") {
    echo_through_small_windows(8192, large_call_bytes / 8, false);
}

TEST_CASE("A large call passes through 8 KiB windows and TLS") {
    echo_through_small_windows(5840, large_call_bytes / 8, true);
}

TEST_CASE("Large calls in both directions at once share one tunnel of 8 KiB windows") {
    test::stack all({.window = 8192});
    test::caller caller(all, all.binding());
    REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
    std::vector<test::bytes> sent;
    std::vector<std::shared_ptr<test::outcome>> calls;
    for (unsigned i = 0; i < 8; ++i) {
        sent.push_back(test::pattern(large_call_bytes / 64, i));
        calls.push_back(caller.begin(test::probe::echo, sent.back()));
    }
    for (unsigned i = 0; i < 8; ++i) {
        REQUIRE(all.run_until([&] { return calls[i]->done != 0; }));
        CHECK_FALSE(calls[i]->why);
        CHECK((calls[i]->stub == sent[i]));
    }
}
