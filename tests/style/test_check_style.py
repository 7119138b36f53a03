#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Shows that check_style.py can fail: a small tree that pleases every rule, and for each thing that
a rule forbids the same tree with that one fault, which that rule has to find. TAP.
"""
import os
import sys
import tempfile

import check_style as style

SPDX = "/* SPDX-License-Identifier: BSD-3-Clause */\n"


def header(name, body=""):
    return f"{SPDX}#ifndef {name}\n#define {name}\n\n{body}\n#endif\n"


GOOD = {
    "lib/rtc/meson.build": "rtc_core_sources = files(\n  'clock.c',\n  'device.c',\n)\n",
    "lib/rtc/wire.h": header("WIRE_H", "#include <stdint.h>\n\n#define VIRTIO_RTC_S_OK 0\n"),
    "lib/rtc/clock.h": header("CLOCK_H", '#include "wire.h"\n\nint clock_get(void);\n'),
    "lib/rtc/clock.c": SPDX + '#include "clock.h"\n\nint clock_get(void)\n{\n\treturn 0;\n}\n',
    "lib/rtc/device.h": header("DEVICE_H", '#include "clock.h"\n\nint device_get(void);\n'),
    "lib/rtc/device.c": SPDX + '#include "device.h"\n\nint device_get(void)\n{\n\treturn 0;\n}\n',
    "lib/rtc/session.h": header("SESSION_H", '#include "device.h"\n'),
    "lib/frontend/session.h": header("FRONTEND_H", '#include "wire.h"\n'),
    "app/main.c": SPDX + '#include "frontend/session.h"\n#include "session.h"\n',
    "tests/unit/test_clock.c": SPDX + '#include "clock.h"\n',
    "tests/run.sh": "#!/bin/sh\n# SPDX-License-Identifier: BSD-3-Clause\ntrue\n",
}

LAYOUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.clang-format")
with open(LAYOUT, encoding="utf-8") as layout:
    GOOD[".clang-format"] = layout.read()

LATER = "TO" "DO"
LONG = "x" * 101

# (what is wrong, the rule that says so, {file: its text, or what is added to it})
FAULTS = [
    ("core includes DPDK", style.includes_go_one_way,
     {"lib/rtc/clock.c": "+#include <rte_cycles.h>\n"}),
    ("core header includes DPDK", style.includes_go_one_way,
     {"lib/rtc/wire.h": header("WIRE_H", "#include <rte_byteorder.h>\n")}),
    ("core includes a clock of the system", style.includes_go_one_way,
     {"lib/rtc/clock.c": "+#include <time.h>\n"}),
    ("core includes vhost", style.includes_go_one_way,
     {"lib/rtc/device.c": '+#include "session.h"\n'}),
    ("vhost includes app", style.includes_go_one_way,
     {"app/config.h": header("CONFIG_H"), "lib/rtc/session.c": SPDX + '#include "config.h"\n'}),
    ("vhost includes the front-end", style.includes_go_one_way,
     {"lib/rtc/session.c": SPDX + '#include "frontend/session.h"\n'}),
    ("front-end includes DPDK", style.includes_go_one_way,
     {"lib/frontend/ring.c": SPDX + "#include <rte_vhost.h>\n"}),
    ("front-end includes vhost", style.includes_go_one_way,
     {"lib/rtc/backend.h": header("BACKEND_H"),
      "lib/frontend/ring.c": SPDX + '#include "backend.h"\n'}),
    ("a quoted header that is not ours", style.includes_go_one_way,
     {"app/main.c": '+#include "stdio.h"\n'}),
    ("app includes a test", style.includes_go_one_way,
     {"tests/support/spawn.h": header("SPAWN_H"), "app/main.c": '+#include "spawn.h"\n'}),
    ("two headers include each other", style.includes_have_no_cycle,
     {"lib/rtc/wire.h": header("WIRE_H", '#include "clock.h"\n')}),
    ("a header includes itself over two others", style.includes_have_no_cycle,
     {"lib/rtc/wire.h": header("WIRE_H", '#include "device.h"\n')}),
    ("a source file is included", style.no_source_file_is_included,
     {"tests/unit/test_clock.c": '+#include "../../lib/rtc/clock.c"\n'}),
    ("a header lacks an include", style.headers_compile_alone,
     {"lib/rtc/backend.h": header("BACKEND_H", "uint32_t backend_get(void);\n")}),
    ("a header has no guard", style.headers_compile_alone,
     {"lib/rtc/backend.h": SPDX + "struct backend {\n\tint n;\n};\n"}),
    ("a macro of the specification", style.names_of_the_specification_are_defined_in_wire_h_alone,
     {"lib/rtc/device.c": "+#define VIRTIO_RTC_S_EIO 5\n"}),
    ("the device id", style.names_of_the_specification_are_defined_in_wire_h_alone,
     {"app/main.c": "+#define VIRTIO_ID_RTC 17\n"}),
    ("an enumerator of the specification",
     style.names_of_the_specification_are_defined_in_wire_h_alone,
     {"tests/unit/test_clock.c": "+enum {\n\tVIRTIO_RTC_S_EIO = 5,\n};\n"}),
    ("a structure of the specification",
     style.names_of_the_specification_are_defined_in_wire_h_alone,
     {"lib/rtc/device.c": "+struct virtio_rtc_req_head {\n\tint n;\n};\n"}),
    ("no licence", style.licence_comes_first, {"lib/rtc/clock.c": '#include "clock.h"\n'}),
    ("licence below a comment", style.licence_comes_first,
     {"lib/rtc/clock.c": "/* Clocks. */\n" + SPDX}),
    ("no licence in a script", style.licence_comes_first, {"tests/run.sh": "#!/bin/sh\ntrue\n"}),
    ("no licence in a script without a suffix", style.licence_comes_first,
     {"tests/guest/run": "#!/bin/sh\ntrue\n"}),
    ("left for later in C", style.nothing_is_left_to_do,
     {"lib/rtc/clock.c": f"+/* {LATER}: the rest */\n"}),
    ("left for later in a script", style.nothing_is_left_to_do, {"tests/run.sh": f"+# {LATER}\n"}),
    ("101 columns", style.lines_are_tabbed_and_short, {"lib/rtc/clock.c": f"+/*{LONG[:97]}*/\n"}),
    ("101 columns by a tab", style.lines_are_tabbed_and_short,
     {"lib/rtc/clock.c": f"+\t/*{LONG[:89]}*/\n"}),
    ("101 columns in a script", style.lines_are_tabbed_and_short,
     {"tests/run.sh": f"+#{LONG[:100]}\n"}),
    ("white space at the end", style.lines_are_tabbed_and_short,
     {"lib/rtc/clock.c": "+int n; \n"}),
    ("indented with spaces", style.lines_are_tabbed_and_short,
     {"lib/rtc/clock.c": "+int f(void)\n{\n        return 0;\n}\n"}),
    ("no end of the last line", style.lines_are_tabbed_and_short, {"lib/rtc/clock.c": "+int n;"}),
    ("layout", style.layout_is_that_of_clang_format,
     {"lib/rtc/clock.c": "+int f(void) {\n\treturn 0;\n}\n"}),
]

# What looks like a fault and is none.
HARMLESS = [
    ("a commented include", {"lib/rtc/clock.c": "+/* #include <rte_cycles.h> */\n"}),
    ("a comparison with a name of the specification",
     {"app/main.c": "+int f(int n);\nint f(int n)\n{\n\treturn VIRTIO_RTC_S_OK == n;\n}\n"}),
    ("a pointer to a structure of the specification",
     {"app/main.c": "+struct virtio_rtc_req_head;\n"}),
    ("a long message",
     {"app/main.c": f'+const char *f(void);\nconst char *f(void)\n{{\n\treturn "{LONG}";\n}}\n'}),
    ("100 columns", {"lib/rtc/clock.c": f"+/*{LONG[:96]}*/\n"}),
    ("mktemp's pattern", {"tests/run.sh": "+mktemp -d rtc." + "X" * 6 + "\n"}),
]


def findings(change, rules):
    """What the rules find in the good tree with a change."""
    with tempfile.TemporaryDirectory() as root:
        files = dict(GOOD)
        for path, text in change.items():
            files[path] = files.get(path, SPDX) + text[1:] if text.startswith("+") else text
        for path, text in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
        tree = style.Tree(root)
        return [finding for rule in rules for finding in rule(tree)]


def main():
    print(f"1..{1 + len(FAULTS) + len(HARMLESS) + 1}")
    number = 0

    def point(good, name, details=()):
        nonlocal number
        number += 1
        for detail in details:
            print(f"# {detail}")
        print(f"{'ok' if good else 'not ok'} {number} - {name}")

    def pleases(change, name):
        rules = [rule for rule in style.RULES if not style.reason_to_skip(rule)]
        wrong = findings(change, rules)
        point(not wrong, name, wrong)

    pleases({}, "the good tree pleases every rule")
    for what, rule, change in FAULTS:
        skipped = style.reason_to_skip(rule)
        if skipped:
            number += 1
            print(f"ok {number} - {what} # SKIP {skipped}")
            continue
        found = findings(change, [rule])
        # Just one finding: a rule that shouts at everything would find every fault, too.
        point(len(found) == 1, f"{rule.__name__} finds: {what}", found)
    for what, change in HARMLESS:
        pleases(change, f"no rule minds: {what}")
    tried = {rule for _, rule, _ in FAULTS}
    point(tried == set(style.RULES), "every rule was made to fail")
    return 0


if __name__ == "__main__":
    sys.exit(main())
