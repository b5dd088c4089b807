// Completion handlers of any kind behind one small interface.
#ifndef RPCH_CLIENT_COMPLETION_HPP
#define RPCH_CLIENT_COMPLETION_HPP

#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include <rpch/core/bytes.hpp>
#include <rpch/failure.hpp>
#include <rpch/transport/executor.hpp>

#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/dispatch.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>

namespace rpch::inline RPCH_ABI::detail {

/// The stub data of a response.
struct raw_answer {
    std::vector<std::byte> stub;
    core::byte_order order = core::byte_order::little;
};

/// A handler that waits. Completed exactly once: whoever owns it completes it or, when the
/// io_context is destroyed, drops it with everything else.
class completion {
  public:
    virtual ~completion() = default;
    /// From an event: runs the handler on its executor, in place if that is possible.
    virtual void complete(const failure& why, raw_answer answer) = 0;
    /// From an initiating function: never in place.
    virtual void complete_later(const failure& why) = 0;
};
using completion_ptr = std::unique_ptr<completion>;

/// Lets go of a handler's cancellation slot, which another operation may use from within it.
template <class Handler>
void release_slot(const Handler& handler) {
    if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected())
        slot.clear();
}

/// @param Finish  `void(Handler&, const failure&, raw_answer)`: decodes and calls the handler.
template <class Handler, class Finish>
class completion_of final : public completion {
  public:
    completion_of(Handler handler, Finish finish, const transport::strand& fallback)
        : work_(asio::get_associated_executor(handler, fallback)),
          handler_(std::move(handler)),
          finish_(std::move(finish)) {}

    void complete(const failure& why, raw_answer answer) override {
        asio::dispatch(work_.get_executor(),
                       [on = work_.get_executor(), handler = std::move(handler_),
                        finish = std::move(finish_), why, answer = std::move(answer)]() mutable {
                           release_slot(handler);
                           try {
                               finish(handler, why, std::move(answer));
                           } catch (...) {
                               // Out of run(), but not through a connection that is at work.
                               asio::post(on, [thrown = std::current_exception()] {
                                   std::rethrow_exception(thrown);
                               });
                           }
                       });
    }
    void complete_later(const failure& why) override {
        asio::post(work_.get_executor(),
                   [handler = std::move(handler_), finish = std::move(finish_), why]() mutable {
                       release_slot(handler);
                       finish(handler, why, raw_answer{});
                   });
    }

  private:
    using handler_executor = asio::associated_executor_t<Handler, transport::strand>;
    asio::executor_work_guard<handler_executor> work_;
    Handler handler_;
    Finish finish_;
};

template <class Handler, class Finish>
completion_ptr make_completion(Handler handler, Finish finish, const transport::strand& fallback) {
    return std::make_unique<completion_of<Handler, Finish>>(std::move(handler), std::move(finish),
                                                            fallback);
}

} // namespace rpch::inline RPCH_ABI::detail

#endif
