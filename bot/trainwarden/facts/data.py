"""The data pipeline: sources, splits, order, sampling, limits, transforms, normalisation."""

from __future__ import annotations

import re

from trainwarden.facts.reading import (
    Call,
    CallHandler,
    Extractor,
    FactKind,
    Reading,
    bare,
    every,
    fact_of_keyword,
    words,
)
from trainwarden.parse.nodes import Node

# -- loaders

_LOADER = (
    "dataset batch_size shuffle sampler batch_sampler num_workers collate_fn pin_memory drop_last timeout"
    " worker_init_fn multiprocessing_context generator"
)
_LOADER_ORDER = tuple(_LOADER.split())
_LOADER_FACTS = {
    "dataset": "data.dataset",
    "batch_size": "data.batch_size",
    "shuffle": "data.shuffle",
    "sampler": "data.sampler",
    "batch_sampler": "data.sampler",
    "num_workers": "data.workers",
    "worker_init_fn": "data.worker_init",
    "collate_fn": "data.collate",
    "drop_last": "data.drop_last",
    "generator": "data.generator",
    "seed": "data.seed",
}
_SAMPLERS = {
    "DistributedSampler": "dataset num_replicas rank shuffle seed drop_last",
    "RandomSampler": "data_source replacement num_samples generator",
    "SequentialSampler": "data_source",
    "SubsetRandomSampler": "indices generator",
    "WeightedRandomSampler": "weights num_samples replacement generator",
    "BatchSampler": "sampler batch_size drop_last",
    "RASampler": "dataset num_replicas rank shuffle",
    "RepeatAugSampler": "dataset num_replicas rank shuffle",
    "GroupedLengthSampler": "batch_size dataset lengths",
    "LengthGroupedSampler": "batch_size dataset lengths",
    "DistributedLengthGroupedSampler": "batch_size dataset",
    "StatefulDistributedSampler": "dataset num_replicas rank shuffle seed drop_last",
}


def _loader(reading: Reading, call: Call) -> None:
    subject = reading.target(call.node)
    for word, value in call.named(_LOADER_ORDER):
        reading.say(
            _LOADER_FACTS.get(word, "data.loader_option"), value, value, _join(subject, word, _LOADER_FACTS)
        )


def _join(subject: str, word: str, known: dict[str, str]) -> str:
    return subject if word in known else " ".join(filter(None, [subject, word]))


def _sampler(reading: Reading, call: Call) -> None:
    subject = reading.target(call.node)
    reading.add("data.sampler", call.node, call.name, subject)
    for word, value in call.named(tuple(_SAMPLERS[call.last].split())):
        name = {"shuffle": "data.shuffle", "drop_last": "data.drop_last", "weights": "data.weights"}.get(word)
        reading.say(name or f"sampler.{word}", value, value, subject)


# -- operations on data sets

_DATA = re.compile(
    r"data|(^|[\s_])(ds|dset|train|val|valid|test|examples?|samples?|records?|corpus|tokens|images|texts|lines|rows|files"
    r"|paths|shards?|split|splits|indices|idxs?)\b|load_dataset|\bdf\b|read_(csv|json|parquet)|imagefolder|mnist|cifar"
)
_NO_DATA = re.compile(
    r"\[\*\]|metadata|dataclass|data_parallel|database|loss|logits|shape|updated|metric|hidden|argv"
)


def _is_data(reading: Reading, node: Node | None) -> bool:
    if node is None:
        return False
    words = reading.role(node)
    first = words.split(" ", 1)[0]
    return bool(_DATA.search(words)) and not _NO_DATA.search(first)


def _on_data(name: str) -> CallHandler:
    """A handler for a method that counts where it is called on a data set."""

    def handle(reading: Reading, call: Call) -> None:
        if call.owner is not None and _is_data(reading, call.owner):
            reading.add(name, call.node, f"{call.last}({reading.arguments(call)})", reading.text(call.owner))

    return handle


_SHUFFLE, _SUBSET, _BATCH = _on_data("data.shuffle"), _on_data("data.subset"), _on_data("data.batch_size")
_FILTER, _MAP, _REPEAT = _on_data("data.filter"), _on_data("data.map"), _on_data("data.repeat")
_SHARD = _on_data("data.shard")


