"""The on-call person's minute: ten faults, and which alarm each of them raises.

The stack runs in one process with the real functions. An event every five minutes is what a fault has to be seen by: it is sent
three times, and what the functions print and AWS measures is put at the minutes of a simulated quarter of an hour.
"""

import collections
import io
import json
import pathlib
import re
import sys
import tempfile
import time
import unittest
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from rehearsal import alarms, stack
from rehearsal.cloud import ROOT, Cloud
from rehearsal.web import Collector, Host
from rehearsal.wire import Wire

STACK = "koala-destination-prod"
KEY, TOKEN = "pk_rehearsed", "a-bearer-token"
LOGICAL = {"dispatch": "Dispatch", "identify-visitor": "IdentifyVisitor", "track-event": "TrackEvent"}
# Minutes at which an event comes.
ROUNDS = (1, 6, 11)
MINUTES = 15
# Functions answer within a second; a machine that builds something else meanwhile takes its time.
LONGEST_ROUND = 120
SUSPENDED = (400, {"error": "Koala ingest suspended"})


class OnCall(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.collector = Collector()
        cls.addClassCleanup(cls.collector.stop)
        cls.cloud = Cloud()
        cls.addClassCleanup(cls.cloud.stop)
        cls.sqs, cls.ssm, cls.lambdas = (cls.cloud.client(it) for it in ("sqs", "ssm", "lambda"))
        cls.put("public-api-key", KEY)
        cls.put("bearer-token", TOKEN)
        samconfig = stack.edited(cls.folder, cls.collector.url)
        cls.template = stack.built(cls.folder)
        cls.cloud.run("sam", "deploy", "--config-env", "prod", "--template", cls.template, "--config-file", samconfig, cwd=ROOT)
        cls.resources, cls.outputs = cls.cloud.resources(STACK), cls.cloud.outputs(STACK)
        cls.host = Host(cls.cloud.url, cls.cloud.make_up(STACK))
        cls.addClassCleanup(cls.host.stop)
        cls.alarms = cls.cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{STACK}-")["MetricAlarms"]
        cls.wires = {}
        for name, logical in LOGICAL.items():
            cls.wires[name] = Wire(cls.cloud.url)
            cls.addClassCleanup(cls.wires[name].stop)
            cls.change_environment(name, AWS_ENDPOINT_URL_SQS=cls.wires[name].url, AWS_ENDPOINT_URL_SSM=cls.wires[name].url)
        cls.read = {}
        cls.events = 0

    @classmethod
    def put(cls, name, value):
        cls.ssm.put_parameter(Name=f"/koala-destination/prod/{name}", Value=value, Type="SecureString", Overwrite=True)

    @classmethod
    def change_environment(cls, name, **variables):
        function = cls.resources[f"{LOGICAL[name]}Function"]
        before = cls.lambdas.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
        cls.lambdas.update_function_configuration(FunctionName=function, Environment={"Variables": before | variables})

    # What happens in a minute.

    def post(self, token=TOKEN, more=None):
        """An event of each kind, as Segment's webhook sends them; gives the answer's status."""
        type(self).events += 1
        kinds = ({"type": "track", "event": "E"}, {"type": "identify", "traits": {"email": "a@example.com"}})
        events = [kind | {"messageId": f"{self._testMethodName}-{self.events}-{at}", "userId": f"u-{self.events}",
                          "timestamp": "2026-11-20T09:00:00.000Z"} for at, kind in enumerate(kinds)]
        events += [events[0] | more] if more else []
        headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
        status, _, _ = self.host.answer("POST", "/v1/segment", headers, json.dumps(events).encode())
        return status

    def log_lines(self, name):
        """What a function has logged since this was asked last."""
        group = self.outputs[f"{LOGICAL[name]}Logs"]
        logs = self.cloud.client("logs")
        read, lines, token, at = self.read.setdefault(name, {}), [], {}, collections.Counter()
        while True:
            page = logs.filter_log_events(logGroupName=group, **token)
            # Each invocation has a stream of its own, and what is new may stand before what is old.
            for event in page["events"]:
                stream = event["logStreamName"]
                at[stream] += 1
                if at[stream] > read.get(stream, 0):
                    read[stream] = at[stream]
                    lines.append(event["message"])
            if not page.get("nextToken"):
                break
            token = {"nextToken": page["nextToken"]}
        return lines

    def depth(self, output):
        try:
            attributes = self.sqs.get_queue_attributes(QueueUrl=self.outputs[output], AttributeNames=["All"])["Attributes"]
        except self.sqs.exceptions.QueueDoesNotExist:
            return None
        return int(attributes["ApproximateNumberOfMessages"])

    def of_lambda(self, name, metric):
        """The sum of one of Lambda's own metrics so far."""
        got = self.cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda", MetricName=metric, Statistics=["Sum"], Period=60, StartTime=0, EndTime=time.time() + 3600,
            Dimensions=[{"Name": "FunctionName", "Value": self.resources[f"{LOGICAL[name]}Function"]}])["Datapoints"]
        # ministack counts a throttled invocation among the errors, which Lambda does not:
        # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
        throttled = self.of_lambda(name, "Throttles") if metric == "Errors" else 0
        return sum(point["Sum"] for point in got) - throttled

    def measured(self, happen, expect):
        """The metrics of a quarter of an hour in which something happens three times. Each time is over when the functions
        that are expected to say something have said it."""
        metrics = alarms.Metrics()
        for name in LOGICAL:
            self.log_lines(name)
        self.said = {name: [] for name in LOGICAL}
        counters = [(name, metric) for name in LOGICAL for metric in ("Errors", "Throttles")]
        before = {counter: self.of_lambda(*counter) for counter in counters}
        rejected = self.depth("RejectedUrl")
        for minute in ROUNDS:
            status = happen()
            api = {"ApiId": self.resources["Api"]}
            if isinstance(status, int):
                metrics.add(minute, "AWS/ApiGateway", "5xx", api, int(status >= 500))
            waits, begun = set(expect), time.monotonic()
            while True:
                for name in LOGICAL:
                    lines = self.log_lines(name)
                    self.said[name] += lines
                    for line in lines:
                        metrics.add_embedded(minute, line)
                    if any('"_aws"' in line for line in lines):
                        waits.discard(name)
                for counter in counters:
                    now = self.of_lambda(*counter)
                    if now > before[counter]:
                        name, metric = counter
                        metrics.add(minute, "AWS/Lambda", metric, {"FunctionName": self.resources[f"{LOGICAL[name]}Function"]},
                                    now - before[counter])
                        before[counter] = now
                        waits.discard(name)
                if not waits or time.monotonic() - begun > LONGEST_ROUND:
                    break
                time.sleep(0.1)
            self.assertFalse(waits, f"say nothing: {waits} {self.cloud.said()}")
            for queue in ("IdentifyDeadLetters", "TrackDeadLetters"):
                dimensions = {"QueueName": self.outputs[f"{queue}Url"].rsplit("/", 1)[-1]}
                metrics.add(minute, "AWS/SQS", "ApproximateNumberOfMessagesVisible", dimensions, self.depth(f"{queue}Url") or 0)
            now = self.depth("RejectedUrl")
            metrics.add(minute, "AWS/SQS", "NumberOfMessagesSent", {"QueueName": self.outputs["RejectedUrl"].rsplit("/", 1)[-1]}, now - rejected)
            rejected = now
        return metrics

    def rings(self, metrics):
        """The alarms that go off within the quarter of an hour."""
        return {alarm["AlarmName"].removeprefix(f"{STACK}-") for alarm in self.alarms
                if "ALARM" in alarms.run(alarm, metrics, MINUTES)}

    def first_command(self, name):
        """What the command in an alarm's description shows."""
        alarm = next(it for it in self.alarms if it["AlarmName"] == f"{STACK}-{name}")
        command = alarm["AlarmDescription"].split(" First: ")[1]
        # ministack knows no `?`, which asks for one of several terms: each is asked for by itself.
        pattern = re.search("--filter-pattern '([^']*)'", command)
        terms = re.findall(r'\?("[^"]*")', pattern[1]) if pattern else []
        commands = [command.replace(pattern[1], term) for term in terms] or [command]
        return "".join(self.cloud.run("bash", "-c", command)[1] for command in commands)

    def expect(self, ringing, cause, happen, expect=("dispatch", "identify-visitor", "track-event"), undo=lambda: None):
        try:
            metrics = self.measured(happen, expect)
            self.assertEqual(self.rings(metrics), set(ringing), json.dumps(self.said)[-3000:])
            for name in ringing:
                self.assertRegex(self.first_command(name), cause, name)
        finally:
            undo()
            self.heal()

    def heal(self):
        """Everything is delivered."""
        self.collector.reply = (200, {"ok": True})
        for queue in ("IdentifyQueueUrl", "TrackQueueUrl"):
            begun = time.monotonic()
            while self.depth(queue) or self.in_flight(queue):
                self.assertLess(time.monotonic() - begun, LONGEST_ROUND, f"{queue} does not drain: {self.cloud.said()}")
                time.sleep(0.2)

    def purge(self, output):
        self.sqs.purge_queue(QueueUrl=self.outputs[output])

    def in_flight(self, output):
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.outputs[output], AttributeNames=["All"])["Attributes"]
        return int(attributes["ApproximateNumberOfMessagesNotVisible"])

    # The faults.

    def test_ten_faults_raise_the_alarm_that_names_each_within_a_quarter_of_an_hour_and_no_other(self):
        with self.subTest("no fault"):
            self.expect([], "", self.post)
        with self.subTest("wrong secret"):
            self.expect(["credentials-refused"], '"code":"unauthorized"', lambda: self.post("another"), ["dispatch"])
        with self.subTest("collector answers 500"):
            self.collector.reply = (500, {"error": "broken"})
            self.expect(["failing"], "500", self.post)
        with self.subTest("collector gone"):
            self.collector.reply = SUSPENDED
            self.expect(["collector-unavailable"], "suspended", self.post)
        with self.subTest("wrong key"):
            self.collector.reply = (401, {"error": "unknown project"})
            self.expect(["key-refused"], "401", self.post)
        with self.subTest("KMS denied"):
            for wire in self.wires.values():
                wire.kms_denied = True
            def allowed():
                for wire in self.wires.values():
                    wire.kms_denied = False

            self.expect(["settings-stale"], "AccessDenied", self.after(self.post), undo=allowed)
        with self.subTest("mapping with a typo"):
            # Functions pause for five seconds after a failed read.
            time.sleep(5.5)
            self.put("mappings/typo", '{"trigger":"type = track","action":"track-event"}')
            self.expect(["settings-stale"], "mappings/typo", self.after(self.post),
                        undo=lambda: self.ssm.delete_parameter(Name="/koala-destination/prod/mappings/typo"))
            time.sleep(5.5)
        with self.subTest("throttle"):
            function = self.resources["TrackEventFunction"]
            self.lambdas.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)

            def throttled():
                # ministack's poller counts nothing when it is throttled; an invocation of one's own is counted.
                with self.assertRaises(self.lambdas.exceptions.TooManyRequestsException):
                    self.lambdas.invoke(FunctionName=function, Payload=b"{}")
                return self.post()

            self.expect(["track-throttles"], "ReservedConcurrentExecutions", throttled, ["dispatch", "track-event"],
                        lambda: self.lambdas.delete_function_concurrency(FunctionName=function))
        with self.subTest("out of memory"):
            self.out_of_memory()
        with self.subTest("poison event"):
            def poison():
                self.sqs.send_message(QueueUrl=self.outputs["TrackQueueUrl"], MessageBody="not a message of dispatch")
                return self.post()

            self.expect(["new-dead-letters", "track-dead-letters"], "message moved to dead letters|not a message from dispatch|cannot be read", poison)
            self.purge("TrackDeadLettersUrl")
        with self.subTest("event without a type"):
            self.expect(["rejected"], "type", lambda: self.post(more={"type": None}))
            self.purge("RejectedUrl")
        with self.subTest("what each function calls is what its role allows, and no more"):
            self.calls_are_what_is_allowed()
        with self.subTest("queue gone"):
            self.sqs.delete_queue(QueueUrl=self.outputs["IdentifyQueueUrl"])
            metrics = self.measured(self.post, ["dispatch"])
            self.assertEqual(self.rings(metrics), {"intake-5xx"}, json.dumps(self.said)[-3000:])
            self.assertIn("NonExistentQueue", self.first_command("intake-5xx"))

    def after(self, happen):
        """When the settings are due again."""
        def later():
            time.sleep(1.2)
            return happen()
        return later

    def out_of_memory(self):
        """track-event in as little memory that it cannot run, as Lambda would end it."""
        function = self.resources["TrackEventFunction"]
        script = "#!/bin/sh\nulimit -v 20000\nexec \"$LAMBDA_TASK_ROOT/function\"\n"

        def packed(files):
            archive = io.BytesIO()
            with zipfile.ZipFile(archive, "w") as writer:
                for name, content in files.items():
                    entry = zipfile.ZipInfo(name)
                    entry.external_attr = 0o755 << 16
                    writer.writestr(entry, content)
            return archive.getvalue()

        whole = stack.bootstrap(self.template, "track-event")
        files = {"bootstrap": script, "function": whole.read_bytes()}
        self.lambdas.update_function_code(FunctionName=function, ZipFile=packed(files))
        # ministack keeps no line of Lambda's own for a function that was killed; it is Lambda's, word for word.
        group = self.outputs["TrackEventLogs"]
        logs = self.cloud.client("logs")
        logs.create_log_stream(logGroupName=group, logStreamName="platform")
        logs.put_log_events(logGroupName=group, logStreamName="platform", logEvents=[{
            "timestamp": int(time.time() * 1000),
            "message": "RequestId: 11111111-2222-3333-4444-555555555555 Error: Runtime exited with error: signal: killed"}])

        def killed():
            # ministack's poller counts no error; an invocation of one's own is counted.
            record = {"messageId": "m", "receiptHandle": "r", "body": "{}", "attributes": {}, "eventSource": "aws:sqs"}
            answer = self.lambdas.invoke(FunctionName=function, Payload=json.dumps({"Records": [record]}))
            self.assertIn("FunctionError", answer)

        def restore():
            self.lambdas.update_function_code(FunctionName=function, ZipFile=packed({"bootstrap": whole.read_bytes()}))

        self.expect(["track-errors"], "signal: killed", killed, ["track-event"], restore)

    def calls_are_what_is_allowed(self):
        self.sqs.send_message(QueueUrl=self.outputs["IdentifyQueueUrl"], MessageBody="not a message of dispatch")
        self.heal()
        self.purge("IdentifyDeadLettersUrl")
        body = self.cloud.client("cloudformation").get_template(StackName=STACK, TemplateStage="Processed")["TemplateBody"]
        template = json.loads(body) if isinstance(body, str) else body
        every = template["Resources"]["EveryFunctionPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        # What Lambda does in the role's name: its poller, logs, traces. https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        of_lambda = re.compile("logs:|xray:|sqs:ReceiveMessage|sqs:DeleteMessage|sqs:GetQueueAttributes")
        urls = {logical: self.resources[logical] for logical in self.resources if "Queue" in logical or "DeadLetters" in logical}
        for name, logical in LOGICAL.items():
            role = template["Resources"][f"{logical}Role"]["Properties"]
            allowed = set()
            for statement in every + [it for policy in role["Policies"] for it in policy["PolicyDocument"]["Statement"]]:
                if "Fn::If" in statement:
                    continue
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                places = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
                for action in actions:
                    if of_lambda.match(action):
                        continue
                    for place in places:
                        if "Fn::GetAtt" in place:
                            allowed.add((action, urls[place["Fn::GetAtt"][0]]))
                        elif not place["Fn::Sub"].endswith("/*"):
                            allowed.add((action, "/koala-destination/prod"))
            # A consumer deletes by itself only what may have crashed it before; Lambda's poller needs the same.
            called = {(action, place) for action, place in self.wires[name].calls if action != "sqs:DeleteMessage"}
            self.assertEqual(called, allowed, name)


if __name__ == "__main__":
    unittest.main()
