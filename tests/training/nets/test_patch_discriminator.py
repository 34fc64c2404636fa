import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")


from training.nets.patch_discriminator import PatchDiscriminator, judge_loss, maker_loss


def test_only_patches_with_weight_count():
    scores = torch.tensor([[[[1.0, 0.0], [0.5, -1.0]]]])
    weight = torch.zeros(1, 1, 32, 32)
    weight[..., :16, :16] = 1  # of the first score
    assert maker_loss(scores, weight).item() == 0
    assert judge_loss(scores, scores - 1, weight, weight).item() == 0
    assert judge_loss(scores, scores, weight, weight).item() == pytest.approx(1)
    weight[..., :16, :16], weight[..., :16, 16:] = 0, 1
    assert maker_loss(scores, weight).item() == pytest.approx(1)
    assert maker_loss(scores, 0 * weight).item() == 0


def test_it_learns_to_tell_noise_from_smooth_pictures():
    torch.manual_seed(0)
    judge = PatchDiscriminator(4, (8, 16, 16, 16))
    optimiser = torch.optim.Adam(judge.parameters(), 3e-3, betas=(0.5, 0.99))
    weight = torch.ones(4, 1, 64, 64)
    for _ in range(40):
        noisy = torch.rand(4, 4, 64, 64)
        smooth = torch.nn.functional.avg_pool2d(noisy, 9, 1, 4)
        loss = judge_loss(judge(smooth), judge(noisy), weight, weight)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert judge(smooth).shape == (4, 1, 4, 4)
    assert loss.item() < 0.2  # not knowing costs 0.5
