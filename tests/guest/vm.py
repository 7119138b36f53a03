# SPDX-License-Identifier: BSD-3-Clause
"""What the guest tests are made of: the back-end, QEMU with its guest, and the host's clocks.

Every wait here has an end, and every process started here is ended by its own pid. QEMU's serial
line and its monitor are socket pairs that it inherits, so there is no path to wait for and nothing
left behind.
"""

import ctypes
import dataclasses
import json
import os
import re
import select
import signal
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.realpath(__file__))
LEAP_SECONDS = "/usr/share/zoneinfo/leap-seconds.list"
NS = 1_000_000_000
# A boot takes 3 s under TCG on an idle machine; a busy CI machine may be far slower.
BOOT_S = 120
STEP_S = 60
EXIT_UNAVAILABLE = 75  # as in cache.sh
# The longest of them, build-qemu, took 195 to 239 s on two cores.
PROVIDE_S = 600
# The module of build-guest that has the patches of qemu-glue/linux.
PATCHED_DRIVER = "x86/virtio_rtc"
# The host's clock and the guest's reading are taken by different CPUs of the host, and the device
# may model its clocks: what two correct readings may be apart although one came first.
SLACK_NS = 20_000


class Failure(Exception):
    """The case failed; the text says why."""


class Skip(Exception):
    """The case cannot be run here; the text says why."""


def check(condition, why):
    if not condition:
        raise Failure(why)


def alone(function):
    """For a case that is not what it should be beside another: its daemon polls and takes a CPU, or
    it measures spread."""
    function.alone = True
    return function


# --- The host's clocks ---------------------------------------------------------------------------

UTC, TAI, MONOTONIC, UTC_SMEARED, UTC_MAYBE_SMEARED = range(5)


class LeapTable:
    """TAI - UTC, from the table in tzdata: the kernel's own offset is 0 without an NTP daemon."""

    NTP_TO_UNIX = 2_208_988_800

    def __init__(self, path=LEAP_SECONDS):
        self.steps = []
        try:
            with open(path, encoding="ascii") as table:
                for line in table:
                    fields = line.split("#")[0].split()
                    if len(fields) >= 2:
                        self.steps.append((int(fields[0]) - self.NTP_TO_UNIX, int(fields[1])))
        except OSError as error:
            raise Skip(f"{path}: {error.strerror} (package tzdata)") from error

    def offset_s(self, utc_s):
        return [offset for begin, offset in self.steps if begin <= utc_s][-1]

    def is_near(self, utc_s):
        """Is a leap second less than a day away, so that smeared clocks differ from UTC?"""
        return any(abs(begin - utc_s) < 86400 for begin, _ in self.steps[1:])


def host_clocks():
    """What each type of clock should read now, in ns."""
    utc_ns = time.clock_gettime_ns(time.CLOCK_REALTIME)
    boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return {"utc": utc_ns, "boot": boot_ns}


