#include <rpch/auth/spnego.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <rpch/auth/ntlm_messages.hpp>
#include <rpch/limits.hpp>

namespace rpch::inline RPCH_ABI::auth {

namespace detail {

// Tags of DER, X.690 8.1.2. Those of SPNEGO are all explicit and context-specific.
inline constexpr std::uint8_t der_octets = 0x04;
inline constexpr std::uint8_t der_identifier = 0x06;
inline constexpr std::uint8_t der_enumerated = 0x0A;
inline constexpr std::uint8_t der_general_string = 0x1B;
inline constexpr std::uint8_t der_sequence = 0x30;
inline constexpr std::uint8_t der_application = 0x60;
[[nodiscard]] constexpr std::uint8_t der_context(unsigned number) noexcept {
    return static_cast<std::uint8_t>(0xA0 | number);
}

/// 1.3.6.1.5.5.2, RFC 4178 3.2.
inline constexpr std::string_view spnego_identifier = "\x2b\x06\x01\x05\x05\x02";
inline constexpr std::string_view ntlm_identifier = "\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a";
inline constexpr std::string_view kerberos_identifier = "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
/// Kerberos as Windows 2000 wrote it by mistake; still the first that Windows offers.
inline constexpr std::string_view ms_kerberos_identifier = "\x2a\x86\x48\x82\xf7\x12\x01\x02\x02";

/// One element of DER.
struct der_element {
    std::uint8_t tag = 0;
    byte_view whole{};
    byte_view content{};
};

/// Takes the next element off `in`. Lengths may have leading zeros, as Windows writes some.
[[nodiscard]] RPCH_DECL result<der_element> take_der(byte_view& in) noexcept {
    if (in.size() < 2) return fail(errc::truncated);
    const auto tag = std::to_integer<std::uint8_t>(in[0]);
    std::size_t length = std::to_integer<std::size_t>(in[1]);
    std::size_t header = 2;
    if (length >= 0x80) {
        const std::size_t octets = length & 0x7F;
        if (octets == 0 || octets > 4) return fail(errc::bad_security_token); // X.690 10.1
        if (in.size() - header < octets) return fail(errc::truncated);
        length = 0;
        for (std::size_t i = 0; i < octets; ++i)
            length = length << 8 | std::to_integer<std::size_t>(in[header + i]);
        header += octets;
    }
    if (in.size() - header < length) return fail(errc::truncated);
    const der_element out{tag, in.first(header + length), in.subspan(header, length)};
    in = in.subspan(header + length);
    return out;
}

/// The content of the one element that fills `in` and has the tag.
[[nodiscard]] RPCH_DECL result<byte_view> only_der(std::uint8_t tag, byte_view in) noexcept {
    const auto one = take_der(in);
    if (!one) return fail(one.error());
    if (one->tag != tag || !in.empty()) return fail(errc::bad_security_token);
    return one->content;
}

/// The fields of a SEQUENCE by the number of their tags; those unknown are skipped, for the types
/// are extensible (RFC 4178 4.2), those out of order are not.
template <std::size_t Fields>
[[nodiscard]] result<std::array<std::optional<byte_view>, Fields>> fields_of(byte_view sequence) {
    std::array<std::optional<byte_view>, Fields> out{};
    unsigned last = 0;
    while (!sequence.empty()) {
        const auto one = take_der(sequence);
        if (!one) return fail(one.error());
        if (one->tag <= last || (one->tag & 0xE0) != 0xA0) return fail(errc::bad_security_token);
        last = one->tag;
        const std::size_t number = one->tag & 0x1F;
        if (number < Fields) out[number] = one->content;
    }
    return out;
}

/// Sets `out` to the content of the element with the tag, if there is a field at all.
[[nodiscard]] RPCH_DECL std::error_code read_field(const std::optional<byte_view>& field,
                                                   std::uint8_t tag,
                                                   std::optional<byte_view>& out) noexcept {
    if (!field) return {};
    const auto content = only_der(tag, *field);
    if (!content) return content.error();
    out = *content;
    return {};
}

RPCH_DECL void append_der(std::vector<std::byte>& out, std::uint8_t tag, byte_view content) {
    out.push_back(std::byte{tag});
    const std::size_t size = content.size();
    if (size < 0x80)
        out.push_back(static_cast<std::byte>(size));
    else {
        std::size_t octets = 1;
        while (octets < sizeof size && size >> (8 * octets) != 0) ++octets;
        out.push_back(static_cast<std::byte>(0x80 | octets));
        for (std::size_t i = octets; i-- > 0;)
            out.push_back(static_cast<std::byte>(size >> (8 * i) & 0xFF));
    }
    out.insert(out.end(), content.begin(), content.end());
}
[[nodiscard]] RPCH_DECL std::vector<std::byte> der_of(std::uint8_t tag, byte_view content) {
    std::vector<std::byte> out;
    append_der(out, tag, content);
    return out;
}
/// Appends a field of one element.
RPCH_DECL void append_field(std::vector<std::byte>& out, unsigned number, std::uint8_t tag,
                            const std::optional<byte_view>& content) {
    if (content) append_der(out, der_context(number), der_of(tag, *content));
}

} // namespace detail

RPCH_DECL byte_view spnego_mechanism(security_provider provider) noexcept {
    if (provider == security_provider::ntlm) return core::as_bytes(detail::ntlm_identifier);
    if (provider == security_provider::kerberos) return core::as_bytes(detail::kerberos_identifier);
    return {};
}

RPCH_DECL security_provider spnego_provider(byte_view mechanism) noexcept {
    const std::string_view text = core::as_text(mechanism);
    if (text == detail::ntlm_identifier) return security_provider::ntlm;
    if (text == detail::kerberos_identifier || text == detail::ms_kerberos_identifier)
        return security_provider::kerberos;
    return security_provider::none;
}

RPCH_DECL result<spnego_init> decode_spnego_init(byte_view in) {
    if (in.size() > limits::auth_token_bytes_max) return fail(errc::bad_security_token);
    auto framed = detail::only_der(detail::der_application, in);
    if (!framed) return fail(framed.error());
    const auto identifier = detail::take_der(*framed);
    if (!identifier) return fail(identifier.error());
    if (identifier->tag != detail::der_identifier ||
        core::as_text(identifier->content) != detail::spnego_identifier)
        return fail(errc::bad_security_token);
    const auto choice = detail::only_der(detail::der_context(0), *framed);
    if (!choice) return fail(choice.error());
    const auto sequence = detail::only_der(detail::der_sequence, *choice);
    if (!sequence) return fail(sequence.error());
    const auto fields = detail::fields_of<5>(*sequence);
    if (!fields) return fail(fields.error());
    const auto& [types, flags, token, third, fourth] = *fields;
    static_cast<void>(flags); // reqFlags are not protected, and to be ignored: RFC 4178 4.2.1
    if (!types) return fail(errc::bad_security_token);
    spnego_init out;
    out.mechanism_list = *types;
    auto list = detail::only_der(detail::der_sequence, *types);
    if (!list) return fail(list.error());
    while (!list->empty()) {
        const auto one = detail::take_der(*list);
        if (!one) return fail(one.error());
        if (one->tag != detail::der_identifier || one->content.empty() ||
            out.mechanisms.size() == limits::spnego_mechanisms_max)
            return fail(errc::bad_security_token);
        out.mechanisms.push_back(one->content);
    }
    if (out.mechanisms.empty()) return fail(errc::bad_security_token);
    if (const auto bad = detail::read_field(token, detail::der_octets, out.token)) return fail(bad);
    // Field 3 is the MIC of NegTokenInit or the hints of NegTokenInit2, which has its MIC in 4.
    byte_view peek = third.value_or(byte_view{});
    const auto element = detail::take_der(peek);
    if (third && element && element->tag == detail::der_sequence) {
        const auto hints = detail::only_der(detail::der_sequence, *third);
        if (!hints) return fail(hints.error());
        const auto hint = detail::fields_of<2>(*hints);
        if (!hint) return fail(hint.error());
        if (const auto bad =
                detail::read_field((*hint)[0], detail::der_general_string, out.hint_name))
            return fail(bad);
    } else if (const auto bad = detail::read_field(third, detail::der_octets, out.mic))
        return fail(bad);
    if (fourth && out.mic) return fail(errc::bad_security_token);
    if (const auto bad = detail::read_field(fourth, detail::der_octets, out.mic)) return fail(bad);
    return out;
}

RPCH_DECL result<spnego_response> decode_spnego_response(byte_view in) {
    if (in.size() > limits::auth_token_bytes_max) return fail(errc::bad_security_token);
    const auto choice = detail::only_der(detail::der_context(1), in);
    if (!choice) return fail(choice.error());
    const auto sequence = detail::only_der(detail::der_sequence, *choice);
    if (!sequence) return fail(sequence.error());
    const auto fields = detail::fields_of<4>(*sequence);
    if (!fields) return fail(fields.error());
    spnego_response out;
    std::optional<byte_view> state;
    if (const auto bad = detail::read_field((*fields)[0], detail::der_enumerated, state))
        return fail(bad);
    if (state) {
        if (state->size() != 1 || std::to_integer<unsigned>((*state)[0]) > 3)
            return fail(errc::bad_security_token);
        out.state = static_cast<spnego_state>((*state)[0]);
    }
    if (const auto bad = detail::read_field((*fields)[1], detail::der_identifier, out.mechanism))
        return fail(bad);
    if (const auto bad = detail::read_field((*fields)[2], detail::der_octets, out.token))
        return fail(bad);
    if (const auto bad = detail::read_field((*fields)[3], detail::der_octets, out.mic))
        return fail(bad);
    return out;
}

RPCH_DECL std::vector<std::byte>
encode_spnego_mechanisms(const std::vector<byte_view>& mechanisms) {
    std::vector<std::byte> list;
    for (const byte_view one : mechanisms) detail::append_der(list, detail::der_identifier, one);
    return detail::der_of(detail::der_sequence, list);
}

RPCH_DECL std::vector<std::byte> encode_spnego(const spnego_init& token) {
    std::vector<std::byte> fields;
    detail::append_der(fields, detail::der_context(0), encode_spnego_mechanisms(token.mechanisms));
    detail::append_field(fields, 2, detail::der_octets, token.token);
    if (token.hint_name) {
        std::vector<std::byte> hints;
        detail::append_field(hints, 0, detail::der_general_string, token.hint_name);
        detail::append_der(fields, detail::der_context(3),
                           detail::der_of(detail::der_sequence, hints));
    }
    detail::append_field(fields, token.hint_name ? 4 : 3, detail::der_octets, token.mic);
    std::vector<std::byte> framed =
        detail::der_of(detail::der_identifier, core::as_bytes(detail::spnego_identifier));
    detail::append_der(framed, detail::der_context(0),
                       detail::der_of(detail::der_sequence, fields));
    return detail::der_of(detail::der_application, framed);
}

RPCH_DECL std::vector<std::byte> encode_spnego(const spnego_response& token) {
    std::vector<std::byte> fields;
    if (token.state) {
        const std::array<std::byte, 1> state{static_cast<std::byte>(*token.state)};
        detail::append_field(fields, 0, detail::der_enumerated, byte_view(state));
    }
    detail::append_field(fields, 1, detail::der_identifier, token.mechanism);
    detail::append_field(fields, 2, detail::der_octets, token.token);
    detail::append_field(fields, 3, detail::der_octets, token.mic);
    return detail::der_of(detail::der_context(1), detail::der_of(detail::der_sequence, fields));
}

namespace detail {

/// @return whether the token is an AUTHENTICATE of NTLM that promises a MIC of its own: whoever
///         sends one signs the list of mechanisms too.
[[nodiscard]] RPCH_DECL bool promises_ntlm_mic(byte_view token) noexcept {
    const auto message = decode_ntlm_authenticate(token);
    if (!message) return false;
    const auto response = decode_ntlmv2_response(message->nt_response);
    return response && (response->target_info.flags() & ntlm_av_flag_mic) != 0;
}

[[nodiscard]] RPCH_DECL bool is_bare_ntlm(byte_view token) noexcept {
    return core::as_text(token).starts_with(std::string_view("NTLMSSP\0", 8));
}

/// What both ends do alike: the exchange of MICs, and all that comes after the tokens.
class spnego_context : public security_context {
  public:
    explicit spnego_context(security_options options) : options_(std::move(options)) {}

