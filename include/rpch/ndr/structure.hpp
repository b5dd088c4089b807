// Structures, [C706] 14.3.6 and 14.3.7.
#ifndef RPCH_NDR_STRUCTURE_HPP
#define RPCH_NDR_STRUCTURE_HPP

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <system_error>
#include <tuple>
#include <type_traits>

#include <rpch/ndr/codec.hpp>
#include <rpch/ndr/detail/aggregate.hpp>

namespace rpch::inline RPCH_ABI::ndr {

/// A class that is taken apart member by member: an aggregate of up to 24 members (no bases, no C
/// arrays), or any class that names its members in the order of the wire:
/// `static constexpr auto ndr_members = std::make_tuple(&T::a, &T::b);`
template <class T>
concept structure = std::is_class_v<T> &&(detail::names_members<T> || std::is_aggregate_v<T>);

namespace detail {
/// A structure whose members depend on each other judges itself after decoding and before encoding:
/// `std::error_code ndr_check() const noexcept`, as `[size_is]` and `[switch_is]` ask for.
template <class T>
concept checks_itself = requires(const T& v) {
    { v.ndr_check() } -> std::same_as<std::error_code>;
};

template <class T, class Members>
struct structure_codec;

template <class T, class... Ms>
struct structure_codec<T, type_list<Ms...>> {
    using last = std::tuple_element_t<sizeof...(Ms) - 1, std::tuple<Ms...>>;
    static constexpr bool conformant = codec<last>::conformant;
    static constexpr bool deferred = (codec<Ms>::deferred || ...) || checks_itself<T>;
    static constexpr std::size_t min_bytes = (codec<Ms>::min_bytes + ...);
    static_assert(
        (std::size_t{codec<Ms>::conformant} + ...) == std::size_t{conformant},
        "rpch::ndr: a conformant array or string can only be the last member of a structure "
        "([C706] 14.3.7.1); put it behind ndr::unique or ndr::ref, or give it a fixed bound.");

    static constexpr std::size_t alignment(transfer_syntax syntax) noexcept {
        return std::max({codec<Ms>::alignment(syntax)...});
    }

    static bool put_max_count(encoder& out, const T& value) requires conformant {
        return visit_members(value, [&](const Ms&... member) {
            return codec<last>::put_max_count(out,
                                              std::get<sizeof...(Ms) - 1>(std::tie(member...)));
        });
    }
    static bool put(encoder& out, const T& value) {
        const std::size_t own = alignment(out.syntax());
        out.align(own);
        const bool written = visit_members(
            value, [&](const Ms&... member) { return (codec<Ms>::put(out, member) && ...); });
        if (written) out.pad(own);
        return written;
    }
    static bool put_deferred(encoder& out, const T& value) requires deferred {
        if constexpr (checks_itself<T>) {
            if (const std::error_code why = value.ndr_check()) return out.fail(why);
        }
        return visit_members(
            value, [&](const Ms&... member) { return (put_deferred_of(out, member) && ...); });
    }

    static bool get_max_count(decoder& in, std::uint64_t& max_count) noexcept requires conformant {
        return codec<last>::get_max_count(in, max_count);
    }
    static bool get(decoder& in, T& value) requires(!conformant) {
        const std::size_t own = alignment(in.syntax());
        const bool read = in.align(own) && visit_members(value, [&](Ms&... member) {
                              return (codec<Ms>::get(in, member) && ...);
                          });
        if (read) in.skip_pad(own);
        return read;
    }
    static bool get(decoder& in, T& value, std::uint64_t max_count) requires conformant {
        const std::size_t own = alignment(in.syntax());
        const bool read = in.align(own) && visit_members(value, [&](Ms&... member) {
                              return (get_member(in, member, max_count) && ...);
                          });
        if (read) in.skip_pad(own);
        return read;
    }
    static bool get_deferred(decoder& in, T& value) requires deferred {
        const bool read = visit_members(
            value, [&](Ms&... member) { return (get_deferred_of(in, member) && ...); });
        if (!read) return false;
        if constexpr (checks_itself<T>) {
            if (const std::error_code why = value.ndr_check()) return in.fail(why);
        }
        return true;
    }

  private:
    template <class M>
    static bool get_member(decoder& in, M& member, std::uint64_t max_count) {
        if constexpr (codec<M>::conformant)
            return codec<M>::get(in, member, max_count);
        else
            return codec<M>::get(in, member);
    }
    template <class M>
    static bool put_deferred_of(encoder& out, const M& member) {
        if constexpr (codec<M>::deferred)
            return codec<M>::put_deferred(out, member);
        else
            return true;
    }
    template <class M>
    static bool get_deferred_of(decoder& in, M& member) {
        if constexpr (codec<M>::deferred)
            return codec<M>::get_deferred(in, member);
        else
            return true;
    }
};
} // namespace detail

/// A structure is aligned to its most aligned member, [C706] 14.2.2 and 14.3.6. Nothing is added
/// behind its last one in NDR 2.0; NDR64 fills it up to a multiple of its alignment.
template <structure T>
struct codec<T> : detail::structure_codec<T, detail::members_of<T>> {};

} // namespace rpch::inline RPCH_ABI::ndr

#endif
