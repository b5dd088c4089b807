// Every size, count and wait that a peer can influence has its maximum here, with default, unit and
// section. Settings of the facades start from these values.
#ifndef RPCH_LIMITS_HPP
#define RPCH_LIMITS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <rpch/config.hpp>

namespace rpch::inline RPCH_ABI::limits {

// DCE/RPC, [C706] 12.6 and [MS-RPCE].
/// Largest fragment we offer in bind, in bytes; what Windows offers. [MS-RPCE] 3.3.1.5.3.
inline constexpr std::uint16_t fragment_bytes_default = 5840;
/// Every implementation must be able to receive this, in bytes. [C706] 12.6.3.1.
inline constexpr std::uint16_t fragment_bytes_min = 1432;
/// What a server takes a client to mean that proposes less than fragment_bytes_min, in bytes; as
/// Windows does.
inline constexpr std::uint16_t fragment_bytes_unproposed = 2048;
/// The largest that frag_length can say, in bytes.
inline constexpr std::uint32_t fragment_bytes_max = 0xFFFF;
/// Total stub bytes of one reassembled request or response.
inline constexpr std::size_t call_bytes_max = std::size_t{128} << 20;
/// Stub bytes of all calls of one connection that are still being reassembled.
inline constexpr std::size_t reassembly_bytes_max = std::size_t{256} << 20;
/// Calls of one connection that are running or being reassembled.
inline constexpr std::size_t calls_max = 1024;
/// Presentation contexts that one of our clients makes on a connection.
inline constexpr std::size_t contexts_max = 64;
/// Presentation contexts of one connection of a server, for each interface that it has.
/// [MS-RPCE] 3.3.3.5.5.
inline constexpr std::size_t contexts_per_interface_max = 4000;
/// Transfer syntaxes of one presentation context in a bind.
inline constexpr std::size_t transfer_syntaxes_max = 16;
/// Bytes of one authentication token (sec_trailer's auth_value).
inline constexpr std::size_t auth_token_bytes_max = 16 * 1024;
/// Bytes of one signature of a protected PDU; Kerberos with AES needs 76.
inline constexpr std::size_t signature_bytes_max = 512;
/// Security contexts that a client builds on one connection, those that failed included. [MS-RPCE]
/// 3.3.1.5.4 allows no more.
inline constexpr std::size_t client_security_contexts_max = 2000;
/// Security contexts of one connection that a server takes; the number that Windows allows.
inline constexpr std::size_t server_security_contexts_max = 2049;
/// Security contexts of one connection of a server that may fail in an auth3, which is not answered
/// and leaves the connection open: each is a guess at a password.
inline constexpr std::size_t failed_handshakes_max = 16;
/// Connections of one client to one server: of one association group. [C706] 9.5.1.
inline constexpr std::size_t association_connections_max = 64;
/// After a further connection of an association could not be opened, until the next attempt.
inline constexpr std::chrono::seconds further_connection_wait{30};
/// Context handles of one association group, and of a server; more are refused with
/// nca_s_fault_remote_no_memory. What stands behind one may be large. [C706] 5.1.6.
inline constexpr std::size_t context_handles_per_group_max = 4096;
inline constexpr std::size_t context_handles_max = 100'000;
/// Stub bytes of one connection's calls that are executed or whose answers wait to be sent: above
/// it a server reads no more from the connection.
inline constexpr std::size_t pending_bytes_max = std::size_t{16} << 20;
/// How long a server may take to answer a cancelled call before the client gives it up.
inline constexpr std::chrono::milliseconds cancel_wait{5000};
/// Pairs of the TargetInfo of an NTLM message; ten are defined. [MS-NLMP] 2.2.2.1.
inline constexpr std::size_t ntlm_av_pairs_max = 32;
/// Bytes of a user, domain or workstation name of an NTLM message, as sent. Windows has at most 256
/// characters in each.
inline constexpr std::size_t ntlm_name_bytes_max = 1024;
/// Bytes of a token that a server of NTLM takes: as many as Windows has room for.
inline constexpr std::size_t ntlm_token_bytes_max = 2888;
/// Mechanisms of one SPNEGO token; Windows offers four. RFC 4178 4.2.1.
inline constexpr std::size_t spnego_mechanisms_max = 16;
/// Answers and notices that a peer made one association queue and does not read, bytes.
inline constexpr std::size_t control_bytes_max = 256 * 1024;

// Endpoint mapper, [C706] appendix O.
/// Endpoints that one endpoint map holds.
inline constexpr std::size_t endpoints_max = 4096;
/// Entries of one ept_insert or ept_delete.
inline constexpr std::size_t endpoint_entries_max = 256;
/// Endpoints that a client takes from a mapper that lists them, and answers it asks for.
inline constexpr std::size_t listed_endpoints_max = 16 * 1024;
inline constexpr std::size_t listed_pages_max = 1024;

// RTS, [MS-RPCH] 2.2.
/// An RTS PDU above this is refused before it is buffered, in bytes. The largest one the tables
/// define has 140; only Padding could make a bigger one.
inline constexpr std::size_t rts_pdu_bytes_max = 4096;
/// Commands of one RTS PDU; the tables need 7.
inline constexpr std::size_t rts_commands_max = 16;
/// ReceiveWindowSize, bytes. [MS-RPCH] 2.2.3.5.1.
inline constexpr std::uint32_t receive_window_min = 8 * 1024;
inline constexpr std::uint32_t receive_window_max = 256 * 1024;
/// RTS PDUs that wait for the successor of a channel; conforming peers cause five at most.
inline constexpr std::size_t held_rts_max = 16;
/// ConnectionTimeout, milliseconds. [MS-RPCH] 2.2.3.5.3.
inline constexpr std::uint32_t connection_timeout_min_ms = 120'000;
inline constexpr std::uint32_t connection_timeout_max_ms = 14'400'000;
/// Channel lifetime and Content-Length of a channel, bytes. [MS-RPCH] 2.1.2.1.1, 2.2.3.5.5.
inline constexpr std::uint32_t channel_lifetime_min = 128 * 1024;
inline constexpr std::uint32_t channel_lifetime_max = 0x8000'0000;
inline constexpr std::uint32_t channel_lifetime_default = 0x4000'0000;
/// ClientKeepalive, milliseconds; 0 on the wire means the default. [MS-RPCH] 2.2.3.5.6.
inline constexpr std::uint32_t client_keepalive_min_ms = 60'000;
inline constexpr std::uint32_t client_keepalive_default_ms = 300'000;
/// KeepAlive interval of a client's application; the text has no bound. [MS-RPCH] 3.2.2.2.2.
inline constexpr std::chrono::seconds keep_alive_min{1};
/// Ping traffic a server accepts from an outbound proxy: bytes within the window below. Note B17.
inline constexpr std::uint32_t ping_traffic_bytes_max = 8 * 1024;
inline constexpr std::chrono::minutes ping_traffic_window{4};

// HTTP, [MS-RPCH] 2.1.
/// A request or response head with all its lines, bytes.
inline constexpr std::size_t http_head_bytes_max = 16 * 1024;
inline constexpr std::size_t http_headers_max = 64;
/// The request target, bytes; server-name is below 1024 characters. [MS-RPCH] 2.2.2.
inline constexpr std::size_t http_target_bytes_max = 2048;
inline constexpr std::size_t server_name_chars_max = 1023;
/// The status line of a failure response, bytes. [MS-RPCH] 2.1.2.1.3.
inline constexpr std::size_t reason_line_bytes_max = 1024;
/// A request with a Content-Length up to this is an echo request. [MS-RPCH] 2.1.2.1.5.
inline constexpr std::uint64_t echo_content_length_max = 16;
/// The body of a failure response that we keep, bytes.
inline constexpr std::size_t http_error_body_bytes_max = 8 * 1024;
/// One chunk line with its extensions, and all trailer lines of a chunked body, bytes.
/// RFC 9112 7.1.
inline constexpr std::size_t http_chunk_line_bytes_max = 256;
inline constexpr std::size_t http_trailer_bytes_max = 4096;
/// Records of a failure response, and parameters of one record. [MS-EERR] 2.2.1.8.
inline constexpr std::size_t eeinfo_records_max = 16;
inline constexpr std::size_t eeinfo_params_max = 4;
/// Name and password of the Basic scheme with the colon between them, bytes.
inline constexpr std::size_t basic_credentials_bytes_max = 1024;
/// Legs of one NTLM or Negotiate handshake; NTLM has two, SPNEGO four at most in practice.
inline constexpr int http_auth_legs_max = 10;
/// Challenges of one 401 that are looked at.
inline constexpr std::size_t auth_offers_max = 16;

// Files and settings of operators.
/// Users of a users file with its comments, and one line of it, bytes.
inline constexpr std::size_t users_max = 100'000;
inline constexpr std::size_t users_line_bytes_max = 4096;
/// Entries of a ValidPorts string.
inline constexpr std::size_t valid_ports_entries_max = 1024;

// TLS and secrets.
/// Ciphertext of one connection that waits to be sent, before no more plaintext is taken, bytes.
/// One record may come on top.
inline constexpr std::size_t tls_output_bytes_max = 64 * 1024;
/// Sessions a client context remembers, one for each server name and port.
inline constexpr std::size_t tls_client_sessions_max = 256;
/// A PEM file (certificate, key, bundle of authorities), bytes.
inline constexpr std::size_t pem_bytes_max = std::size_t{4} << 20;
/// A password, bytes.
inline constexpr std::size_t password_bytes_max = 1024;
/// PBKDF2 iterations of a new password hash, and the most that a stored one may ask for.
inline constexpr std::uint32_t password_iterations_default = 100'000;
inline constexpr std::uint32_t password_iterations_max = 2'000'000;
/// Verified credentials that are remembered, and for how long.
inline constexpr std::size_t verified_credentials_max = 4096;
inline constexpr std::chrono::seconds verified_credential_lifetime{60};

// NDR, [C706] 14.
/// Elements of one array whose type names no maximum of its own.
inline constexpr std::size_t ndr_elements_max = call_bytes_max;
/// Units of one string, terminator included, whose type names no maximum of its own.
inline constexpr std::size_t ndr_string_units_max = std::size_t{16} << 20;
/// Pointers followed from one to the next; what a list or tree can be deep.
inline constexpr std::size_t ndr_depth_max = 128;
/// Bytes of memory a decoder takes for one stub: the base, and so many for each byte of the stub.
inline constexpr std::size_t ndr_decoded_bytes_base = 64 * 1024;
inline constexpr std::size_t ndr_decoded_bytes_per_stub_byte = 32;

// Waits.
/// The longest: what is set to more counts as this much, a hundred years, since a clock of
/// nanoseconds does not hold all milliseconds.
inline constexpr std::chrono::hours wait_max{876'000};
/// From TCP accept to the end of the first request head and its first PDU.
inline constexpr std::chrono::seconds first_pdu_wait{30};
/// Until both halves of a virtual connection have met; the text allows 15 minutes. 3.2.5.2.1.
inline constexpr std::chrono::seconds pairing_wait{60};
/// Until a client's virtual connection is open.
inline constexpr std::chrono::seconds open_wait{120};
/// From the first PDU of a channel's replacement to the last one; the text has a limit of 15
/// minutes for one of its states (3.2.5.6.1) and none for the others.
inline constexpr std::chrono::minutes replacement_wait{15};
/// How long RPC PDUs may wait for a peer that acknowledges nothing, and a server for a client that
/// takes no answers, or sends nothing more of a request that it began.
inline constexpr std::chrono::minutes blocked_wait{15};
/// A successor that cannot be opened is tried so often, after a pause that doubles each time.
inline constexpr int successor_tries_max = 6;
inline constexpr std::chrono::seconds successor_retry_wait{1};
/// One attempt to connect: name resolution, TCP with all addresses of the name, and at a client the
/// TLS handshake behind them.
inline constexpr std::chrono::seconds connect_wait{30};
/// How much later than the way through an HTTP proxy the direct one may answer, 3.2.2.2.3.
inline constexpr std::chrono::milliseconds direct_answer_wait{200};

} // namespace rpch::inline RPCH_ABI::limits

#endif
