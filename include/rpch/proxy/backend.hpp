// The server role in front of a plain DCE/RPC server: RPC over HTTP ends here.
#ifndef RPCH_PROXY_BACKEND_HPP
#define RPCH_PROXY_BACKEND_HPP

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <system_error>

#include <rpch/proxy/routes.hpp>
#include <rpch/proxy/tcp_backend.hpp>
#include <rpch/transport/rendezvous.hpp>

namespace rpch::inline RPCH_ABI::detail {

struct backend_settings {
    tcp_backend where;
    std::chrono::milliseconds connect_wait;
    std::chrono::milliseconds first_pdu_wait;
    std::uint32_t receive_window; ///< Of IN channels, bytes.
    // Of the server role, see channel::server_settings.
    std::chrono::milliseconds pairing_wait;
    std::chrono::milliseconds replacement_wait;
    std::chrono::milliseconds blocked_wait;
    std::uint64_t replace_out_below;
    std::function<void(const std::string& line)> log;
};

/// One server on `ncacn_ip_tcp`, with the virtual connections that lead to it.
class backend : public std::enable_shared_from_this<backend> {
  public:
    static std::shared_ptr<backend> make(std::shared_ptr<transport::strand_context> context,
                                         std::uint64_t hash_seed, backend_settings settings);

    /// Gives a channel its link to the server role. The first channel of a virtual connection makes
    /// the TCP connection, and both wait for that: a server that is not there is told to the client
    /// as one that the proxy itself cannot reach.
    cancel_function connect(const wanted_link& wanted, link_handler done);

    [[nodiscard]] const backend_settings& settings() const noexcept { return settings_; }
    [[nodiscard]] std::string address() const;

  private:
    explicit backend(backend_settings settings) : settings_(std::move(settings)) {}

    backend_settings settings_;
    std::shared_ptr<transport::rendezvous> halves_;
};

/// A virtual connection and its TCP connection. What comes on one goes out on the other: towards
/// the server as fast as its socket takes it, which the client's window follows; towards the client
/// as far as the outbound proxy's window allows, else the socket is not read.
class backend_connection final : public transport::server_side {
  public:
    backend_connection(std::shared_ptr<backend> owner, std::shared_ptr<transport::rendezvous> at,
                       const rts::cookie& cookie);
    /// See `backend::connect`.
    cancel_function admit(const wanted_link& wanted, link_handler done);
    void end() override;

  protected:
    void deliver(const transport::pdu_ref& pdu) override;
    void opened() override;
    void produce() override;
    void failed(std::error_code why, channel::leg where, const std::string& detail) override;

  private:
    /// The owner of the TCP link; lives in the connection and keeps it alive.
    class tcp_end final : public transport::link_owner {
      public:
        explicit tcp_end(backend_connection& in) : in_(in) {}
        void on_secured(transport::link&) override {}
        void on_input(transport::link&) override { in_.kick(); }
        void on_writable(transport::link&) override { in_.kick(); }
        void on_closed(transport::link& from, std::error_code why) override {
            in_.on_server_closed(from, why);
        }
        std::shared_ptr<transport::link_owner> keep_alive() override { return {in_.self(), this}; }

      private:
        backend_connection& in_;
    };
    /// A channel that waits for the TCP connection.
    struct waiting_channel {
        std::uint64_t id;
        transport::link_owner* owner; // kept alive by `done`
        std::string client;
        link_handler done;
    };

    std::shared_ptr<backend_connection> self() {
        return std::static_pointer_cast<backend_connection>(shared_from_this());
    }
    void connect();
    void on_connect(std::error_code ec, std::shared_ptr<transport::link> made,
                    const std::string& detail);
    void let_in();
    void forget(std::uint64_t id);
    void on_server_closed(const transport::link& from, std::error_code why);
    void pull_answers();
    void broken(std::error_code why, std::string detail);

    std::shared_ptr<backend> backend_;
    tcp_end end_;
    std::shared_ptr<transport::link> tcp_;
    cancel_function cancel_connect_;
    std::deque<waiting_channel> waiting_;
    std::uint64_t last_id_ = 0;
    bool admitted_ = false;     // a channel was given its link
    bool paused_ = false;       // the server is not read, because the client's window is full
    bool server_ended_ = false; // it was the server, or what it sent, that ended the connection
};

} // namespace rpch::inline RPCH_ABI::detail

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/proxy/impl/backend.ipp>
#endif

#endif
