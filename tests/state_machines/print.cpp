// Prints the tables of the channel machines as docs/state-machines.md.
//
// print_state_machines                 to standard output
// print_state_machines --write FILE    to FILE
// print_state_machines --check FILE    fails if FILE is not what would be printed
#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <rpch/channel/client.hpp>
#include <rpch/channel/inbound_proxy.hpp>
#include <rpch/channel/outbound_proxy.hpp>
#include <rpch/channel/server.hpp>

namespace {

namespace channel = rpch::channel;
using channel::client;
using channel::inbound_proxy;
using channel::outbound_proxy;
using channel::server;

/// A transition that no RTS PDU causes.
template <class State>
struct event {
    State from;
    const char* on;   ///< What happens.
    const char* does; ///< What follows from it.
    State to;
    const char* section;
};
/// A deadline of a machine.
struct deadline {
    const char* setting;
    const char* runs;
    const char* then;
};

/// `what` of a row is the PDU's name, a colon, and what follows from it.
struct parts {
    std::string_view pdu;
    std::string_view does;
};
parts split(std::string_view what) {
    const auto colon = what.find(": ");
    if (colon == std::string_view::npos) return {what, "nothing"};
    return {what.substr(0, colon), what.substr(colon + 2)};
}

/// Mermaid's name of a state: letters, digits and underscores.
std::string id(std::string_view state) {
    std::string out;
    for (const char c : state) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        const bool plain = letter || (c >= '0' && c <= '9') || c == '_';
        if (plain)
            out += c;
        else if (!out.empty() && out.back() != '_')
            out += '_';
    }
    while (!out.empty() && out.back() == '_') out.pop_back();
    return out;
}

/// PDUs that may come at any time and lead nowhere are in the table only.
bool is_drawn(rpch::rts::shape kind) {
    using enum rpch::rts::shape;
    return kind != ping && kind != keep_alive && kind != ping_traffic_sent_notify &&
           kind != flow_control_ack && kind != flow_control_ack_with_destination;
}

template <class Row, class State>
void diagram(std::ostream& out, std::span<const Row> rows, std::span<const event<State>> events) {
    std::vector<std::string_view> states;
    std::vector<std::string> edges;
    const auto draw = [&](State from, std::string_view label, State to) {
        for (const State s : {from, to})
            if (std::find(states.begin(), states.end(), name(s)) == states.end())
                states.push_back(name(s));
        const std::string edge =
            "    " + id(name(from)) + " --> " + id(name(to)) + ": " + std::string(label);
        if (std::find(edges.begin(), edges.end(), edge) == edges.end()) edges.push_back(edge);
    };
    for (const auto& e : events) draw(e.from, e.on, e.to);
    for (const Row& row : rows)
        if (is_drawn(row.on)) draw(row.from, split(row.what).pdu, row.to);
    out << "```mermaid\nstateDiagram-v2\n";
    for (const auto s : states)
        if (id(s) != s) out << "    state \"" << s << "\" as " << id(s) << "\n";
    for (const auto& e : edges) out << e << "\n";
    out << "```\n\n";
}

template <class Row, class State>
void table(std::ostream& out, const char* title, std::span<const Row> rows,
           std::span<const event<State>> events) {
    out << "### " << title << "\n\n";
    diagram(out, rows, events);
    out << "| state | leg | PDU | what follows | next state | section |\n"
        << "| --- | --- | --- | --- | --- | --- |\n";
    for (const Row& row : rows) {
        const auto [pdu, does] = split(row.what);
        out << "| " << name(row.from) << " | " << name(row.where) << " | " << pdu << " | " << does
            << " | " << name(row.to) << " | " << row.section << " |\n";
    }
    if (events.empty()) {
        out << "\nNothing but these PDUs changes the state.\n\n";
        return;
    }
    out << "\n| state | event | what follows | next state | section |\n"
        << "| --- | --- | --- | --- | --- |\n";
    for (const auto& e : events)
        out << "| " << name(e.from) << " | " << e.on << " | " << e.does << " | " << name(e.to)
            << " | " << e.section << " |\n";
    out << "\n";
}

void deadline_table(std::ostream& out, std::span<const deadline> deadlines) {
    out << "### Deadlines\n\n| setting | runs | then |\n| --- | --- | --- |\n";
    for (const deadline& d : deadlines)
        out << "| " << d.setting << " | " << d.runs << " | " << d.then << " |\n";
    out << "\n";
}

constexpr const char* introduction = R"(# State machines

This file is printed by `tests/state_machines/print.cpp` from the tables in `include/rpch/channel/impl`, the same
tables that the machines run on. Do not edit it: `./dev docs` renews it, and the test `state_machines` fails when it
is old.

## How to read it