    [[nodiscard]] result<std::vector<std::byte>> step(byte_view token) final {
        const stage before = std::exchange(stage_, stage::failed);
        if (before == stage::failed || before == stage::established)
            return refuse(errc::bad_security_token, "a token too many");
        return next(before == stage::start, token);
    }
    [[nodiscard]] bool is_established() const noexcept override {
        return stage_ == stage::established;
    }
    [[nodiscard]] std::size_t signature_bytes(bool seal) const noexcept override {
        return is_established() ? inner_->signature_bytes(seal) : 0;
    }
    [[nodiscard]] std::error_code protect(bool seal, const protected_message& message,
                                          byte_span signature) override {
        if (!is_established()) return errc::authentication_failed;
        return inner_->protect(seal, message, signature);
    }
    [[nodiscard]] std::error_code unprotect(bool sealed, const protected_message& message,
                                            byte_view signature) override {
        if (!is_established()) return errc::authentication_failed;
        return inner_->unprotect(sealed, message, signature);
    }
    [[nodiscard]] bool can_sign_headers() const noexcept override {
        return !inner_ || inner_->can_sign_headers();
    }
    [[nodiscard]] bool always_signs_headers() const noexcept override {
        return inner_ && inner_->always_signs_headers();
    }
    [[nodiscard]] bool can_make_mic() const noexcept override {
        return inner_ && inner_->can_make_mic();
    }
    [[nodiscard]] result<std::vector<std::byte>> make_mic(byte_view message) override {
        if (!is_established()) return fail(errc::authentication_failed);
        return inner_->make_mic(message);
    }
    [[nodiscard]] std::error_code check_mic(byte_view message, byte_view mic) override {
        if (!is_established()) return errc::authentication_failed;
        return inner_->check_mic(message, mic);
    }
    [[nodiscard]] const peer_identity& peer() const noexcept override {
        return is_established() ? inner_->peer() : nobody_;
    }
    [[nodiscard]] byte_view session_key() const noexcept override {
        return is_established() ? inner_->session_key() : byte_view{};
    }
    [[nodiscard]] std::string_view detail() const noexcept override { return detail_; }
    [[nodiscard]] std::string_view next_step() const noexcept override { return next_step_; }

