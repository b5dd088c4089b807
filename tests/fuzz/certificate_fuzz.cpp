// Any bytes as the extensions of a certificate: names are found inside them, or an error is named.
#include <cstdint>
#include <cstdlib>
#include <span>

#include <rpch/transport/detail/certificate.hpp>

using namespace rpch;

namespace {

bool lies_within(byte_view part, byte_view whole) {
    return part.empty() || (part.data() >= whole.data() &&
                            part.data() + part.size() <= whole.data() + whole.size());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto in = std::as_bytes(std::span(data, size));
    const auto names = transport::detail::find_alternative_names(in);
    if (!names) {
        if (names.error() != errc::truncated && names.error() != errc::bad_value) std::abort();
        return 0;
    }
    std::size_t bytes = 0;
    for (const auto& list : {names->dns, names->ip})
        for (const auto name : list) {
            if (!lies_within(name, in)) std::abort();
            bytes += name.size();
        }
    if (bytes > size) std::abort();
    return 0;
}
