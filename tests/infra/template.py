"""The template, as CloudFormation would see it after the SAM transform."""

import json
import os
import pathlib

import yaml
from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SOURCE = ROOT / "infra/template.yaml"
TRANSFORMED = ROOT / "target/infra/template.json"


class Loader(yaml.SafeLoader):
    """Reads the short forms of CloudFormation's functions as their long ones."""


def function(loader, tag, node):
    name = tag if tag in ("Ref", "Condition") else f"Fn::{tag}"
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if tag == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name: value}


Loader.add_multi_constructor("!", function)


def source():
    return yaml.load(SOURCE.read_text(), Loader)


class NoManagedPolicies(ManagedPolicyLoader):
    """The template names its policies in full; the names of AWS's own need no account."""

    def __init__(self):
        super().__init__(None)

    def load(self):
        return {}


def transformed():
    """The transformed template; also written to target/infra/template.json, where cfn-lint and cfn-guard read it."""
    # The transform asks for a region, and calls nothing in it.
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
    template = source()
    # Local code cannot be transformed; `sam package` puts it where this says.
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://artifacts/code.zip"
    result = transform(template, {}, NoManagedPolicies())
    TRANSFORMED.parent.mkdir(parents=True, exist_ok=True)
    TRANSFORMED.write_text(json.dumps(result, indent=1, default=str))
    return result
