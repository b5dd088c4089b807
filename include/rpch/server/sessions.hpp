// The connections of a server: virtual connections behind RPC proxies, and plain TCP.
#ifndef RPCH_SERVER_SESSIONS_HPP
#define RPCH_SERVER_SESSIONS_HPP

#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <unordered_set>
#include <vector>

#include <rpch/server/served_calls.hpp>
#include <rpch/server/server_settings.hpp>
#include <rpch/transport/link.hpp>
#include <rpch/transport/rendezvous.hpp>
#include <rpch/transport/state_limit.hpp>

namespace rpch::inline RPCH_ABI::detail {

class tcp_connection;

/// What the connections of one server share. Lives as long as the last of them.
struct server_shared {
    explicit server_shared(const transport::executor& on, std::uint32_t first_group)
        : context(std::make_shared<transport::strand_context>(on)),
          interfaces(std::make_shared<served_interfaces>(first_group)) {}

    std::shared_ptr<transport::strand_context> context;
    std::shared_ptr<served_interfaces> interfaces;
    server_settings settings;
    std::size_t tcp_connections = 0; // ncacn_ip_tcp
    std::unordered_set<tcp_connection*> live;
    /// The virtual connections.
    std::shared_ptr<transport::rendezvous> halves;

    [[nodiscard]] std::size_t connections() const noexcept {
        return tcp_connections + halves->connections();
    }

    void log(const std::string& line) const {
        if (settings.log) settings.log(line);
    }
};

/// Counts one TCP connection of a server as long as it lives.
class connection_count {
  public:
    explicit connection_count(std::shared_ptr<server_shared> shared) : shared_(std::move(shared)) {
        ++shared_->tcp_connections;
    }
    connection_count(const connection_count&) = delete;
    connection_count& operator=(const connection_count&) = delete;
    ~connection_count() { --shared_->tcp_connections; }

  private:
    std::shared_ptr<server_shared> shared_;
};

/// The server's end of a virtual connection and its calls.
class virtual_connection final : public transport::server_side, public call_sink {
  public:
    virtual_connection(std::shared_ptr<server_shared> shared,
                       std::shared_ptr<transport::rendezvous> at, const rts::cookie& cookie);
    void end() override;

    void respond(std::uint32_t call_id, std::vector<std::byte> stub) override;
    void fault(std::uint32_t call_id, rpc_status status) override;

  protected:
    void deliver(const transport::pdu_ref& pdu) override;
    void opened() override;
    void produce() override;
    void failed(std::error_code why, channel::leg where, const std::string& detail) override;
    std::string unfinished() const override { return calls_.unfinished(); }

  private:
    std::shared_ptr<virtual_connection> self() {
        return std::static_pointer_cast<virtual_connection>(shared_from_this());
    }

    std::shared_ptr<server_shared> shared_;
    served_calls calls_;
    std::error_code association_ended_;
    transport::state_limit handshake_limit_;
    transport::state_limit request_limit_; // while the rest of a request is still to come
    bool has_news_ = false;                // PDUs that may be of it
    std::size_t withheld_ = 0; // consumed and not yet said so: the calls have enough to do
};

/// A client on `ncacn_ip_tcp`.
class tcp_connection final : public transport::link_owner,
                             public call_sink,
                             public std::enable_shared_from_this<tcp_connection> {
  public:
    tcp_connection(std::shared_ptr<server_shared> shared, std::string client_address);
    ~tcp_connection() override;
    void start(transport::tcp::socket socket);
    void end();

    void on_secured(transport::link&) override {}
    void on_input(transport::link& from) override;
    void on_writable(transport::link& from) override;
    void on_closed(transport::link& from, std::error_code why) override;
    std::shared_ptr<transport::link_owner> keep_alive() override { return shared_from_this(); }

    void respond(std::uint32_t call_id, std::vector<std::byte> stub) override;
    void fault(std::uint32_t call_id, rpc_status status) override;

  private:
    void send() { work(false); }
    void work(bool has_input);
    [[nodiscard]] std::error_code take_input();
    void watch_setup();
    void watch_request(bool has_news);
    [[nodiscard]] std::error_code write_output();
    void pause();
    void watch_stall();
    void on_stall_timer();
    void note_progress();
    void finish(std::error_code why, const std::string& detail = {});
    void closed(std::error_code why);
    void log(std::error_code why, const std::string& detail = {}) const;

    std::shared_ptr<server_shared> shared_;
    served_calls calls_;
    std::shared_ptr<transport::link> link_;
    transport::state_limit setup_limit_;   // while a bind or a leg of a handshake is still to come
    transport::state_limit request_limit_; // while the rest of a request is
    transport::timer stall_timer_;         // of pauses, and of output that waits
    transport::time_point progress_{};     // of a pause: a call was answered, or an answer written
    transport::time_point taken_{}; // of output that waits: since when, or some of it written
    connection_count count_;
    bool busy_ = false;
    bool paused_ = false;       // the calls have enough to do
    bool output_waits_ = false; // for a client that takes none
    bool watching_ = false;     // the timer runs
};

} // namespace rpch::inline RPCH_ABI::detail

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/server/impl/sessions.ipp>
#endif

#endif
