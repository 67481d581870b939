"""Energy is the growth of the counters, across the point where they begin again, or not known."""

from pathlib import Path

from pipeline.core.files import read_json
from pipeline.core.usage import UsageMeter, processor_name


def counters(folder: Path, *microjoules: int) -> None:
    for number, value in enumerate(microjoules):
        package = folder / f"intel-rapl:{number}"
        package.mkdir(parents=True, exist_ok=True)
        # Renamed into place: the meter's thread may look at any moment, and a counter of Linux is never empty.
        (folder / "new").write_text(f"{value}\n")
        (folder / "new").rename(package / "energy_uj")
        (package / "max_energy_range_uj").write_text("100000000\n")
        # A part of the package, whose energy is counted in it.
        (folder / f"intel-rapl:{number}:0").mkdir(exist_ok=True)


def test_processor_energy_over_a_counter_that_begins_again(tmp_path: Path) -> None:
    powercap, path = tmp_path / "powercap", tmp_path / "usage.json"
    counters(powercap, 90_000_000, 5_000_000)
    meter = UsageMeter(path, nodes=1, powercap=powercap)
    counters(powercap, 10_000_000, 7_000_000)
    meter.stop()
    used = read_json(path)
    assert used["processor_joules"] == 20.0 + 2.0
    assert used["accelerator_joules"] is None
    assert used["seconds"] > 0
    assert used["nodes"] == 1
    assert used["hardware"] == processor_name()


def test_a_counter_that_may_not_be_read_leaves_energy_unknown(tmp_path: Path) -> None:
    powercap, path = tmp_path / "powercap", tmp_path / "usage.json"
    counters(powercap, 1, 2)
    meter = UsageMeter(path, powercap=powercap)
    (powercap / "intel-rapl:1" / "energy_uj").unlink()
    meter.stop()
    assert read_json(path)["processor_joules"] is None


def test_other_ranks_measure_nothing(tmp_path: Path) -> None:
    UsageMeter(None).stop()
    assert not list(tmp_path.iterdir())


def test_the_name_of_the_processor(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: Some CPU 3000\n")
    assert processor_name(tmp_path / "cpuinfo").endswith(" x Some CPU 3000")
    assert " x " in processor_name(tmp_path / "missing")
