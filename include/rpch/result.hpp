// Results without exceptions: a value or a std::error_code.
#ifndef RPCH_RESULT_HPP
#define RPCH_RESULT_HPP

#include <system_error>

#include <rpch/error.hpp>

#include <tl/expected.hpp>

namespace rpch::inline RPCH_ABI {

/// A value, or the error that kept it from being made. Always `tl::expected`, in every build.
template <class T>
using result = tl::expected<T, std::error_code>;

/// Makes the error side of a `result`: `return fail(errc::truncated);`
[[nodiscard]] inline tl::unexpected<std::error_code> fail(std::error_code why) noexcept {
    return tl::unexpected<std::error_code>(why);
}

} // namespace rpch::inline RPCH_ABI

#endif
