#!/usr/bin/python3
"""Drive impacket's RPC over HTTP v2 client against a proxy (or server).

usage: impacket_client.py --proxy HOST:PORT --target HOST:PORT [--tls]
                          [--path /rpc/rpcproxy.dll]
                          [--http-auth none|basic|ntlm]
                          [--http-domain NAME] [--http-user NAME] [--http-password WORD]
                          [--rpc-auth none|ntlm] [--rpc-level connect|integrity|privacy]
                          [--rpc-domain NAME] [--rpc-user NAME] [--rpc-password WORD]
                          [--call echo|epm|lookup|list|mgmt|samr|registry|in_channel] [--of rpcecho|samr]
                          [--cookie HEX] [--hold SECONDS] [--bytes N] [--repeat N] [--timeout SECONDS]
       impacket_client.py --direct --target HOST:PORT ...   (the same calls over ncacn_ip_tcp)

  echo   AddOne and EchoData of the rpcecho interface; --bytes bytes each way
  epm    ept_map of rpcecho, to a TCP and to an HTTP tower; of samr, which has no HTTP endpoint, to a TCP one
  lookup the first answer of ept_lookup, as many entries as come at once
  list   all of ept_lookup, by impacket's own loop, and again for one interface and every version option
  mgmt   inq_if_ids; of rpcecho also inq_stats, is_server_listening, and stop_server_listening, which must be refused
  samr   the domains of an account server, and the accounts of the second one
  registry  a handle of the registry of raw_server.cpp, and its version
  in_channel  opens only the IN channel of the virtual connection --cookie, and waits for --hold seconds: the status
         line that came, or that it stays open

Needs Debian's python3-impacket and therefore Debian's /usr/bin/python3.
Exit 0 when every call answered as it must, else 1.
"""
import argparse
import os
import signal
import socket
import struct
import sys

from impacket.dcerpc.v5 import epm, mgmt, rpch, rpcrt, samr, transport
from impacket.http import AUTH_BASIC, AUTH_NTLM, HTTPClientSecurityProvider
from impacket.uuid import uuidtup_to_bin

REGISTRY = uuidtup_to_bin(('338cd001-2244-31f1-aaaa-900038001003', '1.0'))
RPCECHO = uuidtup_to_bin(('60a15ec5-4de8-11d7-a637-005056a20182', '1.0'))
INTERFACES = {'rpcecho': (RPCECHO, ('ncacn_ip_tcp', 'ncacn_http')), 'samr': (samr.MSRPC_UUID_SAMR, ('ncacn_ip_tcp',))}
LEVELS = {'connect': rpcrt.RPC_C_AUTHN_LEVEL_CONNECT, 'integrity': rpcrt.RPC_C_AUTHN_LEVEL_PKT_INTEGRITY,
          'privacy': rpcrt.RPC_C_AUTHN_LEVEL_PKT_PRIVACY}


def way(args):
    host, _, port = args.target.rpartition(':')
    if args.direct:
        return transport.DCERPCTransportFactory('ncacn_ip_tcp:%s[%s]' % (host, port))
    # the RpcProxy= option of a string binding only takes ports 80 and 443,
    # so the proxy is named by URL instead
    wire = transport.DCERPCTransportFactory('ncacn_http:%s[%s]' % (host, port))
    wire.set_rpc_proxy_url('%s://%s%s' % ('https' if args.tls else 'http', args.proxy, args.path))
    wire.set_credentials(args.http_user, args.http_password, args.http_domain)
    if args.http_auth == 'basic':
        wire.set_auth_type(AUTH_BASIC)
    elif args.http_auth == 'ntlm':
        wire.set_auth_type(AUTH_NTLM)
    else:
        # it knows no anonymous client: without this it offers NTLM unasked
        HTTPClientSecurityProvider.get_auth_headers = lambda *_: ({}, None)
    return wire


def connection(args):
    rpc = way(args).get_dce_rpc()
    if args.rpc_auth == 'ntlm':
        rpc.set_credentials(args.rpc_user, args.rpc_password, args.rpc_domain)
        rpc.set_auth_type(rpcrt.RPC_C_AUTHN_WINNT)
        rpc.set_auth_level(LEVELS[args.rpc_level])
    else:
        rpc.set_auth_level(rpcrt.RPC_C_AUTHN_LEVEL_NONE)
    rpc.connect()
    return rpc


