"""What `doctor` finds of the owner's intents: a mistake in a file is otherwise only in the log."""

from __future__ import annotations

from collections.abc import Iterator

from xiaozhi_persona.checks import Check
from xiaozhi_persona.errors import own_command
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.intent.router import Router
from xiaozhi_persona.settings import Settings


def check_own_intents(settings: Settings) -> Iterator[Check]:
    """Yield a check for each mistake, or one for all files; none where there are no files. Blocks."""
    folder = settings.data_dir / "intents"
    router, what = Router(folder), tr("自己的意图")
    step = tr("改好就生效，不用重启；{command} 看一句话对上哪个意图。", command=own_command("intent --why"))
    problems = router.refresh()
    for problem in problems:
        yield Check("error", what, problem, step)
    count = len({template.intent for template in router.templates() if template.action})
    if count and not problems:
        yield Check("ok", what, tr("{folder} 里有 {count} 个", folder=folder, count=count))
