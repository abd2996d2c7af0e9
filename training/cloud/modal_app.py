"""Book Pricer on Modal (modal.com): the same command line on a GPU there, and the pricing chain as a web endpoint.

From a checkout, with `pip install modal` and `modal setup` done:

    modal volume put bookpricer books.csv                               # once: a folder in the cloud, kept between runs
    modal run training/cloud/modal_app.py train books.csv my-model --preset llama-3.1-8b
    modal run training/cloud/modal_app.py evaluate my-model books.csv --json
    modal volume get bookpricer my-model                                # back to this machine
    BOOKPRICER_MODEL=my-model modal deploy training/cloud/modal_app.py  # POST /price, behind Modal's proxy tokens

What follows `train` or `evaluate` is the command line's own, with paths inside of the volume. Set before starting:
BOOKPRICER_GPU, such as L4 (the default), A100-80GB, H100:2, or nothing for none; BOOKPRICER_SECRETS, names of Modal
secrets, separated by commas: `huggingface-secret` (HF_TOKEN) by default, for Llama's weights are behind a licence;
add `wandb-secret` (WANDB_API_KEY) for `--track wandb`; nothing for the embedded model.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import modal

GPU = os.environ.get("BOOKPRICER_GPU", "L4") or None
MODEL = os.environ.get("BOOKPRICER_MODEL", "embedded")
SECRETS = [name for name in os.environ.get("BOOKPRICER_SECRETS", "huggingface-secret").split(",") if name]
# Models, data sets and the hub's cache: what outlives a container.
VOLUME = Path("/volume")
HOURS = 3600

# In a container this file lies elsewhere, and the image is there already.
CHECKOUT = Path(__file__).resolve().parents[2] if modal.is_local() else Path("/bookpricer")
if modal.is_local() and not (CHECKOUT / "pyproject.toml").is_file():
    raise SystemExit("modal_app.py installs the checkout that it lies in; clone the repository and run it there")

app = modal.App("bookpricer")
volume = modal.Volume.from_name("bookpricer", create_if_missing=True)
image = (
    modal.Image.debian_slim(python_version="3.11")
    .add_local_dir(CHECKOUT, "/bookpricer", copy=True, ignore=[".git", ".venv", "**/__pycache__", "build", "wandb"])
    .run_commands("pip install -c /bookpricer/constraints.txt '/bookpricer[train,serve,wandb]'")
    .env({"HF_HOME": str(VOLUME / ".cache" / "huggingface"), "BOOKPRICER_MODEL": MODEL})
)
remote: dict[str, Any] = {
    "image": image,
    "gpu": GPU,
    "volumes": {str(VOLUME): volume},
    "secrets": [modal.Secret.from_name(name) for name in SECRETS],
}


def bookpricer(*arguments: str) -> None:
    """The command line, in the volume; its own message says what was wrong."""
    command = [sys.executable, "-m", "bookpricer.ui", *arguments]
    status = subprocess.run(command, cwd=VOLUME, check=False).returncode
    if status:
        raise SystemExit(status)


@app.function(**remote, timeout=24 * HOURS)
def train(arguments: list[str]) -> None:
    """`bookpricer train DATA MODEL …`."""
    bookpricer("train", *arguments)


@app.function(**remote, timeout=4 * HOURS)
def evaluate(arguments: list[str]) -> None:
    """`bookpricer evaluate MODEL DATA …`."""
    bookpricer("evaluate", *arguments)


@app.function(**remote, scaledown_window=300)
@modal.concurrent(max_inputs=16)
@modal.asgi_app(requires_proxy_auth=True)
def serve() -> Any:
    """POST a record of a book to /price and get its PriceEstimate."""
    from fastapi import FastAPI, HTTPException

    from bookpricer.chains.pricing import PricingChain
    from bookpricer.training.errors import InputError

    folder = VOLUME / MODEL
    chain = PricingChain.from_pretrained(folder if folder.is_dir() else MODEL)
    api = FastAPI(title="Book Pricer")

    @api.post("/price")
    async def price(book: dict[str, Any]) -> dict[str, Any]:
        try:
            return (await chain.ainvoke(book)).model_dump()
        except InputError as error:
            raise HTTPException(422, str(error)) from error

    return api


@app.local_entrypoint()
def main(*arguments: str) -> None:
    """Hand `train …` or `evaluate …` on to the function of that name."""
    functions = {"train": train, "evaluate": evaluate}
    if not arguments or arguments[0] not in functions:
        raise SystemExit("say what to run: train DATA MODEL … or evaluate MODEL DATA …")
    functions[arguments[0]].remote(list(arguments[1:]))
