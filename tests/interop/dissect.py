#!/usr/bin/env python3
"""Let tshark dissect the PDUs of RPC over HTTP channels, and fail on malformed ones.

usage: dissect.py CAPTURE [--tls KEYLOG] [--port PORT] [--keep OUT.pcap] [--quiet]
       dissect.py --streams FOLDER [--keep OUT.pcap] [--quiet]
       dissect.py --hex FILE [FILE ...] [--keep OUT.pcap] [--quiet]

CAPTURE is a pcap or pcapng file with whole TCP connections in it. FOLDER has
NNN.client.bin and NNN.server.bin, the bytes from and to the client of each
connection. With --hex the files are hex text: either a channel's byte stream,
HTTP head first, or bare PDUs one after the other.

tshark alone does not get far here: to its HTTP dissector all that follows a
head with a 1 GiB content length is "Continuation". So this script has tshark
reassemble each connection, takes HTTP away (requests, 401 rounds, 100 Continue,
chunks) and the banner `ncacn_http/1.0`, writes every PDU as a packet of its own into a small capture, and has
tshark dissect that one. It prints a line per PDU (connection, direction,
tshark's name for it, and for an RTS PDU its flags and commands) and fails when
 - tshark calls a PDU malformed or reports an error on it,
 - an RTS PDU has a command that tshark does not know, fewer commands than its
   count says, or bytes after the last one,
 - a byte stream does not divide into PDUs, or has no PDU at all.
A PDU cut off by the end of the capture is shown and not counted as an error.
--keep leaves the small capture for a look with Wireshark. Exit 0 or 1.
"""
import argparse
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

COMMANDS = ['ReceiveWindowSize', 'FlowControlAck', 'ConnectionTimeout', 'Cookie', 'ChannelLifetime',
            'ClientKeepalive', 'Version', 'Empty', 'Padding', 'NegativeANCE', 'ANCE', 'ClientAddress',
            'AssociationGroupId', 'Destination', 'PingTrafficSentNotify']
SIZES = [4, 24, 4, 16, 4, 4, 4, 0, None, 0, 0, None, 16, 4, 4]


class Bad(Exception):
    pass


