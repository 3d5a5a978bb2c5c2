"""A worker's stand-in: `owner.py FOLDER ARGV…` starts ARGV as an engine under the guard and tells how it ended.

Prints a line when the engine runs and one when it has ended; SIGUSR1 stops it with a grace of 0.2 s.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from argosy.engines.base import Launch
from argosy.worker.engine_process import EngineProcess
from argosy.worker.guard import become_subreaper


async def main() -> None:
    folder, argv = Path(sys.argv[1]), tuple(sys.argv[2:])
    become_subreaper()
    process = await EngineProcess.start(
        Launch(argv), environment=os.environ, log=folder / "log", record=folder / "engine.json"
    )
    stops: list[asyncio.Task[object]] = []
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGUSR1, lambda: stops.append(asyncio.create_task(process.stop(0.2)))
    )
    print("runs", flush=True)
    ending = await asyncio.shield(process.ended)
    print(f"ended {ending.code} {ending.asked}", flush=True)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
