#include <rpch/transport/kerberos.hpp>

#include <doctest/doctest.h>

using namespace rpch;
using namespace rpch::auth;
using namespace rpch::transport;

// What needs a KDC is in tests/interop/kerberos.cpp.

TEST_CASE("Kerberos: without it in the build both ends say so; with it they want names and keys") {
    kerberos_initiator initiator;
    kerberos_acceptor acceptor({.keytab = "/nonexistent/keytab"});
    CHECK(initiator.provider() == security_provider::kerberos);
    CHECK(acceptor.provider() == security_provider::kerberos);
    const auto wanted = has_kerberos() ? errc::bad_credentials : errc::security_not_supported;
    CHECK(initiator.initiate({}).error() == wanted);
    CHECK(acceptor.accept({}).error() == wanted);
}

TEST_CASE("Kerberos: a client without tickets fails in its first step, and says why") {
    if (!has_kerberos()) return;
    kerberos_credentials who;
    who.cache = "FILE:/nonexistent/cache";
    kerberos_initiator initiator(std::move(who));
    const auto context = initiator.initiate({.target = "host/server.example"}).value();
    CHECK(context->step({}).error() == errc::no_credentials);
    CHECK_FALSE(context->detail().empty());
    CHECK(context->next_step().find("kinit") != std::string_view::npos);
    CHECK(context->step({}).error() == errc::bad_security_token);
    CHECK(context->session_key().empty());
    CHECK(context->make_mic({}).error() == errc::authentication_failed);
    CHECK(context->check_mic({}, {}) == errc::authentication_failed);
    CHECK(context->protect(true, {}, {}) == errc::authentication_failed);
    CHECK(context->unprotect(true, {}, {}) == errc::authentication_failed);
    const auto other = initiator.initiate({.target = "host/server.example"}).value();
    const std::byte token[3]{};
    CHECK(other->step(token).error() == errc::bad_security_token);
}