def tshark(*words):
    done = subprocess.run(('tshark',) + words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise Bad('tshark: ' + done.stderr.decode(errors='replace').strip().split('\n')[-1])
    return done.stdout.decode(errors='replace')


def streams(args):
    """(name, bytes from the client, bytes to it) of each connection in the capture."""
    protocol = 'tls' if args.tls else 'tcp'
    extra = ('-o', 'tls.keylog_file:' + args.tls) if args.tls else ()
    wanted = ('-Y', 'tcp.port==%d' % args.port) if args.port else ('-Y', 'tcp')
    numbers = sorted(set(map(int, tshark('-r', args.capture, *wanted, '-T', 'fields', '-e', 'tcp.stream').split())))
    for number in numbers:
        text = tshark('-r', args.capture, *extra, '-q', '-z', 'follow,%s,raw,%d' % (protocol, number))
        up, down = [], []
        for line in text.split('\n'):
            if re.fullmatch(r'\t?[0-9a-f]+', line) and len(line.strip()) % 2 == 0:
                (down if line.startswith('\t') else up).append(bytes.fromhex(line.strip()))
        if up or down:
            yield 'tcp.stream %d' % number, b''.join(up), b''.join(down)


def kept_streams(folder):
    """The same of a folder that lab.Tap saved."""
    for name in sorted(os.listdir(folder)):
        if name.endswith('.client.bin'):
            sides = []
            for side in ('client', 'server'):
                with open(os.path.join(folder, name.replace('client', side)), 'rb') as file:
                    sides.append(file.read())
            if any(sides):
                yield 'connection ' + name[:3], sides[0], sides[1]


def unchunk(data):
    out, at = b'', 0
    while True:
        end = data.find(b'\r\n', at)
        if end < 0:
            return out
        size = int(data[at:end].split(b';')[0], 16)
        out += data[end + 2:end + 2 + size]
        at = end + 4 + size
        if size == 0:
            return out


def body(data):
    """What follows the HTTP heads of one direction: (kind, PDU bytes)."""
    kind = ''
    # 2.1.1.2.1: what a server sends first on every connection
    if data.startswith(b'ncacn_http/1.0'):
        data = data[14:]
    while data and data[:2] != b'\x05\x00':
        head, found, rest = data.partition(b'\r\n\r\n')
        if not found:
            raise Bad('neither an HTTP head nor a PDU: %s' % data[:24].hex())
        lines = head.decode('latin-1').split('\r\n')
        fields = {n.strip().lower(): v.strip() for n, _, v in (l.partition(':') for l in lines[1:])}
        first = lines[0].split(' ')
        if first[0].startswith('HTTP/'):
            kind = 'answer'
            status = int(first[1])
            if status == 200:
                if fields.get('transfer-encoding', '').lower() == 'chunked':
                    rest = unchunk(rest)
                return 'answer', rest
            length = 0 if status == 100 else int(fields.get('content-length', '0'))
            data = rest[length:]
        else:
            kind = first[0]
            length = int(fields.get('content-length', '0') or 0)
            # a refused request may have carried a body that is no PDU
            data = rest if rest[:2] == b'\x05\x00' else rest[length:]
    return kind, data


def divide(data):
    pdus, at = [], 0
    while at < len(data):
        if len(data) - at < 16:
            return pdus, data[at:]
        if data[at] != 5:
            raise Bad('no PDU at offset %d: %s' % (at, data[at:at + 16].hex()))
        order = '<' if data[at + 4] & 0x10 else '>'
        length, = struct.unpack_from(order + 'H', data, at + 8)
        if length < 16:
            raise Bad('PDU length %d at offset %d' % (length, at))
        if at + length > len(data):
            return pdus, data[at:]
        pdus.append(data[at:at + length])
        at += length
    return pdus, b''


def packet(pdu, up, place, number):
    """An IPv4 and a TCP header, sums left zero, around one PDU."""
    client = 40000 + place
    ports = (client, 593) if up else (593, client)
    tcp = struct.pack('>HHIIBBHHH', *ports, number, 1, 0x50, 0x18, 65535, 0, 0)
    size = 20 + len(tcp) + len(pdu)
    hosts = (b'\x7f\0\0\1', b'\x7f\0\0\2')
    ip = struct.pack('>BBHHHBBH', 0x45, 0, size, 0, 0x4000, 64, 6, 0) + hosts[not up] + hosts[up]
    return ip + tcp + pdu


def leftovers(pdu):
    """An own count of an RTS PDU's commands, for what tshark does not complain about."""
    count, = struct.unpack_from('<H', pdu, 18)
    at, names = 20, []
    for _ in range(count):
        if at + 4 > len(pdu):
            return names, 'fewer commands than the count of %d' % count
        kind, = struct.unpack_from('<I', pdu, at)
        if kind >= len(COMMANDS):
            return names, 'unknown command %#x' % kind
        at += 4
        size = SIZES[kind]
        if size is None:
            if at + 4 > len(pdu):
                return names, '%s cut off' % COMMANDS[kind]
            word, = struct.unpack_from('<I', pdu, at)
            size = 4 + word if kind == 8 else 4 + (4 if word == 0 else 16) + 12
        if at + size > len(pdu):
            return names, '%s cut off' % COMMANDS[kind]
        value = pdu[at:at + size]
        names.append('%s%s' % (COMMANDS[kind], '=%d' % struct.unpack('<I', value) if size == 4 else
                               '=' + value[:4].hex() if size == 16 else
                               '(%d, %d)' % struct.unpack_from('<II', value) if kind == 1 else ''))
        at += size
    return names, '' if at == len(pdu) else '%d bytes after the last command' % (len(pdu) - at)


def main():
    p = argparse.ArgumentParser(description='dissect RPC over HTTP channels with tshark')
    p.add_argument('capture', nargs='?')
    p.add_argument('--streams', metavar='FOLDER')
    p.add_argument('--hex', nargs='+')
    p.add_argument('--tls', metavar='KEYLOG', help='decrypt with these secrets first')
    p.add_argument('--port', type=int, help='only connections with this TCP port')
    p.add_argument('--keep')
    p.add_argument('--quiet', action='store_true')
    args = p.parse_args()
    if sum(map(bool, (args.capture, args.streams, args.hex))) != 1:
        p.error('a CAPTURE, --streams or --hex')
    room = tempfile.mkdtemp(prefix='dissect.')
    errors, rows = [], []
    try:
        sources = []
        if args.hex:
            for name in args.hex:
                with open(name) as text:
                    sources.append((os.path.basename(name), bytes.fromhex(''.join(text.read().split())), b''))
        elif args.streams:
            sources = list(kept_streams(args.streams))
        else:
            sources = list(streams(args))
        for place, (name, up, down) in enumerate(sources):
            for rising, data in ((True, up), (False, down)):
                try:
                    kind, rest = body(data)
                    pdus, cut = divide(rest)
                except (Bad, ValueError) as why:
                    errors.append('%s %s: %s' % (name, 'client' if rising else 'server', why))
                    continue
                rows += [(name, place, rising, pdu) for pdu in pdus]
                if cut:
                    print('%s: the last PDU is cut off after %d bytes' % (name, len(cut)))
        if not rows:
            raise Bad('no PDU found')
        small = os.path.join(room, 'pdus.pcap')
        with open(small, 'wb') as out:
            out.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 262144, 101))
            at = {}
            for tick, (_, place, rising, pdu) in enumerate(rows):
                raw = packet(pdu, rising, place, at.get((place, rising), 1))
                at[place, rising] = at.get((place, rising), 1) + len(pdu)
                out.write(struct.pack('<IIII', tick // 1000, tick % 1000 * 1000, len(raw), len(raw)) + raw)
        if args.keep:
            shutil.copy(small, args.keep)
        text = tshark('-r', small, '-o', 'tcp.desegment_tcp_streams:FALSE', '-o', 'dcerpc.desegment_dcerpc:FALSE',
                      '-T', 'fields', '-E', 'separator=|', '-E', 'occurrence=a',
                      '-e', 'frame.number', '-e', 'dcerpc.pkt_type', '-e', 'dcerpc.cn_rts_commands_nb',
                      '-e', 'dcerpc.cn_rts_command', '-e', '_ws.malformed', '-e', '_ws.unreassembled',
                      '-e', '_ws.expert.severity', '-e', '_ws.col.Info')
        for line in text.rstrip('\n').split('\n'):
            number, kind, count, commands, malformed, beyond, severity, info = line.split('|', 7)
            name, _, rising, pdu = rows[int(number) - 1]
            what, why = '', []
            if not kind:
                why.append('tshark does not take it for a PDU')
            # tshark 4.0 reads past the end of a Ping, which has no commands at all
            if beyond and pdu[2] == 20 and count == '0' and len(pdu) == 20:
                beyond, info = '', 'Ping' if pdu[16] & 1 else 'no commands'
            if malformed or beyond:
                why.append('tshark: malformed')
            if any(int(s) >= 0x800000 for s in severity.split(',') if s):
                why.append('tshark: expert error')
            if pdu[2] == 20 and pdu[4] & 0x10:
                words, odd = leftovers(pdu)
                flags, = struct.unpack_from('<H', pdu, 16)
                what = ' flags=%#04x %s' % (flags, ' '.join(words))
                if odd:
                    why.append(odd)
                if kind and (len(commands.split(',')) if commands else 0) != int(count or 0):
                    why.append('tshark found %s of %s commands' % (len(commands.split(',')) if commands else 0, count))
            row = '%-16s %s %s%s' % (name, '->' if rising else '<-', info.strip().rstrip(','), what)
            if why:
                row += '   BAD: ' + '; '.join(why)
                errors.append(row)
            if not args.quiet:
                print(row)
    except (Bad, OSError) as why:
        errors.append(str(why))
    finally:
        shutil.rmtree(room, ignore_errors=True)
    if errors:
        print('%d error(s):' % len(errors), file=sys.stderr)
        for error in errors:
            print('  ' + error, file=sys.stderr)
        return 1
    print('%d PDUs, %d of them RTS, all well formed' % (len(rows), sum(r[3][2] == 20 for r in rows)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
