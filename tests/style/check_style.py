#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""check_style.py [SOURCE_ROOT]: what the design asks of the source, as TAP; a rule is a test point.

Each rule is a generator of findings, "file:line: what is wrong". test_check_style.py shows for each
of them a sample that it finds fault with.

Standard library only. Nothing here asks git: a tarball and a bind mount are source trees, too.
"""
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

C_ROOMS = ("app", "lib", "perf", "tests")
COLUMNS = 100
TAB = 8
# clang-format changes its mind with each major version; the tree follows this one (bookworm's).
CLANG_FORMAT_MAJOR = 14

# Core headers without a .c of their own; the others go by rtc_core_sources of lib/rtc/meson.build.
CORE_LONE_HEADERS = {"alarm.h", "alarm_retain.h", "guest_copy.h", "wire.h", "nstime.h",
                     "phc_line.h", "vring_chain.h", "vring_kinds.h"}
# What the core may have of the system: ISO C, and what names the byte order. Whoever adds to this
# makes the core less pure: no clocks, files, sockets or threads.
CORE_SYSTEM = {
    "assert.h", "ctype.h", "errno.h", "inttypes.h", "limits.h", "stdalign.h", "stdatomic.h",
    "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "endian.h",
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" "DO", "FIX" "ME", "X" "XX")) + r")\b")
# The specification's names: a macro, an enumerator with a value, a structure with a body.
WIRE_NAME = re.compile(
    r"^[ \t]*#[ \t]*define[ \t]+(VIRTIO_(?:RTC_\w+|ID_RTC))\b"
    r"|\b(VIRTIO_RTC_\w+)\s*=(?!=)"
    r"|\b(?:struct|union|enum)\s+(virtio_rtc_\w+)\s*\{", re.M)


class Tree:
    """A source tree: which files there are, what is in them, which room each belongs to."""

    def __init__(self, root):
        self.root = os.path.abspath(root)
        self.files = []
        for room in ("",) + C_ROOMS + (".ci", "config", "qemu-glue"):
            top = os.path.join(self.root, room)
            for where, dirs, names in os.walk(top):
                dirs[:] = [] if not room else [
                    d for d in dirs if d != "__pycache__" and not d.startswith("build")]
                self.files += [os.path.relpath(os.path.join(where, n), self.root) for n in names]
        self.files.sort()
        self.cache = {}
        meson = self.text("lib/rtc/meson.build") if "lib/rtc/meson.build" in self.files else ""
        listed = re.search(r"rtc_core_sources\s*=\s*files\((.*?)\)", meson, re.S)
        sources = set(re.findall(r"'([^']+\.c)'", listed.group(1))) if listed else set()
        self.core = sources | {s[:-2] + ".h" for s in sources} | CORE_LONE_HEADERS

    def text(self, path):
        if path not in self.cache:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
                self.cache[path] = file.read()
        return self.cache[path]

    def c_files(self, suffixes=(".c", ".h")):
        return [f for f in self.files if f.endswith(suffixes) and f.startswith(C_ROOMS)]

    def scripts(self):
        """Programs and libraries of the shell and of Python."""
        return [f for f in self.files if f.endswith((".sh", ".py")) or (
            "." not in os.path.basename(f) and self.text(f).startswith("#!"))]

    def room(self, path):
        if path.startswith("lib/rtc/"):
            return "core" if os.path.basename(path) in self.core else "vhost"
        return {"lib/frontend": "frontend"}.get(os.path.dirname(path), path.split("/")[0])

    def includes(self, path):
        """(line, angled, name, file of the tree or None) of each #include."""
        # Comments become blanks of equal length, so that the lines keep their numbers.
        text = COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), self.text(path))
        for match in INCLUDE.finditer(text):
            name = match.group(2)
            line = text.count("\n", 0, match.start()) + 1
            yield line, match.group(1) == "<", name, self.resolve(path, name)

    def resolve(self, path, name):
        for where in (os.path.dirname(path), "lib/rtc", "lib", "app", "tests/support"):
            found = os.path.normpath(os.path.join(where, name))
            if os.path.isfile(os.path.join(self.root, found)):
                return found
        return None


# Who may include what of the tree. Tests and perf may include anything: nothing includes them.
MAY_INCLUDE = {
    "core": {"core"},
    "vhost": {"core", "vhost"},
    "frontend": {"core", "frontend"},
    "app": {"core", "vhost", "frontend", "app"},
}


def includes_go_one_way(tree):
    for path in tree.c_files():
        room = tree.room(path)
        allowed = MAY_INCLUDE.get(room)
        for line, angled, name, target in tree.includes(path):
            where = f"{path}:{line}"
            if not angled and target is None:
                # Tests of the kernel's or QEMU's side have their own worlds.
                if allowed is not None:
                    yield f"{where}: \"{name}\" is no file of ours; <> is for the system's"
            elif not angled and allowed is not None and tree.room(target) not in allowed:
                yield f"{where}: {room} may not include {tree.room(target)} ({target})"
            if angled and room == "core" and name not in CORE_SYSTEM:
                yield f"{where}: the core may not include <{name}>"
            elif room in ("core", "frontend") and os.path.basename(name).startswith("rte_"):
                yield f"{where}: {room} may not include DPDK ({name})"


def includes_have_no_cycle(tree):
    edges = {path: [t for _, angled, _, t in tree.includes(path) if t and not angled]
             for path in tree.c_files((".h",))}
    done = set()

    def walk(path, trail):
        if path in trail:
            yield " -> ".join(trail[trail.index(path):] + [path])
        elif path not in done:
            for target in edges.get(path, []):
                yield from walk(target, trail + [path])
            done.add(path)

    for path in sorted(edges):
        yield from walk(path, [])


