// Moves bytes through rpcecho and looks at every one that comes back: a fixed number of EchoData
// calls is always pending, each with contents of its own. Ends with 1 at the first call that is
// lost, wrong or refused, and with 2 for wrong usage.
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rpch/client/client.hpp>
#include <rpch/core/bytes.hpp>
#include <rpch/services/rpcecho.hpp>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

namespace {

using std::chrono::steady_clock;

constexpr const char* help =
    "usage: soak_mover BINDING [--NAME NUMBER]...\n"
    "  --bytes N        contents to move each way (67108864)\n"
    "  --pending N      calls that are always pending (64)\n"
    "  --size N         largest contents of one call; they vary below it (16384)\n"
    "  --connections N  virtual connections the calls are spread over (1)\n"
    "  --lifetime N     Content-Length of IN channels (1073741824)\n"
    "  --window N       receive window of OUT channels (262144)\n"
    "  --limit N        seconds the whole may take (600)\n"
    "  --stall N        seconds without any answer that are a failure (60)\n"
    "  --seed N         of the contents (1)\n"
    "  --insecure N     1: accept any certificate (0)\n"
    "Progress goes to stderr; one line of JSON at the end to stdout.\n";

struct plan {
    std::string binding;
    std::uint64_t bytes = 64ULL << 20;
    std::uint64_t pending = 64;
    std::uint64_t size = 16ULL << 10;
    std::uint64_t connections = 1;
    std::uint64_t lifetime = rpch::limits::channel_lifetime_default;
    std::uint64_t window = rpch::limits::receive_window_max;
    std::uint64_t limit = 600;
    std::uint64_t stall = 60;
    std::uint64_t seed = 1;
    std::uint64_t insecure = 0;
};

std::optional<plan> read_plan(int count, char** words) {
    plan out;
    const std::array<std::pair<std::string_view, std::uint64_t*>, 10> numbers{{
        {"--bytes", &out.bytes},
        {"--pending", &out.pending},
        {"--size", &out.size},
        {"--connections", &out.connections},
        {"--lifetime", &out.lifetime},
        {"--window", &out.window},
        {"--limit", &out.limit},
        {"--stall", &out.stall},
        {"--seed", &out.seed},
        {"--insecure", &out.insecure},
    }};
    for (int i = 1; i < count; ++i) {
        const std::string_view word = words[i];
        if (word.substr(0, 2) != "--") {
            if (!out.binding.empty()) return std::nullopt;
            out.binding = word;
            continue;
        }
        std::uint64_t* to = nullptr;
        for (const auto& [name, number] : numbers)
            if (name == word) to = number;
        if (to == nullptr || ++i == count) return std::nullopt;
        const std::string_view digits = words[i];
        const auto [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), *to);
        if (bad != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    }
    if (out.binding.empty() || out.bytes == 0 || out.pending == 0 || out.connections == 0 ||
        out.size < 16 || out.size > rpch::limits::call_bytes_max - 8 ||
        out.lifetime > rpch::limits::channel_lifetime_max ||
        out.window > rpch::limits::receive_window_max)
        return std::nullopt;
    return out;
}

/// splitmix64: no two calls of one seed have the same contents.
class contents {
  public:
    contents(std::uint64_t seed, std::uint64_t call) noexcept
        : state_(seed * 0xD1342543DE82EF95ULL ^ call * 0x9E3779B97F4A7C15ULL) {}

    std::uint64_t next() noexcept {
        std::uint64_t z = state_ += 0x9E3779B97F4A7C15ULL;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31);
    }

  private:
    std::uint64_t state_;
};

/// FNV-1a over words of eight bytes; the tail is a word of its own.
std::uint64_t fingerprint(const std::byte* at, std::size_t size) noexcept {
    std::uint64_t out = 0xCBF29CE484222325ULL;
    for (std::size_t i = 0; i < size; i += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, at + i, size - i < 8 ? size - i : 8);
        out = (out ^ word) * 0x100000001B3ULL;
    }
    return out;
}

class mover {
  public:
    mover(asio::io_context& io, plan wanted) : io_(io), plan_(std::move(wanted)), timer_(io) {}

    /// @return the exit code.
    int run() {
        began_ = latest_ = steady_clock::now();
        for (std::uint64_t i = 0; i < plan_.connections && !failed_; ++i) open();
        if (!failed_) watch();
        io_.run();
        report();
        return failed_ ? 1 : 0;
    }

  private:
    struct connection {
        rpch::client client;
        std::uint16_t context = 0;
    };

    void open() {
        rpch::client_options options;
        options.executor = io_.get_executor();
        options.channel_lifetime = static_cast<std::uint32_t>(plan_.lifetime);
        options.receive_window = static_cast<std::uint32_t>(plan_.window);
        options.tls.verify = plan_.insecure == 0;
        rpch::failure why;
        auto started = rpch::client::start(plan_.binding, std::move(options), why);
        if (!started) return fail("no connection: " + why.to_string());
        connection& made = connections_.emplace_back();
        made.client = std::move(*started);
        const std::size_t number = connections_.size() - 1;
        made.client.async_bind<rpch::failure>(
            rpch::services::rpcecho::id,
            [this, number](const rpch::failure& bad, std::uint16_t context) {
                if (failed_) return;
                if (bad) return fail("no bind: " + bad.to_string());
                connections_[number].context = context;
                for (std::uint64_t i = number; i < plan_.pending; i += plan_.connections)
                    call(number);
            });
    }

    /// Contents vary between half of the largest size and all of it, so that fragments and windows
    /// never fall into step with the calls.
    std::size_t size_of(std::uint64_t call) const noexcept {
        contents of(plan_.seed ^ 0x5A5A, call);
        return static_cast<std::size_t>(plan_.size / 2 + of.next() % (plan_.size / 2 + 1));
    }

