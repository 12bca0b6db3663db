"""What only a GPU can tell, in one call of under nine minutes: is it right, how fast is it, what does it learn?

PYTHONPATH=. python benchmarks/gpu.py --shards DIR [--out DIR] [--minutes 8.7] [--parts machine checks step loader ...]
    [--width 0.5 --most-channels 128 --batch-size 128 --learning-rate 5e-4 --adversarial --quality-weight 0.004
     --start-from WEIGHTS --workers 8 --compile]          of what is trained
    [--tiny --device cpu]                                 a rehearsal with tiny numbers, where there is no GPU
PYTHONPATH=. python benchmarks/gpu.py --pack SHARDS DIR   shards that travel: see below

Parts, each a process of its own that is ended when its time is up; what it found until then is kept:
    machine   which GPU it is, and the rate that it reaches in matrix products and convolutions
    checks    tests/gpu
    step      the full GAN step: widths, batch sizes, as it is, compiled, and with CUDA graphs; its share of that rate
    loader    the loader alone, the same with faces brought to the device and varied there, from JPEGs and from faces
              held decoded, and the whole training: with all cores, and with two of them as Colab's T4 machine has
    train     the minutes that are left: a generator, the last of them against the quality discriminator
report.json and report.txt grow as it goes; checks.txt, parts.log, generator.safetensors (in half precision), log.csv,
log-finish.csv and preview.png lie beside them in --out (by default the folder that OUT names, or else build/gpu).

It needs torch, numpy, cv2, safetensors, tqdm, xxhash, scipy, pillow, matplotlib and pytest, and neither MediaPipe nor
PyAV. On a machine that takes only a copy of the checkout, of 64 MB at most, the shards go along in .gpu/, which git
ignores:

    PYTHONPATH=. python benchmarks/gpu.py --pack SHARDS .gpu/shards
    PYTHONPATH=. PYTHONUNBUFFERED=1 python3 benchmarks/gpu.py --shards .gpu/shards      (there; give it 580 s)

`--pack` writes the JPEGs anew at a quality of 85, leaves mesh, voice and mel out (so: speech mfcc), and takes at most
100 clips of a speaker. Clips of assets/starter_held_out.txt must not be in SHARDS, and are refused.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from training import loader_rate, peak, random_batch

from lipgan_colab.corpora.subset import read_ids
from lipgan_colab.device import describe, fast_dtype, pick_device, synchronize
from lipgan_colab.errors import InputError
from lipgan_colab.memory import keep_freed_memory
from lipgan_colab.models.pretrained import ASSETS
from lipgan_colab.models.weights import EXPORT, load_generator, save_generator
from lipgan_colab.shards.dataset import LipSyncDataset
from lipgan_colab.shards.manifest import needed_shards, write_manifest
from lipgan_colab.shards.shard_file import UtteranceRecord, read_metadata, read_records, write_shard
from lipgan_colab.training.feed import feed, hold_frames
from lipgan_colab.training.runs import LOG, read_log
from lipgan_colab.training.step import Networks, TrainConfig, build_networks, train_step
from lipgan_colab.training.train import train

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("machine", "checks", "step", "loader", "train")
LONGEST = {"machine": 40, "checks": 130, "step": 140, "loader": 90}  # seconds; training gets the rest
CLOSING, STARTING = 20, 25  # seconds kept for the end, and for a process to begin, save and export
FILE_LIMIT = 16 << 20  # bytes: larger files do not come back
RUN = Path(tempfile.gettempdir(), "lipgan-gpu")  # too large to come back
COLAB_CORES = 2
FINISH = 0.3  # of the training's time is spent against the quality discriminator
QUALITY, MOST_CLIPS = 85, 100  # of --pack


def main() -> None:
    args = parsed()
    if args.pack:
        return pack(*map(Path, args.pack))
    args.out.mkdir(parents=True, exist_ok=True)
    if args.part:
        return run_part(args)
    for old in (args.out / name for name in ("report.json", "parts.log", "checks.txt")):
        old.unlink(missing_ok=True)
    shutil.rmtree(RUN, ignore_errors=True)
    end = time.monotonic() + args.minutes * 60 - CLOSING
    for part in args.parts:
        left = end - time.monotonic()
        longest = left if part == "train" else min(left, LONGEST[part])
        if longest < STARTING:
            note(args.out, part, {"error": "no time was left for it"})
            continue
        began = time.monotonic()
        trouble = loaders(args, longest) if part == "loader" else watched(part, longest, args.out)
        note(args.out, part, {"took": f"{time.monotonic() - began:.0f} s", **({"error": trouble} if trouble else {})})
        if part in ("checks", "train"):
            note(args.out, part, checked(args.out) if part == "checks" else brought_back(args.out))
    print((args.out / "report.txt").read_text())


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=Path)
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT") or ROOT / "build" / "gpu"))
    parser.add_argument("--minutes", type=float, default=8.7, help="for all of it")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--device")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--width", type=float, default=0.5)
    parser.add_argument("--most-channels", type=int, default=128, help="so that the generator fits into a file")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--adversarial", action="store_true")
    parser.add_argument("--quality-weight", type=float, default=0.004, help="in the last part; 0: there is none")
    parser.add_argument("--start-from")
    parser.add_argument("--compile", action="store_true", help="what is trained")
    parser.add_argument("--workers", type=int, help="of what is trained")
    parser.add_argument("--pack", nargs=2, metavar=("SHARDS", "DIR"))
    parser.add_argument("--part", choices=["machine", "checks", "step", "loop", "train"], help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    return parser.parse_args()


# What holds the parts together


def watched(part: str, longest: float, out: Path, *options: str, cores: int | None = None) -> str | None:
    """Run a part, and end it and all that it has started after so many seconds; returns what was wrong, if anything."""
    command = [sys.executable, *sys.argv, "--part", part, "--seconds", f"{longest:.0f}", *options]
    all_cores = os.sched_getaffinity(0)
    with (out / "parts.log").open("a") as log:
        print(f"\n=== {part} {' '.join(options)}", file=log, flush=True)
        try:
            os.sched_setaffinity(0, sorted(all_cores)[:cores])  # handed down before any library counts the cores
            process = subprocess.Popen(command, stdout=log, stderr=log, process_group=0)
        finally:
            os.sched_setaffinity(0, all_cores)
        try:
            status = process.wait(longest)
        except subprocess.TimeoutExpired:
            status = None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # whatever still runs, loaders among it
        process.wait()
    if status is None:
        return "its time was up"
    return f"ended with status {status}, see parts.log" if status else None


def note(out: Path, part: str, found: dict) -> None:
    """Add to the report, of which both forms are written anew."""
    path = out / "report.json"
    report = json.loads(path.read_text()) if path.exists() else {}
    for name, value in found.items():
        old = report.setdefault(part, {}).get(name)
        report[part][name] = old + value if isinstance(old, list) else value
    path.write_text(json.dumps(report, indent=1))
    lines = []
    for name, about in report.items():
        lines.append(f"\n{name}")
        for key, value in about.items():
            rows = value if isinstance(value, list) else [value]
            lines += [f"  {key:10} {_told(row)}" for row in rows]
    (out / "report.txt").write_text("\n".join(lines).lstrip() + "\n")
    print(part, json.dumps(found), flush=True)


def _told(row) -> str:
    return "  ".join(f"{k} {v}" for k, v in row.items()) if isinstance(row, dict) else str(row)


def run_part(args: argparse.Namespace) -> None:
    args.until = time.monotonic() + args.seconds
    args.device = pick_device(args.device)
    keep_freed_memory()
    torch.backends.cudnn.benchmark = True
    parts = {"machine": machine, "checks": checks, "step": steps, "loop": loop, "train": trained}
    parts[args.part](args)


def tried(args: argparse.Namespace, part: str, about: dict, work) -> dict:
    """Note what `work` finds, or the error that it ends with."""
    try:
        found = work()
    except Exception as error:
        traceback.print_exc()
        found = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
    note(args.out, part, {"measured": [about | found]})
    return found


# The parts


def machine(args: argparse.Namespace) -> None:
    """What it is, and how fast by the yardstick of benchmarks/training.py."""
    device, dtype = args.device, fast_dtype(args.device)
    about = {
        "device": describe(device),
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}, CUDA {torch.version.cuda}",
        "cores": f"{len(os.sched_getaffinity(0))} of {os.cpu_count()}",
        "precision": str(dtype),
    }
    note(args.out, "machine", about)
    for each in dict.fromkeys((dtype, torch.float32)):
        repeats = 2 if args.tiny else 5
        tried(args, "machine", {}, lambda t=each, r=repeats: {f"TFLOP/s {t}": round(peak(device, t, r) / 1e12, 2)})


def checks(args: argparse.Namespace) -> None:
    """tests/gpu."""
    options = ["-o", "addopts=", "-p", "no:cacheprovider", "-v", "-m", "gpu", "--tb=short", "-rA"]
    if args.tiny:
        options += ["-k", "not compiled and not (float16 and not bfloat16)"]  # these take a CPU minutes
    rehearsal = {} if args.device.type == "cuda" else {"LIPGAN_GPU_REHEARSAL": str(args.device)}
    with (args.out / "checks.txt").open("w") as file:
        command = [sys.executable, "-m", "pytest", *options, str(ROOT / "tests" / "gpu")]
        subprocess.run(command, stdout=file, stderr=file, env=os.environ | rehearsal, cwd=ROOT, check=False)


def checked(out: Path) -> dict:
    """What the tests told, also where they were ended."""
    lines = (out / "checks.txt").read_text().splitlines() if (out / "checks.txt").exists() else []
    verdicts = ("PASSED", "FAILED", "ERROR", "SKIPPED")
    told = [line for line in lines if line.startswith(verdicts)] or [n for n in lines if any(v in n for v in verdicts)]
    return {"result": lines[-1] if lines else "nothing", "tests": told}


def steps(args: argparse.Namespace) -> None:
    """What matters most comes first: the time may be up before the end."""
    if args.tiny:
        return step(args, 0.05, 4, "plain", 1)
    first, *others = 128, 256, 512, 64
    plans = [(0.5, first, "plain"), (1.0, first, "plain")]
    plans += [(width, size, "plain") for size in others for width in (0.5, 1.0)]
    plans += [(width, first, way) for width in (0.5, 1.0) for way in ("compiled", "graphs")]
    for plan in plans:
        step(args, *plan)


def step(args: argparse.Namespace, width: float, batch_size: int, way: str, repeats: int = 10) -> None:
    """The full GAN step, with both discriminators, at one width and size, in the fast precision."""
    device, dtype = args.device, fast_dtype(args.device)
    config = TrainConfig(batch_size=batch_size, width=width, adversarial=True, quality_weight=0.004)

    def measured() -> dict:
        networks = build_networks(config, device, dtype)
        networks.generator.train()
        batch = random_batch(config, device)
        with FlopCounterMode(display=False) as counter:
            train_step(networks, batch, config, 0)
        flops = counter.get_total_flops() / batch_size
        _compile(networks, way)

        def once() -> None:
            torch.compiler.cudagraph_mark_step_begin()
            train_step(networks, batch, config, 0)

        began = time.perf_counter()
        for _ in range(1 if args.tiny else 4):
            once()
        synchronize()
        ready = time.perf_counter() - began
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        speed = batch_size / seconds_each(once, repeats)
        memory = f"{torch.cuda.max_memory_allocated() / 1e9:.1f} GB" if device.type == "cuda" else "unknown"
        rate = peak(device, dtype, 3)  # measured beside it: a shared machine is not equally fast all the time
        return {
            "samples/s": round(speed, 1),
            "share": f"{flops * speed / rate:.1%} of {rate / 1e12:.2f} TFLOP/s",
            "GFLOP/sample": round(flops / 1e9, 2),
            "memory": memory,
            "ready after": f"{ready:.1f} s",
        }

    tried(args, "step", {"width": width, "batch": batch_size, "way": way}, measured)
    torch.compiler.reset()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def seconds_each(work: Callable[[], object], repeats: int) -> float:
    """Seconds of a call among others: nothing is waited for between them, as in training."""
    synchronize()
    began = time.perf_counter()
    for _ in range(repeats):
        work()
    synchronize()
    return (time.perf_counter() - began) / repeats


def _compile(networks: Networks, way: str) -> None:
    if way == "compiled":
        networks.compile()
    elif way == "graphs":
        for network in (networks.generator, networks.discriminator, networks.quality):
            network.compile(mode="reduce-overhead")


def loaders(args: argparse.Namespace, longest: float) -> str | None:
    """The loader and the whole training, on two cores and on all; each in a process of its own."""
    plans = [(COLAB_CORES, 1)] if args.tiny else [(COLAB_CORES, 2), (None, 8), (None, 14), (None, 2)]
    until, troubles = time.monotonic() + longest, []
    for number, (cores, workers) in enumerate(plans):
        share = (until - time.monotonic()) / (len(plans) - number)
        trouble = watched("loop", share, args.out, "--workers", str(workers), cores=cores)
        troubles += [f"{cores or 'all'} cores, {workers} workers: {trouble}"] if trouble else []
    return "; ".join(troubles) or None


def loop(args: argparse.Namespace) -> None:
    """The loader alone, and the whole training, with the cores that this process has."""
    about = {"cores": len(os.sched_getaffinity(0)), "workers": args.workers}
    config = training_config(args, 1_000_000)
    count = 3 if args.tiny else 40

    def alone() -> dict:
        return {"loader samples/s": round(loader_rate(str(args.shards), config, args.workers, count))}

    def fed(cache: str) -> dict:
        dataset = LipSyncDataset(args.shards, config.seed, config.speech, references=config.references)
        batches = feed(dataset, hold_frames(dataset, cache, args.device), 0, config, args.device, args.workers)
        next(batches)
        return {"fed samples/s": round(config.batch_size / seconds_each(lambda: next(batches), count))}

    def whole() -> dict:
        return {"training samples/s": round(training_rate(args, config, 3 if args.tiny else 8), 1)}

    tried(args, "loader", about, alone)
    for cache in ("none", "device"):
        tried(args, "loader", about | {"cache": cache}, lambda cache=cache: fed(cache))
    tried(args, "loader", about, whole)


def training_rate(args: argparse.Namespace, config: TrainConfig, for_seconds: float) -> float:
    """Samples/s of the whole training, once it is under way."""
    with tempfile.TemporaryDirectory() as folder:
        run_for(args, Path(folder, "run"), config, for_seconds, log_every=1 if args.tiny else 10)
        return rate_of(Path(folder, "run"))


def rate_of(run: Path) -> float:
    """Samples/s by a run's log, without its beginning."""
    rates = [float(line["samples_per_second"]) for line in read_log(run / LOG)]
    settled = rates[len(rates) // 3 :]  # each of as many samples, so that it is their times that add up
    return len(settled) / sum(1 / rate for rate in settled)


def run_for(args: argparse.Namespace, run: Path, config: TrainConfig, for_seconds: float, **options) -> None:
    """Train for some time."""
    options = {"save_minutes": 2, "preview_every": 10_000, "workers": args.workers, "compile": args.compile} | options
    train(args.shards, run, config, args.device, max_hours=for_seconds / 3600, **options)


def training_config(args: argparse.Namespace, steps: int) -> TrainConfig:
    if args.tiny:
        return TrainConfig(steps=steps, width=0.05, batch_size=4, warmup=10)
    return TrainConfig(
        steps=steps,
        width=args.width,
        most_channels=args.most_channels,
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        adversarial=args.adversarial,
    )


def trained(args: argparse.Namespace) -> None:
    """All the time that is left: first plain, then against the quality discriminator, each down to the learning rate's
    end as far as the time can be told beforehand."""
    config = training_config(args, 1_000_000)
    rate = training_rate(args, config, 3 if args.tiny else 10)
    share = 1 - FINISH if args.quality_weight else 1.0
    span = (args.until - time.monotonic() - STARTING) * share
    planned_run(args, "plain", config, rate, span, args.start_from)
    if args.quality_weight:
        config = replace(config, quality_weight=args.quality_weight, learning_rate=args.learning_rate * FINISH)
        span = args.until - time.monotonic() - STARTING
        planned_run(args, "finish", config, 0.7 * rate_of(RUN / "plain"), span, RUN / "plain")  # the judge takes time


def planned_run(
    args: argparse.Namespace, name: str, config: TrainConfig, rate: float, span: float, begun: str | Path | None
) -> None:
    """Train for as many steps as `span` seconds have at `rate` samples/s, nearly: the end is not to be cut off."""
    if span < 5:
        return note(args.out, "train", {name: "no time was left for it"})
    config = replace(config, steps=max(2, int(0.9 * rate * span / config.batch_size)))
    note(args.out, "train", {name: f"{span:.0f} s at {rate:.0f} samples/s: {config}"})
    run_for(args, RUN / name, config, span, start_from=begun, log_every=2 if args.tiny else 50)


def brought_back(out: Path) -> dict:
    """Copy what the training left, also where it was ended, to where it comes back from."""
    found = {}
    for name in ("plain", "finish"):
        run = RUN / name
        lines = read_log(run / LOG)
        if not lines:
            continue
        shutil.copy(run / LOG, out / ("log.csv" if name == "plain" else "log-finish.csv"))
        told = ("step", "samples", "minutes", "samples_per_second", "gpu_gb", "l1")
        found[f"{name} end"] = {column: lines[-1][column] for column in told}
        for picture in sorted(run.glob("previews/*.png"))[-1:]:
            shutil.copy(picture, out / "preview.png")
        if (run / EXPORT).exists():
            generator = load_generator(run)
            save_generator(out / EXPORT, generator, generator.about, half=True)
            size = (out / EXPORT).stat().st_size
            found["generator"] = f"{size / 1e6:.1f} MB, of {run.name}" + ("; TOO LARGE" if size > FILE_LIMIT else "")
    return found or {"error": "nothing was trained"}


# Shards that travel


def pack(source: Path, target: Path) -> None:
    """Write shards again that are small: see above."""
    held_out = {Path(line).with_suffix("") for line in read_ids(ASSETS / "starter_held_out.txt")}
    taken, records = Counter(), []
    for path in needed_shards(source):
        settings = read_metadata(path)["settings"] | {"jpeg_quality": QUALITY}
        for record in read_records(path):
            if Path(record.id).with_suffix("") in held_out:
                raise InputError(f"{path}: {record.id} is kept back; take it out of the shards")
            taken[record.speaker] += 1
            if taken[record.speaker] <= MOST_CLIPS:
                records.append(_small(record))
    target.mkdir(parents=True, exist_ok=True)
    write_shard(target / "shard-00000.safetensors", records, [], settings)
    about = write_manifest(target)
    size = sum(shard["bytes"] for shard in about["shards"])
    print(f"{target}: {about['utterances']} clips, {about['frames']} frames, {size / 1e6:.1f} MB")


def _small(record: UtteranceRecord) -> UtteranceRecord:
    jpegs = []
    for jpeg in record.jpegs:
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        jpegs.append(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())
    no_mel = np.full((80, 1), np.nan, np.float32)  # whoever trains with it finds out at once
    return replace(record, jpegs=jpegs, mel=no_mel, mesh=None, voice=None)


if __name__ == "__main__":
    main()
