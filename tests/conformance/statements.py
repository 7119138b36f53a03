#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""statements.py: what is made of statements.txt, and what is wrong with it.

    statements.py header OUT.h       ids and cases for the compiler: who names one that is not
                                     there, or defines one that no statement names, does not build
    statements.py table OUT.c        the statements themselves
    statements.py check              every statement has a case or a test, every test exists, every
                                     MAY says what is done, the counts are the specification's
    statements.py against FILE.tex   the same number and levels, section by section, as in the
                                     specification's device-types/rtc/description.tex
"""
import collections
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
# Device-normative statements of the RTC device in VIRTIO 1.4.
RTC_COUNTS = {"MUST": 74, "SHOULD": 5, "MAY": 8}
CASES_MAX = 64

Statement = collections.namedtuple("Statement", "id level section text cases tests does")


class Wrong(Exception):
    """Something in statements.txt, with its line."""


def read(path=os.path.join(HERE, "statements.txt")):
    found = []
    section = None
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            where = f"{os.path.basename(path)}:{number}"
            line = line.rstrip("\n")
            head = re.fullmatch(r"([A-Z]+(?:-[A-Z]+)?-[0-9]+) (MUST|SHOULD|MAY)", line)
            if not line or line.startswith("#"):
                continue
            if line.startswith("== "):
                section = line[3:]
            elif head:
                found.append(Statement(*head.groups(), section, [], [], [], []))
            elif not line.startswith("  ") or not found or not section:
                raise Wrong(f"{where}: neither a section nor a statement nor a line of one")
            else:
                word, _, rest = line[2:].partition(" ")
                last = found[-1]
                if word == "case":
                    last.cases.extend(rest.split())
                elif word == "test":
                    last.tests.append(rest)
                elif word == "does":
                    last.does.append(rest)
                elif last.text:
                    raise Wrong(f"{where}: a second sentence of {last.id}")
                else:
                    last.text.append(line[2:])
    return found


def cases_of(statements):
    return list(dict.fromkeys(case for s in statements for case in s.cases))


def test_exists(name):
    """ROOM/FILE.CASE: a function of that name that cmocka is given."""
    match = re.fullmatch(r"(\w+)/(\w+)\.(\w+)", name)
    if not match:
        return False
    room, file, case = match.groups()
    try:
        path = os.path.join(TESTS, room, f"test_{file}.c")
        with open(path, encoding="utf-8") as source:
            text = re.sub(r"/\*.*?\*/|//[^\n]*", "", source.read(), flags=re.S)
    except OSError:
        return False
    defined = re.search(rf"^static void {case}\(void \*\*state\)", text, re.M)
    return bool(defined) and len(re.findall(rf"\b{case}\b", text)) > 1


def faults(statements):
    ids = collections.Counter(s.id for s in statements)
    yield from (f"{i}: twice" for i, n in ids.items() if n > 1)
    if len(cases_of(statements)) > CASES_MAX:
        yield f"more than {CASES_MAX} cases"
    for s in statements:
        if not s.text:
            yield f"{s.id}: no sentence"
        if not s.cases and not s.tests:
            yield f"{s.id}: neither a case nor a test shows it"
        if (s.level == "MAY") != (len(s.does) == 1):
            yield f"{s.id}: what is done is said of a MAY, once, and of nothing else"
        yield from (f"{s.id}: there is no test {t}" for t in s.tests if not test_exists(t))
    counts = collections.Counter(s.level for s in statements if s.id.startswith("RTC-"))
    if counts != RTC_COUNTS:
        yield f"the RTC device has {dict(RTC_COUNTS)}; here are {dict(counts)}"


def levels_of(path):
    """Levels of each \\devicenormative section of a .tex, one a paragraph that has one."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    parts = re.split(
        r"(?m)^(?=\\(?:(?:device|driver)normative|(?:sub)*(?:section|paragraph))\b)", text)
    for part in parts:
        head = re.match(r"\\devicenormative\{[^}]*\}\{[^}]*\}\{([^}]*)\}", part)
        if not head:
            continue
        body = re.sub(r"\\footnote\{[^}]*\}", "", part[head.end():])
        words = (re.findall(r"\b(MUST|SHOULD|MAY)\b", p) for p in body.split("\n\n"))
        yield head.group(1).removeprefix("Device Types / "), [w[0] for w in words if w]


def compare(statements, path):
    for section, levels in levels_of(path):
        ours = [s.level for s in statements if s.section == section]
        if ours != levels:
            yield f"{section}: {len(levels)} in the text {levels}, {len(ours)} here {ours}"


def symbol(statement_id):
    return statement_id.replace("-", "_")


def header(statements):
    lines = ["/* SPDX-License-Identifier: BSD-3-Clause */",
             "/* Made by statements.py out of statements.txt. */",
             "#ifndef CONFORM_STATEMENTS_H", "#define CONFORM_STATEMENTS_H", "",
             "enum conform_id {"]
    lines += [f"\t{symbol(s.id)}," for s in statements]
    lines += ["\tCONFORM_STATEMENTS", "};", "", "struct conform;", ""]
    lines += [f"void {case}(struct conform *c);" for case in cases_of(statements)]
    return "\n".join(lines + ["", "#endif", ""])


def table(statements):
    cases = cases_of(statements)
    quote = json.dumps
    lines = ["/* SPDX-License-Identifier: BSD-3-Clause */",
             "/* Made by statements.py out of statements.txt. */",
             '#include "conform.h"', '#include "statements.h"', "",
             "const struct conform_case conform_cases[] = {"]
    lines += [f"\t{{{quote(case)}, {case}}}," for case in cases]
    lines += ["};", f"const unsigned int conform_n_cases = {len(cases)};", "",
              "const struct conform_statement conform_statements[] = {"]
    for s in statements:
        bits = sum(1 << cases.index(case) for case in s.cases)
        lines.append(f"\t{{{quote(s.id)}, {quote(s.level)}, {quote(s.section)},")
        lines.append(f"\t\t{quote(s.text[0])},")
        lines.append(f"\t\t{quote(' '.join(s.tests))}, {bits:#x}}},")
    lines += ["};", f"const unsigned int conform_n_statements = {len(statements)};", ""]
    return "\n".join(lines)


def main():
    args = sys.argv[1:]
    if len(args) != {"header": 2, "table": 2, "check": 1, "against": 2}.get((args or [""])[0]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        statements = read()
        found = list(faults(statements))
        if args[0] == "against":
            found += compare(statements, args[1])
    except (OSError, Wrong) as e:
        found = [str(e)]
    for fault in found:
        print(f"statements.txt: {fault}", file=sys.stderr)
    if found:
        return 1
    if args[0] in ("header", "table"):
        with open(args[1], "w", encoding="utf-8") as out:
            out.write(header(statements) if args[0] == "header" else table(statements))
    return 0


if __name__ == "__main__":
    sys.exit(main())
