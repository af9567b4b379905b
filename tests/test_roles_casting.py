"""Roles at run time: what a device is switched to, how a role may be called, what is kept and what is not."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fakes.role_packs import write_role

from xiaozhi_persona.errors import PersonaError
from xiaozhi_persona.roles.casting import MAX_PACE, MIN_PACE, Casting
from xiaozhi_persona.roles.choices import FILE, DeviceChoices
from xiaozhi_persona.roles.role_tool import answer_role_call
from xiaozhi_persona.settings import Settings

A, B = "aa:bb:cc:dd:ee:01", "aa:bb:cc:dd:ee:02"


def settings(tmp_path: Path, **more: object) -> Settings:
    return Settings.model_validate({"paths": {"data": str(tmp_path)}, **more})


def pack(tmp_path: Path, role_id: str, sheet: str) -> None:
    write_role(tmp_path / "roles" / role_id, sheet)


def refusal(casting: Casting, name: str) -> str:
    with pytest.raises(PersonaError) as caught:
        casting.switch(A, name)
    return str(caught.value)


def test_a_device_is_switched_and_back_and_the_other_is_not(tmp_path: Path) -> None:
    casting = Casting(settings(tmp_path))
    assert casting.switch(A, "小雨").id == "xiaoyu"
    assert (casting.role(A).id, casting.role(B).id, casting.role().id) == ("xiaoyu", "default", "default")
    assert casting.switch(A, None).id == "default"
    assert casting.role(A).id == "default"


def test_a_switch_and_a_pace_survive_a_restart(tmp_path: Path) -> None:
    casting = Casting(settings(tmp_path))
    casting.switch(A, "小雨")
    casting.set_pace(B, 1.3)
    again = Casting(settings(tmp_path))
    assert (again.role(A).id, again.pace(A), again.role(B).id, again.pace(B)) == (
        "xiaoyu",
        1.0,
        "default",
        1.3,
    )
    again.switch(A, None)
    again.set_pace(B, 1.0)
    third = Casting(settings(tmp_path))
    assert (third.role(A).id, third.pace(B)) == ("default", 1.0)


def test_nothing_is_written_before_something_is_chosen(tmp_path: Path) -> None:
    casting = Casting(settings(tmp_path / "data"))
    casting.role(A), casting.pace(A), casting.spoken_names()
    casting.switch(A, "default")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "said", ["小雨", "xiaoyu", "XiaoYu", "Xiao Yu", " 小雨。", "小 雨", "ｘｉａｏｙｕ", "“小雨”"]
)
def test_a_role_is_called_by_name_or_id_however_it_is_written(tmp_path: Path, said: str) -> None:
    assert Casting(settings(tmp_path)).switch(A, said).id == "xiaoyu"


def test_names_with_spaces_and_with_more_in_brackets(tmp_path: Path) -> None:
    pack(tmp_path, "alice", "name: Alice Liddell")
    pack(tmp_path, "paimon-en", "name: 派蒙（英语）")
    casting = Casting(settings(tmp_path))
    assert casting.switch(A, "alice liddell").id == "alice"
    assert casting.switch(A, "派蒙").id == "paimon-en"
    pack(tmp_path, "paimon", "name: 派蒙")
    casting = Casting(settings(tmp_path))
    assert casting.switch(A, "派蒙").id == "paimon"
    assert casting.switch(A, "派蒙英语").id == "paimon-en"
    assert casting.spoken_names()["派蒙"] == "paimon"


def test_a_name_in_traditional_characters_is_that_in_simplified_ones(tmp_path: Path) -> None:
    pack(tmp_path, "alice", "name: 愛麗絲")
    pack(tmp_path, "ying", "name: 小樱")
    casting = Casting(settings(tmp_path))
    assert [casting.switch(A, name).id for name in ("爱丽丝", "小櫻", "愛麗絲")] == ["alice", "ying", "alice"]


def test_an_unknown_name_is_told_with_the_roles_there_are(tmp_path: Path) -> None:
    told = refusal(Casting(settings(tmp_path)), "小明")
    assert "小明" in told and "小智" in told and "小雨" in told
    assert refusal(Casting(settings(tmp_path)), "？！")
    assert len(refusal(Casting(settings(tmp_path)), "长" * 1000)) < 100


def test_a_name_that_two_roles_share_is_asked_for_by_id(tmp_path: Path) -> None:
    pack(tmp_path, "mei1", "name: 小梅")
    pack(tmp_path, "mei2", "name: 小 梅")
    casting = Casting(settings(tmp_path))
    told = refusal(casting, "小梅")
    assert "mei1" in told and "mei2" in told
    names = casting.spoken_names()
    assert refusal(casting, names["小梅"]) == told
    assert casting.switch(A, names["mei2"]).id == "mei2"


def test_a_pack_that_comes_later_is_found_and_a_broken_one_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [0.0]
    monkeypatch.setattr("xiaozhi_persona.roles.names.time.monotonic", lambda: now_s[0])
    casting = Casting(settings(tmp_path))
    refusal(casting, "小梅")
    pack(tmp_path, "mei", "name: 小梅")
    pack(tmp_path, "bad", "name: 坏的\nspeed: fast")
    now_s[0] += 10
    assert casting.switch(A, "小梅").id == "mei"
    now_s[0] += 10
    assert "坏的" not in casting.spoken_names()
    now_s[0] += 10
    casting.names()
    assert sum("bad" in record.getMessage() for record in caplog.records) == 1


def test_a_pack_that_cannot_be_loaded_is_not_switched_to(tmp_path: Path) -> None:
    pack(tmp_path, "mei", "name: 小梅\ndefault_emotion: 没有的")
    casting = Casting(settings(tmp_path))
    assert "小梅" in refusal(casting, "小梅")
    assert casting.role(A).id == "default"


def test_a_role_that_is_gone_falls_back_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pack(tmp_path, "mei", "name: 小梅")
    Casting(settings(tmp_path)).switch(A, "小梅")
    (tmp_path / "roles" / "mei" / "role.yaml").unlink()
    casting = Casting(settings(tmp_path))
    assert [casting.role(A).id for _ in range(3)] == ["default"] * 3
    assert casting.lore(A).entries == ()
    assert sum("mei" in record.getMessage() for record in caplog.records) == 1
    assert casting.switch(A, "小雨").id == "xiaoyu" == casting.role(A).id


def test_who_names_another_role_in_the_settings_gets_it(tmp_path: Path) -> None:
    pack(tmp_path, "mei", "name: 小梅")
    Casting(settings(tmp_path)).switch(A, "小雨")
    assert Casting(settings(tmp_path, role="mei")).role(A).id == "mei"
    assert Casting(settings(tmp_path, role_of_device={A: "mei"})).role(A).id == "mei"
    assert Casting(settings(tmp_path)).role(A).id == "xiaoyu"


def test_lore_is_that_of_the_role_of_the_moment(tmp_path: Path) -> None:
    pack(tmp_path, "mei", "name: 小梅")
    (tmp_path / "roles" / "mei" / "lore").mkdir()
    (tmp_path / "roles" / "mei" / "lore" / "a.yaml").write_text("小镇: '{{char}}住在小镇'", encoding="utf-8")
    casting = Casting(settings(tmp_path))
    casting.switch(A, "小梅")
    assert [entry.text for entry in casting.lore(A).entries] == ["小梅住在小镇"]
    assert casting.lore(B).entries == ()


def test_a_device_without_an_id_is_not_switched(tmp_path: Path) -> None:
    casting = Casting(settings(tmp_path))
    for act in (lambda: casting.switch("", "小雨"), lambda: casting.set_pace("", 1.3)):
        with pytest.raises(PersonaError):
            act()
    assert (casting.role().id, casting.pace()) == ("default", 1.0)


def test_a_pace_is_bounded_and_refused_where_the_voice_takes_none(tmp_path: Path) -> None:
    casting = Casting(settings(tmp_path))
    assert [casting.set_pace(A, factor) for factor in (0.1, 9.0, 1.15)] == [MIN_PACE, MAX_PACE, 1.15]
    mute = Casting(settings(tmp_path), takes_pace=False)
    assert mute.pace(A) == 1.0
    with pytest.raises(PersonaError):
        mute.set_pace(A, 1.3)
    for nonsense in ("fast", "nan", "-1e999"):
        DeviceChoices(tmp_path).put(A, "pace", nonsense)
        assert MIN_PACE <= casting.pace(A) <= MAX_PACE


def test_two_casts_of_one_process_see_each_others_switches(tmp_path: Path) -> None:
    one, other = Casting(settings(tmp_path)), Casting(settings(tmp_path))
    for name in ("小雨", None, "小雨", None, "小雨"):
        assert one.switch(A, name).id == other.role(A).id


def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE).write_bytes(b"not a database" * 100)
    casting = Casting(settings(tmp_path))
    assert casting.role(A).id == "default"
    casting.switch(A, "小雨")
    assert Casting(settings(tmp_path)).role(A).id == "xiaoyu"
    assert (tmp_path / f"{FILE}.damaged").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no such folders there")
def test_what_cannot_be_written_holds_until_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = tmp_path / "data"
    data.write_text("a file stands where the folder should", encoding="utf-8")
    casting = Casting(settings(data))
    casting.switch(A, "小雨")
    assert casting.role(A).id == "xiaoyu"
    assert str(FILE) in caplog.text


def test_another_writer_is_waited_for(tmp_path: Path) -> None:
    casting = Casting(settings(tmp_path))
    casting.switch(B, "小雨")
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None, check_same_thread=False)
    other.execute("begin immediate")
    release = threading.Timer(0.2, lambda: other.execute("commit"))
    release.start()
    casting.switch(A, "小雨")
    release.join()
    other.close()
    assert Casting(settings(tmp_path)).role(A).id == "xiaoyu"


def _switch_often(data: str, device: str, times: int) -> None:
    choices = DeviceChoices(Path(data))
    for number in range(times):
        choices.put(f"{device}{number}", "pace", "1.3")


def test_two_processes_write_at_the_same_time(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_switch_often, args=(str(tmp_path), name, 40)) for name in "xy"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    seen = DeviceChoices(tmp_path)
    assert all(seen.get(f"{name}{n}", "pace") == "1.3" for name in "xy" for n in range(40))


_WRITES_UNTIL_KILLED = """
import sys
from pathlib import Path
from xiaozhi_persona.roles.choices import DeviceChoices
choices = DeviceChoices(Path(sys.argv[1]))
number = 0
while True:
    choices.put("kept", "pace", str(number))
    print(number, flush=True)
    number += 1
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
def test_a_process_killed_while_it_writes_leaves_the_last_choice(tmp_path: Path) -> None:
    for kill_after in (3, 11, 25):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITES_UNTIL_KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            last = 0
            for line in process.stdout:
                last = int(line)
                if last >= kill_after:
                    os.kill(process.pid, signal.SIGKILL)
                    break
            rest = [int(line) for line in process.stdout.read().split()]
        told = max([last, *rest])
        assert DeviceChoices(tmp_path).get("kept", "pace") in (str(told), str(told + 1))


