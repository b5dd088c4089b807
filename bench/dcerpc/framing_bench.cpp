// A mixed stream of PDUs cut and decoded, beside memcpy of the same bytes.
//
// The stream is what a busy virtual connection carries in both directions: of 64 PDUs, 30 requests
// and 26 responses with 8 to 1,024 bytes of stub, 6 acknowledgements, a ping and a keep-alive.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include <benchmark/benchmark.h>

#include <rpch/dcerpc/call_pdu.hpp>
#include <rpch/rts/codec.hpp>

using namespace rpch;

namespace {

void append_call(std::vector<std::byte>& out, dcerpc::pdu_type type, std::uint32_t call_id,
                 std::size_t stub_bytes) {
    dcerpc::common_header h;
    h.type = type;
    h.flags = dcerpc::pfc::first_frag | dcerpc::pfc::last_frag;
    h.frag_length = static_cast<std::uint16_t>(24 + stub_bytes);
    h.call_id = call_id;
    const std::size_t at = out.size();
    out.resize(at + h.frag_length, std::byte{0x5a});
    dcerpc::encode_common_header(h, std::span<std::byte, 16>(out.data() + at, 16));
    std::fill_n(out.begin() + static_cast<std::ptrdiff_t>(at) + 16, 8, std::byte{0});
}

void append(std::vector<std::byte>& out, const rts::wire& pdu) {
    out.insert(out.end(), pdu.view().begin(), pdu.view().end());
}

/// @param repeats  how often 64 PDUs; @param pdus  receives how many there are.
std::vector<std::byte> mixed_stream(std::size_t repeats, std::size_t& pdus) {
    std::vector<std::byte> out;
    std::mt19937 random(1); // the same stream each time
    constexpr std::array<std::size_t, 8> stubs{8, 16, 32, 32, 64, 128, 256, 1024};
    pdus = 64 * repeats;
    for (std::uint32_t i = 0; i < pdus; ++i) {
        const std::uint32_t place = i % 64;
        const std::size_t stub = stubs[random() % stubs.size()];
        if (place < 30)
            append_call(out, dcerpc::pdu_type::request, i, stub);
        else if (place < 56)
            append_call(out, dcerpc::pdu_type::response, i, stub);
        else if (place < 62)
            append(out, rts::encode(rts::flow_control_ack_with_destination{
                            .destination = rts::destination::outbound_proxy,
                            .ack = {.bytes_received = i, .available_window = 65536}}));
        else if (place == 62)
            append(out, rts::encode(rts::ping{}));
        else
            append(out, rts::encode(rts::keep_alive{}));
    }
    return out;
}

/// Cuts and decodes the whole stream. @return how many PDUs decoded.
std::size_t decode_all(byte_view in) {
    std::size_t good = 0;
    while (!in.empty()) {
        const auto length = dcerpc::peek_frag_length(in);
        if (!length || !*length || **length > in.size()) return 0;
        const byte_view pdu = in.first(**length);
        in = in.subspan(**length);
        switch (std::to_integer<unsigned>(pdu[2])) {
        case 0: good += dcerpc::decode_request(pdu).has_value() ? 1U : 0U; break;
        case 2: good += dcerpc::decode_response(pdu).has_value() ? 1U : 0U; break;
        default: good += rts::decode(pdu).has_value() ? 1U : 0U; break;
        }
    }
    return good;
}

void frame_and_decode_beside_memcpy(benchmark::State& state) {
    using clock = std::chrono::steady_clock;
    std::size_t pdus = 0;
    const std::vector<std::byte> stream =
        mixed_stream(static_cast<std::size_t>(state.range(0)), pdus);
    std::vector<std::byte> copy(stream.size());
    if (decode_all(stream) != pdus) return state.SkipWithError("the stream does not decode");
    std::vector<double> ratios;
    double ours = 0;
    const std::int64_t repeats = std::max<std::int64_t>(1, 800 / state.range(0));
    for (auto _ : state) { // one round: both, one after the other
        const auto start = clock::now();
        for (std::int64_t i = 0; i < repeats; ++i) {
            benchmark::DoNotOptimize(decode_all(stream));
            benchmark::ClobberMemory();
        }
        const auto middle = clock::now();
        for (std::int64_t i = 0; i < repeats; ++i) {
            std::memcpy(copy.data(), stream.data(), stream.size());
            benchmark::ClobberMemory();
        }
        const auto end = clock::now();
        ratios.push_back(std::chrono::duration<double>(middle - start) /
                         std::chrono::duration<double>(end - middle));
        ours += std::chrono::duration<double, std::nano>(middle - start).count();
    }
    std::sort(ratios.begin(), ratios.end());
    state.counters["x memcpy"] = ratios[ratios.size() / 2];
    state.counters["ns/PDU"] = ours / static_cast<double>(repeats) / static_cast<double>(pdus) /
                               static_cast<double>(state.iterations());
    state.counters["bytes/PDU"] = static_cast<double>(stream.size()) / static_cast<double>(pdus);
}
// 192 KiB lie in the second level cache, 24 MiB do not lie there.
BENCHMARK(frame_and_decode_beside_memcpy)->Arg(16)->Arg(2000)->Iterations(200);

} // namespace

BENCHMARK_MAIN();
