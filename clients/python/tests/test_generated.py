"""The generated code is that of the server under test, and the code beside it agrees with it."""

import dataclasses
import filecmp
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from botarmy import job
from conftest import ROOT, binary


def openapi(folder: Path) -> Path:
    file = folder / "openapi.json"
    file.write_bytes(
        subprocess.run([binary(), "openapi"], check=True, stdout=subprocess.PIPE).stdout
    )
    return file


def differences(compared: "filecmp.dircmp[str]") -> list[str]:
    found = [*compared.left_only, *compared.right_only, *compared.diff_files]
    found = [name for name in found if name != "__pycache__"]
    return found + [name for sub in compared.subdirs.values() for name in differences(sub)]


def test_the_code_is_what_the_generator_makes_of_todays_document(tmp_path: Path) -> None:
    into = tmp_path / "rest"
    command = [sys.executable, str(ROOT / "clients/generate"), "python"]
    command += ["--openapi", str(openapi(tmp_path)), "--into", str(into)]
    subprocess.run(command, check=True)
    here = ROOT / "clients/python/src/botarmy/rest"
    found = differences(filecmp.dircmp(here, into))
    assert found == [], "type: clients/generate python"


def test_a_job_has_the_keys_of_the_document(tmp_path: Path) -> None:
    schemas: dict[str, Any] = json.loads(openapi(tmp_path).read_text())["components"]["schemas"]

    def keys(name: str) -> set[str]:
        return set(schemas[name]["properties"])

    def fields(kind: Any) -> set[str]:
        return {one.name for one in dataclasses.fields(kind)}

    assignment = keys("Assignment") - {"contract", "task"}
    assert fields(job.Job) - {"document"} == assignment | keys("AssignedTask")
    assert fields(job.Artifact) == keys("AssignedArtifact")
    assert fields(job.Resume) == keys("ResumeView")
    assert fields(job.Answer) == keys("AnswerView")
    assert fields(job.Usage) == keys("UsageBody")
    assert fields(job.Ask) == keys("AskBody")
    assert fields(job.Result) == keys("CompleteBody")
    failure = set(vars(job.Fail("code", "message"))) - {"retry_after"}
    assert failure | {"retry_after_s"} == keys("FailBody")
