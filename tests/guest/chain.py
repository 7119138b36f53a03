# SPDX-License-Identifier: BSD-3-Clause
"""A chain of two: the host's daemon, whose clocks are PTP hardware clocks in the laboratory's
guest, and the daemon in there, which has one of them for its source of time. `CASES` is for run's
own.
"""

import os

from lab import CASE_S, GROUP, LabGuest, build_initrd, judge
from vm import NS, TAI, VHOST, check, device, expected_ns

CASES = {}
# For perf/phc: how long the case `phc` shall measure.
SECONDS = int(os.environ.get("DPDK_RTC_PHC_SECONDS", "0"))


def run_lab_case(bench, name):
    """Runs a case of the laboratory in a guest with a device of ours; returns its facts."""
    daemon = bench.daemon(idle="interrupt")
    guest = LabGuest(bench.log_dir, build_initrd(), device(VHOST, daemon.sockets[0]),
                     f"lab.seconds={SECONDS}" if SECONDS else "")
    bench.labs.append(guest)
    guest.wait_ready()
    answer = guest.case(name, CASE_S + SECONDS)
    judge(name, answer, bench)
    guest.power_off()
    return answer


def case(function):
    function.group = GROUP  # what building its initramfs takes, is taken once
    CASES[function.__name__.replace("_", "-")] = function
    return function


@case
def chain_phc(bench):
    """A daemon in a guest takes TAI from the guest's PTP hardware clock, which is a clock of ours:
    off by no more than it claims, from that clock and from the host's."""
    answer = run_lab_case(bench, "phc")
    for reading_ns, before, after, bound_ns in answer.readings:
        low_ns = expected_ns(TAI, before) - bound_ns
        high_ns = expected_ns(TAI, after) + bound_ns
        check(low_ns <= reading_ns <= high_ns,
              f"TAI reads {reading_ns}, the host's is between {low_ns} and {high_ns}, the claimed "
              f"+-{bound_ns} ns included")
    widest_ns = max(after["boot"] - before["boot"] for _, before, after, _ in answer.readings)
    bench.note(f"{len(answer.readings)} readings between the host's, which were at most "
               f"{1000 * widest_ns / NS:.1f} ms apart")


@case
def chain_phc_lost(bench):
    """The PTP hardware clock's driver is taken away: readings go on for the holdover, then answer
    EIO, all but the monotonic clock's, and those of another device on system time; it is put
    back, and they are there again; twice."""
    run_lab_case(bench, "phc-lost")