  protected:
    enum class stage : std::uint8_t { start, going_on, established, failed };

    /// The next token; the stage is `failed` until it sets another.
    [[nodiscard]] virtual result<std::vector<std::byte>> next(bool is_first, byte_view token) = 0;

    [[nodiscard]] tl::unexpected<std::error_code> refuse(std::error_code why,
                                                         std::string_view words) {
        detail_ = words;
        return fail(why);
    }
    [[nodiscard]] tl::unexpected<std::error_code> refuse_token(std::error_code why) {
        detail_ = "malformed token: " + why.message();
        return fail(errc::bad_security_token);
    }
    [[nodiscard]] result<std::vector<std::byte>> step_inner(byte_view token) {
        auto out = inner_->step(token);
        if (!out) {
            detail_ = inner_->detail().empty() ? std::string("the mechanism refused")
                                               : std::string(inner_->detail());
            next_step_ = inner_->next_step();
        } else if (out->empty() && !inner_->is_established())
            return refuse(errc::bad_security_token, "the mechanism has nothing to say");
        return out;
    }
    /// Checks the peer's MIC, if there is one.
    [[nodiscard]] std::error_code take_mic(const std::optional<byte_view>& mic) {
        if (!mic) return {};
        if (!inner_->is_established())
            return refuse(errc::bad_security_token, "mechListMIC before its time").value();
        if (mic_is_checked_)
            return refuse(errc::bad_security_token, "a second mechListMIC").value();
        if (inner_->check_mic(list_, *mic))
            return refuse(errc::authentication_failed, "the list of mechanisms was changed")
                .value();
        mic_is_checked_ = true;
        return {};
    }
    /// No MIC is due of a mechanism whose ends agreed to sign nothing (RFC 4178 5). They do at
    /// level connect, where who can change the list could as well wait, and take the connection
    /// over.
    void excuse_mic() noexcept {
        if (inner_->is_established() && !inner_->can_make_mic()) mic_is_due_ = false;
    }
    /// Signs the list. Without it goes a mechanism that cannot, if nobody demands it.
    [[nodiscard]] std::error_code give_mic(std::optional<std::vector<std::byte>>& out) {
        auto mic = inner_->make_mic(list_);
        if (mic) {
            out = std::move(*mic);
            mic_is_sent_ = true;
        } else if (mic_is_due_)
            return refuse(errc::authentication_failed, "the mechanism cannot sign the list")
                .value();
        return {};
    }
    /// Encodes a NegTokenResp and goes to `after`.
    [[nodiscard]] std::vector<std::byte> answer(stage after, spnego_response out, byte_view token,
                                                const std::optional<std::vector<std::byte>>& mic) {
        if (!token.empty()) out.token = token;
        if (mic) out.mic = byte_view(*mic);
        stage_ = after;
        return encode_spnego(out);
    }

