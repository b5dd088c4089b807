// What the tests of NDR share: one value to octets and back, and the checks every decoder must
// pass.
#ifndef RPCH_TESTS_UNIT_NDR_NDR_SUPPORT_HPP
#define RPCH_TESTS_UNIT_NDR_NDR_SUPPORT_HPP

#include <string>
#include <string_view>

#include <rpch/ndr/ndr.hpp>

#include <doctest/doctest.h>

#include "tests/support/bytes.hpp"

namespace test {

using rpch::core::byte_order;

/// The octets of one parameter as hexadecimal text, or the message of the error.
template <class T>
std::string encoded(const T& value, byte_order order = byte_order::little) {
    bytes stub;
    rpch::ndr::encoder out(stub, order);
    static_cast<void>(rpch::ndr::put_whole(out, value));
    return out.error() ? out.error().message() : rpch::core::to_hex(stub);
}
template <class T>
std::error_code encode_error(const T& value) {
    bytes stub;
    rpch::ndr::encoder out(stub);
    static_cast<void>(rpch::ndr::put_whole(out, value));
    return out.error();
}

/// One parameter that takes up all of `stub`.
template <class T>
rpch::result<T> decoded(rpch::byte_view stub, byte_order order = byte_order::little) {
    rpch::ndr::decoder in(stub, order);
    T value{};
    static_cast<void>(rpch::ndr::get_whole(in, value));
    if (in.error()) return rpch::fail(in.error());
    if (in.remaining() != 0) return rpch::fail(rpch::errc::trailing_bytes);
    return value;
}
template <class T>
std::error_code decode_error(std::string_view text, byte_order order = byte_order::little) {
    const auto value = decoded<T>(hex(text), order);
    return value ? std::error_code{} : value.error();
}

/// Hexadecimal text without the blanks that make it readable.
inline std::string tight(std::string_view text) { return rpch::core::to_hex(hex(text)); }

/// `value` has exactly these two forms, and each of them cut short anywhere is refused as
/// truncated.
template <class T>
void both_ways(const T& value, std::string_view little, std::string_view big) {
    for (const auto order : {byte_order::little, byte_order::big}) {
        const auto text = order == byte_order::little ? little : big;
        CAPTURE(text);
        CHECK(encoded(value, order) == tight(text));
        const bytes stub = hex(text);
        const auto back = decoded<T>(stub, order);
        REQUIRE(back);
        CHECK(*back == value);
        for (std::size_t n = 0; n < stub.size(); ++n) {
            CAPTURE(n);
            const auto cut = decoded<T>(rpch::byte_view(stub).first(n), order);
            REQUIRE_FALSE(cut);
            CHECK(cut.error() == rpch::errc::truncated);
        }
    }
}

} // namespace test

#endif
