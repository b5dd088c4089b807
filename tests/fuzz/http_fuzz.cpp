// Everything of HTTP that a peer's bytes reach. The first byte chooses the reader; where a reader
// can be given its input in pieces, or has a writer beside it, the two ways must agree.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <rpch/auth/basic.hpp>
#include <rpch/auth/offers.hpp>
#include <rpch/auth/users_file.hpp>
#include <rpch/http/body.hpp>
#include <rpch/http/channel_request.hpp>
#include <rpch/http/response.hpp>
#include <rpch/http/status.hpp>
#include <rpch/http/write.hpp>
#include <rpch/proxy/valid_ports.hpp>

namespace {

using namespace rpch;

void require(bool condition) {
    if (!condition) std::abort();
}

/// Finds the end of a head in one go and in pieces of `step` bytes.
std::optional<byte_view> head_of(byte_view in, std::size_t step) {
    http::head_scanner at_once;
    const auto whole = at_once.scan(in);
    http::head_scanner in_pieces;
    for (std::size_t have = 0; have < in.size();) {
        have = std::min(have + step, in.size());
        const auto part = in_pieces.scan(in.first(have));
        if (part && !*part) continue;
        require(part.has_value() == whole.has_value());
        if (part) require(*part == *whole);
        break;
    }
    if (!whole || !*whole) return std::nullopt;
    return in.first(**whole);
}

void request(byte_view in, std::size_t step) {
    const auto bytes = head_of(in, step);
    const auto head = http::parse_request_head(bytes.value_or(in));
    if (!head) return;
    const auto what = http::read_channel_request(*head);
    if (!what) {
        const int status = http::http_status_for(what.error());
        require(status >= 400 && status < 600);
        return;
    }
    http::channel_request_options again; // what was understood can be said again
    again.method = what->request.method;
    again.host = "proxy";
    again.server_name = what->target.server_name;
    again.server_port = what->target.port;
    again.content_length = what->request.content_length;
    again.authorization = what->request.authorization.value_or("");
    again.session_id = what->request.session_id;
    const auto text = http::write_channel_request(again);
    if (!text) return; // a tab in Authorization
    const auto head_again = http::parse_request_head(core::as_bytes(*text));
    require(head_again.has_value());
    require(http::read_channel_request(*head_again).value().target == what->target);
}

void response(byte_view in, std::size_t step) {
    (void)http::read_failure_in_body(in);
    const auto bytes = head_of(in, step);
    const auto head = http::parse_response_head(bytes.value_or(in));
    if (!head) return;
    const auto info = http::read_response(*head);
    if (!info) return;
    (void)http::response_error(*info).message();
    (void)http::error_records(*info, bytes ? in.subspan(bytes->size()) : byte_view{});
    require(auth::parse_offers(info->authenticate).list.size() <= limits::auth_offers_max);
}

struct decoded {
    std::string payload;
    std::size_t consumed = 0;
    bool failed = false;
    bool done = false;
};

decoded decode_chunked(std::string_view in, std::size_t step) {
    decoded out;
    http::chunked_decoder decoder;
    while (!out.done && out.consumed < in.size()) {
        std::string piece(in.substr(out.consumed, step));
        const auto part =
            decoder.decode(std::as_writable_bytes(std::span(piece.data(), piece.size())));
        out.failed = !part;
        if (out.failed) return out;
        out.payload.append(piece, 0, part->payload);
        out.consumed += part->consumed;
        out.done = part->done;
    }
    return out;
}

void chunked(byte_view in, std::size_t step) {
    const auto whole = decode_chunked(core::as_text(in), in.size() + 1);
    const auto pieces = decode_chunked(core::as_text(in), step);
    require(whole.failed == pieces.failed);
    if (whole.failed) return;
    require(whole.payload == pieces.payload && whole.done == pieces.done);
    require(whole.consumed == pieces.consumed);
}

void eeinfo(byte_view in) {
    const auto records = http::decode_eeinfo(in);
    if (!records) return;
    const auto again = http::encode_eeinfo(*records);
    if (!again) { // a string without terminator may be one too long to get one
        require(again.error() == errc::too_large);
        return;
    }
    const auto twice = http::decode_eeinfo(*again);
    require(twice.has_value() && http::encode_eeinfo(*twice).value() == *again);
}

void texts(byte_view in) {
    const std::string_view text = core::as_text(in);
    if (const auto who = auth::decode_basic(text); who) {
        const auto again = auth::encode_basic(who->domain + '\\' + who->name, who->password.view());
        if (again) require(auth::decode_basic(again->view())->name == who->name);
    }
    if (const auto users = auth::users_file::parse(text))
        require(auth::users_file::parse(users->format())->format() == users->format());
    if (const auto rules = valid_ports::parse(text)) (void)rules->allows(text.substr(0, 64), 593);
    (void)http::parse_target(text);
    (void)http::body_eeinfo(in);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t step = data[0] / 8 % 8 + 1;
    const byte_view in = std::as_bytes(std::span(data, size)).subspan(1);
    switch (data[0] % 8) {
    case 0: request(in, step); break;
    case 1: response(in, step); break;
    case 2: chunked(in, step); break;
    case 3: eeinfo(in); break;
    case 4: texts(in); break;
    default: break;
    }
    return 0;
}
