"""AWS in one process: ministack, on a free port of this machine, with what it lacks made up for outside of the product."""

import json
import os
import pathlib
import socket
import subprocess
import tempfile
import time
import urllib.request

import boto3

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TOOLS = ROOT / "target/venv/bin"
MINISTACK = ROOT / "target/ministack/bin/python"
REGION = "eu-west-1"
LONGEST_START = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cloud:
    """A running one. `endpoint_for_functions` is where the functions look for AWS, if not at ministack itself."""

    def __init__(self, port=None, endpoint_for_functions=None):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = tempfile.TemporaryDirectory()
        self.log = open(pathlib.Path(self.folder.name) / "ministack.log", "w+")
        # Version 1 of the CLI, which PyPI has, asks an old host name of SQS's where no option says where AWS is.
        aws = pathlib.Path(self.folder.name) / "bin/aws"
        aws.parent.mkdir()
        aws.write_text(f'#!/bin/sh\nexec {TOOLS}/aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"\n')
        aws.chmod(0o755)
        environment = without_aws() | {
            # One directory for all that it writes, which ends with it.
            "TMPDIR": self.folder.name,
            "HOME": self.folder.name,
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_REGION": REGION,
            "AWS_ENDPOINT_URL": endpoint_for_functions or self.url,
            "LAMBDA_EXECUTOR": "local",
            # A message that failed waits for a second, not for half a minute; settings are read again at once.
            "RETRY_FIRST_DELAY_SECONDS": "1",
            "SETTINGS_TTL_SECONDS": "1",
        }
        command = [MINISTACK, "-m", "hypercorn", "ministack.app:app", "--bind", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(command, env=environment, cwd=self.folder.name, stdout=self.log, stderr=self.log)
        begun = time.monotonic()
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=5).read()
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() - begun > LONGEST_START:
                    raise AssertionError(f"ministack does not answer: {self.said()}") from None
                time.sleep(0.1)

    def said(self):
        self.log.flush()
        return pathlib.Path(self.log.name).read_text()[-8000:]

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.folder.cleanup()

    def environment(self):
        """What a person's shell has after `aws configure`, and where this AWS is."""
        return without_aws() | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "SAM_CLI_TELEMETRY": "0",
            "AWS_PAGER": "",
            "PATH": f"{self.folder.name}/bin:{TOOLS}:{os.environ['PATH']}",
        }

    def client(self, service):
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, aws_access_key_id="test",
                            aws_secret_access_key="test")

    def run(self, *command, check=True, **options):
        """Runs a command as that person would; gives its status and what it said."""
        done = subprocess.run(command, env=self.environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, timeout=600, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"{command} ended with {done.returncode}: {done.stdout}\n{self.said()}")
        return done.returncode, done.stdout

    def outputs(self, stack):
        described = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}

    def resources(self, stack):
        listed = self.client("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
        return {it["LogicalResourceId"]: it["PhysicalResourceId"] for it in listed}

    def make_up(self, stack):
        """Makes up for what ministack does otherwise than AWS; gives the id of the API that events are sent to."""
        self.make_up_mappings()
        return self.make_routes(stack)["Api"]

    def make_up_mappings(self):
        """A number that is a parameter stays text, and then its poller fails."""
        lambdas = self.client("lambda")
        for mapping in lambdas.list_event_source_mappings()["EventSourceMappings"]:
            concurrency = int(mapping["ScalingConfig"]["MaximumConcurrency"])
            lambdas.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": concurrency})

    def make_routes(self, stack):
        """ministack makes no routes of an HTTP API's `Body`, as the transform writes it; here they are made of it. Gives the ids of
        the APIs."""
        body = self.client("cloudformation").get_template(StackName=stack, TemplateStage="Processed")["TemplateBody"]
        body = json.loads(body) if isinstance(body, str) else body
        resources = self.resources(stack)
        gateway = self.client("apigatewayv2")
        apis = {}
        for logical, resource in body["Resources"].items():
            if resource["Type"] != "AWS::ApiGatewayV2::Api" or logical not in resources:
                continue
            api = apis[logical] = resources[logical]
            for path, methods in resource["Properties"]["Body"]["paths"].items():
                for method, operation in there(methods).items():
                    uri = there(there(operation)["x-amazon-apigateway-integration"])["uri"]
                    function = resources[there(uri)["Fn::Sub"].split("${")[-1].split(".Arn}")[0]]
                    arn = self.client("lambda").get_function(FunctionName=function)["Configuration"]["FunctionArn"]
                    integration = gateway.create_integration(
                        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
                    )["IntegrationId"]
                    name = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
                    gateway.create_route(ApiId=api, RouteKey=f"{name} {path}", Target=f"integrations/{integration}")
        assert "Api" in apis, "the stack has no HTTP API"
        return apis


def there(value):
    """What a condition chooses for what is there."""
    return value["Fn::If"][1] if isinstance(value, dict) and "Fn::If" in value else value


def without_aws():
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_"))}
