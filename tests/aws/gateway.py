"""An HTTP API of API Gateway in front of `dispatch`: requests as events of payload format 2.0, answers as responses.

It holds the rules that a function depends on: header names in lower case, values of one name joined by commas, a body that
its content type does not tell to be text in base64, at most 10 MB, 500 when the function fails. What it answers by itself it
answers as API Gateway does. https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import http.server
import json
import threading
import time
import urllib.parse
import uuid

from .runtime import InvocationFailed

MOST_BYTES = 10 * 1024 * 1024
TEXT = ("text/", "application/json", "application/xml", "application/javascript")
# What infra/template.yaml routes to dispatch: every method below this path.
ROUTE = "/v1/"


def start(dispatch):
    """Serves on a free port; gives its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # As long as the function may take.
        timeout = 30

        def serve(self):
            length = int(self.headers.get("content-length") or 0)
            if length > MOST_BYTES:
                self.close_connection = True
                return self.say(413, '{"message":"Request Entity Too Large"}')
            body = self.rfile.read(length)
            url = urllib.parse.urlsplit(self.path)
            if not url.path.startswith(ROUTE):
                return self.say(404, '{"message":"Not Found"}')
            try:
                answer = dispatch.invoke(event(self, url, body))
            except InvocationFailed:
                return self.say(500, '{"message":"Internal Server Error"}')
            return self.say(answer["statusCode"], answer.get("body") or "", answer.get("headers", {}))

        def say(self, status, body, headers=None):
            body = body.encode()
            self.send_response(status)
            for name, value in (headers or {"content-type": "application/json"}).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if status != 204 and self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_):
            pass

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = serve

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def event(request, url, body):
    headers = {}
    for name, value in request.headers.items():
        name = name.lower()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    text = headers.get("content-type", "").startswith(TEXT) and "content-encoding" not in headers
    if text:
        try:
            body.decode()
        except UnicodeDecodeError:
            text = False
    return {
        "version": "2.0",
        "routeKey": "ANY /v1/{proxy+}",
        "rawPath": urllib.parse.unquote(url.path),
        "rawQueryString": url.query,
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": "local.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "local",
            "http": {
                "method": request.command,
                "path": url.path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.client_address[0],
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": "ANY /v1/{proxy+}",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
            "timeEpoch": int(time.time() * 1000),
        },
        "body": body.decode() if text else base64.b64encode(body).decode(),
        "isBase64Encoded": not text,
    }
