#include <rpch/transport/tls_context.hpp>

#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include <rpch/core/uuid.hpp>
#include <rpch/limits.hpp>
#include <rpch/transport/random.hpp>
#include <rpch/transport/trust_store.hpp>

#include "tests/support/certificates.hpp"
#include "tests/support/tls_pair.hpp"

using namespace rpch;
using namespace rpch::transport;

namespace {

/// A file that goes when the test ends.
struct temporary_file {
    temporary_file(const char* name, const std::string& text)
        : path((std::filesystem::temp_directory_path() /
                (std::string("rpch-") + core::to_hex(unique()) + name))
                   .string()) {
        std::ofstream(path, std::ios::binary) << text;
    }
    ~temporary_file() { std::filesystem::remove(path); }
    static test::bytes unique() {
        test::bytes out(8);
        REQUIRE_FALSE(random_bytes(out));
        return out;
    }
    const std::string path;
};

tls_server_options good_server() {
    tls_server_options options;
    options.certificate_chain_pem = test::server_certificate().certificate_pem;
    options.private_key_pem = test::server_certificate().private_key_pem;
    return options;
}

std::error_code server_error(const tls_server_options& options, std::string& why) {
    const auto context = tls_context::make_server(options, &why);
    return context ? std::error_code{} : context.error();
}

} // namespace

TEST_CASE("TLS server context: certificate and key come from text or from files") {
    CHECK(tls_context::make_server(good_server()));
    const temporary_file chain(".crt", test::server_certificate().certificate_pem +
                                           test::authority().certificate_pem());
    const temporary_file key(".key", test::server_certificate().private_key_pem);
    tls_server_options options;
    options.certificate_chain_file = chain.path;
    options.private_key_file = key.path;
    const auto context = tls_context::make_server(options);
    REQUIRE(context);
    CHECK((*context)->is_server());
    CHECK((*context)->server_end_point().size() == 32);
    test::tls_pair pair(test::tls_client(), *context);
    CHECK(pair.run());
}

TEST_CASE("TLS server context: what is wrong with the setting is told") {
    auto options = good_server();
    std::string why;
    SUBCASE("no certificate") {
        options.certificate_chain_pem.clear();
        CHECK(server_error(options, why) == errc::bad_setting);
        CHECK(why == "the certificate chain is missing");
    }
    SUBCASE("two keys") {
        options.private_key_file = "key.pem";
        CHECK(server_error(options, why) == errc::bad_setting);
        CHECK(why == "the private key is given twice");
    }
    SUBCASE("no such file") {
        options.certificate_chain_pem.clear();
        options.certificate_chain_file = "/nonexistent/chain.pem";
        CHECK(server_error(options, why) == errc::bad_setting);
        CHECK(why == "cannot open /nonexistent/chain.pem: No such file or directory");
    }
    SUBCASE("a directory") {
        options.certificate_chain_pem.clear();
        options.certificate_chain_file = std::filesystem::temp_directory_path().string();
        CHECK(server_error(options, why));
        CHECK_FALSE(why.empty());
    }
    SUBCASE("no PEM") {
        options.certificate_chain_pem = "certificate";
        CHECK(server_error(options, why) == errc::bad_setting);
        CHECK(why.starts_with("the certificate chain does not parse"));
    }
    SUBCASE("half a certificate") {
        options.certificate_chain_pem.resize(options.certificate_chain_pem.size() / 2);
        CHECK(server_error(options, why) == errc::bad_setting);
    }
    SUBCASE("key of another certificate") {
        options.private_key_pem = test::expired_certificate().private_key_pem;
        CHECK(server_error(options, why) == errc::bad_setting);
        CHECK(why == "the private key does not belong to the certificate of CN=test server");
    }
    SUBCASE("a certificate for a key") {
        options.private_key_pem = options.certificate_chain_pem;
        CHECK(server_error(options, why) == errc::bad_setting);
        CHECK(why.starts_with("the private key does not parse"));
    }
    SUBCASE("unknown cipher suite") {
        options.cipher_suites = {"TLS-WITH-ROT13"};
        CHECK(server_error(options, why) == errc::bad_setting);
        CHECK(why == "unknown cipher suite TLS-WITH-ROT13");
    }
    SUBCASE("ticket lifetime") {
        options.ticket_lifetime = std::chrono::hours{25};
        CHECK(server_error(options, why) == errc::bad_setting);
    }
}

