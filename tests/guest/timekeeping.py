# SPDX-License-Identifier: BSD-3-Clause
"""The programs that keep a guest on time in the field, on our clocks: Debian's linuxptp and chrony.
They are judged by what the guest's clock shows between two looks at the host's, not by their words
alone. `CASES` is for run's own.
"""

import os
import re
import time

from vm import (NS, TAI, UTC, Failure, LeapTable, check, check_between, expected_ns, host_clocks,
                provide)

CASES = {}
# How wrong the guest's clock is set before somebody puts it right.
WRONG_S = 5
# A program's look at a clock may be late by as much as a busy machine makes it.
LATE_NS = 100_000_000
# chrony 4.6 believes a reading only if it took as long as the fastest tenth to fifth of those
# before. Where that changes (a busy host), it has none for a while: mostly 3 s, once more than 20.
CHRONY_S = 180
UTC_LINE = "refclock PHC /dev/{phc} poll 0 dpoll -2 stratum 1 refid RTC"
TAI_LINE = UTC_LINE + " tai\nleapseclist /usr/share/zoneinfo/leap-seconds.list"
CHRONY_CONF = """{source}
makestep 0.1 3
cmdport 0
pidfile /run/chronyd.pid
"""


def case(function):
    CASES[function.__name__.replace("_", "-")] = function
    return function


def boot(bench):
    bench.needs_daemon()
    return bench.one(tools=os.path.join(provide("fetch-tools"), "tools.cpio"))


def phc_of(guest, clock_type):
    """The name of the clock of that type: "ptp1"."""
    for index, (kind, _) in guest.clock_types().items():
        if kind == clock_type:
            return f"ptp{index}"
    raise Failure(f"the guest has no clock of type {clock_type}")


def tai_utc_s():
    return LeapTable().offset_s(int(time.time()))


def guest_offset_ns(guest):
    """What the guest's CLOCK_REALTIME less the host's is at least, and at most."""
    answer = guest.step("clock")
    return (answer.integer("clock.ns") - answer.after["utc"],
            answer.integer("clock.ns") - answer.before["utc"])


def check_same(what, said_ns, offset_ns):
    """What a program says of the guest's clock is what the host saw of it."""
    check(offset_ns[0] - LATE_NS <= said_ns <= offset_ns[1] + LATE_NS,
          f"{what} says {said_ns} ns, the host saw {offset_ns[0]} to {offset_ns[1]}")


def set_wrong(guest):
    """Sets the guest's clock wrong by WRONG_S, less what is lost of the second."""
    guest.run(f"/busybox date -s @$(( $(/busybox date +%s) + {WRONG_S} ))")
    offset_ns = guest_offset_ns(guest)
    check(offset_ns[0] > (WRONG_S - 2) * NS, f"the guest's clock is {offset_ns[0]} ns ahead")


def check_right(bench, guest):
    offset_ns = guest_offset_ns(guest)
    check_same("nobody", 0, offset_ns)
    bench.note(f"between {offset_ns[0] / 1e6:.1f} and {offset_ns[1] / 1e6:.1f} ms off")


@case
def timekeeping_phc_ctl(bench):
    """phc_ctl reads each clock between the host's own before and after, and says how far the
    guest's clock is from it."""
    guest = boot(bench)
    for index, (kind, _) in guest.clock_types().items():
        answer = guest.begin(f"run:10:phc_ctl /dev/ptp{index} get")
        answer.before = host_clocks()
        guest.finish(answer)
        said = " ".join(value for _, value in answer.every)
        match = re.search(r"clock time is (\d+)\.(\d{9}) ", said)
        check(match, f"phc_ctl says: {said}")
        reading_ns = int(match[1]) * NS + int(match[2])
        check_between(f"phc_ctl, ptp{index}", kind, reading_ns, reading_ns, answer.before,
                      answer.after)
        said = " ".join(guest.run(f"phc_ctl /dev/ptp{index} cmp"))
        match = re.search(r"offset from CLOCK_REALTIME is (-?\d+)ns", said)
        check(match, f"phc_ctl says: {said}")
        # It says how far the guest's clock is ahead of this one, which has a zero of its own.
        clocks = host_clocks()
        said_ns = int(match[1]) + expected_ns(kind, clocks) - clocks["utc"]
        check_same(f"phc_ctl cmp, ptp{index},", said_ns, guest_offset_ns(guest))


