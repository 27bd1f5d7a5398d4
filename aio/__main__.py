"""The command line: `python -m aio train`, `score`, `sample` and `datasets`. See `aio.cli`."""

from aio.cli import app

if __name__ == "__main__":
    app()