TEST_CASE("TLS context: a server is good until its own certificate is over") {
    using std::chrono::floor;
    using std::chrono::seconds;
    const auto now = floor<seconds>(std::chrono::system_clock::now());
    const auto tomorrow = now + std::chrono::hours{24};
    const auto yesterday = now - std::chrono::hours{24};
    const auto leaf = test::authority().issue({.common_name = "x", .not_after = tomorrow}).value();
    // An old root behind it does not matter to those who have the new one.
    const auto over = test::authority()
                          .issue({.common_name = "issuer",
                                  .not_before = yesterday - std::chrono::hours{24},
                                  .not_after = yesterday})
                          .value();
    tls_server_options options;
    options.certificate_chain_pem = leaf.certificate_pem + over.certificate_pem;
    options.private_key_pem = leaf.private_key_pem;
    CHECK(tls_context::make_server(options).value()->good_until() == tomorrow);
    CHECK(test::tls_server(over)->good_until() == yesterday);
    CHECK(test::tls_client()->good_until() == std::chrono::sys_seconds::max());
}

TEST_CASE("TLS context: chosen cipher suites are used in their order") {
    auto options = good_server();
    options.cipher_suites = {"TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384"};
    test::tls_pair pair(test::tls_client(), tls_context::make_server(options).value());
    REQUIRE(pair.run());
    CHECK(pair.client.engine.cipher_suite() == "TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384");
}

TEST_CASE("TLS client context: authorities from file and text count together") {
    const temporary_file file(".pem", test::other_authority().certificate_pem());
    tls_client_options options;
    options.ca_file = file.path;
    const auto other_only = tls_context::make_client(options);
    REQUIRE(other_only);
    test::tls_pair untrusted(*other_only, test::tls_server());
    CHECK_FALSE(untrusted.run());
    options.ca_pem = test::authority().certificate_pem();
    test::tls_pair trusted(tls_context::make_client(options).value(), test::tls_server());
    CHECK(trusted.run());
}

TEST_CASE("TLS client context: no authorities, no client") {
    std::string why;
    tls_client_options options;
    options.ca_pem = "nothing here";
    auto context = tls_context::make_client(options, &why);
    REQUIRE_FALSE(context);
    CHECK(context.error() == errc::tls_no_trust_anchors);
    CHECK_FALSE(why.empty());
    options.ca_pem.clear();
    options.ca_file = "/nonexistent/ca.pem";
    context = tls_context::make_client(options, &why);
    REQUIRE_FALSE(context);
    CHECK(context.error() == errc::bad_setting);
    CHECK(why == "cannot open /nonexistent/ca.pem: No such file or directory");
}

TEST_CASE("trust store: counts what it read and passes over what it cannot") {
    const auto pem =
        test::authority().certificate_pem() + test::other_authority().certificate_pem();
    CHECK((*trust_store::from_pem(pem))->size() == 2);
    const std::string broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    CHECK((*trust_store::from_pem(broken + pem))->size() == 2);
    CHECK(trust_store::from_pem(broken).error() == errc::tls_no_trust_anchors);
    CHECK(trust_store::from_pem("").error() == errc::tls_no_trust_anchors);
    CHECK(trust_store::from_pem(std::string(limits::pem_bytes_max + 1, ' ')).error() ==
          errc::too_large);
}

TEST_CASE("trust store: the system's is read once") {
    const auto first = trust_store::system();
    const auto second = trust_store::system();
    REQUIRE(first.has_value() == second.has_value());
    if (first)
        CHECK(first->get() == second->get());
    else
        CHECK(first.error() == errc::tls_no_trust_anchors);
}
