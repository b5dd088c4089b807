// The machines without their driver: calls greeter through an RPC proxy from a loop of your own.
// No Asio, no threads, no timers: the machine says what to do, the loop does it.
// usage: example_own_loop PROXY_PORT SERVER_PORT      (both on 127.0.0.1, plain HTTP)
#include <array>
#include <cstdio>
#include <random>
#include <string>

#include <rpch/channel/client.hpp>
#include <rpch/dcerpc/client_association.hpp>
#include <rpch/http/write.hpp>

#include "blocking_socket.hpp"
#include "greeter.hpp"

using rpch::channel::leg; // the client has two: in_http to send on, out_http to read from
using rpch::core::as_bytes;
namespace http = rpch::http;
namespace action = rpch::channel::action;
struct own_loop {
    std::uint16_t proxy_port, server_port;
    rpch::channel::client machine;                    // the virtual connection
    rpch::dcerpc::client_association association{{}}; // bind and calls inside of it
    rpch::channel::action_list actions = {};
    rpch::dcerpc::client_event_list events = {};
    std::array<int, rpch::channel::leg_count> sockets = {};

    int& at(leg which) { return sockets[static_cast<std::size_t>(which)]; }
    // Machines have no clock. A loop that waits for long also wakes at machine.next_deadline() and
    // calls on_deadline(), for pings and time limits.
    static rpch::channel::time_point now() { return std::chrono::steady_clock::now(); }

    void open(leg which) {
        at(which) = dial(proxy_port);
        const bool in = which == leg::in_http;
        http::channel_request_options head;
        head.method = in ? http::channel_method::in_data : http::channel_method::out_data;
        head.host = head.server_name = "127.0.0.1";
        head.server_port = server_port;
        head.content_length = in ? 1 << 30 : http::out_channel_content_length;
        write_all(at(which), as_bytes(http::write_channel_request(head).value()));
        (void)machine.on_connected(which, now(), actions);
    }
    // Does what the machine asks for, then sends what the association has while there is credit.
    void perform(rpch::byte_view current = {}) {
        for (std::size_t i = 0; i < actions.size(); ++i) { // doing one may add others
            const action::any next = actions[i];
            if (const auto* a = std::get_if<action::open>(&next)) open(a->which);
            if (const auto* a = std::get_if<action::send>(&next))
                write_all(at(a->to), a->pdu.view());
            if (const auto* a = std::get_if<action::failed>(&next)) give_up(a->why.message());
            if (std::holds_alternative<action::deliver>(next)) {
                (void)association.on_pdu(current, events);
                (void)machine.on_consumed(current.size(), now(), actions);
            }
        }
        actions.clear();
        std::array<std::byte, 65536> pdu;
        while (association.has_output() &&
               machine.send_credit() >= association.next_output_size()) {
            const std::size_t n = association.write_output(pdu);
            write_all(at(leg::in_http), rpch::byte_view(pdu).first(n));
            (void)machine.on_rpc_sent(n, now(), actions);
        }
    }
    void read_response() {
        std::string head;
        while (!head.ends_with("\r\n\r\n")) head += read_exactly(at(leg::out_http), 1);
        const int status = std::stoi(head.substr(sizeof "HTTP/1.1"));
        (void)machine.on_response(leg::out_http, status, std::nullopt, now(), actions);
        perform();
    }
    void read_pdu() {
        std::string pdu = read_exactly(at(leg::out_http), rpch::dcerpc::common_header_bytes);
        const std::size_t size = rpch::dcerpc::peek_frag_length(as_bytes(pdu)).value().value();
        pdu += read_exactly(at(leg::out_http), size - pdu.size());
        (void)machine.on_pdu(leg::out_http, {as_bytes(pdu), {}}, now(), actions);
        perform(as_bytes(pdu));
    }
};

int main(int argc, char** argv) {
    if (argc != 3) give_up("usage: example_own_loop PROXY_PORT SERVER_PORT");
    rpch::channel::client_settings settings;
    std::random_device random; // cookies keep others out: take a strong source
    for (auto* each : {&settings.virtual_connection, &settings.in_channel, &settings.out_channel})
        for (std::byte& octet : each->bytes) octet = static_cast<std::byte>(random());
    const auto port = [&](int i) { return static_cast<std::uint16_t>(std::stoi(argv[i])); };
    own_loop loop{port(1), port(2), rpch::channel::client(settings)};
    auto& calls = loop.association;
    (void)calls.begin_call({calls.add_context(greeter::id).value(), greeter::add::opnum},
                           greeter::add::encode_request(40, 2).value());
    (void)loop.machine.start(loop.now(), loop.actions);
    loop.perform();
    loop.read_response();
    while (calls.calls() != 0) loop.read_pdu();
    const auto answer = std::get<rpch::dcerpc::call_completed>(loop.events.back());
    std::printf("40 + 2 = %d\n", greeter::add::decode_response(answer.stub, answer.order).value());
}
