"""The part of `doctor` that concerns the roles that the settings name, and their voices."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator

from xiaozhi_persona.checks import Check, failed, grouped
from xiaozhi_persona.errors import PersonaError, own_command
from xiaozhi_persona.language import tr
from xiaozhi_persona.providers.tts.engine import ENGINES, engine_of
from xiaozhi_persona.roles.check import check_clips, check_sheet
from xiaozhi_persona.roles.role import Role, role_of_settings
from xiaozhi_persona.roles.scoring import MAX_SAMPLES_16K, MIN_SAMPLES_16K
from xiaozhi_persona.settings import Settings


async def check_roles(settings: Settings, engines: Iterable[str] = ENGINES) -> AsyncIterator[Check]:
    """Check the roles that the settings name, and these synthesizers with each of them."""
    roles = []
    for name in dict.fromkeys([settings.role, *settings.role_of_device.values()]):
        try:
            roles.append(role_of_settings(settings, name))
        except PersonaError as exc:
            yield failed(tr("角色 {name}", name=name), exc)
    for engine in engines:
        async for check in engine_of(engine).check(settings, roles):
            yield check
    for role in roles:
        for check in _role(role):
            yield check


def _role(role: Role) -> Iterator[Check]:
    """Yield the errors of `roles check` and the number of its warnings.

    The length of a clip is no error here: which lengths a server takes shows when it speaks with the clip.
    """
    what, warnings = tr("角色 {id}", id=role.id), 0
    errors: list[tuple[str, str, str]] = []
    reports = check_clips(role)
    findings = [(report, finding) for report in reports for finding in report.findings]
    for report, finding in [*findings, *((None, finding) for finding in check_sheet(role))]:
        sound = report.sound if report else None
        is_length = bool(sound and not MIN_SAMPLES_16K <= sound.samples_at_16k <= MAX_SAMPLES_16K)
        if finding.level == "warning" or is_length:
            warnings += 1
            continue
        found, stop, step = finding.message.partition(tr("。"))
        step = step.strip() or tr("运行 {command} 看全部。", command=own_command(f"roles check {role.id}"))
        errors.append((finding.where, found + stop, step))
    for found, step in grouped(errors):
        yield Check("error", what, found, step)
    if warnings:
        step = tr("运行 {command}", command=own_command(f"roles check {role.id}"))
        yield Check("warning", what, tr("{warnings} 处可能不好听", warnings=warnings), step)
    elif not errors:
        clips = (
            tr("{count} 段参考音频没有毛病", count=len(role.clips))
            if role.clips
            else tr("没有参考音频，只有机器声")
        )
        yield Check("ok", what, tr("{name}，{clips}", name=role.name, clips=clips))
