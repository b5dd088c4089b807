// How C++ types become NDR: the codec template, and the base types of [C706] 14.2.
#ifndef RPCH_NDR_CODEC_HPP
#define RPCH_NDR_CODEC_HPP

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include <rpch/ndr/decoder.hpp>
#include <rpch/ndr/encoder.hpp>

namespace rpch::inline RPCH_ABI::ndr {

namespace detail {
template <class T>
inline constexpr bool never = false;

template <std::size_t Bytes>
struct unsigned_of;
template <>
struct unsigned_of<1> {
    using type = std::uint8_t;
};
template <>
struct unsigned_of<2> {
    using type = std::uint16_t;
};
template <>
struct unsigned_of<4> {
    using type = std::uint32_t;
};
template <>
struct unsigned_of<8> {
    using type = std::uint64_t;
};
/// The unsigned integer as wide as T.
template <class T>
using unsigned_as = typename unsigned_of<sizeof(T)>::type;
} // namespace detail

/// The representation of T; specialised for every type that has one. A specialisation has
///  - `alignment(syntax)`: what a structure that contains T is aligned to, [C706] 14.2.2;
///  - `min_bytes`: a lower bound of T's size on the wire, above 0, in every syntax;
///  - `deferred`: true if pointees follow the outermost construction, [C706] 14.3.12.3;
///  - `conformant`: true if a maximum count precedes the outermost structure, [C706] 14.3.7.1;
///  - `put`, `get`: T without its deferred pointees and its maximum count;
///  - `put_deferred`, `get_deferred` if `deferred`: what its pointers point to;
///  - `put_max_count`, `get_max_count` if `conformant`; `get` then takes the count as third
///  argument.
/// `get` may assume a freshly made object. Every function answers false when the cursor has an
/// error.
template <class T>
struct codec {
    static_assert(
        detail::never<T>,
        "rpch::ndr: this type has no NDR representation. Use fixed-width integers, float, "
        "double, bool, char, char16_t, enums with an explicit underlying type, std::array, "
        "std::vector, std::string, std::u16string, the types of rpch::ndr, or an aggregate "
        "of these; no raw pointers, wchar_t, long double or C arrays.");
    // The rest only keeps the compiler from saying more than the sentence above.
    static constexpr std::size_t alignment(transfer_syntax) noexcept { return 1; }
    static constexpr std::size_t min_bytes = 1;
    static constexpr bool deferred = false;
    static constexpr bool conformant = false;
    static bool put(encoder&, const T&) { return false; }
    static bool get(decoder&, T&) { return false; }
};

/// Integers of 8 to 64 bits, `char` ([C706] 14.2.3, ASCII only), `char16_t` ([MS-RPCE] 2.2.4, wide
/// characters), IEEE `float` and `double`, and `std::byte`.
template <class T>
concept base_type = (std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, wchar_t> &&
                     !std::same_as<T, char32_t> && sizeof(T) <= 8) ||
                    std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, std::byte>;
static_assert(std::numeric_limits<double>::is_iec559 && std::numeric_limits<float>::is_iec559);

template <base_type T>
struct codec<T> {
    using wire = detail::unsigned_as<T>;
    static constexpr std::size_t alignment(transfer_syntax) noexcept { return sizeof(T); }
    static constexpr std::size_t min_bytes = sizeof(T);
    static constexpr bool deferred = false;
    static constexpr bool conformant = false;
    static bool put(encoder& out, T value) {
        out.put(std::bit_cast<wire>(value));
        return true;
    }
    static bool get(decoder& in, T& value) noexcept {
        wire bits = 0;
        if (!in.get(bits)) return false;
        value = std::bit_cast<T>(bits);
        return true;
    }
};

/// boolean, [C706] 14.2.4: one octet, 0 is false, all others are true.
template <>
struct codec<bool> {
    static constexpr std::size_t alignment(transfer_syntax) noexcept { return 1; }
    static constexpr std::size_t min_bytes = 1;
    static constexpr bool deferred = false;
    static constexpr bool conformant = false;
    static bool put(encoder& out, bool value) {
        out.put(static_cast<std::uint8_t>(value));
        return true;
    }
    static bool get(decoder& in, bool& value) noexcept {
        std::uint8_t octet = 0;
        if (!in.get(octet)) return false;
        value = octet != 0;
        return true;
    }
};

namespace detail {
/// An enum that can hold every value of its underlying type, so that a foreign number is no
/// undefined behaviour.
template <class E>
concept fixed_enum = std::is_enum_v<E> && requires {
    E{std::underlying_type_t<E>{}};
};

/// Carries an enum as Wire, which its value must fit into.
template <class E, class Wire>
struct enum_codec {
    static_assert(fixed_enum<E>, "rpch::ndr: give the enum an explicit underlying type");
    using underlying = std::underlying_type_t<E>;
    static constexpr std::size_t alignment(transfer_syntax) noexcept { return sizeof(Wire); }
    static constexpr std::size_t min_bytes = sizeof(Wire);
    static constexpr bool deferred = false;
    static constexpr bool conformant = false;
    static bool put(encoder& out, E value) {
        const auto number = static_cast<underlying>(value);
        if (!std::in_range<Wire>(number)) return out.fail(errc::ndr_range);
        out.put(static_cast<Wire>(number));
        return true;
    }
    static bool get(decoder& in, E& value) noexcept {
        Wire number = 0;
        if (!in.get(number)) return false;
        if (!std::in_range<underlying>(number)) return in.fail(errc::ndr_range);
        value = static_cast<E>(number);
        return true;
    }
};
} // namespace detail

/// Enumerated types take 16 bits, [C706] 14.2.6, in NDR64 32; `enum32` is the [v1_enum] of
/// [MS-RPCE] 2.2.4, of 32 bits in both. Values that have no enumerator are kept: peers send them,
/// and only the service knows whether it minds.
template <class E>
requires(std::is_enum_v<E> && !std::same_as<E, std::byte>) struct codec<E>
    : detail::enum_codec<E, std::uint16_t> {
    using narrow = detail::enum_codec<E, std::uint16_t>;
    using wide = detail::enum_codec<E, std::uint32_t>;
    static constexpr std::size_t alignment(transfer_syntax syntax) noexcept {
        return enum_bytes(syntax);
    }
    static bool put(encoder& out, E value) {
        return out.syntax() == transfer_syntax::ndr64 ? wide::put(out, value)
                                                      : narrow::put(out, value);
    }
    static bool get(decoder& in, E& value) noexcept {
        return in.syntax() == transfer_syntax::ndr64 ? wide::get(in, value)
                                                     : narrow::get(in, value);
    }
};

/// Writes a top-level parameter or a pointee: its maximum count if it has one, itself, its
/// pointees.
template <class T>
[[nodiscard]] bool put_whole(encoder& out, const T& value) {
    if constexpr (codec<T>::conformant) {
        if (!codec<T>::put_max_count(out, value)) return false;
    }
    if (!codec<T>::put(out, value)) return false;
    if constexpr (codec<T>::deferred)
        return codec<T>::put_deferred(out, value);
    else
        return true;
}

/// Reads a top-level parameter or a pointee into a freshly made object.
template <class T>
[[nodiscard]] bool get_whole(decoder& in, T& value) {
    if constexpr (codec<T>::conformant) {
        std::uint64_t max_count = 0;
        if (!codec<T>::get_max_count(in, max_count)) return false;
        if (!codec<T>::get(in, value, max_count)) return false;
    } else {
        if (!codec<T>::get(in, value)) return false;
    }
    if constexpr (codec<T>::deferred)
        return codec<T>::get_deferred(in, value);
    else
        return true;
}

} // namespace rpch::inline RPCH_ABI::ndr

#endif
