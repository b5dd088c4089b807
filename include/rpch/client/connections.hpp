// The two kinds of connection a client makes: a virtual connection through RPC proxies, and TCP.
#ifndef RPCH_CLIENT_CONNECTIONS_HPP
#define RPCH_CLIENT_CONNECTIONS_HPP

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <rpch/auth/http_handshake.hpp>
#include <rpch/channel/client.hpp>
#include <rpch/client/http_way.hpp>
#include <rpch/client/session.hpp>
#include <rpch/core/secret.hpp>
#include <rpch/http/body.hpp>
#include <rpch/http/head.hpp>
#include <rpch/http/response.hpp>
#include <rpch/transport/connector.hpp>
#include <rpch/transport/state_limit.hpp>
#include <rpch/transport/tls_context.hpp>

namespace rpch::inline RPCH_ABI::detail {

/// A client of `ncacn_http`: two channels to the RPC proxy and the machine between them.
class http_session final : public transport::channel_driver<channel::client>,
                           public client_session {
  public:
    /// @param proxy   where both channels go.
    /// @param target  server name and port for the request's query.
    /// @param tls     null for plain HTTP.
    /// @param way     null if there is no HTTP proxy on the way.
    http_session(std::shared_ptr<transport::strand_context> context, client_options options,
                 transport::host_port proxy, transport::host_port target,
                 std::shared_ptr<transport::tls_context> tls, std::shared_ptr<http_way> way,
                 core::secret authorization, channel::client machine, uuid session_id);
    ~http_session() override;

    void open() override;
    void close() override;
    std::shared_ptr<client_session> shared_session() override;

  protected:
    void open_leg(channel::leg which) override;
    bool past_preamble(channel::leg which, transport::link& from) override;
    void on_secured(transport::link& from) override;
    void on_closed(transport::link& from, std::error_code why) override;
    void deliver(const transport::pdu_ref& pdu) override;
    void produce() override;
    void promoted(channel::leg which) override;
    /// IN_R1/A5 and IN_R2/A5 must reach the inbound proxy, which closes the predecessor then.
    transport::link::farewell farewell_of(channel::leg which) const override {
        return which == channel::leg::in_http ? transport::link::farewell::after_peer
                                              : transport::link::farewell::at_once;
    }
    void failed(std::error_code why, channel::leg where, const std::string& detail) override;
    void set_port(std::uint16_t port) override { target_.port = port; }
    void kick_output() override { kick(); }
    std::string unfinished() const override;

  private:
    void start_machine();
    void on_way(std::error_code ec, bool through_proxy, const std::string& detail);
    /// @return the HTTP proxy that is used; null if none is.
    [[nodiscard]] const transport::host_port* http_proxy() const noexcept {
        return way_ && way_->through_proxy() ? &way_->proxy : nullptr;
    }
    void connect(channel::leg which, bool again = false);
    void on_connect(channel::leg which, std::error_code ec, transport::tcp::socket socket,
                    const std::string& detail);
    void limit_handshake(channel::leg which);
    void start_request(channel::leg which);
    void begin_request(channel::leg which);
    [[nodiscard]] result<std::string> head_for(channel::leg which, std::uint64_t content_length,
                                               std::string_view authorization) const;
    void send_leg(channel::leg which, const core::secret& authorization);
    void send_head(channel::leg which, std::string_view authorization);
    void read_leg_response(channel::leg which, transport::link& from);
    void on_leg_response(channel::leg which, const http::response_info& response);
    void begin_again(channel::leg which);
    void logon_failed(channel::leg which, std::error_code why);
    [[nodiscard]] bool skip_body(channel::leg which, transport::link& from);
    bool read_out_response(channel::leg which, transport::link& from);
    bool read_in_response(channel::leg which, transport::link& from);
    bool scan_response(transport::link& from, channel::leg which);
    void on_failure_response(const http::response_info& response, byte_view body,
                             channel::leg which);
    [[nodiscard]] bool out_may_tell() const;
    void wait_for_out(std::error_code why, std::string detail);
    void tell_in_end();
    [[nodiscard]] std::string channel_name(channel::leg which) const;
    void explain_silence(failure& out) const;
    [[nodiscard]] failure explain_end(std::error_code why, channel::leg where,
                                      const std::string& detail) const;

    transport::host_port proxy_;
    transport::host_port target_;
    std::shared_ptr<transport::tls_context> tls_;
    std::shared_ptr<http_way> way_;
    std::weak_ptr<way_finder> finder_; // its own operations keep it
    core::secret authorization_;
    uuid session_id_;
    /// What stands before and around the PDUs of one HTTP connection.
    struct http_side {
        std::weak_ptr<transport::connector> connector; // its own operations keep it
        transport::time_point connected_by{};          // or it took too long, TLS included
        std::optional<transport::timer> handshake_limit;
        http::head_scanner scanner;
        http::chunked_decoder chunks;
        std::uint64_t body_skip = 0; // of a response to a leg, and of an early 200 on IN
        bool is_open = false;        // OUT: the response head was read
        // NTLM and Negotiate.
        std::unique_ptr<auth::http_logon> logon;
        std::optional<http::body_reader> leg_body; // of a response that is chunked
        bool in_legs = false;                      // the request itself has not been sent yet
        bool tried_again = false;                  // on a connection after one that was closed
        std::string reservations;                  // of the logon, should it be refused
    };
    [[nodiscard]] http_side& side(channel::leg which);

    std::array<std::unique_ptr<http_side>, channel::leg_count> sides_;
    failure noted_; // a better explanation than the machine's, for the end that follows
    std::error_code association_ended_;
    channel::client::state reached_{}; // before the machine ended
    bool proxy_answered_ = false;      // on either channel, by a response head
    struct ending {
        std::error_code why;
        std::string detail;
    };
    std::optional<ending> in_end_; // of the IN channel, while the OUT channel may tell more
    transport::state_limit in_end_limit_;
    bool out_waits_for_in_ = false;     // to resume the TLS session of the IN channel
    transport::state_limit bind_limit_; // how long the server leaves binds unanswered
};

/// A client of `ncacn_ip_tcp`.
class tcp_session final : public transport::link_owner,
                          public client_session,
                          public std::enable_shared_from_this<tcp_session> {
  public:
    tcp_session(std::shared_ptr<transport::strand_context> context, client_options options,
                transport::host_port server);

    void open() override;
    void close() override;
    std::shared_ptr<client_session> shared_session() override { return shared_from_this(); }

    void on_secured(transport::link&) override {}
    void on_input(transport::link& from) override;
    void on_writable(transport::link&) override { kick_output(); }
    void on_closed(transport::link& from, std::error_code why) override;
    std::shared_ptr<transport::link_owner> keep_alive() override { return shared_from_this(); }

  protected:
    void set_port(std::uint16_t port) override { server_.port = port; }
    void kick_output() override;

  private:
    void end(std::error_code why, origin said_by, const std::string& detail);

    transport::host_port server_;
    std::weak_ptr<transport::connector> connector_; // its own operations keep it
    std::shared_ptr<transport::link> link_;
    transport::state_limit bind_limit_; // how long the server leaves binds unanswered
    bool busy_ = false;
};

} // namespace rpch::inline RPCH_ABI::detail

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/client/impl/connections.ipp>
    #include <rpch/client/impl/http_session.ipp>
#endif

#endif
