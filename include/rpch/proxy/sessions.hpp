// The connections of a proxy: HTTP requests until they are understood, then one role each.
#ifndef RPCH_PROXY_SESSIONS_HPP
#define RPCH_PROXY_SESSIONS_HPP

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>

#include <rpch/auth/http_handshake.hpp>
#include <rpch/auth/users_file.hpp>
#include <rpch/channel/inbound_proxy.hpp>
#include <rpch/channel/outbound_proxy.hpp>
#include <rpch/http/channel_request.hpp>
#include <rpch/http/head.hpp>
#include <rpch/proxy/proxy_settings.hpp>
#include <rpch/proxy/routes.hpp>
#include <rpch/proxy/valid_ports.hpp>
#include <rpch/transport/channel_driver.hpp>
#include <rpch/transport/connector.hpp>
#include <rpch/transport/context_member.hpp>
#include <rpch/transport/credential_cache.hpp>
#include <rpch/transport/tls_context.hpp>

#include <asio/thread_pool.hpp>

namespace rpch::inline RPCH_ABI::detail {

/// Anything a closing proxy must end.
template <class Machine>
class proxy_session;

class proxy_connection {
  public:
    virtual ~proxy_connection() = default;
    virtual void end() = 0;
};

/// Rules and users; replaced as a whole by a reload, so that a request sees one state of both.
struct access_rules {
    valid_ports targets;
    auth::users_file users;
};

/// What the connections of one proxy share. Lives as long as the last of them.
struct proxy_shared final : transport::context_member, std::enable_shared_from_this<proxy_shared> {
    proxy_shared(std::shared_ptr<transport::strand_context> on, std::uint64_t hash_seed)
        : context_member(on->on),
          context(std::move(on)),
          owners(16, rts::cookie_hash{hash_seed}),
          inbound(16, rts::cookie_hash{hash_seed}),
          outbound(16, rts::cookie_hash{hash_seed}) {}

    /// Ends the threads, which hand their results to the strand.
    void on_context_shutdown() override;

    std::shared_ptr<transport::strand_context> context;
    proxy_settings settings;
    connect_function connect;
    std::shared_ptr<const access_rules> rules;
    transport::credential_cache verified;
    /// One thread for password derivation, which takes tens of milliseconds; only with Basic.
    std::unique_ptr<asio::thread_pool> workers;
    std::size_t connections = 0;
    std::size_t derivations = 0;
    std::unordered_set<proxy_connection*> live;

    /// The user each virtual connection belongs to, counted by channels: IN and OUT of one must be
    /// the same person's.
    struct owner {
        std::string user;
        std::size_t channels = 0;
    };
    std::unordered_map<rts::cookie, owner, rts::cookie_hash> owners;

    /// The open channels of each role by virtual connection, 3.2.1.1.2: where a replacement that
    /// comes to the same proxy belongs (IN_R2, OUT_R2). The roles have a table each: one proxy may
    /// play both for the same virtual connection.
    template <class Machine>
    using channel_table =
        std::unordered_map<rts::cookie, proxy_session<Machine>*, rts::cookie_hash>;
    channel_table<channel::inbound_proxy> inbound;
    channel_table<channel::outbound_proxy> outbound;
    template <class Machine>
    [[nodiscard]] channel_table<Machine>& table() noexcept {
        if constexpr (std::is_same_v<Machine, channel::inbound_proxy>)
            return inbound;
        else
            return outbound;
    }

