#include <rpch/rts/shape.hpp>

#include <rpch/rts/detail/shape_key.hpp>

namespace rpch::inline RPCH_ABI::rts {

RPCH_DECL result<shape> find_shape(std::uint16_t flags,
                                   std::span<const command_type> types) noexcept {
    detail::shape_key key;
    for (const command_type type : types) key.add(type);
    const detail::shape_row* row = key.find(flags);
    if (row == nullptr) return fail(errc::unknown_shape);
    return row->kind;
}

} // namespace rpch::inline RPCH_ABI::rts
