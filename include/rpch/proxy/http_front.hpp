// The HTTP side of a proxy: its listeners, and what their connections share.
#ifndef RPCH_PROXY_HTTP_FRONT_HPP
#define RPCH_PROXY_HTTP_FRONT_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <rpch/proxy/proxy_settings.hpp>
#include <rpch/proxy/routes.hpp>
#include <rpch/result.hpp>
#include <rpch/transport/connector.hpp>
#include <rpch/transport/listener.hpp>
#include <rpch/transport/tls_context.hpp>

namespace rpch::inline RPCH_ABI::detail {

struct proxy_shared;

/// The proxy roles of a facade, on the facade's strand. Connections hold what they share, so this
/// may go before them.
class http_front : public std::enable_shared_from_this<http_front> {
  public:
    /// @param route  how channels reach their server; empty: as the settings say, by TCP or to a
    /// TCP
    ///               backend.
    /// @param why    borrowed; receives a sentence for people on failure; may be null.
    /// @errors errc::bad_setting.
    static result<std::shared_ptr<http_front>>
    make(std::shared_ptr<transport::strand_context> context, proxy_settings settings,
         connect_function route, std::string* why);

    /// Thread-safe: accepting begins on the strand.
    /// @errors errc::bad_setting (no TLS and not allowed; no address literal), the system's.
    result<std::uint16_t> listen(const transport::host_port& where,
                                 std::shared_ptr<transport::tls_context> tls);
    /// Thread-safe: takes effect on the strand; see proxy::replace_tls. @errors errc::bad_setting.
    std::error_code replace_tls(std::shared_ptr<transport::tls_context> current,
                                std::shared_ptr<transport::tls_context> fresh);
    /// Thread-safe. @errors errc::bad_setting, and nothing is changed.
    std::error_code reload(const std::string& valid_ports, std::string* why);
    void stop_listening();
    void close();
    [[nodiscard]] const proxy_shared& shared() const noexcept { return *shared_; }
    /// @return HTTP connections that are open.
    [[nodiscard]] std::size_t connections() const noexcept;

  private:
    explicit http_front(std::shared_ptr<proxy_shared> shared) : shared_(std::move(shared)) {}

    /// A listener, and what it shows to the next client.
    struct door {
        std::shared_ptr<transport::listener> listener;
        std::shared_ptr<std::shared_ptr<transport::tls_context>> shown; ///< With its handler.
    };

    std::shared_ptr<proxy_shared> shared_;
    std::vector<door> doors_; // on the strand only
};

} // namespace rpch::inline RPCH_ABI::detail

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/proxy/impl/http_front.ipp>
#endif

#endif
