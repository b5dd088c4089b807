// Operations of an interface as C++ types: from parameters to stub data and back.
#ifndef RPCH_NDR_OPERATION_HPP
#define RPCH_NDR_OPERATION_HPP

#include <cstddef>
#include <cstdint>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <variant>
#include <vector>

#include <rpch/ndr/array.hpp>
#include <rpch/ndr/codec.hpp>
#include <rpch/ndr/pointer.hpp>
#include <rpch/ndr/string.hpp>
#include <rpch/ndr/structure.hpp>
#include <rpch/ndr/types.hpp>
#include <rpch/ndr/union.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI {

namespace ndr::detail {
/// What an operation returns, as the list of its [out] parameters.
template <class R>
struct outs_of {
    using type = std::tuple<R>;
};
template <>
struct outs_of<void> {
    using type = std::tuple<>;
};
template <class... T>
struct outs_of<std::tuple<T...>> {
    using type = std::tuple<T...>;
};

/// A parameter. A reference pointer has no representation of its own here, [C706] 14.3.11.
template <class T>
[[nodiscard]] bool put_parameter(encoder& out, const T& value) {
    return put_whole(out, value);
}
template <class T>
[[nodiscard]] bool put_parameter(encoder& out, const ref<T>& value) {
    return put_parameter(out, value.value);
}
template <class T>
[[nodiscard]] bool get_parameter(decoder& in, T& value) {
    return get_whole(in, value);
}
template <class T>
[[nodiscard]] bool get_parameter(decoder& in, ref<T>& value) {
    return get_parameter(in, value.value);
}

template <class... T>
[[nodiscard]] std::error_code put_parameters(std::vector<std::byte>& stub, transfer_syntax syntax,
                                             const T&... values) {
    encoder out(stub, core::byte_order::little, syntax);
    static_cast<void>((put_parameter(out, values) && ...));
    return out.error();
}
template <class... T>
[[nodiscard]] std::error_code get_parameters(byte_view stub, core::byte_order order,
                                             transfer_syntax syntax, T&... values) {
    decoder in(stub, order, syntax);
    static_cast<void>((get_parameter(in, values) && ...));
    return finish(in);
}
} // namespace ndr::detail

template <std::uint16_t Opnum, class Signature>
class operation;

/// An operation: its number and signature. `Args` are the [in] parameters in order; R is void, the
/// one [out] parameter or return value, or a std::tuple of the [out] parameters in order with the
/// return value last. An [in, out] parameter stands in both.
///
///     using add_one = rpch::operation<0, std::uint32_t(std::uint32_t)>;
template <std::uint16_t Opnum, class R, class... Args>
class operation<Opnum, R(Args...)> {
  public:
    static_assert((!std::is_reference_v<Args> && ...) && !std::is_reference_v<R>,
                  "rpch::operation: parameters are values; say T, not T& or const T&");
    static_assert((!std::is_pointer_v<Args> && ...) && !std::is_pointer_v<R>,
                  "rpch::operation: say ndr::unique<T>, ndr::full<T> or ndr::ref<T> instead of T*");

    static constexpr std::uint16_t opnum = Opnum;
    using request = std::tuple<Args...>; ///< The [in] parameters.
    using result_type = R;               ///< What a caller gets.

    /// Encodes the stub data of a request, little-endian.
    /// @errors errc::ndr_range, ndr_bad_string, ndr_bad_union, ndr_bad_pointer, too_large: a
    /// parameter
    ///         breaks a rule of its own type.
    [[nodiscard]] static result<std::vector<std::byte>> encode_request(const Args&... args) {
        return encode_request(ndr::transfer_syntax::ndr20, args...);
    }
    /// The same in another transfer syntax than NDR 2.0.
    [[nodiscard]] static result<std::vector<std::byte>> encode_request(ndr::transfer_syntax syntax,
                                                                       const Args&... args) {
        std::vector<std::byte> stub;
        if (const auto why = ndr::detail::put_parameters(stub, syntax, args...)) return fail(why);
        return stub;
    }
    /// The same, appended to a vector that can be reused; after an error its new content is
    /// unspecified.
    [[nodiscard]] static std::error_code encode_request_to(std::vector<std::byte>& stub,
                                                           const Args&... args) {
        return ndr::detail::put_parameters(stub, ndr::transfer_syntax::ndr20, args...);
    }

    /// Decodes the stub data of a request, owning every parameter.
    /// @param stub   borrowed for the call; all of it must be used (see `ndr::finish`).
    /// @param order  the byte order of the PDU's data representation.
    /// @errors errc::truncated, trailing_bytes, too_large, ndr_*.
    [[nodiscard]] static result<request>
    decode_request(byte_view stub, core::byte_order order,
                   ndr::transfer_syntax syntax = ndr::transfer_syntax::ndr20) {
        return decode<request>(stub, order, syntax);
    }

    /// What a response carries as C++ value; a stand-in without content if R is void.
    using response_value = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

    /// Encodes the stub data of a response, little-endian.
    /// @errors as `encode_request`.
    [[nodiscard]] static result<std::vector<std::byte>>
    encode_response(const response_value& value = void_only(),
                    ndr::transfer_syntax syntax = ndr::transfer_syntax::ndr20) {
        std::vector<std::byte> stub;
        if (const auto why = encode_response_to(stub, value, syntax)) return fail(why);
        return stub;
    }
    /// The same, appended to a vector that can be reused; after an error its new content is
    /// unspecified.
    [[nodiscard]] static std::error_code
    encode_response_to(std::vector<std::byte>& stub, const response_value& value = void_only(),
                       ndr::transfer_syntax syntax = ndr::transfer_syntax::ndr20) {
        if constexpr (std::is_void_v<R>) {
            return {};
        } else if constexpr (std::is_same_v<R, outs>) {
            return std::apply(
                [&](const auto&... out) {
                    return ndr::detail::put_parameters(stub, syntax, out...);
                },
                value);
        } else {
            return ndr::detail::put_parameters(stub, syntax, value);
        }
    }

    /// Decodes the stub data of a response, owning what it returns.
    /// @errors as `decode_request`.
    [[nodiscard]] static result<R>
    decode_response(byte_view stub, core::byte_order order,
                    ndr::transfer_syntax syntax = ndr::transfer_syntax::ndr20) {
        auto values = decode<outs>(stub, order, syntax);
        if (!values) return fail(values.error());
        if constexpr (std::is_void_v<R>)
            return {};
        else if constexpr (std::is_same_v<R, outs>)
            return std::move(*values);
        else
            return std::get<0>(std::move(*values));
    }

  private:
    using outs = typename ndr::detail::outs_of<R>::type;

    template <class Tuple>
    [[nodiscard]] static result<Tuple> decode(byte_view stub, core::byte_order order,
                                              ndr::transfer_syntax syntax) {
        result<Tuple> values{tl::in_place};
        const auto why = std::apply(
            [&](auto&... value) {
                return ndr::detail::get_parameters(stub, order, syntax, value...);
            },
            *values);
        if (why) return fail(why);
        return values;
    }
    /// The default argument of responses without content; others must be given.
    static constexpr response_value void_only() noexcept {
        static_assert(std::is_void_v<R>, "rpch::operation: this response has a value");
        return {};
    }
};

} // namespace rpch::inline RPCH_ABI

#endif
