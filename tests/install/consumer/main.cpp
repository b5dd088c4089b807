#include <rpch/rpch.hpp>

#include <cstdio>

namespace consumer {
rpch::result<int> version_seen_by_other(const rpch::uuid& id);
}

/// What a build that leaves Kerberos out says; true of one that has it.
static bool leaves_kerberos_out_well() {
#if defined(CONSUMER_WITHOUT_KERBEROS)
    rpch::transport::kerberos_initiator client;
    rpch::transport::kerberos_acceptor server;
    return !rpch::transport::has_kerberos() &&
           client.initiate({}).error() == rpch::errc::security_not_supported &&
           server.accept({}).error() == rpch::errc::security_not_supported;
#else
    return true;
#endif
}

int main() {
    if (!leaves_kerberos_out_well()) return 2;
    const auto seen = consumer::version_seen_by_other(rpch::uuid{});
    const int here = RPCH_VERSION_MAJOR * 100 + RPCH_VERSION_MINOR;
    if (!seen || *seen != here) return 1;
    // One category object in the program, whichever translation unit asks.
    const std::error_code mine = rpch::errc::truncated;
    std::printf("rpch %s: %s\n", RPCH_VERSION_STRING, mine.message().c_str());
    return rpch::fail(mine).value() == rpch::errc::truncated ? 0 : 1;
}
