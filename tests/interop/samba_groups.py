#!/usr/bin/python3
"""Connections of Samba's client to one server, each in an association group of its own or in another's.

usage: samba_groups.py --server IP:PORT [--proxy IP:PORT] [--user NAME --password WORD] [--timeout SECONDS]

Reads commands, a line each, and answers each with a line, `ok ...` or `failed: ...`:

  connect NAME [GROUP]   an anonymous connection; GROUP, a number, is the association group to join
  logon NAME [GROUP]     the same as the user of the options, sealed with NTLM
  open NAME              OpenLocalMachine of [MS-RRP] by the connection: the handle is kept
  use NAME               BaseRegGetVersion with the handle, by the connection
  close NAME             BaseRegCloseKey
  end NAME               ends the connection
  lookup NAME            ept_lookup of one entry, from the handle of the last lookup on: its port, and whether there are
                         more; the connection is one to an endpoint mapper, and its name begins with `mapper`
  rewind                 the next lookup begins anew

Which group a connection is in only the wire tells: who asks has a relay in between. Needs Debian's python3-samba.
"""
import argparse
import os
import signal
import sys
import tempfile

from samba.credentials import DONT_USE_KERBEROS, Credentials
from samba.dcerpc import epmapper, misc, winreg
from samba.param import LoadParm


class Connections:
    def __init__(self, args, lp):
        self.args, self.lp = args, lp
        self.by_name = {}
        self.handle = None
        self.place = misc.policy_handle()

    def binding(self, group, *words):
        host, _, port = self.args.server.rpartition(':')
        words = [port, *words]
        if group:
            words.append('assoc_group_id=0x%08x' % int(group))
        if not self.args.proxy:
            return 'ncacn_ip_tcp:%s[%s]' % (host, ','.join(words))
        words += ['HttpUseTls=false', 'RpcProxy=' + self.args.proxy, 'HttpAuthOption=basic']
        return 'ncacn_http:%s[%s]' % (host, ','.join(words))

    def add(self, name, group, credentials, *words):
        kind = epmapper.epmapper if name.startswith('mapper') else winreg.winreg
        self.by_name[name] = kind(self.binding(group, *words), self.lp, credentials)

    def connect(self, name, group=None):
        credentials = Credentials()
        credentials.set_anonymous()
        self.add(name, group, credentials)

    def logon(self, name, group=None):
        credentials = Credentials()
        credentials.guess(self.lp)
        credentials.set_username(self.args.user)
        credentials.set_password(self.args.password)
        credentials.set_kerberos_state(DONT_USE_KERBEROS)
        self.add(name, group, credentials, 'ntlm', 'seal')

    def open(self, name):
        self.handle = self.by_name[name].OpenHKLM(None, 0x02000000)

    def use(self, name):
        return self.by_name[name].GetVersion(self.handle)

    def close(self, name):
        self.by_name[name].CloseKey(self.handle)

    def end(self, name):
        del self.by_name[name]

    def lookup(self, name):
        found = self.by_name[name].epm_Lookup(0, misc.GUID(), epmapper.rpc_if_id_t(), 1, self.place, 1)
        self.place = found[0]
        ports = [each.tower.tower.floors[3].rhs.port for each in found[1]]
        return '%s, %s' % (ports, 'all' if self.place.uuid == misc.GUID() else 'more')

    def rewind(self):
        self.place = misc.policy_handle()

    def obey(self, line):
        word, *rest = line.split()
        try:
            if word not in ('connect', 'logon', 'open', 'use', 'close', 'end', 'lookup', 'rewind'):
                raise ValueError('no command ' + word)
            said = getattr(self, word)(*rest)
            return 'ok' if said is None else 'ok %s' % said
        except Exception as why:                            # any library error is an answer
            return 'failed: %s' % ' '.join(str(why).split())


def main():
    p = argparse.ArgumentParser(description="connections of Samba's client, and their association groups")
    p.add_argument('--server', required=True)
    p.add_argument('--proxy')
    p.add_argument('--user')
    p.add_argument('--password')
    p.add_argument('--timeout', type=int, default=30)
    args = p.parse_args()
    signal.alarm(args.timeout)                              # the C code waits with the interpreter held
    with tempfile.TemporaryDirectory(prefix='samba_groups.') as room:
        conf = os.path.join(room, 'smb.conf')
        with open(conf, 'w') as out:
            out.write('[global]\n' + ''.join(' %s = %s\n' % (name, room) for name in (
                'private dir', 'lock directory', 'state directory', 'cache directory')))
        lp = LoadParm()
        lp.load(conf)
        all_of_them = Connections(args, lp)
        for line in sys.stdin:
            print(all_of_them.obey(line), flush=True)


if __name__ == '__main__':
    main()
