"""What stands on both sides of the stack: the host name that the API would have, and a collector that keeps what it is sent."""

import base64
import hmac
import http.client
import http.server
import json
import os
import threading
import time
import urllib.parse


class Server:
    """An HTTP server on a free port of this machine."""

    def __init__(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                status, headers, answer = outer.answer(self.command, self.path, dict(self.headers), body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                if self.command != "HEAD":
                    try:
                        self.wfile.write(answer)
                    except BrokenPipeError:
                        # Whoever asked was stopped meanwhile.
                        self.close_connection = True

            def log_message(self, *_):
                pass

            do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_HEAD = serve

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, method, path, headers, body):
        raise NotImplementedError

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


# What HTTP says for one connection only.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


def forward(url, method, path, headers, body):
    target = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(target.hostname, target.port, timeout=60)
    connection.request(method, path, body, {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP})
    answer = connection.getresponse()
    answered = {name: value for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP}
    content = answer.read()
    connection.close()
    return answer.status, answered, content


class Host(Server):
    """Where the API's host name would lead."""

    def __init__(self, cloud, api):
        self.cloud, self.api = cloud, api
        super().__init__()

    def answer(self, method, path, headers, body):
        return forward(self.cloud, method, f"/_aws/execute-api/{self.api}/$default{path}", headers, body)


class Collector(Server):
    """Takes everything, or answers as it is told."""

    def __init__(self):
        self.requests, self.reply = [], (200, {"ok": True})
        super().__init__()

    def answer(self, method, path, headers, body):
        status, answer = self.reply
        self.requests.append((path, json.loads(body or b"null"), status))
        return status, {"content-type": "application/json"}, json.dumps(answer).encode()

    def taken(self):
        """The ids of the entries that it took."""
        bodies = [body for _, body, status in self.requests if status < 300 and body]
        return [entry["message_id"] for body in bodies for kind in ("identifies", "events") for entry in body.get(kind, [])]

    def until_taken(self, ids, longest=60):
        begun = time.monotonic()
        while not set(ids) <= set(self.taken()):
            if time.monotonic() - begun > longest:
                raise AssertionError(f"did not arrive: {sorted(set(ids) - set(self.taken()))}; {self.requests[-3:]}")
            time.sleep(0.1)


class Webhook(Server):
    """Takes what alerts send, and keeps what is signed as Standard Webhooks asks for (https://www.standardwebhooks.com)."""

    def __init__(self):
        self.key, self.messages, self.unsigned = os.urandom(24), [], []
        super().__init__()

    @property
    def target(self):
        """The parameter that has alerts sent here."""
        return json.dumps({"url": f"{self.url}/hook", "secret": "whsec_" + base64.b64encode(self.key).decode()})

    def answer(self, method, path, headers, body):
        said = {name.lower(): value for name, value in headers.items()}
        signed = f"{said.get('webhook-id')}.{said.get('webhook-timestamp')}.".encode() + body
        signature = "v1," + base64.b64encode(hmac.digest(self.key, signed, "sha256")).decode()
        right = signature in said.get("webhook-signature", "").split()
        (self.messages if right else self.unsigned).append((said.get("webhook-id"), json.loads(body or b"null")))
        return 200, {"content-type": "text/plain"}, b""
