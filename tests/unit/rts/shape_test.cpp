#include <rpch/rts/shape.hpp>

#include <algorithm>
#include <set>

#include <doctest/doctest.h>

#include "vectors.hpp"

using namespace rpch;
using namespace rpch::rts;

namespace {

std::vector<command_type> types_from(const std::string& codes) {
    std::vector<command_type> out;
    for (const std::string& code : test::split(codes, ' '))
        out.push_back(static_cast<command_type>(std::stoi(code)));
    return out;
}

} // namespace

TEST_CASE("RTS shapes: each signature of the vectors is one shape with all its names") {
    std::set<shape> seen;
    for (const auto& row : test::rts_vectors("signatures.tsv")) {
        CAPTURE(row[2]);
        const auto flags = static_cast<std::uint16_t>(std::stoi(row[0]));
        const auto types = types_from(row[1]);
        const auto kind = find_shape(flags, types);
        REQUIRE(kind);
        CHECK(name(*kind) == row[2]);
        CHECK(definition_of(*kind).kind == *kind);
        CHECK(definition_of(*kind).flags == flags);
        CHECK(std::ranges::equal(definition_of(*kind).commands(), types));
        seen.insert(*kind);
    }
    CHECK(seen == std::set<shape>(all_shapes.begin(), all_shapes.end()));
}

TEST_CASE("RTS shapes: the definitions are indexed by the enumerator") {
    for (std::size_t i = 0; i < all_shapes.size(); ++i) {
        CHECK(shape_definitions[i].kind == all_shapes[i]);
        CHECK(static_cast<std::size_t>(all_shapes[i]) == i);
    }
}

TEST_CASE("RTS shapes: look-alikes are equal, and those that only nearly look alike are not") {
    CHECK(shape::conn_c1 == shape::conn_c2);
    CHECK(shape::out_r2_a4 == shape::in_r2_a5);
    CHECK(shape::out_r2_b1 == shape::out_r1_a11);
    CHECK(shape::out_r2_a8 == shape::out_r1_a7);
    CHECK(shape::out_r2_b3 != shape::out_r1_a10); // EOF
    CHECK(shape::out_r2_b2 != shape::out_r2_b1);  // NegativeANCE
    CHECK(shape::out_r2_a7 != shape::out_r2_a8);  // Version
    CHECK(shape::in_r2_a3 != shape::out_r1_a1);   // RECYCLE_CHANNEL
    CHECK(shape::out_r2_c1 != shape::ping);
}

TEST_CASE("RTS shapes: a change of flags, count, order or type is another shape or none") {
    for (const shape_definition& d : shape_definitions) {
        CAPTURE(d.names);
        const std::vector<command_type> types(d.commands().begin(), d.commands().end());
        for (int bit = 0; bit < 16; ++bit) {
            const auto other = find_shape(static_cast<std::uint16_t>(d.flags ^ (1 << bit)), types);
            if (other) CHECK(*other != d.kind);
        }
        for (std::size_t i = 0; i < types.size(); ++i) {
            auto fewer = types;
            fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
            if (const auto other = find_shape(d.flags, fewer)) CHECK(*other != d.kind);
            for (unsigned type = 0; type < command_forms.size(); ++type) {
                auto changed = types;
                changed[i] = static_cast<command_type>(type);
                const auto other = find_shape(d.flags, changed);
                const bool padded_c1 =
                    d.kind == shape::out_r2_c1 && changed[i] == command_type::padding;
                if (changed != types && !padded_c1) CHECK((!other || *other != d.kind));
            }
            auto more = types;
            more.insert(more.begin() + static_cast<std::ptrdiff_t>(i), command_type::padding);
            CHECK(find_shape(d.flags, more).error() == errc::unknown_shape);
        }
        auto reversed = types;
        std::ranges::reverse(reversed);
        if (const auto other = find_shape(d.flags, reversed); reversed != types && other)
            CHECK(*other != d.kind);
    }
}

TEST_CASE("RTS shapes: Padding stands for Empty in OUT_R2/C1 alone") {
    CHECK(find_shape(flag::ping, types_from("8")) == shape::out_r2_c1);
    CHECK(find_shape(flag::none, types_from("7")) == shape::in_r1_b1);
    CHECK(find_shape(flag::none, types_from("8")).error() == errc::unknown_shape);
}

TEST_CASE("RTS shapes: long lists of commands do not wrap around into short ones") {
    for (std::size_t n = 8; n < 80; ++n) {
        std::vector<command_type> types(n, command_type::receive_window_size);
        types.back() = command_type::ance; // alone it would be OUT_R1/A9
        CAPTURE(n);
        CHECK(find_shape(flag::none, types).error() == errc::unknown_shape);
    }
}