def expected_ns(clock_type, clocks):
    """The host's idea of a clock of that type at the moment of `clocks`."""
    if clock_type == MONOTONIC:
        return clocks["boot"]
    if clock_type == TAI:
        return clocks["utc"] + LeapTable().offset_s(clocks["utc"] // NS) * NS
    return clocks["utc"]


def check_between(what, clock_type, first_ns, last_ns, before, after):
    """Both readings were taken between the host's `before` and its `after`."""
    slack_ns = SLACK_NS
    if clock_type in (UTC_SMEARED, UTC_MAYBE_SMEARED) and LeapTable().is_near(before["utc"] // NS):
        slack_ns += NS
    low_ns = expected_ns(clock_type, before)
    high_ns = expected_ns(clock_type, after)
    check(first_ns >= low_ns - slack_ns,
          f"{what}: {first_ns} ns is {low_ns - first_ns} ns before the host's clock at the request")
    check(last_ns <= high_ns + slack_ns,
          f"{what}: {last_ns} ns is {last_ns - high_ns} ns after the host's clock at the answer")


# --- Processes -----------------------------------------------------------------------------------

def die_with_parent():
    """For a child, before exec: a killed test run leaves nothing behind."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """One child, its output in a log file."""

    def __init__(self, name, argv, log_dir, pass_fds=(), env=None):
        self.name = name
        self.log_path = os.path.join(log_dir, name + ".log")
        with open(self.log_path, "a", encoding="utf-8") as log:
            log.write("$ " + " ".join(argv) + "\n")
            log.flush()
            self.child = subprocess.Popen(  # pylint: disable=consider-using-with
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=pass_fds,
                preexec_fn=die_with_parent, env=env)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def status(self):
        """None while it runs; then its exit status, or minus the signal."""
        return self.child.poll()

    def check_alive(self):
        check(self.status() is None, f"{self.name} has ended, status {self.status()}")

    def wait(self, seconds):
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise Failure(f"{self.name} has not ended after {seconds} s") from error

    def kill(self):
        """As a crash would: it gets no chance to tidy up."""
        if self.status() is None:
            self.child.kill()
        self.child.wait(10)

    def end(self):
        if self.status() is None:
            self.child.terminate()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()


class Daemon(Process):
    """The back-end, with one device or several: one socket each. It listens on them, or (client)
    connects to them when QEMU has made them."""

    def __init__(self, name, log_dir, devices=1, idle="interrupt", client=False, options=()):
        self.name = name
        self.client = client
        self.sockets = [os.path.join(log_dir, f"{name}-{i}.sock") for i in range(devices)]
        # No store: the devices of all runs are named alike, and none of them restarts with alarms.
        argv = [find_daemon(), "--idle", idle, "--alarm-store", "none", *options]
        argv += ["--client"] if client else []
        if devices == 1:
            argv += ["--socket-path", self.sockets[0]]
        else:
            config = os.path.join(log_dir, name + ".ini")
            with open(config, "w", encoding="utf-8") as ini:
                for i, path in enumerate(self.sockets):
                    ini.write(f"[device guest{i}]\nsocket = {path}\n\n")
            argv += ["--config", config]
        self.argv = argv
        self.log_dir = log_dir
        # Of its own: of two daemons that start at a time in the same one, DPDK (22.11 to 24.11) may
        # let one take the other's socket of telemetry, between its bind and its listen.
        self.runtime_dir = os.path.join(log_dir, name)
        os.makedirs(self.runtime_dir, exist_ok=True)
        self._launch()

    def _launch(self):
        """Starts it, and waits until it listens; a socket of a life before does not count."""
        old = [socket_inode(path) for path in self.sockets]
        super().__init__(self.name, self.argv, self.log_dir,
                         env={**os.environ, "RUNTIME_DIRECTORY": self.runtime_dir})
        if self.client:
            return
        deadline = time.monotonic() + 20
        while any(socket_inode(path) in (None, was) for path, was in zip(self.sockets, old)):
            self.check_alive()
            check(time.monotonic() < deadline, f"{self.name} does not listen after 20 s")
            time.sleep(0.01)

    def restart(self):
        """Starts it again, over the socket that the killed one has left."""
        check(self.status() is not None, f"{self.name} still runs")
        self._launch()

    def telemetry(self, command):
        """What it answers to a command of its telemetry."""
        path = os.path.join(self.runtime_dir, "dpdk/dpdk-rtc/dpdk_telemetry.v2")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.settimeout(STEP_S)
            sock.connect(path)
            check(json.loads(sock.recv(16384))["pid"] == self.child.pid,
                  f"{path} is not {self.name}'s")
            sock.sendall(command.encode())
            return json.loads(sock.recv(16384))[command.split(",")[0]]

    def stop(self):
        """The orderly end: SIGTERM, status 0."""
        self.check_alive()
        self.child.terminate()
        status = self.wait(10)
        check(status == 0, f"{self.name} ended with status {status} after SIGTERM")


def socket_inode(path):
    """Which file it is now: a number, its age (numbers are used again), or None."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_ctime_ns


def find_daemon():
    binary = os.environ.get("DPDK_RTC") or os.path.join(HERE, "../../build/app/dpdk-rtc")
    if not os.access(binary, os.X_OK):
        raise Skip(f"no back-end: {os.path.normpath(binary)} is not there "
                   "(build it, or set DPDK_RTC)")
    return os.path.realpath(binary)


GLUE = "../../qemu-glue/build-qemu"
_provided = {}


def run_script(argv):
    """Its status, its output, its words; ended with all that it has started, if it takes too
    long."""
    # pylint: disable=consider-using-with
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             start_new_session=True, preexec_fn=die_with_parent)
    try:
        out, said = child.communicate(timeout=PROVIDE_S)
        return child.returncode, out, said
    except BaseException as why:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(10)
        if not isinstance(why, subprocess.TimeoutExpired):
            raise
        return EXIT_UNAVAILABLE, "", f"{argv[0]} was not done after {PROVIDE_S} s"


def provide(script, processor="x86_64"):
    """What fetch-qemu, build-guest or build-qemu prints; asked once a run."""
    asked = (script, processor)
    if asked not in _provided:
        _provided[asked] = run_script([os.path.join(HERE, script), processor])
    status, out, said = _provided[asked]
    why = said.strip().splitlines()[-1] if said.strip() else "no reason given"
    if status == EXIT_UNAVAILABLE:
        raise Skip(why)
    check(status == 0, f"{script} failed: {said.strip()}")
    return out.strip().splitlines()[-1]


def kernel(image, packed=False):
    """The kernel of that guest, unpacked if it can be had so: a boot is a quarter shorter."""
    unpacked = os.path.join(image, "vmlinux")
    return unpacked if os.path.exists(unpacked) and not packed else os.path.join(image, "vmlinuz")


# --- QEMU and its guest --------------------------------------------------------------------------

def receive(sock, process, doing):
    """What a socket of QEMU has for us; if QEMU ended instead, its last words are the reason."""
    try:
        data = sock.recv(65536)
    except OSError:
        data = b""
    if not data:
        raise Failure(f"{process.name} ended, status {process.wait(10)}, at {doing}: "
                      f"{last_line(process.log())}")
    return data


class Qmp:
    """QEMU's monitor."""

    def __init__(self, sock, process):
        self.sock = sock
        self.process = process
        self.buffer = b""
        self.events = []
        self._message(STEP_S)  # the greeting
        self.execute("qmp_capabilities")

    def _message(self, seconds):
        deadline = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            check(left > 0, f"QEMU's monitor was silent for {seconds} s")
            if select.select([self.sock], [], [], left)[0]:
                self.buffer += receive(self.sock, self.process, "a message on its monitor")
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def execute(self, command, **arguments):
        request = {"execute": command, "arguments": arguments}
        self.sock.sendall(json.dumps(request).encode() + b"\n")
        while True:
            message = self._message(STEP_S)
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise Failure(f"QEMU refuses {command}: {message['error']['desc']}")
            else:
                return message["return"]

    def wait_event(self, name, seconds=STEP_S, device=None):
        """Waits for an event that came since the last one of that name was asked for."""
        deadline = time.monotonic() + seconds
        while True:
            for i, event in enumerate(self.events):
                if event["event"] == name and device in (None, event.get("data", {}).get("device")):
                    del self.events[: i + 1]
                    return event
            left = deadline - time.monotonic()
            check(left > 0, f"QEMU sent no {name} in {seconds} s")
            message = self._message(left)
            if "event" in message:
                self.events.append(message)


def last_line(text):
    lines = [line for line in text.strip().splitlines() if not line.startswith("$ ")]
    return lines[-1] if lines else "it has said nothing"


class Answer(dict):
    """The facts one step reported, with the host's clocks around it.

    Keys that come more than once (`kmsg`) are in `every`.
    """

    def __init__(self, step):
        super().__init__()
        self.step = step
        self.every = []
        self.before = self.after = None

    def __missing__(self, key):
        raise Failure(f"the guest reported no {key} at {self.step}")

    def integer(self, key):
        return int(self[key])


def device(kind, socket_path, suffix=""):
    """QEMU's arguments for one device on the back-end at that path."""
    chardev = ["-chardev", f"socket,id=rtc{suffix},path={socket_path}"]
    return chardev + ["-device", f"{kind},chardev=rtc{suffix},id=dev{suffix}"]


VHOST = "vhost-user-rtc-pci"
# QEMU's general vhost-user device, told that it is an RTC: other queue sizes, another number of
# queues, MSI-X instead of INTx.
TEST_DEVICE = "vhost-user-test-device-pci,virtio-id=17,num_vqs=2,vq_size=64,config_size=0"


def join_archives(first, second, path):
    """Two archives, one behind the other, as the kernel takes them for an initramfs."""
    with open(path, "wb") as joined:
        for part in (first, second):
            with open(part, "rb") as archive:
                joined.write(archive.read())
            joined.write(b"\0" * (-joined.tell() % 4))
    return path


@dataclasses.dataclass
class Machine:
    """What differs between the machines that QEMU makes."""

    args: list
    line_args: list  # the second serial port
    # cmos_init: without the PC's own clock chip, the device's is /dev/rtc0.
    cmdline: str = "console=ttyS0 initcall_blacklist=cmos_init"
    load: str = "load"  # steps until the driver is there
    last_step: str = "poweroff"
    processor: str = "x86_64"
    # A guest that sleeps (S3) must have the packed kernel: it wakes by a reset, at which QEMU puts
    # an unpacked one over it again.
    sleeps: bool = False


Q35 = Machine(["-M", "q35,memory-backend=mem"], ["-serial", "chardev:line"])
# The smallest PC: no PCI, no ACPI; devices are on virtio-mmio, at addresses that QEMU adds to the
# kernel's command line. With ACPI, this kernel finds no timer under TCG and hangs at boot; without,
# it needs the old PIC and PIT, and can be reset (which ends QEMU) but not switched off.
MICROVM = Machine(
    ["-M", "microvm,memory-backend=mem,acpi=off,pic=on,pit=on,rtc=on,isa-serial=on",
     "-global", "virtio-mmio.force-legacy=false"],
    ["-device", "isa-serial,index=1,chardev=line"], Q35.cmdline + " reboot=t",
    "load:virtio_mmio,load", "reboot")


def accelerator():
    """QEMU's. The cases are made for TCG; `perf/run --accel` chooses."""
    return os.environ.get("DPDK_RTC_ACCEL", "tcg")


class Guest:
    """A QEMU with our guest. Give it QEMU's arguments for the device, then drive it by steps."""

    def __init__(self, name, log_dir, device_args, machine=Q35, reboots=False, tools=None,
                 glue=False):
        self.name = name
        self.facts_path = os.path.join(log_dir, name + "-facts.log")
        self.console_path = os.path.join(log_dir, name + "-console.log")
        self.buffer = b""
        self.step_now = None
        self.boot = None
        self.machine = machine
        # glue: a QEMU with the patches of qemu-glue, which tells the daemon the guest's counter.
        qemu = provide(GLUE if glue else "fetch-qemu", machine.processor)
        image = provide("build-guest", machine.processor)
        if PATCHED_DRIVER in machine.load and os.path.exists(f"{image}/x86-missing"):
            with open(f"{image}/x86-missing", encoding="utf-8") as why:
                raise Skip(why.read().strip())
        initrd = os.path.join(image, "initrd.img")
        if tools:
            initrd = join_archives(initrd, tools, os.path.join(log_dir, name + "-initrd.img"))
        line, line_qemu = socket.socketpair()
        monitor, monitor_qemu = socket.socketpair()
        argv = [
            qemu, "-nodefaults", "-no-user-config", "-display", "none", "-accel",
            accelerator(),
            *machine.args, "-m", "256M",
            "-object", "memory-backend-memfd,id=mem,size=256M,share=on",
            "-kernel", kernel(image, machine.sleeps), "-initrd", initrd,
            "-append", f"panic=-1 {machine.cmdline} plan={machine.load},host",
            "-chardev", f"file,id=console,path={self.console_path}", "-serial", "chardev:console",
            "-chardev", f"socket,id=line,fd={line_qemu.fileno()}",
            *machine.line_args,
            "-chardev", f"socket,id=monitor,fd={monitor_qemu.fileno()}",
            "-mon", "chardev=monitor,mode=control",
            *([] if reboots else ["-no-reboot"]), *device_args,
        ]
        self.line = line
        with line_qemu, monitor_qemu:
            self.process = Process(name + "-qemu", argv, log_dir,
                                   pass_fds=(line_qemu.fileno(), monitor_qemu.fileno()))
        try:
            self.qmp = Qmp(monitor, self.process)
        except BaseException:
            self.process.kill()
            raise

    # The line, fact by fact.

    def _fact(self, seconds):
        """The next `key=value`, and the host's clocks at its arrival."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            doing = self.step_now or "the boot"
            if left <= 0 or not select.select([self.line], [], [], left)[0]:
                self.process.check_alive()
                raise Failure(f"{self.name}: nothing from the guest in {seconds} s at {doing}")
            self.buffer += receive(self.line, self.process, doing)
        clocks = host_clocks()
        raw, self.buffer = self.buffer.split(b"\n", 1)
        text = raw.decode("utf-8", "replace").strip("\r\0")
        with open(self.facts_path, "a", encoding="utf-8") as log:
            log.write(text + "\n")
        key, _, value = text.partition("=")
        return key, value, clocks

    def _send(self, text):
        self.line.sendall(text.encode() + b"\n")

    def wait_ready(self, seconds=BOOT_S):
        """Until the guest's plan comes to `host`; returns what it reported on the way."""
        answer = Answer("the boot")
        self.step_now = None
        while True:
            key, value, _ = self._fact(seconds)
            if key == "ready":
                return answer
            if key == "failed":
                raise Failure(f"{self.name}: {value}")
            if key == "boot":
                self.boot = int(value)
            answer[key] = value
            answer.every.append((key, value))

    def reboot(self, seconds=BOOT_S):
        """A reboot by the guest's own wish, until it is ready again."""
        self._send("reboot")
        return self.wait_ready(seconds)

    def start(self, step, seconds=STEP_S):
        """Sends a step with a barrier and lets it begin; `finish` takes its facts."""
        answer = Answer(step)
        self.step_now = step
        self._send(step)
        while True:
            key, value, _ = self._fact(seconds)
            if key == "failed":
                raise Failure(f"{self.name}: {value}")
            if key == "begin":
                answer.before = host_clocks()
                self._send("go")
                return answer

    def finish(self, answer, seconds=STEP_S):
        while True:
            key, value, clocks = self._fact(seconds)
            if key == "begin":
                answer.before = host_clocks()
                self._send("go")
            elif key == "failed":
                raise Failure(f"{self.name}: {value}")
            elif key == "done":
                return answer
            else:
                if answer.after is None:
                    answer.after = clocks
                answer[key] = value
                answer.every.append((key, value))

    def check_asleep(self, answer, until_s):
        """The guest, in its step `suspend`, has not come back at that second of the host's UTC."""
        while "suspending" not in answer:
            key, value, _ = self._fact(STEP_S)
            answer[key] = value
        asleep_s = max(0, until_s - time.time())
        check(not select.select([self.line], [], [], asleep_s)[0], f"{self.name} is awake")

    def begin(self, step):
        """Sends a step and waits for nothing; `finish` takes its facts."""
        self.step_now = step
        self._send(step)
        return Answer(step)

    def step(self, step, seconds=STEP_S):
        return self.finish(self.begin(step), seconds)

    # Steps that several cases need.

    def run(self, command, seconds=10):
        """Has the guest's shell run a command; returns what it said, line by line."""
        answer = self.step(f"run:{seconds}:{command}", seconds + STEP_S)
        return [value for key, value in answer.every if key == "run"]

    def clock_types(self):
        """{index of /dev/ptpN: (type, variant)} by the names the kernel gave."""
        types = {}
        for key, value in self.step("probe").items():
            clock = re.fullmatch(r"Virtio PTP type (\d+)/variant (\d+)", value)
            if clock and key.endswith(".name"):
                types[int(key[3:-5])] = (int(clock[1]), int(clock[2]))
        return types

    def check_reading(self, index, clock_type):
        """One reading lies between the host's; returns it, and how long the host's interval was."""
        answer = self.step(f"read:{index}")
        reading_ns = answer.integer(f"ptp{index}.ns")
        check_between(f"{self.name}, /dev/ptp{index}", clock_type, reading_ns, reading_ns,
                      answer.before, answer.after)
        return reading_ns, answer.after["boot"] - answer.before["boot"]

    def check_all_readings(self, count):
        """Every clock reads right, and there are `count`; returns their types."""
        types = self.clock_types()
        check(len(types) == count, f"{self.name}: {len(types)} clocks in the guest, not {count}")
        for index, (clock_type, _) in types.items():
            self.check_reading(index, clock_type)
        return types

    def check_kernel(self):
        """The guest's kernel found nothing to warn of."""
        for key, value in self.step("kmsg").every:
            check(key != "kmsg" or not re.search(r"WARNING:|BUG:|fail(?!ed: signature)|timed? ?out",
                                                 value), f"{self.name}: its kernel says: {value}")

    def check_hangs_alone(self):
        """QEMU lives and the guest's kernel runs on, whatever became of its device."""
        self.process.check_alive()
        check(self.qmp.execute("query-status")["status"] == "running",
              f"{self.name} is not running")
        self.step("ping")

    def power_off(self):
        """The orderly end: the guest switches itself off, and QEMU ends with status 0."""
        self._send(self.machine.last_step)
        status = self.process.wait(STEP_S)
        check(status == 0, f"{self.name}: QEMU ended with status {status}: "
                           f"{last_line(self.process.log())}")

    def kill(self):
        self.process.kill()
        self.line.close()

    def end(self):
        self.process.end()
        self.line.close()
