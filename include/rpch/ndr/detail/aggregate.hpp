// The members of a structure: named by the type itself, or found by taking an aggregate apart.
#ifndef RPCH_NDR_DETAIL_AGGREGATE_HPP
#define RPCH_NDR_DETAIL_AGGREGATE_HPP

#include <concepts>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include <rpch/config.hpp>

namespace rpch::inline RPCH_ABI::ndr::detail {

/// Converts to whatever a member wants, so that members can be counted without knowing them.
struct anything {
    template <class T>
    constexpr operator T() const noexcept; // NOLINT(google-explicit-constructor): never defined
};

template <std::size_t>
using anything_at = anything;

template <class T, class Indices>
inline constexpr bool braces_take = false;
template <class T, std::size_t... I>
inline constexpr bool braces_take<T, std::index_sequence<I...>> = requires {
    T{anything_at<I>{}...};
};

/// The largest structure that is taken apart without `ndr_members`.
inline constexpr std::size_t members_max = 24;

/// @return how many members an aggregate has; members_max + 1 stands for more.
template <class T, std::size_t N = members_max + 1>
consteval std::size_t member_count() noexcept {
    if constexpr (N == 0)
        return 0;
    else if constexpr (braces_take<T, std::make_index_sequence<N>>)
        return N;
    else
        return member_count<T, N - 1>();
}

template <class T>
concept names_members = requires {
    std::tuple_size<std::remove_cvref_t<decltype(T::ndr_members)>>{};
};

// Structured bindings cannot be counted by a template in C++20, hence one line a count.
// clang-format off
template <class T, class F>
constexpr decltype(auto) visit_aggregate(T& v, F&& f) {
    constexpr std::size_t n = member_count<std::remove_const_t<T>>();
    static_assert(n != 0, "rpch::ndr: an empty structure has no NDR representation");
    static_assert(n <= members_max, "rpch::ndr: more than 24 members: give the structure ndr_members");
    if constexpr (n == 1) { auto& [a] = v; return f(a); }
    else if constexpr (n == 2) { auto& [a, b] = v; return f(a, b); }
    else if constexpr (n == 3) { auto& [a, b, c] = v; return f(a, b, c); }
    else if constexpr (n == 4) { auto& [a, b, c, d] = v; return f(a, b, c, d); }
    else if constexpr (n == 5) { auto& [a, b, c, d, e] = v; return f(a, b, c, d, e); }
    else if constexpr (n == 6) { auto& [a, b, c, d, e, g] = v; return f(a, b, c, d, e, g); }
    else if constexpr (n == 7) { auto& [a, b, c, d, e, g, h] = v; return f(a, b, c, d, e, g, h); }
    else if constexpr (n == 8) { auto& [a, b, c, d, e, g, h, i] = v; return f(a, b, c, d, e, g, h, i); }
    else if constexpr (n == 9) { auto& [a, b, c, d, e, g, h, i, j] = v; return f(a, b, c, d, e, g, h, i, j); }
    else if constexpr (n == 10) { auto& [a, b, c, d, e, g, h, i, j, k] = v; return f(a, b, c, d, e, g, h, i, j, k); }
    else if constexpr (n == 11) { auto& [a, b, c, d, e, g, h, i, j, k, l] = v; return f(a, b, c, d, e, g, h, i, j, k, l); }
    else if constexpr (n == 12) { auto& [a, b, c, d, e, g, h, i, j, k, l, m] = v; return f(a, b, c, d, e, g, h, i, j, k, l, m); }
    else if constexpr (n == 13) { auto& [a, b, c, d, e, g, h, i, j, k, l, m, o] = v; return f(a, b, c, d, e, g, h, i, j, k, l, m, o); }
    else if constexpr (n == 14) { auto& [a, b, c, d, e, g, h, i, j, k, l, m, o, p] = v; return f(a, b, c, d, e, g, h, i, j, k, l, m, o, p); }
    else if constexpr (n == 15) { auto& [a, b, c, d, e, g, h, i, j, k, l, m, o, p, q] = v; return f(a, b, c, d, e, g, h, i, j, k, l, m, o, p, q); }
    else if constexpr (n == 16) { auto& [a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r] = v; return f(a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r); }
    else if constexpr (n == 17) { auto& [a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r, s] = v; return f(a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r, s); }
    else if constexpr (n == 18) { auto& [a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r, s, t] = v; return f(a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r, s, t); }
    else if constexpr (n == 19) { auto& [a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r, s, t, u] = v; return f(a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r, s, t, u); }
    else if constexpr (n == 20) { auto& [a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r, s, t, u, w] = v; return f(a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r, s, t, u, w); }
    else if constexpr (n == 21) { auto& [a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r, s, t, u, w, x] = v; return f(a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r, s, t, u, w, x); }
    else if constexpr (n == 22) { auto& [a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r, s, t, u, w, x, y] = v; return f(a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r, s, t, u, w, x, y); }
    else if constexpr (n == 23) { auto& [a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r, s, t, u, w, x, y, z] = v; return f(a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r, s, t, u, w, x, y, z); }
    else if constexpr (n == 24) { auto& [a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r, s, t, u, w, x, y, z, aa] = v; return f(a, b, c, d, e, g, h, i, j, k, l, m, o, p, q, r, s, t, u, w, x, y, z, aa); }
}
// clang-format on

/// Calls `f` with a reference to each member of `v`, in the order of the wire.
template <class T, class F>
constexpr decltype(auto) visit_members(T& v, F&& f) {
    if constexpr (names_members<T>) {
        return std::apply([&](auto... member) -> decltype(auto) { return f(v.*member...); },
                          std::remove_const_t<T>::ndr_members);
    } else {
        return visit_aggregate(v, f);
    }
}

template <class... T>
struct type_list {};

struct list_types {
    template <class... T>
    constexpr type_list<std::remove_cvref_t<T>...> operator()(T&...) const noexcept {
        return {};
    }
};

/// The types of the members of T, as a type_list.
template <class T>
using members_of = std::remove_cvref_t<decltype(visit_members(std::declval<T&>(), list_types{}))>;

} // namespace rpch::inline RPCH_ABI::ndr::detail

#endif
