#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The truth check of cross-timestamps. For each pair that a guest got (device's clock, its own
counter): what did the host's clock show when the guest's counter was there? `CASES` is for run's
own; `pairs.py` alone checks its own judgement, on pairs that are made up.

Nothing is measured that can be known. The guest tells its counter from its CLOCK_MONOTONIC_RAW,
and the host its clock from its counter, by the kernel's own coefficients (vdso_clock.h). What the
guest's counter is ahead of the host's is a number in QEMU, which is read there; guest and host ask
each other, too, and that number has to lie within what they find. Where QEMU's program has no
symbols, the middle of what they find is taken, and half of it is the doubt.
"""

import bisect
import dataclasses
import mmap
import os
import random
import re
import statistics
import struct
import subprocess
import sys
import time

from vm import (HERE, MONOTONIC, NS, PATCHED_DRIVER, Q35, TAI, UTC, VHOST, Failure, LeapTable, Skip,
                alone, check, die_with_parent, host_clocks)

CASES = {}
# With the driver of qemu-glue/linux, which asks for cross-timestamps on x86.
# It makes cross-timestamps by the TSC, and Linux trusts that a second or two after the boot. (A
# watchdog would distrust it for good if the emulated reads of its other clock take long.)
PATCHED = dataclasses.replace(Q35, load=f"load:{PATCHED_DRIVER},clocksource:tsc:60",
                              cmdline=f"{Q35.cmdline} tsc=nowatchdog")
PAGE = 4096
HEADER = struct.Struct("<QQIIQ")
PAIR = struct.Struct("<Qq")
MAGIC = 0x7061697273206F66
MEETING = 0xFFFFFFFF
WRAP = 1 << 64
MEET_S = 3
# A map that is so far off has to be noticed: some 400 ns of a TSC.
WRONG_COUNTS = 1000
# What the guest's kernel may add: its raw clock is in whole ns, and interpolated over a tick.
KERNEL_NS = 3
# A device is off now and then by a window's half, and one with a wrong map always: by the median.
MEDIAN_NS = 20
NO_LINE = "the kernel's page of clocks is not as expected"  # says init.c


def case(function):
    CASES[function.__name__.replace("_", "-")] = function
    return function


@dataclasses.dataclass(frozen=True)
class Counter:
    """The host's counter that the guest's comes from; how many of its units a count of the guest's
    is; where QEMU has the difference, in its `timers_state`."""
    name: str
    numerator: int
    offset_at: int


TSC = Counter("tsc", 1, 8)  # cpu_ticks_offset
VIRT = Counter("monotonic", 16, 56)  # cpu_clock_offset, and 62.5 MHz: CNTVCT of QEMU's cortex-a57


def signed(number):
    number %= WRAP
    return number - WRAP if number >= WRAP // 2 else number


# --- The host's clock ----------------------------------------------------------------------------

class Lines:
    """A clock as the function of a counter that it is: (count_base, shifted_ns, sec, mult, shift)
    from each count_base on."""

    def __init__(self, lines):
        self.lines = sorted(lines)
        self.begins = [line[0] for line in self.lines]

    def at(self, count):
        """What the clock showed, in ns."""
        base, shifted_ns, sec, mult, shift = self.lines[
            max(0, bisect.bisect_right(self.begins, count) - 1)]
        return sec * NS + ((count - base) * mult + shifted_ns >> shift)

    def per_ns(self):
        """Counts in a nanosecond."""
        _, _, _, mult, shift = self.lines[-1]
        return 2 ** shift / mult


def host_program(folder):
    path = os.path.join(folder, "pairs_host")
    if not os.path.exists(path):
        subprocess.run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE",
                        "-o", path, os.path.join(HERE, "pairs_host.c")], check=True, timeout=60)
    return path


class HostClock:
    """Watches a clock of the host for as long as the `with` lasts; then it has its lines."""

    def __init__(self, folder, clock, counter):
        self.argv = [host_program(folder), "watch", clock, counter.name]
        self.lines = None
        self.child = None

    def __enter__(self):
        self.child = subprocess.Popen(  # pylint: disable=consider-using-with
            self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, preexec_fn=die_with_parent)
        self.begun = self.child.stdout.readline()
        return self

    def __exit__(self, *_):
        out, err = self.child.communicate(timeout=30)
        if self.child.returncode == 75:
            raise Skip(err.strip().removeprefix("pairs_host: "))
        check(self.child.returncode == 0, f"pairs_host: {err.strip()}")
        self.lines = Lines([tuple(int(word) for word in line.split())
                            for line in (self.begun + out).splitlines()])


def needs_host_clock(folder):
    """A host whose clock is no line of its counter has no cross-timestamps, and cannot judge."""
    with HostClock(folder, "realtime", TSC):
        pass


# --- What the guest's counter is ahead of the host's ---------------------------------------------

def memory_of(guest):
    """The file of the guest's memory."""
    folder = f"/proc/{guest.process.child.pid}/fd"
    for fd in os.listdir(folder):
        if "memfd:" in os.readlink(os.path.join(folder, fd)):
            return os.path.join(folder, fd)
    raise Skip("QEMU has no memfd")


