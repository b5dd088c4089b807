// Heads of HTTP/1 messages, RFC 9112, read strictly: what two readers could understand differently
// is refused, for that is what request smuggling is made of. Nothing is copied or allocated.
#ifndef RPCH_HTTP_HEAD_HPP
#define RPCH_HTTP_HEAD_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <rpch/core/bytes.hpp>
#include <rpch/core/text.hpp>
#include <rpch/limits.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::http {

/// Finds the end of a head in a buffer that grows. Remembers how far it looked, so that a head that
/// arrives byte by byte costs no more than one that arrives at once.
class head_scanner {
  public:
    /// Looks at what was added since the last call.
    /// @param buffer  borrowed; begins with the first byte of the head and has only grown at its
    /// end.
    /// @return the bytes of the head with its empty line; nothing if its end is not there yet.
    /// @errors errc::http_head_too_large above limits::http_head_bytes_max;
    /// errc::http_bad_start_line
    ///         or errc::http_bad_header for CR or LF alone and other control characters, as soon as
    ///         one arrives (a TLS client on a plain port is refused by its first byte).
    [[nodiscard]] RPCH_DECL result<std::optional<std::size_t>> scan(byte_view buffer) noexcept;
    /// Forgets everything, for the next head.
    void reset() noexcept { *this = head_scanner{}; }

  private:
    std::size_t looked_at_ = 0;
    std::size_t line_start_ = 0;
};

/// One header line; borrowed. The value has no blanks at its ends and may be empty.
struct header {
    std::string_view name;
    std::string_view value;
};

/// The header lines of a head in their order, at most limits::http_headers_max. Names are compared
/// without regard to case.
class header_list {
  public:
    /// @return false if the list is full.
    [[nodiscard]] bool add(const header& line) noexcept {
        if (size_ == lines_.size()) return false;
        lines_[size_++] = line;
        return true;
    }
    /// @return the value of the first line with this name, or nothing.
    [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept {
        for (const header& line : *this)
            if (core::equal_nocase(line.name, name)) return line.value;
        return std::nullopt;
    }
    /// @return how many lines have this name.
    [[nodiscard]] std::size_t count(std::string_view name) const noexcept {
        std::size_t n = 0;
        for (const header& line : *this) n += core::equal_nocase(line.name, name) ? 1U : 0U;
        return n;
    }
    /// @return whether `item` stands in the comma-separated values of the lines with this name,
    ///         without regard to case.
    [[nodiscard]] bool has_item(std::string_view name, std::string_view item) const noexcept {
        for (const header& line : *this) {
            if (!core::equal_nocase(line.name, name)) continue;
            for (std::string_view rest = line.value; !rest.empty();)
                if (core::equal_nocase(core::next_item(rest, ','), item)) return true;
        }
        return false;
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] const header* begin() const noexcept { return lines_.data(); }
    [[nodiscard]] const header* end() const noexcept { return lines_.data() + size_; }

  private:
    std::array<header, limits::http_headers_max> lines_{};
    std::size_t size_ = 0;
};

/// A request line and its headers; borrows the bytes it was parsed from.
struct request_head {
    std::string_view method;
    std::string_view target;        ///< As it stands: visible ASCII, percent-escapes kept.
    std::uint8_t minor_version = 0; ///< 0 to 9, of HTTP/1.x.
    header_list headers;
};

/// A status line and its headers; borrows the bytes it was parsed from.
struct response_head {
    int status = 0;                 ///< 100 to 999.
    std::string_view reason;        ///< May hold any byte but control characters; often not ASCII.
    std::uint8_t minor_version = 0; ///< 0 to 9, of HTTP/1.x.
    header_list headers;
};

/// Parses a whole request head.
/// @param head  borrowed, must outlive the result; exactly what head_scanner found.
/// @errors errc::truncated without the empty line at its end; errc::trailing_bytes behind it;
///         errc::http_bad_start_line; errc::too_large for a target above
///         limits::http_target_bytes_max; errc::http_bad_header for a line without colon, a name
///         that is not a token (so no blank before the colon), a folded line, or a control
///         character (CR or LF alone are two); errc::http_head_too_large for more than
///         limits::http_headers_max lines.
[[nodiscard]] RPCH_DECL result<request_head> parse_request_head(byte_view head) noexcept;

/// Parses a whole response head; as parse_request_head. The reason may be missing.
[[nodiscard]] RPCH_DECL result<response_head> parse_response_head(byte_view head) noexcept;

/// Parses a status line alone, without its CRLF. The result has no headers.
/// @errors errc::http_bad_start_line.
[[nodiscard]] RPCH_DECL result<response_head> parse_status_line(std::string_view line) noexcept;

/// Reads the one Content-Length of a head: digits only, fits 64 bits.
/// @return nothing if there is none.
/// @errors errc::http_bad_content_length if it is repeated (even alike), a list, or not a number.
[[nodiscard]] RPCH_DECL result<std::optional<std::uint64_t>>
content_length_of(const header_list& headers) noexcept;

/// Tells whether the connection may carry another message after this one, RFC 9112 9.3: HTTP/1.1
/// unless `Connection: close`, HTTP/1.0 only with `Connection: Keep-Alive`.
[[nodiscard]] RPCH_DECL bool keeps_connection(const header_list& headers,
                                              std::uint8_t minor_version) noexcept;

} // namespace rpch::inline RPCH_ABI::http

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/http/impl/head.ipp>
#endif

#endif
