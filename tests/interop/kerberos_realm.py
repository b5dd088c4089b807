#!/usr/bin/env python3
"""Runs a program inside a throw-away Kerberos realm.

kerberos_realm.py PROGRAM ARGUMENT...

The KDC listens on a free port of 127.0.0.1 and ends with the program. Principals: alice and bob with the
passwords alice-pw and bob-pw, host/localhost and HTTP/localhost with keys in $RPCH_KEYTAB, HTTP/gate.test with one in
$RPCH_OTHER_KEYTAB; alice has tickets in $KRB5CCNAME, WELLKNOWN/ANONYMOUS one for host/localhost in $RPCH_ANONYMOUS, if
kvno can get it. Everything is in one temporary folder. Exit code 77 if MIT's programs are not there.
"""
import contextlib
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time

REALM = "RPCH.TEST"
OTHER_SERVICE = "HTTP/gate.test"
SKIPPED = 77


def tool(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def write_configuration(folder, port):
    (folder / "krb5.conf").write_text(f"""[libdefaults]
default_realm = {REALM}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
qualify_shortname = ""
udp_preference_limit = 1
[realms]
{REALM} = {{
    kdc = 127.0.0.1:{port}
}}
[domain_realm]
localhost = {REALM}
""")
    (folder / "kdc.conf").write_text(f"""[kdcdefaults]
kdc_listen = 127.0.0.1:{port}
kdc_tcp_listen = 127.0.0.1:{port}
[realms]
{REALM} = {{
    database_name = {folder}/database
    key_stash_file = {folder}/stash
    acl_file = {folder}/acl
    supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal
}}
[logging]
default = FILE:{folder}/kerberos.log
kdc = FILE:{folder}/kdc.log
""")
    (folder / "acl").write_text("")


def environment(folder):
    out = dict(os.environ)
    for name in [name for name in out if name.startswith("KRB5")]:
        del out[name]
    out.update(KRB5_CONFIG=f"{folder}/krb5.conf", KRB5_KDC_PROFILE=f"{folder}/kdc.conf",
               KRB5CCNAME=f"FILE:{folder}/tickets", KRB5_KTNAME=f"FILE:{folder}/nothing",
               KRB5_CLIENT_KTNAME=f"FILE:{folder}/nothing", KRB5RCACHENAME=f"file2:{folder}/replays",
               RPCH_KEYTAB=f"{folder}/keytab", RPCH_OTHER_KEYTAB=f"{folder}/other_keytab",
               RPCH_ANONYMOUS=f"FILE:{folder}/anonymous")
    return out


def get_anonymous_ticket(env, kinit):
    """Without PKINIT, by which anybody gets one: the service asks for a ticket to itself in that name (S4U2Self)."""
    kvno = tool("kvno")
    if not kvno:
        return
    env = dict(env, KRB5CCNAME=env["RPCH_ANONYMOUS"] + ".service")
    for words in ([kinit, "-k", "-t", env["RPCH_KEYTAB"], "host/localhost"],
                  [kvno, "-I", "WELLKNOWN/ANONYMOUS", "--out-cache", env["RPCH_ANONYMOUS"], "host/localhost"]):
        subprocess.run(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30, check=False)


def answers(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def available():
    return all(tool(name) for name in ("krb5kdc", "kdb5_util", "kadmin.local", "kinit"))


@contextlib.contextmanager
def realm():
    """A realm that lives as long as the context: the environment of programs in it."""
    programs = {name: tool(name) for name in ("krb5kdc", "kdb5_util", "kadmin.local", "kinit")}
    with tempfile.TemporaryDirectory(prefix="rpch-realm-") as name:
        folder = pathlib.Path(name)
        port = free_port()
        write_configuration(folder, port)
        env = environment(folder)

        def run(program, *words, **more):
            done = subprocess.run([programs[program], *words], env=env, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=30, check=False, **more)
            if done.returncode != 0:
                raise SystemExit(f"{program}: {done.stdout}")

        run("kdb5_util", "-r", REALM, "-P", secrets.token_hex(16), "create", "-s", "-W")
        orders = ["addprinc -pw alice-pw alice", "addprinc -pw bob-pw bob", "addprinc -randkey WELLKNOWN/ANONYMOUS"]
        for service, keytab in (("host/localhost", "keytab"), ("HTTP/localhost", "keytab"),
                                (OTHER_SERVICE, "other_keytab")):
            orders += [f"addprinc -randkey {service}", f"ktadd -k {folder}/{keytab} {service}"]
        run("kadmin.local", "-r", REALM, input="\n".join(orders) + "\n")
        with open(folder / "kdc.out", "wb") as out:
            kdc = subprocess.Popen([programs["krb5kdc"], "-n", "-r", REALM, "-P", f"{folder}/pid"], env=env,
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            until = time.monotonic() + 10
            while not answers(port):
                if kdc.poll() is not None or time.monotonic() > until:
                    print((folder / "kdc.out").read_text(errors="replace"))
                    raise SystemExit("the KDC does not answer")
                time.sleep(0.05)
            run("kinit", "alice", input="alice-pw\n")
            get_anonymous_ticket(env, programs["kinit"])
            yield env
        finally:
            kdc.terminate()
            kdc.wait(10)


def main(arguments):
    if not available():
        print("skipped: MIT's KDC is not installed")
        return SKIPPED
    with realm() as env:
        return subprocess.run(arguments, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
