#include <rpch/transport/detail/pem_file.hpp>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include <rpch/core/secret.hpp>
#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::transport::detail {

RPCH_DECL tl::unexpected<std::error_code> explain(std::string* why, std::error_code error,
                                                  std::string sentence) {
    if (why != nullptr) *why = std::move(sentence);
    return fail(error);
}

RPCH_DECL result<std::string> read_pem_file(const std::string& path, std::string* why) {
    std::error_code unknown;
    if (std::filesystem::is_directory(path, unknown))
        return explain(why, errc::bad_setting, path + " is a directory, not a PEM file");
    std::filebuf file;
    // Without a buffer of its own, so that no copy of a key stays behind.
    file.pubsetbuf(nullptr, 0);
    if (file.open(path, std::ios::in | std::ios::binary) == nullptr)
        return explain(why, errc::bad_setting,
                       "cannot open " + path + ": " + std::generic_category().message(errno));
    const auto size = static_cast<std::streamoff>(file.pubseekoff(0, std::ios::end));
    if (size < 0) return explain(why, errc::bad_setting, "cannot read " + path);
    if (static_cast<std::uintmax_t>(size) > limits::pem_bytes_max)
        return explain(why, errc::too_large, path + " is larger than a PEM file may be");
    file.pubseekoff(0, std::ios::beg);
    std::string text(static_cast<std::size_t>(size), '\0');
    if (file.sgetn(text.data(), static_cast<std::streamsize>(size)) != size) {
        core::wipe(text);
        return explain(why, errc::bad_setting, "cannot read " + path);
    }
    return text;
}

} // namespace rpch::inline RPCH_ABI::transport::detail
