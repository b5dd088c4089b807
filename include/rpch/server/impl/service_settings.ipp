#include <rpch/server/service_settings.hpp>

#include <system_error>

#include <asio/ip/address.hpp>

namespace rpch::inline RPCH_ABI::detail {

RPCH_DECL services::caller caller_of(const call_context& call) {
    const connection_info& from = call.connection();
    services::caller who;
    who.address = from.client_address;
    who.level = call.level();
    if (const auth::peer_identity* proved = call.caller(); proved && !proved->anonymous) {
        who.user = proved->user;
        who.domain = proved->domain;
    }
    if (from.protocol != protocol_sequence::ncacn_ip_tcp) return who;
    std::error_code ec;
    const auto peer = asio::ip::make_address(from.client_address, ec);
    who.local = !ec && peer.is_loopback();
    const auto reached = asio::ip::make_address(from.server_address, ec);
    if (!ec && reached.is_v4()) who.reached = reached.to_v4().to_bytes();
    return who;
}

} // namespace rpch::inline RPCH_ABI::detail
