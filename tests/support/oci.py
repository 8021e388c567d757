"""Small valid OCI image layouts, written from nothing but arguments.

The same arguments always give the same bytes, so digests can be compared between runs.

Most tests need one call::

    image = write_image(tmp_path / "layout", tag="1.0", layers=3, layer_size=10_000)
    image.digest, image.layers, image.config        # what must arrive in a registry

    index = write_index(tmp_path / "layout", tag="1.0", platforms=["linux/amd64", "linux/arm64"])
    index.digest, index.manifests                   # children first, the index last

`LayoutBuilder` is the piecewise form, for shared layers, artifacts, odd manifests and broken layouts.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from typing import TYPE_CHECKING, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
REF_NAME = "org.opencontainers.image.ref.name"

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"
Document: TypeAlias = dict[str, JSON]


@attrs.frozen(kw_only=True)
class Layer:
    """A layer's bytes as stored, and the digest of its uncompressed tar."""

    data: bytes
    diff_id: str
    media_type: str = OCI_LAYER_GZIP

    @property
    def digest(self) -> str:
        """The digest of the stored bytes."""
        return digest_of(self.data)


@attrs.frozen(kw_only=True)
class BuiltImage:
    """What was written for one image or index; every digest is `sha256:…`."""

    directory: Path
    digest: str
    """The root manifest (image manifest or index)."""
    media_type: str
    manifests: tuple[str, ...]
    """Every manifest, children first, the root last."""
    configs: tuple[str, ...]
    layers: tuple[str, ...]
    """Unique, in the order of the manifests."""
    descriptor: Document
    """The root's descriptor, as in `index.json` but without its reference."""

    @property
    def config(self) -> str:
        """The config of an image with one platform."""
        (config,) = self.configs
        return config

    def path(self, digest: str) -> Path:
        """The file of a blob or manifest."""
        algorithm, _, encoded = digest.partition(":")
        return self.directory / "blobs" / algorithm / encoded

    def read(self, digest: str) -> bytes:
        """The bytes of a blob or manifest."""
        return self.path(digest).read_bytes()


def digest_of(data: bytes) -> str:
    """Return `sha256:` and the hexadecimal digest of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def encode(document: JSON) -> bytes:
    """Encode a document the way the layouts here hold it: keys in the order given, no spaces."""
    return json.dumps(document, separators=(",", ":")).encode()


def random_bytes(size: int, seed: int = 0) -> bytes:
    """Return `size` incompressible bytes, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def tar_bytes(files: Mapping[str, bytes]) -> bytes:
    """Return an uncompressed tar of `files`, with no time and no owner in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def tar_layer(files: Mapping[str, bytes], media_type: str = OCI_LAYER_GZIP) -> Layer:
    """Return a real layer that holds `files`, gzip-compressed if the media type says so."""
    tar = tar_bytes(files)
    data = gzip.compress(tar, compresslevel=1, mtime=0) if media_type.endswith("gzip") else tar
    return Layer(data=data, diff_id=digest_of(tar), media_type=media_type)


def random_layer(size: int, seed: int = 0, media_type: str = OCI_LAYER_GZIP) -> Layer:
    """Return a layer of exactly `size` bytes that is no tar at all: nobody who only carries it may mind."""
    data = random_bytes(size, seed)
    return Layer(data=data, diff_id=digest_of(b"tar of " + data), media_type=media_type)


class LayoutBuilder:
    """Writes an OCI image layout piece by piece; `index.json` is rewritten after each `tag`."""

    def __init__(self, directory: Path) -> None:
        """Create `directory` as an empty layout, or go on with the layout that is there."""
        self.directory = directory
        (directory / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        (directory / "oci-layout").write_bytes(encode({"imageLayoutVersion": "1.0.0"}))
        self._index = directory / "index.json"
        if not self._index.exists():
            self._write_index([])

    def blob(self, data: bytes) -> str:
        """Store a blob and return its digest."""
        digest = digest_of(data)
        (self.directory / "blobs" / "sha256" / digest.removeprefix("sha256:")).write_bytes(data)
        return digest

    def descriptor(self, data: bytes, media_type: str, **members: JSON) -> Document:
        """Store a blob and return its descriptor, with further members such as `annotations`."""
        return {"mediaType": media_type, "digest": self.blob(data), "size": len(data), **members}

    def image(
        self,
        layers: Sequence[Layer],
        *,
        platform: str = "linux/amd64",
        docker: bool = False,
        **members: JSON,
    ) -> BuiltImage:
        """Store layers, config and image manifest; `members` are added to the manifest."""
        config: Document = {
            **_platform_members(platform),
            "config": {"Env": ["PATH=/usr/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        }
        config_descriptor = self.descriptor(encode(config), DOCKER_CONFIG if docker else OCI_CONFIG)
        layer_descriptors: list[JSON] = [
            self.descriptor(layer.data, DOCKER_LAYER_GZIP if docker else layer.media_type) for layer in layers
        ]
        media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
        manifest: Document = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": config_descriptor,
            "layers": layer_descriptors,
            **members,
        }
        descriptor = self.descriptor(encode(manifest), media_type)
        return self._built(
            descriptor,
            configs=[str(config_descriptor["digest"])],
            layers=[layer.digest for layer in layers],
            platform=platform,
        )

    def index(self, children: Sequence[BuiltImage], *, docker: bool = False, **members: JSON) -> BuiltImage:
        """Store an index (or Docker manifest list) of images written before."""
        media_type = DOCKER_LIST if docker else OCI_INDEX
        manifests: list[JSON] = [child.descriptor for child in children]
        document: Document = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "manifests": manifests,
            **members,
        }
        return self._built(
            self.descriptor(encode(document), media_type),
            configs=[config for child in children for config in child.configs],
            layers=[layer for child in children for layer in child.layers],
            manifests=[manifest for child in children for manifest in child.manifests],
        )

    def artifact(self, subject: BuiltImage, data: bytes, artifact_type: str) -> BuiltImage:
        """Store an artifact manifest (a signature, an SBOM) that refers to `subject`."""
        config = self.descriptor(b"{}", OCI_EMPTY)
        layer = self.descriptor(data, artifact_type)
        manifest: Document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": config,
            "layers": [layer],
            "subject": {key: subject.descriptor[key] for key in ("mediaType", "digest", "size")},
        }
        descriptor = self.descriptor(encode(manifest), OCI_MANIFEST, artifactType=artifact_type)
        return self._built(descriptor, configs=[str(config["digest"])], layers=[str(layer["digest"])])

    def attestation(self, subject: BuiltImage, data: bytes = b'{"_type":"statement"}') -> BuiltImage:
        """Store an attestation the way BuildKit does: a sibling of its image in the same index."""
        attestation = self.image(
            [Layer(data=data, diff_id=digest_of(data), media_type="application/vnd.in-toto+json")],
            platform="unknown/unknown",
        )
        annotations: Document = {
            "vnd.docker.reference.digest": subject.digest,
            "vnd.docker.reference.type": "attestation-manifest",
        }
        return attrs.evolve(attestation, descriptor={**attestation.descriptor, "annotations": annotations})

    def tag(self, image: BuiltImage, name: str | None, **annotations: str) -> BuiltImage:
        """Enter the image in `index.json` under `name` (replacing it), or with no name."""
        entries = self.entries()
        names: Document = {} if name is None else {REF_NAME: name}
        names.update(annotations)
        kept = [entry for entry in entries if name is None or _ref_name(entry) != name]
        self._write_index([*kept, {**image.descriptor, **({"annotations": names} if names else {})}])
        return image

    def entries(self) -> list[JSON]:
        """Return the entries of `index.json`."""
        entries = json.loads(self._index.read_bytes())["manifests"]
        assert isinstance(entries, list)
        return entries

    def _write_index(self, entries: Sequence[JSON]) -> None:
        document: Document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)}
        self._index.write_bytes(encode(document))

    def _built(
        self,
        descriptor: Document,
        *,
        configs: Sequence[str],
        layers: Sequence[str],
        manifests: Sequence[str] = (),
        platform: str | None = None,
    ) -> BuiltImage:
        with_platform = dict(descriptor)
        if platform is not None:
            with_platform["platform"] = _platform_members(platform)
        digest = str(descriptor["digest"])
        return BuiltImage(
            directory=self.directory,
            digest=digest,
            media_type=str(descriptor["mediaType"]),
            manifests=tuple(dict.fromkeys([*manifests, digest])),
            configs=tuple(dict.fromkeys(configs)),
            layers=tuple(dict.fromkeys(layers)),
            descriptor=with_platform,
        )


def write_image(
    directory: Path,
    *,
    tag: str | None = "1.0",
    layers: int = 2,
    layer_size: int = 1024,
    seed: int = 0,
    platform: str = "linux/amd64",
    docker: bool = False,
    real_layers: bool = False,
) -> BuiltImage:
    """Write (or add to) a layout one image of `layers` layers of `layer_size` bytes each.

    Layers are incompressible bytes by default, of exactly that size; with `real_layers` each is a
    `tar.gz` with one file of that size in it. Another `seed` gives other layers.
    """
    builder = LayoutBuilder(directory)
    image = builder.image(
        _make_layers(layers, layer_size, seed, real_layers=real_layers), platform=platform, docker=docker
    )
    return builder.tag(image, tag)


def write_index(
    directory: Path,
    *,
    tag: str | None = "1.0",
    platforms: Sequence[str] = ("linux/amd64", "linux/arm64"),
    shared_layers: int = 1,
    own_layers: int = 1,
    layer_size: int = 1024,
    seed: int = 0,
    docker: bool = False,
    attestations: bool = False,
    real_layers: bool = False,
) -> BuiltImage:
    """Write (or add to) a layout a multi-platform index.

    Every image has the same `shared_layers` layers first and `own_layers` of its own after them.
    With `attestations`, each has a BuildKit-style attestation manifest in the index too.
    """
    builder = LayoutBuilder(directory)
    shared = _make_layers(shared_layers, layer_size, seed, real_layers=real_layers)
    images: list[BuiltImage] = []
    for number, platform in enumerate(platforms, 1):
        own = _make_layers(own_layers, layer_size, seed + 1000 * number, real_layers=real_layers)
        images.append(builder.image([*shared, *own], platform=platform, docker=docker))
    if attestations:
        images += [builder.attestation(image, encode({"subject": image.digest})) for image in images]
    return builder.tag(builder.index(images, docker=docker), tag)


def tar_layout(directory: Path, archive: Path, *, prefix: str = "") -> Path:
    """Write the layout in `directory` as an OCI archive (an uncompressed tar) and return its path."""
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(directory.rglob("*")):
            tar.add(path, prefix + path.relative_to(directory).as_posix(), recursive=False)
    return archive


def _make_layers(count: int, size: int, seed: int, *, real_layers: bool) -> list[Layer]:
    if real_layers:
        return [tar_layer({f"data/{number}": random_bytes(size, seed + number)}) for number in range(count)]
    return [random_layer(size, seed + number) for number in range(count)]


def _platform_members(platform: str) -> Document:
    names = ("os", "architecture", "variant")
    return dict(zip(names, platform.split("/"), strict=False))


def _ref_name(entry: JSON) -> JSON:
    annotations = entry.get("annotations") if isinstance(entry, dict) else None
    return annotations.get(REF_NAME) if isinstance(annotations, dict) else None


def write_mostly_holes(directory: Path, size: int) -> None:
    """A layout with one layer of `size` bytes that takes next to no room on the disk."""
    builder = LayoutBuilder(directory)
    path = directory / "layer"
    with path.open("w+b") as file:
        for number in range(10):
            file.seek(number * (size // 10))
            file.write(random_bytes(4096, number))
        file.truncate(size)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    path.rename(directory / "blobs" / "sha256" / digest)
    manifest = encode(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": builder.descriptor(b"{}", OCI_CONFIG),
            "layers": [{"mediaType": OCI_LAYER, "digest": f"sha256:{digest}", "size": size}],
        }
    )
    entry = builder.descriptor(manifest, OCI_MANIFEST)
    (directory / "index.json").write_bytes(encode({"schemaVersion": 2, "manifests": [entry]}))
