#include "passwords.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>

#include <poll.h>
#include <termios.h>
#include <unistd.h>

namespace tool {

namespace {

volatile std::sig_atomic_t interrupted = 0; ///< By this signal.

/// Switches the echo of the terminal off as long as it lives. A signal that would end the program
/// ends the waiting first, so that it does not leave a terminal without echo behind. It is let in
/// while we wait and at no other time: one that came just before would be noticed by nobody.
class echo_off {
  public:
    echo_off() {
        active_ = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &before_) == 0;
        if (!active_) return;
        sigset_t blocked{};
        sigemptyset(&blocked);
        for (const int each : endings) sigaddset(&blocked, each);
        sigprocmask(SIG_BLOCK, &blocked, &mask_);
        struct sigaction noting {}; // without SA_RESTART
        noting.sa_handler = [](int which) { interrupted = which; };
        for (std::size_t i = 0; i < endings.size(); ++i)
            sigaction(endings[i], &noting, &handlers_[i]);
        termios silent = before_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    echo_off(const echo_off&) = delete;
    echo_off& operator=(const echo_off&) = delete;
    ~echo_off() {
        if (!active_) return;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
        std::fputc('\n', stderr);
        for (std::size_t i = 0; i < endings.size(); ++i)
            sigaction(endings[i], &handlers_[i], nullptr);
        sigprocmask(SIG_SETMASK, &mask_, nullptr);
        if (interrupted != 0) std::raise(interrupted);
    }
    [[nodiscard]] bool is_terminal() const { return active_; }
    /// Waits for a line. @return false if a signal came instead.
    [[nodiscard]] bool wait_for_line() const {
        pollfd in{STDIN_FILENO, POLLIN, 0};
        while (active_ && interrupted == 0 && ppoll(&in, 1, nullptr, &mask_) < 0 && errno == EINTR)
            ;
        return interrupted == 0;
    }

  private:
    static constexpr std::array endings{SIGINT, SIGTERM, SIGQUIT, SIGHUP};
    std::array<struct sigaction, endings.size()> handlers_{};
    sigset_t mask_{};
    termios before_{};
    bool active_ = false;
};

std::optional<std::string> first_line(std::istream& in) {
    std::string line;
    if (!std::getline(in, line)) return std::nullopt;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    return line;
}

} // namespace

std::optional<std::string> password_from_file(const std::string& path, std::string& why) {
    std::ifstream file(path);
    auto password = file ? first_line(file) : std::nullopt;
    if (password && !password->empty()) return password;
    why = password || file.eof()
              ? "there is no password in the first line of the file " + path
              : "cannot read the password file " + path + ": " + std::strerror(errno);
    return std::nullopt;
}

std::optional<std::string> ask_password(const std::string& prompt) {
    const echo_off silent;
    if (silent.is_terminal()) std::fprintf(stderr, "%s", prompt.c_str());
    if (!silent.wait_for_line()) return std::nullopt;
    return first_line(std::cin);
}

} // namespace tool
