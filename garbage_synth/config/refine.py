"""Settings of refine beyond its flags."""

from pydantic import Field

from garbage_synth.config.base import StageConfig
from garbage_synth.config.fidelity import FidelityConfig

__all__ = ["RefineConfig"]


class RefineConfig(StageConfig):
    """How pictures are read, translated and written."""

    jpeg_quality: int = Field(95, ge=1, le=100, description="quality of rewritten JPEG pictures; PNG stays PNG")
    decode_threads: int = Field(2, ge=1, le=64, description="threads that read pictures ahead of the generator")
    encode_threads: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="threads that check labels and write pictures; null = one per core, "
        "as far as the memory holds their label checks",
    )
    threads: int | None = Field(
        None, ge=1, le=1024, description="CPU threads that compute; null = one per core; 1 is best for small networks"
    )
    max_memory_gb: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description=(
            "memory that one picture may take in the generator, on a CPU together with the label checks beside it, GB; "
            "larger pictures are computed in bands of rows; null = whole frames take up to a quarter of the machine's"
        ),
    )
    check: bool = Field(
        True,
        description="compare every label with the rewritten picture; false carries labels over to the byte, or as "
        "the generator says that it moved them",
    )
    fidelity: FidelityConfig = FidelityConfig()
