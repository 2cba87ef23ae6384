#!/usr/bin/env python3
"""Writes two weeks of visits as Segment's webhook sends them: tests/events/two-weeks/visits.jsonl, and who they are of.

People come as they come in the world: anonymous first, with an address in the identify alone, back on another device, two on one
browser, named by a server, with events that arrive late, and most of them never known. tests/vectors/two-weeks.json says who
everybody is: not by any rule, but because this script made them up. The same each time; `koala send --now` moves the newest to now.

    tests/two_weeks.py            writes both files
    tests/two_weeks.py --check    says whether they are what it would write
"""
import argparse
import json
import random
import sys
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
LAST_DAY = datetime(2026, 11, 20, tzinfo=timezone.utc)
SITE = "https://www.difference.example"
PAGES = {
    "/": "Difference Engines",
    "/pricing": "Pricing",
    "/demo": "Book a demo",
    "/customers": "Customers",
    "/blog/analytical-engines": "How analytical engines work",
    "/docs/getting-started": "Getting started",
    "/docs/mappings": "Mappings",
    "/docs/triggers": "Triggers",
    "/docs/deploy": "Deploy to your account",
    "/docs/security": "Security",
    "/signup": "Sign up",
    "/app": "Your workspace",
}
LAPTOP = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/154.0.0.0 Safari/537.36"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1"
OFFICE = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
CRAWLER = "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Googlebot/2.1; +http://www.google.com/bot.html) Chrome/154.0.0.0 Safari/537.36"
NODE = {"library": {"name": "@segment/analytics-node", "version": "3.1.0"}}
SEARCH = ("https://www.google.com/", {})
NEWSLETTER = ("", {"source": "newsletter", "medium": "email", "name": "november"})
ADVERTISEMENT = ("https://www.linkedin.com/", {"source": "linkedin", "medium": "cpc", "name": "engines-q4"})
DIRECT = ("", {})


class Story:
    """All events so far, and whose they are."""

    def __init__(self):
        self.random = random.Random(1843)
        self.events = []
        self.people = []

    def id(self):
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def person(self, company=None, **known):
        one = {"name": known.get("name"), "company": company, "user_ids": [], "emails": [], "anonymous_ids": [], "message_ids": []}
        self.people.append(one)
        return one


class Browser:
    """analytics.js on one device: it keeps an anonymousId, and the userId from an identify until a reset."""

    def __init__(self, story, agent=LAPTOP, source=DIRECT):
        self.story, self.agent, self.source = story, agent, source
        self.anonymous_id, self.user_id, self.last_page = story.id(), None, None

    def send(self, owner, at, late=timedelta(0), path=None, **event):
        story, (referrer, campaign) = self.story, self.source
        path = path or self.last_page or "/"
        first, self.last_page, self.source = self.last_page is None, path, DIRECT
        shown = {"path": path, "referrer": referrer if first else f"{SITE}/", "search": "", "title": PAGES[path], "url": SITE + path}
        if campaign:
            shown["search"] = "?utm_source={source}&utm_medium={medium}&utm_campaign={name}".format(**campaign)
            shown["url"] += shown["search"]
        if event["type"] == "page":
            event["properties"] = shown
        context = {
            "ip": f"203.0.113.{story.random.randrange(1, 250)}",
            "library": {"name": "analytics.js", "version": "npm:next-1.84.3"},
            "locale": "en-GB",
            "page": shown,
            "userAgent": self.agent,
        }
        if campaign:
            context["campaign"] = campaign
        write(story, owner, at, late, {"anonymousId": self.anonymous_id, "userId": self.user_id, "channel": "client", "context": context, **event})
        if self.anonymous_id not in owner["anonymous_ids"] and not getattr(self, "shared", False):
            owner["anonymous_ids"].append(self.anonymous_id)

    def page(self, owner, at, path, **more):
        self.send(owner, at, path=path, type="page", **more)

    def track(self, owner, at, event, **more):
        self.send(owner, at, type="track", event=event, properties=more.pop("properties", {}), **more)

    def identify(self, owner, at, user_id, traits, **more):
        self.user_id = user_id
        note(owner["user_ids"], user_id)
        note(owner["emails"], traits.get("email"))
        self.send(owner, at, type="identify", traits=traits, **more)

    def group(self, owner, at, group_id, traits):
        self.send(owner, at, type="group", groupId=group_id, traits=traits)

    def log_out(self):
        """`analytics.reset()` where the team calls it; on a shared browser nobody did."""
        self.user_id = None


