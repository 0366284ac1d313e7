"""Service: one run of the runtime, from its settings to its exit code. Knows no role."""

from __future__ import annotations

import os
from collections.abc import Callable

import structlog

from actors.app.file_watch import FileWatch, Lookout
from actors.app.reload import Reload
from actors.app.topology import Runtime
from actors.genesys.proxy import passwords_in, proxy_for
from actors.settings.layers import Effective
from actors.storage.committed_rows import CommittedRows
from actors.web import tokens
from runtime import log
from runtime.errors import EXIT_TEMPORARY
from runtime.notify import Notifier
from runtime.supervisor import Supervisor


def run(effective: Effective, *, version: str, read_again: Callable[[], Effective]) -> int:
    """Supervise until SIGTERM, Ctrl-C or a reason to give up. Raises TemporaryError and
    ConfigurationError for what stands in the way of a start. `read_again`: the same layers of
    settings, as they are at a SIGHUP."""
    settings = effective.settings
    proxy = proxy_for(settings.api_url, settings.proxy, os.environ)
    arguments = log.arguments_of(
        settings.log.format,
        settings.log.level,
        *settings.secrets,
        settings.sender.webhook.signing_secret(),
        *passwords_in(proxy),
        lines_per_minute=settings.log.lines_per_minute,
    )
    log.setup(arguments, process="supervisor")
    logger = structlog.get_logger()
    for warning in effective.warnings:
        logger.warning("settings.warning", what=warning)
    if settings.web.tokens_file is not None:
        tokens.read(settings.web.tokens_file)  # what is wrong with it is told now, and ends it
    runtime = Runtime.assemble(settings, arguments)
    notifier = Notifier.from_environment(os.environ)
    try:
        logger.info(
            "runtime.starting",
            version=version,
            gateway=settings.api_url,
            settings_file=str(effective.file or ""),
            data_dir=str(runtime.data_dir.path),
            shards=settings.shards,
            journal=settings.journal,
        )
        supervisor = Supervisor(
            runtime.specs,
            title=runtime.title,
            environment=runtime.environment,
            on_reload=Reload(effective, read_again, runtime.supervisor),
            notifier=notifier,
            page=runtime.supervisor,
        )
        lookout = _lookout(runtime, settings.journal, supervisor)
        lookout.start()
        try:
            return supervisor.run()
        finally:
            lookout.stop()
    finally:
        notifier.close()
        runtime.data_dir.lock.release()


def _lookout(runtime: Runtime, journal: str, supervisor: Supervisor) -> Lookout:
    """Once a second: remembers how far the journals are, and says what became of the files."""
    path = runtime.data_dir.path
    rows = CommittedRows(path, runtime.shards) if journal == "full" else None
    files = FileWatch(runtime.files)

    def look() -> str:
        if rows is not None:
            rows()
        return files()

    return Lookout(look, lambda reason: supervisor.request_stop(reason, EXIT_TEMPORARY))
