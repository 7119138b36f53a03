# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's own tests of rtcs and of PTP clocks, rtctest and testptp, on our clocks: they are
what a change of the driver is tested with (fetch-selftests builds them as they are). `CASES` is for
run's own.
"""

import os
import re

from vm import (NS, UTC_SMEARED, Failure, Skip, check, check_between, host_clocks, provide)

CASES = {}
# What takes long: 30 s of readings, and alarms at the next full minute.
SLOW = ("date_read_loop", "alarm_alm_set_minute", "alarm_wkalm_set_minute")
QUICK = ("date_read", "alarm_alm_set", "alarm_wkalm_set")
UPDATES = ("uie_read", "uie_select")
# rtctest wants its alarm to be there within the second, which a busy machine may miss.
ATTEMPTS = 3
SAMPLES = 10


def case(function):
    CASES[function.__name__.replace("_", "-")] = function
    return function


def tools():
    return os.path.join(provide("fetch-selftests"), "selftests.cpio")


# --- rtctest -------------------------------------------------------------------------------------

def run_rtctest(guest, test, seconds):
    """One of its tests; returns what it said. Its main() takes one argument, the device, and its
    harness takes the same one for the choice of tests: so the device gets that for a name."""
    guest.run(f"cd / && /busybox ln -sf /dev/rtc0 ./-t{test}")
    for _ in range(ATTEMPTS):
        lines = guest.run(f"cd / && rtctest -t{test} 2>&1", seconds)
        if f"ok 1 rtc.{test}" in (line.strip() for line in lines):
            return lines
        late = [re.search(r"Expected new \((\d+)\) == secs \((\d+)\)", line) for line in lines]
        if not any(match and int(match[1]) > int(match[2]) for match in late):
            break
    raise Failure(f"rtctest, {test}: {'; '.join(lines[-6:])}")


def rtctest(bench, tests, seconds):
    bench.needs_clock(UTC_SMEARED)
    guest = bench.one(tools=tools())
    for test in tests:
        run_rtctest(guest, test, seconds)
    guest.check_all_readings(len(bench.clocks))
    return guest


@case
def rtctest_quick(bench):
    """The kernel's rtctest on /dev/rtc0: RTC_RD_TIME, RTC_ALM_SET and RTC_WKALM_SET, each of which
    is there in its second."""
    rtctest(bench, QUICK, 40)
    bench.note(f"{len(QUICK)} of its tests")


@case
def rtctest_slow(bench):
    """The rest of rtctest: 30 s of readings, and alarms at full minutes. It takes up to three
    minutes, so it has to be asked for."""
    rtctest(bench, SLOW, 90)
    bench.note(f"{len(SLOW)} of its tests")


rtctest_slow.asked_for = True


@case
def rtctest_updates(bench):
    """rtctest's update interrupts (RTC_UIE_ON), which Linux' virtio_rtc does not have."""
    bench.needs_clock(UTC_SMEARED)
    guest = bench.one(tools=tools())
    said = [line for test in UPDATES for line in run_rtctest(guest, test, 40)]
    skipped = [line for line in said if "skip update IRQs not supported" in line]
    if len(skipped) == len(UPDATES):
        raise Skip("rtctest says: skip update IRQs not supported (RTC_UIE_ON is EINVAL: a limit of "
                   "Linux' driver)")
    check(not skipped, "rtctest skips one of its tests of update interrupts, and not the other")


# --- testptp -------------------------------------------------------------------------------------

def testptp(guest, index, options):
    """What it says of that clock, as one text, and the host's clocks around it."""
    before = host_clocks()
    said = "\n".join(guest.run(f"testptp -d /dev/ptp{index} {options} 2>&1"))
    return said, before, host_clocks()


def capabilities(guest, index):
    """{what: how many}."""
    said = testptp(guest, index, "-c")[0]
    return {match[2]: int(match[1]) for match in re.finditer(r"^ +(-?\d+) (\S.*)$", said, re.M)}


def times_ns(said, what):
    return [int(match[1]) * NS + int(match[2])
            for match in re.finditer(rf"{what} time: (\d+)\.(\d{{9}})", said)]


def check_times(what, kind, times, count, before, after):
    """So many readings, none of which goes back or is out of the host's interval."""
    check(len(times) == count, f"{what}: {len(times)} readings, not {count}")
    check(times == sorted(times), f"{what}: the clock went back")
    check_between(what, kind, times[0], times[-1], before, after)


def check_refused(guest, index, options, call):
    said = testptp(guest, index, options)[0]
    check(re.fullmatch(rf"{call}: (Operation not supported|Numerical result out of range)",
                       said.strip()),
          f"ptp{index}, testptp {options}: {said}")


def check_clock(guest, index, kind):
    name = f"testptp, ptp{index}"
    said, before, after = testptp(guest, index, "-g")
    check_times(f"{name} -g", kind, times_ns(said, "clock"), 1, before, after)
    said, before, after = testptp(guest, index, f"-k {SAMPLES}")
    check_times(f"{name} -k", kind, times_ns(said, r"phc +"), SAMPLES, before, after)
    for base in ("realtime", "monotonic", "monotonic-raw"):
        said, before, after = testptp(guest, index, f"-x {SAMPLES} -y {base}")
        check_times(f"{name} -x -y {base}", kind, times_ns(said, "phc"), SAMPLES, before, after)
        system = re.findall(r"(?:real|monotonic|monotonic-raw) time (?:before|after): (\d+\.\d{9})",
                            said)
        check(len(system) == 2 * SAMPLES and system == sorted(system, key=float),
              f"{name} -x -y {base}: {said}")


@case
def testptp_reads(bench):
    """The kernel's testptp on each clock: capabilities, readings, offsets by PTP_SYS_OFFSET and
    _EXTENDED (by three clocks of the guest's); setting the clock and cross-timestamps are
    refused."""
    guest = bench.one(tools=tools())
    for index, (kind, _) in guest.clock_types().items():
        has = capabilities(guest, index)
        check(len(has) >= 8 and not any(has.values()), f"ptp{index} can: {has}")
        check_clock(guest, index, kind)
        check_refused(guest, index, "-X", "PTP_SYS_OFFSET_PRECISE")
        check_refused(guest, index, "-T 1000", "clock_settime")
        check_refused(guest, index, "-f 1000", "clock_adjtime")
        check_refused(guest, index, "-t 5", "clock_adjtime")
        guest.check_reading(index, kind)


def check_cross(guest, index, kind):
    """testptp -X, once the driver has a map to the guest's counter."""
    has = capabilities(guest, index)
    check(has.get("cross timestamping") == 1, f"ptp{index} can: {has}")
    said, before, after = testptp(guest, index, "-X")
    check_times(f"testptp, ptp{index} -X", kind, times_ns(said, "device"), 1, before, after)
    check(len(times_ns(said, "system")) == 1 and len(times_ns(said, "monoraw")) == 1,
          f"ptp{index}, testptp -X: {said}")
    return times_ns(said, "device")[0] - times_ns(said, "system")[0]
