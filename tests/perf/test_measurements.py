#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""perf/report and perf/compare, as TAP, on results whose figures are known."""

import json
import os
import random
import subprocess
import sys
import tempfile

PERF = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../perf")
sys.path.insert(0, PERF)

import guest  # noqa: E402
import measurements  # noqa: E402

CASES = []


def case(function):
    CASES.append(function)
    return function


def series(name, values, group="READ, poll", role="device"):
    values = sorted(values)
    buckets = {}
    for value in values:
        buckets[value] = buckets.get(value, 0) + 1

    def point(share):
        return values[len(values) - 1 - int(len(values) * (1 - share) + 1e-9)]

    return {"name": name, "group": group, "role": role, "unit": "ns", "count": len(values),
            "min": values[0], "max": values[-1], "mean": sum(values) / len(values),
            "buckets": sorted(buckets.items()),
            **{name: point(share) for name, share in measurements.QUANTILES.items()}}


def result(rounds, speed=1.0, seed=1):
    """A device of some 250 ns, and a floor; every round of a machine of another mood."""
    dice = random.Random(seed)
    programs = []
    for number in range(rounds):
        mood = 1 + dice.random() / 10
        device = [round(250 * mood * speed + dice.random() * 20) for _ in range(2000)]
        floor = [round(200 * mood + dice.random() * 20) for _ in range(2000)]
        programs.append({
            "program": "roundtrip", "question": "How long?", "tsc_mhz": 2600, "round": number,
            "series": [series("the device", device), series("the floor", floor, role="floor")],
            "values": [{"name": f"READs, batch {n}", "group": "READs a second", "unit": "1/s",
                        "value": 1e6 * n / mood / speed} for n in (1, 2, 4)],
            "ratios": [{"name": "device over floor", "value": sum(device) / sum(floor),
                        "goal": 1.5}],
            "noise": [{"cpu": 1, "seconds": 1, "series": series("noise", [10] * 100)}]})
    return {"environment": {"date": "today", "CPU": "a fast one"}, "programs": programs}


class Folder(tempfile.TemporaryDirectory):
    def write(self, name, what):
        path = os.path.join(self.name, name)
        with open(path, "w", encoding="utf-8") as text:
            text.write(what if isinstance(what, str) else json.dumps(what))
        return path


def run(command, *args):
    done = subprocess.run([sys.executable, os.path.join(PERF, command), *args], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stdout, done.stderr


def last(text):
    return text.strip().split("\n")[-1]


@case
def percentiles_of_rounds_are_those_of_all_their_values():
    folder = Folder()
    one = [100] * 990 + [5000] * 10
    two = [200] * 1000
    record = {"environment": {}, "programs": [
        {"program": "p", "question": "q", "values": [], "ratios": [], "noise": [],
         "series": [series("s", values)]} for values in (one, two)]}
    merged = measurements.Measurements(folder.write("r.json", record)).programs["p"]
    figures = next(iter(merged.series.values())).figures()
    folder.cleanup()
    assert figures["min"] == 100 and figures["max"] == 5000, figures
    assert figures["p50"] == 200 and figures["p99"] == 200 and figures["p99.9"] == 5000, figures


@case
def the_same_machine_in_other_moods_is_no_change():
    folder = Folder()
    a, b = folder.write("a", result(5, seed=1)), folder.write("b", result(5, seed=2))
    status, out, _ = run("compare", a, b)
    folder.cleanup()
    assert status == 0 and last(out).startswith("0 better, 0 worse"), out


@case
def a_slower_device_is_worse_and_a_faster_one_better():
    folder = Folder()
    a, b = folder.write("a", result(5)), folder.write("b", result(5, speed=1.4, seed=3))
    _, worse, _ = run("compare", a, b)
    _, better, _ = run("compare", b, a)
    folder.cleanup()
    # Four percentiles of the device, three rates and the ratio; the floor is as it was.
    assert last(worse).startswith("0 better, 8 worse, 4 no more"), worse
    assert last(better).startswith("8 better, 0 worse, 4 no more"), better


@case
def few_rounds_are_no_evidence():
    folder = Folder()
    a, b = folder.write("a", result(3)), folder.write("b", result(5, speed=2))
    _, out, _ = run("compare", a, b)
    folder.cleanup()
    assert last(out).startswith("0 better, 0 worse, 0 no more") and "too few rounds" in out, out


@case
def another_machine_is_pointed_out():
    folder = Folder()
    other = result(5)
    other["environment"]["CPU"] = "a slow one"
    _, out, _ = run("compare", folder.write("a", result(5)), folder.write("b", other))
    folder.cleanup()
    assert "not the same: CPU: a fast one -> a slow one" in out, out


@case
def what_is_no_result_is_one_line_and_status_1():
    folder = Folder()
    good = folder.write("good", result(1))
    for bad in (folder.write("bad", "{}"), folder.write("worse", "no json"), folder.name + "/none"):
        for command in (("compare", good, bad), ("compare", bad, good), ("report", bad)):
            status, out, err = run(*command)
            assert status == 1 and out == "" and err.count("\n") == 1 and bad in err, (out, err)
    folder.cleanup()


@case
def rounds_in_a_guest_are_put_together():
    def answer(ns, rate):
        names = ["clock_gettime", "PTP_SYS_OFFSET_EXTENDED"] + (["RTC_RD_TIME"] if rate else [])
        return {"series": [{**series(name, [ns] * 99 + [ns * 10]), "name": name} for name in names],
                "per_second": rate}

    asked = [(guest.BUSY, answer(100, 7)), (guest.SLEEPER, answer(300, 5)),
             (guest.QEMUS, answer(50, 0))] * 3
    record = guest.put_together(asked)
    found = {(one["group"], one["name"]): one for one in record["series"]}
    assert len(found) == 8, found.keys()
    one = found[guest.READINGS["PTP_SYS_OFFSET_EXTENDED"], guest.BUSY]
    assert (one["count"], one["min"], one["p50"], one["max"]) == (300, 100, 100, 1000), one
    assert [value["value"] for value in record["values"]] == [7, 5], record["values"]
    assert record["ratios"][0]["value"] == 2, record["ratios"]
    program = measurements.Program(record)
    program.add(record)
    program.add(record)
    assert program.series[one["group"], one["name"]].count == 600


@case
def the_report_has_goals_tables_and_the_noise():
    folder = Folder()
    status, _, _ = run("report", folder.write("results.json", result(3)))
    with open(os.path.join(folder.name, "report.md"), encoding="utf-8") as text:
        page = text.read()
    folder.cleanup()
    assert status == 0
    for wanted in ("| device over floor | 1.50 |", "| reached |", "| the device |", "of 3 rounds",
                   "| roundtrip, CPU 1 | 10.0 |", "READs, batch 4"):
        assert wanted in page, (wanted, page)


def main():
    failed = 0
    print(f"1..{len(CASES)}")
    for number, function in enumerate(CASES, 1):
        try:
            function()
            print(f"ok {number} - {function.__name__}")
        except AssertionError as error:
            failed += 1
            print(f"not ok {number} - {function.__name__}")
            for line in str(error).split("\n"):
                print(f"# {line}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