    security_options options_;
    stage stage_ = stage::start;
    std::unique_ptr<security_context> inner_{};
    std::vector<std::byte> list_{}; ///< The MechTypeList as the client sent it.
    bool has_alternatives_ = false; ///< The list has more than one entry: there is one to lose.
    bool mic_is_due_ = false;       ///< RFC 4178 5: the MICs may not be left out.
    bool mic_is_sent_ = false;
    bool mic_is_checked_ = false;
    peer_identity nobody_{};
    std::string detail_{};
    std::string next_step_{};
};

class spnego_client_context final : public spnego_context {
  public:
    using list = std::shared_ptr<const std::vector<std::shared_ptr<security_initiator>>>;
    spnego_client_context(security_options options, list mechanisms)
        : spnego_context(std::move(options)), mechanisms_(std::move(mechanisms)) {}

  private:
    [[nodiscard]] result<std::vector<std::byte>> next(bool is_first, byte_view token) override {
        if (is_first) return begin(token);
        detail_.clear();
        auto out = go_on(token);
        // Whoever asks why it failed, or was of no use, hears of the better mechanism as well.
        if (!left_out_.empty()) detail_ += (detail_.empty() ? "" : "; ") + left_out_;
        return out;
    }
    [[nodiscard]] RPCH_DECL result<std::vector<std::byte>> begin(byte_view token);
    [[nodiscard]] RPCH_DECL result<std::vector<std::byte>> go_on(byte_view token);
    void leave_out(security_provider provider, std::error_code why, std::string_view words);
    /// Takes the first answer's supportedMech: stays with the optimistic mechanism, or begins the
    /// one the server wants.
    [[nodiscard]] RPCH_DECL std::error_code choose(const spnego_response& in,
                                                   std::vector<std::byte>& out);

    list mechanisms_;
    std::vector<security_initiator*> offered_{}; ///< In the order of the list; kept by mechanisms_.
    security_initiator* chosen_ = nullptr;       ///< Null until the server's first answer.
    std::string left_out_{};                     ///< Mechanisms that could not begin, and why.
};

RPCH_DECL void spnego_client_context::leave_out(security_provider provider, std::error_code why,
                                                std::string_view words) {
    if (!left_out_.empty()) left_out_ += "; ";
    left_out_.append(name(provider)).append(" could not begin: ");
    left_out_.append(words.empty() ? why.message() : std::string(words));
}

RPCH_DECL result<std::vector<std::byte>> spnego_client_context::begin(byte_view token) {
    if (!token.empty()) return refuse(errc::bad_security_token, "the client speaks first");
    std::vector<byte_view> identifiers;
    std::vector<std::byte> optimistic;
    std::error_code first_error = errc::security_not_supported;
    for (const auto& one : *mechanisms_) {
        // Only the first in the list says something yet; who follows it may cost nothing now.
        if (!inner_) {
            auto context = one->initiate(options_);
            auto spoken = context ? (*context)->step({}) : fail(context.error());
            if (!spoken) {
                if (left_out_.empty()) {
                    first_error = spoken.error();
                    if (context) next_step_ = (*context)->next_step();
                }
                leave_out(one->provider(), spoken.error(),
                          context ? (*context)->detail() : std::string_view{});
                continue;
            }
            inner_ = std::move(*context);
            optimistic = std::move(*spoken);
        }
        if (offered_.size() == limits::spnego_mechanisms_max) break;
        offered_.push_back(one.get());
        identifiers.push_back(spnego_mechanism(one->provider()));
    }
    detail_ = left_out_;
    if (!inner_) return fail(first_error);
    next_step_.clear();
    list_ = encode_spnego_mechanisms(identifiers);
    has_alternatives_ = identifiers.size() > 1;
    spnego_init out;
    out.mechanisms = std::move(identifiers);
    if (!optimistic.empty()) out.token = byte_view(optimistic);
    stage_ = stage::going_on;
    return encode_spnego(out);
}

RPCH_DECL std::error_code spnego_client_context::choose(const spnego_response& in,
                                                        std::vector<std::byte>& out) {
    // A server that names none agrees with the first; RFC 4178 4.2.2 has it name one.
    const auto provider =
        in.mechanism ? spnego_provider(*in.mechanism) : offered_.front()->provider();
    const auto found = std::ranges::find_if(
        offered_, [&](const auto* one) { return one->provider() == provider; });
    if (found == offered_.end())
        return refuse(errc::bad_security_token, "the server took a mechanism not offered").value();
    chosen_ = *found;
    if (in.state == spnego_state::request_mic) mic_is_due_ = true;
    if (found == offered_.begin()) return {};
    mic_is_due_ = true; // RFC 4178 5
    if (in.token && !in.token->empty())
        return refuse(errc::bad_security_token, "a token of a mechanism that has not begun")
            .value();
    auto context = chosen_->initiate(options_);
    if (!context)
        return refuse(context.error(),
                      "the server's mechanism cannot begin: " + context.error().message())
            .value();
    inner_ = std::move(*context);
    auto spoken = step_inner({});
    if (!spoken) return spoken.error();
    out = std::move(*spoken);
    return {};
}

RPCH_DECL result<std::vector<std::byte>> spnego_client_context::go_on(byte_view token) {
    const auto in = decode_spnego_response(token);
    if (!in) return refuse_token(in.error());
    if (in->state == spnego_state::reject)
        return refuse(errc::authentication_failed, "the server refused");
    const bool is_completed = in->state == spnego_state::accept_completed;
    std::vector<std::byte> out;
    const bool is_first_answer = chosen_ == nullptr;
    if (is_first_answer) {
        if (const auto bad = choose(*in, out)) return fail(bad);
    } else if (in->mechanism && spnego_provider(*in->mechanism) != chosen_->provider())
        return refuse(errc::bad_security_token, "the server changed its mind");
    const bool has_begun = is_first_answer && chosen_ != offered_.front();
    if (!has_begun && in->token && !in->token->empty()) {
        if (inner_->is_established())
            return refuse(errc::bad_security_token, "the mechanism expects no token");
        auto spoken = step_inner(*in->token);
        if (!spoken) return spoken;
        out = std::move(*spoken);
    } else if (!has_begun && !inner_->is_established())
        return refuse(errc::bad_security_token, "the mechanism lacks a token");
    if (const auto bad = take_mic(in->mic)) return fail(bad);
    excuse_mic();

    // Ours always sends a MIC of its own, so that the list is signed too.
    const bool is_ntlm = chosen_->provider() == security_provider::ntlm && inner_->can_make_mic();
    if (is_completed) {
        if (!out.empty() || !inner_->is_established())
            return refuse(errc::bad_security_token, "the server completed too early");
        const bool is_missed = mic_is_due_ || (is_ntlm && mic_is_sent_ && has_alternatives_);
        if (is_missed && !mic_is_checked_)
            return refuse(errc::authentication_failed, "the server did not sign the list");
        stage_ = stage::established;
        return std::vector<std::byte>{};
    }
    std::optional<std::vector<std::byte>> mic;
    // A server that goes on when the mechanism is through, and we have nothing to say, waits for a
    // MIC: what else?
    if (inner_->is_established() && !mic_is_sent_ &&
        (mic_is_due_ || is_ntlm || mic_is_checked_ || out.empty()))
        if (const auto bad = give_mic(mic)) return fail(bad);
    if (out.empty() && !mic) return refuse(errc::bad_security_token, "nothing left to say");
    // In DCE/RPC the last word is always the server's accept-completed, in an alter_context_resp:
    // Samba and Windows send it even when both MICs are exchanged.
    const bool is_last =
        inner_->is_established() && mic_is_checked_ && mic_is_sent_ && !options_.dce_style;
    return answer(
        is_last ? stage::established : stage::going_on,
        {.state = is_last ? spnego_state::accept_completed : spnego_state::accept_incomplete}, out,
        mic);
}

class spnego_server_context final : public spnego_context {
  public:
    using list = std::shared_ptr<const std::vector<std::shared_ptr<security_acceptor>>>;
    spnego_server_context(security_options options, list mechanisms)
        : spnego_context(std::move(options)), mechanisms_(std::move(mechanisms)) {}

  private:
    [[nodiscard]] result<std::vector<std::byte>> next(bool is_first, byte_view token) override {
        if (is_bare_ || (is_first && is_bare_ntlm(token))) return pass(is_first, token);
        return is_first ? begin(token) : go_on(token);
    }
    /// NTLM without SPNEGO.
    [[nodiscard]] RPCH_DECL result<std::vector<std::byte>> pass(bool is_first, byte_view token);
    [[nodiscard]] RPCH_DECL result<std::vector<std::byte>> begin(byte_view token);
    [[nodiscard]] RPCH_DECL result<std::vector<std::byte>> go_on(byte_view token);
    /// Answers with what the mechanism said; the first answer names the mechanism.
    [[nodiscard]] RPCH_DECL result<std::vector<std::byte>>
    conclude(const std::optional<byte_view>& mechanism, byte_view out);
    [[nodiscard]] security_acceptor* find(security_provider provider) const noexcept {
        for (const auto& one : *mechanisms_)
            if (one->provider() == provider) return one.get();
        return nullptr;
    }
    /// Begins a mechanism.
    [[nodiscard]] std::error_code take(security_acceptor& one) {
        auto context = one.accept(options_);
        if (!context) return refuse(context.error(), "the mechanism cannot begin").value();
        inner_ = std::move(*context);
        provider_ = one.provider();
        return {};
    }

