"""The README's deploy section, word for word: deployed, used by Segment's own clients, deployed again, removed."""

import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from rehearsal import readme, stack
from rehearsal.cloud import REGION, ROOT, Cloud
from rehearsal.web import Collector, Host

STACK = "koala-destination-dev"
KEY = "pk_rehearsed"
WRITE_KEY = "wk_rehearsed"


def until(look, longest=60):
    begun = time.monotonic()
    while not (found := look()):
        if time.monotonic() - begun > longest:
            raise AssertionError(f"not within {longest} s")
        time.sleep(0.2)
    return found


class TheDeploy(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        folder = pathlib.Path(cls.folder.name)
        cls.collector = Collector()
        cls.addClassCleanup(cls.collector.stop)
        cls.cloud = Cloud()
        cls.addClassCleanup(cls.cloud.stop)
        cls.template = stack.built(folder)
        cls.samconfig = stack.edited(folder, cls.collector.url)
        cls.commands = readme.commands("README.md", "## Deploy")

    def shell(self, command, check=True):
        """A command of the docs, as it stands there but for what a person puts in."""
        return self.cloud.run("bash", "-euo", "pipefail", "-c", command, check=check, cwd=ROOT)[1]

    def sam_deploy(self, *more, check=True, samconfig=None):
        arguments = ["--template", self.template, "--config-file", samconfig or self.samconfig, *more]
        return self.cloud.run("sam", "deploy", *arguments, check=check, cwd=ROOT)

    def one(self, begins):
        found = [command for command in self.commands if command.startswith(begins)]
        self.assertTrue(found, f"{begins} is not in the README: {self.commands}")
        return found

    def client_script(self, script, *arguments):
        modules = ROOT / "target/clients/node_modules"
        environment = os.environ | {"NODE_PATH": str(modules), "NODE_OPTIONS": "--no-warnings"}
        done = subprocess.run(["node", ROOT / "tests/clients" / script, *arguments], env=environment, timeout=120,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_it_is_deployed_used_deployed_again_and_removed_as_the_docs_say(self):
        # What is refused: samconfig.toml as it stands says no collector, and a list without the stage is no list.
        unedited = pathlib.Path(self.folder.name) / "unedited.toml"
        unedited.write_text((ROOT / "samconfig.toml").read_text())
        status, said = self.sam_deploy(check=False, samconfig=unedited)
        self.assertNotEqual(status, 0)
        self.assertIn("needs the URL of your collector", said)
        status, said = self.sam_deploy("--parameter-overrides", f"KoalaUrl={self.collector.url}", check=False)
        self.assertNotEqual(status, 0)
        self.assertIn("Stage", said)
        nobody = pathlib.Path(self.folder.name) / "nobody.toml"
        nobody.write_text(stack.edited(pathlib.Path(self.folder.name), self.collector.url, "prod.toml").read_text()
                          .replace('"AlarmEmail=on-call@example.com",', ""))
        status, said = self.sam_deploy("--config-env", "prod", check=False, samconfig=nobody)
        self.assertNotEqual(status, 0)
        self.assertIn("needs an alarm recipient", said)

        # The key and the secret.
        self.assertEqual(self.one("export AWS_DEFAULT_REGION"), [f"export AWS_DEFAULT_REGION={REGION}"])
        for command in self.one("aws ssm put-parameter"):
            self.shell(command.replace("YOUR_PUBLIC_API_KEY", KEY))
        self.shell(f"aws ssm put-parameter --type SecureString --name /koala-destination/dev/write-keys --value {WRITE_KEY}")
        self.assertEqual(self.one("sam "), ["sam build", "sam deploy", "sam logs --stack-name koala-destination-dev --tail"])
        self.sam_deploy()
        outputs = self.cloud.outputs(STACK)
        self.assertIn("No recipient", outputs["Alarms"])
        self.assertTrue(outputs["WebhookUrl"].endswith(f".execute-api.{REGION}.amazonaws.com/v1/segment"), outputs)
        secret = self.shell(self.one("aws ssm get-parameter")[0]).strip()
        self.assertRegex(secret, "^[0-9a-f]{64}$")
        self.assertIn(outputs["WebhookUrl"], self.shell(self.one("aws cloudformation describe-stacks")[0]))

        # Events, by Segment's own clients, to where the API's host name would lead.
        api = self.cloud.make_up(STACK)
        self.assertTrue(outputs["WebhookUrl"].startswith(f"https://{api}."))
        host = Host(self.cloud.url, api)
        self.addCleanup(host.stop)
        self.client_script("node.cjs", host.url, WRITE_KEY)
        self.client_script("webhook.cjs", host.url, secret)
        arrived = ["node-identify", *(f"node-track-{n}" for n in range(10)), "webhook-identify", "webhook-track-single",
                   *(f"webhook-track-{n}" for n in range(10))]
        self.collector.until_taken(arrived)
        self.assertEqual({path for path, _, _ in self.collector.requests}, {f"/web/projects/{KEY}/batch"})

        # A poison message among others: they arrive, it becomes a dead letter with its reason.
        sqs = self.cloud.client("sqs")
        message = json.dumps({"v": 1, "mapping": "track-event", "received_at": "2026-11-20T09:00:01.000Z", "event": {
            "type": "track", "event": "E", "userId": "u", "messageId": "ID", "timestamp": "2026-11-20T09:00:00.000Z"}})
        poison = message.replace('"event": "E"', '"event": {"deep": ' + "[" * 60 + "]" * 60 + "}")
        bodies = [message.replace("ID", "beside-1"), poison, "not a message of dispatch", message.replace("ID", "beside-2")]
        sqs.send_message_batch(QueueUrl=outputs["TrackQueueUrl"], Entries=[
            {"Id": str(at), "MessageBody": body} for at, body in enumerate(bodies)])
        self.collector.until_taken(["beside-1", "beside-2"])

        def letters():
            got = sqs.receive_message(QueueUrl=outputs["TrackDeadLettersUrl"], MaxNumberOfMessages=10, VisibilityTimeout=0,
                                      MessageAttributeNames=["All"]).get("Messages", [])
            return got if len(got) == 2 else None

        reasons = sorted(letter["MessageAttributes"]["reason"]["StringValue"] for letter in until(letters))
        self.assertIn("Event Name (`event`) must be a string", reasons[0])

        self.look(outputs)

        # Nothing changes when nothing has changed, and dev's list has no word about prod's.
        _, said = self.sam_deploy()
        self.assertIn("No changes to deploy", said)
        queues = {name: url for name, url in outputs.items() if name.endswith("Url") and "Queue" in name}
        _, said = self.sam_deploy(samconfig=stack.edited(pathlib.Path(self.folder.name), self.collector.url, "more.toml", MemorySize=512))
        self.assertEqual(self.cloud.outputs(STACK) | queues, self.cloud.outputs(STACK))
        self.stop_and_go(outputs, lambda: self.client_script("webhook.cjs", host.url, secret))

        # Removed: the stack, its queues, all of its parameters.
        remove = readme.commands("docs/operations.md", "## Remove")
        urls = [url for url in outputs.values() if "/000000000000/" in url or "sqs" in url]
        _, said = self.cloud.run("sam", "delete", "--stack-name", STACK, "--no-prompts", "--region", REGION, cwd=ROOT)
        self.assertTrue(any(command.startswith(f"sam delete --stack-name {STACK}") for command in remove))
        left = sqs.list_queues().get("QueueUrls", [])
        self.assertEqual(len(left), 5, "queues outlive their stack")
        for url in left:
            self.shell(next(it for it in remove if it.startswith("aws sqs delete-queue")).replace("QUEUE_URL", url))
        self.assertGreaterEqual(len(urls), 5)
        self.shell(next(it for it in remove if it.startswith("aws ssm get-parameters-by-path")))
        parameters = self.cloud.client("ssm").get_parameters_by_path(Path="/koala-destination", Recursive=True)["Parameters"]
        self.assertEqual(parameters, [])

    def stop_and_go(self, outputs, send):
        """Delivery stopped and begun again by an override on the command line, which changes nothing else."""
        lambdas, sqs = self.cloud.client("lambda"), self.cloud.client("sqs")
        queues = [outputs["IdentifyQueueUrl"], outputs["TrackQueueUrl"]]

        def parameters():
            described = self.cloud.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
            return {it["ParameterKey"]: it["ParameterValue"] for it in described["Parameters"]}

        def enabled():
            states = [mapping["State"] for mapping in lambdas.list_event_source_mappings()["EventSourceMappings"]]
            return {state in ("Enabled", "Enabling") for state in states}

        def waiting():
            counts = [sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"] for url in queues]
            return [int(count["ApproximateNumberOfMessages"]) + int(count["ApproximateNumberOfMessagesNotVisible"]) for count in counts]

        def kinds():
            entries = [body for _, body, _ in self.collector.requests[taken:] if body]
            return {kind for entry in entries for kind in ("identifies", "events") if entry.get(kind)}

        status, said = self.sam_deploy("--parameter-overrides", "DeliveryReservedConcurrency=0", check=False)
        self.assertNotEqual(status, 0)
        self.assertIn("Deliver=false stops delivery", said)
        before = parameters()
        self.sam_deploy("--parameter-overrides", "Deliver=false")
        self.assertEqual(parameters(), before | {"Deliver": "false"})
        self.assertEqual(enabled(), {False})
        self.assertEqual(self.cloud.outputs(STACK) | outputs, self.cloud.outputs(STACK))
        # Else the poller fails, and would deliver nothing if it were asked to.
        self.cloud.make_up_mappings()
        taken = len(self.collector.requests)
        send()
        until(lambda: all(count > 0 for count in waiting()))
        time.sleep(3)
        self.assertEqual(len(self.collector.requests), taken, "delivered while delivery is stopped")
        self.sam_deploy("--parameter-overrides", "Deliver=true")
        self.assertEqual(parameters(), before)
        self.assertEqual(enabled(), {True})
        self.cloud.make_up_mappings()
        until(lambda: not any(waiting()) and kinds() == {"identifies", "events"})

    def look(self, outputs):
        """What `koala check --online --stack` says of the stack, as the README has it, and the commands that it says."""
        self.assertEqual(self.one("cargo koala check"), [f"cargo koala check --online --stack {STACK}"])

        def check():
            return self.cloud.run(ROOT / "target/debug/koala", "check", "--online", "--stack", STACK, check=False, cwd=ROOT)[1]

        self.shell("aws ssm put-parameter --type String --name /koala-destination/dev/mappings/typo --value '{\"trigger\":\"type = track\"}'")
        said = check()
        self.assertIn("mappings/typo", said)
        self.assertIn("aws ssm put-parameter --overwrite --name /koala-destination/dev/mappings/typo --type String", said)
        self.assertIn("alarms: no subscribers", said)
        self.assertIn("TrackDeadLetters: 2 dead letters", said)
        self.assertNotIn("clock", said)
        commands = [line.strip() for line in said.splitlines() if line.startswith("    aws ")]
        subscribe = next(it for it in commands if it.startswith("aws sns subscribe"))
        self.shell(subscribe.replace("YOUR_ADDRESS", "on-call@example.com"))
        self.shell("aws ssm delete-parameter --name /koala-destination/dev/mappings/typo")
        # The CLI takes the command; ministack has no such action.
        said = self.shell(next(it for it in commands if it.startswith("aws sqs start-message-move-task")), check=False)
        self.assertRegex(said, "TaskHandle|InvalidAction")
        self.cloud.client("sqs").purge_queue(QueueUrl=outputs["TrackDeadLettersUrl"])
        said = check()
        self.assertNotIn("no subscribers", said)
        self.assertNotIn("typo", said)
        for mapping in self.cloud.client("lambda").list_event_source_mappings()["EventSourceMappings"]:
            self.cloud.client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        self.assertIn("Write Deliver=true into samconfig.toml", check())
        for mapping in self.cloud.client("lambda").list_event_source_mappings()["EventSourceMappings"]:
            self.cloud.client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


if __name__ == "__main__":
    unittest.main()
