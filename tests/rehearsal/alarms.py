"""A model of how CloudWatch evaluates alarms on one metric, for what the rehearsal measured.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

import collections
import json

# CloudWatch looks at more periods than it evaluates, and fills those that are missing only where too few have a value.
MORE_PERIODS = 2


class Metrics:
    """Values of metrics, each at a minute."""

    def __init__(self):
        self.values = collections.defaultdict(lambda: collections.defaultdict(list))

    def add(self, minute, namespace, name, dimensions, value):
        self.values[(namespace, name, tuple(sorted(dimensions.items())))][minute].append(value)

    def add_embedded(self, minute, line):
        """A line of the embedded metric format, as CloudWatch Logs reads it."""
        try:
            line = json.loads(line)
        except ValueError:
            return
        if not isinstance(line, dict) or "_aws" not in line:
            return
        for directive in line["_aws"]["CloudWatchMetrics"]:
            for dimensions in directive["Dimensions"]:
                for metric in directive["Metrics"]:
                    value = line[metric["Name"]]
                    for each in value if isinstance(value, list) else [value]:
                        self.add(minute, directive["Namespace"], metric["Name"], {it: line[it] for it in dimensions}, each)

    def period(self, alarm, start):
        """The statistic of an alarm's metric over the period that begins at a minute; none where there is no value."""
        dimensions = tuple(sorted((it["Name"], it["Value"]) for it in alarm.get("Dimensions", [])))
        minutes = self.values.get((alarm["Namespace"], alarm["MetricName"], dimensions), {})
        values = [value for minute in range(start, start + alarm["Period"] // 60) for value in minutes.get(minute, [])]
        if not values:
            return None
        return {"Sum": sum, "Maximum": max, "Minimum": min, "Average": lambda it: sum(it) / len(it)}[alarm["Statistic"]](values)


def evaluate(alarm, values, state):
    """An alarm's next state, by the values of its periods, the oldest first and as many as CloudWatch looks at."""
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    needed, evaluated = alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]
    treat = alarm.get("TreatMissingData", "missing")
    breaches = [None if value is None else value > alarm["Threshold"] for value in values]
    # Values that are there come first, however old in this range; what is missing is filled as seldom as possible.
    there = [breach for breach in breaches if breach is not None][-evaluated:]
    filled = [treat == "breaching"] * (evaluated - len(there))
    if sum(there) + sum(filled) >= needed:
        return "ALARM"
    if treat in ("missing", "ignore"):
        # Too little is there to count, and all of it breaches, for long enough.
        recent = breaches[-evaluated:]
        old_enough = True in recent and evaluated - recent.index(True) >= needed
        if not there or (all(there) and old_enough):
            return state if treat == "ignore" else "ALARM" if there else "INSUFFICIENT_DATA"
    return "OK"


def run(alarm, metrics, minutes):
    """The state of an alarm at the end of each minute."""
    state, states = "OK", []
    length = alarm["Period"] // 60
    for now in range(1, minutes + 1):
        newest = (now - 1) // length * length
        starts = [newest - length * back for back in range(alarm["EvaluationPeriods"] + MORE_PERIODS)]
        values = [metrics.period(alarm, start) if start >= 0 else None for start in reversed(starts)]
        # What lies ahead has not been measured.
        state = evaluate(alarm, values, state)
        states.append(state)
    return states
