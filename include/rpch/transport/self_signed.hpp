// Throwaway certificates for demonstrations and tests: an authority made at run time and its
// leaves.
#ifndef RPCH_TRANSPORT_SELF_SIGNED_HPP
#define RPCH_TRANSPORT_SELF_SIGNED_HPP

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::transport {

/// A certificate to issue.
struct certificate_request {
    std::string common_name = "rpch demonstration";
    std::vector<std::string> dns_names = {};    ///< dNSName entries; `*.example.com` is allowed.
    std::vector<std::string> ip_addresses = {}; ///< iPAddress entries, IPv4 or IPv6 text.
    std::chrono::system_clock::time_point not_before =
        std::chrono::system_clock::now() - std::chrono::hours{24};
    std::chrono::system_clock::time_point not_after =
        std::chrono::system_clock::now() + std::chrono::hours{24 * 30};
};

/// A certificate with its key, both PEM.
struct issued_certificate {
    std::string certificate_pem;
    std::string private_key_pem;
};

/// A certificate authority with a P-256 key that exists in memory only. Not for production: nothing
/// is revoked, recorded or protected.
class test_authority {
  public:
    /// Makes a key and a self-signed authority certificate, valid from yesterday for 30 days.
    /// @param common_name  printable, without comma, equals sign or quotes.
    /// @errors errc::no_randomness, errc::bad_setting (the name).
    [[nodiscard]] static result<test_authority>
    make(const std::string& common_name = "rpch throwaway authority");

    /// Makes a key and a server certificate signed by this authority.
    /// @errors errc::bad_setting (a name or address that does not parse), errc::no_randomness.
    [[nodiscard]] result<issued_certificate> issue(const certificate_request& request) const;

    /// @return the authority's certificate, PEM: the client's `ca_pem`.
    [[nodiscard]] const std::string& certificate_pem() const noexcept;

    test_authority(test_authority&&) noexcept;
    test_authority& operator=(test_authority&&) noexcept;
    ~test_authority();

    struct state;

  private:
    explicit test_authority(std::unique_ptr<state> s) noexcept;

    std::unique_ptr<state> state_;
};

} // namespace rpch::inline RPCH_ABI::transport

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/impl/self_signed.ipp>
#endif

#endif
