// What decoding and encoding a fragment costs, and a call through both association machines.
#include <benchmark/benchmark.h>

#include <array>
#include <cstdlib>
#include <new>
#include <vector>

#include <rpch/dcerpc/client_association.hpp>
#include <rpch/dcerpc/server_association.hpp>

namespace {
std::size_t allocations = 0;
}

// Not inlined: once g++ sees through one side of the pair, it takes malloc and free for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t n) {
    ++allocations;
    if (void* p = std::malloc(n)) return p;
    throw std::bad_alloc{};
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace {

using namespace rpch;
using namespace rpch::dcerpc;

constexpr interface_id rpcecho{"60a15ec5-4de8-11d7-a637-005056a20182", 1, 0};

// A whole request of 32 bytes of stub.
std::array<std::byte, 56> request_wire() {
    const std::array<std::byte, 32> stub{};
    request r;
    r.header.flags = pfc::first_frag | pfc::last_frag;
    r.header.call_id = 7;
    r.alloc_hint = 32;
    r.opnum = 3;
    r.stub = stub;
    std::array<std::byte, 56> out{};
    if (encode_request(r, out) != out.size()) std::abort();
    return out;
}

void count(benchmark::State& state, std::size_t before) {
    state.counters["allocations"] = benchmark::Counter(static_cast<double>(allocations - before),
                                                       benchmark::Counter::kAvgIterations);
}

void decode_request_header(benchmark::State& state) {
    const auto wire = request_wire();
    const auto probe = decode_request(wire);
    if (!probe || probe->opnum != 3 || probe->stub.size() != 32)
        return state.SkipWithError("the request does not decode");
    const std::size_t before = allocations;
    for (auto _ : state) benchmark::DoNotOptimize(decode_request(wire));
    count(state, before);
}
BENCHMARK(decode_request_header);

void encode_request_header(benchmark::State& state) {
    const auto wire = request_wire();
    const auto r = *decode_request(wire);
    std::array<std::byte, 56> out{};
    const std::size_t before = allocations;
    for (auto _ : state) benchmark::DoNotOptimize(encode_request(r, out));
    count(state, before);
    if (out != wire) state.SkipWithError("the request does not encode to itself");
}
BENCHMARK(encode_request_header);

// One call from begin_call() to call_completed, through client and server machine, without a wire.
// @param state.range(0)  bytes of both stubs.
void call_through_machines(benchmark::State& state) {
    const std::vector<offered_interface> offered{{rpcecho, {}}};
    association_groups groups;
    client_association client;
    server_association server(offered, groups);
    client_event_list answers;
    server_event_list calls;
    std::vector<std::byte> pdu(6000);
    const auto carry = [&] {
        while (client.has_output() || server.has_output()) {
            while (const std::size_t n = client.write_output(pdu))
                if (server.on_pdu(byte_view(pdu).first(n), calls)) std::abort();
            while (const std::size_t n = server.write_output(pdu))
                if (client.on_pdu(byte_view(pdu).first(n), answers)) std::abort();
        }
    };
    if (!client.add_context(rpcecho)) std::abort();
    carry();
    const std::size_t before = allocations;
    std::size_t done = 0;
    for (auto _ : state) {
        answers.clear();
        calls.clear();
        const auto stub = std::vector<std::byte>(static_cast<std::size_t>(state.range(0)));
        if (!client.begin_call({.opnum = 1}, stub)) std::abort();
        carry();
        auto& call = std::get<call_received>(calls.at(0));
        if (server.respond(call.call_id, std::move(call.stub))) std::abort();
        carry();
        done += std::get<call_completed>(answers.at(0)).stub.size();
    }
    count(state, before);
    state.SetBytesProcessed(static_cast<std::int64_t>(2 * done));
}
BENCHMARK(call_through_machines)->Arg(32)->Arg(64 * 1024);

} // namespace

BENCHMARK_MAIN();
