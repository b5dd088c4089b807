#include <rpch/auth/ntlm_messages.hpp>

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include <rpch/core/reader.hpp>
#include <rpch/core/writer.hpp>

namespace rpch::inline RPCH_ABI::auth {

namespace detail {

enum class ntlm_type : std::uint32_t { negotiate = 1, challenge = 2, authenticate = 3 };
inline constexpr std::string_view ntlm_magic("NTLMSSP\0", 8);

RPCH_DECL std::error_code check_ntlm_head(byte_view in, ntlm_type type,
                                          std::size_t bytes_min) noexcept {
    if (in.size() > limits::auth_token_bytes_max) return errc::too_large;
    if (in.size() < 12) return errc::truncated;
    if (core::as_text(in.first(8)) != ntlm_magic) return errc::bad_value;
    if (core::load<std::uint32_t>(in.data() + 8, core::byte_order::little) !=
        static_cast<std::uint32_t>(type))
        return errc::bad_value;
    return in.size() < bytes_min ? make_error_code(errc::truncated) : std::error_code{};
}

/// The fields Len, MaxLen and BufferOffset at `at`, which the caller has checked to be there.
/// MaxLen is ignored, as 2.2.1.1 demands.
RPCH_DECL result<byte_view> take_ntlm_field(byte_view in, std::size_t at) noexcept {
    const std::size_t size = core::load<std::uint16_t>(in.data() + at, core::byte_order::little);
    const std::size_t offset =
        core::load<std::uint32_t>(in.data() + at + 4, core::byte_order::little);
    if (size == 0) return byte_view{};
    if (offset > in.size() || in.size() - offset < size) return fail(errc::bad_value);
    return in.subspan(offset, size);
}

/// Collects the payload of a message while its fixed part is written.
class ntlm_layout {
  public:
    ntlm_layout(std::size_t head_bytes, ntlm_type type) : out_(head_bytes) {
        std::ranges::copy(core::as_bytes(ntlm_magic), out_.begin());
        u32(8, static_cast<std::uint32_t>(type));
    }
    void u32(std::size_t at, std::uint32_t value) noexcept {
        core::store(out_.data() + at, value, core::byte_order::little);
    }
    void bytes(std::size_t at, byte_view value) noexcept {
        std::ranges::copy(value, out_.begin() + static_cast<std::ptrdiff_t>(at));
    }
    void field(std::size_t at, byte_view value) {
        const std::size_t offset = out_.size();
        if (value.size() > 0xFFFF || offset + value.size() > limits::auth_token_bytes_max) {
            ok_ = false;
            return;
        }
        const auto size = static_cast<std::uint16_t>(value.size());
        core::store(out_.data() + at, size, core::byte_order::little);
        core::store(out_.data() + at + 2, size, core::byte_order::little);
        u32(at + 4, static_cast<std::uint32_t>(offset));
        out_.insert(out_.end(), value.begin(), value.end());
    }
    [[nodiscard]] result<std::vector<std::byte>> finish() {
        if (!ok_) return fail(errc::too_large);
        return std::move(out_);
    }

