// What ../rts/count_instructions.sh counts: the header of a request, through the public interface.
// main checks the answers first, then calls each function a known number of times.
#include <array>
#include <cstdio>
#include <cstdlib>

#include <rpch/dcerpc/call_pdu.hpp>

using namespace rpch;

namespace {
void require(bool holds) {
    if (holds) return;
    std::fputs("a probe gives the wrong answer\n", stderr);
    std::exit(1);
}
} // namespace

// Not extern "C": a result is returned in the caller's space, as in any program.
namespace probe {

[[gnu::noinline]] result<dcerpc::request> decode_request(byte_view in) {
    return dcerpc::decode_request(in);
}

[[gnu::noinline]] std::size_t encode_request(const dcerpc::request& in, byte_span out) {
    return dcerpc::encode_request(in, out);
}

} // namespace probe

int main(int, char** arguments) {
    const int rounds = std::atoi(arguments[1]);

    const std::array<std::byte, 32> stub{};
    dcerpc::request request;
    request.header.flags = dcerpc::pfc::first_frag | dcerpc::pfc::last_frag;
    request.header.call_id = 7;
    request.alloc_hint = 32;
    request.opnum = 3;
    request.stub = stub;
    std::array<std::byte, 56> wire{};
    for (int i = 0; i < rounds; ++i) {
        require(probe::encode_request(request, wire) == wire.size());
        const auto back = probe::decode_request(wire);
        require(back && back->opnum == 3 && back->stub.size() == stub.size());
    }
}
