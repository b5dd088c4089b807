#!/usr/bin/env python3
"""Turns rts_pdus.json, the generated examples of [MS-RPCH] 2.2.4, into the text files beside this script.

usage: make_vectors.py rts_pdus.json

Columns are separated by tabs; lines that begin with '#' tell the source. A command is written as its type
and its fields: `6:1`, `3:a0a1...`, `1:bytes,window,cookie`, `8:count`, `11:address type,raw bytes`.
"""
import json
import pathlib
import struct
import sys

SOURCE = "rts_pdus.json, generated from the tables of [MS-RPCH] 2.2.3 and 2.2.4"
HERE = pathlib.Path(__file__).parent


def command(c):
    return f"{c['type']}:" + ",".join(str(value) for value in c["fields"].values())


def commands(pdu):
    return " ".join(command(c) for c in pdu["commands"]) or "-"


def big_endian(pdu):
    """The same PDU from a big-endian sender: integers turned, cookies and addresses untouched."""
    body = b""
    for c in pdu["commands"]:
        body += struct.pack(">I", c["type"])
        for value in c["fields"].values():
            body += struct.pack(">I", value) if isinstance(value, int) else bytes.fromhex(value)
    head = bytes.fromhex("0500140300000000")
    head += struct.pack(">HHIHH", 20 + len(body), 0, 0, pdu["flags"], len(pdu["commands"]))
    return (head + body).hex()


def write(name, columns, rows, note=""):
    lines = [f"# source: {SOURCE}{note}", "# made by make_vectors.py", "# columns: " + ", ".join(columns)]
    lines += ["\t".join(str(cell) for cell in row) for row in rows]
    (HERE / name).write_text("\n".join(lines) + "\n", encoding="ascii")


def main():
    data = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    pdus, variants = data["pdus"], data["variants"]
    write("pdus.tsv", ["name", "section", "flags", "commands", "hex"],
          [(p["name"], p["section"], p["flags"], commands(p), p["hex"]) for p in pdus])
    write("variants.tsv", ["name", "base", "flags", "commands", "hex"],
          [(p["name"], p["base"], p["flags"], commands(p), p["hex"]) for p in variants])
    write("big_endian.tsv", ["name", "base", "flags", "commands", "hex"],
          [(p["name"], p.get("base", p["name"]), p["flags"], commands(p), big_endian(p))
           for p in pdus + variants], ", with the integers turned to big-endian")
    write("streams.tsv", ["name", "parts", "hex"],
          [(s["name"], "|".join(s["parts"]), s["hex"]) for s in data["streams"]])
    write("malformed.tsv", ["name", "class", "section", "hex"],
          [(m["name"], m["class"], m["section"], m["hex"]) for m in data["malformed"]])
    write("signatures.tsv", ["flags", "command types", "names"],
          [(s["flags"], " ".join(map(str, s["commands"])) or "-", ", ".join(s["names"]))
           for s in data["signatures"]])
    write("forwarding.tsv", ["sender", "destination", "next hop"],
          [(f["sender"], f["destination"], f["next_hop"]) for f in data["forwarding"]])


if __name__ == "__main__":
    main()
