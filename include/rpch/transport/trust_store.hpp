// The certificate authorities a TLS client trusts.
#ifndef RPCH_TRANSPORT_TRUST_STORE_HPP
#define RPCH_TRANSPORT_TRUST_STORE_HPP

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::transport {

namespace detail {
struct trust_store_state;
} // namespace detail

/// Immutable after construction, so one store serves every context and thread.
class trust_store {
  public:
    /// Reads PEM certificates, one or many. Certificates in a form this build does not know are
    /// left out, as bundles carry some.
    /// @param why  borrowed; receives a sentence for people on failure; may be null.
    /// @errors errc::tls_no_trust_anchors if none is left, errc::too_large.
    [[nodiscard]] static result<std::shared_ptr<const trust_store>>
    from_pem(std::string_view pem, std::string* why = nullptr);

    /// Reads the PEM file at `path`.
    /// @errors errc::bad_setting if it cannot be read, and those of `from_pem`.
    [[nodiscard]] static result<std::shared_ptr<const trust_store>>
    from_file(const std::string& path, std::string* why = nullptr);

    /// The system's authorities: the first of `system_places()` that exists, read once per process.
    /// @errors errc::tls_no_trust_anchors.
    [[nodiscard]] static result<std::shared_ptr<const trust_store>>
    system(std::string* why = nullptr);

    /// @return the bundles of the usual systems, in the order they are tried.
    [[nodiscard]] static std::span<const char* const> system_places() noexcept;

    trust_store(const trust_store&) = delete;
    trust_store& operator=(const trust_store&) = delete;
    ~trust_store();

    /// @return how many certificates the store holds; at least one.
    [[nodiscard]] std::size_t size() const noexcept;

    /// For this room's use; mbedTLS stays out of this header.
    [[nodiscard]] const detail::trust_store_state& native() const noexcept { return *state_; }

  private:
    explicit trust_store(std::unique_ptr<detail::trust_store_state> s) noexcept;

    std::unique_ptr<detail::trust_store_state> state_;
};

} // namespace rpch::inline RPCH_ABI::transport

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/impl/trust_store.ipp>
#endif

#endif
