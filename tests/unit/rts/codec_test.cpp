#include <rpch/rts/codec.hpp>

#include <algorithm>
#include <map>

#include <doctest/doctest.h>

#include "vectors.hpp"

using namespace rpch;
using namespace rpch::rts;

namespace {

/// Writes the fields of a command as the vector files do.
std::string text_of(const command& c) {
    std::string out = std::to_string(static_cast<unsigned>(c.type)) + ":";
    for (std::size_t i = 0; i < form_of(c.type).numbers; ++i)
        out += (i == 0 ? "" : ",") + std::to_string(c.number(i));
    if (c.type == command_type::padding || !c.rest().empty())
        out += (form_of(c.type).numbers == 0 ? "" : ",") + core::to_hex(c.rest());
    return out;
}

std::string text_of(const command_list& list) {
    std::string out;
    for (const command& c : list.commands()) out += (out.empty() ? "" : " ") + text_of(c);
    return out.empty() ? "-" : out;
}

/// @return what decode says of the bytes: a name of the shape, or an error's message.
std::string verdict(byte_view bytes) {
    const auto p = decode(bytes);
    return p ? std::string(name(p->kind())) : p.error().message();
}

/// A PDU without flags around commands in hexadecimal.
test::bytes with_commands(unsigned count, std::string_view commands) {
    test::bytes out = test::hex("05001403 10000000 0000 0000 00000000 0000 0000");
    const test::bytes body = test::hex(commands);
    out.insert(out.end(), body.begin(), body.end());
    core::store(out.data() + 8, static_cast<std::uint16_t>(out.size()), core::byte_order::little);
    core::store(out.data() + 18, static_cast<std::uint16_t>(count), core::byte_order::little);
    return out;
}

constexpr const char* valid_files[] = {"pdus.tsv", "variants.tsv", "big_endian.tsv"};

} // namespace

TEST_CASE("RTS codec: every vector decodes into its flags and commands") {
    for (const char* file : valid_files) {
        for (const auto& row : test::rts_vectors(file)) {
            CAPTURE(file);
            CAPTURE(row[0]);
            const auto wire = test::hex(row[4]);
            const auto list = decode_commands(wire);
            REQUIRE(list);
            CHECK(std::to_string(list->flags()) == row[2]);
            CHECK(text_of(*list) == row[3]);
        }
    }
}

TEST_CASE("RTS codec: every vector has the shape of its name") {
    for (const char* file : valid_files) {
        for (const auto& row : test::rts_vectors(file)) {
            CAPTURE(file);
            CAPTURE(row[0]);
            const auto wire = test::hex(row[4]);
            const auto p = decode(wire);
            REQUIRE(p);
            // A forwarded copy of OUT_R2/A7 stands for OUT_R2/A8, and looks like A7.
            const bool copy_of_a7 = row[0] == "OUT_R2/A8 (forwarded verbatim)";
            const std::string expected = copy_of_a7                             ? "OUT_R2/A7"
                                         : std::string_view(file) == "pdus.tsv" ? row[0]
                                                                                : row[1];
            const auto names = test::names_of(name(p->kind()));
            CHECK(std::ranges::count(names, expected) == 1);
            CHECK(p->bytes().data() == wire.data());
            CHECK(p->order() == (std::string_view(file) == "big_endian.tsv"
                                     ? core::byte_order::big
                                     : core::byte_order::little));
            CHECK(*decode_commands(wire)->kind() == p->kind());
        }
    }
}

TEST_CASE("RTS codec: commands of any shape encode to the bytes they came from") {
    for (const char* file : {"pdus.tsv", "variants.tsv"}) {
        for (const auto& row : test::rts_vectors(file)) {
            CAPTURE(row[0]);
            const auto wire = test::hex(row[4]);
            test::bytes out(wire.size());
            const auto size = encode_commands(*decode_commands(wire), out);
            REQUIRE(size);
            CHECK(*size == wire.size());
            CHECK(core::to_hex(out) == row[4]);
            CHECK(encode_commands(*decode_commands(wire), byte_span(out).first(out.size() - 1))
                      .error() == errc::too_large);
        }
    }
}

TEST_CASE("RTS codec: a big-endian PDU encodes to the little-endian one") {
    std::map<std::string, std::string> little;
    for (const char* file : {"pdus.tsv", "variants.tsv"})
        for (const auto& row : test::rts_vectors(file)) little[row[0]] = row[4];
    const auto rows = test::rts_vectors("big_endian.tsv");
    CHECK(rows.size() == little.size());
    for (const auto& row : rows) {
        CAPTURE(row[0]);
        const auto wire = test::hex(row[4]);
        test::bytes out(wire.size());
        REQUIRE(encode_commands(*decode_commands(wire), out));
        CHECK(core::to_hex(out) == little[row[0]]);
    }
}

