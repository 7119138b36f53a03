#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""run.py [--write] [--first] [--timeout=MS] CONFORMANCE DAEMON

Holds our daemon against the specification, as TAP.

dpdk-rtc-conformance runs against the daemon in several configurations: of the device's clocks and
alarms, and of what the driver negotiates. Each run is a test point, and so is each statement: it
fails if it failed in any run, and passes if it passed in one. No point are those about a feature
that the daemon does not offer, and those that other tests alone show. The last points are
statements.txt itself (a named test that does not exist) and the page conformance.md, which must be
what --write would write: so a statement that nothing judges any more is noticed.

--first ends after the first run in which something failed, and looks at nothing else then; for who
breaks the device to see that it is noticed (mutants).

$DPDK_RTC is run instead of DAEMON, if it is set: valgrind, for one.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import statements

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(HERE, "conformance.md")
WAIT_S = 60
SMEARS = ("utc-smeared:noon-linear+alarm, utc-smeared:utc-sls+alarm, utc-maybe-smeared+alarm, "
          "utc+alarm, tai+alarm, monotonic+alarm, utc-smeared, utc-maybe-smeared")

# What some machines cannot show: pairs need a kernel that keeps time by the CPU's counter, TAI a
# table of leap seconds. There these are skipped, and the page is believed.
OF_THE_MACHINE = {"RTC-READ-8", "RTC-READ-11", "RTC-READ-12", "RTC-CLOCK-17", "RTC-CLOCK-18"}

# Name, idle policy, keys of the device, options of the conformance suite.
RUNS = (
    ("default clocks", "interrupt", {}, []),
    ("no alarms", "interrupt", {"clocks": "utc, tai, monotonic"}, []),
    ("all smears", "interrupt", {"clocks": SMEARS}, ["--without=event-idx"]),
    ("no clocks", "interrupt", {"clocks": "none"}, []),
    ("alarms not retained", "interrupt", {"retain": "no"}, ["--only=RTC-ALARM,RTC-ALARMREQ"]),
    ("map of the guest's counter", "interrupt", {}, ["--counter-map"]),
    ("no indirect tables", "interrupt", {}, ["--without=indirect,event-idx", "--sleep"]),
    ("queues of two entries", "interrupt", {}, ["--queue-size=2", "--indirect"]),
    ("queues of 32768 entries", "interrupt", {}, ["--queue-size=32768"]),
    ("an lcore that polls", "pause", {}, ["--sleep"]),
)


INTRODUCTION = """\
# Conformance to VIRTIO 1.4, statement by statement

Made by `tests/conformance/run.py --write` out of `statements.txt` and of a run against the daemon;
the test `conformance` compares it with its own run. The sentences are ours; the specification
decides.

- *pass*: judged over a socket by `dpdk-rtc-conformance`, in the cases named
- *tests*: more than a socket is needed (a leap second, a clock that steps, a restart), and the
  tests named show it
- *not offered*: it is about a feature that the device does not offer
"""


class Daemon:
    """One dpdk-rtc with a device for each of these runs; ended with the block."""

    def __init__(self, program, folder, idle, runs):
        self.sockets = {}
        self.log = os.path.join(folder, f"{idle}.log")
        config = os.path.join(folder, f"{idle}.ini")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"[global]\nidle = {idle}\nalarm_store = none\n")
            for number, (name, _, keys, _) in enumerate(runs):
                self.sockets[name] = os.path.join(folder, f"{idle}{number}")
                file.write(f"[device {idle}{number}]\nsocket = {self.sockets[name]}\n")
                file.writelines(f"{key} = {value}\n" for key, value in keys.items())
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(  # pylint: disable=consider-using-with
                [program, "--config", config], stderr=log, stdout=subprocess.DEVNULL)

    def wait_ready(self):
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end and self.child.poll() is None:
            if "dpdk-rtc: ready:" in self.said():
                return
            time.sleep(0.01)
        raise RuntimeError("the daemon did not start:\n" + self.said())

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def run_one(program, socket, options, timeout_ms, folder):
    """(what went wrong or "", the statements of the JSON report)."""
    report = os.path.join(folder, "report.json")
    if os.path.exists(report):
        os.unlink(report)
    done = subprocess.run(
        [program, f"--json={report}", f"--timeout={timeout_ms}", *options, socket],
        capture_output=True, text=True, timeout=10 * WAIT_S, check=False)
    wrong = [x for x in done.stdout.splitlines() if x.startswith(("not ok", "#", "Bail out!"))]
    if done.returncode not in (0, 1) or (done.returncode == 1 and not wrong):
        wrong.append(f"exit status {done.returncode}: {done.stderr.strip()}")
    try:
        with open(report, encoding="utf-8") as file:
            return "\n".join(wrong), json.load(file)["statements"]
    except (OSError, ValueError) as e:
        return "\n".join(wrong + [f"no report: {e}"]), []