def qemu_place(guest, counter):
    """Where QEMU has the difference, as a file and a place in it; None if its program does not say
    so."""
    pid = guest.process.child.pid
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
        found = re.search(r"^([0-9a-f]+)-\S+ \S+ 00000000 .*?(/\S*qemu-system-\S+)$", maps.read(),
                          re.M)
    if not found:
        return None
    for table in ([], ["-D"]):
        names = subprocess.run(["nm", *table, found[2]], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True, timeout=60, check=False)
        symbol = re.search(r"^([0-9a-f]+) \w timers_state$", names.stdout, re.M)
        if symbol:
            return f"/proc/{pid}/mem", int(found[1], 16) + int(symbol[1], 16) + counter.offset_at
    return None


def qemu_number(guest, counter, add=0):
    """The difference as QEMU has it, None if it cannot be seen; if `add` is not 0, the guest's
    counter jumps by so much before, and nobody is told."""
    place = qemu_place(guest, counter)
    if place is None:
        return None
    with open(place[0], "r+b", buffering=0) as memory:
        memory.seek(place[1])
        number = signed(int.from_bytes(memory.read(8), "little"))
        if add:
            number += add
            memory.seek(place[1])
            memory.write(number.to_bytes(8, "little", signed=True))
    return number


@dataclasses.dataclass
class Difference:
    """Of the counters, guest's less host's, in the host's units; how far it may be off, and what
    guest and host found by asking each other."""
    units: int
    doubt: float
    low: int
    high: int
    known: bool  # QEMU's own number