TEST_CASE("RTS codec: each malformed vector of class syntax is refused by name") {
    const std::map<std::string, errc> expected{
        {"header cut", errc::truncated},
        {"rpc_vers 4", errc::bad_version},
        {"rpc_vers_minor 1", errc::bad_version},
        {"PTYPE 19", errc::bad_pdu_type},
        {"pfc first only", errc::bad_flags},
        {"pfc last only", errc::bad_flags},
        {"pfc with extra bit", errc::bad_flags},
        // The drep says big-endian, the length is little-endian: 0x1400 bytes, more than are
        // allowed.
        {"big-endian drep", errc::too_large},
        {"EBCDIC drep", errc::bad_data_representation},
        {"auth_length 8", errc::bad_auth_length},
        {"call_id 1", errc::bad_call_id},
        {"frag_length one short", errc::bad_frag_length},
        {"frag_length below header", errc::bad_frag_length},
        {"undefined flag 0x0080", errc::bad_flags},
        {"count 1, no command", errc::bad_command_count},
        {"count 2, one command", errc::bad_command_count},
        {"count 0, one command", errc::trailing_bytes},
        {"count 65535", errc::bad_command_count},
        {"command type 0x0F", errc::bad_command},
        {"command type 0xFFFFFFFF", errc::bad_command},
        {"command type cut", errc::bad_command_count},
        {"Cookie cut to 12 bytes", errc::truncated},
        {"FlowControlAck without cookie", errc::truncated},
        {"Padding count above 0xFFFF", errc::bad_value},
        {"Padding count 0xFFFFFFFC", errc::bad_value},
        {"Padding longer than PDU", errc::truncated},
        {"Padding without count", errc::truncated},
        {"AddressType 2", errc::bad_value},
        {"ClientAddress v6 with v4 size", errc::truncated},
        {"Destination 4", errc::bad_value},
        {"trailing 4 bytes", errc::trailing_bytes},
    };
    std::size_t seen = 0;
    for (const auto& row : test::rts_vectors("malformed.tsv")) {
        if (row[1] != "syntax") continue;
        CAPTURE(row[0]);
        REQUIRE(expected.contains(row[0]));
        CHECK(decode_commands(test::hex(row[3])).error() == expected.at(row[0]));
        CHECK(decode(test::hex(row[3])).error() == expected.at(row[0]));
        ++seen;
    }
    CHECK(seen == expected.size());
}

TEST_CASE("RTS codec: a number out of range is not the decoder's to judge") {
    std::size_t seen = 0;
    for (const auto& row : test::rts_vectors("malformed.tsv")) {
        if (row[1] != "range") continue;
        CAPTURE(row[0]);
        const auto wire = test::hex(row[3]);
        REQUIRE(decode_commands(wire));
        CHECK(decode_commands(wire)->commands().size() == 1);
        ++seen;
    }
    CHECK(seen == 7);
}

TEST_CASE("RTS codec: streams are cut into the PDUs they were made of") {
    for (const auto& row : test::rts_vectors("streams.tsv")) {
        CAPTURE(row[0]);
        const auto stream = test::hex(row[2]);
        byte_view rest = stream;
        for (const std::string& part : test::split(row[1], '|')) {
            CAPTURE(part);
            if (part == "banner") { // 14 bytes of the legacy server response
                rest = rest.subspan(14);
                continue;
            }
            REQUIRE(rest.size() >= header_bytes);
            const auto length =
                core::load<std::uint16_t>(rest.data() + 8, core::byte_order::little);
            REQUIRE(rest.size() >= length);
            CHECK(core::to_hex(rest.first(length)) == test::rts_vector("pdus.tsv", part)[4]);
            const auto names = test::names_of(verdict(rest.first(length)));
            CHECK(std::ranges::count(names, part) == 1);
            rest = rest.subspan(length);
        }
        CHECK(rest.empty());
    }
}

TEST_CASE("RTS codec: a PDU cut anywhere is refused") {
    for (const char* file : valid_files) {
        for (const auto& row : test::rts_vectors(file)) {
            CAPTURE(row[0]);
            const auto wire = test::hex(row[4]);
            for (std::size_t n = 0; n < wire.size(); ++n) {
                // In a vector of its own, so that a sanitizer sees a read past the end.
                const test::bytes cut(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(n));
                CHECK(decode(cut).error() == errc::truncated);
                CHECK(decode_commands(cut).error() == errc::truncated);
            }
        }
    }
}

