"""The functions' processes, as Lambda keeps them: started again when they end, killed when an invocation is too long."""

import json
import pathlib
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# As in infra/template.yaml.
TIMEOUT_SECONDS = {"dispatch": 5, "identify-visitor": 30, "track-event": 30}


class InvocationFailed(Exception):
    """The function ended, answered with an error, or took longer than its timeout."""


class Function:
    """One function: a process that asks the Runtime API for invocations, and the way to invoke it."""

    def __init__(self, name, runtime_api, profile, environment):
        self.name = name
        self.url = f"{runtime_api}/2015-03-31/functions/{name}/invocations"
        self.binary = ROOT / "target" / profile / name
        if not self.binary.exists():
            sys.exit(f"{self.binary.relative_to(ROOT)} is not built: run cargo build --workspace --bins")
        self.environment = environment | {
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_RUNTIME_API": f"{runtime_api}/.rt/{name}",
        }
        self.stopping = False
        self.start()
        threading.Thread(target=self.keep_running, daemon=True).start()

    def start(self):
        self.process = subprocess.Popen([str(self.binary)], env=self.environment, stdout=sys.stderr)

    def keep_running(self):
        """Lambda starts a new environment in place of one that ended."""
        while not self.stopping:
            self.process.wait()
            if not self.stopping:
                time.sleep(0.2)
                self.start()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)

    def stop(self):
        self.stopping = True
        self.process.terminate()
        self.process.wait()

    def invoke(self, event):
        """Gives the function's answer; raises InvocationFailed as soon as there can be none."""
        process, result = self.process, {}

        def ask():
            try:
                request = urllib.request.Request(self.url, json.dumps(event).encode())
                with urllib.request.urlopen(request, timeout=60) as answer:
                    result["answer"] = json.load(answer)
            except (OSError, ValueError, urllib.error.URLError) as error:
                result["error"] = error

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        begun = time.monotonic()
        while asking.is_alive():
            asking.join(0.05)
            if process.poll() is not None and asking.is_alive():
                raise InvocationFailed(f"{self.name} ended with status {process.returncode}")
            if time.monotonic() - begun > TIMEOUT_SECONDS[self.name] + 1:
                self.kill()
                raise InvocationFailed(f"{self.name} timed out")
        if "answer" not in result:
            raise InvocationFailed(f"{self.name}: {result.get('error')}")
        return result["answer"]