def call_echo(args):
    rpc = connection(args)
    rpc.bind(RPCECHO)
    for turn in range(args.repeat):
        rpc.call(0, struct.pack('<I', 41 + turn))
        got = rpc.recv()
        if struct.unpack('<I', got[:4])[0] != 42 + turn:
            raise ValueError('AddOne answered ' + got.hex())
        data = bytes((turn + i) & 255 for i in range(args.bytes))
        rpc.call(1, struct.pack('<II', len(data), len(data)) + data)
        got = rpc.recv()
        if got[4:4 + len(data)] != data or struct.unpack('<I', got[:4])[0] != len(data):
            raise ValueError('EchoData answered %d other bytes' % len(got))
    rpc.disconnect()
    return 'AddOne and EchoData(%d) x %d' % (args.bytes, args.repeat)


def call_epm(args):
    out = []
    interface, protocols = INTERFACES[args.of]
    for protocol in protocols:
        rpc = connection(args)
        out.append(epm.hept_map(args.target.rpartition(':')[0], interface, protocol=protocol, dce=rpc))
        rpc.disconnect()
    return args.of + ' at ' + ', '.join(out)


def call_lookup(args):
    # impacket's own loop takes "no more entries" for an error, so one answer has to hold them all
    rpc = connection(args)
    rpc.bind(epm.MSRPC_UUID_PORTMAP)
    ask = epm.ept_lookup()
    ask['inquiry_type'] = epm.RPC_C_EP_ALL_ELTS
    ask['object'] = ask['Ifid'] = epm.NULL
    ask['vers_option'] = 1
    ask['entry_handle'] = epm.ept_lookup_handle_t()
    ask['max_ents'] = 500
    answer = rpc.request(ask)
    rpc.disconnect()
    towers = [b''.join(entry['tower']['tower_octet_string']) for entry in answer['entries']]
    if len(towers) != answer['num_ents'] or not any(INTERFACES[args.of][0][:16] in tower for tower in towers):
        raise ValueError('%d entries, none of %s' % (len(towers), args.of))
    return '%d entries, %s is there' % (len(towers), args.of)


def matches(args, major, minor, option):
    """How many entries ept_lookup has of the interface; hept_lookup would always ask for version 0.0."""
    rpc = connection(args)
    rpc.bind(epm.MSRPC_UUID_PORTMAP)
    ask = epm.ept_lookup()
    ask['inquiry_type'] = epm.RPC_C_EP_MATCH_BY_IF
    ask['object'] = epm.NULL
    ask['Ifid']['Uuid'] = INTERFACES[args.of][0][:16]
    ask['Ifid']['VersMajor'] = major
    ask['Ifid']['VersMinor'] = minor
    ask['vers_option'] = option
    ask['entry_handle'] = epm.ept_lookup_handle_t()
    ask['max_ents'] = 500
    try:
        return rpc.request(ask)['num_ents']
    except rpcrt.DCERPCException as why:
        if why.get_error_code() != 0x16c9a0d6:
            raise
        return 0
    finally:
        rpc.disconnect()


def call_list(args):
    # RPC_C_VERS_*: 1 all, 2 compatible, 3 exact, 4 major only, 5 up to; what is registered has version 1.0
    for version, options in (((1, 0), (1, 2, 3, 4, 5)), ((1, 1), (1, 4, 5)), ((2, 0), (1, 5)), ((0, 9), (1,))):
        for option in (1, 2, 3, 4, 5):
            if (matches(args, *version, option) != 0) != (option in options):
                raise ValueError('version %d.%d, option %d' % (*version, option))
    rpc = connection(args)
    found = epm.hept_lookup(None, dce=rpc)
    rpc.disconnect()
    return ', '.join(epm.PrintStringBinding(each['tower']['Floors']) + ' ' + each['annotation'].decode().rstrip('\0')
                     for each in found)


def call_mgmt(args):
    rpc = connection(args)
    rpc.bind(mgmt.MSRPC_UUID_MGMT)
    vector = mgmt.hinq_if_ids(rpc)['if_id_vector']
    if args.of == 'rpcecho':                                # what other servers allow is theirs to say
        counts = mgmt.hinq_stats(rpc, 4)['statistics']
        if not (counts[0] >= 2 and counts[1] == 0 and counts[2] >= 3 and counts[3] >= 2):
            raise ValueError('statistics %s' % counts)
        mgmt.his_server_listening(rpc)
        try:
            mgmt.hstop_server_listening(rpc)
            raise ValueError('stop_server_listening was not refused')
        except rpcrt.DCERPCException as why:
            if why.get_error_code() != 5:
                raise
    rpc.disconnect()
    if not any(INTERFACES[args.of][0][:16] in entry['Data'].getData() for entry in vector['if_id']):
        raise ValueError('%d interfaces, none of them %s' % (vector['count'], args.of))
    return '%d interfaces, %s is there' % (vector['count'], args.of)


