#!/usr/bin/env python3
"""Runs the three functions as Lambda would, on this machine.

Parameter Store and SQS are served by moto, the Lambda Runtime API by `cargo lambda watch`; the functions are the real
binaries with the unchanged AWS SDK. Around them stands what AWS does: an HTTP API in front of dispatch, and an event source
mapping for each queue (tests/aws).

Run it with the tools of tests/environment:  target/venv/bin/python tests/functions.py
Then:  cargo lambda invoke dispatch --data-file tests/events/lambda/dispatch-track.json
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import boto3

from aws import event_source_mapping, gateway, services
from aws.runtime import ROOT, Function

REGION = "eu-west-1"
PREFIX = "/koala-destination/local"
SECURE = {"public-api-key", "webhook-secret", "bearer-token", "write-keys"}
CONSUMERS = {"identify": "identify-visitor", "track": "track-event"}


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    processes, functions = [], {}
    try:
        # Both start at the same time.
        moto, moto_port = services.start_moto()
        processes.append(moto)
        runtime_api, invoke = start_runtime_api(options.invoke_port)
        processes.append(runtime_api)
        services.wait_for_port(moto_port, moto)
        services.wait_for_port(int(invoke.rsplit(":", 1)[-1]), runtime_api)

        endpoint = services.start_proxy(moto_port, lambda command: functions[command["kill"]].kill())
        aws = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{moto_port}",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        os.environ.update(aws)
        aws["AWS_ENDPOINT_URL"] = endpoint
        put_parameters(options.parameters)
        queues = create_queues(options)
        variables = dict(setting.split("=", 1) for setting in options.set)
        for name, environment in environments(options.koala_url, queues).items():
            functions[name] = Function(name, invoke, options.profile, aws | environment | variables)
        for action, name in CONSUMERS.items():
            arguments = (queues[action], functions[name], options.batching_window_seconds)
            threading.Thread(target=event_source_mapping.serve, args=arguments, daemon=True).start()
        url = gateway.start(functions["dispatch"])
        ready = {"endpoint": endpoint, "invoke": invoke, "url": url, "prefix": PREFIX, "queues": queues}
        print(json.dumps(ready), flush=True)
        wait(processes, options.until_stdin_closes)
    except KeyboardInterrupt:
        pass
    finally:
        for function in functions.values():
            function.stop()
        for process in processes:
            process.terminate()
            process.wait()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--invoke-port", type=int, default=9000, help="where cargo lambda invoke goes; 0 for a free port")
    parser.add_argument("--koala-url", default="http://127.0.0.1:8787", help="the collector (default: koala up)")
    parser.add_argument("--parameters", type=pathlib.Path, default=ROOT / "local/parameters", help="the parameter tree")
    parser.add_argument("--profile", default="debug", choices=["debug", "release"], help="which build of the functions")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a variable of the functions")
    parser.add_argument("--visibility-timeout-seconds", type=int, default=180, help="of the two queues (default: 180)")
    parser.add_argument("--max-receive-count", type=int, default=300, help="of the two queues (default: 300)")
    parser.add_argument("--batching-window-seconds", type=float, default=1, help="how long a batch gathers (default: 1)")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when standard input does")
    return parser.parse_args()


def put_parameters(folder):
    """Puts the files of a parameter tree into Parameter Store, as the README's `aws ssm put-parameter` lines do."""
    ssm = boto3.client("ssm")
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.name.startswith("."):
            name = file.relative_to(folder).with_suffix("").as_posix()
            kind = "SecureString" if name in SECURE else "String"
            ssm.put_parameter(Name=f"{PREFIX}/{name}", Value=file.read_text().strip(), Type=kind, Overwrite=True)


def create_queues(options):
    """The queues of infra/template.yaml."""
    sqs = boto3.client("sqs")
    queues = {}
    for action in CONSUMERS:
        dead = queues[f"{action}_dead_letters"] = sqs.create_queue(QueueName=f"{action}-dead-letters")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        attributes = {
            "VisibilityTimeout": str(options.visibility_timeout_seconds),
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": str(options.max_receive_count)}),
        }
        queues[action] = sqs.create_queue(QueueName=action, Attributes=attributes)["QueueUrl"]
    queues["rejected"] = sqs.create_queue(QueueName="rejected")["QueueUrl"]
    return queues


def start_runtime_api(port):
    port = port or services.free_port()
    tool = str(services.TOOLS / "cargo-lambda")
    command = [tool, "lambda", "watch", "--only-lambda-apis", "-A", "127.0.0.1", "-P", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return process, f"http://127.0.0.1:{port}"


def environments(koala_url, queues):
    """The variables that infra/template.yaml sets; but a message that failed waits for a second, not for half a minute."""
    every = {"PARAMETER_PREFIX": PREFIX}
    delivery = every | {"KOALA_URL": koala_url, "RETRY_FIRST_DELAY_SECONDS": "1"}
    dispatch = {
        "IDENTIFY_QUEUE_URL": queues["identify"],
        "TRACK_QUEUE_URL": queues["track"],
        "REJECTED_QUEUE_URL": queues["rejected"],
    }
    consumers = {
        name: delivery | {"QUEUE_URL": queues[action], "DEAD_LETTER_QUEUE_URL": queues[f"{action}_dead_letters"]}
        for action, name in CONSUMERS.items()
    }
    return {"dispatch": every | dispatch} | consumers


def wait(processes, until_stdin_closes):
    if until_stdin_closes:
        threading.Thread(target=lambda: (sys.stdin.read(), os.kill(os.getpid(), signal.SIGTERM)), daemon=True).start()
    while True:
        for process in processes:
            if process.poll() is not None:
                sys.exit(f"{process.args[0]} ended with status {process.returncode}")
        time.sleep(0.5)


if __name__ == "__main__":
    main()
