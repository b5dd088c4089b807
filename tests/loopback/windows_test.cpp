#include <chrono>
#include <limits>
#include <memory>
#include <utility>

#include <rpch/transport/rendezvous.hpp>

#include <doctest/doctest.h>

#include <asio/buffer.hpp>
#include <asio/write.hpp>

#include "tests/support/channel.hpp"
#include "tests/support/stack.hpp"

namespace {

// Sanitizers and builds without optimization take their time; what is shown stays the same.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    #define RPCH_TEST_REDUCED
#elif defined(__has_feature)
    #if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
        #define RPCH_TEST_REDUCED
    #endif
#endif
#if defined(RPCH_TEST_REDUCED)
constexpr std::size_t large_call_bytes = std::size_t{8} << 20;
#else
constexpr std::size_t large_call_bytes = std::size_t{64} << 20;
#endif

/// Sends `size` bytes there and back through windows of 8 KiB on every hop.
void echo_through_small_windows(std::uint16_t fragment, std::size_t size, bool tls) {
    CAPTURE(fragment);
    test::stack all({.tls = tls, .window = 8192, .fragment = fragment});
    test::caller caller(all, all.binding());
    REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
    const test::bytes sent = test::pattern(size);
    const auto start = std::chrono::steady_clock::now();
    const auto call = caller.call(test::probe::echo, sent);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    CHECK_MESSAGE(!call->why, call->why.to_string());
    CHECK(call->done == 1);
    CHECK((call->stub == sent)); // without printing either
    MESSAGE("fragments of ", fragment, " bytes: ", took.count(), " s for ", size >> 20,
            " MiB there and back");
}

/// An upper layer of a server that always has something to say.
class talker final : public rpch::transport::server_side {
  public:
    talker(std::shared_ptr<rpch::transport::rendezvous> at, const rpch::rts::cookie& cookie)
        : server_side(std::move(at), cookie, {}) {}
    void end() override { shut(); }

  protected:
    void produce() override { pull(words_, leg::out_tcp); }
    void failed(std::error_code, leg, const std::string&) override {}

  private:
    struct words {
        std::size_t left = std::size_t{32} << 20;
        [[nodiscard]] bool has_output() const { return left != 0; }
        [[nodiscard]] std::size_t next_output_size() const { return 4096; }
        std::size_t write_output(rpch::byte_span to) {
            const test::bytes pdu = test::rpc_pdu(4096);
            std::copy(pdu.begin(), pdu.end(), to.begin());
            left -= 4096;
            return 4096;
        }
    } words_;
};

} // namespace

TEST_CASE("A call with 64 MiB in and 64 MiB out passes through the tunnel, byte for byte, with "
          "8 KiB windows on every hop") {
    echo_through_small_windows(4096, large_call_bytes, false);
}

TEST_CASE("A large call passes through 8 KiB windows in the smallest fragments") {
    echo_through_small_windows(1432, large_call_bytes / 8, false);
}

TEST_CASE("A large call passes through 8 KiB windows in fragments of half a window") {
    echo_through_small_windows(8192, large_call_bytes / 8, false);
}

TEST_CASE("A large call passes through 8 KiB windows and TLS") {
    echo_through_small_windows(5840, large_call_bytes / 8, true);
}

TEST_CASE("Large calls in both directions at once share one tunnel of 8 KiB windows") {
    test::stack all({.window = 8192});
    test::caller caller(all, all.binding());
    REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
    std::vector<test::bytes> sent;
    std::vector<std::shared_ptr<test::outcome>> calls;
    for (unsigned i = 0; i < 8; ++i) {
        sent.push_back(test::pattern(large_call_bytes / 64, i));
        calls.push_back(caller.begin(test::probe::echo, sent.back()));
    }
    for (unsigned i = 0; i < 8; ++i) {
        REQUIRE(all.run_until([&] { return calls[i]->done != 0; }));
        CHECK_FALSE(calls[i]->why);
        CHECK((calls[i]->stub == sent[i]));
    }
}

TEST_CASE("A peer that grants windows it does not read makes the server queue no more than two of "
          "the largest") {
    using namespace rpch;
    asio::io_context io{1};
    const auto context = std::make_shared<transport::strand_context>(io.get_executor());
    const auto place = std::make_shared<transport::rendezvous>(
        context, 1, transport::rendezvous_settings{},
        [](std::shared_ptr<transport::rendezvous> at, const rts::cookie& cookie) {
            return std::make_shared<talker>(std::move(at), cookie);
        });
    transport::tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
    const auto connect = [&](const test::bytes& first) {
        transport::tcp::socket here(io);
        transport::tcp::socket there(context->on);
        here.connect(acceptor.local_endpoint());
        acceptor.accept(there);
        place->accept(std::move(there));
        asio::write(here, asio::buffer(first));
        return here;
    };
    constexpr std::uint32_t everything = std::numeric_limits<std::uint32_t>::max();
    auto out = connect(test::wire_of(rts::conn_a2{.virtual_connection = test::vc_cookie,
                                                  .out_channel = test::out_cookie,
                                                  .channel_lifetime = 0x4000'0000,
                                                  .receive_window_size = everything}));
    auto in = connect(test::wire_of(rts::conn_b2{.virtual_connection = test::vc_cookie,
                                                 .in_channel = test::in_cookie,
                                                 .receive_window_size = 65536,
                                                 .connection_timeout = 120'000}));
    std::size_t most = 0;
    const auto run_while_moving = [&] {
        const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
        while (std::chrono::steady_clock::now() < until) {
            io.restart();
            io.run_one_for(std::chrono::milliseconds(10));
            most = std::max(most, context->pool->lent());
        }
    };
    run_while_moving();
    CHECK(most > 4);
    CHECK(most <= 16); // blocks of 64 KiB
    // Who begins to read gets all of it.
    std::size_t read = 0;
    test::bytes fresh(1 << 20);
    out.non_blocking(true);
    const auto until = std::chrono::steady_clock::now() + test::patience;
    while (read < (std::size_t{32} << 20) && std::chrono::steady_clock::now() < until) {
        std::error_code ec;
        read += out.read_some(asio::buffer(fresh), ec);
        io.restart();
        io.run_one_for(std::chrono::milliseconds(1));
    }
    CHECK(read >= (std::size_t{32} << 20));
    place->close();
    io.restart();
    io.run_for(std::chrono::milliseconds(50));
}
