// Decodes arbitrary stub data as one of many types. What decodes must encode, and decode to the
// same again. The first octet selects the type and the byte order.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <tuple>
#include <vector>

#include <rpch/ndr/ndr.hpp>
#include <rpch/services/endpoint_mapper.hpp>
#include <rpch/services/mgmt.hpp>
#include <rpch/services/rpcecho.hpp>

namespace {

using namespace rpch;

enum class colour : std::uint16_t { red = 1 };
enum class wide_colour : std::uint32_t { red = 1 };

struct numbers {
    std::uint8_t a = 0;
    std::int16_t b = 0;
    bool c = false;
    std::uint64_t d = 0;
    char e = 0;
    std::int32_t f = 0;
    colour g{};
    ndr::enum32<wide_colour> h;
    ndr::range<std::uint16_t, 3, 300> i;
    bool operator==(const numbers& other) const {
        return std::tie(a, b, c, d, e, f, g) ==
                   std::tie(other.a, other.b, other.c, other.d, other.e, other.f, other.g) &&
               h == other.h && i == other.i;
    }
};
struct node {
    std::uint16_t value = 0;
    ndr::unique<node> left;
    ndr::unique<std::string> name;
    ndr::unique<node> right;
    bool operator==(const node&) const = default;
};
struct shared {
    ndr::full<std::uint16_t> a;
    ndr::full<shared> b;
    ndr::full<std::uint16_t> c;
    ndr::ref<std::uint8_t> d;
    bool operator==(const shared&) const = default;
};
struct tail {
    std::uint8_t before = 0;
    std::array<ndr::unique<std::uint16_t>, 2> pair;
    ndr::varying<std::uint64_t, 20> some;
    ndr::varying_string<16> name;
    std::vector<numbers> items;
    bool operator==(const tail&) const = default;
};
using choice = ndr::union_<std::uint16_t, ndr::arm<std::uint8_t, 1, 2>, ndr::arm<numbers, 3>,
                           ndr::arm<void, 4>, ndr::arm<ndr::unique<node>, 5>,
                           ndr::arm<ndr::varying<ndr::unique<shared>, 8>, 6>>;
using aligned_choice = ndr::ms_union<ndr::enum32<wide_colour>, ndr::arm<std::uint8_t, 1>,
                                     ndr::arm<std::uint64_t, 2>, ndr::default_arm<void>>;
struct choices {
    std::uint8_t before = 0;
    choice a;
    aligned_choice b;
    ndr::unique<std::vector<choice>> many;
    bool operator==(const choices&) const = default;
};

using all = std::tuple<numbers, node, shared, tail, choices, std::string, std::u16string,
                       std::vector<std::byte>, std::vector<std::uint64_t>,
                       std::vector<ndr::unique<std::u16string>>,
                       ndr::conformant_varying<ndr::full<node>, 100>, ndr::conformant<choice, 50>,
                       std::vector<ndr::full<shared>>, ndr::unique<tail>, ndr::context_handle,
                       interface_id, services::rpcecho::info, services::rpcecho::enum3,
                       services::rpcecho::surrounding, std::array<ndr::u16varying_string<9>, 3>>;

void require(bool truth) {
    if (!truth) std::abort();
}

template <class T>
void round_trip(byte_view stub, core::byte_order order) {
    ndr::decoder in(stub, order);
    T first{};
    const bool read = ndr::get_whole(in, first);
    require(read == !in.error());
    if (!read) return;
    std::vector<std::byte> again;
    ndr::encoder out(again, order);
    require(ndr::put_whole(out, first));
    ndr::decoder back(again, order);
    T second{};
    require(ndr::get_whole(back, second));
    require(back.remaining() == 0);
    require(first == second);
}

template <std::size_t... I>
void run(std::size_t type, byte_view stub, core::byte_order order, std::index_sequence<I...>) {
    ((I == type ? round_trip<std::tuple_element_t<I, all>>(stub, order) : void()), ...);
}

/// Serves a request; the answer to what decodes must encode, and decode.
template <class Operation, class Serve>
void serve(byte_view stub, core::byte_order order, const Serve& answer) {
    auto parameters = Operation::decode_request(stub, order);
    if (!parameters) return;
    const auto value =
        std::apply([&](auto&... each) { return answer(std::move(each)...); }, *parameters);
    if (!value) return;
    const auto response = Operation::encode_response(*value);
    require(response.has_value());
    require(Operation::decode_response(*response, core::byte_order::little).has_value());
}

void run_service(std::size_t service, byte_view stub, core::byte_order order) {
    using namespace rpch::services;
    const std::vector<endpoint> endpoints{
        {{.interface = rpcecho::id, .protocol = tower_protocol::tcp, .port = 1}, {}, "a"},
        {{.interface = rpcecho::id, .protocol = tower_protocol::http, .port = 2}, {}, "b"},
        {{.interface = mgmt::id, .protocol = tower_protocol::tcp, .port = 3}, mgmt::id.id, ""}};
    const auto known = std::make_shared<endpoint_map>(4);
    require(!known->insert(endpoints, if_registered::add));
    const caller who{.local = true};
    endpoint_mapper_service mapper(known, allow_local_changes);
    static const server_facts facts{{rpcecho::id, mgmt::id}, 1, 2, 3, 4, true, {{10, "name"}}};
    const auto lookup = [&](auto&&... each) { return mapper.lookup(who, each...); };
    const auto map = [&](auto&&... each) { return mapper.map(who, each...); };
    const auto insert = [&](auto&&... each) { return mapper.insert(who, each...); };
    const auto name = [](auto... each) { return mgmt_service::inq_princ_name(facts, each...); };
    switch (service) {
    case 0: return serve<rpcecho::test_enum>(stub, order, rpcecho_service::test_enum);
    case 1: return serve<rpcecho::test_surrounding>(stub, order, rpcecho_service::test_surrounding);
    case 2: return serve<rpcecho::test_call>(stub, order, rpcecho_service::test_call);
    case 3: return serve<rpcecho::echo_data>(stub, order, rpcecho_service::echo_data);
    case 4: return serve<endpoint_mapper::lookup>(stub, order, lookup);
    case 5: return serve<endpoint_mapper::map>(stub, order, map);
    case 6: return serve<endpoint_mapper::insert>(stub, order, insert);
    case 7: return serve<mgmt::inq_princ_name>(stub, order, name);
    case 8:
        if (const auto t = decode_tower(stub)) require(decode_tower(encode_tower(*t)).has_value());
        return;
    default: return;
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto order = (data[0] & 0x80) != 0 ? core::byte_order::big : core::byte_order::little;
    const auto stub = std::as_bytes(std::span(data + 1, size - 1));
    const std::size_t type = data[0] & 0x7F;
    constexpr std::size_t types = std::tuple_size_v<all>;
    if (type < types)
        run(type, stub, order, std::make_index_sequence<types>{});
    else
        run_service(type - types, stub, order);
    return 0;
}
