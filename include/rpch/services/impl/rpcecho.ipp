#include <rpch/services/rpcecho.hpp>

#include <utility>

namespace rpch::inline RPCH_ABI::services {

RPCH_DECL result<std::uint32_t> rpcecho_service::add_one(std::uint32_t number) noexcept {
    return number + 1;
}

RPCH_DECL result<rpcecho::octets> rpcecho_service::echo_data(std::uint32_t len,
                                                             octets data) noexcept {
    if (len != data.size()) return fail(rpc_status::nca_fault_invalid_bound);
    return data;
}

RPCH_DECL result<void> rpcecho_service::sink_data(std::uint32_t len, const octets& data) noexcept {
    if (len != data.size()) return fail(rpc_status::nca_fault_invalid_bound);
    return {};
}

RPCH_DECL result<rpcecho::octets> rpcecho_service::source_data(std::uint32_t len) {
    if (len > source_data_bytes_max) return fail(rpc_status::nca_out_args_too_big);
    octets out(len);
    std::uint8_t next = 0;
    for (auto& octet : out) octet = next++;
    return out;
}

RPCH_DECL result<rpcecho_service::string_pointer> rpcecho_service::test_call(std::u16string text) {
    return string_pointer{std::move(text)};
}

RPCH_DECL result<rpcecho_service::info_and_status>
rpcecho_service::test_call2(std::uint16_t level) {
    using info = rpcecho::info;
    // The numbers are those of Samba's server.
    const auto filled = [](info value) { return info_and_status{std::move(value), 0}; };
    switch (level) {
    case 1: return filled(info::of<1>(rpcecho::info1{10}));
    case 2: return filled(info::of<2>(rpcecho::info2{20}));
    case 3: return filled(info::of<3>(rpcecho::info3{30}));
    case 4: return filled(info::of<4>(rpcecho::info4{40}));
    case 5: return filled(info::of<5>(rpcecho::info5{50, 60}));
    case 6: return filled(info::of<6>(rpcecho::info6{70, {80}}));
    case 7: return filled(info::of<7>(rpcecho::info7{80, {90}}));
    default: return fail(rpc_status::nca_fault_invalid_tag);
    }
}

RPCH_DECL result<std::uint32_t> rpcecho_service::test_sleep(std::uint32_t seconds) noexcept {
    return seconds;
}

RPCH_DECL result<rpcecho_service::enums>
rpcecho_service::test_enum(rpcecho::enum1 first, rpcecho::enum2 second, rpcecho::enum3 third) {
    // The level of the union is the first parameter; what its arm says is another matter.
    if (third.tag != static_cast<std::uint16_t>(first))
        return fail(rpc_status::nca_fault_invalid_tag);
    second.e1 = rpcecho::enum1::two;
    return enums{first, second, std::move(third)};
}

RPCH_DECL result<rpcecho::surrounding>
rpcecho_service::test_surrounding(rpcecho::surrounding value) {
    const std::size_t doubled = value.items.size() * 2;
    value.items.assign(doubled, 0);
    value.x = static_cast<std::uint32_t>(doubled);
    return value;
}

RPCH_DECL result<std::uint16_t>
rpcecho_service::test_double_pointer(const number_pointer& pointer) noexcept {
    return pointer && *pointer ? **pointer : std::uint16_t{0};
}

} // namespace rpch::inline RPCH_ABI::services
