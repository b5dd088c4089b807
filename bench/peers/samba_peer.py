#!/usr/bin/python3
"""Samba's DCE/RPC server and client, measured beside ours: is_server_listening of the interface mgmt.

    samba_peer.py serve                        starts a domain controller on loopback (as root), prints
                                          "listening on ADDRESS:PORT process PID"; ends with its input, or by SIGTERM
    samba_peer.py call ADDRESS:PORT LEVEL N    the calling side as bench/support/peer_row.hpp has it, with N bytes of stub

LEVEL is none, connect, packet, integrity or privacy; all but the first with NTLM. The operation takes no argument, and
Samba's server leaves bytes alone that it did not expect: that makes a request of any size.
"""
import os
import signal
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', '..', 'tests', 'interop'))
IS_SERVER_LISTENING = 2
LISTENING = struct.pack('<II', 0, 1)                        # status, then the return value: true
LEVELS = {'none': None, 'connect': 'connect', 'packet': 'packet', 'integrity': 'sign', 'privacy': 'seal'}


def serve():
    from samba_dc import DomainController
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with DomainController() as dc:
        print('listening on %s:%d process %d' % (dc.address, dc.rpc_port, dc.process.pid), flush=True)
        sys.stdin.buffer.read()


def connection(to, level):
    from samba.credentials import DONT_USE_KERBEROS, Credentials
    from samba.dcerpc import mgmt
    from samba.param import LoadParm
    from samba_dc import ADMIN, ADMIN_PASSWORD, DOMAIN
    settings = LoadParm()
    settings.load('/dev/null')                              # away from the system's smb.conf
    who = Credentials()
    who.guess(settings)
    address, port = to.rsplit(':', 1)
    word = LEVELS[level]
    if word is None:
        who.set_anonymous()
    else:
        who.set_username(ADMIN)
        who.set_password(ADMIN_PASSWORD)
        who.set_domain(DOMAIN)
        who.set_kerberos_state(DONT_USE_KERBEROS)
    binding = 'ncacn_ip_tcp:%s[%s%s]' % (address, port, ',ntlm,' + word if word else '')
    return mgmt.mgmt(binding, settings, who)


def call(to, level, size):
    server = connection(to, level)
    stub = bytes(i * 7 & 255 for i in range(int(size)))
    while True:
        words = sys.stdin.buffer.read(8)
        if not words:
            return
        took = []
        for _ in range(struct.unpack('=Q', words)[0]):
            start = time.perf_counter_ns()
            answer = server.request(IS_SERVER_LISTENING, stub)
            took.append(min(time.perf_counter_ns() - start, 2 ** 32 - 1))
            if answer != LISTENING:
                sys.exit('not the answer that was expected: %r' % answer)
        sys.stdout.buffer.write(struct.pack('=%dI' % len(took), *took))
        sys.stdout.buffer.flush()


def main(words):
    if words == ['serve']:
        return serve()
    if len(words) == 4 and words[0] == 'call' and words[2] in LEVELS:
        return call(*words[1:])
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
