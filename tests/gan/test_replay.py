import numpy as np
import torch

from garbage_synth.gan.replay import ImagePool


def batch(*values: float) -> torch.Tensor:
    return torch.tensor(values).reshape(-1, 1, 1, 1).expand(-1, 3, 2, 2).contiguous()


def values(pictures: torch.Tensor) -> list[float]:
    return pictures[:, 0, 0, 0].tolist()


def test_pool_of_size_zero_hands_everything_on() -> None:
    pool = ImagePool(0)
    assert values(pool.exchange(batch(1, 2), np.random.default_rng(0))) == [1, 2]
    assert len(pool) == 0


def test_pool_is_filled_before_anything_old_is_shown() -> None:
    pool = ImagePool(3)
    rng = np.random.default_rng(0)
    assert values(pool.exchange(batch(1), rng)) == [1]
    assert values(pool.exchange(batch(2, 3), rng)) == [2, 3]
    assert values(torch.stack(pool.state())) == [1, 2, 3]


def test_full_pool_shows_an_old_picture_half_of_the_time_and_keeps_the_new_one_then() -> None:
    pool, rng = ImagePool(50), np.random.default_rng(0)
    pool.exchange(batch(*range(50)), rng)
    old = 0
    for new in range(50, 1050):
        before = set(values(torch.stack(pool.state())))
        shown = values(pool.exchange(batch(new), rng))[0]
        after = set(values(torch.stack(pool.state())))
        if shown == new:
            assert after == before
        else:
            old += 1
            assert after == before - {shown} | {float(new)}
    assert 440 < old < 560


def test_pool_does_not_share_memory_with_the_batch() -> None:
    pool = ImagePool(1)
    pictures = batch(1)
    pool.exchange(pictures, np.random.default_rng(0))
    pictures.zero_()
    assert values(torch.stack(pool.state())) == [1]


def test_restored_pool_goes_on_like_the_original() -> None:
    pool = ImagePool(4)
    pool.exchange(batch(1, 2, 3, 4), np.random.default_rng(0))
    other = ImagePool(4)
    other.restore(pool.state(), torch.device("cpu"))
    new = batch(5, 6, 7)
    assert torch.equal(pool.exchange(new, np.random.default_rng(9)), other.exchange(new, np.random.default_rng(9)))
    assert values(torch.stack(pool.state())) == values(torch.stack(other.state()))
