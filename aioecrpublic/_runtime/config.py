"""Where a client's settings come from: arguments, then the environment, then the shared files.

botocore reads the shared files, in a worker thread. Where there are none, and no profile is asked for, what
is left is the environment, and botocore is not loaded at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

from aioecrpublic._common.logs import get_logger
from aioecrpublic._common.tls import CABundle, environment_bundle
from aioecrpublic._runtime.arguments import check_count, check_region, check_text
from aioecrpublic._runtime.endpoints import choose_endpoint, choose_region
from aioecrpublic._runtime.environment import (
    ENVIRONMENT,
    botocore_session,
    missing_files,
    named_profile,
    shared_files,
    variable_naming,
)
from aioecrpublic._runtime.errors import ConfigurationError
from aioecrpublic._runtime.retry import MODES

if TYPE_CHECKING:
    from botocore.session import Session

    from aioecrpublic._runtime.shapes import EndpointKey, Service

_log = get_logger("aioecrpublic.config")
_DEFAULT_MAX_ATTEMPTS = 3
# https://docs.aws.amazon.com/sdkref/latest/guide/feature-compression.html
_DEFAULT_COMPRESSED_FROM = 10_240
_MAX_COMPRESSED_FROM = 1_048_576
# botocore's names of the settings that are used here, and their environment variables.
_VARIABLES = {
    "region": "AWS_DEFAULT_REGION",
    "retry_mode": "AWS_RETRY_MODE",
    "max_attempts": "AWS_MAX_ATTEMPTS",
    "ca_bundle": "AWS_CA_BUNDLE",
    "use_fips_endpoint": "AWS_USE_FIPS_ENDPOINT",
    "use_dualstack_endpoint": "AWS_USE_DUALSTACK_ENDPOINT",
    "user_agent_appid": "AWS_SDK_UA_APP_ID",
    "disable_host_prefix_injection": "AWS_DISABLE_HOST_PREFIX_INJECTION",
    "disable_request_compression": "AWS_DISABLE_REQUEST_COMPRESSION",
    "request_min_compression_size_bytes": "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES",
}


@attrs.frozen(kw_only=True)
class Arguments:
    """What the caller asked for; ``None`` leaves it to the configuration.

    Attributes:
        identity: Whether credentials were given, or none are wanted.
    """

    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    use_fips: bool | None = None
    use_dualstack: bool | None = None
    max_attempts: int | None = None
    retry_mode: str | None = None
    identity: bool = False

    @property
    def complete(self) -> bool:
        """Whether they say where to call and as whom, so that no file has to."""
        return self.identity and bool(self.endpoint_url or self.region)


@attrs.frozen(kw_only=True)
class Settings:
    """What holds for a client.

    Attributes:
        region: The region that was chosen.
        signing_region: The region that is signed for, which a service of a whole partition has for itself.
        endpoint_url: Where requests go.
        endpoint_key: What the endpoint was found by; ``None`` if it is a custom one.
        host_prefix: Whether the host is prefixed where an operation wants it.
        compressed_from: Bytes from which on a body is compressed; ``None`` if none is.
        max_attempts: Attempts of a call, the first included.
        retry_mode: ``standard`` or ``adaptive``.
        ca_bundle: The trusted certificates, if they are not the system's.
        app_id: The application's id for the user agent.
    """

    region: str
    signing_region: str
    endpoint_url: str
    endpoint_key: EndpointKey | None
    host_prefix: bool
    compressed_from: int | None
    max_attempts: int
    retry_mode: str
    ca_bundle: CABundle | None
    app_id: str | None


class _Source(Protocol):
    def value(self, name: str) -> str | None:
        """The setting that botocore calls ``name``."""
        ...

    def endpoint_url(self, service_id: str) -> str | None:
        """The endpoint configured for a service, or for all of them."""
        ...


class EnvironmentSource:
    """Settings from environment variables alone."""

    def value(self, name: str) -> str | None:
        """The variable's value."""
        return ENVIRONMENT.get(_VARIABLES[name])

    def endpoint_url(self, service_id: str) -> str | None:
        """``AWS_ENDPOINT_URL_<SERVICE>`` or ``AWS_ENDPOINT_URL``, unless they are to be ignored."""
        if _flag(ENVIRONMENT.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")):
            return None
        name = f"AWS_ENDPOINT_URL_{service_id.upper().replace(' ', '_')}"
        return ENVIRONMENT.get(name) or ENVIRONMENT.get("AWS_ENDPOINT_URL")


class _MalformedDefaultError(ConfigurationError):
    """A shared file that is malformed and that nobody has named."""


class SessionSource:
    """Settings as botocore finds them, profiles and ``services`` sections included.

    Raises:
        ConfigurationError: The profile does not exist, or a file cannot be read.
    """

    def __init__(self, session: Session, profile: tuple[str, str] | None) -> None:
        from botocore.exceptions import ConfigParseError, ProfileNotFound

        self._session = session
        try:
            session.get_scoped_config()
        except ProfileNotFound as error:
            name, named_by = profile or ("default", "profile")
            missing = "".join(f"; {fact}" for fact in missing_files())
            raise ConfigurationError(
                f"profile {name!r} ({named_by}) is in no shared file{missing}"
            ) from error
        except ConfigParseError as error:
            variable = variable_naming(str(error.kwargs.get("path")))
            if variable is None:
                raise _MalformedDefaultError(str(error)) from error
            raise ConfigurationError(f"{variable}: {error}") from error

    def value(self, name: str) -> str | None:
        """The setting, from the environment or the profile."""
        try:
            value = self._session.get_config_variable(name)
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"{name}: {error}") from error
        return None if value is None else str(value) or None

    def endpoint_url(self, service_id: str) -> str | None:
        """The endpoint, in botocore's order: environment before files, service before all."""
        from botocore.configprovider import ConfiguredEndpointProvider
        from botocore.exceptions import BotoCoreError

        # Where a section has a value, or a value is a section, botocore raises what its access to it does.
        odd = (BotoCoreError, AttributeError, TypeError, ValueError)

        if _flag(self.value("ignore_configured_endpoint_urls")):
            return None
        try:
            found = ConfiguredEndpointProvider(
                full_config=self._session.full_config,
                scoped_config=self._session.get_scoped_config(),
                client_name=service_id.lower().replace(" ", "-"),
                environ=ENVIRONMENT,
            ).provide()
        except odd as error:
            raise ConfigurationError(f"endpoint_url: {error}") from error
        return None if found is None else str(found)