@case
def timekeeping_phc2sys(bench):
    """phc2sys steers the guest's clock by our UTC clock, and by our TAI clock with their
    difference: it steps it once and then follows (servo state s2)."""
    guest = boot(bench)
    for kind, offset_s in ((UTC, 0), (TAI, -tai_utc_s())):
        set_wrong(guest)
        lines = guest.run(f"phc2sys -s /dev/{phc_of(guest, kind)} -c CLOCK_REALTIME -O {offset_s} "
                          "-R 4 -m -q", seconds=5)
        locked = [abs(int(match[1])) for match in
                  (re.search(r"offset +(-?\d+) s2 ", line) for line in lines) if match]
        check(locked, f"phc2sys does not come to s2: {lines[-1:]}")
        late = sorted(locked[len(locked) // 2:])
        bench.note(f"{'UTC' if kind == UTC else 'TAI'}: {len(lines)} looks, median "
                   f"{late[len(late) // 2] / 1000:.0f} us")
        check_right(bench, guest)


def run_chrony(guest, phc, options="", line=UTC_LINE):
    """Starts chronyd; returns chronyc's fields of its source, once it is selected."""
    conf = CHRONY_CONF.format(source=line.format(phc=phc)).replace("\n", "\\n")
    guest.run(f"/busybox printf '{conf}' > /chrony.conf")
    guest.run(f"chronyd -d {options} -u root -f /chrony.conf > /chrony.log 2>&1 &")
    lines = []
    until = time.monotonic() + CHRONY_S
    while time.monotonic() < until:
        lines = guest.run("chronyc -c sources")
        selected = [line for line in lines if line.startswith("#,*,")]
        if selected:
            return selected[0].split(",")
        time.sleep(1)
    log = guest.run("/busybox tail -n 5 /chrony.log")
    raise Failure(f"chronyd selects no source: {lines}; {log}")


def chrony_right(bench, clock_type, line):
    guest = boot(bench)
    set_wrong(guest)
    run_chrony(guest, phc_of(guest, clock_type), line=line)
    tracking = guest.run("chronyc -c tracking")[0].split(",")
    check(tracking[1] == "RTC", f"chronyd follows {tracking[1]}")
    check_right(bench, guest)
    return guest


@case
def timekeeping_chrony(bench):
    """chronyd selects our UTC clock as its source, and puts right a clock that is seconds wrong."""
    chrony_right(bench, UTC, UTC_LINE)


@case
def timekeeping_chrony_tai(bench):
    """The same with our TAI clock and tzdata's leap seconds; the guest's kernel is told TAI - UTC
    then."""
    guest = chrony_right(bench, TAI, TAI_LINE)
    told_s = guest.step("clock").integer("clock.tai_utc_s")
    check(told_s == tai_utc_s(), f"the kernel's TAI - UTC is {told_s} s, not {tai_utc_s()}")


@case
def timekeeping_chrony_watching(bench):
    """chronyd -x: it selects our clock, says how wrong the guest's is, and touches nothing."""
    guest = boot(bench)
    set_wrong(guest)
    source = run_chrony(guest, phc_of(guest, UTC), "-x")
    offset_ns = guest_offset_ns(guest)
    check(offset_ns[0] > (WRONG_S - 2) * NS, "the guest's clock was put right")
    check_same("chronyd -x", float(source[8]) * 1e9, offset_ns)
    bench.note(f"{float(source[8]):+.6f} s, +- {float(source[9]) * 1e6:.0f} us")
