// The four roles as parties: what stands before the PDUs, what is above, and where requests go. As
// the facades do it: client/connections, proxy/sessions, transport/rendezvous.
#ifndef RPCH_TESTS_SIM_PARTIES_HPP
#define RPCH_TESTS_SIM_PARTIES_HPP

#include <map>
#include <optional>
#include <type_traits>
#include <vector>

#include "tests/sim/driver.hpp"

namespace sim {

/// Heads are tokens in the stream of bytes.
struct request_head {
    bool in = false;
    std::uint64_t content_length = 0;
    std::uint64_t channel = 0; ///< Number of the OUT channel, for checks only.
    static constexpr std::size_t bytes = 24;
};
struct response_head {
    std::uint32_t status = 200;
    std::uint32_t number = 0; ///< Content-Length, or the number of the failure.
    static constexpr std::size_t bytes = 12;
};

class client_party final : public driver<channel::client> {
  public:
    client_party(world& in, std::uint32_t client, std::uint32_t vc,
                 const channel::client_settings& settings);
    void start();
    void close_upper();
    void on_connect(leg which, connection* made) override;
    void on_upper() override;
    void on_take() override;
    [[nodiscard]] std::string name() const override;
    [[nodiscard]] std::uint32_t client() const noexcept { return client_; }
    /// @return in words, for who looks for the reason.
    [[nodiscard]] std::string waits_for();
    [[nodiscard]] bool waits() const noexcept { return !outstanding_.empty() || out_.has_output(); }

  protected:
    void open_leg(leg which) override;
    bool past_preamble(leg which, link& from) override;
    void deliver(const rpch::core::split_view& pdu) override;
    void produce() override { pull(out_, leg::in_http); }
    void opened() override;
    void promoted(leg which) override;
    void settled() override;
    void failed(std::error_code why, leg where) override;
    void check() override;

  private:
    struct call {
        std::uint32_t id;
        std::uint32_t answer;
        std::uint32_t got;
    };
    [[nodiscard]] const client_plan& plan_of() const { return world_.plan_.clients[client_]; }
    void begin_call();
    void later();
    bool read_response(leg which, link& from);

    std::uint32_t client_;
    sender out_;
    receiver in_;
    std::vector<call> outstanding_;
    std::uint32_t next_call_ = 1;
    std::size_t untaken_ = 0;
    bool take_is_due_ = false;
    bool upper_is_due_ = false;
    bool bound_ = false;
    bool closing_ = false;
    bool both_ = false;
    std::array<bool, channel::leg_count> response_came_{};
};

/// A connection to a proxy until its request head is read.
class accepted_party final : public party {
  public:
    accepted_party(world& in, int process, std::uint32_t vc, link& on);
    void on_input(link& from) override;
    void on_writable(link&) override {}
    void on_closed(link&, std::error_code) override { end(); }
    void on_deadline() override;
    void die() override;
    [[nodiscard]] bool is_over() const noexcept override { return link_ == nullptr; }
    [[nodiscard]] std::string name() const override;

  private:
    void end();
    link* link_;
};

template <class Machine>
class request_party final : public driver<Machine> {
  public:
    static constexpr bool is_in = std::is_same_v<Machine, channel::inbound_proxy>;
    static constexpr leg http_leg = is_in ? leg::in_http : leg::out_http;
    static constexpr leg tcp_leg = is_in ? leg::in_tcp : leg::out_tcp;

    request_party(world& in, int process, std::uint32_t vc, const request_head& head);
    void start(link& from);
    void adopt(link& from, const request_head& head);
    void on_connect(leg which, connection* made) override;
    void buried() override;
    [[nodiscard]] std::string name() const override;
    void place_again();

  protected:
    void open_leg(leg which) override {
        this->world_.connect_to_server(*this, which, this->machine().is_successor());
    }
    bool past_preamble(leg which, link& from) override;
    void answer_success(leg to, std::uint32_t content_length) override;
    void refuse(leg to, rpch::rpc_status status) override;
    void opened() override;
    void promoted(leg which) override;
    void settled() override;
    void failed(std::error_code, leg) override;
    void check() override;

  private:
    static Machine make(const world& in, int process, const request_head& head);
    auto& table();
    bool place(link& from);
    template <class FirstPdu>
    bool place_successor(const FirstPdu& first);
    void leave_table();
    void check_draining();

    request_head head_;
    std::uint64_t channel_;
    bool placed_ = false;
    bool banner_done_ = false;
    bool in_table_ = false;
    std::uint32_t waiting_ = none;
    std::optional<time_point> drains_since_; ///< OUT only.
    static constexpr std::uint32_t none = 0xFFFF'FFFF;
};

class server_party final : public driver<channel::server> {
  public:
    server_party(world& in, std::uint32_t vc, const rpch::rts::cookie& cookie);
    void start();
    void adopt(leg half, link& from);
    [[nodiscard]] bool hold(std::uint32_t newcomer);
    void close_upper();
    void on_upper() override;
    void on_take() override;
    void buried() override;
    [[nodiscard]] std::string name() const override;

  protected:
    void open_leg(leg) override {}
    bool past_preamble(leg, link&) override { return true; }
    void deliver(const rpch::core::split_view& pdu) override;
    void produce() override { pull(out_, leg::out_tcp); }
    void settled() override;
    void check() override;

  private:
    rpch::rts::cookie cookie_;
    sender out_;
    receiver in_;
    std::map<std::uint32_t, std::uint32_t> got_; ///< Bytes of each call that is not complete.
    std::vector<fragment> answers_;
    std::size_t untaken_ = 0;
    bool take_is_due_ = false;
    std::uint32_t waiting_ = none;
    static constexpr std::uint32_t none = 0xFFFF'FFFF;
};

/// A connection to the server until its first PDU tells where it belongs.
class newcomer_party final : public party {
  public:
    newcomer_party(world& in, std::uint32_t vc, link& on);
    void on_input(link&) override;
    void on_writable(link& to) override { to.flush(); }
    void on_closed(link&, std::error_code) override;
    void on_deadline() override;
    void die() override;
    void place();
    [[nodiscard]] bool is_over() const noexcept override { return link_ == nullptr; }
    [[nodiscard]] std::string name() const override;

  private:
    void refuse(std::error_code why);
    void end();
    link* link_;
    time_point deadline_;
    bool is_waiting_ = false;
};

/// @return bytes of the answer to a call.
[[nodiscard]] std::uint32_t answer_bytes(const client_plan& of, std::uint32_t vc,
                                         std::uint32_t call) noexcept;

} // namespace sim

#endif
