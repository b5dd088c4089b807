#!/usr/bin/env python3
"""`rpch passwd`: what becomes of the file, and of the terminal."""
import os
import pty
import signal
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, 'interop'))

from lab import PASSWORD, Skipped, case, expect, main, run  # noqa: E402  (the folder comes first)


@case()
def the_owner_of_the_file_stays(lab):
    if os.geteuid() != 0:
        raise Skipped('only root can give files away')
    users = lab.users(PASSWORD)
    os.chown(users, 65534, 65533)
    lab.users(PASSWORD, user='another')
    now = os.stat(users)
    expect((now.st_uid, now.st_gid, now.st_mode & 0o777) == (65534, 65533, 0o600), now)


@case()
def a_name_that_no_file_can_hold_is_wrong_usage(lab):
    for name in ('a:b', ''):
        done = subprocess.run([lab.program, 'passwd', lab.path('users'), name], input='x\n', stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=30)
        expect(done.returncode == 2 and not os.path.exists(lab.path('users')), '%s: %s' % (name, done))
    code, said = run([lab.program, 'passwd', lab.path('users'), 'a'], 10)
    expect(code == 2 and 'no password' in said, said)


@case()
def a_file_that_is_none_of_users_is_wrong_usage(lab):
    with open(lab.path('other'), 'w') as file:
        file.write('no user here\n')
    for file, words in ((lab.room, ' is no file'), (lab.path('other'), ', line 1: '),
                        (os.path.join(lab.path('other'), 'users'), 'cannot read ')):
        done = subprocess.run([lab.program, 'passwd', file, 'a'], input='x\n', stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=30)
        expect(done.returncode == 2 and (file + words in done.stdout or words + file in done.stdout), done)


@case()
def a_broken_hash_of_another_user_is_told(lab):
    users = lab.users(PASSWORD)
    with open(users, 'a') as file:
        file.write('broken:!\n')
    for user, warns in (('another', True), ('broken', False)):
        done = subprocess.run([lab.program, 'passwd', users, user], input='x\n', stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=30)
        expect(done.returncode == 0 and ('line 2 still has a hash that is none' in done.stdout) == warns, done)


@case()
def an_interrupted_prompt_leaves_a_terminal_with_echo(lab):
    near, far = pty.openpty()
    process = subprocess.Popen([lab.program, 'passwd', lab.path('users'), 'a'], stdin=far, stdout=far, stderr=far)
    give_up = time.monotonic() + 10
    while termios.tcgetattr(far)[3] & termios.ECHO and time.monotonic() < give_up:
        time.sleep(0.01)
    expect(not termios.tcgetattr(far)[3] & termios.ECHO, 'the password is shown')
    process.send_signal(signal.SIGINT)
    expect(process.wait(10) == -signal.SIGINT, 'it did not end by the signal: %s' % process.returncode)
    expect(termios.tcgetattr(far)[3] & termios.ECHO, 'no echo any more')
    expect(not os.path.exists(lab.path('users')), 'it wrote a file')
    os.close(near)
    os.close(far)


if __name__ == '__main__':
    sys.exit(main())
