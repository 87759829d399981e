"""The standalone verifier agrees with ours, and needs nothing of ours."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latticework.crdt import FraudKind, read_proof
from latticework.wire import MalformedError, Plain, decode_plain, encode, encode_plain

from .fraud import KEY, KINDS, proof
from .world import SPACE

SCRIPT = Path(__file__).parents[2] / "examples" / "verify_fraud_proof.py"


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_fraud_proof", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


VERIFIER = loaded()
EACH_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.lower())


def proven(data: bytes) -> bool:
    try:
        VERIFIER.verify(SPACE, data)
    except VERIFIER.NotProvenError:
        return False
    return True


def ours(data: bytes) -> bool:
    try:
        read_proof(SPACE, data)
    except MalformedError:
        return False
    return True


@pytest.mark.unit
def test_the_verifier_is_short_and_imports_nothing_of_ours() -> None:
    source = SCRIPT.read_text()
    assert len(source.splitlines()) < 200
    modules: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(str(node.module).partition(".")[0])
    assert modules - set(sys.stdlib_module_names) == {"cbor2", "nacl"}


@pytest.mark.unit
@EACH_KIND
def test_a_proof_of_each_kind_is_told_to_people(
    kind: FraudKind, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "proof"
    path.write_bytes(encode(proof(kind)))
    assert VERIFIER.main([SPACE.hex(), str(path)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("PROVEN\n")
    for word in (KEY.public.hex(), VERIFIER.KINDS[kind], "number   3"):
        assert word in told
    path.write_bytes(encode(proof(kind))[:-1])
    assert VERIFIER.main([SPACE.hex(), str(path)]) == 1
    assert VERIFIER.main([bytes(32).hex(), str(path)]) == 1
    assert "NOT PROVEN" in capsys.readouterr().out


@pytest.mark.unit
@pytest.mark.parametrize("arguments", [[], ["00"], ["zz", "x"], ["00", "x"], [bytes(32).hex(), "/nowhere"], ["a"] * 3])
def test_wrong_usage_is_told_apart(arguments: list[str]) -> None:
    assert VERIFIER.main(arguments) == 2


@pytest.mark.wire
def test_the_verifier_runs_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "proof"
    for data, status in ((encode(proof(FraudKind.FORK)), 0), (b"", 1)):
        path.write_bytes(data)
        command = [sys.executable, "-I", str(SCRIPT), SPACE.hex(), str(path)]
        assert subprocess.run(command, capture_output=True, check=False, cwd=tmp_path).returncode == status


@pytest.mark.unit
@EACH_KIND
def test_a_proof_with_a_bit_flipped_in_any_byte_is_not_proven(kind: FraudKind) -> None:
    data = encode(proof(kind))
    assert proven(data)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        assert not proven(bytes(damaged))
        assert not proven(data[:position])


ODD: st.SearchStrategy[Plain] = st.sampled_from(
    [None, True, False, -1, 0, 1, 2, 5, 1 << 20, (1 << 64) - 1, b"", b"x" * 32, "text", [], [b"x"], {}]
)


@pytest.mark.property
@settings(max_examples=300)
@given(st.sampled_from(KINDS), st.data())
def test_it_agrees_with_ours_on_any_proof_with_something_replaced(kind: FraudKind, data: st.DataObject) -> None:
    good = proof(kind)
    plain = decode_plain(encode(good), 10_000)
    assert isinstance(plain, list)
    at = data.draw(st.integers(0, 8))
    if at < 7:
        other = decode_plain(encode(proof(data.draw(st.sampled_from(KINDS)), 4, 6)), 10_000)
        assert isinstance(other, list)
        plain[at] = data.draw(st.sampled_from([other[at], data.draw(ODD)]))
    else:
        half: Plain = plain[3 if at == 7 else 5]
        assert isinstance(half, bytes)
        inner = decode_plain(half, 10_000)
        assert isinstance(inner, list)
        inner[data.draw(st.integers(0, len(inner) - 1))] = data.draw(ODD)
        plain[3 if at == 7 else 5] = encode_plain(inner)
    changed = encode_plain(plain)
    assert proven(changed) == ours(changed)


@pytest.mark.property
@given(st.binary(max_size=80))
def test_noise_is_not_proven(data: bytes) -> None:
    assert not proven(data)
