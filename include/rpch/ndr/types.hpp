// Types that C++ has no word for: 32-bit enums, ranges, context handles; and UUIDs.
#ifndef RPCH_NDR_TYPES_HPP
#define RPCH_NDR_TYPES_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <rpch/core/uuid.hpp>
#include <rpch/ndr/codec.hpp>

namespace rpch::inline RPCH_ABI::ndr {

/// An enum with the [v1_enum] attribute: 32 bits on the wire, [MS-RPCE] 2.2.4.
template <class E>
struct enum32 {
    E value{};
    constexpr enum32() noexcept = default;
    constexpr enum32(E e) noexcept : value(e) {}            // NOLINT(google-explicit-constructor)
    constexpr operator E() const noexcept { return value; } // NOLINT(google-explicit-constructor)
};

/// A T from Lo to Hi, both included: the [range] attribute. Anything else is errc::ndr_range, on
/// both ways.
template <class T, auto Lo, auto Hi>
struct range {
    T value = static_cast<T>(Lo);
    constexpr range() noexcept = default;
    constexpr range(T v) noexcept : value(v) {}             // NOLINT(google-explicit-constructor)
    constexpr operator T() const noexcept { return value; } // NOLINT(google-explicit-constructor)
};

/// A context handle, [C706] appendix N and 14.3.12: 20 bytes; all zero is the null handle.
struct context_handle {
    std::uint32_t attributes = 0;
    uuid id{};
    [[nodiscard]] constexpr bool is_null() const noexcept { return *this == context_handle{}; }
    constexpr bool operator==(const context_handle&) const noexcept = default;
};

template <class E>
struct codec<enum32<E>> : detail::enum_codec<E, std::uint32_t> {
    using base = detail::enum_codec<E, std::uint32_t>;
    static bool put(encoder& out, enum32<E> value) { return base::put(out, value.value); }
    static bool get(decoder& in, enum32<E>& value) noexcept { return base::get(in, value.value); }
};

template <class T, auto Lo, auto Hi>
struct codec<range<T, Lo, Hi>> : codec<T> {
    static_assert(static_cast<T>(Lo) <= static_cast<T>(Hi));
    static constexpr bool holds(T value) noexcept {
        return static_cast<T>(Lo) <= value && value <= static_cast<T>(Hi);
    }
    static bool put(encoder& out, range<T, Lo, Hi> value) {
        return holds(value.value) ? codec<T>::put(out, value.value) : out.fail(errc::ndr_range);
    }
    static bool get(decoder& in, range<T, Lo, Hi>& value) noexcept {
        return codec<T>::get(in, value.value) && (holds(value.value) || in.fail(errc::ndr_range));
    }
};

/// [C706] appendix A: a structure of a long, two shorts and eight octets.
template <>
struct codec<uuid> {
    static constexpr std::size_t alignment(transfer_syntax) noexcept { return 4; }
    static constexpr std::size_t min_bytes = 16;
    static constexpr bool deferred = false;
    static constexpr bool conformant = false;
    static bool put(encoder& out, const uuid& value) {
        std::array<std::byte, 16> wire{};
        value.encode(wire, out.order());
        out.align(4);
        out.put_bytes(wire);
        return true;
    }
    static bool get(decoder& in, uuid& value) noexcept {
        if (!in.align(4)) return false;
        const auto wire = in.get_bytes(16);
        if (!wire) return false;
        value = uuid::decode(wire->first<16>(), in.order());
        return true;
    }
};

/// An interface identifier as mgmt and the endpoint mapper carry it (rpc_if_id_t, [C706] appendix
/// N): UUID and two 16-bit versions.
template <>
struct codec<interface_id> : codec<uuid> {
    static constexpr std::size_t min_bytes = 20;
    static bool put(encoder& out, const interface_id& value) {
        return codec<uuid>::put(out, value.id) && codec<std::uint16_t>::put(out, value.major) &&
               codec<std::uint16_t>::put(out, value.minor);
    }
    static bool get(decoder& in, interface_id& value) noexcept {
        return codec<uuid>::get(in, value.id) && codec<std::uint16_t>::get(in, value.major) &&
               codec<std::uint16_t>::get(in, value.minor);
    }
};

template <>
struct codec<context_handle> : codec<uuid> {
    static constexpr std::size_t min_bytes = 20;
    static bool put(encoder& out, const context_handle& value) {
        return codec<std::uint32_t>::put(out, value.attributes) && codec<uuid>::put(out, value.id);
    }
    static bool get(decoder& in, context_handle& value) noexcept {
        return codec<std::uint32_t>::get(in, value.attributes) && codec<uuid>::get(in, value.id);
    }
};

} // namespace rpch::inline RPCH_ABI::ndr

#endif
