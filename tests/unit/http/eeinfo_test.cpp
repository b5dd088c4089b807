#include <rpch/http/eeinfo.hpp>

#include <doctest/doctest.h>

#include <rpch/core/uuid.hpp>
#include <rpch/limits.hpp>

#include "tests/support/bytes.hpp"

using namespace rpch;
using namespace rpch::http;

namespace {

std::vector<ee_record> chain_of_three() {
    ee_record first;
    first.computer_name = u"PROXY1";
    first.process_id = 4711;
    first.timestamp = 0x01DB'0000'1234'5678;
    first.generating_component = 8;
    first.status = 0x6BE;
    first.detection_location = 1442;
    first.params = {std::string("server7"), std::int32_t{-1}, std::int64_t{-2},
                    std::u16string(u"\u00E4\u20AC")};
    ee_record second;
    second.status = 0x6BA;
    second.flags = 2;
    second.params = {std::int16_t{-3}, std::monostate{},
                     std::vector<std::byte>{std::byte{1}, std::byte{2}, std::byte{3}}};
    ee_record third;
    third.computer_name = u"";
    third.status = 10061;
    return {first, second, third};
}

std::error_code error_of(byte_view blob) {
    const auto records = decode_eeinfo(blob);
    return records ? std::error_code{} : records.error();
}

} // namespace

