// Reading a users file: the room `auth` knows its text, this one the disk.
#ifndef RPCH_TRANSPORT_USERS_FILE_HPP
#define RPCH_TRANSPORT_USERS_FILE_HPP

#include <cstddef>
#include <string>
#include <system_error>

#include <rpch/auth/users_file.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::transport {

/// Reads a users file from the disk. A hash that is none is refused: whoever breaks it to lock a
/// user out would leave the NT hash behind it as good as before.
/// @param why  borrowed; receives a sentence for people on failure, with the line; may be null.
/// @errors errc::bad_setting if it cannot be opened or does not parse.
[[nodiscard]] RPCH_DECL result<auth::users_file> read_users_file(const std::string& path,
                                                                 std::string* why);

/// @return a sentence for people: what auth::users_file::parse refused, and where.
[[nodiscard]] RPCH_DECL std::string users_file_refusal(const std::string& path, std::size_t line,
                                                       std::error_code why);

} // namespace rpch::inline RPCH_ABI::transport

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/impl/users_file.ipp>
#endif

#endif
