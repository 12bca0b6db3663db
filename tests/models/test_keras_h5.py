"""LipGAN's Keras files: recognised, mapped by the layers' numbers, and every misfit named; the networks answer what the
authors' answer."""

import json
import re
from functools import partial

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lipgan_colab.errors import InputError
from lipgan_colab.models.lipgan import GeneratorConfig, LipGANDiscriminator, LipGANGenerator
from lipgan_colab.models.weights import load_generator, load_network
from lipgan_colab.speech.features import SpeechInput

MFCC, MEL = SpeechInput("mfcc"), SpeechInput("mel", "reflect", -4)
NETWORKS = {
    "lipgan_residual": (LipGANGenerator, GeneratorConfig(), MFCC),
    "lipgan_basic": (LipGANGenerator, GeneratorConfig(blocks="basic"), MFCC),
    "lipgan_disc": (LipGANDiscriminator, None, MFCC),
    "cs766_residual": (LipGANGenerator, GeneratorConfig(speech="mel"), MEL),
    "cs766_basic": (LipGANGenerator, GeneratorConfig(speech="mel", blocks="basic"), MEL),
    "cs766_disc": (LipGANDiscriminator, None, MEL),
}
SWAPPED = [2, 1, 0, 5, 4, 3]  # BGR to RGB and back, of one face and of two


