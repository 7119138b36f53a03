# SPDX-License-Identifier: BSD-3-Clause
"""Live migration: a guest goes on in another QEMU, on another device, while it reads its clocks.
The back-end tells QEMU the pages that it writes to (VHOST_F_LOG_ALL), and whether it has told all
is seen by the guest's memory, which has to be the same on either side. `CASES` is for run's own.
"""

import mmap
import os
import time

from alarms import check_came
from cross import FEW, MEET_S, told, utc_of
from pairs import (PAGE, PATCHED, TSC, check_true, find_difference, judge, memory_of,
                   needs_host_clock)
from vm import TEST_DEVICE, UTC, VHOST, Failure, Skip, check, device

CASES = {}
MIGRATE_S = 60
HOPS = 2
FOLLOW_MS = 3000
ALARM_S = 2
# A migration does not come to an end while its guest writes to more than what can be copied in the
# time for which it may stand still: with ENDLESS, that is less than a page.
BEGIN = {"max-bandwidth": 32 << 20, "downtime-limit": 1}
ENDLESS = {"max-bandwidth": 2 << 20, "downtime-limit": 1}
END = {"max-bandwidth": 64 << 20, "downtime-limit": 300}
CHURN = ("/busybox touch /churning; while [ -e /churning ]; do "
         "/busybox cat /busybox /busybox /busybox /busybox > /churn; done > /dev/null 2>&1 &")
# Two QEMUs share what CPUs there are with others, and the memory is compared meanwhile.
LONGEST_MS = 10_000


def case(function):
    CASES[function.__name__.replace("_", "-")] = function
    return function


def wait_for(what, source, is_so):
    """Until the migration is so; returns its state."""
    until = time.monotonic() + MIGRATE_S
    while True:
        state = source.qmp.execute("query-migrate")
        check(state.get("status") not in ("failed", "cancelled"), f"the migration failed: {state}")
        if is_so(state):
            return state
        check(time.monotonic() < until, f"{what}: not after {MIGRATE_S} s: {state}")
        time.sleep(0.02)


def check_same_memory(source, target):
    """No page was written to by anybody without being copied behind that."""
    different = []
    with open(memory_of(source), "rb") as one, open(memory_of(target), "rb") as other, \
            mmap.mmap(one.fileno(), 0, access=mmap.ACCESS_READ) as left, \
            mmap.mmap(other.fileno(), 0, access=mmap.ACCESS_READ) as right:
        check(len(left) == len(right), "the two have not as much memory")
        for at in range(0, len(left), PAGE):
            if left[at:at + PAGE] != right[at:at + PAGE]:
                different.append(at)
    check(not different, f"{len(different)} pages are not as they were in the source, from "
                         f"{different[:1]} on")


def migrate(bench, source, kind, daemon, **options):
    """Moves the running guest to a new QEMU with a device of that daemon, and has an alarm expire
    and readings made meanwhile; returns the guest there, and for how long it stood still, in ms."""
    uri = f"unix:{os.path.join(bench.log_dir, source.name)}.migration"
    target = bench.start(device(kind, daemon.sockets[0]) + ["-incoming", "defer", "-S"], **options)
    target.qmp.execute("migrate-incoming", uri=uri)
    source.run(CHURN)
    source.qmp.execute("migrate-set-parameters", **BEGIN)
    source.qmp.execute("migrate", uri=uri)
    wait_for("all was copied once", source,
             lambda state: state.get("ram", {}).get("dirty-sync-count", 0) > 1)
    source.qmp.execute("migrate-set-parameters", **ENDLESS)
    came = source.step(f"alarm:{ALARM_S}")
    check_came(came, came.integer("alarm.due_s"))
    check(source.qmp.execute("query-migrate")["status"] == "active", "it is migrated already")
    following = source.start(f"follow:0:{FOLLOW_MS}")
    source.qmp.execute("migrate-set-parameters", **END)
    state = wait_for("migrated", source, lambda state: state.get("status") == "completed")
    check_same_memory(source, target)
    source.kill()
    target.qmp.execute("cont")
    check_followed(bench, target, following)
    target.run("/busybox rm /churning")
    return target, state["downtime"]


def check_followed(bench, guest, following):
    """Each of the readings that were made all the while came, and none went back."""
    guest.finish(following)
    check(following.integer("ptp0.errors") == 0, "readings failed")
    check(following.integer("ptp0.backward") == 0, "the clock went back")
    longest_ms = following.integer("ptp0.longest_us") / 1000
    check(longest_ms < LONGEST_MS, f"no reading for {longest_ms:.0f} ms")
    bench.note(f"{following['ptp0.readings']} readings, longest silence {longest_ms:.0f} ms")


@case
def migration(bench):
    """Debian's QEMU moves a running guest to another QEMU: it reads right before and behind, and
    without an error all the while."""
    bench.needs_daemon()
    daemons = [bench.daemon(), bench.daemon()]
    refused = []
    for kind in (VHOST, TEST_DEVICE):
        source = bench.boot(device(kind, daemons[0].sockets[0]))
        source.check_all_readings(len(bench.clocks))
        try:
            target, _ = migrate(bench, source, kind, daemons[1])
        except Failure as failure:
            if "non-migratable device" not in str(failure):
                raise
            refused.append(str(failure))
            for guest in bench.guests[-2:]:
                guest.kill()
            continue
        target.check_all_readings(len(bench.clocks))
        target.power_off()
    if refused:
        raise Skip("; ".join(refused))


def hop(bench, kind):
    """From QEMU to QEMU, to and fro between two daemons."""
    bench.needs_daemon()
    needs_host_clock(bench.log_dir)
    daemons = [bench.daemon(), bench.daemon()]
    options = {"machine": PATCHED, "glue": True}
    guest = bench.boot(device(kind, daemons[0].sockets[0]), **options)
    guest.check_all_readings(len(bench.clocks))
    index = utc_of(guest)
    stood_ms = []
    for number in range(HOPS):
        daemon = daemons[(number + 1) % 2]
        guest, ms = migrate(bench, guest, kind, daemon, **options)
        stood_ms.append(ms)
        guest.check_all_readings(len(bench.clocks))
        check(told(daemon)["known_from"] == "the VMM", f"the daemon knows: {told(daemon)}")
        difference = find_difference(guest, bench.log_dir, TSC, MEET_S)
        check_true(bench, judge(guest, bench.log_dir, index, UTC, FEW, difference), daemon)
    bench.note(f"stood still for {', '.join(str(ms) for ms in stood_ms)} ms")
    return guest


@case
def cross_migration(bench):
    """A running guest is migrated there and back. Meanwhile an alarm comes and no reading fails,
    its memory is the same on either side, and behind that its readings and its cross-timestamps are
    right."""
    hop(bench, VHOST)


@case
def cross_migration_packed(bench):
    """The same with packed rings."""
    guest = hop(bench, VHOST + ",packed=on")
    check(guest.step("probe")["virtio0.features"][34] == "1",
          "VIRTIO_F_RING_PACKED was not negotiated")
