"""The wire between the functions and AWS: what each of them calls is kept, and a fault can be told."""

import json

from rehearsal.web import Server, forward

# What a batch call needs of a role (https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html).
ACTIONS = {
    "AmazonSSM.GetParametersByPath": "ssm:GetParametersByPath",
    "AmazonSQS.SendMessage": "sqs:SendMessage",
    "AmazonSQS.SendMessageBatch": "sqs:SendMessage",
    "AmazonSQS.ChangeMessageVisibility": "sqs:ChangeMessageVisibility",
    "AmazonSQS.ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "AmazonSQS.DeleteMessage": "sqs:DeleteMessage",
    "AmazonSQS.DeleteMessageBatch": "sqs:DeleteMessage",
}
# KMS's words for a role that may not decrypt, as Parameter Store hands them on.
KMS_DENIED = {
    "__type": "AccessDeniedException",
    "message": "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are "
               "not allowed to access.",
}


class Wire(Server):
    """One function's."""

    def __init__(self, aws):
        self.aws, self.calls, self.kms_denied = aws, set(), False
        super().__init__()

    def answer(self, method, path, headers, body):
        target = {name.lower(): value for name, value in headers.items()}.get("x-amz-target")
        if target:
            request = json.loads(body)
            self.calls.add((ACTIONS.get(target, target), request.get("QueueUrl") or request.get("Path")))
            if target.startswith("AmazonSSM.") and self.kms_denied:
                return 400, {"content-type": "application/x-amz-json-1.1"}, json.dumps(KMS_DENIED).encode()
        return forward(self.aws, method, path, headers, body)
