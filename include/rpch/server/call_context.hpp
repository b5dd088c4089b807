// What a handler of a server knows about the call it serves.
#ifndef RPCH_SERVER_CALL_CONTEXT_HPP
#define RPCH_SERVER_CALL_CONTEXT_HPP

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <rpch/core/uuid.hpp>
#include <rpch/dcerpc/server_association.hpp>
#include <rpch/dcerpc/string_binding.hpp>
#include <rpch/transport/executor.hpp>

namespace rpch::inline RPCH_ABI {

using dcerpc::protocol_sequence;

/// What all calls of one connection have in common.
struct connection_info {
    protocol_sequence protocol = protocol_sequence::ncacn_http;
    /// ncacn_ip_tcp: the peer's address. ncacn_http: the client's address as the inbound proxy
    /// claims it, a hint for logs only ([MS-RPCH] 2.2.3.2).
    std::string client_address;
    std::uint32_t association_group = 0;
};

/// One call, as its handler sees it. Good until the handler has answered.
class call_context {
  public:
    call_context(std::shared_ptr<const connection_info> connection, std::uint32_t call_id,
                 std::uint16_t opnum, std::optional<uuid> object, transport::executor on,
                 std::shared_ptr<const dcerpc::call_security> security = nullptr)
        : connection_(std::move(connection)),
          security_(std::move(security)),
          object_(object),
          executor_(std::move(on)),
          call_id_(call_id),
          opnum_(opnum) {}

    [[nodiscard]] const connection_info& connection() const noexcept { return *connection_; }
    [[nodiscard]] std::uint32_t call_id() const noexcept { return call_id_; }
    [[nodiscard]] std::uint16_t opnum() const noexcept { return opnum_; }
    /// @return the object UUID of the request, if it had one.
    [[nodiscard]] const std::optional<uuid>& object() const noexcept { return object_; }
    /// @return what the caller's security context proved: level, peer, session key; null for a call
    /// without.
    [[nodiscard]] const dcerpc::call_security* security() const noexcept { return security_.get(); }
    /// @return who calls, if a security context proved it; null otherwise. Anonymous callers are
    /// said to be so (`peer_identity::anonymous`).
    [[nodiscard]] const auth::peer_identity* caller() const noexcept {
        return security_ ? &security_->peer : nullptr;
    }
    /// @return how the call was protected on its way.
    [[nodiscard]] auth::authentication_level level() const noexcept {
        return security_ ? security_->level : auth::authentication_level::none;
    }
    /// @return the executor of the server; timers and work of a handler belong there.
    [[nodiscard]] const transport::executor& get_executor() const noexcept { return executor_; }

  private:
    std::shared_ptr<const connection_info> connection_;
    std::shared_ptr<const dcerpc::call_security> security_;
    std::optional<uuid> object_;
    transport::executor executor_;
    std::uint32_t call_id_;
    std::uint16_t opnum_;
};

} // namespace rpch::inline RPCH_ABI

#endif