A machine is one party of one virtual connection. Its tables list RTS PDUs: in `state`, the PDU that was read from
`leg` leads to `next state`, and the machine does `what follows`. Sections are those of [MS-RPCH]. Names of states are
the specification's; those in lower case are our own and stand for a time that the specification spends inside of one
step (connecting, or sending what was queued under the peer's window).

- Legs: `in_http`, `in_tcp`, `out_http` and `out_tcp` are the default instances of the four hops. `successor_*` is one
  that is about to replace the default; `predecessor_out_tcp` one that was replaced and still sends what it has.
- A PDU has no name on the wire. Some names share flags and commands; the state and the leg tell which is meant.
- What no row lists is `errc::unexpected_pdu` and closes the machine.
- An effect can refuse as well: a cookie that does not match, a window below 8 KiB, an acknowledgement that cannot be.
  Then the machine is `Finished`, whatever the row says.
- Diagrams leave out what may come at any time and changes no state: Ping, Keep-Alive, PingTrafficSentNotify and
  acknowledgements.

What comes before the tables, in every machine:

1. RPC PDUs. Endpoints deliver them and proxies relay them, on the default legs and within the window; from the wrong
   side they close (`errc::wrong_direction`).
2. RTS PDUs with a Destination that is another role (3.2.1.5.2). Proxies and the server forward them unchanged, also
   behind a plug, and never back to where they came from. So OUT_R*/A1, OUT_R1/A5, OUT_R2/A5 and IN_R*/A3 have no rows
   at the outbound proxy, and OUT_R*/A7 none at the inbound proxy. What is for the client and meets a plugged
   successor waits in it. The client forwards nothing.
3. On the first leg of a proxy or of a connection at the server, `admits` judges a newcomer that names a known virtual
   connection. What it refuses harms nobody; `errc::replacement_pending` lets it wait.

In every state: the end of a leg that is still needed, a protocol error and a deadline that ends lead to `Finished`
(3.2.2.5.11, 3.2.3.5.10, 3.2.4.5.14, 3.2.5.5.13), and so does `close` of the upper layer.

)";

void print_client(std::ostream& out) {
    using state = client::state;
    using in_state = client::in_state;
    static constexpr event<state> opening[] = {
        {state::start, "start",
         "open both channels; CONN/A1 and B1 each behind its own request head",
         state::out_channel_wait, "3.2.2.4.1.2"},
        {state::out_channel_wait, "response head 200 on OUT", "nothing", state::wait_a3w,
         "3.2.2.5.2"},
    };
    static constexpr event<in_state> in[] = {
        {in_state::opened, "IN-H nearly used up",
         "open a successor; IN_R*/A1 behind its request head; it is tried again while nobody knows "
         "of it",
         in_state::opened_a4w, "3.2.2.5.12"},
    };
    static constexpr deadline deadlines[] = {
        {"`open_wait`", "from the start until Opened", "`errc::setup_timeout`"},
        {"`replacement_wait`", "in Opened_A4W; in Opened_A6W, Opened_A10W, B3W",
         "`errc::replacement_timeout`; goes on waiting when no IN_R*/A1 was sent yet and nothing "
         "waits for the successor"},
        {"`blocked_wait`", "while an RPC PDU waits for an acknowledgement",
         "`errc::flow_control_stalled`"},
        {"half the timeout of CONN/A3, CONN/C2 or IN_R1/A4, or of a keep-alive",
         "while nothing is sent on IN-H", "Ping"},
    };
    out << "## Client\n\nThe IN and the OUT table begin to count in Opened and run beside each "
           "other.\n\n";
    table(out, "Opening", client::table(), std::span<const event<state>>(opening));
    table(out, "Virtual IN channel", client::in_table(), std::span<const event<in_state>>(in));
    table(out, "Virtual OUT channel", client::out_table(),
          std::span<const event<client::out_state>>());
    deadline_table(out, deadlines);
}

void print_inbound_proxy(std::ostream& out) {
    using state = inbound_proxy::state;
    static constexpr event<state> events[] = {
        {state::connecting, "connected", "keep-alive of IN-T; CONN/B2", state::b3w, "3.2.3.5.3"},
        {state::connecting_r1, "connected", "keep-alive of IN-T; IN_R1/A2", state::wait_b2,
         "3.2.3.5.5.2"},
        {state::draining, "queue empty", "IN_R1/B1; close IN-T and IN-H", state::finished,
         "3.2.3.5.6"},
    };
    static constexpr deadline deadlines[] = {
        {"`first_pdu_wait`", "in Open_Start; `replacement_wait` when the first PDU has to wait",
         "`errc::setup_timeout`"},
        {"`connect_wait`", "while connecting", "failure response 6BA, `errc::setup_timeout`"},
        {"`pairing_wait`", "in B3W", "`errc::setup_timeout`"},
        {"`replacement_wait`", "in Wait_B2", "`errc::setup_timeout`"},
        {"`replacement_wait`", "in Opened_A5W; while draining", "`errc::replacement_timeout`"},
        {"`blocked_wait`", "while an RPC PDU waits for an acknowledgement of the server",
         "`errc::flow_control_stalled`"},
    };
    out << "## Inbound proxy\n\nWith nothing queued, IN_R1/A5 leads through draining to Finished "
           "at "
           "once.\n\n";
    table(out, "Virtual IN channel", inbound_proxy::table(), std::span<const event<state>>(events));
    deadline_table(out, deadlines);
}