def _shuffle(reading: Reading, call: Call) -> None:
    if call.name.startswith(("random.", "numpy.random.", "np.random.")) or call.ends(
        "rng.shuffle", "default_rng().shuffle"
    ):
        reading.add("data.shuffle", call.node, reading.arguments(call), call.name)
    else:
        _SHUFFLE(reading, call)


def _permutation(reading: Reading, call: Call) -> None:
    reading.add("data.permutation", call.node, reading.arguments(call), call.name)


def _split(reading: Reading, call: Call) -> None:
    subject = reading.target(call.node)
    reading.add("data.split", call.node, f"{call.last}({reading.arguments(call)})", subject)


def _subset(reading: Reading, call: Call) -> None:
    reading.add(
        "data.subset", call.node, f"{call.last}({reading.arguments(call)})", reading.target(call.node)
    )


def _subscript(reading: Reading, node: Node) -> None:
    """A slice of something that holds examples, or the name of a split as its key."""
    owner = node.children[0]
    index = node.children[1] if len(node.children) > 1 else None
    if index is None:
        return
    if index.kind == "slice" and _bounds(index) and _is_data(reading, owner):
        reading.add("data.subset", node, f"[{reading.value(index)}]", reading.text(owner))
    elif index.kind == "string" and index.value in _SPLITS and _is_data(reading, owner):
        reading.add("data.split", node, index.value, reading.text(owner))


_SPLITS = words("train test val valid validation dev eval training train_sft test_sft")


def _bounds(index: Node) -> bool:
    """A slice that limits: a bound that is not just the shift by one."""
    return any(part.kind != "none" and part.value not in ("1", "-1") for part in index.children)


# -- sources


def _load_dataset(reading: Reading, call: Call) -> None:
    subject = reading.target(call.node)
    for word, value in call.named(("path", "name")):
        name = {
            "path": "data.source",
            "name": "data.source",
            "revision": "data.revision",
            "split": "data.split",
        }.get(word)
        reading.say(name or "data.source_option", value, value, subject if name else word)


def _source(reading: Reading, call: Call) -> None:
    if call.positional:
        shown = f"{call.last}({reading.arguments(call)})"
        reading.add("data.source", call.node, shown, reading.target(call.node))


_KEYWORDS = {
    "split": "data.split",
    "shuffle": "data.shuffle",
    "drop_last": "data.drop_last",
    "num_workers": "data.workers",
    "worker_init_fn": "data.worker_init",
    "batch_size": "data.batch_size",
    "collate_fn": "data.collate",
    "data_collator": "data.collate",
    "revision": "data.revision",
    "transform": "data.transform",
    "target_transform": "data.transform",
    "max_samples": "data.subset",
    "max_train_samples": "data.subset",
    "max_eval_samples": "data.subset",
    "num_samples": "data.subset",
    "limit_train_batches": "data.subset",
    "limit_val_batches": "data.subset",
    "overfit_batches": "data.subset",
    "test_size": "data.split",
    "train_size": "data.split",
    "attention_mask": "data.attention_mask",
    "position_ids": "data.position_ids",
}


def _keyword(reading: Reading, node: Node) -> None:
    found = fact_of_keyword(node, _KEYWORDS)
    if found is not None and found[1] not in _OWN:
        reading.say(found[0], node, node.children[0], bare(found[1]))


_OWN = frozenset(
    {"DataLoader", "StatefulDataLoader", "load_dataset", "train_test_split", *_SAMPLERS, "add_argument"}
)


# -- transforms

_RANDOM = (
    "RandomResizedCrop RandomCrop RandomHorizontalFlip RandomVerticalFlip RandomRotation RandomErasing"
    " RandomGrayscale RandomAffine RandomPerspective RandomApply RandomChoice RandomOrder RandomInvert"
    " RandomPosterize RandomSolarize RandomEqualize RandomAutocontrast RandomAdjustSharpness ColorJitter"
    " GaussianBlur AutoAugment RandAugment TrivialAugmentWide AugMix Mixup CutMix MixUp Resize CenterCrop"
    " FiveCrop TenCrop Pad Grayscale ToTensor PILToTensor ConvertImageDtype ToPILImage HorizontalFlip"
    " VerticalFlip ShiftScaleRotate CoarseDropout HueSaturationValue create_transform rand_augment_transform"
    " auto_augment_transform augment_and_mix_transform SpecAugment TimeMasking FrequencyMasking"
    " RandomResizedCropAndInterpolation Solarization"
)
_NORMALISE = {"Normalize": ("mean", "std"), "normalize": ("tensor", "mean", "std")}


