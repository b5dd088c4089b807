#!/usr/bin/env python3
"""Association groups, [C706] 9.5.1: our client's at a Samba domain controller, and those of Samba's client at ours."""
import os
import subprocess
import sys
import time

from lab import HERE, PEER_PYTHON, Failed, beside, case, expect, main, pdus, run
from samba_dc import ADMIN, ADMIN_PASSWORD, DOMAIN, DomainController

BIND, BIND_ACK, BIND_NAK = 11, 12, 13                       # PTYPE
MISMATCH = 'does not match any known context handle'        # Samba's words for nca_s_fault_context_mismatch


class Samba:
    """Samba's client, told what to do; `groups` are in the order of its connections."""

    def __init__(self, lab, tap, *words):
        self.tap = tap
        self.process = subprocess.Popen(
            [PEER_PYTHON, os.path.join(HERE, 'samba_groups.py'), *words], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, env=dict(os.environ, PYTHONDONTWRITEBYTECODE='1'))
        lab.on_exit(self.end)

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def ask(self, command):
        self.process.stdin.write(command + '\n')
        self.process.stdin.flush()
        said = self.process.stdout.readline().rstrip()      # it ends by itself after its time
        print('%s: %s' % (command, said))
        return said

    def must(self, command):
        said = self.ask(command)
        if said.split(' ')[0] != 'ok':
            raise Failed('%s: %s' % (command, said))
        return said[3:]

    def refused(self, command, why):
        said = self.ask(command)
        expect(said.startswith('failed: ') and why in said, '%s: %s' % (command, said))

    def group(self, number):
        """Asked for in the bind of a connection, and told in its bind_ack: assoc_group_id, [C706] 12.6.4.3."""
        sides = [(bytes(client), bytes(server)) for client, server in self.tap.connections]
        http = [each for each in sides if each[0].startswith(b'RPC_')]
        if http:
            ways = [[each[side][each[side].index(b'\r\n\r\n') + 4:] for each in http if each[0].startswith(method)]
                    for side, method in ((0, b'RPC_IN'), (1, b'RPC_OUT'))]
            sides = list(zip(*ways))
        asked, told = ([each for each in pdus(way) if each[0] in (BIND, BIND_ACK)] for way in sides[number])
        expect(asked and told and told[0][0] == BIND_ACK, 'no bind_ack')
        return tuple(int.from_bytes(octets[20:24], 'little') for (_, _, octets), *_ in (asked, told))


def registry(lab):
    """The server with context handles: its ports of ncacn_ip_tcp and ncacn_http."""
    return lab.raw_server()[1:]


def handles_of_a_group(samba):
    """What a group is for, whatever the way. @return the group, of which the connection `second` is left."""
    samba.must('connect first')
    asked, group = samba.group(0)
    expect(asked == 0 and group != 0, 'the first connection begins a group: %s, %s' % (asked, group))
    samba.must('open first')
    samba.must('use first')
    samba.must('connect second %d' % group)
    expect(samba.group(1) == (group, group), 'the second connection is not of the group')
    samba.must('use second')
    samba.must('connect stranger')
    asked, other = samba.group(2)
    expect(asked == 0 and other not in (0, group), 'the third connection is of the group')
    samba.refused('use stranger', MISMATCH)
    samba.refused('close stranger', MISMATCH)
    samba.must('use first')                                 # which did the handle no harm
    samba.must('end first')
    time.sleep(0.2)
    samba.must('use second')                                # it is the group's, not the connection's
    samba.must('close second')
    samba.refused('use second', MISMATCH)
    return group


@case('python3-samba')
def sambas_connections_share_a_handle(lab):
    tap = lab.tap(registry(lab)[0])
    samba = Samba(lab, tap, '--server', '127.0.0.1:%d' % tap.port)
    group = handles_of_a_group(samba)
    # a group that nobody has, and one whose connections have ended
    samba.refused('connect nobody %d' % (group + 1000), '')
    samba.must('end second')
    give_up = time.monotonic() + 5
    while samba.ask('connect late %d' % group).startswith('ok'):
        samba.must('end late')
        expect(time.monotonic() < give_up, 'a group of no connections can be joined')
        time.sleep(0.1)
    for number in (3, len(tap.connections) - 1):
        expect(pdus(bytes(tap.connections[number][1]))[0][0] == BIND_NAK, 'no bind_nak')


