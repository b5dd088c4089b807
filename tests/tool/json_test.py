#!/usr/bin/env python3
"""`rpch call --json`: one object on stdout whatever happens, and the exit code of the answer for people."""
import json
import os
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, 'interop'))

from lab import case, expect, free_port, main  # noqa: E402  (the folder comes first)

ECHO = '60a15ec5-4de8-11d7-a637-005056a20182@1.0'


def called(lab, *words):
    """The object of a call with --json; its exit code and the one without --json."""
    one, other = (subprocess.run([lab.program, 'call', *words, *more], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, timeout=30) for more in (('--json',), ()))
    expect(one.returncode == other.returncode, '%s: %s and %s' % (words, one.returncode, other.returncode))
    expect(one.returncode == 0 or (not other.stdout and other.stderr), 'the text for people: %s' % other)
    lines = one.stdout.decode('utf-8').splitlines()         # strict
    expect(len(lines) == 1, '%s: not one line: %s' % (words, lines))
    return one.returncode, json.loads(lines[0])


@case()
def wrong_usage(lab):
    tcp = 'ncacn_ip_tcp:127.0.0.1[1]'
    for words, text in (((tcp, ECHO), 'OPNUM is required'), ((tcp, ECHO, 'x'), 'OPNUM'), ((tcp, 'x', '0'), 'UUID@MAJOR'),
                        ((tcp, ECHO, '0', '--unknown'), '--unknown'), ((tcp, ECHO, '0', '--ca', '/x'), '--ca is for TLS'),
                        ((tcp, ECHO, '0', '--stub', 'x'), 'hexadecimal'), (('x', ECHO, '0'), "BINDING 'x'"),
                        (('ncacn_http:a[1,RpcProxy=b:1]', ECHO, '0', '--ca', '/nowhere'), '/nowhere')):
        code, said = called(lab, *words)
        expect(code == 2 and said['ok'] is False and text in said['message'] + said.get('detail', ''),
               '%s: %s, %s' % (words, code, said))
        expect(said['said_by'] == 'this program' and said['category'] and said['code'], said)


@case()
def whatever_was_written_is_escaped(lab):
    code, said = called(lab, b'a"b\\c\n\x01\x7f\xc3\xa4\xff\xed\xa0\x80\xf4\x8f\xbf\xbf', ECHO, '0')
    expect(code == 2 and 'a"b\\c\n\x01\x7f\u00e4\ufffd\ufffd\ufffd\ufffd\U0010ffff' in said['message'], said)


@case()
def a_failure_tells_who_said_it(lab):
    code, said = called(lab, 'ncacn_ip_tcp:127.0.0.1[%d]' % free_port(), ECHO, '0')
    expect(code == 1 and said['said_by'] == 'network' and said['category'] == 'rpch', said)
    expect('refused' in said['detail'] and said['next_step'] and 'TCP connection to' in said['where'], said)
    expect(said['did_not_execute'] is True, said)


@case()
def a_fault_has_the_number_of_its_status(lab):
    lab.serve()
    to = 'ncacn_ip_tcp:127.0.0.1[%d]' % lab.tcp
    code, said = called(lab, to, ECHO, '999')
    expect(code == 1 and said['said_by'] == 'RPC server (fault)', said)
    expect((said['category'], said['code']) == ('rpc_status', 0x1c010002), said)
    code, said = called(lab, to, ECHO, '0', '--stub', '29000000')
    expect(code == 0 and said == {'ok': True, 'stub': '2a000000'}, said)


@case()
def words_of_a_hostile_proxy_are_escaped(lab):
    listener = socket.create_server(('127.0.0.1', 0))

    def answer():
        while True:
            try:
                one = listener.accept()[0]
                one.recv(65536)
                one.sendall(b'HTTP/1.1 503 "no" \\ \xff\xfe\r\nContent-Length: 0\r\n\r\n')
                one.close()
            except OSError:
                return
    threading.Thread(target=answer, daemon=True).start()
    code, said = called(lab, 'ncacn_http:a[1,RpcProxy=127.0.0.1:%d,HttpUseTls=false]' % listener.getsockname()[1],
                        ECHO, '0')
    expect(code == 1 and said['ok'] is False and said['said_by'] == 'HTTP server', said)
    print(said)


if __name__ == '__main__':
    sys.exit(main())
