# SPDX-License-Identifier: BSD-3-Clause
"""What perf/run has written, as perf/report and perf/compare want it.

A results file is {"environment": {...}, "programs": [an object of perf/result.h, and "round"]}.
Whatever is measured in each of several rounds has one histogram, that of all rounds together: no
percentile is an average of percentiles. Beside it are the figures of each round by itself, which
say how much of a figure is the machine's mood.
"""

import collections
import json
import re

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}


class Unreadable(Exception):
    """A file that is none of perf/run's; the message is a line for the user."""


class Series:
    """A distribution, of all rounds."""

    def __init__(self, program, record):
        self.program = program
        self.name = record["name"]
        self.group = record["group"]
        self.role = record["role"]
        self.unit = record["unit"]
        self.count = 0
        self.min = float("inf")
        self.max = 0.0
        self.slots = collections.Counter()
        self.rounds = []

    def add(self, record):
        self.count += record["count"]
        if record["count"]:
            self.min = min(self.min, record["min"])
        self.max = max(self.max, record["max"])
        for end, count in record["buckets"]:
            self.slots[end] += count
        self.rounds.append({name: record[name] for name in QUANTILES})

    def quantile(self, quantile):
        """The smallest value that no more than this share of all are above."""
        above = int(self.count * (1 - quantile) + 1e-9)
        n = 0
        for end in sorted(self.slots, reverse=True):
            n += self.slots[end]
            if n > above:
                return max(self.min, min(end, self.max))
        return 0.0

    def figures(self):
        figures = {"min": self.min if self.count else 0.0}
        figures.update((name, self.quantile(q)) for name, q in QUANTILES.items())
        figures["max"] = self.max
        return figures

    def curve(self):
        """[(quantile, value)] for a plot: up to the last slot that is not the maximum's own."""
        points, n = [], 0
        for end in sorted(self.slots):
            n += self.slots[end]
            points.append(((n - self.slots[end] / 2) / self.count, min(end, self.max)))
        return points


class Figure:
    """A single number of each round."""

    def __init__(self, program, record):
        self.program = program
        self.name = record["name"]
        self.group = record.get("group", "")
        self.unit = record.get("unit", "")
        self.goal = record.get("goal")
        self.rounds = []

    def add(self, record):
        self.rounds.append(record["value"])

    @property
    def value(self):
        """The median of the rounds."""
        return sorted(self.rounds)[len(self.rounds) // 2]


class Program:
    """What one program has measured, in all rounds."""

    def __init__(self, record):
        self.name = record["program"]
        self.question = record["question"]
        self.series = {}
        self.values = {}
        self.ratios = {}
        self.noise = {}

    def add(self, record):
        for kind, maker, key in ((self.series, Series, "series"), (self.values, Figure, "values"),
                                 (self.ratios, Figure, "ratios")):
            for one in record[key]:
                name = (one.get("group"), one["name"])
                if name not in kind:
                    kind[name] = maker(self.name, one)
                kind[name].add(one)
        for one in record["noise"]:
            if one["cpu"] not in self.noise:
                self.noise[one["cpu"]] = Series(self.name, one["series"])
            self.noise[one["cpu"]].add(one["series"])

    def groups(self):
        """{group: [series]}, in the order in which they were measured."""
        groups = collections.OrderedDict()
        for series in self.series.values():
            groups.setdefault(series.group, []).append(series)
        return groups

    def value_groups(self):
        groups = collections.OrderedDict()
        for value in self.values.values():
            groups.setdefault(value.group, []).append(value)
        return groups


class Measurements:
    def __init__(self, path):
        try:
            with open(path, encoding="utf-8") as text:
                record = json.load(text)
            self.environment = record["environment"]
            self.programs = collections.OrderedDict()
            for one in record["programs"]:
                if one["program"] not in self.programs:
                    self.programs[one["program"]] = Program(one)
                self.programs[one["program"]].add(one)
        except OSError as error:
            raise Unreadable(f"{path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unreadable(f"{path}: not a results.json of perf/run ({error!r})") from error
        self.path = path


SCALES = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


def swept(name):
    """(what the name says without its last number, that number): of "READ, batch 64" the 64. A
    number of a time is in seconds. None where there is no number at the end."""
    found = re.fullmatch(r"(.*?)([0-9]+)(?: (ns|us|ms|s))?", name)
    if not found:
        return None
    return found[1].strip(" ,"), int(found[2]) * SCALES.get(found[3], 1)