@case('python3-samba')
def sambas_handle_is_one_users(lab):
    tap = lab.tap(registry(lab)[0])
    samba = Samba(lab, tap, '--server', '127.0.0.1:%d' % tap.port, '--user', 'tester', '--password', 'secret')
    samba.must('logon first')
    samba.must('open first')
    group = samba.group(0)[1]
    samba.must('logon second %d' % group)
    samba.must('use second')
    samba.must('connect nobody %d' % group)                 # the group is not tied to a user, its handles are
    expect(samba.group(2) == (group, group), 'another group')
    samba.refused('use nobody', MISMATCH)
    samba.must('open nobody')
    samba.refused('use first', MISMATCH)


@case('python3-samba')
def sambas_connections_share_a_handle_in_the_tunnel(lab):
    _, port = registry(lab)
    lab.proxy(valid_ports='127.0.0.1:%d' % port)
    tap = lab.tap(lab.port)
    samba = Samba(lab, tap, '--proxy', '127.0.0.1:%d' % tap.port, '--server', '127.0.0.1:%d' % port)
    handles_of_a_group(samba)
    ids = [pdus(bytes(client).partition(b'\r\n\r\n')[2])[0][2][88:104] for client, _ in tap.connections
           if client.startswith(b'RPC_IN')]
    # AssociationGroupId of CONN/B1: its client makes a new one for each connection, [MS-RPCH] 2.2.3.5.13
    expect(len(ids) == 3 and len(set(ids)) == 3, '%s' % ids)


@case('python3-samba')
def sambas_connections_share_a_handle_behind_tcp_backend(lab):
    port, _ = registry(lab)
    tap = lab.tap(port)
    lab.proxy('--tcp-backend', 'registry:%d=127.0.0.1:%d' % (port, tap.port), valid_ports='registry:%d' % port)
    handles_of_a_group(Samba(lab, tap, '--proxy', lab.at, '--server', 'registry:%d' % port))


@case('python3-samba')
def sambas_connections_share_a_lookup(lab):
    lab.serve()
    tap = lab.tap(lab.epmap_tcp)
    samba = Samba(lab, tap, '--server', '127.0.0.1:%d' % tap.port)
    samba.must('connect mapper_one')
    group = samba.group(0)[1]
    samba.must('connect mapper_two %d' % group)
    expect(samba.group(1) == (group, group), 'another group')
    for goes_on in ('mapper_one', 'mapper_two'):
        found = [samba.must('lookup mapper_one'), samba.must('lookup ' + goes_on)]
        expect(found[0].endswith(', more') and found[1].endswith(', all'), '%s' % found)
        ports = {each.split(', ')[0] for each in found}
        expect(ports == {'[%d]' % lab.http, '[%d]' % lab.tcp}, '%s' % found)
        samba.must('rewind')


def secondary_address(tap):
    """Of the first bind_ack on an OUT channel: [C706] 12.6.4.4, a port as text."""
    for client, server in tap.connections:
        if client.startswith(b'RPC_OUT'):
            ack, = [octets for kind, _, octets in pdus(bytes(server).partition(b'\r\n\r\n')[2]) if kind == BIND_ACK]
            return ack[26:26 + int.from_bytes(ack[24:26], 'little')].rstrip(b'\0').decode()
    raise Failed('no OUT channel')


@case('python3-samba')
def secondary_address_is_of_the_same_protocol(lab):
    lab.serve()
    lab.proxy()
    tap = lab.tap(lab.port)
    code, said = lab.client('samba_client.py', '--proxy', '127.0.0.1:%d' % tap.port, '--target',
                            '127.0.0.1:%d' % lab.http)
    expect(code == 0, said)
    expect(secondary_address(tap) == str(lab.http), 'bind_ack at the ncacn_http port %d names %s; that of ncacn_ip_tcp '
           'is %d' % (lab.http, secondary_address(tap), lab.tcp))


def our_connections(lab, dc, binding):
    code, said = run([beside(lab.program, 'interop_association'), binding, DOMAIN, ADMIN], 90,
                     {'RPCH_PASSWORD': ADMIN_PASSWORD})
    print(said, end='')
    expect(code == 0, said + dc.tail())


@case('a Samba domain controller')
def our_connections_at_a_domain_controller(lab):
    with DomainController() as dc:
        our_connections(lab, dc, 'ncacn_ip_tcp:%s[%d]' % (dc.address, dc.rpc_port))
        lab.proxy('--tcp-backend', '%s:%d=%s:%d' % (dc.name, dc.rpc_port, dc.address, dc.rpc_port),
                  valid_ports='%s:%d' % (dc.name, dc.rpc_port))
        our_connections(lab, dc, 'ncacn_http:%s[%d,RpcProxy=%s,HttpUseTls=false]' % (dc.name, dc.rpc_port, lab.at))


if __name__ == '__main__':
    sys.exit(main())
