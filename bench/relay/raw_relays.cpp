// Measures the baselines alone: what this machine gives at most, before any protocol, and the
// peers.
#include "bench/relay/raw_relay.hpp"
#include "bench/support/peer_row.hpp"

#include <algorithm>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

int main(int argc, char** argv) {
    try {
        std::vector<std::string> words(argv + 1, argv + argc);
        const bench::options with = bench::read_options(words);
        const auto threads = std::find(words.begin(), words.end(), "--threads");
        bench::relay::settings small;
        if (threads != words.end()) {
            small.where = bench::placement::threads;
            words.erase(threads);
        }
        std::optional<std::string> grpc;
        if (words.size() == 2 && words[0] == "--grpc") {
            grpc = words[1];
            words.clear();
        }
        if (!words.empty()) {
            std::cerr << "usage: raw_relays [--threads] [--grpc PROGRAM] [--rounds N] [--window "
                         "MS] [--json FILE]\n";
            return 2;
        }
        bench::relay::settings many = small;
        many.outstanding = 64;
        bench::relay::settings large = small;
        large.request_bytes = large.response_bytes = bench::relay::wire_bytes(65536);

        std::optional<bench::peer_row> peer, peer_many, peer_large;
        if (grpc) {
            peer.emplace(*grpc, 32, 1);
            peer_many.emplace(*grpc, 32, 64);
            peer_large.emplace(*grpc, 65536, 1);
        }
        bench::relay::one_hop one{small};
        bench::relay::two_hops two{small}, two_many{many}, two_large{large};
        bench::relay::in_out_pair pair{small}, pair_many{many}, pair_large{large};
        std::vector<bench::row> rows{
            one.as_row("one hop, 32 B"),
            two.as_row("two hops, 32 B"),
            pair.as_row("IN/OUT pair, 32 B"),
            two_many.as_row("two hops, 32 B, 64 at once"),
            pair_many.as_row("IN/OUT pair, 32 B, 64 at once"),
            two_large.as_row("two hops, 64 KiB"),
            pair_large.as_row("IN/OUT pair, 64 KiB"),
        };
        if (grpc) {
            rows.push_back(peer->as_row("gRPC, 32 B"));
            rows.push_back(peer_many->as_row("gRPC, 32 B, 64 at once"));
            rows.push_back(peer_large->as_row("gRPC, 64 KiB"));
        }
        return bench::run_and_print(rows, {}, with);
    } catch (const std::exception& why) {
        std::cerr << "raw_relays: " << why.what() << '\n';
        return 1;
    }
}
