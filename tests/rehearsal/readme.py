"""The commands of the docs, word for word."""

import re
import textwrap

from rehearsal.cloud import ROOT


def blocks(file, heading):
    """The shell blocks below a heading, up to the next of its rank."""
    text = (ROOT / file).read_text()
    rank = heading.split(" ")[0]
    section = text.split(f"\n{heading}\n")[1]
    section = re.split(rf"\n#{{1,{len(rank)}}} ", section)[0]
    return [textwrap.dedent(block) for block in re.findall(r"^ *```sh\n(.*?)^ *```", section, re.S | re.M)]


def commands(file, heading):
    """The same, a command each."""
    joined = [line for block in blocks(file, heading) for line in re.sub(r"([\\|])\n\s*", lambda it: it[1].strip("\\") + " ", block).splitlines()]
    return [line for line in joined if line and not line.startswith("#")]
