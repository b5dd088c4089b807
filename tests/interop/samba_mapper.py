#!/usr/bin/python3
"""Samba's rpcclient and Python binding ask the endpoint mapper of `rpch serve` at its well-known ports.

usage: samba_mapper.py PATH/TO/rpch

rpcclient takes the mapper's port from nowhere: it is 135. So this runs in a network of its own, in which no port
is taken: `unshare --net --map-root-user`; `lab.py` starts it so. Needs Debian's python3-samba and smbclient.
Exit 0 when every answer was right, else 1.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

ECHO = '60a15ec5-4de8-11d7-a637-005056a20182'


def expect(good, what):
    if not good:
        raise ValueError(what)


def rpcclient(conf, command):
    """What a command prints, or as much of it as comes in a moment: `epmlookup` begins again for ever after an
    answer with status 0 and a null handle, which means that this is all."""
    words = ['rpcclient', '-s', conf, '-U%', 'ncacn_ip_tcp:127.0.0.1', '-c', command]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors='replace') as running:
        lines = []
        for line in running.stdout:
            lines.append(line)
            if len(lines) == 20:
                running.kill()
                break
    return ''.join(lines)


def ask(program, conf):
    serving = subprocess.Popen([program, 'serve', '--http', '127.0.0.1:0', '--tcp', '127.0.0.1:0', '--epmap-http',
                                '127.0.0.1:593', '--epmap-tcp', '127.0.0.1:135'],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    proxying = None
    try:
        http, tcp, _, _ = [serving.stdout.readline().rstrip().rpartition(':')[2] for _ in range(4)]
        listed = rpcclient(conf, 'epmlookup')
        for protocol, port in (('ncacn_http', http), ('ncacn_ip_tcp', tcp)):
            found = r'%s:127\.0\.0\.1\[%s,abstract_syntax=%s/0x00000001\]' % (protocol, port, ECHO)
            expect(re.search(found + ': rpcecho', listed), 'epmlookup: ' + listed)
            mapped = rpcclient(conf, 'epmmap rpcecho ' + protocol)
            expect('num_tower[1]' in mapped and re.search(found, mapped), 'epmmap: ' + mapped)
        unknown = rpcclient(conf, 'epmmap lsarpc ncacn_ip_tcp')
        expect('0x16C9A0D6' in unknown, 'epmmap of an interface that is not there: ' + unknown)
        one = Samba(conf)
        expect(one.add_one('ncacn_ip_tcp:127.0.0.1') == 42, "Samba's client without an endpoint")
        proxying = subprocess.Popen([program, 'proxy', '--listen', '127.0.0.1:0', '--allow-plain', '--auth', 'none',
                                     '--valid-ports', '127.0.0.1:593;127.0.0.1:' + http],
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        proxy = proxying.stdout.readline().rstrip().rpartition(' ')[2]
        for binding in ('ncacn_ip_tcp:127.0.0.1', 'ncacn_http:127.0.0.1[RpcProxy=%s,HttpUseTls=false]' % proxy):
            called = subprocess.run([program, 'call', binding, ECHO + '@1.0', '0', '--stub', '29000000'],
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
            expect(called.stdout.strip() == '2a000000', '%s: %s' % (binding, called.stdout))
    finally:
        for each in (proxying, serving):
            if each is not None:
                each.terminate()
                each.wait(10)
                each.stdout.close()
    return 'epmlookup, epmmap, and calls without an endpoint'


class Samba:
    def __init__(self, conf):
        from samba.credentials import Credentials
        from samba.param import LoadParm
        self.lp = LoadParm()
        self.lp.load(conf)
        self.credentials = Credentials()
        self.credentials.guess(self.lp)
        self.credentials.set_anonymous()

    def add_one(self, binding):
        from samba.dcerpc import echo
        return echo.rpcecho(binding, self.lp, self.credentials).AddOne(41)


def main():
    p = argparse.ArgumentParser(description="Samba's clients ask the endpoint mapper of rpch serve")
    p.add_argument('program')
    args = p.parse_args()
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    with tempfile.TemporaryDirectory(prefix='samba_mapper.') as room:
        conf = os.path.join(room, 'smb.conf')
        with open(conf, 'w') as out:
            out.write('[global]\n' + ''.join('%s = %s\n' % (name, room) for name in (
                'private dir', 'lock directory', 'state directory', 'cache directory')))
        try:
            print('ok: ' + ask(args.program, conf), flush=True)
        except Exception as why:                            # any library error is a failed test
            print('failed: %s: %s' % (type(why).__name__, why), file=sys.stderr)
            return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
