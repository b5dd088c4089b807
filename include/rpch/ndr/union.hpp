// Unions, [C706] 14.3.8: a discriminant and the arm it selects.
#ifndef RPCH_NDR_UNION_HPP
#define RPCH_NDR_UNION_HPP

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include <rpch/ndr/codec.hpp>

namespace rpch::inline RPCH_ABI::ndr {

/// An arm of type T, selected by any of `Cases`; `arm<void, 3>` has no content.
template <class T, auto... Cases>
struct arm {
    static_assert(sizeof...(Cases) > 0, "rpch::ndr: an arm needs a case; or say default_arm");
    using type = std::conditional_t<std::is_void_v<T>, std::monostate, T>;
};
/// The arm for every discriminant that no other arm names; the last one.
template <class T>
struct default_arm {
    using type = std::conditional_t<std::is_void_v<T>, std::monostate, T>;
};

namespace detail {
/// A case as a discriminant; cases of enum32 may be numbers as well.
template <class Tag>
constexpr Tag to_tag(auto label) noexcept {
    if constexpr (requires { static_cast<Tag>(label); })
        return static_cast<Tag>(label);
    else
        return Tag{static_cast<decltype(Tag::value)>(label)};
}

template <class Tag, class T, auto... Cases>
constexpr bool selects(arm<T, Cases...>, Tag tag) noexcept {
    return ((to_tag<Tag>(Cases) == tag) || ...);
}
template <class Tag, class T>
constexpr bool selects(default_arm<T>, Tag) noexcept {
    return true;
}
template <class Tag, class T, auto First, auto... More>
constexpr Tag first_case(arm<T, First, More...>) noexcept {
    return to_tag<Tag>(First);
}

/// @return the index of the arm that `tag` selects, or sizeof...(Arms).
template <class Tag, class... Arms>
constexpr std::size_t select_arm(Tag tag) noexcept {
    std::size_t index = 0;
    static_cast<void>(((selects(Arms{}, tag) || (++index, false)) || ...));
    return index;
}
} // namespace detail

/// A union of `Arms` under a discriminant of type Tag: an integer, char, bool, enum or enum32. The
/// wire is the same for encapsulated unions and for the others: those carry the discriminant in
/// themselves even where `[switch_is]` names a parameter or member that carries it as well; that
/// both agree is for the structure's `ndr_check` or for the service to say.
template <bool Ms, class Tag, class... Arms>
struct basic_union {
    Tag tag;
    std::variant<typename Arms::type...>
        value; ///< Its index is the arm's, in order of declaration.

    /// The first arm under its first case.
    basic_union() : tag(detail::first_case<Tag>(std::get<0>(std::tuple<Arms...>{}))) {}

    /// @return a union with discriminant `Case` and its arm made from `args`.
    template <auto Case, class... Args>
    [[nodiscard]] static basic_union of(Args&&... args) {
        return with<index<Case>>(detail::to_tag<Tag>(Case), std::forward<Args>(args)...);
    }
    /// @return the arm of `Case` if it is the selected one, else null.
    template <auto Case>
    [[nodiscard]] auto* get_if() noexcept {
        return std::get_if<index<Case>>(&value);
    }
    template <auto Case>
    [[nodiscard]] const auto* get_if() const noexcept {
        return std::get_if<index<Case>>(&value);
    }
    /// Arm `Index` under a discriminant that must select it; for arms with several cases.
    template <std::size_t Index, class... Args>
    [[nodiscard]] static basic_union with(Tag tag, Args&&... args) {
        basic_union out;
        out.tag = tag;
        out.value.template emplace<Index>(std::forward<Args>(args)...);
        return out;
    }
    bool operator==(const basic_union&) const = default;

