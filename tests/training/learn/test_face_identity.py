import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")


from tests.training.learn.toy_faces import toy_faces
from training.learn.face_fields import FACE_TRIANGLES
from training.learn.face_identity import Features, load_identity, separation, train, unwrapped


def people(count, noise, seed=0):
    """Colours of people, four noisy looks each."""
    random = torch.Generator().manual_seed(seed)
    own = torch.rand(count, 1, FACE_TRIANGLES, 3, generator=random)
    look = own + noise * torch.randn(count, 4, FACE_TRIANGLES, 3, generator=random)
    return look.flatten(0, 1).clamp(0, 1), torch.ones(4 * count, FACE_TRIANGLES)


def test_separation_is_1_for_features_that_tell_people_apart_and_half_for_chance():
    colours, seen = people(6, 0.01)
    assert separation(lambda c, s: (c - 0.5).flatten(1), colours, seen) == 1
    random = torch.Generator().manual_seed(1)
    blind = separation(lambda c, s: torch.randn(len(c), 16, generator=random), colours, seen)
    assert 0.25 < blind < 0.75


def test_training_makes_people_more_unlike():
    # Fainter than the change of light: raw colours do not tell people apart.
    colours, seen = people(12, 0.0)
    tones = 0.4 + 0.2 * torch.rand(len(colours), 1, 3)
    faint = (tones + 0.06 * (colours - 0.5) + 0.05 * torch.randn(colours.shape)).clamp(0, 1)
    torch.manual_seed(0)
    before = separation(Features().eval(), faint, seen)
    after = separation(train(faint, seen, 40), faint, seen)
    assert after > before + 0.05 and after > 0.9


def test_features_do_not_see_what_is_hidden(tmp_path):
    network = Features().eval()
    colours, seen = people(1, 0.1)
    seen[:, 100:] = 0
    changed = colours.clone()
    changed[:, 100:] = 0.3
    with torch.no_grad():
        torch.testing.assert_close(network(colours, seen), network(changed, seen))
    torch.save(network.state_dict(), tmp_path / "identity.pt")
    again = load_identity(tmp_path / "identity.pt")
    assert not any(p.requires_grad for p in again.parameters())
    torch.testing.assert_close(again(colours, seen), network(colours, seen))


def test_skin_is_read_where_the_face_is():
    data = toy_faces()
    colours, seen = unwrapped(data)
    assert colours.shape == (4, FACE_TRIANGLES, 3) and seen.shape == (4, FACE_TRIANGLES)
    red, _, blue = colours[seen > 0].mean(0)
    assert red > blue + 0.05  # skin, not the grey behind it
    # The same person in the same light: colours at one place agree better than over the face.
    both = (seen[0] * seen[1]) > 0
    own = (colours[0] - colours[1])[both].abs().mean()
    mixed = (colours[0][both] - colours[1][both].flip(0)).abs().mean()
    assert own < mixed