    void log(const std::string& line) const {
        if (settings.log) settings.log(line);
    }
    [[nodiscard]] bool claim(const rts::cookie& virtual_connection, const std::string& user);
    void release(const rts::cookie& virtual_connection);
};

/// A channel request that was understood and allowed.
struct allowed_request {
    http::channel_method method{};
    std::uint64_t content_length = 0;
    std::optional<std::uint32_t> min_connection_timeout_s;
    transport::host_port target;
    std::string user;         ///< Empty for anonymous.
    std::string authenticate; ///< For the response to an OUT channel: proves us to the client.
    std::string client;       ///< Address for logs.
    rts::client_address client_address;
};

/// An HTTP connection until a channel request came: TLS, heads, echo, authentication, rules.
class http_connection final : public transport::link_owner,
                              public proxy_connection,
                              public std::enable_shared_from_this<http_connection> {
  public:
    explicit http_connection(std::shared_ptr<proxy_shared> shared);
    ~http_connection() override;
    /// @param tls  null for plain HTTP.
    void start(transport::tcp::socket socket, const std::shared_ptr<transport::tls_context>& tls);
    void end() override;

    void on_secured(transport::link&) override {}
    void on_input(transport::link& from) override;
    void on_writable(transport::link& from) override { from.flush(); }
    void on_closed(transport::link& from, std::error_code why) override;
    std::shared_ptr<transport::link_owner> keep_alive() override { return shared_from_this(); }

  private:
    enum class verdict : std::uint8_t { proceed, answered, pending };

    void arm_timer();
    bool handle_head();
    void judge(const http::request_head& head, std::size_t head_bytes);
    verdict authenticate(const http::request_info& request, std::size_t head_bytes);
    verdict shake_hands(const http::request_info& request, std::size_t head_bytes);
    verdict next_leg(const http::request_info& request, std::size_t head_bytes,
                     std::string_view challenge);
    verdict verify(const http::request_info& request, std::size_t head_bytes);
    void on_verified(bool right);
    void demand_credentials(const http::request_info& request, std::size_t head_bytes);
    void answer_unauthorized(const std::string& response, std::uint64_t body_bytes,
                             std::size_t head_bytes);
    void answer_echo(const http::request_info& request, std::size_t head_bytes);
    void open_channel(const http::request_info& request, std::size_t head_bytes);
    void answer_and_finish(const std::string& response, const std::string& why);

    std::shared_ptr<proxy_shared> shared_;
    std::shared_ptr<transport::link> link_;
    transport::timer timer_;
    http::head_scanner scanner_;
    std::uint64_t skip_ = 0; // body bytes of an answered request
    std::string client_;     // address, for logs
    std::string user_;       // verified
    bool has_user_ = false;  // user_ is good for the request being judged
    bool verifying_ = false;
    bool within_head_ = false; // some of a request has come, not all
    int attempts_ = 0;

    auth::http_acceptance handshake_;
    /// Who a handshake has shown to be at the other end of this TCP connection.
    std::optional<std::string> bound_user_;
    std::string authenticate_; // goes into the success response to the request being judged
    int legs_ = 0;             // answered with a token since the last success
};

/// What both roles of a proxy have in common: the HTTP leg they were given, the leg to the server
/// that they open.
template <class Machine>
class proxy_session : public transport::channel_driver<Machine>, public proxy_connection {
  public:
    proxy_session(std::shared_ptr<proxy_shared> shared, allowed_request request, Machine machine,
                  channel::leg http_leg, channel::leg tcp_leg);
    ~proxy_session() override;
    /// Takes over the link; PDUs may be in its input already.
    void start(std::shared_ptr<transport::link> from);
    /// Takes the link of a fresh request whose first PDU replaces this channel.
    void adopt(std::shared_ptr<transport::link> from, const allowed_request& request);
    void end() override;

  protected:
    void open_leg(channel::leg which) override;
    bool past_preamble(channel::leg which, transport::link& from) override;
    void settled() override;
    void promoted(channel::leg which) override;
    void answer_success(channel::leg to, std::uint32_t content_length) override;
    void refuse(channel::leg to, rpc_status status) override;
    void opened() override;
    void failed(std::error_code why, channel::leg where, const std::string& detail) override;
    [[nodiscard]] std::string unfinished() const override;

  private:
    void on_connect(std::error_code ec, std::shared_ptr<transport::link> made,
                    const std::string& detail);
    [[nodiscard]] std::string label() const;
    bool place(transport::link& from);
    void place_again();
    template <class FirstPdu>
    bool place_successor(const FirstPdu& first);
    void leave_table();

    std::shared_ptr<proxy_shared> shared_;
    allowed_request request_;
    cancel_function cancel_connect_;
    channel::leg http_leg_;
    channel::leg tcp_leg_;
    std::weak_ptr<proxy_session> waiting_; // a request that replaces this channel once it may
    bool claimed_ = false;
    bool banner_done_ = false;
    bool placed_ = false; // the first PDU showed that this is a channel of its own
    bool in_table_ = false;
};

} // namespace rpch::inline RPCH_ABI::detail

#include <rpch/proxy/impl/proxy_session.hpp>

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/proxy/impl/sessions.ipp>
#endif

#endif
