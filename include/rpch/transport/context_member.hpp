// Objects that must let go of something before their io_context is gone.
#ifndef RPCH_TRANSPORT_CONTEXT_MEMBER_HPP
#define RPCH_TRANSPORT_CONTEXT_MEMBER_HPP

#include <memory>

#include <rpch/transport/executor.hpp>

namespace rpch::inline RPCH_ABI::transport {

namespace detail {
class context_member_list;
} // namespace detail

/// Base of an object that is told when its io_context is destroyed. The io_context destroys the
/// handlers of its own operations; what else keeps handlers (calls without answer, whose handlers
/// keep the connection alive) or threads that use the io_context would stay behind without this.
class context_member {
  public:
    context_member(const context_member&) = delete;
    context_member& operator=(const context_member&) = delete;

    /// The io_context is being destroyed: no handler runs any more, operations can still be begun
    /// and are dropped. Called once at most, on the destroying thread.
    virtual void on_context_shutdown() = 0;

  protected:
    /// @param on  any strand of the io_context.
    explicit context_member(const strand& on);
    virtual ~context_member();

  private:
    std::shared_ptr<detail::context_member_list> list_;
};

} // namespace rpch::inline RPCH_ABI::transport

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/impl/context_member.ipp>
#endif

#endif
