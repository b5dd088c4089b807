// Where the two halves of virtual connections meet: the server role's table, and who comes to it.
#ifndef RPCH_TRANSPORT_RENDEZVOUS_HPP
#define RPCH_TRANSPORT_RENDEZVOUS_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <unordered_set>

#include <rpch/channel/server.hpp>
#include <rpch/limits.hpp>
#include <rpch/rts/cookie.hpp>
#include <rpch/transport/channel_driver.hpp>
#include <rpch/transport/link.hpp>

namespace rpch::inline RPCH_ABI::transport {

/// The legacy server response, [MS-RPCH] 2.1.1.2.1: the first thing on every accepted connection.
inline constexpr std::string_view server_banner = "ncacn_http/1.0";

class rendezvous;
class newcomer;

/// The server role's end of a virtual connection: both halves and the machine. A subclass is the
/// layer above. Its rendezvous knows it as long as it lives.
class server_side : public channel_driver<channel::server> {
  public:
    server_side(std::shared_ptr<rendezvous> at, const rts::cookie& virtual_connection,
                const channel::server_settings& settings);
    ~server_side() override;
    /// The machine's first event; the setup deadline runs from here.
    void start();
    /// Gives the connection one of its halves, with the half's first PDU still in its input.
    void adopt(channel::leg half, std::shared_ptr<link> from);
    /// Keeps a newcomer whose turn comes when the replacement under way is done.
    /// @return false if another one is waiting already.
    [[nodiscard]] bool hold(const std::shared_ptr<newcomer>& waiting);
    /// Closes both halves, because the facade closes.
    virtual void end() = 0;

  protected:
    void open_leg(channel::leg) override {}
    bool past_preamble(channel::leg, link&) override { return true; }
    void settled() override;
    void end_link(channel::leg which, link& going) override;

    [[nodiscard]] const rts::cookie& cookie() const noexcept { return cookie_; }
    [[nodiscard]] rendezvous& meeting_place() const noexcept { return *at_; }

  private:
    std::shared_ptr<rendezvous> at_;
    rts::cookie cookie_;
    std::weak_ptr<newcomer> waiting_;
};

/// @return who is at the other end of a server's leg, for logs.
[[nodiscard]] constexpr std::string_view proxy_at(channel::leg where) noexcept {
    const bool in = where == channel::leg::in_tcp || where == channel::leg::successor_in_tcp;
    return in ? "inbound proxy" : "outbound proxy";
}

/// A connection to the server role until its first PDU tells where it belongs: reads one PDU, hands
/// the link over. [MS-RPCH] 3.2.5.5.1.
class newcomer final : public link_owner, public std::enable_shared_from_this<newcomer> {
  public:
    /// @param from  address of the peer, for logs.
    newcomer(std::shared_ptr<rendezvous> at, std::string from);
    ~newcomer() override;
    /// Begins to read. What was queued on the link before is sent.
    /// @param on  a connected link that was not started.
    void start(std::shared_ptr<link> on);
    /// Closes the connection.
    void end();

    void on_secured(link&) override {}
    void on_input(link& from) override;
    void on_writable(link& from) override { from.flush(); }
    void on_closed(link& from, std::error_code why) override;
    std::shared_ptr<link_owner> keep_alive() override { return shared_from_this(); }
    /// Tries again to find a home for the first PDU.
    void place();

  private:
    void place(const channel::first_pdu& first);
    void wait();
    void arm_timer(std::chrono::milliseconds limit);
    void refuse(std::error_code why);
    void log(std::error_code why) const;

    std::shared_ptr<rendezvous> at_;
    std::shared_ptr<link> link_;
    timer timer_;
    std::string from_;
    bool is_waiting_ = false; // for the end of a replacement
    bool has_spoken_ = false; // who only looks whether the port is open is not worth a line
};

struct rendezvous_settings {
    /// From the start of a connection to its first whole PDU.
    std::chrono::milliseconds first_pdu_wait = limits::first_pdu_wait;
    /// Called on the strand with one line for each event worth a log line; may be empty.
    std::function<void(const std::string& line)> log;
};

/// The virtual connections of one server role by cookie, [MS-RPCH] 3.2.1.1.2. Owned together by its
/// facade and all that came to it; on one strand.
class rendezvous : public std::enable_shared_from_this<rendezvous> {
  public:
    /// Makes the server's end of a virtual connection that is new; null if the facade is gone.
    using factory = std::function<std::shared_ptr<server_side>(std::shared_ptr<rendezvous> at,
                                                               const rts::cookie& cookie)>;

    /// @param hash_seed  random, so that no peer can choose cookies of one bucket.
    rendezvous(std::shared_ptr<strand_context> context, std::uint64_t hash_seed,
               rendezvous_settings settings, factory make);

    /// Takes a TCP connection to an `ncacn_http` endpoint and greets it.
    void accept(tcp::socket socket);

    /// Makes a connection to the server role within the process; it carries no banner.
    /// @param from  address of the client, for logs.
    /// @return the caller's end, which was not started.
    [[nodiscard]] std::shared_ptr<link> connect_in_memory(link_owner& caller, std::string from);

    /// @return the virtual connection of this cookie, made and started if it is new; null if it can
    /// not be made.
    [[nodiscard]] std::shared_ptr<server_side> home_of(const rts::cookie& cookie);
    /// @return the virtual connection of this cookie if it is there.
    [[nodiscard]] std::shared_ptr<server_side> find(const rts::cookie& cookie) const;

    /// Ends all newcomers and virtual connections.
    void close();

    /// @return connections to the server role: newcomers count one, virtual connections two.
    [[nodiscard]] std::size_t connections() const noexcept {
        return newcomers_.size() + 2 * sides_.size();
    }
    [[nodiscard]] const std::shared_ptr<strand_context>& context() const noexcept {
        return context_;
    }
    void log(const std::string& line) const {
        if (settings_.log) settings_.log(line);
    }

  private:
    friend class newcomer;
    friend class server_side;

    std::shared_ptr<strand_context> context_;
    rendezvous_settings settings_;
    factory make_;
    std::unordered_set<newcomer*> newcomers_;
    std::unordered_map<rts::cookie, server_side*, rts::cookie_hash> sides_;
};

} // namespace rpch::inline RPCH_ABI::transport

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/impl/rendezvous.ipp>
#endif

#endif
