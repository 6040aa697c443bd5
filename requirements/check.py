#!/usr/bin/env python3
"""Proof that the locks install everywhere: each lock, on each Python and platform it is for, from wheels alone.

In come the locks beside this file, and what the package index says of their packages. For each target uv works out
what would be installed there, with the lock's markers evaluated for the target, and lists the wheels that fit it. The
hash of one of them has to be in the lock, for every package, and so for all that packages need. Nothing is installed,
and of a wheel only metadata is read. Out comes one line for each lock and Python, with the number of packages on each
platform, one line for each that is missing, and exit status 1 if any is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

# Those of the Makefile.
PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
LOCKS = {"runtime.txt": PYTHONS, "dev.txt": PYTHONS, "ray.txt": PYTHONS[:-1]}
# As uv calls them. glibc 2.28 is that of Debian 10 and of RHEL 8.
PLATFORMS = {
    "Linux x86-64": "x86_64-manylinux_2_28",
    "Linux aarch64": "aarch64-manylinux_2_28",
    "macOS arm64": "aarch64-apple-darwin",
    "Windows amd64": "x86_64-pc-windows-msvc",
}
# The oldest that onnxruntime has wheels for.
MACOS = "14.0"


def wheels(lock: str, python: str, platform: str, *flags: str) -> tuple[dict[str, set[str]], str]:
    """Return the hashes of the wheels that fit a target, by package, and uv's error, empty if there is none."""
    command = ["uv", "pip", "compile", "--quiet", "--format", "pylock.toml", "--only-binary", ":all:", *flags]
    # The target's Python is not needed for that, and would be downloaded otherwise.
    command += ["--no-python-downloads", "--python-version", python, "--python-platform", PLATFORMS[platform], "-"]
    environment = os.environ | {"MACOSX_DEPLOYMENT_TARGET": MACOS}
    done = subprocess.run(command, input=lock, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        return {}, done.stderr.strip()
    packages = tomllib.loads(done.stdout).get("packages", [])
    return {
        f"{package['name']}=={package['version']}": {wheel["hashes"]["sha256"] for wheel in package["wheels"]}
        for package in packages
    }, ""


def check(lock: str, python: str, platform: str) -> tuple[int, list[str]]:
    """Return how many packages of a lock a target needs, and what is wrong with them."""
    found, error = wheels(lock, python, platform)
    wrong = []
    if error:
        # uv stops at the first package. So each is asked for alone, without what it needs.
        pins = re.findall(r"^\S.*\n(?:[ \t].*\n)*", re.sub(r"^\s*#.*\n", "", lock, flags=re.MULTILINE), re.MULTILINE)
        for pin in pins:
            alone, alone_error = wheels(pin, python, platform, "--no-deps")
            found |= alone
            if alone_error:
                cause = re.search(r"Because (.*?)(?: and you require|, we can conclude)", alone_error, re.DOTALL)
                wrong.append(" ".join((cause[1] if cause else alone_error).split()))
        wrong = wrong or [" ".join(error.split())]
    locked = set(re.findall(r"--hash=sha256:(\w+)", lock))
    wrong += [f"{name} has wheels, but the lock has none of them" for name in found if not found[name] & locked]
    return len(found), wrong


def main() -> int:
    """Check every lock on every target. The answer is the exit status."""
    if shutil.which("uv") is None:
        sys.exit("uv is needed: pip install uv")
    failed = False
    for name, pythons in LOCKS.items():
        lock = Path(__file__).with_name(name).read_text()
        for python in pythons:
            answers = {platform: check(lock, python, platform) for platform in PLATFORMS}
            counts = ", ".join(f"{platform} {n_packages}" for platform, (n_packages, _) in answers.items())
            sys.stdout.write(f"{name} on Python {python}: {counts}\n")
            for platform, (_, wrong) in answers.items():
                failed |= bool(wrong)
                sys.stdout.writelines(f"  {platform}: {what}\n" for what in wrong)
            sys.stdout.flush()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