def note(of, value):
    if value and value not in of:
        of.append(value)


def server(story, owner, at, user_id, event, properties):
    """What a team's own server reports: it knows the userId, and nothing of browsers."""
    note(owner["user_ids"], user_id)
    write(story, owner, at, timedelta(0), {"anonymousId": None, "userId": user_id, "channel": "server", "context": NODE, "type": "track", "event": event, "properties": properties})


def write(story, owner, at, late, event):
    moment = lambda time: time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    prefix = "ajs-next" if event["channel"] == "client" else "node-next"
    event["messageId"] = f"{prefix}-{int(at.timestamp() * 1000)}-{story.id()}"
    event["timestamp"] = event["originalTimestamp"] = moment(at)
    event["sentAt"] = event["receivedAt"] = moment(at + late + timedelta(milliseconds=story.random.randrange(40, 900)))
    story.events.append((at + late, {"integrations": {}, "version": 2, **event}))
    owner["message_ids"].append(event["messageId"])


def days_ago(days, hour, minute=0):
    return LAST_DAY - timedelta(days=days) + timedelta(hours=hour, minutes=minute, seconds=17)


def reads(story, browser, owner, at, *paths):
    """A visit: one page after the other, a minute or three apart."""
    for path in paths:
        browser.page(owner, at, path)
        at += timedelta(seconds=story.random.randrange(45, 200))
    return at


DOCS = ("/docs/getting-started", "/docs/mappings", "/docs/triggers", "/docs/deploy", "/docs/security")


def ada(story):
    """The one of the README: two devices, anonymous for a week, then known, and a purchase that a server reports."""
    her = story.person("analytical.example", name="Ada Lovelace")
    laptop = Browser(story, LAPTOP, SEARCH)
    reads(story, laptop, her, days_ago(12, 9, 4), "/", "/docs/getting-started", "/docs/mappings")
    reads(story, laptop, her, days_ago(9, 14, 20), "/docs/deploy", "/docs/security", "/pricing")
    phone = Browser(story, PHONE, NEWSLETTER)
    reads(story, phone, her, days_ago(6, 19, 41), "/blog/analytical-engines", "/pricing")
    at = reads(story, laptop, her, days_ago(4, 10, 2), "/pricing", "/docs/deploy", "/signup")
    laptop.identify(her, at, "u-ada", {"email": "ada@analytical.example", "name": "Ada Lovelace", "title": "CTO"})
    laptop.group(her, at + timedelta(seconds=1), "acct-analytical", {"name": "Analytical Engines", "domain": "analytical.example", "employees": 180, "industry": "Computing", "plan": "trial"})
    laptop.track(her, at + timedelta(seconds=2), "Signed Up", properties={"plan": "trial"})
    reads(story, laptop, her, at + timedelta(minutes=3), "/app", "/docs/mappings", "/docs/triggers")
    phone.last_page = None
    phone.identify(her, days_ago(2, 20, 11), "u-ada", {"email": "ada@analytical.example"}, path="/app")
    reads(story, phone, her, days_ago(2, 20, 13), "/docs/security", "/pricing")
    reads(story, laptop, her, days_ago(0, 9, 12), "/pricing", "/docs/deploy", "/app")
    server(story, her, days_ago(0, 9, 31), "u-ada", "Subscription Started", {"plan": "team", "seats": 12, "revenue": 4800, "currency": "USD"})


def colleagues_of_ada(story):
    charles = story.person("analytical.example", name="Charles Babbage")
    office = Browser(story, OFFICE, DIRECT)
    at = reads(story, office, charles, days_ago(3, 15), "/pricing", "/customers", "/demo")
    office.identify(charles, at, None, {"email": "charles@analytical.example", "name": "Charles Babbage", "title": "Founder"})
    office.track(charles, at + timedelta(seconds=4), "Demo Requested", properties={"when": "next week"})
    luigi = story.person("analytical.example", name="Luigi Menabrea")
    laptop = Browser(story)
    reads(story, laptop, luigi, days_ago(5, 11), *DOCS[:3])
    laptop.identify(luigi, days_ago(3, 16, 30), "u-luigi", {"email": "luigi@analytical.example", "name": "Luigi Menabrea", "title": "Engineer"}, path="/app")
    laptop.group(luigi, days_ago(3, 16, 31), "acct-analytical", {"name": "Analytical Engines"})
    reads(story, laptop, luigi, days_ago(1, 9, 40), *DOCS)