TEST_CASE("RTS codec: a PDU cut anywhere whose frag_length agrees is refused") {
    for (const auto& row : test::rts_vectors("pdus.tsv")) {
        CAPTURE(row[0]);
        const auto wire = test::hex(row[4]);
        for (std::size_t n = header_bytes; n < wire.size(); ++n) {
            CAPTURE(n);
            test::bytes cut(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(n));
            core::store(cut.data() + 8, static_cast<std::uint16_t>(n), core::byte_order::little);
            const auto why = decode(cut).error();
            CHECK((why == errc::truncated || why == errc::bad_command_count));
        }
    }
}

TEST_CASE("RTS codec: bytes behind the PDU are refused") {
    for (const auto& row : test::rts_vectors("pdus.tsv")) {
        CAPTURE(row[0]);
        auto wire = test::hex(row[4]);
        wire.push_back(std::byte{0});
        CHECK(decode(wire).error() == errc::bad_frag_length);
        core::store(wire.data() + 8, static_cast<std::uint16_t>(wire.size()),
                    core::byte_order::little);
        CHECK(decode(wire).error() == errc::trailing_bytes);
    }
}

TEST_CASE("RTS codec: a well-formed PDU that 2.2.4 does not describe is refused as such") {
    const auto of_nobody = with_commands(2, "03000000 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 0a000000");
    REQUIRE(decode_commands(of_nobody));
    CHECK(decode_commands(of_nobody)->kind().error() == errc::unknown_shape);
    CHECK(decode(of_nobody).error() == errc::unknown_shape);
    // One window too much behind CONN/B3, and the flags of another PDU.
    CHECK(
        decode(with_commands(3, "00000000 00000100 06000000 01000000 00000000 00000100")).error() ==
        errc::unknown_shape);
    auto ping_and_eof = test::hex("05001403 10000000 1400 0000 00000000 2100 0000");
    CHECK(decode(ping_and_eof).error() == errc::unknown_shape);
}

TEST_CASE(
    "RTS codec: Padding is read wherever it stands, with a count that misaligns what follows") {
    const auto wire =
        with_commands(3, "08000000 03000000 ffffff 06000000 01000000 08000000 00000000");
    const auto list = decode_commands(wire);
    REQUIRE(list);
    CHECK(text_of(*list) == "8:3,ffffff 6:1 8:0,");
    CHECK(list->commands()[0].rest().size() == 3);
    CHECK(decode(wire).error() == errc::unknown_shape);
}

TEST_CASE("RTS codec: the limits of size and number of commands hold, and no sooner") {
    std::string empties;
    for (std::size_t i = 0; i < limits::rts_commands_max; ++i) empties += "07000000";
    const auto most = with_commands(limits::rts_commands_max, empties);
    REQUIRE(decode_commands(most));
    CHECK(decode_commands(most)->commands().size() == limits::rts_commands_max);
    CHECK(decode(most).error() == errc::unknown_shape);
    CHECK(decode(with_commands(limits::rts_commands_max + 1, empties + "07000000")).error() ==
          errc::too_many);

    const auto padded = [](std::size_t size) {
        auto out = with_commands(1, "08000000 00000000" + std::string((size - 28) * 2, '0'));
        core::store(out.data() + 16, flag::ping, core::byte_order::little);
        core::store(out.data() + 24, static_cast<std::uint32_t>(size - 28),
                    core::byte_order::little);
        return out;
    };
    CHECK(verdict(padded(limits::rts_pdu_bytes_max)) == "OUT_R2/C1");
    CHECK(decode(padded(limits::rts_pdu_bytes_max + 1)).error() == errc::too_large);
}

TEST_CASE("RTS codec: a list takes no more commands than its limit") {
    command_list list(flag::ping);
    for (std::size_t i = 0; i < limits::rts_commands_max; ++i)
        CHECK(list.push_back({.type = command_type::empty}));
    CHECK_FALSE(list.push_back({.type = command_type::empty}));
    CHECK(list.commands().size() == limits::rts_commands_max);
}

TEST_CASE("RTS codec: every header bit that is not the text's is refused") {
    const auto good = test::hex("05001403 10000000 1400 0000 00000000 0100 0000");
    REQUIRE(decode(good));
    for (std::size_t bit = 0; bit < 20 * 8; ++bit) {
        CAPTURE(bit);
        auto bad = good;
        bad[bit / 8] ^= std::byte{1} << static_cast<int>(bit % 8);
        CHECK_FALSE(decode(bad));
    }
}

TEST_CASE("RTS codec: a PDU in place is copied whole or not at all") {
    const auto longest = test::hex(test::rts_vector("variants.tsv", "CONN/B2 (IPv6, text)")[4]);
    const auto kept = wire::copy_of(longest);
    REQUIRE(kept);
    CHECK(core::to_hex(kept->view()) == core::to_hex(longest));
    CHECK(wire::copy_of(test::bytes(wire::bytes_max + 1)).error() == errc::too_large);
    CHECK(wire::copy_of({})->view().empty());
    CHECK(wire().view().empty());
}
