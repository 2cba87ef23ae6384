"""The stack as a person deploys it: samconfig.toml edited, functions that are built, `sam deploy`."""

import os
import re
import shutil
import subprocess

from rehearsal.cloud import ROOT

FUNCTIONS = ("dispatch", "identify-visitor", "track-event", "collect", "page", "signals", "caretaker")
BUILT_BY_SAM = ROOT / "target/sam"


def built(folder):
    """A template whose functions are built: `sam build`'s into target/sam, which are release functions, where it has run
    with this template and these sources; else those of `cargo build`."""
    by_sam = BUILT_BY_SAM / "template.yaml"
    source = ROOT / "infra/template.yaml"
    if by_sam.exists() and by_sam.stat().st_mtime > newest_source() and "KOALA_REHEARSE_DEBUG" not in os.environ:
        return by_sam
    assert "KOALA_REHEARSE_RELEASE" not in os.environ, "no functions of sam build: `sam build --build-dir target/sam` makes them"
    template = source.read_text()
    for function in FUNCTIONS:
        binary = ROOT / "target/debug" / function
        assert binary.exists(), f"{binary.relative_to(ROOT)} is not built: run cargo build --workspace --bins"
        (folder / function).mkdir(exist_ok=True)
        bootstrap = folder / function / "bootstrap"
        shutil.copyfile(binary, bootstrap)
        bootstrap.chmod(0o755)
        # Symbols are most of a debug build, and nothing here looks at them.
        subprocess.run(["strip", bootstrap], check=False)
        template = template.replace(f"CodeUri: ../functions/{function}\n", f"CodeUri: {folder / function}\n")
    template = re.sub(r"    Metadata:\n      BuildMethod: .*\n      BuildProperties:\n        Binary: .*\n", "", template)
    target = folder / "template.yaml"
    target.write_text(template)
    return target


def newest_source():
    """When anything that a function is built of was last changed."""
    sources = [ROOT / "infra/template.yaml", ROOT / "Cargo.toml", ROOT / "Cargo.lock", ROOT / ".cargo/config.toml",
               ROOT / "shared/Cargo.toml", ROOT / "collector/Cargo.toml"]
    for crate in ("functions", "shared/src", "collector/src"):
        sources += (path for path in (ROOT / crate).rglob("*") if path.is_file())
    return max(path.stat().st_mtime for path in sources)


def bootstrap(template, function):
    """The binary of a function of a built template."""
    logical = "".join(word.capitalize() for word in function.split("-"))
    by_sam = template.parent / f"{logical}Function/bootstrap"
    return by_sam if by_sam.exists() else template.parent / function / "bootstrap"


def edited(folder, collector, name="samconfig.toml", **more):
    """samconfig.toml as it stands, edited as it asks to be; and for this machine's processor."""
    text = (ROOT / "samconfig.toml").read_text()
    text = text.replace('# "KoalaUrl=https://collector.example.com"', f'"KoalaUrl={collector}"')
    text = text.replace('# "AlarmEmail=on-call@example.com"', '"AlarmEmail=on-call@example.com"')
    text = text.replace("Architecture=arm64", f"Architecture={machine()}")
    text = text.replace("confirm_changeset = true", "confirm_changeset = false")
    for parameter, value in more.items():
        text = text.replace("parameter_overrides = [\n", f'parameter_overrides = [\n    "{parameter}={value}",\n')
    target = folder / name
    target.write_text(text)
    return target


def with_own_collector(folder, name="own.toml", **more):
    """The same with the collector of the stack, on a database of one's own."""
    text = edited(folder, "https://collector.example.com", name, **more).read_text()
    text = text.replace('"Collector=url"', '"Collector=own", "Database=url"')
    target = folder / name
    target.write_text(text)
    return target


def machine():
    return {"aarch64": "arm64", "arm64": "arm64"}.get(os.uname().machine, os.uname().machine)
