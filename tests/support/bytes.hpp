// Bytes for tests: hex literals and vector files.
#ifndef RPCH_TESTS_SUPPORT_BYTES_HPP
#define RPCH_TESTS_SUPPORT_BYTES_HPP

#include <cstddef>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <rpch/core/uuid.hpp>

namespace test {

using bytes = std::vector<std::byte>;

/// Reads hexadecimal text; blanks and line ends are skipped, anything else throws.
inline bytes hex(std::string_view text) {
    bytes out;
    int high = -1;
    for (const char c : text) {
        if (c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
        const int digit = rpch::core::hex_digit(c);
        if (digit < 0) throw std::invalid_argument("not hexadecimal");
        if (high < 0)
            high = digit;
        else {
            out.push_back(static_cast<std::byte>(high * 16 + digit));
            high = -1;
        }
    }
    if (high >= 0) throw std::invalid_argument("half a byte");
    return out;
}

/// Reads a hex file of tests/vectors; lines that begin with '#' tell its source.
inline bytes vector_file(const std::string& name) {
    std::ifstream file(std::string(RPCH_TEST_VECTORS) + "/" + name);
    if (!file) throw std::runtime_error("no vector file " + name);
    bytes out;
    for (std::string line; std::getline(file, line);) {
        if (!line.empty() && line[0] == '#') continue;
        const bytes part = hex(line);
        out.insert(out.end(), part.begin(), part.end());
    }
    return out;
}

} // namespace test

#endif
