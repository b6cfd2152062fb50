from contextlib import suppress

import pytest
import torch

from garbage_synth.compute.device import (
    choose_device,
    choose_precision,
    computing_threads,
    cudnn,
    describe,
    is_out_of_memory,
    out_of_memory,
)
from garbage_synth.errors import InputError

CPU = torch.device("cpu")


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda", 0)


def test_named_gpu_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="sees no CUDA device"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(InputError, match="2 CUDA devices"):
        choose_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", ""])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="auto, cpu, cuda"):
        choose_device(name)


def test_precision_is_bf16_only_where_the_processor_computes_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for found, wanted in (({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx2": True}, "fp32")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=found: found, raising=False)
        assert choose_precision("auto", CPU) == wanted
    monkeypatch.setattr(torch.cpu, "get_capabilities", None, raising=False)  # torch before 2.10
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    assert choose_precision("auto", CPU) == "bf16"
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", None, raising=False)
    assert choose_precision("auto", CPU) == "fp32"
    for capability, wanted in (((8, 0), "bf16"), ((7, 5), "fp32")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, c=capability: c)
        assert choose_precision("auto", torch.device("cuda", 0)) == wanted


def test_precision_can_be_chosen_and_a_wrong_one_is_refused() -> None:
    assert choose_precision("bf16", CPU) == "bf16"
    assert choose_precision("fp32", CPU) == "fp32"
    with pytest.raises(InputError, match="fp16"):
        choose_precision("fp16", CPU)


def test_cudnn_is_told_how_to_choose_and_left_as_it_was() -> None:
    chosen = torch.backends.cudnn
    before = chosen.benchmark, chosen.deterministic
    with cudnn(benchmark=True):
        assert (chosen.benchmark, chosen.deterministic) == (True, False)
        with suppress(ZeroDivisionError), cudnn(deterministic=True):
            assert (chosen.benchmark, chosen.deterministic) == (False, True)
            raise ZeroDivisionError
        assert (chosen.benchmark, chosen.deterministic) == (True, False)
    assert (chosen.benchmark, chosen.deterministic) == before


def test_description_names_device_and_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    assert describe(CPU, "fp32").startswith("CPU, ")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Some GPU")
    assert describe(torch.device("cuda", 0), "bf16") == "Some GPU, bf16"


def test_running_out_of_memory_is_recognised() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 1 bytes"))
    assert is_out_of_memory(MemoryError())
    for words in (
        "CUDA error: out of memory",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "CUBLAS_STATUS_ALLOC_FAILED",
    ):
        assert is_out_of_memory(RuntimeError(words))
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
    assert "while resting; sleep" in str(out_of_memory("while resting", "sleep"))


def test_number_of_threads_is_set_inside_the_block_only() -> None:
    before = torch.get_num_threads()
    with computing_threads(3):
        assert torch.get_num_threads() == 3
        with computing_threads(None):
            assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == before
