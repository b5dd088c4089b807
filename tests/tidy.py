#!/usr/bin/env python3
"""Checks the rules of the house that no compiler checks.

tidy.py [FOLDER]         check the tree; one line per finding; exit 1 if there is one
tidy.py --write [FOLDER] write the list of headers in include/rpch/rpch.hpp
tidy.py --format PROGRAM [FOLDER]
                         check that the sources are as clang-format PROGRAM writes them
tidy.py --self-test      show that every rule finds what it is for
"""
import pathlib
import re
import subprocess
import sys
import tempfile

COMMON = "dcerpc/common_header.hpp"
LOWER = ["core", "dcerpc", "http", "ndr", "auth", "rts", "channel"]
FACADE = ["core", "dcerpc", "http", "ndr", "auth", "channel", "transport"]
# What a room may include of ours, beside itself and the files of include/rpch. A file name allows that file only.
MAY_INCLUDE = {
    "": ["core"],
    "core": [],
    "dcerpc": ["core", "auth"],
    "http": ["core"],
    "ndr": ["core"],
    "auth": ["core"],
    "rts": ["core", COMMON],
    "channel": ["core", COMMON, "rts", "http", "auth"],
    "services": ["core", "ndr", "auth"],
    "transport": LOWER,
    "client": FACADE + ["services"],
    "proxy": FACADE,
    # A server that lets clients in by HTTPS has the proxy roles in it.
    "server": FACADE + ["services", "proxy"],
}
WITH_ASIO = ["transport", "client", "proxy", "server"]
SOURCES = (".hpp", ".ipp", ".cpp")
TEXTS = SOURCES + (".md", ".txt", ".cmake", ".in", ".json", ".py", ".sh", "")
# The parts are joined here so that this file does not find itself.
MACHINE_PATHS = re.compile("|".join(["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", r"\.\./sha" + "red"]))


