# SPDX-License-Identifier: BSD-3-Clause
"""Cross-timestamps through the QEMU of qemu-glue, which tells the daemon what its guest's counter
shows, again whenever that changes. Whether they are true, pairs.py judges. `CASES` is for run's
own.
"""

import os
import re
import time

import arm
from pairs import (PATCHED, TSC, VIRT, WRONG_COUNTS, check_noticed, check_true, claimed_ns,
                   find_difference, judge, needs_host_clock, qemu_number)
from selftests import check_clock, check_cross, tools
from timekeeping import check_right, phc_of, run_chrony, set_wrong
from vm import MONOTONIC, TAI, UTC, VHOST, Machine, alone, check, device, provide

CASES = {}
FEW = 2000
MEET_S = 1
JOB_S = 60
STOPS = 8
# For how long chrony may go on with readings of the other kind, until it is on cross-timestamps.
CROSS_S = 90


def case(function):
    CASES[function.__name__.replace("_", "-")] = function
    return function


# --- What the cases share ------------------------------------------------------------------------

def told(daemon):
    """What the daemon knows of its guest's counter."""
    return daemon.telemetry("/rtc/counter,0")


def one(bench, options="", **machine):
    """A guest on a daemon that is told by this QEMU."""
    bench.needs_daemon()
    needs_host_clock(bench.log_dir)
    daemon = bench.daemon()
    guest = bench.boot(device(VHOST + options, daemon.sockets[0]), machine=PATCHED, glue=True,
                       **machine)
    check(told(daemon)["known_from"] == "the VMM", f"the daemon knows: {told(daemon)}")
    return guest, daemon


def check_offered(guest, count):
    """Each clock has cross-timestamps, and gives one."""
    for index in range(count):
        answer = guest.step(f"precise:{index}")
        check(answer[f"ptp{index}.cross_timestamping"] == "1", f"ptp{index} offers none")
        check(answer[f"ptp{index}.precise"].isdigit(),
              f"ptp{index}: PTP_SYS_OFFSET_PRECISE: {answer[f'ptp{index}.precise']}")


def utc_of(guest):
    return int(phc_of(guest, UTC)[3:])


def check_few(bench, guest, daemon, counter=TSC):
    """The pairs of the UTC clock are true now."""
    difference = find_difference(guest, bench.log_dir, counter, MEET_S)
    check_true(bench, judge(guest, bench.log_dir, utc_of(guest), UTC, FEW, difference, counter),
               daemon)
    return difference


def check_100_000(bench, guest, daemon, counter):
    difference = find_difference(guest, bench.log_dir, counter)
    check(difference.known, "qemu-glue's QEMU does not say what the guest's counter is")
    indices = {kind: index for index, (kind, _) in guest.clock_types().items()}
    for kind, count in ((UTC, 80_000), (TAI, 10_000), (MONOTONIC, 10_000)):
        check_true(bench, judge(guest, bench.log_dir, indices[kind], kind, count, difference,
                                counter), daemon)


def stop_and_continue(bench, guest, daemon, counter):
    """Stops it again and again while it makes pairs: each is true by the map of its time."""
    def stops():
        eras = []
        for _ in range(STOPS):
            time.sleep(0.2)
            guest.qmp.execute("stop")
            # Now the number is what the guest's counter stands at.
            begin = qemu_number(guest, counter)
            time.sleep(0.3)
            guest.qmp.execute("cont")
            eras.append((begin, qemu_number(guest, counter)))
        return eras

    maps = told(daemon)["maps"]
    difference = find_difference(guest, bench.log_dir, counter, MEET_S)
    judgement = judge(guest, bench.log_dir, utc_of(guest), UTC, 30_000, difference, counter, stops)
    check_true(bench, judgement, daemon)
    bench.note(f"{judgement.refused} refused")
    now = told(daemon)["maps"]
    check(now == maps + STOPS, f"{now - maps} maps came with {STOPS} stops")
    after = check_few(bench, guest, daemon, counter)
    check(after.units != difference.units, "the guest's counter did not stand still")


def check_wrong_map(bench, guest, daemon, counter):
    """Makes the map wrong that QEMU has told, and has the comparison notice."""
    check(qemu_number(guest, counter, add=WRONG_COUNTS) is not None,
          "qemu-glue's QEMU does not say what the guest's counter is")
    difference = find_difference(guest, bench.log_dir, counter, MEET_S)
    check_noticed(bench, judge(guest, bench.log_dir, utc_of(guest), UTC, FEW, difference, counter),
                  daemon)


# --- Cases on x86 --------------------------------------------------------------------------------

