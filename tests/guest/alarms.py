# SPDX-License-Identifier: BSD-3-Clause
"""Alarms, as Linux' virtio_rtc uses them: on /dev/rtc0, in whole seconds. `CASES` is for run's own.

The driver turns a notification into an interrupt of the rtc, reads the clock, and disables the
alarm; so what a reader of /dev/rtc0 sees is the whole way there and back.
"""

import calendar
import dataclasses
import os
import re
import time

from vm import BOOT_S, NS, Q35, UTC_SMEARED, VHOST, Skip, alone, check, device

CASES = {}
# How long it may take until an alarm's reader has run: TCG, and other people's work on the machine.
LATE_S = 3


def case(function):
    CASES[function.__name__.replace("_", "-")] = function
    return function


def check_came(answer, due_s, late_s=LATE_S):
    """The alarm came, not before its second and not long after."""
    came_s = answer.integer("alarm.came_s")
    check(came_s > 0, "the alarm did not come")
    check(0 <= came_s - due_s <= late_s, f"the alarm came {came_s - due_s} s after its time")


@case
def alarm(bench):
    """An alarm set on /dev/rtc0 (RTC_WKALM_SET) wakes its reader at the second it was set for."""
    bench.needs_clock(UTC_SMEARED)
    guest = bench.one()
    for seconds in (2, 3):
        came = guest.step(f"alarm:{seconds}")
        check_came(came, came.integer("alarm.due_s"))


@case
@alone
def alarm_busy(bench):
    """The same with lcores that poll."""
    bench.needs_clock(UTC_SMEARED)
    guest = bench.one(idle="busy")
    came = guest.step("alarm:2")
    check_came(came, came.integer("alarm.due_s"))


@case
def alarm_disabled(bench):
    """An alarm that is disabled in time does not come; one set after it does."""
    bench.needs_clock(UTC_SMEARED)
    guest = bench.one()
    guest.step("arm:2")
    check(guest.step("read-alarm").integer("alarm.enabled") == 1, "the alarm is not enabled")
    guest.step("disarm")
    check(guest.step("read-alarm").integer("alarm.enabled") == 0, "the alarm is still enabled")
    check(guest.step("wait:4").integer("alarm.came_s") == 0, "a disabled alarm came")
    guest.step("drop")
    came = guest.step("alarm:2")
    check_came(came, came.integer("alarm.due_s"))


@case
def alarm_rebind(bench):
    """An alarm is set, the driver is taken off the device and put back (a device reset), and the
    alarm comes at its second."""
    bench.needs_clock(UTC_SMEARED)
    guest = bench.one()
    due_s = guest.step("arm:6").integer("alarm.due_s")
    guest.step("drop")
    guest.step("rebind:1")
    answer = guest.step("read-alarm")
    check(answer.integer("alarm.enabled") == 1, "the alarm was lost with the reset")
    check(answer.integer("alarm.set_s") == due_s, f"the alarm is set to {answer['alarm.set_s']}")
    check_came(guest.step("wait:15"), due_s)


@case
def alarm_ioctls(bench):
    """What the kernel's own selftest of rtcs does: readings for 3 s, RTC_WKALM_RD, RTC_ALM_SET with
    RTC_AIE_ON, RTC_UIE_ON."""
    bench.needs_clock(UTC_SMEARED)
    guest = bench.one()
    ticks = guest.step("ticks:3")
    check(ticks.integer("ticks.readings") > 50, f"{ticks['ticks.readings']} readings in 3 s")
    check(ticks.integer("ticks.backward") == 0, "the rtc went back")
    check(2 <= ticks.integer("ticks.passed_s") <= 4, f"{ticks['ticks.passed_s']} s passed in 3 s")
    due_s = guest.step("arm:1000").integer("alarm.due_s")
    answer = guest.step("read-alarm")
    check(answer.integer("alarm.set_s") == due_s, f"RTC_WKALM_RD says {answer['alarm.set_s']}")
    check(answer.integer("alarm.enabled") == 1, "RTC_WKALM_RD says disabled")
    guest.step("disarm")
    guest.step("drop")
    came = guest.step("alarm-of-day:2")
    check_came(came, came.integer("alarm.due_s"))
    updates = guest.step("updates:3")
    if updates["updates"] == "3":
        check(2000 <= updates.integer("updates.ms") <= 8000,
              f"3 update interrupts took {updates['updates.ms']} ms")
    bench.note(f"update interrupts: {updates['updates']}")


