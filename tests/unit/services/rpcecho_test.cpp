#include <rpch/services/rpcecho.hpp>

#include <doctest/doctest.h>

#include "tests/unit/services/services_support.hpp"

using namespace rpch;
using services::rpcecho;
using services::rpcecho_service;
using test::call;
using test::fault_of;

// Expected octets are worked out by hand from [C706] 14; each is also what Samba's client accepts.

TEST_CASE("rpcecho: AddOne wraps around") {
    CHECK(call<rpcecho::add_one>(rpcecho_service::add_one, "29000000") == "2a000000");
    CHECK(call<rpcecho::add_one>(rpcecho_service::add_one, "ffffffff") == "00000000");
    CHECK(call<rpcecho::add_one>(rpcecho_service::add_one, "0000002a", core::byte_order::big) ==
          "2b000000");
}

TEST_CASE("rpcecho: EchoData gives back what it got, and wants both sizes to agree") {
    CHECK(call<rpcecho::echo_data>(rpcecho_service::echo_data, "03000000 03000000 070809") ==
          "03000000"
          "070809");
    CHECK(call<rpcecho::echo_data>(rpcecho_service::echo_data, "00000000 00000000") == "00000000");
    CHECK(fault_of<rpcecho::echo_data>(rpcecho_service::echo_data, "04000000 03000000 070809") ==
          rpc_status::nca_fault_invalid_bound);
}

TEST_CASE("rpcecho: SinkData answers with nothing") {
    CHECK(call<rpcecho::sink_data>(rpcecho_service::sink_data, "03000000 03000000 070809").empty());
    CHECK(fault_of<rpcecho::sink_data>(rpcecho_service::sink_data, "02000000 03000000 070809") ==
          rpc_status::nca_fault_invalid_bound);
}

TEST_CASE("rpcecho: SourceData counts up, within what a response can carry") {
    CHECK(call<rpcecho::source_data>(rpcecho_service::source_data, "04000000") == "04000000"
                                                                                  "00010203");
    const auto many = rpcecho_service::source_data(300);
    REQUIRE(many);
    CHECK((*many)[257] == 1);
    CHECK(fault_of<rpcecho::source_data>(rpcecho_service::source_data, "ffffffff") ==
          rpc_status::nca_out_args_too_big);
}

TEST_CASE("rpcecho: TestCall gives back the string behind a pointer") {
    CHECK(call<rpcecho::test_call>(rpcecho_service::test_call,
                                   "03000000 00000000 03000000 6100 6200 0000") == "00000200"
                                                                                   "03000000"
                                                                                   "00000000"
                                                                                   "03000000"
                                                                                   "6100"
                                                                                   "6200"
                                                                                   "0000");
}

TEST_CASE("rpcecho: TestCall2 fills each level at its alignment, the status follows") {
    CHECK(call<rpcecho::test_call2>(rpcecho_service::test_call2, "0100") == "0100"
                                                                            "0a"
                                                                            "00"
                                                                            "00000000");
    CHECK(call<rpcecho::test_call2>(rpcecho_service::test_call2, "0200") == "0200"
                                                                            "1400"
                                                                            "00000000");
    CHECK(call<rpcecho::test_call2>(rpcecho_service::test_call2, "0300") == "0300"
                                                                            "0000"
                                                                            "1e000000"
                                                                            "00000000");
    CHECK(call<rpcecho::test_call2>(rpcecho_service::test_call2, "0400") == "0400"
                                                                            "000000000000"
                                                                            "2800000000000000"
                                                                            "00000000");
    CHECK(call<rpcecho::test_call2>(rpcecho_service::test_call2, "0500") == "0500"
                                                                            "000000000000"
                                                                            "32"
                                                                            "00000000000000"
                                                                            "3c00000000000000"
                                                                            "00000000");
    CHECK(call<rpcecho::test_call2>(rpcecho_service::test_call2, "0600") == "0600"
                                                                            "46"
                                                                            "50"
                                                                            "00000000");
    CHECK(call<rpcecho::test_call2>(rpcecho_service::test_call2, "0700") == "0700"
                                                                            "000000000000"
                                                                            "50"
                                                                            "00000000000000"
                                                                            "5a00000000000000"
                                                                            "00000000");
    CHECK(fault_of<rpcecho::test_call2>(rpcecho_service::test_call2, "0800") ==
          rpc_status::nca_fault_invalid_tag);
    CHECK(fault_of<rpcecho::test_call2>(rpcecho_service::test_call2, "0000") ==
          rpc_status::nca_fault_invalid_tag);
}

TEST_CASE("rpcecho: TestSleep says how long to sleep") {
    CHECK(call<rpcecho::test_sleep>(rpcecho_service::test_sleep, "03000000") == "03000000");
}

TEST_CASE("rpcecho: TestEnum keeps enumerators it does not know and wants the levels to agree") {
    // foo1, gap, {76, gap, 1}, level 1, 2: what smbtorture sends.
    CHECK(call<rpcecho::test_enum>(rpcecho_service::test_enum,
                                   "0100 0000 4c00 0000 01000000 0100 0200") == "0100"
                                                                                "0000"
                                                                                "0200"
                                                                                "0000"
                                                                                "01000000"
                                                                                "0100"
                                                                                "0200");
    CHECK(call<rpcecho::test_enum>(rpcecho_service::test_enum,
                                   "0200 0000 4c00 0000 01000000 0200 0000 0500 0000 06000000") ==
          "0200"
          "0000"
          "0200"
          "0000"
          "01000000"
          "0200"
          "0000"
          "0500"
          "0000"
          "06000000");
    CHECK(fault_of<rpcecho::test_enum>(rpcecho_service::test_enum,
                                       "0200 0000 4c00 0000 01000000 0100 0200") ==
          rpc_status::nca_fault_invalid_tag);
}

TEST_CASE("rpcecho: TestSurrounding doubles the array") {
    CHECK(call<rpcecho::test_surrounding>(rpcecho_service::test_surrounding,
                                          "02000000 02000000 0700 0800") == "04000000"
                                                                            "04000000"
                                                                            "0000000000000000");
    CHECK(rpcecho::test_surrounding::decode_request(test::hex("02000000 03000000 0700 0800"),
                                                    core::byte_order::little)
              .error() == errc::ndr_bad_array);
}

TEST_CASE("rpcecho: TestDoublePointer follows the pointers as far as they go") {
    CHECK(call<rpcecho::test_double_pointer>(rpcecho_service::test_double_pointer,
                                             "00000200 04000200 0c00") == "0c00");
    CHECK(call<rpcecho::test_double_pointer>(rpcecho_service::test_double_pointer,
                                             "00000200 00000000") == "0000");
    CHECK(call<rpcecho::test_double_pointer>(rpcecho_service::test_double_pointer, "00000000") ==
          "0000");
}
