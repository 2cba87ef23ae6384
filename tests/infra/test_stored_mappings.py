"""The docs' way to store a mapping: what Parameter Store takes, and the same to whoever reads it."""

import json
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class AStoredMapping(unittest.TestCase):
    def test_has_no_two_braces_that_parameter_store_would_take_for_a_parameter_s_name_and_says_the_same(self):
        # "Do not use {{}} in the value": https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
        example = re.search(r"```json\n(.*?)```", (ROOT / "docs/mappings.md").read_text(), re.DOTALL)[1]
        self.assertIn("{{", example)
        command = next(line for line in (ROOT / "docs/operations.md").read_text().splitlines() if "mappings/docs --value" in line)
        value = re.search(r"--value (.*)$", command)[1]
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "mappings").mkdir()
            (pathlib.Path(folder) / "mappings/docs.json").write_text(example)
            stored = subprocess.run(["bash", "-c", f"printf %s {value.replace('DIRECTORY', folder)}"],
                                    stdout=subprocess.PIPE, check=True, text=True).stdout
        self.assertNotRegex(stored, r"\{\{.*\}\}")
        self.assertEqual(json.loads(stored), json.loads(example))


if __name__ == "__main__":
    unittest.main()
