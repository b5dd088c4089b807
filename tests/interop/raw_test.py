#!/usr/bin/env python3
"""Samba's tests of raw PDUs, whose expectations were found at Windows Server 2012 R2, against a server of ours.

They go to port 135, so each run has a network of its own: `unshare --net`. By hand, within one:
    raw_test.py --within PROGRAM [WORD]        the cases whose names contain WORD
    raw_test.py --within-realm PROGRAM [WORD]  the same for the cases that use Kerberos, in a realm of their own"""
import fnmatch
import os
import shutil
import subprocess
import sys
import tempfile

import lab as shared
from lab import HERE, PEER_PYTHON, Failed, Program, Skipped, case, expect, run
from samba_dc import ADMIN, ADMIN_PASSWORD, DOMAIN, REALM, DomainController

# Cases that use Kerberos and are run in a realm; without one the user there is `tester`, of NTLM.
WITH_KERBEROS = ('test_krb5_*', 'test_spnego_multiple_auth_hdr_signing')
# Cases that are not run, and why; README.md counts them.
LEFT_OUT = {
    'test_lsa_multi_auth_*': 'over SMB named pipes, which are not our transport',
    'test_assoc_group_ok2': 'over SMB named pipes',
    'test_assoc_group_fail3': 'over SMB named pipes',
}
# Cases in which we differ from Windows: docs/conformance.md says why. One that passes fails the test.
DIFFERENT = {
    'test_spnego_packet_bind_none', 'test_spnego_integrity_bind_none', 'test_spnego_privacy_bind_none',
    'test_spnego_privacy_bind_sign', 'test_spnego_packet_downgrade_connect',
}


def fits(name, patterns):
    return any(fnmatch.fnmatchcase(name, one) for one in patterns)


def names():
    """Of the cases with NTLM, of those with Kerberos, and of those that are not run."""
    code, said = run([PEER_PYTHON, '-c', 'import unittest, samba.tests.dcerpc.raw_protocol as r\n'
                      'print(*unittest.TestLoader().getTestCaseNames(r.TestDCERPC_BIND))'], 60)
    expect(code == 0, said)
    every = said.split()
    left_out = [name for name in every if fits(name, LEFT_OUT)]
    kerberos = [name for name in every if fits(name, WITH_KERBEROS)]
    return [name for name in every if name not in left_out + kerberos], kerberos, left_out


def verdicts_of(program, chosen, keytab, settings):
    """In a network namespace of our own: the server, the cases, the verdicts."""
    server = Program([os.path.join(os.path.dirname(program), 'interop_raw_server'), '135', *keytab], listeners=3)
    room = tempfile.mkdtemp(prefix='rpch_interop.')
    try:
        with open(os.path.join(room, 'smb.conf'), 'w') as out:
            out.write('[global]\n workgroup = %s\n realm = %s\n' % (settings['DOMAIN'], settings['REALM']) + ''.join(
                ' %s = %s\n' % (name, room) for name in (
                    'private dir', 'lock directory', 'state directory', 'cache directory')))
        code, said = run([PEER_PYTHON, os.path.join(HERE, 'samba_raw.py'), *chosen], 150, dict(
            settings, SMB_CONF_PATH=os.path.join(room, 'smb.conf'), SERVER='127.0.0.1', IGNORE_RANDOM_PAD='1'))
        print(said)
        if code != 0:
            print('\n'.join(server.latest(25)))
        server.stop()
    finally:
        server.kill()
        shutil.rmtree(room, ignore_errors=True)
    return code or 0


def within(program, word):
    return verdicts_of(program, [name for name in names()[0] if word in name], [], {
        'TARGET_HOSTNAME': '127.0.0.1', 'USERNAME': 'tester', 'PASSWORD': 'secret', 'DOMAIN': 'WORKGROUP',
        'REALM': 'WORKGROUP'})


def within_realm(program, word):
    with DomainController() as dc, tempfile.TemporaryDirectory(prefix='rpch_interop.') as room:
        return verdicts_of(program, [name for name in names()[1] if word in name], [dc.keytab], dict(
            dc.kerberos(room), TARGET_HOSTNAME=dc.name, USERNAME=ADMIN, PASSWORD=ADMIN_PASSWORD, DOMAIN=DOMAIN,
            REALM=REALM))


def alone(lab, how, expected):
    """Runs this file in a network of its own, and compares the verdicts."""
    for words in (['unshare', '--net'], ['unshare', '--user', '--map-root-user', '--net']):
        if shutil.which('unshare') and run([*words, 'ip', 'link', 'set', 'lo', 'up'], 20)[0] == 0:
            break
    else:
        raise Skipped('unshare --net is not allowed here')
    if run([PEER_PYTHON, '-c', 'import samba.tests.dcerpc.raw_protocol'], 60)[0] != 0:
        raise Skipped('this python3-samba comes without its tests')
    code, said = run([*words, sys.executable, os.path.abspath(__file__), how, lab.program], 170)
    verdicts = [line.split(' ', 2) for line in said.splitlines()
                if line.split(' ', 1)[0] in ('passed', 'failed', 'skipped')]
    found = {words[1]: words[0] for words in verdicts}
    print('%d passed, %d differ' % (
        sum(one == 'passed' for one in found.values()), sum(one != 'passed' for one in found.values())))
    wrong = [name for name, verdict in found.items() if (verdict == 'passed') == (name in DIFFERENT)]
    if code != 0 or wrong or set(found) != set(expected):
        raise Failed('%s\nnot as expected: %s' % (said, ', '.join(wrong)))


@case('python3-samba')
def windows_server_2012_r2(lab):
    ntlm, _, left_out = names()
    alone(lab, '--within', ntlm)
    print('%d are not run' % len(left_out))


@case('a Samba domain controller')
def windows_server_2012_r2_with_kerberos(lab):
    alone(lab, '--within-realm', names()[1])


if __name__ == '__main__':
    if sys.argv[1:2] in (['--within'], ['--within-realm']):
        subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
        sys.exit((within if sys.argv[1] == '--within' else within_realm)(
            sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else 'test_'))
    sys.exit(shared.main())