    void call(std::size_t number) {
        if (failed_ || sent_ >= plan_.bytes) return;
        const std::uint64_t id = calls_++;
        const std::size_t size = size_of(id);
        std::vector<std::byte> stub(8 + (size + 7) / 8 * 8);
        const auto count = static_cast<std::uint32_t>(size);
        rpch::core::store(stub.data(), count, rpch::core::byte_order::little);
        rpch::core::store(stub.data() + 4, count, rpch::core::byte_order::little);
        contents of(plan_.seed, id);
        for (std::size_t at = 8; at < stub.size(); at += 8) {
            const std::uint64_t word = of.next();
            std::memcpy(stub.data() + at, &word, 8);
        }
        stub.resize(8 + size);
        sent_ += size;
        sent_sum_ += fingerprint(stub.data() + 8, size);
        ++pending_;
        connections_[number].client.async_call_raw<rpch::failure>(
            connections_[number].context, rpch::services::rpcecho::echo_data::opnum,
            std::move(stub),
            [this, number, id, size](const rpch::failure& bad, const rpch::raw_response& answer) {
                answered(number, id, size, bad, answer);
            });
    }

    void answered(std::size_t number, std::uint64_t id, std::size_t size, const rpch::failure& bad,
                  const rpch::raw_response& answer) {
        --pending_;
        if (failed_) return;
        const std::string name = "call " + std::to_string(id);
        if (bad) return fail(name + " failed: " + bad.to_string());
        if (answer.stub.size() != 4 + size ||
            rpch::core::load<std::uint32_t>(answer.stub.data(), answer.order) != size)
            return fail(name + " of " + std::to_string(size) + " bytes got an answer of " +
                        std::to_string(answer.stub.size()));
        const std::byte* data = answer.stub.data() + 4;
        contents of(plan_.seed, id);
        for (std::size_t at = 0; at < size; at += 8) {
            const std::uint64_t word = of.next();
            if (std::memcmp(data + at, &word, size - at < 8 ? size - at : 8) != 0)
                return fail(name + " got other contents, from byte " + std::to_string(at) + " on");
        }
        received_ += size;
        received_sum_ += fingerprint(data, size);
        ++answers_;
        latest_ = steady_clock::now();
        call(number);
        if (pending_ == 0 && sent_ >= plan_.bytes) stop();
    }

    /// Once a second: is it still moving, and how far is it?
    void watch() {
        timer_.expires_after(std::chrono::seconds(1));
        timer_.async_wait([this](std::error_code ec) {
            if (ec || stopped_) return;
            const auto now = steady_clock::now();
            if (++seconds_ % 5 == 0)
                std::fprintf(stderr, "%4u s: %llu of %llu MiB came back, %llu calls\n", seconds_,
                             mebibytes(received_), mebibytes(plan_.bytes),
                             static_cast<unsigned long long>(answers_));
            if (now - latest_ > std::chrono::seconds(plan_.stall))
                return fail("stalled: no answer for " + std::to_string(plan_.stall) + " s, " +
                            std::to_string(pending_) + " calls are pending");
            if (now - began_ > std::chrono::seconds(plan_.limit))
                return fail("the limit of " + std::to_string(plan_.limit) + " s is over");
            watch();
        });
    }

    static unsigned long long mebibytes(std::uint64_t bytes) noexcept { return bytes >> 20; }

    void fail(const std::string& why) {
        if (failed_) return;
        failed_ = true;
        std::fprintf(stderr, "soak_mover: %s\n", why.c_str());
        stop();
    }

    void stop() {
        if (stopped_) return;
        stopped_ = true;
        took_ = std::chrono::duration<double>(steady_clock::now() - began_).count();
        timer_.cancel();
        for (connection& each : connections_) each.client.close();
    }

    void report() {
        if (!failed_ && (answers_ != calls_ || sent_ != received_ || sent_sum_ != received_sum_)) {
            std::fprintf(stderr, "soak_mover: calls were lost\n");
            failed_ = true;
        }
        const double rate = took_ > 0 ? static_cast<double>(received_) / took_ / 1e6 : 0;
        std::printf("{\"ok\":%s,\"calls\":%llu,\"answers\":%llu,\"bytes_sent\":%llu,"
                    "\"bytes_received\":%llu,\"seconds\":%.2f,\"mb_per_s_each_way\":%.1f,"
                    "\"sum_sent\":\"%016llx\",\"sum_received\":\"%016llx\"}\n",
                    failed_ ? "false" : "true", static_cast<unsigned long long>(calls_),
                    static_cast<unsigned long long>(answers_),
                    static_cast<unsigned long long>(sent_),
                    static_cast<unsigned long long>(received_), took_, rate,
                    static_cast<unsigned long long>(sent_sum_),
                    static_cast<unsigned long long>(received_sum_));
    }

    asio::io_context& io_;
    const plan plan_;
    asio::steady_timer timer_;
    std::deque<connection> connections_;
    std::uint64_t calls_ = 0;
    std::uint64_t answers_ = 0;
    std::uint64_t pending_ = 0;
    std::uint64_t sent_ = 0;
    std::uint64_t received_ = 0;
    std::uint64_t sent_sum_ = 0; ///< Sums of fingerprints: answers may come in any order.
    std::uint64_t received_sum_ = 0;
    steady_clock::time_point began_{};
    steady_clock::time_point latest_{};
    double took_ = 0;
    unsigned seconds_ = 0;
    bool stopped_ = false;
    bool failed_ = false;
};

} // namespace

int main(int count, char** words) {
    auto wanted = read_plan(count, words);
    if (!wanted) {
        std::fputs(help, stderr);
        return 2;
    }
    asio::io_context io(1);
    return mover(io, std::move(*wanted)).run();
}