class Tree:
    """The files of the project, and the findings about them."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.findings = []

    def files(self, folder=".", suffixes=TEXTS):
        for path in sorted((self.root / folder).rglob("*")):
            name = path.relative_to(self.root)
            if name.parts[0].startswith((".git", "build", ".cache")) or "__pycache__" in name.parts:
                continue
            if path.is_file() and path.suffix in suffixes and "corpus" not in name.parts:
                yield name.as_posix()

    def text(self, name):
        path = self.root / name
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    def find(self, rule, name, message, line=0):
        self.findings.append((rule, f"{name}:{line}: {message}" if line else f"{name}: {message}"))


def code_of(text):
    """The text without comments and without what literals hold; every line stays where it is."""
    def blank(match):
        found = match.group(0)
        if found.startswith(("//", "/*")):
            return "\n" * found.count("\n")
        return '""' if found.startswith('"') else found if len(found) > 4 else "' '"
    literal = r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])'"
    return re.sub(literal, blank, text, flags=re.S)


def room_of(name):
    parts = pathlib.PurePosixPath(name).parts[2:-1]  # below include/rpch
    return parts[0] if parts and parts[0] not in ("impl", "detail") else ""


def is_list(name):
    """The files that gather all others."""
    return name == "include/rpch/rpch.hpp" or re.fullmatch(r"include/rpch/impl/src\w*\.hpp", name)


def allowed(room, target):
    own = pathlib.PurePosixPath(target).parts
    target_room = "" if len(own) == 1 or own[0] in ("impl", "detail") else own[0]
    may = MAY_INCLUDE[room]
    return target_room in ("", room) or target_room in may or target in may


def check_includes(tree):
    for name in tree.files("include", (".hpp", ".ipp")):
        room = room_of(name)
        if room not in MAY_INCLUDE:
            tree.find("room", name, f"no room '{room}' in the table of include rules")
            continue
        for number, line in enumerate(tree.text(name).splitlines(), 1):
            found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)', line)
            if not found:
                continue
            quote, target = found.groups()
            if quote == '"':
                tree.find("quotes", name, f"#include \"{target}\" in an installed file: write <rpch/...>", number)
            elif target.startswith("rpch/"):
                if not is_list(name) and not allowed(room, target[5:]):
                    tree.find("include", name, f"{room or 'a root file'} may not include <{target}>", number)
            elif not re.fullmatch(r"[a-z_0-9]+|tl/expected\.hpp|gsl/\w+", target) and room not in WITH_ASIO:
                tree.find("include", name, f"{room or 'a root file'} may not include <{target}>", number)
            elif target.startswith(("mbedtls/", "gssapi/", "krb5")) and room != "transport":
                tree.find("include", name, f"only transport includes <{target}>", number)


BELOW_TRANSPORT = [
    (r"::now\s*\(", "time is an argument below transport"),
    (r"\basio\b", "no Asio below transport"),
    (r"\bmbedtls", "no mbedTLS below transport"),
    (r"\brandom_device\b|\bmt19937", "randomness is an argument below transport"),
    (r"\bstd::(cout|cerr|clog)\b|\bf?printf\s*\(", "no printing below transport"),
    (r"\bstd::(jthread|thread)\b", "no threads below transport"),
]
IN_HEADERS = [
    (r"\bnamespace\s*\{", "anonymous namespace: every includer would get its own copy"),
    (r"\busing\s+namespace\b", "using namespace reaches every includer"),
    (r"^static\s", "static at namespace scope: every includer would get its own copy"),
    (r"^namespace\s+\w+\s*=", "namespace alias reaches every includer"),
    (r"^(?:const|constexpr)\s[^(]*(?:=|\{)", "a variable at namespace scope is inline constexpr"),
    (r"\b__COUNTER__\b", "__COUNTER__ differs between translation units"),
    (r"\bNDEBUG\b", "NDEBUG may differ between translation units"),
    (r"^namespace\s+rpch(?!::inline RPCH_ABI)\b", "write namespace rpch::inline RPCH_ABI"),
]


def check_code(tree):
    for name in tree.files("include", (".hpp", ".ipp")):
        lines = code_of(tree.text(name)).splitlines()
        rules = [("header", rule) for rule in IN_HEADERS if not name.endswith("/config.hpp")]
        if room_of(name) not in WITH_ASIO and not is_list(name):
            rules += [("below", rule) for rule in BELOW_TRANSPORT]
        for number, line in enumerate(lines, 1):
            if re.match(r"\s*#\s*(include|define)", line):
                continue
            for rule, (pattern, message) in rules:
                if re.search(pattern, line):
                    tree.find(rule, name, message, number)


def check_bodies(tree):
    """Every .ipp is compiled once by src/*.cpp, and included by a header in header-only mode."""
    headers = [n for n in tree.files("include", (".hpp",)) if not is_list(n)]
    included = set()
    for name in headers:
        included.update(re.findall(r"#\s*include\s*<([^>]+\.ipp)>", tree.text(name)))
    listed = {}
    for part in ("protocol", "transport"):
        name = f"include/rpch/impl/src_{part}.hpp"
        lines = re.findall(r"#\s*include\s*<([^>]+\.ipp)>", tree.text(name))
        listed[part] = set(lines)
        if lines != sorted(lines):
            tree.find("sorted", name, "the list is not sorted")
        for line in lines:
            if not (tree.root / "include" / line).is_file():
                tree.find("bodies", name, f"<{line}> does not exist")
    for name in tree.files("include", (".ipp",)):
        short = name[len("include/"):]
        parts = ["transport", "protocol"] if room_of(name) in WITH_ASIO else ["protocol"]
        if not any(short in listed[part] for part in parts):
            tree.find("bodies", name, f"missing in include/rpch/impl/src_{parts[0]}.hpp")
        if short not in included:
            tree.find("bodies", name, "no header includes it in header-only mode")


def guard_of(name):
    short = re.sub(r"^(include/rpch|src)/", "", name)
    return "RPCH_" + re.sub(r"[^A-Za-z0-9]", "_", short).upper()


def check_guards(tree):
    for folder in ("include", "src", "tests", "bench", "examples"):
        for name in tree.files(folder, (".hpp",)):
            guard = guard_of(name)
            if not re.search(rf"^#ifndef {guard}\n\s*#\s*define {guard}\n", tree.text(name), re.M):
                tree.find("guard", name, f"the include guard is not {guard}")


def check_paths(tree):
    for name in tree.files():
        for number, line in enumerate(tree.text(name).splitlines(), 1):
            if MACHINE_PATHS.search(line):
                tree.find("paths", name, "names a path of one machine", number)


def public_headers(tree):
    for name in tree.files("include", (".hpp",)):
        inner = name[len("include/"):].split("/")
        if not is_list(name) and "impl" not in inner and "detail" not in inner:
            yield "/".join(inner)


def umbrella_text(tree):
    lines = "".join(f"#include <{name}>\n" for name in public_headers(tree))
    return ("// Everything. `./dev format` writes the list; include single headers where compile time matters.\n"
            f"#ifndef RPCH_RPCH_HPP\n#define RPCH_RPCH_HPP\n\n{lines}\n#endif\n")


def check_umbrella(tree):
    if tree.text("include/rpch/rpch.hpp") != umbrella_text(tree):
        tree.find("umbrella", "include/rpch/rpch.hpp", "does not list the public headers: run ./dev format")


def check_examples(tree):
    """Code in README.md stands in the example that was named before it; every example is named there, and run."""
    readme = tree.text("README.md")
    for fence in re.finditer(r"^```.*\n((?:.*\n)*?)```$", readme, re.M):
        line = readme.count("\n", 0, fence.start()) + 1
        named = re.findall(r"\((examples/\w+\.[hc]pp)\)", readme[:fence.start()])
        if not named:
            tree.find("snippet", "README.md", "no example is named before this code", line)
        elif "\n" + fence.group(1) not in "\n" + tree.text(named[-1]):
            tree.find("snippet", "README.md", f"this code does not stand in {named[-1]}", line)
    script = "tests/loopback/run_examples.sh"
    for name in tree.files("examples", (".cpp",)):
        if f"({name})" not in readme:
            tree.find("example", name, "README.md does not name it")
        if not re.search(rf"/example_{pathlib.PurePosixPath(name).stem}\b", tree.text(script)):
            tree.find("example", name, f"{script} does not run it")


CHECKS = [check_includes, check_code, check_bodies, check_guards, check_paths, check_umbrella, check_examples]


def check_format(tree, formatter):
    """Compares the text: --dry-run also reports namespace comments that it would not change."""
    for folder in ("include", "src", "tests", "bench", "examples"):
        for name in tree.files(folder, SOURCES):
            wanted = subprocess.run([formatter, tree.root / name], check=True, capture_output=True, text=True).stdout
            if wanted != tree.text(name):
                tree.find("format", name, "is not formatted: run ./dev format")
    return tree.findings


def findings(root):
    tree = Tree(root)
    for check in CHECKS:
        check(tree)
    return tree.findings


def write_umbrella(root):
    tree = Tree(root)
    path = tree.root / "include/rpch/rpch.hpp"
    if not path.is_file() or path.read_text() != umbrella_text(tree):
        path.write_text(umbrella_text(tree))


# Each entry: the rule that must find it, the file that breaks the rule, and where it is found if not there.
H = "include/rpch/"
BAD = [
    ("room", H + "kitchen/x.hpp", ""),
    ("quotes", H + "core/x.hpp", '#include "y.hpp"\n'),
    ("include", H + "core/x.hpp", "#include <rpch/rts/pdu.hpp>\n"),
    ("include", H + "rts/x.hpp", "#include <rpch/dcerpc/bind.hpp>\n"),
    ("include", H + "http/x.hpp", "#include <rpch/auth/basic.hpp>\n"),
    ("include", H + "dcerpc/x.hpp", "#include <asio.hpp>\n"),
    ("include", H + "channel/x.hpp", "#include <rpch/transport/driver.hpp>\n"),
    ("include", H + "client/x.hpp", "#include <rpch/server/server.hpp>\n"),
    ("include", H + "proxy/x.hpp", "#include <rpch/server/server.hpp>\n"),
    ("include", H + "client/x.hpp", "#include <mbedtls/ssl.h>\n"),
    ("include", H + "auth/x.hpp", "#include <gssapi/gssapi.h>\n"),
    ("include", H + "server/x.hpp", "#include <gssapi/gssapi.h>\n"),
    ("include", H + "services/x.hpp", "#include <rpch/server/server.hpp>\n"),
    ("below", H + "channel/x.hpp", "auto t = std::chrono::steady_clock::now();\n"),
    ("below", H + "rts/impl/x.ipp", "asio::io_context c;\n"),
    ("below", H + "auth/x.hpp", "mbedtls_md_context_t c;\n"),
    ("below", H + "rts/x.hpp", "std::random_device d;\n"),
    ("below", H + "ndr/x.hpp", 'inline void f() { std::printf("x"); }\n'),
    ("below", H + "channel/x.hpp", "std::thread t;\n"),
    ("header", H + "core/x.hpp", "namespace {\n}\n"),
    ("header", H + "core/impl/x.ipp", "using namespace std;\n"),
    ("header", H + "core/x.hpp", "static int f() { return 1; }\n"),
    ("header", H + "core/x.hpp", "namespace s = std;\n"),
    ("header", H + "core/x.hpp", "constexpr int limit = 1;\n"),
    ("header", H + "core/x.hpp", "int n = __COUNTER__;\n"),
    ("header", H + "core/x.hpp", "#ifdef NDEBUG\n#endif\n"),
    ("header", H + "core/x.hpp", "namespace rpch::core {}\n"),
    ("bodies", H + "core/impl/forgotten.ipp", ""),
    ("bodies", H + "impl/src_protocol.hpp", "#include <rpch/core/impl/gone.ipp>\n"),
    ("sorted", H + "impl/src_protocol.hpp", "#include <rpch/b.ipp>\n#include <rpch/a.ipp>\n"),
    ("guard", H + "core/x.hpp", "#pragma once\n"),
    ("guard", "tests/support/x.hpp", "#ifndef X_HPP\n#define X_HPP\n#endif\n"),
    ("paths", "docs/x.md", "see /wo" + "rk/x\n"),
    ("umbrella", H + "core/new.hpp", "", "rpch.hpp"),
    ("snippet", "README.md", "```cpp\nint f();\n```\n"),
    ("snippet", "README.md", "(examples/x.cpp)\n```cpp\nint g();\n```\n"),
    ("snippet", "README.md", "(examples/x.cpp)\n```cpp\nnt f();\n```\n"),
    ("snippet", "examples/x.cpp", "int  f();\n", "README.md:2"),
    ("example", "README.md", "", "examples/x.cpp"),
    ("example", "tests/loopback/run_examples.sh", '"$programs/example_xy"\n', "examples/x.cpp"),
    ("example", "examples/new.cpp", ""),
]
GOOD = {
    H + "rts/x.hpp": "#ifndef RPCH_RTS_X_HPP\n#define RPCH_RTS_X_HPP\n#include <span>\n#include <rpch/core/y.hpp>\n"
                     "#include <rpch/dcerpc/common_header.hpp>\n// asio, mbedtls, ::now() in a comment\n"
                     "namespace rpch::inline RPCH_ABI::rts {\ninline constexpr int a = 1'000;\n"
                     "constexpr int f(int b) { return b; }\n}\n#include <rpch/rts/impl/x.ipp>\n#endif\n",
    H + "rts/impl/x.ipp": "#include <rpch/rts/x.hpp>\n",
    H + "core/y.hpp": "#ifndef RPCH_CORE_Y_HPP\n#define RPCH_CORE_Y_HPP\n#endif\n",
    H + "impl/src_protocol.hpp": "#ifndef RPCH_IMPL_SRC_PROTOCOL_HPP\n#define RPCH_IMPL_SRC_PROTOCOL_HPP\n"
                                 "#include <rpch/rts/impl/x.ipp>\n#endif\n",
    "README.md": "[x](examples/x.cpp):\n```cpp\nint f();\n```\n    cmake\n",
    "examples/x.cpp": "// x\nint f();\nint main() {}\n",
    "tests/loopback/run_examples.sh": '"$programs/example_x"\n',
}


def plant(root, files):
    for name, text in files.items():
        path = pathlib.Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def self_test():
    wrong = []
    with tempfile.TemporaryDirectory() as root:
        plant(root, GOOD)
        write_umbrella(root)
        wrong += [f"found in the good tree: {message}" for _, message in findings(root)]
    for rule, name, text, *where in BAD:
        with tempfile.TemporaryDirectory() as root:
            plant(root, GOOD)
            write_umbrella(root)
            plant(root, {name: text})
            at = (where or [name])[0]
            if not any(found == rule and at in message for found, message in findings(root)):
                wrong.append(f"rule '{rule}' misses {name}: {text!r}")
    print("\n".join(wrong) or f"{len(BAD)} bad trees caught, the good one passes")
    return 1 if wrong else 0


def main(arguments):
    if "--self-test" in arguments:
        return self_test()
    formatter = arguments.pop(arguments.index("--format") + 1) if "--format" in arguments else None
    folders = [a for a in arguments if not a.startswith("--")]
    root = folders[0] if folders else pathlib.Path(__file__).resolve().parent.parent
    if "--write" in arguments:
        write_umbrella(root)
        return 0
    found = check_format(Tree(root), formatter) if formatter else findings(root)
    for rule, message in found:
        print(f"{message} [{rule}]")
    print(f"{len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