TEST_CASE("eeinfo: the blob of the vectors, both ways") {
    const auto wire = test::vector_file("http/eeinfo_connect_failed.hex");
    const auto records = decode_eeinfo(wire);
    REQUIRE(records);
    REQUIRE(records->size() == 1);
    const ee_record& r = records->front();
    CHECK_FALSE(r.computer_name);
    CHECK(r.process_id == 0x1234);
    CHECK(r.timestamp == 0x01D0'0000'0000'0000);
    CHECK(r.generating_component == ee_component_http_proxy);
    CHECK(r.status == 0x6BA);
    CHECK(r.detection_location == ee_location_connect_failed);
    CHECK(r.params.empty());
    CHECK(core::to_hex(encode_eeinfo(*records).value()) == core::to_hex(wire));
}

TEST_CASE("eeinfo: one record with every kind of pointer stands on the wire as NDR has it") {
    ee_record r;
    r.computer_name = u"A";
    r.process_id = 1;
    r.timestamp = 2;
    r.generating_component = 3;
    r.status = 4;
    r.detection_location = 5;
    r.flags = 6;
    r.params = {std::string("b"), std::int64_t{7}};
    // Laid out by hand from [MS-EERR] 2.2.1 and [C706] 14.3: pointer, count, the record, then the
    // name and the string that are pointed to. A null Next takes no referent.
    const auto wire =
        test::hex("01100800 cccccccc 68000000 00000000"
                  "00000200 02000000"
                  "00000000 01000100 02000000 04000200 01000000 00000000 02000000 00000000"
                  "03000000 04000000 0500 0600 0200 0000"
                  "01000100 02000000 08000200 00000000"
                  "05000500 00000000 07000000 00000000"
                  "02000000 4100 0000"
                  "02000000 6200 0000");
    CHECK(core::to_hex(encode_eeinfo({&r, 1}).value()) == core::to_hex(wire));
    CHECK(decode_eeinfo(wire).value() == std::vector{r});
}

TEST_CASE("eeinfo: chains with all kinds of parameters come back as they were") {
    const auto records = chain_of_three();
    const auto wire = encode_eeinfo(records);
    REQUIRE(wire);
    CHECK(wire->size() % 8 == 0);
    CHECK(decode_eeinfo(*wire).value() == records);
    const std::vector<ee_record> longest(limits::eeinfo_records_max, records[0]);
    CHECK(decode_eeinfo(encode_eeinfo(longest).value()).value() == longest);
}

TEST_CASE("eeinfo: big-endian blobs are read as well") {
    const auto wire =
        test::hex("01000008 cccccccc 00000030 00000000"
                  "00020000 00000000 00000000 0002 0002 00001234 00000000 01d00000 00000000"
                  "0000000e 000006ba 05a0 0000 0000 0000");
    const auto records = decode_eeinfo(wire);
    REQUIRE(records);
    CHECK(records->front().status == 0x6BA);
    CHECK(records->front().detection_location == 0x05A0);
    CHECK(records->front().timestamp == 0x01D0'0000'0000'0000);
}

TEST_CASE("eeinfo: cut at any byte the whole is void") {
    const auto wire = encode_eeinfo(chain_of_three()).value();
    for (std::size_t n = 0; n < wire.size(); ++n) {
        CHECK(error_of(byte_view(wire).first(n)) == errc::truncated);
        auto shorter = test::bytes(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(n));
        if (n < 16 || n % 8 != 0) continue;
        shorter[8] = static_cast<std::byte>((n - 16) & 0xFF); // the header agrees with the cut
        shorter[9] = static_cast<std::byte>((n - 16) >> 8);
        CHECK(error_of(shorter) == errc::truncated);
    }
    auto longer = wire;
    longer.resize(longer.size() + 8);
    CHECK(error_of(longer) == errc::trailing_bytes);
    longer[8] = static_cast<std::byte>((longer.size() - 16) & 0xFF);
    longer[9] = static_cast<std::byte>((longer.size() - 16) >> 8);
    CHECK(error_of(longer) == errc::trailing_bytes);
}

TEST_CASE("eeinfo: what is malformed is refused by name") {
    const auto changed = [](std::size_t at, unsigned value) {
        auto wire = test::vector_file("http/eeinfo_connect_failed.hex");
        wire[at] = static_cast<std::byte>(value);
        return error_of(wire);
    };
    CHECK(changed(0, 2) == errc::bad_version);
    CHECK(changed(1, 0x20) == errc::bad_data_representation);
    CHECK(changed(2, 9) == errc::bad_value);
    CHECK(changed(8, 0x31) == errc::bad_value);
    CHECK(changed(18, 0) == errc::ndr_bad_pointer); // no record at all
    CHECK(changed(20, 1) == errc::ndr_bad_array);   // count before the record and nLen differ
    CHECK(changed(28, 3) == errc::ndr_bad_union);   // kind and discriminant differ
    CHECK(changed(30, 1) == errc::ndr_bad_union);
    CHECK(changed(60, 5) == errc::ndr_bad_array); // nLen above 4
    CHECK(changed(24, 1) == errc::truncated);     // a Next that is not there
}

TEST_CASE("eeinfo: limits hold on both sides") {
    CHECK(encode_eeinfo({}).error() == errc::bad_value);
    CHECK(encode_eeinfo(std::vector<ee_record>(limits::eeinfo_records_max + 1)).error() ==
          errc::too_many);
    ee_record r;
    r.params.resize(limits::eeinfo_params_max + 1);
    CHECK(encode_eeinfo({&r, 1}).error() == errc::too_many);
    r.params = {std::string(32767, 'x')};
    CHECK(encode_eeinfo({&r, 1}).error() == errc::too_large);
    r.params = {std::string(32766, 'x')};
    CHECK(decode_eeinfo(encode_eeinfo({&r, 1}).value()).value() == std::vector{r});
    // A seventeenth record: the sixteenth, which ends the chain, is made to point on.
    auto wire = encode_eeinfo(std::vector<ee_record>(limits::eeinfo_records_max)).value();
    // Top pointer, then 16 records of 4 + 4 or 8 bytes count and 40 bytes each; find the last by
    // its null.
    const std::size_t last_next = wire.size() - 40;
    REQUIRE(core::load<std::uint32_t>(wire.data() + last_next, core::byte_order::little) == 0);
    wire[last_next] = std::byte{1};
    CHECK(error_of(wire) == errc::too_many);
}
