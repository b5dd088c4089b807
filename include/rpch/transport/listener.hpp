// Accepts TCP connections until it is closed.
#ifndef RPCH_TRANSPORT_LISTENER_HPP
#define RPCH_TRANSPORT_LISTENER_HPP

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>

#include <rpch/result.hpp>
#include <rpch/transport/connector.hpp>
#include <rpch/transport/executor.hpp>

namespace rpch::inline RPCH_ABI::transport {

/// @return the address of the peer, for logs.
RPCH_DECL std::string address_text(const tcp::socket& socket);

/// Accepts on one address. A failed accept (no descriptors left, say) is tried again after a
/// moment; it never ends the listener. It is told to the log, and while it goes on, once a minute.
class listener : public std::enable_shared_from_this<listener> {
  public:
    using handler = std::function<void(tcp::socket)>;
    /// Called on the strand with one line for each event worth a log line; may be empty.
    using logger = std::function<void(const std::string& line)>;

    /// Binds and listens; port 0 lets the system choose. On any thread: nothing is accepted before
    /// `start`.
    /// @param on        strand of the sockets that `accepted` gets, and of all but `open`.
    /// @errors the system's, and errc::bad_setting for a host that is no address literal.
    static result<std::shared_ptr<listener>> open(strand on, const host_port& where,
                                                  handler accepted, logger log = {});
    /// Begins to accept.
    void start() { accept(); }
    /// Refuses what comes from now on. Connections that the system has taken for us are handed over
    /// still: whoever made them saw no refusal, and would not try elsewhere.
    void stop();
    /// Refuses all; `accepted` is not called any more.
    void close();
    [[nodiscard]] tcp::endpoint endpoint() const;

  private:
    listener(strand on, handler accepted, logger log)
        : acceptor_(on),
          retry_(on),
          strand_(std::move(on)),
          accepted_(std::move(accepted)),
          log_(std::move(log)) {}
    void accept();
    void tell(std::error_code why);
    void hand_over(tcp::socket socket);

    tcp::acceptor acceptor_;
    timer retry_;
    strand strand_;
    handler accepted_;
    logger log_;
    std::optional<time_point> told_; ///< When a failure was told last.
};

} // namespace rpch::inline RPCH_ABI::transport

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/impl/listener.ipp>
#endif

#endif