@case
def cross_truth(bench):
    """QEMU tells the map: 100,000 cross-timestamps (of UTC, TAI, the monotonic clock), each is what
    the host's clock showed when the guest's TSC was there."""
    guest, daemon = one(bench)
    check_offered(guest, len(bench.clocks))
    check_100_000(bench, guest, daemon, TSC)


@case
def cross_wrong_map(bench):
    """The guest's TSC jumps by 1000 counts, some 400 ns, behind the back of QEMU, so that the map
    which it told is wrong: the comparison notices."""
    guest, daemon = one(bench)
    check_wrong_map(bench, guest, daemon, TSC)


@case
@alone
def cross_stop(bench):
    """The VM is stopped and goes on, eight times, while cross-timestamps are made: all are true,
    with the map of their time; and so are those that follow."""
    guest, daemon = one(bench)
    stop_and_continue(bench, guest, daemon, TSC)


@case
def cross_reset(bench):
    """The guest reboots, and the machine is reset from outside while cross-timestamps are made:
    they are true in each boot."""
    guest, daemon = one(bench, reboots=True)
    check_few(bench, guest, daemon)
    guest.reboot()
    check_few(bench, guest, daemon)
    guest.begin(f"pairs:{utc_of(guest)}:60000")
    time.sleep(1)
    guest.qmp.execute("system_reset")
    guest.wait_ready()
    check(guest.boot == 3, f"this is boot {guest.boot}, not 3")
    check_few(bench, guest, daemon)


class Snapshots:
    """savevm and loadvm, with an image that no device of the guest's has to do with."""

    def __init__(self, guest, folder):
        self.qmp = guest.qmp
        self.jobs = 0
        image = os.path.join(folder, "snapshots.qcow2")
        self.job("blockdev-create", options={"driver": "file", "filename": image, "size": 0})
        self.qmp.execute("blockdev-add", **{"node-name": "file", "driver": "file",
                                            "filename": image})
        self.job("blockdev-create", options={"driver": "qcow2", "file": "file", "size": 1 << 20})
        self.qmp.execute("blockdev-add", **{"node-name": "image", "driver": "qcow2",
                                            "file": "file"})

    def job(self, command, **arguments):
        self.jobs += 1
        name = f"job{self.jobs}"
        self.qmp.execute(command, **{"job-id": name}, **arguments)
        until = time.monotonic() + JOB_S
        while time.monotonic() < until:
            for job in self.qmp.execute("query-jobs"):
                if job["id"] == name and job["status"] == "concluded":
                    self.qmp.execute("job-dismiss", id=name)
                    check("error" not in job, f"{command}: {job.get('error')}")
                    return
            time.sleep(0.05)
        check(False, f"{command} is not done after {JOB_S} s")

    def save(self):
        self.job("snapshot-save", tag="one", vmstate="image", devices=["image"])

    def load(self):
        self.job("snapshot-load", tag="one", vmstate="image", devices=["image"])


@case
def cross_snapshot(bench):
    """A snapshot of the VM is saved, and loaded twice: while the VM runs, and while it is stopped.
    The guest goes back to where it was, and its cross-timestamps are true each time."""
    guest, daemon = one(bench, ",save-stopped=on")
    snapshots = Snapshots(guest, bench.log_dir)
    snapshots.save()
    for life in range(3):
        check(not guest.run("/busybox ls / | /busybox grep later"), "the guest has not gone back")
        check_few(bench, guest, daemon)
        guest.run("/busybox touch /later")
        if life == 0:
            snapshots.load()
        elif life == 1:
            guest.qmp.execute("stop")
            snapshots.load()
            guest.qmp.execute("cont")
    check(guest.run("/busybox ls / | /busybox grep later"), "the guest has no file of that name")


@case
def cross_restart(bench):
    """The daemon is killed and started again while cross-timestamps are made: those of the new one
    are true, too. One that is told nothing (--counter none) hands out none, and reads on; behind
    it, one that is told is true again."""
    bench.needs_daemon()
    needs_host_clock(bench.log_dir)
    daemon = bench.daemon(options=("--counter", "vmm"))
    args = device(VHOST, daemon.sockets[0])
    args[1] += ",reconnect-ms=200"
    guest = bench.boot(args, machine=PATCHED, glue=True)
    index = utc_of(guest)

    claimed = []

    def restart(counter):
        claimed.append(claimed_ns(daemon))
        daemon.kill()
        daemon.argv[daemon.argv.index("--counter") + 1] = counter
        guest.process.check_alive()
        time.sleep(0.2)
        daemon.restart()

    def restarts():
        for _ in range(2):
            time.sleep(0.5)
            restart("vmm")
        return []  # the guest's counter has not stood still

    difference = find_difference(guest, bench.log_dir, TSC, MEET_S)
    judgement = judge(guest, bench.log_dir, index, UTC, 30_000, difference, meanwhile=restarts)
    check_true(bench, judgement, daemon, claimed)
    bench.note(f"{judgement.refused} refused")
    restart("none")
    answer = guest.step(f"precise:{index}:3")
    check(answer[f"ptp{index}.precise"] == "EOPNOTSUPP",
          f"without a map, PTP_SYS_OFFSET_PRECISE is {answer[f'ptp{index}.precise']}")
    guest.check_all_readings(len(bench.clocks))
    restart("vmm")
    check_few(bench, guest, daemon)


