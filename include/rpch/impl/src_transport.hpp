// The bodies of transport and the facades: the rooms that know Asio and mbedTLS. One .ipp a line,
// sorted.
#ifndef RPCH_IMPL_SRC_TRANSPORT_HPP
#define RPCH_IMPL_SRC_TRANSPORT_HPP

#include <rpch/config.hpp>

#if defined(RPCH_HEADER_ONLY)
    #error "define RPCH_SEPARATE_COMPILATION for the whole program, then compile this"
#endif

#include <rpch/client/impl/association.ipp>
#include <rpch/client/impl/connections.ipp>
#include <rpch/client/impl/endpoint_list.ipp>
#include <rpch/client/impl/http_session.ipp>
#include <rpch/client/impl/http_way.ipp>
#include <rpch/client/impl/resolve.ipp>
#include <rpch/client/impl/session.ipp>
#include <rpch/proxy/impl/backend.ipp>
#include <rpch/proxy/impl/http_front.ipp>
#include <rpch/proxy/impl/proxy.ipp>
#include <rpch/proxy/impl/routes.ipp>
#include <rpch/proxy/impl/sessions.ipp>
#include <rpch/proxy/impl/tcp_backend.ipp>
#include <rpch/server/impl/context_handles.ipp>
#include <rpch/server/impl/served_calls.ipp>
#include <rpch/server/impl/server.ipp>
#include <rpch/server/impl/service_settings.ipp>
#include <rpch/server/impl/services.ipp>
#include <rpch/server/impl/sessions.ipp>
#include <rpch/transport/impl/certificate.ipp>
#include <rpch/transport/impl/connector.ipp>
#include <rpch/transport/impl/context_member.ipp>
#include <rpch/transport/impl/credential_cache.ipp>
#include <rpch/transport/impl/hmac_sha256.ipp>
#include <rpch/transport/impl/kerberos.ipp>
#include <rpch/transport/impl/link.ipp>
#include <rpch/transport/impl/link_output.ipp>
#include <rpch/transport/impl/listener.ipp>
#include <rpch/transport/impl/ntlm_environment.ipp>
#include <rpch/transport/impl/password_hash.ipp>
#include <rpch/transport/impl/pem_file.ipp>
#include <rpch/transport/impl/random.ipp>
#include <rpch/transport/impl/rendezvous.ipp>
#include <rpch/transport/impl/self_signed.ipp>
#include <rpch/transport/impl/tcp_keep_alive.ipp>
#include <rpch/transport/impl/tls_context.ipp>
#include <rpch/transport/impl/tls_engine.ipp>
#include <rpch/transport/impl/trust_store.ipp>
#include <rpch/transport/impl/users_file.ipp>

#endif
