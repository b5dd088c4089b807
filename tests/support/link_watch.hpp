// An owner of links that keeps what it is told, and checks the manners of the link.
#ifndef RPCH_TESTS_SUPPORT_LINK_WATCH_HPP
#define RPCH_TESTS_SUPPORT_LINK_WATCH_HPP

#include <functional>
#include <memory>
#include <system_error>
#include <utility>

#include <doctest/doctest.h>

#include <rpch/transport/link.hpp>

#include "tests/support/bytes.hpp"

namespace test {

/// Takes all input as it comes, unless `input` was replaced.
class link_watch : public rpch::transport::link_owner,
                   public std::enable_shared_from_this<link_watch> {
  public:
    using link = rpch::transport::link;

    bytes heard;
    int secured = 0;
    int closed = 0;
    std::error_code why;
    bool outside = true; ///< Clear while a link is being called: then it must tell nothing.
    std::function<void(link&)> input = [this](link& from) { take(from); };
    std::function<void(link&)> writable = [](link& from) { from.flush(); };

    void take(link& from) {
        while (from.input_size() != 0) {
            const auto part = from.front();
            heard.insert(heard.end(), part.begin(), part.end());
            from.consume(part.size());
        }
    }

    void on_secured(link&) override {
        told();
        ++secured;
    }
    void on_input(link& from) override {
        told();
        input(from);
    }
    void on_writable(link& from) override {
        told();
        writable(from);
    }
    void on_closed(link&, std::error_code code) override {
        told();
        ++closed;
        why = code;
    }
    std::shared_ptr<link_owner> keep_alive() override { return shared_from_this(); }

  private:
    void told() const {
        CHECK(outside);
        CHECK(closed == 0);
    }
};

} // namespace test

#endif
