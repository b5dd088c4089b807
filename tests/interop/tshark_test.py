#!/usr/bin/env python3
"""tshark reads what we put on the wire: every RTS PDU has a name and none is malformed."""
import re
import subprocess
import sys
import time

from lab import Failed, HERE, case, expect, main, run, smbtorture

# tshark's names of what opens a virtual connection and carries data in both directions, by hop. Some
# PDUs have the same flags and commands; tshark then prints all their names.
CLIENT_HOP = {'CONN/A1', 'CONN/A3', 'CONN/B1', 'CONN/C2', 'FlowControlAckWithDestination'}
SERVER_HOP = {'CONN/A2', 'CONN/B2', 'CONN/B3', 'CONN/C1'}


def dissect(*words):
    code, said = run([sys.executable, HERE + '/dissect.py', *words], 120)
    if code != 0:
        raise Failed('tshark found fault\n' + said)
    return said


def shown(said):
    """Prints the RTS PDUs of a dissection, each kind once, and returns tshark's names for them."""
    names, lines = set(), []
    for line in said.splitlines():
        if ' flags=0x' not in line:
            continue
        info = line.split(' flags=0x')[0]
        new = set(re.findall(r'[A-Z_0-9]+/[A-Z][0-9]+|FlowControlAckWithDestination|FlowControlAck|Ping\b', info))
        expect(new, 'tshark has no name for: ' + line)
        if not new <= names:
            lines.append(line)
        names |= new
    print(*lines, said.splitlines()[-1], sep='\n')
    return names


def session(lab):
    """Enough bytes both ways for acknowledgements on every hop."""
    code, said = lab.client('impacket_client.py', '--proxy', lab.at, '--target', '127.0.0.1:%d' % lab.http,
                            '--bytes', '200000', '--repeat', '2')
    expect(code == 0, 'the client said: ' + said)


@case('impacket', 'tshark', 'the right to capture on lo')
def capture_of_every_hop(lab):
    lab.serve()
    lab.proxy()
    file = lab.path('session.pcapng')
    ports = 'tcp port %d or tcp port %d' % (lab.port, lab.http)
    capture = subprocess.Popen(['dumpcap', '-q', '-B', '16', '-i', 'lo', '-f', ports, '-w', file],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        for line in capture.stderr:                         # it says File: once it captures
            if line.startswith('File:'):
                break
        time.sleep(0.5)
        session(lab)
        time.sleep(0.5)                                     # the last packets are still on their way to it
    finally:
        capture.terminate()
        capture.communicate(timeout=20)
    for port, wanted in ((lab.port, CLIENT_HOP), (lab.http, SERVER_HOP)):
        names = shown(dissect(file, '--port', str(port)))
        expect(wanted <= names, 'not seen on port %d: %s' % (port, ', '.join(sorted(wanted - names))))


@case('impacket', 'tshark')
def recording_of_the_client_hop(lab):
    lab.serve()
    lab.proxy()
    tap = lab.tap(lab.port)
    lab.at = '127.0.0.1:%d' % tap.port
    session(lab)
    tap.save(lab.path('streams'))
    names = shown(dissect('--streams', lab.path('streams')))
    expect(CLIENT_HOP <= names, 'not seen: ' + ', '.join(sorted(CLIENT_HOP - names)))


@case('smbtorture', 'tshark')
def the_pdu_that_stops_sambas_sinkdata(lab):
    lab.serve()
    lab.proxy()
    tap = lab.tap(lab.port)
    smbtorture('ncacn_http:127.0.0.1[%d,HttpUseTls=false,RpcProxy=127.0.0.1:%d,HttpAuthOption=basic]' % (
        lab.http, tap.port), 'rpc.echo.echo.sinkdata', 6)
    tap.save(lab.path('streams'))
    said = dissect('--streams', lab.path('streams'))
    to_client = [line for line in said.splitlines() if ' <- ' in line and ' flags=0x' in line]
    print(*to_client[:3], sep='\n')
    expect(len(to_client) > 2 and 'CONN/C2' in to_client[1] and 'FlowControlAck' in to_client[2],
           'another order of RTS PDUs on the OUT channel:\n' + '\n'.join(to_client[:5]))


if __name__ == '__main__':
    sys.exit(main())