    list mechanisms_;
    security_provider provider_ = security_provider::none;
    bool is_bare_ = false;
};

RPCH_DECL result<std::vector<std::byte>> spnego_server_context::pass(bool is_first,
                                                                     byte_view token) {
    if (is_first) {
        security_acceptor* const ntlm = find(security_provider::ntlm);
        if (ntlm == nullptr) return refuse(errc::authentication_failed, "NTLM is not served");
        if (const auto bad = take(*ntlm)) return fail(bad);
        is_bare_ = true;
    }
    auto out = step_inner(token);
    if (out) stage_ = inner_->is_established() ? stage::established : stage::going_on;
    return out;
}

RPCH_DECL result<std::vector<std::byte>> spnego_server_context::begin(byte_view token) {
    const auto in = decode_spnego_init(token);
    if (!in) return refuse_token(in.error());
    list_.assign(in->mechanism_list.begin(), in->mechanism_list.end());
    has_alternatives_ = in->mechanisms.size() > 1;
    security_acceptor* chosen = nullptr;
    byte_view identifier;
    for (const byte_view one : in->mechanisms) {
        chosen = find(spnego_provider(one));
        identifier = one;
        if (chosen != nullptr) break;
    }
    if (chosen == nullptr) return refuse(errc::authentication_failed, "no mechanism in common");
    if (const auto bad = take(*chosen)) return fail(bad);
    // The two names of Kerberos are one mechanism, and the optimistic token is good for both.
    const bool is_first = spnego_provider(in->mechanisms.front()) == provider_;
    mic_is_due_ = !is_first; // RFC 4178 5
    std::vector<std::byte> out;
    if (is_first && in->token && !in->token->empty()) {
        auto spoken = step_inner(*in->token);
        if (!spoken) return spoken;
        out = std::move(*spoken);
    }
    return conclude(identifier, out);
}

RPCH_DECL result<std::vector<std::byte>> spnego_server_context::go_on(byte_view token) {
    const auto in = decode_spnego_response(token);
    if (!in) return refuse_token(in.error());
    if (in->state == spnego_state::reject)
        return refuse(errc::authentication_failed, "the client refused");
    if (in->mechanism && spnego_provider(*in->mechanism) != provider_)
        return refuse(errc::bad_security_token, "the client changed its mind");
    std::vector<std::byte> out;
    if (in->token && !in->token->empty()) {
        if (inner_->is_established())
            return refuse(errc::bad_security_token, "the mechanism expects no token");
        auto spoken = step_inner(*in->token);
        if (!spoken) return spoken;
        out = std::move(*spoken);
        // Whoever left the MIC out changed the list to have this mechanism taken.
        if (has_alternatives_ && inner_->is_established() && promises_ntlm_mic(*in->token))
            mic_is_due_ = true;
    } else if (!inner_->is_established())
        return refuse(errc::bad_security_token, "the mechanism lacks a token");
    if (const auto bad = take_mic(in->mic)) return fail(bad);
    return conclude({}, out);
}

RPCH_DECL result<std::vector<std::byte>>
spnego_server_context::conclude(const std::optional<byte_view>& mechanism, byte_view out) {
    using enum spnego_state;
    const bool is_first = mechanism.has_value();
    std::optional<std::vector<std::byte>> mic;
    excuse_mic();
    if (!inner_->is_established())
        return answer(stage::going_on,
                      {.state = is_first && mic_is_due_ ? request_mic : accept_incomplete,
                       .mechanism = mechanism},
                      out, mic);
    if (mic_is_checked_) {
        if (mic_is_sent_) {
            if (options_.dce_style) // see the client's end
                return answer(stage::established, {.state = accept_completed}, out, mic);
            stage_ = stage::established;
            return std::vector<std::byte>{};
        }
        mic_is_due_ = true; // who signs wants it signed
    } else if (mic_is_due_) {
        // Who says the mechanism's last word signs first.
        if (out.empty() || mic_is_sent_)
            return refuse(errc::authentication_failed, "the client did not sign the list");
        if (const auto bad = give_mic(mic)) return fail(bad);
        return answer(stage::going_on, {.state = accept_incomplete, .mechanism = mechanism}, out,
                      mic);
    }
    if (mic_is_due_)
        if (const auto bad = give_mic(mic)) return fail(bad);
    return answer(stage::established, {.state = accept_completed, .mechanism = mechanism}, out,
                  mic);
}

/// Those of the mechanisms that SPNEGO has a name for.
template <class End>
[[nodiscard]] std::shared_ptr<const std::vector<std::shared_ptr<End>>>
named_mechanisms(std::vector<std::shared_ptr<End>> all) {
    std::erase_if(all, [](const auto& one) { return spnego_mechanism(one->provider()).empty(); });
    return std::make_shared<const std::vector<std::shared_ptr<End>>>(std::move(all));
}

} // namespace detail

RPCH_DECL
spnego_initiator::spnego_initiator(std::vector<std::shared_ptr<security_initiator>> mechanisms)
    : mechanisms_(detail::named_mechanisms(std::move(mechanisms))) {}

RPCH_DECL result<std::unique_ptr<security_context>>
spnego_initiator::initiate(const security_options& options) {
    if (mechanisms_->empty()) return fail(errc::security_not_supported);
    return std::make_unique<detail::spnego_client_context>(options, mechanisms_);
}

RPCH_DECL
spnego_acceptor::spnego_acceptor(std::vector<std::shared_ptr<security_acceptor>> mechanisms)
    : mechanisms_(detail::named_mechanisms(std::move(mechanisms))) {}

RPCH_DECL result<std::unique_ptr<security_context>>
spnego_acceptor::accept(const security_options& options) {
    if (mechanisms_->empty()) return fail(errc::security_not_supported);
    return std::make_unique<detail::spnego_server_context>(options, mechanisms_);
}

} // namespace rpch::inline RPCH_ABI::auth
