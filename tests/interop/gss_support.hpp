// GSSAPI in words that the programs with a GSSAPI peer share.
#ifndef RPCH_TESTS_INTEROP_GSS_SUPPORT_HPP
#define RPCH_TESTS_INTEROP_GSS_SUPPORT_HPP

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gssapi/gssapi.h>

#include <rpch/core/bytes.hpp>

namespace test {

using bytes = std::vector<std::byte>;

inline void require(bool holds, const std::string& what) {
    if (!holds) throw std::runtime_error(what);
}

inline bytes copy(rpch::byte_view in) { return bytes(in.begin(), in.end()); }
inline bytes text(std::string_view in) { return copy(rpch::core::as_bytes(in)); }

inline gss_buffer_desc buffer(rpch::byte_view in) {
    return {in.size(), const_cast<std::byte*>(in.data())}; // GSSAPI reads it only
}
/// Takes over what GSSAPI allocated.
inline bytes take(gss_buffer_desc& from) {
    const bytes out = copy(std::as_bytes(std::span(static_cast<char*>(from.value), from.length)));
    OM_uint32 minor = 0;
    gss_release_buffer(&minor, &from);
    return out;
}
inline std::string words(OM_uint32 major, OM_uint32 minor) {
    std::string out;
    for (const auto& [code, kind] :
         {std::pair{major, GSS_C_GSS_CODE}, std::pair{minor, GSS_C_MECH_CODE}}) {
        OM_uint32 ignored = 0;
        OM_uint32 more = 0;
        gss_buffer_desc one{};
        gss_display_status(&ignored, code, kind, GSS_C_NO_OID, &more, &one);
        out += std::string(rpch::core::as_text(take(one))) + "; ";
    }
    return out;
}
inline void succeeded(OM_uint32 major, OM_uint32 minor, const std::string& what) {
    require(!GSS_ERROR(major), what + ": " + words(major, minor));
}

} // namespace test

#endif
