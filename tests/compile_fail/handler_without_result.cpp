// expect: a handler returns what its operation does
#include <cstdint>

#include <rpch/server/handlers.hpp>

using add_one = rpch::operation<0, std::uint32_t(std::uint32_t)>;

rpch::raw_handler handler() {
#if defined(RPCH_CONTROL)
    return rpch::make_handler<add_one>([](std::uint32_t n) { return n + 1; });
#else
    return rpch::make_handler<add_one>([](std::uint32_t) {}); // would answer 0
#endif
}
