#!/usr/bin/python3
"""Drive Samba's RPC over HTTP v2 client (ncacn_http): AddOne and EchoData of rpcecho.

usage: samba_client.py --proxy IP:PORT --target HOST:PORT [--tls --ca FILE]
                       [--http-domain NAME --http-password WORD]
                       [--bytes N] [--repeat N] [--timeout SECONDS]
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

from samba.credentials import Credentials
from samba.dcerpc import echo
from samba.param import LoadParm


def settings(args, room):
    conf = os.path.join(room, 'smb.conf')
    lines = ['[global]', 'netbios name = LABCLIENT', 'name resolve order = host']
    lines += ['%s directory = %s' % (what, room) for what in ('lock', 'state', 'cache')]
    lines += ['private dir = ' + room]
    if args.ca:
        # 4.17 cannot verify the name of a peer that is an address
        lines += ['tls verify peer = ca_only', 'tls cafile = ' + os.path.abspath(args.ca)]
    with open(conf, 'w') as out:
        out.write('\n'.join(lines) + '\n')
    lp = LoadParm()
    lp.load(conf)
    return lp


def credentials(args, lp):
    creds = Credentials()
    creds.guess(lp)
    creds.set_anonymous()
    if args.http_domain:
        creds.set_domain(args.http_domain)
        creds.set_password(args.http_password)
    return creds


def binding(args):
    host, _, port = args.target.rpartition(':')
    if args.direct:
        return 'ncacn_ip_tcp:%s[%s]' % (host, port)
    return 'ncacn_http:%s[%s,HttpUseTls=%s,RpcProxy=%s,HttpAuthOption=basic]' % (
        host, port, 'true' if args.tls else 'false', args.proxy)


def calls(args, room):
    lp = settings(args, room)
    rpc = echo.rpcecho(binding(args), lp, credentials(args, lp))
    for turn in range(args.repeat):
        if rpc.AddOne(41 + turn) != 42 + turn:
            raise ValueError('AddOne')
        data = [(turn + i) & 255 for i in range(args.bytes)]
        if list(rpc.EchoData(data)) != data:
            raise ValueError('EchoData')
    return 'AddOne and EchoData(%d) x %d' % (args.bytes, args.repeat)


def main():
    p = argparse.ArgumentParser(description="drive Samba's RPC over HTTP v2 client")
    p.add_argument('--proxy')
    p.add_argument('--target', required=True)
    p.add_argument('--direct', action='store_true')
    p.add_argument('--tls', action='store_true')
    p.add_argument('--ca')
    p.add_argument('--http-domain')
    p.add_argument('--http-password')
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
