# SPDX-License-Identifier: BSD-3-Clause
"""What a measurement was made on: whatever of a machine makes one fast, slow or uneven."""

import datetime
import os
import platform
import re
import subprocess


def read(path, default="unknown"):
    try:
        with open(path, encoding="utf-8", errors="replace") as text:
            return text.read().strip() or default
    except OSError:
        return default


def first_line(*command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              check=False, timeout=20)
        return done.stdout.strip().split("\n")[0] or "unknown"
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"


def cpu_model():
    text = read("/proc/cpuinfo", "")
    found = re.search(r"^(?:model name|CPU part)\s*:\s*(.*)$", text, re.M)
    family = re.search(r"^cpu family\s*:\s*(.*)$", text, re.M)
    model = found[1] if found else platform.machine()
    return f"{model}, family {family[1]}" if family else model


def steal_ticks():
    """How long the host did not let this machine run, in ticks since it booted."""
    fields = read("/proc/stat", "").split("\n")[0].split()
    return int(fields[8]) if len(fields) > 8 else 0


def virtualised():
    if re.search(r"^flags\s*:.*\bhypervisor\b", read("/proc/cpuinfo", ""), re.M):
        return "yes"
    return "no sign of it"


def governor(cpus):
    found = {read(f"/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor", "not to be seen")
             for cpu in cpus}
    return ", ".join(sorted(found))


def compiler(build):
    """Of the build: compiler and options, as ninja has them."""
    text = read(os.path.join(build, "compile_commands.json"), "")
    found = re.search(r'"command": "(\S+) [^"]*turn\.c"', text) or re.search(
        r'"command": "(\S+) ', text)
    if not found:
        return "unknown"
    options = re.findall(r" (-O\S|-march=\S+|-g\d?|-fsanitize=\S+)(?= )", found[0])
    return " ".join([first_line(found[1], "--version"), *dict.fromkeys(options)])


def describe(root, build, cpus):
    """An ordered {what: how it is}; `cpus`: those that are measured on."""
    meminfo = read("/proc/meminfo", "")
    hugepages = re.search(r"HugePages_Total:\s+(\d+)", meminfo)
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": first_line("git", "-C", root, "describe", "--always", "--dirty"),
        "CPU": cpu_model(),
        "CPUs": f"{os.cpu_count()}; measured on {', '.join(str(cpu) for cpu in cpus)}",
        "virtual machine": virtualised(),
        "governor": governor(cpus),
        "isolated CPUs": read("/sys/devices/system/cpu/isolated", "none"),
        "nohz_full": read("/sys/devices/system/cpu/nohz_full", "none"),
        "clocksource": read(
            "/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "huge pages": hugepages[1] if hugepages else "unknown",
        "transparent huge pages": read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "kernel": f"{platform.system()} {platform.release()}",
        "DPDK": first_line("pkg-config", "--modversion", "libdpdk"),
        "compiler": compiler(build),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }
