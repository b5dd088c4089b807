// Pointers, [C706] 14.3.10 to 14.3.12: reference, unique and full.
#ifndef RPCH_NDR_POINTER_HPP
#define RPCH_NDR_POINTER_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include <rpch/ndr/codec.hpp>

namespace rpch::inline RPCH_ABI::ndr {

/// A reference pointer inside a structure, array or union: never null, so it is its pointee. As a
/// parameter a reference pointer has no representation of its own ([C706] 14.3.11): `ref<T>` and T
/// are the same there.
template <class T>
struct ref {
    T value{};
    bool operator==(const ref&) const = default;
};

/// A unique pointer: null or one T of its own. Copies are deep. T may be incomplete where the
/// pointer is declared, so structures can point to their like.
template <class T>
class unique {
  public:
    unique() noexcept = default;
    unique(std::nullptr_t) noexcept {} // NOLINT(google-explicit-constructor): like a pointer
    unique(T value) // NOLINT(google-explicit-constructor): a value is a non-null pointer
        : object_(std::make_unique<T>(std::move(value))) {}
    unique(const unique& other) : object_(other ? std::make_unique<T>(*other) : nullptr) {}
    unique(unique&&) noexcept = default;
    unique& operator=(unique other) noexcept {
        object_ = std::move(other.object_);
        return *this;
    }
    ~unique() = default;

    /// Makes a new pointee from `args`, in place of the one before. @return the pointee.
    template <class... Args>
    T& emplace(Args&&... args) {
        object_ = std::make_unique<T>(std::forward<Args>(args)...);
        return *object_;
    }
    [[nodiscard]] explicit operator bool() const noexcept { return object_ != nullptr; }
    /// The pointee; the pointer must not be null.
    [[nodiscard]] T& operator*() noexcept { return *object_; }
    [[nodiscard]] const T& operator*() const noexcept { return *object_; }
    [[nodiscard]] T* operator->() noexcept { return object_.get(); }
    [[nodiscard]] const T* operator->() const noexcept { return object_.get(); }
    /// Both null, or equal pointees.
    friend bool operator==(const unique& a, const unique& b) {
        return a && b ? *a == *b : !a && !b;
    }

  private:
    std::unique_ptr<T> object_;
};

/// A full pointer ([ptr]): null, or a T that several full pointers of one stub may share. A decoder
/// gives pointers with one referent identifier one object. Cycles are refused on both ways with
/// errc::ndr_bad_pointer: shared ownership would never end, and no service here asks for them.
template <class T>
class full {
  public:
    full() noexcept = default;
    full(std::nullptr_t) noexcept {} // NOLINT(google-explicit-constructor): like a pointer
    full(T value) // NOLINT(google-explicit-constructor): a value is a non-null pointer
        : object_(std::make_shared<T>(std::move(value))) {}
    /// Shares `object`, which may be null.
    explicit full(std::shared_ptr<T> object) noexcept : object_(std::move(object)) {}

    /// Makes a new pointee from `args`, not shared yet. @return the pointee.
    template <class... Args>
    T& emplace(Args&&... args) {
        object_ = std::make_shared<T>(std::forward<Args>(args)...);
        return *object_;
    }
    [[nodiscard]] explicit operator bool() const noexcept { return object_ != nullptr; }
    /// The pointee; the pointer must not be null.
    [[nodiscard]] T& operator*() const noexcept { return *object_; }
    [[nodiscard]] T* operator->() const noexcept { return object_.get(); }
    [[nodiscard]] const std::shared_ptr<T>& shared() const noexcept { return object_; }
    /// Both null, or equal pointees; whether they are shared does not matter.
    friend bool operator==(const full& a, const full& b) { return a && b ? *a == *b : !a && !b; }

