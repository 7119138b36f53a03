# SPDX-License-Identifier: BSD-3-Clause
"""The laboratory: a guest with two NUMA nodes that runs the daemon itself, as its own root, so that
clocks are set and leap seconds inserted under it, and nobody is harmed.

Its cases judge for themselves, inside of the guest (lab/case_*.c). Here they get names and a guest:
one boot for all of them, unless a case leaves it in pieces. `CASES` is for run's own.
"""

import os
import shutil
import socket
import subprocess
import tempfile

from vm import (BOOT_S, EXIT_UNAVAILABLE, HERE, Answer, Failure, Guest, Process, Qmp, Skip, check,
                find_daemon, host_clocks, kernel, provide)

# Longer than the laboratory itself allows a case (CASE_MS_MAX in lab/main.c).
CASE_S = 120

# What each is for. The names are those of lab/cases.c, without "lab-".
PURPOSES = {
    "lab-read-steps": """The clock is stepped: UTC, smeared UTC and TAI follow at once, the
        monotonic clock does not; the kernel knows TAI, or does not, or is wrong about it.""",
    "lab-step-forward": """Alarms an hour ahead, the clock is stepped by two: UTC, smeared UTC and
        TAI expire once, the monotonic clock does not; at each idle policy.""",
    "lab-step-backward": """The clock is stepped back before an alarm that has expired, and forward
        over it again: it expires again, once for each crossing.""",
    "lab-step-back-undelivered": """An alarm expires without a buffer in the alarmq, and the clock
        is stepped back before it: nothing is delivered until the time is there again.""",
    "lab-step-wakes": """A sleeping alarm lcore (idle policy interrupt) is woken by the step itself;
        how long that takes is measured.""",
    "lab-step-random": """A hundred steps to and fro over the alarms of three clocks: for
        each crossing there is one notification; at each idle policy.""",
    "lab-step-disconnected": """The clock crosses the alarm time while the front-end is away: it is
        notified once when it is back; nothing if the clock is before the time again.""",
    "lab-step-reset": """As a guest's suspend: the clock is stepped, the device is reset, and the
        retained alarm expires by that, or does not.""",
    "lab-step-crashed": """The daemon is killed with -9 and started again, with steps of the clock
        meanwhile: each crossing of the alarm time is notified once.""",
    "lab-leap-busy": """The kernel inserts a leap second: UTC shows 23:59:59 twice, TAI and smeared
        UTC go on; an alarm at 23:59:59.5 expires twice, others once, none early (the kernel knows
        TAI).""",
    "lab-leap-interrupt": """The same with an alarm lcore that sleeps.""",
    "lab-leap-deleted": """The kernel leaves out 23:59:59: an alarm of that second expires at its
        start.""",
    "lab-leap-rate": """UTC read as fast as it can be while the kernel inserts a leap second, beside
        CLOCK_REALTIME: how late either steps.""",
    "lab-leap-rate-deleted": """The same while the kernel leaves out a second.""",
    "lab-leap-untold": """As lab-leap-busy, with a kernel that was not told TAI.""",
    "lab-leap-untold-deleted": """As lab-leap-deleted, with a kernel that was not told TAI.""",
    "lab-numa-requests": """Two nodes: an lcore on the node of the guest's memory serves its
        requests; with a single request lcore, the log says that it is remote.""",
    "lab-numa-alarms": """Two nodes, an alarm lcore on each: the one on the node of the guest's
        memory serves its alarms, and its own memory is there, by the log and by numa_maps.""",
    "lab-numa-full": """An alarm lcore on a node that has no memory left takes some from elsewhere,
        instead of having the kernel kill for it.""",
}


class LabGuest(Guest):
    """The laboratory's machine: four CPUs and half a gigabyte of memory, on two nodes."""

    def __init__(self, log_dir, initrd, device_args=(),  # pylint: disable=super-init-not-called
                 cmdline=""):
        self.name = "lab"
        self.facts_path = os.path.join(log_dir, "lab-facts.log")
        self.console_path = os.path.join(log_dir, "lab-console.log")
        self.buffer = b""
        self.step_now = None
        line, line_qemu = socket.socketpair()
        monitor, monitor_qemu = socket.socketpair()
        nodes = []
        for node, cpus in enumerate(("0-1", "2-3")):
            # Shared, as a vhost-user device needs it.
            nodes += ["-object", f"memory-backend-memfd,id=mem{node},size=256M,share=on",
                      "-numa", f"node,nodeid={node},memdev=mem{node},cpus={cpus}"]
        argv = [
            # DPDK wants more of a CPU than QEMU's default has.
            provide("fetch-qemu"), "-nodefaults", "-no-user-config", "-display", "none",
            "-accel", "tcg", "-cpu", "max", "-M", "q35", "-smp", "4", "-m", "512M", *nodes,
            "-kernel", kernel(provide("build-guest")), "-initrd", initrd,
            "-append", f"console=ttyS0 panic=-1 quiet {cmdline}", "-no-reboot", *device_args,
            "-chardev", f"file,id=console,path={self.console_path}", "-serial", "chardev:console",
            "-chardev", f"socket,id=line,fd={line_qemu.fileno()}", "-serial", "chardev:line",
            "-chardev", f"socket,id=monitor,fd={monitor_qemu.fileno()}",
            "-object", "monitor-qmp,id=qmp,chardev=monitor",
        ]
        self.line = line
        with line_qemu, monitor_qemu:
            self.process = Process("lab-qemu", argv, log_dir,
                                   pass_fds=(line_qemu.fileno(), monitor_qemu.fileno()))
        try:
            self.qmp = Qmp(monitor, self.process)
        except BaseException:
            self.process.kill()
            raise

    def wait_ready(self, seconds=BOOT_S):
        while self._fact(seconds)[0] != "ready":
            pass

    def case(self, name, seconds=CASE_S):
        """Runs one; returns its facts, the last of which is the verdict. A reading that is to be
        compared with the host's clocks is begun by us: `answer.readings` has them, before and
        after each, and how far off it claims to be at most."""
        answer = Answer(name)
        answer.readings = []
        self.step_now = name
        self._send(name)
        before = None
        while True:
            key, value, clocks = self._fact(seconds)
            if key == "ready":
                return answer
            if key == "begin":
                before = host_clocks()
                self._send("go")
            elif key == "reading":
                answer.readings.append([int(value), before, clocks, 0])
            elif key == "bound":
                answer.readings[-1][3] = int(value)
            answer[key] = value
            answer.every.append((key, value))

    def power_off(self):
        self._send("poweroff")
        self.process.wait(20)


