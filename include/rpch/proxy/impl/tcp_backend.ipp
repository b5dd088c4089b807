#include <rpch/proxy/tcp_backend.hpp>

#include <string>
#include <utility>

#include <rpch/core/text.hpp>

namespace rpch::inline RPCH_ABI {

RPCH_DECL bool tcp_backend::serves(const transport::host_port& asked) const noexcept {
    return target.port == asked.port && core::equal_nocase(target.host, asked.host);
}

RPCH_DECL result<tcp_backend> parse_tcp_backend(std::string_view text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) return fail(errc::bad_setting);
    auto target = transport::parse_host_port(core::trim_blanks(text.substr(0, equals)));
    auto address = transport::parse_host_port(core::trim_blanks(text.substr(equals + 1)));
    if (!target || !address || target->port == 0 || address->port == 0)
        return fail(errc::bad_setting);
    return tcp_backend{std::move(*target), std::move(*address)};
}

} // namespace rpch::inline RPCH_ABI
