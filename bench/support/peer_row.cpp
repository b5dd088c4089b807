#include "bench/support/peer_row.hpp"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <stdexcept>
#include <utility>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {
namespace {

/// @return false at the end of input before the first byte.
bool read_whole(int from, void* to, std::size_t bytes) {
    auto* at = static_cast<char*>(to);
    for (std::size_t done = 0; done < bytes;) {
        const auto got = ::read(from, at + done, bytes - done);
        if (got < 0 && errno == EINTR) continue;
        if (got == 0 && done == 0) return false;
        if (got <= 0) throw std::runtime_error("a program of the benchmark is gone");
        done += static_cast<std::size_t>(got);
    }
    return true;
}

void write_whole(int to, const void* from, std::size_t bytes) {
    const auto* at = static_cast<const char*>(from);
    while (bytes != 0) {
        const auto put = ::write(to, at, bytes);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) throw std::runtime_error("a program of the benchmark is gone");
        at += put;
        bytes -= static_cast<std::size_t>(put);
    }
}

std::vector<std::string> calling(const std::string& program, const std::string& greeting,
                                 std::size_t payload_bytes, std::size_t outstanding) {
    const std::size_t colon = greeting.rfind(':');
    if (!greeting.starts_with("listening on ") || colon == std::string::npos)
        throw std::runtime_error(program + " serve said: " + greeting);
    return {program, "call", greeting.substr(colon + 1), std::to_string(payload_bytes),
            std::to_string(outstanding)};
}

} // namespace

child::child(const std::vector<std::string>& words) {
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    int in[2], out[2];
    if (::pipe(in) != 0 || ::pipe(out) != 0) throw std::runtime_error("pipe");
    process_ = ::fork();
    if (process_ < 0) throw std::runtime_error("fork");
    if (process_ == 0) {
        ::dup2(in[0], STDIN_FILENO);
        ::dup2(out[1], STDOUT_FILENO);
        ::close_range(3, ~0U, 0);
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        ::execv(arguments[0], arguments.data());
        ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    input_ = in[1];
    output_ = out[0];
}

child::~child() {
    ::close(input_);
    ::close(output_);
    ::kill(process_, SIGTERM);
    ::waitpid(process_, nullptr, 0);
}

void child::write(const void* from, std::size_t bytes) const { write_whole(input_, from, bytes); }

void child::read(void* to, std::size_t bytes) const {
    if (!read_whole(output_, to, bytes))
        throw std::runtime_error("a program of the benchmark is gone");
}

std::string child::line() const {
    std::string out;
    for (char c = 0; read(&c, 1), c != '\n';) out += c;
    return out;
}

peer_row::peer_row(const std::string& program, std::size_t payload_bytes, std::size_t outstanding)
    : payload_bytes_{payload_bytes},
      server_{{program, "serve"}},
      caller_{calling(program, server_.line(), payload_bytes, outstanding)} {}

std::function<void(std::size_t, latencies&)> windows_of(const child& caller) {
    return [&caller](std::size_t calls, latencies& out) {
        const std::uint64_t count = calls;
        caller.write(&count, sizeof count);
        out.resize(calls);
        caller.read(out.data(), calls * sizeof out[0]);
    };
}

row peer_row::as_row(std::string name) {
    return {.name = std::move(name),
            .run = windows_of(caller_),
            .processes = {server_.process(), caller_.process()},
            .own_cpu = false,
            .bytes_per_call = 2 * payload_bytes_};
}

void answer_windows(const std::function<void(std::size_t, latencies&)>& run) {
    latencies out;
    for (std::uint64_t calls = 0; read_whole(STDIN_FILENO, &calls, sizeof calls);) {
        out.clear();
        run(calls, out);
        if (out.size() != calls) throw std::logic_error("not every call was timed");
        write_whole(STDOUT_FILENO, out.data(), calls * sizeof out[0]);
    }
}

} // namespace bench
