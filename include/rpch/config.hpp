// Every macro that could change a layout or a linkage lives here and is part of RPCH_ABI, so that
// two modes or versions of the library in one program are different symbols: a link error, never a
// silent violation of the one definition rule.
#ifndef RPCH_CONFIG_HPP
#define RPCH_CONFIG_HPP

#include <rpch/version.hpp>

#if defined(RPCH_SEPARATE_COMPILATION)
    #define RPCH_DECL
    #define RPCH_ABI v0
#else
    /// Set in header-only mode: each header ends by including its .ipp.
    #define RPCH_HEADER_ONLY 1
    #define RPCH_DECL inline
    #define RPCH_ABI v0_header
#endif

/// Declares the inline namespace once, so that `rpch::x` names the right one everywhere.
namespace rpch {
inline namespace RPCH_ABI {}
} // namespace rpch

#endif
