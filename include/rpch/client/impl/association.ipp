#include <rpch/client/association.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <utility>

#include <rpch/core/secret.hpp>

#include <asio/dispatch.hpp>
#include <asio/post.hpp>

namespace rpch::inline RPCH_ABI::detail {

/// Tells the association how a bind went, and whoever asked for it.
class association::bind_watch final : public completion {
  public:
    bind_watch(std::weak_ptr<association> owner, const std::shared_ptr<client_session>& at,
               std::uint16_t context, completion_ptr asked)
        : owner_(std::move(owner)), at_(at.get()), context_(context), asked_(std::move(asked)) {}

    void complete(const failure& why, raw_answer answer) override {
        if (const auto owner = owner_.lock()) owner->on_bound(at_, context_, why);
        if (asked_) asked_->complete(why, std::move(answer));
    }
    /// An initiating function has failed; the connection is known to be of no use then.
    void complete_later(const failure& why) override {
        if (asked_) asked_->complete_later(why);
    }

  private:
    std::weak_ptr<association> owner_;
    const client_session* at_; // compared only
    std::uint16_t context_;
    completion_ptr asked_;
};

/// Waits for the answer of an idempotent call, and makes it again if its connection is lost.
class association::repeatable final : public completion {
  public:
    repeatable(std::weak_ptr<association> owner, std::weak_ptr<client_session> at,
               call_request request, std::vector<std::byte> stub, completion_ptr asked,
               std::chrono::milliseconds deadline)
        : owner_(std::move(owner)),
          at_(std::move(at)),
          request_(std::move(request)),
          stub_(std::move(stub)),
          asked_(std::move(asked)) {
        if (deadline.count() > 0) until_ = transport::clock::now() + transport::bounded(deadline);
    }

    void complete(const failure& why, raw_answer answer) override {
        const auto owner = owner_.lock();
        if (!why || !owner || owner->is_closed_ || !may_be_made_again(*owner, why))
            return asked_->complete(of_all(why), std::move(answer));
        if (until_) {
            request_.parameters.deadline =
                std::chrono::ceil<std::chrono::milliseconds>(*until_ - transport::clock::now());
            if (request_.parameters.deadline.count() <= 0) return asked_->complete(of_all(why), {});
        }
        auto next = std::make_unique<repeatable>(*this, why.did_not_execute, *owner);
        const call_request request = next->request_;
        auto stub = next->is_last_ ? std::move(next->stub_) : next->stub_;
        owner->call_again(request, std::move(stub), std::move(next));
    }
    void complete_later(const failure& why) override { asked_->complete_later(of_all(why)); }

    /// The next attempt.
    repeatable(repeatable& before, bool did_not_execute, const association& owner)
        : owner_(before.owner_),
          request_(before.request_),
          stub_(std::move(before.stub_)),
          asked_(std::move(before.asked_)),
          until_(before.until_),
          is_first_(false),
          is_last_(owner.options_.association_group.id == 0 || owner.is_joined_group_gone_),
          did_not_execute_(before.did_not_execute_ && did_not_execute) {}

  private:
    /// @return whether the caller still wants to know, and the connection was in use and has ended:
    /// one that never was open fails for a reason that another would have as well. Unless it was to
    /// join a group that has ended meanwhile: then another one begins a new group.
    [[nodiscard]] bool may_be_made_again(const association& owner, const failure& why) const {
        if (request_.ticket && request_.ticket->is_cancelled) return false;
        if (!is_first_)
            return why.code == errc::bind_refused && !is_last_ && owner.is_joined_group_gone_;
        const auto at = at_.lock();
        return at && at->is_ended() && at->is_proven(request_.parameters.identity);
    }
    /// @return a failure of the last attempt as one of all of them.
    [[nodiscard]] failure of_all(failure why) const {
        why.did_not_execute = why.did_not_execute && did_not_execute_;
        return why;
    }

