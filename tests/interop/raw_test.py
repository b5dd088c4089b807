#!/usr/bin/env python3
"""Samba's tests of raw PDUs, whose expectations were found at Windows Server 2012 R2, against a server of ours.

They go to port 135, so each run has a network of its own: `unshare --net`. By hand, within one:
    raw_test.py --within PROGRAM [WORD]        the cases whose names contain WORD"""
import fnmatch
import os
import shutil
import subprocess
import sys
import tempfile

import lab as shared
from lab import HERE, PEER_PYTHON, Failed, Program, Skipped, case, expect, run

# Cases that are not run, and why; README.md counts them.
LEFT_OUT = {
    'test_krb5_*': 'Kerberos: no provider, and no domain controller to ask for tickets',
    'test_lsa_multi_auth_*': 'over SMB named pipes, which are not our transport',
    'test_assoc_group_ok2': 'over SMB named pipes',
    'test_assoc_group_fail3': 'over SMB named pipes',
    'test_spnego_multiple_auth_hdr_signing': 'expects Kerberos behind SPNEGO: NTLM signs headers always',
}
# Cases in which we differ from Windows: docs/conformance.md says why. One that passes fails the test.
DIFFERENT = {
    'test_spnego_packet_bind_none', 'test_spnego_integrity_bind_none', 'test_spnego_privacy_bind_none',
    'test_spnego_privacy_bind_sign', 'test_spnego_packet_downgrade_connect', 'test_spnego_change_auth_type1',
    'test_spnego_change_auth_type3',
}


def left_out(name):
    return any(fnmatch.fnmatchcase(name, one) for one in LEFT_OUT)


def names():
    code, said = run([PEER_PYTHON, '-c', 'import unittest, samba.tests.dcerpc.raw_protocol as r\n'
                      'print(*unittest.TestLoader().getTestCaseNames(r.TestDCERPC_BIND))'], 60)
    expect(code == 0, said)
    return said.split()


def within(program, only):
    """In a network namespace of our own: the server, the cases, the verdicts."""
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    server = Program([os.path.join(os.path.dirname(program), 'interop_raw_server'), '135'], listeners=1)
    room = tempfile.mkdtemp(prefix='rpch_interop.')
    try:
        with open(os.path.join(room, 'smb.conf'), 'w') as out:
            out.write('[global]\n workgroup = WORKGROUP\n' + ''.join(' %s = %s\n' % (name, room) for name in (
                'private dir', 'lock directory', 'state directory', 'cache directory')))
        settings = {'SMB_CONF_PATH': os.path.join(room, 'smb.conf'), 'SERVER': '127.0.0.1',
                    'TARGET_HOSTNAME': '127.0.0.1', 'USERNAME': 'tester', 'PASSWORD': 'secret',
                    'DOMAIN': 'WORKGROUP', 'REALM': 'WORKGROUP', 'IGNORE_RANDOM_PAD': '1'}
        os.environ.update(settings)
        code, said = run([PEER_PYTHON, os.path.join(HERE, 'samba_raw.py'), '--only', only or 'test_',
                          *filter(left_out, names())], 150)
        print(said)
        if code != 0:
            print('\n'.join(server.latest(25)))
        server.stop()
    finally:
        server.kill()
        shutil.rmtree(room, ignore_errors=True)
    return code or 0


@case('python3-samba')
def windows_server_2012_r2(lab):
    for words in (['unshare', '--net'], ['unshare', '--user', '--map-root-user', '--net']):
        if shutil.which('unshare') and run([*words, 'ip', 'link', 'set', 'lo', 'up'], 20)[0] == 0:
            break
    else:
        raise Skipped('unshare --net is not allowed here')
    if run([PEER_PYTHON, '-c', 'import samba.tests.dcerpc.raw_protocol'], 60)[0] != 0:
        raise Skipped('this python3-samba comes without its tests')
    code, said = run([*words, sys.executable, os.path.abspath(__file__), '--within', lab.program], 170)
    verdicts = [line.split(' ', 2) for line in said.splitlines()
                if line.split(' ', 1)[0] in ('passed', 'failed', 'skipped')]
    found = {words[1]: words[0] for words in verdicts}
    print('%d passed, %d differ; %d are not run' % (
        sum(one == 'passed' for one in found.values()), sum(one != 'passed' for one in found.values()),
        sum(map(left_out, names()))))
    wrong = [name for name, verdict in found.items() if (verdict == 'passed') == (name in DIFFERENT)]
    if code != 0 or wrong or set(found) != {name for name in names() if not left_out(name)}:
        raise Failed('%s\nnot as expected: %s' % (said, ', '.join(wrong)))


if __name__ == '__main__':
    if sys.argv[1:2] == ['--within']:
        sys.exit(within(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else ''))
    sys.exit(shared.main())
