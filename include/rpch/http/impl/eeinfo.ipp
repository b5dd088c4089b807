#include <rpch/http/eeinfo.hpp>

#include <array>
#include <type_traits>
#include <utility>

#include <rpch/core/reader.hpp>
#include <rpch/core/writer.hpp>
#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::http {

namespace detail {

// EEComputerNamePresent and ExtendedErrorParamTypesInternal, [MS-EERR] 2.2.1.1 and 2.2.1.2.
inline constexpr std::uint16_t ee_name_present = 1;
inline constexpr std::uint16_t ee_name_absent = 2;
inline constexpr std::uint16_t ee_ansi = 1;
inline constexpr std::uint16_t ee_unicode = 2;
inline constexpr std::uint16_t ee_long = 3;
inline constexpr std::uint16_t ee_short = 4;
inline constexpr std::uint16_t ee_hyper = 5;
inline constexpr std::uint16_t ee_none = 6;
inline constexpr std::uint16_t ee_binary = 7;

inline constexpr std::uint32_t ee_first_referent = 0x0002'0000;
inline constexpr std::size_t ee_array_elements_max = 32767; // counted in a signed 16-bit integer

/// A pointer to an array that follows later: NDR puts what pointers point to behind the structure.
struct ee_array {
    std::uint32_t referent = 0;
    std::size_t count = 0;
};

/// A record as far as it lies in one piece, with what is still to come for it.
struct ee_fixed {
    ee_record record;
    bool has_next = false;
    ee_array name;
    std::array<ee_array, limits::eeinfo_params_max> params{};
};

/// Reads NDR values; the first fault is kept, and what is read after it is zero.
class ee_source {
  public:
    explicit ee_source(core::reader in) noexcept : in_(in) {}
    template <class Int>
    [[nodiscard]] Int take() noexcept {
        if (!in_.align(sizeof(Int))) set(errc::truncated);
        const auto value = in_.take_int<std::make_unsigned_t<Int>>();
        if (!value) set(errc::truncated);
        return static_cast<Int>(value.value_or(0));
    }
    void align(std::size_t alignment) noexcept {
        if (!in_.align(alignment)) set(errc::truncated);
    }
    void require(bool condition, errc why) noexcept {
        if (!condition) set(why);
    }
    /// Reads count and pointer of an array, EEAString, EEUString and BinaryEEInfo alike.
    [[nodiscard]] ee_array take_array_pointer() noexcept {
        const auto count = take<std::int16_t>();
        require(count >= 0, errc::ndr_bad_array);
        const auto referent = take<std::uint32_t>();
        require(referent != 0 || count == 0, errc::ndr_bad_pointer);
        return {referent, count > 0 ? static_cast<std::size_t>(count) : 0};
    }
    /// Reads the bytes an array pointer announced; empty for a null pointer.
    [[nodiscard]] byte_view take_array(const ee_array& what, std::size_t unit) noexcept {
        if (what.referent == 0) return {};
        require(take<std::uint32_t>() == what.count, errc::ndr_bad_array);
        if (!ok()) return {};
        const auto bytes = in_.take(what.count * unit);
        if (!bytes) set(errc::truncated);
        return bytes.value_or(byte_view{});
    }
    [[nodiscard]] std::u16string take_text(const ee_array& what) {
        core::reader units(take_array(what, 2), in_.order());
        std::u16string out;
        while (const auto unit = units.take_u16()) out += static_cast<char16_t>(*unit);
        if (!out.empty() && out.back() == u'\0') out.pop_back();
        return out;
    }
    [[nodiscard]] bool ok() const noexcept { return !error_; }
    [[nodiscard]] std::error_code error() const noexcept { return error_; }
    [[nodiscard]] std::size_t remaining() const noexcept { return in_.remaining(); }

