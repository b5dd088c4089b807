#include <rpch/transport/users_file.hpp>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>
#include <utility>

#include <rpch/core/secret.hpp>
#include <rpch/transport/detail/pem_file.hpp>
#include <rpch/transport/password_hash.hpp>

namespace rpch::inline RPCH_ABI::transport {

namespace detail {

/// Reads what is left of a file, which may be a pipe. Every buffer is ours and wiped.
RPCH_DECL core::secret read_secret(std::filebuf& file) {
    core::secret text(std::size_t{64} << 10);
    std::size_t size = 0;
    while (true) {
        const byte_span space = text.writable().subspan(size);
        const auto n = file.sgetn(reinterpret_cast<char*>(space.data()),
                                  static_cast<std::streamsize>(space.size()));
        size += static_cast<std::size_t>(n);
        if (static_cast<std::size_t>(n) < space.size())
            return core::secret(text.view().substr(0, size));
        core::secret larger(2 * size);
        std::memcpy(larger.writable().data(), text.view().data(), size);
        text = std::move(larger);
    }
}

} // namespace detail

RPCH_DECL result<auth::users_file> read_users_file(const std::string& path, std::string* why) {
    std::filebuf file;
    // Without a buffer of its own: the file may hold NT hashes, which are as good as passwords.
    file.pubsetbuf(nullptr, 0);
    if (file.open(path, std::ios::in | std::ios::binary) == nullptr)
        return detail::explain(why, errc::bad_setting,
                               "cannot open the users file " + path + ": " +
                                   std::generic_category().message(errno));
    core::secret text;
    try {
        text = detail::read_secret(file);
    } catch (const std::ios_base::failure&) { // a directory, or a disk that fails
        return detail::explain(why, errc::bad_setting, "cannot read the users file " + path);
    }
    std::size_t line = 0;
    auto users = auth::users_file::parse(text.view(), &line, is_password_hash);
    if (!users)
        return detail::explain(why, errc::bad_setting,
                               users_file_refusal(path, line, users.error()));
    return users;
}

RPCH_DECL std::string users_file_refusal(const std::string& path, std::size_t line,
                                         std::error_code why) {
    return "users file " + path + ", line " + std::to_string(line) + ": " +
           (why == errc::bad_setting ? "not a user as `rpch passwd` writes one, or one that stands "
                                       "twice; to lock a user out, take the line away"
                                     : why.message());
}

} // namespace rpch::inline RPCH_ABI::transport