def apollo(story):
    """Looked at prices again and again, and asked for a demo; nobody bought yet."""
    margaret = story.person("apollo.example", name="Margaret Hamilton")
    laptop = Browser(story, LAPTOP, ADVERTISEMENT)
    for day, hour in ((11, 8), (8, 13), (5, 9), (3, 17), (1, 10)):
        reads(story, laptop, margaret, days_ago(day, hour), *story.random.sample(DOCS, 2), "/pricing")
    at = reads(story, laptop, margaret, days_ago(1, 16), "/customers", "/demo")
    laptop.identify(margaret, at, "u-margaret", {"email": "margaret@apollo.example", "name": "Margaret Hamilton", "title": "Director of Software", "company": {"name": "Apollo Guidance", "domain": "apollo.example"}})
    laptop.track(margaret, at + timedelta(seconds=3), "Demo Requested", properties={"when": "this week"})
    hal = story.person("apollo.example", name="Hal Laning")
    office = Browser(story, OFFICE, SEARCH)
    reads(story, office, hal, days_ago(4, 10), *DOCS[:2], "/pricing")
    office.identify(hal, days_ago(1, 11), "u-hal", {"email": "hal@apollo.example", "name": "Hal Laning", "title": "Engineer"}, path="/app")
    reads(story, office, hal, days_ago(1, 11, 5), "/docs/triggers", "/docs/deploy")


def shared_browser(story):
    """Two engineers of one lab on one computer; nobody resets analytics.js when one goes and the other comes."""
    joan, tommy = story.person("bletchley.example", name="Joan Clarke"), story.person("bletchley.example", name="Tommy Flowers")
    lab = Browser(story, OFFICE, SEARCH)
    lab.shared = True
    joan["anonymous_ids"].append(lab.anonymous_id)
    at = reads(story, lab, joan, days_ago(10, 9), *DOCS[:2])
    lab.identify(joan, at, "u-joan", {"email": "joan@bletchley.example", "name": "Joan Clarke", "title": "Engineer"})
    reads(story, lab, joan, days_ago(7, 9), "/docs/triggers", "/app")
    lab.identify(tommy, days_ago(6, 14), "u-tommy", {"email": "tommy@bletchley.example", "name": "Tommy Flowers", "title": "Engineer"}, path="/app")
    reads(story, lab, tommy, days_ago(6, 14, 3), "/docs/deploy", "/pricing")
    lab.log_out()
    # Logged out, the browser is the first one's again.
    reads(story, lab, joan, days_ago(2, 12), "/docs/security")


def orbital(story):
    """Three of one company; one of them read on a train, and her events came the day after."""
    company = {"name": "Orbital Mechanics", "domain": "orbital.example"}
    dorothy = story.person("orbital.example", name="Dorothy Vaughan")
    tablet = Browser(story, LAPTOP, SEARCH)
    for minute, path in enumerate(("/docs/getting-started", "/docs/mappings", "/docs/deploy")):
        tablet.page(dorothy, days_ago(8, 17, minute * 2), path, late=timedelta(hours=15))
    tablet.identify(dorothy, days_ago(7, 9), "u-dorothy", {"email": "dorothy@orbital.example", "name": "Dorothy Vaughan", "title": "Lead", "company": company}, path="/app")
    for user, name, title, day in (("u-mary", "Mary Jackson", "Engineer", 6), ("u-katherine", "Katherine Johnson", "Analyst", 5)):
        one = story.person("orbital.example", name=name)
        browser = Browser(story, OFFICE)
        reads(story, browser, one, days_ago(day + 3, 10), *story.random.sample(DOCS, 2))
        browser.identify(one, days_ago(day, 10), user, {"email": f"{user[2:]}@orbital.example", "name": name, "title": title}, path="/signup")
        reads(story, browser, one, days_ago(day, 10, 2), *story.random.sample(DOCS, 3))
        reads(story, browser, one, days_ago(day - 3, 13), *story.random.sample(DOCS, 2))


