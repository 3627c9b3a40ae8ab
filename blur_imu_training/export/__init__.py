"""From a training run or a checkpoint to a model that the runtime loads."""
