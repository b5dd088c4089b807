// Finds the endpoint of a binding that names none: asks the endpoint mapper of the server.
// [C706] 2.2.2.3 and appendix O, [MS-RPCH] 1.9.
#ifndef RPCH_CLIENT_RESOLVE_HPP
#define RPCH_CLIENT_RESOLVE_HPP

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include <rpch/client/client_options.hpp>
#include <rpch/client/completion.hpp>
#include <rpch/dcerpc/string_binding.hpp>
#include <rpch/failure.hpp>
#include <rpch/result.hpp>
#include <rpch/services/endpoint_mapper.hpp>
#include <rpch/transport/channel_driver.hpp>

namespace rpch::inline RPCH_ABI::detail {

class client_session; // its bodies need this header
struct session_group;

/// One question to an endpoint mapper, on a connection of its own. On the client's strand.
class endpoint_resolver : public std::enable_shared_from_this<endpoint_resolver> {
  public:
    /// Gets the failure, or the port.
    using handler = std::function<void(const failure& why, std::uint16_t port)>;

    /// @param mapper   a connection to the mapper, not opened yet; on the same strand.
    /// @param binding  whose endpoint is wanted.
    /// @param port     of the mapper.
    /// @param wait     for everything from the opening to the answer.
    endpoint_resolver(const transport::strand& on, std::shared_ptr<client_session> mapper,
                      dcerpc::string_binding binding, std::uint16_t port,
                      std::chrono::milliseconds wait);

    /// Asks for the endpoint of an interface; only the first time. `done` is called once, never
    /// from within this, unless `cancel` comes before.
    void start(const interface_id& id, handler done);
    /// Ends the connection to the mapper; `done` is not called any more.
    void cancel();

  private:
    void on_bound(const failure& why, std::uint16_t context);
    void on_answer(const failure& why, const raw_answer& answer);
    [[nodiscard]] result<std::uint16_t> port_in(const raw_answer& answer, failure& why) const;
    void fail_with(failure why);
    void finish(const failure& why, std::uint16_t port);
    [[nodiscard]] services::tower question() const;
    template <class Then>
    completion_ptr then(Then what);

    std::shared_ptr<client_session> mapper_;
    dcerpc::string_binding binding_;
    interface_id interface_{};
    handler done_;
    transport::timer timer_;
    std::chrono::milliseconds wait_;
    std::uint16_t port_;
    bool started_ = false;
};

/// Makes a connection on a strand; an endpoint that is missing is 0 until it is set.
/// @errors as make_session().
[[nodiscard]] RPCH_DECL result<std::shared_ptr<client_session>>
make_session_on(session_group& group, const dcerpc::string_binding& binding, client_options options,
                failure& why);

/// Makes a connection that finds its endpoint at the first bind.
/// @errors as make_session().
[[nodiscard]] RPCH_DECL result<std::shared_ptr<client_session>>
make_resolving_session(session_group& group, const dcerpc::string_binding& binding,
                       client_options options, failure& why);

} // namespace rpch::inline RPCH_ABI::detail

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/client/impl/resolve.ipp>
#endif

#endif