def find_difference(guest, folder, counter, seconds=MEET_S):
    answer = guest.begin(f"meet:{(seconds + 2) * 1000}")
    key, run, _ = guest._fact(30)  # pylint: disable=protected-access
    check(key == "meet.run", f"the guest says {key} {run}")
    done = subprocess.run(
        [host_program(folder), "meet", memory_of(guest), run, counter.name, str(seconds),
         str(counter.numerator)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    guest.finish(answer)
    check(done.returncode == 0, f"pairs_host: {done.stdout.strip()}")
    facts = dict(line.split("=") for line in done.stdout.splitlines())
    low, high = int(facts["low"]), int(facts["high"])
    number = qemu_number(guest, counter)
    if number is None:
        return Difference((low + high) // 2, (high - low) / 2, low, high, False)
    check(low <= number <= high, f"QEMU has {number}, but the guest's counter is ahead by {low} to "
                                 f"{high} of the host's {counter.name}")
    return Difference(number, 0, low, high, True)


# --- The judgement -------------------------------------------------------------------------------

def collect(path, run, pages):
    """The pairs of that run, by the pages that are in the guest's memory."""
    found = {}
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        for at in range(0, len(memory), PAGE):
            magic, its_run, index, count, _ = HEADER.unpack_from(memory, at)
            if magic ^ run == MAGIC and its_run == run and index < pages and count <= 254:
                begin = at + HEADER.size
                found[index] = list(PAIR.iter_unpack(memory[begin:begin + count * PAIR.size]))
    check(len(found) == pages, f"{len(found)} of {pages} pages are in the guest's memory")
    return [pair for index in range(pages) for pair in found[index]]


def errors_ns(pairs, lines, eras, counter, add_ns):
    """Of each pair: what the device's clock shows more than the host's, when the guest's counter
    was there. `eras`: (from which value of the guest's counter on, in the host's units; what that
    is ahead of the host's), since it stands still while its VM is stopped."""
    begins = [begin for begin, _ in eras]
    errors = []
    for count, device_ns in pairs:
        # A count stands for all the host's units until the next: its middle.
        guest = count * counter.numerator + counter.numerator // 2
        difference = eras[max(0, bisect.bisect_right(begins, guest) - 1)][1]
        errors.append(device_ns - add_ns - lines.at((guest - difference) % WRAP))
    return errors


@dataclasses.dataclass
class Judgement:
    errors: list  # ns, sorted
    doubt_ns: float
    counts_per_ns: float  # of the guest's counter
    refused: int = 0

    def within(self, allowed_ns):
        """None is off by more than allowed, and together they are off by next to nothing."""
        return (max(abs(self.errors[0]), abs(self.errors[-1])) <= allowed_ns + self.doubt_ns and
                abs(self.errors[len(self.errors) // 2]) <= MEDIAN_NS + self.doubt_ns)

    def text(self):
        n = len(self.errors)
        size = sorted(abs(error) for error in self.errors)
        median, p99 = self.errors[n // 2], size[n - 1 - n // 100]
        return (f"{n} pairs, median {median:+.0f} ns, 99 % within {p99:.0f} ns "
                f"({p99 * self.counts_per_ns:.0f} counts), all from {self.errors[0]:+.0f} to "
                f"{self.errors[-1]:+.0f} ns ({self.errors[0] * self.counts_per_ns:+.0f} to "
                f"{self.errors[-1] * self.counts_per_ns:+.0f} counts), standard deviation "
                f"{statistics.pstdev(self.errors):.1f} ns, known to {self.doubt_ns:.0f} ns")


def judge(guest, folder, index, kind, count, difference, counter=TSC, meanwhile=None):
    """The guest makes so many pairs of /dev/ptp`index`, which is of that type. What `meanwhile`
    does to it, it does while they are made; it returns the eras that followed."""
    add_ns = LeapTable().offset_s(host_clocks()["utc"] // NS) * NS if kind == TAI else 0
    eras = [(0, difference.units)]
    with HostClock(folder, "boottime" if kind == MONOTONIC else "realtime", counter) as clock:
        answer = guest.begin(f"pairs:{index}:{count}")
        if meanwhile:
            eras += meanwhile()
        try:
            guest.finish(answer, seconds=300)
        except Failure as failure:
            # Another kernel than vdso_clock.h knows.
            if NO_LINE not in str(failure):
                raise
            raise Skip(str(failure)) from failure
        time.sleep(0.1)
    refused = answer.integer("pairs.refused")
    check(meanwhile or refused == 0, f"the driver refused {refused}")
    check(abs(answer.integer("pairs.line_off_ns")) <= 1, "the guest's raw clock is no line")
    pairs = collect(memory_of(guest), answer.integer("pairs.run"), answer.integer("pairs.pages"))
    check(len(pairs) == count - refused and pairs,
          f"{len(pairs)} pairs in the guest's memory, not {count - refused}")
    per_ns = clock.lines.per_ns()
    return Judgement(sorted(errors_ns(pairs, clock.lines, eras, counter, add_ns)),
                     (difference.doubt + counter.numerator // 2) / per_ns + KERNEL_NS,
                     per_ns / counter.numerator, refused)


def claimed_ns(daemon):
    """By how much a pair may be off, as the device itself says: the most of all that it made."""
    return daemon.telemetry("/rtc/counter,0")["doubt_max_ns"]


def check_true(bench, judgement, daemon, before=()):
    """No pair is off by more than the device says (`before`: as did those that were killed), and
    what is known of the comparison."""
    claimed = max([claimed_ns(daemon), *before])
    check(judgement.within(claimed), f"claimed are {claimed} ns: {judgement.text()}")
    bench.note(f"{judgement.text()}, claimed are {claimed} ns")


def check_noticed(bench, judgement, daemon):
    claimed = claimed_ns(daemon)
    check(not judgement.within(claimed), f"nobody noticed: {judgement.text()}")
    bench.note(judgement.text())


# --- Cases ---------------------------------------------------------------------------------------

def boot_without(bench):
    """A guest with the patched driver and no device yet: its TSC's offset can be looked at before
    the daemon is told."""
    bench.needs_daemon()
    needs_host_clock(bench.log_dir)
    return bench.boot(["-device", "pcie-root-port,id=slot0,chassis=1,slot=1"], machine=PATCHED)


def plug(guest, bench, daemon):
    guest.qmp.execute("chardev-add", id="rtc", backend={"type": "socket", "data": {
        "addr": {"type": "unix", "data": {"path": daemon.sockets[0]}}, "server": False}})
    guest.qmp.execute("device_add", driver=VHOST, chardev="rtc", id="dev", bus="slot0")
    guest.step(f"await:{len(bench.clocks)}:30")
    return {kind: index for index, (kind, _) in guest.clock_types().items()}


def made_up(offset, count=20_000):
    """A host's clock that changes its speed, and pairs that are right to 2 ns."""
    noise = random.Random(5)
    lines, base, sec, shifted_ns, shift = [], 10 ** 14, 1_795_000_000, 5 << 24, 24
    for mult in (6_462_479, 6_462_480, 6_462_470, 6_462_479) * 25:
        lines.append((base, shifted_ns, sec, mult, shift))
        base += 10_400_000
        shifted_ns += 10_400_000 * mult
        sec, shifted_ns = sec + shifted_ns // (NS << shift), shifted_ns % (NS << shift)
    lines = Lines(lines)
    pairs = []
    for _ in range(count):
        host = noise.randrange(lines.begins[0], base)
        pairs.append(((host + offset) % WRAP, lines.at(host) + noise.randint(-2, 2)))
    return lines, pairs


def check_judgement():
    offset = -134_000_000_000_123
    lines, pairs = made_up(offset)
    for off, allowed_ns, right in ((0, 2, True), (0, 1, False), (WRONG_COUNTS, 300, False),
                                   (-WRONG_COUNTS, 300, False), (WRONG_COUNTS, 10_000, False)):
        errors = errors_ns(pairs, lines, [(0, offset + off)], TSC, 0)
        one = Judgement(sorted(errors), 0, lines.per_ns())
        check(one.within(allowed_ns) == right, f"{off} counts off: {one.text()}")
    # A guest that was stopped for 400 us, with a map for after it, and with the one of before.
    ahead, stop, stood = 10 ** 16, lines.begins[5], 10 ** 6
    eras = [(0, ahead), (stop + ahead, ahead - stood)]
    for less, right in ((stood, True), (0, False)):
        pairs = [(host + ahead - (less if host > stop else 0), lines.at(host))
                 for host in range(lines.begins[0], lines.begins[9], 99_991)
                 if not stop <= host < stop + stood]
        one = Judgement(sorted(errors_ns(pairs, lines, eras, TSC, 0)), 0, lines.per_ns())
        check(one.within(2) == right, f"the map after a stop, {right}: {one.text()}")
    # A counter of 62.5 MHz knows 16 ns.
    lines = Lines([(7 * NS, 0, 1_795_000_007, 1, 0)])
    pairs = [((host + offset) % WRAP // 16, lines.at(host)) for host in range(8 * NS, 9 * NS, 9973)]
    one = Judgement(sorted(errors_ns(pairs, lines, [(0, offset % WRAP)], VIRT, 0)), 0, 1 / 16)
    check(one.within(8), f"of 62.5 MHz: {one.text()}")


@case
def pairs_judge(_):
    """The judgement itself, on pairs that are made up: the right map is right, and one that is
    1000 counts off is noticed."""
    check_judgement()


@case
def pairs_truth(bench):
    """100,000 cross-timestamps of a guest's UTC clock, and 10,000 of its TAI and its monotonic one,
    with a map that is true: each is what the host's clock showed when the guest's TSC was there."""
    guest = boot_without(bench)
    difference = find_difference(guest, bench.log_dir, TSC)
    bench.note(f"guest's TSC less host's: {difference.units}"
               f"{', by QEMU' if difference.known else ''}, within {difference.low} to "
               f"{difference.high} by asking")
    daemon = bench.daemon(options=("--counter", f"offset:{difference.units % WRAP}"))
    indices = plug(guest, bench, daemon)
    for kind, count in ((UTC, 100_000), (TAI, 10_000), (MONOTONIC, 10_000)):
        one = judge(guest, bench.log_dir, indices[kind], kind, count, difference)
        check_true(bench, one, daemon)


@case
def pairs_wrong_map(bench):
    """A map that is 1000 counts off, some 400 ns, is noticed by the same comparison."""
    guest = boot_without(bench)
    difference = find_difference(guest, bench.log_dir, TSC)
    if not difference.known:
        raise Skip("this QEMU's program has no symbols, and by asking alone it is not noticed")
    daemon = bench.daemon(
        options=("--counter", f"offset:{(difference.units - WRONG_COUNTS) % WRAP}"))
    indices = plug(guest, bench, daemon)
    one = judge(guest, bench.log_dir, indices[UTC], UTC, 1000, difference)
    check_noticed(bench, one, daemon)


def spread(answer, index):
    """How far they are from a straight line: 99 % of them, and the standard deviation."""
    return tuple(float(answer[f"ptp{index}.realtime.{what}_ns"]) for what in ("p99", "stddev"))


@case
@alone
def pairs_spread(bench):
    """As the guest sees it: 10,000 cross-timestamps lie closer to a straight line than as many
    readings without (PTP_SYS_OFFSET_EXTENDED) of the same clock, by a factor of 100. QEMU's own
    device, in its process, stands beside."""
    guest = boot_without(bench)
    difference = find_difference(guest, bench.log_dir, TSC)
    daemon = bench.daemon(options=("--counter", f"offset:{difference.units % WRAP}"))
    index = plug(guest, bench, daemon)[UTC]
    cross = spread(guest.step(f"precise:{index}:10000", 300), index)
    plain = spread(guest.step(f"extended:{index}:10000", 300), index)
    guest.power_off()
    qemus = spread(bench.boot(["-device", "virtio-rtc-pci"]).step("extended:0:10000", 300), 0)
    bench.note("99 % within (standard deviation): " + ", ".join(
        f"{what} {p99:.1f} ({deviation:.1f}) ns" for what, (p99, deviation) in
        (("cross", cross), ("extended", plain), ("QEMU's own, extended", qemus))))
    check(cross[0] * 100 < plain[0], f"{cross} ns is not a hundredth of {plain} ns")


if __name__ == "__main__":
    check_judgement()
    sys.exit(print("pairs.py: the judgement is right on what is made up"))