  private:
    friend struct codec<full<T>>;
    std::shared_ptr<T> object_;
    /// Between the two passes of decoding: the referent identifier whose object is to be found.
    std::uint64_t pending_ = 0;
};

namespace detail {
template <class T>
struct pointer_codec {
    static constexpr bool deferred = true;
    static constexpr bool conformant = false;
    static constexpr std::size_t min_bytes = 4;
    static constexpr std::size_t alignment(transfer_syntax syntax) noexcept {
        return pointer_bytes(syntax);
    }
};

/// Its address stands for the type T.
template <class T>
inline constexpr char type_mark = 0;

/// Reads the representation of a pointee that exists.
template <class T>
[[nodiscard]] bool get_pointee(decoder& in, T& object) {
    if (!in.enter()) return false;
    const bool read = get_whole(in, object);
    in.leave();
    return read;
}
template <class T>
[[nodiscard]] bool put_pointee(encoder& out, const T& object) {
    if (!out.enter()) return false;
    const bool written = put_whole(out, object);
    out.leave();
    return written;
}
} // namespace detail

template <class T>
struct codec<ref<T>> : detail::pointer_codec<T> {
    static bool put(encoder& out, const ref<T>&) { return out.put_referent(out.next_referent()); }
    static bool put_deferred(encoder& out, const ref<T>& pointer) {
        return detail::put_pointee(out, pointer.value);
    }
    static bool get(decoder& in, ref<T>&) noexcept {
        std::uint64_t id = 0;
        if (!in.get_referent(id)) return false;
        return id != 0 || in.fail(errc::ndr_bad_pointer);
    }
    static bool get_deferred(decoder& in, ref<T>& pointer) {
        return detail::get_pointee(in, pointer.value);
    }
};

template <class T>
struct codec<unique<T>> : detail::pointer_codec<T> {
    static bool put(encoder& out, const unique<T>& pointer) {
        return out.put_referent(pointer ? out.next_referent() : 0);
    }
    static bool put_deferred(encoder& out, const unique<T>& pointer) {
        return !pointer || detail::put_pointee(out, *pointer);
    }
    /// The identifier of a unique pointer says only "not null", [C706] 14.3.10: it may repeat.
    static bool get(decoder& in, unique<T>& pointer) {
        std::uint64_t id = 0;
        if (!in.get_referent(id)) return false;
        if (id == 0) return true;
        if (!in.charge(sizeof(T))) return false;
        pointer.emplace();
        return true;
    }
    static bool get_deferred(decoder& in, unique<T>& pointer) {
        return !pointer || detail::get_pointee(in, *pointer);
    }
};

template <class T>
struct codec<full<T>> : detail::pointer_codec<T> {
    static bool put(encoder& out, const full<T>& pointer) {
        if (!pointer) return out.put_referent(0);
        auto& referent = out.referents()[key(pointer)];
        if (referent.id == 0) referent.id = out.next_referent();
        return out.put_referent(referent.id);
    }
    /// The pointee follows where its identifier comes up first among the deferred ones, which is
    /// how Windows orders them; later pointers to it are their identifier alone.
    static bool put_deferred(encoder& out, const full<T>& pointer) {
        if (!pointer) return true;
        auto& referent = out.referents()[key(pointer)]; // stays where it is: a map's node
        if (referent.state == encoder::referent::written) return true;
        if (referent.state == encoder::referent::being_written)
            return out.fail(errc::ndr_bad_pointer);
        referent.state = encoder::referent::being_written;
        if (!detail::put_pointee(out, *pointer)) return false;
        referent.state = encoder::referent::written;
        return true;
    }
    static bool get(decoder& in, full<T>& pointer) noexcept {
        return in.get_referent(pointer.pending_);
    }
    /// @errors errc::ndr_bad_pointer if the identifier stands for an object of another type, or for
    /// one
    ///         that contains this pointer.
    static bool get_deferred(decoder& in, full<T>& pointer) {
        const std::uint64_t id = std::exchange(pointer.pending_, 0);
        if (id == 0) return true;
        const auto [place, is_new] = in.referents().try_emplace(id);
        auto& referent = place->second; // stays where it is: a map's node
        if (!is_new) {
            if (!referent.complete || referent.type != &detail::type_mark<T>)
                return in.fail(errc::ndr_bad_pointer);
            pointer.object_ = std::static_pointer_cast<T>(referent.object);
            return true;
        }
        if (!in.charge(sizeof(T) + sizeof(decoder::referent))) return false;
        pointer.emplace();
        referent.object = pointer.object_;
        referent.type = &detail::type_mark<T>;
        if (!detail::get_pointee(in, *pointer)) return false;
        referent.complete = true;
        return true;
    }

  private:
    static std::pair<const void*, const void*> key(const full<T>& pointer) noexcept {
        return {pointer.object_.get(), &detail::type_mark<T>};
    }
};

} // namespace rpch::inline RPCH_ABI::ndr

#endif