def _transform(reading: Reading, call: Call) -> None:
    reading.add("data.transform", call.node, reading.arguments(call), call.last)


def _normalise(reading: Reading, call: Call) -> None:
    for word, value in call.named(_NORMALISE[call.last]):
        if word in ("mean", "std"):
            reading.say(f"normalise.{word}", value, value, reading.target(call.node))


def _comprehension(reading: Reading, node: Node) -> None:
    """``[x for x in examples if test]``: examples are left out."""
    for clause in node.children[1:]:
        if clause.kind == "comp_for" and len(clause.children) > 2 and _is_data(reading, clause.children[1]):
            tests = " and ".join(map(reading.text, clause.children[2:]))
            reading.add("data.filter", node, tests, reading.text(clause.children[1]))


EXTRACTOR = Extractor(
    name="data",
    facts=(
        FactKind("data.source", "where the data come from: path, name, URL, reader", "text"),
        FactKind("data.revision", "the pinned revision of a data set or model", "text"),
        FactKind("data.source_option", "another option of loading a data set; subject: which"),
        FactKind("data.split", "which split is read, or how the data are split"),
        FactKind("data.dataset", "the data set a loader reads"),
        FactKind("data.shuffle", "whether or how the data are shuffled"),
        FactKind("data.permutation", "a random order is drawn", "arguments"),
        FactKind("data.sampler", "the sampler, or what a loader is given as one"),
        FactKind("data.weights", "sampling weights"),
        FactKind("sampler.*", "an argument of a sampler by its name (num_replicas, rank, seed ...)"),
        FactKind("data.generator", "the random generator of a loader"),
        FactKind("data.seed", "the seed given to a loader"),
        FactKind("data.workers", "number of loader processes", "number"),
        FactKind("data.worker_init", "what each loader process runs first"),
        FactKind("data.drop_last", "whether an incomplete last batch is dropped", "True or False"),
        FactKind("data.batch_size", "batch size", "number"),
        FactKind("data.collate", "how examples are put together into a batch"),
        FactKind("data.loader_option", "another option of a loader; subject: which"),
        FactKind("data.subset", "a part of the data is taken: slice, Subset, select, take, limit"),
        FactKind("data.filter", "examples are filtered", "call"),
        FactKind("data.map", "a function is applied to all examples", "call"),
        FactKind("data.repeat", "the data are repeated", "call"),
        FactKind("data.shard", "the data are divided over processes", "call"),
        FactKind("data.transform", "one augmentation or preprocessing step; subject: its class", "arguments"),
        FactKind("data.attention_mask", "the attention mask given to a call; subject: the call"),
        FactKind("data.position_ids", "the positions given to a call; subject: the call"),
        FactKind("normalise.mean", "the mean inputs are normalised with"),
        FactKind("normalise.std", "the standard deviation inputs are normalised with"),
    ),
    calls={
        **every("DataLoader StatefulDataLoader DataLoader2 MultiEpochsDataLoader FastDataLoader", _loader),
        **every(" ".join(_SAMPLERS), _sampler),
        **every("shuffle", _shuffle),
        **every("permutation randperm", _permutation),
        **every("random_split train_test_split split_dataset KFold StratifiedKFold", _split),
        **every("Subset get_subset get_subset_", _subset),
        **every("select take skip head islice limit sample", _SUBSET),
        **every("batch padded_batch", _BATCH),
        **every("filter", _FILTER),
        **every("map", _MAP),
        **every("repeat", _REPEAT),
        **every("shard split_dataset_by_node split_by_node", _SHARD),
        **every("load_dataset load_from_disk", _load_dataset),
        **every(
            "ImageFolder DatasetFolder read_csv read_json read_parquet TFRecordDataset WebDataset memmap"
            " list_files",
            _source,
        ),
        **every(
            "MNIST CIFAR10 CIFAR100 ImageNet FashionMNIST STL10 SVHN CocoDetection FakeData create_dataset",
            _source,
        ),
        **every(_RANDOM, _transform),
        **dict.fromkeys(_NORMALISE, _normalise),
    },
    kinds={
        "keyword": _keyword,
        "subscript": _subscript,
        "listcomp": _comprehension,
        "setcomp": _comprehension,
        "genexp": _comprehension,
    },
)
