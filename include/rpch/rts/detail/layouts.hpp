// How each PDU struct lies on the wire: which member each command of its shape carries.
#ifndef RPCH_RTS_DETAIL_LAYOUTS_HPP
#define RPCH_RTS_DETAIL_LAYOUTS_HPP

#include <concepts>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

#include <rpch/core/bytes.hpp>
#include <rpch/rts/client_address.hpp>
#include <rpch/rts/pdus.hpp>

namespace rpch::inline RPCH_ABI::rts::detail {

template <core::byte_order Order>
void read_value(const std::byte* at, std::uint32_t& out) noexcept {
    out = core::load<std::uint32_t>(at, Order);
}
template <core::byte_order Order>
void read_value(const std::byte* at, cookie& out) noexcept {
    std::memcpy(out.bytes.data(), at, out.bytes.size());
}
template <core::byte_order Order>
void read_value(const std::byte* at, destination& out) noexcept {
    out = static_cast<destination>(core::load<std::uint32_t>(at, Order));
}
template <core::byte_order Order>
void read_value(const std::byte* at, flow_control_acknowledgment& out) noexcept {
    read_value<Order>(at, out.bytes_received);
    read_value<Order>(at + 4, out.available_window);
    read_value<Order>(at + 8, out.channel_cookie);
}
template <core::byte_order Order>
void read_value(const std::byte* at, client_address& out) noexcept {
    const auto family = static_cast<address_family>(core::load<std::uint32_t>(at, Order));
    out = read_client_address(family, {at + 4, client_address_bytes(family)});
}

inline void write_value(std::byte* at, std::uint32_t value, address_layout = {}) noexcept {
    core::store(at, value, core::byte_order::little);
}
inline void write_value(std::byte* at, const cookie& value, address_layout) noexcept {
    std::memcpy(at, value.bytes.data(), value.bytes.size());
}
inline void write_value(std::byte* at, destination value, address_layout) noexcept {
    write_value(at, static_cast<std::uint32_t>(value));
}
inline void write_value(std::byte* at, const flow_control_acknowledgment& value,
                        address_layout layout) noexcept {
    write_value(at, value.bytes_received);
    write_value(at + 4, value.available_window);
    write_value(at + 8, value.channel_cookie, layout);
}
inline void write_value(std::byte* at, const client_address& value,
                        address_layout layout) noexcept {
    write_value(at, static_cast<std::uint32_t>(value.family));
    write_client_address(value, layout, {at + 4, client_address_bytes(value.family)});
}

/// @return whether a command of this type carries a value of type Value.
template <class Value>
constexpr bool carries(command_type type) noexcept {
    using enum command_type;
    if constexpr (std::same_as<Value, rts::cookie>)
        return type == cookie || type == association_group_id;
    else if constexpr (std::same_as<Value, rts::destination>)
        return type == destination;
    else if constexpr (std::same_as<Value, rts::client_address>)
        return type == client_address;
    else if constexpr (std::same_as<Value, flow_control_acknowledgment>)
        return type == flow_control_ack;
    else
        return form_of(type).bytes == 8 && type != destination && type != padding;
}

/// The members of the PDU struct T, in the order of the commands that carry them. Commands without
/// fields stand last in every shape; so does the one command that varies in size, the address.
template <class T, auto... Member>
struct members {
    static constexpr const shape_definition& definition = definition_of(T::kind);
    static constexpr std::size_t bytes = [] {
        std::size_t sum = header_bytes;
        for (const command_type type : definition.commands()) sum += form_of(type).bytes;
        return sum;
    }();
    static constexpr bool match = [] {
        const command_type* type = definition.types.data();
        const bool types =
            (true && ... && carries<std::remove_cvref_t<decltype(T{}.*Member)>>(*type++));
        bool bare = true;
        for (std::size_t i = sizeof...(Member); i < definition.count; ++i)
            bare = bare && form_of(definition.types[i]).bytes == 4;
        return types && bare && sizeof...(Member) <= definition.count;
    }();
    static_assert(match, "the struct disagrees with its shape");

