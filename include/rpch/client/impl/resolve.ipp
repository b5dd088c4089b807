#include <rpch/client/resolve.hpp>

#include <string>
#include <utility>

#include <rpch/client/session.hpp>

namespace rpch::inline RPCH_ABI::detail {

/// The interface may be found at several endpoints; more than this are not looked at.
inline constexpr std::uint32_t towers_asked = 8;

RPCH_DECL endpoint_resolver::endpoint_resolver(const transport::strand& on,
                                               std::shared_ptr<client_session> mapper,
                                               dcerpc::string_binding binding, std::uint16_t port,
                                               std::chrono::milliseconds wait)
    : mapper_(std::move(mapper)),
      binding_(std::move(binding)),
      timer_(on),
      wait_(wait),
      port_(port) {}

/// @return a completion that does not keep the resolver alive: the connection that holds it would
/// do so for ever.
template <class Then>
completion_ptr endpoint_resolver::then(Then what) {
    return make_completion([] {},
                           [weak = weak_from_this(), what = std::move(what)](
                               auto&, const failure& why, const raw_answer& answer) {
                               if (const auto self = weak.lock()) what(*self, why, answer);
                           },
                           mapper_->on());
}

RPCH_DECL void endpoint_resolver::start(const interface_id& id, handler done) {
    if (std::exchange(started_, true)) return; // a second bind: the first one's port is for both
    interface_ = id;
    done_ = std::move(done);
    if (id == services::endpoint_mapper::id) { // everybody knows where that is
        asio::post(mapper_->on(), [weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->finish({}, self->port_);
        });
        return;
    }
    timer_.expires_after(wait_);
    timer_.async_wait([weak = weak_from_this()](std::error_code ec) {
        const auto self = weak.lock();
        if (ec || !self) return;
        failure late;
        late.code = errc::setup_timeout;
        late.detail = "no answer of the endpoint mapper";
        self->fail_with(std::move(late));
    });
    mapper_->open();
    auto context = std::make_shared<bound_context>();
    mapper_->bind(services::endpoint_mapper::id, context,
                  then([context](endpoint_resolver& self, const failure& why, const raw_answer&) {
                      self.on_bound(why, context->context);
                  }));
}

RPCH_DECL void endpoint_resolver::cancel() {
    done_ = {};
    timer_.cancel();
    mapper_->close();
}

RPCH_DECL services::tower endpoint_resolver::question() const {
    services::tower out;
    out.interface = interface_;
    out.protocol = binding_.sequence == dcerpc::protocol_sequence::ncacn_http
                       ? services::tower_protocol::http
                       : services::tower_protocol::tcp;
    return out;
}

RPCH_DECL void endpoint_resolver::on_bound(const failure& why, std::uint16_t context) {
    if (why) return fail_with(why);
    using mapper = services::endpoint_mapper;
    mapper::twr tower;
    tower.tower_octet_string.items = services::encode_tower(question());
    tower.tower_length = static_cast<std::uint32_t>(tower.tower_octet_string.items.size());
    ndr::unique<uuid> object;
    if (binding_.object) object.emplace(*binding_.object);
    auto stub = mapper::map::encode_request(object, mapper::twr_pointer(std::move(tower)),
                                            ndr::context_handle{}, mapper::room{towers_asked});
    if (!stub) {
        failure wrong;
        wrong.code = stub.error();
        return fail_with(std::move(wrong));
    }
    mapper_->call({.context = context, .opnum = mapper::map::opnum}, std::move(*stub),
                  then([](endpoint_resolver& self, const failure& end, const raw_answer& answer) {
                      self.on_answer(end, answer);
                  }));
}

RPCH_DECL void endpoint_resolver::on_answer(const failure& why, const raw_answer& answer) {
    if (why) return fail_with(why);
    failure wrong;
    const auto port = port_in(answer, wrong);
    if (!port) return fail_with(std::move(wrong));
    finish({}, *port);
}

/// The address of a tower is not looked at: nobody vouches for the mapper's answer, which must not
/// send credentials elsewhere than the binding says, and a server behind a proxy, a NAT or with
/// several interfaces tells an address that is of no use here.
RPCH_DECL result<std::uint16_t> endpoint_resolver::port_in(const raw_answer& answer,
                                                           failure& why) const {
    const auto decoded = services::endpoint_mapper::map::decode_response(answer.stub, answer.order);
    if (!decoded) {
        why.code = decoded.error();
        why.detail = "the answer's stub data does not decode";
        return fail(why.code);
    }
    const std::uint32_t status = std::get<3>(*decoded);
    const services::tower asked = question();
    why.said_by = origin::endpoint_mapper;
    why.code = static_cast<rpc_status>(status != 0 ? status : services::ept_status::not_registered);
    why.detail = "asked for " + interface_.id.to_string() + " version " +
                 std::to_string(interface_.major) + "." + std::to_string(interface_.minor) +
                 " over " +
                 (asked.protocol == services::tower_protocol::http ? "ncacn_http" : "ncacn_ip_tcp");
    if (status != 0) return fail(why.code);
    for (const auto& each : std::get<2>(*decoded).items) {
        const auto found = each ? services::decode_tower(each->tower_octet_string.items)
                                : result<services::tower>{rpch::fail(errc::bad_value)};
        if (found && found->port != 0 && found->protocol == asked.protocol &&
            found->interface.id == interface_.id)
            return found->port;
    }
    why.detail += "; the answer has no endpoint for that";
    return fail(why.code);
}

RPCH_DECL void endpoint_resolver::fail_with(failure why) {
    const std::string place = "endpoint mapper at " + binding_.host + ":" + std::to_string(port_);
    why.where = why.where.empty() ? place : place + ", " + why.where;
    why.did_not_execute = true;
    if (why.code == rpc_status::ept_not_registered)
        why.next_step = "check that the server runs and registers its endpoints, or put its port "
                        "into the binding";
    else if (why.said_by == origin::bind)
        why.next_step = "no endpoint mapper listens there: put the server's port into the binding";
    else
        why.next_step += std::string(why.next_step.empty() ? "" : "; ") +
                         "or put the server's port into the binding";
    finish(why, 0);
}

RPCH_DECL void endpoint_resolver::finish(const failure& why, std::uint16_t port) {
    const auto self = shared_from_this();
    const handler done = std::exchange(done_, {});
    if (!done) return;
    cancel();
    done(why, port);
}

RPCH_DECL result<std::shared_ptr<client_session>>
make_resolving_session(session_group& group, const dcerpc::string_binding& binding,
                       client_options options, failure& why) {
    const bool over_http = binding.sequence == dcerpc::protocol_sequence::ncacn_http;
    if (over_http && binding.http_use_tls.value_or(true) && !options.tls_context) {
        // One context for both connections, so that the second one can resume the TLS session.
        auto made = transport::tls_context::make_client(options.tls, &why.detail);
        if (!made) {
            why.code = made.error();
            return fail(why.code);
        }
        options.tls_context = std::move(*made);
    }
    dcerpc::string_binding where = binding;
    where.endpoint = options.endpoint_mapper_port.value_or(
        over_http ? services::endpoint_mapper::http_port : services::endpoint_mapper::tcp_port);
    where.object.reset();
    const std::uint16_t port = *where.endpoint;
    const std::chrono::milliseconds wait = options.open_wait;
    client_options asking = options;
    // Mappers are asked by anybody; what the server demands of its callers is not theirs to meet.
    asking.rpc_security.reset();
    asking.require_header_signing = false;
    asking.transfer_syntaxes = {ndr::transfer_syntax::ndr20}; // as the stub data are encoded
    asking.call_deadline = std::chrono::milliseconds{0};      // the resolver's wait is the limit
    session_group alone; // the mapper is another server: it is told no association of this one's
    alone.context = group.context;
    auto mapper = make_session_on(alone, where, std::move(asking), why);
    if (!mapper) return mapper;
    auto made = make_session_on(group, binding, std::move(options), why);
    if (made)
        (*made)->resolve_by(std::make_shared<endpoint_resolver>(
            group.context->on, std::move(*mapper), binding, port, wait));
    return made;
}

} // namespace rpch::inline RPCH_ABI::detail

// Defines make_session_on; it includes this file's header itself.
#include <rpch/client/connections.hpp>
