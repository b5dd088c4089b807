#!/usr/bin/env python3
"""A Samba domain controller on loopback: a DCE/RPC server over ncacn_ip_tcp that nobody here wrote.

    with DomainController() as dc: ...      provisions it, starts it, ends it, removes it
    samba_dc.py FOLDER                      the same by hand: runs until SIGTERM or SIGINT

It listens on an address of 127/8 of its own, since four of its ports cannot be moved: 88 (Kerberos), 135 (endpoint
mapper), 389 and 464. Needs root, and Debian's samba, samba-ad-provision, samba-dsdb-modules and python3-samba; the
package samba-vfs-modules is not needed, because nothing here serves files (see `provision`).
"""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from lab import PEER_PYTHON, Failed, expect, run

REALM, DOMAIN, HOST = 'LAB.TEST', 'LAB', 'labdc'
ADMIN, ADMIN_PASSWORD = 'Administrator', 'Passw0rd.lab'
OTHER, OTHER_PASSWORD = 'otheruser', 'Passw0rd.other'
# SamrConnect, IDL_DRSBind and is_server_listening: interface, operation, stub data.
SAMR = '12345778-1234-abcd-ef00-0123456789ac@1.0', '0', '0000000000000002'
DRSUAPI = 'e3514235-4b06-11d1-ab04-00c04fc2dcd2@4.0', '0', '00' * 8
MGMT = 'afa8bd80-7d8a-11c9-bef4-08002b102989@1.0', '2', ''
# How a wrong password is told to our client there: after the third leg of NTLM, which has no answer, by the fault of the
# first call; after that of SPNEGO by its answer; and by a key distribution centre before anything is sent.
WRONG_PASSWORD = {'ntlm': 'nca_s_proto_error.*; the server refused the credentials',
                  'negotiate': 'RPC_S_SEC_PKG_ERROR.*; the server refused the credentials',
                  'kerberos': 'name or password.*; check the password'}
CONFIGURATION = """[global]
    workgroup = {domain}
    realm = {realm}
    netbios name = {name}
    server role = active directory domain controller
    interfaces = {address}/8
    bind interfaces only = yes
    server services = rpc, ldap, cldap, kdc
    dcerpc endpoint servers = epmapper, samr, netlogon, lsarpc, drsuapi, dssetup, remote
    allow dcerpc auth level connect:samr = yes
    rpc server port = {netlogon_port}
    rpc server dynamic port range = {rpc_port}-{rpc_port}
    tls enabled = no
    load printers = no
    printcap name = /dev/null
    log level = 1
    private dir = {room}/private
    lock directory = {room}
    state directory = {room}/state
    cache directory = {room}/cache
    pid directory = {room}
    ncalrpc dir = {room}/ncalrpc
    binddns dir = {room}/bind-dns
    winbindd socket directory = {room}/winbindd
    ntp signd socket directory = {room}/ntp_signd
"""


def provision(room):
    """The domain's databases, in a folder that is empty. Called in an interpreter that has Samba's modules.

    `samba-tool domain provision` does the same and then writes access lists of the shared folder sysvol by way of the
    file server's module acl_xattr, which is in a package that only a file server needs (samba-vfs-modules) and which
    wants extended attributes of the file system. Only the function lets one leave that out."""
    import logging

    from samba.auth import system_session
    from samba.dsdb import DS_DOMAIN_FUNCTION_2008_R2
    from samba.param import LoadParm
    from samba.provision import provision as samba_provision
    empty = os.path.join(room, 'empty.conf')                # away from the system's smb.conf
    with open(empty, 'w') as out:
        out.write('[global]\n')
    settings = LoadParm()
    settings.load(empty)
    made = samba_provision(logging.getLogger('provision'), system_session(), smbconf=empty, targetdir=room, lp=settings,
                           realm=REALM, domain=DOMAIN, hostname=HOST, hostip='127.0.0.1', adminpass=ADMIN_PASSWORD,
                           serverrole='active directory domain controller', dns_backend='NONE',
                           dom_for_fun_level=DS_DOMAIN_FUNCTION_2008_R2, skip_sysvolacl=True)
    made.samdb.newuser(OTHER, OTHER_PASSWORD)


def answers(address, port):
    try:
        socket.create_connection((address, port), 1).close()
        return True
    except OSError:
        return False