  private:
    std::vector<std::byte> out_;
    bool ok_ = true;
};

} // namespace detail

RPCH_DECL std::optional<byte_view> ntlm_av_pairs::find(ntlm_av id) const noexcept {
    for (const ntlm_av_pair& pair : std::span(pairs).first(count))
        if (pair.id == id) return pair.value;
    return std::nullopt;
}

RPCH_DECL std::uint32_t ntlm_av_pairs::flags() const noexcept {
    const auto value = find(ntlm_av::flags);
    return value ? core::load<std::uint32_t>(value->data(), core::byte_order::little) : 0;
}

RPCH_DECL result<ntlm_av_pairs> decode_ntlm_av_pairs(byte_view in) noexcept {
    ntlm_av_pairs out;
    core::reader from(in);
    for (;;) {
        const auto id = from.take_u16();
        const auto size = from.take_u16();
        if (!id || !size) return fail(errc::truncated);
        const auto value = from.take(std::size_t{*size});
        if (!value) return fail(errc::truncated);
        const auto known = static_cast<ntlm_av>(*id);
        if (known == ntlm_av::end) return out;
        // Which of two would count is a question that two readers may answer differently.
        if (out.find(known)) return fail(errc::bad_value);
        const bool fits = known == ntlm_av::flags              ? *size == 4
                          : known == ntlm_av::timestamp        ? *size == 8
                          : known == ntlm_av::channel_bindings ? *size == 16
                                                               : true;
        if (!fits) return fail(errc::bad_value);
        if (out.count == out.pairs.size()) return fail(errc::too_many);
        out.pairs[out.count++] = {known, *value};
    }
}

RPCH_DECL void append_ntlm_av_pair(std::vector<std::byte>& out, ntlm_av id, byte_view value) {
    std::array<std::byte, 4> head{};
    core::writer to(head);
    to.put_u16(static_cast<std::uint16_t>(id));
    to.put_u16(static_cast<std::uint16_t>(value.size()));
    out.insert(out.end(), head.begin(), head.end());
    out.insert(out.end(), value.begin(), value.end());
}

RPCH_DECL result<ntlm_negotiate> decode_ntlm_negotiate(byte_view in) noexcept {
    if (const auto bad = detail::check_ntlm_head(in, detail::ntlm_type::negotiate, 16))
        return fail(bad);
    return ntlm_negotiate{core::load<std::uint32_t>(in.data() + 12, core::byte_order::little)};
}

RPCH_DECL result<ntlm_challenge> decode_ntlm_challenge(byte_view in) noexcept {
    if (const auto bad = detail::check_ntlm_head(in, detail::ntlm_type::challenge, 32))
        return fail(bad);
    ntlm_challenge out;
    out.flags = core::load<std::uint32_t>(in.data() + 20, core::byte_order::little);
    std::ranges::copy(in.subspan(24, 8), out.server_challenge.begin());
    const auto name = detail::take_ntlm_field(in, 12);
    if (!name) return fail(name.error());
    out.target_name = *name;
    if ((out.flags & ntlm_flag::target_info) == 0) return out;
    if (in.size() < 48) return fail(errc::truncated);
    const auto info = detail::take_ntlm_field(in, 40);
    if (!info) return fail(info.error());
    out.target_info = *info;
    return out;
}

RPCH_DECL result<ntlm_authenticate> decode_ntlm_authenticate(byte_view in) noexcept {
    if (const auto bad = detail::check_ntlm_head(in, detail::ntlm_type::authenticate, 64))
        return fail(bad);
    ntlm_authenticate out;
    out.flags = core::load<std::uint32_t>(in.data() + 60, core::byte_order::little);
    byte_view* const fields[] = {&out.lm_response, &out.nt_response, &out.domain,
                                 &out.user,        &out.workstation, &out.session_key};
    std::size_t payload = in.size();
    for (std::size_t i = 0; i < std::size(fields); ++i) {
        const auto field = detail::take_ntlm_field(in, 12 + 8 * i);
        if (!field) return fail(field.error());
        *fields[i] = *field;
        if (!field->empty())
            payload = std::min(payload, static_cast<std::size_t>(field->data() - in.data()));
    }
    for (const byte_view name : {out.domain, out.user, out.workstation})
        if (name.size() > limits::ntlm_name_bytes_max) return fail(errc::bad_value);
    if (!out.session_key.empty() && out.session_key.size() != 16) return fail(errc::bad_value);
    out.has_mic = payload >= ntlm_mic_offset + 16;
    return out;
}

RPCH_DECL result<std::vector<std::byte>> encode_ntlm(const ntlm_negotiate& message,
                                                     const ntlm_version& version) {
    detail::ntlm_layout out(40, detail::ntlm_type::negotiate);
    out.u32(12, message.flags);
    out.field(16, {});
    out.field(24, {});
    if ((message.flags & ntlm_flag::version) != 0) out.bytes(32, version);
    return out.finish();
}

RPCH_DECL result<std::vector<std::byte>> encode_ntlm(const ntlm_challenge& message,
                                                     const ntlm_version& version) {
    detail::ntlm_layout out(56, detail::ntlm_type::challenge);
    out.u32(20, message.flags);
    out.bytes(24, message.server_challenge);
    if ((message.flags & ntlm_flag::version) != 0) out.bytes(48, version);
    out.field(12, message.target_name);
    out.field(40, message.target_info);
    return out.finish();
}

RPCH_DECL result<std::vector<std::byte>> encode_ntlm(const ntlm_authenticate& message,
                                                     const ntlm_version& version) {
    detail::ntlm_layout out(message.has_mic ? ntlm_mic_offset + 16 : ntlm_mic_offset,
                            detail::ntlm_type::authenticate);
    out.u32(60, message.flags);
    if ((message.flags & ntlm_flag::version) != 0) out.bytes(64, version);
    out.field(28, message.domain); // the order of the payload in 4.2.4.3
    out.field(36, message.user);
    out.field(44, message.workstation);
    out.field(12, message.lm_response);
    out.field(20, message.nt_response);
    out.field(52, message.session_key);
    return out.finish();
}

RPCH_DECL result<ntlmv2_response> decode_ntlmv2_response(byte_view in) noexcept {
    if (in.size() == 24) return fail(errc::not_supported);
    if (in.size() < 16 + 28) return fail(errc::truncated);
    ntlmv2_response out{.proof = in.first<16>(), .rest = in.subspan(16)};
    if (out.rest[0] != std::byte{1} || out.rest[1] != std::byte{1}) return fail(errc::bad_version);
    out.time = core::load<std::uint64_t>(out.rest.data() + 8, core::byte_order::little);
    const auto pairs = decode_ntlm_av_pairs(out.rest.subspan(28));
    if (!pairs) return fail(pairs.error());
    out.target_info = *pairs;
    return out;
}

} // namespace rpch::inline RPCH_ABI::auth
