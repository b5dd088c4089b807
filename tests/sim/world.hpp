// The simulated world: clients, proxies, a server, what is between them, and what goes wrong.
#ifndef RPCH_TESTS_SIM_WORLD_HPP
#define RPCH_TESTS_SIM_WORLD_HPP

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <rpch/channel/legs.hpp>
#include <rpch/rts/codec.hpp>
#include <rpch/rts/cookie.hpp>

#include "tests/sim/calls.hpp"
#include "tests/sim/clock.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/plan.hpp"
#include "tests/sim/random.hpp"

namespace sim {

class world;
class client_party;
class newcomer_party;
class server_party;
template <class Machine>
class request_party;
using inbound_party = request_party<rpch::channel::inbound_proxy>;
using outbound_party = request_party<rpch::channel::outbound_proxy>;

/// Whoever has links, deadlines and a place in the world. Parties of one process live and die
/// together; process -1 - n is client n, 0 is the server, 1 + n is proxy n.
class party : public link_owner {
  public:
    party(world& in, int process, std::uint32_t vc);
    virtual ~party() = default;
    party(const party&) = delete;
    party& operator=(const party&) = delete;

    virtual void on_deadline() = 0;
    virtual void on_upper() {}
    virtual void on_take() {}
    /// A connection this party asked for is there, or is not.
    virtual void on_connect(rpch::channel::leg, connection*) {}
    /// It is over, and about to be forgotten.
    virtual void buried() {}
    /// Its process dies.
    virtual void die() = 0;
    [[nodiscard]] virtual bool is_over() const noexcept = 0;
    [[nodiscard]] virtual std::string name() const = 0;

    [[nodiscard]] std::uint32_t id() const noexcept { return id_; }
    [[nodiscard]] int process() const noexcept { return process_; }
    [[nodiscard]] std::uint32_t vc() const noexcept { return vc_; }

  protected:
    world& world_;

  private:
    friend class world;
    int process_;
    std::uint32_t vc_;
    std::uint32_t id_ = 0;
    bool in_grave_ = false;
};

/// What everybody knows of one virtual connection, for checks.
struct virtual_connection {
    std::uint32_t number = 0;
    std::uint32_t client = 0;
    stream in_way;       ///< Client to server.
    stream out_way;      ///< Server to client.
    int machines = 0;    ///< That have not ended.
    bool failed = false; ///< One has ended otherwise than by being replaced.
    time_point failed_at{};
    bool closing = false; ///< The upper layer has closed it.
    bool harmed = false;  ///< A fault touched it: it may fail.
    bool open = false;    ///< The client's machine is.
    /// By number of the OUT channel: its lifetime, what its proxy put on it, what the server thinks
    /// is left.
    struct out_channel {
        std::uint64_t lifetime = 0, put = 0, left = 0;
    };
    std::map<std::uint64_t, out_channel> out_channels;
};

/// What happened, over all worlds of a run.
struct statistics {
    std::uint64_t worlds = 0, steps = 0, calls = 0, calls_failed = 0, bytes = 0, opened = 0,
                  pings_in = 0, pings_out = 0, ping_notices = 0, waited = 0;
    std::array<std::uint64_t, 4> recycles{}; ///< IN_R1, IN_R2, OUT_R1, OUT_R2.
    std::uint64_t both_at_once = 0;
    std::array<std::uint64_t, fault_kinds> faults{};
    std::uint64_t failures = 0;
    std::uint64_t most_queued = 0; ///< Bytes in the queue of one proxy.
    std::uint64_t most_events = 0; ///< That waited to happen.
    time_point last_ping_in{}, last_ping_out{}, opened_at{};

    void add(const statistics& more);
    [[nodiscard]] std::uint64_t all_recycles() const {
        return recycles[0] + recycles[1] + recycles[2] + recycles[3];
    }
};
enum recycle : std::uint8_t { in_r1, in_r2, out_r1, out_r2 };

class world {
  public:
    world(const plan& of, bool trace);
    ~world();
    /// Runs to the end. @return what was wrong, or nothing.
    std::string run();

    [[nodiscard]] const statistics& seen() const noexcept { return seen_; }

    // For parties.
    clock time;
    random draw;
    network net;
    const plan& plan_;
    statistics seen_;

