#include <rpch/transport/context_member.hpp>

#include <mutex>
#include <unordered_set>

#include <asio/execution_context.hpp>

namespace rpch::inline RPCH_ABI::transport {

namespace detail {

/// The members of one io_context. Shared with them, so that a late one has nothing to dangle on.
class context_member_list {
  public:
    void add(context_member& each) {
        const std::lock_guard lock(mutex_);
        members_.insert(&each);
    }
    void remove(context_member& each) {
        const std::lock_guard lock(mutex_);
        members_.erase(&each);
    }
    void shut_down() {
        while (context_member* next = take()) next->on_context_shutdown(); // which may end others
    }

  private:
    context_member* take() {
        const std::lock_guard lock(mutex_);
        if (members_.empty()) return nullptr;
        context_member* const first = *members_.begin();
        members_.erase(members_.begin());
        return first;
    }

    std::mutex mutex_;
    std::unordered_set<context_member*> members_;
};

/// Has the list live and end with the io_context.
class context_member_service final : public asio::execution_context::service {
  public:
    inline static asio::execution_context::id id;

    explicit context_member_service(asio::execution_context& owner)
        : asio::execution_context::service(owner) {}
    [[nodiscard]] const std::shared_ptr<context_member_list>& list() const noexcept {
        return list_;
    }

  private:
    void shutdown() override { list_->shut_down(); }

    std::shared_ptr<context_member_list> list_ = std::make_shared<context_member_list>();
};

} // namespace detail

RPCH_DECL context_member::context_member(const strand& on)
    : list_(asio::use_service<detail::context_member_service>(on.get_inner_executor().context())
                .list()) {
    list_->add(*this);
}

RPCH_DECL context_member::~context_member() { list_->remove(*this); }

} // namespace rpch::inline RPCH_ABI::transport