    std::weak_ptr<association> owner_;
    std::weak_ptr<client_session> at_; ///< Of the first attempt.
    call_request request_;
    std::vector<std::byte> stub_;
    completion_ptr asked_;
    std::optional<transport::time_point> until_{};
    bool is_first_ = true;
    bool is_last_ = false;        ///< There is no group left that could be gone.
    bool did_not_execute_ = true; ///< The attempts before.
};

/// @return the port that a server told for further connections; nothing if it is none.
RPCH_DECL std::optional<std::uint16_t> port_of(std::string_view text) noexcept {
    std::uint16_t port = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (ec != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
    return port;
}

RPCH_DECL association::association(const dcerpc::string_binding& binding, client_options options,
                                   const transport::executor& on)
    : binding_(binding),
      options_(std::move(options)),
      contexts_per_bind_(std::max<std::size_t>(options_.transfer_syntaxes.size(), 1)),
      group_{.context = std::make_shared<transport::strand_context>(on)} {}

RPCH_DECL association::~association() { core::wipe(options_.http_password); }

RPCH_DECL result<std::shared_ptr<association>>
association::make(const dcerpc::string_binding& binding, client_options options,
                  const transport::executor& on, failure& why) {
    const std::shared_ptr<association> out(new association(binding, std::move(options), on));
    if (const auto& joined = out->options_.association_group; joined.id != 0)
        out->group_.cookie = rts::cookie{joined.cookie};
    auto first = make_session(binding, out->options_, out->group_, why);
    if (!first) return fail(first.error());
    out->members_.push_back({.session = std::move(*first), .is_first = true});
    return out;
}

RPCH_DECL void association::open() { members_.front().session->begin(); }

RPCH_DECL void association::close() {
    is_closed_ = true;
    const auto all = members_; // handlers may enter again
    for (const member& each : all) each.session->close();
}

RPCH_DECL const failure& association::last_failure() const noexcept {
    for (const member& each : members_)
        if (each.session->last_failure()) return each.session->last_failure();
    return last_failure_;
}

RPCH_DECL std::size_t association::connections() const noexcept {
    return static_cast<std::size_t>(
        std::count_if(members_.begin(), members_.end(),
                      [](const member& each) { return !each.session->is_ended(); }));
}

RPCH_DECL association_group association::group() const noexcept {
    association_group out;
    if (group_.cookie) out.cookie = group_.cookie->bytes;
    for (const member& each : members_)
        if (out.id == 0) out.id = each.session->rpc().assoc_group_id();
    return out;
}

/// Forgets connections that have ended, but for the last one.
RPCH_DECL void association::drop_ended() {
    for (std::size_t i = 0; i < members_.size() && members_.size() > 1;) {
        if (!members_[i].session->is_ended()) {
            ++i;
            continue;
        }
        last_failure_ = members_[i].session->last_failure();
        // It may be telling its handlers of its end just now, and one of them has led here.
        asio::post(on(), [gone = std::move(members_[i].session)] {});
        members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(i));
    }
}

RPCH_DECL association::member* association::find(const client_session* session) noexcept {
    for (member& each : members_)
        if (each.session.get() == session) return &each;
    return nullptr;
}

/// @return whether a connection takes calls, or will when it is open.
RPCH_DECL bool association::takes_calls(const member& m) noexcept {
    return !m.session->is_ended() && !m.session->is_leaving();
}

RPCH_DECL std::size_t association::taking_calls() const noexcept {
    return static_cast<std::size_t>(std::count_if(members_.begin(), members_.end(), &takes_calls));
}

/// A connection that opens can join the group only while the group has another one.
RPCH_DECL void association::hold_group() {
    const bool opening = std::any_of(members_.begin(), members_.end(), [](const member& each) {
        return each.waits_for != 0 && !each.is_first;
    });
    const auto all = members_; // one that ends may enter again
    for (const member& each : all) each.session->keep_open(opening);
}

RPCH_DECL void association::bind(const interface_id& id, std::shared_ptr<bound_context> context_out,
                                 completion_ptr done) {
    drop_ended();
    if (taking_calls() == 0) open_further_if_busy();
    auto all = members_; // handlers may enter again
    if (taking_calls() != 0)
        all.erase(std::remove_if(all.begin(), all.end(),
                                 [](const member& each) { return !takes_calls(each); }),
                  all.end());
    // The first that is open answers; one that opens yet may fail without harm to the others.
    const auto open = std::find_if(all.begin(), all.end(), [](const member& each) {
        return each.is_first || each.waits_for == 0;
    });
    const auto answers = (open != all.end() ? *open : all.front()).session;
    const auto number = static_cast<std::uint16_t>(interfaces_.size());
    if (!bind_at(answers, number, id, std::move(context_out), std::move(done))) return;
    interfaces_.push_back(id);
    for (const member& each : all)
        if (each.session != answers &&
            !bind_at(each.session, number, id, std::make_shared<bound_context>(), nullptr))
            each.session->close(); // it numbers contexts differently, and is of no use here
}

/// @return whether the connection has asked for the interface under that number.
RPCH_DECL bool association::bind_at(const std::shared_ptr<client_session>& where,
                                    std::uint16_t number, const interface_id& id,
                                    std::shared_ptr<bound_context> context_out,
                                    completion_ptr done) {
    const auto given =
        where->bind(id, std::move(context_out),
                    std::make_unique<bind_watch>(weak_from_this(), where, number, std::move(done)));
    member* const at = find(where.get());
    if (!given || *given != number * contexts_per_bind_ || at == nullptr ||
        at->ready.size() != number)
        return false;
    at->ready.push_back(false);
    ++at->waits_for;
    return true;
}

RPCH_DECL void association::on_bound(const client_session* at, std::uint16_t context,
                                     const failure& why) {
    member* const found = find(at);
    if (found == nullptr || context >= found->ready.size()) return;
    --found->waits_for;
    found->ready[context] = !why;
    const bool is_useful = std::count(found->ready.begin(), found->ready.end(), true) != 0;
    const bool is_settled = found->waits_for == 0;
    const bool is_lost = why && !found->is_first && !is_useful && is_settled;
    const auto session = found->session;
    if (is_settled) hold_group(); // members may change
    if (!is_lost) return;
    // The group of others has ended with the last of its connections; the next one begins another.
    using reason = dcerpc::bind_reject_reason;
    if (why.code == errc::bind_refused && why.detail == name(reason::not_specified) &&
        connections() == 0)
        is_joined_group_gone_ = true;
    // A further connection that does not open, whose server refuses the group (a bind_nak, [C706]
    // 12.6.4.5) or the user: go on with what there is.
    not_before_ = transport::clock::now() + limits::further_connection_wait;
    last_failure_ = why;
    asio::post(on(), [session] { session->close(); });
}

RPCH_DECL association::member& association::best_for(std::size_t interface) {
    member* best = nullptr;
    member* opening = nullptr;
    for (member& each : members_) {
        if (!takes_calls(each)) continue;
        if (!each.is_first && (interface >= each.ready.size() || !each.ready[interface])) {
            if (opening == nullptr || each.waits_for != 0) opening = &each;
            continue;
        }
        if (best == nullptr || each.session->pending_calls() < best->session->pending_calls())
            best = &each;
    }
    if (best == nullptr) best = opening; // where the call waits, or learns why not
    return best != nullptr ? *best : members_.front();
}

RPCH_DECL void association::call(const call_request& request, std::vector<std::byte> stub,
                                 completion_ptr done) {
    const bool anew = may_open_anew(request.parameters);
    if (!anew && options_.connections_max <= 1 && !members_.front().session->is_leaving())
        return call_at(members_.front().session, request, std::move(stub), std::move(done));
    drop_ended();
    if (anew)
        open_further();
    else
        open_further_if_busy();
    call_at(best_for(request.context / contexts_per_bind_).session, request, std::move(stub),
            std::move(done));
}

/// @return whether the call opens a connection, since all are lost: an idempotent one does, as it
/// would if it had been under way. Not for a user whom the server may refuse, or has refused: an
/// account would be locked by tries that nobody made.
RPCH_DECL bool association::may_open_anew(const call_parameters& call) {
    if (!call.idempotent || call.maybe || is_closed_ || taking_calls() != 0) return false;
    const client_session& last = *members_.back().session;
    if (!last.is_ended()) return false;
    if (last.is_proven(call.identity)) return was_proven_ = true;
    const origin why = last.last_failure().said_by;
    return was_proven_ &&
           (why == origin::tcp || why == origin::name_resolution || why == origin::rpc_proxy);
}

/// @param session  owned: handlers may change the members.
RPCH_DECL void association::call_at(std::shared_ptr<client_session> session,
                                    const call_request& request, std::vector<std::byte> stub,
                                    completion_ptr done) {
    if (request.parameters.idempotent && !request.parameters.maybe) {
        const auto own = request.parameters.deadline;
        done =
            std::make_unique<repeatable>(weak_from_this(), session, request, stub, std::move(done),
                                         own.count() != 0 ? own : options_.call_deadline);
    }
    session->call(request, std::move(stub), std::move(done));
}

RPCH_DECL void association::call_again(const call_request& request, std::vector<std::byte> stub,
                                       completion_ptr done) {
    drop_ended();
    if (taking_calls() == 0) open_further();
    const auto session = best_for(request.context / contexts_per_bind_).session;
    session->call(request, std::move(stub), std::move(done));
}

/// @return whether all connections have as many calls as they are meant to, or take none; no, while
/// one opens.
RPCH_DECL bool association::is_busy() const {
    return std::all_of(members_.begin(), members_.end(), [this](const member& each) {
        return each.session->is_leaving() ||
               (each.waits_for == 0 && !each.session->is_ended() &&
                each.session->pending_calls() >= options_.calls_per_connection);
    });
}

RPCH_DECL void association::open_further_if_busy() {
    if (is_busy()) open_further();
}

/// Opens another connection, if there may be more and the last attempt was long enough ago.
RPCH_DECL void association::open_further() {
    const std::size_t taking = taking_calls();
    if (is_closed_ || taking >= options_.connections_max) return;
    const auto now = transport::clock::now();
    association_group ours = group();
    if (taking != 0 && (ours.id == 0 || now < not_before_)) return;
    // The last connection that ends takes the group along, but for the connections of others.
    if (ours.id == 0 || connections() == 0)
        ours.id = is_joined_group_gone_ ? 0 : options_.association_group.id;
    dcerpc::string_binding where = binding_;
    // [MS-RPCE] 3.3.1.5.5 takes the meaning from the secondary address, and Windows ignores it.
    if (options_.use_secondary_address && where.sequence != dcerpc::protocol_sequence::ncacn_http)
        if (const auto port = port_of(members_.front().session->rpc().secondary_address()))
            where.endpoint = *port;
    client_options options = options_;
    options.association_group = ours;
    failure why;
    auto made = make_session(where, std::move(options), group_, why);
    if (!made) {
        last_failure_ = why;
        not_before_ = now + limits::further_connection_wait;
        return;
    }
    const auto session = std::move(*made);
    members_.push_back({.session = session});
    drop_ended();
    session->begin();
    for (std::size_t i = 0; i < interfaces_.size(); ++i)
        if (!bind_at(session, static_cast<std::uint16_t>(i), interfaces_[i],
                     std::make_shared<bound_context>(), nullptr)) {
            not_before_ = now + limits::further_connection_wait;
            return session->close();
        }
    hold_group();
}

} // namespace rpch::inline RPCH_ABI::detail
