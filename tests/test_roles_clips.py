"""Which clip carries a feeling."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.role_packs import write_role

from xiaozhi_persona.roles.clips import NEAREST, ClipChooser
from xiaozhi_persona.roles.role import Role, load_pack, load_role
from xiaozhi_persona.spine import Reference
from xiaozhi_persona.text.emotions import LABELS, Emotion, built_in_names
from xiaozhi_persona.text.reply import ReplyReader

TEXT = "这里是参考音频的文字。"


def role_of(folder: Path, *clips: str, sheet: str = "name: 小梅") -> Role:
    return load_pack(write_role(folder, sheet, dict.fromkeys(clips, TEXT)))


def chosen(role: Role, tag: str | None, reply: int = 0) -> str:
    """The path in refs/ of the clip that a tag leads to."""
    clip = ClipChooser(role, reply).clip(role.emotion_names.get(tag) if tag else None)
    assert clip.reference
    return Path(clip.reference.path).relative_to(role.folder / "refs").with_suffix("").as_posix()


@pytest.mark.parametrize(
    ("clips", "tag", "found"),
    [
        (["高兴/a", "悲伤/a", "中性/a"], "高兴", "高兴/a"),  # its own
        (["高兴/a", "中性/a"], "开心", "高兴/a"),  # under another name
        (["开心/a", "中性/a"], "高兴", "开心/a"),
        (["高兴/a", "大笑/a"], "大笑", "大笑/a"),  # a shade of it, by itself
        (["高兴/a", "大笑/a"], "高兴", "高兴/a"),
        (["高兴/a", "中性/a"], "大笑", "高兴/a"),
        (["大笑/a", "中性/a"], "高兴", "大笑/a"),
        (["委屈/a", "中性/a"], "悲伤", "委屈/a"),  # the nearest
        (["恐惧/a", "委屈/a", "中性/a"], "悲伤", "委屈/a"),
        (["愤怒/a", "中性/a"], "爱慕", "中性/a"),  # none near: neutral
        (["愤怒/a", "default/a"], "爱慕", "default/a"),  # the default
        (["愤怒/a", "default/a", "neutral/a"], "爱慕", "neutral/a"),
        (["愤怒/a"], "爱慕", "愤怒/a"),  # better the role's voice than another one
        (["高兴/a", "中性/a", "default/a"], None, "中性/a"),
        (["高兴/a", "舒适/a", "default/a"], None, "default/a"),
        (["高兴/a", "舒适/a", "a"], "中性", "a"),
    ],
)
def test_the_clip_of_a_feeling(tmp_path: Path, clips: list[str], tag: str | None, found: str) -> None:
    assert chosen(role_of(tmp_path, *clips), tag) == found


def test_an_emotion_of_the_roles_own_has_its_clip_and_its_face(tmp_path: Path) -> None:
    sheet = "name: x\nemotions: {傲娇: {face: confident, like: 害羞}, 得瑟: 骄傲}"
    role = role_of(tmp_path, "傲娇/a", "骄傲/a", "中性/a", sheet=sheet)
    assert chosen(role, "傲娇") == "傲娇/a"
    assert chosen(role, "得瑟") == "骄傲/a"
    assert ClipChooser(role).clip(role.emotion_names.get("傲娇")).face == "confident"
    without = role_of(tmp_path / "2", "害羞/a", "中性/a", sheet=sheet)
    assert chosen(without, "傲娇") == "害羞/a"


def test_the_face_is_that_of_the_emotion_even_when_the_clip_is_a_near_one(tmp_path: Path) -> None:
    role = role_of(tmp_path, "委屈/a", "中性/a")
    clip = ClipChooser(role).clip(role.emotion_names.get("大哭"))
    assert (clip.emotion, clip.face) == ("悲伤", "crying")


def test_the_default_emotion_holds_where_there_is_none(tmp_path: Path) -> None:
    role = role_of(tmp_path, "舒适/a", "中性/a", sheet="name: x\ndefault_emotion: 舒适\nspeeds: {舒适: 0.9}")
    clip = ClipChooser(role).clip(None)
    assert (clip.emotion, clip.face, clip.speed) == ("舒适", "relaxed", 0.9)
    assert chosen(role, None) == "舒适/a"


def test_several_clips_stay_within_a_reply_and_change_between_replies(tmp_path: Path) -> None:
    role = role_of(tmp_path, "高兴/a", "高兴/b", "高兴/c")
    happy = role.emotion_names.get("高兴")
    chooser = ClipChooser(role)
    assert len({chooser.clip(happy, text).reference for text in ("一。", "二。", "三。")}) == 1
    assert [chosen(role, "高兴", reply) for reply in range(4)] == ["高兴/a", "高兴/b", "高兴/c", "高兴/a"]


def test_a_role_without_clips_leaves_the_reference_to_the_settings() -> None:
    clip = ClipChooser(load_role("default")).clip(Emotion("高兴", "happy"))
    assert (clip.reference, clip.emotion, clip.face, clip.speed) == (None, "高兴", "happy", 1.0)


def test_openings_are_fixed_sentences_as_they_are_cut(tmp_path: Path) -> None:
    role = load_role("xiaoyu")
    chooser = ClipChooser(role, fixed=frozenset({"抱歉。"}))
    for opening in role.openings:
        reader = ReplyReader(role.emotion_names)
        for segment in [*reader.feed(opening), *reader.finish()]:
            assert chooser.clip(segment.emotion, segment.text).fixed
    assert chooser.clip(None, "抱歉。").fixed
    assert not chooser.clip(None, "你今天去了哪里？").fixed


def test_every_label_has_its_nearest_and_they_are_labels() -> None:
    assert set(NEAREST) == set(LABELS)
    assert all(set(near) <= set(LABELS) - {label} for label, near in NEAREST.items())


def test_every_built_in_emotion_finds_a_clip_of_the_bundled_role() -> None:
    role = load_role("xiaoyu")
    references = {label: ClipChooser(role, 0).clip(built_in_names().get(label)).reference for label in LABELS}
    assert all(isinstance(reference, Reference) and reference.text for reference in references.values())
    assert len(set(references.values())) >= 8
