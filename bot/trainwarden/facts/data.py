"""The data pipeline: sources, splits, order, sampling, limits, transforms, normalisation, labels,
tokenisation.
"""

from __future__ import annotations

import re

from trainwarden.facts.reading import Call, CallHandler, Extractor, FactKind, Reading, bare, every, words
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


def _on_data(name: str, always: bool = False) -> CallHandler:
    """A handler for a method of a data set; ``always``: the method is not used on anything else."""

    def handle(reading: Reading, call: Call) -> None:
        if call.owner is not None and (always or _is_data(reading, call.owner)):
            reading.add(name, call.node, f"{call.last}({reading.arguments(call)})", reading.text(call.owner))

    return handle


_SHUFFLE, _SUBSET, _BATCH = _on_data("data.shuffle"), _on_data("data.subset"), _on_data("data.batch_size")
_FILTER, _MAP, _REPEAT = _on_data("data.filter"), _on_data("data.map"), _on_data("data.repeat")
_SHARD, _MASK = _on_data("data.shard"), re.compile(r"label|target|\blm_|masked")


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
        reading.add("data.subset", node, f"[{reading.text(index)}]", reading.text(owner))
    elif index.kind == "string" and index.value in _SPLITS and _is_data(reading, owner):
        reading.add("data.split", node, index.value, reading.text(owner))


_SPLITS = words("train test val valid validation dev eval training train_sft test_sft")


def _bounds(index: Node) -> bool:
    """A slice that limits: a bound that is not just the shift by one."""
    return any(part.kind != "none" and part.value not in ("1", "-1") for part in index.children)


# -- sources

_LOADED = re.compile(
    r"(^|\.)(data|dataset|datasets|tfds|webdataset|wds|torchvision|streaming)\b|pandas|read_|load"
)


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
    "truncation": "tokenizer.truncation",
    "padding": "tokenizer.padding",
    "padding_side": "tokenizer.padding_side",
    "truncation_side": "tokenizer.truncation_side",
    "add_special_tokens": "tokenizer.add_special_tokens",
    "add_generation_prompt": "tokenizer.add_generation_prompt",
    "chat_template": "tokenizer.chat_template",
    "max_length": "tokenizer.max_length",
    "max_seq_length": "tokenizer.max_length",
    "model_max_length": "tokenizer.max_length",
    "skip_special_tokens": "tokenizer.skip_special_tokens",
    "pad_token_id": "tokenizer.pad_token_id",
    "eos_token_id": "tokenizer.eos_token_id",
    "bos_token_id": "tokenizer.bos_token_id",
    "attention_mask": "data.attention_mask",
    "position_ids": "data.position_ids",
}


def _keyword(reading: Reading, node: Node) -> None:
    call = node.parent
    name = _KEYWORDS.get(node.value)
    if name is None or call is None or call.kind != "call":
        return
    last = call.function.name.rpartition(".")[2]
    if last in _OWN or (
        name == "tokenizer.padding"
        and last.startswith(("Conv", "MaxPool", "AvgPool", "Unfold", "pad", "conv"))
    ):
        return
    reading.say(name, node, node.children[0], bare(last))


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


# -- writes to labels, batches, tokenizers

_LABEL = re.compile(
    r"(^|[\s_.])(labels?|targets?|gts?|ground_truth|label_ids|classes|one_?hot|\[labels?\])([\s_]|$)|\[(labels?|targets?|y)\]$"
)
_BATCH_NAME = re.compile(
    r"(^|[\s_])(batch|inputs?|input_ids|images?|pixel_values|samples?|features|attention_mask|x)(\[|\s|$)"
)
_TOKENIZER = words(
    "padding_side truncation_side pad_token pad_token_id eos_token eos_token_id bos_token bos_token_id"
    " unk_token unk_token_id mask_token mask_token_id sep_token cls_token model_max_length chat_template"
    " add_eos_token add_bos_token"
)


def _assigned(reading: Reading, node: Node) -> None:
    operator = f"{node.value}= " if node.kind == "augassign" else ""
    for target in node.children[:-1]:
        if target.kind == "attribute" and target.value in _TOKENIZER:
            reading.say(
                f"tokenizer.{target.value}", node, node.children[-1], reading.text(target.children[0])
            )
        elif target.kind == "subscript" or (target.kind == "name" and operator):
            _written(reading, node, target, operator)


def _written(reading: Reading, node: Node, target: Node, operator: str) -> None:
    whole = target.children[0] if target.kind == "subscript" else target
    words = f"{reading.role(whole)} {target.name.lower()}"
    if _LABEL.search(words):
        value = node.children[-1]
        name = "label.mask" if reading.text(value) == "-100" else "label.write"
        reading.add(name, node, f"{operator}{reading.text(value)}", reading.text(target))
    elif target.kind == "subscript" and _BATCH_NAME.search(words):
        reading.add("batch.write", node, f"{operator}{reading.text(node.children[-1])}", reading.text(target))


def _masked_fill(reading: Reading, call: Call) -> None:
    value = call.positional[-1] if call.positional else None
    if value is not None and reading.text(value) == "-100":
        subject = reading.text(call.owner) if call.owner is not None else ""
        reading.add("label.mask", call.node, reading.arguments(call), subject)


def _label_method(reading: Reading, call: Call) -> None:
    """In-place methods on labels or batches: ``labels.fill_(0)``, ``y.random_(0, 10)``,
    ``labels.scatter_``.
    """
    if call.owner is None:
        return
    words = reading.role(call.owner)
    if _LABEL.search(words):
        reading.add(
            "label.write", call.node, f"{call.last}({reading.arguments(call)})", reading.text(call.owner)
        )
    elif _BATCH_NAME.search(words):
        reading.add(
            "batch.write", call.node, f"{call.last}({reading.arguments(call)})", reading.text(call.owner)
        )


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
        FactKind("label.write", "labels are written; subject: which"),
        FactKind("label.mask", "labels are set to -100 so that they do not count; subject: which"),
        FactKind("batch.write", "inputs of a batch are written; subject: which"),
        FactKind(
            "tokenizer.*", "an option of the tokenizer by its name (padding_side, truncation, eos_token ...)"
        ),
    ),
    calls={
        **every("DataLoader StatefulDataLoader DataLoader2 MultiEpochsDataLoader FastDataLoader", _loader),
        **every(" ".join(_SAMPLERS), _sampler),
        **every("shuffle", _shuffle),
        **every("permutation randperm", _permutation),
        **every("random_split train_test_split split_dataset KFold StratifiedKFold", _split),
        **every("Subset", _subset),
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
        **every("masked_fill masked_fill_", _masked_fill),
        **every(
            "fill_ zero_ random_ scatter_ index_fill_ copy_ masked_scatter_ uniform_ normal_ bernoulli_",
            _label_method,
        ),
    },
    kinds={"keyword": _keyword, "subscript": _subscript, "assign": _assigned, "augassign": _assigned},
)
