"""The template beside the code and beside the design: what one says of the other must be so."""

import json
import pathlib
import re
import subprocess
import sys
import unittest

from cfn_guard_rs.cfn_guard_rs import run_checks_rs

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import template
from aws import runtime
from template import ROOT

TOOLS = pathlib.Path(sys.executable).parent
SAM = template.source()
TEMPLATE = template.transformed()
FUNCTIONS = {"dispatch": "Dispatch", "identify-visitor": "IdentifyVisitor", "track-event": "TrackEvent"}
# Those of the collector of the stack, which Collector=own alone makes.
OF_COLLECTOR = {"collect": "Collect", "page": "Page", "signals": "Signals", "caretaker": "Caretaker"}
METRICS = "".join((ROOT / f"{it}.rs").read_text().split("#[cfg(test)]")[0]
                  for it in ("shared/src/metrics", "shared/src/delivery/figures", "shared/src/intake/figures", "collector/src/aws/figures"))
# Those that cost; the other figures of a line are fields.
WRITTEN = set(re.findall(r'Metric::(?:Alarmed|Seldom)\("(\w+)"', METRICS))
FIELDS = set(re.findall(r'Metric::\w+\("(\w+)"', METRICS))
SERVICE = re.search(r'SERVICE: &str = "([^"]+)"', METRICS)[1]
# https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-execution.html
OF_LAMBDA_S_LOGS = {"Task timed out", "Runtime.", "signal"}
# Lambda sets these; the code reads them as well.
OF_LAMBDA = {"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"}


def of_type(kind):
    return {name: it for name, it in TEMPLATE["Resources"].items() if it["Type"] == kind}


def of_destination(kind):
    """What there is of a type with any collector."""
    return {name: it for name, it in of_type(kind).items() if it.get("Condition") != "OwnCollector"}


def function(name):
    return TEMPLATE["Resources"][f"{(FUNCTIONS | OF_COLLECTOR)[name]}Function"]["Properties"]


def code(*folders):
    """The core and its adapters, without tests; or other folders."""
    source = "".join(file.read_text() for folder in folders or ["shared/src"] for file in sorted((ROOT / folder).rglob("*.rs")))
    return re.sub(r"#\[cfg\(test\)\]\s+mod tests \{.*?\n\}\n", "", source, flags=re.S)


def variables_in_code(*folders):
    """The environment variables that the core reads, or other folders: those it requires, and all."""
    source = code(*folders)
    read = re.findall(r'\bvariables\s*\.\s*(\w+)\(\s*"([A-Z_]+)"', source)
    roots = set(re.findall(r'ROOTS_FILE: &str = "([A-Z_]+)"', source)) | {"AWS_CA_BUNDLE"}
    required = {variable for how, variable in read if how == "required"}
    return required, {variable for _, variable in read} | roots


def statements(name):
    """What a function's role allows: action → resources, as the template writes them."""
    role = TEMPLATE["Resources"][f"{(FUNCTIONS | OF_COLLECTOR)[name]}Role"]["Properties"]
    policy = "EveryFunctionPolicy" if name in FUNCTIONS else "CollectorPolicy"
    every = TEMPLATE["Resources"][policy]["Properties"]["PolicyDocument"]["Statement"]
    assert role["ManagedPolicyArns"] == [{"Ref": policy}], role
    allowed = {}
    for statement in every + [it for policy in role["Policies"] for it in policy["PolicyDocument"]["Statement"]]:
        if "Fn::If" in statement:
            statement = statement["Fn::If"][1]
        actions, resources = statement["Action"], statement["Resource"]
        for action in actions if isinstance(actions, list) else [actions]:
            allowed[action] = json.dumps(resources if isinstance(resources, list) else [resources])
    return allowed


