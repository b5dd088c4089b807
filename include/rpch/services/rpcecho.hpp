// rpcecho, Samba's test interface, version 1.0: its ten operations as types, and a server's
// answers.
#ifndef RPCH_SERVICES_RPCECHO_HPP
#define RPCH_SERVICES_RPCECHO_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>
#include <tuple>
#include <vector>

#include <rpch/core/uuid.hpp>
#include <rpch/ndr/operation.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::services {

/// The interface. Arrays carry their size twice, as a parameter and in themselves; callers keep
/// both equal, and a server refuses a call where they differ.
struct rpcecho {
    static constexpr interface_id id{"60a15ec5-4de8-11d7-a637-005056a20182", 1, 0};

    using octets = std::vector<std::uint8_t>;

    struct info1 {
        std::uint8_t v = 0;
        bool operator==(const info1&) const = default;
    };
    struct info2 {
        std::uint16_t v = 0;
        bool operator==(const info2&) const = default;
    };
    struct info3 {
        std::uint32_t v = 0;
        bool operator==(const info3&) const = default;
    };
    struct info4 {
        std::uint64_t v = 0;
        bool operator==(const info4&) const = default;
    };
    struct info5 {
        std::uint8_t v1 = 0;
        std::uint64_t v2 = 0;
        bool operator==(const info5&) const = default;
    };
    struct info6 {
        std::uint8_t v1 = 0;
        info1 nested;
        bool operator==(const info6&) const = default;
    };
    struct info7 {
        std::uint8_t v1 = 0;
        info4 nested;
        bool operator==(const info7&) const = default;
    };
    /// One structure for each level, to try alignments.
    using info =
        ndr::union_<std::uint16_t, ndr::arm<info1, 1>, ndr::arm<info2, 2>, ndr::arm<info3, 3>,
                    ndr::arm<info4, 4>, ndr::arm<info5, 5>, ndr::arm<info6, 6>, ndr::arm<info7, 7>>;

    enum class enum1 : std::uint16_t { one = 1, two = 2 };
    enum class enum1_32 : std::uint32_t { one = 1, two = 2 };
    struct enum2 {
        enum1 e1{};
        ndr::enum32<enum1_32> e2;
        bool operator==(const enum2&) const = default;
    };
    using enum3 =
        ndr::union_<std::uint16_t, ndr::arm<enum1, enum1::one>, ndr::arm<enum2, enum1::two>>;

    /// A structure around a conformant array; `x` is its size.
    struct surrounding {
        std::uint32_t x = 0;
        std::vector<std::uint16_t> items;
        [[nodiscard]] std::error_code ndr_check() const noexcept {
            return x == items.size() ? std::error_code{} : make_error_code(errc::ndr_bad_array);
        }
        bool operator==(const surrounding&) const = default;
    };

    /// Adds one to a number.
    using add_one = operation<0, std::uint32_t(std::uint32_t)>;
    /// Sends octets back: (len, in_data) gives out_data.
    using echo_data = operation<1, octets(std::uint32_t, octets)>;
    /// Takes octets: (len, data).
    using sink_data = operation<2, void(std::uint32_t, octets)>;
    /// Makes `len` octets 0, 1, 2 .. 255, 0 ..
    using source_data = operation<3, octets(std::uint32_t)>;
    /// Sends a string back.
    using test_call = operation<4, ndr::unique<std::u16string>(std::u16string)>;
    /// Fills the structure of a level from 1 to 7: info and an NTSTATUS.
    using test_call2 = operation<5, std::tuple<info, std::uint32_t>(std::uint16_t)>;
    /// Answers after so many seconds with their number.
    using test_sleep = operation<6, std::uint32_t(std::uint32_t)>;
    /// Sends enums of both widths, alone, in a structure and in a union whose level is the first
    /// one.
    using test_enum = operation<7, std::tuple<enum1, enum2, enum3>(enum1, enum2, enum3)>;
    /// Gives back an array twice as large.
    using test_surrounding = operation<8, surrounding(surrounding)>;
    /// Follows three pointers (the outermost is a reference) to a number; 0 if one is null.
    using test_double_pointer =
        operation<9, std::uint16_t(ndr::unique<ndr::unique<std::uint16_t>>)>;
};

/// The most octets that `source_data` makes in one call: what one response can carry.
inline constexpr std::size_t source_data_bytes_max = limits::call_bytes_max - 8;

/// A server's answers: pure functions of the parameters, named like the operations. An error is an
/// `rpc_status`, to be sent as a fault:
///  - nca_fault_invalid_bound if a size differs from its array;
///  - nca_out_args_too_big above source_data_bytes_max;
///  - nca_fault_invalid_tag for a level that has no structure.
struct rpcecho_service {
    using octets = rpcecho::octets;
    using string_pointer = ndr::unique<std::u16string>;
    using info_and_status = std::tuple<rpcecho::info, std::uint32_t>;
    using enums = std::tuple<rpcecho::enum1, rpcecho::enum2, rpcecho::enum3>;
    using number_pointer = ndr::unique<ndr::unique<std::uint16_t>>;

    static result<std::uint32_t> add_one(std::uint32_t number) noexcept;
    static result<octets> echo_data(std::uint32_t len, octets data) noexcept;
    static result<void> sink_data(std::uint32_t len, const octets& data) noexcept;
    static result<octets> source_data(std::uint32_t len);
    static result<string_pointer> test_call(std::u16string text);
    static result<info_and_status> test_call2(std::uint16_t level);
    /// @return the seconds after which the caller sends this very number; nobody sleeps here.
    static result<std::uint32_t> test_sleep(std::uint32_t seconds) noexcept;
    static result<enums> test_enum(rpcecho::enum1 first, rpcecho::enum2 second,
                                   rpcecho::enum3 third);
    static result<rpcecho::surrounding> test_surrounding(rpcecho::surrounding value);
    static result<std::uint16_t> test_double_pointer(const number_pointer& pointer) noexcept;
};

} // namespace rpch::inline RPCH_ABI::services

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/services/impl/rpcecho.ipp>
#endif

#endif
