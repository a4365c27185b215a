"""The settings for `accelerate launch`: accelerate reads them, and what it starts does what they say."""

from __future__ import annotations

import pytest
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.utils import DistributedType
from typer.testing import CliRunner

from fo1.cli.main import app
from fo1.data.settings import SettingError
from fo1.training.machines import settings
from fo1.training.team import launched_sharded


@pytest.mark.parametrize("name", sorted(settings()))
def test_accelerate_reads_them(name: str) -> None:
    read = load_config_from_file(str(settings()[name]))
    assert isinstance(read, ClusterConfig)
    assert (read.distributed_type == DistributedType.FSDP) is name.endswith("fsdp2")
    assert read.fsdp_config == ({"fsdp_version": 2} if name.endswith("fsdp2") else {})
    assert read.use_cpu is name.startswith("cpus") and (read.num_processes > 1) is (name != "one_gpu")
    assert read.mixed_precision == "no", "the recipe's stage decides"


def test_the_command_lists_them_and_says_where_one_is() -> None:
    listed = CliRunner().invoke(app, ["machines"]).output.splitlines()
    assert [line.split(":")[0] for line in listed] == sorted(settings())
    assert all(len(line.split(": ", 1)[1]) > 20 for line in listed)
    path = CliRunner().invoke(app, ["machines", "gpus_fsdp2"]).output
    assert path == f"{settings()['gpus_fsdp2']}\n"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "fo1 machines gpus_fsdp2"),
        ({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "1"}, "fsdp_version: 2"),
        (
            {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_OFFLOAD_PARAMS": "true"},
            "leave fsdp_offload_params out",
        ),
    ],
)
def test_settings_that_cannot_be_followed(
    said: dict[str, str], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingError, match=why):
        launched_sharded()


def test_who_is_not_launched_is_not_sharded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"):
        monkeypatch.delenv(name, raising=False)
    assert not launched_sharded()
