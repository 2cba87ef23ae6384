"""The model of CloudWatch's evaluation beside the tables of its documentation."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from rehearsal.alarms import evaluate

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html: X breaches, 0 does not, - is missing, the
# newest last; then the state with missing, ignore (None: as it was), breaching, notBreaching. Three periods are evaluated.
ALL_OF_THREE = [
    ("0 - X - X", "OK", "OK", "OK", "OK"),
    ("0 - - - -", "OK", "OK", "OK", "OK"),
    ("- - - - -", "INSUFFICIENT_DATA", None, "ALARM", "OK"),
    ("0 X X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ("- - X - -", "ALARM", None, "ALARM", "OK"),
]
TWO_OF_THREE = [
    ("0 - X - X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ("0 0 X 0 X", "ALARM", "ALARM", "ALARM", "ALARM"),
    ("0 - X - -", "OK", "OK", "ALARM", "OK"),
    ("- - - - 0", "OK", "OK", "ALARM", "OK"),
    ("- - - X -", "ALARM", None, "ALARM", "OK"),
]


class TheModel(unittest.TestCase):
    def test_says_what_the_tables_of_cloudwatch_say(self):
        for needed, table in ((3, ALL_OF_THREE), (2, TWO_OF_THREE)):
            for periods, *expected in table:
                values = [{"X": 1, "0": 0, "-": None}[period] for period in periods.split()]
                for treat, state in zip(("missing", "ignore", "breaching", "notBreaching"), expected):
                    alarm = {"ComparisonOperator": "GreaterThanThreshold", "Threshold": 0, "EvaluationPeriods": 3,
                             "DatapointsToAlarm": needed, "TreatMissingData": treat}
                    for before in ("OK", "ALARM"):
                        with self.subTest(periods=periods, needed=needed, treat=treat, before=before):
                            self.assertEqual(evaluate(alarm, values, before), state or before)


if __name__ == "__main__":
    unittest.main()
