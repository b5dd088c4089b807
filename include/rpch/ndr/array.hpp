// Arrays, [C706] 14.3.3: fixed, conformant, varying, conformant and varying.
#ifndef RPCH_NDR_ARRAY_HPP
#define RPCH_NDR_ARRAY_HPP

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include <rpch/ndr/codec.hpp>

namespace rpch::inline RPCH_ABI::ndr {

/// A conformant array that refuses more than Max elements. `std::vector<T>` is the same with
/// limits::ndr_elements_max. Wire: maximum count, elements; [C706] 14.3.3.2.
template <class T, std::size_t Max>
struct conformant {
    std::vector<T> items;
    bool operator==(const conformant&) const = default;
};

/// A varying array: some of at most Max elements, the first of them with index `offset`. Wire:
/// offset, actual count, elements; [C706] 14.3.3.3.
template <class T, std::size_t Max>
struct varying {
    std::vector<T> items;
    std::uint32_t offset = 0;
    bool operator==(const varying&) const = default;
};

/// A conformant and varying array. Wire: maximum count, offset, actual count, elements;
/// [C706] 14.3.3.4.
template <class T, std::size_t Max = limits::ndr_elements_max>
struct conformant_varying {
    /// The largest `max_count`.
    static constexpr std::size_t capacity = Max;