def inputs(name: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Faces (BGR) and speech of the golden values, channels first."""
    import formula

    shape = (80, 27, 4) if name.startswith("cs766") else (12, 35, 8)
    if name.endswith("disc"):
        faces, speech = formula.disc_inputs(count, *shape)
    else:
        faces, speech = formula.face_input(count), formula.audio_input(count, *shape)
    return tuple(torch.from_numpy(x).permute(0, 3, 1, 2) for x in (faces, speech))


def answer(network, faces: torch.Tensor, speech: torch.Tensor, dtype=torch.float32) -> torch.Tensor:
    """What the network says to BGR faces, as BGR."""
    with torch.no_grad():
        out = network.to(dtype)(faces[:, SWAPPED[: faces.shape[1]]].to(dtype), speech.to(dtype))
    return out[:, SWAPPED[:3]] if out.ndim == 4 else out


@pytest.mark.parametrize(("name", "form"), [("lipgan_residual", "weights"), ("cs766_basic", "model")])
def test_generator_is_the_authors(shared, golden_file, name, form):
    generator = load_generator(golden_file(name, form))
    golden = np.load(shared / "golden" / f"{name}.npz")
    faces, speech = inputs(name, 4)
    nhwc = lambda x: x.permute(0, 2, 3, 1).numpy()  # noqa: E731
    assert np.abs(nhwc(answer(generator, faces, speech)) - golden["out32"]).max() <= 1e-4
    assert np.abs(nhwc(answer(generator, faces[:2], speech[:2], torch.float64)) - golden["out64"]).max() <= 1e-8


def same(x: torch.Tensor, kernel: list[int], stride: list[int]) -> torch.Tensor:
    """TensorFlow's 'same' padding."""
    padding = []
    for size, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        padding += [total // 2, total - total // 2]
    return F.pad(x, padding)


def run_graph(layout: dict, file, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Every layer's output of a published Keras graph, one layer after the other: an independent account of it."""
    layers, outputs = {layer["name"]: layer for layer in layout["layers"]}, dict(inputs)

    def output(name: str) -> torch.Tensor:
        if name not in outputs:
            layer = layers[name]
            w = [torch.from_numpy(file[name][a["weight_name"]][()]).double() for a in layer["arrays"]]
            w = [v.permute(3, 2, 0, 1) if v.ndim == 4 else v for v in w]
            outputs[name] = compute(layer, [output(n) for n in layer["inbound"]], w)
        return outputs[name]

    def compute(layer: dict, xs: list[torch.Tensor], w: list[torch.Tensor]) -> torch.Tensor:
        x, per_channel = xs[0], [v.view(1, -1, 1, 1) for v in w if v.ndim == 1]
        match layer["cls"]:
            case "Conv2D":
                x = same(x, layer["kernel_size"], layer["strides"]) if layer["padding"] == "same" else x
                return F.conv2d(x, w[0], w[1], layer["strides"])
            case "Conv2DTranspose":
                size = [s * n for s, n in zip(layer["strides"], x.shape[2:], strict=True)]
                return F.conv_transpose2d(x, w[0], w[1], layer["strides"])[..., : size[0], : size[1]]
            case "BatchNormalization":
                gamma, beta, mean, variance = per_channel
                return (x - mean) / torch.sqrt(variance + layer["epsilon"]) * gamma + beta
            case "InstanceNormalization":
                centred = x - x.mean((1, 2, 3), keepdim=True)
                deviation = centred.square().mean((1, 2, 3), keepdim=True).sqrt()
                return centred / (deviation + layer["epsilon"]) * w[0] + w[1]
            case "Activation":
                return torch.relu(x) if layer["activation"] == "relu" else torch.sigmoid(x)
            case "LeakyReLU":
                return torch.where(x > 0, x, layer["alpha"] * x)
            case "Add":
                return xs[0] + xs[1]
            case "Concatenate":
                return torch.cat(xs, 1)
            case "ZeroPadding2D":
                (top, bottom), (left, right) = layer["padding"]
                return F.pad(x, (left, right, top, bottom))
            case "Flatten":
                return x.flatten(1)
        raise AssertionError(layer["cls"])

    for layer in layout["layers"]:
        if layer["cls"] != "Lambda":
            output(layer["name"])
    return outputs


@pytest.mark.parametrize("name", ["lipgan_basic", "lipgan_disc", "cs766_residual", "cs766_disc"])
def test_network_is_the_published_graph(shared, golden_file, name):
    layout = json.loads((shared / "golden" / f"{name}.layout.json").read_text())
    path = golden_file(name)
    faces, speech = inputs(name, 2 if name.endswith("disc") else 1)
    inputs_by_name = {
        layer["name"]: (faces if "face" in layer["name"] else speech).double()
        for layer in layout["layers"]
        if layer["cls"] == "InputLayer"
    }
    with h5py.File(path) as file, torch.no_grad():
        outputs = run_graph(layout, file, inputs_by_name)
    if name.endswith("disc"):
        face, sound = (x / x.norm(dim=1, keepdim=True) for x in (outputs["flatten_1"], outputs["flatten_2"]))
        expected = (face - sound).norm(dim=1)
    else:
        expected = outputs["prediction"]
    network = load_network(path)
    cls, config, speech_input = NETWORKS[name]
    assert type(network) is cls
    assert config in (None, network.config)
    assert network.speech_input == speech_input
    assert (answer(network, faces, speech) - expected).abs().max() < 1e-4
    assert (answer(network, faces, speech, torch.float64) - expected).abs().max() < 1e-8


def copied(source, target, rename=lambda layer: layer, nested: str | None = None) -> None:
    """A Keras file with its layers renamed, as a model of its own or nested in one as a sub-model."""
    with h5py.File(source) as old, h5py.File(target, "a") as new:
        for layer in old:
            for weight in old[layer].get(layer, ()):
                place = f"{nested}/{rename(layer)}" if nested else f"{rename(layer)}/{rename(layer)}"
                new[f"{place}/{weight}"] = old[layer][layer][weight][()]


def same_weights(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_both_forms_hold_the_same(golden_file):
    assert same_weights(*(load_network(golden_file("cs766_disc", form)) for form in ("weights", "model")))


def test_numbers_may_start_anywhere_and_have_holes(golden_file, tmp_path):
    def rename(layer: str) -> str:
        number = int(re.search(r"\d+$", layer)[0])
        return re.sub(r"\d+$", str(91 + 3 * number + (number > 4)), layer)  # past 100, before which 100 sorts by name

    source = golden_file("cs766_disc")
    copied(source, tmp_path / "numbered.h5", rename)
    assert same_weights(load_network(tmp_path / "numbered.h5"), load_network(source))


def test_the_generator_of_a_combined_file_is_found(golden_file, tmp_path):
    generator, discriminator = golden_file("cs766_basic", "model"), golden_file("cs766_disc")
    comb = tmp_path / "comb.h5"
    copied(discriminator, comb, nested="model_1")
    with h5py.File(generator) as file, h5py.File(comb, "a") as new:
        for layer in file["model_weights"]:
            for weight in file["model_weights"][layer].get(layer, ()):
                new[f"model_2/{layer}_1/{weight}"] = file["model_weights"][layer][layer][weight][()]
    assert same_weights(load_generator(comb), load_generator(generator))
    assert same_weights(load_network(comb), load_network(discriminator))


def forget(file, name: str) -> None:
    """Take a layer away as if the model had never had it."""
    del file[name]
    file.attrs["layer_names"] = np.array([n for n in file.attrs["layer_names"] if n.decode() != name])


def reshape(file) -> None:
    del file["conv2d_2/conv2d_2/kernel:0"]
    file["conv2d_2/conv2d_2/kernel:0"] = np.zeros((5, 5, 64, 127), np.float32)


def replace_bias(file, **how) -> None:
    del file["conv2d_2/conv2d_2/bias:0"]
    file["conv2d_2/conv2d_2"].create_dataset("bias:0", (128,), **how)


DAMAGE = {
    "the weight conv2d_5/bias is missing": lambda f: f["conv2d_5/conv2d_5"].pop("bias:0"),
    "the weight conv2d_9/kernel is missing": lambda f: f.pop("conv2d_9"),
    "the layer conv2d_5 is missing": lambda f: forget(f, "conv2d_5"),
    "the layer conv2d_12 is missing": lambda f: forget(f, "conv2d_12"),
    "the layer instance_normalization_11 is missing": lambda f: forget(f, "instance_normalization_11"),
    "the layer conv2d_13 is one too many": lambda f: f.copy("conv2d_12", "conv2d_13"),
    "the layer dense_1 is none of it": lambda f: f.create_dataset("dense_1/dense_1/kernel:0", data=np.zeros((3, 4))),
    "the weight conv2d_3/more is one too many": lambda f: f["conv2d_3/conv2d_3"].create_dataset("more:0", data=[1.0]),
    r"the weight conv2d_2/kernel is \(5, 5, 64, 127\) and should be \(5, 5, 64, 128\)": reshape,
    r"the weight conv2d_2/bias has no numbers of its own \(object\)": partial(replace_bias, dtype=h5py.string_dtype()),
    r"the weight conv2d_2/bias has no numbers of its own \(\|S8\)": partial(replace_bias, dtype="S8"),
    r"the weight conv2d_2/bias has no numbers of its own \(int32\)": partial(replace_bias, dtype="i4"),
    r"the weight conv2d_2/bias has no numbers of its own \(float32\)": partial(
        replace_bias, dtype="f4", external=[("/dev/zero", 0, 512)]
    ),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_the_first_misfit_is_named(golden_file, tmp_path, message):
    path = tmp_path / "damaged.h5"
    path.write_bytes(golden_file("cs766_disc").read_bytes())
    with h5py.File(path, "a") as file:
        DAMAGE[message](file)
    refused(path, rf"not a whole LipGAN discriminator \(mel\): {message}")


def refused(path, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        load_network(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("keep", [100, 5000, 0.5, -1000])
def test_a_file_cut_short_is_refused(golden_file, tmp_path, keep):
    whole = golden_file("cs766_disc").read_bytes()
    path = tmp_path / "cut.h5"
    path.write_bytes(whole[: keep if keep != 0.5 else len(whole) // 2])
    refused(path, "cut short or damaged")


def test_other_hdf5_files_are_refused(tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["dense_1/dense_1/kernel:0"] = np.zeros((3, 4))
    refused(path, "none of LipGAN's networks")
    with h5py.File(path, "w"):
        pass
    refused(path, "without a weight")


@pytest.mark.parametrize("names", [5, 1.5, np.arange(3), b"\xff\xfe", [b"\xff"], h5py.Empty("f")])
def test_attributes_of_any_type_are_a_line(tmp_path, names):
    path = tmp_path / "crafted.h5"
    with h5py.File(path, "w") as file:
        file["conv2d_1/conv2d_1/kernel:0"] = np.zeros((3, 4), np.float32)
        file.attrs["layer_names"] = names
    refused(path, "cut short or damaged|none of LipGAN's networks")


def test_a_file_cannot_claim_more_than_it_holds(tmp_path):
    """A dataset that was never written takes no room in the file, and all that it claims in memory."""
    path = tmp_path / "crafted.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("conv2d_1/conv2d_1/kernel:0", (3, 3, 10_000, 10_000), "f4", fillvalue=1.0)
    refused(path, "bytes that claim to hold 3600000000")


def test_model_weights_that_are_no_group_are_a_line(tmp_path):
    path = tmp_path / "crafted.h5"
    for content in (np.zeros(3), h5py.ExternalLink("/dev/zero", "/"), h5py.SoftLink("/nowhere")):
        with h5py.File(path, "w") as file:
            file["model_weights"] = content
        refused(path, "cut short or damaged|without a weight")


def test_the_authors_generator_is_no_discriminator(golden_file):
    with pytest.raises(InputError, match="this is a discriminator, and a generator is wanted"):
        load_generator(golden_file("cs766_disc"))
