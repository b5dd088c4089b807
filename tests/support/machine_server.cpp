#include "tests/support/machine_server.hpp"

#include <utility>
#include <variant>

#include <asio/buffer.hpp>
#include <asio/write.hpp>

namespace test {

namespace dcerpc = rpch::dcerpc;
using asio::ip::tcp;

void machine_server::connection::answer() {
    for (auto& call : std::exchange(held, {}))
        static_cast<void>(machine.respond(call.call_id, std::move(call.stub)));
    flush();
}

void machine_server::connection::flush() {
    while (machine.has_output()) {
        bytes out(machine.next_output_size());
        out.resize(machine.write_output(out));
        send(out);
    }
}

void machine_server::connection::send(const bytes& pdu) {
    std::error_code lost;
    asio::write(socket, asio::buffer(pdu.data(), pdu.size()), lost);
}

machine_server::machine_server(asio::io_context& io, std::vector<rpch::interface_id> offered,
                               dcerpc::server_association_options options)
    : options_(std::move(options)), acceptor_(io, {asio::ip::address_v4::loopback(), 0}) {
    for (const auto& id : offered) offered_.push_back({.id = id});
    accept();
}

machine_server::~machine_server() {
    std::error_code ignored;
    for (const auto& each : connections_) {
        each->machine.close(rpch::errc::operation_aborted);
        each->socket.close(ignored);
    }
}

void machine_server::accept() {
    acceptor_.async_accept([this](std::error_code ec, tcp::socket socket) {
        if (ec) return;
        connections_.push_back(std::make_shared<connection>(std::move(socket), *this));
        read(connections_.back());
        accept();
    });
}

void machine_server::read(const std::shared_ptr<connection>& c) {
    c->socket.async_read_some(asio::buffer(c->fresh), [this, c](std::error_code ec, auto n) {
        if (ec == asio::error::operation_aborted) return; // the server may be gone
        if (ec) {
            c->ended = true;
            c->machine.close(rpch::errc::connection_lost);
            return;
        }
        const auto end = c->fresh.begin() + static_cast<std::ptrdiff_t>(n);
        c->unread.insert(c->unread.end(), c->fresh.begin(), end);
        take(*c);
        read(c);
    });
}

void machine_server::pause(bool wanted) {
    paused_ = wanted;
    for (const auto& each : connections_) take(*each);
}

void machine_server::take(connection& c) {
    while (!paused_) {
        const auto size = dcerpc::peek_frag_length(c.unread);
        if (!size || !*size || c.unread.size() < **size) break;
        const rpch::byte_view pdu = rpch::byte_view(c.unread).first(**size);
        if (const auto said = instead(pdu))
            c.send(*said);
        else {
            dcerpc::server_event_list events;
            static_cast<void>(c.machine.on_pdu(pdu, events));
            for (auto& event : events)
                if (auto* call = std::get_if<dcerpc::call_received>(&event)) {
                    ++c.calls;
                    c.held.push_back(std::move(*call));
                }
        }
        c.unread.erase(c.unread.begin(), c.unread.begin() + static_cast<std::ptrdiff_t>(**size));
    }
    if (answers) c.answer();
    c.flush();
}

} // namespace test
