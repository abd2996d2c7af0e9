"""accelerate reads the shipped configurations and sets up what they say."""

from pathlib import Path

import pytest
import yaml
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env

from bookpricer.training.presets import load_settings


@pytest.fixture
def launched(root: Path):
    """The environment that `accelerate launch --config_file` gives to each process."""

    def launch(name: str, *options: str) -> dict[str, str]:
        file = root / "training" / "cloud" / name
        arguments = ["--config_file", str(file), *options, "-m", "bookpricer.ui", "train"]
        checked = _validate_launch_command(launch_command_parser().parse_args(arguments))[0]
        return prepare_multi_gpu_env(checked)

    return launch


@pytest.mark.parametrize("name", ["accelerate_ddp.yaml", "accelerate_fsdp_qlora.yaml"])
def test_every_name_is_one_that_accelerate_knows(root: Path, name: str):
    from accelerate.commands.config.config_args import load_config_from_file

    file = root / "training" / "cloud" / name
    config = load_config_from_file(str(file))  # refuses others
    assert config.num_processes == 2 and not config.use_cpu
    assert set(yaml.safe_load(file.read_text())) <= set(vars(config))


def test_fsdp_shards_with_version_2_and_saves_whole_adapters(launched):
    environment = launched("accelerate_fsdp_qlora.yaml")
    assert environment["ACCELERATE_USE_FSDP"] == "true" and environment["FSDP_VERSION"] == "2"
    assert environment["FSDP_TRANSFORMER_CLS_TO_WRAP"] == "LlamaDecoderLayer"
    assert environment["FSDP_STATE_DICT_TYPE"] == "FULL_STATE_DICT"
    assert environment["FSDP_RESHARD_AFTER_FORWARD"] == "true"


def test_the_storage_that_fsdp_needs_is_a_setting_of_bitsandbytes():
    import torch
    from transformers import BitsAndBytesConfig

    chosen = load_settings("llama-3.1-8b", overrides=["quantization.bnb_4bit_quant_storage=bfloat16"])
    quantization = BitsAndBytesConfig(**chosen.quantization)
    assert quantization.bnb_4bit_quant_storage == quantization.bnb_4bit_compute_dtype == torch.bfloat16


def test_the_command_line_is_a_module_that_can_be_launched(root: Path):
    assert (root / "ui" / "__main__.py").is_file()
