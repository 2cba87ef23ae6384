"""Lambda's event source mapping for a queue: batches to the function, and what it names as failed stays in the queue."""

import sys
import time

import boto3

# As in infra/template.yaml.
BATCH_SIZE = 100
# ReceiveMessage gives at most ten.
MOST_IN_A_RECEIPT = 10


def serve(queue, function, window_seconds):
    """Polls the queue for ever."""
    sqs = boto3.client("sqs")
    while True:
        try:
            messages = gather(sqs, queue, window_seconds)
            if not messages:
                continue
            answer = function.invoke({"Records": [record(message, queue, sqs.meta.region_name) for message in messages]})
            failed = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
            for message in messages:
                if message["MessageId"] not in failed:
                    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        except Exception as error:  # the batch failed: its messages reappear after the visibility timeout
            print(f"the event source mapping of {function.name}: {error}", file=sys.stderr)
            time.sleep(0.5)


def gather(sqs, queue, window_seconds):
    """A batch: full, or what came in within the window."""
    messages, until = [], time.monotonic() + window_seconds
    while len(messages) < BATCH_SIZE:
        most = min(MOST_IN_A_RECEIPT, BATCH_SIZE - len(messages))
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=most, WaitTimeSeconds=0, AttributeNames=["All"])
        messages += received.get("Messages", [])
        if "Messages" not in received:
            if time.monotonic() > until:
                break
            time.sleep(0.05)
    return messages


def record(message, queue, region):
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "md5OfBody": message["MD5OfBody"],
        "attributes": message["Attributes"],
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{region}:123456789012:{queue.rsplit('/', 1)[-1]}",
        "awsRegion": region,
    }
