"""The command line in one process, where torch is loaded once."""

import io
import sys

import pytest

from bookpricer.ui import cli


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a command; gives exit status, standard output and standard error."""

    def runner(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "argv", ["bookpricer", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        status = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code or 0
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return status, captured.out, captured.err

    return runner