def call_samr(args):
    rpc = connection(args)
    rpc.bind(samr.MSRPC_UUID_SAMR)
    for _ in range(args.repeat):
        server = samr.hSamrConnect(rpc)['ServerHandle']
        domains = [d['Name'] for d in samr.hSamrEnumerateDomainsInSamServer(rpc, server)['Buffer']['Buffer']]
        sid = samr.hSamrLookupDomainInSamServer(rpc, server, args.rpc_domain)['DomainId']
        domain = samr.hSamrOpenDomain(rpc, server, domainId=sid)['DomainHandle']
        users = [u['Name'] for u in samr.hSamrEnumerateUsersInDomain(rpc, domain)['Buffer']['Buffer']]
        samr.hSamrCloseHandle(rpc, domain)
        samr.hSamrCloseHandle(rpc, server)
        if args.rpc_user not in users:
            raise ValueError('domains %s, users %s' % (domains, users))
    rpc.disconnect()
    return 'domains %s, users %s, x %d' % (domains, users, args.repeat)


def call_registry(args):
    rpc = connection(args)
    rpc.bind(REGISTRY)
    rpc.call(2, struct.pack('<II', 0, 0x02000000))          # OpenLocalMachine
    rpc.call(26, rpc.recv()[:20])                           # BaseRegGetVersion
    version, status = struct.unpack('<II', rpc.recv()[:8])
    rpc.disconnect()
    if (version, status) != (6, 0):
        raise ValueError('version %d, status %d' % (version, status))
    return 'version %d' % version


def call_in_channel(args):
    wire = way(args)
    wire.create_rpc_in_channel()
    channel = wire.get_socket_in()
    channel.sendall(rpch.hCONN_B1(bytes.fromhex(args.cookie), os.urandom(16), os.urandom(16)))
    channel.settimeout(args.hold)
    try:
        return 'the IN channel got ' + channel.recv(8192).decode('latin-1').partition('\r\n')[0]
    except socket.timeout:
        return 'the IN channel stays open'


def overdue(*_):
    raise TimeoutError('no answer in time')


def main():
    p = argparse.ArgumentParser(description="drive impacket's RPC over HTTP v2 client")
    p.add_argument('--proxy', help='HOST:PORT of the HTTP listener')
    p.add_argument('--target', required=True, help='HOST:PORT for the query of the URL')
    p.add_argument('--direct', action='store_true', help='ncacn_ip_tcp to the target, no HTTP')
    p.add_argument('--tls', action='store_true', help='https, certificate not verified')
    p.add_argument('--path', default='/rpc/rpcproxy.dll')
    p.add_argument('--http-auth', choices=('none', 'basic', 'ntlm'), default='none')
    p.add_argument('--http-domain', default='')
    p.add_argument('--http-user', default='labuser')
    p.add_argument('--http-password', default='labpass')
    p.add_argument('--rpc-auth', choices=('none', 'ntlm'), default='none')
    p.add_argument('--rpc-level', choices=tuple(LEVELS), default='privacy')
    p.add_argument('--rpc-domain', default='')
    p.add_argument('--rpc-user', default='')
    p.add_argument('--rpc-password', default='')
    p.add_argument('--call', choices=('echo', 'epm', 'lookup', 'list', 'mgmt', 'samr', 'registry', 'in_channel'),
                   default='echo')
    p.add_argument('--of', choices=tuple(INTERFACES), default='rpcecho')
    p.add_argument('--cookie')
    p.add_argument('--hold', type=int, default=2)
    p.add_argument('--bytes', type=int, default=1000)
    p.add_argument('--repeat', type=int, default=1)
    p.add_argument('--timeout', type=int, default=20)
    args = p.parse_args()
    if not args.direct and not args.proxy:
        p.error('--proxy or --direct')
    signal.signal(signal.SIGALRM, overdue)
    signal.alarm(args.timeout)
    try:
        print('ok: ' + globals()['call_' + args.call](args), flush=True)
    except Exception as why:                                # any library error is a failed test
        print('failed: %s: %s' % (type(why).__name__, why), file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)                                             # no waiting for a proxy that holds on


if __name__ == '__main__':
    main()
