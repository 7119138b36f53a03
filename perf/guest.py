# SPDX-License-Identifier: BSD-3-Clause
"""The guest's view of a device: a Linux guest with three of them beside each other, each read by
in_guest.c in turn. For perf/run; it needs what tests/guest needs."""

import json
import os
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
GUEST = os.path.join(HERE, "../tests/guest")
sys.path.insert(0, GUEST)
# pylint: disable=wrong-import-position
import vm  # noqa: E402
from measurements import QUANTILES, Series  # noqa: E402

BUSY = "dpdk-rtc"
SLEEPER = "dpdk-rtc, interrupt"
QEMUS = "QEMU's virtio-rtc-pci"
SLOTS = {BUSY: 4, SLEEPER: 5, QEMUS: 6}
QUESTION = ("What does a reading cost the guest's programs: through dpdk-rtc, and through QEMU's "
            "own device in the same guest?")
# What in_guest.c calls them, and what the report does.
READINGS = {"PTP_SYS_OFFSET_EXTENDED": "delay of PTP_SYS_OFFSET_EXTENDED",
            "RTC_RD_TIME": "RTC_RD_TIME",
            "clock_gettime": "clock_gettime(), no device"}
RUN_S = 120


def build(folder):
    """The guest's program as an archive for its initramfs."""
    root = os.path.join(folder, "in-guest")
    os.mkdir(root)
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE",
                    "-static", "-I", HERE, "-o", os.path.join(root, "in_guest"),
                    os.path.join(HERE, "in_guest.c"), os.path.join(HERE, "histogram.c")],
                   check=True)
    archive = os.path.join(folder, "in-guest.cpio")
    with open(archive, "wb") as cpio:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=root, check=True, stdout=cpio,
                       input=b"in_guest\n")
    return archive


def slot(name):
    return f"addr={SLOTS[name]:#x}"


class Bed:
    """The guest with its devices, of which one at a time has the machine: the daemons of the
    others are stopped, since one that polls takes a CPU from whoever is measured."""

    def __init__(self, folder, daemon_program):
        os.environ["DPDK_RTC"] = daemon_program
        self.daemons = {}
        self.guest = None
        archive = build(folder)
        try:
            args = ["-device", f"virtio-rtc-pci,{slot(QEMUS)}"]
            for n, (name, idle) in enumerate(((BUSY, "busy"), (SLEEPER, "interrupt"))):
                daemon = vm.Daemon(f"guest-daemon-{n}", folder, idle=idle)
                self.daemons[name] = daemon
                args += vm.device(f"{vm.VHOST},{slot(name)}", daemon.sockets[0], str(n))
            # Away from the lcore, as who polls in earnest would have it.
            mine = os.sched_getaffinity(0)
            os.sched_setaffinity(0, mine - {max(mine)})
            try:
                self.guest = vm.Guest("guest", folder, args, tools=archive)
            finally:
                os.sched_setaffinity(0, mine)
            self.guest.wait_ready()
        except BaseException:
            self.end()
            raise

    def wake(self, chosen):
        for name, daemon in self.daemons.items():
            os.kill(daemon.child.pid, signal.SIGCONT if name == chosen else signal.SIGSTOP)

    def ask(self, name, samples):
        self.wake(name)
        said = self.guest.run(f"/in_guest 0000:00:{SLOTS[name]:02x}.0 {samples} {samples}", RUN_S)
        try:
            return json.loads("\n".join(said))
        except ValueError as error:
            raise vm.Failure(f"{name}: the guest said: {' '.join(said)[:200]}") from error

    def end(self):
        self.wake(None)
        for daemon in self.daemons.values():
            os.kill(daemon.child.pid, signal.SIGCONT)
        if self.guest:
            self.guest.end()
        for daemon in self.daemons.values():
            daemon.end()


def record_of(series):
    """A Series as perf/result.h writes one."""
    return {"name": series.name, "group": series.group, "role": series.role, "unit": series.unit,
            "count": series.count, "min": series.min, "max": series.max,
            **{name: series.quantile(q) for name, q in QUANTILES.items()},
            "buckets": sorted(series.slots.items())}


def put_together(asked):
    """The record of one round; `asked`: [(device, what in_guest.c has printed)]."""
    series, rates = {}, {}
    for name, answer in asked:
        for one in answer["series"]:
            group = READINGS[one["name"]]
            alone = one["name"] == "clock_gettime"
            role = "floor" if alone else "other" if name == QEMUS else "device"
            key = (group, name)
            if key not in series:
                series[key] = Series("guest", {"name": name, "group": group, "role": role,
                                               "unit": "ns"})
            series[key].add(one)
            if one["name"] == "RTC_RD_TIME":
                rates.setdefault(name, []).append(answer["per_second"])
    values = [{"name": f"RTC_RD_TIME, {name}", "group": "readings a second", "unit": "1/s",
               "value": sorted(found)[len(found) // 2]} for name, found in rates.items()]
    delays = {name: one for (group, name), one in series.items()
              if group == READINGS["PTP_SYS_OFFSET_EXTENDED"]}
    ratios = [{"name": f"PTP_SYS_OFFSET_EXTENDED, {name} over {QEMUS}, {point}",
               "value": delays[name].quantile(QUANTILES[point]) /
                        delays[QEMUS].quantile(QUANTILES[point])}
              for name in (BUSY, SLEEPER) for point in ("p50", "p99")]
    return {"program": "guest", "question": QUESTION, "tsc_mhz": 0,
            "series": [record_of(one) for one in series.values()],
            "values": values, "ratios": ratios, "noise": []}


def show(record):
    """For whoever looks on."""
    print(f"{record['question']}\n\n{'':56} {'min':>9} {'p50':>9} {'p99':>9} {'p99.9':>9} ns")
    for one in record["series"]:
        print(f"{one['group']:34} {one['name']:21} {one['min']:9.0f} {one['p50']:9.0f} "
              f"{one['p99']:9.0f} {one['p99.9']:9.0f}")
    for one in record["values"]:
        print(f"{one['name']:56} {one['value']:9.0f} {one['unit']}")
    for one in record["ratios"]:
        print(f"{one['name']:72} {one['value']:6.2f}")


def measure(bed, batches, samples):
    """One round: the devices in turn, `batches` times."""
    asked = [(name, bed.ask(name, samples)) for _ in range(batches) for name in SLOTS]
    record = put_together(asked)
    show(record)
    return record
