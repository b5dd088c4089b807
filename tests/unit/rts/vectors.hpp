// The vector files of tests/vectors/rts: rows of cells separated by tabs.
#ifndef RPCH_TESTS_UNIT_RTS_VECTORS_HPP
#define RPCH_TESTS_UNIT_RTS_VECTORS_HPP

#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/bytes.hpp"

namespace test {

using cells = std::vector<std::string>;

/// Splits at a separator; "-" and "" are no cells at all.
inline cells split(std::string_view text, char separator) {
    cells out;
    if (text == "-" || text.empty()) return out;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find(separator, at), text.size());
        out.emplace_back(text.substr(at, end - at));
        at = end + 1;
    }
    return out;
}

/// Reads a file of tests/vectors/rts; lines that begin with '#' are comments.
inline std::vector<cells> rts_vectors(const std::string& name) {
    std::ifstream file(std::string(RPCH_TEST_VECTORS) + "/rts/" + name);
    if (!file) throw std::runtime_error("no vector file " + name);
    std::vector<cells> out;
    for (std::string line; std::getline(file, line);)
        if (!line.empty() && line[0] != '#') out.push_back(split(line, '\t'));
    return out;
}

/// @return the row of a file whose first cell is `name`.
inline cells rts_vector(const std::string& file, std::string_view name) {
    for (cells& row : rts_vectors(file))
        if (row[0] == name) return std::move(row);
    throw std::runtime_error("no vector " + std::string(name));
}

/// The names of a shape, one by one.
inline cells names_of(std::string_view look_alikes) {
    cells out = split(look_alikes, ',');
    for (std::string& name : out)
        if (name[0] == ' ') name.erase(0, 1);
    return out;
}

} // namespace test

#endif
