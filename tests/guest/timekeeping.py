# SPDX-License-Identifier: BSD-3-Clause
"""The programs that keep a guest on time in the field, on our clocks: Debian's linuxptp and chrony.
`CASES` is for run's own.
"""

import os
import re
import time

from vm import MONOTONIC, NS, TAI, UTC, UTC_SMEARED, Failure, check, provide

CASES = {}
# How wrong the guest's clock is set before somebody puts it right.
WRONG_S = 5
CHRONY_CONF = """refclock PHC /dev/{phc} poll 0 dpoll -2 stratum 1 refid RTC
makestep 0.1 3
cmdport 0
pidfile /run/chronyd.pid
"""


def case(function):
    CASES[function.__name__.replace("_", "-")] = function
    return function


def boot(bench, **options):
    bench.needs_daemon()
    tools = os.path.join(provide("fetch-tools"), "tools.cpio")
    return bench.one(tools=tools, **options)


def phc_of(guest, clock_type):
    """The name of the clock of that type: "ptp1"."""
    for index, (kind, _) in guest.clock_types().items():
        if kind == clock_type:
            return f"ptp{index}"
    raise Failure(f"the guest has no clock of type {clock_type}")


def check_guest_clock(guest):
    """The guest's CLOCK_REALTIME is the host's, give or take a second."""
    before_ns = time.clock_gettime_ns(time.CLOCK_REALTIME)
    (said,) = guest.run("/busybox date +%s")
    after_ns = time.clock_gettime_ns(time.CLOCK_REALTIME)
    # date(1) of busybox knows seconds alone.
    check(before_ns // NS - 1 <= int(said) <= after_ns // NS + 1,
          f"the guest's clock says {said}, the host's {after_ns // NS}")


def set_wrong(guest):
    guest.run(f"/busybox date -s @$(( $(/busybox date +%s) + {WRONG_S} ))")


def last_offset_ns(lines, pattern):
    found = [int(match[1]) for match in (re.search(pattern, line) for line in lines) if match]
    check(found, f"no offset in {lines[-3:]}")
    return found


@case
def timekeeping_phc_ctl(bench):
    """phc_ctl reads each clock, and compares it with the guest's own."""
    guest = boot(bench)
    for index, (kind, _) in guest.clock_types().items():
        before_ns = time.clock_gettime_ns(time.CLOCK_REALTIME)
        said = " ".join(guest.run(f"phc_ctl /dev/ptp{index} get"))
        after_ns = time.clock_gettime_ns(time.CLOCK_REALTIME)
        match = re.search(r"clock time is (\d+)\.(\d+)", said)
        check(match, f"phc_ctl says: {said}")
        reading_ns = int(match[1]) * NS + int(match[2])
        if kind in (UTC, UTC_SMEARED):
            check(before_ns <= reading_ns <= after_ns,
                  f"phc_ctl reads {reading_ns} from ptp{index}, the host {before_ns} to {after_ns}")
        said = " ".join(guest.run(f"phc_ctl /dev/ptp{index} cmp"))
        check("offset from CLOCK_REALTIME is" in said, f"phc_ctl says: {said}")
        if kind not in (MONOTONIC, TAI):
            bench.note(f"ptp{index} {re.search(r'is (-?[0-9]+ns)', said)[1]}")


@case
def timekeeping_phc2sys(bench):
    """phc2sys steers the guest's clock by our UTC clock, and by our TAI clock less 37 s: it steps
    it once and then follows (servo state s2)."""
    guest = boot(bench)
    for kind, offset in ((UTC, "0"), (TAI, "-37")):
        set_wrong(guest)
        lines = guest.run(f"phc2sys -s /dev/{phc_of(guest, kind)} -c CLOCK_REALTIME -O {offset} "
                          "-R 4 -m -q", seconds=8)
        locked = [line for line in lines if " s2 " in line]
        check(locked, f"phc2sys does not come to s2: {lines[-1:]}")
        offsets = last_offset_ns(locked, r"offset +(-?\d+) s2")
        check_guest_clock(guest)
        late = sorted(abs(offset_ns) for offset_ns in offsets[len(offsets) // 2:])
        bench.note(f"type {kind}: {len(lines)} looks, median {late[len(late) // 2] / 1000:.0f} us")


def run_chrony(guest, phc, options):
    """Starts chronyd and returns what chronyc says of its source, once it is selected."""
    conf = CHRONY_CONF.format(phc=phc).replace("\n", "\\n")
    guest.run(f"/busybox printf '{conf}' > /chrony.conf")
    guest.run(f"chronyd -d {options} -u root -f /chrony.conf > /chrony.log 2>&1 &")
    for _ in range(20):
        lines = guest.run("chronyc -c sources")
        selected = [line for line in lines if line.startswith("#,*,")]
        if selected:
            return selected[0].split(",")
        time.sleep(1)
    log = guest.run("/busybox tail -n 5 /chrony.log")
    raise Failure(f"chronyd selects no source: {lines}; {log}")


@case
def timekeeping_chrony(bench):
    """chronyd selects our UTC clock as its source, and puts right a clock that is seconds wrong."""
    guest = boot(bench)
    set_wrong(guest)
    run_chrony(guest, phc_of(guest, UTC), "")
    check_guest_clock(guest)
    tracking = guest.run("chronyc -c tracking")[0].split(",")
    bench.note(f"{float(tracking[4]) * 1e6:+.0f} us from the source")


@case
def timekeeping_chrony_watching(bench):
    """chronyd -x: it selects our clock and measures, and touches nothing."""
    guest = boot(bench)
    source = run_chrony(guest, phc_of(guest, UTC), "-x")
    bench.note(f"source {source[2]}: {float(source[7]) * 1e6:+.0f} us, "
               f"+- {float(source[9]) * 1e6:.0f} us")