  private:
    void set(errc why) noexcept {
        if (!error_) error_ = why;
    }
    core::reader in_;
    std::error_code error_;
};

RPCH_DECL ee_param take_ee_param(ee_source& in, ee_array& later) {
    in.align(8); // the structure's alignment, that of its largest arm
    const auto kind = in.take<std::uint16_t>();
    in.require(in.take<std::uint16_t>() == kind, errc::ndr_bad_union);
    switch (kind) {
    case ee_ansi: later = in.take_array_pointer(); return std::string{};
    case ee_unicode: later = in.take_array_pointer(); return std::u16string{};
    case ee_long: return in.take<std::int32_t>();
    case ee_short: return in.take<std::int16_t>();
    case ee_hyper: return in.take<std::int64_t>();
    case ee_none: return std::monostate{};
    case ee_binary: later = in.take_array_pointer(); return std::vector<std::byte>{};
    default: in.require(false, errc::ndr_bad_union); return std::monostate{};
    }
}

RPCH_DECL ee_fixed take_ee_fixed(ee_source& in) {
    ee_fixed out;
    ee_record& r = out.record;
    // The count of the array that ends the structure stands in front of it. [C706] 14.3.7.1.
    const auto count = in.take<std::uint32_t>();
    in.align(8);
    out.has_next = in.take<std::uint32_t>() != 0;
    const auto named = in.take<std::uint16_t>();
    in.require(in.take<std::uint16_t>() == named, errc::ndr_bad_union);
    in.require(named == ee_name_present || named == ee_name_absent, errc::ndr_bad_union);
    if (named == ee_name_present) {
        r.computer_name.emplace();
        out.name = in.take_array_pointer();
    }
    r.process_id = in.take<std::uint32_t>();
    r.timestamp = in.take<std::uint64_t>();
    r.generating_component = in.take<std::uint32_t>();
    r.status = in.take<std::uint32_t>();
    r.detection_location = in.take<std::uint16_t>();
    r.flags = in.take<std::uint16_t>();
    const auto params = in.take<std::int16_t>();
    in.require(params >= 0 && static_cast<std::uint32_t>(params) == count &&
                   count <= limits::eeinfo_params_max,
               errc::ndr_bad_array);
    for (std::size_t i = 0; in.ok() && i < count; ++i)
        r.params.push_back(take_ee_param(in, out.params[i]));
    return out;
}

RPCH_DECL void take_ee_deferred(ee_source& in, ee_fixed& what) {
    if (what.record.computer_name) *what.record.computer_name = in.take_text(what.name);
    for (std::size_t i = 0; i < what.record.params.size(); ++i) {
        ee_param& param = what.record.params[i];
        if (auto* ansi = std::get_if<std::string>(&param)) {
            *ansi = core::as_text(in.take_array(what.params[i], 1));
            if (!ansi->empty() && ansi->back() == '\0') ansi->pop_back();
        } else if (auto* text = std::get_if<std::u16string>(&param)) {
            *text = in.take_text(what.params[i]);
        } else if (auto* binary = std::get_if<std::vector<std::byte>>(&param)) {
            const byte_view bytes = in.take_array(what.params[i], 1);
            binary->assign(bytes.begin(), bytes.end());
        }
    }
}

/// Writes NDR values at their natural alignment.
class ee_sink {
  public:
    explicit ee_sink(byte_span out) noexcept : out_(out) {}
    template <class Int>
    void put(Int value) noexcept {
        out_.align(sizeof(Int));
        out_.put(static_cast<std::make_unsigned_t<Int>>(value));
    }
    void align(std::size_t alignment) noexcept { out_.align(alignment); }
    void put_bytes(byte_view bytes) noexcept { out_.put_bytes(bytes); }
    void put_referent() noexcept {
        put(referent_);
        referent_ += 4;
    }
    void put_array_pointer(std::size_t count) noexcept {
        put(static_cast<std::int16_t>(count));
        put_referent();
    }
    void put_text(std::u16string_view text) noexcept {
        put(static_cast<std::uint32_t>(text.size() + 1));
        for (const char16_t unit : text) put(static_cast<std::uint16_t>(unit));
        put(std::uint16_t{0});
    }
    [[nodiscard]] std::size_t size() const noexcept { return out_.size(); }

  private:
    core::writer out_;
    std::uint32_t referent_ = ee_first_referent;
};

/// What a parameter's kind is on the wire, and how its two parts are written.
struct ee_param_writer {
    ee_sink& out;
    void kind(std::uint16_t value) const noexcept {
        out.align(8);
        out.put(value);
        out.put(value);
    }
    void operator()(std::monostate) const noexcept { kind(ee_none); }
    void operator()(const std::string& x) const noexcept {
        kind(ee_ansi);
        out.put_array_pointer(x.size() + 1);
    }
    void operator()(const std::u16string& x) const noexcept {
        kind(ee_unicode);
        out.put_array_pointer(x.size() + 1);
    }
    void operator()(std::int32_t x) const noexcept {
        kind(ee_long);
        out.put(x);
    }
    void operator()(std::int16_t x) const noexcept {
        kind(ee_short);
        out.put(x);
    }
    void operator()(std::int64_t x) const noexcept {
        kind(ee_hyper);
        out.put(x);
    }
    void operator()(const std::vector<std::byte>& x) const noexcept {
        kind(ee_binary);
        out.put_array_pointer(x.size());
    }
};

RPCH_DECL void put_ee_fixed(ee_sink& out, const ee_record& r, bool has_next) noexcept {
    out.put(static_cast<std::uint32_t>(r.params.size()));
    out.align(8);
    if (has_next)
        out.put_referent();
    else
        out.put(std::uint32_t{0});
    const std::uint16_t named = r.computer_name ? ee_name_present : ee_name_absent;
    out.put(named);
    out.put(named);
    if (r.computer_name) out.put_array_pointer(r.computer_name->size() + 1);
    out.put(r.process_id);
    out.put(r.timestamp);
    out.put(r.generating_component);
    out.put(r.status);
    out.put(r.detection_location);
    out.put(r.flags);
    out.put(static_cast<std::int16_t>(r.params.size()));
    for (const ee_param& param : r.params) std::visit(ee_param_writer{out}, param);
}

RPCH_DECL void put_ee_deferred(ee_sink& out, const ee_record& r) noexcept {
    if (r.computer_name) out.put_text(*r.computer_name);
    for (const ee_param& param : r.params) {
        if (const auto* ansi = std::get_if<std::string>(&param)) {
            out.put(static_cast<std::uint32_t>(ansi->size() + 1));
            out.put_bytes(core::as_bytes(*ansi));
            out.put(std::uint8_t{0});
        } else if (const auto* text = std::get_if<std::u16string>(&param)) {
            out.put_text(*text);
        } else if (const auto* binary = std::get_if<std::vector<std::byte>>(&param)) {
            out.put(static_cast<std::uint32_t>(binary->size()));
            out.put_bytes(*binary);
        }
    }
}

/// @return the elements of the arrays of one record and of the largest of them, terminators
/// included.
RPCH_DECL std::pair<std::size_t, std::size_t> ee_array_elements(const ee_record& r) noexcept {
    std::size_t total = 0;
    std::size_t largest = 0;
    const auto add = [&](std::size_t n) {
        total += n;
        largest = n > largest ? n : largest;
    };
    if (r.computer_name) add(r.computer_name->size() + 1);
    for (const ee_param& param : r.params) {
        if (const auto* ansi = std::get_if<std::string>(&param)) add(ansi->size() + 1);
        if (const auto* text = std::get_if<std::u16string>(&param)) add(text->size() + 1);
        if (const auto* binary = std::get_if<std::vector<std::byte>>(&param)) add(binary->size());
    }
    return {total, largest};
}

inline constexpr std::size_t ee_headers_bytes = 16;

} // namespace detail

