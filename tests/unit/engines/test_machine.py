from pathlib import Path

from argosy.engines import machine

MIB = 1024**2


def own(folder: Path, line: str) -> Path:
    file = folder / "cgroup"
    file.write_text(line + "\n")
    return file


def test_a_limit_of_a_group_above_binds_and_file_pages_count_as_free(tmp_path: Path) -> None:
    group = tmp_path / "fleet" / "worker"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text(f"{10 * MIB}\n")
    (group.parent / "memory.max").write_text(f"{100 * MIB}\n")
    (group.parent / "memory.current").write_text(f"{90 * MIB}\n")
    (group.parent / "memory.stat").write_text(f"anon 1\ninactive_file {4 * MIB}\nactive_file {1 * MIB}\n")
    assert machine.available_memory_bytes(tmp_path, own(tmp_path, "0::/fleet/worker")) == 15 * MIB


def test_what_could_be_had_at_all_is_the_tightest_limit_whatever_is_used_of_it(tmp_path: Path) -> None:
    group = tmp_path / "fleet" / "worker"
    group.mkdir(parents=True)
    (group / "memory.max").write_text(f"{60 * MIB}\n")
    (group.parent / "memory.max").write_text(f"{50 * MIB}\n")
    (group.parent / "memory.current").write_text(f"{49 * MIB}\n")
    assert machine.memory_limit_bytes(tmp_path, own(tmp_path, "0::/fleet/worker")) == 50 * MIB
    assert machine.memory_limit_bytes(tmp_path, tmp_path / "nothing") > 50 * MIB


def test_version_1_of_cgroups_is_read_too(tmp_path: Path) -> None:
    group = tmp_path / "memory" / "fleet"
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text(f"{50 * MIB}\n")
    (group / "memory.usage_in_bytes").write_text(f"{20 * MIB}\n")
    assert machine.available_memory_bytes(tmp_path, own(tmp_path, "4:memory:/fleet")) == 30 * MIB


def test_without_any_limit_it_is_the_machines_own(tmp_path: Path) -> None:
    assert 0 < machine.available_memory_bytes(tmp_path, tmp_path / "nothing") < 1 << 62


def test_there_is_at_least_one_core() -> None:
    assert machine.cores() >= 1
