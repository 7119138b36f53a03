#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""count-tests.py TESTLOG [LABEL]: one line a test case out of meson's testlog.json.

    pass|fail|skip <tab> [LABEL ]program: case <tab> reason

Which cases there were is read from what the programs printed, TAP or cmocka's own format; a program
that prints neither is one case. Whether all is well is not read from there: a program that meson
calls failed (exit status, signal, timeout, broken plan) has at least one failure.
"""
import json
import re
import sys

TAP = re.compile(r"^(not )?ok\b\s*\d*\s*-?\s*(.*?)\s*(?:#\s*(SKIP)\S*\s*(.*))?$", re.I)
# cmocka repeats the failed and the skipped ones at its end, so names are collected, not lines.
CMOCKA = re.compile(r"^\[\s+(OK|FAILED|SKIPPED|ERROR)\s+\] (?!\d+ test\(s\))(?:\w+: )?(\w+)$")


def cases_of(text):
    """The cases that a program printed: [(verdict, name, reason)]."""
    found = {}
    for line in text.splitlines():
        tap = TAP.match(line)
        cmocka = CMOCKA.match(line)
        if tap:
            bad, name, directive, reason = tap.groups()
            verdict = "skip" if directive else "fail" if bad else "pass"
            found[(len(found), name)] = (verdict, name, reason or "")
        elif cmocka:
            verdict, name = cmocka.groups()
            verdict = {"OK": "pass", "SKIPPED": "skip"}.get(verdict, "fail")
            # A case passes once; the summary must not turn a failure into something else.
            if found.get((0, name), ("pass",))[0] != "fail":
                found[(0, name)] = (verdict, name, "the test says so")
    return list(found.values())


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def report(test, prefix):
    program = prefix + test["name"].split(" / ")[-1]
    text = test.get("stdout") or ""
    errors = test.get("stderr") or ""
    cases = cases_of(text + "\n" + errors)
    result = test["result"]
    if result == "SKIP" and not any(verdict == "skip" for verdict, _, _ in cases):
        cases = [("skip", "", last_line(errors) or last_line(text) or "no reason was given")]
    elif result not in ("OK", "EXPECTEDFAIL", "SKIP"):
        if not any(verdict == "fail" for verdict, _, _ in cases):
            cases.append(("fail", f"meson says {result}", ""))
    elif not cases:
        cases = [("pass", "", "")]
    for verdict, name, reason in cases:
        label = f"{program}: {name}" if name else program
        print(verdict, label, reason if verdict == "skip" else "", sep="\t")


def main():
    prefix = "".join(label + " " for label in sys.argv[2:])
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        for line in log:
            report(json.loads(line), prefix)


if __name__ == "__main__":
    main()
