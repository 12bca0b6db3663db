"""The generators that are trained here: one for each of the blocks that a configuration can name."""

from lipgan_colab.models.lipgan import GeneratorConfig, LipGANGenerator
from lipgan_colab.models.warping_generator import WarpingGenerator

TrainedGenerator = LipGANGenerator | WarpingGenerator


def build_generator(config: GeneratorConfig) -> TrainedGenerator:
    """A generator that has learnt nothing yet, or on the meta device one without weights."""
    return (WarpingGenerator if config.blocks == "warp" else LipGANGenerator)(config)
