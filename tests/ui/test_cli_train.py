"""`bookpricer train` as a user runs it: settings, refusals, and what a run survives."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import yaml
from safetensors.torch import load_file

from bookpricer.training.synthetic import synthetic_records

# A run of seconds whose dropout and jitter show whether the random numbers go on where they were.
QUICK = [
    "--skip-baselines", "--device", "cpu", "--set", "recipe.evidence=null", "--set", "content_tokens=24", "--set",
    "recipe.price_jitter=0.5", "--set", "lora.lora_dropout=0.1", "--set", "sft.max_steps=60", "--set",
    "sft.eval_steps=4", "--set", "sft.save_steps=4", "--set", "sft.per_device_train_batch_size=4",
]  # fmt: skip


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "books.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["Title", "Author", "Description", "Price"])
        for record in synthetic_records(300, seed=5):
            writer.writerow([record["title"], record["author"], " ".join(record["description"]), record["price"]])
    return path


def test_prints_what_would_run(run):
    status, out, _ = run(
        "train", "nothing.csv", "model", "--preset", "llama-3.1-8b", "--print-config", "--set", "lora.r=16"
    )
    settings = yaml.safe_load(out)
    assert status == 0 and settings["lora"]["r"] == 16 and settings["base_model"] == "meta-llama/Llama-3.1-8B"
    assert settings["sft"]["learning_rate"] == 1e-4 and settings["recipe"]["evidence"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preset", "gpt"], "no preset"),
        (["--set", "sft.lerning_rate=1"], "lerning_rate"),
        (["--set", "recipe.evidence={baselines: [astrology]}"], "astrology"),
        (["--set", "recipe.target_width=wide"], "target_width"),
        (["--track", "notebook"], "wandb, tensorboard"),
        (["--resume"], "no interrupted training"),
        (["--push-to-hub", "my-pricer"], "owner/name"),
        (["--push-to-hub", "me/my-pricer"], "logged in"),
        (["--push-to-hub", "me/my-pricer", "--set", "recipe.evidence={}"], "--with-comparables"),
        (["--dry-run", "--gpu", "abacus"], "abacus"),
    ],
)
def test_refuses_in_one_sentence(run, catalogue, tmp_path, arguments, words):
    status, _, err = run("train", catalogue, tmp_path / "model", *QUICK, *arguments)
    assert status == 2 and words in err and err.count("Error:") == 1
    assert not (tmp_path / "model").exists()


def test_plans_without_training(run, catalogue, tmp_path):
    status, out, _ = run("train", catalogue, tmp_path / "model", "--dry-run", "--gpu", "t4", "--json", *QUICK)
    plan = json.loads(out)
    assert status == 0 and plan["steps"] == 60 and plan["trainable"] == 86_016 and plan["fits"] is True
    status, out, _ = run("train", catalogue, tmp_path / "model", "--dry-run", "--preset", "llama-3.1-8b", "--gpu", "t4")
    assert status == 0 and "6,815,744" in out and not list(tmp_path.iterdir())


def test_trains_with_tracking_on_this_machine_only(run, catalogue, tmp_path, monkeypatch):
    """Weights & Biases' own client, offline, and TensorBoard's files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    status, out, err = run(
        "train", catalogue, "model", *QUICK, "--set", "sft.max_steps=4", "--track", "wandb", "--track", "tensorboard",
        "--json",
    )  # fmt: skip
    assert status == 0, err
    assert json.loads(out)["test"]["llm"]["n"] > 0, out
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb")), "the run is kept for a later `wandb sync`"
    assert list(tmp_path.rglob("events.out.tfevents.*"))
    report = json.loads((tmp_path / "model" / "report" / "training.json").read_text())
    assert report["steps"] == 4 and report["curves"] and (tmp_path / "model" / "report" / "training.png").is_file()


def _start(catalogue, model, *more):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "bookpricer.ui", "train", str(catalogue), str(model), *QUICK, *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def _finish(process):
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    return out


def _wait_for(condition, process):
    while not condition():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.002)


@pytest.mark.slow
def test_killed_three_times_it_ends_like_a_run_that_was_not(catalogue, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    checkpoints = tmp_path / ".killed.training" / "checkpoints"
    _finish(_start(catalogue, whole))
    chance = random.Random(0)

    def complete():
        return len(list(checkpoints.glob("checkpoint-*/complete")))

    def torn():
        return [path for path in checkpoints.glob("checkpoint-*") if path.is_dir() and not (path / "complete").exists()]

    process = _start(catalogue, killed)
    _wait_for(lambda: complete() >= 1, process)
    time.sleep(chance.uniform(0, 0.5))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for moment in ("while a checkpoint is written", "at any moment"):
        done = {path.parent.name for path in checkpoints.glob("checkpoint-*/complete")}
        process = _start(catalogue, killed, "--resume")
        if moment == "at any moment":
            _wait_for(
                lambda done=done: {path.parent.name for path in checkpoints.glob("checkpoint-*/complete")} - done,
                process,
            )
            time.sleep(chance.uniform(0, 0.5))
        else:
            _wait_for(lambda done=done: any(path.name not in done for path in torn()), process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not killed.exists()
    _finish(_start(catalogue, killed, "--resume"))

    expected, weights = (load_file(folder / "adapter" / "adapter_model.safetensors") for folder in (whole, killed))
    assert expected.keys() == weights.keys()
    assert all((expected[name] == weights[name]).all() for name in expected)
    assert not list(tmp_path.glob(".*")), "nothing of the work stays"
    curves = [json.loads((folder / "report" / "training.json").read_text())["curves"] for folder in (whole, killed)]
    assert [entry["step"] for entry in curves[0]] == [entry["step"] for entry in curves[1]]


@pytest.mark.slow
def test_two_processes_train_one_model(catalogue, tmp_path):
    """DDP, the same command line behind `accelerate launch`.

    Its `--cpu` would start one process and leave more to MPI; `--multi_gpu` starts two, which `--device cpu` has train
    on the CPU.
    """
    model = tmp_path / "model"
    command = [
        sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines",
        "1", "--mixed_precision", "no", "--dynamo_backend", "no", "-m", "bookpricer.ui", "train",
        str(catalogue), str(model), *QUICK, "--set", "sft.max_steps=6", "--json",
    ]  # fmt: skip
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads((model / "report" / "training.json").read_text())
    # Each step reads the books of both processes.
    assert report["steps"] == 6 and report["curves"][-1]["epoch"] == pytest.approx(
        6 * 8 / report["books"]["train"], rel=0.1
    )
    assert (model / "calibration.json").exists() or report["books"]["calibration"] < 20
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_a_full_disk_ends_in_a_sentence_and_keeps_the_last_checkpoint(catalogue, tmp_path):
    """The kernel refuses to write files over a limit, and a checkpoint's adapter is larger."""
    model = tmp_path / "model"
    checkpoints = tmp_path / ".model.training" / "checkpoints"
    process = _start(catalogue, model)
    _wait_for(lambda: list(checkpoints.glob("checkpoint-*/complete")), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = {path.parent.name for path in checkpoints.glob("checkpoint-*/complete")}
    script = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000));"
        "from bookpricer.ui.cli import main; main()"
    )
    command = [sys.executable, "-c", script, "train", str(catalogue), str(model), *QUICK, "--resume"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr and not model.exists()
    assert "free some room" in done.stderr and "--resume" in done.stderr
    assert kept <= {path.parent.name for path in checkpoints.glob("checkpoint-*/complete")}
    _finish(_start(catalogue, model, "--resume"))
    assert (model / "pricer.json").is_file()
