// What the command line says, one structure for each subcommand.
#ifndef RPCH_TOOL_OPTIONS_HPP
#define RPCH_TOOL_OPTIONS_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tool {

/// Exit codes of every subcommand.
inline constexpr int succeeded = 0;
inline constexpr int failed = 1;
inline constexpr int usage = 2;

/// Whom an HTTP(S) listener lets in.
struct front_options {
    std::string cert;
    std::string key;
    std::vector<std::string> auth;
    std::string users;
    std::string keytab;
    bool allow_plain = false;
    [[nodiscard]] bool only_for_http() const {
        return !cert.empty() || !auth.empty() || allow_plain;
    }
};

/// What the channels of an HTTP(S) listener may do; what is not given is the library's own.
struct channel_options {
    std::optional<std::uint32_t> channel_lifetime;
    std::optional<std::uint32_t> receive_window;
    std::optional<std::uint32_t> connection_timeout_s;
    [[nodiscard]] bool any() const {
        return channel_lifetime || receive_window || connection_timeout_s;
    }
};

struct serve_options {
    std::string http;
    std::string https;
    std::string tcp;
    std::string epmap_http;
    std::string epmap_tcp;
    front_options front;
    channel_options channels;
    std::uint32_t drain_s = 2;
    std::uint64_t replace_out_below = 0;
    std::vector<std::string> rpc_auth;
    std::string auth_level = "none";
};

struct proxy_options {
    std::string listen;
    std::string valid_ports;
    front_options front;
    channel_options channels;
    std::uint32_t drain_s = 2;
    std::uint64_t replace_out_below = 0;
    std::vector<std::string> tcp_backends;
};

struct passwd_options {
    std::string file;
    std::string user;
    bool ntlm = false;
};

/// How a client proves itself and whom it trusts.
struct credentials_options {
    std::string user;
    std::string password_file;
    std::string auth;
    std::string ca;
    bool insecure = false;
    std::string rpc_auth;
    std::string rpc_user;
    std::string rpc_password_file;
    std::string auth_level; ///< Empty for privacy.
    std::string target;
    bool allow_basic_over_plain = false;
};

struct call_options {
    std::string binding;
    std::string interface;
    std::uint16_t opnum = 0;
    std::string stub;
    std::string transfer_syntax = "ndr";
    credentials_options credentials;
    std::optional<std::uint32_t> channel_lifetime;
    std::optional<std::uint32_t> receive_window;
    std::uint64_t replace_in_below = 0; ///< 0: the library chooses.
    bool json = false;
};

int run_demo();
int run_serve(const serve_options& options);
int run_proxy(const proxy_options& options);
int run_passwd(const passwd_options& options);
int run_call(const call_options& options);

} // namespace tool

#endif