RPCH_DECL result<std::vector<std::byte>> encode_eeinfo(std::span<const ee_record> records) {
    if (records.empty()) return fail(errc::bad_value);
    if (records.size() > limits::eeinfo_records_max) return fail(errc::too_many);
    std::size_t bytes_max = detail::ee_headers_bytes + 16;
    for (const ee_record& r : records) {
        if (r.params.size() > limits::eeinfo_params_max) return fail(errc::too_many);
        const auto [total, largest] = detail::ee_array_elements(r);
        if (largest > detail::ee_array_elements_max) return fail(errc::too_large);
        // 72 bytes for the record, 16 for a parameter, 12 for count and padding of each array.
        bytes_max += 72 + r.params.size() * (16 + 12) + 12 + total * 2;
    }
    std::vector<std::byte> out(bytes_max);
    detail::ee_sink sink(byte_span(out).subspan(detail::ee_headers_bytes));
    sink.put_referent();
    for (std::size_t i = 0; i < records.size(); ++i)
        detail::put_ee_fixed(sink, records[i], i + 1 < records.size());
    // A record's Next is its first pointer: all that follows the next record comes before its own.
    for (std::size_t i = records.size(); i-- > 0;) detail::put_ee_deferred(sink, records[i]);
    sink.align(8);
    out.resize(detail::ee_headers_bytes + sink.size());
    core::writer header(byte_span(out).first(detail::ee_headers_bytes));
    header.put_u8(1);    // version
    header.put_u8(0x10); // little-endian
    header.put_u16(8);   // bytes of this header
    header.put_u32(0xCCCC'CCCC);
    header.put_u32(static_cast<std::uint32_t>(sink.size()));
    header.put_u32(0);
    return out;
}

RPCH_DECL result<std::vector<ee_record>> decode_eeinfo(byte_view blob) {
    // Type serialization version 1, [MS-RPCE] 2.2.6: common header, private header, object.
    if (blob.size() < detail::ee_headers_bytes) return fail(errc::truncated);
    if (blob[0] != std::byte{1}) return fail(errc::bad_version);
    if (blob[1] != std::byte{0x10} && blob[1] != std::byte{0})
        return fail(errc::bad_data_representation);
    const auto order = blob[1] == std::byte{0} ? core::byte_order::big : core::byte_order::little;
    const auto object_bytes = core::load<std::uint32_t>(blob.data() + 8, order);
    if (core::load<std::uint16_t>(blob.data() + 2, order) != 8 || object_bytes % 8 != 0)
        return fail(errc::bad_value);
    const byte_view object = blob.subspan(detail::ee_headers_bytes);
    if (object.size() < object_bytes) return fail(errc::truncated);
    if (object.size() > object_bytes) return fail(errc::trailing_bytes);

    detail::ee_source in{core::reader(object, order)};
    in.require(in.take<std::uint32_t>() != 0, errc::ndr_bad_pointer);
    std::vector<detail::ee_fixed> chain;
    for (bool more = true; in.ok() && more; more = chain.back().has_next) {
        if (chain.size() == limits::eeinfo_records_max) return fail(errc::too_many);
        chain.push_back(detail::take_ee_fixed(in));
    }
    for (std::size_t i = chain.size(); in.ok() && i-- > 0;) detail::take_ee_deferred(in, chain[i]);
    if (!in.ok()) return fail(in.error());
    if (in.remaining() > 7) return fail(errc::trailing_bytes); // more than padding to 8
    std::vector<ee_record> out;
    out.reserve(chain.size());
    for (detail::ee_fixed& link : chain) out.push_back(std::move(link.record));
    return out;
}

} // namespace rpch::inline RPCH_ABI::http