class Laboratory:
    """The one guest of a run: booted for the first case, and again after one that it has not
    survived."""

    def __init__(self):
        self.dir = None
        self.made = None  # how building the initramfs went
        self.guest = None

    def build(self):
        """Makes the initramfs, or says each time why there is none."""
        if self.made is None:
            self.dir = tempfile.mkdtemp(prefix="dpdk-rtc-lab-")
            self.made = subprocess.run(
                [os.path.join(HERE, "lab", "build"), find_daemon(), provide("build-guest"),
                 self.dir],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=300,
                check=False)
        if self.made.returncode == EXIT_UNAVAILABLE:
            raise Skip(self.made.stderr.strip())
        check(self.made.returncode == 0, f"lab/build failed: {self.made.stderr.strip()}")
        return os.path.join(self.dir, "initrd.img")

    def open(self):
        initrd = self.build()
        if self.guest is None:
            self.guest = self._boot(initrd)

    def _boot(self, initrd, again=True):
        """A QEMU of this machine was seen to hang before its kernel's first word, once. Such a
        one is ended, and the next one has to do."""
        guest = LabGuest(self.dir, initrd)
        try:
            guest.wait_ready()
        except BaseException as failure:
            guest.end()
            silent = os.path.getsize(guest.console_path) == 0
            if again and silent and isinstance(failure, Failure):
                return self._boot(initrd, again=False)
            raise
        return guest

    def run(self, name):
        self.open()
        guest, self.guest = self.guest, None
        try:
            answer = guest.case(name)
        except BaseException:
            guest.end()
            raise
        self.guest = guest
        return answer

    def keep_logs(self, log_dir):
        """The machine's logs beside a case's own, for whoever looks for the reason."""
        for name in os.listdir(self.dir) if self.dir else ():
            if name.endswith(".log"):
                shutil.copy(os.path.join(self.dir, name), log_dir)

    def close(self):
        if self.guest:
            try:
                self.guest.power_off()
            except (Failure, OSError):
                pass
            self.guest.end()
        shutil.rmtree(self.dir, ignore_errors=True)


_laboratory = Laboratory()


def _write_points(name, answer):
    """For perf/leap: what a case read, into $DPDK_RTC_POINTS/NAME.dat."""
    folder = os.environ.get("DPDK_RTC_POINTS")
    points = [value for key, value in answer.every if key == "point"]
    if folder and points:
        with open(os.path.join(folder, name + ".dat"), "w", encoding="ascii") as data:
            data.writelines(point + "\n" for point in points)


def close():
    """Ends the one guest; it must not outlive the process that booted it."""
    if _laboratory.made:
        _laboratory.close()


def build_initrd():
    """The laboratory's initramfs; Skip, if it cannot be had."""
    return _laboratory.build()


def judge(name, answer, bench):
    """What a case's facts say of it."""
    for key, value in answer.every:
        if key == "note":
            bench.note(value)
    _write_points(name, answer)
    if "failed" in answer:
        with open(os.path.join(bench.log_dir, "lab-daemon.log"), "w", encoding="utf-8") as log:
            log.writelines(value + "\n" for key, value in answer.every if key == "log")
        raise Failure(answer["failed"].partition(": ")[2])
    if "skipped" in answer:
        raise Skip(answer["skipped"].partition(": ")[2])
    check(answer["passed"] == name, f"the laboratory passed {answer['passed']}")


def _run_case(name, bench):
    bench.needs_daemon()
    try:
        answer = _laboratory.run(name)
    finally:
        _laboratory.keep_logs(bench.log_dir)
    judge(name, answer, bench)


# They share a guest, and so a process of the runner's.
GROUP = "lab"


def _make(case_name, purpose):
    def function(bench):
        _run_case(case_name.removeprefix("lab-"), bench)

    function.__doc__ = purpose
    # A leap second is over in a second; who does not run for half of it, misses it.
    function.alone = case_name.startswith("lab-leap-")
    function.group = GROUP + "-leap" if function.alone else GROUP
    return function


CASES = {name: _make(name, purpose) for name, purpose in PURPOSES.items()}
