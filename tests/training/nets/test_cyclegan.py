import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from training.nets.cyclegan import ImagePool, PatchGan, ResnetGenerator


def test_the_generator_keeps_the_size_and_has_the_papers_weights():
    network = ResnetGenerator(3, 3)
    assert network(torch.rand(1, 3, 64, 48)).shape == (1, 3, 64, 48)
    # 11.378 million, as those who rebuilt the paper's generator with nine blocks count, too.
    assert sum(p.numel() for p in network.parameters()) == 11_378_179
    fewer = ResnetGenerator(3, 3, blocks=6)
    assert sum(p.numel() for p in fewer.parameters()) == 7_837_699


def test_the_pool_fills_up_then_gives_old_pictures_half_of_the_time():
    pool = ImagePool(10)
    first = torch.arange(10.0).view(10, 1, 1, 1)
    assert torch.equal(pool.exchange(first), first)
    assert len(pool) == 10
    old = 0
    for number in range(100, 500):
        given = float(pool.exchange(torch.full((1, 1, 1, 1), float(number))))
        old += given != number
        assert given == number or given < number
    assert 150 < old < 250
    assert len(pool) == 10


def test_every_picture_comes_out_once_at_most():
    pool, given = ImagePool(5, seed=3), []
    for number in range(200):
        given.append(float(pool.exchange(torch.full((1, 1, 1, 1), float(number)))))
    later = given[5:]
    assert all(later.count(one) <= 1 or one < 5 for one in later)


def test_a_pool_of_none_gives_back_what_came_without_gradient():
    made = torch.rand(2, 3, 4, 4, requires_grad=True)
    given = ImagePool(0).exchange(made)
    assert torch.equal(given, made)
    assert not given.requires_grad


def test_the_discriminator_learns_to_tell_noise_from_smooth_pictures():
    torch.manual_seed(0)
    judge = PatchGan(3, (8, 16, 16))
    optimiser = torch.optim.Adam(judge.parameters(), 2e-3)
    for _ in range(40):
        noisy = torch.rand(4, 3, 64, 64)
        smooth = torch.nn.functional.avg_pool2d(noisy, 9, 1, 4)
        loss = ((judge(smooth) - 1) ** 2).mean() + (judge(noisy) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert judge(smooth).mean() - judge(noisy).mean() > 0.5
