#!/usr/bin/env python3
"""Runs the three functions as Lambda would, on this machine.

Parameter Store and SQS are served by moto, the Lambda Runtime API by `cargo lambda watch`; the functions are the real
binaries with the unchanged AWS SDK. A bridge polls the queues and invokes the consumers as Lambda's event source mapping
does: a batch at a time, messages that a function names as failed stay in the queue, all others are deleted.

Run it with the tools of tests/environment:  target/venv/bin/python tests/functions.py
Then:  cargo lambda invoke dispatch --data-file tests/events/lambda/dispatch-track.json
"""

import argparse
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import boto3

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOLS = pathlib.Path(sys.executable).parent
REGION = "eu-west-1"
PREFIX = "/koala-destination/local"
# As in infra/template.yaml, but for the delays: a test does not wait for half a minute.
QUEUE_ATTRIBUTES = {"VisibilityTimeout": "180"}
BATCH_SIZE = 10
SECURE = {"public-api-key", "webhook-secret", "bearer-token", "write-keys"}


def main():
    options = parse_arguments()
    running = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        endpoint = start_moto(running)
        aws = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        os.environ.update(aws)
        put_parameters(options.parameters)
        queues = create_queues()
        invoke = start_runtime_api(running, options.invoke_port)
        start_functions(running, options, aws, queues, invoke)
        for action in ("identify", "track"):
            function = {"identify": "identify-visitor", "track": "track-event"}[action]
            threading.Thread(target=bridge, args=(queues[action], function, invoke), daemon=True).start()
        print(json.dumps({"endpoint": endpoint, "invoke": invoke, "prefix": PREFIX, "queues": queues}), flush=True)
        wait(running, options.until_stdin_closes)
    except KeyboardInterrupt:
        pass
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            process.wait()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--invoke-port", type=int, default=9000, help="where cargo lambda invoke goes; 0 for a free port")
    parser.add_argument("--koala-url", default="http://127.0.0.1:8787", help="the collector (default: koala up)")
    parser.add_argument("--parameters", type=pathlib.Path, default=ROOT / "local/parameters", help="the parameter tree")
    parser.add_argument("--profile", default="debug", choices=["debug", "release"], help="which build of the functions")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when standard input does")
    return parser.parse_args()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process, longest=60):
    begun = time.monotonic()
    while time.monotonic() - begun < longest:
        if process.poll() is not None:
            sys.exit(f"{process.args[0]} ended with status {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit(f"{process.args[0]} does not listen on port {port} after {longest} s")


def start_moto(running):
    port = free_port()
    command = [str(TOOLS / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    moto = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    running.append(moto)
    wait_for_port(port, moto)
    return f"http://127.0.0.1:{port}"


def put_parameters(folder):
    """Puts the files of a parameter tree into Parameter Store, as the README's `aws ssm put-parameter` lines do."""
    ssm = boto3.client("ssm")
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.name.startswith("."):
            name = file.relative_to(folder).with_suffix("").as_posix()
            kind = "SecureString" if name in SECURE else "String"
            ssm.put_parameter(Name=f"{PREFIX}/{name}", Value=file.read_text().strip(), Type=kind, Overwrite=True)


def create_queues():
    sqs = boto3.client("sqs")
    queues = {}
    for action in ("identify", "track"):
        dead = queues[f"{action}_dead_letters"] = sqs.create_queue(QueueName=f"{action}-dead-letters")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "60"})
        attributes = QUEUE_ATTRIBUTES | {"RedrivePolicy": redrive}
        queues[action] = sqs.create_queue(QueueName=action, Attributes=attributes)["QueueUrl"]
    queues["rejected"] = sqs.create_queue(QueueName="rejected")["QueueUrl"]
    return queues


def start_runtime_api(running, port):
    port = port or free_port()
    command = [str(TOOLS / "cargo-lambda"), "lambda", "watch", "--only-lambda-apis", "-A", "127.0.0.1", "-P", str(port)]
    api = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    running.append(api)
    wait_for_port(port, api)
    return f"http://127.0.0.1:{port}"


def start_functions(running, options, aws, queues, invoke):
    delivery = {"KOALA_URL": options.koala_url, "RETRY_FIRST_DELAY_SECONDS": "1"}
    environments = {
        "dispatch": {
            "IDENTIFY_QUEUE_URL": queues["identify"],
            "TRACK_QUEUE_URL": queues["track"],
            "REJECTED_QUEUE_URL": queues["rejected"],
        },
        "identify-visitor": delivery
        | {"QUEUE_URL": queues["identify"], "DEAD_LETTER_QUEUE_URL": queues["identify_dead_letters"]},
        "track-event": delivery
        | {"QUEUE_URL": queues["track"], "DEAD_LETTER_QUEUE_URL": queues["track_dead_letters"]},
    }
    for function, environment in environments.items():
        binary = ROOT / "target" / options.profile / function
        if not binary.exists():
            sys.exit(f"{binary.relative_to(ROOT)} is not built: run cargo build --workspace --bins")
        lambda_sets = {
            "AWS_LAMBDA_FUNCTION_NAME": function,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_RUNTIME_API": f"{invoke}/.rt/{function}",
            "PARAMETER_PREFIX": PREFIX,
        }
        environment = aws | lambda_sets | environment
        running.append(subprocess.Popen([str(binary)], env=environment, stdout=sys.stderr))


def bridge(queue, function, invoke):
    """Lambda's event source mapping for one queue."""
    sqs = boto3.client("sqs")
    while True:
        try:
            received = sqs.receive_message(
                QueueUrl=queue, MaxNumberOfMessages=BATCH_SIZE, WaitTimeSeconds=1, AttributeNames=["All"]
            ).get("Messages", [])
            if not received:
                continue
            answer = invoke_function(invoke, function, {"Records": [record(message, queue) for message in received]})
            failed = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
            for message in received:
                if message["MessageId"] not in failed:
                    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        except Exception as error:  # a fault here is a batch that failed: its messages reappear
            print(f"the bridge of {function}: {error}", file=sys.stderr)
            time.sleep(1)


def record(message, queue):
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "md5OfBody": message["MD5OfBody"],
        "attributes": message["Attributes"],
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:{queue.rsplit('/', 1)[-1]}",
        "awsRegion": REGION,
    }


def invoke_function(invoke, function, event):
    url = f"{invoke}/2015-03-31/functions/{function}/invocations"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(event).encode()), timeout=60) as answer:
        return json.load(answer)


def wait(running, until_stdin_closes):
    if until_stdin_closes:
        threading.Thread(target=lambda: (sys.stdin.read(), os.kill(os.getpid(), signal.SIGTERM)), daemon=True).start()
    while True:
        for process in running:
            if process.poll() is not None:
                sys.exit(f"{process.args[0]} ended with status {process.returncode}")
        time.sleep(0.5)


if __name__ == "__main__":
    main()