class TheTemplate(unittest.TestCase):
    def test_sets_every_variable_that_the_code_requires_and_none_that_it_does_not_know(self):
        required, known = variables_in_code()
        self.assertIn("QUEUE_URL", required)
        dispatch = {"IDENTIFY_QUEUE_URL", "TRACK_QUEUE_URL", "REJECTED_QUEUE_URL"}
        delivery = {"QUEUE_URL", "DEAD_LETTER_QUEUE_URL"}
        self.assertEqual(required - OF_LAMBDA, dispatch | delivery | {"PARAMETER_PREFIX"})
        for name in FUNCTIONS:
            variables = function(name)["Environment"]["Variables"].keys()
            needed = {"PARAMETER_PREFIX"} | (dispatch if name == "dispatch" else delivery)
            self.assertLessEqual(needed, variables, name)
            self.assertLessEqual(variables, known, name)

    def test_tells_the_functions_of_the_collector_what_they_ask_for_and_no_more(self):
        required, known = variables_in_code("shared/src", "collector/src")
        every = {"PARAMETER_PREFIX", "COLLECTOR_PARAMETER_PREFIX"}
        queues = {"IDENTIFY_QUEUE_URL", "TRACK_QUEUE_URL", "REJECTED_QUEUE_URL", "IDENTIFY_DEAD_LETTERS_URL", "TRACK_DEAD_LETTERS_URL"}
        self.assertEqual(required - OF_LAMBDA - {"QUEUE_URL", "DEAD_LETTER_QUEUE_URL"}, every | queues | {"WEBHOOK_URL"})
        for name in OF_COLLECTOR:
            variables = function(name)["Environment"]["Variables"].keys()
            self.assertLessEqual(every | (queues | {"WEBHOOK_URL"} if name == "page" else set()), variables, name)
            self.assertLessEqual(variables, known, name)

    def test_makes_nothing_of_the_collector_where_it_is_another_one(self):
        conditions = TEMPLATE["Conditions"]
        self.assertEqual(conditions["OwnCollector"], {"Fn::Equals": [{"Ref": "Collector"}, "own"]})
        for it in ("UsesDsql", "InVpc"):
            self.assertEqual(conditions[it]["Fn::And"][0], {"Condition": "OwnCollector"})
        made = {name: it for name, it in TEMPLATE["Resources"].items() if it.get("Condition") not in ("OwnCollector", "MakesCluster")}
        words = json.dumps({name: {k: v for k, v in it.items() if k != "Metadata"} for name, it in made.items()})
        for name, logical in OF_COLLECTOR.items():
            self.assertNotIn(f"{logical}Function", words, name)
        self.assertNotIn("dsql", words)
        self.assertEqual(len([it for it in made.values() if it["Type"] == "AWS::Lambda::Function"]), 3)

    def test_has_the_tables_made_before_any_function_that_uses_them(self):
        schema = TEMPLATE["Resources"]["Schema"]
        self.assertEqual(schema["Properties"]["ServiceToken"], {"Fn::GetAtt": ["CaretakerFunction", "Arn"]})
        # A release that brings a migration has it run.
        migrations = list((ROOT / "collector/src/store/postgres/migrations").glob("*.sql"))
        self.assertEqual(schema["Properties"]["Schema"], len(migrations))
        for name, logical in OF_COLLECTOR.items():
            depends = TEMPLATE["Resources"][f"{logical}Function"].get("DependsOn", [])
            self.assertEqual("Schema" in depends, name != "caretaker", name)
        self.assertGreater(schema["Properties"]["ServiceTimeout"], function("caretaker")["Timeout"])

    def test_allows_the_functions_of_the_collector_what_they_do_and_no_more(self):
        every = {"kms:Decrypt", "xray:PutTraceSegments", "xray:PutTelemetryRecords", "logs:CreateLogStream", "logs:PutLogEvents",
                 "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface",
                 "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"}
        own = {
            "collect": {"ssm:GetParameters", "sqs:SendMessage", "dsql:DbConnect"},
            "page": {"ssm:GetParametersByPath", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:StartMessageMoveTask",
                     "sqs:DeleteMessage", "sqs:SendMessage", "dsql:DbConnect"},
            "signals": {"ssm:GetParametersByPath", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "dsql:DbConnect"},
            "caretaker": {"ssm:GetParametersByPath", "ssm:PutParameter", "kms:GenerateDataKey", "dsql:DbConnectAdmin"},
        }
        for name, actions in own.items():
            allowed = statements(name)
            self.assertEqual(allowed.keys(), every | actions, name)
            self.assertIn(f"{OF_COLLECTOR[name]}Logs", allowed["logs:PutLogEvents"])
        self.assertEqual(re.findall(r"\$\{Stage\}/([a-z-]+)", statements("collect")["ssm:GetParameters"]),
                         ["public-api-key", "collector-token", "database-url", "exclude"])
        self.assertEqual(re.findall(r"\$\{Stage\}/([a-z-]+)", statements("caretaker")["ssm:PutParameter"]), ["collector-token", "session-key"])
        for name in ("signals", "caretaker"):
            self.assertNotIn("koala-destination", statements(name)["ssm:GetParametersByPath"])
        # Nobody before the collector reads what is its own, or reaches its database.
        for name in FUNCTIONS:
            allowed = statements(name)
            self.assertNotIn("koala-collector", json.dumps(allowed))
            self.assertNotIn("dsql", json.dumps(allowed))

    def test_and_docs_have_every_variable_of_the_code(self):
        settings = (ROOT / "docs/settings.md").read_text()
        _, known = variables_in_code()
        _, of_collector = variables_in_code("collector/src")
        for variable in (known | of_collector) - OF_LAMBDA - {"AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL_SQS"}:
            self.assertIn(f"`{variable}`", settings)

    def test_names_binaries_that_the_workspace_builds(self):
        for name, logical in (FUNCTIONS | OF_COLLECTOR).items():
            built = SAM["Resources"][f"{logical}Function"]
            self.assertEqual(built["Metadata"], {"BuildMethod": "rust-cargolambda", "BuildProperties": {"Binary": name}})
            manifest = ROOT / "infra" / built["Properties"]["CodeUri"] / "Cargo.toml"
            self.assertIn(f'name = "{name}"', manifest.read_text())
            self.assertEqual((function(name)["Handler"], function(name)["Runtime"]), ("bootstrap", "provided.al2023"))

    def test_has_the_timeouts_that_the_code_counts_on(self):
        for name, seconds in runtime.TIMEOUT_SECONDS.items():
            self.assertEqual(function(name)["Timeout"], seconds, name)
        consumer = (ROOT / "shared/src/lambda/consumer.rs").read_text()
        seconds = int(re.search(r"FUNCTION_TIMEOUT: Duration = Duration::from_secs\((\d+)\)", consumer)[1])
        self.assertEqual(function("track-event")["Timeout"], seconds)
        options = (ROOT / "shared/src/intake/options.rs").read_text()
        answer_within = int(re.search(r'"ANSWER_WITHIN_MILLISECONDS", (\d+)\)', options)[1]) / 1000
        # Segment waits for 5 s.
        self.assertLess(answer_within, 5)
        self.assertGreater(function("dispatch")["Timeout"], answer_within)

    def test_gives_a_batch_six_times_the_functions_timeout(self):
        for name, queue in {"identify-visitor": "IdentifyQueue", "track-event": "TrackQueue"}.items():
            queue = TEMPLATE["Resources"][queue]["Properties"]
            self.assertGreaterEqual(queue["VisibilityTimeout"], 6 * function(name)["Timeout"])

    def test_rides_out_an_outage_of_twelve_hours(self):
        consumer = (ROOT / "shared/src/aws/environment.rs").read_text()
        delay = int(re.search(r"FIRST_DELAY_SECONDS: u64 = (\d+)", consumer)[1])
        for queue in ("IdentifyQueue", "TrackQueue"):
            properties = TEMPLATE["Resources"][queue]["Properties"]
            # Each delay is jittered down to half of it, at worst.
            delays = [min(delay * 2**receipt, 900) / 2 for receipt in range(properties["RedrivePolicy"]["maxReceiveCount"])]
            self.assertGreaterEqual(sum(delays) * 2 / 3600, 12, "the outage in hours, by the middle of the jitter")
            self.assertGreater(properties["MessageRetentionPeriod"], 24 * 3600)

    def test_dead_letters_outlive_their_queue(self):
        for queue, dead in {"IdentifyQueue": "IdentifyDeadLetters", "TrackQueue": "TrackDeadLetters"}.items():
            source = TEMPLATE["Resources"][queue]["Properties"]
            target = TEMPLATE["Resources"][dead]["Properties"]
            self.assertEqual(source["RedrivePolicy"]["deadLetterTargetArn"], {"Fn::GetAtt": [dead, "Arn"]})
            self.assertLess(source["MessageRetentionPeriod"], target["MessageRetentionPeriod"])

    def test_names_no_queue_and_keeps_each_when_its_stack_goes_or_replaces_it(self):
        queues = of_destination("AWS::SQS::Queue")
        self.assertEqual(len(queues), 5)
        # What it is rung for stands in the database.
        self.assertEqual(of_type("AWS::SQS::Queue").keys() - queues.keys(), {"Doorbell"})
        for name, queue in queues.items():
            self.assertNotIn("QueueName", queue["Properties"], name)
            self.assertEqual((queue["DeletionPolicy"], queue["UpdateReplacePolicy"]), ("RetainExceptOnCreate", "Retain"), name)
            # SQS's largest, said: an event's limit is 32 KiB.
            self.assertEqual(queue["Properties"]["MaximumMessageSize"], 1024 * 1024, name)

    def test_has_the_region_in_the_name_of_what_is_the_accounts(self):
        # CloudWatch's dashboards and IAM's names are one space for all regions.
        for kind in ("AWS::CloudWatch::Dashboard", "AWS::IAM::Role", "AWS::IAM::ManagedPolicy"):
            for name, resource in of_type(kind).items():
                given = [it for it in ("DashboardName", "RoleName", "ManagedPolicyName") if it in resource["Properties"]]
                for it in given:
                    self.assertIn("${AWS::Region}", resource["Properties"][it]["Fn::Sub"], name)
        self.assertIn("DashboardName", next(iter(of_type("AWS::CloudWatch::Dashboard").values()))["Properties"])

    def test_updates_the_consumers_before_what_writes_to_them(self):
        depends = TEMPLATE["Resources"]["DispatchFunction"]["DependsOn"]
        self.assertEqual(set(depends), {"IdentifyVisitorFunction", "TrackEventFunction"})

    def test_stops_delivery_by_its_polling_and_not_by_its_executions(self):
        for mapping in of_destination("AWS::Lambda::EventSourceMapping").values():
            self.assertEqual(mapping["Properties"]["Enabled"], {"Fn::If": ["Delivers", True, False]})

    def test_puts_every_role_under_the_boundary_and_reads_keys_through_parameter_store_alone(self):
        for name, role in of_type("AWS::IAM::Role").items():
            boundary = role["Properties"]["PermissionsBoundary"]
            self.assertEqual(boundary["Fn::If"][:2], ["HasPermissionsBoundary", {"Ref": "PermissionsBoundaryArn"}], name)
        statements = TEMPLATE["Resources"]["EveryFunctionPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        decrypt = next(it["Fn::If"][1] for it in statements if "Fn::If" in it)
        self.assertEqual(decrypt["Condition"], {"StringEquals": {"kms:ViaService": {"Fn::Sub": "ssm.${AWS::Region}.${AWS::URLSuffix}"}}})
        key = re.compile(TEMPLATE["Parameters"]["ParameterKeyArn"]["AllowedPattern"])
        self.assertTrue(key.fullmatch("arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"))
        self.assertTrue(key.fullmatch(""))
        # kms:Decrypt on an alias's ARN allows nothing.
        self.assertFalse(key.fullmatch("arn:aws:kms:eu-west-1:123456789012:alias/mine"))

    def test_logs_access_below_vendedlogs_with_what_went_wrong(self):
        self.assertTrue(TEMPLATE["Resources"]["AccessLogs"]["Properties"]["LogGroupName"]["Fn::Sub"].startswith("/aws/vendedlogs/"))
        # `messageString` is the message in quotes already (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html),
        # and a bare `-` where there is none: neither is JSON in or out of quotes.
        stages = of_type("AWS::ApiGatewayV2::Stage")
        self.assertEqual(len(stages), 3)
        for name, stage in stages.items():
            with self.subTest(name):
                log = json.loads(stage["Properties"]["AccessLogSettings"]["Format"])
                self.assertEqual(log["error"], "$context.error.message")
                self.assertNotIn("DetailedMetricsEnabled", stage["Properties"]["DefaultRouteSettings"])

    def test_hands_each_queue_to_its_function_and_lets_part_of_a_batch_fail(self):
        handed = {}
        for mapping in of_destination("AWS::Lambda::EventSourceMapping").values():
            properties = mapping["Properties"]
            handed[properties["FunctionName"]["Ref"]] = properties["EventSourceArn"]["Fn::GetAtt"][0]
            self.assertEqual(properties["FunctionResponseTypes"], ["ReportBatchItemFailures"])
            self.assertEqual((properties["BatchSize"], properties["MaximumBatchingWindowInSeconds"]), (100, 1))
            self.assertEqual(properties["ScalingConfig"], {"MaximumConcurrency": {"Ref": "MaximumConcurrency"}})
        self.assertEqual(handed, {"IdentifyVisitorFunction": "IdentifyQueue", "TrackEventFunction": "TrackQueue"})
        for name, (queue, dead) in {
            "identify-visitor": ("IdentifyQueue", "IdentifyDeadLetters"),
            "track-event": ("TrackQueue", "TrackDeadLetters"),
        }.items():
            variables = function(name)["Environment"]["Variables"]
            self.assertEqual((variables["QUEUE_URL"], variables["DEAD_LETTER_QUEUE_URL"]), ({"Ref": queue}, {"Ref": dead}))

    def test_allows_each_function_what_it_does_and_no_more(self):
        every = {"ssm:GetParametersByPath", "kms:Decrypt", "xray:PutTraceSegments", "xray:PutTelemetryRecords",
                 "logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"}
        poll = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"}
        for name, logical in FUNCTIONS.items():
            allowed = statements(name)
            self.assertEqual(allowed.keys(), every if name == "dispatch" else every | poll, name)
            self.assertIn(f"{logical}Logs", allowed["logs:PutLogEvents"])
            self.assertIn("parameter/koala-destination/${Stage}/*", allowed["ssm:GetParametersByPath"])
            own = {"dispatch": ["IdentifyQueue", "TrackQueue", "RejectedQueue"], "identify-visitor": ["IdentifyDeadLetters"],
                   "track-event": ["TrackDeadLetters"]}[name]
            sends_to = [it["Fn::GetAtt"][0] for it in json.loads(allowed["sqs:SendMessage"])]
            self.assertEqual(sends_to, own)

    def test_leads_every_method_below_v1_to_dispatch(self):
        api = next(iter(of_type("AWS::ApiGatewayV2::Api").values()))["Properties"]["Body"]
        self.assertEqual(list(api["paths"]), ["/v1/{proxy+}"])
        self.assertEqual(list(api["paths"]["/v1/{proxy+}"]), ["x-amazon-apigateway-any-method"])
        self.assertIn("DispatchFunction", json.dumps(api["paths"]))

    def test_alarms_on_metrics_that_the_code_writes(self):
        on = set()
        for name, alarm in of_type("AWS::CloudWatch::Alarm").items():
            properties = alarm["Properties"]
            if properties["Namespace"] == {"Fn::Sub": "KoalaDestination/${Stage}"}:
                self.assertEqual(properties["Dimensions"], [{"Name": "Service", "Value": SERVICE}], name)
                on.add(properties["MetricName"])
        # And no metric that costs without an alarm, but for the one that nobody has to get up for.
        self.assertEqual(on | {"GzipReadAsText"}, WRITTEN)
        for name in FUNCTIONS | OF_COLLECTOR:
            namespace = function(name)["Environment"]["Variables"]["METRIC_NAMESPACE"]
            self.assertEqual(namespace, {"Fn::Sub": "KoalaDestination/${Stage}"})

    def test_has_at_most_fifteen_alarms_each_on_one_metric_and_on_no_single_late_value(self):
        alarms = of_type("AWS::CloudWatch::Alarm")
        self.assertLessEqual(len(of_destination("AWS::CloudWatch::Alarm")), 15)
        self.assertLessEqual(len(alarms), 20)
        for name, alarm in alarms.items():
            properties = alarm["Properties"]
            self.assertNotIn("Metrics", properties, name)
            self.assertGreater(properties["EvaluationPeriods"], 1, name)
            minutes = properties["EvaluationPeriods"] * properties["Period"] / 60
            self.assertLessEqual(minutes, 15, name)
            self.assertIn(properties["TreatMissingData"], ("ignore", "notBreaching"), name)

    def test_has_a_dashboard_of_metrics_that_there_are(self):
        body = next(iter(of_type("AWS::CloudWatch::Dashboard").values()))["Properties"]["DashboardBody"]["Fn::Sub"]
        widgets = json.loads(re.sub(r"\$\{[^}]*\}", "x", body))["widgets"]
        own = next(it["properties"]["metrics"] for it in widgets if it["properties"]["title"] == "Faults")
        self.assertEqual({metric[1] for metric in own} | {"GzipReadAsText", "StoreUnavailable"}, WRITTEN)
        alarms = next(it for it in widgets if it["type"] == "alarm")["properties"]["alarms"]
        self.assertEqual(len(alarms), len(of_destination("AWS::CloudWatch::Alarm")))
        query = next(it for it in widgets if it["type"] == "log")["properties"]["query"]
        fields = set(re.findall(r"sum\((\w+)\)", query))
        self.assertLessEqual(fields, FIELDS)
        self.assertGreaterEqual(len(widgets), 9)

    def test_says_of_every_alarm_what_it_means_what_is_lost_and_what_to_do_first_and_so_does_operations(self):
        operations = (ROOT / "docs/operations.md").read_text()
        outputs = TEMPLATE["Outputs"]
        named = {}
        for output, it in outputs.items():
            if "Ref" in it["Value"]:
                named[it["Value"]["Ref"]] = re.sub(r"(?<!^)(?=[A-Z])", "_", output).upper()
        for alarm in of_type("AWS::CloudWatch::Alarm").values():
            name = alarm["Properties"]["AlarmName"]["Fn::Sub"].removeprefix("koala-destination-${Stage}-")
            description = alarm["Properties"]["AlarmDescription"]["Fn::Sub"]
            means, lost, first = re.fullmatch(r"(.+) Lost meanwhile: (.+) First: (.+)", description).groups()
            # CloudWatch takes 1,024 characters; names are longer than where they stand.
            self.assertLess(len(description), 800, name)
            section = re.search(rf"### `{name}`\n(.*?)(?=\n##)", operations, re.S)
            self.assertIsNotNone(section, name)
            words = " ".join(section[1].replace("`", "").split())
            self.assertIn(means, words, name)
            self.assertIn(f"Lost meanwhile: {lost}", words, name)
            command = re.sub(r"\$\{(\w+)\}", lambda it: named[it[1]], first)
            self.assertIn(f"```sh\n{command}\n```", section[1], name)
            # What it looks for is what the code says, or Lambda.
            for term in re.findall(r'"([^"]+)"', (re.search("--filter-pattern '([^']*)'", command) or [""])[0]):
                self.assertTrue(term in OF_LAMBDA_S_LOGS or term in code("shared/src", "collector/src"), f"{name}: {term}")

    def test_holds_to_the_policy_rules(self):
        rules = (ROOT / "infra/rules.guard").read_text()
        report = json.loads(run_checks_rs(template.TRANSFORMED.read_text(), rules, False))
        self.assertEqual((report["status"], report["not_compliant"]), ("PASS", []))
        self.assertEqual(len(report["compliant"]), rules.count("\nrule "))
        # And a queue that is not encrypted would be seen.
        broken = json.loads(template.TRANSFORMED.read_text())
        broken["Resources"]["TrackQueue"]["Properties"]["SqsManagedSseEnabled"] = False
        report = json.loads(run_checks_rs(json.dumps(broken), rules, False))
        self.assertEqual([it["Rule"]["name"] for it in report["not_compliant"]], ["queues_are_encrypted"])

    def test_passes_cfn_lint_before_and_after_the_transform(self):
        # After it: the transform makes two dependencies that CloudFormation needs no word for, and asks twice for a condition.
        for file, ignored in ((template.SOURCE, []), (template.TRANSFORMED, ["--ignore-checks", "W3005", "--ignore-checks", "W1028"])):
            command = [TOOLS / "cfn-lint", "--regions", "eu-west-1", *ignored, "--", file]
            linted = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual((linted.returncode, linted.stdout), (0, ""), linted.stdout + linted.stderr)


if __name__ == "__main__":
    unittest.main()