def from_free_mail(story):
    """An address of free mail says nothing of the company; the group call does."""
    mary_lee = story.person("enquire.example", name="Mary Lee Woods")
    laptop = Browser(story, LAPTOP, NEWSLETTER)
    reads(story, laptop, mary_lee, days_ago(4, 21), "/blog/analytical-engines", "/docs/getting-started", "/pricing")
    laptop.identify(mary_lee, days_ago(3, 21), "u-mary-lee", {"email": "marylee.woods@gmail.com", "name": "Mary Lee Woods", "title": "Architect"}, path="/signup")
    laptop.group(mary_lee, days_ago(3, 21, 1), "acct-enquire", {"name": "Enquire Within", "domain": "https://www.enquire.example"})
    reads(story, laptop, mary_lee, days_ago(3, 21, 2), "/app", "/docs/mappings")


def once(story):
    """A customer's server and a form: a purchase before any page view, and a reader of the blog."""
    grace = story.person("compilers.example", name="Grace Hopper")
    server(story, grace, days_ago(13, 8), "u-grace", "Invoice Paid", {"plan": "team", "revenue": 900, "currency": "USD"})
    note(grace["emails"], "grace@compilers.example")
    write(story, grace, days_ago(13, 8, 1), timedelta(0), {"anonymousId": None, "userId": "u-grace", "channel": "server", "context": NODE, "type": "identify", "traits": {"email": "grace@compilers.example", "name": "Grace Hopper", "title": "VP Engineering", "company": {"name": "Compilers & Co", "domain": "compilers.example"}}})
    laptop = Browser(story)
    laptop.identify(grace, days_ago(9, 10), "u-grace", {}, path="/app")
    reads(story, laptop, grace, days_ago(9, 10, 1), "/docs/triggers", "/docs/mappings", "/docs/deploy")
    edsger = story.person("typesetting.example", name="Edsger Dijkstra")
    reader = Browser(story, OFFICE, SEARCH)
    at = reads(story, reader, edsger, days_ago(13, 7), "/blog/analytical-engines")
    reader.identify(edsger, at, None, {"email": "edsger@typesetting.example", "name": "Edsger Dijkstra"})


def never_known(story):
    """Most visitors are never known; one of them is a crawler, which is no visitor at all."""
    for day, source in ((12, SEARCH), (10, SEARCH), (9, ADVERTISEMENT), (6, NEWSLETTER), (5, SEARCH), (3, ADVERTISEMENT), (1, SEARCH)):
        somebody = story.person()
        browser = Browser(story, story.random.choice((LAPTOP, PHONE, OFFICE)), source)
        paths = story.random.sample(("/", "/blog/analytical-engines", "/pricing", *DOCS), story.random.randrange(1, 4))
        reads(story, browser, somebody, days_ago(day, story.random.randrange(7, 22), story.random.randrange(60)), *paths)
    nobody = {"anonymous_ids": [], "message_ids": []}
    crawler = Browser(story, CRAWLER)
    reads(story, crawler, nobody, days_ago(7, 3), "/", "/pricing", "/docs/getting-started")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--check", action="store_true", help="write nothing; exit 1 where the files are others")
    check = arguments.parse_args().check
    story = Story()
    for part in (ada, colleagues_of_ada, apollo, shared_browser, orbital, from_free_mail, once, never_known):
        part(story)
    # In the order in which Segment received them.
    events = [event for _, event in sorted(story.events, key=lambda one: (one[0], one[1]["messageId"]))]
    files = {
        HERE / "events/two-weeks/visits.jsonl": "".join(json.dumps(event) + "\n" for event in events),
        HERE / "vectors/two-weeks.json": json.dumps(story.people, indent=1) + "\n",
    }
    others = [file for file, text in files.items() if not file.exists() or file.read_text() != text]
    for file in others:
        if not check:
            file.write_text(files[file])
        print(f"{file.relative_to(HERE.parent)}: {'is another' if check else 'written'}")
    print(f"{len(events)} events of {len(story.people)} visitors")
    return 1 if check and others else 0


if __name__ == "__main__":
    sys.exit(main())
