#include <rpch/transport/users_file.hpp>

#include <fstream>
#include <iterator>

#include <rpch/transport/detail/pem_file.hpp>

namespace rpch::inline RPCH_ABI::transport {

RPCH_DECL result<auth::users_file> read_users_file(const std::string& path, std::string* why) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return detail::explain(why, errc::bad_setting, "cannot open the users file " + path);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    std::size_t line = 0;
    auto users = auth::users_file::parse(text, &line);
    if (!users)
        return detail::explain(why, errc::bad_setting,
                               "users file, line " + std::to_string(line) + ": " +
                                   users.error().message());
    return users;
}

} // namespace rpch::inline RPCH_ABI::transport