def no_source_file_is_included(tree):
    for path in tree.c_files():
        for line, _, name, _ in tree.includes(path):
            # A proof's harness takes the place of functions that are static in there.
            proved = path.startswith("tests/proofs/proof_") and name.startswith("../../lib/rtc/")
            if not name.endswith(".h") and not proved:
                yield f"{path}:{line}: {name} is no header"


def header_flags(tree, path):
    """The include path of a header's room; without DPDK's, where the room may not have it."""
    room = tree.room(path)
    flags = ["-I", os.path.join(tree.root, "lib/rtc")]
    if room == "core":
        return flags
    flags += ["-I", os.path.join(tree.root, "lib")]
    if room == "frontend":
        return flags
    if room not in ("core", "vhost"):
        flags += ["-I", os.path.join(tree.root, "app"),
                  "-I", os.path.join(tree.root, "tests/support")]
    dpdk = subprocess.run(["pkg-config", "--cflags", "libdpdk"], capture_output=True, text=True,
                          check=False).stdout.split()
    # As meson does for include_type 'system': their headers' warnings are not ours.
    return flags + [re.sub(r"^-I", "-isystem", flag) for flag in dpdk]


def headers_compile_alone(tree):
    compiler = os.environ.get("CC", "gcc").split()

    def compile_one(path):
        full = os.path.join(tree.root, path)
        # Twice: a header without a guard fails as one that lacks an include does.
        done = subprocess.run(
            compiler + ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
                        "-fsyntax-only", "-x", "c", "-"] + header_flags(tree, path),
            input=f'#include "{full}"\n#include "{full}"\n',
            capture_output=True, text=True, check=False)
        if done.returncode:
            lines = done.stderr.splitlines()
            return f"{path}: " + next((x for x in lines if "error" in x), "no word of why")
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from filter(None, pool.map(compile_one, tree.c_files((".h",))))


def names_of_the_specification_are_defined_in_wire_h_alone(tree):
    for path in tree.c_files():
        if path == "lib/rtc/wire.h":
            continue
        text = COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), tree.text(path))
        for match in WIRE_NAME.finditer(text):
            name = next(group for group in match.groups() if group)
            line = text.count("\n", 0, match.start(match.lastindex)) + 1
            yield f"{path}:{line}: {name} is defined outside of wire.h"


def licence_comes_first(tree):
    for path in tree.c_files():
        if not tree.text(path).startswith("/* SPDX-License-Identifier: BSD-3-Clause */\n"):
            yield f"{path}:1: the first line is not the SPDX licence"
    for path in tree.scripts():
        lines = tree.text(path).split("\n")
        first = lines[1] if lines[0].startswith("#!") and len(lines) > 1 else lines[0]
        if first != "# SPDX-License-Identifier: BSD-3-Clause":
            yield f"{path}:1: the first line (after #!) is not the SPDX licence"


def nothing_is_left_to_do(tree):
    for path in tree.c_files() + tree.scripts():
        for number, line in enumerate(tree.text(path).split("\n"), 1):
            if UNFINISHED.search(line):
                yield f"{path}:{number}: unfinished: {line.strip()}"


def lines_are_tabbed_and_short(tree):
    for path in tree.c_files() + tree.scripts():
        text = tree.text(path)
        is_c = path.endswith((".c", ".h"))
        if text and not text.endswith("\n"):
            yield f"{path}: the last line does not end"
        for number, line in enumerate(text.split("\n"), 1):
            # What a program says is not torn: whoever looks for a message finds it.
            width = len((STRING.sub('""', line) if is_c else line).expandtabs(TAB))
            if width > COLUMNS:
                yield f"{path}:{number}: {width} columns"
            if line != line.rstrip():
                yield f"{path}:{number}: white space at the end of the line"
            if is_c and line.startswith(" " * TAB):
                yield f"{path}:{number}: indented with spaces"


def clang_format():
    """The pinned clang-format, or None."""
    for name in (f"clang-format-{CLANG_FORMAT_MAJOR}", "clang-format"):
        if shutil.which(name):
            version = subprocess.run([name, "--version"], capture_output=True, text=True,
                                     check=False).stdout
            found = re.search(r"version (\d+)\.", version)
            if found and int(found.group(1)) == CLANG_FORMAT_MAJOR:
                return name
    return None


def layout_is_that_of_clang_format(tree):
    program = clang_format()
    for path in tree.c_files():
        done = subprocess.run([program, "--style=file", "--dry-run", "-Werror", path],
                              cwd=tree.root, capture_output=True, text=True, check=False)
        if done.returncode:
            yield (done.stderr.strip().splitlines() or [path])[0]


RULES = (
    includes_go_one_way,
    includes_have_no_cycle,
    no_source_file_is_included,
    headers_compile_alone,
    names_of_the_specification_are_defined_in_wire_h_alone,
    licence_comes_first,
    nothing_is_left_to_do,
    lines_are_tabbed_and_short,
    layout_is_that_of_clang_format,
)


def reason_to_skip(rule):
    if rule is layout_is_that_of_clang_format and clang_format() is None:
        return f"no clang-format {CLANG_FORMAT_MAJOR} here, and other versions lay out otherwise"
    return None


def main():
    tree = Tree(sys.argv[1] if len(sys.argv) > 1 else ".")
    print(f"1..{len(RULES)}")
    for number, rule in enumerate(RULES, 1):
        reason = reason_to_skip(rule)
        findings = [] if reason else list(rule(tree))
        # To standard error, which meson shows of a test that fails; TAP has no use for them.
        for finding in findings:
            print(f"# {finding}", file=sys.stderr)
        print(("not ok" if findings else "ok"), number, "-", rule.__name__,
              f"# SKIP {reason}" if reason else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
