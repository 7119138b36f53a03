#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Each rule of statements.py finds fault with a statements.txt that breaks it. TAP."""
import os
import sys
import tempfile

import statements

HERE = os.path.dirname(os.path.abspath(__file__))

# Name of the rule, what is replaced, by what, and a word of the fault.
BREAKS = (
    ("a statement without a case or a test", "\n  case wrong_requests alarm_messages", "",
     "neither a case nor a test"),
    ("a test that does not exist", "unit/smear.smeared_clock_never_steps",
     "unit/smear.smeared_clock_always_steps", "there is no test"),
    ("a test in a file that does not exist", "unit/smear.smeared_clock_never_steps",
     "unit/smears.smeared_clock_never_steps", "there is no test"),
    ("a function that is no test", "unit/smear.smeared_clock_never_steps", "unit/smear.main",
     "there is no test"),
    ("a MAY of which nothing is said", "\n  does executes them\n", "\n", "what is done"),
    ("a MUST of which it is said", "\n  case every_request\n",
     "\n  case every_request\n  does so\n", "what is done"),
    ("an id twice", "RTC-READ-2 MUST", "RTC-READ-1 MUST", "twice"),
    ("a level that is another one", "RTC-READ-2 MUST", "RTC-READ-2 MAY", "the RTC device has"),
    ("a statement that is not there any more", "RTC-READ-1 SHOULD\n", "READ-1 SHOULD\n",
     "the RTC device has"),
    ("a line that is none", "\n  case every_request\n", "\ncase every_request\n",
     "neither a section"),
)


def faults_of(text):
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        try:
            return list(statements.faults(statements.read(file.name)))
        except statements.Wrong as e:
            return [str(e)]


def main():
    with open(os.path.join(HERE, "statements.txt"), encoding="utf-8") as file:
        text = file.read()
    print(f"1..{len(BREAKS) + 1}")
    print("ok" if not faults_of(text) else "not ok", "1 - statements.txt is in order")
    for number, (name, old, new, word) in enumerate(BREAKS, 2):
        found = faults_of(text.replace(old, new, 1)) if old in text else ["no such text"]
        good = any(word in fault for fault in found)
        print("ok" if good else "not ok", number, "-", name)
        for fault in [] if good else found:
            print(f"# {fault}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
