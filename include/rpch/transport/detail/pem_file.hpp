// Reading PEM files whole, with a limit and a sentence for people when it fails.
#ifndef RPCH_TRANSPORT_DETAIL_PEM_FILE_HPP
#define RPCH_TRANSPORT_DETAIL_PEM_FILE_HPP

#include <string>

#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::transport::detail {

/// @param why  borrowed; receives the cause on failure; may be null.
/// @return the text of the file; the caller wipes it if it is a key.
/// @errors errc::bad_setting if it cannot be read, errc::too_large above limits::pem_bytes_max.
RPCH_DECL result<std::string> read_pem_file(const std::string& path, std::string* why);

/// Stores a sentence for people, if somebody asked for it. @return the error, to be returned.
RPCH_DECL tl::unexpected<std::error_code> explain(std::string* why, std::error_code error,
                                                  std::string sentence);

} // namespace rpch::inline RPCH_ABI::transport::detail

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/impl/pem_file.ipp>
#endif

#endif
