// rpch passwd: adds or changes a user of a users file.
#include "options.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include <rpch/auth/ntlm_crypto.hpp>
#include <rpch/auth/users_file.hpp>
#include <rpch/core/secret.hpp>
#include <rpch/transport/password_hash.hpp>
#include <rpch/transport/users_file.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "passwords.hpp"

namespace tool {

namespace {

/// Replaces the file as a whole, readable by its owner alone: a reader sees the old or the new one.
/// The owner stays, so that root may change the file of a proxy that runs as somebody else.
bool write_private(const std::string& path, const std::string& text) {
    const std::string fresh = path + ".new";
    ::unlink(fresh.c_str());
    const int fd =
        ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0) return false;
    std::size_t at = 0;
    while (at < text.size()) {
        const ssize_t n = ::write(fd, text.data() + at, text.size() - at);
        if (n <= 0) break;
        at += static_cast<std::size_t>(n);
    }
    struct stat before {};
    const bool owned = ::stat(path.c_str(), &before) != 0 || before.st_uid == ::geteuid() ||
                       ::fchown(fd, before.st_uid, before.st_gid) == 0;
    const bool whole = at == text.size() && owned && ::fsync(fd) == 0;
    if (::close(fd) != 0 || !whole || std::rename(fresh.c_str(), path.c_str()) != 0) {
        ::unlink(fresh.c_str());
        return false;
    }
    return true;
}

} // namespace

int run_passwd(const passwd_options& options) {
    struct stat about {};
    if (::stat(options.file.c_str(), &about) == 0 && !S_ISREG(about.st_mode)) {
        std::fprintf(stderr, "rpch passwd: %s is no file\n", options.file.c_str());
        return usage;
    }
    std::string text;
    if (std::ifstream file(options.file, std::ios::binary); file)
        text.assign(std::istreambuf_iterator<char>(file), {});
    else if (errno != ENOENT) {
        std::fprintf(stderr, "rpch passwd: cannot read %s: %s\n", options.file.c_str(),
                     std::strerror(errno));
        return usage;
    }
    std::size_t bad_line = 0;
    auto users = rpch::auth::users_file::parse(text, &bad_line);
    if (!users) {
        std::fprintf(
            stderr, "rpch passwd: %s\n",
            rpch::transport::users_file_refusal(options.file, bad_line, users.error()).c_str());
        return usage;
    }
    auto password = ask_password("Password for " + options.user + ": ");
    if (!password || password->empty()) {
        std::fprintf(stderr, "rpch passwd: no password given; an empty one is none\n");
        return usage;
    }
    if (::isatty(STDIN_FILENO) == 1) { // a slip of a finger nobody sees would lock the user out
        auto again = ask_password("Again: ");
        const bool same = again && *again == *password;
        if (again) rpch::core::wipe(*again);
        if (!same) {
            rpch::core::wipe(*password);
            std::fprintf(stderr, "rpch passwd: the two differ; nothing was changed\n");
            return failed;
        }
    }
    const auto hash = rpch::transport::make_password_hash(*password);
    const auto nt_hash = rpch::auth::ntowf_v1(*password);
    rpch::core::wipe(*password);
    if (!hash) {
        std::fprintf(stderr, "rpch passwd: %s\n", hash.error().message().c_str());
        return failed;
    }
    if (options.ntlm && !nt_hash) {
        std::fprintf(stderr, "rpch passwd: NTLM needs a password in UTF-8\n");
        return failed;
    }
    const auto* const before = users->find(options.user);
    const bool loses_ntlm = !options.ntlm && before != nullptr && before->nt_hash();
    if (const auto bad = users->set(options.user, *hash, options.ntlm ? &*nt_hash : nullptr)) {
        std::fprintf(stderr, "rpch passwd: user '%s': %s; a name has no colon and no line end\n",
                     options.user.c_str(), bad.message().c_str());
        return usage;
    }
    if (!write_private(options.file, users->format())) {
        std::fprintf(stderr, "rpch passwd: cannot write %s: %s\n", options.file.c_str(),
                     std::strerror(errno));
        return failed;
    }
    if (std::size_t line = 0;
        !rpch::auth::users_file::parse(users->format(), &line, rpch::transport::is_password_hash))
        std::fprintf(stderr,
                     "rpch passwd: line %zu still has a hash that is none: servers refuse the file "
                     "until the user has a new password or is taken out\n",
                     line);
    if (loses_ntlm)
        std::fprintf(stderr, "rpch passwd: the user no longer logs on by NTLM; --ntlm allows it\n");
    return succeeded;
}

} // namespace tool
