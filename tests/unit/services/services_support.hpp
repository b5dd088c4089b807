// Calls a service with the octets of a request, as a server does.
#ifndef RPCH_TESTS_UNIT_SERVICES_SERVICES_SUPPORT_HPP
#define RPCH_TESTS_UNIT_SERVICES_SERVICES_SUPPORT_HPP

#include <string>
#include <string_view>
#include <tuple>

#include <rpch/error.hpp>
#include <rpch/ndr/operation.hpp>

#include <doctest/doctest.h>

#include "tests/support/bytes.hpp"

namespace test {

/// Hexadecimal text without the blanks that make it readable.
inline std::string tight(std::string_view text) { return rpch::core::to_hex(hex(text)); }

/// Decodes a request, has `serve` answer its parameters, encodes the response.
template <class Operation, class Serve>
rpch::result<bytes> answered(const Serve& serve, std::string_view request,
                             rpch::core::byte_order order = rpch::core::byte_order::little) {
    auto parameters = Operation::decode_request(hex(request), order);
    if (!parameters) return rpch::fail(parameters.error());
    auto value = std::apply([&](auto&... each) { return serve(std::move(each)...); }, *parameters);
    if (!value) return rpch::fail(value.error());
    if constexpr (std::is_void_v<typename Operation::result_type>)
        return Operation::encode_response();
    else
        return Operation::encode_response(*value);
}

/// @return the response in hexadecimal, or the message of the error.
template <class Operation, class Serve>
std::string call(const Serve& serve, std::string_view request,
                 rpch::core::byte_order order = rpch::core::byte_order::little) {
    const auto response = answered<Operation>(serve, request, order);
    return response ? rpch::core::to_hex(*response) : response.error().message();
}

/// @return the error of a call, or none.
template <class Operation, class Serve>
std::error_code fault_of(const Serve& serve, std::string_view request) {
    const auto response = answered<Operation>(serve, request);
    return response ? std::error_code{} : response.error();
}

} // namespace test

#endif
