"""Train as one of several processes, and tell what became of it; started by
test_several_processes.py."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from blur_imu_training.recipe import Stage
from blur_imu_training.training import trainer as module
from helpers.small_training import CONFIG, Ticks, few_pictures


def main(folder: Path, steps: int) -> None:
    module.load_pictures = few_pictures
    config = replace(CONFIG, stages=(Stage(1.0, 64, 32, 2, 8.0),))
    trainer = module.Trainer(config, None, folder, steps / 60, clock=Ticks())
    seen = []
    learn = trainer._learn
    trainer._learn = lambda batch, stage: seen.append(batch["image"]) or learn(batch, stage)
    trainer.run()
    weights = sum(
        float(value.detach().double().sum()) for value in trainer.model.network.parameters()
    )
    told = {
        "processes": trainer.accelerator.num_processes,
        "steps": trainer.progress.step,
        "samples": trainer.progress.samples,
        "weights": weights,
        "first_image": int(seen[0].long().sum()),
    }
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
