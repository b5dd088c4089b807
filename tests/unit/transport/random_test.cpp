#include <rpch/transport/random.hpp>

#include <algorithm>
#include <mutex>
#include <set>
#include <thread>

#include <doctest/doctest.h>

#include "tests/support/bytes.hpp"

using namespace rpch;

TEST_CASE("random: any length is filled, above one request of the generator too") {
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, std::size_t{1024}, std::size_t{5000}}) {
        test::bytes out(size);
        CHECK_FALSE(transport::random_bytes(out));
        if (size < 1000) continue;
        // The chance that a byte value is missing in the tail of 976 bytes is small, that 64 in a
        // row are equal is nothing.
        CHECK(std::ranges::search_n(out, 64, out.back()).empty());
    }
}

TEST_CASE("random: UUIDs have version 4 and do not repeat, in several threads") {
    std::mutex mutex;
    std::set<uuid> seen;
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&] {
                for (int i = 0; i < 500; ++i) {
                    const auto made = transport::random_uuid();
                    const std::scoped_lock lock(mutex);
                    if (made) seen.insert(*made);
                }
            });
    }
    CHECK(seen.size() == 2000);
    for (const auto& id : seen) {
        REQUIRE((id.octets()[6] & 0xf0) == 0x40);
        REQUIRE((id.octets()[8] & 0xc0) == 0x80);
    }
}
