// Bodies: how many of the bytes that arrived belong to one, and what of them is payload.
#ifndef RPCH_HTTP_BODY_HPP
#define RPCH_HTTP_BODY_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <rpch/core/bytes.hpp>
#include <rpch/http/response.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::http {

/// Counts a body of declared length. Whether a PDU fits into what is left is the machine's
/// question.
class body_counter {
  public:
    explicit body_counter(std::uint64_t content_length) noexcept : remaining_(content_length) {}
    /// @param available  how many bytes arrived.
    /// @return how many of them, from the front, belong to the body; the others are the next
    /// message.
    [[nodiscard]] std::size_t take(std::size_t available) noexcept {
        const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, available));
        remaining_ -= taken;
        return taken;
    }
    [[nodiscard]] std::uint64_t remaining() const noexcept { return remaining_; }
    [[nodiscard]] bool is_done() const noexcept { return remaining_ == 0; }

  private:
    std::uint64_t remaining_;
};

/// What a decoder did with the bytes it was given.
struct body_progress {
    std::size_t payload = 0;  ///< Bytes of payload, now at the front of the given bytes.
    std::size_t consumed = 0; ///< Bytes read from the front; less than given only if `done`.
    bool done = false;        ///< The body has ended; what is left is the next message.
};

/// Takes the chunked transfer coding off, RFC 9112 7.1, in place and with any split of the input.
/// Extensions and trailers are read over, within limits::http_chunk_line_bytes_max and
/// limits::http_trailer_bytes_max.
class chunked_decoder {
  public:
    /// Decodes what arrived; payload moves to the front of `raw`, what is behind it is undefined.
    /// @errors errc::http_bad_chunk for a malformed chunk or a limit; for good: every later call
    ///         answers the same.
    [[nodiscard]] RPCH_DECL result<body_progress> decode(byte_span raw) noexcept;
    [[nodiscard]] bool is_done() const noexcept { return at_ == state::done; }

  private:
    enum class state : std::uint8_t {
        size,
        size_more,
        extension,
        size_lf,
        data,
        data_cr,
        data_lf,
        trailer_start,
        trailer,
        trailer_lf,
        last_lf,
        done,
        failed,
    };
    [[nodiscard]] RPCH_DECL state next(char c) noexcept;
    [[nodiscard]] RPCH_DECL state next_in_size(char c) noexcept;

    state at_ = state::size;
    std::uint64_t chunk_left_ = 0;
    std::size_t line_bytes_ = 0;    // of the chunk line, without CRLF
    std::size_t trailer_bytes_ = 0; // of all trailer lines
};

/// Reads a response body of any framing.
class body_reader {
  public:
    body_reader(body_framing framing, std::uint64_t content_length) noexcept
        : framing_(framing), counter_(content_length) {}
    /// Takes what arrived; as chunked_decoder::decode, whatever the framing is.
    /// @errors errc::http_bad_chunk.
    [[nodiscard]] RPCH_DECL result<body_progress> decode(byte_span raw) noexcept;
    /// @return whether the body has ended; with `until_close` only the connection's end tells.
    [[nodiscard]] RPCH_DECL bool is_done() const noexcept;

  private:
    body_framing framing_;
    body_counter counter_;
    chunked_decoder chunks_;
};

} // namespace rpch::inline RPCH_ABI::http

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/http/impl/body.ipp>
#endif

#endif