class DomainController:
    """Attributes: `address`, the ports `epmap_port`, `rpc_port` (SAMR, LSARPC, DRSUAPI) and `netlogon_port`, and
    `name`, its name for Kerberos."""

    epmap_port = 135
    name = HOST + '.' + REALM.lower()

    def __init__(self, room=None):
        self.kept = room is not None
        self.room = os.path.abspath(room or tempfile.mkdtemp(prefix='rpch_dc.'))
        self.process = None
        self.settings = ()

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        # Several may run at the same time, each on an address that follows from a process id.
        pid = os.getpid()
        self.address = '127.%d.%d.%d' % (64 + (pid >> 16) % 64, (pid >> 8) & 255, 1 + (pid & 255) % 254)
        self.netlogon_port, self.rpc_port = self.free_ports(2)
        os.makedirs(self.room, exist_ok=True)
        if not os.path.exists(os.path.join(self.room, 'provisioned')):
            code, said = run([PEER_PYTHON, os.path.abspath(__file__), '--provision', self.room], 120)
            expect(code == 0, 'provisioning the domain failed:\n' + said[-3000:])
            open(os.path.join(self.room, 'provisioned'), 'w').close()
        conf = os.path.join(self.room, 'lab.conf')
        with open(conf, 'w') as out:
            out.write(CONFIGURATION.format(domain=DOMAIN, realm=REALM, name=HOST.upper(), address=self.address,
                                           netlogon_port=self.netlogon_port, rpc_port=self.rpc_port, room=self.room))
            out.writelines('    %s\n' % each for each in self.settings)
        self.log = os.path.join(self.room, 'samba.log')
        with open(self.log, 'w') as out:
            self.process = subprocess.Popen(
                ['samba', '--foreground', '--no-process-group', '-M', 'single', '-s', conf, '--debug-stdout'],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        give_up = time.monotonic() + 30
        while not all(answers(self.address, port) for port in (self.epmap_port, self.rpc_port, 88)):
            if self.process.poll() is not None or time.monotonic() > give_up:
                raise Failed('the domain controller did not come up\n' + self.tail())
            time.sleep(0.1)

    def free_ports(self, count):
        held = [socket.create_server((self.address, 0)) for _ in range(count)]
        ports = [one.getsockname()[1] for one in held]
        for one in held:
            one.close()
        return ports

    @property
    def keytab(self):
        """The keys of the controller's own principals, host/NAME among them, for a server that stands in for it."""
        return os.path.join(self.room, 'private', 'secrets.keytab')

    def kerberos(self, room):
        """The environment of a Kerberos library, MIT's or Samba's, in the realm; its files are in a folder."""
        conf = os.path.join(room, 'krb5.conf')
        with open(conf, 'w') as out:
            out.write('[libdefaults]\n default_realm = %s\n dns_lookup_kdc = false\n dns_lookup_realm = false\n'
                      ' dns_canonicalize_hostname = false\n rdns = false\n udp_preference_limit = 1\n'
                      '[realms]\n %s = {\n  kdc = %s\n }\n[domain_realm]\n .%s = %s\n'
                      % (REALM, REALM, self.address, REALM.lower(), REALM))
        return {'KRB5_CONFIG': conf, 'KRB5CCNAME': 'FILE:' + os.path.join(room, 'ccache'), 'KRB5RCACHENAME': 'none:'}

    def called_by_us(self, lab, binding, mechanism, level, what=SAMR, password=ADMIN_PASSWORD, more=(),
                     environment=None):
        """`rpch call` as the domain's administrator; its exit code and all it said."""
        secret = lab.path('secret_of_the_administrator')
        with open(secret, 'w') as out:
            out.write(password + '\n')
        user = DOMAIN + '\\' + ADMIN if mechanism == 'ntlm' else ADMIN + '@' + REALM
        return run([lab.program, 'call', binding, what[0], what[1], '--stub', what[2], '--rpc-user', user,
                    '--rpc-password-file', secret, '--rpc-auth', mechanism, '--auth-level', level,
                    '--target', 'host/' + self.name, *more], 30, environment or self.kerberos(lab.room))

    def tail(self):
        with open(self.log, errors='replace') as file:
            return ''.join(file.readlines()[-25:])

    def restart(self, *settings):
        """With further lines of its configuration; at the same address, with other ports."""
        self.end()
        self.settings = settings
        self.start()

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def stop(self):
        self.end()
        if not self.kept:
            shutil.rmtree(self.room, ignore_errors=True)


def by_hand(room):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with DomainController(room) as dc:
        print('%s at %s, endpoint mapper %d, SAMR %d, NETLOGON %d; %s\\%s has the password %s' % (
            dc.name, dc.address, dc.epmap_port, dc.rpc_port, dc.netlogon_port, DOMAIN, ADMIN, ADMIN_PASSWORD),
            flush=True)
        try:
            dc.process.wait()
        except KeyboardInterrupt:
            pass


if __name__ == '__main__':
    if len(sys.argv) == 3 and sys.argv[1] == '--provision':
        provision(sys.argv[2])
    elif len(sys.argv) == 2:
        by_hand(sys.argv[1])
    else:
        print(__doc__, file=sys.stderr)
        sys.exit(1)
