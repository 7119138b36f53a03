# SPDX-License-Identifier: BSD-3-Clause
"""A guest on Arm: QEMU's `virt`, with the device on virtio-mmio. There, an alarm wakes its guest
without anybody's help, if the device tree says that the device may (`wakeup-source`): a PCI
device's interrupt is taken away when its guest suspends, this one's is not. `CASES` is for run's
own.
"""

import os
import shutil
import subprocess

from alarms import check_came
from vm import BOOT_S, UTC_SMEARED, Machine, Skip, alone, check, provide

CASES = {}
VIRT = ["-M", "virt", "-cpu", "cortex-a57"]
# Awake by its alarm, Linux asks for the time and, beside that, resets the device. Where the reset
# comes first, the request is lost, and the driver waits this long for its answer (as of 7.3).
DRIVER_WAIT_S = 60


def case(function):
    CASES[function.__name__.replace("_", "-")] = function
    return function


def run(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60, check=False)
    check(done.returncode == 0, f"{argv[0]}: {done.stdout.strip()}")
    return done.stdout


def device_tree(path, wakes):
    """QEMU's own device tree, without the machine's clock chip, so that /dev/rtc0 is the device's;
    if `wakes`, every virtio-mmio device may wake the guest."""
    for tool in ("fdtget", "fdtput"):
        if not shutil.which(tool):
            raise Skip(f"{tool} is missing (package device-tree-compiler)")
    run(provide("fetch-qemu", "aarch64"), *VIRT, "-m", "256M", "-machine", f"dumpdtb={path}")
    for node in run("fdtget", "-l", path, "/").split():
        if node.startswith("pl031@"):
            run("fdtput", "-r", path, "/" + node)
        elif node.startswith("virtio_mmio@") and wakes:
            run("fdtput", "-t", "x", path, "/" + node, "wakeup-source")


def boot(bench, wakes):
    tree = os.path.join(bench.log_dir, "virt.dtb")
    device_tree(tree, wakes)
    machine = Machine(
        [*VIRT, "-machine", "memory-backend=mem", "-dtb", tree,
         "-global", "virtio-mmio.force-legacy=false"],
        ["-device", "pci-serial,chardev=line"], "console=ttyAMA0", "load:virtio_mmio,load",
        processor="aarch64")
    # Answers at once leave the less to be lost to the driver's reset (DRIVER_WAIT_S).
    return bench.one(kind="vhost-user-rtc", reference_kind="virtio-rtc-device", idle="busy",
                     machine=machine)


@case
@alone
def arm_readings(bench):
    """On arm64 (virtio-mmio), each clock reads between the host's own clock before and after."""
    boot(bench, wakes=False).check_all_readings(len(bench.clocks))


@case
@alone
def arm_wakes_itself(bench):
    """A guest on arm64 that is suspended to idle (`freeze`) is woken by its alarm alone: its device
    is a `wakeup-source`, and nobody else acts."""
    bench.needs_clock(UTC_SMEARED)
    guest = boot(bench, wakes=True)
    due_s = guest.step("arm:4").integer("alarm.due_s")
    answer = guest.finish(guest.begin("suspend:freeze"), seconds=BOOT_S)
    late_s = answer.integer("awake_s") - due_s
    check(0 <= late_s <= 20 + DRIVER_WAIT_S, f"awake {late_s} s after the alarm's time")
    check_came(guest.step("wait:20"), due_s, late_s=40 + DRIVER_WAIT_S)
    guest.check_all_readings(len(bench.clocks))
    bench.note(f"awake {late_s} s after the alarm's second")


@case
@alone
def arm_sleeps_on(bench):
    """The same without `wakeup-source` in the device tree: the guest sleeps on over its alarm."""
    bench.needs_clock(UTC_SMEARED)
    guest = boot(bench, wakes=False)
    due_s = guest.step("arm:4").integer("alarm.due_s")
    answer = guest.begin("suspend:freeze")
    guest.check_asleep(answer, due_s + 3)
    guest.kill()  # nothing is left that could wake it
