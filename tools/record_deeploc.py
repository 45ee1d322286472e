"""Makes `tests/models/building/recorded/deeploc.*`: a checkpoint as DeepLoc's, by TensorFlow.

    pip install tensorflow
    python tools/record_deeploc.py

The layers of https://github.com/okraus/DeepLoc (DeepLoc_train.py, nn_layers.py) with one channel
in place of 64 and so on, random weights (seed 0), trained for a few steps so that Adam's variables
and the running averages of the batch normalisations are in the checkpoint as in the published one.
What TensorFlow computes for random pictures, prepared as preprocess_images.py does, is in
`deeploc-expected.npz`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf
from numpy.typing import NDArray

FOLDER = Path(__file__).parents[1] / "tests" / "models" / "building" / "recorded"

#: One in place of 64, two of 128, four of 256; and eight in the dense layers, of 512.
CONVOLUTIONS = ((1, 1), (2, 2), (4, 4, 4, 4))
DENSE = 8


def normalised(x: tf.Tensor, size: int, scope: str, training: tf.Tensor) -> tf.Tensor:
    """Batch normalisation with an exponential moving average of what it met."""
    with tf.variable_scope(scope):
        shift = tf.Variable(tf.random.normal([size], 0, 0.1), name="beta")
        gain = tf.Variable(tf.random.uniform([size], 0.5, 1.5), name="gamma")
        mean, variance = tf.nn.moments(x, list(range(len(x.shape) - 1)), name="moments")
        average = tf.train.ExponentialMovingAverage(decay=0.5)

        def updated() -> tuple[tf.Tensor, tf.Tensor]:
            with tf.control_dependencies([average.apply([mean, variance])]):
                return tf.identity(mean), tf.identity(variance)

        def learned() -> tuple[tf.Tensor, tf.Tensor]:
            return average.average(mean), average.average(variance)

        used = tf.cond(training, updated, learned)
        return tf.nn.batch_normalization(x, *used, shift, gain, 1e-3)


def layer(
    x: tf.Tensor, out: int, name: str, training: tf.Tensor, *, relu: bool = True
) -> tf.Tensor:
    """A convolution of 3 x 3, or a dense layer."""
    before = int(x.shape[-1])
    shape = [3, 3, before, out] if len(x.shape) == 4 else [before, out]
    with tf.name_scope(name):
        with tf.name_scope("weights"):
            spread = (2 / np.prod(shape[:-1])) ** 0.5
            weights = tf.Variable(tf.random.normal(shape, 0, spread))
        with tf.name_scope("biases"):
            biases = tf.Variable(tf.random.normal([out], 0, 0.1))
        if len(x.shape) == 4:
            x = tf.nn.conv2d(x, weights, strides=[1, 1, 1, 1], padding="SAME") + biases
        else:
            x = tf.matmul(x, weights) + biases
        with tf.name_scope("batch_norm"):
            x = normalised(x, out, f"{name}_batch_norm", training)
        return tf.nn.relu(x) if relu else x


def pictures() -> NDArray[np.uint8]:
    """Four cells of noise; the first is dark, the second has next to no contrast."""
    found = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    found[0] //= 8
    found[1] = 100 + found[1] // 128
    return found


def crops(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The middle of green and red, each stretched between its percentiles 0.1 and 99.9."""
    found = images[..., [1, 0]].astype(np.float64)
    low, high = np.percentile(found, [0.1, 99.9], axis=(1, 2), keepdims=True)
    span = high - low
    found = (np.minimum(found, high) - low) / np.where(span > 1, span, 1)
    return found[:, 2:62, 2:62].astype(np.float32)


def main() -> None:
    """Write the files and list the variables."""
    tf.disable_v2_behavior()
    tf.disable_resource_variables()
    tf.set_random_seed(0)
    training = tf.placeholder(tf.bool, [])
    images = x = tf.placeholder(tf.float32, [None, 60, 60, 2])
    number = 0
    for block in CONVOLUTIONS:
        for channels in block:
            number += 1
            x = layer(x, channels, f"conv_{number}", training)
        x = tf.nn.max_pool(x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")
    x = tf.reshape(x, [-1, 8 * 8 * CONVOLUTIONS[-1][-1]])
    x = layer(x, DENSE, "fc_1", training)
    embedding = layer(x, DENSE, "fc_2", training)
    logits = layer(embedding, 3, "final_layer", training, relu=False)
    step = tf.train.AdamOptimizer(1e-3).minimize(tf.reduce_mean(logits**2))
    saver = tf.train.Saver(tf.global_variables())
    cells = crops(pictures())
    with tf.Session() as session:
        session.run(tf.global_variables_initializer(), {training: True, images: cells})
        for _ in range(20):
            session.run(step, {training: True, images: cells})
        found = session.run(embedding, {training: False, images: cells})
        saver.save(session, str(FOLDER / "deeploc"), write_meta_graph=False)
        for variable in tf.global_variables():
            print(variable.name, variable.shape)
    (FOLDER / "checkpoint").unlink()
    np.savez(FOLDER / "deeploc-expected.npz", fc_2=found)


if __name__ == "__main__":
    main()
