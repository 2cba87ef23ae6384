"""An upgrade from the release before, while events come in.

The release before is this one with the template's `Schema` of the release before and, until `caretaker` has run, its tables: what the
newest migration adds is taken away. Its functions are those of this release: they need the newest tables, so that they refuse until
the tables are made anew, where older ones would go on. That is harder than what happens on AWS, and all that is answered then waits in the
queues.

The next release has other code: each package has one file more, so that every function is updated in place.
"""

import json
import re
import shutil
import threading
import time

from samcli.yamlhelper import yaml_parse

from rehearsal.cloud import ROOT

MIGRATIONS = ROOT / "collector/src/store/postgres/migrations"
# What takes away what a statement of a migration adds: they only add.
UNDONE = {
    r"ALTER TABLE (\w+) ADD COLUMN IF NOT EXISTS (\w+) ": r"ALTER TABLE \1 DROP COLUMN \2",
    r"CREATE TABLE IF NOT EXISTS (\w+) ": r"DROP TABLE \1",
    r"CREATE (?:UNIQUE )?INDEX ASYNC IF NOT EXISTS (\w+) ": r"DROP INDEX IF EXISTS \1",
}
HANDLERS = ("IdentifyVisitorFunction", "TrackEventFunction")
OF_DATABASE = ("CollectFunction", "PageFunction", "SignalsFunction")
# The shortest that Lambda takes: as long as the functions may run.
VISIBILITY_TIMEOUT = 30
# A minute of refusals is no half day: what is retried comes again soon.
LONGEST_DELAY = "3"


def schema_of(template):
    return int(yaml_parse(template.read_text())["Resources"]["Schema"]["Properties"]["Schema"])


def release_before(template, folder):
    """The template of the release before."""
    body, before = whole(template), schema_of(template) - 1
    body["Resources"]["Schema"]["Properties"]["Schema"] = before
    return written(body, folder / "before.json")


def next_release(template, folder, collect):
    """The template of this release, with other code than the one before. What ministack does otherwise than AWS, and `Cloud.make_up` makes
    up for after a deploy, stands in it, so that nothing stops while it is deployed."""
    body = whole(template)
    resources = body["Resources"]
    for logical, resource in resources.items():
        properties = resource["Properties"] if "Properties" in resource else {}
        if resource["Type"] == "AWS::Serverless::Function":
            package = folder / "next" / logical
            shutil.copytree(properties["CodeUri"], package)
            (package / "release").write_text("the next one\n")
            properties["CodeUri"] = str(package)
            for event in properties.get("Events", {}).values():
                if event["Type"] == "SQS":
                    event["Properties"]["ScalingConfig"]["MaximumConcurrency"] = 2
    for logical in HANDLERS:
        resources[logical]["Properties"]["Environment"]["Variables"]["RETRY_LONGEST_DELAY_SECONDS"] = LONGEST_DELAY
        # It waits for the collector's API, as in the template.
        url = {"Fn::Select": [0, [collect, {"Ref": "CollectApi"}]]}
        resources[logical]["Properties"]["Environment"]["Variables"]["KOALA_URL"] = url
    resources["SignalsFunction"]["Properties"]["Environment"]["Variables"]["ALERTS_ALLOW_PRIVATE"] = "true"
    for logical in ("IdentifyQueue", "TrackQueue"):
        resources[logical]["Properties"]["VisibilityTimeout"] = VISIBILITY_TIMEOUT
    return written(body, folder / "next.json")


