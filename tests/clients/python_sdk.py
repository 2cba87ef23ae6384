"""PyPI segment-analytics-python, pointed at a set: python python_sdk.py <url> <write key>"""

import sys

from segment.analytics.client import Client

url, write_key = sys.argv[1:]
failures = []
# Bodies in gzip, as it can be told to send them.
client = Client(write_key, host=url, gzip=True, upload_size=4, on_error=lambda error, items: failures.append(error))
client.identify("u-python", {"email": "python@example.com"}, message_id="python-identify")
for n in range(10):
    client.track("u-python", "Report Exported", {"n": n, "email": "python@example.com"}, message_id=f"python-track-{n}")
client.flush()
client.shutdown()
sys.exit(f"not sent: {failures}" if failures else 0)
