// The RPC proxy facade: inbound and outbound roles behind one HTTP(S) listener.
#ifndef RPCH_PROXY_PROXY_HPP
#define RPCH_PROXY_PROXY_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <rpch/proxy/proxy_settings.hpp>
#include <rpch/result.hpp>
#include <rpch/transport/connector.hpp>
#include <rpch/transport/executor.hpp>
#include <rpch/transport/tls_context.hpp>

namespace rpch::inline RPCH_ABI {

namespace detail {
class http_front;
} // namespace detail

/// Serves RPC over HTTP v2 clients and connects them to `ncacn_http` servers, or to plain
/// `ncacn_ip_tcp` ones (`proxy_settings::tcp_backends`). Everything runs on
/// one strand of the executor. Destroying the proxy closes all its connections.
class proxy {
  public:
    /// @param why  borrowed; receives a sentence for people on failure; may be null.
    /// @errors errc::bad_setting (a setting that does not parse or contradicts another).
    static result<proxy> make(transport::executor on, proxy_settings settings,
                              std::string* why = nullptr);
    proxy(proxy&&) noexcept;
    proxy& operator=(proxy&&) noexcept;
    ~proxy();

    /// Listens with TLS, or without when `tls` is null and `allow_plain` is set.
    /// @return the port that is listened on; port 0 lets the system choose.
    /// @errors errc::bad_setting (no TLS and not allowed; no address literal), the system's.
    result<std::uint16_t> listen(const transport::host_port& where,
                                 std::shared_ptr<transport::tls_context> tls);

    /// Shows another certificate, without an interruption: every listener that was given `current`
    /// uses `fresh` for the connections it accepts from now on; those that are open go on with what
    /// they began with. Sessions of `current` are not resumed by `fresh`, so that NTLM and
    /// Negotiate are bound to the certificate that the client has seen. Thread-safe; takes effect
    /// on the strand.
    /// @errors errc::bad_setting if one of them is null, or `fresh` not a server's; nothing is
    ///         changed then.
    std::error_code replace_tls(std::shared_ptr<transport::tls_context> current,
                                std::shared_ptr<transport::tls_context> fresh);

    /// Reads the users file and the rules again; running connections are not touched. Thread-safe.
    /// @errors errc::bad_setting, and nothing is changed.
    std::error_code reload(const std::string& valid_ports, std::string* why = nullptr);

    /// Refuses new connections; what is connected goes on.
    void stop_listening();
    /// Stops accepting and closes all channels. Thread-safe.
    void close();

    /// @return HTTP connections that are open now. On the strand.
    [[nodiscard]] std::size_t connections() const noexcept;

    /// @return bytes of PDUs that were copied in memory on their way through, because they
    /// straddled buffers or had to wait for a window; relaying in steady state adds none. On the
    /// strand.
    [[nodiscard]] std::uint64_t copied_bytes() const noexcept;

    /// @return buffers of 64 KiB that connections hold now; idle ones hold none. On the strand.
    [[nodiscard]] std::size_t buffers() const noexcept;

  private:
    explicit proxy(std::shared_ptr<detail::http_front> made) noexcept : front_(std::move(made)) {}
    std::shared_ptr<detail::http_front> front_;
};

} // namespace rpch::inline RPCH_ABI

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/proxy/impl/proxy.ipp>
#endif

#endif
