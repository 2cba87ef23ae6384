"""The template's parameters, samconfig.toml that gives them, and the rules that refuse some."""

import pathlib
import re
import sys
import tomllib
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import template
from template import ROOT

TEMPLATE = template.source()
PARAMETERS = TEMPLATE["Parameters"]
SAMCONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())
# What must never be guessed: each of them replaces resources, or sends events elsewhere, when it flips.
SAID = {"Stage", "Architecture", "Collector"}


def given(environment):
    overrides = SAMCONFIG[environment]["global"]["parameters"]["parameter_overrides"]
    return dict(override.split("=", 1) for override in overrides)


def is_true(condition, values):
    """The functions that the rules of a template may use."""
    (name, arguments), = condition.items()
    if name == "Fn::Not":
        return not is_true(arguments[0], values)
    if name == "Fn::And":
        return all(is_true(it, values) for it in arguments)
    if name == "Fn::Equals":
        left, right = (str(values[it["Ref"]]) if isinstance(it, dict) else it for it in arguments)
        return left == right
    raise AssertionError(name)


def refusals(**values):
    """What the rules say of parameters."""
    values = {name: it.get("Default") for name, it in PARAMETERS.items()} | values
    said = []
    for rule in TEMPLATE["Rules"].values():
        if "RuleCondition" not in rule or is_true(rule["RuleCondition"], values):
            said += [it["AssertDescription"] for it in rule["Assertions"] if not is_true(it["Assert"], values)]
    return said


COLLECTOR = "https://collector.example.com"


class TheParameters(unittest.TestCase):
    def test_that_must_not_flip_have_no_default_and_are_said_for_each_environment(self):
        self.assertEqual({name for name, it in PARAMETERS.items() if "Default" not in it}, SAID)
        for environment in ("default", "prod"):
            self.assertLessEqual(SAID, given(environment).keys(), environment)
            self.assertLessEqual(given(environment).keys(), PARAMETERS.keys(), environment)
        self.assertEqual((given("default")["Stage"], given("prod")["Stage"]), ("dev", "prod"))
        # `sam build` reads the processor as well, so that both commands have the same list.
        for environment in ("default", "prod"):
            for command in ("build", "deploy"):
                self.assertNotIn("parameter_overrides", SAMCONFIG[environment][command]["parameters"])

    def test_are_changed_in_samconfig_and_never_by_an_override(self):
        for file in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
            self.assertNotIn("sam deploy --parameter-overrides", file.read_text(), file.name)
            for line in file.read_text().splitlines():
                if line.startswith("sam "):
                    self.assertNotIn("--parameter-overrides", line, file.name)

    def test_leave_a_new_account_the_executions_that_intake_needs(self):
        # Lambda gives new accounts 10 concurrent executions.
        self.assertEqual(PARAMETERS["MaximumConcurrency"]["Default"], 2)
        self.assertEqual(given("prod")["MaximumConcurrency"], "10")

    def test_ask_for_the_collector_s_url(self):
        self.assertEqual(PARAMETERS["KoalaUrl"]["Default"], "")
        self.assertIn("needs the URL of your collector", refusals(Stage="dev", Collector="url", Architecture="arm64")[0])
        self.assertEqual(refusals(Stage="dev", Collector="url", Architecture="arm64", KoalaUrl=COLLECTOR), [])
        pattern = re.compile(PARAMETERS["KoalaUrl"]["AllowedPattern"])
        self.assertTrue(pattern.fullmatch(COLLECTOR))
        self.assertFalse(pattern.fullmatch("collector.example.com"))

    def test_ask_where_visitors_are_kept_where_the_collector_is_the_stack_s_own(self):
        values = {"Stage": "dev", "Architecture": "arm64", "Collector": "own"}
        self.assertIn("dsql or url", refusals(**values)[0])
        for database in ("dsql", "url"):
            self.assertEqual(refusals(Database=database, **values), [])
        pattern = re.compile(PARAMETERS["DsqlEndpoint"]["AllowedPattern"])
        self.assertTrue(pattern.fullmatch("foo1bar2.dsql.eu-west-1.on.aws"))
        self.assertFalse(pattern.fullmatch("postgres://foo.dsql.eu-west-1.on.aws"))
        # Another database would be an empty one: it changes by nobody's forgetting to say it.
        self.assertEqual(PARAMETERS["Database"]["Default"], "")

    def test_refuse_prod_without_somebody_to_tell_and_dev_says_so_in_its_outputs(self):
        values = {"Collector": "url", "Architecture": "arm64", "KoalaUrl": COLLECTOR}
        self.assertIn("alarm recipient", refusals(Stage="prod", **values)[0])
        self.assertEqual(refusals(Stage="prod", AlarmEmail="on-call@example.com", **values), [])
        self.assertEqual(refusals(Stage="prod", AlarmTopicArn="arn:aws:sns:eu-west-1:123456789012:t", **values), [])
        self.assertEqual(refusals(Stage="dev", **values), [])
        self.assertIn("No recipient", TEMPLATE["Outputs"]["Alarms"]["Value"]["Fn::If"][1])

    def test_refuse_to_stop_delivery_by_taking_its_executions(self):
        values = {"Stage": "dev", "Collector": "url", "Architecture": "arm64", "KoalaUrl": COLLECTOR}
        self.assertIn("Deliver=false", refusals(DeliveryReservedConcurrency=0, **values)[0])
        self.assertEqual(refusals(DeliveryReservedConcurrency=2, **values), [])

    def test_are_all_in_the_docs(self):
        settings = (ROOT / "docs/settings.md").read_text().split("## The template's parameters")[1]
        for name in PARAMETERS:
            self.assertIn(f"`{name}`", settings)


if __name__ == "__main__":
    unittest.main()