    std::vector<T> items;
    std::uint32_t offset = 0;
    /// What `[size_is]` says; encoded as at least offset + items.size(), so 0 means "as many as
    /// there are". At most Max.
    std::uint32_t max_count = 0;
    bool operator==(const conformant_varying&) const = default;
};

namespace detail {

/// Elements whose wire form is their memory, but for the byte order.
template <class T>
concept plain_element = base_type<T>;

template <class T>
[[nodiscard]] bool host_order(core::byte_order order) noexcept {
    constexpr auto host = std::endian::native == std::endian::little ? core::byte_order::little
                                                                     : core::byte_order::big;
    return sizeof(T) == 1 || order == host;
}

/// Writes elements one behind the other, without counts.
template <class T>
[[nodiscard]] bool put_elements(encoder& out, std::span<const T> items) {
    static_assert(!codec<T>::conformant,
                  "rpch::ndr: elements of an array cannot have a size of their own");
    if constexpr (plain_element<T>) {
        if (items.empty()) return true;
        if (host_order<T>(out.order())) {
            out.align(sizeof(T));
            out.put_bytes(std::as_bytes(items));
            return true;
        }
    }
    return std::all_of(items.begin(), items.end(),
                       [&](const T& item) { return codec<T>::put(out, item); });
}

/// Reads elements that already exist.
template <class T>
[[nodiscard]] bool get_elements(decoder& in, std::span<T> items) {
    static_assert(!codec<T>::conformant,
                  "rpch::ndr: elements of an array cannot have a size of their own");
    if constexpr (plain_element<T>) {
        if (items.empty()) return true;
        if (host_order<T>(in.order())) {
            if (!in.align(sizeof(T))) return false;
            const auto bytes = in.get_bytes(items.size_bytes());
            if (bytes) std::memcpy(items.data(), bytes->data(), bytes->size());
            return bytes.has_value();
        }
    }
    return std::all_of(items.begin(), items.end(),
                       [&](T& item) { return codec<T>::get(in, item); });
}

template <class T>
[[nodiscard]] bool put_elements_deferred(encoder& out, std::span<const T> items) {
    return std::all_of(items.begin(), items.end(),
                       [&](const T& item) { return codec<T>::put_deferred(out, item); });
}
template <class T>
[[nodiscard]] bool get_elements_deferred(decoder& in, std::span<T> items) {
    return std::all_of(items.begin(), items.end(),
                       [&](T& item) { return codec<T>::get_deferred(in, item); });
}

/// Reads `count` elements into an empty vector. The count is judged before memory is taken: by the
/// bytes that are left, and by the decoder's allowance.
/// @errors errc::truncated, errc::too_large.
template <class T>
[[nodiscard]] bool get_vector(decoder& in, std::vector<T>& items, std::uint64_t count) {
    if (count > in.remaining() / codec<T>::min_bytes) return in.fail(errc::truncated);
    if (!in.charge(count * sizeof(T))) return false;
    const auto n = static_cast<std::size_t>(count);
    if constexpr (plain_element<T> && sizeof(T) == 1) {
        const auto bytes = in.get_bytes(n);
        if (!bytes) return false;
        const T* const first = reinterpret_cast<const T*>(bytes->data());
        items.assign(first, first + n);
        return true;
    } else {
        items.resize(n);
        return get_elements<T>(in, items);
    }
}

/// Offset and actual count of a varying array.
[[nodiscard]] inline bool put_variance(encoder& out, std::uint64_t offset, std::uint64_t count) {
    return out.put_count(offset) && out.put_count(count);
}
/// @errors errc::ndr_bad_array if they reach beyond `bound` elements.
[[nodiscard]] inline bool get_variance(decoder& in, std::uint64_t bound, std::uint64_t& offset,
                                       std::uint64_t& count) noexcept {
    if (!in.get_count(offset) || !in.get_count(count)) return false;
    if (offset > bound || count > bound - offset) return in.fail(errc::ndr_bad_array);
    return true;
}

/// What all arrays have in common.
template <class T>
struct array_codec {
    static constexpr bool deferred = codec<T>::deferred;
    static constexpr std::size_t alignment(transfer_syntax syntax) noexcept {
        return codec<T>::alignment(syntax);
    }
};

/// What arrays with offset and actual count have in common.
template <class T>
struct varying_codec {
    static constexpr bool deferred = codec<T>::deferred;
    static constexpr std::size_t min_bytes = 8;
    static constexpr std::size_t alignment(transfer_syntax syntax) noexcept {
        return std::max(count_bytes(syntax), codec<T>::alignment(syntax));
    }
};

/// The maximum count of a conformant array, as it stands before the outermost structure.
template <std::size_t Max>
[[nodiscard]] bool put_max(encoder& out, std::uint64_t count) {
    if (count > Max) return out.fail(errc::too_large);
    return out.put_count(count);
}
/// @errors errc::too_large above Max.
template <std::size_t Max>
[[nodiscard]] bool get_max(decoder& in, std::uint64_t& count) noexcept {
    if (!in.get_count(count)) return false;
    return count <= Max || in.fail(errc::too_large);
}

/// The one codec of std::vector and conformant: Items finds the elements.
template <class T, class Element, std::size_t Max, class Items>
struct conformant_codec : array_codec<Element> {
    static constexpr bool conformant = true;
    /// The maximum count is always there, the elements need not be.
    static constexpr std::size_t min_bytes = 4;