void print_outbound_proxy(std::ostream& out) {
    using state = outbound_proxy::state;
    static constexpr event<state> events[] = {
        {state::connecting, "connected", "CONN/A2; the response head; CONN/A3", state::c1w,
         "3.2.4.5.3"},
        {state::connecting_r1, "connected", "OUT_R1/A4", state::a11w, "3.2.4.5.6.2"},
        {state::draining_r1, "queue empty", "OUT_R1/A10; close OUT-H and OUT-T", state::finished,
         "3.2.4.5.8"},
        {state::draining_c1w, "queue empty", "OUT_R2/B3; switch", state::r2_c1w, "3.2.4.5.10"},
        {state::draining, "queue empty", "OUT_R2/B3; switch; the response head, unplug OUT-H",
         state::opened, "3.2.4.5.10"},
    };
    static constexpr deadline deadlines[] = {
        {"`first_pdu_wait`", "in Open_Start; `replacement_wait` when the first PDU has to wait",
         "`errc::setup_timeout`"},
        {"`connect_wait`", "while connecting", "failure response 6BA, `errc::setup_timeout`"},
        {"`pairing_wait`", "in C1W", "`errc::setup_timeout`"},
        {"`replacement_wait`", "in A11W", "`errc::setup_timeout`"},
        {"`replacement_wait`", "in B1OrC1W and B1W; while draining and in R2C1W",
         "`errc::replacement_timeout`"},
        {"`blocked_wait`", "while an RPC PDU waits for an acknowledgement of the client",
         "`errc::flow_control_stalled`"},
        {"half of `connection_timeout`", "while nothing is sent on OUT-H, from its head on",
         "Ping; PingTrafficSentNotify with every 52nd"},
    };
    out << "## Outbound proxy\n\nWith nothing queued, the draining states are left at once. From "
           "OUT_R2/B1 on, what the\nserver sends waits in the plugged successor.\n\n";
    table(out, "Virtual OUT channel", outbound_proxy::table(),
          std::span<const event<state>>(events));
    deadline_table(out, deadlines);
}

void print_server(std::ostream& out) {
    using out_state = server::out_state;
    static constexpr event<out_state> out_events[] = {
        {out_state::opened, "OUT-H nearly used up", "OUT_R*/A1 to the client",
         out_state::opened_a4w, "3.2.5.5.15"},
    };
    static constexpr deadline deadlines[] = {
        {"`pairing_wait`", "from the start until Opened", "`errc::setup_timeout`"},
        {"`replacement_wait`", "in A6W, and anew in Opened_B1W", "`errc::replacement_timeout`"},
        {"`replacement_wait`", "from Opened_A4W until Opened",
         "`errc::replacement_timeout`; goes on waiting in Opened_A4W when nothing waits for the "
         "successor"},
        {"`replacement_wait`", "while a predecessor of OUT_R1 is there", "close it"},
        {"`blocked_wait`", "while an RPC PDU waits for an acknowledgement",
         "`errc::flow_control_stalled`"},
    };
    out << "## Server\n\nThe IN and the OUT table begin to count in Opened and run beside each "
           "other.\n\n";
    table(out, "Opening", server::table(), std::span<const event<server::state>>());
    table(out, "Virtual IN channel", server::in_table(),
          std::span<const event<server::in_state>>());
    table(out, "Virtual OUT channel", server::out_table(),
          std::span<const event<out_state>>(out_events));
    deadline_table(out, deadlines);
}

std::string print() {
    std::ostringstream out;
    out << introduction;
    print_client(out);
    print_inbound_proxy(out);
    print_outbound_proxy(out);
    print_server(out);
    std::string text = out.str();
    text.pop_back(); // one line end at the end
    return text;
}

std::string contents(const char* file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

} // namespace

int main(int argc, char** argv) {
    const std::string text = print();
    const std::string_view mode = argc == 3 ? argv[1] : "";
    if (argc == 1) {
        std::cout << text;
        return 0;
    }
    if (mode == "--write") {
        std::ofstream out(argv[2], std::ios::binary);
        out << text;
        out.close();
        if (out) return 0;
        std::cerr << "cannot write " << argv[2] << "\n";
        return 1;
    }
    if (mode == "--check") {
        if (contents(argv[2]) == text) return 0;
        std::cerr << argv[2] << " is not what the tables say; ./dev docs renews it\n";
        return 1;
    }
    std::cerr << "usage: print_state_machines [--write FILE | --check FILE]\n";
    return 2;
}