  private:
    template <auto Case>
    static constexpr std::size_t
        index = detail::select_arm<Tag, Arms...>(detail::to_tag<Tag>(Case));
};

/// The union of [C706]: the arm stands at its own alignment. (14.3.8 aligns the whole to its
/// largest arm; Windows, Samba and Wine align the discriminant to itself, and so do we.)
template <class Tag, class... Arms>
using union_ = basic_union<false, Tag, Arms...>;
/// A union with the ms_union attribute, [MS-RPCE] 2.2.4.5: every arm stands at the alignment of the
/// most aligned one.
template <class Tag, class... Arms>
using ms_union = basic_union<true, Tag, Arms...>;

template <bool Ms, class Tag, class... Arms>
struct codec<basic_union<Ms, Tag, Arms...>> {
    using type = basic_union<Ms, Tag, Arms...>;
    template <class T>
    static constexpr bool is_empty = std::same_as<T, std::monostate>;
    static constexpr bool conformant = false;
    static constexpr std::size_t min_bytes = codec<Tag>::min_bytes;

    static constexpr std::size_t alignment(transfer_syntax syntax) noexcept {
        return std::max(codec<Tag>::alignment(syntax), arms_alignment(syntax));
    }

    static bool put(encoder& out, const type& value) {
        if (detail::select_arm<Tag, Arms...>(value.tag) != value.value.index())
            return out.fail(errc::ndr_bad_union);
        const bool aligned = aligns_arms(out.syntax());
        if (out.syntax() == transfer_syntax::ndr64) out.align(alignment(out.syntax()));
        if (!codec<Tag>::put(out, value.tag)) return false;
        if (aligned) out.align(arms_alignment(out.syntax()));
        return std::visit(
            [&]<class T>(const T& selected) {
                if constexpr (is_empty<T>)
                    return true;
                else
                    return codec<T>::put(out, selected);
            },
            value.value);
    }
    static bool get(decoder& in, type& value) {
        if (in.syntax() == transfer_syntax::ndr64 && !in.align(alignment(in.syntax())))
            return false;
        if (!codec<Tag>::get(in, value.tag)) return false;
        if (!emplace(value, std::index_sequence_for<Arms...>{}))
            return in.fail(errc::ndr_bad_union);
        if (aligns_arms(in.syntax()) && !in.align(arms_alignment(in.syntax()))) return false;
        return std::visit(
            [&]<class T>(T& selected) {
                if constexpr (is_empty<T>)
                    return true;
                else
                    return codec<T>::get(in, selected);
            },
            value.value);
    }

  private:
    template <class T>
    struct traits {
        static_assert(!codec<T>::conformant,
                      "rpch::ndr: an arm of a union cannot be a conformant array or string; put it "
                      "behind ndr::unique");
        static constexpr bool deferred = codec<T>::deferred;
        static constexpr std::size_t alignment(transfer_syntax syntax) noexcept {
            return codec<T>::alignment(syntax);
        }
    };
    template <std::same_as<std::monostate> T>
    struct traits<T> {
        static constexpr bool deferred = false;
        static constexpr std::size_t alignment(transfer_syntax) noexcept { return 1; }
    };

    /// NDR64 knows no ms_union: it aligns the whole and every arm to the most aligned one, as
    /// Windows and Samba do.
    static constexpr bool aligns_arms(transfer_syntax syntax) noexcept {
        return Ms || syntax == transfer_syntax::ndr64;
    }
    static constexpr std::size_t arms_alignment(transfer_syntax syntax) noexcept {
        return std::max({traits<typename Arms::type>::alignment(syntax)...});
    }
    /// Makes the selected arm anew; false if there is none.
    template <std::size_t... I>
    static bool emplace(type& value, std::index_sequence<I...>) {
        const std::size_t selected = detail::select_arm<Tag, Arms...>(value.tag);
        return ((I == selected && (value.value.template emplace<I>(), true)) || ...);
    }

  public:
    static constexpr bool deferred = (traits<typename Arms::type>::deferred || ...);

    static bool put_deferred(encoder& out, const type& value) requires deferred {
        return std::visit(
            [&]<class T>(const T& selected) {
                if constexpr (traits<T>::deferred)
                    return codec<T>::put_deferred(out, selected);
                else
                    return true;
            },
            value.value);
    }
    static bool get_deferred(decoder& in, type& value) requires deferred {
        return std::visit(
            [&]<class T>(T& selected) {
                if constexpr (traits<T>::deferred)
                    return codec<T>::get_deferred(in, selected);
                else
                    return true;
            },
            value.value);
    }
};

} // namespace rpch::inline RPCH_ABI::ndr

#endif
