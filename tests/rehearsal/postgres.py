"""A database of a real PostgreSQL, which tests/postgres starts."""

import fcntl
import os
import subprocess
import urllib.parse

from rehearsal.cloud import ROOT


class Database:
    """An empty one."""

    def __init__(self):
        folder = ROOT / "target/postgres"
        folder.mkdir(parents=True, exist_ok=True)
        # Held as long as the server is used: that is how it knows.
        self.user = open(folder / "users", "a")
        fcntl.flock(self.user, fcntl.LOCK_SH)
        server = subprocess.run([ROOT / "tests/postgres"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        self.name = f"rehearsal_{os.getpid()}"
        self.server = server
        self.url = urllib.parse.urlsplit(server)._replace(path=f"/{self.name}").geturl()
        self.run(server, f"CREATE DATABASE {self.name}")

    def run(self, url, statement):
        done = subprocess.run([program("psql"), "-qtAX", "-v", "ON_ERROR_STOP=1", url, "-c", statement], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        assert done.returncode == 0, f"{statement}: {done.stdout}"
        return done.stdout.strip()

    def count(self, query):
        return int(self.run(self.url, query))

    def refuse(self, everybody):
        """Has the server refuse connections to this database, and cuts those that there are; or lets them in again."""
        self.run(self.server, f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS {'false' if everybody else 'true'}")
        if everybody:
            self.run(self.server, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.name}'")

    def drop(self):
        self.run(self.server, f"DROP DATABASE {self.name} WITH (FORCE)")
        self.user.close()


def program(name):
    """A program of the server's."""
    found = subprocess.run([ROOT / "tests/postgres", "find"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()[0]
    return os.path.join(os.path.dirname(found), name)