    static bool put_max_count(encoder& out, const T& value) {
        return put_max<Max>(out, Items::of(value).size());
    }
    static bool put(encoder& out, const T& value) {
        return put_elements<Element>(out, Items::of(value));
    }
    static bool put_deferred(encoder& out, const T& value) requires codec<Element>::deferred {
        return put_elements_deferred<Element>(out, Items::of(value));
    }
    static bool get_max_count(decoder& in, std::uint64_t& count) noexcept {
        return get_max<Max>(in, count);
    }
    static bool get(decoder& in, T& value, std::uint64_t count) {
        return get_vector(in, Items::of(value), count);
    }
    static bool get_deferred(decoder& in, T& value) requires codec<Element>::deferred {
        return get_elements_deferred<Element>(in, Items::of(value));
    }
};

struct is_items {
    template <class V>
    static constexpr V& of(V& value) noexcept {
        return value;
    }
};
struct has_items {
    template <class V>
    static constexpr auto& of(V& value) noexcept {
        return value.items;
    }
};
} // namespace detail

/// A fixed array, [C706] 14.3.3.1.
template <class T, std::size_t N>
struct codec<std::array<T, N>> : detail::array_codec<T> {
    static_assert(N > 0, "rpch::ndr: an empty array has no NDR representation");
    static constexpr bool conformant = false;
    static constexpr std::size_t min_bytes = N * codec<T>::min_bytes;
    static bool put(encoder& out, const std::array<T, N>& value) {
        return detail::put_elements<T>(out, value);
    }
    static bool put_deferred(encoder& out,
                             const std::array<T, N>& value) requires codec<T>::deferred {
        return detail::put_elements_deferred<T>(out, value);
    }
    static bool get(decoder& in, std::array<T, N>& value) {
        return detail::get_elements<T>(in, value);
    }
    static bool get_deferred(decoder& in, std::array<T, N>& value) requires codec<T>::deferred {
        return detail::get_elements_deferred<T>(in, value);
    }
};

template <class T>
struct codec<std::vector<T>>
    : detail::conformant_codec<std::vector<T>, T, limits::ndr_elements_max, detail::is_items> {
    static_assert(!std::same_as<T, bool>,
                  "rpch::ndr: std::vector<bool> holds no bool; use std::uint8_t");
};

template <class T, std::size_t Max>
struct codec<conformant<T, Max>>
    : detail::conformant_codec<conformant<T, Max>, T, Max, detail::has_items> {};

template <class T, std::size_t Max>
struct codec<varying<T, Max>> : detail::varying_codec<T> {
    static constexpr bool conformant = false;
    static bool put(encoder& out, const varying<T, Max>& value) {
        if (std::uint64_t{value.offset} + value.items.size() > Max)
            return out.fail(errc::too_large);
        return detail::put_variance(out, value.offset, value.items.size()) &&
               detail::put_elements<T>(out, value.items);
    }
    static bool put_deferred(encoder& out,
                             const varying<T, Max>& value) requires codec<T>::deferred {
        return detail::put_elements_deferred<T>(out, value.items);
    }
    static bool get(decoder& in, varying<T, Max>& value) {
        std::uint64_t offset = 0;
        std::uint64_t count = 0;
        if (!detail::get_variance(in, Max, offset, count)) return false;
        value.offset = static_cast<std::uint32_t>(offset);
        return detail::get_vector(in, value.items, count);
    }
    static bool get_deferred(decoder& in, varying<T, Max>& value) requires codec<T>::deferred {
        return detail::get_elements_deferred<T>(in, value.items);
    }
};

template <class T, std::size_t Max>
struct codec<conformant_varying<T, Max>> : detail::varying_codec<T> {
    static_assert(Max <= 0xFFFF'FFFF);
    using array = conformant_varying<T, Max>;
    static constexpr bool conformant = true;
    static constexpr std::size_t min_bytes = 12;

    static bool put_max_count(encoder& out, const array& value) {
        const std::uint64_t used = std::uint64_t{value.offset} + value.items.size();
        return detail::put_max<Max>(out, std::max(used, std::uint64_t{value.max_count}));
    }
    static bool put(encoder& out, const array& value) {
        return detail::put_variance(out, value.offset, value.items.size()) &&
               detail::put_elements<T>(out, value.items);
    }
    static bool put_deferred(encoder& out, const array& value) requires codec<T>::deferred {
        return detail::put_elements_deferred<T>(out, value.items);
    }
    static bool get_max_count(decoder& in, std::uint64_t& count) noexcept {
        return detail::get_max<Max>(in, count);
    }
    static bool get(decoder& in, array& value, std::uint64_t max_count) {
        std::uint64_t offset = 0;
        std::uint64_t count = 0;
        if (!detail::get_variance(in, max_count, offset, count)) return false;
        value.offset = static_cast<std::uint32_t>(offset);
        value.max_count = static_cast<std::uint32_t>(max_count);
        return detail::get_vector(in, value.items, count);
    }
    static bool get_deferred(decoder& in, array& value) requires codec<T>::deferred {
        return detail::get_elements_deferred<T>(in, value.items);
    }
};

} // namespace rpch::inline RPCH_ABI::ndr

#endif
