#include <rpch/ndr/ndr.hpp>

#include <random>

#include "tests/unit/ndr/ndr_support.hpp"

using namespace rpch;
using namespace test;

namespace {

/// Makes values from a seed that a failure prints.
class maker {
  public:
    explicit maker(unsigned seed) : engine_(seed) {}

    std::uint64_t below(std::uint64_t bound) {
        return std::uniform_int_distribution<std::uint64_t>(0, bound - 1)(engine_);
    }
    template <class T>
    T number() {
        return static_cast<T>(engine_());
    }
    template <class Char>
    std::basic_string<Char> text() {
        std::basic_string<Char> out(below(12), Char{});
        for (auto& c : out) c = static_cast<Char>(1 + below(sizeof(Char) == 1 ? 127 : 0xFFFF));
        return out;
    }

  private:
    std::mt19937_64 engine_;
};

struct leaf {
    std::uint8_t a = 0;
    double b = 0;
    std::int16_t c = 0;
    std::array<std::uint32_t, 3> d{};
    bool operator==(const leaf&) const = default;
};
using choice = ndr::union_<std::uint16_t, ndr::arm<std::uint8_t, 0>, ndr::arm<leaf, 1>,
                           ndr::arm<ndr::unique<std::u16string>, 2>, ndr::default_arm<void>>;
struct tree {
    std::uint8_t tag = 0;
    ndr::unique<tree> left;
    choice what;
    ndr::full<std::string> shared;
    ndr::unique<std::vector<choice>> more;
    ndr::unique<tree> right;
    ndr::varying<ndr::unique<std::int64_t>, 8> some;
    std::vector<std::uint16_t> end;
    bool operator==(const tree&) const = default;
};

leaf make_leaf(maker& m) {
    leaf out{m.number<std::uint8_t>(),
             static_cast<double>(m.below(1000)) / 8,
             m.number<std::int16_t>(),
             {}};
    for (auto& each : out.d) each = m.number<std::uint32_t>();
    return out;
}
choice make_choice(maker& m) {
    switch (m.below(4)) {
    case 0: return choice::of<0>(m.number<std::uint8_t>());
    case 1: return choice::of<1>(make_leaf(m));
    case 2:
        return choice::of<2>(m.below(2) != 0 ? ndr::unique<std::u16string>{m.text<char16_t>()}
                                             : ndr::unique<std::u16string>{});
    default: return choice::with<3>(static_cast<std::uint16_t>(3 + m.below(0xFFF0)));
    }
}
tree make_tree(maker& m, std::size_t depth, std::vector<ndr::full<std::string>>& pool) {
    tree out;
    out.tag = m.number<std::uint8_t>();
    out.what = make_choice(m);
    if (m.below(2) != 0) pool.emplace_back(m.text<char>());
    if (!pool.empty() && m.below(3) != 0) out.shared = pool[m.below(pool.size())];
    if (m.below(2) != 0) {
        auto& more = out.more.emplace();
        for (auto n = m.below(4); n != 0; --n) more.push_back(make_choice(m));
    }
    out.some.offset = static_cast<std::uint32_t>(m.below(4));
    for (auto n = m.below(5); n != 0; --n)
        out.some.items.push_back(m.below(2) != 0
                                     ? ndr::unique<std::int64_t>{m.number<std::int64_t>()}
                                     : ndr::unique<std::int64_t>{});
    for (auto n = m.below(5); n != 0; --n) out.end.push_back(m.number<std::uint16_t>());
    if (depth != 0 && m.below(4) != 0) out.left = make_tree(m, depth - 1, pool);
    if (depth != 0 && m.below(4) != 0) out.right = make_tree(m, depth - 1, pool);
    return out;
}

} // namespace

TEST_CASE("property: whatever is encoded decodes to the same, in both byte orders") {
    for (unsigned seed = 0; seed < 500; ++seed) {
        CAPTURE(seed);
        maker m(seed);
        std::vector<ndr::full<std::string>> pool;
        const tree value = make_tree(m, 4, pool);
        for (const auto order : {byte_order::little, byte_order::big}) {
            bytes stub;
            ndr::encoder out(stub, order);
            REQUIRE(ndr::put_whole(out, value));
            const auto back = decoded<tree>(stub, order);
            REQUIRE(back);
            CHECK(*back == value);
        }
    }
}

TEST_CASE("property: a stub cut short is refused, and an octet changed never reads out of bounds") {
    for (unsigned seed = 0; seed < 20; ++seed) {
        CAPTURE(seed);
        maker m(seed);
        std::vector<ndr::full<std::string>> pool;
        const tree value = make_tree(m, 2, pool);
        bytes stub;
        ndr::encoder out(stub);
        REQUIRE(ndr::put_whole(out, value));
        for (std::size_t n = 0; n < stub.size(); ++n)
            REQUIRE_FALSE(decoded<tree>(byte_view(stub).first(n)));
        for (int i = 0; i < 500; ++i) {
            bytes bent = stub;
            bent[m.below(bent.size())] = m.number<std::byte>();
            // Exact storage, so that a sanitizer sees one octet too far.
            ndr::decoder in(bent);
            tree any;
            const bool read = ndr::get_whole(in, any);
            CHECK(read == !in.error());
        }
    }
}
