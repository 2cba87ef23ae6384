"""A stack with the collector of its own, on a real PostgreSQL: deployed, looked at, upgraded while events come in, removed; the data
stays."""

import http.client
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from rehearsal import stack, upgrade
from rehearsal.cloud import REGION, ROOT, Cloud
from rehearsal.postgres import Database
from rehearsal.web import Host, Webhook

STACK = "koala-destination-dev"
KEY = "pk_rehearsed"
SECRET = "s3cret-of-the-rehearsal"


def until(look, longest=60):
    begun = time.monotonic()
    while not (found := look()):
        if time.monotonic() - begun > longest:
            raise AssertionError(f"not within {longest} s")
        time.sleep(0.3)
    return found


def request(url, method, path, body=None, headers=None):
    target = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(target.hostname, target.port, timeout=60)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    content = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


class TheOwnCollector(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.database = Database()
        cls.addClassCleanup(cls.database.drop)
        cls.cloud = Cloud()
        cls.addClassCleanup(cls.cloud.stop)
        folder = pathlib.Path(cls.folder.name)
        cls.built = stack.built(folder)
        cls.template = upgrade.release_before(cls.built, folder)
        cls.webhook = Webhook()
        cls.addClassCleanup(cls.webhook.stop)
        cls.samconfig = stack.with_own_collector(folder)

    def sam_deploy(self, *more, template=None, check=True):
        arguments = ["--template", template or self.template, "--config-file", self.samconfig, *more]
        return self.cloud.run("sam", "deploy", *arguments, check=check, cwd=ROOT)

    def put(self, name, value):
        self.cloud.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)

    def hosts(self):
        """Where the host names of the APIs would lead; the functions are told of the collector's, which resolves nowhere here."""
        self.cloud.make_up(STACK)
        resources = self.cloud.resources(STACK)
        hosts = {api: Host(self.cloud.url, resources[api]) for api in ("Api", "CollectApi", "PageApi")}
        for host in hosts.values():
            self.addCleanup(host.stop)
        lambdas = self.cloud.client("lambda")
        for logical in ("IdentifyVisitorFunction", "TrackEventFunction"):
            variables = lambdas.get_function_configuration(FunctionName=resources[logical])["Environment"]["Variables"]
            self.assertIn(resources["CollectApi"], variables["KOALA_URL"])
            self.assertEqual(variables["COLLECTOR_KIND"], "own")
            lambdas.update_function_configuration(
                FunctionName=resources[logical], Environment={"Variables": variables | {
                    "KOALA_URL": hosts["CollectApi"].url, "RETRY_LONGEST_DELAY_SECONDS": upgrade.LONGEST_DELAY}})
        # The webhook is one of this machine.
        signals = resources["SignalsFunction"]
        variables = lambdas.get_function_configuration(FunctionName=signals)["Environment"]["Variables"]
        lambdas.update_function_configuration(
            FunctionName=signals, Environment={"Variables": variables | {"ALERTS_ALLOW_PRIVATE": "true"}})
        return hosts["Api"].url, hosts["CollectApi"].url, hosts["PageApi"].url

    def api(self, path, method="GET", body=None):
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        status, _, content = request(self.page, method, path, json.dumps(body) if body else None, headers)
        self.assertEqual(status, 200, content)
        return json.loads(content)

    def send(self, *events):
        status, _, content = request(self.intake, "POST", "/v1/segment", json.dumps(list(events)),
                                     {"authorization": f"Bearer {SECRET}", "content-type": "application/json"})
        self.assertEqual(status, 200, content)
        self.assertEqual(json.loads(content)["accepted"], len(events), content)

    def test_it_is_deployed_shows_the_one_visitor_deletes_and_leaves_the_data_when_it_goes(self):
        ssm = self.cloud.client("ssm")
        self.put("/koala-destination/dev/public-api-key", KEY)
        self.put("/koala-destination/dev/bearer-token", SECRET)
        # Nobody has said where the database is: the deploy fails and says so.
        status, said = self.sam_deploy(check=False)
        self.assertNotEqual(status, 0)
        self.assertIn("database-url", said)
        self.cloud.client("cloudformation").delete_stack(StackName=STACK)
        until(lambda: not [it for it in self.cloud.client("cloudformation").list_stacks()["StackSummaries"]
                           if it["StackName"] == STACK and it["StackStatus"] != "DELETE_COMPLETE"])

        self.put("/koala-collector/dev/database-url", self.database.url)
        self.put("/koala-collector/dev/alert-targets/sales", self.webhook.target)
        self.put("/koala-collector/dev/alerts/pricing", json.dumps({"on": "pricing", "to": "sales"}))
        self.sam_deploy()
        outputs = self.cloud.outputs(STACK)
        # What nobody has to think of is made.
        for name in ("/koala-destination/dev/collector-token", "/koala-collector/dev/session-key"):
            self.assertRegex(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"], "^[0-9a-f]{64}$")
        self.intake, self.collect, self.page = self.hosts()

        # Closed until there is a token; the output says how to make one.
        self.assertIn(request(self.page, "GET", "/")[0], (303, 401, 403))
        self.assertIn(request(self.page, "GET", "/api/visitors")[0], (401, 403))
        made = self.cloud.run("bash", "-euo", "pipefail", "-c", outputs["PageToken"])[1].split()
        self.token = made[-1]
        self.assertRegex(self.token, "^[0-9a-f]{64}$")
        until(lambda: request(self.page, "GET", "/api/visitors", headers={"authorization": f"Bearer {self.token}"})[0] == 200)
        self.assertEqual(self.api("/api/visitors")["total"], 0)

        # The collector is for the stack's own functions.
        batch = json.dumps({"email": "eve@example.com", "events": []})
        status, _, said = request(self.collect, "POST", f"/web/projects/{KEY}/batch", batch, {"user-agent": "curl"})
        self.assertEqual((status, json.loads(said)["code"]), (401, "not_admitted"))

        # Docs and pricing anonymously, a sign-up, another device, and what a server reports.
        page = lambda n, path: {"type": "page", "messageId": f"page-{n}", "anonymousId": "browser-1", "timestamp": now(),
                                "properties": {"path": path, "url": f"https://shop.example{path}", "title": path}}
        self.send(page(1, "/docs"), page(2, "/pricing"))
        self.send({"type": "identify", "messageId": "identify-1", "anonymousId": "browser-1", "userId": "u-1", "timestamp": now(),
                   "traits": {"email": "ada@acme.example", "company": {"name": "Acme"}}})
        self.send({"type": "identify", "messageId": "identify-2", "anonymousId": "phone-1", "userId": "u-1", "timestamp": now(), "traits": {}},
                  {"type": "page", "messageId": "page-3", "anonymousId": "phone-1", "timestamp": now(),
                   "properties": {"path": "/pricing", "url": "https://shop.example/pricing"}})
        self.send({"type": "track", "messageId": "track-1", "userId": "u-1", "event": "Order Completed", "timestamp": now(),
                   "properties": {"total": 42}})

        def whole():
            visitors = self.api("/api/visitors")
            if visitors["total"] != 1:
                return None
            visitor = self.api(f"/api/visitors/{visitors['visitors'][0]['id']}")
            return visitor if len(visitor["timeline"]) == 6 else None

        visitor = until(whole)
        self.assertEqual((visitor["user_ids"], visitor["emails"]), (["u-1"], ["ada@acme.example"]))
        self.assertEqual(set(visitor["anonymous_ids"]), {"browser-1", "phone-1"})
        companies = self.api("/api/companies")["companies"]
        self.assertEqual([company["domain"] for company in companies], ["acme.example"])
        until(lambda: self.api("/api/companies")["companies"][0]["intent"] > 5, 150)
        # Who asked for it is told.
        until(lambda: self.webhook.messages)
        # The same events again change nothing.
        self.send(page(1, "/docs"), page(2, "/pricing"))
        time.sleep(3)
        self.assertIsNotNone(whole())

        self.assertEqual({(message["type"], message["data"]["rule"]) for _, message in self.webhook.messages}, {("visitor.signal", "pricing")})
        self.assertEqual(self.webhook.unsigned, [])

        # The database, tried by hand as the deploy has tried it.
        for where in (["--online", "--stack", STACK], ["--prefix", "/koala-destination/dev"]):
            said = self.cloud.run(ROOT / "target/debug/koala", "check", *where, "--database", check=False, cwd=ROOT)[1]
            self.assertEqual((said.count("  ✓ "), said.count("✗")), (11, 0), said)

        # The page itself, for a browser.
        status, headers, content = request(self.page, "GET", "/visitors", headers={"authorization": f"Bearer {self.token}"})
        self.assertEqual((status, headers["content-type"].split(";")[0]), (200, "text/html"))
        self.assertIn("ada@acme.example", content)
        self.assertEqual(self.api("/api/install")["install"]["webhook"], {"url": outputs["WebhookUrl"]})
        self.assertEqual(self.api("/api/queues")["dead"], 0)

        # A deletion completes: caretaker does it, each minute.
        asked = self.api("/api/v1/deletion-requests", "POST", {"emails": ["ada@acme.example"]})["deletion_request_id"]
        self.assertEqual(self.api("/api/visitors")["total"], 0)
        until(lambda: self.api(f"/api/v1/deletion-requests/{asked}")["status"] == "completed", 150)

        # Nothing changes when nothing has changed.
        self.assertIn("No changes to deploy", self.sam_deploy()[1])

        # The database is away for a while: 503, nothing is lost, and it comes back.
        self.send({"type": "track", "messageId": "before", "userId": "u-2", "event": "Before", "timestamp": now(), "properties": {}})
        until(lambda: self.api("/api/visitors")["total"] == 1)
        self.database.refuse(True)
        until(lambda: request(self.page, "GET", "/api/visitors", headers={"authorization": f"Bearer {self.token}"})[0] == 503)
        self.send({"type": "track", "messageId": "meanwhile", "userId": "u-3", "event": "Meanwhile", "timestamp": now(), "properties": {}})
        time.sleep(2)
        self.database.refuse(False)
        until(lambda: request(self.page, "GET", "/api/visitors", headers={"authorization": f"Bearer {self.token}"})[0] == 200)
        until(lambda: self.api("/api/visitors")["total"] == 2, 120)

        self.upgrade()

        # The stack goes, the data stays.
        visitors = self.database.count("SELECT count(*) FROM visitor")
        self.cloud.run("sam", "delete", "--stack-name", STACK, "--no-prompts", "--region", REGION, cwd=ROOT)
        self.assertEqual(self.database.count("SELECT count(*) FROM visitor"), visitors)
        self.assertEqual(visitors, 2 + len(upgrade.Sender.PEOPLE))

    def upgrade(self):
        """The next release, while events come in."""
        lambdas, sqs = self.cloud.client("lambda"), self.cloud.client("sqs")
        resources = self.cloud.resources(STACK)
        functions = {logical: name for logical, name in resources.items() if logical.endswith("Function")}
        newest = upgrade.schema_of(self.built)
        template = upgrade.next_release(self.built, pathlib.Path(self.folder.name), self.collect)
        # ministack ends the invocations of a function whose code changes, which Lambda does not; what they had in hand comes again.
        for queue in ("IdentifyQueue", "TrackQueue"):
            sqs.set_queue_attributes(QueueUrl=resources[queue], Attributes={"VisibilityTimeout": str(upgrade.VISIBILITY_TIMEOUT)})

        def codes():
            listed = {it["FunctionName"]: it["CodeSha256"] for it in lambdas.list_functions()["Functions"]}
            return {logical: listed[name] for logical, name in functions.items()}

        def waiting():
            attributes = [sqs.get_queue_attributes(QueueUrl=resources[it], AttributeNames=["All"])["Attributes"]
                          for it in ("IdentifyQueue", "TrackQueue")]
            names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")
            return sum(int(it[name]) for it in attributes for name in names)

        def post(event):
            try:
                return request(self.intake, "POST", "/v1/segment", json.dumps(event),
                               {"authorization": f"Bearer {SECRET}", "content-type": "application/json"})[0]
            except (OSError, http.client.HTTPException) as error:
                return type(error).__name__

        day, alerts = time.gmtime().tm_yday, len(self.webhook.messages)
        sender = upgrade.Sender(post)
        self.addCleanup(sender.stop)
        until(lambda: self.api("/api/visitors?q=northwind.example")["total"] == len(sender.people))
        upgrade.set_back(self.database, newest)
        sender.everybody()
        watch = upgrade.Watch(codes, self.database, waiting)
        self.sam_deploy(template=template)
        time.sleep(3)
        seen, sent = watch.stop(), sender.stop()

        # caretaker first, then the tables, then who uses them, then the handlers, then dispatch; and none is new beside old tables.
        begun, ended = upgrade.order(self.cloud.client("cloudformation"), STACK)
        self.assertLess(ended["CaretakerFunction"], begun["Schema"])
        for function in upgrade.OF_DATABASE:
            self.assertLess(ended["Schema"], begun[function], function)
        for function in upgrade.HANDLERS:
            self.assertLess(ended["CollectFunction"], begun[function], function)
            self.assertLess(ended[function], begun["DispatchFunction"], function)
        self.assertEqual((seen[0], seen[-1]), ((set(), newest - 1), (set(functions), newest)), seen)
        for new, version in seen:
            self.assertTrue(version == newest or new <= {"CaretakerFunction"}, seen)
        self.assertGreater(watch.waited, 0)

        # All that was answered is there, once.
        expected = {}
        for event in sent:
            expected.setdefault(event["userId"], []).append(event["messageId"])
        self.assertEqual(len(expected), len(sender.PEOPLE))

        def shown():
            there = {}
            for visitor in self.api("/api/visitors?q=northwind.example")["visitors"]:
                timeline = self.api(f"/api/visitors/{visitor['id']}?limit=1000")["timeline"]
                there[visitor["user_ids"][0]] = sorted(entry["message_id"] for entry in timeline)
            return there

        expected = {who: sorted(ids) for who, ids in expected.items()}
        try:
            until(lambda: shown() == expected, 90)
        except AssertionError:
            self.assertEqual(shown(), expected)
        seats = max(event["traits"]["seats"] for event in sent if event["type"] == "group")
        until(lambda: self.database.run(self.database.url, "SELECT value FROM company_trait WHERE name = 'seats' AND said_by > 0") == str(seats))
        self.assertEqual(self.api("/api/queues")["dead"], 0)
        # And who asked for it was told of each of them once, by whichever release.
        until(lambda: len(self.webhook.messages) >= alerts + len(sender.PEOPLE))
        told = {webhook_id: message["data"]["visitor"] for webhook_id, message in self.webhook.messages[alerts:]}
        if time.gmtime().tm_yday == day:
            self.assertEqual(len(told), len(sender.PEOPLE), told)
        self.assertEqual(len(set(told.values())), len(sender.PEOPLE), told)


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())


if __name__ == "__main__":
    unittest.main()