def merge(verdicts, reports):
    for s in reports:
        before = verdicts.get(s["id"], ("", ""))
        order = ("", "skip", "pass", "fail")
        if s["verdict"] in order and order.index(s["verdict"]) > order.index(before[0]):
            verdicts[s["id"]] = (s["verdict"], s.get("reason", ""))


def page(all_statements, verdicts):
    """The page, with these words for verdicts."""
    counts = {level: [0, 0] for level in ("MUST", "SHOULD", "MAY")}
    rooms = (("the RTC device", True), ("the basic facilities", False))
    lines = [INTRODUCTION]
    for room, is_rtc in rooms:
        chosen = [s for s in all_statements if s.id.startswith("RTC-") == is_rtc]
        tally = {}
        for s in chosen:
            shown = verdicts[s.id]
            tally[shown] = tally.get(shown, 0) + 1
        words = ", ".join(f"{n} {w}" for w, n in tally.items())
        by_level = ", ".join(f"{sum(s.level == x for s in chosen)} {x}" for x in counts)
        lines += [f"{len(chosen)} statements about {room} ({by_level}): {words}.", ""]
    section = None
    for s in all_statements:
        if s.section != section:
            section = s.section
            lines += [f"## {section}", "", "| | level | what is wanted | verdict | shown by |",
                      "| --- | --- | --- | --- | --- |"]
        text = s.text[0] + (f" **Ours** {s.does[0]}." if s.does else "")
        shown = " ".join(f"`{x}`" for x in s.cases + s.tests)
        lines.append(f"| {s.id} | {s.level} | {text} | {verdicts[s.id]} | {shown} |")
        following = all_statements.index(s) + 1
        if following == len(all_statements) or all_statements[following].section != section:
            lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def words_of(all_statements, verdicts):
    words = {}
    for s in all_statements:
        verdict = verdicts.get(s.id, ("", ""))[0]
        words[s.id] = {"pass": "pass", "fail": "FAIL"}.get(
            verdict, "not offered" if s.cases else "tests")
    return words


class Tap:
    """Test points as they come; the plan at the end."""

    def __init__(self):
        self.number = 0

    def point(self, good, name, skip="", more=""):
        self.number += 1
        directive = f" # SKIP {skip}" if skip else ""
        print(f"{'ok' if good else 'not ok'} {self.number} - {name}{directive}")
        for line in more.splitlines():
            print(line if line.startswith("#") else f"# {line}")
        sys.stdout.flush()


def main():
    args = [a for a in sys.argv[1:] if not a.startswith("--")]
    # Under valgrind on a busy machine everything takes 50 times as long.
    timeout_ms = 20000
    for a in sys.argv[1:]:
        if a.startswith("--timeout="):
            timeout_ms = int(a.removeprefix("--timeout="))
    if len(args) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    conformance, daemon = args[0], os.environ.get("DPDK_RTC") or args[1]
    tap, verdicts, failed = Tap(), {}, {}
    folder = tempfile.mkdtemp(prefix="dpdk-rtc-conformance-")
    try:
        for idle in dict.fromkeys(run[1] for run in RUNS):
            runs = [run for run in RUNS if run[1] == idle]
            with Daemon(daemon, folder, idle, runs) as d:
                d.wait_ready()
                for name, _, _, options in runs:
                    begin = time.monotonic()
                    wrong, reports = run_one(conformance, d.sockets[name], options,
                                             timeout_ms, folder)
                    merge(verdicts, reports)
                    failed.update({s["id"]: name for s in reports if s["verdict"] == "fail"})
                    tap.point(not wrong, f"run: {name}", more=wrong)
                    print(f"# {time.monotonic() - begin:.1f} s")
                    if wrong and "--first" in sys.argv:
                        print(f"1..{tap.number}")
                        return 1
            status = d.child.returncode
            tap.point(status == 0, f"the daemon ({idle}) ends with exit status 0",
                      more="" if status == 0 else f"status {status}\n{d.said()[-2000:]}")
    finally:
        shutil.rmtree(folder)
    all_statements = statements.read()
    for s in all_statements:
        verdict, reason = verdicts.get(s.id, ("", ""))
        if verdict == "skip" and s.id in OF_THE_MACHINE:
            tap.point(True, f"{s.id}: {s.text[0]}", skip=reason)
            verdicts[s.id] = ("pass", "")
        elif verdict == "skip":
            print(f"# {s.id}: {reason}")
        elif verdict:
            tap.point(verdict != "fail", f"{s.id}: {s.text[0]}",
                      more=f"failed in the run: {failed[s.id]}" if verdict == "fail" else "")
    faults = list(statements.faults(all_statements))
    tap.point(not faults, "statements.txt names what there is", more="\n".join(faults))
    text = page(all_statements, words_of(all_statements, verdicts))
    if "--write" in sys.argv:
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(text)
    with open(PAGE, encoding="utf-8") as file:
        current = file.read() == text
    tap.point(current, "conformance.md is what run.py --write writes")
    print(f"1..{tap.number}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
