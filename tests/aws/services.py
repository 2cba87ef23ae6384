"""Parameter Store and SQS: moto, behind a proxy that can be told to misbehave and that knows what moto does not.

`POST /faults` to the proxy with JSON, each left out for none:
  {"parameter_store": "down"}           every call of Parameter Store is answered with 500
  {"refuse_messages": ["m-3", "m-7"]}   an entry of a SendMessageBatch whose body has one of these is among the failed
"""

import http.client
import http.server
import json
import pathlib
import socket
import subprocess
import sys
import threading
import time

import boto3

TOOLS = pathlib.Path(sys.executable).parent
# What HTTP says is for one connection only.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_moto():
    """Starts moto on a free port; gives its process and the port."""
    port = free_port()
    command = [str(TOOLS / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return process, port


def wait_for_port(port, process, longest=60):
    begun = time.monotonic()
    while time.monotonic() - begun < longest:
        if process.poll() is not None:
            sys.exit(f"{process.args[0]} ended with status {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"{process.args[0]} does not listen on port {port} after {longest} s")


def start_proxy(port, on_command):
    """Serves moto's services with faults on a free port; gives its URL. `on_command` gets what is posted to `/functions`."""
    faults = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.path == "/faults":
                faults.clear()
                faults.update(json.loads(body))
                return self.say(200, b"{}")
            if self.path == "/functions":
                on_command(json.loads(body))
                return self.say(200, b"{}")
            target = self.headers.get("x-amz-target", "")
            if target.startswith("AmazonSSM.") and faults.get("parameter_store") == "down":
                return self.say(500, b'{"__type":"InternalServerError"}')
            if target == "AmazonSQS.StartMessageMoveTask":
                return self.say(*start_message_move_task(f"http://127.0.0.1:{port}", json.loads(body)))
            if target == "AmazonSQS.SendMessageBatch" and faults.get("refuse_messages"):
                return self.send_some(json.loads(body), faults["refuse_messages"])
            return self.say(*self.forward(body))

        def send_some(self, batch, refused):
            def is_refused(entry):
                return any(text in entry["MessageBody"] for text in refused)

            failed = [
                {"Id": entry["Id"], "SenderFault": False, "Code": "InternalError", "Message": "as it was told"}
                for entry in batch["Entries"]
                if is_refused(entry)
            ]
            batch["Entries"] = [entry for entry in batch["Entries"] if not is_refused(entry)]
            status, answer, headers = 200, b'{"Successful":[]}', {}
            if batch["Entries"]:
                status, answer, headers = self.forward(json.dumps(batch).encode())
            return self.say(status, json.dumps(json.loads(answer) | {"Failed": failed}).encode(), headers)

        def forward(self, body):
            moto = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            moto.request("POST", self.path, body, headers)
            answer = moto.getresponse()
            answered = {name: value for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP}
            return answer.status, answer.read(), answered

        def say(self, status, body, headers=None):
            self.send_response(status)
            for name, value in (headers or {"content-type": "application/x-amz-json-1.0"}).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def start_message_move_task(endpoint, request):
    """Dead letters back to a queue. SQS moves only from a queue that is another's dead-letter queue
    (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html)."""
    sqs = boto3.client("sqs", endpoint_url=endpoint)

    def url(arn):
        return sqs.get_queue_url(QueueName=arn.rsplit(":", 1)[-1])["QueueUrl"]

    source = url(request["SourceArn"])
    if not sqs.list_dead_letter_source_queues(QueueUrl=source).get("queueUrls"):
        message = "Source queue must be configured as a Dead Letter Queue."
        return 400, json.dumps({"__type": "com.amazonaws.sqs#InvalidParameterValueException", "message": message}).encode()
    destination = url(request["DestinationArn"])
    while messages := sqs.receive_message(QueueUrl=source, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            sqs.send_message(QueueUrl=destination, MessageBody=message["Body"])
            sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
    return 200, b'{"TaskHandle":"moved"}'
