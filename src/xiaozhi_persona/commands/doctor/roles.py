"""The part of `doctor` that concerns the roles that the settings name, and their voices."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from xiaozhi_persona.checks import Check, failed, grouped
from xiaozhi_persona.commands.doctor.voices import check_voices
from xiaozhi_persona.errors import PersonaError, own_command
from xiaozhi_persona.language import tr
from xiaozhi_persona.roles.check import MAX_SAMPLES_16K, MIN_SAMPLES_16K, check_clips, check_sheet
from xiaozhi_persona.roles.role import Role, role_of_settings
from xiaozhi_persona.settings import Settings


async def check_roles(settings: Settings, apis: set[str]) -> AsyncIterator[Check]:
    """Check the roles that the settings name, each with its clips at every server.

    Adds to `apis` those of the servers that were seen (v1, v2).
    """
    roles = []
    for name in dict.fromkeys([settings.role, *settings.role_of_device.values()]):
        try:
            roles.append(role_of_settings(settings, name))
        except PersonaError as exc:
            yield failed(tr("角色 {name}", name=name), exc)
    async for check in check_voices(settings, roles, apis):
        yield check
    for role in roles:  # how long a clip may be depends on the servers
        for check in _role(role, apis):
            yield check


def _role(role: Role, apis: set[str]) -> Iterator[Check]:
    """Yield the errors of `roles check` and the number of its warnings; api.py alone takes clips of any length."""
    what, warnings = tr("角色 {id}", id=role.id), 0
    errors: list[tuple[str, str, str]] = []
    reports = check_clips(role)
    findings = [(report, finding) for report in reports for finding in report.findings]
    for report, finding in [*findings, *((None, finding) for finding in check_sheet(role))]:
        sound = report.sound if report else None
        is_length = bool(sound and not MIN_SAMPLES_16K <= sound.samples_at_16k <= MAX_SAMPLES_16K)
        if finding.level == "warning" or (is_length and "api_v2" in finding.message and "v2" not in apis):
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