def find_settings(service: Service, arguments: Arguments) -> Settings:
    """The settings of a client, from all of their sources; blocks.

    botocore is not loaded unless a profile is asked for or there is a shared file.

    Raises:
        ConfigurationError: Something in it cannot be used; the message names it.
    """
    profile = named_profile(arguments.profile)
    if profile is None and not shared_files():
        return resolve(service, arguments, EnvironmentSource())
    try:
        source = SessionSource(botocore_session(arguments.profile), profile)
    except _MalformedDefaultError as error:
        # What nobody asked for must not stop a client that needs nothing of it.
        if profile is not None or not arguments.complete:
            raise
        _log.warning("the shared files are left out: %s", error)
        return resolve(service, arguments, EnvironmentSource())
    return resolve(service, arguments, source)


def resolve(service: Service, arguments: Arguments, source: _Source) -> Settings:
    """The settings of a client.

    Raises:
        ConfigurationError: Something in it cannot be used; the message names it.
    """
    fips, dualstack = arguments.use_fips, arguments.use_dualstack
    if arguments.endpoint_url and (fips or dualstack):
        asked = "use_fips" if fips else "use_dualstack"
        raise ConfigurationError(f"{asked}=True and endpoint_url exclude each other")
    fips = _flag(source.value("use_fips_endpoint")) if fips is None else fips
    dualstack = _flag(source.value("use_dualstack_endpoint")) if dualstack is None else dualstack
    custom = arguments.endpoint_url or source.endpoint_url(service.service_id)
    configured = ENVIRONMENT.get("AWS_REGION") or source.value("region")
    region = choose_region(service, arguments.region, configured, custom=bool(custom))
    check_region("region", region)
    endpoint = choose_endpoint(service, region, custom, fips=fips, dualstack=dualstack)
    key = None if custom else (region, fips, dualstack)
    return Settings(
        region=region,
        signing_region=service.signing_regions.get(key, region) if key else region,
        endpoint_url=endpoint,
        endpoint_key=key,
        host_prefix=not _flag(source.value("disable_host_prefix_injection")),
        compressed_from=_compressed_from(service, source),
        max_attempts=_max_attempts(arguments.max_attempts, source.value("max_attempts")),
        retry_mode=_retry_mode(arguments.retry_mode, source.value("retry_mode")),
        ca_bundle=_ca_bundle(source),
        app_id=source.value("user_agent_appid"),
    )


def check_retries(max_attempts: int | None, retry_mode: str | None) -> None:
    """Refuse retry arguments that cannot be.

    Raises:
        ConfigurationError: Naming the argument.
    """
    if max_attempts is not None:
        check_count("max_attempts", max_attempts)
    check_text("retry_mode", retry_mode)
    if retry_mode is not None and retry_mode not in MODES:
        raise ConfigurationError(f"retry_mode must be one of {', '.join(MODES)} (got {retry_mode!r})")


def _ca_bundle(source: _Source) -> CABundle | None:
    if "AWS_CA_BUNDLE" not in ENVIRONMENT:
        path = source.value("ca_bundle")
        if path:
            return CABundle(path, "the profile's ca_bundle")
    return environment_bundle()


def _compressed_from(service: Service, source: _Source) -> int | None:
    operations = service.operations.values()
    if not any(operation.traits and operation.traits.compressed for operation in operations):
        return None
    if _flag(source.value("disable_request_compression")):
        return None
    configured = source.value("request_min_compression_size_bytes") or str(_DEFAULT_COMPRESSED_FROM)
    if not configured.isdecimal() or not 1 <= int(configured) <= _MAX_COMPRESSED_FROM:
        known = f"from 1 to {_MAX_COMPRESSED_FROM}"
        raise ConfigurationError(f"request_min_compression_size_bytes must be {known} (got {configured!r})")
    return int(configured)


def _flag(value: str | None) -> bool:
    """As botocore reads it: everything but "true" is false."""
    return value is not None and value.lower() == "true"


def _max_attempts(argument: int | None, configured: str | None) -> int:
    if argument is not None:
        return argument
    if configured is None:
        return _DEFAULT_MAX_ATTEMPTS
    try:
        value = int(configured)
    except ValueError as error:
        raise ConfigurationError(f"max_attempts must be a whole number (got {configured!r})") from error
    check_retries(value, None)
    return value


def _retry_mode(argument: str | None, configured: str | None) -> str:
    if argument is not None:
        return argument
    # botocore's own default was "legacy" for long; it is not a mode of AWS's specification.
    if configured is None or configured == "legacy":
        return "standard"
    check_retries(None, configured)
    return configured
