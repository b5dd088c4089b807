// Decoding and encoding the RTS PDUs of set-up and of every acknowledgment: time and allocations
// per PDU. Instructions are counted by count_instructions.sh.
#include <atomic>
#include <cstdlib>
#include <new>

#include <benchmark/benchmark.h>

#include <rpch/rts/codec.hpp>

using namespace rpch;

namespace {
std::atomic<std::size_t> allocations{0};
}

// The whole program's allocations are counted; the codec must add none. Not inlined: g++ would see
// malloc on one side and delete on the other, and warn.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* p = std::malloc(bytes == 0 ? 1 : bytes)) return p;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace {

rts::cookie cookie_from(unsigned first) {
    rts::cookie out;
    for (std::byte& b : out.bytes) b = static_cast<std::byte>(first++);
    return out;
}

template <class T>
T sample();
template <>
rts::conn_b1 sample() {
    return {.virtual_connection = cookie_from(0xA0),
            .in_channel = cookie_from(0xB0),
            .channel_lifetime = limits::channel_lifetime_default,
            .client_keepalive = limits::client_keepalive_default_ms,
            .association_group = cookie_from(0xF0)};
}
template <>
rts::flow_control_ack_with_destination sample() {
    return {.destination = rts::destination::outbound_proxy,
            .ack = {.bytes_received = 32914,
                    .available_window = 65536,
                    .channel_cookie = cookie_from(0xC0)}};
}

void report(benchmark::State& state, std::size_t allocations_before, std::size_t pdu_bytes) {
    const auto made = allocations.load() - allocations_before;
    state.counters["allocations/PDU"] =
        static_cast<double>(made) / static_cast<double>(state.iterations());
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(pdu_bytes));
}

/// What the machines do with a PDU: find out what it is, then take its fields.
template <class T>
void decode(benchmark::State& state) {
    const T value = sample<T>();
    const rts::wire wire = rts::encode(value);
    if (rts::decode_as<T>(wire.view()) != value)
        return state.SkipWithError("the sample does not decode");
    const auto before = allocations.load();
    for (auto _ : state) {
        auto in = wire.view();
        benchmark::DoNotOptimize(in);
        const auto pdu = rts::decode(in);
        benchmark::DoNotOptimize(rts::get<T>(*pdu));
    }
    report(state, before, wire.size());
}

template <class T>
void encode(benchmark::State& state) {
    T value = sample<T>();
    if (rts::decode_as<T>(rts::encode(value).view()) != value)
        return state.SkipWithError("the sample does not encode");
    const auto before = allocations.load();
    for (auto _ : state) {
        benchmark::DoNotOptimize(value);
        benchmark::DoNotOptimize(rts::encode(value));
    }
    report(state, before, rts::encode(value).size());
}

BENCHMARK(decode<rts::conn_b1>)->Name("decode CONN/B1");
BENCHMARK(decode<rts::flow_control_ack_with_destination>)
    ->Name("decode FlowControlAckWithDestination");
BENCHMARK(encode<rts::conn_b1>)->Name("encode CONN/B1");
BENCHMARK(encode<rts::flow_control_ack_with_destination>)
    ->Name("encode FlowControlAckWithDestination");

} // namespace

BENCHMARK_MAIN();