# --- On Arm --------------------------------------------------------------------------------------

@case
def cross_arm(bench):
    """On arm64, Debian's kernel with Linux' own driver, and with CNTVCT: PTP_SYS_OFFSET_PRECISE
    works on each clock, and 100,000 cross-timestamps are true; and so are those that are made while
    the VM is stopped and goes on."""
    bench.needs_daemon()
    needs_host_clock(bench.log_dir)
    daemon = bench.daemon()
    machine = Machine(
        [*arm.VIRT, "-machine", "memory-backend=mem", "-global", "virtio-mmio.force-legacy=false"],
        ["-device", "pci-serial,chardev=line"], "console=ttyAMA0", "load:virtio_mmio,load",
        processor="aarch64")
    guest = bench.boot(device("vhost-user-rtc", daemon.sockets[0]), machine=machine, glue=True)
    check(told(daemon)["counter"] == "ARM_VCT", f"the daemon knows: {told(daemon)}")
    check_offered(guest, len(bench.clocks))
    check_100_000(bench, guest, daemon, VIRT)
    stop_and_continue(bench, guest, daemon, VIRT)
    check_wrong_map(bench, guest, daemon, VIRT)


# --- Programs ------------------------------------------------------------------------------------

def with_tools(bench):
    return one(bench, tools=os.path.join(provide("fetch-tools"), "tools.cpio"))


@case
def cross_phc2sys(bench):
    """phc2sys steers the guest's clock by cross-timestamps of our UTC clock: it says so (delay 0),
    and the host sees the clock put right."""
    guest, daemon = with_tools(bench)
    set_wrong(guest)
    before = told(daemon)["pairs"]
    lines = guest.run(f"phc2sys -s /dev/{phc_of(guest, UTC)} -c CLOCK_REALTIME -O 0 -R 4 -m -q",
                      seconds=5)
    looks = [re.search(r"offset +(-?\d+) s(\d) freq +\S+ delay +(\d+)", line) for line in lines]
    check(all(looks) and looks, f"phc2sys says: {lines[-1:]}")
    check(all(look[3] == "0" for look in looks), f"not all of them are cross-timestamps: {lines}")
    check(told(daemon)["pairs"] >= before + len(looks), "the device made fewer pairs than that")
    locked = sorted(abs(int(look[1])) for look in looks if look[2] == "2")
    check(locked, f"phc2sys does not come to s2: {lines[-1:]}")
    bench.note(f"{len(lines)} looks, median {locked[len(locked) // 2]} ns")
    check_right(bench, guest)


@case
def cross_testptp(bench):
    """The kernel's testptp with a map: each clock says that it has cross-timestamps, and gives
    them (-X); the other ways of reading are as without."""
    guest, _ = one(bench, tools=tools())
    for index, (kind, _) in guest.clock_types().items():
        check_clock(guest, index, kind)
        bench.note(f"ptp{index} less the guest's clock {check_cross(guest, index, kind)} ns")


@case
def cross_chrony(bench):
    """chronyd selects our UTC clock, goes over to cross-timestamps of it by itself, and puts right
    a clock that is seconds wrong."""
    guest, daemon = with_tools(bench)
    set_wrong(guest)
    run_chrony(guest, phc_of(guest, UTC))
    until = time.monotonic() + CROSS_S
    begun = told(daemon)["pairs"]
    while told(daemon)["pairs"] < begun + 50:
        check(time.monotonic() < until, f"chronyd took no cross-timestamps in {CROSS_S} s")
        time.sleep(0.5)
    source = guest.run("chronyc -c sources")[0].split(",")
    stats = guest.run("chronyc -c sourcestats")[0].split(",")
    check(source[:2] == ["#", "*"] and source[2] == "RTC", f"chronyd follows {source}")
    bench.note(f"+- {float(source[9]) * 1e9:.0f} ns, standard deviation "
               f"{float(stats[7]) * 1e9:.0f} ns")
    check_right(bench, guest)