def whole(template):
    """A template whose packages are found from everywhere."""
    body = yaml_parse(template.read_text())
    for resource in body["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = str((template.parent / resource["Properties"]["CodeUri"]).resolve())
            resource.pop("Metadata", None)
    return body


def written(body, target):
    target.write_text(json.dumps(body, indent=1))
    return target


def set_back(database, newest):
    """Takes away what the newest migration added."""
    for statement in [*undone(newest), f"DELETE FROM migration WHERE version >= {newest}"]:
        database.run(database.url, statement)


def undone(number):
    """What takes a migration back, the last of it first."""
    text = re.sub("--.*", "", (MIGRATIONS / f"{number}.sql").read_text())
    statements = [" ".join(it.split()) for it in text.split(";") if it.strip()]
    back = []
    for statement in reversed(statements):
        found = [re.match(added, statement).expand(taken) for added, taken in UNDONE.items() if re.match(added, statement)]
        assert found, f"nothing in UNDONE takes this back: {statement}"
        back += found
    return back


class Sender:
    """Somebody whose events come in all the time, and are sent again until they are answered with 200, as Segment does."""

    # The last of them comes when `everybody` does.
    PEOPLE = ("ann", "ben", "cyd", "dee", "eve")

    def __init__(self, post):
        self.post, self.people, self.stopped, self.answered, self.refused = post, self.PEOPLE[:-1], False, {}, {}
        self.numbers = iter(range(10**6))
        self.threads = [threading.Thread(target=self.send, daemon=True) for _ in range(2)]
        for thread in self.threads:
            thread.start()

    def send(self):
        while not self.stopped:
            event = self.event(next(self.numbers))
            while (status := self.post(event)) != 200:
                self.refused[status] = self.refused.get(status, 0) + 1
                time.sleep(0.2)
            self.answered[event["messageId"]] = event
            time.sleep(0.3)

    def everybody(self):
        self.people = self.PEOPLE

    def event(self, n):
        people = self.people
        who = people[n % len(people)]
        now = time.time()
        timestamp = time.strftime(f"%Y-%m-%dT%H:%M:%S.{int(now * 1000) % 1000:03}Z", time.gmtime(now))
        event = {"messageId": f"upgrade-{n:05}", "userId": f"up-{who}", "timestamp": timestamp}
        kinds = (
            {"type": "page", "properties": {"path": "/pricing", "url": "https://shop.example/pricing", "title": "Pricing"}},
            {"type": "identify", "traits": {"email": f"{who}@northwind.example"}},
            {"type": "track", "event": "Feature Used", "properties": {"n": n}},
            {"type": "group", "groupId": "northwind.example", "traits": {"name": "Northwind", "seats": n}},
        )
        return event | kinds[n // len(people) % len(kinds)]

    def stop(self):
        """Gives what was answered, when all was."""
        self.stopped = True
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), f"not answered: {self.refused}"
        return list(self.answered.values())


class Watch:
    """Which functions have the next code, which tables there are, and how many messages wait, again and again."""

    def __init__(self, functions, database, waiting):
        """`functions` gives the checksum of each function's code by its name."""
        self.functions, self.database, self.waiting, self.stopped, self.seen, self.waited = functions, database, waiting, False, [], 0
        self.before = functions()
        self.thread = threading.Thread(target=self.look, daemon=True)
        self.thread.start()

    def look(self):
        while not self.stopped:
            # The functions first: one that was new before its tables is seen beside the old ones.
            new = {name for name, code in self.functions().items() if code != self.before[name]}
            version = self.database.count("SELECT max(version) FROM migration")
            if not self.seen or self.seen[-1] != (new, version):
                self.seen.append((new, version))
            self.waited = max(self.waited, self.waiting())
            time.sleep(0.05)

    def stop(self):
        """Gives each state that was seen, in order: the functions that are new, and the version of the tables. ministack answers nobody
        while it changes a function, so that several may be new at once."""
        self.stopped = True
        self.thread.join(30)
        return self.seen


def order(cloudformation, stack):
    """When the last update of each resource of a stack began and when it ended, as places among the events."""
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack)
    # The newest come first.
    events = [event for page in pages for event in page["StackEvents"]][::-1]
    begun, ended = {}, {}
    for at, event in enumerate(events):
        name, status = event["LogicalResourceId"], event["ResourceStatus"]
        if status == "UPDATE_IN_PROGRESS":
            begun[name] = at
        if status == "UPDATE_COMPLETE":
            ended[name] = at
    return begun, ended
