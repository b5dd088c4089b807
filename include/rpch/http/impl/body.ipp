#include <rpch/http/body.hpp>

#include <cstring>

#include <rpch/core/uuid.hpp>
#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::http {

RPCH_DECL chunked_decoder::state chunked_decoder::next_in_size(char c) noexcept {
    if (const int digit = core::hex_digit(c); digit >= 0) {
        if (chunk_left_ >> 60 != 0) return state::failed; // no room for another digit
        chunk_left_ = chunk_left_ << 4 | static_cast<std::uint64_t>(digit);
        return state::size_more;
    }
    if (at_ == state::size) return state::failed; // no digit at all
    if (c == '\r') return state::size_lf;
    return c == ';' || c == ' ' || c == '\t' ? state::extension : state::failed;
}

RPCH_DECL chunked_decoder::state chunked_decoder::next(char c) noexcept {
    const bool text = !core::is_control(c) || c == '\t';
    switch (at_) {
    case state::size:
    case state::size_more:
    case state::extension:
        if (c != '\r' && ++line_bytes_ > limits::http_chunk_line_bytes_max) return state::failed;
        if (at_ != state::extension) return next_in_size(c);
        if (c == '\r') return state::size_lf;
        return text ? state::extension : state::failed;
    case state::size_lf:
        if (c != '\n') return state::failed;
        line_bytes_ = 0;
        return chunk_left_ == 0 ? state::trailer_start : state::data;
    case state::data_cr: return c == '\r' ? state::data_lf : state::failed;
    case state::data_lf: return c == '\n' ? state::size : state::failed;
    case state::trailer_start:
        if (c == '\r') return state::last_lf;
        [[fallthrough]];
    case state::trailer:
        if (c == '\r') return state::trailer_lf;
        if (!text || ++trailer_bytes_ > limits::http_trailer_bytes_max) return state::failed;
        return state::trailer;
    case state::trailer_lf: return c == '\n' ? state::trailer_start : state::failed;
    case state::last_lf: return c == '\n' ? state::done : state::failed;
    case state::data:
    case state::done:
    case state::failed: break; // decode leaves these to itself
    }
    return state::failed;
}

RPCH_DECL result<body_progress> chunked_decoder::decode(byte_span raw) noexcept {
    body_progress out;
    while (at_ != state::done && at_ != state::failed && out.consumed < raw.size()) {
        if (at_ != state::data) {
            at_ = next(static_cast<char>(raw[out.consumed]));
            ++out.consumed;
            continue;
        }
        const auto here = static_cast<std::size_t>(
            std::min<std::uint64_t>(chunk_left_, raw.size() - out.consumed));
        std::memmove(raw.data() + out.payload, raw.data() + out.consumed, here);
        out.payload += here;
        out.consumed += here;
        chunk_left_ -= here;
        if (chunk_left_ == 0) at_ = state::data_cr;
    }
    if (at_ == state::failed) return fail(errc::http_bad_chunk);
    out.done = at_ == state::done;
    return out;
}

RPCH_DECL result<body_progress> body_reader::decode(byte_span raw) noexcept {
    if (framing_ == body_framing::chunked) return chunks_.decode(raw);
    if (framing_ == body_framing::until_close) return body_progress{raw.size(), raw.size(), false};
    const std::size_t taken = framing_ == body_framing::length ? counter_.take(raw.size()) : 0;
    return body_progress{taken, taken, is_done()};
}

RPCH_DECL bool body_reader::is_done() const noexcept {
    switch (framing_) {
    case body_framing::none: return true;
    case body_framing::length: return counter_.is_done();
    case body_framing::chunked: return chunks_.is_done();
    case body_framing::until_close: return false;
    }
    return false;
}

} // namespace rpch::inline RPCH_ABI::http