    [[nodiscard]] time_point now() const noexcept { return time.now(); }
    [[nodiscard]] bool traces() const noexcept { return trace_; }
    void say(const std::string& who, const std::string& what);
    /// Something a directed world is asked for happens.
    void note(const std::string& what);
    /// The same, with the time since something was broken, or a PDU passed that marks it.
    void note_with_time(const std::string& what);
    [[nodiscard]] const std::vector<std::string>& notes() const noexcept { return notes_; }
    /// @return what becomes of an RTS PDU by the plan's tampering.
    [[nodiscard]] std::vector<rpch::rts::wire> tampered(rpch::rts::role who, rpch::channel::leg on,
                                                        rpch::byte_view pdu, bool forwarded);
    /// An invariant does not hold.
    void wrong(const std::string& what);
    template <class Party, class... Arguments>
    Party& add(Arguments&&... arguments) {
        auto made = std::make_unique<Party>(*this, std::forward<Arguments>(arguments)...);
        Party& out = *made;
        out.id_ = static_cast<std::uint32_t>(parties_.size());
        parties_.push_back(std::move(made));
        return out;
    }
    void bury(party& who);
    /// @return the party, unless it is over.
    template <class Party>
    [[nodiscard]] Party* find(std::uint32_t id) const {
        if (id >= parties_.size() || !parties_[id] || parties_[id]->is_over()) return nullptr;
        return static_cast<Party*>(parties_[id].get());
    }
    [[nodiscard]] virtual_connection& vc(std::uint32_t number) { return *vcs_[number]; }
    [[nodiscard]] rpch::rts::cookie fresh_cookie();

    /// A client opens a channel; the balancer chooses the proxy.
    void connect_to_proxy(client_party& from, rpch::channel::leg which);
    /// A proxy opens a connection to the server.
    void connect_to_server(party& from, rpch::channel::leg which, bool successor);

    /// A client's virtual connection has ended; `again` if it may try another.
    void on_client_ended(client_party& which);
    /// The client's upper layer has nothing more to do.
    [[nodiscard]] bool is_done(std::uint32_t client) const;
    /// A predecessor of OUT-H has something left to drain.
    void on_draining() noexcept { drains_ = true; }
    void on_recycled(std::uint32_t vc, recycle kind);
    void on_progress(std::uint32_t client);
    void on_machine_ended(std::uint32_t vc, const std::string& who, rpch::channel::leg where,
                          std::error_code why);

    std::unordered_map<rpch::rts::cookie, server_party*, rpch::rts::cookie_hash> sides;
    struct proxy_process {
        std::unordered_map<rpch::rts::cookie, inbound_party*, rpch::rts::cookie_hash> in;
        std::unordered_map<rpch::rts::cookie, outbound_party*, rpch::rts::cookie_hash> out;
        bool refuses = false;       ///< Nothing listens.
        bool drains = false;        ///< The balancer knows.
        std::uint32_t requests = 0; ///< That live.
    };
    std::vector<proxy_process> proxies;
    bool server_refuses = false;

  private:
    struct attempt {
        std::uint32_t party;
        rpch::channel::leg which;
        int to;
    };
    struct client_state {
        std::uint32_t vcs = 0;
        std::uint32_t current = 0; ///< Party.
        std::uint64_t recycles = 0;
        bool done = false;
        time_point progress{};
        std::array<int, 2> proxy{-1, -1};
    };
    void step();
    void dispatch(const event& e);
    void clear_graves();
    void connected(const attempt& what);
    connection& connect(int from, int to, std::uint32_t vc);
    pipe_character draw_character();
    void attempt_later(const attempt& what, bool successor);
    void open_client(std::uint32_t client);
    int choose_proxy(std::uint32_t client, rpch::channel::leg which);
    void inject(const planned_fault& f);
    void kill_process(int which);
    void restart(std::uint32_t which);
    void harm(const connection& c);
    void harm_all();
    void strike();
    void check_progress();
    void check_end();

    bool trace_;
    std::vector<std::unique_ptr<party>> parties_;
    std::vector<std::unique_ptr<virtual_connection>> vcs_;
    std::vector<std::uint32_t> graves_;
    std::vector<attempt> attempts_;
    std::vector<client_state> clients_;
    std::size_t next_fault_ = 0;
    bool drains_ = false; ///< Since the last event.
    time_point last_refusal_{};
    std::string fault_;
    std::vector<std::string> notes_;
    bool struck_ = false;
    time_point since_; ///< What the times of notes count from.
};

} // namespace sim

#endif