@case
def hwclock_program(bench):
    """hwclock, the program, reads /dev/rtc0 and says the host's UTC."""
    bench.needs_clock(UTC_SMEARED)
    guest = bench.one()
    answer = guest.step("hwclock")
    said = re.match(r"\w+ (\w+ +\d+ \d+:\d+:\d+ \d+)", answer["hwclock"])
    check(said, f"hwclock says '{answer['hwclock']}'")
    seconds = calendar.timegm(time.strptime(said[1], "%b %d %H:%M:%S %Y"))
    # It waits for the next second before it prints.
    check(answer.before["utc"] // NS <= seconds <= answer.after["utc"] // NS + 1,
          f"hwclock says '{answer['hwclock']}', the host {answer.after['utc'] // NS}")


@case
def alarm_two_guests(bench):
    """Two guests on one back-end with alarms at the same second: each gets its own."""
    bench.needs_clock(UTC_SMEARED)
    daemon = bench.daemon(devices=2)
    guests = [bench.boot(device(VHOST, path)) for path in daemon.sockets]
    due_s = guests[0].step("arm:5").integer("alarm.due_s")
    left_s = due_s - guests[1].step("rtc").integer("rtc0.s")
    if left_s < 1:
        raise Skip("too slow a machine: the first alarm is due before the second is set")
    other_s = guests[1].step(f"arm:{left_s}").integer("alarm.due_s")
    check_came(guests[0].step("wait:20"), due_s, late_s=30)
    check_came(guests[1].step("wait:20"), other_s, late_s=30)


def boot_to_sleep(bench, wake):
    """A guest with an alarm 6 s ahead that suspends to RAM; with `wake`, the back-end wakes it.
    Returns the guest, when the alarm is due, and what will be the facts of its awakening."""
    path = os.path.join(bench.log_dir, "wake.qmp")
    daemon = bench.daemon(options=("--alarm-action", f"qmp:{path}") if wake else ())
    # After a sleep, Linux tries for 10 s to switch this machine off before it gives up.
    guest = bench.boot(device(VHOST, daemon.sockets[0]) +
                       ["-qmp", f"unix:{path},server=on,wait=off"],
                       machine=dataclasses.replace(Q35, last_step="reboot", sleeps=True))
    due_s = guest.step("arm:6").integer("alarm.due_s")
    answer = guest.begin("suspend:mem")
    guest.qmp.wait_event("SUSPEND")
    return guest, due_s, answer


@case
def alarm_wakes_from_ram(bench):
    """A guest suspended to RAM is woken by its alarm (alarm_action = qmp:PATH), reads the clock at
    or behind the alarm's second, and its reader is told of the alarm."""
    bench.needs_clock(UTC_SMEARED)
    bench.needs_daemon()
    guest, due_s, answer = boot_to_sleep(bench, wake=True)
    guest.qmp.wait_event("WAKEUP")
    guest.finish(answer, seconds=BOOT_S)
    late_s = answer.integer("awake_s") - due_s
    check(0 <= late_s <= 20, f"awake {late_s} s after the alarm's time")
    check_came(guest.step("wait:20"), due_s, late_s=40)
    guest.check_all_readings(len(bench.clocks))
    bench.note(f"awake {late_s} s after the alarm's second")


@case
def alarm_expires_asleep(bench):
    """Without the action the guest sleeps on over its alarm; woken by somebody else, it resets the
    device, and its reader is told of the alarm that passed meanwhile."""
    bench.needs_clock(UTC_SMEARED)
    bench.needs_daemon()
    guest, due_s, answer = boot_to_sleep(bench, wake=False)
    time.sleep(max(0, due_s + 3 - time.time()))
    status = guest.qmp.execute("query-status")["status"]
    check(status == "suspended", f"the guest is {status}, not suspended")
    guest.qmp.execute("system_wakeup")
    guest.finish(answer, seconds=BOOT_S)
    check_came(guest.step("wait:20"), due_s, late_s=60)
    guest.check_all_readings(len(bench.clocks))
