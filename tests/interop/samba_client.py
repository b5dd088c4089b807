#!/usr/bin/python3
"""Drive Samba's RPC over HTTP v2 client (ncacn_http): AddOne and EchoData of rpcecho; the accounts of SAMR; ept_map
and ept_lookup, which must find SAMR over ncacn_ip_tcp; or the registry of raw_server.cpp.

usage: samba_client.py --proxy IP:PORT --target HOST:PORT [--tls --ca FILE]
                       [--http-auth basic|ntlm|negotiate] [--http-domain NAME --http-password WORD]
                       [--rpc-auth none|ntlm|spnego|krb5] [--rpc-level connect|packet|sign|seal]
                       [--rpc-domain NAME] [--rpc-user NAME] [--rpc-password WORD]
                       [--realm NAME --kdc ADDRESS --rpc-host NAME]
                       [--call echo|epm|lookup|samr|registry] [--bytes N] [--repeat N] [--timeout SECONDS]
       samba_client.py --direct --target IP:PORT ...   (the same calls over ncacn_ip_tcp)

Samba has one set of credentials for HTTP and for RPC, and authenticates the bind as soon as there
is a user name. To log on at the proxy and yet bind without RPC security the user name stays empty:
the Basic field then holds `NAME\\:WORD` with the domain, in capitals, as NAME.
Needs Debian's python3-samba and therefore Debian's /usr/bin/python3.
Exit 0 when every call answered as it must, else 1.
"""
import argparse
import os
import shutil
import signal
import sys
import tempfile

from samba.credentials import AUTO_USE_KERBEROS, DONT_USE_KERBEROS, Credentials
from samba.dcerpc import echo, epmapper, lsa, misc, samr, winreg
from samba.dcerpc.base import transfer_syntax_ndr
from samba.ndr import ndr_pack
from samba.param import LoadParm

NO_MORE_ENTRIES = 0x16c9a0d6


def settings(args, room):
    conf = os.path.join(room, 'smb.conf')
    lines = ['[global]', 'netbios name = LABCLIENT', 'name resolve order = host']
    lines += ['%s directory = %s' % (what, room) for what in ('lock', 'state', 'cache')]
    lines += ['private dir = ' + room]
    if args.ca:
        # 4.17 cannot verify the name of a peer that is an address
        lines += ['tls verify peer = ca_only', 'tls cafile = ' + os.path.abspath(args.ca)]
    if args.realm:
        lines += ['realm = ' + args.realm, 'workgroup = ' + args.rpc_domain]
        kerberos = os.path.join(room, 'krb5.conf')
        with open(kerberos, 'w') as out:
            out.write('[libdefaults]\n default_realm = %s\n dns_lookup_kdc = false\n dns_lookup_realm = false\n'
                      ' rdns = false\n[realms]\n %s = {\n  kdc = %s\n }\n[domain_realm]\n .%s = %s\n'
                      % (args.realm, args.realm, args.kdc, args.realm.lower(), args.realm))
        os.environ['KRB5_CONFIG'] = kerberos
    with open(conf, 'w') as out:
        out.write('\n'.join(lines) + '\n')
    lp = LoadParm()
    lp.load(conf)
    return lp


def credentials(args, lp):
    creds = Credentials()
    creds.guess(lp)
    if args.rpc_auth != 'none':
        creds.set_username(args.rpc_user)
        creds.set_password(args.rpc_password)
        creds.set_domain(args.rpc_domain)
        if args.realm:
            creds.set_realm(args.realm)
        # the binding names the mechanism; MUST_USE_KERBEROS would refuse HTTP Basic
        creds.set_kerberos_state(AUTO_USE_KERBEROS if args.rpc_auth == 'krb5' else DONT_USE_KERBEROS)
        return creds
    creds.set_anonymous()
    if args.http_domain:
        creds.set_domain(args.http_domain)
        creds.set_password(args.http_password)
    return creds


def binding(args):
    host, _, port = args.target.rpartition(':')
    words = [port]
    if args.rpc_auth != 'none':
        words += [args.rpc_level, args.rpc_auth]
    if args.rpc_host:
        words.append('target_hostname=' + args.rpc_host)
    if args.direct:
        return 'ncacn_ip_tcp:%s[%s]' % (host, ','.join(words))
    words += ['HttpUseTls=' + ('true' if args.tls else 'false'), 'RpcProxy=' + args.proxy,
              'HttpAuthOption=' + args.http_auth]
    return 'ncacn_http:%s[%s]' % (host, ','.join(words))


def calls(args, room):
    lp = settings(args, room)
    if args.call == 'samr':
        return accounts(args, samr.samr(binding(args), lp, credentials(args, lp)))
    if args.call in ('epm', 'lookup'):
        rpc = epmapper.epmapper(binding(args), lp, credentials(args, lp))
        return (mapped if args.call == 'epm' else listed)(args, rpc)
    if args.call == 'registry':
        rpc = winreg.winreg(binding(args), lp, credentials(args, lp))
        return 'version %d' % rpc.GetVersion(rpc.OpenHKLM(None, 0x02000000))
    rpc = echo.rpcecho(binding(args), lp, credentials(args, lp))
    for turn in range(args.repeat):
        if rpc.AddOne(41 + turn) != 42 + turn:
            raise ValueError('AddOne')
        data = [(turn + i) & 255 for i in range(args.bytes)]
        if list(rpc.EchoData(data)) != data:
            raise ValueError('EchoData')
    return 'AddOne and EchoData(%d) x %d' % (args.bytes, args.repeat)


