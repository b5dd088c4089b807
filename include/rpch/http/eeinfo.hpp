// Extended error information, [MS-EERR] 2.2: the list of records that a failure response carries.
#ifndef RPCH_HTTP_EEINFO_HPP
#define RPCH_HTTP_EEINFO_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <rpch/core/bytes.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::http {

/// A parameter of a record, ExtendedErrorParam of [MS-EERR] 2.2.1.6; monostate is "none".
using ee_param = std::variant<std::monostate, std::string, std::u16string, std::int32_t,
                              std::int16_t, std::int64_t, std::vector<std::byte>>;

/// One record, ExtendedErrorInfo of [MS-EERR] 2.2.1.8. Strings are without their terminator.
struct ee_record {
    std::optional<std::u16string> computer_name;
    std::uint32_t process_id = 0;
    std::uint64_t timestamp = 0; ///< 100 ns since 1601-01-01 UTC.
    std::uint32_t generating_component = 0;
    std::uint32_t status = 0;
    std::uint16_t detection_location = 0;
    std::uint16_t flags = 0;      ///< 1: records are missing before this one; 2: after it.
    std::vector<ee_param> params; ///< At most 4.
    bool operator==(const ee_record&) const = default;
};

/// GeneratingComponent and DetectionLocation of a proxy that failed to connect, [MS-EERR] 2.2.3.
inline constexpr std::uint32_t ee_component_http_proxy = 0x0E;
inline constexpr std::uint16_t ee_location_connect_failed = 0x05A0;

/// Encodes a list of records, the root cause last, as one little-endian type serialization version
/// 1 blob, [MS-RPCE] 2.2.6. The size is a multiple of 8.
/// @errors errc::bad_value for an empty list; errc::too_many above limits::eeinfo_records_max
/// records or
///         limits::eeinfo_params_max parameters; errc::too_large for a string above 32766
///         characters.
[[nodiscard]] RPCH_DECL result<std::vector<std::byte>>
encode_eeinfo(std::span<const ee_record> records);

/// Decodes a blob, in either byte order. A fault anywhere voids the whole, [MS-EERR] 2.2.2.2.
/// @errors errc::truncated, errc::trailing_bytes, errc::bad_version (serialization header),
///         errc::bad_data_representation, errc::bad_value, errc::ndr_bad_pointer,
///         errc::ndr_bad_array, errc::ndr_bad_union; errc::too_many above
///         limits::eeinfo_records_max records.
[[nodiscard]] RPCH_DECL result<std::vector<ee_record>> decode_eeinfo(byte_view blob);

} // namespace rpch::inline RPCH_ABI::http

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/http/impl/eeinfo.ipp>
#endif

#endif