def test_a_look_at_what_was_chosen_is_cheap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xiaozhi_persona.roles.choices._FRESH_S", 0.0)
    casting = Casting(settings(tmp_path))
    casting.switch(A, "小雨")
    casting.role(A)
    opened = []
    casting._choices._opened = lambda: opened.append(1)  # type: ignore[method-assign, assignment, return-value]
    for _ in range(100):
        assert casting.role(A).id == "xiaoyu"
    assert not opened


@pytest.mark.parametrize(
    ("arguments", "role_id"),
    [
        ({"action": "switch", "role": "小雨"}, "xiaoyu"),
        ({"role": "xiao yu"}, "xiaoyu"),
        ({"action": "SWITCH ", "role": " 小雨 "}, "xiaoyu"),
        ({"action": "back", "role": "小雨"}, "xiaoyu"),
        ({"action": "back"}, "default"),
        ({"action": "back", "role": "之前那个"}, "default"),
        ({"action": "switch", "role": "默认"}, "default"),
        ({"action": "switch", "role": "Original"}, "default"),
        ({"action": "list", "role": "小雨"}, "mei"),
        ({"action": "switch"}, "mei"),
        ({"action": "switch", "role": None}, "mei"),
        ({"action": ["switch"], "role": 7}, "mei"),
        ({}, "mei"),
    ],
)
def test_whatever_a_model_makes_of_the_tool(
    tmp_path: Path, arguments: dict[str, object], role_id: str
) -> None:
    pack(tmp_path, "mei", "name: 小梅")
    casting = Casting(settings(tmp_path))
    casting.switch(A, "小梅")
    answer = answer_role_call(casting, A, arguments)
    assert casting.role(A).id == role_id
    assert answer.text and answer.ends_reply == (role_id != "mei") != answer.for_model


def test_a_role_called_as_the_way_back_is_a_role(tmp_path: Path) -> None:
    pack(tmp_path, "mei", "name: 默认")
    casting = Casting(settings(tmp_path))
    answer_role_call(casting, A, {"action": "switch", "role": "默认"})
    assert casting.role(A).id == "mei"