def floor(protocol, rhs, lhs=b''):
    out = epmapper.epm_floor()
    out.lhs.protocol, out.lhs.lhs_data, out.rhs = protocol, lhs, rhs
    return out


def uuid_floor(syntax):
    data, minor_version = ndr_pack(syntax), epmapper.epm_rhs_uuid()
    minor_version.unknown = data[18:]
    return floor(epmapper.EPM_PROTOCOL_UUID, minor_version, data[:18])


def tower(interface):
    """Of an interface over ncacn_ip_tcp, whatever its port and address."""
    address = epmapper.epm_rhs_ip()
    address.ipaddr = '0.0.0.0'
    out = epmapper.epm_twr_t()
    floors = [uuid_floor(interface), uuid_floor(transfer_syntax_ndr()),
              floor(epmapper.EPM_PROTOCOL_NCACN, epmapper.epm_rhs_ncacn()),
              floor(epmapper.EPM_PROTOCOL_TCP, epmapper.epm_rhs_tcp()), floor(epmapper.EPM_PROTOCOL_IP, address)]
    out.tower.floors, out.tower.num_floors = floors, len(floors)
    return out


def endpoints(towers, interface):
    """Those of the interface over ncacn_ip_tcp."""
    ours = [each.floors for each in towers if each.num_floors == 5
            and each.floors[0].lhs.lhs_data == ndr_pack(interface)[:18]
            and each.floors[3].lhs.protocol == epmapper.EPM_PROTOCOL_TCP]
    return ['ncacn_ip_tcp:%s[%d]' % (each[4].rhs.ipaddr, each[3].rhs.port) for each in ours]


def mapped(args, rpc):
    interface = samr.abstract_syntax()
    for _ in range(args.repeat):
        _, towers, status = rpc.epm_Map(misc.GUID(), tower(interface), misc.policy_handle(), 4)
        found = endpoints([each.twr.tower for each in towers if each.twr], interface)
        if status != 0 or not found:
            raise ValueError('status %#x, %s' % (status, found))
    return 'samr at %s, x %d' % (', '.join(found), args.repeat)


def listed(args, rpc):
    """All entries, ten at a time, until there are no more."""
    handle, towers, status = misc.policy_handle(), [], 0
    while status == 0 and len(towers) < 1000:
        handle, entries, status = rpc.epm_Lookup(epmapper.RPC_C_EP_ALL_ELTS, misc.GUID(), None,
                                                 epmapper.RPC_C_VERS_ALL, handle, 10)
        towers += [each.tower.tower for each in entries]
    found = endpoints(towers, samr.abstract_syntax())
    if status != NO_MORE_ENTRIES or not found:
        raise ValueError('%d entries, then status %#x' % (len(towers), status))
    return '%d entries, samr at %s' % (len(towers), ', '.join(found))


def accounts(args, rpc):
    for _ in range(args.repeat):
        server = rpc.Connect2(None, 0x02000000)
        domains = [d.name.string for d in rpc.EnumDomains(server, 0, 65535)[1].entries]
        name = lsa.String()
        name.string = args.rpc_domain
        domain = rpc.OpenDomain(server, 0x02000000, rpc.LookupDomain(server, name))
        users = [u.name.string for u in rpc.EnumDomainUsers(domain, 0, 0, 65535)[1].entries]
        rpc.Close(domain)
        rpc.Close(server)
        if args.rpc_user not in users:
            raise ValueError('domains %s, users %s' % (domains, users))
    return 'domains %s, users %s, x %d' % (domains, users, args.repeat)


def main():
    p = argparse.ArgumentParser(description="drive Samba's RPC over HTTP v2 client")
    p.add_argument('--proxy')
    p.add_argument('--target', required=True)
    p.add_argument('--direct', action='store_true')
    p.add_argument('--tls', action='store_true')
    p.add_argument('--ca')
    p.add_argument('--http-auth', choices=('basic', 'ntlm', 'negotiate'), default='basic')
    p.add_argument('--http-domain')
    p.add_argument('--http-password')
    p.add_argument('--rpc-auth', choices=('none', 'ntlm', 'spnego', 'krb5'), default='none')
    p.add_argument('--rpc-level', choices=('connect', 'packet', 'sign', 'seal'), default='seal')
    p.add_argument('--rpc-domain', default='')
    p.add_argument('--rpc-user', default='')
    p.add_argument('--rpc-password', default='')
    p.add_argument('--realm')
    p.add_argument('--kdc')
    p.add_argument('--rpc-host', help="the server's name for Kerberos, where the target is an address")
    p.add_argument('--call', choices=('echo', 'epm', 'lookup', 'samr', 'registry'), default='echo')
    p.add_argument('--bytes', type=int, default=1000)
    p.add_argument('--repeat', type=int, default=1)
    p.add_argument('--timeout', type=int, default=20)
    args = p.parse_args()
    if not args.direct and not args.proxy:
        p.error('--proxy or --direct')
    room = tempfile.mkdtemp(prefix='samba_client.')
    # the C code holds the interpreter while it waits, so a timer signal has to end it
    if os.fork() == 0:
        signal.alarm(args.timeout)
        try:
            print('ok: ' + calls(args, room), flush=True)
            os._exit(0)
        except Exception as why:                            # any library error is a failed test
            print('failed: %s' % (why,), file=sys.stderr, flush=True)
            os._exit(1)
    status = os.wait()[1]
    shutil.rmtree(room, ignore_errors=True)
    if os.WIFSIGNALED(status):
        print('failed: no answer within %d s' % args.timeout, file=sys.stderr)
    sys.exit(0 if status == 0 else 1)


if __name__ == '__main__':
    main()
