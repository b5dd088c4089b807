#!/usr/bin/python3
"""Drive Samba's RPC over HTTP v2 client (ncacn_http): AddOne and EchoData of rpcecho, or the accounts of SAMR.

usage: samba_client.py --proxy IP:PORT --target HOST:PORT [--tls --ca FILE]
                       [--http-domain NAME --http-password WORD]
                       [--rpc-auth none|ntlm|spnego|krb5] [--rpc-level connect|packet|sign|seal]
                       [--rpc-domain NAME] [--rpc-user NAME] [--rpc-password WORD]
                       [--realm NAME --kdc ADDRESS --rpc-host NAME]
                       [--call echo|samr] [--bytes N] [--repeat N] [--timeout SECONDS]
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
from samba.dcerpc import echo, lsa, samr
from samba.param import LoadParm


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
    words += ['HttpUseTls=' + ('true' if args.tls else 'false'), 'RpcProxy=' + args.proxy, 'HttpAuthOption=basic']
    return 'ncacn_http:%s[%s]' % (host, ','.join(words))


def calls(args, room):
    lp = settings(args, room)
    if args.call == 'samr':
        return accounts(args, samr.samr(binding(args), lp, credentials(args, lp)))
    rpc = echo.rpcecho(binding(args), lp, credentials(args, lp))
    for turn in range(args.repeat):
        if rpc.AddOne(41 + turn) != 42 + turn:
            raise ValueError('AddOne')
        data = [(turn + i) & 255 for i in range(args.bytes)]
        if list(rpc.EchoData(data)) != data:
            raise ValueError('EchoData')
    return 'AddOne and EchoData(%d) x %d' % (args.bytes, args.repeat)


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
    p.add_argument('--call', choices=('echo', 'samr'), default='echo')
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