    /// Reads what `decode` has accepted; `at` is the first command.
    template <core::byte_order Order>
    static void read([[maybe_unused]] const std::byte* at, [[maybe_unused]] T& out) noexcept {
        [[maybe_unused]] const command_type* type = definition.types.data();
        ((read_value<Order>(at + 4, out.*Member), at += form_of(*type++).bytes), ...);
    }
    /// Writes all commands; `at` has room for them.
    static void write(std::byte* at, [[maybe_unused]] const T& from,
                      [[maybe_unused]] address_layout address) noexcept {
        const command_type* type = definition.types.data();
        const auto put_type = [&at, &type] {
            write_value(at, static_cast<std::uint32_t>(*type));
            return std::exchange(at, at + form_of(*type++).bytes) + 4;
        };
        (write_value(put_type(), from.*Member, address), ...);
        for (std::size_t i = sizeof...(Member); i < definition.count; ++i) put_type();
    }
};

/// Specialized for every struct of pdus.hpp.
template <class T>
struct layout;

template <>
struct layout<conn_a1> : members<conn_a1, &conn_a1::version, &conn_a1::virtual_connection,
                                 &conn_a1::out_channel, &conn_a1::receive_window_size> {};
template <>
struct layout<conn_a2>
    : members<conn_a2, &conn_a2::version, &conn_a2::virtual_connection, &conn_a2::out_channel,
              &conn_a2::channel_lifetime, &conn_a2::receive_window_size> {};
template <>
struct layout<conn_a3> : members<conn_a3, &conn_a3::connection_timeout> {};
template <>
struct layout<conn_b1>
    : members<conn_b1, &conn_b1::version, &conn_b1::virtual_connection, &conn_b1::in_channel,
              &conn_b1::channel_lifetime, &conn_b1::client_keepalive, &conn_b1::association_group> {
};
template <>
struct layout<conn_b2>
    : members<conn_b2, &conn_b2::version, &conn_b2::virtual_connection, &conn_b2::in_channel,
              &conn_b2::receive_window_size, &conn_b2::connection_timeout,
              &conn_b2::association_group, &conn_b2::client_address> {};
template <>
struct layout<conn_b3> : members<conn_b3, &conn_b3::receive_window_size, &conn_b3::version> {};
template <>
struct layout<conn_c1> : members<conn_c1, &conn_c1::version, &conn_c1::receive_window_size,
                                 &conn_c1::connection_timeout> {};
template <>
struct layout<in_r1_a1> : members<in_r1_a1, &in_r1_a1::version, &in_r1_a1::virtual_connection,
                                  &in_r1_a1::predecessor_channel, &in_r1_a1::successor_channel> {};
template <>
struct layout<in_r1_a2> : members<in_r1_a2, &in_r1_a2::version, &in_r1_a2::virtual_connection,
                                  &in_r1_a2::predecessor_channel, &in_r1_a2::successor_channel,
                                  &in_r1_a2::receive_window_size, &in_r1_a2::connection_timeout> {};
template <>
struct layout<in_r1_a3> : members<in_r1_a3, &in_r1_a3::destination, &in_r1_a3::version,
                                  &in_r1_a3::receive_window_size, &in_r1_a3::connection_timeout> {};
template <>
struct layout<in_r1_a5> : members<in_r1_a5, &in_r1_a5::successor_channel> {};
template <>
struct layout<in_r1_b1> : members<in_r1_b1> {};
template <>
struct layout<in_r1_b2> : members<in_r1_b2, &in_r1_b2::receive_window_size> {};
template <>
struct layout<in_r2_a3> : members<in_r2_a3, &in_r2_a3::destination> {};
template <>
struct layout<out_r1_a1> : members<out_r1_a1, &out_r1_a1::destination> {};
template <>
struct layout<out_r1_a3> : members<out_r1_a3, &out_r1_a3::version, &out_r1_a3::virtual_connection,
                                   &out_r1_a3::predecessor_channel, &out_r1_a3::successor_channel,
                                   &out_r1_a3::receive_window_size> {};
template <>
struct layout<out_r1_a4> : members<out_r1_a4, &out_r1_a4::version, &out_r1_a4::virtual_connection,
                                   &out_r1_a4::predecessor_channel, &out_r1_a4::successor_channel,
                                   &out_r1_a4::channel_lifetime, &out_r1_a4::receive_window_size,
                                   &out_r1_a4::connection_timeout> {};
template <>
struct layout<out_r1_a5> : members<out_r1_a5, &out_r1_a5::destination, &out_r1_a5::version,
                                   &out_r1_a5::connection_timeout> {};
template <>
struct layout<out_r1_a7>
    : members<out_r1_a7, &out_r1_a7::destination, &out_r1_a7::successor_channel> {};
template <>
struct layout<out_r1_a9> : members<out_r1_a9> {};
template <>
struct layout<out_r2_a5> : members<out_r2_a5, &out_r2_a5::destination> {};
template <>
struct layout<out_r2_a7> : members<out_r2_a7, &out_r2_a7::destination,
                                   &out_r2_a7::successor_channel, &out_r2_a7::version> {};
template <>
struct layout<out_r2_b2> : members<out_r2_b2> {};
template <>
struct layout<out_r2_b3> : members<out_r2_b3> {};
template <>
struct layout<out_r2_c1> : members<out_r2_c1> {};
template <>
struct layout<keep_alive> : members<keep_alive, &keep_alive::client_keepalive> {};
template <>
struct layout<ping_traffic_sent_notify>
    : members<ping_traffic_sent_notify, &ping_traffic_sent_notify::ping_traffic_sent> {};
template <>
struct layout<echo> : members<echo> {};
template <>
struct layout<ping> : members<ping> {};
template <>
struct layout<flow_control_ack> : members<flow_control_ack, &flow_control_ack::ack> {};
template <>
struct layout<flow_control_ack_with_destination>
    : members<flow_control_ack_with_destination, &flow_control_ack_with_destination::destination,
              &flow_control_ack_with_destination::ack> {};

} // namespace rpch::inline RPCH_ABI::rts::detail

#endif
