// The bodies of the rooms below transport: no socket, clock, thread or Asio. One .ipp a line,
// sorted.
#ifndef RPCH_IMPL_SRC_PROTOCOL_HPP
#define RPCH_IMPL_SRC_PROTOCOL_HPP

#include <rpch/config.hpp>

#if defined(RPCH_HEADER_ONLY)
    #error "define RPCH_SEPARATE_COMPILATION for the whole program, then compile this"
#endif

#include <rpch/auth/impl/basic.ipp>
#include <rpch/auth/impl/http_handshake.ipp>
#include <rpch/auth/impl/md4.ipp>
#include <rpch/auth/impl/ntlm.ipp>
#include <rpch/auth/impl/ntlm_crypto.ipp>
#include <rpch/auth/impl/ntlm_messages.ipp>
#include <rpch/auth/impl/ntlm_text.ipp>
#include <rpch/auth/impl/offers.ipp>
#include <rpch/auth/impl/rc4.ipp>
#include <rpch/auth/impl/spnego.ipp>
#include <rpch/auth/impl/users_file.ipp>
#include <rpch/channel/impl/client.ipp>
#include <rpch/channel/impl/inbound_proxy.ipp>
#include <rpch/channel/impl/outbound_proxy.ipp>
#include <rpch/channel/impl/sending_channel.ipp>
#include <rpch/channel/impl/server.ipp>
#include <rpch/channel/impl/window.ipp>
#include <rpch/core/impl/base64.ipp>
#include <rpch/dcerpc/impl/association_groups.ipp>
#include <rpch/dcerpc/impl/bind_pdu.ipp>
#include <rpch/dcerpc/impl/call_pdu.ipp>
#include <rpch/dcerpc/impl/client_association.ipp>
#include <rpch/dcerpc/impl/common_header.ipp>
#include <rpch/dcerpc/impl/reassembly.ipp>
#include <rpch/dcerpc/impl/sec_trailer.ipp>
#include <rpch/dcerpc/impl/security.ipp>
#include <rpch/dcerpc/impl/server_association.ipp>
#include <rpch/dcerpc/impl/server_binding.ipp>
#include <rpch/dcerpc/impl/string_binding.ipp>
#include <rpch/dcerpc/impl/verification_trailer.ipp>
#include <rpch/http/impl/body.ipp>
#include <rpch/http/impl/channel_request.ipp>
#include <rpch/http/impl/eeinfo.ipp>
#include <rpch/http/impl/head.ipp>
#include <rpch/http/impl/response.ipp>
#include <rpch/http/impl/status.ipp>
#include <rpch/http/impl/write.ipp>
#include <rpch/impl/error.ipp>
#include <rpch/ndr/impl/decoder.ipp>
#include <rpch/proxy/impl/valid_ports.ipp>
#include <rpch/rts/impl/client_address.ipp>
#include <rpch/rts/impl/codec.ipp>
#include <rpch/rts/impl/shape.ipp>
#include <rpch/services/impl/endpoint_map.ipp>
#include <rpch/services/impl/endpoint_mapper.ipp>
#include <rpch/services/impl/mgmt.ipp>
#include <rpch/services/impl/rpcecho.ipp>
#include <rpch/services/impl/tower.ipp>

#endif
