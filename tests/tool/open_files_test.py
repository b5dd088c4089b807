#!/usr/bin/env python3
"""`rpch serve` and `rpch proxy` at the limit of open files: it is raised as far as allowed, and told when it is met."""
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, 'interop'))

from lab import Program, case, expect, main, run  # noqa: E402  (the folder comes first)

ECHO = '60a15ec5-4de8-11d7-a637-005056a20182@1.0'
SERVE = ('serve', '--tcp', '127.0.0.1:0')
PROXY = ('proxy', '--listen', '127.0.0.1:0', '--valid-ports', '127.0.0.1:1', '--auth', 'none', '--allow-plain')
HEAD = (b'RPC_IN_DATA /rpc/rpcproxy.dll?127.0.0.1:1 HTTP/1.1\r\nAccept: application/rpc\r\nUser-Agent: MSRPC\r\n'
        b'Host: proxy\r\nContent-Length: 0\r\n\r\n')


def limited(lab, soft, hard, words):
    one = Program(['sh', '-c', 'ulimit -Sn %d && ulimit -Hn %d && exec "$0" "$@"' % (soft, hard), lab.program, *words], 1)
    lab.running.append(one)
    return one


@case()
def the_soft_limit_is_raised_to_the_hard_one(lab):
    for words in (SERVE, PROXY):
        one = limited(lab, 32, 200, words)
        one.must_log('limit of open files: 200')
        clients = [socket.create_connection(('127.0.0.1', one.ports[0])) for _ in range(60)]
        give_up = time.monotonic() + 10
        while len(os.listdir('/proc/%d/fd' % one.process.pid)) < 60:
            expect(time.monotonic() < give_up, 'it does not accept them')
            time.sleep(0.02)
        for each in clients:
            each.close()


def at_the_limit(lab, words, serves):
    """More connections than it may have; the log says so, and when some are gone it goes on."""
    one = limited(lab, 40, 40, words)
    clients = [socket.create_connection(('127.0.0.1', one.ports[0])) for _ in range(60)]
    one.must_log('limit of open files, raise it (ulimit -n')
    before = cpu_of(one)
    time.sleep(1)                                           # ten further tries
    expect(cpu_of(one) - before < 0.5, 'it spins')
    told = [line for line in one.log if 'no connections are accepted at port %d' % one.ports[0] in line]
    expect(len(told) == 1, 'told %d times' % len(told))
    for each in clients:
        each.close()
    serves(one.ports[0])


def cpu_of(one):
    with open('/proc/%d/stat' % one.process.pid) as file:
        words = file.read().rsplit(')', 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf('SC_CLK_TCK')


@case()
def a_server_at_the_limit_says_so_and_goes_on(lab):
    def serves(port):
        code, said = run([lab.program, 'call', 'ncacn_ip_tcp:127.0.0.1[%d]' % port, ECHO, '0', '--stub', '29000000'], 20)
        expect(code == 0 and said.strip() == '2a000000', 'afterwards: %s' % said)
    at_the_limit(lab, SERVE, serves)


@case()
def a_proxy_at_the_limit_says_so_and_goes_on(lab):
    def serves(port):
        with socket.create_connection(('127.0.0.1', port)) as to:
            to.settimeout(20)
            to.sendall(HEAD)
            expect(b' 200 ' in to.recv(4096), 'afterwards: no answer to an echo request')
    at_the_limit(lab, PROXY, serves)


if __name__ == '__main__':
    sys.exit(main())
