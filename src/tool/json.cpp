#include "json.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

#include "options.hpp"

namespace tool {

namespace {

/// @return the length of the code point that the text begins with, RFC 3629; 0 if it is none.
std::size_t code_point_size(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t lead = byte(0);
    if (lead < 0x80) return 1;
    const std::size_t size = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (size == 0 || lead > 0xF4 || text.size() < size) return 0;
    for (std::size_t i = 1; i < size; ++i)
        if ((byte(i) & 0xC0) != 0x80) return 0;
    const std::uint8_t second = byte(1);
    const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
    const bool surrogate = lead == 0xED && second > 0x9F;
    const bool too_large = lead == 0xF4 && second > 0x8F;
    return overlong || surrogate || too_large ? 0 : size;
}

/// An object, member by member.
class object {
  public:
    void text(std::string_view name, std::string_view value) { raw(name, json_string(value)); }
    void text_if_any(std::string_view name, std::string_view value) {
        if (!value.empty()) text(name, value);
    }
    void raw(std::string_view name, std::string_view value) {
        out_ += out_.size() == 1 ? "" : ",";
        out_ += json_string(name);
        out_ += ':';
        out_ += value;
    }
    void print() const { std::printf("%s}\n", out_.c_str()); }

  private:
    std::string out_ = "{";
};

} // namespace

std::string json_string(std::string_view text) {
    std::string out = "\"";
    while (!text.empty()) {
        const char c = text.front();
        const std::size_t size = code_point_size(text);
        if (size == 0)
            out += "\\ufffd";
        else if (c == '"' || c == '\\')
            out += {'\\', c};
        else if ((c >= 0 && c < ' ') || c == '\x7f') {
            char escaped[8] = {};
            std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
            out += escaped;
        } else
            out += text.substr(0, size);
        text.remove_prefix(size == 0 ? 1 : size);
    }
    return out + '"';
}

void print_json(const rpch::failure& why) {
    object out;
    out.raw("ok", "false");
    out.text("message", why.code.message());
    out.text("said_by", rpch::name(why.said_by));
    out.text_if_any("where", why.where);
    out.text_if_any("detail", why.detail);
    out.text_if_any("next_step", why.next_step);
    out.raw("did_not_execute", why.did_not_execute ? "true" : "false");
    out.text("category", why.code.category().name());
    // Numbers of RPC are unsigned, those of an error_code are not.
    out.raw("code", why.code.category() == rpch::rpc_status_category()
                        ? std::to_string(static_cast<std::uint32_t>(why.code.value()))
                        : std::to_string(why.code.value()));
    out.print();
}

void print_json_of_usage(std::string_view why, std::string_view next_step) {
    object out;
    out.raw("ok", "false");
    out.text("message", why);
    out.text("said_by", rpch::name(rpch::origin::local));
    out.text_if_any("next_step", next_step);
    out.raw("did_not_execute", "true");
    out.text("category", "usage");
    out.raw("code", std::to_string(usage));
    out.print();
}

void print_json_of_exception(const std::exception& what) {
    object out;
    out.raw("ok", "false");
    out.text("message", what.what());
    out.text("said_by", rpch::name(rpch::origin::local));
    out.raw("did_not_execute", "false");
    out.text("category", "exception");
    out.raw("code", std::to_string(failed));
    out.print();
}

} // namespace tool
